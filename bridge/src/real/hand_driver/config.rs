//! How a hand is driven: the part of the configuration that is the driver's.

use super::HandError;
use crate::BodySpec;
use crate::number::{NonNegative, Positive, UnitInterval};
use crate::real::calibration::CalibrationConfig;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a hand is driven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandDriverConfig {
    /// Silence after which a servo stops by itself, s, in steps of 0.02. It must outlast a slow tick and be gone before a
    /// finger does harm: 0.1 to 0.2. Another one, 0.02 to 2.54, needs the reason that follows.
    pub watchdog_s: Positive,
    /// Why the watchdog is shorter or longer than that. It is printed with the limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog_because: Option<String>,
    /// What adapter, driver and scheduler may add to a transaction, s; a USB adapter with a latency timer of 1 ms needs
    /// about 0.002.
    pub margin_s: Positive,
    /// The same for what no tick waits for - verification, arming, torque off - s. It is waited for only where nobody answers:
    /// 0.05 outlasts a busy scheduler.
    pub patience_s: Positive,
    /// Gains of the servos' position loops, in the servos' units.
    pub gains: Gains,
    /// Share of every motor's limit with which a hold holds.
    pub hold_effort_share: UnitInterval,
    /// Hardware errors that cut a servo's torque: bits of the shutdown register.
    pub shutdown_mask: u8,
    /// The way back of a servo that shut itself down. When it is rebooted, and when no more, is the failsafe's.
    pub reboot: RebootConfig,
    /// How joints are driven to their stops.
    pub calibration: CalibrationConfig,
}

/// What a servo needs on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebootConfig {
    /// How long it may take to answer again, s. An XC330 takes 0.34.
    pub return_s: Positive,
    /// How far below its limit one that was too hot must be before it is rebooted, °C.
    pub cool_by_c: NonNegative,
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

/// One paragraph for whoever stands beside the hand.
impl fmt::Display for HandDriverConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "servos: stop by themselves after {} s of silence", self.watchdog_s.get())?;
        if let Some(reason) = self.watchdog_because.as_ref().filter(|_| !self.is_watchdog_usual()) {
            write!(f, " (UNUSUAL: {reason})")?;
        }
        let (hold, calibration) = (100.0 * self.hold_effort_share.get(), self.calibration);
        write!(f, "; {hold:.0} % of their limits in a hold; shutdown mask {:#04x}", self.shutdown_mask)?;
        let (effort, speed_rad_s) = (100.0 * calibration.effort_share.get(), calibration.speed_rad_s.get());
        write!(f, "; calibrated with {effort:.0} % at {:.0} deg/s", speed_rad_s.to_degrees())
    }
}

impl HandDriverConfig {
    fn is_watchdog_usual(&self) -> bool {
        (0.1..=0.2).contains(&self.watchdog_s.get())
    }

    pub(super) fn check(&self, spec: &BodySpec) -> Result<(), HandError> {
        let wrong = |field, found: String, expected: String| Err(HandError::Config { field, found, expected });
        let watchdog_s = self.watchdog_s.get();
        if !(0.02..=2.54).contains(&watchdog_s) {
            return wrong("watchdog_s", format!("{watchdog_s} s"), "0.02 s to 2.54 s".into());
        }
        let is_explained = self.watchdog_because.as_ref().is_some_and(|reason| !reason.trim().is_empty());
        if !self.is_watchdog_usual() && !is_explained {
            let expected = "0.1 s to 0.2 s, or a reason in watchdog_because".into();
            return wrong("watchdog_s", format!("{watchdog_s} s"), expected);
        }
        // Bounds beyond which the servos' integers or a cycle make no sense of a number.
        let CalibrationConfig { speed_rad_s, lead_rad, stable_rad, timeout_s, .. } = self.calibration;
        let bounds = [
            ("margin_s", self.margin_s, 1.0),
            ("patience_s", self.patience_s, 1.0),
            ("calibration.speed_rad_s", speed_rad_s, 10.0),
            ("calibration.lead_rad", lead_rad, 3.0),
            ("calibration.stable_rad", stable_rad, 1.0),
            ("calibration.timeout_s", timeout_s, 600.0),
        ];
        for (field, found, most) in bounds {
            if found.get() > most {
                return wrong(field, found.get().to_string(), format!("at most {most}"));
            }
        }
        if spec.servo_hz == 0 {
            return wrong("servo_hz", "0".into(), "at least 1".into());
        }
        Ok(())
    }
}
