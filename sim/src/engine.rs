//! A hand in Rapier, and the settings that every world runs with.
//!
//! Every finger is a multibody of its own: dense multibody solvers cost n^2..n^3 in the joints of one tree, and five small
//! trees are 2.5 times as fast as one. Under a palm that is fixed they stand on roots that are; under one that an arm moves, on
//! dynamic roots that impulse joints weld to it (a kinematic root does not move its tree). Where a wrist turns the palm all are
//! one tree, which starts at the forearm: the wrist then feels every finger as it does. The settings are measured: with
//! Rapier's default of 4 x 1 iterations a grasped cube slips 16 mm and tilts 51 degrees in 9 s, with 2 x 4 less than 1 mm.

mod assembly;

use crate::collision::{FingerContacts, Groups};
use crate::fault::PhysicsFault;
use crate::hand::Hand;
use crate::parts::{Part, PartKind, Shape};
use crate::transmission::taken_by_slack;
use bridge::ObjectPose;
use rapier3d::glamx::DVec3;
use rapier3d::prelude::{
    BroadPhaseBvh, ColliderBuilder, ColliderSet, FrictionModel, ImpulseJointSet, IslandManager, JointAxesMask,
    JointAxis, MultibodyJointHandle, MultibodyJointSet, MultibodyLink, NarrowPhase, PhysicsPipeline, PhysicsWorld,
    Pose, RigidBodyBuilder, RigidBodyHandle, RigidBodySet, Rotation, SpringCoefficients, Vector,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Physics steps per second.
pub const PHYSICS_HZ: u32 = 240;

/// Substeps. Each one recomputes kinematics and mass matrices: the cost is linear in them. 1 turns the gaits differently.
pub(crate) const SOLVER_ITERATIONS: usize = 2;
/// Cheap (+18 % for 1 -> 4), and what keeps a grasp from creeping.
pub(crate) const PGS_ITERATIONS: usize = 4;
/// Typical size of an object, m: scales slop and prediction distance, which are made for metre-sized worlds.
const LENGTH_UNIT_M: f32 = 0.1;
/// Natural frequency (Hz) and damping ratio of contacts.
const CONTACT_SOFTNESS: (f32, f32) = (60.0, 5.0);
const GRAVITY_M_S2: f32 = 9.81;
/// Nearer than this and what it moves in a step at its present rate, a joint feels its limits, rad: 24 rad/s in a step from rest.
const LIMIT_MARGIN_RAD: f32 = 0.1;
const FLOOR_FRICTION: f32 = 0.8;
/// Half of the floor's edges, m.
pub(crate) const FLOOR_HALF_M: Vector = Vector::new(0.5, 0.5, 0.05);

/// What a hand is put into a world with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surroundings {
    /// Coulomb friction of the hand and of what it handles.
    pub friction: f64,
    /// Stiffness of the motors over the hand's.
    pub motor_gain_scale: f64,
    /// By how much the tendons hang through, to either side, rad; see `transmission`.
    pub slack_rad: f64,
    /// Which finger parts touch those of other fingers.
    pub finger_contacts: FingerContacts,
}

/// What carries the hand's base: the palm, or the forearm of a hand with a wrist.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mount {
    /// Nothing moves it; the world frame is the hand frame.
    Fixed,
    /// An arm moves it: the base is a body of this mass (kg) and inertia (kg m^2), without weight.
    Moving { pose: Pose, mass_kg: f32, inertia_kg_m2: f32 },
}

/// A hand in Rapier, and what a world adds to it: whatever world it is, this is how to look at it.
pub struct Engine {
    pub(crate) physics: PhysicsWorld,
    /// What the mount carries.
    pub(crate) base: RigidBodyHandle,
    joints: Vec<MultibodyJointHandle>,
    slack_rad: f32,
    /// Bodies, shapes, and how the frames of the shapes are turned in those of the bodies.
    parts: Vec<(RigidBodyHandle, Part, Rotation)>,
    pub(crate) names: Vec<Named>,
    pub(crate) floor_m: f32,
}

/// What a body is.
pub(crate) struct Named {
    pub(crate) body: RigidBodyHandle,
    pub(crate) name: String,
    /// It is handled: no part of the hand.
    pub(crate) is_object: bool,
}

/// Everything that changes while a world is stepped.
#[derive(Clone)]
pub struct WorldSnapshot {
    islands: IslandManager,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    bodies: RigidBodySet,
    colliders: ColliderSet,
    impulse_joints: ImpulseJointSet,
    multibody_joints: MultibodyJointSet,
}

impl Engine {
    /// A floor whose top is at height `floor_m`, and above it the hand at joint positions `q_rad`, which its motors hold.
    pub(crate) fn new(hand: &Hand, q_rad: &[f32], mount: Mount, floor_m: f32, surroundings: &Surroundings) -> Self {
        let mut engine = Self {
            physics: empty_world(),
            base: RigidBodyHandle::invalid(),
            joints: Vec::with_capacity(hand.n_joints()),
            slack_rad: surroundings.slack_rad as f32,
            parts: Vec::new(),
            names: Vec::new(),
            floor_m,
        };
        let groups = Groups::new(surroundings.finger_contacts);
        engine.insert_floor(groups);
        engine.insert_hand(hand, q_rad, mount, groups, surroundings);
        engine
    }

    /// Makes `body` show as `kind` of this `shape`.
    pub(crate) fn show(&mut self, body: RigidBodyHandle, kind: PartKind, shape: Shape) {
        self.show_turned(body, kind, Rotation::IDENTITY, shape);
    }

    fn show_turned(&mut self, body: RigidBodyHandle, kind: PartKind, turn: Rotation, shape: Shape) {
        self.parts.push((body, Part { kind, shape }, turn));
    }

    /// Puts a part of the hand or of the room into the world.
    pub(crate) fn insert(&mut self, name: &str, body: RigidBodyBuilder) -> RigidBodyHandle {
        let body = self.physics.insert_body(body);
        self.names.push(Named { body, name: name.to_owned(), is_object: false });
        body
    }

    /// Puts something that is handled into the world.
    pub(crate) fn insert_object(&mut self, name: &str, body: RigidBodyBuilder) -> RigidBodyHandle {
        let body = self.physics.insert_body(body);
        self.names.push(Named { body, name: name.to_owned(), is_object: true });
        body
    }

    /// Lets 1 / [`PHYSICS_HZ`] s pass.
    ///
    /// # Errors
    /// When a body is not where it can be, which is found before the step, or the step fails: on what is not finite Rapier
    /// panics (in a multibody) or freezes it (any other). The world must be built anew.
    pub(crate) fn step(&mut self) -> Result<(), PhysicsFault> {
        self.check()?;
        self.limit_joints();
        catch_unwind(AssertUnwindSafe(|| self.physics.step())).map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            PhysicsFault::Solver { message: text.unwrap_or("no message").to_owned() }
        })?;
        let frozen = self.physics.quarantine();
        if frozen.bodies().is_empty() && frozen.colliders().is_empty() {
            return Ok(());
        }
        let is_frozen = |named: &&Named| {
            let colliders = self.physics.bodies.get(named.body).map_or(&[][..], |body| body.colliders());
            frozen.bodies().contains(&named.body) || colliders.iter().any(|it| frozen.colliders().contains(it))
        };
        let names: Vec<&str> = self.names.iter().filter(is_frozen).map(|named| named.name.as_str()).collect();
        Err(PhysicsFault::Frozen { names: names.join(", ") })
    }

    /// Rapier solves for the limits of a joint also where it cannot come near them within a step, and finds nothing: there they
    /// are switched off.
    fn limit_joints(&mut self) {
        for &joint in &self.joints {
            let Some((multibody, link)) = self.physics.multibody_joints.get_mut(joint) else { continue };
            let rate_rad_s = multibody.link(link).map_or(0.0, |link| multibody.joint_velocity(link)[0]);
            let Some(link) = multibody.link_mut(link) else { continue };
            let q_rad = link.joint.coords()[JointAxis::AngX as usize];
            let joint = &mut link.joint.data;
            let limits = &joint.limits[JointAxis::AngX as usize];
            let margin_rad = LIMIT_MARGIN_RAD + rate_rad_s.abs() / PHYSICS_HZ as f32;
            let is_near = q_rad - limits.min < margin_rad || limits.max - q_rad < margin_rad;
            joint.limit_axes.set(JointAxesMask::ANG_X, is_near);
        }
    }

    /// Sets what the motors hold, rad.
    pub(crate) fn set_targets(&mut self, targets_rad: &[f32]) {
        for (&joint, &target_rad) in self.joints.iter().zip(targets_rad) {
            if let Some((multibody, link)) = self.physics.multibody_joints.get_mut(joint)
                && let Some(link) = multibody.link_mut(link)
            {
                pull(link, target_rad, self.slack_rad);
            }
        }
    }

    /// Sets what one joint's motor does: the position that it holds (rad), its stiffness (N m/rad; 0 for a motor without
    /// torque, whose damping stays) and its highest torque (N m).
    pub(crate) fn set_motor(&mut self, joint: usize, target_rad: f32, stiffness_nm_rad: f32, max_nm: f32) {
        if let Some(&joint) = self.joints.get(joint)
            && let Some((multibody, link)) = self.physics.multibody_joints.get_mut(joint)
            && let Some(link) = multibody.link_mut(link)
        {
            pull(link, target_rad, self.slack_rad);
            let motor = &mut link.joint.data.motors[JointAxis::AngX as usize];
            (motor.stiffness, motor.max_force) = (stiffness_nm_rad, max_nm);
        }
    }

    /// Reads joint positions (rad) and velocities (rad/s).
    pub fn read_joints(&self, positions_rad: &mut [f32], velocities_rad_s: &mut [f32]) {
        let read = positions_rad.iter_mut().zip(velocities_rad_s);
        for (&joint, (position_rad, velocity_rad_s)) in self.joints.iter().zip(read) {
            if let Some((multibody, link)) = self.physics.multibody_joints.get(joint)
                && let Some(link) = multibody.link(link)
            {
                *position_rad = link.joint.coords()[JointAxis::AngX as usize];
                *velocity_rad_s = multibody.joint_velocity(link)[0];
            }
        }
    }

    /// Pose and velocity of `body`, at `time_s`.
    pub(crate) fn object_pose(&self, body: RigidBodyHandle, time_s: f64) -> ObjectPose {
        let body = &self.physics.bodies[body];
        ObjectPose {
            time_s,
            position_m: body.translation().into(),
            orientation: (*body.rotation()).into(),
            velocity_m_s: body.linvel().into(),
            angular_velocity_rad_s: body.angvel().into(),
        }
    }

    /// Shapes of everything, in the order of [`Engine::part_pose`].
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &Part> {
        self.parts.iter().map(|(_, part, _)| part)
    }

    /// Pose of the frame of part `index`: position (m) and unit quaternion x, y, z, w.
    #[must_use]
    pub fn part_pose(&self, index: usize) -> ([f32; 3], [f32; 4]) {
        let (body, _, turn) = &self.parts[index];
        let body = &self.physics.bodies[*body];
        (body.translation().into(), (*body.rotation() * *turn).into())
    }

    /// Number of collider pairs that touch.
    #[must_use]
    pub fn n_contacts(&self) -> usize {
        self.physics.contact_pairs().filter(|pair| pair.has_any_active_contact()).count()
    }

    /// Copies everything that changes.
    pub(crate) fn snapshot(&self) -> WorldSnapshot {
        let physics = &self.physics;
        WorldSnapshot {
            islands: physics.islands.clone(),
            broad_phase: physics.broad_phase.clone(),
            narrow_phase: physics.narrow_phase.clone(),
            bodies: physics.bodies.clone(),
            colliders: physics.colliders.clone(),
            impulse_joints: physics.impulse_joints.clone(),
            multibody_joints: physics.multibody_joints.clone(),
        }
    }

    /// Goes back to `snapshot`, which was taken of this world or of one built alike: from here on the same targets lead
    /// to the same bits.
    pub(crate) fn restore(&mut self, snapshot: &WorldSnapshot) {
        let physics = &mut self.physics;
        physics.islands.clone_from(&snapshot.islands);
        physics.broad_phase.clone_from(&snapshot.broad_phase);
        physics.narrow_phase.clone_from(&snapshot.narrow_phase);
        physics.bodies.clone_from(&snapshot.bodies);
        physics.colliders.clone_from(&snapshot.colliders);
        physics.impulse_joints.clone_from(&snapshot.impulse_joints);
        physics.multibody_joints.clone_from(&snapshot.multibody_joints);
        // Its buffers belong to the step before: after one that panicked they hold half of it.
        physics.physics_pipeline = PhysicsPipeline::new();
    }

    fn insert_floor(&mut self, groups: Groups) {
        let half = FLOOR_HALF_M;
        let center = Vector::new(0.0, 0.0, self.floor_m - half.z);
        let collider = ColliderBuilder::cuboid(half.x, half.y, half.z).collision_groups(groups.object());
        let floor = self.insert("floor", RigidBodyBuilder::fixed().translation(center));
        self.physics.insert_collider(collider.friction(FLOOR_FRICTION), Some(floor));
        self.show(floor, PartKind::Floor, Shape::cuboid([0.0; 3], half.into()));
    }
}

/// Lets the motor of `link` pull it to `goal_rad` through a tendon that hangs through by `slack_rad`, for a step.
fn pull(link: &mut MultibodyLink, goal_rad: f32, slack_rad: f32) {
    let q_rad = link.joint.coords()[JointAxis::AngX as usize];
    let taken_rad = taken_by_slack(goal_rad - q_rad, slack_rad);
    let joint = &mut link.joint.data;
    joint.motor_axes.set(JointAxesMask::ANG_X, taken_rad.is_some());
    joint.motors[JointAxis::AngX as usize].target_pos = goal_rad - taken_rad.unwrap_or_default();
}

fn empty_world() -> PhysicsWorld {
    let mut world = PhysicsWorld::new();
    world.gravity = Vector::new(0.0, 0.0, -GRAVITY_M_S2);
    let parameters = &mut world.integration_parameters;
    parameters.dt = 1.0 / PHYSICS_HZ as f32;
    parameters.num_solver_iterations = SOLVER_ITERATIONS;
    parameters.num_internal_pgs_iterations = PGS_ITERATIONS;
    parameters.length_unit = LENGTH_UNIT_M;
    parameters.contact_softness = SpringCoefficients::new(CONTACT_SOFTNESS.0, CONTACT_SOFTNESS.1);
    parameters.static_contact_softness = parameters.contact_softness;
    // Its distance of 0.05 m is the whole cube: contact points would be stale.
    parameters.contact_recycling = false;
    parameters.friction_model = FrictionModel::Coulomb;
    parameters.max_ccd_substeps = 0;
    world
}

pub(crate) fn vector(v: DVec3) -> Vector {
    Vector::new(v.x as f32, v.y as f32, v.z as f32)
}
