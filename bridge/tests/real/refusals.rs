//! Contract: what is not the calibrated hand is not armed, and what does not fit it is refused by name.

use crate::rig::{
    BAUD, TestResult, calibration, connected, driver_config, driver_on, emulator, inject, milliseconds, motors, pass,
    plant, running, servo_configs, spec,
};
use bridge::number::UnitInterval;
use bridge::real::bus::BusError;
use bridge::real::calibration::CalibrationError;
use bridge::real::dynamixel::control_table::{BUS_WATCHDOG, OPERATING_MODE, PRESENT_POSITION, Register};
use bridge::real::emulator::{Emulator, Fault, FaultScript, MemoryPort, ServoConfig, Servos, SharedEmulator};
use bridge::real::hand_driver::{ArmError, Finding, HandDriver, HandDriverConfig, HandError};
use bridge::real::hand_robot::HandRobot;
use bridge::real::port::{Port, PortError};
use std::time::Duration;

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

/// Rows 13 and 16: a process that was killed leaves a hand that grips. If that is refused then, whether it is connected, armed or calibrated, every
/// servo that can be told lets go, though others do not answer; what was refused is told as it was.
#[test]
fn a_refused_hand_lets_go() -> TestResult {
    let half = UnitInterval::try_from(0.5)?;
    let of_arming = |error| if let ArmError::Refused(findings) = error { findings } else { Vec::new() };
    let of_calibration = |error| if let CalibrationError::Refused(findings) = error { findings } else { Vec::new() };
    let connect = |driver: HandDriver<MemoryPort>| HandRobot::connect(driver, half).err().map(of_arming);
    let arm = |mut driver: HandDriver<MemoryPort>| driver.arm().err().map(of_arming);
    let calibrate = |mut driver: HandDriver<MemoryPort>| {
        driver.calibrate("a port", "today", &|| false, &mut |_| ()).err().map(of_calibration)
    };
    let attempts: [&dyn Fn(HandDriver<MemoryPort>) -> Option<Vec<Finding>>; 3] = [&connect, &arm, &calibrate];
    for attempt in attempts {
        let (emulator, driver, _) = running()?;
        // SIGKILL: nothing of the driver runs any more.
        std::mem::forget(driver);
        pass(&emulator, milliseconds(200));
        inject(&emulator, Fault::Overload { servos: Servos::Ids(vec![3]) })?;
        // The first and the last that are told.
        inject(&emulator, Fault::Silent { servos: Servos::Ids(vec![4, 1]), for_s: 60.0.try_into()? })?;
        pass(&emulator, milliseconds(2));
        let with_torque =
            || (1..=17).filter(|&id| emulator.lock().register(id, TORQUE, 1) == Some(1)).collect::<Vec<u8>>();
        assert_eq!(with_torque().len(), 16);
        let findings = attempt(driver_on(emulator.open(BAUD))?).ok_or("it was not refused")?;
        assert_eq!(findings.iter().map(|finding| finding.id).collect::<Vec<_>>(), [Some(4), Some(1), Some(3)]);
        assert_eq!(with_torque(), [1, 4], "only those that do not hear");
    }
    Ok(())
}

/// An adapter that has not all rates, and loses its cable at one.
struct Adapter {
    port: MemoryPort,
    lacks: &'static [u32],
    ends_at: Option<u32>,
}

impl Port for Adapter {
    fn now(&self) -> Duration {
        self.port.now()
    }
    fn baud(&self) -> u32 {
        self.port.baud()
    }
    fn set_baud(&mut self, baud: u32) -> Result<(), PortError> {
        if self.lacks.contains(&baud) {
            return Err(PortError::Lost { reason: format!("it has no {baud} baud") });
        }
        self.port.set_baud(baud)
    }
    fn write_all(&mut self, bytes: &[u8], deadline: Duration) -> Result<(), PortError> {
        if self.ends_at == Some(self.baud()) {
            return Err(PortError::Lost { reason: "the cable is pulled".into() });
        }
        self.port.write_all(bytes, deadline)
    }
    fn read_until(&mut self, buffer: &mut [u8], deadline: Duration) -> Result<usize, PortError> {
        self.port.read_until(buffer, deadline)
    }
    fn discard_input(&mut self) -> Result<(), PortError> {
        self.port.discard_input()
    }
    fn wait_until(&mut self, time: Duration) {
        self.port.wait_until(time);
    }
}

/// Servos that do not answer are looked for at every rate that the adapter has; it has its own again then, whatever came of it.
#[test]
fn rates_that_an_adapter_lacks_are_left_out() -> TestResult {
    /// Code of the servos' rate, none without power; the rates that are missing; the one at which the cable is pulled.
    type Case = (Option<u8>, &'static [u32], Option<u32>, &'static str);
    let lacks: &[u32] = &[3_000_000, 4_000_000];
    // 4 is 2 Mbaud, which is tried after those that are missing; 6 is one of these.
    let cases: [Case; 5] = [
        (Some(4), lacks, None, "no servo answers at 1000000 baud, but at 2000000"),
        (Some(6), lacks, None, "nor at any other that the port has; it lacks 3000000, 4000000"),
        (None, lacks, None, "nor at any other that the port has; it lacks 3000000, 4000000"),
        (None, &[], None, "no servo answers at 1000000 baud, nor at any other; check power"),
        (None, lacks, Some(2_000_000), "the port is gone: the cable is pulled"),
    ];
    for (baud_code, lacks, ends_at, words) in cases {
        let table = motors()?;
        let mut servos = servo_configs(&table);
        servos.iter_mut().for_each(|servo| servo.baud_code = baud_code.unwrap_or(3));
        let emulator = SharedEmulator::new(Emulator::new(&servos, Box::new(plant(&table)), &FaultScript::default()));
        if baud_code.is_none() {
            inject(&emulator, Fault::Silent { servos: Servos::All, for_s: 60.0.try_into()? })?;
        }
        let mut driver = driver_on(Adapter { port: emulator.open(BAUD), lacks, ends_at })?;
        let told = match driver.verify() {
            Ok(findings) => findings.iter().find(|finding| finding.id.is_none()).map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        assert!(told.as_ref().is_some_and(|told| told.contains(words)), "{words}: {told:?}");
        assert_eq!(driver.bus_mut().port_mut().baud(), BAUD, "{words}");
    }
    Ok(())
}

/// What a servo does not tell is not said to be written.
#[test]
fn a_refused_reading_is_told_as_one() -> TestResult {
    let (_emulator, mut driver) = connected()?;
    let beyond = Register { address: 1000, ..PRESENT_POSITION };
    let told = driver.bus_mut().read(4, beyond).err().map(|error| error.to_string());
    let expected = "servo 4: refused to tell Present Position: error 7: read-only or undefined register, or EEPROM while torque is on";
    assert_eq!(told.as_deref(), Some(expected));
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
