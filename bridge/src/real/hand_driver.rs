//! A Dynamixel hand as a body.
//!
//! One tick is `read`, then whatever decides, then `command`: one sync read, the health of one servo, one sync write.
//! `command` returns when the next tick is due.
//!
//! - Connecting never enables torque; [`HandDriver::arm`] does, goal at present, limits and gains applied, the servos' own
//!   watchdog armed before.
//! - [`HandDriver::status`] says what is known; deciding on it (hold, fault, e-stop) is left to the caller.
//! - The driver sees no objects: whoever joins it with a tracker fills `Percept::objects`.

mod arming;
mod config;
mod recovery;
mod servo;
mod tick;
mod verify;

pub use arming::ArmError;
pub use config::{Gains, HandDriverConfig, RebootConfig};
pub use recovery::RebootRefused;
pub use verify::{Finding, Severity};

use super::bus::{Bus, BusCounters, BusError, BusTiming, SyncBlocks};
use super::calibration::{Calibration, CalibrationConfig, CalibrationMismatch};
use super::dynamixel::control_table::{FEEDBACK, GOAL_POSITION, HEALTH};
use super::motors::{Motor, MotorTable, MotorTableError};
use super::port::Port;
use super::status::{HandStatus, TransportLost};
use crate::{BodyError, BodySpec};
use servo::Servo;
use std::time::Duration;
use thiserror::Error;

/// A hand could not be connected or used.
#[derive(Debug, Error)]
pub enum HandError {
    /// The motors do not fit the hand.
    #[error(transparent)]
    Motors(#[from] MotorTableError),
    /// The calibration does not fit the hand.
    #[error(transparent)]
    Calibration(#[from] CalibrationMismatch),
    /// A field of the configuration is not what this hand allows.
    #[error("hand driver: {field}: found {found}, expected {expected}")]
    Config {
        /// The field.
        field: &'static str,
        /// What was found.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// A hand on a bus.
#[derive(Debug)]
pub struct HandDriver<P: Port> {
    spec: BodySpec,
    table: MotorTable,
    config: HandDriverConfig,
    bus: Bus<P>,
    /// Those of the body's joints in their order, then those of held joints.
    servos: Vec<Servo>,
    ids: Vec<u8>,
    feedback: SyncBlocks,
    /// One value of four bytes for each servo: the buffer of sync writes.
    outbox: Vec<u8>,
    /// Whom the two sync writes of a limit are for.
    effort_ids: Vec<u8>,
    health: Vec<u8>,
    next_health: usize,
    /// Ticks since the health of a servo was read.
    n_blind_ticks: u32,
    status: HandStatus,
    recent_bad: u64,
    is_armed: bool,
    /// Whether held joints may go to their places.
    are_held_free: bool,
    /// Share of their limits that the motors are to have.
    effort_share: f64,
    is_verified: bool,
    reset_at: Duration,
    last_read: Option<Duration>,
    next_tick: Duration,
}

impl<P: Port> HandDriver<P> {
    /// Takes a hand with the joints of `spec` and the motors of `table` on `port`. Nothing is sent yet.
    ///
    /// # Errors
    /// When table, calibration or configuration do not fit the hand.
    pub fn new(
        mut port: P,
        spec: BodySpec,
        table: MotorTable,
        calibration: Option<&Calibration>,
        config: HandDriverConfig,
    ) -> Result<Self, HandError> {
        table.check(spec.joints.iter().map(|joint| joint.name.as_str()))?;
        config.check(&spec)?;
        if port.baud() != table.baud {
            port.set_baud(table.baud).map_err(BusError::from)?;
        }
        let margin = Duration::from_secs_f64(config.margin_s.get());
        // As delivered; verification says what it is.
        let timing = BusTiming { return_delay: Duration::from_micros(500), margin };
        let mut servos: Vec<Servo> = Vec::with_capacity(table.motors.len());
        for joint in &spec.joints {
            servos.extend(
                table.motors.iter().filter(|motor| motor.joint == joint.name).map(|motor| Servo::new(motor, &spec)),
            );
        }
        servos.extend(table.motors.iter().filter(|motor| motor.held.is_some()).map(|motor| Servo::new(motor, &spec)));
        let ids: Vec<u8> = servos.iter().map(|servo| servo.motor.id).collect();
        let mut driver = Self {
            status: HandStatus {
                time_s: 0.0,
                last_complete_read_s: None,
                stale_s: vec![f64::INFINITY; spec.joints.len()],
                servos: servos.iter().map(|servo| servo::unknown_status(servo.motor.id)).collect(),
                n_cycles: 0,
                n_bad_cycles: 0,
                n_recent_bad_cycles: 0,
                n_overruns: 0,
                period_s: 0.0,
                transport_lost: None,
            },
            feedback: SyncBlocks::new(&ids, FEEDBACK),
            outbox: Vec::with_capacity(4 * ids.len()),
            effort_ids: Vec::with_capacity(ids.len()),
            health: vec![0; HEALTH.1.into()],
            next_health: 0,
            n_blind_ticks: 0,
            recent_bad: 0,
            is_armed: false,
            are_held_free: false,
            effort_share: 1.0,
            is_verified: false,
            reset_at: port.now(),
            last_read: None,
            next_tick: port.now(),
            bus: Bus::new(port, timing),
            spec,
            table,
            config,
            servos,
            ids,
        };
        if let Some(calibration) = calibration {
            driver.calibrate_with(calibration)?;
        }
        Ok(driver)
    }

    /// Uses `calibration` from now on.
    ///
    /// # Errors
    /// When it does not fit the hand.
    pub fn calibrate_with(&mut self, calibration: &Calibration) -> Result<(), CalibrationMismatch> {
        let range_rad = |motor: &Motor| motor.range_rad(&self.spec.joints).unwrap_or_default();
        let ranges_rad: Vec<(f64, f64)> = self.table.motors.iter().map(range_rad).collect();
        calibration.check(&self.spec.name, &self.table, &ranges_rad)?;
        for servo in &mut self.servos {
            let joint = calibration.joints.iter().find(|joint| joint.id == servo.motor.id);
            servo.calibrate(joint);
        }
        Ok(())
    }

    /// What is known of the hand, as of the last tick.
    pub const fn status(&self) -> &HandStatus {
        &self.status
    }

    /// What happened on the bus.
    pub fn counters(&self) -> BusCounters {
        self.bus.counters()
    }

    /// Whether torque is wanted on: between [`HandDriver::arm`] and the next torque-off.
    pub const fn is_armed(&self) -> bool {
        self.is_armed
    }

    /// The bus, for what a driver does not do.
    pub const fn bus_mut(&mut self) -> &mut Bus<P> {
        &mut self.bus
    }

    /// Measured positions of the body's joints become their targets, and effort goes down to the share of a hold; every
    /// joint then rests where it is.
    ///
    /// # Errors
    /// When the port is lost, or torque is off.
    pub fn hold(&mut self) -> Result<(), BodyError> {
        self.refuse_disarmed("hold")?;
        self.set_effort_share(self.config.hold_effort_share.get())?;
        for servo in &mut self.servos {
            servo.goal_ticks = servo.present_ticks;
        }
        self.send_goals()
    }

    /// The motors' whole limits again, after a hold.
    ///
    /// # Errors
    /// When the port is lost, or torque is off.
    pub fn release(&mut self) -> Result<(), BodyError> {
        self.refuse_disarmed("release the hold")?;
        self.set_effort_share(1.0)
    }

    pub(super) fn servos(&self) -> &[Servo] {
        &self.servos
    }

    pub(super) fn servos_mut(&mut self) -> &mut [Servo] {
        &mut self.servos
    }

    pub(super) const fn calibration_config(&self) -> CalibrationConfig {
        self.config.calibration
    }

    pub(super) const fn effort_share(&self) -> f64 {
        self.effort_share
    }

    pub(super) const fn watchdog_s(&self) -> f64 {
        self.config.watchdog_s.get()
    }

    pub(super) const fn table(&self) -> &MotorTable {
        &self.table
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(super) const fn servo_hz(&self) -> u32 {
        self.spec.servo_hz
    }

    /// Does what no tick waits for.
    pub(super) fn patiently<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let patience = Duration::from_secs_f64(self.config.patience_s.get());
        let margin = std::mem::replace(&mut self.bus.timing_mut().margin, patience);
        let done = work(self);
        self.bus.timing_mut().margin = margin;
        done
    }

    fn refuse_disarmed(&self, what: &str) -> Result<(), BodyError> {
        if self.is_armed { Ok(()) } else { Err(self.fault(format!("cannot {what} while torque is off; arm it first"))) }
    }

    fn fault(&self, reason: String) -> BodyError {
        BodyError::Fault { body: self.spec.name.clone(), reason }
    }

    /// Remembers a lost port, for whoever reads the status.
    fn failed(&mut self, error: &BusError) -> BodyError {
        if let BusError::Port(error) = error {
            self.status.transport_lost.get_or_insert_with(|| TransportLost { reason: error.to_string() });
        }
        self.fault(error.to_string())
    }

    pub(super) fn send_goals(&mut self) -> Result<(), BodyError> {
        self.outbox.clear();
        for servo in &self.servos {
            self.outbox.extend_from_slice(&servo.raw_goal().to_le_bytes());
        }
        let sent = self.bus.sync_write(&self.ids, GOAL_POSITION.address, GOAL_POSITION.length, &self.outbox);
        sent.map_err(|error| self.failed(&error))
    }

    fn period(&self) -> Duration {
        Duration::from_secs_f64(1.0 / f64::from(self.spec.servo_hz))
    }

    pub(in crate::real) fn wait_for_tick(&mut self) {
        let period = self.period();
        let now = self.bus.now();
        self.next_tick += period;
        if self.next_tick < now {
            // Late ticks are not caught up with: servos do not go faster for it.
            self.next_tick = now;
        }
        let until = self.next_tick;
        self.bus.port_mut().wait_until(until);
    }
}

impl<P: Port> Drop for HandDriver<P> {
    fn drop(&mut self) {
        if self.is_armed {
            // There is nobody left to tell; the servos' watchdog does the rest.
            drop(self.torque_off());
        }
    }
}
