//! The physics behind the hand: it is exact where it must be, and holds what it grasps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bridge::{Body, BodyError, Percept};
use rapier3d::glamx::DVec3;
use sim::{
    Cube, CubeScene, Domain, FingerContacts, Gait, GaitTable, Hand, PHYSICS_HZ, SERVO_HZ, SimHand, Simulated,
    Surroundings, World,
};

/// A hand that plays the gait of its scene at the servo rate.
struct Player {
    hand: SimHand,
    table: GaitTable,
    tick: u32,
    targets_rad: Vec<f32>,
    percept: Percept,
}

impl Player {
    fn new(hand: &str, gait: &str, seed: u64) -> Self {
        let scene = CubeScene::load(hand).unwrap();
        let table = GaitTable::new(scene.hand(), &Gait::load(gait).unwrap()).unwrap();
        let mut player = Self {
            hand: scene.body(Domain::load("nominal").unwrap()),
            targets_rad: table.holding_rad().to_vec(),
            table,
            tick: 0,
            percept: Percept::default(),
        };
        player.hand.reset(seed).unwrap();
        player
    }

    /// One servo period; returns the bits of everything that is perceived after it.
    fn tick(&mut self) -> Vec<u32> {
        self.table.target(f64::from(self.tick) / f64::from(SERVO_HZ), 0.0, &mut self.targets_rad);
        self.hand.command(&self.targets_rad).unwrap();
        self.hand.read(&mut self.percept).unwrap();
        self.tick += 1;
        let cube = &self.percept.objects[0];
        let joints = self.percept.measured_rad.iter().chain(&self.percept.effort_nm);
        let pose = cube.position_m.iter().chain(&cube.orientation).chain(&cube.velocity_m_s);
        joints.chain(pose).chain(&cube.angular_velocity_rad_s).map(|x| x.to_bits()).collect()
    }

    fn ticks(&mut self, n: usize) -> Vec<Vec<u32>> {
        (0..n).map(|_| self.tick()).collect()
    }
}

/// Contract: the same seed gives the same bits, also when another world runs on another thread at the same time.
#[test]
fn the_same_seed_gives_the_same_bits() {
    for (hand, gait) in [("orca_v2", "orca_v2_r5"), ("reference16", "reference16_trot")] {
        let alone = Player::new(hand, gait, 3).ticks(240);
        let other_seed = Player::new(hand, gait, 4).ticks(240);
        let together = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| Player::new(hand, gait, 3).ticks(240))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(together.iter().all(|run| *run == alone), "{hand}: runs of one seed differ");
        assert_ne!(alone, other_seed, "{hand}: seeds do not matter");
    }
}

/// Contract: a snapshot taken in mid-contact leads to the same bits at every later step, in its own world after a
/// diverged branch, and in another world that was built alike.
#[test]
fn a_snapshot_leads_to_the_same_bits() {
    for (hand, gait) in [("orca_v2", "orca_v2_r5"), ("reference16", "reference16_trot")] {
        let mut player = Player::new(hand, gait, 5);
        player.ticks(60);
        assert!(player.hand.engine().n_contacts() >= 3, "{hand}: the snapshot is not in mid-contact");
        let (snapshot, tick) = (player.hand.snapshot(), player.tick);
        let expected = player.ticks(120);

        player.tick = tick + 20;
        player.hand.restore(&snapshot);
        player.ticks(50);
        (player.tick, _) = (tick, player.hand.restore(&snapshot));
        assert_eq!(player.ticks(120), expected, "{hand}: restored in place after a branch");

        let mut twin = Player::new(hand, gait, 5);
        (twin.tick, _) = (tick, twin.hand.restore(&snapshot));
        assert_eq!(twin.ticks(120), expected, "{hand}: restored in another world");
    }
}

/// Contract: a 13 mm squeeze of ORCA's five fingers holds a 5 cm cube of 80 g with less than 1 mm of slip in 9 s.
#[test]
fn a_static_grasp_does_not_creep() {
    const GRASP_DEG: [&[f64]; 5] = [
        &[-24.0, 38.0, 80.0],
        &[17.0, 46.0, 36.0],
        &[24.0, 32.0, 93.0],
        &[-10.0, 59.0, 50.0],
        &[-17.0, 11.0, 31.0, 32.0],
    ];
    const SQUEEZE_M: f64 = 0.013;
    let hand = Hand::load("orca_v2").unwrap();
    let cube = Cube { edge_m: 0.05, mass_kg: 0.08, center_m: DVec3::new(0.0727, -0.0142, -0.0545), yaw_rad: -0.74 };
    let (mut open_rad, mut squeezing_rad) = (Vec::new(), Vec::new());
    for (finger, grasp_deg) in hand.fingers.iter().zip(GRASP_DEG) {
        let q_rad: Vec<f64> = grasp_deg.iter().map(|degrees| degrees.to_radians()).collect();
        let tip_m = finger.tip_m(&q_rad);
        // The face that the tip touches: the horizontal cube axis along which it is furthest out.
        let out = (0..4)
            .map(|face| f64::from(face) * std::f64::consts::FRAC_PI_2 + cube.yaw_rad)
            .map(|angle| DVec3::new(angle.cos(), angle.sin(), 0.0))
            .max_by(|a, b| a.dot(tip_m - cube.center_m).total_cmp(&b.dot(tip_m - cube.center_m)))
            .unwrap();
        let gap_m = out.dot(tip_m - cube.center_m) - 0.5 * cube.edge_m - finger.tip.radius_m;
        for (posture_rad, depth_m) in [(&mut open_rad, -0.001), (&mut squeezing_rad, SQUEEZE_M)] {
            let mut posed_rad = q_rad.clone();
            finger.reach(&mut posed_rad, tip_m - out * (gap_m + depth_m), 40);
            posture_rad.extend(posed_rad.iter().map(|&q| q as f32));
        }
    }

    let surroundings =
        Surroundings { friction: 1.0, motor_gain_scale: 1.0, slack_rad: 0.0, finger_contacts: FingerContacts::Distal };
    let mut world = World::new(&hand, &open_rad, &cube, &surroundings);
    world.set_cube_weight(false);
    let mut settled_m = [0.0; 3];
    for step in 0..10 * PHYSICS_HZ {
        let time_s = step as f32 / PHYSICS_HZ as f32;
        let share = (time_s / 0.3).min(1.0);
        let targets_rad: Vec<f32> = open_rad.iter().zip(&squeezing_rad).map(|(a, b)| a + (b - a) * share).collect();
        world.set_targets(&targets_rad);
        if step == PHYSICS_HZ / 2 {
            world.set_cube_weight(true);
        }
        world.step().unwrap();
        if step == PHYSICS_HZ {
            settled_m = world.cube_pose(0.0).position_m;
        }
    }
    let held_m = world.cube_pose(0.0).position_m;
    let slip_m = (0..3).map(|axis| (held_m[axis] - settled_m[axis]).powi(2)).sum::<f32>().sqrt();
    assert!(slip_m < 1e-3, "slipped {slip_m} m in 9 s, from {settled_m:?} to {held_m:?}");
}

/// Contract: tendons that hang through let fingers hang: those joints that weight bends rest at the end of their slack,
/// where the motor begins to pull, and no joint is further from its goal than that and the sag of a motor that holds it.
#[test]
fn loose_fingers_hang() {
    const SLACK_RAD: f32 = 0.04;
    // Less than 0.05 kg at 0.08 m on 3 N m/rad.
    const SAG_RAD: f32 = 0.013;
    let hand = Hand::load("orca_v2").unwrap();
    let goals_rad: Vec<f32> = hand.joints().map(|joint| joint.neutral_rad as f32).collect();
    let aside = Cube { edge_m: 0.05, mass_kg: 0.08, center_m: DVec3::new(0.0, -0.3, 0.0), yaw_rad: 0.0 };
    let errors_rad = |slack_rad: f64| {
        let finger_contacts = FingerContacts::Off;
        let surroundings = Surroundings { friction: 1.0, motor_gain_scale: 1.0, slack_rad, finger_contacts };
        let mut world = World::new(&hand, &goals_rad, &aside, &surroundings);
        for _ in 0..3 * PHYSICS_HZ {
            world.set_targets(&goals_rad);
            world.step().unwrap();
        }
        let (mut q_rad, mut dq_rad_s) = (vec![0.0; goals_rad.len()], vec![0.0; goals_rad.len()]);
        world.engine().read_joints(&mut q_rad, &mut dq_rad_s);
        q_rad.iter().zip(&goals_rad).map(|(q, goal)| q - goal).collect::<Vec<f32>>()
    };
    let (taut, loose) = (errors_rad(0.0), errors_rad(SLACK_RAD.into()));
    for (joint, (taut, loose)) in hand.joints().zip(taut.iter().zip(&loose)) {
        assert!(taut.abs() < SAG_RAD, "{}: {taut} rad", joint.name);
        assert!(loose.abs() < SLACK_RAD + SAG_RAD, "{}: {loose} rad", joint.name);
        if !joint.name.starts_with("thumb") && !joint.name.ends_with("abd") {
            assert!(*loose > SLACK_RAD - 1e-3, "{}: {loose} rad", joint.name);
        }
    }
}

/// Contract: a target that is not finite, or an array of the wrong length, is refused by name and moves nothing.
#[test]
fn nonsense_is_not_commanded() {
    let mut player = Player::new("reference16", "reference16_trot", 1);
    player.tick();
    let before = player.percept.clone();
    for (joint, value) in [(0, f32::NAN), (5, f32::INFINITY), (15, f32::NEG_INFINITY)] {
        let mut targets_rad = player.targets_rad.clone();
        targets_rad[joint] = value;
        let error = player.hand.command(&targets_rad).unwrap_err();
        assert!(
            matches!(&error, BodyError::NonFinite { quantity, .. } if *quantity == format!("targets_rad[{joint}]")),
            "{error}"
        );
    }
    let error = player.hand.command(&[0.0; 3]).unwrap_err();
    assert!(matches!(error, BodyError::WrongLength { found: 3, expected: 16, .. }), "{error}");
    let mut after = Percept::default();
    player.hand.read(&mut after).unwrap();
    assert_eq!(after, before);
}

/// Contract: time runs with the commands, and what is commanded is perceived as commanded.
#[test]
fn commands_take_their_time() {
    let mut player = Player::new("orca_v2", "orca_v2_r5", 1);
    player.hand.read(&mut player.percept).unwrap();
    assert_eq!(player.percept.time_s, 0.0);
    player.ticks(90);
    assert!((player.percept.time_s - 1.5).abs() < 1e-12, "{} s", player.percept.time_s);
    assert_eq!(player.percept.commanded_rad, player.targets_rad);
    let limit_nm = player.hand.spec().joints[0].max_effort_nm;
    assert!(player.percept.effort_nm.iter().all(|effort| effort.abs() <= limit_nm));
}
