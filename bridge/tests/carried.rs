//! Contract: a hand that an arm carries is one robot. The arm is engaged by arming and released with torque; it is never asked
//! to leave its box or to be further away than its clip; when its link is lost or it fails, servos and arm do what the
//! fault table says, seen at the servos' registers and at the arm.

mod carried_bench;

use bridge::real::cause::Cause;
use bridge::real::clock::Clock as _;
use bridge::real::control_loop::{Event, LoopConfig, LoopError, Posture};
use bridge::real::emulator::{Fault, Servos};
use bridge::real::labels::Button;
use bridge::real::machine::{Order, Refusal, State};
use bridge::{ToolPose, ToolSpec, turn_rad};
use carried_bench::rig::TestResult;
use carried_bench::{AWAY, Bench, PARK_RAD, START, TICK_S, config, limits, tool};

fn is_near(one: &ToolPose, other: &ToolPose, most_m: f32) -> bool {
    let is_near = one.position_m.iter().zip(other.position_m).all(|(a, b)| (a - b).abs() <= most_m);
    is_near && turn_rad(one.orientation, other.orientation) <= 10.0 * most_m
}

/// Contract: connecting engages nothing; arming engages the arm where it is; the way of an episode begins at its start,
/// with the arm arrived; disarming releases it, and it stays where it is.
#[test]
fn an_arm_is_engaged_with_the_hand() -> TestResult {
    let mut bench = Bench::new(config()?)?;
    bench.run(20)?;
    assert_eq!((bench.control.state(), bench.is_engaged()), (State::Connected, false));
    bench.order(Order::Arm)?;
    bench.run(30)?;
    assert!(bench.is_engaged() && is_near(&bench.tool()?, &AWAY, 1e-4), "{:?}", bench.tool()?);
    assert_eq!(bench.torques()?, vec![1; 17]);
    bench.order(Order::Start)?;
    let begun_s = loop {
        bench.run(1)?;
        let at_s = bench.events.try_iter().find_map(|event| match event {
            Event::Reached { posture: Posture::Start, at_s } => Some(at_s),
            _ => None,
        });
        if let Some(at_s) = at_s {
            break at_s;
        }
        assert!(bench.clock.now_s() < 10.0);
    };
    assert!(is_near(&bench.tool()?, &START, 2e-3), "{:?} at {begun_s} s", bench.tool()?);
    bench.run(50)?;
    // What is measured has the sign of the start, though the arm tells the other one.
    let percept_tool = bench.control.percept().tool.ok_or("no tool")?;
    assert!(percept_tool.measured.orientation[3] > 0.9 && bench.tool()?.orientation[3] < -0.9);
    bench.order(Order::Disarm)?;
    let left = bench.tool()?;
    assert_eq!((bench.is_engaged(), bench.torques()?), (false, vec![0; 17]));
    bench.run(50)?;
    assert_eq!((bench.is_engaged(), bench.tool()?), (false, left));
    Ok(())
}

/// Contract: arming takes longer than a socket's buffer has room for the states of a controller of 1 kHz; the hand is armed all the
/// same, with a present state of an arm that has never been silent, and that is held where somebody has put it meanwhile.
#[test]
fn a_fast_arm_is_heard_after_arming() -> TestResult {
    let mut bench = Bench::behind_udp(config()?)?;
    bench.run(20)?;
    let began_s = bench.clock.now_s();
    // A slow bus: some 600 answers, each a millisecond late.
    let (servos, by_s, for_s) = (Servos::All, 0.0009.try_into()?, 0.9.try_into()?);
    bench.inject(Fault::Delay { servos, by_s, for_s })?;
    let elsewhere = ToolPose { position_m: [0.36, 0.02, 0.3], ..AWAY };
    bench.lift(elsewhere, 0.5);
    bench.order(Order::Arm)?;
    let took_s = bench.clock.now_s() - began_s;
    assert!((0.8..2.0).contains(&took_s), "{took_s} s");
    bench.run(50)?;
    assert_eq!((bench.causes(), bench.control.state()), (vec![], State::Hold));
    assert!(bench.is_engaged() && is_near(&bench.tool()?, &elsewhere, 1e-4), "{:?}", bench.tool()?);
    Ok(())
}

/// Contract: a hand whose arm somebody has put outside of its workspace, by more than its clip, is not armed: the arm stays where it
/// is, without a setpoint, and it is said where that is and where the workspace ends. Back in it, the hand is armed. One whose torque
/// would come back by itself meanwhile is a fault.
#[test]
fn an_arm_outside_of_its_workspace_is_not_armed() -> TestResult {
    let mut bench = Bench::new(config()?)?;
    bench.run(5)?;
    let outside = ToolPose { position_m: [0.43, 0.02, 0.412], ..AWAY };
    bench.lift(outside, 0.0);
    bench.run(5)?;
    bench.events.try_iter().for_each(drop);
    bench.order(Order::Arm)?;
    bench.run(30)?;
    assert_eq!((bench.control.state(), bench.is_engaged(), bench.torques()?), (State::Connected, false, vec![0; 17]));
    assert!(is_near(&bench.tool()?, &outside, 1e-6), "{:?}", bench.tool()?);
    let events: Vec<Event> = bench.events.try_iter().collect();
    let where_it_is = "at z 0.412 m, its workspace goes from 0.250 to 0.400 m";
    let is_told = |event: &&Event| matches!(event, Event::OutOfReach { reason, .. } if reason.contains(where_it_is));
    assert_eq!(events.iter().filter(is_told).count(), 1, "{events:?}");
    let refusal = Refusal::Because(Cause::ArmNotReady);
    let is_refused =
        |event: &Event| matches!(event, Event::Refused { order: Order::Arm, refusal: why, .. } if *why == refusal);
    assert!(events.iter().any(is_refused), "{events:?}");

    bench.lift(ToolPose { position_m: [0.43, 0.02, 0.409], ..AWAY }, 0.0);
    bench.run(5)?;
    bench.order(Order::Arm)?;
    bench.run(30)?;
    assert_eq!((bench.control.state(), bench.is_engaged()), (State::Hold, true), "{:?}", bench.causes());

    // Limp while a servo is too hot, and lifted out meanwhile.
    bench.inject(Fault::Temperature { servos: Servos::Ids(vec![3]), celsius: 67.0.try_into()? })?;
    bench.run(100)?;
    assert_eq!((bench.control.state(), bench.is_engaged()), (State::Hold, false), "{:?}", bench.causes());
    bench.lift(outside, 0.0);
    bench.run(5)?;
    assert_eq!((bench.control.state(), bench.causes()), (State::Fault, vec![Cause::ArmNotReady]));
    Ok(())
}

/// Contract: a policy that wants the tool far outside of its box, and turned around, never gets a setpoint beyond the
/// tighter limits of arm and task; the quaternion's sign and length are nothing to it.
#[test]
fn setpoints_stay_in_their_limits() -> TestResult {
    let high = [0.9, -0.5, 0.8, 0.0, 1.9, 0.0, 0.1];
    let low = [-0.1, 0.5, -0.2, 0.0, 0.0, -0.5, -0.1];
    let mut bench = Bench::running([high, low])?;
    bench.run(1500)?;
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.causes());
    assert!(bench.worst_m > 5e-4 && bench.worst_m <= 0.01 + 1e-6, "{} m", bench.worst_m);
    assert!(bench.worst_rad > 1e-3 && bench.worst_rad <= 0.05 + 1e-4, "{} rad", bench.worst_rad);
    let tool = bench.tool()?;
    assert!(!is_near(&tool, &START, 0.03), "it has not moved: {tool:?}");
    Ok(())
}

/// Contract: a chunk whose pose is no rotation, or far beyond the workspace, is refused whole, and it is said why.
#[test]
fn poses_that_are_none_are_refused() -> TestResult {
    let pose = START.values();
    for (wanted, why) in [
        ([pose[0], pose[1], pose[2], 0.0, 0.0, 0.0, 0.0], "quaternion is no rotation"),
        ([pose[0], pose[1], f32::NAN, 0.0, 0.0, 0.0, 1.0], "value 2 is NaN"),
        ([pose[0] + 1.0, pose[1], pose[2], 0.0, 0.0, 0.0, 1.0], "value 0 is 1.4"),
    ] {
        let mut bench = Bench::running([pose; 2])?;
        bench.publish([wanted; 2]);
        bench.until(State::Hold, 2.0)?;
        let events: Vec<Event> = bench.events.try_iter().collect();
        let is_told = |event: &Event| matches!(event, Event::ChunkRefused { reason, .. } if reason.contains(why));
        assert!(events.iter().any(is_told), "{why}: {events:?}");
        let is_cause = |event: &Event| matches!(event, Event::State { cause: Some(Cause::BadAction), .. });
        assert!(events.iter().any(is_cause), "{why}: {events:?}");
        bench.run(20)?;
        assert!(is_near(&bench.tool()?, &START, 2e-3), "{why}: {:?}", bench.tool()?);
    }
    Ok(())
}

/// Contract: an arm that is not heard of is held after 100 ms, the servos with torque; after 500 ms torque is off. The arm
/// stops by itself within 100 ms, wherever its policy wanted it; what is heard of it again does not start anything.
#[test]
fn a_lost_link() -> TestResult {
    let mut bench = Bench::running([START.values(), AWAY.values()])?;
    bench.inject(Fault::ArmSilent { for_s: 2.0.try_into()? })?;
    let hold_s = bench.until(State::Hold, 0.3)?;
    assert!((0.09..=0.13).contains(&hold_s), "{hold_s} s");
    assert_eq!((bench.causes(), bench.torques()?), (vec![Cause::ArmStale], vec![1; 17]));
    let stopped = bench.tool()?;
    let fault_s = hold_s + bench.until(State::Fault, 1.0)?;
    assert!((0.49..=0.53).contains(&fault_s), "{fault_s} s");
    assert_eq!((bench.causes(), bench.torques()?), (vec![Cause::ArmFailed], vec![0; 17]));
    bench.run(200)?;
    assert_eq!((bench.control.state(), bench.tool()?), (State::Fault, stopped));
    bench.order(Order::Reset)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Arm)?;
    bench.run(20)?;
    assert!(bench.is_engaged() && is_near(&bench.tool()?, &stopped, 1e-4));
    Ok(())
}

/// Contract: a link that is lost for less than its fault ends in a hold, from which a run begins again.
#[test]
fn a_link_that_comes_back() -> TestResult {
    let mut bench = Bench::running([START.values(); 2])?;
    bench.inject(Fault::ArmSilent { for_s: 0.3.try_into()? })?;
    bench.until(State::Hold, 0.3)?;
    bench.order(Order::Start)?;
    assert_eq!(bench.control.state(), State::Hold, "while the arm is silent");
    bench.run(50)?;
    assert_eq!(bench.torques()?, vec![1; 17]);
    bench.order(Order::Start)?;
    bench.run(20)?;
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.causes());
    Ok(())
}

/// Contract: an arm that tells its state but does not hear is held, once it cannot go on by itself any more, and a run begins
/// again when it hears.
#[test]
fn a_deaf_arm() -> TestResult {
    let mut bench = Bench::running([START.values(), AWAY.values()])?;
    bench.inject(Fault::ArmDeaf { for_s: 1.0.try_into()? })?;
    let hold_s = bench.until(State::Hold, 0.4)?;
    assert!((0.19..=0.23).contains(&hold_s), "{hold_s} s");
    assert_eq!((bench.causes(), bench.torques()?), (vec![Cause::ArmDeaf], vec![1; 17]));
    bench.order(Order::Start)?;
    assert_eq!(bench.control.state(), State::Hold, "while the arm is deaf");
    bench.run(100)?;
    bench.order(Order::Start)?;
    bench.run(20)?;
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.causes());
    Ok(())
}

/// Contract: an arm that reports a fault switches torque off in the next ticks and is released; it is not armed with before
/// it is well.
#[test]
fn a_failed_arm() -> TestResult {
    let mut bench = Bench::running([START.values(), AWAY.values()])?;
    bench.inject(Fault::ArmFailed { for_s: 1.0.try_into()? })?;
    let took_s = bench.until(State::Fault, 0.2)?;
    assert!(took_s <= 3.5 * TICK_S, "{took_s} s");
    assert_eq!((bench.causes(), bench.torques()?, bench.is_engaged()), (vec![Cause::ArmFailed], vec![0; 17], false));
    bench.order(Order::Reset)?;
    assert_eq!(bench.control.state(), State::Fault);
    bench.run(110)?;
    bench.order(Order::Reset)?;
    bench.order(Order::Arm)?;
    assert_eq!(bench.control.state(), State::Hold, "{:?}", bench.causes());
    Ok(())
}

/// Contract: for want of chunks the hand parks and the arm stays where it is.
#[test]
fn parking_moves_the_hand_alone() -> TestResult {
    let mut bench = Bench::running([START.values(); 2])?;
    bench.is_planning = false;
    bench.until(State::Park, 4.0)?;
    let before = bench.tool()?;
    bench.run(100)?;
    assert!(is_near(&bench.tool()?, &before, 1e-4) && bench.is_engaged());
    let percept = bench.control.percept();
    assert!(percept.measured_rad.iter().all(|q| (q - PARK_RAD).abs() < 0.02), "{:?}", percept.measured_rad);
    Ok(())
}

/// Contract: the button for success says what the body cannot tell, and the task judges: one reward, a success. What was
/// pressed before the episode began says nothing.
#[test]
fn success_is_said_by_a_button() -> TestResult {
    let mut bench = Bench::new(config()?)?;
    bench.run(5)?;
    bench.order(Order::Arm)?;
    bench.order(Order::Start)?;
    bench.buttons.send(Button::Success)?;
    bench.run(200)?;
    assert_eq!(bench.control.state(), State::Run);
    bench.buttons.send(Button::Success)?;
    bench.run(12)?;
    assert_eq!(bench.control.state(), State::Hold);
    let record = bench.records.try_recv()?;
    let outcome = &record.episode.label.outcome;
    assert!(record.verdict.is_none() && record.cut_by.is_none() && outcome.succeeded && outcome.terminated);
    assert_eq!(record.episode.rewards.iter().sum::<f32>(), 1.0);
    assert_eq!(bench.control.percept().signals, [true]);
    bench.order(Order::Start)?;
    bench.run(10)?;
    assert_eq!(bench.control.percept().signals, [false]);
    Ok(())
}

/// Contract: a loop for an arm without a way to move it is refused; workspaces with nothing in common are.
#[test]
fn what_does_not_fit_is_refused() -> TestResult {
    let error = Bench::new(LoopConfig { tool: None, ..config()? }).err().ok_or("it was made")?;
    assert!(matches!(error.downcast_ref(), Some(LoopError::Tool { is_given: false })), "{error}");
    let elsewhere = ToolSpec { lower_m: [2.0; 3], upper_m: [3.0; 3], ..tool()? };
    assert!(limits()?.narrow(&elsewhere).is_err());
    let table = Bench::new(config()?)?.control.limits();
    assert!(table.contains("tool") && table.contains("0.25 m/s") && table.contains("10.0 mm"), "{table}");
    Ok(())
}
