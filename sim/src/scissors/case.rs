//! The case in Rapier: a slot of five boxes, and a detent that holds seated scissors.
//!
//! The detent pulls back along the slot with a force that rises linearly to its peak and falls linearly to nothing: a
//! spring that snaps.

use super::parameters::{CaseParameters, ShearsParameters};
use super::shears::Shears;
use crate::collision::Groups;
use crate::engine::Engine;
use crate::parts::{PartKind, Shape};
use rapier3d::prelude::{ColliderBuilder, Pose, RigidBodyBuilder, RigidBodyHandle, Vector};

/// Air under the points of seated blades, m.
const POINT_CLEARANCE_M: f32 = 2e-4;

/// The case; its origin is where the pivot of seated scissors is.
pub(crate) struct Case {
    pub(crate) body: RigidBodyHandle,
    detent_n: f32,
    detent_peak_m: f32,
    detent_end_m: f32,
    slot_reach_m: f32,
}

/// Height of the pivot of seated scissors above the table, m.
pub(crate) fn seat_height_m(case: &CaseParameters, shears: &ShearsParameters) -> f32 {
    case.floor_m.f32() + shears.blade_length_m.f32() + POINT_CLEARANCE_M
}

impl Case {
    /// Puts a case with its origin at `pose` into the world.
    pub(crate) fn insert(
        engine: &mut Engine,
        parameters: &CaseParameters,
        pose: Pose,
        detent_scale: f64,
        groups: Groups,
    ) -> Self {
        let body = engine.insert("case", RigidBodyBuilder::fixed().pose(pose));
        let bottom = -pose.translation.z;
        let ([slot_x, slot_y], [outer_x, outer_y]) =
            (parameters.slot_m.map(|x| 0.5 * x.f32()), parameters.outer_m.map(|x| 0.5 * x.f32()));
        let (half_height, half_floor) = (0.5 * parameters.height_m.f32(), 0.5 * parameters.floor_m.f32());
        let (wall_x, wall_y) = (0.5 * (outer_x - slot_x), 0.5 * (outer_y - slot_y));
        let (middle, upper) = (bottom + half_height, half_height);
        // The walls cross in the corners. One as narrow as the slot would not hold a blade that is pushed into its face: the
        // nearest way out would soon be to the side.
        let boxes = [
            (Vector::new(0.0, 0.0, bottom + half_floor), Vector::new(outer_x, outer_y, half_floor)),
            (Vector::new(slot_x + wall_x, 0.0, middle), Vector::new(wall_x, outer_y, upper)),
            (Vector::new(-slot_x - wall_x, 0.0, middle), Vector::new(wall_x, outer_y, upper)),
            (Vector::new(0.0, slot_y + wall_y, middle), Vector::new(outer_x, wall_y, upper)),
            (Vector::new(0.0, -slot_y - wall_y, middle), Vector::new(outer_x, wall_y, upper)),
        ];
        for (center, extents) in boxes {
            let collider = ColliderBuilder::cuboid(extents.x, extents.y, extents.z).translation(center);
            let collider = collider.friction(parameters.friction.f32()).collision_groups(groups.object());
            engine.physics.insert_collider(collider, Some(body));
            engine.show(body, PartKind::Case, Shape::cuboid(center.into(), extents.into()));
        }
        Self {
            body,
            detent_n: (parameters.detent_n.get() * detent_scale) as f32,
            detent_peak_m: parameters.detent_peak_m.f32(),
            detent_end_m: parameters.detent_end_m.f32(),
            slot_reach_m: slot_y,
        }
    }

    /// Pulls seated scissors back for the next step.
    pub(crate) fn detain(&self, engine: &mut Engine, shears: &Shears) {
        let frame = *engine.physics.bodies[self.body].position();
        for half in shears.halves {
            let half = &mut engine.physics.bodies[half];
            let seat = frame.inverse_transform_point(half.translation());
            let pull_n = if seat.truncate().length() < self.slot_reach_m { self.pull_n(seat.z) } else { 0.0 };
            half.reset_forces(false);
            half.reset_torques(false);
            if pull_n > 0.0 {
                half.add_force_at_point(
                    frame.rotation * Vector::new(0.0, 0.0, -0.5 * pull_n),
                    half.translation(),
                    true,
                );
            }
        }
    }

    /// Force of the detent on scissors that are `out_m` out of their seat, N.
    fn pull_n(&self, out_m: f32) -> f32 {
        let (peak, end) = (self.detent_peak_m, self.detent_end_m);
        if out_m <= 0.0 || out_m >= end {
            0.0
        } else if out_m < peak {
            self.detent_n * out_m / peak
        } else {
            self.detent_n * (end - out_m) / (end - peak)
        }
    }
}
