//! What a world looks like: shapes for whoever draws it.

use rapier3d::prelude::ColliderBuilder;

/// One shape of a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What it belongs to.
    pub kind: PartKind,
    /// Its shape, in the frame of its body.
    pub shape: Shape,
}

/// What a shape belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// The floor.
    Floor,
    /// The palm.
    Palm,
    /// A link of finger `finger`.
    Link {
        /// Index of the finger.
        finger: usize,
    },
    /// The tip of finger `finger`.
    Tip {
        /// Index of the finger.
        finger: usize,
    },
    /// The cube.
    Cube,
    /// A half of the scissors.
    Scissors {
        /// 0 for the one that the finger moves, 1 for the thumb's.
        half: usize,
    },
    /// The case of the scissors.
    Case,
    /// A post that holds the tape.
    Post,
    /// A piece of the tape.
    Tape,
}

/// A shape in the frame of its body, m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// A box, aligned with the frame.
    Cuboid {
        /// Centre.
        center_m: [f32; 3],
        /// Half of its edges.
        half_extents_m: [f32; 3],
    },
    /// A line segment with a radius; a ball where both ends coincide.
    Capsule {
        /// One end of the axis.
        start_m: [f32; 3],
        /// Other end of the axis.
        end_m: [f32; 3],
        /// Radius.
        radius_m: f32,
    },
    /// A ball.
    Ball {
        /// Centre.
        center_m: [f32; 3],
        /// Radius.
        radius_m: f32,
    },
}

impl Shape {
    /// What collides like it.
    pub(crate) fn collider(&self) -> ColliderBuilder {
        match *self {
            Self::Cuboid { center_m, half_extents_m: [x, y, z] } => {
                ColliderBuilder::cuboid(x, y, z).translation(center_m.into())
            }
            Self::Capsule { start_m, end_m, radius_m } => {
                ColliderBuilder::capsule_from_endpoints(start_m.into(), end_m.into(), radius_m)
            }
            Self::Ball { center_m, radius_m } => ColliderBuilder::ball(radius_m).translation(center_m.into()),
        }
    }

    pub(crate) const fn cuboid(center_m: [f32; 3], half_extents_m: [f32; 3]) -> Self {
        Self::Cuboid { center_m, half_extents_m }
    }
}
