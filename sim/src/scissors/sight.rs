//! What a demonstrator sees of scissors and tape.

use bridge::{Percept, ScissorsObject, heading_rad, opening_rad};
use rapier3d::glamx::{DQuat, DVec3};
use std::f64::consts::{FRAC_PI_2, PI};

/// The scissors and the tape as seen, in the frame in the middle of the halves.
pub(crate) struct Sight {
    pub(crate) middle: DQuat,
    /// Horizontal direction of the axis of the scissors, base frame, and how far the middle of the tape is from the loops
    /// along it, m. The loops do not swing; the pivot does, and a hand that followed it would swing it more.
    pub(crate) along: DVec3,
    pub(crate) beside_m: f64,
    /// Where the tape meets the plane of the scissors.
    pub(crate) meeting: DVec3,
    /// Heading of the tape minus that of the scissors, rad, -pi/2..pi/2.
    pub(crate) skew_rad: f64,
}

impl Sight {
    pub(crate) fn of(percept: &Percept, loop_height_m: f64) -> Self {
        let finger = ScissorsObject::FingerHalf.of(percept);
        let tape = ScissorsObject::Tape.of(percept);
        let half = DQuat::from_rotation_x(-0.5 * f64::from(opening_rad(percept)));
        let middle = (quaternion(finger.orientation) * half).normalize();
        let heading = yaw_rad(middle);
        let level = DVec3::new(heading.cos(), heading.sin(), 0.0);
        let loops_m = vector(finger.position_m) + middle * (DVec3::Z * loop_height_m);
        let seen = middle.inverse() * (vector(tape.position_m) - vector(finger.position_m));
        let along = middle.inverse() * (quaternion(tape.orientation) * DVec3::X);
        let meeting = if along.x.abs() > 0.2 { seen - along * (seen.x / along.x) } else { seen };
        let skew_rad = f64::from(heading_rad(tape.orientation)) - heading;
        let skew_rad = (skew_rad + FRAC_PI_2).rem_euclid(PI) - FRAC_PI_2;
        let beside_m = level.dot(vector(tape.position_m) - loops_m);
        Self { middle, along: level, beside_m, meeting, skew_rad }
    }
}

pub(crate) fn vector(v: [f32; 3]) -> DVec3 {
    DVec3::from_array(v.map(f64::from))
}

pub(crate) fn quaternion(q: [f32; 4]) -> DQuat {
    DQuat::from_array(q.map(f64::from))
}

pub(crate) fn yaw_rad(orientation: DQuat) -> f64 {
    let x = orientation * DVec3::X;
    x.y.atan2(x.x)
}
