//! The failsafe: facts and orders in, once a tick; what the robot may do and has to do out.
//!
//! [`Watch`] turns facts into causes by the deadlines of [`FailsafeConfig`]; [`Machine`] turns causes into a state and
//! actions. Time is an argument: the same facts at the same times give the same decisions, in a test as on a robot.

use super::cause::Causes;
use super::machine::{Decision, Input, Machine, Order, State};
use super::status::HandStatus;
use super::watch::Watch;
use crate::number::{NumberError, Positive};
use serde::{Deserialize, Serialize};

/// The deadlines. All of them are limits above which (or, where they say so, below which) something happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailsafeConfig {
    /// Bad cycles among the last 50 that end a run.
    pub bad_cycles: u32,
    /// Silence of a servo that ends a run, s.
    pub joint_stale_s: Positive,
    /// Silence of a servo that switches torque off, s.
    pub joint_lost_s: Positive,
    /// Distance from a servo's own temperature limit at which a human is warned, K.
    pub warm_below_limit_k: Positive,
    /// The same at which its hand gets the reduced current, K.
    pub hot_below_limit_k: Positive,
    /// The same at which torque is switched off, K.
    pub off_below_limit_k: Positive,
    /// How far each of the three has to be left again before it is over, K.
    pub cooled_by_k: Positive,
    /// Lowest supply voltage, V.
    pub lowest_voltage_v: Positive,
    /// Highest supply voltage, V.
    pub highest_voltage_v: Positive,
    /// Time between the first two reboots of a servo, s. It doubles with every further one.
    pub reboot_backoff_s: Positive,
    /// How long a servo may be silent, and be without its limits, after a reboot, s.
    pub reboot_silence_s: Positive,
    /// Reboots of one servo before it is given up.
    pub max_reboots: u32,
    /// Time in health after which the reboots of a servo are forgotten, s.
    pub reboots_forgotten_s: Positive,
    /// Time that a servo has to report the torque that was ordered, s.
    pub torque_settles_s: Positive,
    /// Age of an observation from which on the policy is not asked and nothing is stored, s.
    pub observation_stale_s: Positive,
    /// Age of an observation that ends a run, s.
    pub observation_lost_s: Positive,
    /// Time that the last action of a chunk may be kept for want of the next one, s.
    pub chunk_late_s: Positive,
    /// Silence of the learner that ends a run, s.
    pub learner_lost_s: Positive,
    /// Age of the last command that ends a run, s. The servos' own watchdog is fed by any packet, a read too.
    pub command_stale_s: Positive,
    /// Length of a hold for want of chunks or of the learner before the hand eases to its park posture, s.
    pub park_after_s: Positive,
    /// A period counts as overrun when it is this many times too long.
    pub overrun_factor: Positive,
    /// Overruns in a row that switch torque off.
    pub overruns: u32,
    /// Age of the arm's state that ends a run, s.
    pub arm_stale_s: Positive,
    /// For how long the arm may not hear its setpoints before a run ends, s: longer than it goes on by itself.
    pub arm_deaf_s: Positive,
    /// Age of the arm's state that switches torque off, s.
    pub arm_lost_s: Positive,
}

impl FailsafeConfig {
    /// The fault table's deadlines, for a policy with `control_hz` actions a second.
    ///
    /// # Errors
    /// When `control_hz` is zero.
    pub fn usual(control_hz: u32) -> Result<Self, NumberError> {
        let step_s = 1.0 / f64::from(control_hz);
        Ok(Self {
            bad_cycles: 5,
            joint_stale_s: 0.1.try_into()?,
            joint_lost_s: 0.5.try_into()?,
            warm_below_limit_k: 15.0.try_into()?,
            hot_below_limit_k: 10.0.try_into()?,
            off_below_limit_k: 5.0.try_into()?,
            cooled_by_k: 10.0.try_into()?,
            lowest_voltage_v: 5.5.try_into()?,
            highest_voltage_v: 14.0.try_into()?,
            reboot_backoff_s: 2.0.try_into()?,
            reboot_silence_s: 2.0.try_into()?,
            max_reboots: 5,
            reboots_forgotten_s: 60.0.try_into()?,
            torque_settles_s: 3.0.try_into()?,
            observation_stale_s: step_s.try_into()?,
            observation_lost_s: (2.0 * step_s).try_into()?,
            chunk_late_s: 0.15.try_into()?,
            learner_lost_s: 0.15.try_into()?,
            command_stale_s: 0.15.try_into()?,
            park_after_s: 1.0.try_into()?,
            overrun_factor: 10.0.try_into()?,
            overruns: 5,
            arm_stale_s: 0.1.try_into()?,
            arm_deaf_s: 0.2.try_into()?,
            arm_lost_s: 0.5.try_into()?,
        })
    }

    /// What ends a run and what switches torque off, for whoever stands beside the hand; of an arm only where there is one.
    #[must_use]
    pub fn in_words(&self, has_arm: bool) -> String {
        let of_arm = |text: String| if has_arm { text } else { String::new() };
        let unheard = of_arm(format!(
            "; an arm unheard for {} s, or deaf for {} s",
            self.arm_stale_s.get(),
            self.arm_deaf_s.get()
        ));
        let lost = of_arm(format!("; an arm unheard for {} s", self.arm_lost_s.get()));
        format!(
            "a run ends:    a servo silent for {} s; {} bad cycles of 50; an object unseen for {} s; a chunk {} s late; the learner \
             silent for {} s; a command {} s old{unheard}. After {} s of such a hold the hand parks\n\
             less current:  {} K below a servo's limit of temperature, a warning {} K below it\n\
             torque off:    a servo silent for {} s, or {} K below its limit of temperature; a supply outside {} to {} V; more than \
             {} reboots of a servo; {} periods in a row {} times too long{lost}\n",
            self.joint_stale_s.get(),
            self.bad_cycles,
            self.observation_lost_s.get(),
            self.chunk_late_s.get(),
            self.learner_lost_s.get(),
            self.command_stale_s.get(),
            self.park_after_s.get(),
            self.hot_below_limit_k.get(),
            self.warm_below_limit_k.get(),
            self.joint_lost_s.get(),
            self.off_below_limit_k.get(),
            self.lowest_voltage_v.get(),
            self.highest_voltage_v.get(),
            self.max_reboots,
            self.overruns,
            self.overrun_factor.get(),
        )
    }
}

/// What is known in a tick. Ages that are not numbers count as too old.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the driver knows; none as long as there is no driver.
    pub hand: Option<&'a HandStatus>,
    /// Age of the oldest tracked object's pose, s; none for a task without objects.
    pub observation_age_s: Option<f64>,
    /// How long the last action of a chunk has been kept, s; none while there is a newer one.
    pub chunk_late_s: Option<f64>,
    /// How long the learner has been silent, s; none when none takes part.
    pub learner_silence_s: Option<f64>,
    /// How long ago the body was last commanded, s; none before the first command of a run.
    pub command_age_s: Option<f64>,
    /// The arm; none when there is none.
    pub arm: Option<ArmFacts>,
    /// Time from the start of the last tick to that of this one, s.
    pub period_s: f64,
    /// What happened since the last tick.
    pub events: Causes,
}

/// What is known of the arm.
#[derive(Clone, Copy, Debug)]
pub struct ArmFacts {
    /// Age of its newest state, s; none before the first.
    pub age_s: Option<f64>,
    /// For how long its controller has not heard the setpoints that were sent, s.
    pub unheard_s: f64,
    /// Its controller follows setpoints.
    pub is_ready: bool,
    /// Its controller reports a fault.
    pub has_failed: bool,
}

/// The failsafe of one robot.
#[derive(Clone, Debug)]
pub struct Failsafe {
    watch: Watch,
    machine: Machine,
}

impl Failsafe {
    /// A failsafe for a robot with `n_servos`, whose loop has a period of `period_s`.
    #[must_use]
    pub fn new(config: FailsafeConfig, n_servos: usize, period_s: f64) -> Self {
        Self { watch: Watch::new(config, n_servos, period_s), machine: Machine::new(config.park_after_s.get()) }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.machine.state()
    }

    /// Takes one tick at `now_s`, on a clock that never goes back. Does not allocate.
    pub fn tick(&mut self, facts: &Facts<'_>, order: Option<Order>, now_s: f64) -> Decision {
        if order == Some(Order::Reset) && self.state().is_latched() {
            self.watch.forgive();
        }
        let (causes, repairs) = self.watch.causes(facts, now_s);
        let is_connected = facts.hand.is_some_and(|hand| hand.transport_lost.is_none());
        let decision = self.machine.step(Input { is_connected, causes, order, repairs, now_s });
        self.watch.note(&decision, now_s);
        decision
    }
}
