//! A hand as data: joints, links, finger tips, palm and motors, from one table.
//!
//! Hand frame: x to the finger tips, y to the thumb side (of a mirror image: away from it), z out of the back of the hand. Held
//! palm down, z is up. It is the palm's; of a hand with a wrist, that of the palm while the wrist is at zero.
//! At zero joint positions every link frame is aligned with the hand frame; a link's origin is on its joint.

use crate::asset::{AssetError, HANDS, Library, SCENES};
use crate::hand_variant;
use crate::solid::Solid;
use crate::transmission::taken_by_slack;
use bridge::real::motors::MotorTable;
use bridge::{BodySpec, JointSpec};
use rapier3d::glamx::{DMat3, DVec3};
use std::collections::BTreeMap;

/// A hand whose parts fit together.
#[derive(Clone, Debug, PartialEq)]
pub struct Hand {
    /// Name, e.g. `orca_v2`.
    pub name: String,
    /// What [`Hand::load`] finds it by: its name, or the path of its file.
    pub address: String,
    /// What the hand is found by whose scenes, gaits and robot it has: it itself, or that of which it is a variant.
    pub family: String,
    /// Gaits of its own, by the names that the scene gives to those in whose place they are.
    pub gaits: BTreeMap<String, String>,
    /// It is the mirror image of that hand: scene and gaits are the other one's in the mirror.
    pub is_mirrored: bool,
    /// What turns the palm, about an axis through the origin of the hand frame: the first in every joint array. Its link is the
    /// palm, whose shapes are in `palm`. None where the palm stays where it is.
    pub wrist: Option<Joint>,
    /// The fingers, in the order of every joint array.
    pub fingers: Vec<Finger>,
    /// What the palm is made of.
    pub palm: Vec<Solid>,
    /// The motors of the real hand; none if there is none.
    pub motors: Option<MotorTable>,
}

/// A chain of links.
#[derive(Clone, Debug, PartialEq)]
pub struct Finger {
    /// Name, e.g. `index`.
    pub name: String,
    /// Index of its first joint in the joint arrays of the hand.
    pub first_joint: usize,
    /// Joints from the palm to the tip.
    pub joints: Vec<Joint>,
    /// The soft ball at its end.
    pub tip: Tip,
    /// Where inverse kinematics starts, rad: flexed, so that it ends in the natural branch.
    pub ik_seed_rad: Vec<f64>,
}

/// A revolute joint and the link behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Joint {
    /// Name within the hand, e.g. `index_mcp`.
    pub name: String,
    /// Unit axis; a positive angle flexes, or moves to the pinky.
    pub axis: DVec3,
    /// From the parent joint, m.
    pub offset_m: DVec3,
    /// Lowest position, rad.
    pub lower_rad: f64,
    /// Highest position, rad.
    pub upper_rad: f64,
    /// Position of the relaxed hand, rad.
    pub neutral_rad: f64,
    /// The motor that turns it.
    pub motor: Motor,
    /// Inertia of its motor's rotor as the joint feels it, kg m^2.
    pub armature_kg_m2: f64,
    /// Viscous friction, N m s/rad.
    pub damping_nm_s_rad: f64,
    /// The link behind the joint.
    pub link: Link,
}

/// A bone from the joint to `end_m`. Unless it has a form, it is a uniform capsule about its bone; a ball where the bone has no
/// length.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// End of the bone, in the link's frame, m.
    pub end_m: DVec3,
    /// Radius, m.
    pub radius_m: f64,
    /// Mass, kg.
    pub mass_kg: f64,
    /// Whether it touches anything.
    pub collides: bool,
    /// What is known of it beyond that.
    pub form: Option<Form>,
}

/// How a link's mass is spread, and what it touches with.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// Centre of mass, in the link's frame, m.
    pub center_of_mass_m: DVec3,
    /// Moments about the centre of mass, kg m^2.
    pub inertia_kg_m2: DMat3,
    /// What it is made of; nothing where it touches nothing.
    pub shapes: Vec<Solid>,
}

/// The ball at a finger's end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tip {
    /// Its centre, in the frame of the last link, m.
    pub center_m: DVec3,
    /// Radius, m.
    pub radius_m: f64,
    /// Mass, kg; 0 where the last link's has it.
    pub mass_kg: f64,
}

/// A position servo: torque = stiffness (target - position) - damping velocity, limited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Motor {
    /// Stiffness, N m/rad.
    pub stiffness_nm_rad: f64,
    /// Damping, N m s/rad.
    pub damping_nm_s_rad: f64,
    /// Highest torque, N m.
    pub max_effort_nm: f64,
    /// Fastest target, rad/s.
    pub max_rate_rad_s: f64,
}

impl Motor {
    /// Torque at a distance `error_rad` from the target, with the stiffness scaled by `gain_scale`, through a tendon that hangs
    /// through by `slack_rad`, N m.
    #[must_use]
    pub fn effort_nm(&self, gain_scale: f64, slack_rad: f32, error_rad: f32, velocity_rad_s: f32) -> f32 {
        let Some(taken_rad) = taken_by_slack(error_rad, slack_rad) else { return 0.0 };
        let error_rad = error_rad - taken_rad;
        let (stiffness_nm_rad, max_nm) = ((self.stiffness_nm_rad * gain_scale) as f32, self.max_effort_nm as f32);
        (stiffness_nm_rad * error_rad - self.damping_nm_s_rad as f32 * velocity_rad_s).clamp(-max_nm, max_nm)
    }
}

impl Hand {
    /// Names of all hands.
    pub fn names() -> impl Iterator<Item = &'static str> {
        HANDS.names()
    }

    /// Names of all hands, each with a few words on it.
    pub fn described() -> impl Iterator<Item = (&'static str, String)> {
        HANDS.described()
    }

    /// The hand of this name; or that in the file of this path, which ends in `.ron`.
    ///
    /// # Errors
    /// When there is none of that name (the error lists those that there are), or the file is not a hand.
    pub fn load(address: &str) -> Result<Self, AssetError> {
        let (library, name) = Library::of(address);
        hand_variant::resolve(&library.source_name(&HANDS, name), &library.text(&HANDS, name)?, address, &library)
    }

    /// The hands, variants too, whose family has a scene called `<task>_<family>`, by their names.
    pub(crate) fn with_scene(task: &'static str) -> impl Iterator<Item = (&'static str, Self)> {
        let has_scene = move |hand: &Self| SCENES.names().any(|name| name == format!("{task}_{}", hand.family));
        let hands = Self::names().filter_map(|name| Some((name, Self::load(name).ok()?)));
        hands.filter(move |(_, hand)| has_scene(hand))
    }

    /// Parses a hand from RON text that came from `source_name`; a variant of a hand is one of those that have names.
    ///
    /// # Errors
    /// When the text is not a hand, or its parts do not fit together.
    pub fn parse(source_name: &str, text: &str) -> Result<Self, AssetError> {
        hand_variant::resolve(source_name, text, source_name, &Library::BuiltIn)
    }

    /// Number of joints.
    #[must_use]
    pub fn n_joints(&self) -> usize {
        self.joints().count()
    }

    /// All joints, in the order of every joint array.
    pub fn joints(&self) -> impl Iterator<Item = &Joint> {
        self.wrist.iter().chain(self.fingers.iter().flat_map(|finger| &finger.joints))
    }

    pub(crate) fn joints_mut(&mut self) -> impl Iterator<Item = &mut Joint> {
        self.wrist.iter_mut().chain(self.fingers.iter_mut().flat_map(|finger| &mut finger.joints))
    }

    /// The posture whose fingers are at `fingers_rad`, and whose wrist, if there is one, is at its neutral position, rad.
    pub(crate) fn with_neutral_wrist(&self, fingers_rad: impl IntoIterator<Item = f64>) -> Vec<f64> {
        self.wrist.iter().map(|wrist| wrist.neutral_rad).chain(fingers_rad).collect()
    }

    /// The contract that a body with this hand offers.
    #[must_use]
    pub fn body_spec(&self, objects: Vec<String>, servo_hz: u32) -> BodySpec {
        let joints = self.joints().map(|joint| JointSpec {
            name: joint.name.clone(),
            lower_rad: joint.lower_rad as f32,
            upper_rad: joint.upper_rad as f32,
            max_rate_rad_s: joint.motor.max_rate_rad_s as f32,
            max_effort_nm: joint.motor.max_effort_nm as f32,
            stiffness_nm_rad: joint.motor.stiffness_nm_rad as f32,
        });
        BodySpec {
            name: self.name.clone(),
            joints: joints.collect(),
            tool: None,
            objects,
            signals: Vec::new(),
            servo_hz,
        }
    }
}
