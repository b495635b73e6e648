//! What a body perceives, and the little geometry that tasks need of it.

use crate::ToolState;
use serde::{Deserialize, Serialize};

/// One reading of a body. Joint order is that of the body's spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percept {
    /// Time since the reset, s.
    pub time_s: f64,
    /// Joint positions as measured by the encoders, rad.
    pub measured_rad: Vec<f32>,
    /// Joint targets that the servos hold, rad: what was last applied, not what was asked for.
    pub commanded_rad: Vec<f32>,
    /// Joint efforts, N m.
    pub effort_nm: Vec<f32>,
    /// The tool of the arm that carries the hand; none where the palm is fixed.
    pub tool: Option<ToolState>,
    /// Poses of the tracked objects, in the palm frame where the palm is fixed, else in the base frame of the arm.
    pub objects: Vec<ObjectPose>,
    /// What else the body can tell, in the order of its spec.
    pub signals: Vec<bool>,
}

/// Pose and velocity of an object. The palm frame has x to the finger tips, y to the thumb side, z out of the back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectPose {
    /// When it was measured, s since the reset.
    pub time_s: f64,
    /// Centre, m.
    pub position_m: [f32; 3],
    /// Unit quaternion x, y, z, w: rotates object coordinates into the frame of the pose.
    pub orientation: [f32; 4],
    /// Linear velocity, m/s.
    pub velocity_m_s: [f32; 3],
    /// Angular velocity, rad/s.
    pub angular_velocity_rad_s: [f32; 3],
}

impl Percept {
    /// The first value that is not finite, by name.
    #[must_use]
    pub fn find_non_finite(&self) -> Option<(String, f32)> {
        let joints = [
            ("measured_rad", &self.measured_rad),
            ("commanded_rad", &self.commanded_rad),
            ("effort_nm", &self.effort_nm),
        ];
        let in_joints =
            joints.into_iter().find_map(|(name, values)| find(values).map(|(i, x)| (format!("{name}[{i}]"), x)));
        let in_tool = || {
            let tool = self.tool.as_ref()?;
            let parts: [(&str, &[f32]); 4] = [
                ("measured", &tool.measured.values()),
                ("commanded", &tool.commanded.values()),
                ("force_n", &tool.force_n),
                ("torque_nm", &tool.torque_nm),
            ];
            parts.into_iter().find_map(|(name, values)| find(values).map(|(i, x)| (format!("tool.{name}[{i}]"), x)))
        };
        in_joints.or_else(in_tool).or_else(|| {
            self.objects.iter().enumerate().find_map(|(object, pose)| {
                let parts: [(&str, &[f32]); 4] = [
                    ("position_m", &pose.position_m),
                    ("orientation", &pose.orientation),
                    ("velocity_m_s", &pose.velocity_m_s),
                    ("angular_velocity_rad_s", &pose.angular_velocity_rad_s),
                ];
                parts
                    .into_iter()
                    .find_map(|(name, values)| find(values).map(|(i, x)| (format!("objects[{object}].{name}[{i}]"), x)))
            })
        })
    }
}

fn find(values: &[f32]) -> Option<(usize, f32)> {
    values.iter().copied().enumerate().find(|(_, x)| !x.is_finite())
}

/// Rotates `v` by the unit quaternion `q` (x, y, z, w).
#[must_use]
pub fn rotate(q: [f32; 4], v: [f32; 3]) -> [f32; 3] {
    let [x, y, z, w] = q;
    // v + 2 w (r x v) + 2 r x (r x v), r the vector part
    let cross =
        |a: [f32; 3], b: [f32; 3]| [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let r = [x, y, z];
    let once = cross(r, v);
    let twice = cross(r, once);
    std::array::from_fn(|i| v[i] + 2.0 * (w * once[i] + twice[i]))
}

/// Rotates `v` by the inverse of the unit quaternion `q` (x, y, z, w).
#[must_use]
pub fn rotate_back([x, y, z, w]: [f32; 4], v: [f32; 3]) -> [f32; 3] {
    rotate([-x, -y, -z, w], v)
}

/// Heading of the object's x axis about the palm's z axis, rad, in -pi..pi.
#[must_use]
pub fn heading_rad(orientation: [f32; 4]) -> f32 {
    let [x, y, _] = rotate(orientation, [1.0, 0.0, 0.0]);
    y.atan2(x)
}

/// Angle between the object's z axis and the palm's, rad.
#[must_use]
pub fn tilt_rad(orientation: [f32; 4]) -> f32 {
    rotate(orientation, [0.0, 0.0, 1.0])[2].clamp(-1.0, 1.0).acos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::FRAC_PI_2;

    /// Contract: heading and tilt of rotations known by hand.
    #[test]
    fn heading_and_tilt() {
        let (s, c) = (FRAC_PI_2 / 2.0).sin_cos();
        assert!((heading_rad([0.0, 0.0, s, c]) - FRAC_PI_2).abs() < 1e-6);
        assert!(tilt_rad([0.0, 0.0, s, c]).abs() < 1e-3);
        assert!((tilt_rad([s, 0.0, 0.0, c]) - FRAC_PI_2).abs() < 1e-6);
        let turned = rotate([0.0, 0.0, s, c], [1.0, 2.0, 3.0]);
        for (found, expected) in turned.into_iter().zip([-2.0, 1.0, 3.0]) {
            assert!((found - expected).abs() < 1e-6, "{turned:?}");
        }
    }
}
