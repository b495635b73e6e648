//! Where the joints' stops are in a servo's ticks: found by driving to both, kept in a file.
//!
//! ```text
//! angle = lower + (ticks - ticks_lower) / (ticks_upper - ticks_lower) * (upper - lower)
//! ratio = shaft travel / joint travel
//! ```
//! A servo forgets whole turns when its power goes; a joint between its stops has one place only, so they are found again
//! at every connection.

mod procedure;

pub use procedure::{CalibrationConfig, CalibrationError, CalibrationStep};

use super::dynamixel::Model;
use super::dynamixel::control_table::{RAD_PER_TICK, TICKS_PER_TURN};
use super::motors::{Motor, MotorTable, Turns};
use crate::config::{self, ConfigError};
use crate::number::Positive;
use crate::storage::write_atomic;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use thiserror::Error;

/// A hand's calibration: the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Version of this format: [`Calibration::VERSION`].
    pub version: u32,
    /// Name of the hand's description.
    pub hand: String,
    /// Serial number of the hand.
    pub serial: String,
    /// When it was calibrated, e.g. `2026-03-01`.
    pub date: String,
    /// The joints, in the order of the motor table.
    pub joints: Vec<JointCalibration>,
}

/// A joint's stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointCalibration {
    /// Name of the joint.
    pub joint: String,
    /// Id of its servo.
    pub id: u8,
    /// Model of its servo.
    pub model: Model,
    /// Ticks at the lower stop.
    pub lower_ticks: i32,
    /// Ticks at the upper stop.
    pub upper_ticks: i32,
    /// Shaft travel per joint travel.
    pub ratio: Positive,
}

/// A calibration that does not fit its hand, or itself.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("calibration of {hand} (serial {serial}, {date}): {reason}; calibrate again")]
pub struct CalibrationMismatch {
    /// Name of the hand in the file.
    pub hand: String,
    /// Serial number in the file.
    pub serial: String,
    /// Date in the file.
    pub date: String,
    /// What was found and what is expected.
    pub reason: String,
}

/// Between a joint's angle and its servo's ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointMap {
    lower_ticks: f64,
    upper_ticks: f64,
    lower_rad: f64,
    rad_per_tick: f64,
}

impl Calibration {
    /// The version of this format.
    pub const VERSION: u32 = 1;

    /// Reads a calibration.
    ///
    /// # Errors
    /// When the file cannot be read or is not one.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        config::load(path)
    }

    /// Writes the calibration.
    ///
    /// # Errors
    /// Any of the file system's; an old file is then untouched.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let text = ron::ser::to_string_pretty(self, ron::ser::PrettyConfig::new()).map_err(io::Error::other)?;
        write_atomic(path, format!("{text}\n").as_bytes())
    }

    /// Checks that this is a calibration of `hand` with the motors of `table`, whose ranges are `ranges_rad`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, hand: &str, table: &MotorTable, ranges_rad: &[(f64, f64)]) -> Result<(), CalibrationMismatch> {
        let mismatch = |reason| {
            let (hand, serial, date) = (self.hand.clone(), self.serial.clone(), self.date.clone());
            Err(CalibrationMismatch { hand, serial, date, reason })
        };
        if self.version != Self::VERSION {
            return mismatch(format!("found version {}, expected {}", self.version, Self::VERSION));
        }
        if self.hand != hand {
            return mismatch(format!("it is not of {hand}"));
        }
        if self.joints.len() != table.motors.len() {
            return mismatch(format!("found {} joints, expected {}", self.joints.len(), table.motors.len()));
        }
        for ((joint, motor), &range_rad) in self.joints.iter().zip(&table.motors).zip(ranges_rad) {
            if let Err(reason) = joint.check(motor, range_rad) {
                return mismatch(format!("{}: {reason}", motor.joint));
            }
        }
        Ok(())
    }
}

impl JointCalibration {
    /// Shaft travels per joint travel that a hand may have.
    pub const RATIOS: std::ops::RangeInclusive<f64> = 0.3..=3.0;
    /// Farthest goal that a servo takes.
    const MAX_TICKS: i32 = 1_048_575;

    /// The calibration of a joint whose stops were found.
    ///
    /// # Errors
    /// When the stops are not where a joint of `motor` can have them, in words.
    pub fn new(motor: &Motor, range_rad: (f64, f64), lower_ticks: i32, upper_ticks: i32) -> Result<Self, String> {
        let ratio = ratio(range_rad, lower_ticks, upper_ticks)?;
        let calibration = Self {
            joint: motor.joint.clone(),
            id: motor.id,
            model: motor.model,
            lower_ticks,
            upper_ticks,
            ratio: ratio.try_into().map_err(|error| format!("ratio: {error}"))?,
        };
        calibration.check(motor, range_rad)?;
        Ok(calibration)
    }

    fn check(&self, motor: &Motor, range_rad: (f64, f64)) -> Result<(), String> {
        if (self.joint.as_str(), self.id, self.model) != (motor.joint.as_str(), motor.id, motor.model) {
            return Err(format!(
                "found {} with servo {} ({}), expected servo {} ({})",
                self.joint, self.id, self.model, motor.id, motor.model
            ));
        }
        for ticks in [self.lower_ticks, self.upper_ticks] {
            if !(-Self::MAX_TICKS..=Self::MAX_TICKS).contains(&ticks) {
                return Err(format!("found a stop at {ticks} ticks, expected at most {} either way", Self::MAX_TICKS));
            }
        }
        let ratio = ratio(range_rad, self.lower_ticks, self.upper_ticks)?;
        if !Self::RATIOS.contains(&ratio) {
            return Err(format!(
                "the shaft travels {ratio:.3} times as far as the joint, expected {} to {}: something was in its way, or \
                 the tendon slips",
                Self::RATIOS.start(),
                Self::RATIOS.end()
            ));
        }
        if (self.ratio.get() - ratio).abs() > 1e-3 * ratio {
            return Err(format!("ratio: found {}, but the stops say {ratio:.6}", self.ratio.get()));
        }
        let turns = if self.upper_ticks > self.lower_ticks { Turns::Along } else { Turns::Against };
        if turns == motor.turns {
            Ok(())
        } else {
            Err(format!("the shaft turns {turns:?} the joint, expected {:?}", motor.turns))
        }
    }
}

fn ratio((lower_rad, upper_rad): (f64, f64), lower_ticks: i32, upper_ticks: i32) -> Result<f64, String> {
    let travel_ticks = i64::from(upper_ticks) - i64::from(lower_ticks);
    if travel_ticks == 0 || travel_ticks.abs() >= i64::from(TICKS_PER_TURN) {
        return Err(format!("found a travel of {travel_ticks} ticks, expected less than a turn and more than none"));
    }
    Ok(travel_ticks.abs() as f64 * RAD_PER_TICK / (upper_rad - lower_rad))
}

impl JointMap {
    /// Ticks beyond a stop at which a joint may still be: tendons give.
    const SLACK_TICKS: f64 = 200.0;

    /// The map of a calibrated joint with stops at `range_rad`.
    #[must_use]
    pub fn new(joint: &JointCalibration, (lower_rad, upper_rad): (f64, f64)) -> Self {
        let (lower_ticks, upper_ticks) = (f64::from(joint.lower_ticks), f64::from(joint.upper_ticks));
        Self {
            lower_ticks,
            upper_ticks,
            lower_rad,
            rad_per_tick: (upper_rad - lower_rad) / (upper_ticks - lower_ticks),
        }
    }

    /// The joint's angle, rad.
    #[must_use]
    pub fn angle_rad(&self, ticks: i32) -> f64 {
        self.lower_rad + (f64::from(ticks) - self.lower_ticks) * self.rad_per_tick
    }

    /// The ticks of an angle, not beyond the stops; none if the angle is not finite.
    #[must_use]
    pub fn ticks(&self, angle_rad: f64) -> Option<i32> {
        if !angle_rad.is_finite() {
            return None;
        }
        let ticks = self.lower_ticks + (angle_rad - self.lower_rad) / self.rad_per_tick;
        let (low, high) = self.stops();
        Some(ticks.clamp(low, high).round() as i32)
    }

    /// Shaft angle per joint angle, signed.
    #[must_use]
    pub fn shaft_per_joint(&self) -> f64 {
        RAD_PER_TICK / self.rad_per_tick
    }

    /// Ticks of whole turns to add to what a servo says, so that it is between the stops; none if nothing brings it there.
    #[must_use]
    pub fn turns_ticks(&self, present_ticks: i32) -> Option<i32> {
        let (low, high) = self.stops();
        let turn = f64::from(TICKS_PER_TURN);
        let middle = 0.5 * (low + high);
        let turns = ((middle - f64::from(present_ticks)) / turn).round() * turn;
        let ticks = f64::from(present_ticks) + turns;
        let is_between = ticks >= low - Self::SLACK_TICKS && ticks <= high + Self::SLACK_TICKS;
        // So many turns that their ticks do not fit are no hand's.
        (is_between && turns.abs() <= f64::from(i32::MAX)).then_some(turns as i32)
    }

    const fn stops(&self) -> (f64, f64) {
        (self.lower_ticks.min(self.upper_ticks), self.lower_ticks.max(self.upper_ticks))
    }
}
