//! The motors of a hand as data: part of the hand's description, read by whoever drives or simulates it.

use super::dynamixel::control_table::{FULL_PWM, GOAL_CURRENT, GOAL_PWM, Register, baud_code};
use super::dynamixel::{MAX_ID, Model, OperatingMode};
use crate::JointSpec;
use crate::number::{Finite, Positive, UnitInterval};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// All motors of a hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MotorTable {
    /// Baud rate of the bus.
    pub baud: u32,
    /// Pause before an answer that the servos are set to, us; 0 to 508.
    pub return_delay_us: u16,
    /// One motor for each joint of the body, and those of joints that the body does not have.
    pub motors: Vec<Motor>,
    /// Joints that are calibrated together, group after group: none of a group may stop another.
    pub calibration_order: Vec<Vec<String>>,
}

/// A motor and the joint that it turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Motor {
    /// Name of its joint, as in the body's spec.
    pub joint: String,
    /// Id on the bus, 0 to 252.
    pub id: u8,
    /// Which way the shaft turns when the joint's angle grows.
    pub turns: Turns,
    /// Model.
    pub model: Model,
    /// Operating mode.
    pub mode: OperatingMode,
    /// The most it may exert.
    pub limit: EffortLimit,
    /// Torque at the shaft, N m/A; 0 where the model measures no current.
    pub torque_nm_per_a: Finite,
    /// For a joint that the body does not have, and that is therefore held where it is told here.
    pub held: Option<HeldJoint>,
}

/// Which way a shaft turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turns {
    /// Its ticks grow with the joint's angle.
    Along,
    /// Its ticks fall as the joint's angle grows.
    Against,
}

impl Turns {
    /// The other way.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Along => Self::Against,
            Self::Against => Self::Along,
        }
    }
}

/// A limit on what a motor exerts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum EffortLimit {
    /// Current, mA: where the model limits current.
    CurrentMa(Positive),
    /// Share of the supply voltage: where it does not.
    PwmShare(UnitInterval),
}

/// A joint that no policy moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldJoint {
    /// Lower stop, rad.
    pub lower_rad: Finite,
    /// Upper stop, rad.
    pub upper_rad: Finite,
    /// Where it is held, rad.
    pub at_rad: Finite,
    /// How fast it goes there when the hand opens or runs, rad/s.
    pub rate_rad_s: Positive,
}

/// A motor table that does not fit its hand.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("motors: {reason}")]
pub struct MotorTableError {
    /// What was found and what is expected.
    pub reason: String,
}

impl MotorTable {
    /// Checks that every one of `joints` has a motor of its own and that the motors can do what is asked of them.
    ///
    /// # Errors
    /// What does not fit, by name.
    pub fn check<'a>(&self, joints: impl IntoIterator<Item = &'a str>) -> Result<(), MotorTableError> {
        let wrong = |reason| Err(MotorTableError { reason });
        if baud_code(self.baud).is_none() {
            return wrong(format!("baud: found {}, expected one that the servos have, e.g. 1000000", self.baud));
        }
        if self.return_delay_us > 508 || !self.return_delay_us.is_multiple_of(2) {
            return wrong(format!("return_delay_us: found {}, expected an even number to 508", self.return_delay_us));
        }
        let mut n_driven = 0;
        for joint in joints {
            n_driven += 1;
            match self.motors.iter().filter(|motor| motor.joint == joint && motor.held.is_none()).count() {
                1 => {}
                found => return wrong(format!("joint {joint}: found {found} motors that drive it, expected 1")),
            }
        }
        let found = self.motors.iter().filter(|motor| motor.held.is_none()).count();
        if found != n_driven {
            return wrong(format!("found {found} motors that drive joints, but the hand has {n_driven} joints"));
        }
        for (index, motor) in self.motors.iter().enumerate() {
            if let Some(other) = self.motors[..index].iter().find(|other| other.id == motor.id) {
                return wrong(format!("id {}: found for both {} and {}", motor.id, other.joint, motor.joint));
            }
            if let Err(reason) = motor.check() {
                return wrong(format!("{}: {reason}", motor.joint));
            }
            let n_times = self.calibration_order.iter().flatten().filter(|&joint| *joint == motor.joint).count();
            if n_times != 1 {
                return wrong(format!("calibration_order: found {} {n_times} times, expected once", motor.joint));
            }
        }
        let is_known = |name: &&String| self.motors.iter().any(|motor| motor.joint == **name);
        match self.calibration_order.iter().flatten().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => wrong(format!("calibration_order: found {name}, which no motor turns")),
        }
    }
}

impl Motor {
    fn check(&self) -> Result<(), String> {
        if self.id > MAX_ID {
            return Err(format!("id: found {}, expected 0 to {MAX_ID}", self.id));
        }
        if !self.model.has_mode(self.mode) {
            return Err(format!("mode: found {:?}, which {} does not have", self.mode, self.model));
        }
        match (self.limit, self.model.current_unit_a()) {
            (EffortLimit::CurrentMa(_), None) => {
                return Err(format!("limit: found a current, but {} limits none; expected PwmShare", self.model));
            }
            (EffortLimit::PwmShare(_), Some(_)) => {
                return Err(format!("limit: found PwmShare, but {} limits current; expected CurrentMa", self.model));
            }
            _ => {}
        }
        match self.held {
            Some(held)
                if !(held.lower_rad <= held.at_rad
                    && held.at_rad <= held.upper_rad
                    && held.lower_rad < held.upper_rad) =>
            {
                Err(format!(
                    "held: found lower {} rad, at {} rad, upper {} rad, expected them in this order",
                    held.lower_rad.get(),
                    held.at_rad.get(),
                    held.upper_rad.get()
                ))
            }
            _ => Ok(()),
        }
    }

    /// Lower and upper stop of its joint, rad: its own if it is held, else those of the body's `joints`.
    #[must_use]
    pub fn range_rad(&self, joints: &[JointSpec]) -> Option<(f64, f64)> {
        match self.held {
            Some(held) => Some((held.lower_rad.get(), held.upper_rad.get())),
            None => joints
                .iter()
                .find(|joint| joint.name == self.joint)
                .map(|joint| (f64::from(joint.lower_rad), f64::from(joint.upper_rad))),
        }
    }
}

impl EffortLimit {
    /// The register that holds it.
    pub(in crate::real) const fn register(self) -> Register {
        match self {
            Self::CurrentMa(_) => GOAL_CURRENT,
            Self::PwmShare(_) => GOAL_PWM,
        }
    }

    /// `share` of the limit in units of the register that limits `model`.
    #[must_use]
    pub fn units(self, model: Model, share: f64) -> i32 {
        match self {
            Self::CurrentMa(limit) => {
                let unit_a = model.current_unit_a().unwrap_or(1e-3);
                (limit.get() * 1e-3 * share / unit_a).floor().min(f64::from(i16::MAX)) as i32
            }
            Self::PwmShare(limit) => (f64::from(FULL_PWM) * limit.get() * share).floor() as i32,
        }
    }
}
