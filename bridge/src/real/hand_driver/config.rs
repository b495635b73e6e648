//! How a hand is driven: the part of the configuration that is the driver's.

use super::{HandError, RebootPolicy};
use crate::BodySpec;
use crate::number::{Finite, Positive, UnitInterval};
use crate::real::calibration::CalibrationConfig;
use serde::{Deserialize, Serialize};

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
    /// Share of every motor's limit with which [`super::HandDriver::hold`] holds.
    pub hold_effort_share: UnitInterval,
    /// Where [`super::HandDriver::park`] goes, rad: one for each joint of the body.
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

impl HandDriverConfig {
    pub(super) fn check(&self, spec: &BodySpec) -> Result<(), HandError> {
        let wrong = |field, found: String, expected: String| Err(HandError::Config { field, found, expected });
        if !(0.02..=2.54).contains(&self.watchdog_s.get()) {
            return wrong("watchdog_s", format!("{} s", self.watchdog_s.get()), "0.02 s to 2.54 s".into());
        }
        // Bounds beyond which the servos' integers or a cycle make no sense of a number.
        let CalibrationConfig { speed_rad_s, lead_rad, stable_rad, timeout_s, .. } = self.calibration;
        let bounds = [
            ("margin_s", self.margin_s, 1.0),
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
