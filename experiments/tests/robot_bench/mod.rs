//! Robots for tests of the binary: a training of seconds, a robot for a busy machine.

use super::training;
use bridge::number::Positive;
use bridge::storage::write_atomic;
use experiments::robot::RobotConfig;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TORQUE: u16 = 64;
pub const WATCHDOG: u16 = 98;
pub const TRIPPED: u32 = 0xFF;
/// Of a patient robot.
pub const WATCHDOG_S: f64 = 0.5;

/// A training of seconds on the hand that has motors.
pub fn tiny_training(out: &Path) -> Command {
    let changes = [
        "task.hand=orca_v2",
        "online_domain=shifted_orca_v2",
        "evaluation.domains=[\"nominal\"]",
        "evaluation.episodes=1",
        "evaluation.online_episodes=0",
    ];
    training::tiny_training("cube_smoke.ron", &changes, out)
}

pub fn path(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// A robot for a machine that may be busy: a slow loop whose own deadlines are far away, so that what a test finds is not the scheduler.
pub fn patient_robot() -> Result<RobotConfig, Box<dyn Error>> {
    let mut robot = RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string())?;
    robot.servo_hz = 20;
    robot.buttons = None;
    (robot.driver.watchdog_s, robot.driver.margin_s) = (WATCHDOG_S.try_into()?, 0.05.try_into()?);
    robot.driver.watchdog_because = Some("a busy machine".into());
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
        &mut failsafe.arm_stale_s,
        &mut failsafe.arm_deaf_s,
        &mut failsafe.arm_lost_s,
    ] {
        *deadline = far;
    }
    failsafe.bad_cycles = 51;
    Ok(robot)
}

/// Writes the file of a robot.
pub fn save(robot: &RobotConfig, file: &Path) -> Result<(), Box<dyn Error>> {
    write_atomic(file, ron::to_string(robot)?.as_bytes())?;
    Ok(())
}
