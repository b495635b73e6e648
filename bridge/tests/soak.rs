//! Contract: minutes of random recoverable faults, one after the other: every one is noticed for what it is and ends in a run again, none
//! in a stuck state, a panic or a jump of any servo's goal; what is stored is whole and finite.

#[expect(dead_code, reason = "shared with the fault table")]
mod servo_bench;

use bridge::real::cause::{Cause, Causes};
use bridge::real::clock::Clock as _;
use bridge::real::control_loop::{Event, Request};
use bridge::real::emulator::{FaultScript, TimedFault};
use bridge::real::machine::{Order, Refusal, State};
use bridge::real::recorder::Recorded;
use servo_bench::hand_rig::TestResult;
use servo_bench::{Bench, GOAL};

const LENGTH_S: f64 = 500.0;
/// Longest way back to a run: a servo that shuts down for the fifth time in a minute waits 16 s for its reboot.
const LONGEST_HOLD_S: f64 = 30.0;
/// Largest change of a goal in a tick of a run: at the governor's 3 rad/s 22 of 4096 in 10 ms. A servo that was deaf takes those of
/// several ticks at once.
const MAX_GOAL_STEP: i32 = 22;
/// The rounding of joints to motors.
const ROUNDING: i32 = 2;
/// The same where a hold begins, or a servo comes back: as far as the waving hand is behind its goals, some 40, and as much again.
const MAX_HOLD_STEP: i32 = 80;
/// What faults of the script are noticed as, of every kind that is drawn but noise.
const EXPECTED: [Cause; 7] = [
    Cause::BrokenCycle,
    Cause::JointStale,
    Cause::ServoShutdown,
    Cause::Warm,
    Cause::Hot,
    Cause::ObservationLost,
    Cause::LearnerLost,
];

#[test]
fn random_recoverable_faults() -> TestResult {
    let mut bench = Bench::running()?;
    let mut noticed = Causes::NONE;
    let (start_s, mut run_s) = (bench.clock.now_s(), bench.clock.now_s());
    let script = FaultScript::soak(1, LENGTH_S, 17, false)?;
    let n_faults = script.faults.len();
    for TimedFault { at_s, fault } in script.faults {
        bench.scene.emulator.lock().inject(TimedFault { at_s: (at_s.get() + start_s).try_into()?, fault });
    }
    let (mut n_steps, mut was_running) = (0, true);
    // Every servo's goal, and for how many ticks it has had it.
    let mut goals: Vec<(i32, i32)> = bench.ticks(GOAL)?.into_iter().map(|goal| (goal, 1)).collect();
    // On until the last fault has ended in a run, too.
    while bench.clock.now_s() - start_s < LENGTH_S || bench.control.state() != State::Run {
        let now_s = bench.clock.now_s();
        if bench.control.state() != State::Run && (now_s * 10.0).floor() > ((now_s - 0.01) * 10.0).floor() {
            bench.requests.send(Request::Order(Order::Start))?;
        }
        bench.run(1);
        let is_running = bench.control.state() == State::Run;
        for (new, (goal, n_ticks)) in bench.ticks(GOAL)?.into_iter().zip(&mut goals) {
            let of_run = if is_running && was_running { *n_ticks * MAX_GOAL_STEP + ROUNDING } else { MAX_HOLD_STEP };
            let most = of_run.min(MAX_HOLD_STEP);
            assert!((new - *goal).abs() <= most, "{goal} -> {new} in {:?} at {now_s} s", bench.control.state());
            (*n_ticks, *goal) = (if new == *goal { *n_ticks + 1 } else { 1 }, new);
        }
        was_running = is_running;
        if is_running {
            run_s = now_s;
        }
        for event in bench.events() {
            match event {
                Event::State { to: State::Fault, .. } => panic!("{event:?}, {:?}", bench.faults.try_recv()),
                Event::Noticed { cause, .. } => noticed = noticed.with(cause),
                Event::Refused { refusal: Refusal::NotInThisState, order, .. } => assert_eq!(order, Order::Start),
                _ => {}
            }
        }
        assert!(now_s - run_s < LONGEST_HOLD_S, "stuck in {:?} since {run_s} s", bench.control.state());
        for Recorded { episode, .. } in bench.records.try_iter() {
            episode.check()?;
            n_steps += episode.n_steps();
        }
    }
    println!("{n_faults} faults in {LENGTH_S} s, {n_steps} steps stored, noticed: {noticed:?}");
    assert!(EXPECTED.iter().all(|&cause| noticed.has(cause)), "{noticed:?}");
    // Far most of the time was spent acting.
    assert!(n_steps as f64 > 0.3 * 20.0 * LENGTH_S, "{n_steps} steps");
    Ok(())
}
