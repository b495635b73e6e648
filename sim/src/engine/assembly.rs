//! A hand is put into its world: palm, fingers and, where there is one, the wrist.

use super::{Engine, Mount, Surroundings, vector};
use crate::collision::Groups;
use crate::hand::{Finger, Hand, Joint};
use crate::parts::{PartKind, Shape};
use crate::solid::Solid;
use rapier3d::prelude::{
    FixedJointBuilder, MassProperties, MotorModel, Pose, RevoluteJointBuilder, RigidBodyBuilder, RigidBodyHandle,
    Rotation, Vector,
};

/// Mass (kg) and inertia (kg m^2) of the roots that weld fingers to a palm that moves: those of a ball of 2 cm.
const ROOT_MASS_KG: f32 = 0.1;
const ROOT_INERTIA_KG_M2: f32 = 1.6e-5;

impl Engine {
    /// Puts the hand on its `mount`, with joint positions `q_rad`.
    pub(super) fn insert_hand(
        &mut self,
        hand: &Hand,
        q_rad: &[f32],
        mount: Mount,
        groups: Groups,
        surroundings: &Surroundings,
    ) {
        let friction = surroundings.friction as f32;
        match &hand.wrist {
            None => {
                self.base = self.insert_base("palm", mount);
                self.dress_palm(hand, self.base, groups, friction);
                for (index, finger) in hand.fingers.iter().enumerate() {
                    let root = self.insert_root(&finger.name, mount);
                    let q_rad = &q_rad[finger.first_joint..][..finger.joints.len()];
                    self.insert_finger(index, finger, q_rad, root, groups, surroundings);
                    self.settle_multibody(&finger.joints, q_rad, false);
                }
            }
            Some(wrist) => {
                self.base = self.insert_base("forearm", mount);
                let root = self.insert_root(&wrist.name, mount);
                let palm = self.insert_link("palm", wrist, q_rad[0], root, surroundings);
                self.dress_palm(hand, palm.0, groups, friction);
                for (index, finger) in hand.fingers.iter().enumerate() {
                    let q_rad = &q_rad[finger.first_joint..][..finger.joints.len()];
                    self.insert_finger(index, finger, q_rad, palm, groups, surroundings);
                }
                // Fingers touch each other, as far as their groups say.
                self.settle_multibody(hand.joints(), q_rad, true);
            }
        }
    }

    fn insert_base(&mut self, name: &str, mount: Mount) -> RigidBodyHandle {
        let base = match mount {
            Mount::Fixed => RigidBodyBuilder::fixed(),
            Mount::Moving { pose, mass_kg, inertia_kg_m2 } => weightless(pose, mass_kg, inertia_kg_m2),
        };
        self.insert(name, base)
    }

    /// Gives the palm its shapes.
    fn dress_palm(&mut self, hand: &Hand, palm: RigidBodyHandle, groups: Groups, friction: f32) {
        for part in &hand.palm {
            let collider = part.collider().collision_groups(groups.palm()).friction(friction);
            self.physics.insert_collider(collider, Some(palm));
            let (turn, shape) = part.drawn();
            self.show_turned(palm, PartKind::Palm, turn, shape);
        }
    }

    fn insert_finger(
        &mut self,
        index: usize,
        finger: &Finger,
        q_rad: &[f32],
        mut parent: (RigidBodyHandle, Pose),
        groups: Groups,
        surroundings: &Surroundings,
    ) {
        let friction = surroundings.friction as f32;
        let n_joints = finger.joints.len();
        for (link_index, (joint, &q)) in finger.joints.iter().zip(q_rad).enumerate() {
            let is_distal = link_index + 1 == n_joints;
            parent = self.insert_link(&joint.name, joint, q, parent, surroundings);
            let body = parent.0;
            let link_groups = groups.link(&joint.link, index, is_distal);
            for collider in joint.link.colliders() {
                self.physics.insert_collider(collider.friction(friction).collision_groups(link_groups), Some(body));
            }
            for (turn, shape) in joint.link.shapes().iter().map(Solid::drawn) {
                self.show_turned(body, PartKind::Link { finger: index }, turn, shape);
            }
            if is_distal {
                let (center, radius) = (vector(finger.tip.center_m), finger.tip.radius_m as f32);
                let tip = finger.tip.collider().friction(friction).collision_groups(groups.distal(index));
                self.physics.insert_collider(tip, Some(body));
                let shape = Shape::Ball { center_m: center.into(), radius_m: radius };
                self.show(body, PartKind::Tip { finger: index }, shape);
            }
        }
    }

    /// The link behind `joint` on `parent`, by its name, without its shapes; and where it is.
    fn insert_link(
        &mut self,
        name: &str,
        joint: &Joint,
        q_rad: f32,
        (parent, pose): (RigidBodyHandle, Pose),
        surroundings: &Surroundings,
    ) -> (RigidBodyHandle, Pose) {
        let (axis, offset) = (vector(joint.axis), vector(joint.offset_m));
        let pose = pose * Pose::from_translation(offset) * Pose::from_rotation(Rotation::from_axis_angle(axis, q_rad));
        let body = RigidBodyBuilder::dynamic().pose(pose).can_sleep(false).gyroscopic_forces_enabled(false);
        let body = match joint.link.additional_mass() {
            Some(mass) => body.additional_mass_properties(mass),
            None => body,
        };
        let body = self.insert(name, body);
        let motor = &joint.motor;
        let stiffness_nm_rad = (motor.stiffness_nm_rad * surroundings.motor_gain_scale) as f32;
        let revolute = RevoluteJointBuilder::new(axis)
            .local_anchor1(offset)
            .local_anchor2(Vector::ZERO)
            .limits([joint.lower_rad as f32, joint.upper_rad as f32])
            .contacts_enabled(false)
            .motor_model(MotorModel::ForceBased)
            .motor_position(q_rad, stiffness_nm_rad, motor.damping_nm_s_rad as f32)
            .motor_max_force(motor.max_effort_nm as f32);
        self.joints.extend(self.physics.insert_multibody_joint(parent, body, revolute));
        (body, pose)
    }

    /// What the tree of `joint` stands on, and where.
    fn insert_root(&mut self, joint: &str, mount: Mount) -> (RigidBodyHandle, Pose) {
        let name = format!("root of {joint}");
        match mount {
            Mount::Fixed => (self.insert(&name, RigidBodyBuilder::fixed()), Pose::identity()),
            Mount::Moving { pose, .. } => {
                let root = self.insert(&name, weightless(pose, ROOT_MASS_KG, ROOT_INERTIA_KG_M2));
                let weld = FixedJointBuilder::new().contacts_enabled(false);
                self.physics.insert_impulse_joint(self.base, root, weld);
                (root, pose)
            }
        }
    }

    /// Gives the multibody that was inserted last, of `joints`, its joint positions (it starts at zero, wherever its bodies are),
    /// and its damping and armature (without armature, links of 20 g lose a cube of 80 g; Rapier's own default damping of
    /// 0.1 N m s/rad would hold a finger like honey). A root that moves has six degrees of freedom before the joints'.
    fn settle_multibody<'a>(
        &mut self,
        joints: impl IntoIterator<Item = &'a Joint>,
        q_rad: &[f32],
        touches_itself: bool,
    ) {
        let Some(&last) = self.joints.last() else { return };
        let Some((multibody, _)) = self.physics.multibody_joints.get_mut(last) else { return };
        let bodies = &mut self.physics.bodies;
        multibody.set_self_contacts_enabled(touches_itself);
        // A fixed root counts six degrees of freedom until the first forward kinematics.
        multibody.forward_kinematics(bodies, true);
        let n_root = multibody.ndofs() - q_rad.len();
        let displacements: Vec<f32> = std::iter::repeat_n(0.0, n_root).chain(q_rad.iter().copied()).collect();
        multibody.apply_displacements(&displacements);
        multibody.forward_kinematics(bodies, false);
        multibody.update_rigid_bodies(bodies, false);
        multibody.damping_mut().fill(0.0);
        multibody.armature_mut().fill(0.0);
        for (dof, joint) in (n_root..).zip(joints) {
            multibody.damping_mut()[dof] = joint.damping_nm_s_rad as f32;
            multibody.armature_mut()[dof] = joint.armature_kg_m2 as f32;
        }
    }
}

/// A dynamic body that the arm holds up.
fn weightless(pose: Pose, mass_kg: f32, inertia_kg_m2: f32) -> RigidBodyBuilder {
    let properties = MassProperties::new(Vector::ZERO, mass_kg, Vector::splat(inertia_kg_m2));
    let body = RigidBodyBuilder::dynamic().pose(pose).gravity_scale(0.0).can_sleep(false);
    body.additional_mass_properties(properties).gyroscopic_forces_enabled(false)
}
