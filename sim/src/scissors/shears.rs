//! The scissors in Rapier: two bodies on an impulse revolute whose motor is the friction of the pivot.
//!
//! The halves do not touch each other. Each is a blade (box), a shank (capsule) and a loop (ring of capsules). At opening
//! angle a, the edges cross at a distance r = e / tan(a/2) from the pivot, e the overlap of the edges of closed blades:
//! nearer to the pivot the blades have passed each other, further out there is a gap of 2 (r sin(a/2) - e cos(a/2)).

use super::parameters::ShearsParameters;
use crate::collision::Groups;
use crate::engine::{Engine, PHYSICS_HZ, SOLVER_ITERATIONS};
use crate::parts::{PartKind, Shape};
use bridge::ScissorsObject;
use rapier3d::prelude::{
    ImpulseJointHandle, JointAxis, MotorModel, Pose, RevoluteJointBuilder, RigidBodyBuilder, RigidBodyHandle, Rotation,
    Vector,
};
use std::f32::consts::TAU;

/// As far ahead of what is falling or thrown contacts are found, m: at 2 m/s it moves 8 mm in a step, and a blade is 2 mm thick.
const LOOK_AHEAD_M: f32 = 0.01;
/// Capsules of a loop.
const N_LOOP_PIECES: usize = 14;
/// How far past closed the halves may turn, rad.
pub(crate) const OVERTURN_RAD: f32 = 0.02;
/// Shares of a half's mass.
const BLADE_SHARE: f32 = 0.5;
const SHANK_SHARE: f32 = 0.26;
const LOOP_SHARE: f32 = 0.24;
/// Damping of the pivot that makes the resistance of what is cut a Coulomb friction, N m s/rad: it creeps at 0.002 rad/s.
const CUTTING_DAMPING_NM_S_RAD: f32 = 50.0;

/// The scissors.
pub(crate) struct Shears {
    pub(crate) halves: [RigidBodyHandle; 2],
    hinge: ImpulseJointHandle,
    blade_length_m: f32,
    edge_overlap_m: f32,
    friction_nm: f32,
    damping_nm_s_rad: f32,
}

impl Shears {
    /// Puts closed scissors with their pivot at `pose` into the world.
    pub(crate) fn insert(
        engine: &mut Engine,
        parameters: &ShearsParameters,
        pose: Pose,
        handle_friction: f32,
        mass_scale: f64,
        pivot_friction_scale: f64,
        groups: Groups,
    ) -> Self {
        let half_mass_kg = 0.5 * (parameters.mass_kg.get() * mass_scale) as f32;
        let halves =
            [-1.0, 1.0].map(|side| insert_half(engine, parameters, side, pose, handle_friction, half_mass_kg, groups));
        let friction_nm = (parameters.pivot_friction_nm.get() * pivot_friction_scale) as f32;
        let damping_nm_s_rad = parameters.pivot_damping_nm_s_rad.f32();
        let revolute = RevoluteJointBuilder::new(Vector::X)
            .limits([-parameters.max_opening_rad.f32(), OVERTURN_RAD])
            .contacts_enabled(false)
            .motor_model(MotorModel::ForceBased)
            .motor_velocity(0.0, damping_nm_s_rad)
            .motor_max_force(friction_nm);
        let hinge = engine.physics.insert_impulse_joint(halves[0], halves[1], revolute);
        Self {
            halves,
            hinge,
            blade_length_m: parameters.blade_length_m.f32(),
            edge_overlap_m: parameters.edge_overlap_m.f32(),
            friction_nm,
            damping_nm_s_rad,
        }
    }

    /// Opening, rad, and its rate, rad/s.
    pub(crate) fn opening(&self, engine: &Engine) -> (f32, f32) {
        let [finger, thumb] = self.halves.map(|half| &engine.physics.bodies[half]);
        let relative = thumb.rotation().inverse() * *finger.rotation();
        let axis = *finger.rotation() * Vector::X;
        (2.0 * relative.x.atan2(relative.w), axis.dot(finger.angvel() - thumb.angvel()))
    }

    /// Frame in the middle of both halves, at opening `opening_rad`.
    pub(crate) fn middle(&self, engine: &Engine, opening_rad: f32) -> Pose {
        let finger = engine.physics.bodies[self.halves[0]].position();
        *finger * Pose::from_rotation(Rotation::from_rotation_x(-0.5 * opening_rad))
    }

    /// Where the edges cross, m from the pivot, at most the length of a blade.
    pub(crate) fn crossing_m(&self, opening_rad: f32) -> f32 {
        let tangent = (0.5 * opening_rad).max(0.0).tan();
        if tangent * self.blade_length_m > self.edge_overlap_m {
            self.edge_overlap_m / tangent
        } else {
            self.blade_length_m
        }
    }

    /// Half of the gap between the edges at `distance_m` from the pivot, m; negative where the blades have passed.
    pub(crate) fn half_gap_m(&self, opening_rad: f32, distance_m: f32) -> f32 {
        let (sin, cos) = (0.5 * opening_rad).sin_cos();
        distance_m * sin - self.edge_overlap_m * cos
    }

    pub(crate) const fn blade_length_m(&self) -> f32 {
        self.blade_length_m
    }

    /// Torque that the pivot took up in the last step, N m.
    pub(crate) fn pivot_torque_nm(&self, engine: &Engine) -> f32 {
        let hinge = engine.physics.impulse_joints.get(self.hinge);
        let substeps_per_s = (PHYSICS_HZ * SOLVER_ITERATIONS as u32) as f32;
        hinge.map_or(0.0, |hinge| hinge.data.motors[JointAxis::AngX as usize].impulse.abs() * substeps_per_s)
    }

    /// Lets the pivot resist with its own friction and with `cutting_nm` on top.
    pub(crate) fn resist(&self, engine: &mut Engine, cutting_nm: f32) {
        let (damping, most) = if cutting_nm > 0.0 {
            (CUTTING_DAMPING_NM_S_RAD, self.friction_nm + cutting_nm)
        } else {
            (self.damping_nm_s_rad, self.friction_nm)
        };
        if let Some(hinge) = engine.physics.impulse_joints.get_mut(self.hinge, false) {
            let motor = &mut hinge.data.motors[JointAxis::AngX as usize];
            (motor.damping, motor.max_force) = (damping, most);
        }
    }

    pub(crate) const fn friction_nm(&self) -> f32 {
        self.friction_nm
    }
}

/// A part of a half, in its frame.
pub(crate) struct Piece {
    pub(crate) shape: Shape,
    pub(crate) mass_kg: f32,
    /// It is a blade; the hand is at what is none.
    pub(crate) is_blade: bool,
}

/// The parts of the finger's half (`side` -1) or the thumb's (1), which has the mass `half_kg`.
pub(crate) fn pieces(parameters: &ShearsParameters, side: f32, half_kg: f32) -> Vec<Piece> {
    let x = 0.5 * side * parameters.half_spacing_m.f32();
    let place = |y: f32, z: f32| Vector::new(x, y, z);
    let (length, width) = (parameters.blade_length_m.f32(), parameters.blade_width_m.f32());
    // A blade's edge is past the middle by the overlap, on the side of its own loop.
    let center = place(side * (parameters.edge_overlap_m.f32() - 0.5 * width), -0.5 * length);
    let extents = Vector::new(0.5 * parameters.blade_thickness_m.f32(), 0.5 * width, 0.5 * length);
    let blade = Shape::cuboid(center.into(), extents.into());
    let mut pieces = vec![Piece { shape: blade, mass_kg: half_kg * BLADE_SHARE, is_blade: true }];

    let wire = parameters.loop_wire_radius_m.f32();
    let radius = parameters.loop_inner_radius_m.f32() + wire;
    let (loop_y, loop_z) = (side * parameters.loop_offset_m.f32(), parameters.loop_height_m.f32());
    let capsule = |start: Vector, end: Vector, mass_kg: f32| {
        let shape = Shape::Capsule { start_m: start.into(), end_m: end.into(), radius_m: wire };
        Piece { shape, mass_kg, is_blade: false }
    };
    let shank_end = place(loop_y - side * 0.6 * radius, loop_z - 0.8 * radius);
    pieces.push(capsule(place(0.0, 0.0), shank_end, half_kg * SHANK_SHARE));
    let on_loop = |piece: usize| {
        let (sin, cos) = (piece as f32 / N_LOOP_PIECES as f32 * TAU).sin_cos();
        place(loop_y + radius * cos, loop_z + radius * sin)
    };
    let rings = (0..N_LOOP_PIECES).map(|piece| (on_loop(piece), on_loop(piece + 1)));
    pieces.extend(rings.map(|(start, end)| capsule(start, end, half_kg * LOOP_SHARE / N_LOOP_PIECES as f32)));
    pieces
}

fn insert_half(
    engine: &mut Engine,
    parameters: &ShearsParameters,
    side: f32,
    pose: Pose,
    handle_friction: f32,
    mass_kg: f32,
    groups: Groups,
) -> RigidBodyHandle {
    let object = if side < 0.0 { ScissorsObject::FingerHalf } else { ScissorsObject::ThumbHalf };
    let body = RigidBodyBuilder::dynamic().pose(pose).can_sleep(false).soft_ccd_prediction(LOOK_AHEAD_M);
    let half = engine.insert_object(object.name(), body);
    let kind = PartKind::Scissors { half: usize::from(side > 0.0) };
    for Piece { shape, mass_kg, is_blade } in pieces(parameters, side, mass_kg) {
        let friction = if is_blade { parameters.blade_friction.f32() } else { handle_friction };
        let collider = shape.collider().mass(mass_kg).friction(friction);
        engine.physics.insert_collider(collider.collision_groups(groups.object()), Some(half));
        engine.show(half, kind, shape);
    }
    half
}
