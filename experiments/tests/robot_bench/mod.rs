//! Robots for tests of the binary: a training of seconds, a robot for a busy machine, a child that does not outlive its test.

use super::binary::softflow;
use bridge::number::Positive;
use bridge::storage::write_atomic;
use experiments::robot::RobotConfig;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

pub const TORQUE: u16 = 64;
pub const WATCHDOG: u16 = 98;
pub const TRIPPED: u32 = 0xFF;
/// Of a patient robot.
pub const WATCHDOG_S: f64 = 0.5;

/// A training of seconds on the hand that has motors.
const TINY: [&str; 16] = [
    "task.hand=orca_v2",
    "online_domain=shifted_orca_v2",
    "demonstrations.episodes=4",
    "evaluation.episodes=1",
    "evaluation.online_episodes=0",
    "evaluation.domains=[\"nominal\"]",
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

pub fn tiny_training(out: &Path) -> Command {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("cube_smoke.ron");
    let mut command = softflow();
    command.arg("train").arg(config).arg("--out").arg(out);
    for change in TINY {
        command.args(["--set", change]);
    }
    command
}

pub fn path(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// A robot for a machine that may be busy, in its file: a slow loop whose own deadlines are far away, so that what a test finds is not the
/// scheduler.
pub fn patient_robot(file: &Path) -> Result<RobotConfig, Box<dyn Error>> {
    let mut robot = RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string())?;
    robot.servo_hz = 20;
    robot.buttons = None;
    (robot.driver.watchdog_s, robot.driver.margin_s) = (WATCHDOG_S.try_into()?, 0.05.try_into()?);
    robot.driver.patience_s = 0.5.try_into()?;
    let failsafe = &mut robot.control.failsafe;
    let far: Positive = 60.0.try_into()?;
    for deadline in [
        &mut failsafe.joint_stale_s,
        &mut failsafe.joint_lost_s,
        &mut failsafe.observation_stale_s,
        &mut failsafe.observation_lost_s,
        &mut failsafe.chunk_late_s,
        &mut failsafe.learner_lost_s,
        &mut failsafe.command_stale_s,
        &mut failsafe.overrun_factor,
    ] {
        *deadline = far;
    }
    failsafe.bad_cycles = 51;
    write_atomic(file, ron::to_string(&robot)?.as_bytes())?;
    Ok(robot)
}

/// A child that is killed when its test ends, whatever happens.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
