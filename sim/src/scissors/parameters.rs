//! What the things of the scissors task are: sizes, masses, friction, strengths. See `assets/scenes/`.

use bridge::ToolSpec;
use bridge::number::{NonNegative, Positive};
use serde::{Deserialize, Serialize};

/// Everything around the hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScissorsParameters {
    /// What carries the hand.
    pub wrist: WristParameters,
    /// The scissors.
    pub shears: ShearsParameters,
    /// What they stand in.
    pub case: CaseParameters,
    /// What they cut.
    pub tape: TapeParameters,
}

/// A Cartesian impedance: force = stiffness * error - damping * velocity, the error clipped along each axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WristParameters {
    /// Mass of the arm as its end feels it, and of the palm, kg.
    pub mass_kg: Positive,
    /// Its inertia about the wrist, kg m^2.
    pub inertia_kg_m2: Positive,
    /// Stiffness, N/m.
    pub stiffness_n_m: Positive,
    /// Damping, N s/m.
    pub damping_n_s_m: NonNegative,
    /// Rotational stiffness, N m/rad.
    pub stiffness_nm_rad: Positive,
    /// Rotational damping, N m s/rad.
    pub damping_nm_s_rad: NonNegative,
    /// Workspace, speeds, and the clip of the error, which limits the force.
    pub tool: ToolSpec,
}

/// Scissors of two equal halves. A half has its origin on the pivot, x along the pivot's axis, z from blade to loop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShearsParameters {
    /// From pivot to point, m.
    pub blade_length_m: Positive,
    /// Width of a blade, m.
    pub blade_width_m: Positive,
    /// Thickness of a blade, m.
    pub blade_thickness_m: Positive,
    /// How far the blades' edges overlap when the scissors are closed, m.
    pub edge_overlap_m: Positive,
    /// Distance between the middles of the two halves along the pivot's axis, m.
    pub half_spacing_m: Positive,
    /// From the pivot up to the centres of the loops, m.
    pub loop_height_m: Positive,
    /// From the middle to the centre of a loop when closed, m.
    pub loop_offset_m: Positive,
    /// Inner radius of a loop, m.
    pub loop_inner_radius_m: Positive,
    /// Radius of the loop's wire, m.
    pub loop_wire_radius_m: Positive,
    /// Mass of both halves, kg.
    pub mass_kg: Positive,
    /// Coulomb friction of the blades.
    pub blade_friction: NonNegative,
    /// Widest opening, rad.
    pub max_opening_rad: Positive,
    /// Coulomb friction of the pivot, N m.
    pub pivot_friction_nm: NonNegative,
    /// Viscous friction of the pivot up to its Coulomb friction, N m s/rad.
    pub pivot_damping_nm_s_rad: NonNegative,
}

/// An open box with a slot from above. The scissors stand in it on the points of their blades.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseParameters {
    /// Inner size of the slot across the scissors and along their plane, m.
    pub slot_m: [Positive; 2],
    /// Outer size, m.
    pub outer_m: [Positive; 2],
    /// Height, m.
    pub height_m: Positive,
    /// Thickness of its floor, m.
    pub floor_m: Positive,
    /// Coulomb friction of its walls.
    pub friction: NonNegative,
    /// Greatest force of the detent, N.
    pub detent_n: NonNegative,
    /// How far out of their seat the scissors then are, m.
    pub detent_peak_m: Positive,
    /// How far out of their seat the detent lets go of them, m.
    pub detent_end_m: Positive,
}

/// A strip on edge between two posts: elements in a row, hinged about the vertical.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapeParameters {
    /// Between the posts, m.
    pub length_m: Positive,
    /// Width, which stands upright, m.
    pub width_m: Positive,
    /// Thickness, m.
    pub thickness_m: Positive,
    /// Number of elements.
    pub n_elements: usize,
    /// Mass of all of it, kg.
    pub mass_kg: Positive,
    /// Pull that tears the whole width, N.
    pub strength_n: Positive,
    /// Torque at the pivot that cutting takes, N m.
    pub cutting_torque_nm: Positive,
    /// Share of its length by which it stretches until it tears. The less, the harder a blade is pushed back to the middle
    /// that pushes it aside.
    pub stretch_at_break: Positive,
    /// Edge of a post, m.
    pub post_m: Positive,
}
