//! Tests of the world of the scissors task.

use super::*;
use crate::scissors::wrist::pose;
use crate::scissors::{ScissorsDomain, ScissorsScene, SimScissors};
use crate::sim_hand::SERVO_HZ;
use bridge::number::Positive;
use bridge::{Body, Environment, GovernorConfig, SIM_FAULT_SCALAR};
use rapier3d::prelude::{RigidBodyBuilder, SphericalJointBuilder};

const DT_S: f32 = 1.0 / PHYSICS_HZ as f32;

fn body(change: impl FnOnce(&mut ScissorsDomain)) -> SimScissors {
    let mut domain = ScissorsDomain::load("scissors_exact").unwrap();
    change(&mut domain);
    ScissorsScene::load("orca_v2").unwrap().body(domain)
}

/// Puts the scissors somewhere, weightless, opened by `opening_rad`.
fn float(world: &mut ScissorsWorld, pivot: Vector, opening_rad: f32) {
    world.engine.physics.gravity = Vector::ZERO;
    for (half, side) in world.shears.halves.into_iter().zip([0.5, -0.5]) {
        let pose = Pose::from_parts(pivot, Rotation::from_rotation_x(side * opening_rad));
        world.engine.physics.bodies[half].set_position(pose, true);
    }
}

/// Turns the halves against each other for `n_steps`; a positive torque opens. As a world's step but for the wrist, with
/// the torque in every substep, as a finger's: an impulse before the step would throw the blades.
fn twist(world: &mut ScissorsWorld, torque_nm: f32, n_steps: u32) {
    for _ in 0..n_steps {
        world.case.detain(&mut world.engine, &world.shears);
        for (half, side) in world.shears.halves.into_iter().zip([1.0, -1.0]) {
            let half = &mut world.engine.physics.bodies[half];
            let axis = *half.rotation() * Vector::X;
            half.add_torque(axis * (side * torque_nm), true);
        }
        world.tape.meet(&mut world.engine, &world.shears, &mut world.state.tape);
        world.engine.step().unwrap();
        world.tape.tear(&mut world.engine, &mut world.state.tape);
    }
}

/// Holds the scissors as a hand would that yields to nothing and lets only the blades turn.
fn hold(world: &mut ScissorsWorld, pivot: Vector, (opening_rad, rate_rad_s): (f32, f32)) {
    float(world, pivot, opening_rad);
    for (half, side) in world.shears.halves.into_iter().zip([0.5, -0.5]) {
        let half = &mut world.engine.physics.bodies[half];
        half.set_linvel(Vector::ZERO, true);
        half.set_angvel(Vector::X * (side * rate_rad_s), true);
    }
}

/// Contract: the detent holds the scissors in their case against their own weight, upside down; without it they leave.
#[test]
fn the_detent_holds_the_scissors() {
    for (detent_scale, holds) in [(1.0, true), (1e-3, false)] {
        let mut body = body(|domain| domain.detent_scale = Positive::try_from(detent_scale).unwrap());
        let world = body.world_mut();
        world.engine.physics.gravity = Vector::new(0.0, 0.0, 9.81);
        let out_m = |world: &ScissorsWorld| {
            let height_m = |object| world.object_pose(object, 0.0).position_m[2];
            height_m(ScissorsObject::FingerHalf) - height_m(ScissorsObject::Case)
        };
        for _ in 0..PHYSICS_HZ {
            world.step().unwrap();
        }
        assert_eq!(out_m(world) < 0.0015, holds, "detent {detent_scale}: {} m out", out_m(world));
    }
}

/// Contract: the pivot takes up a torque below its friction; of one that is twice its friction it takes half.
#[test]
fn the_pivot_has_friction() {
    let free = Vector::new(0.3, -0.3, 0.4);
    let opened = |friction_scale: f64, torque_nm: f32, n_steps: u32| {
        let mut body = body(|domain| domain.pivot_friction_scale = Positive::try_from(friction_scale).unwrap());
        let world = body.world_mut();
        float(world, free, 0.1);
        twist(world, torque_nm, n_steps);
        world.shears.opening(&world.engine)
    };
    let (opening_rad, _) = opened(1.0, 0.004, 60);
    assert!((opening_rad - 0.1).abs() < 0.025, "crept to {opening_rad} rad in 0.25 s");
    let (rate_rad_s, frictionless_rad_s) = (opened(1.0, 0.016, 5).1, opened(1e-6, 0.016, 5).1);
    let share = rate_rad_s / frictionless_rad_s;
    assert!((share - 0.5).abs() < 0.05, "{rate_rad_s} of {frictionless_rad_s} rad/s, expected half");
}

/// Contract: the tape bears a pull below its strength, and is torn, which is not cut, by one far above it.
#[test]
fn the_tape_bears_its_strength() {
    for (pull_n, tears) in [(30.0, false), (200.0, true)] {
        let mut body = body(|_| ());
        let world = body.world_mut();
        let element = world.tape.middle_element();
        // Slowly: what is pulled all at once swings to twice the pull.
        for step in 0..PHYSICS_HZ {
            let share = (step as f32 / (0.5 * PHYSICS_HZ as f32)).min(1.0);
            let element = &mut world.engine.physics.bodies[element];
            element.reset_forces(true);
            element.add_force(Vector::new(pull_n * share, 0.0, 0.0), true);
            world.engine.step().unwrap();
            world.tape.tear(&mut world.engine, &mut world.state.tape);
            // What is torn off and still pulled would fly away.
            if world.is_tape_torn() {
                break;
            }
        }
        assert_eq!(world.is_tape_torn(), tears, "{pull_n} N");
        assert!(!world.is_tape_cut(), "{pull_n} N");
    }
}

/// Contract: the tape is cut when it is between open blades that are closed with more than the cutting torque, and in no
/// other case: not with less, not beside the blades, not by blades that are closed already.
#[test]
fn the_tape_is_cut_by_the_rule_alone() {
    // At an opening of 0.235 rad the edges touch the tape: closing blades have no momentum yet.
    let cases = [
        ("wide open", 0.2, 0.0, 0.5, true),
        ("just open", 0.12, 0.0, 0.235, true),
        ("too little torque", 0.06, 0.0, 0.235, false),
        ("beside the blades", 0.2, 0.03, 0.5, false),
        ("closed already", 0.2, 0.0, 0.12, false),
    ];
    for (name, torque_nm, aside_m, opening_rad, cuts) in cases {
        let mut body = body(|_| ());
        let world = body.world_mut();
        let tape = world.object_pose(ScissorsObject::Tape, 0.0).position_m;
        float(world, Vector::new(tape[0], tape[1] + aside_m, tape[2] + 0.045), opening_rad);
        twist(world, -torque_nm, PHYSICS_HZ);
        assert_eq!(world.is_tape_cut(), cuts, "{name}");
        assert!(!world.is_tape_torn(), "{name}");
    }
}

/// Contract: blades on the tape that are pressed too weakly cut nothing, however long, nor when they are opened, however
/// hard; those that fall upon it cut no deeper than the work done on them pays for, and from where one step brings them
/// to it out of rest, no deeper than that and this step.
#[test]
fn weak_and_opening_blades_cut_nothing() {
    let pressed = |opening_rad: f32, pressed_nm: f32| {
        let mut body = body(|_| ());
        let world = body.world_mut();
        let tape = world.object_pose(ScissorsObject::Tape, 0.0).position_m;
        float(world, Vector::new(tape[0], tape[1], tape[2] + 0.045), opening_rad);
        twist(world, -pressed_nm, PHYSICS_HZ);
        body
    };
    for opening_nm in [0.06, 0.09, 0.1, 0.2] {
        let mut body = pressed(0.225, 0.06);
        let world = body.world_mut();
        twist(world, -0.06, 7 * PHYSICS_HZ);
        assert_eq!(world.state.tape.cut_m(), 0.0, "pressed");
        twist(world, opening_nm, PHYSICS_HZ / 8);
        assert_eq!(world.state.tape.cut_m(), 0.0, "opened with {opening_nm} N m");
    }
    // Of the scene's file: what the pivot and the tape resist with; where the edges reach a tape that is held like this.
    let (friction_nm, cutting_nm, contact_rad) = (0.008, 0.08, 0.2245);
    // How far 0.06 N m close the blades in a step out of rest, before anything can hold them.
    let step_rad = 0.0232;
    let mut n_cut = 0;
    for (opening_rad, pressed_nm, free_rad) in [
        (0.23, 0.06, step_rad),
        (0.235, 0.06, step_rad),
        (0.24, 0.06, step_rad),
        (0.25, 0.03, 0.0),
        (0.25, 0.05, 0.0),
        (0.3, 0.03, 0.0),
        (0.4, 0.02, 0.0),
        (0.5, 0.015, 0.0),
    ] {
        let mut body = pressed(opening_rad, pressed_nm);
        let world = body.world_mut();
        let (end_rad, _) = world.shears.opening(&world.engine);
        let paid_j = (pressed_nm - friction_nm) * (opening_rad - end_rad) + cutting_nm * free_rad;
        let cost_j = cutting_nm * (contact_rad - end_rad);
        assert!(cost_j < paid_j, "{pressed_nm} N m from {opening_rad} rad: {cost_j} J of {paid_j} J");
        n_cut += usize::from(world.state.tape.cut_m() > 0.0);
    }
    assert!(n_cut >= 5, "momentum cuts, too: {n_cut}");
}

/// Contract: what is closed already cuts nothing: not blades that are pressed beside the tape, as far as they close there, and
/// slid over it like that, nor those that have cut one place and are moved along the tape to another.
#[test]
fn closed_blades_cut_nothing_they_are_moved_to() {
    for side in [1.0, -1.0] {
        let mut body = body(|_| ());
        let world = body.world_mut();
        let tape = world.object_pose(ScissorsObject::Tape, 0.0).position_m;
        let above = Vector::new(tape[0], tape[1], tape[2] + 0.045);
        hold(world, above, (0.5, 0.0));
        twist(world, 0.0, 1);
        let aside = Vector::Y * (side * 0.012);
        for _ in 0..PHYSICS_HZ / 4 {
            let opening = world.shears.opening(&world.engine);
            hold(world, above + aside, opening);
            twist(world, -0.2, 1);
        }
        let opening_rad = world.opening_rad();
        for step in 0..30 {
            let share = (1.0 - step as f32 / 20.0).max(0.0);
            hold(world, above + aside * share, (opening_rad, -0.1));
            twist(world, -0.2, 1);
            assert_eq!(world.state.tape.cut_m(), 0.0, "{share} of the way beside the tape, side {side}");
            assert!(!world.is_tape_torn(), "{share} of the way beside the tape, side {side}");
        }
    }

    let mut body = body(|_| ());
    let world = body.world_mut();
    let tape = world.object_pose(ScissorsObject::Tape, 0.0).position_m;
    // So high that the points of closed blades leave some of the width.
    float(world, Vector::new(tape[0], tape[1], tape[2] + 0.068), 0.5);
    twist(world, -0.2, PHYSICS_HZ / 4);
    let cut_m = world.state.tape.cut_m();
    assert!(cut_m > 0.01 && !world.is_tape_cut(), "{cut_m} m");
    // From the middle of the tape past the next of its joints, which are 8 mm apart.
    for half in world.shears.halves {
        let half = &mut world.engine.physics.bodies[half];
        half.set_translation(half.translation() + Vector::X * 0.010, true);
    }
    twist(world, -0.2, PHYSICS_HZ / 4);
    let moved_m = world.state.tape.cut_m();
    assert!((moved_m - cut_m).abs() < 5e-4, "{moved_m} m, {cut_m} m before");
}

/// Contract: a tape between the blades is not passed beside. A hand that yields is pushed until the tape is in the middle, and
/// cuts; one that yields to nothing cuts where it overcomes what the tape pushes with, stays open where it does not, and
/// tears it where it is stretched too far.
#[test]
fn a_tape_between_the_blades_is_not_passed() {
    // Where the edges reach a tape that is held like this, rad.
    let contact_rad = 0.2245;
    for (name, aside_m, yields, cuts, tears) in [
        ("yielding", 0.010, true, true, false),
        ("a little aside", 0.004, false, true, false),
        ("aside", 0.013, false, false, false),
        ("far aside", 0.030, false, false, true),
    ] {
        for side in [1.0, -1.0] {
            let mut body = body(|_| ());
            let world = body.world_mut();
            let tape = world.object_pose(ScissorsObject::Tape, 0.0).position_m;
            let above = Vector::new(tape[0], tape[1], tape[2] + 0.045);
            hold(world, above, (0.9, 0.0));
            twist(world, 0.0, 1);
            let aside = above + Vector::Y * (side * aside_m);
            hold(world, aside, (0.9, 0.0));
            for _ in 0..PHYSICS_HZ {
                twist(world, -0.2, 1);
                let pivot =
                    if yields { world.engine.physics.bodies[world.shears.halves[0]].translation() } else { aside };
                hold(world, pivot, world.shears.opening(&world.engine));
            }
            assert_eq!((world.is_tape_cut(), world.is_tape_torn()), (cuts, tears), "{name}, side {side}");
            let opening_rad = world.opening_rad();
            assert!(cuts || tears || opening_rad > contact_rad, "{name}, side {side}: {opening_rad} rad");
        }
    }
}

/// Contract: the wrist is where it is told to be, within 1 mm, and its force on what blocks it is that of the clipped
/// error, whatever the target.
#[test]
fn the_wrist_follows_and_yields() {
    let mut body = body(|_| ());
    let world = body.world_mut();
    let start = world.state.wrist.target;
    let mut target = start;
    for x in &mut target.position_m {
        *x += 0.008;
    }
    world.set_tool_target(target);
    for _ in 0..PHYSICS_HZ {
        world.step().unwrap();
    }
    let reached = world.end_tick();
    for (x, wanted) in reached.measured.position_m.into_iter().zip(target.position_m) {
        assert!((x - wanted).abs() < 1e-3, "{reached:?}, expected {target:?}");
    }
    assert!(reached.force_n.iter().all(|force| force.abs() < 1.0), "free in the air: {reached:?}");

    // A block of 500 kg, in the way of a target half a metre down.
    let base = world.engine.base;
    world.engine.physics.bodies[base].set_additional_mass(500.0, true);
    target.position_m[2] -= 0.5;
    world.set_tool_target(target);
    for _ in 0..10 {
        world.step().unwrap();
    }
    let speed_m_s = world.engine.physics.bodies[base].linvel().z;
    let expected_m_s = -2000.0 * 0.01 / 500.0 * 10.0 * DT_S;
    assert!((speed_m_s - expected_m_s).abs() < 0.2 * expected_m_s.abs(), "{speed_m_s}, {expected_m_s} m/s");
}

/// Contract: the force on the tool is that of the surroundings, as the hand speeds up, brakes, turns and rests: nothing of its
/// own momentum is in it, and of what pushes the palm nothing is missing. What Rapier says of the links' velocities, of 0.2 kg at
/// 0.1 m, is a substep old: of 40 N that come all at once, 0.2 N and 0.03 N m are missing for a tick.
#[test]
fn the_force_on_the_tool_is_that_of_the_surroundings() {
    let (none, push_n) = (Vector::ZERO, Vector::new(3.0, -8.0, 5.0));
    for (push_n, way, turn) in [
        (none, Vector::X, none),
        (none, Vector::NEG_Y, none),
        (none, none, Vector::Z),
        (none, Vector::Z, Vector::X),
        (push_n, Vector::Z, none),
        (push_n, Vector::X, Vector::Y),
    ] {
        let mut body = body(|_| ());
        let world = body.world_mut();
        let (start, base) = (pose(&world.state.wrist.target), world.engine.base);
        world.end_tick();
        for tick in 0..60 {
            // Away as hard as it can, and back again.
            let share = if tick < 8 { 0.5 } else { 0.0 };
            let target = Pose::from_parts(way * share, Rotation::from_scaled_axis(turn * share));
            let (position, rotation) = (start.translation + target.translation, target.rotation * start.rotation);
            world.set_tool_target(ToolPose { position_m: position.into(), orientation: rotation.into() });
            for _ in 0..4 {
                world.wrist.drive(&mut world.engine, &mut world.state.wrist, DT_S);
                world.engine.physics.bodies[base].add_force(push_n, true);
                world.engine.step().unwrap();
            }
            let tool = world.end_tick();
            let off_n = (Vector::from_array(tool.force_n) - push_n).length();
            let off_nm = Vector::from_array(tool.torque_nm).length();
            assert!(off_n < 0.25, "{way:?}, {turn:?}, pushed with {push_n:?} N, tick {tick}: {:?} N", tool.force_n);
            assert!(
                off_nm < 0.05,
                "{way:?}, {turn:?}, pushed with {push_n:?} N, tick {tick}: {:?} N m",
                tool.torque_nm
            );
        }
    }
}

/// Contract: a hand that rams scissors of 20 g into their case is noticed, and what follows is the same bits from a snapshot in the middle.
#[test]
fn ramming_is_noticed_and_repeated() {
    let mut body = body(|domain| {
        domain.scissors_mass_scale = Positive::try_from(0.4).unwrap();
        domain.wrist_gain_scale = Positive::try_from(1.8).unwrap();
    });
    let mut command = ScissorsScene::load("orca_v2").unwrap().start_command();
    let scissors = body.world().object_pose(ScissorsObject::FingerHalf, 0.0).position_m;
    command[..3].copy_from_slice(&scissors);
    let mut snapshot = None;
    let mut went = Vec::new();
    for round in 0..2 {
        if let Some(snapshot) = &snapshot {
            body.restore(snapshot);
        }
        let (mut n_rammed, mut poses) = (0, Vec::new());
        for _ in 0..2 * SERVO_HZ {
            body.command(&command).unwrap();
            let is_ramming = body.world().state.is_ramming;
            n_rammed += u32::from(is_ramming);
            if is_ramming && snapshot.is_none() {
                snapshot = Some(body.snapshot());
                poses.clear();
            }
            poses.push(body.world().object_pose(ScissorsObject::ThumbHalf, 0.0));
        }
        assert!(n_rammed > 3, "round {round}: in {n_rammed} ticks");
        went.push(poses);
    }
    assert_eq!(went[0][1..60], went[1][..59]);
}

/// Contract: an episode whose tape is torn ends as that, not as a fault of the physics: what recoils stays in the room, also
/// in a body that goes on.
#[test]
fn a_torn_tape_is_no_fault() {
    for strength_scale in [0.25, 1.0, 4.0] {
        let scene = ScissorsScene::load("orca_v2").unwrap();
        let mut domain = ScissorsDomain::load("scissors_exact").unwrap();
        domain.tape_strength_scale = Positive::try_from(strength_scale).unwrap();
        let mut environment = scene.environment(domain, GovernorConfig::usual().unwrap()).unwrap();
        let mut observation = vec![0.0; environment.spec().observation_len];
        environment.reset(1, &mut observation).unwrap();
        // As a hand that is at the tape: of 1 kg, what it pulls with does not tear off with an element.
        let world = environment.governor_mut().body_mut().world_mut();
        let element = world.tape.middle_element();
        let at = *world.engine.physics.bodies[element].position();
        let puller = RigidBodyBuilder::dynamic().pose(at).gravity_scale(0.0).additional_mass(1.0).can_sleep(false);
        let puller = world.engine.physics.insert_body(puller);
        world.engine.physics.insert_impulse_joint(puller, element, SphericalJointBuilder::new());
        for tick in 0..400 {
            let world = environment.governor_mut().body_mut().world_mut();
            let puller = &mut world.engine.physics.bodies[puller];
            puller.reset_forces(true);
            puller.add_force(Vector::new(1.0, 0.0, 0.0) * (strength_scale as f32 * tick as f32), true);
            let step = environment.step(&scene.start_command(), &mut observation).unwrap();
            if step.terminated || step.truncated {
                break;
            }
        }
        let outcome = environment.outcome();
        assert_eq!(outcome.scalar("torn"), Some(1.0), "strength {strength_scale}: {outcome:?}");
        assert!(
            outcome.terminated && outcome.scalar(SIM_FAULT_SCALAR).is_none(),
            "strength {strength_scale}: {outcome:?}"
        );
        let body = environment.governor_mut().body_mut();
        body.world_mut().engine.physics.bodies[puller].reset_forces(true);
        for _ in 0..SERVO_HZ {
            body.command(&scene.start_command()).unwrap();
        }
    }
}
