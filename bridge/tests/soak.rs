//! Contract: minutes of random recoverable faults on the bus, one after the other: every one ends in a run again, none in
//! a stuck state, a panic or a jump; what is stored is whole and finite.

#[expect(dead_code, reason = "shared with the fault table")]
mod servo_bench;

use bridge::real::clock::Clock as _;
use bridge::real::control_loop::Event;
use bridge::real::emulator::{FaultScript, TimedFault};
use bridge::real::machine::{Order, Refusal, State};
use bridge::real::recorder::Recorded;
use servo_bench::hand_rig::{TestResult, register};
use servo_bench::{Bench, GOAL};
use std::collections::BTreeMap;

const LENGTH_S: f64 = 500.0;
/// Longest way back to a run: a servo that shuts down for the fifth time in a minute waits 16 s for its reboot.
const LONGEST_HOLD_S: f64 = 30.0;
/// Largest change of a goal in a tick of a run: at the governor's 3 rad/s 20 of 4096 in 10 ms, and the rounding of joints to motors.
const MAX_GOAL_STEP: i32 = 24;

#[test]
fn random_recoverable_faults() -> TestResult {
    let mut bench = Bench::running()?;
    let mut causes: BTreeMap<String, u32> = BTreeMap::new();
    let (start_s, mut run_s) = (bench.clock.now_s(), bench.clock.now_s());
    let script = FaultScript::soak(1, LENGTH_S, 17, false)?;
    let n_faults = script.faults.len();
    for TimedFault { at_s, fault } in script.faults {
        bench.emulator.lock().inject(TimedFault { at_s: (at_s.get() + start_s).try_into()?, fault });
    }
    let (mut n_steps, mut goal) = (0, None::<u32>);
    while bench.clock.now_s() - start_s < LENGTH_S {
        let now_s = bench.clock.now_s();
        bench.run(1);
        if bench.control.state() == State::Run {
            run_s = now_s;
            let new = register(&bench.emulator, 3, GOAL, 4)?;
            if let Some(goal) = goal {
                assert!((new.cast_signed() - goal.cast_signed()).abs() <= MAX_GOAL_STEP, "{goal} -> {new}");
            }
            goal = Some(new);
        } else {
            // A hold begins where the hand is.
            goal = None;
        }
        if bench.control.state() != State::Run && (now_s * 10.0).floor() > ((now_s - 0.01) * 10.0).floor() {
            bench.order(Order::Start)?;
        }
        for event in bench.events() {
            match event {
                Event::State { cause: Some(cause), to, .. } => {
                    assert!(to != State::Fault, "{event:?}, {:?}", bench.faults.try_recv());
                    *causes.entry(format!("{cause:?}")).or_default() += 1;
                }
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
    println!("{n_faults} faults in {LENGTH_S} s, {n_steps} steps stored, ends of runs: {causes:?}");
    // All kinds have had their turn, and far most of the time was spent acting.
    assert!(n_faults > 50 && causes.len() >= 3, "{causes:?}");
    assert!(n_steps as f64 > 0.3 * 20.0 * LENGTH_S, "{n_steps} steps");
    Ok(())
}
