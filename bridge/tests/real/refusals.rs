//! Contract: what is not the calibrated hand is not armed, and what does not fit it is refused by name.

use crate::rig::{
    BAUD, TestResult, calibration, connected, driver_config, driver_on, emulator, motors, plant, servo_configs, spec,
};
use bridge::real::bus::BusError;
use bridge::real::dynamixel::control_table::{BUS_WATCHDOG, OPERATING_MODE};
use bridge::real::emulator::{Emulator, FaultScript, ServoConfig, SharedEmulator};
use bridge::real::hand_driver::{ArmError, HandDriver, HandDriverConfig, HandError};

const TORQUE: u16 = 64;

/// A watchdog that is slower or faster than usual is refused without a reason; with one it is told with it, and what no servo has is
/// refused whatever is said.
#[test]
fn an_unusual_watchdog_needs_a_reason() -> TestResult {
    let emulator = emulator()?;
    let driver = |watchdog_s: f64, reason: Option<&str>| -> Result<_, Box<dyn std::error::Error>> {
        let (watchdog_s, watchdog_because) = (watchdog_s.try_into()?, reason.map(str::to_owned));
        let config = HandDriverConfig { watchdog_s, watchdog_because, ..driver_config()? };
        let told = config.to_string();
        Ok(HandDriver::new(emulator.open(BAUD), spec(), motors()?, None, config).map(|_| told))
    };
    for (watchdog_s, reason) in [(0.5, None), (0.5, Some(" ")), (0.04, None), (3.0, Some("a slow machine"))] {
        let made = driver(watchdog_s, reason)?;
        assert!(matches!(made, Err(HandError::Config { field: "watchdog_s", .. })), "{watchdog_s} s, {reason:?}");
    }
    for usual_s in [0.1, 0.2] {
        assert!(!driver(usual_s, None)??.contains("UNUSUAL"));
    }
    let told = driver(0.5, Some("a slow machine"))??;
    assert!(told.contains("after 0.5 s of silence (UNUSUAL: a slow machine)"), "{told}");
    Ok(())
}

/// A configuration that does not fit the hand is refused with the field's name.
#[test]
fn a_wrong_configuration_is_refused() -> TestResult {
    let emulator = emulator()?;
    let mut config = driver_config()?;
    config.margin_s = 1e300.try_into()?;
    let error = HandDriver::new(emulator.open(BAUD), spec(), motors()?, None, config);
    assert!(matches!(error, Err(HandError::Config { field: "margin_s", .. })));
    let mut table = motors()?;
    table.motors[3].id = table.motors[4].id;
    let error = HandDriver::new(emulator.open(BAUD), spec(), table, None, driver_config()?);
    assert!(matches!(error, Err(HandError::Motors(error)) if error.reason.contains("found for both")));
    Ok(())
}

/// Row 16 of the fault table: whatever is not the calibrated hand is not armed, with a finding that names it.
#[test]
fn a_wrong_hand_is_not_armed() -> TestResult {
    type Change = fn(&mut Vec<ServoConfig>);
    let cases: [(Change, Option<u8>, &str); 6] = [
        (|servos| servos.retain(|servo| servo.id != 8), Some(8), "does not answer"),
        (|servos| servos[2].model_number = 1200, Some(2), "is XL330-M288, expected XC330-T288"),
        (|servos| servos[2].supply_v = 15.0, Some(2), "supply is 15.0 V"),
        (|servos| servos.iter_mut().for_each(|servo| servo.baud_code = 1), None, "but at 57600"),
        (|servos| servos[0].id = 20, Some(20), "is not of this hand"),
        // Two servos with id 5, at different angles: what they say together is garbled.
        (|servos| servos[0].id = 5, Some(5), "two servos may have this id"),
    ];
    for (change, id, words) in cases {
        let table = motors()?;
        let mut servos = servo_configs(&table);
        change(&mut servos);
        let plant = Box::new(plant(&table));
        let emulator = SharedEmulator::new(Emulator::new(&servos, plant, &FaultScript::default()));
        let mut driver = driver_on(emulator.open(BAUD))?;
        let Err(ArmError::Refused(findings)) = driver.arm() else { return Err(format!("{words}: armed").into()) };
        let is_named = findings.iter().any(|finding| finding.id == id && finding.to_string().contains(words));
        assert!(is_named, "{words}: {findings:#?}");
        assert!((1..=20).all(|id| emulator.lock().register(id, TORQUE, 1).unwrap_or(0) == 0));
    }
    Ok(())
}

/// Row 16 too: no calibration, another hand's, or a joint that is not where it can be.
#[test]
fn a_hand_without_its_calibration_is_not_armed() -> TestResult {
    let emulator = emulator()?;
    let mut driver = HandDriver::new(emulator.open(BAUD), spec(), motors()?, None, driver_config()?)?;
    assert!(matches!(driver.arm(), Err(ArmError::Refused(findings)) if findings[0].what == "is not calibrated"));
    let mut other = calibration()?;
    other.hand = "orca_v1".into();
    assert!(matches!(driver.calibrate_with(&other), Err(error) if error.reason == "it is not of orca_v2"));
    let mut swapped = calibration()?;
    let joint = &mut swapped.joints[0];
    std::mem::swap(&mut joint.lower_ticks, &mut joint.upper_ticks);
    assert!(matches!(driver.calibrate_with(&swapped), Err(error) if error.reason.contains("Against")));
    let mut shifted = calibration()?;
    shifted.joints[0].lower_ticks += 2000;
    shifted.joints[0].upper_ticks += 2000;
    driver.calibrate_with(&shifted)?;
    assert!(matches!(driver.arm(), Err(ArmError::Refused(findings)) if findings[0].what.contains("outside")));
    Ok(())
}

/// A register's value that does not fit is not sent.
#[test]
fn a_value_that_does_not_fit_is_refused() -> TestResult {
    let (_emulator, mut driver) = connected()?;
    assert!(matches!(driver.bus_mut().write(4, BUS_WATCHDOG, 200), Err(BusError::Value { value: 200, .. })));
    assert!(
        matches!(driver.bus_mut().write(1, OPERATING_MODE, 5), Err(BusError::Refused { error, .. }) if error.number() == 4)
    );
    Ok(())
}
