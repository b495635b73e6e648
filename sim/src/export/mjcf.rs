//! MJCF, the format of MuJoCo.

use super::xml::{Xml, numbers, small_numbers};
use super::{base_of, y_of};
use crate::collision::{FingerContacts, Groups};
use crate::engine::PHYSICS_HZ;
use crate::hand::{Finger, Hand, Joint};
use crate::inertia::Inertia;
use crate::solid::Solid;
use rapier3d::glamx::{DQuat, DVec3};
use rapier3d::prelude::InteractionGroups;
use std::collections::BTreeSet;

/// The hand as MJCF. Joints, bodies and actuators are called as our joints are and come in their order; an actuator's
/// control is the target of its joint, rad. The defaults are those of the first finger's first joint; others say in
/// what they differ.
///
/// `finger_contacts` becomes contype and conaffinity. An object that the hand is to touch has contype 1.
#[must_use]
pub fn mjcf(hand: &Hand, finger_contacts: FingerContacts) -> String {
    let groups = Groups::new(finger_contacts);
    let usual = hand.fingers.iter().flat_map(|finger| &finger.joints).next();
    let rates = hand.joints().map(|joint| numbers([joint.motor.max_rate_rad_s])).collect::<BTreeSet<_>>();
    let mut xml = Xml::new(&format!(
        "  {}. Metres, kilograms, seconds, radians. The {} is fixed; its frame has x to the finger tips,\n  \
         y {}, z out of the back. Targets are made for joints that turn at {} rad/s at most: MJCF has no word for it.",
        hand.name,
        base_of(hand),
        y_of(hand),
        rates.into_iter().collect::<Vec<_>>().join(", ")
    ));
    xml.open("mujoco", &[("model", hand.name.clone())]);
    xml.leaf(
        "compiler",
        &[("angle", "radian".into()), ("autolimits", "true".into()), ("inertiafromgeom", "false".into())],
    );
    xml.leaf(
        "option",
        &[
            ("timestep", numbers([1.0 / f64::from(PHYSICS_HZ)])),
            ("integrator", "implicitfast".into()),
            // Pyramidal cones and a low impratio let grasped objects creep.
            ("cone", "elliptic".into()),
            ("impratio", "10".into()),
        ],
    );
    xml.open("default", &[]);
    let hinge = [("type", "hinge".to_owned())];
    xml.leaf("joint", &[&hinge[..], &usual.map(dynamics).unwrap_or_default()].concat());
    xml.leaf("geom", &[("friction", "1 0.005 0.0001".into()), ("condim", "3".into())]);
    xml.leaf("position", &usual.map(gains).unwrap_or_default());
    xml.close();

    xml.open("worldbody", &[]);
    xml.open("body", &[("name", "palm".into())]);
    if let Some(wrist) = &hand.wrist {
        add_joint(&mut xml, wrist, &Inertia::of_link(&wrist.link), usual);
    }
    for part in &hand.palm {
        xml.leaf("geom", &[&geom(part)[..], &contacts(groups.palm())[..]].concat());
    }
    for (index, finger) in hand.fingers.iter().enumerate() {
        add_finger(&mut xml, finger, index, groups, usual);
    }
    xml.close();
    xml.close();

    xml.open("actuator", &[]);
    for joint in hand.joints() {
        let range = numbers([joint.lower_rad, joint.upper_rad]);
        let name = joint.name.clone();
        let actuator = [("name", name.clone()), ("joint", name), ("ctrlrange", range)];
        xml.leaf("position", &[&actuator[..], &unusual(joint, usual, gains)].concat());
    }
    xml.close();
    xml.finish()
}

fn add_finger(xml: &mut Xml, finger: &Finger, index: usize, groups: Groups, usual: Option<&Joint>) {
    for (link_index, joint) in finger.joints.iter().enumerate() {
        let is_distal = link_index + 1 == finger.joints.len();
        xml.open("body", &[("name", joint.name.clone()), ("pos", numbers(joint.offset_m.to_array()))]);
        add_joint(xml, joint, &Inertia::of(finger, link_index), usual);
        let link_groups = groups.link(&joint.link, index, is_distal);
        for shape in joint.link.shapes() {
            xml.leaf("geom", &[&geom(&shape)[..], &contacts(link_groups)[..]].concat());
        }
        if is_distal {
            let tip = Solid::Ball { center_m: finger.tip.center_m, radius_m: finger.tip.radius_m };
            let name = [("name", format!("{}_tip", finger.name))];
            xml.leaf("geom", &[&name[..], &geom(&tip), &contacts(groups.distal(index))[..]].concat());
        }
    }
    for _ in &finger.joints {
        xml.close();
    }
}

/// The joint of the body that was begun last, whose mass is as `inertia` says.
fn add_joint(xml: &mut Xml, joint: &Joint, inertia: &Inertia, usual: Option<&Joint>) {
    add_inertia(xml, inertia);
    let hinge = [
        ("name", joint.name.clone()),
        ("axis", numbers(joint.axis.to_array())),
        ("range", numbers([joint.lower_rad, joint.upper_rad])),
    ];
    xml.leaf("joint", &[&hinge[..], &unusual(joint, usual, dynamics)].concat());
}

pub(super) fn add_inertia(xml: &mut Xml, inertia: &Inertia) {
    xml.leaf(
        "inertial",
        &[
            ("pos", numbers(inertia.center_m.to_array())),
            ("mass", small_numbers([inertia.mass_kg])),
            ("fullinertia", small_numbers(inertia.moments_kg_m2())),
        ],
    );
}

pub(super) fn geom(solid: &Solid) -> Vec<(&'static str, String)> {
    match *solid {
        Solid::Box { center_m, half_extents_m, turn } => {
            let (pos, size) = (numbers(center_m.to_array()), numbers(half_extents_m.to_array()));
            let quat = (turn != DQuat::IDENTITY).then(|| ("quat", numbers([turn.w, turn.x, turn.y, turn.z])));
            [("type", "box".to_owned()), ("pos", pos), ("size", size)].into_iter().chain(quat).collect()
        }
        Solid::Capsule { from_m, to_m, radius_m } if from_m != to_m => {
            let ends = from_m.to_array().into_iter().chain(to_m.to_array());
            vec![("type", "capsule".to_owned()), ("fromto", numbers(ends)), ("size", numbers([radius_m]))]
        }
        Solid::Capsule { from_m: center_m, radius_m, .. } | Solid::Ball { center_m, radius_m } => {
            let pos = (center_m != DVec3::ZERO).then(|| ("pos", numbers(center_m.to_array())));
            let ball = [("type", "sphere".to_owned()), ("size", numbers([radius_m]))];
            ball.into_iter().chain(pos).collect()
        }
    }
}

fn dynamics(joint: &Joint) -> Vec<(&'static str, String)> {
    vec![("damping", numbers([joint.damping_nm_s_rad])), ("armature", numbers([joint.armature_kg_m2]))]
}

fn gains(joint: &Joint) -> Vec<(&'static str, String)> {
    let motor = &joint.motor;
    vec![
        ("kp", numbers([motor.stiffness_nm_rad])),
        ("kv", numbers([motor.damping_nm_s_rad])),
        ("forcerange", numbers([-motor.max_effort_nm, motor.max_effort_nm])),
    ]
}

/// In what a joint differs from the usual one.
fn unusual(
    joint: &Joint,
    usual: Option<&Joint>,
    of: fn(&Joint) -> Vec<(&'static str, String)>,
) -> Vec<(&'static str, String)> {
    let usual = usual.map(of).unwrap_or_default();
    of(joint).into_iter().filter(|attribute| !usual.contains(attribute)).collect()
}

/// Two geoms touch where one's contype has a bit of the other's conaffinity: so do ours, whose groups agree on both sides.
fn contacts(groups: InteractionGroups) -> [(&'static str, String); 2] {
    let bits = |bits: u32| (bits & 0x7fff_ffff).to_string();
    [("contype", bits(groups.memberships.bits())), ("conaffinity", bits(groups.filter.bits()))]
}
