//! URDF, the format of ROS.

use super::xml::{Xml, numbers, small_numbers};
use super::{base_of, y_of};
use crate::hand::{Hand, Joint};
use crate::inertia::Inertia;
use crate::solid::Solid;
use rapier3d::glamx::{DQuat, DVec3, EulerRot};
use std::collections::BTreeSet;

/// The hand as URDF. Joints are called as ours are and come in their order; the link behind a joint of a finger has
/// its name and `_link`. A capsule, which URDF does not know, is a cylinder and two balls.
#[must_use]
pub fn urdf(hand: &Hand) -> String {
    let words = |value: fn(&Joint) -> f64| {
        let different: BTreeSet<String> = hand.joints().map(|joint| numbers([value(joint)])).collect();
        different.into_iter().collect::<Vec<_>>().join(", ")
    };
    let mut xml = Xml::new(&format!(
        "  {}. Metres, kilograms, seconds, radians. The {}'s frame has x to the finger tips, y {}, z out\n  \
         of the back. URDF has no words for these: every motor is a position servo of {} N m/rad and {} N m s/rad, the\n  \
         inertia of its rotor at the joint is {} kg m^2; palm and fingers, and the links of one finger, do not touch.",
        hand.name,
        base_of(hand),
        y_of(hand),
        words(|joint| joint.motor.stiffness_nm_rad),
        words(|joint| joint.motor.damping_nm_s_rad),
        words(|joint| joint.armature_kg_m2)
    ));
    xml.open("robot", &[("name", hand.name.clone())]);
    if hand.wrist.is_some() {
        xml.leaf("link", &[("name", base_of(hand).into())]);
    }
    xml.open("link", &[("name", "palm".into())]);
    if let Some(wrist) = &hand.wrist {
        add_inertia(&mut xml, &Inertia::of_link(&wrist.link));
    }
    for part in &hand.palm {
        for shape in shapes(part) {
            shape.add(&mut xml, true);
        }
    }
    xml.close();
    if let Some(wrist) = &hand.wrist {
        add_joint(&mut xml, wrist, base_of(hand), "palm");
    }
    for finger in &hand.fingers {
        let mut parent = "palm".to_owned();
        for (link_index, joint) in finger.joints.iter().enumerate() {
            let name = format!("{}_link", joint.name);
            xml.open("link", &[("name", name.clone())]);
            add_inertia(&mut xml, &Inertia::of(finger, link_index));
            for shape in joint.link.shapes().iter().flat_map(shapes) {
                shape.add(&mut xml, joint.link.collides);
            }
            if link_index + 1 == finger.joints.len() {
                ball(finger.tip.center_m, finger.tip.radius_m).add(&mut xml, true);
            }
            xml.close();
            add_joint(&mut xml, joint, &parent, &name);
            parent = name;
        }
    }
    for joint in hand.joints() {
        xml.open("transmission", &[("name", format!("{}_transmission", joint.name))]);
        xml.word("type", "transmission_interface/SimpleTransmission");
        for (tag, name) in [("joint", joint.name.clone()), ("actuator", format!("{}_motor", joint.name))] {
            xml.open(tag, &[("name", name)]);
            xml.word("hardwareInterface", "hardware_interface/PositionJointInterface");
            xml.close();
        }
        xml.close();
    }
    xml.finish()
}

fn add_inertia(xml: &mut Xml, inertia: &Inertia) {
    xml.open("inertial", &[]);
    xml.leaf("origin", &[("xyz", numbers(inertia.center_m.to_array())), ("rpy", "0 0 0".into())]);
    xml.leaf("mass", &[("value", small_numbers([inertia.mass_kg]))]);
    let names = ["ixx", "iyy", "izz", "ixy", "ixz", "iyz"];
    let moments = names.into_iter().zip(inertia.moments_kg_m2()).map(|(name, moment)| (name, small_numbers([moment])));
    xml.leaf("inertia", &moments.collect::<Vec<_>>());
    xml.close();
}

fn add_joint(xml: &mut Xml, joint: &Joint, parent: &str, child: &str) {
    xml.open("joint", &[("name", joint.name.clone()), ("type", "revolute".into())]);
    xml.leaf("origin", &[("xyz", numbers(joint.offset_m.to_array())), ("rpy", "0 0 0".into())]);
    xml.leaf("parent", &[("link", parent.to_owned())]);
    xml.leaf("child", &[("link", child.to_owned())]);
    xml.leaf("axis", &[("xyz", numbers(joint.axis.to_array()))]);
    xml.leaf(
        "limit",
        &[
            ("lower", numbers([joint.lower_rad])),
            ("upper", numbers([joint.upper_rad])),
            ("effort", numbers([joint.motor.max_effort_nm])),
            ("velocity", numbers([joint.motor.max_rate_rad_s])),
        ],
    );
    xml.leaf("dynamics", &[("damping", numbers([joint.damping_nm_s_rad])), ("friction", "0".into())]);
    xml.close();
}

/// A shape of a link.
struct Shape {
    origin_m: DVec3,
    rpy_rad: [f64; 3],
    tag: &'static str,
    size: Vec<(&'static str, String)>,
}

impl Shape {
    fn add(&self, xml: &mut Xml, collides: bool) {
        for tag in ["visual", "collision"].into_iter().take(1 + usize::from(collides)) {
            xml.open(tag, &[]);
            xml.leaf("origin", &[("xyz", numbers(self.origin_m.to_array())), ("rpy", numbers(self.rpy_rad))]);
            xml.open("geometry", &[]);
            xml.leaf(self.tag, &self.size);
            xml.close();
            xml.close();
        }
    }
}

fn ball(center_m: DVec3, radius_m: f64) -> Shape {
    Shape { origin_m: center_m, rpy_rad: [0.0; 3], tag: "sphere", size: vec![("radius", numbers([radius_m]))] }
}

fn shapes(solid: &Solid) -> Vec<Shape> {
    match *solid {
        Solid::Box { center_m, half_extents_m, turn } => {
            let (yaw, pitch, roll) = turn.to_euler(EulerRot::ZYX);
            let size = vec![("size", numbers((2.0 * half_extents_m).to_array()))];
            vec![Shape { origin_m: center_m, rpy_rad: [roll, pitch, yaw], tag: "box", size }]
        }
        Solid::Capsule { from_m, to_m, radius_m } => capsule(from_m, to_m, radius_m),
        Solid::Ball { center_m, radius_m } => vec![ball(center_m, radius_m)],
    }
}

fn capsule(from_m: DVec3, to_m: DVec3, radius_m: f64) -> Vec<Shape> {
    let Some(axis) = (to_m - from_m).try_normalize() else { return vec![ball(from_m, radius_m)] };
    // A cylinder is along z: Rz(yaw) Ry(pitch) Rx(0) turns z to (sin pitch cos yaw, sin pitch sin yaw, cos pitch).
    let (pitch, yaw) = (axis.z.clamp(-1.0, 1.0).acos(), axis.y.atan2(axis.x));
    debug_assert!((DQuat::from_rotation_z(yaw) * DQuat::from_rotation_y(pitch) * DVec3::Z - axis).length() < 1e-9);
    let size = vec![("radius", numbers([radius_m])), ("length", numbers([(to_m - from_m).length()]))];
    let cylinder = Shape { origin_m: 0.5 * (from_m + to_m), rpy_rad: [0.0, pitch, yaw], tag: "cylinder", size };
    vec![ball(from_m, radius_m), cylinder, ball(to_m, radius_m)]
}
