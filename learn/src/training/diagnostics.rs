//! What a researcher looks at besides the losses. It changes nothing: not the weights, and not the randomness of the steps.
//!
//! | name | stages | meaning |
//! |---|---|---|
//! | `demo_nll_per_dim` | all | `-ln p(u|o) / D` of demonstrated chunks, nats; with a density |
//! | `max_log_scale`, `round_trip_error` | all | of a flow: how close it is to its bounds, and to losing its inverse |
//! | `observation_outliers` | all | how often the observed value that is it most often lies beyond 3 deviations of the demonstrations |
//! | `candidate_spread` | all | deviation of the candidates' actions of a state from their mean, root mean square, normalized |
//! | `q_spread` | from warmup on | standard deviation of the candidates' values of a state, units of reward |
//! | `q_predicted`, `return_realised` | from warmup on | of demonstrated chunks, or of the latest own ones: see [`super::online`] |
//! | `label_entropy` | from warmup on | of the critic's labels, nats; a histogram's |
//! | `gradient_norm_value`, `gradient_norm_held` | offline, online | of the two terms of A0 to A3 |
//!
//! The share of targets outside of the support, the KL to pi_0 and the gradients' whole norms are measured in every step.

use super::{Metrics, Stage, Trainer, mean, unsquashed};
use crate::critic::Head;
use crate::layers::Track;
use crate::objectives;
use crate::params::Params;
use crate::replay::{ChunkBatch, ChunkStart, Replay};
use crate::squash::{action_log_prob, squash};
use crate::{LearnError, Objective};
use bridge::random::{Rng, stream};
use candle_core::{Result as TensorResult, Tensor};

/// Rows that gradients, likelihoods and labels are measured on.
const N_ROWS: usize = 64;
/// States whose candidates are compared.
const N_STATES: usize = 32;
/// Candidates of each of them.
const N_CANDIDATES: usize = 8;
/// Demonstrations whose values are compared with their returns.
const N_DEMONSTRATIONS: usize = 32;
/// Standard deviations of the demonstrations from which on an observed value lies outside of them.
const OUTLYING: f32 = 3.0;

impl Trainer {
    /// Measures what the header of this module's file lists for `stage`, in which the last step was taken: at a stage's end
    /// the trainer stands at the start of the next.
    ///
    /// # Errors
    /// When a tensor cannot be computed.
    pub fn diagnose(&self, stage: Stage) -> Result<Metrics, LearnError> {
        let (_, step) = self.position.stage_and_step(&self.config);
        let mut rng = stream(self.seed, "diagnostics", step);
        let mut metrics = Metrics::new();
        let demonstrated = probe(&self.offline, self.offline.imitable_starts(), &mut rng);
        self.inspect_network(&demonstrated, &mut rng, &mut metrics)?;
        let (own, n_latest) = if self.online.starts().is_empty() {
            (&self.offline, N_DEMONSTRATIONS)
        } else {
            (&self.online, self.config.online.episodes_per_iteration)
        };
        let met = probe(own, own.starts(), &mut rng);
        metrics.push(("observation_outliers", outliers(&met)));
        self.compare_candidates(stage, &met, &mut rng, &mut metrics)?;
        if stage != Stage::Imitation {
            if let Some(calibration) = self.calibration(own, n_latest, self.average.as_ref(), &mut rng)? {
                metrics.extend([("q_predicted", calibration.predicted), ("return_realised", calibration.realised)]);
            }
            self.inspect_labels(&met, &mut rng, &mut metrics)?;
        }
        if matches!(stage, Stage::Offline | Stage::Online) {
            self.compare_terms(&met, &demonstrated, &mut rng, &mut metrics)?;
        }
        Ok(metrics)
    }

    fn inspect_network(&self, batch: &ChunkBatch, rng: &mut Rng, metrics: &mut Metrics) -> Result<(), LearnError> {
        let n = batch.n_rows;
        let u = unsquashed(&batch.chunks, self.config.dequantization.f32(), rng);
        let u = self.rows(&u, n, 0..n)?;
        let embedding = self.actor.embed(&self.rows(&batch.observations, n, 0..n)?, Track::Frozen)?;
        if self.config.policy.has_density() {
            let log_prob = mean(&self.actor.log_prob(&embedding, &u, Track::Frozen)?)?;
            metrics.push(("demo_nll_per_dim", -log_prob / self.chunk_dim() as f64));
        }
        metrics.extend(self.actor.inspect(&embedding, &u)?);
        Ok(())
    }

    fn compare_candidates(
        &self,
        stage: Stage,
        batch: &ChunkBatch,
        rng: &mut Rng,
        metrics: &mut Metrics,
    ) -> Result<(), LearnError> {
        let (n, width) = (N_STATES * N_CANDIDATES, self.config.state_len(&self.environment));
        let states = batch.observations.chunks_exact(width).take(N_STATES);
        let repeated: Vec<f32> =
            states.flat_map(|state| std::iter::repeat_n(state, N_CANDIDATES)).flatten().copied().collect();
        let observations = self.rows(&repeated, n, 0..n)?;
        let z = self.actor.base_noise(n, self.config.acting.temperature.f32(), rng);
        let embedding = self.actor.embed(&observations, Track::Frozen)?;
        let chunks = squash(&self.actor.chunks(&embedding, &self.rows(&z, n, 0..n)?, Track::Frozen)?)?;
        metrics.push(("candidate_spread", deviation(&chunks, N_CANDIDATES)?));
        if stage != Stage::Imitation {
            let q = self.critic.value(&observations, &chunks, Track::Frozen)?.reshape((n, 1))?;
            metrics.push(("q_spread", deviation(&q, N_CANDIDATES)?));
        }
        Ok(())
    }

    fn inspect_labels(&self, batch: &ChunkBatch, rng: &mut Rng, metrics: &mut Metrics) -> Result<(), LearnError> {
        if self.config.critic.head == Head::HlGauss {
            let labels = self.critic.labels(&self.targets(batch, rng)?)?.values.flatten_all()?.to_vec1::<f32>()?;
            let entropy: f64 = labels.into_iter().filter(|&p| p > 0.0).map(|p| -f64::from(p) * f64::from(p).ln()).sum();
            metrics.push(("label_entropy", entropy / batch.n_rows as f64));
        }
        Ok(())
    }

    /// Which of the two terms of the objective moves the actor: the value, or what holds it back.
    fn compare_terms(
        &self,
        met: &ChunkBatch,
        demonstrated: &ChunkBatch,
        rng: &mut Rng,
        metrics: &mut Metrics,
    ) -> Result<(), LearnError> {
        let n = met.n_rows;
        let observations = self.rows(&met.observations, n, 0..n)?;
        let z = self.actor.improved_noise(n, rng);
        let own = self.own_chunks(&observations, &self.rows(&z, n, 0..n)?, Track::Weights)?;
        let fixed_q = own.q.detach();
        let demo_loss = |rng: &mut Rng| -> Result<Tensor, LearnError> {
            let u = unsquashed(&demonstrated.chunks, self.config.dequantization.f32(), rng);
            let (u, noise) = (self.rows(&u, n, 0..n)?, self.actor.imitation_noise(n, rng));
            let embedding = self.actor.embed(&self.rows(&demonstrated.observations, n, 0..n)?, Track::Weights)?;
            Ok(self.actor.imitation_loss(&embedding, &u, &self.rows(&noise, n, 0..n)?, Track::Weights)?)
        };
        let mut q_scale = 1.0;
        let held = match self.config.objective {
            Objective::ReverseKl { .. } => {
                let reference = self.anchor.as_ref().unwrap_or(&self.reference);
                let embedding = reference.embed(&observations, Track::Frozen)?;
                let log_reference = reference.log_prob(&embedding, &own.u, Track::Frozen)?;
                objectives::reverse_kl(&fixed_q, own.log_pi()?, &log_reference, self.beta, n)?
            }
            Objective::DemoLikelihood { lambda } => {
                objectives::demo_likelihood(&fixed_q, &demo_loss(rng)?, lambda.get(), n)?
            }
            Objective::NormalizedDemoLikelihood { lambda } => {
                let demo_loss = demo_loss(rng)?;
                let scales = self.scales([mean(&fixed_q.abs()?)?, mean(&demo_loss.abs()?)?]);
                q_scale = scales[0];
                objectives::normalized_demo_likelihood(&fixed_q, &demo_loss, lambda.get(), scales, n)?
            }
            Objective::MaxEntropy { lambda, entropy, tuning } => {
                let log_pi_action = action_log_prob(own.log_pi()?, &own.u)?;
                let weights = [lambda.get(), self.entropy_weight(entropy.get(), tuning)];
                objectives::max_entropy(&fixed_q, &demo_loss(rng)?, &log_pi_action, weights, n)?
            }
            Objective::AdvantageWeighted { .. }
            | Objective::BestOfN { .. }
            | Objective::Imitation
            | Objective::SelfImitation => return Ok(()),
        };
        let value = (own.q.sum_all()? * (-1.0 / (q_scale * n as f64)))?;
        metrics.push(("gradient_norm_value", gradient_norm(&value, self.actor.params())?));
        metrics.push(("gradient_norm_held", gradient_norm(&held, self.actor.params())?));
        Ok(())
    }
}

/// Some chunks, drawn.
fn probe(replay: &Replay, among: &[ChunkStart], rng: &mut Rng) -> ChunkBatch {
    let (mut starts, mut batch) = (Vec::with_capacity(N_ROWS), ChunkBatch::default());
    Replay::draw(among, N_ROWS, rng, &mut starts);
    replay.gather(&starts, &mut batch);
    batch
}

/// Norm of the gradient of a scalar; weights that take no part in it count as zeros.
fn gradient_norm(loss: &Tensor, params: &Params) -> TensorResult<f64> {
    let gradients = loss.backward()?;
    let mut sum_of_squares = 0.0;
    for gradient in params.iter().filter_map(|(_, var)| gradients.get(var)) {
        sum_of_squares += squares(gradient.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from));
    }
    Ok(sum_of_squares.sqrt())
}

/// Root mean square of the deviations of `[n, D]` from the means of every `group` rows.
fn deviation(values: &Tensor, group: usize) -> TensorResult<f64> {
    let (n, width) = values.dims2()?;
    let grouped = values.reshape((n / group, group, width))?;
    let deviations = grouped.broadcast_sub(&grouped.mean_keepdim(1)?)?.flatten_all()?.to_vec1::<f32>()?;
    let n_free = (n - n / group) * width;
    Ok((squares(deviations.into_iter().map(f64::from)) / n_free as f64).sqrt())
}

fn squares(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum()
}

/// Share of the states in which the observed value that is an outlier most often is one: a sensor that tells something else
/// than in the demonstrations, or a value that hardly varies in them.
fn outliers(batch: &ChunkBatch) -> f64 {
    let n = batch.n_rows.max(1);
    let width = batch.observations.len() / n;
    let of_column = |column| batch.observations.iter().skip(column).step_by(width);
    let n_outliers = |column| of_column(column).filter(|value| value.abs() > OUTLYING).count();
    (0..width).map(n_outliers).max().unwrap_or(0) as f64 / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: the worst column counts, on either side of the mean.
    #[test]
    fn the_worst_sensor_is_seen() {
        let observations = vec![0.0, 4.0, -2.9, 3.1, -5.0, 0.0, 2.0, 1.0, 0.0, 2.0, -3.5, 0.0];
        let batch = ChunkBatch { n_rows: 4, observations, ..ChunkBatch::default() };
        assert_eq!(outliers(&batch), 0.75);
        assert_eq!(outliers(&ChunkBatch::default()), 0.0);
    }
}
