//! Forward and inverse kinematics of one finger, in double precision and in the frame of the palm; and how the palm is turned.
//!
//! Inverse kinematics of the tip is damped least squares: dq = J^T (J J^T + lambda I)^-1 (target - tip). That of a point and
//! a direction is Levenberg-Marquardt over r = (p - p*, w (d - d*)): dq = -(J^T J + lambda I)^-1 J^T r, where joints that
//! would leave their range stay where they are.

use crate::hand::{Finger, Hand};
use rapier3d::glamx::{DMat3, DQuat, DVec3};

/// Iterations after which inverse kinematics has converged or never will.
pub const IK_ITERATIONS: usize = 40;

/// Damping lambda, m^2: far below the squared lever arms (about 1e-3 m^2), so that it only rules near singularities.
const DAMPING_M2: f64 = 2e-6;
/// Nearer is near enough, m.
const TOLERANCE_M: f64 = 1e-5;
/// Largest change of a joint in one iteration, rad.
const MAX_STEP_RAD: f64 = 0.3;

/// Iterations for a point and a direction, the first ones strongly damped: they choose the branch.
const POINTING_ITERATIONS: usize = 150;
const STRONGLY_DAMPED_ITERATIONS: usize = 30;
const STRONG_DAMPING_M2: f64 = 2e-4;
const WEAK_DAMPING_M2: f64 = 2e-5;
const MAX_POINTING_STEP_RAD: f64 = 0.1;
/// What a direction that is off by a radian counts like, m.
const DIRECTION_WEIGHT_M: f64 = 2e-3;

/// What a finger is to do with its last link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointing {
    /// A point of the link's axis, from its joint, m.
    pub along_m: f64,
    /// Where this point is to be, m.
    pub target_m: DVec3,
    /// Where the link is to point if it can: a unit vector.
    pub direction: DVec3,
}

impl Hand {
    /// How the palm is turned at joint positions `q_rad`, in the hand frame.
    #[must_use]
    pub fn palm_turn(&self, q_rad: &[f64]) -> DQuat {
        let turn = self.wrist.as_ref().zip(q_rad.first()).map(|(wrist, &q)| DQuat::from_axis_angle(wrist.axis, q));
        turn.unwrap_or(DQuat::IDENTITY)
    }
}

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

    /// Where the last link points at joint positions `q_rad`: a unit vector.
    #[must_use]
    pub fn pointing(&self, q_rad: &[f64]) -> DVec3 {
        let last = self.joints.len() - 1;
        let bone = self.joints[last].link.end_m.normalize_or_zero();
        self.point_m(q_rad, last, bone) - self.point_m(q_rad, last, DVec3::ZERO)
    }

    /// Moves `q_rad` so that the last link does what `wanted` says, within the joint ranges. Returns how far the point
    /// stays from its target, m.
    pub fn reach_pointing(&self, q_rad: &mut [f64], wanted: &Pointing) -> f64 {
        let n = self.joints.len();
        let last = n - 1;
        let axis = self.joints[last].link.end_m.normalize_or_zero();
        let (mut columns, mut turns) = (vec![DVec3::ZERO; n], vec![DVec3::ZERO; n]);
        let (mut normal, mut step) = (vec![0.0; n * n], vec![0.0; n]);
        let mut is_held = vec![false; n];
        for iteration in 0..POINTING_ITERATIONS {
            let point_m = self.point_m(q_rad, last, axis * wanted.along_m);
            let pointing = self.pointing(q_rad);
            let (miss, skew) = (point_m - wanted.target_m, (pointing - wanted.direction) * DIRECTION_WEIGHT_M);
            self.jacobian(q_rad, point_m, &mut columns);
            self.turning(q_rad, pointing * DIRECTION_WEIGHT_M, &mut turns);
            let damping = if iteration < STRONGLY_DAMPED_ITERATIONS { STRONG_DAMPING_M2 } else { WEAK_DAMPING_M2 };
            is_held.fill(false);
            for _pass in 0..2 {
                for row in 0..n {
                    for column in 0..n {
                        let is_free = !is_held[row] && !is_held[column];
                        let product = columns[row].dot(columns[column]) + turns[row].dot(turns[column]);
                        normal[row * n + column] =
                            if is_free { product } else { 0.0 } + if row == column { damping } else { 0.0 };
                    }
                    let slope = columns[row].dot(miss) + turns[row].dot(skew);
                    step[row] = if is_held[row] { 0.0 } else { -slope };
                }
                solve_positive_definite(&mut normal, &mut step);
                let mut holds_more = false;
                for (index, joint) in self.joints.iter().enumerate() {
                    let wanted_rad = q_rad[index] + step[index];
                    let leaves = (wanted_rad > joint.upper_rad && q_rad[index] >= joint.upper_rad - 1e-6)
                        || (wanted_rad < joint.lower_rad && q_rad[index] <= joint.lower_rad + 1e-6);
                    holds_more |= leaves && !is_held[index];
                    is_held[index] |= leaves;
                }
                if !holds_more {
                    break;
                }
            }
            for (index, joint) in self.joints.iter().enumerate().filter(|&(index, _)| !is_held[index]) {
                let step_rad = step[index].clamp(-MAX_POINTING_STEP_RAD, MAX_POINTING_STEP_RAD);
                q_rad[index] = (q_rad[index] + step_rad).clamp(joint.lower_rad, joint.upper_rad);
            }
        }
        (self.point_m(q_rad, last, axis * wanted.along_m) - wanted.target_m).length()
    }

    /// d v / d q of a vector `v` that is fixed to the last link, one column a joint.
    fn turning(&self, q_rad: &[f64], v: DVec3, columns: &mut [DVec3]) {
        let mut orientation = DQuat::IDENTITY;
        for ((joint, &q), column) in self.joints.iter().zip(q_rad).zip(columns) {
            *column = (orientation * joint.axis).cross(v);
            orientation *= DQuat::from_axis_angle(joint.axis, q);
        }
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

/// Solves A x = b for a symmetric positive definite A (n x n, row by row) by Cholesky; x replaces b, the factor replaces A.
fn solve_positive_definite(a: &mut [f64], b: &mut [f64]) {
    let n = b.len();
    for row in 0..n {
        for column in 0..=row {
            let sum: f64 = (0..column).map(|k| a[row * n + k] * a[column * n + k]).sum();
            let rest = a[row * n + column] - sum;
            a[row * n + column] = if row == column { rest.sqrt() } else { rest / a[column * n + column] };
        }
    }
    for row in 0..n {
        let sum: f64 = (0..row).map(|k| a[row * n + k] * b[k]).sum();
        b[row] = (b[row] - sum) / a[row * n + row];
    }
    for row in (0..n).rev() {
        let sum: f64 = (row + 1..n).map(|k| a[k * n + row] * b[k]).sum();
        b[row] = (b[row] - sum) / a[row * n + row];
    }
}
