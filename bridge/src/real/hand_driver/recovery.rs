//! The way back of a servo that shut itself down: reboot, wait, settings, goal := present, torque; a step a tick, so that
//! the other servos are read all the while. Its first feedback after the reboot finds the turns that it has forgotten.

use super::HandDriver;
use super::arming::{ArmError, Setting, apply, settings};
use crate::real::bus::BusError;
use crate::real::port::Port;
use crate::real::status::{HardwareError, Recovery};
use std::time::Duration;
use thiserror::Error;

/// A reboot that is not done.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RebootRefused {
    /// There is no such servo.
    #[error("servo at index {index}: there are {n_servos}")]
    NoServo {
        /// The index.
        index: usize,
        /// How many there are.
        n_servos: usize,
    },
    /// There is nothing to recover from, or it is being recovered.
    #[error("servo {id}: there is nothing to recover from")]
    NotNeeded {
        /// The servo.
        id: u8,
    },
    /// A person has to look.
    #[error("servo {id}: {errors} is not recovered from by itself; switch the hand off and look for the cause")]
    NotRecoverable {
        /// The servo.
        id: u8,
        /// Its hardware errors.
        errors: HardwareError,
    },
    /// It is still too hot.
    #[error("servo {id}: is at {temperature_c} °C, expected at most {allowed_c} °C before it is rebooted")]
    TooHot {
        /// The servo.
        id: u8,
        /// Its temperature, °C.
        temperature_c: f64,
        /// The temperature at which it may be rebooted, °C.
        allowed_c: f64,
    },
    /// It does not take the reboot.
    #[error("servo {id}: {reason}")]
    Failed {
        /// The servo.
        id: u8,
        /// What the bus says.
        reason: String,
    },
}

/// How far a servo is.
#[derive(Debug)]
pub(in crate::real) struct ServoRecovery {
    pub(in crate::real) phase: Recovery,
    rebooted_at: Option<Duration>,
    settings: Vec<Setting>,
    n_applied: usize,
}

impl Default for ServoRecovery {
    fn default() -> Self {
        Self { phase: Recovery::Idle, rebooted_at: None, settings: Vec::new(), n_applied: 0 }
    }
}

/// Settings that one tick applies.
const SETTINGS_A_TICK: usize = 2;

impl<P: Port> HandDriver<P> {
    /// Reboots the servo at `index` of the status, if its errors and its temperature allow it. The ticks that follow bring it back:
    /// see [`Recovery`]. Its goal is then where it is; call [`HandDriver::hold`] before targets are commanded again.
    ///
    /// # Errors
    /// Why it is not rebooted.
    pub fn reboot(&mut self, index: usize) -> Result<(), RebootRefused> {
        let n_servos = self.servos.len();
        if index >= n_servos {
            return Err(RebootRefused::NoServo { index, n_servos });
        }
        let now = self.bus.now();
        let (id, status) = (self.ids[index], &self.status.servos[index]);
        let recovery = &self.servos[index].recovery;
        let errors = status.hardware_error;
        if errors.is_clear() || matches!(recovery.phase, Recovery::Rebooting | Recovery::Applying) {
            return Err(RebootRefused::NotNeeded { id });
        }
        if errors.0 & !(HardwareError::OVERLOAD | HardwareError::OVERHEATING) != 0 {
            return Err(RebootRefused::NotRecoverable { id, errors });
        }
        let allowed_c = status.temperature_limit_c - self.config.reboot.cool_by_c.get();
        if errors.has(HardwareError::OVERHEATING) && status.temperature_c > allowed_c {
            return Err(RebootRefused::TooHot { id, temperature_c: status.temperature_c, allowed_c });
        }
        let settings = settings(&self.servos[index].motor, &self.table, &self.config, self.effort_share);
        match self.bus.reboot(id) {
            // If only its answer was lost, it is rebooting; if not, it will be there at once.
            Ok(()) | Err(BusError::NoAnswer { .. }) => {}
            Err(error) => return Err(RebootRefused::Failed { id, reason: self.failed(&error).to_string() }),
        }
        self.servos[index].was_rebooted = true;
        let recovery = &mut self.servos[index].recovery;
        recovery.phase = Recovery::Rebooting;
        recovery.rebooted_at = Some(now);
        recovery.settings = settings;
        recovery.n_applied = 0;
        self.status.servos[index].recovery = Recovery::Rebooting;
        Ok(())
    }

    /// One step for one servo that is on its way back.
    pub(super) fn advance_recovery(&mut self, deadline: Duration) -> Result<(), BusError> {
        let is_under_way = |phase| matches!(phase, Recovery::Rebooting | Recovery::Applying);
        let Some(index) = self.servos.iter().position(|servo| is_under_way(servo.recovery.phase)) else {
            return Ok(());
        };
        let now = self.bus.now();
        if now >= deadline {
            return Ok(());
        }
        let stepped = match self.servos[index].recovery.phase {
            Recovery::Rebooting => self.await_return(index, now),
            _ => self.apply_next(index),
        };
        match stepped {
            Ok(()) => Ok(()),
            Err(BusError::Port(error)) => Err(error.into()),
            // It fell silent, or refuses what it must take: it stays off and is rebooted again if that is asked for.
            Err(_) => {
                self.servos[index].recovery.phase = Recovery::Idle;
                Ok(())
            }
        }
    }

    fn await_return(&mut self, index: usize, now: Duration) -> Result<(), BusError> {
        let id = self.ids[index];
        let recovery = &self.servos[index].recovery;
        let since_s = now.saturating_sub(recovery.rebooted_at.unwrap_or(now)).as_secs_f64();
        // Its time is not up, and a ping that is not answered costs the others theirs.
        if since_s < 0.3 * self.config.reboot.return_s.get() {
            return Ok(());
        }
        if self.bus.is_there(id)? {
            self.servos[index].recovery.phase = Recovery::Applying;
            self.status.servos[index].hardware_error = HardwareError(0);
            self.status.servos[index].is_alert = false;
        } else if since_s > self.config.reboot.return_s.get() {
            self.servos[index].recovery.phase = Recovery::Idle;
        }
        Ok(())
    }

    fn apply_next(&mut self, index: usize) -> Result<(), BusError> {
        let id = self.ids[index];
        for _ in 0..SETTINGS_A_TICK {
            let recovery = &mut self.servos[index].recovery;
            let Some(&setting) = recovery.settings.get(recovery.n_applied) else {
                let is_wanted = self.is_armed;
                let back =
                    self.goal_to_present(index).and_then(|()| if is_wanted { self.enable(index) } else { Ok(()) });
                self.servos[index].recovery.phase = match back {
                    Ok(()) => Recovery::Done,
                    Err(ArmError::Bus(error)) => return Err(error),
                    // It does not do as it is told, or nobody knows where it is: it stays off.
                    Err(_) => Recovery::Idle,
                };
                return Ok(());
            };
            recovery.n_applied += 1;
            apply(&mut self.bus, id, setting)?;
        }
        Ok(())
    }
}
