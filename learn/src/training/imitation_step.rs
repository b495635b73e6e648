//! Stage 1: the policy network's imitation loss of demonstrated chunks, u = atanh(a + noise): `-E_D[log pi(u|o)]` where it
//! has a density.

use super::{Metrics, Stage, Trainer};
use crate::layers::Track;
use crate::replay::{ChunkBatch, ChunkStart, Replay, gather_mixed};
use crate::shards::{self, ShardOutput, gradients};
use crate::squash::unsquash;
use crate::{ImitationConfig, LearnError};
use bridge::random::Rng;
use candle_core::{Device, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;
use std::f64::consts::PI;

/// Chunks whose statistics a policy network starts at.
const N_STATISTICS: usize = 4096;

/// Actions with dequantization noise are clamped to this: |u| stays below 3.8.
const MAX_ACTION: f64 = 0.999;

/// Unsquashed chunks, evenly spread over the demonstrations: n x (H d).
pub(super) fn statistics(replay: &Replay, starts: &[ChunkStart]) -> candle_core::Result<Tensor> {
    let stride = starts.len().div_ceil(N_STATISTICS);
    let spread: Vec<ChunkStart> = starts.iter().step_by(stride).copied().collect();
    let mut batch = ChunkBatch::default();
    replay.gather(&spread, &mut batch);
    let unsquashed: Vec<f32> = batch.chunks.iter().map(|&a| unsquash(a, MAX_ACTION)).collect();
    shards::rows(&unsquashed, batch.n_rows, 0..batch.n_rows, &Device::Cpu)
}

impl Trainer {
    pub(super) fn imitation_step(&mut self, step: u64, rng: &mut Rng, metrics: &mut Metrics) -> Result<(), LearnError> {
        let n = self.config.batch_size;
        self.starts.clear();
        let n_openings = (n as f64 * self.config.imitation.opening_share.get()).round() as usize;
        Replay::draw(&self.imitation_openings, n_openings, rng, &mut self.starts);
        Replay::draw(self.offline.imitable_starts(), n - n_openings, rng, &mut self.starts);
        let empty = (&self.online, [].as_slice());
        gather_mixed((&self.offline, &self.starts), empty, &mut self.batch);
        let demonstrated = unsquashed(&self.batch.chunks, self.config.dequantization.f32(), rng);

        let noise = self.actor.imitation_noise(n, rng);
        let (batch, actor) = (&self.batch, &self.actor);
        let gradient = gradients(actor.params(), n, |range| -> Result<_, LearnError> {
            let observations = self.rows(&batch.observations, n, range.clone())?;
            let embedding = actor.embed(&observations, Track::Weights)?;
            let (u, noise) = (self.rows(&demonstrated, n, range.clone())?, self.rows(&noise, n, range)?);
            let loss = actor.imitation_loss(&embedding, &u, &noise, Track::Weights)?;
            Ok(ShardOutput { loss: (loss.sum_all()? * (1.0 / n as f64))?, metrics: Vec::new() })
        })?;
        let learning_rate = learning_rate(&self.config.imitation, step);
        let norm = self.update_actor(&gradient, learning_rate, Stage::Imitation, step)?;

        // A young average would remember the initial weights: its decay grows with its age.
        let age = step as f64;
        let decay = self.config.imitation.ema_decay.get().min((age + 1.0) / (age + 10.0));
        self.reference.params().polyak_from(self.actor.params(), (1.0 - decay) as f32)?;
        metrics.extend([
            ("imitation_loss", gradient.loss),
            ("imitation_loss_per_dim", gradient.loss / self.chunk_dim() as f64),
            ("actor_gradient_norm", norm),
            ("learning_rate", learning_rate),
        ]);
        Ok(())
    }
}

/// `atanh(a + noise)` of normalized actions, noise of standard deviation `std`.
pub(crate) fn unsquashed(actions: &[f32], std: f32, rng: &mut Rng) -> Vec<f32> {
    actions.iter().map(|&a| unsquash(a + std * rng.sample::<f32, _>(StandardNormal), MAX_ACTION)).collect()
}

/// A linear ramp, then a cosine down to the final rate.
fn learning_rate(config: &ImitationConfig, step: u64) -> f64 {
    let (first, last) = (config.learning_rate.get(), config.final_learning_rate.get());
    let share = step as f64 / config.steps as f64;
    let cosine = last + (first - last) * 0.5 * (1.0 + (PI * share).cos());
    cosine * ((step + 1) as f64 / config.ramp_steps.max(1) as f64).min(1.0)
}
