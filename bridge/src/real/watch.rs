//! From facts to causes: every deadline and every hysteresis of the failsafe.
//!
//! A comparison is written so that a number that is not finite counts as the worst one.

use super::cause::{Cause, Causes};
use super::failsafe::{Facts, FailsafeConfig};
use super::machine::{Action, Decision, Repairs};
use super::status::{HandStatus, HardwareError, Recovery, ServoStatus};

/// Errors that a reboot cures.
const CURABLE: u8 = HardwareError::OVERLOAD | HardwareError::OVERHEATING;

/// Watches one robot.
#[derive(Clone, Debug)]
pub struct Watch {
    config: FailsafeConfig,
    period_s: f64,
    n_overruns: u32,
    n_bad_cycles: u64,
    torque_since_s: Option<f64>,
    servos: Vec<ServoWatch>,
}

/// What has to be remembered of one servo.
#[derive(Clone, Copy, Debug)]
struct ServoWatch {
    is_warm: bool,
    is_hot: bool,
    is_overheated: bool,
    n_position_jumps: u32,
    n_reboots: u32,
    rebooted_s: f64,
    ill_s: f64,
}

impl Watch {
    /// Watches a robot with `n_servos` and a loop of `period_s`.
    #[must_use]
    pub fn new(config: FailsafeConfig, n_servos: usize, period_s: f64) -> Self {
        let servo = ServoWatch {
            is_warm: false,
            is_hot: false,
            is_overheated: false,
            n_position_jumps: 0,
            n_reboots: 0,
            rebooted_s: f64::NEG_INFINITY,
            ill_s: f64::NEG_INFINITY,
        };
        Self { config, period_s, n_overruns: 0, n_bad_cycles: 0, torque_since_s: None, servos: vec![servo; n_servos] }
    }

    /// The causes that `facts` amount to at `now_s`, and the servos that can be put right.
    pub fn causes(&mut self, facts: &Facts<'_>, now_s: f64) -> (Causes, Repairs) {
        let config = self.config;
        let is_over = |age_s: Option<f64>, limit_s: f64| age_s.is_some_and(|age_s| exceeds(age_s, limit_s));
        let is_overrun = exceeds(facts.period_s, config.overrun_factor.get() * self.period_s);
        self.n_overruns = if is_overrun { self.n_overruns.saturating_add(1) } else { 0 };
        let mut causes = facts
            .events
            .with_if(self.n_overruns >= config.overruns, Cause::Overrun)
            .with_if(is_over(facts.observation_age_s, config.observation_stale_s.get()), Cause::ObservationStale)
            .with_if(is_over(facts.observation_age_s, config.observation_lost_s.get()), Cause::ObservationLost)
            .with_if(is_over(facts.chunk_late_s, config.chunk_late_s.get()), Cause::ChunkLate)
            .with_if(is_over(facts.learner_silence_s, config.learner_lost_s.get()), Cause::LearnerLost)
            .with_if(is_over(facts.command_age_s, config.command_stale_s.get()), Cause::CommandStale);
        if let Some(arm) = facts.arm {
            // An arm that was never heard of is not lost, but nothing may be armed with it.
            causes = causes
                .with_if(arm.age_s.is_none(), Cause::Unverified)
                .with_if(arm.age_s.is_some() && !arm.is_ready, Cause::ArmNotReady)
                .with_if(is_over(arm.age_s, config.arm_stale_s.get()), Cause::ArmStale)
                .with_if(exceeds(arm.unheard_s, config.arm_deaf_s.get()), Cause::ArmDeaf)
                .with_if(arm.has_failed || is_over(arm.age_s, config.arm_lost_s.get()), Cause::ArmFailed);
        }
        match facts.hand {
            None => (causes, Repairs::default()),
            Some(hand) => {
                let (of_hand, repairs) = self.causes_of_hand(hand, now_s);
                (causes.union(of_hand), repairs)
            }
        }
    }

    /// Takes note of what was decided.
    pub fn note(&mut self, decision: &Decision, now_s: f64) {
        self.torque_since_s = decision.is_torque_on.then(|| self.torque_since_s.unwrap_or(now_s));
        for action in decision.actions.as_slice() {
            if let Action::Reboot(servo) = *action
                && let Some(servo) = self.servos.get_mut(servo)
            {
                servo.n_reboots += 1;
                servo.rebooted_s = now_s;
            }
        }
    }

    /// A human has looked: reboots and overruns are counted from zero again.
    pub fn forgive(&mut self) {
        self.n_overruns = 0;
        for servo in &mut self.servos {
            servo.n_reboots = 0;
        }
    }

    fn causes_of_hand(&mut self, hand: &HandStatus, now_s: f64) -> (Causes, Repairs) {
        let config = self.config;
        let is_new_break = hand.n_bad_cycles > self.n_bad_cycles;
        self.n_bad_cycles = hand.n_bad_cycles;
        // Before everything was read once, silence means that the hand is not known, not that it is lost.
        let is_known = hand.last_complete_read_s.is_some() && hand.servos.len() == self.servos.len();
        let mut causes = Causes::NONE
            .with_if(hand.transport_lost.is_some(), Cause::TransportLost)
            .with_if(is_new_break, Cause::BrokenCycle)
            .with_if(hand.n_recent_bad_cycles >= config.bad_cycles, Cause::BadCycles)
            .with_if(!is_known, Cause::Unverified);
        let is_torque_settled =
            self.torque_since_s.is_some_and(|since_s| now_s - since_s > config.torque_settles_s.get());
        let mut repairs = Repairs::default();
        for (index, (servo, watch)) in hand.servos.iter().zip(&mut self.servos).enumerate() {
            let is_due = watch.look(servo, config, is_torque_settled, now_s, &mut causes);
            let is_excused = watch.is_rebooting(servo, config, now_s);
            // A watchdog that tripped before torque was ordered is a former process that was killed: arming clears it.
            let is_stopped = is_torque_settled && servo.is_watchdog_tripped && !is_excused;
            causes = causes.with_if(is_stopped, Cause::WatchdogTripped);
            repairs.reboot = repairs.reboot.or_else(|| is_due.then_some(index));
            repairs.rearm = repairs.rearm.or_else(|| is_stopped.then_some(index));
            if is_known && !is_excused {
                causes = causes
                    .with_if(exceeds(servo.stale_s, config.joint_stale_s.get()), Cause::JointStale)
                    .with_if(exceeds(servo.stale_s, config.joint_lost_s.get()), Cause::JointLost);
            }
        }
        (causes, repairs)
    }
}

impl ServoWatch {
    fn is_rebooting(&self, servo: &ServoStatus, config: FailsafeConfig, now_s: f64) -> bool {
        matches!(servo.recovery, Recovery::Rebooting | Recovery::Applying)
            || now_s - self.rebooted_s < config.reboot_silence_s.get()
    }

    /// Adds the causes of one servo. Returns whether its reboot is due.
    fn look(
        &mut self,
        servo: &ServoStatus,
        config: FailsafeConfig,
        is_torque_settled: bool,
        now_s: f64,
        causes: &mut Causes,
    ) -> bool {
        let is_rebooting = self.is_rebooting(servo, config, now_s);
        let error = servo.hardware_error;
        let is_curable = error.0 & CURABLE != 0;
        let is_electrical = error.0 & !CURABLE != 0;
        let is_voltage_off = servo.voltage_v < config.lowest_voltage_v.get()
            || servo.voltage_v > config.highest_voltage_v.get()
            || servo.voltage_v.is_infinite();

        let below_limit_k = servo.temperature_limit_c - servo.temperature_c;
        let is_temperature_known = below_limit_k.is_finite();
        let cooled_by_k = config.cooled_by_k.get();
        let is_within = |was: bool, limit_k: f64| below_limit_k <= limit_k + if was { cooled_by_k } else { 0.0 };
        if is_temperature_known {
            self.is_warm = is_within(self.is_warm, config.warm_below_limit_k.get());
            self.is_hot = is_within(self.is_hot, config.hot_below_limit_k.get());
            self.is_overheated = is_within(self.is_overheated, config.off_below_limit_k.get());
        }

        // Torque that is off although it is ordered, without an error that explains it: the servo lost its power.
        let is_without_torque = is_torque_settled
            && servo.is_torque_enabled == Some(false)
            && error.is_clear()
            && !servo.is_alert
            && !is_rebooting
            && now_s - self.rebooted_s > config.torque_settles_s.get();
        let has_jumped = servo.n_position_jumps > self.n_position_jumps;
        self.n_position_jumps = servo.n_position_jumps;

        let is_down = is_curable || servo.is_alert || is_rebooting;
        if is_down {
            self.ill_s = now_s;
        } else if now_s - self.ill_s > config.reboots_forgotten_s.get() {
            self.n_reboots = 0;
        }
        let is_given_up = is_curable && self.n_reboots >= config.max_reboots;
        *causes = causes
            .with_if(is_electrical || is_voltage_off, Cause::Electrical)
            .with_if(has_jumped || is_without_torque, Cause::PowerCycled)
            .with_if(!is_temperature_known && !is_rebooting, Cause::Unverified)
            .with_if(self.is_warm, Cause::Warm)
            .with_if(self.is_hot, Cause::Hot)
            .with_if(self.is_overheated, Cause::Overheated)
            .with_if(is_down, Cause::ServoShutdown)
            .with_if(is_given_up && !is_rebooting, Cause::RebootsUsedUp);

        let doublings = self.n_reboots.saturating_sub(1).min(16);
        let backoff_s = config.reboot_backoff_s.get() * f64::from(1u32 << doublings);
        is_curable && !is_electrical && !is_rebooting && !is_given_up && now_s - self.rebooted_s >= backoff_s
    }
}

/// Whether `value` is above `limit`, or no number.
fn exceeds(value: f64, limit: f64) -> bool {
    value > limit || value.is_nan()
}
