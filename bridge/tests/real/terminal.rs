//! Contract: the same bytes over a pseudo-terminal; one process at a time; a pulled cable is an error, not a hang.
//!
//! Time passes for real here: nothing is asserted on how long anything takes.

use crate::rig::{TestResult, calibration, driver_config, emulator, inject, motors, spec};
use bridge::real::bus::{Bus, BusTiming};
use bridge::real::emulator::{Fault, PseudoTerminal};
use bridge::real::hand_driver::HandDriver;
use bridge::real::port::{Port, PortError, SerialLine};
use bridge::{Body, Percept};
use std::time::Duration;

/// Commands take: the emulator's goals are those that were sent, and its joints come to the percept.
#[test]
fn a_hand_is_driven_over_a_terminal() -> TestResult {
    let terminal = PseudoTerminal::serve(emulator()?, 1.0)?;
    let mut config = driver_config()?;
    // The thread that serves the terminal shares its processor with everything else.
    config.margin_s = 0.05.try_into()?;
    config.watchdog_s = 2.54.try_into()?;
    let mut spec = spec();
    spec.servo_hz = 10;
    let port = SerialLine::open(terminal.path(), 1_000_000)?;
    let mut driver = HandDriver::new(port, spec, motors()?, Some(&calibration()?), config)?;
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
    let terminal = PseudoTerminal::serve(emulator()?, 1.0)?;
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
    let missing = SerialLine::open(std::path::Path::new("/dev/no such port"), 1_000_000);
    assert!(
        missing.is_err_and(|error| error.to_string().contains("/dev/no such port: cannot be opened at 1000000 baud"))
    );
}

/// Row 1, over a terminal.
#[test]
fn a_pulled_cable_is_an_error() -> TestResult {
    let emulator = emulator()?;
    let terminal = PseudoTerminal::serve(emulator.clone(), 1.0)?;
    let mut port = SerialLine::open(terminal.path(), 1_000_000)?;
    inject(&emulator, Fault::Unplug)?;
    let mut buffer = [0; 16];
    let deadline = port.now() + Duration::from_secs(20);
    assert!(matches!(port.read_until(&mut buffer, deadline), Err(PortError::Lost { .. })));
    Ok(())
}
