//! Contract: a variant of a hand is that hand but for what its file says; a mirror image is its mirror image in everything.

use bridge::random::stream;
use bridge::real::motors::Turns;
use rand::Rng;
use rapier3d::glamx::DVec3;
use sim::{CubeScene, Gait, GaitTable, Hand, ScissorsScene, Solid, emulated_calibration};

fn mirrored(p: DVec3) -> DVec3 {
    DVec3::new(p.x, -p.y, p.z)
}

/// Contract: at any joint positions every point of the left hand is the image of the same point of the right hand.
#[test]
fn the_left_hand_is_the_right_one_in_the_mirror() {
    let (right, left) = (Hand::load("orca_v2").unwrap(), Hand::load("orca_v2_left").unwrap());
    assert_eq!((right.is_mirrored, left.is_mirrored, left.family.as_str()), (false, true, "orca_v2"));
    let mut rng = stream(1, "posture", 0);
    for _ in 0..100 {
        for (ours, image) in left.fingers.iter().zip(&right.fingers) {
            let q_rad: Vec<f64> =
                ours.joints.iter().map(|joint| rng.random_range(joint.lower_rad..=joint.upper_rad)).collect();
            for link in 0..ours.joints.len() {
                let local_m = DVec3::from_array([(); 3].map(|()| rng.random_range(-0.05..=0.05)));
                let found_m = ours.point_m(&q_rad, link, mirrored(local_m));
                let off_m = (found_m - mirrored(image.point_m(&q_rad, link, local_m))).length();
                assert!(off_m < 1e-12, "{}: {off_m} m off at {q_rad:?}", ours.joints[link].name);
            }
            assert!((ours.tip_m(&q_rad) - mirrored(image.tip_m(&q_rad))).length() < 1e-12, "{}", ours.name);
        }
    }
    // Nothing but places and axes differs.
    for (ours, image) in left.joints().zip(right.joints()) {
        assert_eq!((&ours.name, ours.motor, ours.link.mass_kg), (&image.name, image.motor, image.link.mass_kg));
        assert_eq!((ours.lower_rad, ours.upper_rad), (image.lower_rad, image.upper_rad), "{}", ours.name);
    }
}

/// Contract: as far as a point is from a solid, so far is its image from the solid's image, however that is turned; and the
/// image of the image is the hand itself.
#[test]
fn solids_are_mirrored() {
    let text = include_str!("../../assets/hands/orca_v2.ron").replacen(
        "half_extents_m: (0.032, 0.009, 0.034)",
        "half_extents_m: (0.032, 0.009, 0.034), turn: Some((0.1, 0.2, 0.3, 0.9273618))",
        1,
    );
    let hand = Hand::parse("hand.ron", &text).unwrap();
    let image = hand.clone().mirrored();
    assert!(matches!(hand.palm[0], Solid::Box { turn, .. } if turn.x != 0.0));
    let mut rng = stream(2, "point", 0);
    for _ in 0..200 {
        let point_m = DVec3::from_array([(); 3].map(|()| rng.random_range(-0.1..=0.1)));
        let off_m = image.palm[0].distance_m(mirrored(point_m)) - hand.palm[0].distance_m(point_m);
        assert!(off_m.abs() < 1e-12, "{off_m} m at {point_m}");
    }
    assert_eq!(image.mirrored(), hand);
}

/// Contract: a gait leads to the same joint positions in both hands, on a cube that starts as the image of the other one and
/// is to turn the other way.
#[test]
fn gaits_are_mirrored() {
    let (right, left) = (CubeScene::load("orca_v2").unwrap(), CubeScene::load("orca_v2_left").unwrap());
    let (cube, image) = (right.start().cube, left.start().cube);
    assert_eq!((image.center_m, image.yaw_rad), (mirrored(cube.center_m), -cube.yaw_rad));
    assert_eq!(left.name(), "cube_orca_v2_left");
    let task = |scene: &CubeScene| scene.task_config(bridge::CubeReward::Dense);
    assert_eq!(task(&left).direction, task(&right).direction.reversed());
    assert_eq!(left.demonstrations().len(), right.demonstrations().len());
    for name in ["orca_v2_r5d", "orca_v2_r7d"] {
        let gait = Gait::load(name).unwrap();
        let tables = [&left, &right].map(|scene| GaitTable::new(scene.hand(), &gait).unwrap());
        for step in 0..100 {
            let posture = |table: &GaitTable| {
                let mut q_rad = vec![0.0; right.hand().n_joints()];
                table.target(0.013 * f64::from(step), 0.2, &mut q_rad);
                q_rad
            };
            let [ours, theirs] = [&tables[0], &tables[1]].map(posture);
            for (a, b) in ours.iter().zip(&theirs) {
                assert!((a - b).abs() < 1e-6, "{name}, step {step}: {a} rad, {b} rad");
            }
        }
    }
}

/// Contract: a gait of a variant's own is in the place of the scene's, at the scene's speeds; the others stay.
#[test]
fn a_variant_may_have_gaits_of_its_own() {
    let (torques, usual) = (CubeScene::load("orca_v2_torques").unwrap(), CubeScene::load("orca_v2").unwrap());
    let own = Gait::load("orca_v2_torques_r5d").unwrap();
    assert_eq!(torques.demonstrations().len(), usual.demonstrations().len());
    for (demonstration, other) in torques.demonstrations().iter().zip(usual.demonstrations()) {
        let slowdown = other.config.slowdown;
        assert_eq!(
            (demonstration.config.gait.as_str(), demonstration.config.slowdown),
            ("orca_v2_torques_r5d", slowdown)
        );
        assert_eq!(demonstration.gait, own.clone().slowed_down(slowdown).unwrap());
    }
    assert_eq!(torques.start().open_rad, usual.start().open_rad);

    let tendons = CubeScene::load("orca_v2_tendons").unwrap();
    let gaits: Vec<&str> = tendons.demonstrations().iter().map(|it| it.config.gait.as_str()).collect();
    assert_eq!(gaits, ["orca_v2_r5d", "orca_v2_tendons_r7d", "orca_v2_tendons_r7d"]);
}

/// Contract: a gait in the place of one that the scene does not have is refused: it would never be played.
#[test]
fn gaits_in_nobodys_place_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    for (from, names) in [
        ("hands", &["orca_v2"][..]),
        ("scenes", &["cube_orca_v2"]),
        ("gaits", &["orca_v2_r5", "orca_v2_r5d", "orca_v2_r7d"]),
    ] {
        for name in names.iter().map(|name| format!("{name}.ron")) {
            std::fs::copy(assets.join(from).join(&name), folder.path().join(&name)).unwrap();
        }
    }
    let file = folder.path().join("quick.ron");
    let load = |gait: &str| {
        let text = format!(
            "Variant(name: \"quick\", of: \"orca_v2\", is_mirrored: false, gaits: {{\"{gait}\": \"orca_v2_r7d\"}})"
        );
        bridge::storage::write_atomic(&file, text.as_bytes()).unwrap();
        CubeScene::load(file.to_str().unwrap()).map(|scene| scene.demonstrations()[0].config.gait.clone())
    };
    assert_eq!(load("orca_v2_r5d").unwrap(), "orca_v2_r7d");
    let error = load("orca_v2_r6").unwrap_err().to_string();
    assert!(error.contains("in the place of orca_v2_r6") && error.contains("\"orca_v2_r5d\""), "{error}");
}

/// Contract: the left hand has the ids and signs that are published for it, every joint with the motor's own stops; a mirror
/// image without wiring has the ids of its original, whose motors turn the other way.
#[test]
fn left_motors_are_wired_as_published() {
    let left = Hand::load("orca_v2_left").unwrap();
    let table = left.motors.as_ref().unwrap();
    // orca_core 0.12.0, models/v2/orcahand-left/config.yaml: `joint_to_motor_map`, negative where reversed.
    let published = [
        ("thumb_cmc", -10),
        ("thumb_abd", -13),
        ("thumb_mcp", 12),
        ("thumb_dip", 11),
        ("index_abd", -7),
        ("index_mcp", -8),
        ("index_pip", -9),
        ("middle_abd", -6),
        ("middle_mcp", -17),
        ("middle_pip", -2),
        ("ring_abd", -5),
        ("ring_mcp", 4),
        ("ring_pip", -3),
        ("pinky_abd", 14),
        ("pinky_mcp", -15),
        ("pinky_pip", 16),
        ("wrist", -1),
    ];
    assert_eq!(table.motors.len(), published.len());
    for (joint, signed_id) in published {
        let motor = table.motors.iter().find(|motor| motor.joint == joint).unwrap();
        let turns = if signed_id < 0 { Turns::Against } else { Turns::Along };
        assert_eq!((i32::from(motor.id), motor.turns), (i32::abs(signed_id), turns), "{joint}");
    }
    let calibration = emulated_calibration(&left).unwrap();
    assert_eq!((calibration.hand.as_str(), calibration.joints.len()), ("orca_v2_left", 17));

    let right = Hand::load("orca_v2").unwrap();
    let image = Hand::parse("left.ron", "Variant(name: \"left\", of: \"orca_v2\", is_mirrored: true)").unwrap();
    let motors = |hand: &Hand| hand.motors.clone().unwrap().motors;
    for (ours, theirs) in motors(&image).iter().zip(&motors(&right)) {
        assert_eq!((ours.id, ours.turns), (theirs.id, theirs.turns.reversed()), "{}", ours.joint);
    }
}

/// Contract: the joints of `orca_v2` have 0.33 N m each, as all results were measured; those of `orca_v2_torques` what their
/// spools make of 0.29 N m, and nothing else differs.
#[test]
fn torques_are_the_joints_own() {
    let (usual, own) = (Hand::load("orca_v2").unwrap(), Hand::load("orca_v2_torques").unwrap());
    assert!(usual.joints().all(|joint| joint.motor.max_effort_nm == 0.33));
    // 0.3 A * 0.967 N m/A * 39.11 / 55 and * 143.09 / 125.
    for (name, expected_nm) in [("index_abd", 0.2063), ("ring_mcp", 0.3321)] {
        let joint = own.joints().find(|joint| joint.name == name).unwrap();
        assert!((joint.motor.max_effort_nm - expected_nm).abs() < 5e-4, "{name}: {} N m", joint.motor.max_effort_nm);
    }
    let mut alike = own.clone();
    for joint in alike.fingers.iter_mut().flat_map(|finger| &mut finger.joints) {
        assert!((0.2..0.34).contains(&joint.motor.max_effort_nm), "{}", joint.name);
        joint.motor.max_effort_nm = 0.33;
    }
    (alike.name, alike.address) = (usual.name.clone(), usual.address.clone());
    // They were searched for its torques.
    alike.gaits = usual.gaits.clone();
    assert_eq!(alike, usual);
    assert_eq!(ScissorsScene::load("orca_v2_torques").unwrap().hand().name, "orca_v2_torques");
}

/// Contract: a variant that does not fit is refused, with what was found and what is expected; so are the scissors in a left
/// hand.
#[test]
fn variants_that_do_not_fit_are_refused() {
    let good = include_str!("../../assets/hands/orca_v2_left.ron");
    let cases = [
        ("of: \"orca_v2\"", "of: \"shadow\"", "no hand is called `shadow`"),
        ("of: \"orca_v2\"", "of: \"orca_v2_torques\"", "a variant itself, expected a hand with a table of its own"),
        ("is_mirrored: true", "mirrored: true", "Unexpected field named `mirrored`"),
        ("is_mirrored: true,", "is_mirrored: true, max_effort_nm: {\"index\": 0.2},", "found the joint index"),
        (
            "is_mirrored: true,",
            "is_mirrored: true, max_effort_nm: {\"index_abd\": 0.0},",
            "expected a finite number above 0",
        ),
        ("\"wrist\": (1, Against),", "", "wiring: found none for wrist"),
        ("\"wrist\": (1, Against),", "\"wrist\": (1, Against), \"elbow\": (20, Along),", "found the joint elbow"),
        ("\"wrist\": (1, Against),", "\"wrist\": (2, Against),", "id 2: found for both"),
    ];
    Hand::parse("left.ron", good).unwrap();
    for (found, replaced, reason) in cases {
        assert!(good.contains(found), "{found}");
        let error = Hand::parse("left.ron", &good.replacen(found, replaced, 1)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let error = ScissorsScene::load("orca_v2_left").map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("expected a hand that is not mirrored"), "{error}");
}
