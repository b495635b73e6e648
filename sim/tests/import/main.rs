//! Contract: a file of others becomes the hand that it describes, or is refused with file, line, name and reason; and never panics.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixtures;
mod hostile;
mod weights;

use bridge::random::stream;
use fixtures::{Folder, options};
use rand::Rng;
use rapier3d::glamx::DVec3;
use sim::export::{mjcf, urdf};
use sim::import::{self, Coupled, Options};
use sim::{Cube, CubeScene, Domain, FingerContacts, Hand, PHYSICS_HZ, Solid, Surroundings, World};

fn posture(hand: &Hand, index: u64) -> Vec<f64> {
    let mut rng = stream(1, "posture", index);
    hand.joints().map(|joint| rng.random_range(joint.lower_rad..=joint.upper_rad)).collect()
}

/// How far the joints are from the middle of their ranges at the most, after `n_steps` in which motors held them there, rad.
fn lean_rad(hand: &Hand, n_steps: u32) -> f32 {
    let middle_rad: Vec<f32> = hand.joints().map(|joint| (0.5 * (joint.lower_rad + joint.upper_rad)) as f32).collect();
    let surroundings =
        Surroundings { friction: 1.0, motor_gain_scale: 1.0, slack_rad: 0.0, finger_contacts: FingerContacts::Distal };
    let away = Cube { edge_m: 0.05, mass_kg: 0.08, center_m: DVec3::splat(5.0), yaw_rad: 0.0 };
    let mut world = World::new(hand, &middle_rad, &away, &surroundings);
    world.set_cube_weight(false);
    world.set_targets(&middle_rad);
    let (mut q_rad, mut dq_rad_s) = (middle_rad.clone(), middle_rad.clone());
    let mut most_rad = 0.0;
    for _ in 0..n_steps {
        world.step().unwrap();
        world.engine().read_joints(&mut q_rad, &mut dq_rad_s);
        for (q, middle) in q_rad.iter().zip(&middle_rad) {
            assert!(q.is_finite(), "{}: {q_rad:?}", hand.name);
            most_rad = f32::max(most_rad, (q - middle).abs());
        }
    }
    most_rad
}

/// The hand with its wrist held at zero, which is what comes back unless asked for.
fn without_wrist(mut hand: Hand) -> Hand {
    let n_gone = usize::from(hand.wrist.take().is_some());
    hand.fingers.iter_mut().for_each(|finger| finger.first_joint -= n_gone);
    hand
}

/// Contract: our hands, exported and imported again, have the same joints in the same order, ranges, limits, masses and kinematics, and
/// stand in the physics as before; the guessed frame is theirs. A wrist comes back if asked for; else it is held at zero, which is told.
#[test]
fn exported_hands_come_back() {
    for name in Hand::names() {
        let hand = Hand::load(name).unwrap();
        let texts = [("hand.xml", mjcf(&hand, FingerContacts::Distal)), ("hand.urdf", urdf(&hand))];
        let ways = [false, true].map(|has_wrist| texts.each_ref().map(|(file, text)| (has_wrist, *file, text)));
        for (has_wrist, file, text) in ways.into_iter().flatten().filter(|&(asked, ..)| !asked || hand.wrist.is_some())
        {
            let imported = Folder::new(&[(file, text)]).import(file, &Options { has_wrist, ..options() }).unwrap();
            let (back, is_mjcf) = (&imported.hand, file == "hand.xml");
            let is_told = imported.notes.iter().any(|note| note.contains("held at zero: wrist"));
            assert_eq!(is_told, hand.wrist.is_some() && !has_wrist, "{name}, {file}: {:?}", imported.notes);
            let hand = if has_wrist { hand.clone() } else { without_wrist(hand.clone()) };
            assert_eq!(back.wrist.is_some(), has_wrist);
            assert_eq!((imported.palm.as_str(), imported.frame.as_str()), ("palm", "+x,+y,+z"), "{name}, {file}");
            assert_eq!(back.fingers.len(), hand.fingers.len());
            for ((own, came), origin) in hand.joints().zip(back.joints()).zip(&imported.origins) {
                assert_eq!((&own.name, &own.name), (&came.name, &origin.joint), "{file}");
                for (a, b) in [
                    (own.lower_rad, came.lower_rad),
                    (own.upper_rad, came.upper_rad),
                    (own.motor.max_effort_nm, came.motor.max_effort_nm),
                    (own.damping_nm_s_rad, came.damping_nm_s_rad),
                ] {
                    assert!((a - b).abs() < 1e-9, "{file}, {}: {a}, {b}", own.name);
                }
                if is_mjcf {
                    assert_eq!(own.motor.stiffness_nm_rad, came.motor.stiffness_nm_rad, "{}", own.name);
                    assert_eq!(own.motor.damping_nm_s_rad, came.motor.damping_nm_s_rad, "{}", own.name);
                    assert_eq!(own.armature_kg_m2, came.armature_kg_m2, "{}", own.name);
                } else {
                    assert_eq!(own.motor.max_rate_rad_s, came.motor.max_rate_rad_s, "{}", own.name);
                }
            }
            for index in 0..10 {
                let q_rad = posture(&hand, index);
                for (own, came) in hand.fingers.iter().zip(&back.fingers) {
                    let q_rad = &q_rad[own.first_joint..][..own.joints.len()];
                    let tips_off_m = (own.tip_m(q_rad) - came.tip_m(q_rad)).length();
                    assert!(tips_off_m < 1e-5, "{name}, {file}, {}: {tips_off_m} m", own.name);
                    assert!((own.tip.radius_m - came.tip.radius_m).abs() < 1e-9);
                    for link in 0..own.joints.len() {
                        let [a, b] = [own, came].map(|finger| finger.point_m(q_rad, link, DVec3::ZERO));
                        assert!((a - b).length() < 1e-5, "{name}, {file}, {}: {a}, {b}", own.joints[link].name);
                    }
                }
            }
            if let (Some(own), Some(came)) = (&hand.wrist, &back.wrist) {
                assert!((own.axis - came.axis).length() < 1e-9, "{name}, {file}: {}, {}", own.axis, came.axis);
                let [own, came] = [own, came].map(|wrist| wrist.link.form.as_ref().unwrap());
                assert!((own.center_of_mass_m - came.center_of_mass_m).length() < 1e-6, "{own:?}, {came:?}");
                let off_kg_m2 = (own.inertia_kg_m2 - came.inertia_kg_m2).to_cols_array();
                assert!(off_kg_m2.iter().all(|off| off.abs() < 1e-9), "{off_kg_m2:?} kg m^2");
            }
            let kg = |hand: &Hand| -> f64 {
                let links: f64 = hand.joints().map(|joint| joint.link.mass_kg).sum();
                links + hand.fingers.iter().map(|finger| finger.tip.mass_kg).sum::<f64>()
            };
            assert!((kg(&hand) - kg(back)).abs() < 1e-6, "{} kg, {} kg", kg(&hand), kg(back));
            let [own_rad, back_rad] = [&hand, back].map(|hand| lean_rad(hand, PHYSICS_HZ));
            // A URDF has no gains: they are the options', an eighth of what this wrist has.
            let allowed_rad = match (is_mjcf, has_wrist) {
                (true, _) => 1e-3,
                (false, true) => 0.1,
                (false, false) => 0.05,
            };
            assert!((own_rad - back_rad).abs() < allowed_rad, "{name}, {file}: {own_rad} rad, {back_rad} rad");
        }
    }
}

/// Contract: of an MJCF, classes, includes (within a body too), degrees, `ref`, frames and gains are read as MuJoCo does. The numbers are
/// worked by hand: a finger of 40 mm and 30 mm, drawn straight along x with its first joint at 30 degrees.
#[test]
fn mjcf_is_read_as_it_is_meant() {
    let folder = Folder::new(&fixtures::GRIPPER);
    let imported = folder.import("gripper.xml", &Options { frame: Some("+x,+y,+z".into()), ..options() }).unwrap();
    let hand = &imported.hand;
    let names: Vec<&str> = hand.joints().map(|joint| joint.name.as_str()).collect();
    assert_eq!(names, ["left_near", "left_far", "right_near", "right_far"]);
    assert_eq!(imported.palm, "base");
    let left = &hand.fingers[0];
    let near = &left.joints[0];
    assert!((near.lower_rad - -10f64.to_radians()).abs() < 1e-9 && (near.upper_rad - 90f64.to_radians()).abs() < 1e-9);
    assert_eq!((near.motor.stiffness_nm_rad, near.motor.damping_nm_s_rad, near.motor.max_effort_nm), (2.0, 0.25, 0.7));
    assert_eq!((near.armature_kg_m2, near.damping_nm_s_rad), (0.002, 0.03));
    // A gear of 2 doubles the lever twice.
    let far = &left.joints[1];
    assert_eq!((far.motor.stiffness_nm_rad, far.motor.max_effort_nm), (8.0, 1.4));

    let drawn_m = left.tip_m(&[30f64.to_radians(), 0.0]);
    assert!((drawn_m - DVec3::new(0.07, 0.03, 0.0)).length() < 1e-9, "{drawn_m}");
    let zero_m = left.tip_m(&[0.0, 0.0]);
    let expected_m = DVec3::new(0.07 * 30f64.to_radians().cos(), 0.03, 0.035);
    assert!((zero_m - expected_m).length() < 1e-9, "{zero_m}, expected {expected_m}");
    // The right finger stands in a frame that turns it to y; its tip is a ball of its own.
    let right = &hand.fingers[1];
    let tip_m = right.tip_m(&[0.0, 0.0]);
    assert!((tip_m - DVec3::new(0.0, 0.04 + 0.035, 0.0)).length() < 1e-9, "{tip_m}");
    assert_eq!(right.tip.radius_m, 0.006);
    // Of the near link: a capsule of 7 mm and 40 mm at 500 kg/m^3.
    let volume_m3 = std::f64::consts::PI * 0.007f64.powi(2) * (0.04 + 4.0 / 3.0 * 0.007);
    assert!((near.link.mass_kg - 500.0 * volume_m3).abs() < 1e-7, "{} kg", near.link.mass_kg);
    assert!(matches!(hand.palm[..], [Solid::Box { .. }]), "{:?}", hand.palm);
    assert!(lean_rad(hand, PHYSICS_HZ / 2) < 0.2);
}

/// Contract: of a URDF, fixed joints are folded into their parents and joints before the palm are held and told; a joint that mimics
/// another is refused by name, freed or frozen as asked.
#[test]
fn urdf_joints_are_never_lost() {
    let folder = Folder::new(&[("claw.urdf", fixtures::CLAW)]);
    let refused = folder.import("claw.urdf", &options()).unwrap_err().to_string();
    assert!(refused.contains("b_tip follows b_root") && refused.contains("--coupled"), "{refused}");

    let free = folder.import("claw.urdf", &Options { coupled: Coupled::Free, ..options() }).unwrap();
    assert_eq!(free.hand.n_joints(), 4);
    assert!(free.notes.iter().any(|note| note.contains("held at zero: wrist")), "{:?}", free.notes);
    assert!(free.notes.iter().any(|note| note.contains("`b_tip`: turns on its own")), "{:?}", free.notes);

    let frozen = folder.import("claw.urdf", &Options { coupled: Coupled::Frozen, ..options() }).unwrap();
    let sizes: Vec<usize> = frozen.hand.fingers.iter().map(|finger| finger.joints.len()).collect();
    assert_eq!(sizes, [2, 1]);
    // It follows at half the angle plus 0.2 rad: at rest it is at 0.2 rad.
    let [bent, straight] = [&frozen, &free].map(|imported| &imported.hand.fingers[1]);
    let off_m = (bent.tip_m(&[0.3]) - straight.tip_m(&[0.3, 0.2])).length();
    assert!(off_m < 1e-8, "{off_m} m");
    assert!(frozen.notes.iter().any(|note| note.contains("held at 0.2000 rad")), "{:?}", frozen.notes);
    // The pad is fixed to the last link of `a`: folded, it is its tip, and its mass is with it.
    let tip_m = free.hand.fingers[0].tip_m(&[0.0, 0.0]);
    assert!((tip_m - DVec3::new(0.09, 0.02, 0.0)).length() < 1e-9, "{tip_m}");
    assert!((free.hand.fingers[0].joints[1].link.mass_kg - 0.03).abs() < 1e-9);
    assert!(lean_rad(&free.hand, PHYSICS_HZ / 2) < 0.2);
}

/// Contract: a bound that a URDF's `<limit>` leaves out is 0, as the format has it.
#[test]
fn bounds_that_are_left_out_are_zero() {
    let given = r#"<limit lower="0" upper="1.5" effort="0.4" velocity="3"/><dynamics"#;
    assert!(fixtures::CLAW.contains(given));
    for (limit, range_rad) in
        [(r#"upper="1.57""#, (0.0, 1.57)), (r#"lower="-1.2""#, (-1.2, 0.0)), (r#"lower="-1" upper="2""#, (-1.0, 2.0))]
    {
        let text = fixtures::CLAW.replacen(given, &format!("<limit {limit} effort='0.4' velocity='3'/><dynamics"), 1);
        let options = Options { coupled: Coupled::Free, ..options() };
        let imported = Folder::new(&[("claw.urdf", &text)]).import("claw.urdf", &options).unwrap();
        let joint = imported.hand.joints().next().unwrap();
        assert_eq!((joint.lower_rad, joint.upper_rad), range_rad, "{}: {limit}", joint.name);
    }
}

/// Contract: hinges without a name get distinct ones, several in one body too, and none that another joint has.
#[test]
fn hinges_without_names_are_told_apart() {
    let text = r#"<mujoco><default><joint range="-10 90"/><geom size=".01"/></default><worldbody><body name="palm">
        <body><joint axis="0 1 0"/><joint axis="0 0 1"/><geom/>
          <body pos=".03 0 0"><joint name="joint3" axis="0 1 0"/><geom/>
            <body pos=".03 0 0"><joint axis="0 1 0"/><joint axis="0 0 1"/><geom/></body></body></body>
        </body></worldbody></mujoco>"#;
    let options = Options { palm: Some("palm".into()), ..options() };
    let imported = Folder::new(&[("hinges.xml", text)]).import("hinges.xml", &options).unwrap();
    let names: Vec<&str> = imported.origins.iter().map(|origin| origin.joint.as_str()).collect();
    // World and palm are links 0 and 1; of the hinges the third has its name, which the second would have got.
    assert_eq!(names, ["joint2", "joint4", "joint3", "joint5", "joint6"]);
}

/// Contract: with a wrist the joint before the palm is the first, turns the palm, and has the limits of the file; where its axis
/// does not go through the palm's origin, the origin moves there. Without a hinge that turns the palm the error says so.
#[test]
fn a_wrist_turns_the_palm() {
    let options = Options { has_wrist: true, coupled: Coupled::Free, frame: Some("+x,+y,+z".into()), ..options() };
    let claw = Folder::new(&[("claw.urdf", fixtures::CLAW)]).import("claw.urdf", &options).unwrap();
    let wrist = claw.hand.wrist.as_ref().unwrap();
    let names: Vec<&str> = claw.hand.joints().map(|joint| joint.name.as_str()).collect();
    assert_eq!(names, ["wrist", "a_root", "a_tip", "b_root", "b_tip"]);
    assert_eq!((claw.origins[0].joint.as_str(), claw.origins[0].link.as_str()), ("wrist", "palm"));
    assert_eq!((wrist.axis, wrist.lower_rad, wrist.upper_rad), (DVec3::Z, -1.0, 1.0));
    assert_eq!((wrist.motor.max_effort_nm, wrist.motor.max_rate_rad_s, wrist.link.mass_kg), (5.0, 2.0, 0.2));
    assert!(
        claw.notes.iter().all(|note| !note.contains("wrist") || note.contains("turns the palm")),
        "{:?}",
        claw.notes
    );
    assert!(lean_rad(&claw.hand, PHYSICS_HZ / 2) < 0.2);

    // About an axis along y, 50 mm behind the base and 10 mm below it.
    let [(file, gripper), rest @ ..] = fixtures::GRIPPER;
    let wrist = r#"<joint name="flex" axis="0 1 0" pos="-.05 .02 -.01" range="-60 40"/><inertial mass="0.3""#;
    let turned = gripper.replace(r#"<inertial mass="0.3""#, wrist);
    let folder = Folder::new(&[&[(file, turned.as_str())][..], &rest].concat());
    let turned = folder.import(file, &options).unwrap();
    let held = folder.import(file, &Options { has_wrist: false, ..options.clone() }).unwrap();
    assert_eq!(
        turned.hand.wrist.as_ref().map(|wrist| (wrist.axis, wrist.lower_rad)),
        Some((DVec3::Y, -60f64.to_radians()))
    );
    assert!(turned.notes.iter().any(|note| note.contains("moved by -50.0 0.0 -10.0 mm")), "{:?}", turned.notes);
    let [turned_m, held_m] = [&turned, &held].map(|imported| imported.hand.fingers[0].tip_m(&[0.5, 0.3]));
    assert!((turned_m - held_m - DVec3::new(0.05, 0.0, 0.01)).length() < 1e-9, "{turned_m}, {held_m}");

    for (text, expected) in [
        (gripper.to_owned(), "found no joint that turns the palm base"),
        (gripper.replace("<inertial mass", r#"<joint name="lift" type="slide"/><inertial mass"#), "lift"),
    ] {
        let error = Folder::new(&[&[(file, text.as_str())][..], &rest].concat()).import(file, &options).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(expected) && error.contains("leave out --wrist"), "{error}");
    }
}

/// Contract: a mesh becomes what fits it, its mass is that of its volume, and a cylinder is as long as before; the notes say how far
/// that is off.
#[test]
fn meshes_and_cylinders_are_fitted() {
    let text = fixtures::CLAW
        .replace(r#"<sphere radius="0.008"/>"#, r#"<mesh filename="package://claw/pad.obj" scale="0.01 0.01 0.01"/>"#);
    let folder = Folder::new(&[("claw.urdf", &text), ("pad.obj", fixtures::BLOCK)]);
    let imported = folder.import("claw.urdf", &Options { coupled: Coupled::Free, ..options() }).unwrap();
    let shapes = &imported.hand.fingers[0].joints[1].link.form.as_ref().unwrap().shapes;
    let found = shapes.iter().any(|shape| match shape {
        Solid::Box { half_extents_m, .. } => (*half_extents_m - DVec3::new(0.01, 0.008, 0.005)).length() < 1e-9,
        _ => false,
    });
    assert!(found, "{shapes:?}");
    assert!(imported.notes.iter().any(|note| note.contains("mesh became a box: it sticks out by up to 0.0 mm")));
    assert!(
        imported.notes.iter().any(|note| note.contains("cylinder became a capsule: it sticks out by up to 2.9 mm"))
    );
}

/// Contract: a hand in a file is used like one by name: its scene and gaits are found beside it and lead to the same bits; without a
/// scene the error says where one is expected.
#[test]
fn hands_in_files_are_used_like_those_by_name() {
    let asset =
        |path: &str| std::fs::read_to_string(format!("{}/../assets/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let gaits = ["reference16_trot", "reference16_trot_clear", "reference16_wave"];
    let mut files = vec![("hook.ron".to_owned(), asset("hands/reference16.ron"))];
    files.push(("cube_hook.ron".into(), asset("scenes/cube_reference16.ron").replace("\"reference16\"", "\"hook\"")));
    files.extend(gaits.map(|gait| (format!("{gait}.ron"), asset(&format!("gaits/{gait}.ron")))));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = Folder::new(&files);
    let path = folder.path("hook.ron");
    let percept_of = |hand: &str| {
        let scene = CubeScene::load(hand).unwrap();
        let mut body = scene.body(Domain::load("nominal").unwrap());
        let mut percept = bridge::Percept::default();
        bridge::Body::reset(&mut body, 3).unwrap();
        bridge::Body::command(&mut body, &scene.start().holding_rad).unwrap();
        bridge::Body::read(&mut body, &mut percept).unwrap();
        percept
    };
    assert_eq!(percept_of(&path), percept_of("reference16"));

    std::fs::remove_file(folder.path("cube_hook.ron")).unwrap();
    let error = CubeScene::load(&path).unwrap_err().to_string();
    assert!(error.contains("no scene for this task") && error.contains("cube_hook.ron"), "{error}");
    let error = Hand::load(&folder.path("nobody.ron")).unwrap_err().to_string();
    assert!(error.contains("nobody.ron: cannot be read"), "{error}");
}

/// Contract: what the importer writes is what it returns, with notes on top.
#[test]
fn descriptions_are_read_back() {
    let imported = Folder::new(&fixtures::GRIPPER).import("gripper.xml", &options()).unwrap();
    assert!(imported.text.starts_with("// Imported from gripper.xml.\n"), "{}", imported.text);
    let again = Hand::parse(&imported.hand.address, &imported.text).unwrap();
    assert_eq!(again, imported.hand);
    let folder = Folder::new(&[("a.ron", &imported.text)]);
    assert_eq!(Hand::load(&folder.path("a.ron")).unwrap().fingers, imported.hand.fingers);
    assert!(import::hand(std::path::Path::new("no/such/file.urdf"), &options()).is_err());
}
