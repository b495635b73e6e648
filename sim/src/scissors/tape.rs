//! The tape in Rapier: elements in a row between two posts, hinged about the vertical by joints that break.
//!
//! A joint breaks when it is pulled harder than its uncut width can bear. It is cut by the blade rule, since cutting is no
//! contact at this scale: the tape counts as *between the blades* once its uncut upper edge and what the blades cover of
//! the rest lie in the gap, one blade on either side; from then on nothing touches it. When the edges then cross at
//! the uncut width, the pivot resists closing with the cutting torque on top of its friction; where the fingers overcome
//! it, the width is cut down to where the edges cross, unless the tape would have to give way sideways too far for both
//! blades to be on it.

use super::parameters::TapeParameters;
use super::shears::Shears;
use crate::collision::Groups;
use crate::engine::{Engine, PHYSICS_HZ, SOLVER_ITERATIONS};
use crate::parts::{PartKind, Shape};
use rapier3d::prelude::{
    ColliderBuilder, ColliderHandle, ImpulseJointHandle, InteractionGroups, Pose, RevoluteJointBuilder,
    RigidBodyBuilder, RigidBodyHandle, Vector,
};

/// Friction of the tape.
const FRICTION: f32 = 0.5;
/// What is left of the width when a cut is through, m.
const THROUGH_M: f32 = 5e-4;
/// Scissors whose pivot is further away than this plus a blade have nothing to do with the tape, m.
const NEARBY_M: f32 = 0.05;
/// Share of the resisting torque that must be overcome for the cut to go on: the solver's torque reaches the limit from below.
const OVERCOME_SHARE: f32 = 0.97;
/// Faster than this, the scissors are being opened, rad/s.
const OPENING_RAD_S: f32 = 0.05;
/// Edges that cross this close before the tape already feel it, m.
const ABOUT_TO_REACH_M: f32 = 5e-4;

/// Elements are no faster than this, m/s and rad/s: what stiff joints let go of when one of them breaks, or when the slack side of
/// a tape that is pulled buckles, would throw half a gram through the floor.
const MAX_SPEED_M_S: f32 = 5.0;
const MAX_SPIN_RAD_S: f32 = 1000.0;

/// The tape.
pub(crate) struct Tape {
    posts: RigidBodyHandle,
    elements: Vec<(RigidBodyHandle, ColliderHandle)>,
    joints: Vec<ImpulseJointHandle>,
    half_length_m: f32,
    half_width_m: f32,
    half_element_m: f32,
    strength_n: f32,
    cutting_torque_nm: f32,
    give_m: f32,
    groups: InteractionGroups,
}

/// What changes of a tape while the world is stepped, besides its bodies.
#[derive(Clone, Debug)]
pub(crate) struct TapeState {
    /// How deep each joint is cut, from its upper edge, m.
    cut_m: Vec<f32>,
    /// The tape is between the blades.
    is_between: bool,
    /// A joint was cut through.
    pub(crate) is_cut: bool,
    /// A joint was torn.
    pub(crate) is_torn: bool,
}

#[cfg(test)]
impl TapeState {
    pub(crate) fn deepest_cut_m(&self) -> f32 {
        self.cut_m.iter().copied().fold(0.0, f32::max)
    }
}

/// Where the plane of the scissors meets the tape.
struct Meeting {
    joint: usize,
    /// Uncut upper edge, and lower edge, in the frame in the middle of the halves, m.
    upper: Vector,
    lower: Vector,
}

impl Tape {
    /// Puts a tape with its middle at `pose` (x along it, z along its width) into the world.
    pub(crate) fn insert(
        engine: &mut Engine,
        parameters: &TapeParameters,
        pose: Pose,
        strength_scale: f64,
        groups: Groups,
    ) -> (Self, TapeState) {
        let n = parameters.n_elements;
        let half_length = 0.5 * parameters.length_m.f32();
        let half_element = half_length / n as f32;
        let half_width = 0.5 * parameters.width_m.f32();
        let extents = Vector::new(half_element, 0.5 * parameters.thickness_m.f32(), half_width);

        let posts = engine.insert("posts", RigidBodyBuilder::fixed().pose(pose));
        let half_post = 0.5 * parameters.post_m.f32();
        let (top, bottom) = (half_width, -pose.translation.z);
        for side in [-1.0, 1.0] {
            let center = Vector::new(side * (half_length + half_post), 0.0, 0.5 * (top + bottom));
            let post = Vector::new(half_post, half_post, 0.5 * (top - bottom));
            let collider = ColliderBuilder::cuboid(post.x, post.y, post.z).translation(center);
            engine.physics.insert_collider(collider.friction(FRICTION).collision_groups(groups.object()), Some(posts));
            engine.show(posts, PartKind::Post, Shape::cuboid(center.into(), post.into()));
        }

        let mut elements: Vec<(RigidBodyHandle, ColliderHandle)> = Vec::with_capacity(n);
        let mut joints = Vec::with_capacity(n + 1);
        for index in 0..n {
            let x = -half_length + (2 * index + 1) as f32 * half_element;
            let at = pose * Pose::from_translation(Vector::new(x, 0.0, 0.0));
            let collider = ColliderBuilder::cuboid(extents.x, extents.y, extents.z)
                .mass(parameters.mass_kg.f32() / n as f32)
                .friction(FRICTION)
                .collision_groups(groups.object());
            let body = RigidBodyBuilder::dynamic().pose(at).linear_damping(2.0).angular_damping(2.0);
            let body = engine.insert_object(&format!("tape {index}"), body);
            let element = (body, engine.physics.insert_collider(collider, Some(body)));
            engine.show(element.0, PartKind::Tape, Shape::cuboid([0.0; 3], extents.into()));
            let (before, end) = match elements.last() {
                Some(&(before, _)) => (before, Vector::new(half_element, 0.0, 0.0)),
                None => (posts, Vector::new(-half_length, 0.0, 0.0)),
            };
            joints.push(engine.physics.insert_impulse_joint(before, element.0, hinge(end, -half_element)));
            elements.push(element);
        }
        if let Some(&(last, _)) = elements.last() {
            let end = Vector::new(half_length, 0.0, 0.0);
            joints.push(engine.physics.insert_impulse_joint(posts, last, hinge(end, half_element)));
        }
        let state = TapeState { cut_m: vec![0.0; joints.len()], is_between: false, is_cut: false, is_torn: false };
        let tape = Self {
            posts,
            elements,
            joints,
            half_length_m: half_length,
            half_width_m: half_width,
            half_element_m: half_element,
            strength_n: (parameters.strength_n.get() * strength_scale) as f32,
            cutting_torque_nm: (parameters.cutting_torque_nm.get() * strength_scale) as f32,
            give_m: parameters.give_m.f32(),
            groups: groups.object(),
        };
        (tape, state)
    }

    /// The body whose pose is that of the whole tape.
    pub(crate) const fn posts(&self) -> RigidBodyHandle {
        self.posts
    }

    /// Some element in the middle.
    #[cfg(test)]
    pub(crate) fn middle_element(&self) -> RigidBodyHandle {
        self.elements[self.elements.len() / 2].0
    }

    /// Applies the blade rule before a step.
    pub(crate) fn meet(&self, engine: &mut Engine, shears: &Shears, state: &mut TapeState) {
        let (opening_rad, rate_rad_s) = shears.opening(engine);
        let middle = shears.middle(engine, opening_rad);
        let Some(meeting) = self.meeting(engine, shears, &middle, state) else {
            self.separate(engine, shears, state);
            return;
        };
        let (upper_m, lower_m) = (-meeting.upper.z, (-meeting.lower.z).min(shears.blade_length_m()));
        if !state.is_between {
            let is_in_gap = |at: Vector, distance_m: f32| at.y.abs() < shears.half_gap_m(opening_rad, distance_m);
            state.is_between =
                upper_m < lower_m && is_in_gap(meeting.upper, upper_m) && is_in_gap(meeting.lower, lower_m);
            if state.is_between {
                self.set_groups(engine, InteractionGroups::none());
            }
        }
        // What left the mouth of the scissors is not between the blades any more.
        if !state.is_between || upper_m >= shears.blade_length_m() {
            self.separate(engine, shears, state);
            return;
        }
        let crossing_m = shears.crossing_m(opening_rad);
        // Blades that are about to reach the tape are held already: in one step of free fall they would come half through it.
        let soon_m = shears.crossing_m(opening_rad + rate_rad_s.min(0.0) / PHYSICS_HZ as f32) + ABOUT_TO_REACH_M;
        let resists = soon_m > upper_m && rate_rad_s < OPENING_RAD_S;
        let limit_nm = self.cutting_torque_nm + shears.friction_nm();
        // Blades that are opened are held back too, as slowly as they creep; they cut nothing.
        let is_closing = rate_rad_s < 0.0;
        let is_overcome =
            crossing_m > upper_m && is_closing && shears.pivot_torque_nm(engine) >= OVERCOME_SHARE * limit_nm;
        shears.resist(engine, if resists { self.cutting_torque_nm } else { 0.0 });
        if is_overcome && meeting.upper.y.abs() < self.give_m {
            let width_m = 2.0 * self.half_width_m;
            let depth_m = &mut state.cut_m[meeting.joint];
            *depth_m += crossing_m - upper_m;
            if *depth_m > width_m - THROUGH_M {
                *depth_m = width_m;
                state.is_cut = true;
                engine.physics.remove_impulse_joint(self.joints[meeting.joint]);
                self.separate(engine, shears, state);
            }
        }
    }

    /// Breaks the joints that the last step pulled too hard, and holds back what whips.
    pub(crate) fn tear(&self, engine: &mut Engine, state: &mut TapeState) {
        let substeps_per_s = (PHYSICS_HZ * SOLVER_ITERATIONS as u32) as f32;
        for (&joint, cut_m) in self.joints.iter().zip(&mut state.cut_m) {
            let Some(pull) = engine.physics.impulse_joints.get(joint) else { continue };
            let [x, y, z, ..] = pull.impulses;
            let pull_n = Vector::new(x, y, z).length() * substeps_per_s;
            let width_m = 2.0 * self.half_width_m;
            if pull_n > self.strength_n * (1.0 - *cut_m / width_m) {
                *cut_m = width_m;
                state.is_torn = true;
                engine.physics.remove_impulse_joint(joint);
            }
        }
        self.hold_back(engine);
    }

    fn hold_back(&self, engine: &mut Engine) {
        for &(element, _) in &self.elements {
            let bodies = &mut engine.physics.bodies;
            let (velocity, spin) = (bodies[element].linvel(), bodies[element].angvel());
            if velocity.length() > MAX_SPEED_M_S || spin.length() > MAX_SPIN_RAD_S {
                let element = &mut bodies[element];
                element.set_linvel(velocity.clamp_length_max(MAX_SPEED_M_S), true);
                element.set_angvel(spin.clamp_length_max(MAX_SPIN_RAD_S), true);
            }
        }
    }

    fn separate(&self, engine: &mut Engine, shears: &Shears, state: &mut TapeState) {
        if state.is_between {
            state.is_between = false;
            self.set_groups(engine, self.groups);
            shears.resist(engine, 0.0);
        }
    }

    fn set_groups(&self, engine: &mut Engine, groups: InteractionGroups) {
        for &(_, collider) in &self.elements {
            if let Some(collider) = engine.physics.colliders.get_mut(collider) {
                collider.set_collision_groups(groups);
            }
        }
    }

    /// Where the plane of the scissors meets a tape that is whole.
    fn meeting(&self, engine: &Engine, shears: &Shears, middle: &Pose, state: &TapeState) -> Option<Meeting> {
        let bodies = &engine.physics.bodies;
        let nearby_m = self.half_length_m + shears.blade_length_m() + NEARBY_M;
        let is_far = (bodies[self.posts].translation() - middle.translation).length_squared() > nearby_m * nearby_m;
        if is_far || state.is_cut || state.is_torn {
            return None;
        }
        let n = self.elements.len();
        let ends = (0..=n).map(|joint| {
            let (element, side) = if joint < n { (joint, -1.0) } else { (n - 1, 1.0) };
            let pose = bodies[self.elements[element].0].position();
            let end = *pose * Vector::new(side * self.half_element_m, 0.0, 0.0);
            (joint, pose, middle.inverse_transform_point(end))
        });
        let (joint, pose, end) = ends.min_by(|a, b| a.2.x.abs().total_cmp(&b.2.x.abs()))?;
        if end.x.abs() > 2.0 * self.half_element_m {
            return None;
        }
        let along = middle.inverse_transform_vector(pose.rotation * Vector::X);
        // A tape that runs along the plane of the scissors cannot be cut by them.
        if along.x.abs() < 0.5 {
            return None;
        }
        let on_plane = end - along * (end.x / along.x);
        let across = middle.inverse_transform_vector(pose.rotation * Vector::Z);
        let upper = on_plane + across * (self.half_width_m - state.cut_m[joint]);
        Some(Meeting { joint, upper, lower: on_plane - across * self.half_width_m })
    }
}

/// A hinge about the vertical between `end` of one body and `x_m` of the other.
fn hinge(end: Vector, x_m: f32) -> RevoluteJointBuilder {
    RevoluteJointBuilder::new(Vector::Z)
        .local_anchor1(end)
        .local_anchor2(Vector::new(x_m, 0.0, 0.0))
        .contacts_enabled(false)
}
