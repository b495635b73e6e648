//! The tool that an arm carries: where its hand is, as a target, as a measurement and as a limit.
//!
//! In an array a tool pose has seven values: position x, y, z (m), then the unit quaternion x, y, z, w. Poses are in the
//! base frame of the arm, z up. Quaternions q and -q are one rotation; whoever compares two of them aligns their signs.

use serde::{Deserialize, Serialize};

/// Values of a tool pose in an array.
pub const TOOL_POSE_LEN: usize = 7;

/// Below this length a quaternion says nothing about a rotation.
const SHORTEST_QUATERNION: f32 = 1e-3;

/// An arm with a tool, and the limits of what the tool may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// Lowest corner of the workspace, m.
    pub lower_m: [f32; 3],
    /// Highest corner of the workspace, m.
    pub upper_m: [f32; 3],
    /// Fastest target along each axis, m/s.
    pub max_speed_m_s: f32,
    /// Fastest turn of the target, rad/s.
    pub max_rate_rad_s: f32,
    /// Largest distance between target and tool along each axis, m: times the stiffness, it limits the force.
    pub max_error_m: f32,
    /// Largest angle between target and tool, rad.
    pub max_error_rad: f32,
}

/// Where a tool is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolPose {
    /// Position, m.
    pub position_m: [f32; 3],
    /// Unit quaternion x, y, z, w: rotates tool coordinates into the base frame.
    pub orientation: [f32; 4],
}

/// What is perceived of a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolState {
    /// Where it is.
    pub measured: ToolPose,
    /// The target that its controller holds.
    pub commanded: ToolPose,
    /// Force of the surroundings on the tool, base frame, N.
    pub force_n: [f32; 3],
    /// Torque of the surroundings on the tool, base frame, N m.
    pub torque_nm: [f32; 3],
}

impl Default for ToolPose {
    fn default() -> Self {
        Self { position_m: [0.0; 3], orientation: [0.0, 0.0, 0.0, 1.0] }
    }
}

impl ToolPose {
    /// Reads the first seven of `values`; the quaternion is normalised. `None` if it is too short to be one.
    #[must_use]
    pub fn from_values(values: &[f32; TOOL_POSE_LEN]) -> Option<Self> {
        let [x, y, z, orientation @ ..] = *values;
        // Scaled by the largest component: squares of large ones would not be finite.
        let largest = orientation.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        let scaled = orientation.map(|x| x / largest);
        let length = scaled.iter().map(|x| x * x).sum::<f32>().sqrt();
        let is_rotation = largest.is_finite() && largest * length > SHORTEST_QUATERNION;
        is_rotation.then(|| Self { position_m: [x, y, z], orientation: scaled.map(|x| x / length) })
    }

    /// The seven values.
    #[must_use]
    pub const fn values(&self) -> [f32; TOOL_POSE_LEN] {
        let ([x, y, z], [i, j, k, w]) = (self.position_m, self.orientation);
        [x, y, z, i, j, k, w]
    }

    /// The pose that is `share` (0..1) of the way to `end`: a straight line, and the shorter turn.
    #[must_use]
    pub fn towards(&self, end: &Self, share: f32) -> Self {
        let angle_rad = turn_rad(self.orientation, end.orientation);
        Self {
            position_m: std::array::from_fn(|i| self.position_m[i] + (end.position_m[i] - self.position_m[i]) * share),
            orientation: turn_by(self.orientation, end.orientation, angle_rad, share),
        }
    }

    /// The pose that is at most `most_m` and `most_rad` on the straight way to `end`, and whether that is `end`.
    #[must_use]
    pub fn stepped_towards(&self, end: &Self, most_m: f32, most_rad: f32) -> (Self, bool) {
        let way_m = self.position_m.iter().zip(end.position_m).map(|(a, b)| (b - a).powi(2)).sum::<f32>().sqrt();
        let way_rad = turn_rad(self.orientation, end.orientation);
        let share = (most_m / way_m).min(most_rad / way_rad);
        if share < 1.0 { (self.towards(end, share), false) } else { (self.towards(end, 1.0), true) }
    }

    /// Whether this and `other` are the same pose but for rounding.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let is_near = self.position_m.iter().zip(other.position_m).all(|(a, b)| (a - b).abs() <= 1e-5);
        is_near && turn_rad(self.orientation, other.orientation) <= 1e-4
    }
}

/// Writes the command that is `share` (0..1) of the way from `start` to `end` into `wanted`: a straight line, and the
/// shorter turn where the first seven values are a tool's pose. What is no rotation is left for the governor to refuse.
pub(crate) fn interpolate(start: &[f32], end: &[f32], share: f32, has_tool: bool, wanted: &mut [f32]) {
    for ((wanted, &start), &end) in wanted.iter_mut().zip(start).zip(end) {
        *wanted = start + (end - start) * share;
    }
    let pose = |values: &[f32]| values.first_chunk().and_then(ToolPose::from_values).filter(|_| has_tool);
    if let (Some(start), Some(end)) = (pose(start), pose(end))
        && let Some(wanted) = wanted.first_chunk_mut()
    {
        *wanted = start.towards(&end, share).values();
    }
}

/// Limits of a tool's targets, ready to be applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToolLimit {
    spec: ToolSpec,
    max_step_m: f32,
    max_step_rad: f32,
}

impl ToolLimit {
    pub(crate) fn new(spec: ToolSpec, rate_share: f32, servo_hz: u32) -> Self {
        let share = rate_share / servo_hz as f32;
        Self { spec, max_step_m: spec.max_speed_m_s * share, max_step_rad: spec.max_rate_rad_s * share }
    }

    /// The pose with its position in the workspace.
    pub(crate) fn in_workspace(&self, pose: &ToolPose) -> ToolPose {
        let position_m =
            std::array::from_fn(|axis| pose.position_m[axis].clamp(self.spec.lower_m[axis], self.spec.upper_m[axis]));
        ToolPose { position_m, ..*pose }
    }

    /// The target nearest to `wanted` that is in the workspace, near the tool, and, above all, one step from the last.
    pub(crate) fn apply(&self, wanted: &ToolPose, previous: &ToolPose, measured: &ToolPose) -> ToolPose {
        let Self { spec, max_step_m, max_step_rad } = self;
        let position_m = std::array::from_fn(|axis| {
            let in_box = |x: f32| x.clamp(spec.lower_m[axis], spec.upper_m[axis]);
            let (previous, measured) = (in_box(previous.position_m[axis]), measured.position_m[axis]);
            let in_band =
                in_box(wanted.position_m[axis]).clamp(measured - spec.max_error_m, measured + spec.max_error_m);
            in_box(in_band).clamp(previous - max_step_m, previous + max_step_m)
        });
        let in_band = limited_turn(measured.orientation, wanted.orientation, spec.max_error_rad);
        ToolPose { position_m, orientation: limited_turn(previous.orientation, in_band, *max_step_rad) }
    }
}

/// Angle of the turn from `from` to `to`, rad, 0..pi.
#[must_use]
pub fn turn_rad(from: [f32; 4], to: [f32; 4]) -> f32 {
    let dot: f32 = from.iter().zip(&to).map(|(a, b)| a * b).sum();
    let sign = dot.signum();
    // Half of the chord between two unit quaternions: precise where the cosine is not.
    let half_chord = 0.5 * from.iter().zip(&to).map(|(a, b)| (a - sign * b).powi(2)).sum::<f32>().sqrt();
    4.0 * half_chord.min(1.0).asin()
}

/// `to`, or as far as `max_rad` goes from `from`.
fn limited_turn(from: [f32; 4], to: [f32; 4], max_rad: f32) -> [f32; 4] {
    let angle_rad = turn_rad(from, to);
    let share = if angle_rad > max_rad { max_rad / angle_rad } else { 1.0 };
    turn_by(from, to, angle_rad, share)
}

/// Turns `share` of the way from `from` to `to`, which are `angle_rad` apart; the result has the sign of `from`.
fn turn_by(from: [f32; 4], to: [f32; 4], angle_rad: f32, share: f32) -> [f32; 4] {
    let sign = from.iter().zip(&to).map(|(a, b)| a * b).sum::<f32>().signum();
    let half = 0.5 * angle_rad;
    let (start, end) = if half.sin() > 1e-4 {
        (((1.0 - share) * half).sin() / half.sin(), (share * half).sin() / half.sin())
    } else {
        (1.0 - share, share)
    };
    let turned: [f32; 4] = std::array::from_fn(|i| start * from[i] + sign * end * to[i]);
    let length = turned.iter().map(|x| x * x).sum::<f32>().sqrt();
    turned.map(|x| x / length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::FRAC_PI_2;

    fn about_z(angle_rad: f32) -> [f32; 4] {
        let (sin, cos) = (0.5 * angle_rad).sin_cos();
        [0.0, 0.0, sin, cos]
    }

    /// Contract: turns of known angles have those angles, whichever of its two signs a quaternion has.
    #[test]
    fn turns_have_their_angles() {
        for angle_rad in [0.0, 1e-3, 0.05, 1.0, FRAC_PI_2, 3.0] {
            let (from, to) = (about_z(0.2), about_z(0.2 + angle_rad));
            assert!((turn_rad(from, to) - angle_rad).abs() < 2e-5, "{angle_rad}");
            assert!((turn_rad(from, to.map(|x| -x)) - angle_rad).abs() < 2e-5, "{angle_rad}");
        }
        let pose = |angle_rad| ToolPose { orientation: about_z(angle_rad), ..ToolPose::default() };
        let half_way = pose(0.0).towards(&pose(1.0), 0.5).orientation;
        assert!(turn_rad(half_way, about_z(0.5)) < 1e-5, "{half_way:?}");
    }

    /// Contract: a quaternion of any length but none is normalised; one without length is refused.
    #[test]
    fn quaternions_are_normalised() {
        let read = |w| ToolPose::from_values(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0, w]);
        assert_eq!(read(4.0).map(|pose| pose.orientation), Some([0.0, 0.0, 0.0, 1.0]));
        assert_eq!(read(1e30).map(|pose| pose.orientation), Some([0.0, 0.0, 0.0, 1.0]));
        assert_eq!(read(0.0), None);
    }
}
