//! Contract: a servo that was rebooted has forgotten its turns. Its first answer finds them, whatever becomes of its recovery: a
//! joint across the end of a turn is read where it is, and goes on from there.

use crate::rig::{
    BAUD, TestResult, calibration, driver_config, emulator, inject, motors, register, remount, run, spec, started,
};
use bridge::Percept;
use bridge::real::cause::{Cause, Causes};
use bridge::real::emulator::{Fault, MemoryPort, Servos, SharedEmulator};
use bridge::real::failsafe::{Facts, FailsafeConfig};
use bridge::real::hand_driver::HandDriver;
use bridge::real::status::{HandStatus, HardwareError, Recovery};
use bridge::real::watch::Watch;
use std::error::Error;

const ID: u8 = 9;
const TURN_TICKS: i32 = 4096;
/// 1 tick is 0.0014 rad of a joint; 1 more for the lag of a joint that has just arrived.
const NEAR_RAD: f32 = 0.003;

/// A joint that went beyond the end of the turn in which it was switched on, shut itself down there, and is being rebooted.
struct Rebooting {
    emulator: SharedEmulator,
    driver: HandDriver<MemoryPort>,
    percept: Percept,
    index: usize,
    middle_rad: f32,
    far_rad: f32,
}

impl Rebooting {
    fn new() -> Result<Self, Box<dyn Error>> {
        let (emulator, mut calibration) = (emulator()?, calibration()?);
        remount(&emulator, &mut calibration, ID, TURN_TICKS - 100)?;
        let driver = HandDriver::new(emulator.open(BAUD), spec(), motors()?, Some(&calibration), driver_config()?)?;
        let (mut driver, mut percept) = started(driver)?;
        let index = driver.status().servos.iter().position(|servo| servo.id == ID).ok_or("no servo")?;
        let middle_rad = percept.measured_rad[index];
        percept.commanded_rad[index] = middle_rad + 0.6;
        run(&mut driver, &mut percept, 60)?;
        let far_rad = percept.measured_rad[index];
        assert!((far_rad - middle_rad - 0.6).abs() < NEAR_RAD, "{middle_rad} to {far_rad} rad");
        inject(&emulator, Fault::Overload { servos: Servos::Ids(vec![ID]) })?;
        run(&mut driver, &mut percept, 2)?;
        assert!(driver.status().servos[index].hardware_error.has(HardwareError::OVERLOAD));
        driver.hold()?;
        driver.reboot(index)?;
        Ok(Self { emulator, driver, percept, index, middle_rad, far_rad })
    }

    /// What the servo says, ticks.
    fn raw_ticks(&self) -> Result<i32, Box<dyn Error>> {
        Ok(register(&self.emulator, ID, 132, 4)?.cast_signed())
    }

    /// A tick; how far the servo is.
    fn tick(&mut self) -> Result<Recovery, Box<dyn Error>> {
        run(&mut self.driver, &mut self.percept, 1)?;
        let measured_rad = self.percept.measured_rad[self.index];
        let servo = &self.driver.status().servos[self.index];
        assert!((measured_rad - self.far_rad).abs() < NEAR_RAD, "{measured_rad} rad, not {}: {servo:?}", self.far_rad);
        assert_eq!(servo.n_position_jumps, 0, "{servo:?}");
        Ok(servo.recovery)
    }
}

/// All that the failsafe sees is that it shut itself down; it goes back over the end of the turn as if nothing had been.
#[test]
fn a_joint_across_the_end_of_a_turn_comes_back() -> TestResult {
    let mut joint = Rebooting::new()?;
    assert!(joint.raw_ticks()? > TURN_TICKS + 300, "{} ticks", joint.raw_ticks()?);
    let mut watch = Watch::new(FailsafeConfig::usual(20)?, joint.driver.status().servos.len(), 0.01);
    let mut n_ticks = 0;
    while joint.tick()? != Recovery::Done {
        let status = joint.driver.status();
        let (causes, _) = watch.causes(&facts(status), status.time_s);
        assert_eq!(causes, Causes::NONE.with(Cause::ServoShutdown), "after {n_ticks} ticks");
        n_ticks += 1;
        assert!(n_ticks < 60, "it never comes back: {:?}", status.servos[joint.index]);
    }
    assert!((300..1000).contains(&joint.raw_ticks()?), "{} ticks", joint.raw_ticks()?);
    joint.driver.hold()?;
    joint.driver.release()?;
    joint.percept.commanded_rad[joint.index] = joint.middle_rad;
    run(&mut joint.driver, &mut joint.percept, 60)?;
    let measured_rad = joint.percept.measured_rad[joint.index];
    assert!((measured_rad - joint.middle_rad).abs() < NEAR_RAD, "{measured_rad} rad, not {}", joint.middle_rad);
    assert!((-110..-90).contains(&joint.raw_ticks()?), "{} ticks", joint.raw_ticks()?);
    let status = joint.driver.status();
    assert_eq!(watch.causes(&facts(status), status.time_s).0, Causes::NONE);
    Ok(())
}

/// One that falls silent while its settings are applied stays off; where it is, is known all the same once it answers.
#[test]
fn a_recovery_that_is_broken_off_leaves_no_jump() -> TestResult {
    let mut joint = Rebooting::new()?;
    while joint.tick()? == Recovery::Rebooting {}
    inject(&joint.emulator, Fault::Silent { servos: Servos::Ids(vec![ID]), for_s: 0.05.try_into()? })?;
    for _ in 0..20 {
        joint.tick()?;
    }
    assert_eq!((joint.tick()?, register(&joint.emulator, ID, 64, 1)?), (Recovery::Idle, 0));
    assert!(joint.driver.status().stale_s[joint.index] < 0.011);
    Ok(())
}

const fn facts(hand: &HandStatus) -> Facts<'_> {
    Facts {
        hand: Some(hand),
        observation_age_s: None,
        chunk_late_s: None,
        learner_silence_s: None,
        command_age_s: None,
        arm: None,
        period_s: 0.01,
        events: Causes::NONE,
    }
}
