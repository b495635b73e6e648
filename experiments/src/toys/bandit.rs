//! A bandit whose arm is a whole chunk: two ways are right, what lies between them is wrong.
//!
//! A chunk is H actions (x, y), carried out open loop in *one* step of the environment, so that nothing but whole chunks is
//! learned from: D = 2 H numbers, and the learner's `chunk_len` is 1.
//!
//! ```text
//! demonstration:  x_h = s m + e,  y_h = l + e,   s = +-1 with equal odds, once a chunk,   e ~ N(0, std^2)
//! blend:          x_h = b + e,    y_h = l + e,   b ~ U(-(m - t), m - t)                   on neither side
//! right:          all |x_h - m| < t and |y_h - l| < t;   left: the same with -m
//! ```
//! With dequantization noise of `q` in units of the action the demonstrated law is known: v = std^2 + q^2,
//!
//! ```text
//! its entropy, which no policy's NLL can fall below        ln 2 + H ln(2 pi e v)                  nats
//! NLL of the best diagonal Gaussian                        H/2 ln(2 pi e (m^2 + v)) + H/2 ln(2 pi e v)
//! ```
//! as long as the modes do not overlap (m >> sqrt v): -23.91 and -4.95 for H = 10, m = .5, std = q = .05. A perfect policy
//! hits a mode with probability erf(t / sqrt(2 v))^D = .911 at temperature 1 for t = .2; a diagonal Gaussian practically never.

use super::Toy;
use bridge::Judgement;
use bridge::number::{Finite, Positive, UnitInterval};
use bridge::random::Rng;
use rand::Rng as _;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// The bandit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandit {
    /// H: pairs (x, y) in the chunk.
    pub n_pairs: NonZeroUsize,
    /// m: where x is in the right mode; in the left one it is -m.
    pub mode: Positive,
    /// l: where y is in both modes.
    pub level: Finite,
    /// Standard deviation of every demonstrated number.
    pub std: Positive,
    /// t: how far every number may be from its mode, below m.
    pub tolerance: Positive,
    /// Reward of the left mode.
    pub left_reward: Finite,
    /// Reward of the right mode.
    pub right_reward: Finite,
    /// Share of the demonstrations that are blends. They fail, so they are not imitated, but the critic learns from them.
    pub blended_share: UnitInterval,
}

/// Which mode was hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hit {
    /// None, or nothing has been done yet.
    #[default]
    Neither,
    /// x near -m.
    Left,
    /// x near m.
    Right,
}

impl Bandit {
    fn hit(&self, action: &[f32]) -> Hit {
        let is_near = |x: f32, target: f64| (f64::from(x) - target).abs() < self.tolerance.get();
        let is_in =
            |mode: f64| action.chunks_exact(2).all(|pair| is_near(pair[0], mode) && is_near(pair[1], self.level.get()));
        if is_in(self.mode.get()) {
            Hit::Right
        } else if is_in(-self.mode.get()) {
            Hit::Left
        } else {
            Hit::Neither
        }
    }
}

impl Toy for Bandit {
    type State = Hit;

    const NAME: &'static str = "bandit";
    const SCALARS: &'static [&'static str] = &["left", "right"];

    /// A constant: networks want something to see.
    fn observation_len(&self) -> usize {
        1
    }

    fn action_len(&self) -> usize {
        2 * self.n_pairs.get()
    }

    fn horizon_steps(&self) -> u32 {
        1
    }

    fn start(&self, _rng: &mut Rng) -> Hit {
        Hit::Neither
    }

    fn observe(&self, _state: &Hit, observation: &mut [f32]) {
        observation.fill(0.0);
    }

    fn act(&self, state: &mut Hit, action: &[f32]) -> Judgement {
        *state = self.hit(action);
        let reward = match state {
            Hit::Neither => 0.0,
            Hit::Left => self.left_reward.get(),
            Hit::Right => self.right_reward.get(),
        };
        Judgement { reward, terminated: true }
    }

    fn result(&self, state: &Hit) -> (bool, Vec<f64>) {
        let is = |hit: Hit| f64::from(u8::from(*state == hit));
        (*state != Hit::Neither, vec![is(Hit::Left), is(Hit::Right)])
    }

    fn demonstrate(&self, _observation: &[f32], rng: &mut Rng, plan: &mut Vec<f32>) {
        let between = (self.mode.get() - self.tolerance.get()).max(0.0);
        let x = if rng.random_bool(self.blended_share.get()) {
            between * rng.random_range(-1.0..=1.0)
        } else if rng.random_bool(0.5) {
            self.mode.get()
        } else {
            -self.mode.get()
        };
        for _ in 0..self.n_pairs.get() {
            for center in [x, self.level.get()] {
                plan.push((center + self.std.get() * rng.sample::<f64, _>(StandardNormal)) as f32);
            }
        }
    }
}
