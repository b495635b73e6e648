//! Chunks that are worth imitating, drawn for a step of the actor.

use super::Trainer;
use crate::layers::Track;
use crate::replay::{ChunkBatch, Replay, gather_mixed};
use bridge::random::Rng;
use candle_core::{Result as TensorResult, Tensor};
use std::ops::Range;

/// Demonstrated chunks and base noise for own ones.
pub(super) struct Drawn {
    pub(super) demonstrated: Demonstrated,
    pub(super) z: Vec<f32>,
}

/// Demonstrated or replayed chunks, with all the noise that their imitation loss needs.
pub(super) struct Demonstrated {
    pub(super) n_rows: usize,
    pub(super) observations: Vec<f32>,
    pub(super) u: Vec<f32>,
    pub(super) noise: Vec<f32>,
}

impl Trainer {
    /// As many demonstrated chunks as the batch has rows, unsquashed with dequantization noise.
    pub(super) fn draw_demonstrated(&mut self, rng: &mut Rng) -> Demonstrated {
        self.draw_worth_imitating(0, rng)
    }

    /// The same with the last `n_own` of them from successful own episodes, of which there is one then.
    pub(super) fn draw_worth_imitating(&mut self, n_own: usize, rng: &mut Rng) -> Demonstrated {
        self.starts.clear();
        let n_offline = self.batch.n_rows - n_own;
        Replay::draw(self.offline.imitable_starts(), n_offline, rng, &mut self.starts);
        Replay::draw(self.online.imitable_starts(), n_own, rng, &mut self.starts);
        let mut batch = ChunkBatch::default();
        let (offline, own) = self.starts.split_at(n_offline);
        gather_mixed((&self.offline, offline), (&self.online, own), &mut batch);
        let u = super::unsquashed(&batch.chunks, self.config.dequantization.f32(), rng);
        let noise = self.actor.imitation_noise(batch.n_rows, rng);
        Demonstrated { n_rows: batch.n_rows, observations: batch.observations, u, noise }
    }

    /// The imitation loss of rows of `demonstrated`, `[r]`.
    pub(super) fn imitation_loss(
        &self,
        demonstrated: &Demonstrated,
        range: Range<usize>,
        track: Track,
    ) -> TensorResult<Tensor> {
        let part = |values: &[f32]| self.rows(values, demonstrated.n_rows, range.clone());
        let embedding = self.actor.embed(&part(&demonstrated.observations)?, track)?;
        self.actor.imitation_loss(&embedding, &part(&demonstrated.u)?, &part(&demonstrated.noise)?, track)
    }

    /// What A0 to A2 need: demonstrated chunks, and base noise for own ones.
    pub(super) fn draw(&mut self, rng: &mut Rng) -> Drawn {
        let demonstrated = self.draw_demonstrated(rng);
        Drawn { demonstrated, z: self.actor.improved_noise(self.batch.n_rows, rng) }
    }
}
