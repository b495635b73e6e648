//! How far an arm may be asked to go: a pure function of what is wanted and what is measured.

use super::{ArmError, ArmPose};
use crate::ToolSpec;
use crate::number::{Finite, Positive};
use serde::{Deserialize, Serialize};

/// How far an arm may be asked to go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmLimits {
    /// Lowest corner of the workspace, m.
    pub workspace_lower_m: [Finite; 3],
    /// Highest corner of the workspace, m.
    pub workspace_upper_m: [Finite; 3],
    /// Largest distance of a setpoint from the measured position along each axis, m. 0.01 is usual.
    pub max_error_m: Positive,
    /// Largest angle of a setpoint from the measured orientation, rad. 0.05 is usual.
    pub max_error_rad: Positive,
    /// Oldest state that a setpoint may be clipped against, s. 0.1 is usual.
    pub stale_s: Positive,
}

impl ArmLimits {
    /// Whether there is a workspace.
    ///
    /// # Errors
    /// When it is empty; the axis is named.
    pub fn check(&self) -> Result<(), ArmError> {
        for axis in 0..3 {
            let (lower_m, upper_m) = (self.workspace_lower_m[axis].get(), self.workspace_upper_m[axis].get());
            if lower_m >= upper_m {
                return Err(ArmError::EmptyWorkspace { axis, lower_m, upper_m });
            }
        }
        Ok(())
    }

    /// What a task's tool may do on this arm: the tighter of both, so that what the governor lets through is what the
    /// arm is asked for.
    ///
    /// # Errors
    /// When their workspaces have nothing in common.
    pub fn narrow(&self, tool: &ToolSpec) -> Result<ToolSpec, ArmError> {
        let tool = ToolSpec {
            lower_m: std::array::from_fn(|axis| tool.lower_m[axis].max(self.workspace_lower_m[axis].f32())),
            upper_m: std::array::from_fn(|axis| tool.upper_m[axis].min(self.workspace_upper_m[axis].f32())),
            max_error_m: tool.max_error_m.min(self.max_error_m.f32()),
            max_error_rad: tool.max_error_rad.min(self.max_error_rad.f32()),
            ..*tool
        };
        for axis in 0..3 {
            let (lower_m, upper_m) = (tool.lower_m[axis], tool.upper_m[axis]);
            if lower_m >= upper_m {
                return Err(ArmError::EmptyWorkspace { axis, lower_m: lower_m.into(), upper_m: upper_m.into() });
            }
        }
        Ok(tool)
    }

    /// Limits `wanted`, given the measured pose. Pure.
    ///
    /// # Errors
    /// When `wanted` is not a pose.
    pub fn apply(&self, wanted: &ArmPose, measured: &ArmPose) -> Result<ArmPose, ArmError> {
        let arrays = [("position_m", &wanted.position_m[..]), ("orientation", &wanted.orientation[..])];
        for (quantity, values) in arrays {
            if let Some(index) = values.iter().position(|x| !x.is_finite()) {
                return Err(ArmError::NonFinite { quantity, index, value: values[index] });
            }
        }
        let length = norm(&wanted.orientation);
        if (length - 1.0).abs() > 1e-3 {
            return Err(ArmError::NotUnit { length });
        }
        let most_m = self.max_error_m.get();
        let position_m = std::array::from_fn(|axis| {
            let (lower_m, upper_m) = (self.workspace_lower_m[axis].get(), self.workspace_upper_m[axis].get());
            let measured_m = measured.position_m[axis];
            wanted.position_m[axis].clamp(lower_m, upper_m).clamp(measured_m - most_m, measured_m + most_m)
        });

        // The rotation that leads from the measured to the wanted orientation, the short way round.
        let turn = product(wanted.orientation.map(|x| x / length), conjugate(measured.orientation));
        let turn = if turn[3] < 0.0 { turn.map(|x| -x) } else { turn };
        let sine = norm(&turn[..3]);
        let angle_rad = 2.0 * sine.atan2(turn[3]);
        let clipped = if angle_rad > self.max_error_rad.get() {
            let (new_sine, cosine) = (0.5 * self.max_error_rad.get()).sin_cos();
            [turn[0] / sine * new_sine, turn[1] / sine * new_sine, turn[2] / sine * new_sine, cosine]
        } else {
            turn
        };
        let orientation = product(clipped, measured.orientation);
        let length = norm(&orientation);
        Ok(ArmPose { position_m, orientation: orientation.map(|x| x / length) })
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn conjugate([x, y, z, w]: [f64; 4]) -> [f64; 4] {
    [-x, -y, -z, w]
}

fn product([ax, ay, az, aw]: [f64; 4], [bx, by, bz, bw]: [f64; 4]) -> [f64; 4] {
    [
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    ]
}
