//! Stage 4: own episodes come in, snapshots are deployed.

use super::{Position, Published, Stage, Trainer, check_episodes, mean};
use crate::chunk::Chunks;
use crate::gate::{self, Evidence, Returns, Trial, Verdict};
use crate::layers::Track;
use crate::policy_net::PolicyNet;
use crate::replay::{ChunkBatch, Replay, ToGo};
use crate::squash::squash;
use crate::{LearnError, Policy};
use bridge::Episode;
use bridge::random::{Rng, stream};
use candle_core::{Result as TensorResult, Tensor};

/// States that evidence is gathered on.
const N_EVIDENCE: usize = 512;

impl Trainer {
    /// The policy that collects: the challenger if there is one, else the deployed policy.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn acting(&mut self) -> Result<&Policy, LearnError> {
        if self.deployed.is_none() {
            self.deployed = Some(self.publish(self.offline_name())?);
        }
        match self.challenger.as_ref().or(self.deployed.as_ref()) {
            Some(acting) => Ok(&acting.policy),
            None => Err(LearnError::NoData { wanted: "a policy that may act" }),
        }
    }

    /// Takes the episodes that were collected for [`super::Work::Collect`]. Their actors say whose returns they are: an episode
    /// in which more than one acted tells of none of them. Returns how a challenger did; one without an episode of its own goes on.
    ///
    /// # Errors
    /// When no episodes are due, or one of them is not one of this environment; then none is taken. When a tensor cannot be computed; then
    /// the trainer can only be loaded again.
    pub fn accept(&mut self, episodes: &[Episode]) -> Result<Option<Trial>, LearnError> {
        let Position::Collect { .. } = self.position else {
            return Err(LearnError::NoData { wanted: "a gradient step, not episodes" });
        };
        check_episodes(episodes, &self.environment)?;
        episodes.iter().for_each(|episode| self.online.push(episode, &self.normalizer));
        let (_, step) = self.position.stage_and_step(&self.config);
        if let Some(gap) = self.calibration_gap(episodes.len(), step)? {
            self.calibration_gap = gap;
        }
        for label in episodes.iter().map(|episode| &episode.label) {
            let mut published = self.challenger.iter_mut().chain(&mut self.deployed);
            if let Some(acting) = published.find(|published| published.policy.header().name == label.actor) {
                acting.returns.add(label.outcome.total_reward);
            }
        }
        self.position = Position::Learn { stage: Stage::Online, step };
        Ok(self.end_trial())
    }

    /// Deploys or drops the challenger, if there is one.
    fn end_trial(&mut self) -> Option<Trial> {
        let (challenger, deployed) = (self.challenger.as_ref()?.returns, self.deployed.as_ref()?.returns);
        let trial = Trial::new(self.config.online.gate, challenger, deployed)?;
        let challenger = self.challenger.take();
        if trial.is_won {
            self.deployed = challenger;
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
            Verdict::TooFar(_) | Verdict::Uncalibrated(_) | Verdict::LooksWorse(_) | Verdict::Unknown => {}
        }
        Ok(verdict)
    }

    fn publish(&self, name: String) -> Result<Published, LearnError> {
        Ok(Published { policy: self.snapshot(name)?, returns: Returns::default() })
    }

    /// What is known of the newest snapshot, on states of the latest episodes; of all own ones where these are too short for
    /// a chunk, and nothing where all are.
    fn evidence(&mut self, iteration: u64) -> Result<Option<Evidence>, LearnError> {
        let mut rng = stream(self.seed, "evidence", iteration);
        let states = |n_episodes: usize| evidence_states(&self.online, n_episodes);
        let latest = Some(states(self.config.online.episodes_per_iteration)).filter(|latest| !latest.is_empty());
        let starts: Vec<_> =
            latest.unwrap_or_else(|| states(self.online.n_episodes())).iter().map(|to_go| to_go.start).collect();
        if starts.is_empty() {
            return Ok(None);
        }
        let mut batch = ChunkBatch::default();
        self.online.gather(&starts, &mut batch);
        let n = batch.n_rows;
        let observations = self.rows(&batch.observations, n, 0..n)?;
        let z = self.average.base_noise(n, self.config.acting.temperature.f32(), &mut rng);
        let z = self.rows(&z, n, 0..n)?;

        let value = |net: &dyn PolicyNet| mean(&self.own_value(net, &observations, &z)?);
        let deployed =
            self.deployed.as_ref().map(|deployed| deployed.policy.net().clone_on(&self.device)).transpose()?;
        let deployed_value = deployed.as_deref().map(value).transpose()?;
        let value = value(self.average.as_ref())?;
        let kl = self.kl_to_imitation(self.average.as_ref(), &observations, &mut rng)?;
        Ok(Some(Evidence {
            nats_per_dim: kl.map(|kl| kl / self.chunk_dim() as f64),
            calibration_gap: self.calibration_gap,
            value_gain: deployed_value.map_or(0.0, |deployed| (value - deployed) / self.q_range()),
        }))
    }

    /// Predicted minus realised value of the chunks of the last `n_episodes`, which nobody has learned from yet, in Q
    /// ranges; none where they are too short for a chunk.
    fn calibration_gap(&self, n_episodes: usize, step: u64) -> Result<Option<f64>, LearnError> {
        let mut rng = stream(self.seed, "calibration", step);
        let calibration = self.calibration(&self.online, n_episodes, self.average.as_ref(), &mut rng)?;
        Ok(calibration.map(|calibration| (calibration.predicted - calibration.realised) / self.q_range()))
    }

    /// Compares values with returns on the last `n_episodes` of a replay. What a timeout hides is taken from the value that
    /// the last observation has under `net`.
    pub(super) fn calibration(
        &self,
        replay: &Replay,
        n_episodes: usize,
        net: &dyn PolicyNet,
        rng: &mut Rng,
    ) -> Result<Option<Calibration>, LearnError> {
        let to_go = evidence_states(replay, n_episodes);
        if to_go.is_empty() {
            return Ok(None);
        }
        let (mut batch, mut ends) = (ChunkBatch::default(), ChunkBatch::default());
        replay.gather(&to_go.iter().map(|to_go| to_go.start).collect::<Vec<_>>(), &mut batch);
        replay.gather(&to_go.iter().map(|to_go| to_go.last).collect::<Vec<_>>(), &mut ends);
        let n = batch.n_rows;
        let (observations, actions) = (self.rows(&batch.observations, n, 0..n)?, self.rows(&batch.chunks, n, 0..n)?);
        let chunks = Chunks { actions: &actions, n_valid: Some(&batch.n_valid) };
        let predicted = mean(&self.critic.value(&observations, chunks, Track::Frozen)?)?;

        let z = net.base_noise(n, self.config.acting.temperature.f32(), rng);
        let end_values =
            self.own_value(net, &self.rows(&ends.next_observations, n, 0..n)?, &self.rows(&z, n, 0..n)?)?;
        let realised = to_go
            .iter()
            .zip(end_values.to_vec1::<f32>()?)
            .map(|(to_go, end_value)| to_go.reward + to_go.continuation * f64::from(end_value))
            .sum::<f64>()
            / n as f64;
        Ok(Some(Calibration { predicted, realised }))
    }

    /// The target critic's value of the chunks that `net` makes of base noise `z`, `[n]`.
    fn own_value(&self, net: &dyn PolicyNet, observations: &Tensor, z: &Tensor) -> TensorResult<Tensor> {
        let u = net.chunks(&net.embed(observations, Track::Frozen)?, z, Track::Frozen)?;
        self.target_critic.value(observations, &squash(&u)?, Track::Frozen)
    }
}

/// What the critic says of chunks, and what came of them; means, discounted, in units of reward.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calibration {
    pub(super) predicted: f64,
    pub(super) realised: f64,
}

/// At most [`N_EVIDENCE`] starts of the last `n_episodes`, evenly spread.
fn evidence_states(replay: &Replay, n_episodes: usize) -> Vec<ToGo> {
    let all = replay.to_go(n_episodes);
    let stride = all.len().div_ceil(N_EVIDENCE).max(1);
    all.into_iter().step_by(stride).collect()
}
