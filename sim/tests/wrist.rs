//! Contract: a hand with a wrist has a joint more, the first, which turns the palm and carries its weight; everything else is as
//! without it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bridge::real::emulator::{Drive, Plant, Shaft, UNLIMITED_MA};
use bridge::{Body, CubeReward, EnvironmentSpec, Percept, Task};
use rapier3d::glamx::DVec3;
use sim::{
    Cube, CubePlant, CubeScene, Domain, FingerContacts, Hand, PHYSICS_HZ, ScissorsDomain, ScissorsScene, Surroundings,
    World, emulated_calibration,
};

const HAND: &str = "orca_v2_wrist";
const GRAVITY_M_S2: f64 = 9.81;

fn world(hand: &Hand, q_rad: &[f32]) -> World {
    let aside = Cube { edge_m: 0.05, mass_kg: 0.08, center_m: DVec3::new(0.3, 0.3, -0.25), yaw_rad: 0.0 };
    let surroundings =
        Surroundings { friction: 1.0, motor_gain_scale: 1.0, slack_rad: 0.0, finger_contacts: FingerContacts::Distal };
    World::new(hand, q_rad, &aside, &surroundings)
}

/// Torque of the hand's weight about the wrist, by its table, N m; positive flexes.
fn weight_nm(hand: &Hand, q_rad: &[f64]) -> f64 {
    let palm_turn = hand.palm_turn(q_rad);
    // The axis is y and weight is along -z: the arm is x.
    let nm = |mass_kg: f64, at_m: DVec3| mass_kg * GRAVITY_M_S2 * (palm_turn * at_m).x;
    let palm = &hand.wrist.as_ref().unwrap().link;
    let mut sum_nm = nm(palm.mass_kg, palm.form.as_ref().unwrap().center_of_mass_m);
    for finger in &hand.fingers {
        let own_rad = &q_rad[finger.first_joint..][..finger.joints.len()];
        for (link, joint) in finger.joints.iter().enumerate() {
            sum_nm += nm(joint.link.mass_kg, finger.point_m(own_rad, link, 0.5 * joint.link.end_m));
        }
        sum_nm += nm(finger.tip.mass_kg, finger.tip_m(own_rad));
    }
    sum_nm
}

/// Contract: at rest the motor of the wrist bears the weight of palm and fingers, wherever they are; a goal moves the palm there,
/// and what is left is that weight over the stiffness.
#[test]
fn the_wrist_carries_the_hand() {
    let hand = Hand::load(HAND).unwrap();
    let motor = hand.wrist.as_ref().unwrap().motor;
    for goal_rad in [-0.8, 0.0, 0.5] {
        let mut targets_rad: Vec<f32> = hand.joints().map(|joint| joint.neutral_rad as f32).collect();
        let mut world = world(&hand, &targets_rad);
        targets_rad[0] = goal_rad;
        world.set_targets(&targets_rad);
        for _ in 0..3 * PHYSICS_HZ {
            world.step().unwrap();
        }
        let (mut q_rad, mut dq_rad_s) = (targets_rad.clone(), targets_rad.clone());
        world.engine().read_joints(&mut q_rad, &mut dq_rad_s);
        let motor_nm = motor.stiffness_nm_rad * f64::from(goal_rad - q_rad[0]);
        let found_rad: Vec<f64> = q_rad.iter().copied().map(f64::from).collect();
        let expected_nm = weight_nm(&hand, &found_rad);
        assert!(expected_nm > 0.1, "{expected_nm} N m");
        assert!((motor_nm + expected_nm).abs() < 0.02 * expected_nm, "{goal_rad} rad: {motor_nm}, {expected_nm} N m");
    }
}

/// Contract: an action of the cube task has 17 values, one of the scissors 24; the hand starts with its wrist at zero and its
/// fingers as without a wrist, and both tasks run.
#[test]
fn both_tasks_have_the_wrist() {
    let (with, without) = (CubeScene::load(HAND).unwrap(), CubeScene::load("orca_v2").unwrap());
    assert_eq!(with.start().holding_rad[0], 0.0);
    assert_eq!(with.start().holding_rad[1..], without.start().holding_rad);
    let mut body = with.body(Domain::load("nominal").unwrap());
    let task = bridge::CubeTask::new(with.task_config(CubeReward::Dense), with.hand().n_joints());
    let spec = EnvironmentSpec::of(body.spec(), task.spec()).unwrap();
    assert_eq!((spec.action_len, body.spec().joints[0].name.as_str()), (17, "wrist"));
    body.reset(1).unwrap();
    let mut percept = Percept::default();
    body.read(&mut percept).unwrap();
    assert_eq!(percept.find_non_finite(), None);

    let (with, without) = (ScissorsScene::load(HAND).unwrap(), ScissorsScene::load("orca_v2").unwrap());
    let mut body = with.body(ScissorsDomain::load("scissors_nominal").unwrap());
    let task = bridge::ScissorsTask::new(with.task_config().clone(), with.hand().n_joints());
    let spec = EnvironmentSpec::of(body.spec(), task.spec()).unwrap();
    assert_eq!(spec.action_len, 24);
    let mut other = without.body(ScissorsDomain::load("scissors_nominal").unwrap());
    let mut percepts = [Percept::default(), Percept::default()];
    for (body, percept) in [&mut body, &mut other].into_iter().zip(&mut percepts) {
        body.reset(1).unwrap();
        body.read(percept).unwrap();
    }
    let [ours, theirs] = &percepts;
    assert_eq!(ours.commanded_rad[1..], theirs.commanded_rad);
    // The tool is the forearm: where it is does not depend on what it carries, but for how it yields.
    let (a, b) = (ours.tool.unwrap().measured.position_m, theirs.tool.unwrap().measured.position_m);
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3), "{a:?}, {b:?}");
}

/// Contract: the motor of the wrist, which measures no current, moves it behind its shaft; at none of its supply, or
/// without torque, it does not.
#[test]
fn the_emulated_wrist_is_moved_by_its_motor() {
    let scene = CubeScene::load(HAND).unwrap();
    let table = scene.hand().motors.as_ref().unwrap();
    assert!(table.motors.iter().all(|motor| motor.held.is_none()));
    assert_eq!(emulated_calibration(scene.hand()).unwrap().joints.len(), 17);
    let wrist = table.motors.iter().position(|motor| motor.joint == "wrist").unwrap();
    for (is_on, current_limit_ma, moves) in
        [(true, 0.5 * UNLIMITED_MA, true), (true, 0.0, false), (false, 700.0, false)]
    {
        let mut plant = CubePlant::new(&scene, Domain::load("exact").unwrap(), 1, 60).unwrap();
        let mut shafts = vec![Shaft::default(); table.motors.len()];
        plant.advance(&vec![Drive::default(); shafts.len()], 0.0, &mut shafts);
        let goals_rad: Vec<f64> = shafts.iter().map(|shaft| shaft.position_rad).collect();
        let mut drives: Vec<Drive> =
            goals_rad.iter().map(|&goal_rad| Drive { is_on: true, goal_rad, current_limit_ma: 300.0 }).collect();
        let goal_rad = goals_rad[wrist] + 0.3;
        drives[wrist] = Drive { is_on, goal_rad, current_limit_ma };
        for _ in 0..200 {
            plant.advance(&drives, 0.01, &mut shafts);
        }
        let off_rad = (shafts[wrist].position_rad - goal_rad).abs();
        assert_eq!(off_rad < 0.03, moves, "{is_on}, {current_limit_ma} mA: {off_rad} rad from the goal");
        assert!(shafts.iter().all(|shaft| shaft.current_ma.is_finite() && shaft.position_rad.is_finite()));
    }
}
