//! One tick, and the driver as a body.

use super::{HandDriver, servo};
use crate::real::bus::BusError;
use crate::real::dynamixel::control_table::{HEALTH, RAD_PER_TICK, TORQUE_ENABLE};
use crate::real::port::Port;
use crate::real::status::RECENT_CYCLES;
use crate::{Body, BodyError, BodySpec, Percept};
use std::time::Duration;

/// For so many ticks in a row the health of no servo may be unknown: reading it is then worth a late tick. Without fast reads
/// the feedback of 17 servos leaves it no time, and a servo that nobody looks at stays stopped.
const MAX_BLIND_TICKS: u32 = 2;

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
            let (Some(map), true) = (servo.map, servo.has_position) else {
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

impl<P: Port> HandDriver<P> {
    /// Sends targets and does not wait for the next tick: its caller does.
    pub(in crate::real) fn send(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
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
        if self.are_held_free {
            self.bring_held_joints();
        }
        self.send_goals()
    }

    /// Whether joints that the body does not have may go to where they are held with the commands that follow. Armed, they are
    /// wherever they were, and a hold moves nothing.
    pub const fn free_held_joints(&mut self, are_free: bool) {
        self.are_held_free = are_free;
    }

    /// Moves them a period closer.
    fn bring_held_joints(&mut self) {
        let period_s = self.period().as_secs_f64();
        for servo in &mut self.servos {
            let (Some(held), Some(map)) = (servo.motor.held, servo.map) else { continue };
            let Some(place_ticks) = map.ticks(held.at_rad.get()) else { continue };
            let step_rad = held.rate_rad_s.get() * period_s * map.shaft_per_joint().abs();
            let step_ticks = (step_rad / RAD_PER_TICK).round().max(1.0);
            let way_ticks = f64::from(place_ticks) - f64::from(servo.goal_ticks);
            servo.goal_ticks = servo.goal_ticks.saturating_add(way_ticks.clamp(-step_ticks, step_ticks) as i32);
        }
    }

    /// Reads all servos once; the facts go into the status.
    pub(in crate::real) fn tick(&mut self) -> Result<(), BusError> {
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
                    is_complete &= servo.accept(block.data, start, now);
                }
                None => is_complete = false,
            }
        }
        let is_blind = self.n_blind_ticks >= MAX_BLIND_TICKS;
        self.read_health(if is_blind { deadline + period } else { deadline })?;
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
        self.n_blind_ticks = if is_alert.is_some() { 0 } else { self.n_blind_ticks.saturating_add(1) };
        if let Some(is_alert) = is_alert {
            self.status.servos[index].is_alert = is_alert;
            servo::note_health(&mut self.status.servos[index], &self.health);
            self.insist(index)?;
        }
        Ok(())
    }

    /// Tells a servo again what its health says that it has missed: to let go, or how strong it may be. One packet that nobody
    /// answers: the next look shows whether it took.
    fn insist(&mut self, index: usize) -> Result<(), BusError> {
        let id = [self.ids[index]];
        if !self.is_armed {
            return match self.status.servos[index].is_torque_enabled {
                Some(true) => self.bus.sync_write(&id, TORQUE_ENABLE.address, TORQUE_ENABLE.length, &[0]),
                _ => Ok(()),
            };
        }
        let motor = &self.servos[index].motor;
        let register = motor.limit.register();
        let wanted = motor.limit.units(motor.model, self.effort_share);
        if register.find(&self.health, HEALTH.0) == Some(wanted) {
            return Ok(());
        }
        self.bus.sync_write(&id, register.address, register.length, &(wanted as i16).to_le_bytes())
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
