//! A hand, real or simulated, with the objects it sees.

use crate::{Percept, TOOL_POSE_LEN, ToolSpec};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Something that can be read and commanded.
///
/// Nothing outside of this crate calls [`Body::command`] on a body that moves for real: the [`crate::Governor`] does.
pub trait Body: Send {
    /// What the body is. It never changes.
    fn spec(&self) -> &BodySpec;

    /// Brings the body into its start posture. A simulated body draws its episode from `seed`.
    ///
    /// # Errors
    /// When the body cannot be brought there.
    fn reset(&mut self, seed: u64) -> Result<(), BodyError>;

    /// Reads everything into `percept`, which keeps its buffers.
    ///
    /// # Errors
    /// When the body cannot be read.
    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError>;

    /// Holds `targets_rad` for one servo period: one value a joint, after the seven of the tool pose if the body has a
    /// tool. A simulated body lets that time pass before it returns.
    ///
    /// # Errors
    /// When the body cannot be commanded, or has failed.
    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError>;
}

/// What a body is: fixed for its lifetime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BodySpec {
    /// Name of the hand, e.g. `orca_v2`.
    pub name: String,
    /// The actuated joints, in the order of every joint array.
    pub joints: Vec<JointSpec>,
    /// The arm that carries the hand, where one does: its tool pose then comes before the joints in every command.
    pub tool: Option<ToolSpec>,
    /// Names of the tracked objects, in the order of [`Percept::objects`].
    pub objects: Vec<String>,
    /// What it can tell besides poses, e.g. `tape_cut`, in the order of [`Percept::signals`].
    pub signals: Vec<String>,
    /// Servo targets per second.
    pub servo_hz: u32,
}

impl BodySpec {
    /// Values of a tool pose in a command: 7, or 0 without a tool.
    #[must_use]
    pub const fn tool_len(&self) -> usize {
        if self.tool.is_some() { TOOL_POSE_LEN } else { 0 }
    }

    /// Values in a command.
    #[must_use]
    pub fn command_len(&self) -> usize {
        self.tool_len() + self.joints.len()
    }

    /// Refuses a command of the wrong length or with a number that is not finite.
    ///
    /// # Errors
    /// Then; the error calls the array `quantity`.
    pub fn check_command(&self, quantity: &'static str, command: &[f32]) -> Result<(), BodyError> {
        let (found, expected) = (command.len(), self.command_len());
        if found != expected {
            return Err(BodyError::WrongLength { body: self.name.clone(), quantity, found, expected });
        }
        match command.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(index) => Err(BodyError::NonFinite {
                body: self.name.clone(),
                quantity: format!("{quantity}[{index}]"),
                value: command[index],
            }),
        }
    }
}

/// One actuated joint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JointSpec {
    /// Name, e.g. `index_mcp`.
    pub name: String,
    /// Lowest position, rad.
    pub lower_rad: f32,
    /// Highest position, rad.
    pub upper_rad: f32,
    /// Fastest target, rad/s.
    pub max_rate_rad_s: f32,
    /// Highest effort of the motor, N m.
    pub max_effort_nm: f32,
    /// Stiffness of the position loop, N m/rad.
    pub stiffness_nm_rad: f32,
}

/// A body failed.
#[derive(Debug, Error)]
pub enum BodyError {
    /// A number that is not finite was read or was to be commanded.
    #[error("body {body}: {quantity} is {value}, expected a finite number; nothing was commanded")]
    NonFinite {
        /// Name of the body.
        body: String,
        /// Which number, e.g. `measured_rad[3]`.
        quantity: String,
        /// What it was.
        value: f32,
    },
    /// An array had the wrong length.
    #[error("body {body}: {quantity} has {found} values, expected {expected}")]
    WrongLength {
        /// Name of the body.
        body: String,
        /// Which array.
        quantity: &'static str,
        /// Its length.
        found: usize,
        /// What it should be.
        expected: usize,
    },
    /// A quaternion had no direction.
    #[error("body {body}: {quantity} is the quaternion {found:?}, expected one of length 1; nothing was commanded")]
    NoRotation {
        /// Name of the body.
        body: String,
        /// Which one.
        quantity: &'static str,
        /// Its components x, y, z, w.
        found: [f32; 4],
    },
    /// The physics of a simulated body failed. The episode is over; the body works again after a reset.
    #[error("body {body}: sim_fault: {reason}{}", advice(dump.as_deref()))]
    SimFault {
        /// Name of the body.
        body: String,
        /// What was found, where, and what was expected.
        reason: String,
        /// The file from which the episode can be lived through again, if one was written.
        dump: Option<PathBuf>,
    },
    /// The hardware behind the body failed.
    #[error("body {body}: {reason}")]
    Fault {
        /// Name of the body.
        body: String,
        /// What happened.
        reason: String,
    },
}

fn advice(dump: Option<&Path>) -> String {
    dump.map_or(String::new(), |path| format!("; to see it: cargo run -p sim --release -- --replay {}", path.display()))
}
