//! Torque on, and off.
//!
//! Order for each servo: torque off, watchdog cleared, mode, limits and gains, goal := present, watchdog armed, torque on.

use super::{Finding, HandDriver, Severity};
use crate::BodyError;
use crate::real::bus::{Bus, BusError};
use crate::real::dynamixel::control_table::{
    BUS_WATCHDOG, CURRENT_LIMIT, GOAL_CURRENT, GOAL_POSITION, GOAL_PWM, OPERATING_MODE, POSITION_D_GAIN,
    POSITION_I_GAIN, POSITION_P_GAIN, PRESENT_POSITION, PROFILE_ACCELERATION, PROFILE_VELOCITY, RETURN_DELAY, Register,
    S_PER_WATCHDOG_UNIT, SHUTDOWN, TORQUE_ENABLE,
};
use crate::real::motors::{EffortLimit, Motor, MotorTable};
use crate::real::port::Port;
use std::time::Duration;
use thiserror::Error;

use super::HandDriverConfig;

/// Torque stays off.
#[derive(Debug, Error)]
pub enum ArmError {
    /// Verification refuses.
    #[error("the hand is not armed: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Finding>),
    /// It was stopped on the way.
    #[error("stopped while the hand was armed; torque is off")]
    Stopped,
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A servo is where its calibration has no place.
    #[error("servo {id} is at {ticks} ticks, which is beyond both stops of its calibration; calibrate again")]
    Lost {
        /// The servo.
        id: u8,
        /// Where it is.
        ticks: i32,
    },
    /// A servo does not do what it was told.
    #[error("servo {id}: {register} reads {found} after {expected} was written; it is not armed")]
    NotTaken {
        /// The servo.
        id: u8,
        /// The register.
        register: &'static str,
        /// What it reads.
        found: i32,
        /// What was written.
        expected: i32,
    },
}

/// One write of a servo's setup.
pub(super) type Setting = (Register, i32);

/// Everything that a servo is told between torque off and goal := present. EEPROM first: a change of mode resets the rest.
pub(super) fn settings(
    motor: &Motor,
    table: &MotorTable,
    config: &HandDriverConfig,
    effort_share: f64,
) -> Vec<Setting> {
    let limit = motor.limit.units(motor.model, effort_share);
    let mut settings = vec![
        (BUS_WATCHDOG, 0),
        (RETURN_DELAY, i32::from(table.return_delay_us / 2)),
        (SHUTDOWN, config.shutdown_mask.into()),
        (OPERATING_MODE, motor.mode.code()),
    ];
    match motor.limit {
        EffortLimit::CurrentMa(_) => {
            // A reset goal current takes the value of the limit: with both set, no reset exceeds what is allowed.
            settings.extend([(CURRENT_LIMIT, motor.limit.units(motor.model, 1.0)), (GOAL_CURRENT, limit)]);
        }
        EffortLimit::PwmShare(_) => settings.push((GOAL_PWM, limit)),
    }
    settings.extend([
        (POSITION_P_GAIN, config.gains.p.into()),
        (POSITION_I_GAIN, config.gains.i.into()),
        (POSITION_D_GAIN, config.gains.d.into()),
        (PROFILE_ACCELERATION, 0),
        (PROFILE_VELOCITY, 0),
    ]);
    settings
}

/// Applies one setting. EEPROM is written only where it differs: it wears.
pub(super) fn apply<P: Port>(bus: &mut Bus<P>, id: u8, (register, value): Setting) -> Result<(), BusError> {
    if register.is_eeprom() && bus.read(id, register)? == value {
        return Ok(());
    }
    bus.write(id, register, value)
}

impl<P: Port> HandDriver<P> {
    /// Verifies the hand and switches torque on. Every joint stays where it is. The findings that did not prevent it are
    /// returned. The first tick has to follow within the time of the watchdog.
    ///
    /// # Errors
    /// When verification refuses or a servo does not obey; torque is then off.
    pub fn arm(&mut self) -> Result<Vec<Finding>, ArmError> {
        self.arm_unless(&|| false)
    }

    /// The same, unless `is_stopped` says otherwise, which is asked before each servo.
    ///
    /// # Errors
    /// Those of [`HandDriver::arm`], and [`ArmError::Stopped`]; torque is then off.
    pub fn arm_unless(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<Vec<Finding>, ArmError> {
        let findings = self.verify()?;
        if !self.is_verified {
            // A process that was killed may have left torque on. Who does not answer must not hide the refusal.
            drop(self.torque_off());
            let is_refusal = |finding: &Finding| finding.severity >= Severity::NeedsCalibration;
            return Err(ArmError::Refused(findings.into_iter().filter(is_refusal).collect()));
        }
        self.expect_torque();
        let armed = self.prepare_all().and_then(|()| self.patiently(|driver| driver.enable_all(is_stopped)));
        if let Err(error) = armed {
            // The first error is the one that matters.
            drop(self.torque_off());
            return Err(error);
        }
        self.take_return_delay();
        self.next_tick = self.bus.now();
        self.last_read = None;
        Ok(findings)
    }

    /// From here on, whatever happens ends in torque off.
    pub(in crate::real) const fn expect_torque(&mut self) {
        self.is_armed = true;
    }

    /// Counts on the return delay that the settings have.
    pub(in crate::real) fn take_return_delay(&mut self) {
        self.bus.timing_mut().return_delay = Duration::from_micros(self.table.return_delay_us.into());
    }

    /// Torque off, now: one packet to all, then each by itself until it says that it has obeyed.
    ///
    /// # Errors
    /// The first servo that does not confirm, or the lost port. The others are off.
    pub fn torque_off(&mut self) -> Result<(), BusError> {
        self.is_armed = false;
        self.outbox.clear();
        self.outbox.resize(self.ids.len(), 0);
        self.bus.sync_write(&self.ids, TORQUE_ENABLE.address, TORQUE_ENABLE.length, &self.outbox)?;
        self.patiently(Self::confirm_torque_off)
    }

    fn confirm_torque_off(&mut self) -> Result<(), BusError> {
        let mut first_error = Ok(());
        for index in 0..self.ids.len() {
            let id = self.ids[index];
            let off = self.bus.write(id, TORQUE_ENABLE, 0).and_then(|()| self.bus.write(id, BUS_WATCHDOG, 0));
            match off {
                Ok(()) => {
                    self.status.servos[index].is_torque_enabled = Some(false);
                    self.status.servos[index].is_watchdog_tripped = false;
                }
                Err(error @ BusError::Port(_)) => return Err(error),
                Err(error) => first_error = first_error.and(Err(error)),
            }
        }
        first_error
    }

    /// Torque off, all settings applied, goal := present.
    pub(in crate::real) fn prepare_all(&mut self) -> Result<(), ArmError> {
        self.patiently(Self::prepare_each)
    }

    fn prepare_each(&mut self) -> Result<(), ArmError> {
        for index in 0..self.servos.len() {
            self.bus.write(self.ids[index], TORQUE_ENABLE, 0)?;
        }
        for index in 0..self.servos.len() {
            let id = self.ids[index];
            for (register, value) in settings(&self.servos[index].motor, &self.table, &self.config, self.effort_share) {
                apply(&mut self.bus, id, (register, value))?;
                let found = self.bus.read(id, register)?;
                if found != value {
                    return Err(ArmError::NotTaken { id, register: register.name, found, expected: value });
                }
            }
            self.goal_to_present(index)?;
        }
        Ok(())
    }

    /// Goal := present, and what the driver knows with it.
    pub(in crate::real) fn goal_to_present(&mut self, index: usize) -> Result<(), ArmError> {
        let id = self.ids[index];
        let raw_ticks = self.bus.read(id, PRESENT_POSITION)?;
        let now = self.bus.now();
        let servo = &mut self.servos[index];
        // With a wrong number of turns the way to the next target would be a whole turn.
        if !servo.find_turns(raw_ticks, now) {
            return Err(ArmError::Lost { id, ticks: raw_ticks });
        }
        servo.goal_ticks = servo.present_ticks;
        Ok(self.bus.write(id, GOAL_POSITION, raw_ticks)?)
    }

    /// Watchdog, then torque: there is no moment with torque and without watchdog.
    pub(in crate::real) fn enable(&mut self, index: usize) -> Result<(), ArmError> {
        let id = self.ids[index];
        let watchdog = (self.config.watchdog_s.get() / S_PER_WATCHDOG_UNIT).round() as i32;
        for (register, expected) in [(BUS_WATCHDOG, watchdog.max(1)), (TORQUE_ENABLE, 1)] {
            self.bus.write(id, register, expected)?;
            let found = self.bus.read(id, register)?;
            if found != expected {
                return Err(ArmError::NotTaken { id, register: register.name, found, expected });
            }
        }
        self.status.servos[index].is_torque_enabled = Some(true);
        self.status.servos[index].is_watchdog_tripped = false;
        Ok(())
    }

    /// A servo that its watchdog has stopped follows again, from where it is.
    pub(in crate::real) fn rearm(&mut self, index: usize) -> Result<(), ArmError> {
        self.bus.write(self.ids[index], BUS_WATCHDOG, 0)?;
        self.goal_to_present(index)?;
        self.enable(index)
    }

    fn enable_all(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<(), ArmError> {
        for index in 0..self.servos.len() {
            if is_stopped() {
                return Err(ArmError::Stopped);
            }
            self.enable(index)?;
        }
        Ok(())
    }

    /// The share of their limits that the motors get when they are prepared.
    pub(in crate::real) const fn want_effort_share(&mut self, share: f64) {
        self.effort_share = share;
    }

    /// Scales the limits of all motors, of armed ones with two packets that nobody answers; whom they did not reach is told
    /// again when its health is read.
    pub(in crate::real) fn set_effort_share(&mut self, share: f64) -> Result<(), BodyError> {
        self.want_effort_share(share);
        if !self.is_armed {
            return Ok(());
        }
        for register in [GOAL_CURRENT, GOAL_PWM] {
            self.outbox.clear();
            self.effort_ids.clear();
            for servo in &self.servos {
                let is_pwm = matches!(servo.motor.limit, EffortLimit::PwmShare(_));
                if is_pwm == (register == GOAL_PWM) {
                    self.effort_ids.push(servo.motor.id);
                    let units = servo.motor.limit.units(servo.motor.model, share) as i16;
                    self.outbox.extend_from_slice(&units.to_le_bytes());
                }
            }
            if !self.effort_ids.is_empty() {
                let sent = self.bus.sync_write(&self.effort_ids, register.address, register.length, &self.outbox);
                sent.map_err(|error| self.failed(&error))?;
            }
        }
        Ok(())
    }
}
