//! Contract: the fault table where the servos are well and what is around them is not - tracker, policy, learner, loop, scene,
//! queues - down to the registers of the servos.

#[expect(dead_code, reason = "shared with the faults of servos")]
mod servo_bench;

use bridge::real::cause::Cause;
use bridge::real::clock::Clock as _;
use bridge::real::control_loop::{Event, Request};
use bridge::real::emulator::Fault;
use bridge::real::labels::Button;
use bridge::real::machine::{Order, Refusal, State};
use servo_bench::hand_rig::TestResult;
use servo_bench::held::Held;
use servo_bench::{Bench, GOAL, GOAL_CURRENT, LET_GO_S, Places, Scene, TICK_S};
use std::error::Error;
use std::sync::atomic::Ordering;

/// A hand this far behind its goals tells a goal that is kept from one that is where it is, ticks.
const FAR: i32 = 10;
/// From one plan to the next: five steps of five ticks.
const PLAN_TICKS: usize = 25;

/// A run, 70 ms before its next plan, and the number of plans so far: were the last pose of now, it would then be too old to ask with, and
/// not yet too old to run on.
fn running_before_a_plan() -> Result<(Bench, usize), Box<dyn Error>> {
    let mut bench = Bench::running()?;
    let n_plans = bench.n_plans;
    while bench.n_plans == n_plans {
        bench.run(1);
    }
    bench.run(PLAN_TICKS - 7);
    let n_plans = bench.n_plans;
    Ok((bench, n_plans))
}

/// Contract, row 8: with a pose older than a step the policy is not asked; older than two, the goals are where the hand is, at reduced
/// current and with torque. There it stays, and neither parks nor faults; a start is refused until the object is seen again.
#[test]
fn a_silent_tracker() -> TestResult {
    let (mut bench, n_plans) = running_before_a_plan()?;
    bench.inject(Fault::TrackerSilent { for_s: 3.0.try_into()? })?;
    let held = bench.until_held(0.2)?;
    // The last pose is a tick old, and took another to come; the loop sees its age a tick later.
    assert!((0.08..=0.12).contains(&held.took_s), "{held:?}");
    assert!(held.is_at_measured() && held.lag() >= FAR, "{held:?}");
    assert_eq!((bench.last_cause(), bench.n_plans), (Some(Cause::ObservationLost), n_plans));
    bench.stay_held(200)?;
    bench.order(Order::Start)?;
    assert_eq!(refusal(&bench), Some((Order::Start, Refusal::Because(Cause::ObservationLost))));
    bench.stay_held(100)?;
    assert_eq!(bench.control.state(), State::Hold);
    bench.order(Order::Start)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.register(3, GOAL_CURRENT, 2)?), (State::Run, 300));
    assert!(bench.n_plans > n_plans);
    Ok(())
}

/// Contract, row 8: a pose that is late for less than two steps costs one plan, and does not end the run.
#[test]
fn a_tracker_that_stutters() -> TestResult {
    let (mut bench, n_plans) = running_before_a_plan()?;
    bench.inject(Fault::TrackerSilent { for_s: 0.08.try_into()? })?;
    bench.run(8);
    assert_eq!((bench.control.state(), bench.n_plans), (State::Run, n_plans));
    bench.run(10);
    assert_eq!((bench.control.state(), bench.n_plans), (State::Run, n_plans + 1));
    Ok(())
}

/// Contract, row 9: a chunk that is no number is refused whole: the goals are where the hand is, with torque, and stay there.
#[test]
fn a_chunk_that_is_no_number() -> TestResult {
    let mut bench = Bench::running()?;
    bench.publish(f32::NAN);
    let held = bench.until_held(0.5)?;
    assert!(held.is_at_measured() && held.lag() >= FAR, "{held:?}");
    assert_eq!(bench.last_cause(), Some(Cause::BadAction));
    bench.run(1);
    bench.stay_held(150)?;
    assert_eq!(bench.control.state(), State::Hold);
    Ok(())
}

/// Contract, row 10: a policy that jumps by 0.5 rad in a step, 10 rad/s, moves no goal faster than the governor's 3 rad/s.
#[test]
fn a_policy_that_jumps() -> TestResult {
    let mut bench = Bench::running()?;
    bench.publish(-0.25);
    let (mut before, mut fastest) = (bench.ticks(GOAL)?, 0);
    for _ in 0..150 {
        bench.run(1);
        let now = bench.ticks(GOAL)?;
        fastest = now.iter().zip(&before).map(|(now, before)| (now - before).abs()).fold(fastest, i32::max);
        before = now;
    }
    // 3 rad/s for 10 ms, a ratio of 1.1, 4096 ticks a turn: 21.5, and one for rounding.
    assert!((21..=23).contains(&fastest), "{fastest} ticks");
    assert_eq!((bench.control.state(), bench.torques()?), (State::Run, vec![1; 17]));
    Ok(())
}

/// Contract, row 11: without a new chunk the old one is carried out, its last goal kept for 150 ms and then held; after a second the
/// hand eases to its park posture.
#[test]
fn a_late_chunk() -> TestResult {
    let mut bench = Bench::running()?;
    bench.is_planning = false;
    let held = bench.until_held(1.0)?;
    // Of 10 actions of 5 ticks some were carried out, and those of the plan that waits are missing.
    assert!((0.15..=10.0 * 0.05 + 0.15 + 2.0 * TICK_S).contains(&held.took_s), "{held:?}");
    held_and_parked(&mut bench, &held, Cause::ChunkLate)
}

/// Contract, row 12: a learner that is silent for 150 ms ends the run with the goals where they were; after a second the hand eases to
/// its park posture. The bridge stays: when the learner is back, the hand runs again.
#[test]
fn a_silent_learner() -> TestResult {
    let mut bench = Bench::running()?;
    bench.inject(Fault::LearnerSilent { for_s: 4.0.try_into()? })?;
    let held = bench.until_held(0.5)?;
    assert!((0.15..=0.15 + 2.0 * TICK_S).contains(&held.took_s) && held.lag() >= FAR, "{held:?}");
    held_and_parked(&mut bench, &held, Cause::LearnerLost)?;
    bench.order(Order::Start)?;
    assert_eq!(refusal(&bench), Some((Order::Start, Refusal::Because(Cause::LearnerLost))));
    bench.run(150);
    bench.order(Order::Start)?;
    bench.run(50);
    assert_eq!((bench.control.state(), bench.register(3, GOAL_CURRENT, 2)?), (State::Run, 300));
    Ok(())
}

/// A hold at the last goal for a second, and the way to the park posture at its rate; with torque and reduced current throughout.
fn held_and_parked(bench: &mut Bench, held: &Held, cause: Cause) -> TestResult {
    assert!(held.is_at_last_goal(), "{held:?}");
    assert_eq!(bench.last_cause(), Some(cause));
    bench.stay_held(95)?;
    let park_s = 0.95 + bench.until(State::Park, 0.2)?;
    assert!((0.98..=1.03).contains(&park_s), "{park_s} s");
    assert!(bench.goal_to_park()? > FAR);
    let mut before = bench.ticks(GOAL)?;
    for _ in 0..100 {
        bench.run(1);
        let now = bench.ticks(GOAL)?;
        let step = now.iter().zip(&before).map(|(now, before)| (now - before).abs()).max();
        // 0.5 rad/s for 10 ms, a ratio of 1.1: 3.6, and one for rounding.
        assert!(step.is_some_and(|step| step <= 5), "{step:?} ticks");
        assert_eq!(bench.torques()?, vec![1; 17]);
        bench.check_reduced()?;
        before = now;
    }
    // A tick each for the stop, its angle and the goal.
    assert!(bench.goal_to_park()? <= 2 && bench.goal_to_position()? <= 2, "{} ticks", bench.goal_to_park()?);
    bench.stay_held(50)?;
    assert_eq!(bench.control.state(), State::Park);
    Ok(())
}

/// Contract, row 14: a loop that is far too late four times goes on; the fifth time it takes torque within a cycle, and gives it back
/// by reset and arming alone.
#[test]
fn a_loop_that_stalls() -> TestResult {
    let mut bench = Bench::running()?;
    let stall = |bench: &mut Bench| {
        bench.clock.wait_until(bench.clock.now_s() + 0.11);
        let begun_s = bench.clock.now_s();
        bench.run(1);
        begun_s
    };
    for n_stalls in 1..5 {
        stall(&mut bench);
        assert_eq!((bench.control.state(), bench.torques()?), (State::Run, vec![1; 17]), "{n_stalls}");
    }
    let begun_s = stall(&mut bench);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Fault, vec![0; 17]));
    let torque_s = bench.scene.witness.torque_s();
    assert!((begun_s..=begun_s + LET_GO_S).contains(&torque_s), "{torque_s} s, stalled until {begun_s} s");
    assert_eq!(bench.last_cause(), Some(Cause::Overrun));
    bench.run(100);
    bench.order(Order::Start)?;
    bench.order(Order::Reset)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    assert_eq!(bench.scene.witness.torque_s(), torque_s);
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    Ok(())
}

/// Contract, row 18: an object that falls, or a human who calls it unsafe, ends the run within a step with the goals where the hand is.
/// From there no goal changes, whatever is ordered and for however long, until a human has said that the scene is in order.
#[test]
fn a_scene_that_is_lost() -> TestResult {
    for is_seen in [true, false] {
        let mut bench = Bench::running()?;
        let within_s = if is_seen {
            bench.scene.is_fallen.store(true, Ordering::Relaxed);
            // The step in which it is seen, and the tick that judges it.
            0.05 + 2.0 * TICK_S
        } else {
            bench.buttons.send(Button::Unsafe)?;
            2.0 * TICK_S
        };
        let held = bench.until_held(0.2)?;
        assert!(held.took_s <= within_s, "{held:?}");
        assert!(held.is_at_measured() && held.lag() >= FAR, "{held:?}");
        let events = bench.events();
        let asked = |event: &&Event| matches!(event, Event::Asked { cause: Cause::SceneLost, .. });
        assert_eq!(events.iter().filter(asked).count(), 1, "{events:?}");
        let record = bench.records.try_recv()?;
        assert!(record.episode.label.terminated, "{:?}", record.episode.label);

        bench.stay_held(200)?;
        for order in [Order::Start, Order::Park, Order::Stop] {
            bench.requests.send(Request::Order(order))?;
            bench.stay_held(30)?;
            let refused = (order, Refusal::Because(Cause::SceneLost));
            assert!(order == Order::Stop || refusal(&bench) == Some(refused), "{order:?}");
        }
        assert_eq!(bench.control.state(), State::Hold);
        bench.scene.is_fallen.store(false, Ordering::Relaxed);
        bench.stay_held(100)?;
        bench.order(Order::SceneReady)?;
        bench.stay_held(100)?;
        let ready_s = bench.clock.now_s();
        bench.order(Order::Start)?;
        bench.run(50);
        assert_eq!(bench.control.state(), State::Run);
        assert!(bench.scene.witness.change_s() > ready_s);
    }
    Ok(())
}

/// Contract, row 19: queues that nobody empties cost what they had no place for, which is counted and told, and nothing else: every tick
/// begins on time and sends its goals, and an emergency stop takes its cycle.
#[test]
fn queues_that_are_full() -> TestResult {
    let mut bench = Bench::with_places(Scene::new()?, Places { records: 1, events: 1 })?;
    bench.start()?;
    for _ in 0..3 {
        for _ in 0..101 {
            let (n_goals, tick_s) = (bench.n_goals(), bench.clock.now_s());
            bench.run(1);
            assert_eq!(bench.n_goals() - n_goals, 17);
            assert!((bench.clock.now_s() - tick_s - TICK_S).abs() < 1e-6);
        }
        assert!(bench.clock.now_s() - bench.scene.witness.change_s() <= 2.0 * TICK_S);
        // An episode ends, and its record finds a place only the first time.
        bench.requests.send(Request::Order(Order::Stop))?;
        bench.run(1);
        bench.events.try_iter().for_each(drop);
        bench.run(1);
        bench.requests.send(Request::Order(Order::Start))?;
        bench.run(1);
    }
    assert_eq!((bench.control.state(), bench.torques()?, bench.records.len()), (State::Run, vec![1; 17], 1));
    let told: Vec<Event> = bench.events.try_iter().collect();
    assert!(matches!(told[..], [Event::Noticed { cause: Cause::LogDropped, .. }]), "{told:?}");
    assert!(bench.n_dropped.load(Ordering::Relaxed) > 0);

    let start_s = bench.clock.now_s();
    bench.e_stop.press();
    bench.run(1);
    assert_eq!((bench.control.state(), bench.torques()?), (State::EStop, vec![0; 17]));
    assert!(bench.scene.witness.torque_s() - start_s <= LET_GO_S);
    Ok(())
}

/// The order that was refused last, and why.
fn refusal(bench: &Bench) -> Option<(Order, Refusal)> {
    bench.events().into_iter().rev().find_map(|event| match event {
        Event::Refused { order, refusal, .. } => Some((order, refusal)),
        _ => None,
    })
}
