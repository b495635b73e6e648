//! A corridor of L places with one reward at its end: how fast does a critic carry a value back?
//!
//! ```text
//! place p = 0 .. L - 1, start at 0;   p <- p + 1 if a > 0, else p stays
//! reward 1 and the end of the episode where p reaches L, else 0
//! ```
//! The demonstrator always walks, so the value of the start is `gamma^(L - 1)`. A target over n steps carries a value n
//! places back: with a table, step size alpha and Polyak rate tau, the start learns of the reward after about
//! `(L / n) (1 / tau + 1 / alpha)` updates. Every place has an observed value of its own (1 there, 0 elsewhere), so that
//! networks cannot guess far places from near ones.

use super::Toy;
use bridge::Judgement;
use bridge::random::Rng;
use rand::Rng as _;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The action of the demonstrator, and the standard deviation of its noise.
const WALK: f32 = 0.5;
const WALK_NOISE: f32 = 0.05;

/// The chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// L: places.
    pub n_places: NonZeroU32,
}

impl Toy for Chain {
    /// The place; L at the end.
    type State = u32;

    const NAME: &'static str = "chain";
    const SCALARS: &'static [&'static str] = &[];

    fn observation_len(&self) -> usize {
        self.n_places.get() as usize
    }

    fn action_len(&self) -> usize {
        1
    }

    /// Twice what the demonstrator needs.
    fn horizon_steps(&self) -> u32 {
        self.n_places.get().saturating_mul(2)
    }

    fn start(&self, _rng: &mut Rng) -> u32 {
        0
    }

    fn observe(&self, place: &u32, observation: &mut [f32]) {
        observation.fill(0.0);
        if let Some(here) = observation.get_mut(*place as usize) {
            *here = 1.0;
        }
    }

    fn act(&self, place: &mut u32, action: &[f32]) -> Judgement {
        *place += u32::from(action.iter().any(|&a| a > 0.0));
        let terminated = *place >= self.n_places.get();
        Judgement { reward: f64::from(u8::from(terminated)), terminated }
    }

    fn result(&self, place: &u32) -> (bool, Vec<f64>) {
        (*place >= self.n_places.get(), Vec::new())
    }

    fn demonstrate(&self, _observation: &[f32], rng: &mut Rng, plan: &mut Vec<f32>) {
        plan.extend((0..self.n_places.get()).map(|_| WALK + WALK_NOISE * rng.sample::<f32, _>(StandardNormal)));
    }
}
