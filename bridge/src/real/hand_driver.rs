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
mod recovery;
mod servo;
mod verify;

pub use arming::ArmError;
pub use recovery::{RebootPolicy, RebootRefused};
pub use verify::{Finding, Severity};

use super::bus::{Bus, BusCounters, BusError, BusTiming, SyncBlocks};
use super::calibration::{Calibration, CalibrationConfig, CalibrationMismatch};
use super::dynamixel::control_table::{FEEDBACK, GOAL_POSITION, HEALTH, RAD_PER_TICK};
use super::motors::{Motor, MotorTable, MotorTableError};
use super::port::Port;
use super::status::{HandStatus, RECENT_CYCLES, TransportLost};
use crate::number::{Finite, Positive, UnitInterval};
use crate::{Body, BodyError, BodySpec, Percept};
use serde::{Deserialize, Serialize};
use servo::Servo;
use std::time::Duration;
use thiserror::Error;

/// How a hand is driven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandDriverConfig {
    /// Silence after which a servo stops by itself, s; 0.02 to 2.54 in steps of 0.02. It must outlast a slow tick and be
    /// gone before a finger does harm: 0.1 to 0.2.
    pub watchdog_s: Positive,
    /// What adapter, driver and scheduler may add to a transaction, s; a USB adapter with a latency timer of 1 ms needs
    /// about 0.002.
    pub margin_s: Positive,
    /// Gains of the servos' position loops, in the servos' units.
    pub gains: Gains,
    /// Share of every motor's limit with which [`HandDriver::hold`] holds.
    pub hold_effort_share: UnitInterval,
    /// Where [`HandDriver::park`] goes, rad: one for each joint of the body.
    pub park_rad: Vec<Finite>,
    /// How fast it goes there, rad/s.
    pub park_rate_rad_s: Positive,
    /// Hardware errors that cut a servo's torque: bits of the shutdown register.
    pub shutdown_mask: u8,
    /// When a servo that shut itself down is rebooted, and when no more.
    pub reboot: RebootPolicy,
    /// How joints are driven to their stops.
    pub calibration: CalibrationConfig,
}

/// Gains of a position loop, in the servo's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gains {
    /// Proportional.
    pub p: u16,
    /// Integral.
    pub i: u16,
    /// Derivative.
    pub d: u16,
}

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
    status: HandStatus,
    recent_bad: u64,
    is_armed: bool,
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
            recent_bad: 0,
            is_armed: false,
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
        self.apply_effort_share(self.config.hold_effort_share.get())?;
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
        self.apply_effort_share(1.0)
    }

    /// One tick of the way to the park posture; whether all targets are there. Reads and waits as a command does.
    ///
    /// # Errors
    /// When the port is lost, or torque is off.
    pub fn park(&mut self) -> Result<bool, BodyError> {
        self.refuse_disarmed("park")?;
        let step_rad = self.config.park_rate_rad_s.get() / f64::from(self.spec.servo_hz);
        let mut is_there = true;
        for (servo, park_rad) in self.servos.iter_mut().zip(&self.config.park_rad) {
            let Some(map) = servo.map else { continue };
            let from_rad = map.angle_rad(servo.goal_ticks);
            let to_rad = from_rad + (park_rad.get() - from_rad).clamp(-step_rad, step_rad);
            let goal_ticks = map.ticks(to_rad).unwrap_or(servo.goal_ticks);
            is_there &= goal_ticks == servo.goal_ticks;
            servo.goal_ticks = goal_ticks;
        }
        self.send_goals()?;
        self.wait_for_tick();
        Ok(is_there)
    }

    pub(super) fn servos(&self) -> &[Servo] {
        &self.servos
    }

    pub(super) fn servos_mut(&mut self) -> &mut [Servo] {
        &mut self.servos
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

    /// Sends targets and does not wait for the next tick.
    pub(super) fn send(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.refuse_disarmed("command")?;
        let n_joints = self.spec.joints.len();
        if targets_rad.len() != n_joints {
            let (body, found) = (self.spec.name.clone(), targets_rad.len());
            return Err(BodyError::WrongLength { body, quantity: "targets_rad", found, expected: n_joints });
        }
        if let Some(joint) = targets_rad.iter().position(|target| !target.is_finite()) {
            let (body, quantity) = (self.spec.name.clone(), format!("targets_rad[{joint}]"));
            return Err(BodyError::NonFinite { body, quantity, value: targets_rad[joint] });
        }
        for (servo, &target_rad) in self.servos.iter_mut().zip(targets_rad) {
            if let Some(ticks) = servo.map.and_then(|map| map.ticks(target_rad.into())) {
                servo.goal_ticks = ticks;
            }
        }
        self.send_goals()
    }

    fn period(&self) -> Duration {
        Duration::from_secs_f64(1.0 / f64::from(self.spec.servo_hz))
    }

    pub(super) fn wait_for_tick(&mut self) {
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

    /// Reads all servos once; the facts go into the status.
    pub(super) fn tick(&mut self) -> Result<(), BusError> {
        let start = self.bus.now();
        let period = self.period();
        if let Some(last) = self.last_read.replace(start) {
            let elapsed = start.saturating_sub(last);
            self.status.period_s = elapsed.as_secs_f64();
            self.status.n_overruns += u64::from(elapsed > period * 2);
        }
        // The sync write of this tick needs its time too.
        let deadline = start + period.mul_f64(0.85);
        for (index, servo) in self.servos.iter().enumerate() {
            self.feedback.want(index, !servo.is_away());
        }
        let n_broken = self.bus.counters().n_crc_errors;
        let n_missing = self.bus.sync_read(&mut self.feedback, deadline)?;
        let now = self.bus.now();
        let is_broken = n_missing > 0 || self.bus.counters().n_crc_errors > n_broken;
        let mut is_complete = true;
        for (index, servo) in self.servos.iter_mut().enumerate() {
            match self.feedback.fresh(index) {
                Some(block) => {
                    self.status.servos[index].is_alert = block.error.is_alert();
                    is_complete &= servo.accept(block.data, now);
                }
                None => is_complete = false,
            }
        }
        self.read_health(deadline)?;
        self.advance_recovery(deadline)?;
        self.recent_bad = self.recent_bad << 1 | u64::from(is_broken);
        self.refresh_status(is_complete, is_broken);
        Ok(())
    }

    /// The health of one servo: of one that has something to tell, else of the next in turn.
    fn read_health(&mut self, deadline: Duration) -> Result<(), BusError> {
        let n_servos = self.servos.len();
        let is_urgent = |index: &usize| {
            let status = &self.status.servos[*index];
            !self.servos[*index].is_away() && status.is_alert && status.hardware_error.is_clear()
        };
        let index = (0..n_servos).find(is_urgent).unwrap_or_else(|| {
            self.next_health = (self.next_health + 1) % n_servos;
            self.next_health
        });
        if self.servos[index].is_away() {
            return Ok(());
        }
        let is_alert = self.bus.read_health(self.ids[index], &mut self.health, deadline)?;
        if let Some(is_alert) = is_alert {
            self.status.servos[index].is_alert = is_alert;
            servo::note_health(&mut self.status.servos[index], &self.health);
        }
        Ok(())
    }

    fn refresh_status(&mut self, is_complete: bool, is_broken: bool) {
        let now = self.bus.now();
        let status = &mut self.status;
        status.time_s = now.as_secs_f64();
        status.n_cycles += 1;
        status.n_bad_cycles += u64::from(is_broken);
        status.n_recent_bad_cycles = (self.recent_bad & ((1 << RECENT_CYCLES) - 1)).count_ones();
        if is_complete {
            status.last_complete_read_s = self.last_read.map(|time| time.as_secs_f64());
        }
        for (status, servo) in status.servos.iter_mut().zip(&self.servos) {
            status.stale_s = servo.stale_s(now);
            status.n_position_jumps = servo.n_jumps;
            status.recovery = servo.recovery.phase;
        }
        for (stale_s, servo) in status.stale_s.iter_mut().zip(&status.servos) {
            *stale_s = servo.stale_s;
        }
    }
}

impl<P: Port> Body for HandDriver<P> {
    fn spec(&self) -> &BodySpec {
        &self.spec
    }

    /// Holds every joint where it is; a hand and its objects are brought into place by a person.
    fn reset(&mut self, _seed: u64) -> Result<(), BodyError> {
        self.refuse_disarmed("reset")?;
        self.tick().map_err(|error| self.failed(&error))?;
        for servo in &mut self.servos {
            servo.goal_ticks = servo.present_ticks;
        }
        self.send_goals()?;
        self.reset_at = self.bus.now();
        self.next_tick = self.reset_at;
        Ok(())
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        self.tick().map_err(|error| self.failed(&error))?;
        let n_joints = self.spec.joints.len();
        percept.time_s = self.bus.now().saturating_sub(self.reset_at).as_secs_f64();
        for values in [&mut percept.measured_rad, &mut percept.commanded_rad, &mut percept.effort_nm] {
            values.resize(n_joints, 0.0);
        }
        for (index, servo) in self.servos[..n_joints].iter().enumerate() {
            let (Some(map), Some(_)) = (servo.map, servo.seen) else {
                let joint = &self.spec.joints[index].name;
                let lacks = if servo.map.is_none() { "is not calibrated" } else { "has never answered" };
                return Err(self.fault(format!("servo {} of {joint} {lacks}", servo.motor.id)));
            };
            percept.measured_rad[index] = map.angle_rad(servo.present_ticks) as f32;
            percept.commanded_rad[index] = map.angle_rad(servo.goal_ticks) as f32;
            percept.effort_nm[index] = servo.effort_nm(map) as f32;
        }
        Ok(())
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.send(targets_rad)?;
        self.wait_for_tick();
        Ok(())
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

impl HandDriverConfig {
    fn check(&self, spec: &BodySpec) -> Result<(), HandError> {
        let wrong = |field, found: String, expected: String| Err(HandError::Config { field, found, expected });
        if !(0.02..=2.54).contains(&self.watchdog_s.get()) {
            return wrong("watchdog_s", format!("{} s", self.watchdog_s.get()), "0.02 s to 2.54 s".into());
        }
        let expected = format!("one for each of {} joints", spec.joints.len());
        if self.park_rad.len() != spec.joints.len() {
            return wrong("park_rad", format!("{} values", self.park_rad.len()), expected);
        }
        for (joint, park_rad) in spec.joints.iter().zip(&self.park_rad) {
            if !(f64::from(joint.lower_rad)..=f64::from(joint.upper_rad)).contains(&park_rad.get()) {
                let expected = format!("{} rad to {} rad for {}", joint.lower_rad, joint.upper_rad, joint.name);
                return wrong("park_rad", format!("{} rad", park_rad.get()), expected);
            }
        }
        if spec.servo_hz == 0 {
            return wrong("servo_hz", "0".into(), "at least 1".into());
        }
        Ok(())
    }
}

/// Fastest plausible change of position, ticks.
fn plausible_ticks(motor: &Motor, elapsed_s: f64) -> f64 {
    // A quarter turn is never lost in one cycle, and encoders may wobble.
    motor.model.implausible_speed_rad_s() * elapsed_s / RAD_PER_TICK + 50.0
}
