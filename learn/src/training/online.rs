//! Stage 4: own episodes come in, snapshots go live.

use super::{Live, Position, Stage, Trainer, rows};
use crate::flow::Flow;
use crate::gate::{self, Evidence, RealisedReturn, Verdict};
use crate::layers::Track;
use crate::noise::fill_normal;
use crate::replay::ChunkBatch;
use crate::squash::squash;
use crate::{LearnError, Policy};
use bridge::Episode;
use bridge::random::stream;
use candle_core::Tensor;

/// States that evidence is gathered on.
const N_EVIDENCE: usize = 512;
/// A return is taken as realised when less than this share of a later value could be missing.
const HIDDEN_SHARE: f64 = 0.1;

impl Trainer {
    /// The policy that collects.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn live(&mut self) -> Result<&Policy, LearnError> {
        if self.live.is_none() {
            self.live = Some(Live { policy: self.snapshot("offline".into())?, realised: None });
        }
        match &self.live {
            Some(live) => Ok(&live.policy),
            None => Err(LearnError::NoData { wanted: "a live policy" }),
        }
    }

    /// Takes the episodes that the live policy collected for [`super::Work::Collect`]. Returns whether they proved it
    /// worse than the one before, which then acts again.
    ///
    /// # Errors
    /// When no episodes are due, or one of them is not one.
    pub fn accept(&mut self, episodes: &[Episode]) -> Result<bool, LearnError> {
        let Position::Collect { .. } = self.position else {
            return Err(LearnError::NoData { wanted: "a gradient step, not episodes" });
        };
        for episode in episodes {
            episode.check()?;
            self.online.push(episode, &self.normalizer);
        }
        self.calibration_gap = self.calibration_gap(episodes.len())?;
        let returns: f64 = episodes.iter().map(|episode| episode.label.outcome.total_reward).sum();
        let realised = RealisedReturn { n_episodes: episodes.len(), mean: returns / episodes.len().max(1) as f64 };
        let (_, step) = self.position.stage_and_step(&self.config);
        self.position = Position::Learn { stage: Stage::Online, step };

        if let Some(live) = &mut self.live {
            live.realised = Some(realised);
        }
        let before = self.before.as_ref().and_then(|before| before.realised);
        let is_worse = before.is_some_and(|before| gate::has_proven_worse(self.config.online.gate, realised, before));
        if is_worse {
            self.live = self.before.take();
        }
        Ok(is_worse)
    }

    /// Judges the newest snapshot; if it goes live, the live policy is kept for the case that it proves worse.
    pub(super) fn end_iteration(&mut self, iteration: u64) -> Result<Verdict, LearnError> {
        let evidence = self.evidence(iteration)?;
        let verdict = gate::judge(self.config.online.gate, evidence);
        if verdict == Verdict::Live {
            let policy = self.snapshot(format!("online-{}", iteration + 1))?;
            let outgoing = self.live.replace(Live { policy, realised: None });
            // Two snapshots in a row without episodes between them leave the proven one in place.
            if outgoing.as_ref().is_some_and(|live| live.realised.is_some()) {
                self.before = outgoing;
            }
        }
        Ok(verdict)
    }

    /// What is known of the newest snapshot, on states of the latest episodes.
    fn evidence(&mut self, iteration: u64) -> Result<Evidence, LearnError> {
        let mut rng = stream(self.seed, "evidence", iteration);
        let per_iteration = self.config.online.episodes_per_iteration;
        let starts: Vec<_> =
            self.online.returns_to_go(per_iteration, f64::INFINITY).into_iter().map(|(s, _)| s).collect();
        let stride = starts.len().div_ceil(N_EVIDENCE).max(1);
        let starts: Vec<_> = starts.into_iter().step_by(stride).collect();
        let mut batch = ChunkBatch::default();
        self.online.gather(&starts, &mut batch);
        let n = batch.n_rows;
        let observations = rows(&batch.observations, n, 0..n)?;
        let mut z = vec![0.0; batch.chunks.len()];
        fill_normal(&mut rng, &mut z);
        let z = (rows(&z, n, 0..n)? * self.config.acting.temperature.get())?;

        let value = |flow: &Flow| -> Result<f64, LearnError> {
            let sample = flow.sample(&flow.embed(&observations, Track::Frozen)?, &z, Track::Frozen)?;
            mean(&self.critic.q_min(&observations, &squash(&sample.u)?, Track::Frozen)?)
        };
        let live_value = self.live.as_ref().map(|live| value(live.policy.flow())).transpose()?;
        let value = value(&self.actor)?;
        let kl = self.kl_to_imitation(&self.actor, &observations, &mut rng)?;
        Ok(Evidence {
            nats_per_dim: kl / self.chunk_dim() as f64,
            calibration_gap: self.calibration_gap,
            value_gain: live_value.map_or(0.0, |live| (value - live) / self.q_range()),
        })
    }

    /// Predicted minus realised value of the chunks of the last `n_episodes`, which nobody has learned from yet, in Q
    /// ranges.
    fn calibration_gap(&self, n_episodes: usize) -> Result<f64, LearnError> {
        let (starts, returns): (Vec<_>, Vec<f64>) =
            self.online.returns_to_go(n_episodes, HIDDEN_SHARE).into_iter().unzip();
        if starts.is_empty() {
            return Ok(0.0);
        }
        let mut batch = ChunkBatch::default();
        self.online.gather(&starts, &mut batch);
        let n = batch.n_rows;
        let (observations, chunks) = (rows(&batch.observations, n, 0..n)?, rows(&batch.chunks, n, 0..n)?);
        let predicted = mean(&self.critic.q_min(&observations, &chunks, Track::Frozen)?)?;
        let realised = returns.iter().sum::<f64>() / n as f64;
        Ok((predicted - realised) / self.q_range())
    }
}

fn mean(values: &Tensor) -> Result<f64, LearnError> {
    let values = values.to_vec1::<f32>()?;
    Ok(values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len().max(1) as f64)
}
