//! What happens to a command between the policy and a joint: it arrives late, the joint has play, and the tendon hangs through.
//!
//! Play is lost motion: the target that the joint is held at follows the motor once the motor has crossed the play, and is held
//! as stiffly as ever. Slack is lost force: a tendon that hangs through does not pull. With e = goal - q,
//!
//! ```text
//! torque = 0                                          |e| < slack      neither stiffness nor damping of the motor is felt
//!        = k (e - slack sign e) - d dq/dt             else
//! ```
//! Holding the joint where it is while |e| < slack would be another thing: a solver that looks a step ahead pulls it back to
//! where it was, and the motor's damping brakes it. So the motor is switched off.

use crate::engine::PHYSICS_HZ;
use bridge::number::{NonNegative, UnitInterval};
use bridge::random::Rng;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// What is not taut and not steady between commands and joints. Nothing is unless a domain says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transmission {
    /// How far a tendon hangs through: within this to either side of its motor's goal a joint is loose, rad. 0 (tensioned) to
    /// 0.03; 2 to 5 degrees are published for play and slack together.
    pub slack_rad: NonNegative,
    /// Half width of the uniform distribution that every episode draws its slack from, relative: tendons are tensioned by hand.
    pub slack_jitter: UnitInterval,
    /// Half width of the one that every joint draws its play from, relative; anew every [`PLAY_LASTS_S`], as knots and
    /// spools settle.
    pub backlash_jitter: UnitInterval,
    /// Half width of the one that every command draws its delay from, s; 0 to the delay itself. A command that is overtaken
    /// is lost, as on a bus where the newest goal counts.
    pub delay_jitter_s: NonNegative,
}

/// How long a joint has the play that it drew, s.
pub const PLAY_LASTS_S: u32 = 1;
/// Physics steps between two draws of the delay: the time of a command, 1/60 s.
const STEPS_PER_DELAY: u64 = 4;

/// Hands out commands some physics steps after they were pushed.
#[derive(Clone, Debug)]
pub(crate) struct CommandDelay {
    /// Fewest and most steps.
    steps: RangeInclusive<usize>,
    /// Commands that are under way, the newest last.
    under_way: VecDeque<Vec<f32>>,
    /// What the newest draw says.
    drawn_steps: usize,
    /// How long ago the command was sent that arrived last.
    age_steps: usize,
    n_pushed: u64,
    rng: Rng,
}

impl CommandDelay {
    /// A delay of `delay_s`, `jitter_s` more or less, as `rng` draws; its line is filled with `first`.
    pub(crate) fn new(delay_s: NonNegative, jitter_s: NonNegative, first: &[f32], rng: Rng) -> Self {
        let steps_of = |time_s: f64| (time_s.max(0.0) * f64::from(PHYSICS_HZ)).round() as usize;
        let (delay_s, jitter_s) = (delay_s.get(), jitter_s.get());
        let (fewest, most) = (steps_of(delay_s - jitter_s), steps_of(delay_s + jitter_s));
        let under_way = std::iter::repeat_n(first.to_vec(), most + 1).collect();
        Self { steps: fewest..=most, under_way, drawn_steps: most, age_steps: most, n_pushed: 0, rng }
    }

    /// Sends `command` and returns what has arrived: nothing older than what had arrived before.
    pub(crate) fn push(&mut self, command: &[f32]) -> &[f32] {
        let most = *self.steps.end();
        self.under_way.rotate_left(1);
        self.under_way[most].copy_from_slice(command);
        if self.n_pushed.is_multiple_of(STEPS_PER_DELAY) {
            self.drawn_steps = self.rng.random_range(self.steps.clone());
        }
        self.n_pushed += 1;
        self.age_steps = self.drawn_steps.min(self.age_steps + 1);
        &self.under_way[most - self.age_steps]
    }
}

/// The play of every joint.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    width_rad: f64,
    jitter: f64,
    half_rad: Vec<f32>,
    n_steps: u32,
    rng: Rng,
}

impl Play {
    /// Play of `width_rad`, a share of up to `jitter` more or less, as `rng` draws.
    pub(crate) fn new(width_rad: NonNegative, jitter: UnitInterval, n_joints: usize, rng: Rng) -> Self {
        Self { width_rad: width_rad.get(), jitter: jitter.get(), half_rad: vec![0.0; n_joints], n_steps: 0, rng }
    }

    /// Moves the targets that joints are held at as far as their motors move them in a physics step: not until a motor
    /// touches one of the ends of the play.
    pub(crate) fn follow(&mut self, joint_rad: &mut [f32], motor_rad: &[f32]) {
        if self.n_steps.is_multiple_of(PLAY_LASTS_S * PHYSICS_HZ) {
            for half_rad in &mut self.half_rad {
                let share = 1.0 + self.jitter * self.rng.random_range(-1.0..=1.0);
                *half_rad = 0.5 * (self.width_rad * share) as f32;
            }
        }
        self.n_steps = self.n_steps.wrapping_add(1);
        for ((joint, &motor), half) in joint_rad.iter_mut().zip(motor_rad).zip(&self.half_rad) {
            *joint = joint.clamp(motor - half, motor + half);
        }
    }
}

/// What slack takes of the way `error_rad` from a joint to its motor's goal, rad; none where it takes all of it, and the motor
/// is not felt.
pub(crate) fn taken_by_slack(error_rad: f32, slack_rad: f32) -> Option<f32> {
    if error_rad.abs() < slack_rad { None } else { Some(slack_rad.copysign(error_rad)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::random::stream;

    fn number(value: f64) -> NonNegative {
        NonNegative::try_from(value).unwrap()
    }

    /// Contract: without jitter a command arrives exactly the given number of steps later, and at once without delay.
    #[test]
    fn commands_arrive_late() {
        for n_steps in [0, 1, 5] {
            let delay_s = number(n_steps as f64 / f64::from(PHYSICS_HZ));
            let mut delay = CommandDelay::new(delay_s, number(0.0), &[-1.0], stream(1, "delay", 0));
            for step in 0..20usize {
                let expected = step.checked_sub(n_steps).map_or(-1.0, |sent| sent as f32);
                assert_eq!(delay.push(&[step as f32]), [expected], "delay {n_steps}, step {step}");
            }
        }
    }

    /// Contract: with jitter commands are between the least and the most delay late, are all of these sometimes, and never
    /// arrive after one that was sent later; the same seed gives the same arrivals.
    #[test]
    fn late_commands_are_not_overtaken() {
        let step_s = 1.0 / f64::from(PHYSICS_HZ);
        let arrivals = |seed| {
            let rng = stream(seed, "delay", 0);
            let mut delay = CommandDelay::new(number(5.0 * step_s), number(3.0 * step_s), &[0.0], rng);
            (0..2000).map(|step| delay.push(&[step as f32])[0]).collect::<Vec<f32>>()
        };
        let arrived = arrivals(1);
        assert!(arrived.windows(2).all(|pair| pair[0] <= pair[1]));
        let late: Vec<usize> = arrived.iter().enumerate().skip(8).map(|(step, &sent)| step - sent as usize).collect();
        assert_eq!((late.iter().min(), late.iter().max()), (Some(&2), Some(&8)));
        assert!((2..=8).all(|steps| late.contains(&steps)));
        assert_eq!(arrived, arrivals(1));
        assert_ne!(arrived, arrivals(2));
    }

    /// Contract: within the play nothing moves; reversing costs its whole width. With jitter the width stays within its
    /// bounds, differs from joint to joint, and is another a second later.
    #[test]
    fn play_is_lost_motion() {
        let steady = UnitInterval::try_from(0.0).unwrap();
        let mut play = Play::new(number(0.2), steady, 1, stream(1, "play", 0));
        let mut joint = [0.0];
        let mut move_motor = |to| {
            play.follow(&mut joint, &[to]);
            joint[0]
        };
        assert_eq!(move_motor(0.1), 0.0);
        assert_eq!(move_motor(1.1), 1.0);
        assert_eq!(move_motor(0.9), 1.0);
        assert_eq!(move_motor(0.4), 0.5);

        let jitter = UnitInterval::try_from(0.5).unwrap();
        let mut play = Play::new(number(0.2), jitter, 2, stream(1, "play", 0));
        let mut widths_rad = Vec::new();
        for _ in 0..20 {
            let mut joints_rad = [0.0; 2];
            for _ in 0..PLAY_LASTS_S * PHYSICS_HZ {
                play.follow(&mut joints_rad, &[1.0, 1.0]);
            }
            let width_rad = joints_rad.map(|joint| 2.0 * (1.0 - joint));
            assert!(width_rad.iter().all(|width| (0.0999..=0.3001).contains(width)), "{width_rad:?}");
            assert_ne!(width_rad[0], width_rad[1]);
            widths_rad.push(width_rad);
        }
        assert!(widths_rad.windows(2).all(|pair| pair[0] != pair[1]));
    }

    /// Contract: slack takes its width from either side, all of a shorter way, and nothing where there is none.
    #[test]
    fn slack_is_lost_force() {
        assert_eq!(taken_by_slack(0.05, 0.02), Some(0.02));
        assert_eq!(taken_by_slack(-0.05, 0.02), Some(-0.02));
        assert_eq!(taken_by_slack(0.01, 0.02), None);
        assert_eq!(taken_by_slack(0.0, 0.0), Some(0.0));
        assert_eq!(taken_by_slack(-0.05, 0.0), Some(0.0));
    }
}
