//! Finding the stops: group after group, every joint of a group is driven to its lower stop, then to its upper one, then
//! to the middle, where it stays.
//!
//! A joint is at its stop when its goal leads it as far as it may and it has not moved for some ticks.

use super::{Calibration, CalibrationMismatch, JointCalibration};
use crate::BodyError;
use crate::number::{Positive, UnitInterval};
use crate::real::bus::BusError;
use crate::real::dynamixel::control_table::{RAD_PER_TICK, TICKS_PER_TURN};
use crate::real::hand_driver::{ArmError, Finding, HandDriver, Severity};
use crate::real::motors::Turns;
use crate::real::port::Port;
use crate::real::status::{HardwareError, Unfit};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How joints are driven to their stops. Angles are those of the shaft.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationConfig {
    /// Share of every motor's limit.
    pub effort_share: UnitInterval,
    /// How fast the goal moves, rad/s.
    pub speed_rad_s: Positive,
    /// How far the goal may lead the shaft, rad: as far as it takes to exert the share of the limit.
    pub lead_rad: Positive,
    /// Movement that still counts as none, rad.
    pub stable_rad: Positive,
    /// Ticks without movement that make a stop.
    pub n_stable: u32,
    /// How long a joint may take to a stop, s.
    pub timeout_s: Positive,
}

/// How far a calibration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalibrationStep {
    /// A group begins.
    Group {
        /// Its joints.
        joints: Vec<String>,
    },
    /// A stop was found.
    Stop {
        /// The joint.
        joint: String,
        /// Whether it is the upper one.
        is_upper: bool,
        /// Where, in the servo's ticks.
        ticks: i32,
    },
}

/// A calibration that was not finished; torque is off.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// Verification found what must be put right first.
    #[error("the hand is not calibrated: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Finding>),
    /// A servo does not do what it is told.
    #[error(transparent)]
    Arm(#[from] ArmError),
    /// The body failed.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A joint did not come to its stop.
    #[error(
        "{joint}: no {} stop within {waited_s} s, it is at {ticks} ticks; is its tendon on, and does its sign hold?",
        if *.is_upper { "upper" } else { "lower" }
    )]
    NoStop {
        /// The joint.
        joint: String,
        /// Whether the upper one was sought.
        is_upper: bool,
        /// How long, s.
        waited_s: f64,
        /// Where it is.
        ticks: i32,
    },
    /// The stops are not where they can be.
    #[error("{joint}: {reason}")]
    Implausible {
        /// The joint.
        joint: String,
        /// What was found and what is expected.
        reason: String,
    },
    /// A servo reports an error on the way.
    #[error("{joint}: servo {id} reports {errors}; remove its cause, reboot it, calibrate again")]
    Servo {
        /// The joint.
        joint: String,
        /// The servo.
        id: u8,
        /// Its errors.
        errors: HardwareError,
    },
    /// Somebody stopped it.
    #[error("stopped; torque is off")]
    Stopped,
    /// A servo is not heard, or has not heard us, for longer than its watchdog allows: it stands where no stop need be.
    #[error("{joint}: servo {id} was out of touch for a moment; see to its cable, calibrate again")]
    OutOfTouch {
        /// The joint.
        joint: String,
        /// The servo.
        id: u8,
    },
    /// The result does not fit the hand.
    #[error(transparent)]
    Mismatch(#[from] CalibrationMismatch),
}

impl From<BusError> for CalibrationError {
    fn from(error: BusError) -> Self {
        Self::Arm(error.into())
    }
}

/// Torque is taken so often from servos that do not answer, each time with the driver's patience.
const N_RELEASES: u32 = 20;

/// A joint on its way to a stop.
struct Seeker {
    index: usize,
    /// Sign of the way, in ticks.
    direction: i32,
    anchor_ticks: i32,
    n_still: u32,
    is_there: bool,
}

impl<P: Port> HandDriver<P> {
    /// Finds the stops of all joints of the hand with this serial number and uses them from then on. Every joint moves over
    /// all of its range; torque is off before and after. `is_stopped` is asked in every tick, and ends it.
    ///
    /// # Errors
    /// What prevented it; torque is then off.
    pub fn calibrate(
        &mut self,
        serial: &str,
        date: &str,
        is_stopped: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(&CalibrationStep),
    ) -> Result<Calibration, CalibrationError> {
        let config = self.calibration_config();
        for servo in self.servos_mut() {
            servo.calibrate(None);
        }
        let mut findings = self.verify()?;
        findings.retain(|finding| finding.severity == Severity::Refusal);
        if !findings.is_empty() {
            // A process that was killed left what it held with torque.
            drop(self.let_go());
            return Err(CalibrationError::Refused(findings));
        }
        let share = self.effort_share();
        let found = self.find_stops(&config, is_stopped, progress);
        let off = self.let_go();
        self.want_effort_share(share);
        let stops = found?;
        off?;
        let mut joints = Vec::with_capacity(stops.len());
        for motor in &self.table().motors {
            let index = self.servos().iter().position(|servo| servo.motor.id == motor.id).unwrap_or_default();
            let (lower_ticks, upper_ticks) = stops[index];
            // Whole turns mean nothing after the next loss of power.
            let turns = ((lower_ticks + upper_ticks) / 2).div_euclid(TICKS_PER_TURN) * TICKS_PER_TURN;
            let range_rad = self.servos()[index].range_rad;
            let joint = JointCalibration::new(motor, range_rad, lower_ticks - turns, upper_ticks - turns);
            joints.push(joint.map_err(|reason| CalibrationError::Implausible { joint: motor.joint.clone(), reason })?);
        }
        let calibration = Calibration {
            version: Calibration::VERSION,
            hand: self.name().to_owned(),
            serial: serial.to_owned(),
            date: date.to_owned(),
            joints,
        };
        self.calibrate_with(&calibration)?;
        Ok(calibration)
    }

    /// Torque off. Who is out of touch for a moment is told again.
    fn let_go(&mut self) -> Result<(), BusError> {
        let mut off = self.torque_off();
        for _ in 0..N_RELEASES {
            let Err(BusError::NoAnswer { .. }) = off else { break };
            off = self.torque_off();
        }
        off
    }

    fn find_stops(
        &mut self,
        config: &CalibrationConfig,
        is_stopped: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(&CalibrationStep),
    ) -> Result<Vec<(i32, i32)>, CalibrationError> {
        self.want_effort_share(config.effort_share.get());
        self.expect_torque();
        self.prepare_all()?;
        let mut stops = vec![(0, 0); self.servos().len()];
        for joints in self.table().calibration_order.clone() {
            progress(&CalibrationStep::Group { joints: joints.clone() });
            let is_member = |index: &usize| joints.contains(&self.servos()[*index].motor.joint);
            let members: Vec<usize> = (0..self.servos().len()).filter(is_member).collect();
            for &index in &members {
                self.goal_to_present(index)?;
                self.enable(index)?;
            }
            for is_upper in [false, true] {
                self.seek(&members, is_upper, config, is_stopped)?;
                for &index in &members {
                    let servo = &self.servos()[index];
                    let (joint, ticks) = (servo.motor.joint.clone(), servo.present_ticks);
                    let stop = &mut stops[index];
                    *(if is_upper { &mut stop.1 } else { &mut stop.0 }) = ticks;
                    progress(&CalibrationStep::Stop { joint, is_upper, ticks });
                }
            }
            self.go_to_middles(&members, &stops, config, is_stopped)?;
        }
        Ok(stops)
    }

    /// Drives `members` to one of their stops.
    fn seek(
        &mut self,
        members: &[usize],
        is_upper: bool,
        config: &CalibrationConfig,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<(), CalibrationError> {
        let ticks = |angle_rad: Positive| (angle_rad.get() / RAD_PER_TICK).round() as i32;
        let (lead, stable) = (ticks(config.lead_rad).max(1), ticks(config.stable_rad));
        let step = self.step_ticks(config);
        let seeker = |&index: &usize| {
            let servo = &self.servos()[index];
            let is_along = (servo.motor.turns == Turns::Along) == is_upper;
            let direction = if is_along { 1 } else { -1 };
            Seeker { index, direction, anchor_ticks: servo.present_ticks, n_still: 0, is_there: false }
        };
        let mut seekers: Vec<Seeker> = members.iter().map(seeker).collect();
        for _ in 0..self.n_ticks(config) {
            for seeker in &mut seekers {
                let servo = &mut self.servos_mut()[seeker.index];
                if seeker.is_there {
                    continue;
                }
                let present = servo.present_ticks;
                let ahead = (servo.goal_ticks - present) * seeker.direction;
                let next = (ahead + step).min(lead);
                servo.goal_ticks = present + seeker.direction * next;
                if next == lead && (present - seeker.anchor_ticks).abs() <= stable {
                    seeker.n_still += 1;
                } else {
                    (seeker.anchor_ticks, seeker.n_still) = (present, 0);
                }
                if seeker.n_still >= config.n_stable {
                    seeker.is_there = true;
                }
            }
            if seekers.iter().all(|seeker| seeker.is_there) {
                return Ok(());
            }
            self.calibration_tick(is_stopped)?;
        }
        let late = seekers.iter().find(|seeker| !seeker.is_there).map_or(0, |seeker| seeker.index);
        let servo = &self.servos()[late];
        let (joint, ticks) = (servo.motor.joint.clone(), servo.present_ticks);
        Err(CalibrationError::NoStop { joint, is_upper, waited_s: config.timeout_s.get(), ticks })
    }

    fn go_to_middles(
        &mut self,
        members: &[usize],
        stops: &[(i32, i32)],
        config: &CalibrationConfig,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<(), CalibrationError> {
        let step = self.step_ticks(config);
        for _ in 0..self.n_ticks(config) {
            let mut is_there = true;
            for &index in members {
                let middle = i32::midpoint(stops[index].0, stops[index].1);
                let servo = &mut self.servos_mut()[index];
                servo.goal_ticks += (middle - servo.goal_ticks).clamp(-step, step);
                is_there &= servo.goal_ticks == middle;
            }
            self.calibration_tick(is_stopped)?;
            if is_there {
                break;
            }
        }
        Ok(())
    }

    /// Sends goals, waits, reads, and looks for errors.
    fn calibration_tick(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<(), CalibrationError> {
        if is_stopped() {
            return Err(CalibrationError::Stopped);
        }
        self.send_goals()?;
        self.wait_for_tick();
        self.tick()?;
        let watchdog_s = self.watchdog_s();
        for (status, servo) in self.status().servos.iter().zip(self.servos()) {
            let (joint, id) = (servo.motor.joint.clone(), status.id);
            match status.unfit(watchdog_s, f64::NEG_INFINITY) {
                Some(Unfit::Reports(errors)) => return Err(CalibrationError::Servo { joint, id, errors }),
                Some(Unfit::OutOfTouch) => return Err(CalibrationError::OutOfTouch { joint, id }),
                // Verification refuses what is too hot to begin, and a servo that becomes too hot reports it.
                Some(Unfit::TooHot { .. }) | None => {}
            }
        }
        Ok(())
    }

    fn step_ticks(&self, config: &CalibrationConfig) -> i32 {
        let step_rad = config.speed_rad_s.get() / f64::from(self.servo_hz());
        (step_rad / RAD_PER_TICK).round().max(1.0) as i32
    }

    fn n_ticks(&self, config: &CalibrationConfig) -> u32 {
        (config.timeout_s.get() * f64::from(self.servo_hz())).ceil() as u32
    }
}
