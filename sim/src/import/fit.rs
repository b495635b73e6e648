//! The box, capsule or ball that stands for something else.
//!
//! A mesh gets the smaller of two boxes around its vertices: along its own axes, about its principal axes. A box that is long and about
//! round becomes a capsule of its length and mean width.

use crate::solid::Solid;
use rapier3d::glamx::{DMat3, DQuat, DVec3, Mat3, MatExt};
use std::f64::consts::FRAC_PI_2;

/// A box is a capsule if it is this many times as long as wide, and its widths differ by no more than that.
const LONG: f64 = 1.3;
const ROUND: f64 = 1.4;
/// Thinner than this is not simulated, m.
const THINNEST_M: f64 = 5e-4;

/// What stands for a shape, and how far it is off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub(crate) solid: Solid,
    /// How far the shape sticks out of the solid at most, m.
    pub(crate) out_m: f64,
    /// How far the shape's surface is from that of the solid in the mean over its vertices, m.
    pub(crate) off_m: f64,
}

impl Fit {
    pub(crate) fn words(&self) -> String {
        let name = match self.solid {
            Solid::Box { .. } => "box",
            Solid::Capsule { .. } => "capsule",
            Solid::Ball { .. } => "ball",
        };
        let [out_mm, off_mm] = [self.out_m, self.off_m].map(|x| 1e3 * x);
        format!(
            "became a {name}: it sticks out by up to {out_mm:.1} mm, its vertices are {off_mm:.1} mm off in the mean"
        )
    }
}

/// What fits the vertices of a mesh.
pub(crate) fn vertices(vertices: &[DVec3]) -> Fit {
    let along = bounds(vertices, DQuat::IDENTITY);
    let principal = smallest(vertices, principal_axes(vertices));
    let (center_m, half, turn) = if volume(&principal) < 0.98 * volume(&along) { principal } else { along };
    let half_extents_m = half.max(DVec3::splat(0.5 * THINNEST_M));
    measured(rounded(center_m, half_extents_m, turn), vertices)
}

/// What fits a cylinder: a capsule of the same length where it is long, else a box.
pub(crate) fn cylinder(from_m: DVec3, to_m: DVec3, radius_m: f64) -> Fit {
    let (length_m, center_m) = ((to_m - from_m).length(), 0.5 * (from_m + to_m));
    let axis = (to_m - from_m).try_normalize().unwrap_or(DVec3::Z);
    // At the rim, or at the corners.
    let off_m = (2.0f64.sqrt() - 1.0) * radius_m;
    if length_m >= 2.0 * radius_m {
        let solid = Solid::Capsule { from_m: from_m + axis * radius_m, to_m: to_m - axis * radius_m, radius_m };
        return Fit { solid, out_m: off_m, off_m };
    }
    let half_extents_m = DVec3::new(radius_m, radius_m, (0.5 * length_m).max(0.5 * THINNEST_M));
    let turn = DQuat::from_rotation_arc(DVec3::Z, axis);
    Fit { solid: Solid::Box { center_m, half_extents_m, turn }, out_m: 0.0, off_m }
}

/// What fits an ellipsoid: what fits the box around it.
pub(crate) fn ellipsoid(center_m: DVec3, radii_m: DVec3, turn: DQuat) -> Fit {
    let axes = [DVec3::X, DVec3::Y, DVec3::Z].into_iter().flat_map(|axis| [axis, -axis]);
    let corners = (0..8).map(|k| DVec3::new(sign(k), sign(k >> 1), sign(k >> 2)) / 3.0f64.sqrt());
    let surface: Vec<DVec3> = axes.chain(corners).map(|point| center_m + turn * (point * radii_m)).collect();
    measured(rounded(center_m, radii_m.max(DVec3::splat(0.5 * THINNEST_M)), turn), &surface)
}

fn sign(bit: i32) -> f64 {
    if bit & 1 == 0 { 1.0 } else { -1.0 }
}

/// The box as it is, or the capsule that it nearly is.
fn rounded(center_m: DVec3, half_extents_m: DVec3, turn: DQuat) -> Solid {
    let [x, y, z] = half_extents_m.to_array();
    let (axis, length, [a, b]) = if x >= y && x >= z {
        (DVec3::X, x, [y, z])
    } else if y >= z {
        (DVec3::Y, y, [x, z])
    } else {
        (DVec3::Z, z, [x, y])
    };
    if length < LONG * a.max(b) || a.max(b) > ROUND * a.min(b) {
        return Solid::Box { center_m, half_extents_m, turn };
    }
    let radius_m = 0.5 * (a + b);
    let to_end = turn * axis * (length - radius_m);
    Solid::Capsule { from_m: center_m - to_end, to_m: center_m + to_end, radius_m }
}

fn measured(solid: Solid, vertices: &[DVec3]) -> Fit {
    let distances = || vertices.iter().map(|&vertex| solid.distance_m(vertex));
    let off_m = distances().map(f64::abs).sum::<f64>() / vertices.len().max(1) as f64;
    Fit { solid, out_m: distances().fold(0.0, f64::max), off_m }
}

/// The smallest of the boxes that are turned about one of these axes: two axes along which things spread alike may be any two.
fn smallest(vertices: &[DVec3], axes: DQuat) -> Bounds {
    const N_ROLLS: u32 = 8;
    const N_HALVINGS: u32 = 16;
    let mut best = bounds(vertices, axes);
    for axis in [DVec3::X, DVec3::Y, DVec3::Z] {
        let rolled = |angle_rad: f64| bounds(vertices, (axes * DQuat::from_axis_angle(axis, angle_rad)).normalize());
        let mut step_rad = FRAC_PI_2 / f64::from(N_ROLLS);
        let rolls = (0..N_ROLLS).map(|k| f64::from(k) * step_rad).map(|angle_rad| (angle_rad, rolled(angle_rad)));
        let Some((mut angle_rad, mut own)) = rolls.min_by(|(_, a), (_, b)| volume(a).total_cmp(&volume(b))) else {
            continue;
        };
        for _ in 0..N_HALVINGS {
            step_rad *= 0.5;
            for near_rad in [angle_rad - step_rad, angle_rad + step_rad] {
                let near = rolled(near_rad);
                if volume(&near) < volume(&own) {
                    (angle_rad, own) = (near_rad, near);
                }
            }
        }
        if volume(&own) < volume(&best) {
            best = own;
        }
    }
    best
}

/// Centre, half extents, and how they are turned.
type Bounds = (DVec3, DVec3, DQuat);

fn volume((_, half, _): &Bounds) -> f64 {
    half.element_product()
}

/// Centre and half extents of the box around the vertices that is turned like that.
fn bounds(vertices: &[DVec3], turn: DQuat) -> Bounds {
    let inverse = turn.inverse();
    let ends = (DVec3::INFINITY, DVec3::NEG_INFINITY);
    let turned = vertices.iter().map(|&vertex| inverse * vertex);
    let (lower, upper) = turned.fold(ends, |(lower, upper), v| (lower.min(v), upper.max(v)));
    (turn * (0.5 * (lower + upper)), 0.5 * (upper - lower), turn)
}

/// The axes along which the vertices spread most and least.
fn principal_axes(vertices: &[DVec3]) -> DQuat {
    let mean = vertices.iter().sum::<DVec3>() / vertices.len().max(1) as f64;
    let spread = vertices.iter().fold(DMat3::ZERO, |sum, &vertex| {
        let v = vertex - mean;
        sum + DMat3::from_cols(v * v.x, v * v.y, v * v.z)
    });
    let largest = spread.to_cols_array().into_iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if largest <= 0.0 || !largest.is_finite() {
        return DQuat::IDENTITY;
    }
    let scaled = (spread * (1.0 / largest)).to_cols_array().map(|x| x as f32);
    let axes = Mat3::from_cols_array(&scaled).symmetric_eigen().eigenvectors;
    let x = axes.x_axis.as_dvec3().normalize_or(DVec3::X);
    let y = axes.y_axis.as_dvec3();
    let y = (y - x * x.dot(y)).normalize_or(x.any_orthonormal_vector());
    DQuat::from_mat3(&DMat3::from_cols(x, y, x.cross(y))).normalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a turned box is found as it is; a long round one becomes a capsule of its length; what that is off is told.
    #[test]
    fn boxes_and_capsules_are_found() {
        let turn = DQuat::from_rotation_z(0.4) * DQuat::from_rotation_x(0.3);
        let corners =
            |half: DVec3| (0..8).map(move |k| turn * (half * DVec3::new(sign(k), sign(k >> 1), sign(k >> 2))));
        let flat: Vec<DVec3> = corners(DVec3::new(0.03, 0.02, 0.005)).map(|corner| corner + DVec3::X).collect();
        let fit = vertices(&flat);
        assert!(matches!(fit.solid, Solid::Box { .. }) && fit.out_m < 1e-6 && fit.off_m < 1e-6, "{fit:?}");
        assert!((fit.solid.center_m() - DVec3::X).length() < 1e-6);

        let long: Vec<DVec3> = corners(DVec3::new(0.01, 0.01, 0.04)).collect();
        let fit = vertices(&long);
        let Solid::Capsule { from_m, to_m, radius_m } = fit.solid else { panic!("{fit:?}") };
        assert!((radius_m - 0.01).abs() < 1e-5 && ((to_m - from_m).length() - 0.06).abs() < 1e-5, "{fit:?}");
        // A corner is sqrt(3) radii from the end of the axis.
        assert!((fit.out_m - 0.01 * (3.0f64.sqrt() - 1.0)).abs() < 1e-5, "{fit:?}");
    }

    /// Contract: a long cylinder becomes a capsule of its length, a short one a box around it.
    #[test]
    fn cylinders_are_as_long_as_before() {
        let long = cylinder(DVec3::ZERO, 0.1 * DVec3::Y, 0.01);
        assert!((long.solid.reach_m(DVec3::Y) - 0.1).abs() < 1e-12 && (long.solid.reach_m(-DVec3::Y)).abs() < 1e-12);
        let short = cylinder(DVec3::ZERO, 0.01 * DVec3::X, 0.02);
        assert!((short.solid.reach_m(DVec3::X) - 0.01).abs() < 1e-12, "{short:?}");
        assert!((short.solid.reach_m(DVec3::Y) - 0.02).abs() < 1e-12, "{short:?}");
    }
}
