//! What a policy weighs before it acts, for whoever wants to see it: all candidates, not only the one that is carried out.
//!
//! The log-likelihood is that of raw actions x at temperature 1, as in [`crate::Policy::demonstration_nll`], over the D = H d
//! values of the chunk: `(ln p(u) - sum ln |da/du| + H sum_j ln |da_j/dx_j|) / D`.

use crate::layers::Track;
use crate::policy_net::Draw;
use crate::squash::{action_log_prob, squash};
use crate::{LearnError, Policy};
use bridge::random::Rng;

/// One decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Deliberation {
    /// The candidate chunks: whole actions one after the other, rad.
    pub candidates_rad: Vec<Vec<f32>>,
    /// What the critics expect of each: discounted reward from here on.
    pub values: Vec<f32>,
    /// Index of the candidate that is carried out.
    pub chosen_idx: usize,
    /// How likely the policy finds it, nats per value of a raw action; none without a density.
    pub log_likelihood_per_value: Option<f64>,
}

impl Policy {
    /// Decides as [`crate::Actor::plan`] does, with the same random numbers and the same choice, and tells everything about it.
    ///
    /// # Errors
    /// When a tensor cannot be computed.
    pub fn deliberate(&self, state: &[f32], rng: &mut Rng) -> Result<Deliberation, LearnError> {
        let header = self.header();
        let observation = self.seen(state)?;
        let Draw { u, log_prob } = self.candidates(&observation, rng)?;
        let chunks = squash(&u)?;
        let chosen_idx = self.choose(&observation, &u, log_prob.as_ref(), &chunks)?;
        let values = self.critic().value(&observation, &chunks, Track::Frozen)?.to_vec1()?;
        let log_likelihood_per_value = if header.policy.has_density() {
            let chosen = u.narrow(0, chosen_idx, 1)?;
            let embedding = self.net().embed(&observation, Track::Frozen)?;
            let log_prob = action_log_prob(&self.net().log_prob(&embedding, &chosen, Track::Frozen)?, &chosen)?;
            let log_prob: f32 = log_prob.get(0)?.to_scalar()?;
            let raw = f64::from(log_prob) + header.chunk_len as f64 * header.normalizer.action_log_det();
            Some(raw / header.chunk_dim() as f64)
        } else {
            None
        };
        let candidates_rad = chunks.to_vec2::<f32>()?.iter().map(|chunk| self.chunk_rad(chunk)).collect();
        Ok(Deliberation { candidates_rad, values, chosen_idx, log_likelihood_per_value })
    }
}
