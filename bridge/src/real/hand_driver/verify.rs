//! What is checked before torque: a list of findings, each with what to do.

use super::HandDriver;
use crate::real::bus::BusError;
use crate::real::dynamixel::control_table::{
    BUS_WATCHDOG, CURRENT_LIMIT, DRIVE_MODE, HARDWARE_ERROR, HOMING_OFFSET, MAX_VOLTAGE_LIMIT, MIN_VOLTAGE_LIMIT,
    OPERATING_MODE, PRESENT_POSITION, PRESENT_TEMPERATURE, PRESENT_VOLTAGE, RETURN_DELAY, Register,
    S_PER_RETURN_DELAY_UNIT, SHUTDOWN, STATUS_RETURN_LEVEL, TEMPERATURE_LIMIT, TORQUE_ENABLE, V_PER_UNIT, bauds,
};
use crate::real::dynamixel::{MAX_ID, Model};
use crate::real::port::Port;
use crate::real::status::HardwareError;
use std::fmt;
use std::time::Duration;

/// Something that verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The servo; none if it concerns the whole bus.
    pub id: Option<u8>,
    /// Its joint, or what else it is.
    pub place: String,
    /// What it means.
    pub severity: Severity,
    /// What was found and what was expected.
    pub what: String,
    /// What to do.
    pub advice: String,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Arming puts it right.
    Note,
    /// It should be looked at.
    Warning,
    /// Torque stays off, but for calibration.
    NeedsCalibration,
    /// Torque stays off.
    Refusal,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "servo {id} ({}): {}; {}", self.place, self.what, self.advice),
            None => write!(f, "{}: {}; {}", self.place, self.what, self.advice),
        }
    }
}

/// Degrees below its limit at which a servo is too warm to begin.
const WARM_MARGIN_C: i32 = 10;

impl<P: Port> HandDriver<P> {
    /// Looks at every servo, and for servos that should not be there. Writes nothing.
    ///
    /// # Errors
    /// When the port is lost.
    pub fn verify(&mut self) -> Result<Vec<Finding>, BusError> {
        self.patiently(Self::verify_all)
    }

    fn verify_all(&mut self) -> Result<Vec<Finding>, BusError> {
        self.is_verified = false;
        let mut findings = Vec::new();
        let present = self.find_servos(&mut findings)?;
        let mut slowest = Duration::ZERO;
        for index in 0..self.servos.len() {
            if present.contains(&self.ids[index]) {
                let mut servo_findings = Vec::new();
                match self.verify_servo(index, &mut servo_findings) {
                    Ok(delay) => slowest = slowest.max(delay),
                    Err(BusError::Port(error)) => return Err(error.into()),
                    Err(error) => servo_findings.push((
                        Severity::Refusal,
                        error.to_string(),
                        "if it is garbled, two servos may have this id: wire them one by one and change one's".into(),
                    )),
                }
                let place = &self.servos[index].motor.joint;
                findings.extend(servo_findings.into_iter().map(|(severity, what, advice)| Finding {
                    id: Some(self.ids[index]),
                    place: place.clone(),
                    severity,
                    what,
                    advice,
                }));
            }
        }
        if slowest > Duration::ZERO {
            self.bus.timing_mut().return_delay = slowest;
        }
        self.is_verified = findings.iter().all(|finding| finding.severity < Severity::NeedsCalibration);
        Ok(findings)
    }

    /// Which of the hand's servos answer; who else does.
    fn find_servos(&mut self, findings: &mut Vec<Finding>) -> Result<Vec<u8>, BusError> {
        let mut present = Vec::new();
        for index in 0..self.servos.len() {
            let (id, motor) = (self.ids[index], &self.servos[index].motor);
            let broken_before = self.bus.counters().n_crc_errors + self.bus.counters().n_garbage_bytes;
            let pong = match self.bus.ping(id) {
                Ok(pong) => pong,
                Err(BusError::NoAnswer { .. }) => {
                    let broken = self.bus.counters().n_crc_errors + self.bus.counters().n_garbage_bytes;
                    let (what, advice) = if broken > broken_before {
                        (
                            "its answers are garbled",
                            "two servos may have this id: wire them one by one and change one's",
                        )
                    } else {
                        ("does not answer", "check its cable and power, then its id and baud rate")
                    };
                    findings.push(refusal(Some(id), &motor.joint, what.into(), advice));
                    continue;
                }
                Err(error) => return Err(error),
            };
            present.push(id);
            if pong.model != motor.model.number() {
                let found = Model::from_number(pong.model)
                    .map_or_else(|| format!("model number {}", pong.model), |model| model.to_string());
                let what = format!("is {found}, expected {}", motor.model);
                findings.push(refusal(
                    Some(id),
                    &motor.joint,
                    what,
                    "wire the right servo, or correct the hand's description",
                ));
            }
            if pong.firmware < motor.model.first_fast_firmware() {
                self.bus.forbid_fast();
                findings.push(Finding {
                    id: Some(id),
                    place: motor.joint.clone(),
                    severity: Severity::Note,
                    what: format!("firmware {} has no fast sync read", pong.firmware),
                    advice: format!(
                        "plain sync reads are used; update to {} or later",
                        motor.model.first_fast_firmware()
                    ),
                });
            }
        }
        if present.is_empty() {
            findings.push(self.find_baud()?);
            return Ok(present);
        }
        // Only where a factory-new servo would be: a whole scan takes seconds.
        let strangers = (0..=20).filter(|id| !self.ids.contains(id));
        for pong in strangers.collect::<Vec<u8>>().into_iter().filter(|&id| id <= MAX_ID) {
            if self.bus.is_there(pong)? {
                let what = "answers, but is not of this hand".into();
                findings.push(refusal(
                    Some(pong),
                    "unknown",
                    what,
                    "take it off the bus, or correct the hand's description",
                ));
            }
        }
        Ok(present)
    }

    /// Nobody answers: maybe at another rate. The port has its own again afterwards, whatever comes of it.
    fn find_baud(&mut self) -> Result<Finding, BusError> {
        let own = self.table.baud;
        let mut lacking = Vec::new();
        let found = self.answered_baud(own, &mut lacking);
        self.bus.port_mut().set_baud(own)?;
        Ok(match found? {
            Some(baud) => {
                let what = format!("no servo answers at {own} baud, but at {baud}");
                refusal(None, "bus", what, "set the servos' baud rate, or the one in the hand's description")
            }
            None => {
                let but = if lacking.is_empty() {
                    String::new()
                } else {
                    format!(" that the port has; it lacks {}", lacking.join(", "))
                };
                let what = format!("no servo answers at {own} baud, nor at any other{but}");
                refusal(None, "bus", what, "check power, the adapter, and that this is the hand's port")
            }
        })
    }

    /// The first rate but `own` at which a servo answers. Rates that cannot be set go to `lacking`: few adapters have all of them, and
    /// a port that is gone does not get its own rate back.
    fn answered_baud(&mut self, own: u32, lacking: &mut Vec<String>) -> Result<Option<u32>, BusError> {
        for baud in bauds().filter(|&baud| baud != own) {
            if self.bus.port_mut().set_baud(baud).is_err() {
                lacking.push(baud.to_string());
                continue;
            }
            for index in 0..self.ids.len() {
                if self.bus.is_there(self.ids[index])? {
                    return Ok(Some(baud));
                }
            }
        }
        Ok(None)
    }

    fn verify_servo(
        &mut self,
        index: usize,
        findings: &mut Vec<(Severity, String, String)>,
    ) -> Result<Duration, BusError> {
        let id = self.ids[index];
        let bus = &mut self.bus;
        let mut read = |register: Register| bus.read(id, register);
        let mut find = |severity, what: String, advice: &str| findings.push((severity, what, advice.to_owned()));

        let level = read(STATUS_RETURN_LEVEL)?;
        if level != 2 {
            let what = format!("status return level is {level}, expected 2");
            find(
                Severity::Refusal,
                what,
                "set it, or switch its power off and on: it does not confirm what it is told",
            );
        }
        let errors = HardwareError(read(HARDWARE_ERROR)? as u8);
        if !errors.is_clear() {
            find(Severity::Refusal, format!("hardware error: {errors}"), "remove its cause, then reboot the servo");
        }
        if read(TORQUE_ENABLE)? != 0 {
            find(
                Severity::Warning,
                "torque is on although nobody armed it".into(),
                "arming switches it off first; whoever armed it did not end well",
            );
        }
        if read(BUS_WATCHDOG)? < 0 {
            find(
                Severity::Warning,
                "its bus watchdog has tripped".into(),
                "arming clears it; the last program was killed",
            );
        }
        let voltage = read(PRESENT_VOLTAGE)?;
        let (low, high) = (read(MIN_VOLTAGE_LIMIT)?, read(MAX_VOLTAGE_LIMIT)?);
        if !(low..=high).contains(&voltage) {
            let [voltage, low, high] = [voltage, low, high].map(|units| f64::from(units) * V_PER_UNIT);
            let what = format!("supply is {voltage:.1} V, expected {low:.1} V to {high:.1} V");
            find(Severity::Refusal, what, "check the power supply and its cable");
        }
        let temperature_c = read(PRESENT_TEMPERATURE)?;
        let limit_c = read(TEMPERATURE_LIMIT)?;
        if temperature_c > limit_c - WARM_MARGIN_C {
            let what = format!("is at {temperature_c} °C, its limit is {limit_c} °C");
            find(Severity::Refusal, what, "let it cool down");
        }
        let drive_mode = read(DRIVE_MODE)?;
        if drive_mode != 0 {
            let what = format!("drive mode is {drive_mode}, expected 0");
            find(Severity::Refusal, what, "the sign of the hand's description holds for drive mode 0; set it");
        }
        let homing = read(HOMING_OFFSET)?;
        if homing != 0 {
            find(
                Severity::Note,
                format!("homing offset is {homing} ticks"),
                "the calibration contains it; leave it as it is",
            );
        }
        let shutdown = read(SHUTDOWN)?;
        if shutdown != i32::from(self.config.shutdown_mask) {
            let what = format!("shutdown mask is {shutdown:#04x}, expected {:#04x}", self.config.shutdown_mask);
            find(Severity::Note, what, "arming sets it");
        }
        let motor = &self.servos[index].motor;
        let mode = read(OPERATING_MODE)?;
        if mode != motor.mode.code() {
            let what = format!("operating mode is {mode}, expected {} ({:?})", motor.mode.code(), motor.mode);
            find(Severity::Note, what, "arming sets it, and limits and gains after it");
        }
        if motor.model.current_unit_a().is_some() {
            let limit = read(CURRENT_LIMIT)?;
            let expected = motor.limit.units(motor.model, 1.0);
            if limit != expected {
                let what = format!("current limit is {limit} units, expected {expected}");
                find(Severity::Note, what, "arming sets it, so that a reset of the goal current stays within it");
            }
        }
        let delay_s = f64::from(read(RETURN_DELAY)?) * S_PER_RETURN_DELAY_UNIT;
        let raw_ticks = read(PRESENT_POSITION)?;
        let now = self.bus.now();
        if self.servos[index].map.is_none() {
            find(Severity::NeedsCalibration, "is not calibrated".into(), "calibrate the hand");
        } else if !self.servos[index].find_turns(raw_ticks, now) {
            let what = format!("is at {raw_ticks} ticks, outside of its calibrated stops");
            find(Severity::NeedsCalibration, what, "the tendon or the horn has slipped: calibrate the hand");
        }
        let status = &mut self.status.servos[index];
        status.temperature_limit_c = limit_c.into();
        status.temperature_c = temperature_c.into();
        status.voltage_v = f64::from(voltage) * V_PER_UNIT;
        status.hardware_error = errors;
        Ok(Duration::from_secs_f64(delay_s))
    }
}

fn refusal(id: Option<u8>, place: &str, what: String, advice: &str) -> Finding {
    Finding { id, place: place.to_owned(), severity: Severity::Refusal, what, advice: advice.to_owned() }
}
