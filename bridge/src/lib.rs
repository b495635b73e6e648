//! The contract between a body and a learner.
//!
//! A [`Body`] is read and commanded; a [`Task`] turns what it perceives into observations and rewards; the [`Governor`]
//! limits every command on its way; a [`TaskEnvironment`] joins the three behind the [`Environment`] trait, which is all
//! that the learner sees. Replacing the body is the only thing that `--backend` does. A hand that an arm carries has a tool
//! ([`ToolSpec`]): its pose is the first part of every command.
//!
//! [`real`] is the robot: a Dynamixel hand as a body, and the emulated servos that stand for it in tests.
//!
//! Invariants:
//! - This crate knows no tensors, no physics engine and no window.
//! - No command reaches a body but through the governor.
//! - Measured and commanded joint positions are never mixed: they are different fields of [`Percept`].
//! - A number that is not finite is refused where it enters, by name.
//! - Only [`storage`] writes files.

pub mod config;
pub mod dataset;
pub mod number;
pub mod parallel;
pub mod random;
pub mod real;
pub mod storage;

mod body;
mod cube;
mod environment;
mod episode;
mod governor;
mod percept;
mod scissors;
mod task;
mod tool;

pub use body::{Body, BodyError, BodySpec, JointSpec};
pub use cube::{CubeReward, CubeTask, CubeTaskConfig, TurnDirection};
pub use environment::{Environment, EnvironmentError, EnvironmentSpec, SIM_FAULT_SCALAR, Step, TaskEnvironment};
pub use episode::{Episode, EpisodeError, EpisodeLabel};
pub use governor::{Governor, GovernorConfig, Limits};
pub use percept::{ObjectPose, Percept, heading_rad, rotate, rotate_back, tilt_rad};
pub use scissors::{ScissorsObject, ScissorsTask, ScissorsTaskConfig, TAPE_CUT_SIGNAL, TAPE_TORN_SIGNAL, opening_rad};
pub use task::{Judgement, Outcome, Task, TaskSpec};
pub use tool::{TOOL_POSE_LEN, ToolPose, ToolSpec, ToolState, turn_rad};
