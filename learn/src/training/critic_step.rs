//! The critic: the loss of every member against the label of
//!
//! `y = R + gamma^L (1 - d) Qbar(o_{t+L}, a')`, a' one chunk of the current policy at the acting temperature, or the best of
//! several by Q, Qbar the value of the ensemble's target networks, or of a random subset of them; what Q reads of a chunk, and L, are
//! those of [`crate::critic::Backup`].
//!
//! With ReBRAC's penalty, Qbar is `Qbar(o_{t+L}, a') - penalty mean (a' - a'_R)^2`, a'_R what the replay holds there.

use super::{Metrics, Stage, Trainer};
use crate::LearnError;
use crate::chunk::Chunks;
use crate::layers::Track;
use crate::replay::ChunkBatch;
use crate::shards::{self, Gradient};
use crate::squash::squash;
use bridge::random::Rng;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

impl Trainer {
    pub(super) fn critic_step(
        &mut self,
        stage: Stage,
        step: u64,
        rng: &mut Rng,
        metrics: &mut Metrics,
    ) -> Result<(), LearnError> {
        let n = self.batch.n_rows;
        let targets = self.targets(&self.batch, rng)?;
        let target_mean = targets.iter().map(|&y| f64::from(y)).sum::<f64>() / n as f64;
        let labels = self.critic.labels(&targets)?;
        let observations = self.rows(&self.batch.observations, n, 0..n)?;
        let actions = self.rows(&self.batch.chunks, n, 0..n)?;
        let chunks = Chunks { actions: &actions, n_valid: Some(&self.batch.n_valid) };
        // One member a task: their gradients have nothing in common, so the order in which tasks end does not matter.
        let gradients: Vec<Gradient> = (0..self.critic.n_members())
            .into_par_iter()
            .map(|member| self.critic.gradient(member, &observations, chunks, &labels.values))
            .collect::<Result<_, _>>()?;

        let rate = self.config.critic_learning_rate.get();
        let (mut loss, mut norm) = (0.0, 0.0);
        for ((critic, optimizer), gradient) in
            self.critic.members().iter().zip(&mut self.critic_optimizers).zip(&gradients)
        {
            let report = optimizer
                .step(critic.params(), &gradient.flat, rate)
                .map_err(|source| LearnError::Update { stage: stage.name(), step, source })?;
            loss += gradient.loss;
            norm += report.gradient_norm;
        }
        self.target_critic.polyak_from(&self.critic, self.config.polyak.f32())?;
        let n_members = gradients.len() as f64;
        metrics.extend([
            ("critic_loss", loss / n_members),
            ("critic_gradient_norm", norm / n_members),
            ("target_mean", target_mean),
            ("target_clamped", labels.clamped_share),
        ]);
        Ok(())
    }

    /// The targets y of a batch, n.
    pub(super) fn targets(&self, batch: &ChunkBatch, rng: &mut Rng) -> Result<Vec<f32>, LearnError> {
        let n = batch.n_rows;
        let temperature = self.config.acting.temperature.f32();
        let candidates: Vec<Vec<f32>> = (0..self.config.critic.target_candidates.get())
            .map(|_| self.actor.base_noise(n, temperature, rng))
            .collect();
        let members = self.target_critic.target_members(rng);
        let penalty = self.config.critic.behavior_penalty.get() * self.q_range();
        let n_read = self.config.critic.backup.n_actions(self.config.chunk_len) * self.environment.action_len;
        let values = shards::map(n, |range| -> candle_core::Result<Vec<f32>> {
            let observations = self.rows(&batch.next_observations, n, range.clone())?;
            let u = match &candidates[..] {
                [z] => {
                    let embedding = self.actor.embed(&observations, Track::Frozen)?;
                    self.actor.chunks(&embedding, &self.rows(z, n, range.clone())?, Track::Frozen)?
                }
                several => self.best_candidates(&observations, several, n, range.clone())?.0,
            };
            let chunks = squash(&u)?;
            let values = self.target_critic.value_of_members(&members, &observations, &chunks, Track::Frozen)?;
            let mut values = values.to_vec1::<f32>()?;
            if penalty > 0.0 {
                let width = self.chunk_dim();
                let own = chunks.flatten_all()?.to_vec1::<f32>()?;
                let own = own.chunks_exact(width);
                let replayed = batch.next_chunks[range.start * width..].chunks_exact(width);
                for (((value, own), replayed), &n_next) in
                    values.iter_mut().zip(own).zip(replayed).zip(&batch.n_next[range])
                {
                    // Padding is no plan: it would teach to stop.
                    let n_compared = n_read.min(n_next * self.environment.action_len);
                    if n_compared > 0 {
                        *value -= (penalty * mean_square(&own[..n_compared], &replayed[..n_compared])) as f32;
                    }
                }
            }
            Ok(values)
        })?;
        Ok(batch.targets(&values.concat()))
    }
}

/// Mean of the squared differences.
fn mean_square(left: &[f32], right: &[f32]) -> f64 {
    let squares = left.iter().zip(right).map(|(&left, &right)| f64::from(left - right).powi(2));
    squares.sum::<f64>() / left.len() as f64
}
