//! What a world looks like: shapes for whoever draws it.

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
    pub(crate) const fn cuboid(center_m: [f32; 3], half_extents_m: [f32; 3]) -> Self {
        Self::Cuboid { center_m, half_extents_m }
    }
}
