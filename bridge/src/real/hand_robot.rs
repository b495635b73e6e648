//! The hand driver as the robot of a control loop, which paces it.

use super::bus::BusError;
use super::hand_driver::{ArmError, Finding, HandDriver, RebootRefused, Severity};
use super::port::Port;
use super::robot::Robot;
use super::status::HandStatus;
use crate::number::UnitInterval;
use crate::{Body, BodyError, BodySpec, Percept};

/// A hand behind its driver.
#[derive(Debug)]
pub struct HandRobot<P: Port> {
    driver: HandDriver<P>,
    hold_share: f64,
}

impl<P: Port> HandRobot<P> {
    /// Verifies the hand, takes its torque, applies its settings (with the return delay of a factory all servos do not
    /// answer within a tick), and reads it until every servo has told its health. In a hold its motors have `hold_share`
    /// of their limits. The findings that did not prevent it are returned.
    ///
    /// # Errors
    /// When verification refuses the hand, a setting is not taken, or the port is lost. Servos that can be told have no torque then.
    pub fn connect(mut driver: HandDriver<P>, hold_share: UnitInterval) -> Result<(Self, Vec<Finding>), ArmError> {
        match Self::prepare(&mut driver, hold_share) {
            Ok(findings) => Ok((Self { driver, hold_share: hold_share.get() }, findings)),
            Err(error) => {
                // A process that was killed may have left torque on. The first error is the one that matters.
                drop(driver.torque_off());
                Err(error)
            }
        }
    }

    fn prepare(driver: &mut HandDriver<P>, hold_share: UnitInterval) -> Result<Vec<Finding>, ArmError> {
        let findings = driver.verify()?;
        let is_refusal = |finding: &Finding| finding.severity >= Severity::NeedsCalibration;
        if findings.iter().any(is_refusal) {
            return Err(ArmError::Refused(findings.into_iter().filter(is_refusal).collect()));
        }
        driver.want_effort_share(hold_share.get());
        driver.prepare_all()?;
        driver.take_return_delay();
        // The health of one servo a tick, and as many ticks again for those that are missed.
        for _ in 0..2 * driver.status().servos.len() {
            driver.tick()?;
            driver.wait_for_tick();
        }
        Ok(findings)
    }

    /// The driver.
    pub const fn driver(&self) -> &HandDriver<P> {
        &self.driver
    }

    /// Returns when the next tick is due, on the clock of the port: for whoever commands the hand without a control loop.
    pub fn wait_for_tick(&mut self) {
        self.driver.wait_for_tick();
    }

    fn fault(&self, reason: &impl ToString) -> BodyError {
        BodyError::Fault { body: self.driver.spec().name.clone(), reason: reason.to_string() }
    }
}

impl<P: Port> Body for HandRobot<P> {
    fn spec(&self) -> &BodySpec {
        self.driver.spec()
    }

    fn reset(&mut self, seed: u64) -> Result<(), BodyError> {
        self.driver.reset(seed)
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        self.driver.read(percept)
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.driver.send(targets_rad)
    }
}

impl<P: Port> Robot for HandRobot<P> {
    fn status(&self) -> Option<&HandStatus> {
        Some(self.driver.status())
    }

    fn torque_on(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<(), BodyError> {
        match self.driver.arm_unless(is_stopped) {
            // Whoever stopped it has said so.
            Ok(_) | Err(ArmError::Stopped) => Ok(()),
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn torque_off(&mut self) -> Result<(), BodyError> {
        self.driver.torque_off().map_err(|error| self.fault(&error))
    }

    fn reduce_current(&mut self, is_reduced: bool) -> Result<(), BodyError> {
        self.driver.set_effort_share(if is_reduced { self.hold_share } else { 1.0 })
    }

    fn free_held_joints(&mut self, are_free: bool) {
        self.driver.free_held_joints(are_free);
    }

    fn reboot(&mut self, servo_idx: usize) -> Result<(), BodyError> {
        match self.driver.reboot(servo_idx) {
            Err(error @ RebootRefused::Failed { .. }) => Err(self.fault(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn rearm(&mut self, servo_idx: usize) -> Result<(), BodyError> {
        match self.driver.rearm(servo_idx) {
            Err(ArmError::Bus(error @ BusError::Port(_))) => Err(self.fault(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
