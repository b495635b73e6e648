//! Forward and inverse kinematics of one finger, in double precision and in the hand frame.
//!
//! Inverse kinematics is damped least squares: dq = J^T (J J^T + lambda I)^-1 (target - tip).

use crate::hand::Finger;
use rapier3d::glamx::{DMat3, DQuat, DVec3};

/// Iterations after which inverse kinematics has converged or never will.
pub const IK_ITERATIONS: usize = 40;

/// Damping lambda, m^2: far below the squared lever arms (about 1e-3 m^2), so that it only rules near singularities.
const DAMPING_M2: f64 = 2e-6;
/// Nearer is near enough, m.
const TOLERANCE_M: f64 = 1e-5;
/// Largest change of a joint in one iteration, rad.
const MAX_STEP_RAD: f64 = 0.3;

impl Finger {
    /// Where `local_m`, a point of the link behind joint `link`, is at joint positions `q_rad`, m.
    #[must_use]
    pub fn point_m(&self, q_rad: &[f64], link: usize, local_m: DVec3) -> DVec3 {
        let chain = self.joints[..=link].iter().zip(q_rad).rev();
        chain.fold(local_m, |point, (joint, &q)| joint.offset_m + DQuat::from_axis_angle(joint.axis, q) * point)
    }

    /// Centre of the finger tip at joint positions `q_rad`, m.
    #[must_use]
    pub fn tip_m(&self, q_rad: &[f64]) -> DVec3 {
        self.point_m(q_rad, self.joints.len() - 1, self.tip.center_m)
    }

    /// Moves `q_rad` so that the tip's centre reaches `target_m`, within the joint ranges. Returns how far it still is
    /// from it, m, as of the last iteration.
    pub fn reach(&self, q_rad: &mut [f64], target_m: DVec3, max_iterations: usize) -> f64 {
        let mut distance_m = f64::INFINITY;
        let mut columns = vec![DVec3::ZERO; self.joints.len()];
        for _ in 0..max_iterations {
            let tip_m = self.tip_m(q_rad);
            let error_m = target_m - tip_m;
            distance_m = error_m.length();
            if distance_m < TOLERANCE_M {
                break;
            }
            self.jacobian(q_rad, tip_m, &mut columns);
            let gram = columns.iter().fold(DMat3::from_diagonal(DVec3::splat(DAMPING_M2)), |sum, &column| {
                sum + DMat3::from_cols(column * column.x, column * column.y, column * column.z)
            });
            let weighted_error = gram.inverse() * error_m;
            for ((q, column), joint) in q_rad.iter_mut().zip(&columns).zip(&self.joints) {
                let step = column.dot(weighted_error).clamp(-MAX_STEP_RAD, MAX_STEP_RAD);
                *q = (*q + step).clamp(joint.lower_rad, joint.upper_rad);
            }
        }
        distance_m
    }

    /// d tip / d q, one column (m/rad) a joint: its axis crossed with the arm from its anchor to the tip.
    fn jacobian(&self, q_rad: &[f64], tip_m: DVec3, columns: &mut [DVec3]) {
        let mut orientation = DQuat::IDENTITY;
        let mut anchor_m = DVec3::ZERO;
        for ((joint, &q), column) in self.joints.iter().zip(q_rad).zip(columns) {
            anchor_m += orientation * joint.offset_m;
            *column = (orientation * joint.axis).cross(tip_m - anchor_m);
            orientation *= DQuat::from_axis_angle(joint.axis, q);
        }
    }
}
