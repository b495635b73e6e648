//! Stage 4: own episodes come in, snapshots are deployed.

use super::{Position, Published, Stage, Trainer, rows};
use crate::chunk::Chunks;
use crate::gate::{self, Evidence, Returns, Trial, Verdict};
use crate::layers::Track;
use crate::policy_net::PolicyNet;
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
    /// The policy that collects: the challenger if there is one, else the deployed policy.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn acting(&mut self) -> Result<&Policy, LearnError> {
        if self.deployed.is_none() {
            self.deployed = Some(self.publish(format!("{}-{}", Stage::Offline.name(), self.config.offline_steps))?);
        }
        match self.challenger.as_ref().or(self.deployed.as_ref()) {
            Some(acting) => Ok(&acting.policy),
            None => Err(LearnError::NoData { wanted: "a policy that may act" }),
        }
    }

    /// Takes the episodes that the acting policy collected for [`super::Work::Collect`]. Returns how a challenger did.
    ///
    /// # Errors
    /// When no episodes are due, or one of them is not one.
    pub fn accept(&mut self, episodes: &[Episode]) -> Result<Option<Trial>, LearnError> {
        let Position::Collect { .. } = self.position else {
            return Err(LearnError::NoData { wanted: "a gradient step, not episodes" });
        };
        for episode in episodes {
            episode.check()?;
            self.online.push(episode, &self.normalizer);
        }
        self.calibration_gap = self.calibration_gap(episodes.len())?;
        if let Some(acting) = self.challenger.as_mut().or(self.deployed.as_mut()) {
            episodes.iter().for_each(|episode| acting.returns.add(episode.label.outcome.total_reward));
        }
        let (_, step) = self.position.stage_and_step(&self.config);
        self.position = Position::Learn { stage: Stage::Online, step };
        Ok(self.end_trial())
    }

    /// Deploys or drops the challenger, if there is one.
    fn end_trial(&mut self) -> Option<Trial> {
        let challenger = self.challenger.take()?;
        let deployed = self.deployed.as_ref()?.returns.mean().unwrap_or(f64::NEG_INFINITY);
        let trial = Trial { challenger: challenger.returns.mean()?, deployed };
        if trial.is_won() {
            self.deployed = Some(challenger);
        }
        Some(trial)
    }

    /// Judges the newest snapshot.
    pub(super) fn end_iteration(&mut self, iteration: u64) -> Result<Verdict, LearnError> {
        let verdict = gate::judge(self.config.online.gate, self.evidence(iteration)?);
        let name = format!("online-{}", iteration + 1);
        match verdict {
            Verdict::Deployed => self.deployed = Some(self.publish(name)?),
            Verdict::Challenger => self.challenger = Some(self.publish(name)?),
            Verdict::TooFar(_) | Verdict::Uncalibrated(_) | Verdict::LooksWorse(_) => {}
        }
        Ok(verdict)
    }

    fn publish(&self, name: String) -> Result<Published, LearnError> {
        Ok(Published { policy: self.snapshot(name)?, returns: Returns::default() })
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
        let z = self.average.base_noise(n, self.config.acting.temperature.f32(), &mut rng);
        let z = rows(&z, n, 0..n)?;

        let value = |net: &dyn PolicyNet| -> Result<f64, LearnError> {
            let own = net.sample(&net.embed(&observations, Track::Frozen)?, &z, Track::Frozen)?;
            mean(&self.target_critic.value(&observations, &squash(&own.u)?, Track::Frozen)?)
        };
        let deployed_value = self.deployed.as_ref().map(|deployed| value(deployed.policy.net())).transpose()?;
        let value = value(self.average.as_ref())?;
        let kl = self.kl_to_imitation(self.average.as_ref(), &observations, &mut rng)?;
        Ok(Evidence {
            nats_per_dim: kl.map(|kl| kl / self.chunk_dim() as f64),
            calibration_gap: self.calibration_gap,
            value_gain: deployed_value.map_or(0.0, |deployed| (value - deployed) / self.q_range()),
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
        let (observations, actions) = (rows(&batch.observations, n, 0..n)?, rows(&batch.chunks, n, 0..n)?);
        let chunks = Chunks { actions: &actions, n_valid: Some(&batch.n_valid) };
        let predicted = mean(&self.critic.value(&observations, chunks, Track::Frozen)?)?;
        let realised = returns.iter().sum::<f64>() / n as f64;
        Ok((predicted - realised) / self.q_range())
    }
}

fn mean(values: &Tensor) -> Result<f64, LearnError> {
    let values = values.to_vec1::<f32>()?;
    Ok(values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len().max(1) as f64)
}
