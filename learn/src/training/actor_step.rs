//! One step of the actor on the batch that the critic has just learned from. The objectives are in
//! [`crate::objectives`].

use super::{Metrics, Stage, Trainer, rows};
use crate::layers::Track;
use crate::objectives;
use crate::policy_net::PolicyNet;
use crate::replay::{ChunkBatch, Replay};
use crate::shards::{Gradient, ShardOutput, gradients};
use crate::squash::squash;
use crate::{LearnError, Objective};
use bridge::random::Rng;
use candle_core::{Result as TensorResult, Tensor, bail};
use std::ops::Range;

/// Objectives that do not need the KL to pi_0 measure it every so many steps, to show it.
const KL_EVERY: u64 = 20;
/// Name of that KL in the logs.
const KL: &str = "kl_to_imitation";
/// Name of the imitation loss of demonstrated chunks, per chunk.
const DEMO_LOSS: &str = "demo_loss";

impl Trainer {
    pub(super) fn actor_step(
        &mut self,
        stage: Stage,
        step: u64,
        rng: &mut Rng,
        metrics: &mut Metrics,
    ) -> Result<(), LearnError> {
        let gradient = match self.config.objective {
            Objective::ReverseKl { .. } => self.reverse_kl(rng)?,
            Objective::DemoLikelihood { lambda } => self.demo_likelihood(lambda.get(), rng)?,
            Objective::BestOfN { n, temperature, lambda } => self.best_of_n(n, temperature.f32(), lambda.get(), rng)?,
        };
        let norm = self.update_actor(&gradient, self.config.actor_learning_rate.get(), stage, step)?;
        let kept = self.config.actor_average_decay.f32();
        self.average.params().polyak_from(self.actor.params(), 1.0 - kept)?;
        metrics.push(("actor_gradient_norm", norm));
        metrics.extend(&gradient.metrics);

        let kl = gradient.metrics.iter().find(|(name, _)| *name == KL).map(|&(_, kl)| kl);
        if let (Objective::ReverseKl { target_nats_per_dim, dual_rate, .. }, Some(kl)) = (self.config.objective, kl) {
            metrics.push(("beta", self.beta));
            let target = target_nats_per_dim.get() * self.chunk_dim() as f64;
            self.beta = objectives::adapt_beta(self.beta, kl, target, dual_rate.get());
        } else if step.is_multiple_of(KL_EVERY) {
            let observations = rows(&self.batch.observations, self.batch.n_rows, 0..self.batch.n_rows)?;
            let kl = self.kl_to_imitation(self.actor.as_ref(), &observations, rng)?;
            metrics.extend(kl.map(|kl| (KL, kl)));
        }
        Ok(())
    }

    /// A3. Q and both densities come from one sampling pass and one frozen density pass.
    fn reverse_kl(&self, rng: &mut Rng) -> Result<Gradient, LearnError> {
        let (batch, n) = (&self.batch, self.batch.n_rows);
        let z = self.actor.base_noise(n, 1.0, rng);
        gradients(self.actor.params(), n, |range| {
            let observations = rows(&batch.observations, n, range.clone())?;
            let own = self.own_chunks(&observations, &rows(&z, n, range)?)?;
            let log_pi = own.log_pi()?;
            let embedding = self.reference.embed(&observations, Track::Frozen)?;
            let log_reference = self.reference.log_prob(&embedding, &own.u, Track::Frozen)?;
            let loss = objectives::reverse_kl(&own.q, log_pi, &log_reference, self.beta, n)?;
            let log_pi = mean_share(log_pi, n)?;
            let kl = log_pi - mean_share(&log_reference, n)?;
            let metrics = vec![("q_own", self.mean_value(&own.q, n)?), (KL, kl), ("log_pi_own", log_pi)];
            Ok(ShardOutput { loss, metrics })
        })
    }

    /// A0.
    fn demo_likelihood(&mut self, lambda: f64, rng: &mut Rng) -> Result<Gradient, LearnError> {
        let demonstrated = self.draw_demonstrated(rng);
        let (batch, n) = (&self.batch, self.batch.n_rows);
        let z = self.actor.base_noise(n, 1.0, rng);
        gradients(self.actor.params(), n, |range| {
            let observations = rows(&batch.observations, n, range.clone())?;
            let own = self.own_chunks(&observations, &rows(&z, n, range.clone())?)?;
            let demo_loss = self.imitation_loss(&demonstrated, range)?;
            let loss = objectives::demo_likelihood(&own.q, &demo_loss, lambda, n)?;
            let metrics = vec![("q_own", self.mean_value(&own.q, n)?), (DEMO_LOSS, mean_share(&demo_loss, n)?)];
            Ok(ShardOutput { loss, metrics })
        })
    }

    /// A5. Choosing among the candidates needs no gradient.
    fn best_of_n(
        &mut self,
        n_candidates: usize,
        temperature: f32,
        lambda: f64,
        rng: &mut Rng,
    ) -> Result<Gradient, LearnError> {
        let demonstrated = self.draw_demonstrated(rng);
        let (batch, n) = (&self.batch, self.batch.n_rows);
        let candidates: Vec<Vec<f32>> = (0..n_candidates).map(|_| self.actor.base_noise(n, temperature, rng)).collect();
        let noise = self.actor.imitation_noise(n, rng);
        gradients(self.actor.params(), n, |range| {
            let observations = rows(&batch.observations, n, range.clone())?;
            let (best, q_sum) = self.best_candidates(&observations, &candidates, range.clone())?;
            let embedding = self.actor.embed(&observations, Track::Weights)?;
            let noise = rows(&noise, n, range.clone())?;
            let best_loss = self.actor.imitation_loss(&embedding, &best, &noise, Track::Weights)?;
            let demo_loss = self.imitation_loss(&demonstrated, range)?;
            let loss = objectives::best_of_n(&best_loss, &demo_loss, lambda, n)?;
            let metrics = vec![("q_own", q_sum / n as f64), (DEMO_LOSS, mean_share(&demo_loss, n)?)];
            Ok(ShardOutput { loss, metrics })
        })
    }

    /// The candidates with the largest value, as u, and the sum of those values.
    fn best_candidates(
        &self,
        observations: &Tensor,
        candidates: &[Vec<f32>],
        range: Range<usize>,
    ) -> TensorResult<(Tensor, f64)> {
        let embedding = self.actor.embed(observations, Track::Frozen)?;
        let width = self.chunk_dim();
        let mut best_q = vec![f32::NEG_INFINITY; range.len()];
        let mut best_u = vec![0.0; range.len() * width];
        for z in candidates {
            let z = rows(z, self.batch.n_rows, range.clone())?;
            let u = self.actor.sample(&embedding, &z, Track::Frozen)?.u;
            let q = self.critic.q_min(observations, &squash(&u)?, Track::Frozen)?.to_vec1::<f32>()?;
            let u = u.flatten_all()?.to_vec1::<f32>()?;
            for (row, (&q, best)) in q.iter().zip(&mut best_q).enumerate() {
                if q > *best {
                    *best = q;
                    best_u[row * width..][..width].copy_from_slice(&u[row * width..][..width]);
                }
            }
        }
        let sum = best_q.iter().map(|&q| f64::from(q)).sum();
        Ok((Tensor::from_vec(best_u, (range.len(), width), observations.device())?, sum))
    }

    /// As many demonstrated chunks as the batch has rows, unsquashed with dequantization noise.
    fn draw_demonstrated(&mut self, rng: &mut Rng) -> Demonstrated {
        self.starts.clear();
        Replay::draw(&self.imitation_starts, self.batch.n_rows, rng, &mut self.starts);
        let mut batch = ChunkBatch::default();
        self.offline.gather(&self.starts, &mut batch);
        let u = super::imitation_step::unsquashed(&batch.chunks, self.config.dequantization.f32(), rng);
        let noise = self.actor.imitation_noise(batch.n_rows, rng);
        Demonstrated { n_rows: batch.n_rows, observations: batch.observations, u, noise }
    }

    /// The imitation loss of rows of `demonstrated`, `[r]`.
    fn imitation_loss(&self, demonstrated: &Demonstrated, range: Range<usize>) -> TensorResult<Tensor> {
        let part = |values: &[f32]| rows(values, demonstrated.n_rows, range.clone());
        let embedding = self.actor.embed(&part(&demonstrated.observations)?, Track::Weights)?;
        self.actor.imitation_loss(&embedding, &part(&demonstrated.u)?, &part(&demonstrated.noise)?, Track::Weights)
    }

    /// The policy's own chunks and their value, with gradients to the actor through both.
    fn own_chunks(&self, observations: &Tensor, z: &Tensor) -> TensorResult<OwnChunks> {
        let embedding = self.actor.embed(observations, Track::Weights)?;
        let sample = self.actor.sample(&embedding, z, Track::Weights)?;
        let q = self.critic.q_min(observations, &squash(&sample.u)?, Track::Frozen)?;
        Ok(OwnChunks { u: sample.u, log_pi: sample.log_prob, q: (q * (1.0 / self.q_range()))? })
    }

    /// Reverse KL of `net` to pi_0 on its own samples at temperature 1, nats per chunk; none without a density.
    pub(super) fn kl_to_imitation(
        &self,
        net: &dyn PolicyNet,
        observations: &Tensor,
        rng: &mut Rng,
    ) -> Result<Option<f64>, LearnError> {
        let n = observations.dim(0)?;
        let z = net.base_noise(n, 1.0, rng);
        let own = net.sample(&net.embed(observations, Track::Frozen)?, &rows(&z, n, 0..n)?, Track::Frozen)?;
        let Some(log_pi) = own.log_prob else { return Ok(None) };
        let embedding = self.reference.embed(observations, Track::Frozen)?;
        let log_reference = self.reference.log_prob(&embedding, &own.u, Track::Frozen)?;
        Ok(Some(mean_share(&(log_pi - log_reference)?, n)?))
    }

    /// Width of the critic's support: the unit of the objectives' weights.
    pub(super) fn q_range(&self) -> f64 {
        self.config.critic.support.range()
    }

    /// What the rows of a shard contribute to the batch's mean value, from values in Q ranges.
    fn mean_value(&self, q: &Tensor, n: usize) -> TensorResult<f64> {
        Ok(mean_share(q, n)? * self.q_range())
    }

    /// Steps along the gradient; returns its norm before clipping.
    pub(super) fn update_actor(
        &mut self,
        gradient: &Gradient,
        learning_rate: f64,
        stage: Stage,
        step: u64,
    ) -> Result<f64, LearnError> {
        let stage = stage.name();
        if !gradient.loss.is_finite() {
            return Err(LearnError::NonFinite {
                quantity: "the actor's loss".into(),
                value: gradient.loss,
                stage,
                step,
            });
        }
        let report = self
            .actor_optimizer
            .step(self.actor.params(), &gradient.flat, learning_rate)
            .map_err(|source| LearnError::Update { stage, step, source })?;
        Ok(report.gradient_norm)
    }
}

/// Demonstrated chunks with all the noise that their imitation loss needs.
struct Demonstrated {
    n_rows: usize,
    observations: Vec<f32>,
    u: Vec<f32>,
    noise: Vec<f32>,
}

/// Chunks that the policy sampled for the batch's observations.
struct OwnChunks {
    u: Tensor,
    log_pi: Option<Tensor>,
    /// In Q ranges.
    q: Tensor,
}

impl OwnChunks {
    fn log_pi(&self) -> TensorResult<&Tensor> {
        match &self.log_pi {
            Some(log_pi) => Ok(log_pi),
            None => bail!("the policy has no density"),
        }
    }
}

/// What the rows of a shard contribute to the mean over the `n` rows of the batch.
fn mean_share(values: &Tensor, n: usize) -> TensorResult<f64> {
    let sum: f64 = values.to_vec1::<f32>()?.into_iter().map(f64::from).sum();
    Ok(sum / n as f64)
}
