//! Contract: the fault table, from a fault of the bus or of a servo to the registers of the servos. What goes wrong around them is
//! in `failsafe_around_servos.rs`.

#[expect(dead_code, reason = "shared with the soak")]
mod servo_bench;

use bridge::real::cause::Cause;
use bridge::real::clock::Clock;
use bridge::real::emulator::{Fault, Servos};
use bridge::real::machine::{Order, State};
use servo_bench::hand_rig::{TestResult, register, remount};
use servo_bench::{Bench, GOAL_CURRENT, LET_GO_S, POSITION, Scene, TICK_S, TORQUE, WATCHDOG};
use std::error::Error;

const HOMING_OFFSET: u16 = 20;
const HARDWARE_ERROR: u16 = 70;

/// Contract, rows 13 and 16: connecting leaves torque off; arming leaves every goal at its position, reduced current and
/// the watchdog on.
#[test]
fn arming() -> TestResult {
    let mut bench = Bench::on(Scene::new()?)?;
    bench.run(50);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Start)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![5; 17]);
    assert!(bench.goal_to_position()? <= 2, "{} ticks", bench.goal_to_position()?);
    assert_eq!(bench.register(3, GOAL_CURRENT, 2)?, 150);
    bench.order(Order::Start)?;
    bench.run(2);
    assert_eq!(bench.register(3, GOAL_CURRENT, 2)?, 300);
    Ok(())
}

/// Contract, row 1: a pulled cable faults at once; the servos stop by themselves within 200 ms.
#[test]
fn a_pulled_cable() -> TestResult {
    let mut bench = Bench::running()?;
    bench.inject(Fault::Unplug)?;
    let took_s = bench.until(State::Fault, 0.1)?;
    assert!(took_s <= 2.5 * TICK_S, "{took_s} s");
    assert!(matches!(bench.last_cause(), Some(Cause::TransportLost | Cause::BodyFailed)));
    bench.run(15);
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![0xff; 17]);
    bench.order(Order::Reset)?;
    assert_eq!(bench.control.state(), State::Disconnected);
    Ok(())
}

/// Contract, row 1: a loop that lost its port never gets it back. Whoever connects anew, once the cable is there again, takes the
/// torque that the servos kept, gives none however long it waits and whatever is started, and arms where the hand is.
#[test]
fn a_cable_that_is_plugged_in_again() -> TestResult {
    let mut bench = Bench::running()?;
    bench.inject(Fault::Unplug)?;
    bench.until(State::Fault, 0.1)?;
    bench.run(50);
    bench.inject(Fault::Replug)?;
    bench.order(Order::Reset)?;
    bench.run(50);
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Disconnected, vec![1; 17]));
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![0xff; 17]);

    let scene = bench.scene.clone();
    drop(bench);
    let mut bench = Bench::on(scene)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Disconnected, vec![0; 17]));
    let rest = bench.ticks(POSITION)?;
    let connected_s = bench.clock.now_s();
    bench.publish(0.2);
    bench.run(100);
    bench.order(Order::Start)?;
    bench.run(20);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    assert!(bench.scene.witness.torque_s() <= connected_s);
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![5; 17]);
    bench.run(30);
    let moved = bench.ticks(POSITION)?.into_iter().zip(rest).map(|(now, rest)| (now - rest).abs()).max();
    // A goal is a whole tick.
    assert!(moved.is_some_and(|moved| moved <= 1) && bench.goal_to_position()? <= 1, "{moved:?} ticks");
    Ok(())
}

/// Contract, row 2: a line that garbles a third of the answers ends in a hold with torque, and runs again once it is
/// clean.
#[test]
fn a_garbled_line() -> TestResult {
    let mut bench = Bench::running()?;
    let corrupt = Fault::Corrupt { servos: Servos::All, share: 0.3.try_into()?, for_s: 0.5.try_into()? };
    bench.inject(corrupt)?;
    let held = bench.until_held(0.3)?;
    assert!(held.took_s >= 4.0 * TICK_S, "{held:?}");
    assert_eq!((bench.last_cause(), bench.torques()?), (Some(Cause::BadCycles), vec![1; 17]));
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
    bench.inject(Fault::Silent { servos: Servos::Ids(vec![9]), for_s: 5.0.try_into()? })?;
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
    bench.inject(Fault::Silent { servos: Servos::Ids(vec![9]), for_s: 0.3.try_into()? })?;
    bench.until(State::Hold, 0.3)?;
    bench.run(15);
    assert_eq!(bench.register(9, WATCHDOG, 1)?, 0xff);
    bench.run(60);
    assert_eq!((bench.control.state(), bench.register(9, WATCHDOG, 1)?), (State::Hold, 5));
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
    bench.inject(Fault::Deaf { servos: Servos::All, share: 0.5.try_into()?, for_s: 5.0.try_into()? })?;
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
    bench.inject(Fault::Overload { servos: Servos::Ids(vec![7]) })?;
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
    assert_eq!(bench.register(7, GOAL_CURRENT, 2)?, 150, "a hold is at reduced current after a reboot too");
    // The lag of a wave that stops is some 40 ticks; nothing jumps beyond it.
    assert!(farthest < 100, "{farthest} ticks");
    bench.order(Order::Start)?;
    bench.run(10);
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.events());
    Ok(())
}

/// Contract, row 5: a joint that shuts down beyond the end of the turn in which it was switched on has forgotten that turn after its
/// reboot: it did not lose its power, and the run goes on.
#[test]
fn an_overload_across_the_end_of_a_turn() -> TestResult {
    let mut scene = Scene::new()?;
    // It is switched on 100 ticks before the end, and waves by 143 around 469 further.
    remount(&scene.emulator, &mut scene.calibration, 7, 4096 - 100)?;
    let mut bench = Bench::on(scene)?;
    bench.start()?;
    let ticks = |bench: &Bench| bench.register(7, POSITION, 4).map(u32::cast_signed);
    assert!((4096 + 200..4096 + 550).contains(&ticks(&bench)?), "{} ticks", ticks(&bench)?);
    bench.inject(Fault::Overload { servos: Servos::Ids(vec![7]) })?;
    bench.until(State::Hold, 0.1)?;
    bench.run(300);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]), "{:?}", bench.events());
    bench.order(Order::Start)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Run, vec![1; 17]), "{:?}", bench.events());
    assert!((200..550).contains(&ticks(&bench)?), "{} ticks", ticks(&bench)?);
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
    bench.inject(warm(61.0)?)?;
    bench.run(30);
    assert_eq!((bench.control.state(), bench.register(3, GOAL_CURRENT, 2)?), (State::Run, 150));
    bench.inject(warm(66.0)?)?;
    bench.until(State::Hold, 0.5)?;
    assert_eq!(bench.torques()?, vec![0; 17]);
    bench.inject(warm(57.0)?)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![0; 17]));
    bench.inject(warm(54.0)?)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    // So hot that it shuts itself down: it is rebooted when it is cooler, then there is torque for all.
    bench.inject(warm(75.0)?)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![0; 17]));
    assert_ne!(bench.register(12, HARDWARE_ERROR, 1)?, 0);
    bench.inject(warm(54.0)?)?;
    bench.run(300);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]), "{:?}", bench.events());
    assert_eq!(bench.register(12, HARDWARE_ERROR, 1)?, 0);
    Ok(())
}

/// Contract, row 7: a supply that is too low or too high, told by an error of the servo or by its voltage alone, takes all torque
/// within 0.2 s; nothing moves from then on, and nothing comes back by itself when the supply does.
#[test]
fn a_supply_that_is_off() -> TestResult {
    // The wrist's model bears 6.5 to 16 V, those of the fingers 5.5 to 14.
    for (id, volts, has_error) in [(9, 5.0, true), (9, 15.0, true), (1, 15.0, false)] {
        let mut bench = Bench::running()?;
        let servos = Servos::Ids(vec![id]);
        bench.inject(Fault::Voltage { servos, volts: volts.try_into()?, for_s: 0.4.try_into()? })?;
        let start_s = bench.clock.now_s();
        bench.until(State::Fault, 0.3)?;
        assert_eq!((bench.last_cause(), bench.torques()?), (Some(Cause::Electrical), vec![0; 17]), "{id} at {volts} V");
        assert_eq!(bench.register(id, HARDWARE_ERROR, 1)? & 1 == 1, has_error, "{id} at {volts} V");
        let took_s = bench.scene.witness.torque_s() - start_s;
        assert!(took_s <= 0.2, "{id} at {volts} V: {took_s} s");
        stay_limp(&mut bench, State::Fault, 300)?;
    }
    Ok(())
}

/// Contract, row 7: a servo that lost its power for 50 ms is found by its torque once it answers again, before it counts as silent for
/// good; by its turns, if it has lost any, in its first answer. All torque goes, nothing moves, nothing comes back by itself.
#[test]
fn a_power_cycle() -> TestResult {
    let boot_s = 0.05 + 0.34;
    // All servos, one, and one that stood a turn further than it says after its boot. A hand has had its torque for 3 s before it
    // misses any.
    let cases = [(Servos::All, None, 250), (Servos::Ids(vec![7]), None, 250), (Servos::Ids(vec![7]), Some(7), 0)];
    for (servos, turned, n_ticks) in cases {
        let scene = Scene::new()?;
        if let Some(id) = turned {
            scene.emulator.lock().set_register(id, HOMING_OFFSET, 4, 4096);
        }
        let mut bench = Bench::on(scene)?;
        bench.start()?;
        bench.run(n_ticks);
        bench.inject(Fault::Voltage { servos: servos.clone(), volts: 0.0.try_into()?, for_s: 0.05.try_into()? })?;
        let took_s = bench.until(State::Fault, 0.7)?;
        assert_eq!(bench.last_cause(), Some(Cause::PowerCycled), "{servos:?}");
        // Two ticks for its first answer, a look at every servo for its torque.
        let look_s = if turned.is_some() { 3.0 * TICK_S } else { 20.0 * TICK_S };
        assert!((boot_s..=boot_s + look_s).contains(&took_s), "{servos:?}: {took_s} s");
        stay_limp(&mut bench, State::Fault, 300)?;
        bench.order(Order::Start)?;
        bench.order(Order::Arm)?;
        stay_limp(&mut bench, State::Fault, 1)?;
    }
    Ok(())
}

/// Runs, and sees that no servo has torque and no shaft moves.
fn stay_limp(bench: &mut Bench, state: State, n_ticks: usize) -> TestResult {
    let (positions, torque_s) = (shafts_rad(bench), bench.scene.witness.torque_s());
    for _ in 0..n_ticks {
        bench.run(1);
        assert_eq!((bench.control.state(), bench.torques()?), (state, vec![0; 17]));
    }
    assert_eq!((shafts_rad(bench), bench.scene.witness.torque_s()), (positions, torque_s));
    Ok(())
}

fn shafts_rad(bench: &Bench) -> Vec<Option<f64>> {
    (1..=17).map(|id| bench.scene.emulator.lock().shaft_rad(id)).collect()
}

/// Contract, row 13: of a process that is killed the servos' watchdogs know within 200 ms; the next one begins without
/// torque, and arms like the first.
#[test]
fn a_killed_process() -> TestResult {
    let bench = Bench::running()?;
    let (scene, clock) = (bench.scene.clone(), bench.clock.clone());
    std::mem::forget(bench);
    clock.wait_until(clock.now_s() + 0.2);
    let ids = 1..=17;
    for id in ids.clone() {
        assert_eq!(register(&scene.emulator, id, WATCHDOG, 1)?, 0xff);
    }
    let mut bench = Bench::on(scene)?;
    bench.run(2);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![5; 17]);
    // A process that ends in order, or by a panic, takes torque with it.
    let scene = bench.scene.clone();
    drop(bench);
    for id in ids {
        assert_eq!(register(&scene.emulator, id, TORQUE, 1)?, 0);
    }
    Ok(())
}

/// Contract, row 15: an emergency stop takes torque within a cycle and keeps it off, whatever is ordered, until it is released and
/// reset.
#[test]
fn the_emergency_stop() -> TestResult {
    let mut bench = Bench::running()?;
    let start_s = bench.clock.now_s();
    bench.e_stop.press();
    bench.run(1);
    assert_eq!((bench.control.state(), bench.torques()?), (State::EStop, vec![0; 17]));
    // All are off with the first packet; that each confirms takes longer.
    let took_s = bench.scene.witness.torque_s() - start_s;
    assert!(took_s <= LET_GO_S, "{took_s} s");
    bench.order(Order::Reset)?;
    bench.order(Order::Arm)?;
    stay_limp(&mut bench, State::EStop, 10)?;
    bench.e_stop.release();
    bench.order(Order::Reset)?;
    stay_limp(&mut bench, State::Connected, 10)
}
