//! Contract: what goes wrong on the wire becomes a fact in the status in the tick in which it happens; nothing partial is
//! published; the servos stop by themselves when nobody speaks to them. Rows of the fault table by number, asserted on the
//! servos' registers and on their time.

use crate::rig::{
    self, BAUD, HZ, TestResult, calibration, driver_config, driver_on, inject, milliseconds, motors, pass, register,
    run, running, spec, started,
};
use bridge::number::Finite;
use bridge::real::emulator::{Fault, FaultScript, MemoryPort, Servos, SharedEmulator};
use bridge::real::hand_driver::{HandDriver, HandDriverConfig, RebootRefused};
use bridge::real::status::{HardwareError, Recovery};
use bridge::{Body, Percept};
use std::error::Error;

const TORQUE: u16 = 64;
const HARDWARE_ERROR: u16 = 70;
const WATCHDOG: u16 = 98;

/// Index of a servo in the status.
fn index_of(driver: &HandDriver<MemoryPort>, id: u8) -> Result<usize, Box<dyn Error>> {
    driver.status().servos.iter().position(|servo| servo.id == id).ok_or_else(|| format!("no servo {id}").into())
}

fn all(emulator: &SharedEmulator, address: u16, value: u32) -> Result<bool, Box<dyn Error>> {
    for motor in &motors()?.motors {
        if register(emulator, motor.id, address, 1)? != value {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Row 1. The port is lost at once; the servos stop within 200 ms of the last packet and stay where they are.
#[test]
fn an_unplugged_cable() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    inject(&emulator, Fault::Unplug)?;
    assert!(run(&mut driver, &mut percept, 2).is_err());
    assert!(driver.status().transport_lost.is_some());
    let unplugged = emulator.lock().now();
    while !all(&emulator, WATCHDOG, 0xFF)? {
        pass(&emulator, milliseconds(1));
        assert!(emulator.lock().now() < unplugged + milliseconds(200), "a servo did not stop");
    }
    let stopped: Vec<_> = (1..=17).map(|id| emulator.lock().shaft_rad(id)).collect();
    pass(&emulator, milliseconds(500));
    for (id, stopped) in (1..=17).zip(stopped) {
        let moved = emulator.lock().shaft_rad(id).zip(stopped).map(|(now, stopped)| (now - stopped).abs());
        // Less than the tick to which the stop is rounded.
        assert!(moved.is_some_and(|moved| moved < 0.0016), "servo {id} moved by {moved:?} rad");
    }
    Ok(())
}

/// Row 2. One damaged frame is repaired in its cycle; many are counted; no joint jumps.
#[test]
fn corrupted_frames() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    let before = percept.measured_rad.clone();
    inject(
        &emulator,
        Fault::Corrupt { servos: Servos::Ids(vec![8]), share: 1.0.try_into()?, for_s: 0.012.try_into()? },
    )?;
    run(&mut driver, &mut percept, 3)?;
    assert!(driver.counters().n_crc_errors > 0 && driver.counters().n_retries > 0, "{:?}", driver.counters());
    inject(&emulator, Fault::Corrupt { servos: Servos::All, share: 0.2.try_into()?, for_s: 1.0.try_into()? })?;
    for _ in 0..100 {
        run(&mut driver, &mut percept, 1)?;
        for (now, before) in percept.measured_rad.iter().zip(&before) {
            assert!((now - before).abs() < 0.005, "a damaged reading was published: {now} after {before}");
        }
    }
    assert!(driver.status().n_recent_bad_cycles >= 5, "{}", driver.status().n_recent_bad_cycles);
    run(&mut driver, &mut percept, 60)?;
    assert_eq!(driver.status().n_recent_bad_cycles, 0);
    assert!(driver.status().stale_s.iter().all(|&stale_s| stale_s < 0.01));
    Ok(())
}

/// Rows 2, 3 and 5. Without fast reads, slow ones and the margin of a late adapter leave no time for the health readings: an
/// overload is seen all the same, and a stopped servo too.
#[test]
fn health_without_fast_reads() -> TestResult {
    let emulator = rig::emulator()?;
    let config = HandDriverConfig { margin_s: 0.004.try_into()?, ..driver_config()? };
    let driver = HandDriver::new(emulator.open(BAUD), spec(), motors()?, Some(&calibration()?), config)?;
    let (mut driver, mut percept) = started(driver)?;
    // An old firmware says nothing to a fast read.
    emulator.lock().set_register(8, 6, 1, 40);
    run(&mut driver, &mut percept, 10)?;
    assert!(!driver.bus_mut().is_fast());
    let overloaded = index_of(&driver, 9)?;
    inject(&emulator, Fault::Overload { servos: Servos::Ids(vec![9]) })?;
    run(&mut driver, &mut percept, 8)?;
    assert!(driver.status().servos[overloaded].hardware_error.has(HardwareError::OVERLOAD));

    let deaf = index_of(&driver, 12)?;
    inject(&emulator, Fault::Silent { servos: Servos::Ids(vec![12]), for_s: 0.3.try_into()? })?;
    run(&mut driver, &mut percept, 30 + 3 * 17 + 10)?;
    assert!(driver.status().servos[deaf].is_watchdog_tripped);
    Ok(())
}

/// Row 2, with noise between the packets.
#[test]
fn noise_on_the_line() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    let before = percept.measured_rad.clone();
    for _ in 0..20 {
        inject(&emulator, Fault::Noise { n_bytes: 50 })?;
        run(&mut driver, &mut percept, 2)?;
        assert!(percept.measured_rad.iter().zip(&before).all(|(now, before)| (now - before).abs() < 0.005));
    }
    run(&mut driver, &mut percept, 5)?;
    assert!(driver.status().stale_s.iter().all(|&stale_s| stale_s < 0.01), "{:?}", driver.status().stale_s);
    Ok(())
}

/// Row 2, an adapter that echoes. What was said is not taken for an answer, whatever was asked: every reading is new and that of its
/// servo, no cycle is bad, nothing is asked twice; torque goes, and comes, as it is told.
#[test]
fn an_echo() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    inject(&emulator, Fault::Echo { for_s: 60.0.try_into()? })?;
    let start = percept.measured_rad.clone();
    let before = driver.counters();
    for n_ticks in 1..=50u8 {
        // A joint that moves tells new readings from old ones.
        let targets: Vec<f32> = start.iter().map(|angle| angle + 0.004 * f32::from(n_ticks)).collect();
        driver.command(&targets)?;
        driver.read(&mut percept)?;
        assert!(driver.status().stale_s.iter().all(|&stale_s| stale_s < 0.011), "{:?}", driver.status().stale_s);
        for (measured, target) in percept.measured_rad.iter().zip(&targets) {
            // 0.4 rad/s, a lag of 30 ms and the tick since.
            assert!((target - measured).abs() < 0.02, "{measured} rad on the way to {target} rad");
        }
    }
    let after = driver.counters();
    // Every packet but the last came back, those without an answer too.
    assert!(after.n_discarded - before.n_discarded >= 50, "{after:?}");
    assert_eq!((after.n_retries, after.n_timeouts), (before.n_retries, before.n_timeouts), "{after:?}");
    assert_eq!((after.n_crc_errors, driver.status().n_bad_cycles), (before.n_crc_errors, 0), "{after:?}");
    driver.torque_off()?;
    assert!(all(&emulator, TORQUE, 0)?);
    driver.arm()?;
    assert!(all(&emulator, TORQUE, 1)? && all(&emulator, WATCHDOG, 5)?);
    Ok(())
}

/// Row 3. A silent servo is stale by exactly the time that passes; all others are read in every cycle, in time.
#[test]
fn a_silent_servo() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    let silent = index_of(&driver, 9)?;
    inject(&emulator, Fault::Silent { servos: Servos::Ids(vec![9]), for_s: 0.5.try_into()? })?;
    let n_overruns = driver.status().n_overruns;
    for n_ticks in 1..=30u32 {
        run(&mut driver, &mut percept, 1)?;
        let status = driver.status();
        for (index, servo) in status.servos.iter().enumerate().filter(|&(index, _)| index != silent) {
            assert!(
                servo.stale_s < 0.011,
                "tick {n_ticks}: servo {} at {index} is stale by {} s",
                servo.id,
                servo.stale_s
            );
        }
        let expected_s = f64::from(n_ticks) / f64::from(HZ);
        let stale_s = status.stale_s[silent];
        assert!((stale_s - expected_s).abs() < 0.012, "tick {n_ticks}: stale by {stale_s} s, expected {expected_s} s");
        assert!(status.last_complete_read_s.is_some_and(|time_s| (status.time_s - time_s - expected_s).abs() < 0.02));
    }
    assert_eq!(driver.status().n_overruns, n_overruns, "a silent servo made the loop late");
    run(&mut driver, &mut percept, 30)?;
    assert!(driver.status().stale_s[silent] < 0.011);
    Ok(())
}

/// Row 4. Answers that come 13 ms late are those of the cycle before: they are dropped, never taken for new.
#[test]
fn late_answers() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    // A joint that moves tells old readings from new ones.
    let start = percept.measured_rad[5];
    let moving =
        motors()?.motors.iter().find(|motor| motor.joint == "middle_pip").map(|motor| motor.id).ok_or("no joint")?;
    inject(
        &emulator,
        Fault::Delay { servos: Servos::Ids(vec![moving]), by_s: 0.013.try_into()?, for_s: 0.3.try_into()? },
    )?;
    let n_discarded = driver.counters().n_discarded;
    let mut targets = percept.commanded_rad.clone();
    for tick in 0..28u32 {
        targets[5] = start + 0.01 * tick as f32;
        driver.command(&targets)?;
        let seen_before = driver.status().stale_s[5];
        let now_rad = percept.measured_rad[5];
        driver.read(&mut percept)?;
        let is_new = driver.status().stale_s[5] < seen_before.min(0.011);
        assert!(is_new || (percept.measured_rad[5] - now_rad).abs() < f32::EPSILON, "a late answer was published");
    }
    assert!(driver.status().stale_s[5] > 0.25, "stale by {} s", driver.status().stale_s[5]);
    assert!(driver.counters().n_discarded + driver.counters().n_fences > n_discarded, "{:?}", driver.counters());
    run(&mut driver, &mut percept, 10)?;
    assert!(driver.status().stale_s[5] < 0.011);
    Ok(())
}

/// Row 4, the whole line late, as an adapter does it: nothing is published while it is.
#[test]
fn a_late_line() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    inject(&emulator, Fault::Delay { servos: Servos::All, by_s: 0.012.try_into()?, for_s: 0.2.try_into()? })?;
    run(&mut driver, &mut percept, 20)?;
    assert!(driver.status().stale_s.iter().all(|&stale_s| stale_s > 0.18), "{:?}", driver.status().stale_s);
    assert!(driver.status().n_recent_bad_cycles >= 19);
    run(&mut driver, &mut percept, 10)?;
    assert!(driver.status().stale_s.iter().all(|&stale_s| stale_s < 0.011), "{:?}", driver.status().stale_s);
    Ok(())
}

/// Row 5. Overload is known in the next tick; the reboot brings back mode, limits, gains, goal at present, watchdog and
/// torque; the others are read all the while.
#[test]
fn an_overloaded_servo() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    let index = index_of(&driver, 3)?;
    for n_reboots in 1..=3 {
        inject(&emulator, Fault::Overload { servos: Servos::Ids(vec![3]) })?;
        run(&mut driver, &mut percept, 2)?;
        assert!(driver.status().servos[index].hardware_error.has(HardwareError::OVERLOAD), "{n_reboots}");
        assert!(driver.status().servos[index].is_alert);
        assert_eq!(driver.status().servos[index].is_torque_enabled, Some(false));
        assert_eq!(register(&emulator, 3, TORQUE, 1)?, 0);
        driver.hold()?;
        driver.reboot(index)?;
        let rebooted = emulator.lock().now();
        // What the firmware does to limits that nobody sets again.
        run(&mut driver, &mut percept, 36)?;
        assert_eq!(register(&emulator, 3, 102, 2)?, 300, "a reset goal current is within the current limit");
        let mut n_ticks = 0;
        while driver.status().servos[index].recovery != Recovery::Done {
            run(&mut driver, &mut percept, 1)?;
            n_ticks += 1;
            assert!(n_ticks < 60, "it never comes back: {:?}", driver.status().servos[index]);
            let others = driver.status().servos.iter().filter(|servo| servo.id != 3);
            assert!(others.into_iter().all(|servo| servo.stale_s < 0.021), "the others starve");
        }
        let took = emulator.lock().now() - rebooted;
        assert!((milliseconds(340)..milliseconds(600)).contains(&took), "{took:?}");
        let read = |address, length| register(&emulator, 3, address, length);
        assert_eq!((read(11, 1)?, read(102, 2)?, read(84, 2)?), (5, 150, 600), "it comes back as weak as a hold is");
        assert_eq!((read(TORQUE, 1)?, read(WATCHDOG, 1)?, read(HARDWARE_ERROR, 1)?), (1, 5, 0));
        let (goal, present) = (read(116, 4)? as i32, read(132, 4)? as i32);
        assert!((goal - present).abs() < 20, "goal {goal}, present {present}");
        driver.hold()?;
        driver.release()?;
        run(&mut driver, &mut percept, 5)?;
    }
    Ok(())
}

/// Row 6. The temperature is in the status within half a second; a servo that shut down for it is not rebooted before it
/// has cooled down.
#[test]
fn an_overheated_servo() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    let index = index_of(&driver, 15)?;
    let warm = |celsius: f64| -> Result<Fault, Box<dyn Error>> {
        Ok(Fault::Temperature { servos: Servos::Ids(vec![15]), celsius: Finite::try_from(celsius)? })
    };
    inject(&emulator, warm(61.0)?)?;
    run(&mut driver, &mut percept, 20)?;
    assert_eq!(
        (driver.status().servos[index].temperature_c, driver.status().servos[index].temperature_limit_c),
        (61.0, 70.0)
    );
    assert!(driver.status().servos[index].hardware_error.is_clear());
    inject(&emulator, warm(71.0)?)?;
    run(&mut driver, &mut percept, 2)?;
    assert!(driver.status().servos[index].hardware_error.has(HardwareError::OVERHEATING));
    assert_eq!(register(&emulator, 15, TORQUE, 1)?, 0);
    assert!(matches!(driver.reboot(index), Err(RebootRefused::TooHot { allowed_c: 60.0, .. })));
    inject(&emulator, warm(59.0)?)?;
    run(&mut driver, &mut percept, 20)?;
    driver.reboot(index)?;
    run(&mut driver, &mut percept, 70)?;
    assert_eq!((driver.status().servos[index].recovery, register(&emulator, 15, TORQUE, 1)?), (Recovery::Done, 1));
    Ok(())
}

/// Row 7. A brown-out is never recovered from by itself: torque reads 0, the voltage error refuses the reboot.
#[test]
fn a_brown_out() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    inject(&emulator, Fault::Voltage { servos: Servos::All, volts: 5.0.try_into()?, for_s: 0.3.try_into()? })?;
    run(&mut driver, &mut percept, 30)?;
    assert!(driver.status().servos.iter().all(|servo| servo.hardware_error.has(HardwareError::VOLTAGE)));
    assert!(driver.status().servos.iter().all(|servo| servo.is_torque_enabled == Some(false)));
    assert!(driver.status().servos.iter().all(|servo| servo.voltage_v < 5.6));
    assert!(all(&emulator, TORQUE, 0)?);
    assert!(matches!(driver.reboot(0), Err(RebootRefused::NotRecoverable { .. })));
    Ok(())
}

/// Row 7, power lost and back: the servo answers again, but its torque is off and its turns are gone; its readings are
/// refused where they jump.
#[test]
fn a_power_cycle() -> TestResult {
    let (emulator, mut driver, _) = running()?;
    drop(driver);
    // A shaft beyond one turn: its servo forgets the turn with its power.
    emulator.lock().set_register(2, 20, 4, 4096);
    driver = driver_on(emulator.open(BAUD))?;
    driver.arm()?;
    driver.reset(0)?;
    let mut percept = Percept::default();
    driver.read(&mut percept)?;
    run(&mut driver, &mut percept, 5)?;
    let before = percept.measured_rad.clone();
    emulator.lock().set_register(2, 20, 4, 0);
    inject(
        &emulator,
        Fault::Voltage { servos: Servos::Ids(vec![2]), volts: 0.0.try_into()?, for_s: 0.05.try_into()? },
    )?;
    run(&mut driver, &mut percept, 60)?;
    let status = &driver.status().servos[index_of(&driver, 2)?];
    assert_eq!(status.is_torque_enabled, Some(false));
    assert!(status.stale_s > 0.3 && status.n_position_jumps > 0, "{status:?}");
    assert_eq!(register(&emulator, 2, TORQUE, 1)?, 0);
    assert!(percept.measured_rad.iter().zip(before).all(|(now, before)| (now - before).abs() < 0.01));
    Ok(())
}

/// Row 13. A driver that is killed says nothing more: every servo stops within 200 ms, refuses goals, and only arming
/// clears that; connecting does not.
#[test]
fn a_killed_driver() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    let targets: Vec<f32> = percept.measured_rad.iter().map(|angle| angle + 0.4).collect();
    driver.command(&targets)?;
    driver.read(&mut percept)?;
    // SIGKILL: nothing of the driver runs any more.
    std::mem::forget(driver);
    let killed = emulator.lock().now();
    while !all(&emulator, WATCHDOG, 0xFF)? {
        pass(&emulator, milliseconds(1));
        assert!(emulator.lock().now() < killed + milliseconds(200), "a servo did not stop");
    }
    let mut driver = driver_on(emulator.open(BAUD))?;
    let findings = driver.verify()?;
    assert_eq!(findings.iter().filter(|finding| finding.what.contains("watchdog has tripped")).count(), 17);
    assert!(all(&emulator, WATCHDOG, 0xFF)?, "connecting cleared the watchdog");
    let goal = bridge::real::dynamixel::control_table::GOAL_POSITION;
    assert!(driver.bus_mut().write(3, goal, 2000).is_err(), "a tripped servo took a goal");
    driver.arm()?;
    assert!(all(&emulator, WATCHDOG, 5)? && all(&emulator, TORQUE, 1)?);
    Ok(())
}

/// What is not the servos' is told to whoever stands for it, for as long as it lasts, and to nobody else.
#[test]
fn faults_of_others() -> TestResult {
    let emulator = rig::emulator()?;
    let told = || {
        let emulator = emulator.lock();
        [emulator.is_tracker_silent(), emulator.is_tracker_frozen(), emulator.is_learner_silent()]
    };
    let for_s = 0.1.try_into()?;
    let faults = [Fault::TrackerSilent { for_s }, Fault::TrackerFrozen { for_s }, Fault::LearnerSilent { for_s }];
    for (index, fault) in faults.into_iter().enumerate() {
        inject(&emulator, fault)?;
        pass(&emulator, milliseconds(99));
        assert_eq!(told(), std::array::from_fn(|told| told == index));
        pass(&emulator, milliseconds(2));
        assert_eq!(told(), [false; 3]);
    }
    Ok(())
}

/// The same faults from a file.
#[test]
fn faults_are_read_from_ron() -> TestResult {
    let text = "(seed: 7, faults: [
        (at_s: 1.0, fault: Drop(servos: All, share: 0.1, for_s: 2.0)),
        (at_s: 1.5, fault: Overload(servos: Ids([3]))),
        (at_s: 2.0, fault: Voltage(servos: All, volts: 4.0, for_s: 0.1)),
        (at_s: 2.5, fault: Echo(for_s: 0.2)),
        (at_s: 3.0, fault: Unplug),
        (at_s: 4.0, fault: Replug),
    ])";
    let script: FaultScript = bridge::config::parse("faults.ron", text)?;
    assert_eq!(script.faults.len(), 6);
    let written = ron::to_string(&script)?;
    assert_eq!(bridge::config::parse::<FaultScript>("again", &written)?, script);
    let wrong = bridge::config::parse::<FaultScript>(
        "faults.ron",
        "(seed: 7, faults: [(at_s: 1.0, fault: Drop(servos: All, share: 1.5, for_s: 2.0))])",
    );
    assert!(wrong.is_err_and(|error| error.to_string().contains("share")));
    Ok(())
}
