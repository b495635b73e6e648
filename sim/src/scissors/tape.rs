//! The tape in Rapier: elements in a row between two posts, hinged about the vertical by joints that break.
//!
//! A joint breaks when it is pulled harder than its uncut width can bear. It is cut by the blade rule, since cutting is no
//! contact at this scale: the tape counts as *between the blades* once its uncut upper edge and what the blades cover of
//! the rest lie in the gap, one blade on either side; from then on nothing touches it but by this rule.
//!
//! A blade that comes to the tape sideways pushes it aside. The spans to the posts, a and b long, are stretched by
//! s = hypot(a, y) - a + hypot(b, y) - b when they are pushed by y; they pull with f = strength s / (length stretch_at_break)
//! and push the blade back with f (y / hypot(a, y) + y / hypot(b, y)). So blades cannot close beside a tape that is
//! between them: the scissors are pushed until it is in the middle, or the blades stay open, or the tape tears.
//!
//! Where the edges cross at the uncut width, the pivot resists closing with the cutting torque on top of its friction. Where
//! the fingers overcome it, the width is cut by as much as the blades have closed upon it: closing cuts, and neither what
//! was closed before they reached it nor what they are moved. Until they let go of the whole width they cut it where they
//! reached it, also if they are moved along the tape.

use super::parameters::TapeParameters;
use super::shears::Shears;
use crate::collision::Groups;
use crate::engine::{Engine, PHYSICS_HZ, SOLVER_ITERATIONS};
use crate::parts::{PartKind, Shape};
use rapier3d::prelude::{
    ColliderBuilder, ColliderHandle, ImpulseJointHandle, InteractionGroups, Pose, RevoluteJointBuilder, RigidBody,
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
/// What a tape that is pushed aside takes of a blade's speed, N s/m: a third of critical for scissors at 5 mm.
const ASIDE_DAMPING_N_S_M: f32 = 4.0;
/// The tape pushes no blade faster than this, m/s. A half that is thrown at it is deep in it within a step, and the tape is stretched by a
/// way that nothing has worked for: one of 8 g was given 27 m/s by a tape of 70 N. Halves of 25 g are still pushed with 32 N at the points
/// and with 60 at 45 mm from the pivot, more than the wrist presses with.
const MAX_PUSH_M_S: f32 = 20.0;

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
    /// Pull for each metre of stretch, N/m.
    stiffness_n_m: f32,
    groups: InteractionGroups,
}

/// What changes of a tape while the world is stepped, besides its bodies.
#[derive(Clone, Debug)]
pub(crate) struct TapeState {
    /// How deep each joint is cut, from its upper edge, m.
    cut_m: Vec<f32>,
    /// What the blades do that the tape is between, if it is.
    between: Option<Between>,
    /// A joint was cut through.
    pub(crate) is_cut: bool,
    /// A joint was torn.
    pub(crate) is_torn: bool,
}

/// What blades do that the tape is between.
#[derive(Clone, Copy, Debug)]
struct Between {
    /// Where the edges crossed a step ago, m from the pivot.
    crossing_m: f32,
    /// The joint at which they have reached the width; it alone is cut until they let go.
    joint: Option<usize>,
    /// How far they have closed upon what is not cut of it, m.
    closed_m: f32,
}

#[cfg(test)]
impl TapeState {
    /// What is cut of the width, of all places together, m.
    pub(crate) fn cut_m(&self) -> f32 {
        self.cut_m.iter().sum()
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
        let state = TapeState { cut_m: vec![0.0; joints.len()], between: None, is_cut: false, is_torn: false };
        let strength_n = (parameters.strength_n.get() * strength_scale) as f32;
        let tape = Self {
            posts,
            elements,
            joints,
            half_length_m: half_length,
            half_width_m: half_width,
            half_element_m: half_element,
            strength_n,
            cutting_torque_nm: (parameters.cutting_torque_nm.get() * strength_scale) as f32,
            stiffness_n_m: strength_n / (parameters.length_m.f32() * parameters.stretch_at_break.f32()),
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
        let crossing_m = shears.crossing_m(opening_rad);
        let is_in_gap = |at: Vector, distance_m: f32| at.y.abs() < shears.half_gap_m(opening_rad, distance_m);
        let before = match state.between {
            Some(before) => before,
            None if upper_m < lower_m && is_in_gap(meeting.upper, upper_m) && is_in_gap(meeting.lower, lower_m) => {
                self.set_groups(engine, InteractionGroups::none());
                Between { crossing_m, joint: None, closed_m: 0.0 }
            }
            None => return,
        };
        let has_let_go = crossing_m < upper_m - state.cut_m[meeting.joint] - ABOUT_TO_REACH_M;
        let joint = before.joint.or(Some(meeting.joint)).filter(|_| !has_let_go);
        let closed_m = (before.closed_m + crossing_m - before.crossing_m).min(crossing_m - upper_m).max(0.0);
        state.between = Some(Between { crossing_m, joint, closed_m });

        self.push_back(engine, shears, &middle, &meeting, opening_rad, state);
        // What left the mouth of the scissors is not between the blades any more.
        if state.is_torn || upper_m >= shears.blade_length_m() {
            self.separate(engine, shears, state);
            return;
        }
        // Blades that are about to reach the tape are held already: in one step of free fall they would come half through it.
        let soon_m = shears.crossing_m(opening_rad + rate_rad_s.min(0.0) / PHYSICS_HZ as f32) + ABOUT_TO_REACH_M;
        let resists = soon_m > upper_m && rate_rad_s < OPENING_RAD_S;
        let limit_nm = self.cutting_torque_nm + shears.friction_nm();
        // Blades that are opened are held back too, as slowly as they creep; they cut nothing.
        let is_closing = rate_rad_s < 0.0;
        let is_overcome = is_closing && shears.pivot_torque_nm(engine) >= OVERCOME_SHARE * limit_nm;
        shears.resist(engine, if resists { self.cutting_torque_nm } else { 0.0 });
        if is_overcome {
            let depth_m = &mut state.cut_m[meeting.joint];
            *depth_m += closed_m;
            state.between = Some(Between { crossing_m, joint, closed_m: 0.0 });
            if *depth_m > 2.0 * self.half_width_m - THROUGH_M {
                state.is_cut = true;
                self.part(engine, meeting.joint, state);
                self.separate(engine, shears, state);
            }
        }
    }

    /// Breaks the joints that the last step pulled too hard, and holds back what whips.
    pub(crate) fn tear(&self, engine: &mut Engine, state: &mut TapeState) {
        let substeps_per_s = (PHYSICS_HZ * SOLVER_ITERATIONS as u32) as f32;
        for (index, &joint) in self.joints.iter().enumerate() {
            let Some(pull) = engine.physics.impulse_joints.get(joint) else { continue };
            let [x, y, z, ..] = pull.impulses;
            self.bear(engine, index, Vector::new(x, y, z).length() * substeps_per_s, state);
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

    /// Pushes the blade back that pushes the tape aside.
    fn push_back(
        &self,
        engine: &mut Engine,
        shears: &Shears,
        middle: &Pose,
        meeting: &Meeting,
        opening_rad: f32,
        state: &mut TapeState,
    ) {
        let (y_m, distance_m) = (meeting.upper.y, -meeting.upper.z);
        let aside_m = y_m.abs() - shears.half_gap_m(opening_rad, distance_m).max(0.0);
        if aside_m <= 0.0 {
            return;
        }
        let from_post_m = 2.0 * self.half_element_m * meeting.joint as f32;
        let spans_m = [from_post_m, 2.0 * self.half_length_m - from_post_m];
        let stretch_m: f32 = spans_m.iter().map(|span_m| span_m.hypot(aside_m) - span_m).sum();
        let pull_n = self.stiffness_n_m * stretch_m;
        let spring_n = pull_n * spans_m.iter().map(|span_m| aside_m / span_m.hypot(aside_m)).sum::<f32>();

        let (towards, at) = (middle.rotation * Vector::new(0.0, y_m.signum(), 0.0), *middle * meeting.upper);
        // The finger's blade is on the side of positive y.
        let blade = &mut engine.physics.bodies[shears.halves[usize::from(y_m < 0.0)]];
        let speed_m_s = blade.velocity_at_point(at).dot(towards);
        let most_n = effective_mass_kg(blade, at, towards) * (MAX_PUSH_M_S - speed_m_s) * PHYSICS_HZ as f32;
        let push_n = (spring_n - ASIDE_DAMPING_N_S_M * speed_m_s).min(most_n).max(0.0);
        blade.add_force_at_point(towards * push_n, at, true);
        self.bear(engine, meeting.joint, pull_n, state);
    }

    /// Tears what is not cut of a joint if it cannot bear `pull_n`.
    fn bear(&self, engine: &mut Engine, joint: usize, pull_n: f32, state: &mut TapeState) {
        if pull_n > self.strength_n * (1.0 - state.cut_m[joint] / (2.0 * self.half_width_m)) {
            state.is_torn = true;
            self.part(engine, joint, state);
        }
    }

    fn part(&self, engine: &mut Engine, joint: usize, state: &mut TapeState) {
        state.cut_m[joint] = 2.0 * self.half_width_m;
        engine.physics.remove_impulse_joint(self.joints[joint]);
    }

    fn separate(&self, engine: &mut Engine, shears: &Shears, state: &mut TapeState) {
        if state.between.take().is_some() {
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

    /// Where the plane of the scissors meets a tape that is whole: as if it were at the joint that is being cut, else at the
    /// nearest.
    fn meeting(&self, engine: &Engine, shears: &Shears, middle: &Pose, state: &TapeState) -> Option<Meeting> {
        let bodies = &engine.physics.bodies;
        let nearby_m = self.half_length_m + shears.blade_length_m() + NEARBY_M;
        let is_far = (bodies[self.posts].translation() - middle.translation).length_squared() > nearby_m * nearby_m;
        if is_far || state.is_cut || state.is_torn {
            return None;
        }
        let n = self.elements.len();
        let end_of = |joint: usize| {
            let (element, side) = if joint < n { (joint, -1.0) } else { (n - 1, 1.0) };
            let pose = bodies[self.elements[element].0].position();
            let end = *pose * Vector::new(side * self.half_element_m, 0.0, 0.0);
            (joint, pose, middle.inverse_transform_point(end))
        };
        let nearest = (0..=n).map(end_of).min_by(|a, b| a.2.x.abs().total_cmp(&b.2.x.abs()))?;
        if nearest.2.x.abs() > 2.0 * self.half_element_m {
            return None;
        }
        let (joint, pose, end) = state.between.and_then(|between| between.joint).map_or(nearest, end_of);
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

/// What resists a push on `body` at the point `at` along the unit vector `towards`, kg: 1/m = 1/m_body + (r x n) I^-1 (r x n).
fn effective_mass_kg(body: &RigidBody, at: Vector, towards: Vector) -> f32 {
    let turning = (at - body.center_of_mass()).cross(towards);
    let properties = body.mass_properties();
    let per_kg = properties.effective_inv_mass.x + turning.dot(properties.effective_world_inv_inertia * turning);
    1.0 / per_kg.max(f32::MIN_POSITIVE)
}

/// A hinge about the vertical between `end` of one body and `x_m` of the other.
fn hinge(end: Vector, x_m: f32) -> RevoluteJointBuilder {
    RevoluteJointBuilder::new(Vector::Z)
        .local_anchor1(end)
        .local_anchor2(Vector::new(x_m, 0.0, 0.0))
        .contacts_enabled(false)
}
