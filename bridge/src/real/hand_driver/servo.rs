//! One servo as the driver knows it.

use super::recovery::ServoRecovery;
use crate::BodySpec;
use crate::real::calibration::{JointCalibration, JointMap};
use crate::real::dynamixel::control_table::{
    BUS_WATCHDOG, FEEDBACK, HARDWARE_ERROR, HEALTH, PRESENT_CURRENT, PRESENT_POSITION, PRESENT_TEMPERATURE,
    PRESENT_VOLTAGE, RAD_PER_TICK, TORQUE_ENABLE, V_PER_UNIT,
};
use crate::real::motors::Motor;
use crate::real::status::{HardwareError, Recovery, ServoStatus};
use std::time::Duration;

#[derive(Debug)]
pub(in crate::real) struct Servo {
    pub(in crate::real) motor: Motor,
    pub(in crate::real) range_rad: (f64, f64),
    pub(in crate::real) map: Option<JointMap>,
    /// Ticks of whole turns between what the servo says and what its calibration says.
    pub(in crate::real) turns_ticks: i32,
    /// Whether it was rebooted after these were found: it has forgotten its turns.
    pub(in crate::real) was_rebooted: bool,
    /// Where it is, with these turns.
    pub(in crate::real) present_ticks: i32,
    /// Where it shall be, with these turns.
    pub(in crate::real) goal_ticks: i32,
    pub(in crate::real) current_a: f64,
    pub(in crate::real) seen: Option<Duration>,
    /// When it was asked for that: it may have been true then already.
    asked: Duration,
    /// Whether `present_ticks` is from the servo.
    pub(in crate::real) has_position: bool,
    pub(in crate::real) n_jumps: u32,
    pub(in crate::real) recovery: ServoRecovery,
}

impl Servo {
    pub(in crate::real) fn new(motor: &Motor, spec: &BodySpec) -> Self {
        Self {
            motor: motor.clone(),
            range_rad: motor.range_rad(&spec.joints).unwrap_or_default(),
            map: None,
            turns_ticks: 0,
            was_rebooted: false,
            present_ticks: 0,
            goal_ticks: 0,
            current_a: 0.0,
            seen: None,
            asked: Duration::ZERO,
            has_position: false,
            n_jumps: 0,
            recovery: ServoRecovery::default(),
        }
    }

    pub(in crate::real) fn calibrate(&mut self, joint: Option<&JointCalibration>) {
        self.map = joint.map(|joint| JointMap::new(joint, self.range_rad));
    }

    /// Whether it is rebooting and not asked.
    pub(in crate::real) const fn is_away(&self) -> bool {
        matches!(self.recovery.phase, Recovery::Rebooting)
    }

    pub(in crate::real) const fn raw_goal(&self) -> i32 {
        self.goal_ticks.wrapping_sub(self.turns_ticks)
    }

    /// Finds the turns that the servo has forgotten and takes `raw_ticks` as where it is `now`; whether the calibration has
    /// such a place.
    pub(in crate::real) fn find_turns(&mut self, raw_ticks: i32, now: Duration) -> bool {
        let turns_ticks = self.map.and_then(|map| map.turns_ticks(raw_ticks));
        self.turns_ticks = turns_ticks.unwrap_or_default();
        self.was_rebooted = false;
        self.present_ticks = raw_ticks.wrapping_add(self.turns_ticks);
        (self.seen, self.asked) = (Some(now), now);
        self.has_position = true;
        turns_ticks.is_some() || self.map.is_none()
    }

    /// Takes feedback that it was `asked` for; whether it can be true. An answer may have lain unread while a busy machine did
    /// something else: how old the last one is counts from when it was asked for.
    pub(in crate::real) fn accept(&mut self, data: &[u8], asked: Duration, now: Duration) -> bool {
        let find = |register: crate::real::dynamixel::control_table::Register| register.find(data, FEEDBACK.0);
        let (Some(raw_ticks), Some(current)) = (find(PRESENT_POSITION), find(PRESENT_CURRENT)) else { return false };
        if self.was_rebooted {
            // Whatever became of its recovery: with the old turns this would be a jump.
            self.find_turns(raw_ticks, now);
        }
        let ticks = raw_ticks.wrapping_add(self.turns_ticks);
        if self.seen.is_some() {
            let elapsed_s = now.saturating_sub(self.asked).as_secs_f64();
            let change = f64::from(ticks) - f64::from(self.present_ticks);
            if change.abs() > plausible_ticks(&self.motor, elapsed_s).min(f64::from(JUMP_TICKS)) {
                self.n_jumps += 1;
                return false;
            }
        }
        self.present_ticks = ticks;
        self.current_a = f64::from(current) * self.motor.model.current_unit_a().unwrap_or_default();
        (self.seen, self.asked) = (Some(now), asked);
        self.has_position = true;
        true
    }

    pub(in crate::real) fn stale_s(&self, now: Duration) -> f64 {
        self.seen.map_or(f64::INFINITY, |seen| now.saturating_sub(seen).as_secs_f64())
    }

    /// Torque at the joint, N m: the shaft's, geared by the tendon.
    pub(in crate::real) fn effort_nm(&self, map: JointMap) -> f64 {
        self.current_a * self.motor.torque_nm_per_a.get() * map.shaft_per_joint()
    }
}

/// A change that is never motion, however long nobody looked: half a turn.
const JUMP_TICKS: i32 = 2048;

pub(in crate::real) const fn unknown_status(id: u8) -> ServoStatus {
    ServoStatus {
        id,
        stale_s: f64::INFINITY,
        is_alert: false,
        hardware_error: HardwareError(0),
        temperature_c: f64::NAN,
        temperature_limit_c: f64::NAN,
        voltage_v: f64::NAN,
        is_torque_enabled: None,
        is_watchdog_tripped: false,
        n_position_jumps: 0,
        recovery: Recovery::Idle,
    }
}

/// Takes the health registers of a servo.
pub(in crate::real) fn note_health(status: &mut ServoStatus, bytes: &[u8]) {
    let find = |register: crate::real::dynamixel::control_table::Register| register.find(bytes, HEALTH.0);
    if let Some(torque) = find(TORQUE_ENABLE) {
        status.is_torque_enabled = Some(torque == 1);
    }
    if let Some(errors) = find(HARDWARE_ERROR) {
        status.hardware_error = HardwareError(errors as u8);
    }
    if let Some(watchdog) = find(BUS_WATCHDOG) {
        // One that was cleared and not set again, with torque, guards as little.
        let is_unguarded = watchdog == 0 && status.is_torque_enabled == Some(true);
        status.is_watchdog_tripped = watchdog < 0 || is_unguarded;
    }
    if let Some(voltage) = find(PRESENT_VOLTAGE) {
        status.voltage_v = f64::from(voltage) * V_PER_UNIT;
    }
    if let Some(temperature) = find(PRESENT_TEMPERATURE) {
        status.temperature_c = f64::from(temperature);
    }
}

/// Fastest plausible change of position, ticks.
fn plausible_ticks(motor: &Motor, elapsed_s: f64) -> f64 {
    // With room for an encoder that wobbles.
    motor.model.implausible_speed_rad_s() * elapsed_s / RAD_PER_TICK + 50.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const MOTOR: &str = r#"(
        joint: "knuckle", id: 1, turns: Along, model: Xc330T288, mode: CurrentBasedPosition, limit: CurrentMa(300.0),
        torque_nm_per_a: 0.967, held: None,
    )"#;

    /// Contract: a position that is further away than a shaft can have come since the last one was asked for is refused and counted;
    /// one that is not is taken, though the last answer lay unread for a while.
    #[test]
    fn answers_may_be_read_late() -> Result<(), config::ConfigError> {
        let spec = BodySpec {
            name: "one joint".into(),
            joints: Vec::new(),
            tool: None,
            objects: Vec::new(),
            signals: Vec::new(),
            servo_hz: 100,
        };
        let mut servo = Servo::new(&config::parse("motor", MOTOR)?, &spec);
        let at = |ticks: i32| [&[0; 6][..], &ticks.to_le_bytes()].concat();
        let ms = Duration::from_millis;
        assert!(servo.accept(&at(0), ms(0), ms(3)));
        // 10 ms at 25 rad/s are 163 ticks, and 50 for the encoder.
        assert!(!servo.accept(&at(300), ms(10), ms(13)) && servo.n_jumps == 1);
        assert!(servo.accept(&at(150), ms(10), ms(13)));
        // Asked for at 20 ms, read at 120 ms; at 130 ms the shaft has come far.
        assert!(servo.accept(&at(300), ms(20), ms(120)));
        assert!(servo.accept(&at(900), ms(130), ms(133)));
        assert!(!servo.accept(&at(1500), ms(140), ms(143)) && servo.n_jumps == 2);
        Ok(())
    }
}
