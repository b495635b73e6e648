//! Between a hand's joints and the shafts of its servos.

use crate::asset::AssetError;
use crate::hand::Hand;
use bridge::real::calibration::{Calibration, JointCalibration};
use bridge::real::dynamixel::control_table::RAD_PER_TICK;
use bridge::real::emulator::FirstOrderShaft;
use bridge::real::motors::{Motor, MotorTable, Turns};
use std::f64::consts::PI;

/// Travel of a shaft over travel of its joint. ORCA hands have 0.85 to 1.15 in flexion; with this one the motors' 300 mA are
/// the highest torque of the simulated joints, 0.33 N m.
const RATIO: f64 = 1.14;

/// `shaft = at_zero + per_joint * q`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShaftMap {
    at_zero_rad: f64,
    pub(super) per_joint: f64,
}

impl ShaftMap {
    pub(super) fn new(motor: &Motor, (lower_rad, upper_rad): (f64, f64)) -> Self {
        let per_joint = if motor.turns == Turns::Along { RATIO } else { -RATIO };
        // Every shaft elsewhere, and no joint across the end of a turn.
        let middle_rad = PI + 0.05 * f64::from(motor.id % 20);
        Self { at_zero_rad: middle_rad - per_joint * 0.5 * (lower_rad + upper_rad), per_joint }
    }

    pub(super) fn shaft_rad(&self, q_rad: f64) -> f64 {
        self.at_zero_rad + self.per_joint * q_rad
    }

    pub(super) fn joint_rad(&self, shaft_rad: f64) -> f64 {
        (shaft_rad - self.at_zero_rad) / self.per_joint
    }
}

/// Where the stops of an emulated `hand` are, as a calibration would find them.
///
/// # Errors
/// When the hand has no motors, or one whose joint does not fit into a turn of its shaft.
pub fn emulated_calibration(hand: &Hand) -> Result<Calibration, AssetError> {
    let joints = motors_of(hand)?.motors.iter().map(|motor| {
        let range_rad = motor_range_rad(motor, hand);
        let map = ShaftMap::new(motor, range_rad);
        let ticks = |q_rad: f64| (map.shaft_rad(q_rad) / RAD_PER_TICK).round() as i32;
        JointCalibration::new(motor, range_rad, ticks(range_rad.0), ticks(range_rad.1))
            .map_err(|reason| inconsistent(hand, format!("{}: {reason}", motor.joint)))
    });
    Ok(Calibration {
        version: Calibration::VERSION,
        hand: hand.name.clone(),
        serial: "emulated".into(),
        date: "never".into(),
        joints: joints.collect::<Result<_, _>>()?,
    })
}

pub(super) fn motors_of(hand: &Hand) -> Result<&MotorTable, AssetError> {
    let no_motors = || inconsistent(hand, "motors: found None, expected the motors of a hand that can be built".into());
    hand.motors.as_ref().ok_or_else(no_motors)
}

fn inconsistent(hand: &Hand, reason: String) -> AssetError {
    AssetError::Inconsistent { source_name: format!("hand {}", hand.name), reason }
}

/// The stops of a motor's joint, rad.
pub(super) fn motor_range_rad(motor: &Motor, hand: &Hand) -> (f64, f64) {
    let own = motor.held.map(|held| (held.lower_rad.get(), held.upper_rad.get()));
    // As the driver has them, which reads them from the body's spec.
    let single = |rad: f64| f64::from(rad as f32);
    let of_hand = || {
        hand.joints()
            .find(|joint| joint.name == motor.joint)
            .map(|joint| (single(joint.lower_rad), single(joint.upper_rad)))
    };
    own.or_else(of_hand).unwrap_or_default()
}

pub(super) fn held_shaft(motor: &Motor, map: &ShaftMap, hand: &Hand) -> FirstOrderShaft {
    let (lower_rad, upper_rad) = motor_range_rad(motor, hand);
    let (one_rad, other_rad) = (map.shaft_rad(lower_rad), map.shaft_rad(upper_rad));
    let at_rad = motor.held.map_or(0.5 * (lower_rad + upper_rad), |held| held.at_rad.get());
    FirstOrderShaft {
        position_rad: map.shaft_rad(at_rad),
        lower_rad: one_rad.min(other_rad),
        upper_rad: one_rad.max(other_rad),
    }
}
