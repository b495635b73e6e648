//! One step of the actor on the batch that the critic has just learned from. The objectives are in
//! [`crate::objectives`].

use super::demonstrated::{Demonstrated, Drawn};
use super::{Metrics, Stage, Trainer};
use crate::chunk::Chunks;
use crate::layers::Track;
use crate::objectives;
use crate::policy_net::PolicyNet;
use crate::shards::{self, Gradient, ShardOutput, gradients};
use crate::squash::{action_log_prob, squash};
use crate::{EntropyTuning, LearnError, Objective, Reference};
use bridge::random::Rng;
use candle_core::{Result as TensorResult, Tensor, bail};
use std::ops::Range;

/// Objectives that do not need the KL to pi_0 measure it every so many steps, to show it.
const KL_EVERY: u64 = 20;
/// Name of that KL in the logs.
const KL: &str = "kl_to_imitation";
/// Name of the KL to the reference of A3, where that is not pi_0.
const KL_TO_ANCHOR: &str = "kl_to_reference";
/// Name of the imitation loss of demonstrated chunks, per chunk.
const DEMO_LOSS: &str = "demo_loss";
/// Name of the entropy of own normalized chunks, nats.
const ENTROPY: &str = "entropy_own";
/// A1 divides by no smaller value than this, Q ranges: early values are near zero.
const MIN_Q: f64 = 0.1;
/// A1 divides by no smaller imitation loss than this per dimension of the chunk: a likelihood may cross zero.
const MIN_LOSS_PER_DIM: f64 = 0.1;

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
            Objective::NormalizedDemoLikelihood { lambda } => self.normalized_demo_likelihood(lambda.get(), rng)?,
            Objective::MaxEntropy { lambda, entropy, tuning } => {
                let entropy = self.entropy_weight(entropy.get(), tuning);
                self.max_entropy([lambda.get(), entropy], rng)?
            }
            Objective::AdvantageWeighted { n, scale, max_weight } => {
                self.advantage_weighted(n, [scale.get(), max_weight.get()], rng)?
            }
            Objective::BestOfN { n, temperature, lambda } => self.best_of_n(n, temperature.f32(), lambda.get(), rng)?,
            Objective::Imitation => self.imitation(0, rng)?,
            Objective::SelfImitation => {
                let n = self.batch.n_rows;
                let has_own = stage == Stage::Online && !self.online.imitable_starts().is_empty();
                self.imitation(if has_own { n - self.n_offline(n) } else { 0 }, rng)?
            }
        };
        let norm = self.update_actor(&gradient, self.actor_learning_rate(stage, step), stage, step)?;
        let kept = self.config.actor_average_decay.f32();
        self.average.params().polyak_from(self.actor.params(), 1.0 - kept)?;
        metrics.push(("actor_gradient_norm", norm));
        metrics.extend(&gradient.metrics);

        if let Objective::ReverseKl { target_nats_per_dim, dual_rate, reference, .. } = self.config.objective {
            metrics.push(("beta", self.beta));
            let kl = metric(&gradient, KL).unwrap_or(f64::NAN);
            let target = target_nats_per_dim.get() * self.chunk_dim() as f64;
            let held = metric(&gradient, KL_TO_ANCHOR).unwrap_or(kl);
            self.beta = objectives::adapt_beta(self.beta, held, target, dual_rate.get());
            self.move_anchor(reference, kl / self.chunk_dim() as f64)?;
        } else if step.is_multiple_of(KL_EVERY) {
            let observations = self.rows(&self.batch.observations, self.batch.n_rows, 0..self.batch.n_rows)?;
            let kl = self.kl_to_imitation(self.actor.as_ref(), &observations, rng)?;
            metrics.extend(kl.map(|kl| (KL, kl)));
        }
        if let Objective::MaxEntropy { tuning: Some(tuning), .. } = self.config.objective {
            metrics.push(("entropy_weight", self.beta));
            let per_dim = metric(&gradient, ENTROPY).unwrap_or(f64::NAN) / self.chunk_dim() as f64;
            let missed = tuning.target_nats_per_dim.get() - per_dim;
            self.beta = objectives::adapt_weight(self.beta, missed, tuning.dual_rate.get());
        }
        Ok(())
    }

    /// Online it rises from zero again: the critic has just met other data.
    fn actor_learning_rate(&self, stage: Stage, step: u64) -> f64 {
        let (rate, online) = (self.config.actor_learning_rate.get(), &self.config.online);
        if stage != Stage::Online {
            return rate;
        }
        let n_actor_steps = step.saturating_sub(online.critic_first_steps) + 1;
        rate * (n_actor_steps as f64 / online.actor_ramp_steps.max(1) as f64).min(1.0)
    }

    /// The reference of A3 follows the actor while that is close enough to pi_0.
    fn move_anchor(&self, reference: Reference, nats_per_dim: f64) -> Result<(), LearnError> {
        if let (Some(anchor), Reference::Average { decay, max_nats_per_dim }) = (&self.anchor, reference)
            && nats_per_dim <= max_nats_per_dim.get()
        {
            anchor.params().polyak_from(self.actor.params(), 1.0 - decay.f32())?;
        }
        Ok(())
    }

    /// A3. Q and the densities come from one sampling pass and a frozen density pass for each policy to compare with.
    fn reverse_kl(&self, rng: &mut Rng) -> Result<Gradient, LearnError> {
        let (batch, n) = (&self.batch, self.batch.n_rows);
        let z = self.actor.improved_noise(n, rng);
        gradients(self.actor.params(), n, |range| {
            let observations = self.rows(&batch.observations, n, range.clone())?;
            let own = self.own_chunks(&observations, &self.rows(&z, n, range)?, Track::Weights)?;
            let log_of =
                |net: &dyn PolicyNet| net.log_prob(&net.embed(&observations, Track::Frozen)?, &own.u, Track::Frozen);
            let log_pi = own.log_pi()?;
            let log_imitation = log_of(self.reference.as_ref())?;
            let log_anchor = self.anchor.as_deref().map(log_of).transpose()?;
            let log_reference = log_anchor.as_ref().unwrap_or(&log_imitation);
            let loss = objectives::reverse_kl(&own.q, log_pi, log_reference, self.beta, n)?;

            let log_pi = mean_share(log_pi, n)?;
            let kl = log_pi - mean_share(&log_imitation, n)?;
            let mut metrics = vec![("q_own", self.mean_value(&own.q, n)?), (KL, kl), ("log_pi_own", log_pi)];
            if let Some(log_anchor) = &log_anchor {
                metrics.push((KL_TO_ANCHOR, log_pi - mean_share(log_anchor, n)?));
            }
            Ok(ShardOutput { loss, metrics })
        })
    }

    /// A0.
    fn demo_likelihood(&mut self, lambda: f64, rng: &mut Rng) -> Result<Gradient, LearnError> {
        let drawn = self.draw(rng);
        self.against_demonstrations(&drawn, |own, demo_loss, n| {
            objectives::demo_likelihood(&own.q, demo_loss, lambda, n)
        })
    }

    /// A1.
    fn normalized_demo_likelihood(&mut self, lambda: f64, rng: &mut Rng) -> Result<Gradient, LearnError> {
        let drawn = self.draw(rng);
        let scales = self.scales(self.magnitudes(&drawn)?);
        self.against_demonstrations(&drawn, |own, demo_loss, n| {
            objectives::normalized_demo_likelihood(&own.q, demo_loss, lambda, scales, n)
        })
    }

    /// What A1 divides by: the mean magnitudes of values and losses, unless they are too small.
    pub(super) fn scales(&self, [q, loss]: [f64; 2]) -> [f64; 2] {
        [q.max(MIN_Q), loss.max(MIN_LOSS_PER_DIM * self.chunk_dim() as f64)]
    }

    /// A2.
    fn max_entropy(&mut self, weights: [f64; 2], rng: &mut Rng) -> Result<Gradient, LearnError> {
        let drawn = self.draw(rng);
        self.against_demonstrations(&drawn, |own, demo_loss, n| {
            let log_pi_action = action_log_prob(own.log_pi()?, &own.u)?;
            objectives::max_entropy(&own.q, demo_loss, &log_pi_action, weights, n)
        })
    }

    /// The weight of the entropy in A2: `held`, unless it is tuned.
    pub(super) fn entropy_weight(&self, held: f64, tuning: Option<EntropyTuning>) -> f64 {
        tuning.map_or(held, |_| self.beta)
    }

    /// The gradient of an objective of own chunks on the batch's observations and of demonstrated chunks.
    fn against_demonstrations(
        &self,
        drawn: &Drawn,
        objective: impl Fn(&OwnChunks, &Tensor, usize) -> TensorResult<Tensor> + Sync,
    ) -> Result<Gradient, LearnError> {
        let n = self.batch.n_rows;
        gradients(self.actor.params(), n, |range| {
            let (own, demo_loss) = self.own_and_demo(drawn, range, Track::Weights)?;
            let loss = objective(&own, &demo_loss, n)?;
            let mut metrics = vec![("q_own", self.mean_value(&own.q, n)?), (DEMO_LOSS, mean_share(&demo_loss, n)?)];
            if self.config.objective.needs_density() {
                metrics.push((ENTROPY, -mean_share(&action_log_prob(own.log_pi()?, &own.u)?, n)?));
            }
            Ok(ShardOutput { loss, metrics })
        })
    }

    /// Mean magnitude of the own chunks' values, Q ranges, and of the demonstrated ones' imitation loss. They are those of
    /// the whole batch, so they come from a pass of their own.
    fn magnitudes(&self, drawn: &Drawn) -> Result<[f64; 2], LearnError> {
        let n = self.batch.n_rows;
        let parts = shards::map(n, |range| -> TensorResult<[f64; 2]> {
            let (own, demo_loss) = self.own_and_demo(drawn, range, Track::Frozen)?;
            Ok([mean_share(&own.q.abs()?, n)?, mean_share(&demo_loss.abs()?, n)?])
        })?;
        Ok(parts.into_iter().fold([0.0; 2], |[q, loss], [more_q, more_loss]| [q + more_q, loss + more_loss]))
    }

    fn own_and_demo(&self, drawn: &Drawn, range: Range<usize>, track: Track) -> TensorResult<(OwnChunks, Tensor)> {
        let n = self.batch.n_rows;
        let observations = self.rows(&self.batch.observations, n, range.clone())?;
        let own = self.own_chunks(&observations, &self.rows(&drawn.z, n, range.clone())?, track)?;
        Ok((own, self.imitation_loss(&drawn.demonstrated, range, track)?))
    }

    /// A4. The weights need no gradient.
    fn advantage_weighted(
        &self,
        n_own: usize,
        [scale, max_weight]: [f64; 2],
        rng: &mut Rng,
    ) -> Result<Gradient, LearnError> {
        let (batch, n) = (&self.batch, self.batch.n_rows);
        let u = super::unsquashed(&batch.chunks, self.config.dequantization.f32(), rng);
        let noise = self.actor.imitation_noise(n, rng);
        let replayed = Demonstrated { n_rows: n, observations: batch.observations.clone(), u, noise };
        let own: Vec<Vec<f32>> = (0..n_own).map(|_| self.actor.base_noise(n, 1.0, rng)).collect();
        gradients(self.actor.params(), n, |range| {
            let observations = self.rows(&batch.observations, n, range.clone())?;
            let actions = self.rows(&batch.chunks, n, range.clone())?;
            let chunks = Chunks { actions: &actions, n_valid: Some(&batch.n_valid[range.clone()]) };
            let q = self.critic.value(&observations, chunks, Track::Frozen)?.to_vec1::<f32>()?;
            let baseline = self.mean_own_value(&observations, &own, range.clone())?;
            let weights: Vec<f32> = q
                .iter()
                .zip(&baseline)
                .zip(&batch.is_whole[range.clone()])
                .map(|((&q, &baseline), &is_whole)| {
                    let advantage = (f64::from(q) - baseline) / self.q_range();
                    // Padding is no plan: it would teach to stop.
                    if is_whole { objectives::advantage_weight(advantage, scale, max_weight) as f32 } else { 0.0 }
                })
                .collect();
            let loss = self.imitation_loss(&replayed, range.clone(), Track::Weights)?;
            let mean_weight = weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() / n as f64;
            let weights = Tensor::from_vec(weights, range.len(), observations.device())?;
            let metrics = vec![("q_own", baseline.iter().sum::<f64>() / n as f64), ("mean_weight", mean_weight)];
            Ok(ShardOutput { loss: objectives::advantage_weighted(&loss, &weights, n)?, metrics })
        })
    }

    /// Mean value of the policy's own chunks for every observation.
    fn mean_own_value(
        &self,
        observations: &Tensor,
        noises: &[Vec<f32>],
        range: Range<usize>,
    ) -> TensorResult<Vec<f64>> {
        let embedding = self.actor.embed(observations, Track::Frozen)?;
        let mut mean = vec![0.0; range.len()];
        for noise in noises {
            let noise = self.rows(noise, self.batch.n_rows, range.clone())?;
            let u = self.actor.chunks(&embedding, &noise, Track::Frozen)?;
            let q = self.critic.value(observations, &squash(&u)?, Track::Frozen)?.to_vec1::<f32>()?;
            mean.iter_mut().zip(q).for_each(|(mean, q)| *mean += f64::from(q) / noises.len() as f64);
        }
        Ok(mean)
    }

    /// A6, with `n_own` of the chunks from own successes.
    fn imitation(&mut self, n_own: usize, rng: &mut Rng) -> Result<Gradient, LearnError> {
        let demonstrated = self.draw_worth_imitating(n_own, rng);
        let n = demonstrated.n_rows;
        gradients(self.actor.params(), n, |range| {
            let demo_loss = self.imitation_loss(&demonstrated, range, Track::Weights)?;
            let metrics = vec![(DEMO_LOSS, mean_share(&demo_loss, n)?)];
            Ok(ShardOutput { loss: objectives::imitation(&demo_loss, n)?, metrics })
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
            let observations = self.rows(&batch.observations, n, range.clone())?;
            let (best, q_sum) = self.best_candidates(&observations, &candidates, n, range.clone())?;
            let embedding = self.actor.embed(&observations, Track::Weights)?;
            let noise = self.rows(&noise, n, range.clone())?;
            let best_loss = self.actor.imitation_loss(&embedding, &best, &noise, Track::Weights)?;
            let demo_loss = self.imitation_loss(&demonstrated, range, Track::Weights)?;
            let loss = objectives::best_of_n(&best_loss, &demo_loss, lambda, n)?;
            let metrics = vec![("q_own", q_sum / n as f64), (DEMO_LOSS, mean_share(&demo_loss, n)?)];
            Ok(ShardOutput { loss, metrics })
        })
    }

    /// Of candidates by their base noise, `n` rows each, those with the largest value in the rows `range`, as u, and the sum of those
    /// values.
    pub(super) fn best_candidates(
        &self,
        observations: &Tensor,
        candidates: &[Vec<f32>],
        n: usize,
        range: Range<usize>,
    ) -> TensorResult<(Tensor, f64)> {
        let embedding = self.actor.embed(observations, Track::Frozen)?;
        let width = self.chunk_dim();
        let mut best_q = vec![f32::NEG_INFINITY; range.len()];
        let mut best_u = vec![0.0; range.len() * width];
        for z in candidates {
            let z = self.rows(z, n, range.clone())?;
            let u = self.actor.chunks(&embedding, &z, Track::Frozen)?;
            let q = self.critic.value(observations, &squash(&u)?, Track::Frozen)?.to_vec1::<f32>()?;
            let u = u.flatten_all()?.to_vec1::<f32>()?;
            for (row, (&q, best)) in q.iter().zip(&mut best_q).enumerate() {
                // A NaN is seen in what is made of it, not passed over.
                if q > *best || q.is_nan() {
                    *best = q;
                    best_u[row * width..][..width].copy_from_slice(&u[row * width..][..width]);
                }
            }
        }
        let sum = best_q.iter().map(|&q| f64::from(q)).sum();
        Ok((Tensor::from_vec(best_u, (range.len(), width), observations.device())?, sum))
    }

    /// The policy's own chunks and their value, with gradients to the chunks and, as `track` says, to the actor.
    pub(super) fn own_chunks(&self, observations: &Tensor, z: &Tensor, track: Track) -> TensorResult<OwnChunks> {
        let embedding = self.actor.embed(observations, track)?;
        let own = self.actor.sample(&embedding, z, track)?;
        let q = self.critic.value(observations, &squash(&own.u)?, Track::Frozen)?;
        Ok(OwnChunks { u: own.u, log_pi: own.log_prob, q: (q * (1.0 / self.q_range()))? })
    }

    /// Reverse KL of `net` to pi_0 on its own samples at temperature 1, nats per chunk; none without a density.
    pub(super) fn kl_to_imitation(
        &self,
        net: &dyn PolicyNet,
        observations: &Tensor,
        rng: &mut Rng,
    ) -> Result<Option<f64>, LearnError> {
        if !self.config.policy.has_density() {
            return Ok(None);
        }
        let n = observations.dim(0)?;
        let z = net.base_noise(n, 1.0, rng);
        let own = net.sample(&net.embed(observations, Track::Frozen)?, &self.rows(&z, n, 0..n)?, Track::Frozen)?;
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

/// Chunks that the policy sampled for the batch's observations.
pub(super) struct OwnChunks {
    pub(super) u: Tensor,
    log_pi: Option<Tensor>,
    /// In Q ranges.
    pub(super) q: Tensor,
}

impl OwnChunks {
    pub(super) fn log_pi(&self) -> TensorResult<&Tensor> {
        match &self.log_pi {
            Some(log_pi) => Ok(log_pi),
            None => bail!("the policy has no density"),
        }
    }
}

fn metric(gradient: &Gradient, name: &str) -> Option<f64> {
    gradient.metrics.iter().find(|(found, _)| *found == name).map(|&(_, value)| value)
}

/// What the rows of a shard contribute to the mean over the `n` rows of the batch.
fn mean_share(values: &Tensor, n: usize) -> TensorResult<f64> {
    let sum: f64 = values.to_vec1::<f32>()?.into_iter().map(f64::from).sum();
    Ok(sum / n as f64)
}
