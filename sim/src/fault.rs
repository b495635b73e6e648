//! What goes wrong in the physics: found before the step that it would spoil, and named.

use crate::engine::{Engine, FLOOR_HALF_M, Named, PHYSICS_HZ};
use bridge::BodySpec;
use rapier3d::prelude::Vector;
use std::f32::consts::TAU;
use thiserror::Error;

/// A target this far outside of a joint's range (rad) or of a tool's workspace (m) is none that a limit let through.
const TARGET_ROOM: f32 = TAU;

/// Faster than this, something could be on the other side of the floor after a step, m/s.
const MAX_SPEED_M_S: f32 = 2.0 * FLOOR_HALF_M.z * PHYSICS_HZ as f32;
/// Faster than this nothing here spins, rad/s.
const MAX_SPIN_RAD_S: f32 = 1e4;
/// What is further away than this has left, m.
const MAX_DISTANCE_M: f32 = 100.0;
/// How deep in the floor the origin of an object may be, m, and how near to the floor's edge that is looked at.
const MAX_DEPTH_M: f32 = 0.02;
const FLOOR_EDGE_M: f32 = 0.05;

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

impl Engine {
    /// Whether every body is where a number says, and where it can be.
    ///
    /// # Errors
    /// When one is not; it is named.
    pub(crate) fn check(&self) -> Result<(), PhysicsFault> {
        self.names.iter().try_for_each(|named| self.check_body(named))
    }

    fn check_body(&self, named: &Named) -> Result<(), PhysicsFault> {
        let Named { body, name, is_object } = named;
        let Some(body) = self.physics.bodies.get(*body).filter(|body| body.is_dynamic()) else { return Ok(()) };
        let (position, speed, spin) = (body.translation(), body.linvel(), body.angvel());
        let turn = Vector::new(body.rotation().x, body.rotation().y, body.rotation().z);
        let vectors = [
            ("distance in m", position, MAX_DISTANCE_M),
            ("orientation", turn, 2.0),
            ("velocity in m/s", speed, MAX_SPEED_M_S),
            ("angular velocity in rad/s", spin, MAX_SPIN_RAD_S),
        ];
        for (quantity, vector, limit) in vectors {
            // Written so that what is not a number is too much.
            if vector.length_squared() <= limit * limit {
                continue;
            }
            let name = name.clone();
            return Err(if vector.is_finite() {
                PhysicsFault::TooMuch { name, quantity, found: vector.length(), limit }
            } else {
                PhysicsFault::NotFinite { name, quantity, found: vector.into() }
            });
        }
        let depth_m = self.floor_m - position.z;
        let reach_m = FLOOR_HALF_M.x - FLOOR_EDGE_M;
        let is_over_floor = position.x.abs() < reach_m && position.y.abs() < reach_m;
        if *is_object && is_over_floor && (MAX_DEPTH_M..2.0 * FLOOR_HALF_M.z).contains(&depth_m) {
            return Err(PhysicsFault::ThroughFloor { name: name.clone(), position_m: position.into(), depth_m });
        }
        Ok(())
    }
}
