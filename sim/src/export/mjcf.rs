//! MJCF, the format of MuJoCo.

use super::inertia::Inertia;
use super::xml::{Xml, numbers, small_numbers};
use crate::collision::{FingerContacts, Groups};
use crate::engine::PHYSICS_HZ;
use crate::hand::{Finger, Hand};
use rapier3d::prelude::InteractionGroups;

/// The hand as MJCF. Joints, bodies and actuators are called as our joints are and come in their order; an actuator's
/// control is the target of its joint, rad.
///
/// `finger_contacts` becomes contype and conaffinity. An object that the hand is to touch has contype 1.
#[must_use]
pub fn mjcf(hand: &Hand, finger_contacts: FingerContacts) -> String {
    let groups = Groups::new(finger_contacts);
    let motor = &hand.motor;
    let mut xml = Xml::new(&format!(
        "  {}. Metres, kilograms, seconds, radians. The palm is fixed; its frame has x to the finger tips, y to the\n  \
         thumb side, z out of the back. Targets are made for joints that turn at {} rad/s at most: MJCF has no word for it.",
        hand.name, motor.max_rate_rad_s
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
    let (damping, armature) = (numbers([hand.joint_damping_nm_s_rad]), numbers([hand.armature_kg_m2]));
    xml.leaf("joint", &[("type", "hinge".into()), ("damping", damping), ("armature", armature)]);
    xml.leaf("geom", &[("friction", "1 0.005 0.0001".into()), ("condim", "3".into())]);
    xml.leaf(
        "position",
        &[
            ("kp", numbers([motor.stiffness_nm_rad])),
            ("kv", numbers([motor.damping_nm_s_rad])),
            ("forcerange", numbers([-motor.max_effort_nm, motor.max_effort_nm])),
        ],
    );
    xml.close();

    xml.open("worldbody", &[]);
    xml.open("body", &[("name", "palm".into())]);
    for part in &hand.palm {
        let box_ = [
            ("type", "box".to_owned()),
            ("pos", numbers(part.center_m.to_array())),
            ("size", numbers(part.half_extents_m.to_array())),
        ];
        xml.leaf("geom", &[&box_[..], &contacts(groups.palm())[..]].concat());
    }
    for (index, finger) in hand.fingers.iter().enumerate() {
        add_finger(&mut xml, finger, index, groups);
    }
    xml.close();
    xml.close();

    xml.open("actuator", &[]);
    for joint in hand.joints() {
        let range = numbers([joint.lower_rad, joint.upper_rad]);
        xml.leaf("position", &[("name", joint.name.clone()), ("joint", joint.name.clone()), ("ctrlrange", range)]);
    }
    xml.close();
    xml.finish()
}

fn add_finger(xml: &mut Xml, finger: &Finger, index: usize, groups: Groups) {
    for (link_index, joint) in finger.joints.iter().enumerate() {
        let is_distal = link_index + 1 == finger.joints.len();
        xml.open("body", &[("name", joint.name.clone()), ("pos", numbers(joint.offset_m.to_array()))]);
        let inertia = Inertia::of(finger, link_index);
        xml.leaf(
            "inertial",
            &[
                ("pos", numbers(inertia.center_m.to_array())),
                ("mass", small_numbers([inertia.mass_kg])),
                ("fullinertia", small_numbers(inertia.moments_kg_m2())),
            ],
        );
        xml.leaf(
            "joint",
            &[
                ("name", joint.name.clone()),
                ("axis", numbers(joint.axis.to_array())),
                ("range", numbers([joint.lower_rad, joint.upper_rad])),
            ],
        );
        let (end_m, radius_m) = (joint.link.end_m, numbers([joint.link.radius_m]));
        let shape = if end_m.length() > 0.0 {
            let ends = [0.0; 3].into_iter().chain(end_m.to_array());
            vec![("type", "capsule".to_owned()), ("fromto", numbers(ends)), ("size", radius_m)]
        } else {
            vec![("type", "sphere".to_owned()), ("size", radius_m)]
        };
        let link_groups = groups.link(&joint.link, index, is_distal);
        xml.leaf("geom", &[&shape[..], &contacts(link_groups)[..]].concat());
        if is_distal {
            let tip = [
                ("name", format!("{}_tip", finger.name)),
                ("type", "sphere".to_owned()),
                ("pos", numbers(finger.tip.center_m.to_array())),
                ("size", numbers([finger.tip.radius_m])),
            ];
            xml.leaf("geom", &[&tip[..], &contacts(groups.distal(index))[..]].concat());
        }
    }
    for _ in &finger.joints {
        xml.close();
    }
}

/// Two geoms touch where one's contype has a bit of the other's conaffinity: so do ours, whose groups agree on both sides.
fn contacts(groups: InteractionGroups) -> [(&'static str, String); 2] {
    let bits = |bits: u32| (bits & 0x7fff_ffff).to_string();
    [("contype", bits(groups.memberships.bits())), ("conaffinity", bits(groups.filter.bits()))]
}
