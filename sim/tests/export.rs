//! Contract: an exported hand is the hand: the same tree, the same kinematics, the same masses, in well-formed XML.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bridge::random::stream;
use rand::Rng;
use rapier3d::glamx::{DQuat, DVec3};
use sim::export::{mjcf, mjcf_scissors, urdf};
use sim::{FingerContacts, Hand, PartKind, ScissorsDomain, ScissorsScene, Simulated};
use std::collections::BTreeMap;

/// An element of an XML document.
#[derive(Debug, Default)]
struct Element {
    tag: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
}

impl Element {
    /// Parses what the exporters write. Panics where elements are not closed as they were opened.
    fn parse(text: &str) -> Self {
        let mut open = vec![Self::default()];
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            let end =
                if rest[start..].starts_with("<!--") { rest.find("-->").unwrap() + 2 } else { rest.find('>').unwrap() };
            let tag = &rest[start + 1..end];
            if let Some(name) = tag.strip_prefix('/') {
                let element = open.pop().unwrap();
                assert_eq!(element.tag, name);
                open.last_mut().unwrap().children.push(element);
            } else if !tag.starts_with(['?', '!']) {
                let (name, attributes) =
                    tag.trim_end_matches('/').split_once(' ').unwrap_or((tag.trim_end_matches('/'), ""));
                let mut parts = attributes.split('"');
                let mut element = Self { tag: name.into(), ..Self::default() };
                while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                    let key = key.trim().strip_suffix('=').unwrap();
                    assert!(element.attributes.insert(key.into(), value.into()).is_none(), "{name} has two {key}");
                }
                if tag.ends_with('/') { open.last_mut().unwrap().children.push(element) } else { open.push(element) }
            }
            rest = &rest[end + 1..];
        }
        assert_eq!(open.len(), 1, "an element is not closed");
        open.remove(0).children.remove(0)
    }

    fn all(&self, tag: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.tag == tag)
    }

    fn one(&self, tag: &str) -> &Self {
        self.all(tag).next().unwrap_or_else(|| panic!("no {tag} in {}", self.tag))
    }

    fn numbers(&self, attribute: &str) -> Vec<f64> {
        self.attributes[attribute].split(' ').map(|number| number.parse().unwrap()).collect()
    }

    fn vector(&self, attribute: &str) -> DVec3 {
        DVec3::from_slice(&self.numbers(attribute))
    }

    fn text(&self, attribute: &str) -> &str {
        &self.attributes[attribute]
    }
}

/// Origin and orientation of every link in the hand frame, by the name of its joint.
type Poses = BTreeMap<String, (DVec3, DQuat)>;

fn mjcf_poses(body: &Element, origin: DVec3, turn: DQuat, q_rad: &BTreeMap<String, f64>, poses: &mut Poses) {
    for body in body.all("body") {
        let origin = if body.attributes.contains_key("pos") { origin + turn * body.vector("pos") } else { origin };
        let mut turn = turn;
        // A palm that is fixed has none.
        for joint in body.all("joint") {
            turn *= DQuat::from_axis_angle(joint.vector("axis"), q_rad[joint.text("name")]);
            poses.insert(joint.text("name").into(), (origin, turn));
        }
        mjcf_poses(body, origin, turn, q_rad, poses);
    }
}

fn urdf_poses(robot: &Element, q_rad: &BTreeMap<String, f64>) -> Poses {
    let mut links = BTreeMap::from([(robot.one("link").text("name"), (DVec3::ZERO, DQuat::IDENTITY))]);
    let mut poses = Poses::new();
    for joint in robot.all("joint") {
        let (origin, turn) = links[joint.one("parent").text("link")];
        let origin = origin + turn * joint.one("origin").vector("xyz");
        let turn = turn * DQuat::from_axis_angle(joint.one("axis").vector("xyz"), q_rad[joint.text("name")]);
        links.insert(joint.one("child").text("link"), (origin, turn));
        poses.insert(joint.text("name").into(), (origin, turn));
    }
    poses
}

fn posture(hand: &Hand, index: u64) -> Vec<f64> {
    let mut rng = stream(1, "posture", index);
    hand.joints().map(|joint| rng.random_range(joint.lower_rad..=joint.upper_rad)).collect()
}

/// Contract: in both formats every link is where ours is, in any posture.
#[test]
fn exported_links_are_where_ours_are() {
    for name in Hand::names() {
        let hand = Hand::load(name).unwrap();
        let (mujoco, robot) = (Element::parse(&mjcf(&hand, FingerContacts::Distal)), Element::parse(&urdf(&hand)));
        for index in 0..20 {
            let q_rad = posture(&hand, index);
            let named = hand.joints().zip(&q_rad).map(|(joint, &q)| (joint.name.clone(), q)).collect();
            let mut poses = Poses::new();
            mjcf_poses(mujoco.one("worldbody"), DVec3::ZERO, DQuat::IDENTITY, &named, &mut poses);
            for (format, poses) in [("MJCF", poses), ("URDF", urdf_poses(&robot, &named))] {
                assert_eq!(poses.len(), hand.n_joints(), "{name}, {format}");
                let palm_turn = hand.palm_turn(&q_rad);
                for finger in &hand.fingers {
                    let q_rad = &q_rad[finger.first_joint..][..finger.joints.len()];
                    for (link, joint) in finger.joints.iter().enumerate() {
                        let (origin, turn) = poses[&joint.name];
                        for local_m in [DVec3::ZERO, joint.link.end_m, DVec3::splat(0.01)] {
                            let ours_m = palm_turn * finger.point_m(q_rad, link, local_m);
                            let off_m = (origin + turn * local_m - ours_m).length();
                            assert!(off_m < 1e-9, "{format}: {} is off by {off_m} m", joint.name);
                        }
                    }
                }
            }
        }
    }
}

/// Contract: MuJoCo has the tips of the exported hand where ours are. The golden holds postures and the tips that MuJoCo
/// found; `benches/peers/test_export.py --golden` makes it.
#[test]
fn mujoco_has_the_tips_where_ours_are() {
    let hand = Hand::load("orca_v2").unwrap();
    let mut n_tips = 0;
    for line in include_str!("golden/orca_v2_tips.csv").lines().filter(|line| !line.starts_with('#')) {
        let values: Vec<f64> = line.split(',').map(|value| value.parse().unwrap()).collect();
        let (q_rad, tips_m) = values.split_at(hand.n_joints());
        for (finger, theirs_m) in hand.fingers.iter().zip(tips_m.chunks_exact(3)) {
            let ours_m = finger.tip_m(&q_rad[finger.first_joint..][..finger.joints.len()]);
            let off_m = (ours_m - DVec3::from_slice(theirs_m)).length();
            assert!(off_m < 1e-8, "{}: {ours_m} m, MuJoCo has {theirs_m:?} m", finger.name);
            n_tips += 1;
        }
    }
    assert!(n_tips >= 50, "{n_tips} tips");
}

/// Contract: limits, gains, armature, masses and shapes are ours; both formats have every joint, in our order.
#[test]
fn exported_numbers_are_ours() {
    for name in ["orca_v2", "orca_v2_wrist"] {
        check_numbers(&Hand::load(name).unwrap());
    }
}

fn check_numbers(hand: &Hand) {
    let mujoco = Element::parse(&mjcf(hand, FingerContacts::Distal));
    let robot = Element::parse(&urdf(hand));
    let names: Vec<&str> = hand.joints().map(|joint| joint.name.as_str()).collect();
    let actuators: Vec<&str> = mujoco.one("actuator").all("position").map(|motor| motor.text("joint")).collect();
    let joints: Vec<&str> = robot.all("joint").map(|joint| joint.text("name")).collect();
    assert_eq!((&actuators, &joints), (&names, &names));

    let defaults = mujoco.one("default");
    let usual = &hand.fingers[0].joints[0];
    let motor = usual.motor;
    assert_eq!(defaults.one("joint").numbers("armature"), [usual.armature_kg_m2]);
    assert_eq!(defaults.one("joint").numbers("damping"), [usual.damping_nm_s_rad]);
    assert_eq!(defaults.one("position").numbers("kp"), [motor.stiffness_nm_rad]);
    assert_eq!(defaults.one("position").numbers("kv"), [motor.damping_nm_s_rad]);
    assert_eq!(defaults.one("position").numbers("forcerange"), [-motor.max_effort_nm, motor.max_effort_nm]);
    for (joint, exported) in hand.joints().zip(robot.all("joint")) {
        let limit = exported.one("limit");
        for (attribute, value) in [("lower", joint.lower_rad), ("upper", joint.upper_rad)] {
            assert!((limit.numbers(attribute)[0] - value).abs() < 1e-11, "{}: {attribute}", joint.name);
        }
        assert_eq!(limit.numbers("effort"), [joint.motor.max_effort_nm]);
    }

    // Of both formats: the sum of all masses is that of the table, and every centre of mass is within its link.
    let table_kg: f64 = hand.joints().map(|joint| joint.link.mass_kg).sum::<f64>()
        + hand.fingers.iter().map(|finger| finger.tip.mass_kg).sum::<f64>();
    let urdf_kg: f64 =
        robot.all("link").flat_map(|link| link.all("inertial")).map(|it| it.one("mass").numbers("value")[0]).sum();
    let text = mjcf(hand, FingerContacts::Distal);
    let masses = text.split("mass=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse::<f64>().unwrap());
    for exported_kg in [urdf_kg, masses.sum()] {
        assert!((exported_kg - table_kg).abs() < 1e-6, "{exported_kg} kg, expected {table_kg} kg");
    }
    // A uniform capsule of the middle finger: along its axis the moment is that of a thin body, across it larger.
    let [x, y, z, ..] = robot
        .all("link")
        .find(|link| link.text("name") == "middle_mcp_link")
        .map(|link| ["ixx", "iyy", "izz"].map(|moment| link.one("inertial").one("inertia").numbers(moment)[0]))
        .unwrap();
    assert!(x > 0.0 && y > 2.0 * x && z > 2.0 * x, "{x}, {y}, {z} kg m^2");
}

/// Contract: fingers touch each other as they are told to; palm and fingers never do; objects are touched by all that
/// collides.
#[test]
fn exported_contacts_are_ours() {
    let hand = Hand::load("orca_v2").unwrap();
    for (contacts, fingers_touch) in [(FingerContacts::Off, false), (FingerContacts::Distal, true)] {
        let mujoco = Element::parse(&mjcf(&hand, contacts));
        let palm = mujoco.one("worldbody").one("body");
        let last = |index: usize| {
            let mut body = palm.all("body").nth(index).unwrap();
            while let Some(next) = body.all("body").next() {
                body = next;
            }
            body.all("geom").last().unwrap()
        };
        let bits = |geom: &Element| ["contype", "conaffinity"].map(|name| geom.numbers(name)[0] as u32);
        let touch = |a: [u32; 2], b: [u32; 2]| a[0] & b[1] != 0 || b[0] & a[1] != 0;
        let (index, middle, back) = (bits(last(0)), bits(last(1)), bits(palm.one("geom")));
        assert_eq!(touch(index, middle), fingers_touch, "{contacts:?}");
        assert!(!touch(index, index) && !touch(back, index) && !touch(back, middle), "{contacts:?}");
        let object = [1, 1];
        assert!(touch(object, index) && touch(object, back), "{contacts:?}");
    }
}

/// Contract: exported scissors have the mass of the scene's, two halves with as many shapes as ours, which touch what is no object,
/// and a pivot with our range and friction.
#[test]
fn exported_scissors_are_ours() {
    let scene = ScissorsScene::load("orca_v2").unwrap();
    let shears = scene.parameters().shears;
    let text = mjcf_scissors(&shears, 0.8);
    let parsed = Element::parse(&text);
    let finger = parsed.one("worldbody").one("body");
    let thumb = finger.one("body");
    let shown = |half: usize| {
        let body = scene.body(ScissorsDomain::load("scissors_exact").unwrap());
        body.engine().parts().filter(|part| part.kind == PartKind::Scissors { half }).count()
    };
    let mut mass_kg = 0.0;
    for (half, body) in [finger, thumb].into_iter().enumerate() {
        mass_kg += body.one("inertial").numbers("mass")[0];
        assert_eq!(body.all("geom").count(), shown(half));
        for geom in body.all("geom") {
            assert_eq!((geom.numbers("contype")[0], geom.numbers("conaffinity")[0]), (1.0, 0.0));
        }
        assert_eq!(body.all("geom").filter(|geom| geom.numbers("friction")[0] == 0.8).count(), shown(half) - 1);
        // The loop is above the pivot, the blade below, so their centre is near to it.
        assert!(body.one("inertial").vector("pos").length() < 0.02);
    }
    assert!((mass_kg - shears.mass_kg.get()).abs() < 1e-6, "{mass_kg} kg");
    let pivot = thumb.one("joint");
    assert_eq!(pivot.numbers("range")[0], -shears.max_opening_rad.get());
    assert_eq!(pivot.numbers("frictionloss"), [shears.pivot_friction_nm.get()]);
}
