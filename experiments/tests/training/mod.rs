//! A training of seconds.

use super::binary::softflow;
use std::path::Path;
use std::process::Command;

const TINY: [&str; 13] = [
    "demonstrations.episodes=4",
    "evaluation.episodes=2",
    "evaluation.online_episodes=2",
    "learn.batch_size=32",
    "learn.imitation.steps=40",
    "learn.warmup_steps=20",
    "learn.offline_steps=20",
    "learn.online.iterations=2",
    "learn.online.episodes_per_iteration=1",
    "learn.online.critic_first_steps=5",
    "learn.online.steps_per_iteration=15",
    "checkpoint_every=10",
    "log_every=5",
];

/// `softflow train` of an experiment that is shipped, made small, with further changes.
pub fn tiny_training(experiment: &str, changes: &[&str], out: &Path) -> Command {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join(experiment);
    let mut command = softflow();
    command.arg("train").arg(config).arg("--out").arg(out);
    for change in TINY.iter().chain(changes) {
        command.args(["--set", change]);
    }
    command
}
