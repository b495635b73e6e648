//! What the commands do. Results go to standard output, everything else to standard error.

mod calibrate;
mod compare;
mod demo;
mod doctor;
mod emulate;
mod eval;
mod export;
mod import;
mod report;
mod tasks;
mod train;

pub use calibrate::calibrate;
pub use compare::compare;
pub use demo::demo;
pub use doctor::doctor;
pub use emulate::emulate;
pub use eval::eval;
pub use export::export;
pub use import::import;
pub use report::{report, write_page};
pub use tasks::tasks;
pub use train::{last_of, read_demonstrations, train};

use crate::cli::{Backend, HandTask, RobotArgs};
use crate::experiment::TaskChoice;
use crate::robot::Kind;
use bridge::real::emulator::FaultScript;
use bridge::{CubeReward, GovernorConfig, config};
use color_eyre::eyre::{Result, ensure};
use std::path::Path;

/// How a command ended, when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Well.
    Well,
    /// It finished, but recorded data was lost on the way.
    DataLost,
    /// It finished, but a number is not what was expected.
    Unmet,
}

/// The fault script at `path`; nothing goes wrong without one.
fn fault_script(path: Option<&Path>) -> Result<FaultScript> {
    Ok(path.map(config::load).transpose()?.unwrap_or_default())
}

/// `task` with the hand called `hand`, outside of an experiment.
fn task_of(task: HandTask, hand: &str, reward: CubeReward) -> Result<TaskChoice> {
    let (hand, governor) = (hand.to_owned(), GovernorConfig::usual()?);
    Ok(match task {
        HandTask::Cube => TaskChoice::Cube { hand, reward, governor },
        HandTask::Scissors => TaskChoice::Scissors { hand, governor },
    })
}

/// What is behind the robot's port; none where there is no robot.
fn kind_of(backend: Backend, robot: &RobotArgs, domain: &str, seed: u64) -> Result<Option<Kind>> {
    let is_given = robot.port.is_some()
        || robot.calibration.is_some()
        || robot.tracker.is_some()
        || robot.arm.is_some()
        || robot.gamepad.is_some();
    let is_emulated = robot.faults.is_some() || robot.real_time;
    match backend {
        Backend::Sim => {
            ensure!(
                !is_given && !is_emulated && robot.robot.is_none(),
                "the simulation has no robot: give --backend too"
            );
            Ok(None)
        }
        Backend::Emulated => {
            ensure!(
                !is_given,
                "an emulated hand brings its port, calibration, tracker, arm and whoever answers: do not give them"
            );
            let (domain, script) = (domain.to_owned(), fault_script(robot.faults.as_deref())?);
            Ok(Some(Kind::Emulated { domain, script, seed, is_real_time: robot.real_time }))
        }
        Backend::Real => {
            ensure!(!is_emulated, "--faults and --real-time are for the emulated hand");
            Ok(Some(Kind::Real))
        }
    }
}

/// The number of threads to use: what was asked for, else all there are.
fn n_threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}
