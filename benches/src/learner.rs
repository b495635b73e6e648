//! The learner's steps on a fixed batch, through the functions that training calls and in its order.
//!
//! | step | what is computed and updated |
//! |---|---|
//! | `imitation_step` | `-E[ln p(u\|o)]`, AdamW on the flow, its moving average |
//! | `critic_step` | `y = R + c min_j Qbar_j(o', tanh f(z))`, labels, all critics' cross entropies, AdamW, target networks |
//! | `actor_step` | A3, `E[beta (ln p(u\|o) - ln p_0(u\|o)) - min_j Q_j(o, tanh u)]`, `u = f(z)`; AdamW, moving average |
//! | `act_best_of_n` | the best of N chunks for one observation by `min_j Q_j` |
//!
//! Drawing the batch and the noise is left out: both are fixed, so that an implementation in another framework can be
//! given the same ones ([`Learner::export`]) and must come to the same numbers ([`Report`]).

use crate::step::{BATCH, BINS, CANDIDATES, CRITIC_LAYERS, Size, Step};
use bridge::number::{NonNegative, NumberError, Positive};
use bridge::{random, storage};
use candle_core::{Device, Tensor};
use learn::adamw::{AdamW, AdamWConfig, AdamWError};
use learn::critic::{Backup, ChunkCritic, Combine, CriticConfig, CriticError, CriticNet, Head, TargetSubset};
use learn::flow::{Couplings, Flow, FlowConfig, FlowError, Partition};
use learn::hl_gauss::{Support, SupportError};
use learn::layers::Track;
use learn::params::{Params, ParamsError};
use learn::shards::{self, Gradient, GradientError, ShardOutput, gradients};
use learn::{noise, objectives, squash};
use rayon::prelude::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Values that a critic can express.
const VALUES: Range<f64> = -0.5..5.0;
/// Bound of a coupling's log-scale.
const S_MAX: f64 = 2.0;
/// Q ranges per nat, in A3.
const BETA: f64 = 0.002;
/// What a bootstrapped value is multiplied with.
const CONTINUATION: f32 = 0.9;
/// Share of the new weights in a moving average, and in a target network.
const AVERAGE_RATE: f32 = 0.01;
/// Scale of the base noise of what acts, and of the targets.
const TEMPERATURE: f32 = 0.7;
const WEIGHT_DECAY: f64 = 1e-4;
const MAX_GRADIENT_NORM: f64 = 1.0;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The loss before the update; of the critics their mean. Of a decision, the value of what was chosen.
    pub loss: f64,
    /// Norm of the gradient before it was clipped; of the critics their mean. Of a decision, the norm of the chunk.
    pub norm: f64,
}

/// A step could not be made.
#[derive(Debug, Error)]
pub enum StepError {
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A flow could not be made.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A critic could not be made.
    #[error(transparent)]
    Critic(#[from] CriticError),
    /// Parameters could not be changed or written.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A gradient could not be computed.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// The optimiser refused a step.
    #[error(transparent)]
    AdamW(#[from] AdamWError),
    /// A constant is out of its range.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// The range of values is not one.
    #[error(transparent)]
    Support(#[from] SupportError),
    /// A file could not be written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The numbers of the comparison could not be written down.
    #[error("settings: {0}")]
    Settings(#[from] serde_json::Error),
}

/// The networks of a training and a batch for them.
#[derive(Debug)]
pub struct Learner {
    size: Size,
    actor: Flow,
    reference: Flow,
    average: Flow,
    critic: ChunkCritic,
    target_critic: ChunkCritic,
    actor_optimizer: AdamW,
    critic_optimizers: Vec<AdamW>,
    batch: Batch,
}

/// What a step is given, row after row.
#[derive(Debug)]
struct Batch {
    observations: Vec<f32>,
    next_observations: Vec<f32>,
    u: Vec<f32>,
    actions: Vec<f32>,
    rewards: Vec<f32>,
    /// Base noise of the policy's own chunks.
    z: Vec<f32>,
    /// Tempered base noise of the targets' chunks.
    next_z: Vec<f32>,
    /// One observation, and the tempered base noise of the candidates.
    observation: Vec<f32>,
    candidate_z: Vec<f32>,
}

/// The numbers that another implementation needs besides the weights and the batch.
#[derive(Serialize)]
struct Settings {
    #[serde(flatten)]
    size: Size,
    batch: usize,
    candidates: usize,
    critic_layers: usize,
    bins: usize,
    v_min: f64,
    v_max: f64,
    s_max: f64,
    beta: f64,
    continuation: f32,
    average_rate: f32,
    weight_decay: f64,
    max_gradient_norm: f64,
    flop: BTreeMap<&'static str, u64>,
}

impl Learner {
    /// Networks with weights as after some training, and a batch; always the same ones.
    ///
    /// # Errors
    /// When a network of this size cannot be made.
    pub fn new(size: Size) -> Result<Self, StepError> {
        let optimizer = AdamWConfig {
            weight_decay: NonNegative::try_from(WEIGHT_DECAY)?,
            max_gradient_norm: Positive::try_from(MAX_GRADIENT_NORM)?,
        };
        let Size { observation, chunk, embedding, hidden, n_blocks, n_critics: ensemble, .. } = size;
        let (couplings, partition) = (Couplings::Mlp { hidden, embedding }, Partition::Complementary);
        let flow_config = FlowConfig { n_blocks, couplings, partition, s_max: Positive::try_from(S_MAX)? };
        let support = Support::new(VALUES.start, VALUES.end, BINS)?;
        let critic_config = CriticConfig {
            ensemble,
            net: CriticNet::Mlp { hidden, n_layers: CRITIC_LAYERS, layer_norm: true },
            support,
            head: Head::HlGauss,
            combine: Combine::Min,
            target_subset: TargetSubset::All,
            backup: Backup::Chunk,
            target_candidates: std::num::NonZeroUsize::MIN,
            behavior_penalty: NonNegative::try_from(0.0)?,
        };
        let actor = Flow::new(flow_config, observation, chunk, 1, &Device::Cpu)?;
        let critic = ChunkCritic::new(critic_config, observation, chunk, 2, &Device::Cpu)?;
        let (reference, target_critic) = (actor.clone_on(&Device::Cpu)?, critic.deep_clone()?);
        disturb(actor.params(), "actor", 0)?;
        disturb(reference.params(), "reference", 0)?;
        for (member, (critic, target)) in (0..).zip(critic.members().iter().zip(target_critic.members())) {
            disturb(critic.params(), "critic", member)?;
            disturb(target.params(), "target critic", member)?;
        }
        Ok(Self {
            actor_optimizer: AdamW::new(optimizer, actor.params()),
            critic_optimizers: critic.members().iter().map(|critic| AdamW::new(optimizer, critic.params())).collect(),
            average: actor.clone_on(&Device::Cpu)?,
            actor,
            reference,
            critic,
            target_critic,
            batch: Batch::new(&size),
            size,
        })
    }

    /// Takes a step.
    ///
    /// # Errors
    /// When a number is not finite, or candle fails.
    pub fn take(&mut self, step: Step, learning_rate: f64) -> Result<Report, StepError> {
        match step {
            Step::Imitation => self.imitation_step(learning_rate),
            Step::Critic => self.critic_step(learning_rate),
            Step::Actor => self.actor_step(learning_rate),
            Step::Act => self.act(),
        }
    }

    /// Writes weights, batch and settings into `folder`, which must exist.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn export(&self, folder: &Path) -> Result<(), StepError> {
        let write = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            storage::write_atomic(&path, content).map_err(|source| StepError::File { path, source })
        };
        write("actor.safetensors", &self.actor.params().to_bytes()?)?;
        write("reference.safetensors", &self.reference.params().to_bytes()?)?;
        write("critic.safetensors", &self.critic.to_bytes()?)?;
        write("target_critic.safetensors", &self.target_critic.to_bytes()?)?;
        write("settings.json", &serde_json::to_vec_pretty(&Settings::of(&self.size))?)?;
        Ok(candle_core::safetensors::save(&self.batch.tensors()?, folder.join("batch.safetensors"))?)
    }

    fn imitation_step(&mut self, learning_rate: f64) -> Result<Report, StepError> {
        let (batch, actor) = (&self.batch, &self.actor);
        let gradient = gradients(actor.params(), BATCH, |range| -> Result<_, GradientError> {
            let embedding = actor.embed(&rows(&batch.observations, range.clone())?, Track::Weights)?;
            let log_prob = actor.log_prob(&embedding, &rows(&batch.u, range)?, Track::Weights)?;
            Ok(ShardOutput { loss: (log_prob.sum_all()? * (-1.0 / BATCH as f64))?, metrics: Vec::new() })
        })?;
        self.update_actor(&gradient, learning_rate)
    }

    fn critic_step(&mut self, learning_rate: f64) -> Result<Report, StepError> {
        let labels = self.critic.support().project(&self.targets()?).probabilities;
        let labels = rows(&labels, 0..BATCH)?;
        let observations = rows(&self.batch.observations, 0..BATCH)?;
        let actions = rows(&self.batch.actions, 0..BATCH)?;
        let gradients: Vec<Gradient> = (0..self.critic.n_members())
            .into_par_iter()
            .map(|member| self.critic.gradient(member, &observations, &actions, &labels))
            .collect::<Result<_, _>>()?;
        let share = 1.0 / gradients.len() as f64;
        let mut report = Report { loss: 0.0, norm: 0.0 };
        for ((critic, optimizer), gradient) in
            self.critic.members().iter().zip(&mut self.critic_optimizers).zip(&gradients)
        {
            let step = optimizer.step(critic.params(), &gradient.flat, learning_rate)?;
            report.loss += share * gradient.loss;
            report.norm += share * step.gradient_norm;
        }
        self.target_critic.polyak_from(&self.critic, AVERAGE_RATE)?;
        Ok(report)
    }

    fn targets(&self) -> candle_core::Result<Vec<f32>> {
        let batch = &self.batch;
        let values = shards::map(BATCH, |range| -> candle_core::Result<Vec<f32>> {
            let observations = rows(&batch.next_observations, range.clone())?;
            let embedding = self.actor.embed(&observations, Track::Frozen)?;
            let chunks =
                squash::squash(&self.actor.chunks(&embedding, &rows(&batch.next_z, range)?, Track::Frozen)?)?;
            self.target_critic.value(&observations, &chunks, Track::Frozen)?.to_vec1()
        })?;
        Ok(values.iter().flatten().zip(&batch.rewards).map(|(&q, &reward)| reward + CONTINUATION * q).collect())
    }

    fn actor_step(&mut self, learning_rate: f64) -> Result<Report, StepError> {
        let batch = &self.batch;
        let gradient = gradients(self.actor.params(), BATCH, |range| -> Result<_, GradientError> {
            let observations = rows(&batch.observations, range.clone())?;
            let embedding = self.actor.embed(&observations, Track::Weights)?;
            let own = self.actor.sample(&embedding, &rows(&batch.z, range)?, Track::Weights)?;
            let q = self.critic.value(&observations, &squash::squash(&own.u)?, Track::Frozen)?;
            let q = (q * (1.0 / self.critic.support().range()))?;
            let embedding = self.reference.embed(&observations, Track::Frozen)?;
            let log_reference = self.reference.log_prob(&embedding, &own.u, Track::Frozen)?;
            let loss = objectives::reverse_kl(&q, &own.log_prob, &log_reference, BETA, BATCH)?;
            Ok(ShardOutput { loss, metrics: Vec::new() })
        })?;
        self.update_actor(&gradient, learning_rate)
    }

    fn update_actor(&mut self, gradient: &Gradient, learning_rate: f64) -> Result<Report, StepError> {
        let step = self.actor_optimizer.step(self.actor.params(), &gradient.flat, learning_rate)?;
        self.average.params().polyak_from(self.actor.params(), AVERAGE_RATE)?;
        Ok(Report { loss: gradient.loss, norm: step.gradient_norm })
    }

    fn act(&self) -> Result<Report, StepError> {
        let observation = matrix(&self.batch.observation, 1)?;
        let embedding = self.actor.embed(&observation, Track::Frozen)?;
        let z = matrix(&self.batch.candidate_z, CANDIDATES)?;
        let chunks = squash::squash(&self.actor.chunks(&embedding, &z, Track::Frozen)?)?;
        let values = self.critic.value(&observation, &chunks, Track::Frozen)?.to_vec1::<f32>()?;
        let best = (1..CANDIDATES).fold(0, |best, i| if values[i] > values[best] { i } else { best });
        let chunk = chunks.get(best)?.to_vec1::<f32>()?;
        let norm = chunk.iter().map(|&a| f64::from(a).powi(2)).sum::<f64>().sqrt();
        Ok(Report { loss: f64::from(values[best]), norm })
    }
}

impl Batch {
    fn new(size: &Size) -> Self {
        let normal = |purpose: &str, n_rows: usize, width: usize, scale: f32| {
            let mut values = vec![0.0; n_rows * width];
            noise::fill_normal(&mut random::stream(3, purpose, 0), &mut values);
            values.iter_mut().for_each(|value| *value *= scale);
            values
        };
        let u = normal("u", BATCH, size.chunk, 0.8);
        Self {
            observations: normal("observations", BATCH, size.observation, 1.0),
            next_observations: normal("next observations", BATCH, size.observation, 1.0),
            actions: u.iter().map(|u| u.tanh()).collect(),
            u,
            rewards: normal("rewards", BATCH, 1, 0.3),
            z: normal("z", BATCH, size.chunk, 1.0),
            next_z: normal("next z", BATCH, size.chunk, TEMPERATURE),
            observation: normal("observation", 1, size.observation, 1.0),
            candidate_z: normal("candidate z", CANDIDATES, size.chunk, TEMPERATURE),
        }
    }

    fn tensors(&self) -> candle_core::Result<HashMap<&'static str, Tensor>> {
        let parts = [
            ("observations", &self.observations, BATCH),
            ("next_observations", &self.next_observations, BATCH),
            ("u", &self.u, BATCH),
            ("actions", &self.actions, BATCH),
            ("rewards", &self.rewards, BATCH),
            ("z", &self.z, BATCH),
            ("next_z", &self.next_z, BATCH),
            ("observation", &self.observation, 1),
            ("candidate_z", &self.candidate_z, CANDIDATES),
        ];
        parts.into_iter().map(|(name, values, n_rows)| Ok((name, matrix(values, n_rows)?))).collect()
    }
}

impl Settings {
    fn of(size: &Size) -> Self {
        Self {
            size: *size,
            batch: BATCH,
            candidates: CANDIDATES,
            critic_layers: CRITIC_LAYERS,
            bins: BINS,
            v_min: VALUES.start,
            v_max: VALUES.end,
            s_max: S_MAX,
            beta: BETA,
            continuation: CONTINUATION,
            average_rate: AVERAGE_RATE,
            weight_decay: WEIGHT_DECAY,
            max_gradient_norm: MAX_GRADIENT_NORM,
            flop: Step::ALL.into_iter().map(|step| (step.name(), step.flop(size))).collect(),
        }
    }
}

/// Adds noise to all weights: an untrained layer that is zero would hide errors, and make products with zeros.
fn disturb(params: &Params, purpose: &str, index: u64) -> Result<(), ParamsError> {
    let (mut values, mut disturbance) = (vec![0.0; params.n_elements()], vec![0.0; params.n_elements()]);
    params.copy_to_flat(&mut values)?;
    noise::fill_normal(&mut random::stream(4, purpose, index), &mut disturbance);
    values.iter_mut().zip(&disturbance).for_each(|(value, noise)| *value += 0.02 * noise);
    params.copy_from_flat(&values)
}

fn rows(values: &[f32], range: Range<usize>) -> candle_core::Result<Tensor> {
    shards::rows(values, BATCH, range, &Device::Cpu)
}

fn matrix(values: &[f32], n_rows: usize) -> candle_core::Result<Tensor> {
    shards::rows(values, n_rows, 0..n_rows, &Device::Cpu)
}
