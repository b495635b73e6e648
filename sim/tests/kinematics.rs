//! The hands as data: geometry, kinematics, and what is refused.

use rapier3d::glamx::{DQuat, DVec3};
use sim::kinematics::Pointing;
use sim::{Cube, FingerContacts, Hand, PartKind, Surroundings, World};

/// The published table of the ORCA v2 hand (mm, table frame: x to the pinky, y palmar, z to the finger tips).
const ORCA_ANCHORS_MM: [(&str, [f64; 3]); 16] = [
    ("index_abd", [-27.2, -2.2, 69.4]),
    ("index_mcp", [-30.6, -1.2, 88.3]),
    ("index_pip", [-37.5, -2.7, 124.6]),
    ("middle_abd", [-5.7, -4.0, 78.5]),
    ("middle_mcp", [-5.8, -3.0, 98.4]),
    ("middle_pip", [-5.9, -5.0, 138.4]),
    ("ring_abd", [15.3, -3.2, 71.3]),
    ("ring_mcp", [18.1, -2.0, 91.0]),
    ("ring_pip", [24.1, -3.5, 130.5]),
    ("pinky_abd", [35.6, 0.7, 62.1]),
    ("pinky_mcp", [41.7, 3.1, 78.6]),
    ("pinky_pip", [52.7, 4.7, 107.5]),
    ("thumb_cmc", [-28.4, 11.0, 30.6]),
    ("thumb_abd", [-27.2, 19.8, 30.8]),
    ("thumb_mcp", [-30.8, 45.5, 41.3]),
    ("thumb_dip", [-35.4, 75.1, 52.6]),
];

/// Finger tip centres in the table frame, mm, at zero and at neutral joint positions: measured in a prototype.
const ORCA_TIPS_MM: [(&str, [f64; 3], [f64; 3]); 5] = [
    ("index", [-43.7, -1.1, 158.6], [-64.0, 6.9, 151.6]),
    ("middle", [-6.0, -3.7, 173.0], [-12.6, 1.3, 172.5]),
    ("ring", [29.0, -1.8, 164.7], [44.7, 1.8, 160.5]),
    ("pinky", [61.9, 9.1, 133.2], [87.1, 8.6, 117.8]),
    ("thumb", [-36.6, 92.9, 62.0], [-38.7, 24.9, 103.9]),
];

fn table_mm(hand_frame_m: DVec3) -> DVec3 {
    DVec3::new(-hand_frame_m.y, -hand_frame_m.z, hand_frame_m.x) * 1e3
}

/// Contract: forward kinematics puts ORCA's joints where its table has them (0.1 mm) and its tips where they were
/// measured (0.1 mm, the rounding of the figures).
#[test]
fn orca_is_where_its_table_says() {
    let hand = Hand::load("orca_v2").unwrap();
    let mut expected = ORCA_ANCHORS_MM.iter();
    for (finger, (name, at_zero_mm, at_neutral_mm)) in hand.fingers.iter().zip(ORCA_TIPS_MM) {
        assert_eq!(finger.name, name);
        let zero_rad = vec![0.0; finger.joints.len()];
        for (index, joint) in finger.joints.iter().enumerate() {
            let (name, anchor_mm) = expected.next().unwrap();
            assert_eq!(joint.name, *name);
            let miss_mm = table_mm(finger.point_m(&zero_rad, index, DVec3::ZERO)) - DVec3::from_array(*anchor_mm);
            assert!(miss_mm.length() < 0.1, "{name}: {miss_mm} mm");
        }
        let neutral_rad: Vec<f64> = finger.joints.iter().map(|joint| joint.neutral_rad).collect();
        for (q_rad, tip_mm) in [(&zero_rad, at_zero_mm), (&neutral_rad, at_neutral_mm)] {
            let miss_mm = table_mm(finger.tip_m(q_rad)) - DVec3::from_array(tip_mm);
            assert!(miss_mm.abs().max_element() < 0.1, "{name}: {miss_mm} mm");
        }
    }
}

/// Contract: Rapier's multibodies are where forward kinematics says, within single precision.
#[test]
fn rapier_agrees_with_forward_kinematics() {
    for name in Hand::names() {
        let hand = Hand::load(name).unwrap();
        for share in [0.0, 0.3, 0.7] {
            let q_rad: Vec<f64> = hand.joints().map(|j| j.lower_rad + share * (j.upper_rad - j.lower_rad)).collect();
            let single: Vec<f32> = q_rad.iter().map(|&q| q as f32).collect();
            let cube = Cube { edge_m: 0.05, mass_kg: 0.08, center_m: DVec3::new(0.0, 0.0, -0.2), yaw_rad: 0.0 };
            let surroundings = Surroundings {
                friction: 1.0,
                motor_gain_scale: 1.0,
                slack_rad: 0.0,
                finger_contacts: FingerContacts::Off,
            };
            let world = World::new(&hand, &single, &cube, &surroundings);
            let tips: Vec<usize> = (0..world.engine().parts().len())
                .filter(|&part| matches!(world.engine().parts().nth(part).unwrap().kind, PartKind::Tip { .. }))
                .collect();
            let palm_turn = hand.palm_turn(&q_rad);
            for (finger, tip) in hand.fingers.iter().zip(tips) {
                let own_rad = &q_rad[finger.first_joint..][..finger.joints.len()];
                let origin_m = palm_turn * finger.point_m(own_rad, finger.joints.len() - 1, DVec3::ZERO);
                let tip_m = palm_turn * finger.tip_m(own_rad);
                let (position_m, orientation) = world.engine().part_pose(tip);
                let offset = finger.tip.center_m.to_array().map(|x| x as f32);
                let rotated = bridge::rotate(orientation, offset);
                for axis in 0..3 {
                    let found_m = f64::from(position_m[axis] + rotated[axis]);
                    let miss_m = (found_m - tip_m[axis]).abs();
                    assert!(miss_m < 1e-6, "{name} {} at share {share}: {miss_m} m off", finger.name);
                    assert!((f64::from(position_m[axis]) - origin_m[axis]).abs() < 1e-6);
                }
            }
            let (mut read_rad, mut velocity_rad_s) = (vec![0.0; single.len()], vec![1.0; single.len()]);
            world.engine().read_joints(&mut read_rad, &mut velocity_rad_s);
            for (read, set) in read_rad.iter().zip(&single) {
                assert!((read - set).abs() < 1e-6, "{name}: read {read} rad, set {set} rad");
            }
            assert!(velocity_rad_s.iter().all(|&w| w == 0.0));
        }
    }
}

/// Contract: inverse kinematics reaches what forward kinematics says is reachable, and stays in the joint ranges.
#[test]
fn inverse_kinematics_reaches() {
    for name in Hand::names() {
        let hand = Hand::load(name).unwrap();
        for finger in &hand.fingers {
            for share in [0.4, 0.5, 0.6] {
                let goal_rad: Vec<f64> =
                    finger.joints.iter().map(|j| j.lower_rad + share * (j.upper_rad - j.lower_rad)).collect();
                let target_m = finger.tip_m(&goal_rad);
                let mut q_rad = finger.ik_seed_rad.clone();
                finger.reach(&mut q_rad, target_m, 200);
                let miss_m = (finger.tip_m(&q_rad) - target_m).length();
                assert!(miss_m < 1e-4, "{name} {} at share {share}: {miss_m} m off", finger.name);
                for (&q, joint) in q_rad.iter().zip(&finger.joints) {
                    assert!((joint.lower_rad..=joint.upper_rad).contains(&q), "{}: {q} rad", joint.name);
                }
            }
        }
    }
}

/// Contract: a point of the last link reaches its place and the link points as it can, from a posture nearby, in the joint
/// ranges; a direction that it cannot have does not keep the point from its place.
#[test]
fn links_reach_and_point() {
    let hand = Hand::load("orca_v2").unwrap();
    for finger in &hand.fingers {
        let goal_rad: Vec<f64> = finger.joints.iter().map(|j| 0.55 * (j.lower_rad + j.upper_rad)).collect();
        let (last, along_m) = (finger.joints.len() - 1, 0.015);
        let bone = finger.joints[last].link.end_m.normalize();
        let target_m = finger.point_m(&goal_rad, last, bone * along_m);
        let skew = DQuat::from_rotation_z(0.4);
        for (direction, most_skew_rad) in [(finger.pointing(&goal_rad), 0.02), (skew * finger.pointing(&goal_rad), 0.6)]
        {
            let mut q_rad: Vec<f64> = goal_rad.iter().map(|q| q - 0.15).collect();
            let miss_m = finger.reach_pointing(&mut q_rad, &Pointing { along_m, target_m, direction });
            let found_m = (finger.point_m(&q_rad, last, bone * along_m) - target_m).length();
            assert!((found_m - miss_m).abs() < 1e-12 && miss_m < 5e-4, "{}: {miss_m} m off", finger.name);
            let skew_rad = finger.pointing(&q_rad).angle_between(direction);
            assert!(skew_rad < most_skew_rad, "{}: {skew_rad} rad off", finger.name);
            for (&q, joint) in q_rad.iter().zip(&finger.joints) {
                assert!((joint.lower_rad..=joint.upper_rad).contains(&q), "{}: {q} rad", joint.name);
            }
        }
    }
}

/// Contract: a name that is not known is answered with those that are.
#[test]
fn unknown_names_are_answered_with_known_ones() {
    let error = Hand::load("shadow").unwrap_err().to_string();
    assert_eq!(
        error,
        "no hand is called `shadow`; known are orca_v2, reference16, orca_v2_left, orca_v2_tendons, orca_v2_torques, orca_v2_wrist"
    );
    let error = sim::CubeScene::load("shadow").unwrap_err().to_string();
    assert!(error.contains("known are orca_v2, reference16"), "{error}");
}

/// Contract: a hand with a number, a field or parts that make no sense is refused, with the place and the reason.
#[test]
fn broken_hands_are_refused() {
    let good = include_str!("../../assets/hands/orca_v2.ron");
    let cases = [
        ("(-0.0272, -0.0022, 0.0694)", "(-0.0272, NaN, 0.0694)", "fingers[0].joints[0].anchor_m[1]: found NaN"),
        ("max_effort_nm: 0.33", "max_effort_nm: 0.0", "motor.max_effort_nm: found 0, expected a finite number above 0"),
        ("armature_kg_m2", "armature", "Unexpected field named `armature`"),
        ("y: MinusX", "y: PlusX", "expected a right-handed frame"),
        ("lower: Deg(-25), upper: Deg(30)", "lower: Deg(25), upper: Deg(-30)", "expected them in this order"),
        (
            "ik_seed_rad: [0.0, 0.7, 1.1]",
            "ik_seed_rad: [0.0, 0.7]",
            "ik_seed_rad has 2 values, expected one for each of 3",
        ),
        ("(-0.0375, -0.0027, 0.1246)", "(-0.0306, -0.0012, 0.0883)", "the last two anchors coincide"),
    ];
    assert!(Hand::parse("hand.ron", good).is_ok());
    for (found, replaced, reason) in cases {
        assert!(good.contains(found), "{found}");
        let error = Hand::parse("hand.ron", &good.replacen(found, replaced, 1)).unwrap_err().to_string();
        assert!(error.starts_with("hand.ron:") && error.contains(reason), "{error}");
    }
}
