//! Contract: the same bytes over a pseudo-terminal; one process at a time; a pulled cable is an error, not a hang.
//!
//! Time passes for real here: nothing is asserted on how long anything takes.

use crate::rig::{TestResult, calibration, driver_config, emulator, inject, motors, spec};
use bridge::real::bus::{Bus, BusTiming};
use bridge::real::emulator::{Fault, PseudoTerminal};
use bridge::real::hand_driver::HandDriver;
use bridge::real::port::{Port, PortError, SerialLine};
use bridge::{Body, Percept};
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set for the process that is killed: the terminal that it drives.
const VICTIM: &str = "SOFTFLOW_TEST_TERMINAL";

fn slow_driver(terminal: &Path, watchdog_s: f64) -> Result<HandDriver<SerialLine>, Box<dyn Error>> {
    let mut config = driver_config()?;
    // The thread that serves the terminal shares its processor with everything else.
    (config.margin_s, config.patience_s) = (0.05.try_into()?, 0.05.try_into()?);
    (config.watchdog_s, config.watchdog_because) = (watchdog_s.try_into()?, Some("a busy machine".into()));
    let mut spec = spec();
    spec.servo_hz = 10;
    let port = SerialLine::open(terminal, 1_000_000)?;
    Ok(HandDriver::new(port, spec, motors()?, Some(&calibration()?), config)?)
}

/// Not a test of its own: what `a_killed_process_leaves_a_hand_that_stops` kills.
#[test]
fn victim() -> TestResult {
    let Some(terminal) = std::env::var_os(VICTIM) else { return Ok(()) };
    let mut driver = slow_driver(Path::new(&terminal), 0.2)?;
    driver.arm()?;
    driver.reset(0)?;
    let mut percept = Percept::default();
    // There and back, so that it moves when it is killed.
    for target_rad in [0.2, -0.2].into_iter().cycle() {
        driver.read(&mut percept)?;
        driver.command(&[target_rad; 16])?;
    }
    Ok(())
}

/// Row 13, with SIGKILL: within 200 ms of the servos' time every watchdog has tripped and nothing moves any more. That
/// time runs at a quarter of the clock's, so that it does not matter when this test is scheduled.
#[test]
fn a_killed_process_leaves_a_hand_that_stops() -> TestResult {
    let emulator = emulator()?;
    let terminal = PseudoTerminal::serve(emulator.clone(), 0.25.try_into()?)?;
    let every = |address, value| (1..=17).all(|id| emulator.lock().register(id, address, 1) == Some(value));
    let mut victim = Command::new(std::env::current_exe()?)
        .args(["--exact", "terminal::victim", "--nocapture"])
        .env(VICTIM, terminal.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let n_goals = |times: u64| emulator.lock().counters().n_goals > times * 17;
    while !(every(64, 1) && n_goals(10)) {
        assert!(victim.try_wait()?.is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    assert!(every(98, 10), "not every watchdog is armed");
    victim.kill()?;
    victim.wait()?;
    let killed = emulator.lock().now();
    while !every(98, 0xFF) {
        assert!(emulator.lock().now() < killed + Duration::from_millis(220), "a servo did not stop");
        std::thread::yield_now();
    }
    let stopped: Vec<_> = (1..=17).map(|id| emulator.lock().shaft_rad(id)).collect();
    let until = emulator.lock().now() + Duration::from_millis(50);
    while emulator.lock().now() < until {
        std::thread::yield_now();
    }
    for (id, stopped) in (1..=17).zip(stopped) {
        let moved = emulator.lock().shaft_rad(id).zip(stopped).map(|(now, stopped)| (now - stopped).abs());
        assert!(moved.is_some_and(|moved| moved < 0.0016), "servo {id} moved by {moved:?} rad");
    }
    // Whoever comes next finds torque on and watchdogs tripped, and the port free.
    let mut next = slow_driver(terminal.path(), 0.2)?;
    next.arm()?;
    assert!(every(98, 10) && every(64, 1));
    Ok(())
}

/// Commands take: the emulator's goals are those that were sent, and its joints come to the percept.
#[test]
fn a_hand_is_driven_over_a_terminal() -> TestResult {
    let terminal = PseudoTerminal::serve(emulator()?, 1.0.try_into()?)?;
    let mut driver = slow_driver(terminal.path(), 2.54)?;
    driver.arm()?;
    driver.reset(0)?;
    let mut percept = Percept::default();
    driver.read(&mut percept)?;
    let targets: Vec<f32> = percept.measured_rad.iter().map(|angle| angle + 0.2).collect();
    let is_there =
        |measured: &[f32]| measured.iter().zip(&targets).all(|(measured, target)| (measured - target).abs() < 0.01);
    for _ in 0..100 {
        driver.command(&targets)?;
        driver.read(&mut percept)?;
        if is_there(&percept.measured_rad) {
            break;
        }
    }
    assert!(is_there(&percept.measured_rad), "{:?} is not {targets:?}", percept.measured_rad);
    driver.torque_off()?;
    assert!((1..=17).all(|id| terminal.emulator().lock().register(id, 64, 1) == Some(0)));
    Ok(())
}

/// Row 17. The second to open the port is told who has it; when that one is gone, the port is free.
#[test]
fn a_port_has_one_owner() -> TestResult {
    let terminal = PseudoTerminal::serve(emulator()?, 1.0.try_into()?)?;
    let first = SerialLine::open(terminal.path(), 1_000_000)?;
    match SerialLine::open(terminal.path(), 1_000_000) {
        Err(PortError::Held { holder, .. }) => assert!(holder.contains(&std::process::id().to_string()), "{holder}"),
        other => return Err(format!("opened twice: {other:?}").into()),
    }
    // The second did not even change the first one's rate: the servos still hear it.
    assert!(SerialLine::open(terminal.path(), 57_600).is_err());
    let timing = BusTiming { return_delay: Duration::from_micros(500), margin: Duration::from_secs(2) };
    let mut bus = Bus::new(first, timing);
    assert_eq!(bus.ping(4)?.model, 1220);
    drop(bus);
    for baud in [9_600, 57_600, 1_000_000, 3_000_000, 4_000_000] {
        assert_eq!(SerialLine::open(terminal.path(), baud)?.baud(), baud);
    }
    Ok(())
}

#[test]
fn a_missing_port_is_named() {
    let missing = SerialLine::open(Path::new("/dev/no such port"), 1_000_000);
    assert!(
        missing.is_err_and(|error| error.to_string().contains("/dev/no such port: cannot be opened at 1000000 baud"))
    );
}

/// Row 1, over a terminal.
#[test]
fn a_pulled_cable_is_an_error() -> TestResult {
    let emulator = emulator()?;
    let terminal = PseudoTerminal::serve(emulator.clone(), 1.0.try_into()?)?;
    let mut port = SerialLine::open(terminal.path(), 1_000_000)?;
    inject(&emulator, Fault::Unplug)?;
    let mut buffer = [0; 16];
    let deadline = port.now() + Duration::from_secs(20);
    assert!(matches!(port.read_until(&mut buffer, deadline), Err(PortError::Lost { .. })));
    Ok(())
}
