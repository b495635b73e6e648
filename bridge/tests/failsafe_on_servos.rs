//! Contract: the fault table, from a fault on the bus to the registers of the servos.

#[expect(dead_code, reason = "shared with the soak")]
mod servo_bench;

use bridge::real::cause::Cause;
use bridge::real::clock::Clock;
use bridge::real::emulator::{Fault, Servos};
use bridge::real::machine::{Order, State};
use servo_bench::hand_rig::{TestResult, emulator, inject, register};
use servo_bench::{Bench, GOAL, GOAL_CURRENT, N_JOINTS, TICK_S, TORQUE, WATCHDOG};
use std::error::Error;

const HARDWARE_ERROR: u16 = 70;

/// Contract, rows 13 and 16: connecting leaves torque off; arming leaves every goal at its position, reduced current and
/// the watchdog on.
#[test]
fn arming() -> TestResult {
    let mut bench = Bench::on(emulator()?)?;
    bench.run(50);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Start)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![5; 17]);
    assert!(bench.goal_to_position()? <= 2, "{} ticks", bench.goal_to_position()?);
    assert_eq!(register(&bench.emulator, 3, GOAL_CURRENT, 2)?, 150);
    bench.order(Order::Start)?;
    bench.run(2);
    assert_eq!(register(&bench.emulator, 3, GOAL_CURRENT, 2)?, 300);
    Ok(())
}

/// Contract, row 1: a pulled cable faults at once; the servos stop by themselves within 200 ms.
#[test]
fn a_pulled_cable() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Unplug)?;
    let took_s = bench.until(State::Fault, 0.1)?;
    assert!(took_s <= 2.5 * TICK_S, "{took_s} s");
    assert!(matches!(bench.last_cause(), Some(Cause::TransportLost | Cause::BodyFailed)));
    bench.run(15);
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![0xff; 17]);
    bench.order(Order::Reset)?;
    assert_eq!(bench.control.state(), State::Disconnected);
    Ok(())
}

/// Contract, row 2: a line that garbles a third of the answers ends in a hold with torque, and runs again once it is
/// clean.
#[test]
fn a_garbled_line() -> TestResult {
    let mut bench = Bench::running()?;
    let corrupt = Fault::Corrupt { servos: Servos::All, share: 0.3.try_into()?, for_s: 0.5.try_into()? };
    inject(&bench.emulator, corrupt)?;
    let took_s = bench.until(State::Hold, 0.3)?;
    assert!(took_s >= 4.0 * TICK_S, "{took_s} s");
    assert_eq!(bench.torques()?, vec![1; 17]);
    bench.run(120);
    bench.order(Order::Start)?;
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.events());
    Ok(())
}

/// Contract, row 3: one silent servo: hold after 100 ms, torque off after 500 ms, for the others too, and for itself as soon as it
/// hears again.
#[test]
fn a_silent_servo() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Silent { servos: Servos::Ids(vec![9]), for_s: 5.0.try_into()? })?;
    let hold_s = bench.until(State::Hold, 0.3)?;
    // Many cycles without an answer may be the first to end the run.
    assert!((0.04..=0.13).contains(&hold_s), "{hold_s} s");
    assert_eq!(bench.torques()?, vec![1; 17]);
    let fault_s = hold_s + bench.until(State::Fault, 1.0)?;
    assert!((0.49..=0.54).contains(&fault_s), "{fault_s} s");
    let torques = bench.torques()?;
    assert_eq!(torques.iter().sum::<u32>(), 1, "only the one that does not hear: {torques:?}");
    // Latched or not, whoever comes back with torque is told again to let go.
    bench.run(550);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Fault, vec![0; 17]));
    Ok(())
}

/// Contract, rows 3 and 13: a servo that heard nothing for longer than its watchdog allows is armed again in a hold, with
/// its goal where it is.
#[test]
fn a_deaf_servo() -> TestResult {
    let mut bench = Bench::running()?;
    bench.run(250);
    inject(&bench.emulator, Fault::Silent { servos: Servos::Ids(vec![9]), for_s: 0.3.try_into()? })?;
    bench.until(State::Hold, 0.3)?;
    bench.run(15);
    assert_eq!(register(&bench.emulator, 9, WATCHDOG, 1)?, 0xff);
    bench.run(60);
    assert_eq!((bench.control.state(), register(&bench.emulator, 9, WATCHDOG, 1)?), (State::Hold, 5));
    assert!(bench.goal_to_position()? <= 2);
    bench.order(Order::Start)?;
    bench.run(50);
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.events());
    Ok(())
}

/// Contract, row 15: servos that miss every other instruction let go all the same, each within moments: it is said until
/// it was heard.
#[test]
fn servos_that_miss_instructions() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Deaf { servos: Servos::All, share: 0.5.try_into()?, for_s: 5.0.try_into()? })?;
    bench.e_stop.press();
    bench.run(2);
    assert_eq!(bench.control.state(), State::EStop);
    let told = bench.torques()?;
    assert!(told.iter().sum::<u32>() > 0, "the script lets everything through: {told:?}");
    bench.run(100);
    assert_eq!(bench.torques()?, vec![0; 17], "after 1 s");
    Ok(())
}

/// Contract, row 5: an overload holds the hand; the servo comes back with its goal where it is, and the run may go on.
#[test]
fn an_overload() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Overload { servos: Servos::Ids(vec![7]) })?;
    let took_s = bench.until(State::Hold, 0.1)?;
    assert!(took_s <= 4.0 * TICK_S, "{took_s} s");
    assert_eq!((bench.last_cause(), bench.torques()?.iter().sum::<u32>()), (Some(Cause::ServoShutdown), 16));
    let mut farthest = 0;
    for _ in 0..300 {
        bench.run(1);
        farthest = farthest.max(bench.goal_to_position()?);
    }
    assert_eq!(
        bench.torques()?,
        vec![1; 17],
        "{:?} {:?}",
        bench.events(),
        bench.faults.try_iter().map(|fault| fault.error).collect::<Vec<_>>()
    );
    assert_eq!(register(&bench.emulator, 7, GOAL_CURRENT, 2)?, 150, "a hold is at reduced current after a reboot too");
    // The lag of a wave that stops is some 40 ticks; nothing jumps beyond it.
    assert!(farthest < 100, "{farthest} ticks");
    bench.order(Order::Start)?;
    bench.run(10);
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.events());
    Ok(())
}

/// Contract, row 6: torque off 5 K below the limit of 70, for the whole hand; on again, in a hold, at 55, also where the servo
/// had shut itself down.
#[test]
fn heat() -> TestResult {
    let mut bench = Bench::running()?;
    let warm = |celsius: f64| -> Result<Fault, Box<dyn Error>> {
        Ok(Fault::Temperature { servos: Servos::Ids(vec![12]), celsius: celsius.try_into()? })
    };
    inject(&bench.emulator, warm(61.0)?)?;
    bench.run(30);
    assert_eq!((bench.control.state(), register(&bench.emulator, 3, GOAL_CURRENT, 2)?), (State::Run, 150));
    inject(&bench.emulator, warm(66.0)?)?;
    bench.until(State::Hold, 0.5)?;
    assert_eq!(bench.torques()?, vec![0; 17]);
    inject(&bench.emulator, warm(57.0)?)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![0; 17]));
    inject(&bench.emulator, warm(54.0)?)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    // So hot that it shuts itself down: it is rebooted when it is cooler, then there is torque for all.
    inject(&bench.emulator, warm(75.0)?)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![0; 17]));
    assert_ne!(register(&bench.emulator, 12, HARDWARE_ERROR, 1)?, 0);
    inject(&bench.emulator, warm(54.0)?)?;
    bench.run(300);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]), "{:?}", bench.events());
    assert_eq!(register(&bench.emulator, 12, HARDWARE_ERROR, 1)?, 0);
    Ok(())
}

/// Contract, row 7: a brown-out faults, torque is off, and stays off when the supply is back.
#[test]
fn a_brown_out() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Voltage { servos: Servos::All, volts: 3.0.try_into()?, for_s: 0.3.try_into()? })?;
    bench.until(State::Fault, 0.6)?;
    bench.run(200);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Fault, vec![0; 17]));
    Ok(())
}

/// Contract, rows 9 to 12: a chunk that is no number, one that jumps, none at all, and a dead learner.
#[test]
fn policies_that_fail() -> TestResult {
    let mut bench = Bench::running()?;
    bench.publish(f32::NAN);
    bench.until(State::Hold, 0.5)?;
    bench.run(1);
    assert_eq!((bench.last_cause(), bench.torques()?), (Some(Cause::BadAction), vec![1; 17]));
    bench.run(30);
    assert!(bench.goal_to_position()? <= 2);

    // 0.5 rad within a step: 10 rad/s, of which the governor allows 3.
    bench.publish(-0.25);
    bench.order(Order::Start)?;
    let mut before = bench.registers(GOAL, 4)?;
    for _ in 0..100 {
        bench.run(1);
        let now = bench.registers(GOAL, 4)?;
        let step = now.iter().zip(&before).map(|(&a, &b)| (a.cast_signed() - b.cast_signed()).abs()).max();
        // 3 rad/s for 10 ms, a ratio of 1.1, 4096 ticks a turn: 21.5, and one for rounding
        assert!(step.is_some_and(|step| step <= 23), "{step:?}");
        before = now;
    }
    assert_eq!(bench.control.state(), State::Run);

    bench.is_planning = false;
    let hold_s = bench.until(State::Hold, 1.0)?;
    assert!(hold_s <= 10.0 * 0.05 + 0.15 + 2.0 * TICK_S, "{hold_s} s");
    assert_eq!((bench.last_cause(), bench.torques()?), (Some(Cause::ChunkLate), vec![1; 17]));
    let park_s = bench.until(State::Park, 1.5)?;
    assert!((0.98..=1.03).contains(&park_s), "{park_s} s");
    bench.run(200);
    let percept_rad = bench.control.robot().driver().status().stale_s.len();
    assert_eq!((percept_rad, bench.goal_to_position()? <= 2), (N_JOINTS, true));

    bench.is_planning = true;
    bench.order(Order::Start)?;
    bench.run(20);
    bench.pulse = None;
    let hold_s = bench.until(State::Hold, 0.5)?;
    assert!(hold_s <= 0.15 + 2.0 * TICK_S, "{hold_s} s");
    assert_eq!(bench.last_cause(), Some(Cause::LearnerLost));
    Ok(())
}

/// Contract, row 13: of a process that is killed the servos' watchdogs know within 200 ms; the next one begins without
/// torque, and arms like the first.
#[test]
fn a_killed_process() -> TestResult {
    let bench = Bench::running()?;
    let (emulator, clock) = (bench.emulator.clone(), bench.clock.clone());
    std::mem::forget(bench);
    clock.wait_until(clock.now_s() + 0.2);
    let ids = 1..=17;
    for id in ids.clone() {
        assert_eq!(register(&emulator, id, WATCHDOG, 1)?, 0xff);
    }
    let mut bench = Bench::on(emulator)?;
    bench.run(2);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![5; 17]);
    // A process that ends in order, or by a panic, takes torque with it.
    let emulator = bench.emulator.clone();
    drop(bench);
    for id in ids {
        assert_eq!(register(&emulator, id, TORQUE, 1)?, 0);
    }
    Ok(())
}

/// Contract, rows 14 and 15: a loop that stalls faults; an emergency stop takes torque within a cycle and keeps it off.
#[test]
fn stalls_and_the_emergency_stop() -> TestResult {
    let mut bench = Bench::running()?;
    for _ in 0..6 {
        bench.clock.wait_until(bench.clock.now_s() + 0.11);
        bench.run(1);
    }
    assert_eq!((bench.control.state(), bench.torques()?), (State::Fault, vec![0; 17]));

    let mut bench = Bench::running()?;
    let start_s = bench.clock.now_s();
    bench.e_stop.press();
    bench.run(1);
    assert_eq!((bench.control.state(), bench.torques()?), (State::EStop, vec![0; 17]));
    // All are off with the first packet; that each confirms takes longer.
    assert!(bench.clock.now_s() - start_s < 0.2);
    bench.order(Order::Reset)?;
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::EStop, vec![0; 17]));
    bench.e_stop.release();
    bench.order(Order::Reset)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    Ok(())
}
