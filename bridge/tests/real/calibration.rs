//! Contract: calibration finds the stops where they are, leaves torque off, and its file is read back as it was written;
//! whatever is wrong with a file is an error that names it.

use crate::rig::{BAUD, TestResult, driver_config, emulator, inject, motors, spec, stops_rad};
use bridge::number::Finite;
use bridge::real::calibration::{Calibration, CalibrationError, CalibrationStep};
use bridge::real::emulator::{Fault, Servos, SharedEmulator};
use bridge::real::hand_driver::HandDriver;
use std::cell::Cell;

fn is_limp(emulator: &SharedEmulator) -> bool {
    (1..=17).all(|id| emulator.lock().register(id, 64, 1) == Some(0))
}

#[test]
fn stops_are_found() -> TestResult {
    let emulator = emulator()?;
    let mut driver = HandDriver::new(emulator.open(BAUD), spec(), motors()?, None, driver_config()?)?;
    let mut n_stops = 0;
    let calibration = driver.calibrate("0042", "2026-02-03", &|| false, &mut |step| {
        n_stops += usize::from(matches!(step, CalibrationStep::Stop { .. }));
    })?;
    assert_eq!(n_stops, 34);
    for (joint, motor) in calibration.joints.iter().zip(&motors()?.motors) {
        let (lower_rad, upper_rad) = stops_rad(motor);
        for (ticks, stop_rad) in [(joint.lower_ticks, lower_rad), (joint.upper_ticks, upper_rad)] {
            let expected = stop_rad * 4096.0 / std::f64::consts::TAU;
            assert!((f64::from(ticks) - expected).abs() < 3.0, "{}: {ticks}, expected {expected}", joint.joint);
        }
        assert!((joint.ratio.get() - 1.1).abs() < 0.01, "{}: {}", joint.joint, joint.ratio.get());
    }
    assert!(is_limp(&emulator), "torque is on");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hand.ron");
    calibration.save(&path)?;
    assert_eq!(Calibration::load(&path)?, calibration);
    driver.arm()?;
    Ok(())
}

#[test]
fn a_joint_that_does_not_come_to_a_stop_ends_it() -> TestResult {
    let emulator = emulator()?;
    let mut config = driver_config()?;
    config.calibration.timeout_s = 0.3.try_into()?;
    let mut driver = HandDriver::new(emulator.open(BAUD), spec(), motors()?, None, config)?;
    let failed = driver.calibrate("0042", "2026-02-03", &|| false, &mut |_| {});
    assert!(matches!(failed, Err(CalibrationError::NoStop { is_upper: false, .. })), "{failed:?}");
    assert!(is_limp(&emulator), "torque is on");
    Ok(())
}

#[test]
fn a_servo_that_overheats_ends_it() -> TestResult {
    let emulator = emulator()?;
    let mut driver = HandDriver::new(emulator.open(BAUD), spec(), motors()?, None, driver_config()?)?;
    let mut fault = Some(Fault::Temperature { servos: Servos::Ids(vec![2]), celsius: Finite::try_from(75.0)? });
    let failed = driver.calibrate("0042", "2026-02-03", &|| false, &mut |step| {
        // The first stop: its group has torque.
        if let CalibrationStep::Stop { .. } = step
            && let Some(fault) = fault.take()
        {
            inject(&emulator, fault).unwrap();
        }
    });
    assert!(matches!(failed, Err(CalibrationError::Servo { id: 2, .. })), "{failed:?}");
    assert!(is_limp(&emulator), "torque is on");
    Ok(())
}

/// Who stops it has the torque off, though every joint is on its way.
#[test]
fn it_can_be_stopped() -> TestResult {
    let emulator = emulator()?;
    let mut driver = HandDriver::new(emulator.open(BAUD), spec(), motors()?, None, driver_config()?)?;
    let n_left = Cell::new(40_u32);
    let is_stopped = || n_left.replace(n_left.get().saturating_sub(1)) == 0;
    let stopped = driver.calibrate("0042", "2026-02-03", &is_stopped, &mut |_| {});
    assert!(matches!(stopped, Err(CalibrationError::Stopped)), "{stopped:?}");
    assert!(is_limp(&emulator), "torque is on");
    Ok(())
}

/// A servo that is deaf for longer than its watchdog allows stands still: that is no stop.
#[test]
fn a_servo_out_of_touch_ends_it() -> TestResult {
    let emulator = emulator()?;
    let mut driver = HandDriver::new(emulator.open(BAUD), spec(), motors()?, None, driver_config()?)?;
    let mut fault = Some(Fault::Silent { servos: Servos::Ids(vec![7]), for_s: 0.15.try_into()? });
    let failed = driver.calibrate("0042", "2026-02-03", &|| false, &mut |step| {
        if matches!(step, CalibrationStep::Stop { is_upper: false, joint, .. } if *joint == motors().unwrap().motors[6].joint)
            && let Some(fault) = fault.take()
        {
            inject(&emulator, fault).unwrap();
        }
    });
    assert!(matches!(failed, Err(CalibrationError::OutOfTouch { .. })), "{failed:?}");
    assert!(is_limp(&emulator), "torque is on");
    Ok(())
}

#[test]
fn a_damaged_file_is_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hand.ron");
    crate::rig::calibration()?.save(&path)?;
    let text = std::fs::read_to_string(&path)?;
    for (from, to) in [
        ("ratio: 1.", "ratio: NaN, x: 1."),
        ("lower_ticks", "lower_tick"),
        ("version: 1", "version: -1"),
        ("ratio: 1.", "ratio: -1."),
    ] {
        let damaged = text.replacen(from, to, 1);
        assert_ne!(damaged, text, "{from} is not in the file");
        assert!(bridge::config::parse::<Calibration>("hand.ron", &damaged).is_err(), "{to} was accepted");
    }
    for cut in (0..text.len().saturating_sub(3)).step_by(7) {
        assert!(bridge::config::parse::<Calibration>("hand.ron", &text[..cut]).is_err(), "cut at {cut}");
    }
    Ok(())
}
