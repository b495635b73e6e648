//! What goes wrong in the physics: found before the step that it would spoil, named, and held until a reset.

use crate::dump::Dump;
use bridge::{BodyError, BodySpec};
use std::f32::consts::TAU;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// A target this far outside of a joint's range (rad) or of a tool's workspace (m) is none that a limit let through.
const TARGET_ROOM: f32 = TAU;

/// The physics cannot go on, or would only go on with nonsense.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PhysicsFault {
    /// A number of a body is not finite.
    #[error("{name}: {quantity} is {found:?}, expected finite numbers")]
    NotFinite {
        /// What the body is, e.g. `index_pip`.
        name: String,
        /// Which of its vectors.
        quantity: &'static str,
        /// Its components.
        found: [f32; 3],
    },
    /// A body is faster or further away than anything that belongs here.
    #[error("{name}: {quantity} is {found:e}, expected at most {limit}")]
    TooMuch {
        /// What the body is.
        name: String,
        /// What there is too much of, with its unit.
        quantity: &'static str,
        /// How much there is.
        found: f32,
        /// How much there may be.
        limit: f32,
    },
    /// An object is inside of what it stands on.
    #[error("{name}: it went through the floor; its origin is at {position_m:?} m, {depth_m} m below the top")]
    ThroughFloor {
        /// What the object is.
        name: String,
        /// Where it is.
        position_m: [f32; 3],
        /// How deep.
        depth_m: f32,
    },
    /// A target is far from everything that can be reached.
    #[error("{name}: its target is {found:e}, expected {lower} to {upper}, or not much beyond")]
    Target {
        /// Name of the joint, or of a tool's axis.
        name: String,
        /// The target, rad or m.
        found: f32,
        /// Lowest position.
        lower: f32,
        /// Highest position.
        upper: f32,
    },
    /// The solver panicked.
    #[error("the physics solver panicked: {message}")]
    Solver {
        /// What it said.
        message: String,
    },
    /// The engine has put something aside.
    #[error("{names}: not finite any more, frozen by the physics")]
    Frozen {
        /// What was put aside.
        names: String,
    },
}

/// Refuses a command, which has the right length and finite numbers, with a target that is far from everything.
pub(crate) fn check_targets(spec: &BodySpec, command: &[f32]) -> Result<(), PhysicsFault> {
    let (tool, joints) = command.split_at(spec.tool_len());
    let axes = spec.tool.iter().flat_map(|limits| {
        ["tool x", "tool y", "tool z"].into_iter().zip(limits.lower_m.into_iter().zip(limits.upper_m))
    });
    let axes = axes.zip(tool).map(|((name, (lower, upper)), &found)| (name, lower, upper, found));
    let joints = spec.joints.iter().zip(joints);
    let joints = joints.map(|(joint, &found)| (joint.name.as_str(), joint.lower_rad, joint.upper_rad, found));
    match axes
        .chain(joints)
        .find(|&(_, lower, upper, found)| found < lower - TARGET_ROOM || found > upper + TARGET_ROOM)
    {
        None => Ok(()),
        Some((name, lower, upper, found)) => Err(PhysicsFault::Target { name: name.to_owned(), found, lower, upper }),
    }
}

/// Holds the fault of an episode: once its physics has failed, nothing works until a reset.
#[derive(Clone, Debug)]
pub(crate) struct FaultLatch {
    body: String,
    folder: Option<Arc<Path>>,
    fault: Option<(String, Option<PathBuf>)>,
}

impl FaultLatch {
    /// A latch for the body called `body`; dumps go into `folder`, if there is one.
    pub(crate) const fn new(body: String, folder: Option<Arc<Path>>) -> Self {
        Self { body, folder, fault: None }
    }

    /// Forgets the fault: a new episode begins.
    pub(crate) fn release(&mut self) {
        self.fault = None;
    }

    /// # Errors
    /// While a fault is held.
    pub(crate) fn check(&self) -> Result<(), BodyError> {
        self.fault.as_ref().map_or(Ok(()), |(reason, dump)| {
            let reason = format!("{reason}; a reset comes first");
            Err(BodyError::SimFault { body: self.body.clone(), reason, dump: dump.clone() })
        })
    }

    /// Passes `result` on; a fault is held, and what `dump` makes of it is written.
    ///
    /// # Errors
    /// When `result` is a fault.
    pub(crate) fn hold(
        &mut self,
        result: Result<(), PhysicsFault>,
        dump: impl FnOnce(String) -> Dump,
    ) -> Result<(), BodyError> {
        let Err(fault) = result else { return Ok(()) };
        let mut reason = fault.to_string();
        let written = self.folder.as_ref().map(|folder| dump(reason.clone()).write(folder));
        let dump = match written {
            Some(Err(error)) => {
                reason = format!("{reason}; no dump of it: {error}");
                None
            }
            Some(Ok(path)) => Some(path),
            None => None,
        };
        self.fault = Some((reason.clone(), dump.clone()));
        Err(BodyError::SimFault { body: self.body.clone(), reason, dump })
    }
}
