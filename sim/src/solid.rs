//! Shapes that palm and links are made of: boxes, capsules, balls; and how they collide.
//!
//! Lengths are in the frame of the part: of the palm, or of the link, whose origin is on its joint.

use crate::engine::vector;
use crate::hand::{Link, Tip};
use crate::parts::Shape;
use rapier3d::glamx::{DQuat, DVec3};
use rapier3d::prelude::{ColliderBuilder, MassProperties, Matrix, Pose, Rotation, Vector};
use std::f64::consts::PI;

/// A rigid shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Solid {
    /// A box.
    Box {
        /// Centre, m.
        center_m: DVec3,
        /// Half of its edges, m.
        half_extents_m: DVec3,
        /// How it is turned.
        turn: DQuat,
    },
    /// A line segment with a radius.
    Capsule {
        /// One end of its axis, m.
        from_m: DVec3,
        /// Other end of its axis, m.
        to_m: DVec3,
        /// Radius, m.
        radius_m: f64,
    },
    /// A ball.
    Ball {
        /// Centre, m.
        center_m: DVec3,
        /// Radius, m.
        radius_m: f64,
    },
}

impl Solid {
    /// The same shape seen from a frame in which its own frame is turned by `turn` and then moved by `offset_m`.
    #[must_use]
    pub fn placed(self, offset_m: DVec3, turn: DQuat) -> Self {
        let place = |point_m: DVec3| offset_m + turn * point_m;
        match self {
            Self::Box { center_m, half_extents_m, turn: own } => {
                Self::Box { center_m: place(center_m), half_extents_m, turn: (turn * own).normalize() }
            }
            Self::Capsule { from_m, to_m, radius_m } => {
                Self::Capsule { from_m: place(from_m), to_m: place(to_m), radius_m }
            }
            Self::Ball { center_m, radius_m } => Self::Ball { center_m: place(center_m), radius_m },
        }
    }

    /// The same as `shape`, which is in the same frame.
    pub(crate) fn of_shape(shape: &Shape) -> Self {
        let point = |point_m: [f32; 3]| DVec3::from_array(point_m.map(f64::from));
        match *shape {
            Shape::Cuboid { center_m, half_extents_m } => {
                Self::Box { center_m: point(center_m), half_extents_m: point(half_extents_m), turn: DQuat::IDENTITY }
            }
            Shape::Capsule { start_m, end_m, radius_m } => {
                Self::Capsule { from_m: point(start_m), to_m: point(end_m), radius_m: radius_m.into() }
            }
            Shape::Ball { center_m, radius_m } => Self::Ball { center_m: point(center_m), radius_m: radius_m.into() },
        }
    }

    /// Its middle, m.
    #[must_use]
    pub fn center_m(&self) -> DVec3 {
        match *self {
            Self::Box { center_m, .. } | Self::Ball { center_m, .. } => center_m,
            Self::Capsule { from_m, to_m, .. } => 0.5 * (from_m + to_m),
        }
    }

    /// How far a point is from its surface, m; negative inside.
    #[must_use]
    pub fn distance_m(&self, point_m: DVec3) -> f64 {
        match *self {
            Self::Box { center_m, half_extents_m, turn } => {
                let beyond = (turn.inverse() * (point_m - center_m)).abs() - half_extents_m;
                beyond.max(DVec3::ZERO).length() + beyond.max_element().min(0.0)
            }
            Self::Capsule { from_m, to_m, radius_m } => {
                let axis_m = to_m - from_m;
                let share = (point_m - from_m).dot(axis_m) / axis_m.length_squared().max(f64::MIN_POSITIVE);
                (from_m + axis_m * share.clamp(0.0, 1.0) - point_m).length() - radius_m
            }
            Self::Ball { center_m, radius_m } => (point_m - center_m).length() - radius_m,
        }
    }

    /// How far it reaches along a unit vector, m.
    #[must_use]
    pub fn reach_m(&self, direction: DVec3) -> f64 {
        match *self {
            Self::Box { center_m, half_extents_m, turn } => {
                center_m.dot(direction) + (turn.inverse() * direction).abs().dot(half_extents_m)
            }
            Self::Capsule { from_m, to_m, radius_m } => from_m.dot(direction).max(to_m.dot(direction)) + radius_m,
            Self::Ball { center_m, radius_m } => center_m.dot(direction) + radius_m,
        }
    }

    /// Its volume, m^3.
    pub(crate) fn volume_m3(&self) -> f64 {
        match *self {
            Self::Box { half_extents_m, .. } => 8.0 * half_extents_m.element_product(),
            Self::Capsule { from_m, to_m, radius_m: r } => PI * r * r * ((to_m - from_m).length() + 4.0 / 3.0 * r),
            Self::Ball { radius_m: r, .. } => 4.0 / 3.0 * PI * r.powi(3),
        }
    }

    /// Without mass.
    pub(crate) fn collider(&self) -> ColliderBuilder {
        let collider = match *self {
            Self::Box { center_m, half_extents_m, turn } => {
                let half = vector(half_extents_m);
                let pose = Pose::from_translation(vector(center_m)) * Pose::from_rotation(rotation(turn));
                ColliderBuilder::cuboid(half.x, half.y, half.z).position(pose)
            }
            Self::Capsule { from_m, to_m, radius_m } => capsule(from_m, to_m, radius_m),
            Self::Ball { center_m, radius_m } => ColliderBuilder::ball(radius_m as f32).translation(vector(center_m)),
        };
        collider.density(0.0)
    }

    /// As it is drawn: a shape in a frame that is turned.
    pub(crate) fn drawn(&self) -> (Rotation, Shape) {
        match *self {
            Self::Box { center_m, half_extents_m, turn } => {
                let center = vector(turn.inverse() * center_m);
                (rotation(turn), Shape::cuboid(center.into(), vector(half_extents_m).into()))
            }
            Self::Capsule { from_m, to_m, radius_m } => {
                let (start_m, end_m) = (vector(from_m).into(), vector(to_m).into());
                (Rotation::IDENTITY, Shape::Capsule { start_m, end_m, radius_m: radius_m as f32 })
            }
            Self::Ball { center_m, radius_m } => {
                (Rotation::IDENTITY, Shape::Ball { center_m: vector(center_m).into(), radius_m: radius_m as f32 })
            }
        }
    }
}

impl Link {
    /// What it is made of.
    #[must_use]
    pub fn shapes(&self) -> Vec<Solid> {
        match &self.form {
            Some(form) => form.shapes.clone(),
            None => vec![Solid::Capsule { from_m: DVec3::ZERO, to_m: self.end_m, radius_m: self.radius_m }],
        }
    }

    /// What it collides with: the shapes of its form, without mass, or its capsule, with its mass.
    pub(crate) fn colliders(&self) -> Vec<ColliderBuilder> {
        match &self.form {
            Some(form) => form.shapes.iter().map(Solid::collider).collect(),
            None => vec![self.collider()],
        }
    }

    /// Mass and inertia that its colliders do not have.
    pub(crate) fn additional_mass(&self) -> Option<MassProperties> {
        let form = self.form.as_ref()?;
        let columns = form.inertia_kg_m2.to_cols_array().map(|moment| moment as f32);
        let inertia = Matrix::from_cols_array(&columns);
        Some(MassProperties::with_inertia_matrix(vector(form.center_of_mass_m), self.mass_kg as f32, inertia))
    }

    /// Its capsule, with its mass.
    pub(crate) fn collider(&self) -> ColliderBuilder {
        capsule(DVec3::ZERO, self.end_m, self.radius_m).mass(self.mass_kg as f32)
    }
}

impl Tip {
    /// Its ball, with its mass.
    pub(crate) fn collider(&self) -> ColliderBuilder {
        ColliderBuilder::ball(self.radius_m as f32).translation(vector(self.center_m)).mass(self.mass_kg as f32)
    }
}

/// A capsule; a ball where both ends coincide.
fn capsule(from_m: DVec3, to_m: DVec3, radius_m: f64) -> ColliderBuilder {
    let (from, to): (Vector, Vector) = (vector(from_m), vector(to_m));
    if from == to {
        ColliderBuilder::ball(radius_m as f32).translation(from)
    } else {
        ColliderBuilder::capsule_from_endpoints(from, to, radius_m as f32)
    }
}

fn rotation(turn: DQuat) -> Rotation {
    let [x, y, z, w] = turn.to_array().map(|component| component as f32);
    Rotation::from_xyzw(x, y, z, w)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::FRAC_PI_2;

    /// Contract: distances and reaches are those worked by hand, of a box of 2 x 4 x 6 that is turned a quarter about z: seen
    /// from outside it is 4 x 2 x 6.
    #[test]
    fn distances_are_worked_by_hand() {
        let half_extents_m = DVec3::new(1.0, 2.0, 3.0);
        let turn = DQuat::from_rotation_z(FRAC_PI_2);
        let part = Solid::Box { center_m: DVec3::X, half_extents_m, turn };
        for (point_m, expected_m) in [
            (DVec3::X, -1.0),
            (DVec3::new(4.0, 0.0, 0.0), 1.0),
            (DVec3::new(4.0, 2.0, 0.0), 2.0f64.sqrt()),
            (DVec3::new(1.0, 0.0, 2.5), -0.5),
        ] {
            assert!((part.distance_m(point_m) - expected_m).abs() < 1e-12, "{point_m}");
        }
        assert!((part.reach_m(DVec3::X) - 3.0).abs() < 1e-12 && (part.reach_m(DVec3::Y) - 1.0).abs() < 1e-12);
        let capsule = Solid::Capsule { from_m: DVec3::ZERO, to_m: 2.0 * DVec3::Z, radius_m: 0.5 };
        assert!((capsule.distance_m(DVec3::new(1.0, 0.0, 1.0)) - 0.5).abs() < 1e-12);
        assert!((capsule.distance_m(DVec3::new(0.0, 0.0, 3.0)) - 0.5).abs() < 1e-12);
        assert!((capsule.reach_m(-DVec3::Z) - 0.5).abs() < 1e-12);
    }
}
