//! Studies of all four stages on the toy chain, in seconds.

use bridge::storage::write_atomic;
use std::io;
use std::path::{Path, PathBuf};

const TINY: [&str; 11] = [
    "demonstrations.episodes=2",
    "task.n_places=20",
    "log_every=5",
    "learn.batch_size=16",
    "learn.imitation.steps=30",
    "learn.warmup_steps=20",
    "learn.offline_steps=20",
    "learn.online.iterations=3",
    "learn.online.episodes_per_iteration=2",
    "learn.online.critic_first_steps=5",
    "learn.online.steps_per_iteration=15",
];

/// Writes a study into `folder`: `changes` on top of what makes it small, and `rest`, which is its parties, seeds and measures.
pub fn write(folder: &Path, title: &str, changes: &[&str], rest: &str) -> io::Result<PathBuf> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("toy_chain.ron");
    let set = TINY.iter().chain(changes);
    let set = set.map(|change| format!("{change:?}")).collect::<Vec<_>>().join(", ");
    let path = folder.join("study.ron");
    let text = format!("(title: {title:?}, base: File({base:?}), set: [{set}], {rest})");
    write_atomic(&path, text.as_bytes())?;
    Ok(path)
}
