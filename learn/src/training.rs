//! The four stages of SOFT-FLOW as one machine that is told when episodes are in.
//!
//! | stage | actor | critic | data |
//! |---|---|---|---|
//! | imitation | imitation loss; its moving average becomes pi_0 | - | whole chunks of successful demonstrations |
//! | warmup | pi_0, frozen | TD on chunks | all demonstrations |
//! | offline | objective | TD on chunks | all demonstrations |
//! | online | objective | TD on chunks | demonstrations and own episodes |
//!
//! The machine knows no robot, file or clock: [`Trainer::work`] says what is to be done next, [`Trainer::learn`] takes
//! one gradient step, [`Trainer::accept`] takes the episodes that the acting policy collected. Randomness of step n of a
//! stage comes from a stream that (seed, stage, n) names, so nothing but counters has to be saved to go on bit for bit.

mod actor_step;
mod critic_step;
mod demonstrated;
mod diagnostics;
mod imitation_step;
mod online;
mod position;
mod state;

pub(crate) use imitation_step::unsquashed;
pub use position::{Position, Stage};
pub use state::TrainerState;

use crate::adamw::AdamW;
use crate::chunk::ChunkShape;
use crate::critic::ChunkCritic;
use crate::gate::{Returns, Verdict};
use crate::layers::Track;
use crate::policy::{Policy, PolicyHeader};
use crate::policy_net::PolicyNet;
use crate::replay::{ChunkBatch, ChunkStart, Replay, Window, gather_mixed};
use crate::squash::squash;
use crate::{Acting, ActionRange, Choice, LearnConfig, LearnError, Normalizer, Objective, Reference, shards};
use bridge::random::{Rng, stream};
use bridge::{EnvironmentSpec, Episode, EpisodeError, EpisodeLabel};
use candle_core::{Device, Tensor};
use rand::RngCore as _;
use std::ops::Range;

/// Demonstrations whose first state [`Trainer::start_value`] looks at.
const N_START_VALUES: usize = 64;

/// Names of a step's numbers and their values.
pub type Metrics = Vec<(&'static str, f64)>;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Call [`Trainer::learn`].
    Learn,
    /// Play an episode per seed with [`Trainer::acting`] and call [`Trainer::accept`].
    Collect {
        /// The iteration that they are for.
        iteration: u64,
        /// Seeds of the episodes.
        seeds: Vec<u64>,
    },
    /// Nothing.
    Finished,
}

/// What a gradient step led to.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The stage.
    pub stage: Stage,
    /// Gradient steps of the stage that are done, this one included.
    pub step: u64,
    /// What the step measured.
    pub metrics: Metrics,
    /// What ended with this step.
    pub boundary: Option<Boundary>,
}

/// Something ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Boundary {
    /// A stage.
    Stage(Stage),
    /// An iteration of the online stage; the last one also ends the stage.
    Iteration {
        /// Which.
        iteration: u64,
        /// What the gate decided on its snapshot.
        verdict: Verdict,
    },
}

/// Learns a policy in four stages.
#[derive(Debug)]
pub struct Trainer {
    config: LearnConfig,
    device: Device,
    seed: u64,
    environment: EnvironmentSpec,
    normalizer: Normalizer,
    imitation_acting: Acting,

    offline: Replay,
    imitation_openings: Vec<ChunkStart>,
    online: Replay,

    actor: Box<dyn PolicyNet>,
    actor_optimizer: AdamW,
    /// Moving average of the actor while it imitates; pi_0 from then on.
    reference: Box<dyn PolicyNet>,
    /// What the reverse KL of A3 is measured to, where that is not pi_0: a moving average of the actor.
    anchor: Option<Box<dyn PolicyNet>>,
    /// Moving average of the actor while it improves: what acts.
    average: Box<dyn PolicyNet>,
    critic: ChunkCritic,
    target_critic: ChunkCritic,
    critic_optimizers: Vec<AdamW>,
    /// Weight of the KL in A3, or of the entropy in A2 where that is tuned. Q ranges per nat.
    beta: f64,

    position: Position,
    deployed: Option<Published>,
    challenger: Option<Published>,
    calibration_gap: f64,
    batch: ChunkBatch,
    starts: Vec<ChunkStart>,
}

/// A policy that acts or has acted, and what its episodes returned.
#[derive(Debug)]
struct Published {
    policy: Policy,
    returns: Returns,
}

impl Trainer {
    /// A trainer at the start of imitation. The imitation policy acts by likelihood: without a critic, it carries out the
    /// likeliest of its candidates.
    ///
    /// # Errors
    /// When the configuration makes no sense or the demonstrations do not suffice.
    pub fn new(
        config: LearnConfig,
        environment: EnvironmentSpec,
        demonstrations: &[Episode],
        imitation_acting: impl Into<Acting>,
        seed: u64,
    ) -> Result<Self, LearnError> {
        config.check()?;
        let device = config.device.open()?;
        let imitation_acting = imitation_acting.into();
        Choice::Likelihood.check(imitation_acting.n_candidates, &config.policy)?;
        check_episodes(demonstrations, &environment)?;
        let mut normalizer = Normalizer::fit(demonstrations, config.sensor_noise.get(), config.action_margin.f32())?;
        if config.action_range == ActionRange::Limits {
            normalizer = normalizer.over_limits(&environment);
        }
        let backup = config.critic.backup;
        let LearnConfig { lead, chunk_len, .. } = config;
        let window = Window { lead, chunk_len, backup_len: backup.n_steps(chunk_len) };
        let empty = Replay::new(window, config.discount.get());
        let mut offline = empty.clone();
        demonstrations.iter().for_each(|episode| offline.push(episode, &normalizer));
        if offline.imitable_starts().is_empty() {
            return Err(LearnError::NoData { wanted: "a demonstration that survives for at least one chunk" });
        }
        let imitation_openings = offline.openings(offline.imitable_starts());
        let state_len = config.state_len(&environment);
        let chunk = ChunkShape { n_steps: chunk_len, action_len: environment.action_len };
        let read_by_critic = ChunkShape { n_steps: backup.n_actions(chunk_len), ..chunk };
        let mut actor = config.policy.build(state_len, chunk, seed, &device)?;
        actor.initialise(&imitation_step::statistics(&offline, offline.imitable_starts())?)?;
        let critic = ChunkCritic::new(config.critic, state_len, read_by_critic, seed, &device)?;
        let critic_optimizers =
            critic.members().iter().map(|critic| AdamW::new(config.optimizer, critic.params())).collect();
        let beta = match config.objective {
            Objective::ReverseKl { beta, .. } => beta.get(),
            Objective::MaxEntropy { entropy, tuning: Some(_), .. } => entropy.get(),
            _ => 0.0,
        };
        let has_anchor = matches!(config.objective, Objective::ReverseKl { reference: Reference::Average { .. }, .. });
        Ok(Self {
            seed,
            environment,
            normalizer,
            imitation_acting,
            online: empty,
            offline,
            imitation_openings,
            actor_optimizer: AdamW::new(config.optimizer, actor.params()),
            reference: actor.deep_clone()?,
            anchor: has_anchor.then(|| actor.deep_clone()).transpose()?,
            average: actor.deep_clone()?,
            actor,
            target_critic: critic.deep_clone()?,
            critic_optimizers,
            critic,
            beta,
            position: Position::START.settle(&config),
            deployed: None,
            challenger: None,
            calibration_gap: 0.0,
            batch: ChunkBatch::default(),
            starts: Vec::new(),
            config,
            device,
        })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &LearnConfig {
        &self.config
    }

    /// Where the training stands.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// What is to be done next.
    #[must_use]
    pub fn work(&self) -> Work {
        match self.position {
            Position::Learn { .. } => Work::Learn,
            Position::Finished => Work::Finished,
            Position::Collect { iteration } => Work::Collect { iteration, seeds: self.seeds_of(iteration) },
        }
    }

    /// Seeds of the episodes that will be asked for once the current iteration of the online stage is learned from. A body that
    /// waits for nobody plays them meanwhile: with [`Trainer::acting`] of before, and as soon as these steps are taken with that of
    /// then. None where no episodes come next.
    #[must_use]
    pub fn seeds_ahead(&self) -> Option<Vec<u64>> {
        let Position::Learn { stage: Stage::Online, .. } = self.position else { return None };
        let next = self.position.iteration(&self.config) + 1;
        (next < self.config.online.iterations).then(|| self.seeds_of(next))
    }

    fn seeds_of(&self, iteration: u64) -> Vec<u64> {
        let n = self.config.online.episodes_per_iteration as u64;
        (iteration * n..(iteration + 1) * n).map(|index| episode_seed(self.seed, index)).collect()
    }

    /// Takes one gradient step of the current stage.
    ///
    /// # Errors
    /// When a number is not finite, or when there is nothing to learn. What went wrong within a step leaves half of it done:
    /// the trainer can only be loaded again.
    pub fn learn(&mut self) -> Result<StepReport, LearnError> {
        let Position::Learn { stage, step } = self.position else {
            return Err(LearnError::NoData { wanted: "episodes of the acting policy" });
        };
        let mut rng = stream(self.seed, stage.name(), step);
        let critic_only = self.position.is_critic_only(&self.config);
        let mut metrics = Metrics::new();
        if stage == Stage::Imitation {
            self.imitation_step(step, &mut rng, &mut metrics)?;
        } else {
            let n_critic_steps = if critic_only { 1 } else { self.config.critic_steps_per_actor_step };
            for _ in 0..n_critic_steps {
                self.draw_batch(stage, &mut rng);
                self.critic_step(stage, step, &mut rng, &mut metrics)?;
            }
            if n_critic_steps == 0 {
                self.draw_batch(stage, &mut rng);
            }
            if !critic_only {
                self.actor_step(stage, step, &mut rng, &mut metrics)?;
            }
        }
        let iteration = self.position.iteration(&self.config);
        self.position = Position::Learn { stage, step: step + 1 }.settle(&self.config);
        let boundary = self.end_of(stage, iteration)?;
        Ok(StepReport { stage, step: step + 1, metrics, boundary })
    }

    /// The policy to deploy now: pi_0 alone while it is imitated, with the critic's choice from the warm-up on, what the
    /// gate deployed online.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn policy(&self) -> Result<Policy, LearnError> {
        if let Some(deployed) = &self.deployed {
            return deployed.policy.deep_clone();
        }
        // Before its first step a critic would choose by chance; the optimisers were made anew when imitation ended.
        let mut optimizers = self.critic_optimizers.iter().chain([&self.actor_optimizer]);
        match self.position.stage_and_step(&self.config) {
            (Stage::Imitation, _) => self.imitation_policy(),
            _ if optimizers.all(|optimizer| optimizer.n_steps() == 0) => self.imitation_policy(),
            (Stage::Online, 0) => self.snapshot(self.offline_name()),
            (stage, step) => self.snapshot(format!("{}-{step}", stage.name())),
        }
    }

    /// Name of the snapshot that the online stage begins with.
    fn offline_name(&self) -> String {
        format!("{}-{}", Stage::Offline.name(), self.config.offline_steps)
    }

    /// The frozen imitation policy pi_0: no critic, the likeliest candidate.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn imitation_policy(&self) -> Result<Policy, LearnError> {
        self.policy_of(self.reference.as_ref(), "imitation".into(), self.imitation_acting, Choice::Likelihood)
    }

    /// Q of a chunk of the actor's own at the first state of each demonstration, mean over the first of them: what the critic
    /// now thinks that an episode is worth.
    ///
    /// # Errors
    /// When a tensor cannot be computed.
    pub fn start_value(&self) -> Result<f64, LearnError> {
        let mut batch = ChunkBatch::default();
        self.offline.gather(&self.offline.first_starts(N_START_VALUES), &mut batch);
        let n = batch.n_rows;
        let mut rng = stream(self.seed, "start value", 0);
        let z = self.rows(&self.actor.base_noise(n, self.config.acting.temperature.f32(), &mut rng), n, 0..n)?;
        let observations = self.rows(&batch.observations, n, 0..n)?;
        let u = self.actor.chunks(&self.actor.embed(&observations, Track::Frozen)?, &z, Track::Frozen)?;
        Ok(mean(&self.critic.value(&observations, &squash(&u)?, Track::Frozen)?)?)
    }

    /// The learner's newest average of the actor, and its critic, as a policy.
    fn snapshot(&self, name: String) -> Result<Policy, LearnError> {
        self.policy_of(self.average.as_ref(), name, self.config.acting, Choice::Value)
    }

    fn policy_of(
        &self,
        net: &dyn PolicyNet,
        name: String,
        acting: Acting,
        choice: Choice,
    ) -> Result<Policy, LearnError> {
        let n_frozen = if choice == Choice::Value { self.config.online.frozen_candidates } else { 0 };
        let header = PolicyHeader {
            name,
            environment: self.environment.clone(),
            chunk_len: self.config.chunk_len,
            lead: self.config.lead,
            normalizer: self.normalizer.clone(),
            policy: self.config.policy,
            critic: self.config.critic,
            acting,
            n_frozen,
            choice,
        };
        // Wherever it was learned, a policy acts on the CPU: for one state at a time that is the faster place.
        let frozen = (n_frozen > 0).then(|| self.reference.clone_on(&Device::Cpu)).transpose()?;
        let (net, critic) = (net.clone_on(&Device::Cpu)?, self.target_critic.clone_on(&Device::Cpu)?);
        Ok(Policy::new(header, net, frozen, critic))
    }

    /// What ended, if anything, now that the position has moved on.
    fn end_of(&mut self, stage: Stage, iteration: u64) -> Result<Option<Boundary>, LearnError> {
        match (stage, self.position) {
            (Stage::Imitation, Position::Learn { stage: Stage::Imitation, .. }) => Ok(None),
            (Stage::Imitation, _) => {
                // From here on the average is both: the policy to improve and the one to stay close to.
                self.actor.params().copy_from(self.reference.params())?;
                self.average.params().copy_from(self.reference.params())?;
                if let Some(anchor) = &self.anchor {
                    anchor.params().copy_from(self.reference.params())?;
                }
                self.actor_optimizer = AdamW::new(self.config.optimizer, self.actor.params());
                Ok(Some(Boundary::Stage(stage)))
            }
            (Stage::Online, Position::Learn { .. }) => Ok(None),
            (Stage::Online, _) => {
                let verdict = self.end_iteration(iteration)?;
                Ok(Some(Boundary::Iteration { iteration, verdict }))
            }
            (_, Position::Learn { stage: now, .. }) if now == stage => Ok(None),
            _ => Ok(Some(Boundary::Stage(stage))),
        }
    }

    /// Fills the batch: demonstrations alone, or mixed with own episodes online.
    fn draw_batch(&mut self, stage: Stage, rng: &mut Rng) {
        let (n, online) = (self.config.batch_size, &self.config.online);
        let (online_starts, successes) = (self.online.starts(), self.online.success_starts());
        let n_offline = if stage == Stage::Online && !online_starts.is_empty() { self.n_offline(n) } else { n };
        let n_own = n - n_offline;
        let n_successes =
            if successes.is_empty() { 0 } else { (n_own as f64 * online.success_share.get()).round() as usize };
        self.starts.clear();
        Replay::draw(self.offline.starts(), n_offline, rng, &mut self.starts);
        Replay::draw(successes, n_successes, rng, &mut self.starts);
        Replay::draw(online_starts, n_own - n_successes, rng, &mut self.starts);
        let (offline_rows, online_rows) = self.starts.split_at(n_offline);
        gather_mixed((&self.offline, offline_rows), (&self.online, online_rows), &mut self.batch);
    }

    /// How many of `n` rows online are demonstrated.
    fn n_offline(&self, n: usize) -> usize {
        (n as f64 * self.config.online.offline_share.get()).round() as usize
    }

    const fn chunk_shape(&self) -> ChunkShape {
        ChunkShape { n_steps: self.config.chunk_len, action_len: self.environment.action_len }
    }

    const fn chunk_dim(&self) -> usize {
        self.chunk_shape().dim()
    }

    /// Rows `range` of the matrix `values` with `n_rows` rows, as a tensor where the networks are.
    fn rows(&self, values: &[f32], n_rows: usize, range: Range<usize>) -> candle_core::Result<Tensor> {
        shards::rows(values, n_rows, range, &self.device)
    }
}

/// Looks at all episodes before any is learned from: each has to be one, of this environment.
fn check_episodes(episodes: &[Episode], environment: &EnvironmentSpec) -> Result<(), LearnError> {
    for episode in episodes {
        let EpisodeLabel { observation_len, action_len, .. } = episode.label;
        let sizes = [
            ("an observation", observation_len, environment.observation_len),
            ("an action", action_len, environment.action_len),
        ];
        if let Some((quantity, found, expected)) = sizes.into_iter().find(|(_, found, expected)| found != expected) {
            return Err(EpisodeError::WrongLength { quantity, found, expected }.into());
        }
        episode.check()?;
    }
    Ok(())
}

/// Seed of the `index`-th own episode of the run with `seed`. Evaluation seeds are small numbers; these have their
/// highest bit set.
#[must_use]
pub fn episode_seed(seed: u64, index: u64) -> u64 {
    stream(seed, "collect", index).next_u64() | (1 << 63)
}

/// Mean of `[r]`.
fn mean(values: &Tensor) -> candle_core::Result<f64> {
    let values = values.to_vec1::<f32>()?;
    Ok(values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len().max(1) as f64)
}
