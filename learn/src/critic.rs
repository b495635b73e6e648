//! Ensemble of critics `Q(o, a)` of whole action chunks, trained as classifiers ([`crate::hl_gauss`]); with what it is
//! compared with: regression, other ensembles, values of single steps.
//!
//! ```text
//! h = silu(LayerNorm([a | o] W + b))     [r, hidden], n_layers of them
//! out = h W + b                          [r, n_bins] or [r, 1], zero in the beginning
//! Q = sum_j softmax(out)_j center_j      [r]   HL-Gauss: loss is the cross entropy against the label of y
//! Q = middle + range out                 [r]   MSE: loss is (out - (y - middle) / range)^2, never clamped
//! ```
//! The first weight is kept in two blocks, so that the observation's part is computed once when many chunks are compared
//! for one observation.

use crate::hl_gauss::Support;
use crate::layers::{ConditionedLinear, Init, LayerNormSilu, Linear, Track};
use crate::ops::{self, Activation};
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::shards::{Gradient, GradientError};
use crate::tensor_file::{TensorFileReader, TensorFileWriter};
use bridge::number::NonNegative;
use candle_core::{Device, Tensor, bail};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Size of an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticConfig {
    /// Number of critics, 1 to 10. 2 is the usual number; more are more pessimistic.
    pub ensemble: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Number of hidden layers, at least 1. 3.
    pub n_layers: usize,
    /// Values that a critic can express; with the MSE head the middle and the unit of its values.
    pub support: Support,
    /// What a critic puts out, and its loss.
    pub head: Head,
    /// What the ensemble makes of the values of its critics.
    pub combine: Combine,
    /// What a value is of, and how its target is backed up.
    pub backup: Backup,
    /// What a target loses for the policy's next chunk being unlike the replayed one: Q ranges per mean squared difference
    /// of the actions that a critic reads (ReBRAC, Tarasov et al. 2023). 0 for the plain target.
    pub behavior_penalty: NonNegative,
}

/// What a critic puts out, and its loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Head {
    /// A histogram of the support, cross entropy. Values never leave the support.
    HlGauss,
    /// A number, squared error: what most published critics have.
    Mse,
}

/// What the ensemble makes of the values of its critics, in targets, objectives and choices alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Combine {
    /// The lowest.
    Min,
    /// The mean.
    Mean,
}

/// What a value is of, and how its target is backed up over a chunk of H actions. `a'` is the policy's next chunk, `a'_0` its
/// first action; at an episode's end fewer steps are left, and the target uses those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backup {
    /// The chunk, backed up over all its steps: `Q(o_t, a) <- sum_{h<H} gamma^h r_{t+h} + gamma^H Q(o_{t+H}, a')`.
    Chunk,
    /// The first action, backed up over its step: `Q(o_t, a_0) <- r_t + gamma Q(o_{t+1}, a'_0)`.
    PerStep,
    /// The first action, backed up over all steps of the chunk: `Q(o_t, a_0) <- sum_{h<H} gamma^h r_{t+h} + gamma^H
    /// Q(o_{t+H}, a'_0)`. Off the policy it is biased: the other actions are those of the data.
    NStep,
}

impl Backup {
    /// Actions of a chunk of `chunk_len` that a critic reads.
    #[must_use]
    pub const fn n_actions(self, chunk_len: usize) -> usize {
        match self {
            Self::Chunk => chunk_len,
            Self::PerStep | Self::NStep => 1,
        }
    }

    /// Steps of a target.
    #[must_use]
    pub const fn n_steps(self, chunk_len: usize) -> usize {
        match self {
            Self::Chunk | Self::NStep => chunk_len,
            Self::PerStep => 1,
        }
    }
}

/// Labels of a batch, as the head wants them.
#[derive(Clone, Debug)]
pub struct Labels {
    /// `[r, n_bins]` or `[r, 1]`.
    pub values: Tensor,
    /// Share of the targets that lay outside of the support and were clamped to it; above 1 % the support is too narrow.
    pub clamped_share: f64,
}

/// An ensemble could not be made.
#[derive(Debug, Error)]
pub enum CriticError {
    /// The parameters could not be made or read.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A size is not allowed.
    #[error("critic: {field} is {found}, expected {expected}")]
    Size {
        /// Which one.
        field: &'static str,
        /// Its value.
        found: usize,
        /// What is allowed.
        expected: &'static str,
    },
}

/// One critic.
#[derive(Debug)]
pub struct Critic {
    params: Params,
    head: Head,
    support: Support,
    n_inputs: usize,
    centers: Tensor,
    first: ConditionedLinear,
    norms: Vec<LayerNormSilu>,
    hidden: Vec<Linear>,
    last: Linear,
}

impl Critic {
    /// All trainable tensors.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What the head puts out, `[r, n_bins]` or `[r, 1]`, for chunks `action [r, D]`, of which the first columns are read, as
    /// many as the critic was made for; `obs` is `[r, O]`, or `[1, O]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn output(&self, obs: &Tensor, action: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let mut x = if action.dims2()?.1 > self.n_inputs {
            let read = action.narrow(1, 0, self.n_inputs)?.contiguous()?;
            self.first.forward(&read, obs, Activation::None, track)?
        } else {
            self.first.forward(action, obs, Activation::None, track)?
        };
        for (i, norm) in self.norms.iter().enumerate() {
            x = norm.forward(&x, track)?;
            x = match self.hidden.get(i) {
                Some(hidden) => hidden.forward(&x, Activation::None, track)?,
                None => self.last.forward(&x, Activation::None, track)?,
            };
        }
        Ok(x)
    }

    /// Values `[r]`; arguments as for [`Critic::output`].
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn q(&self, obs: &Tensor, action: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let output = self.output(obs, action, track)?;
        match self.head {
            Head::HlGauss => ops::softmax_expectation(&output, &self.centers),
            Head::Mse => output.squeeze(1)?.affine(self.support.range(), self.support.middle()),
        }
    }

    /// Mean loss against [`ChunkCritic::labels`], a scalar.
    fn loss(&self, obs: &Tensor, action: &Tensor, labels: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let output = self.output(obs, action, track)?;
        match self.head {
            Head::HlGauss => ops::cross_entropy(&output, labels)?.mean_all(),
            Head::Mse => (output - labels)?.sqr()?.mean_all(),
        }
    }

    fn new(
        config: &CriticConfig,
        obs_dim: usize,
        chunk_dim: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ParamsError> {
        let (hidden, n_outputs) = (config.hidden, config.head.n_outputs(&config.support));
        let mut params = ParamsBuilder::new(seed, device);
        ConditionedLinear::build(&mut params, "layer.0", chunk_dim, obs_dim, hidden)?;
        LayerNormSilu::build(&mut params, "norm.0", hidden)?;
        for i in 1..config.n_layers {
            Linear::build(&mut params, &format!("layer.{i}"), [hidden, hidden], Init::FanIn)?;
            LayerNormSilu::build(&mut params, &format!("norm.{i}"), hidden)?;
        }
        Linear::build(&mut params, "last", [hidden, n_outputs], Init::Zero)?;
        Self::assemble(config, chunk_dim, params.build(), device)
    }

    fn assemble(config: &CriticConfig, n_inputs: usize, params: Params, device: &Device) -> Result<Self, ParamsError> {
        let n_layers = config.n_layers;
        Ok(Self {
            head: config.head,
            support: config.support,
            n_inputs,
            centers: Tensor::new(config.support.centers(), device)?,
            first: ConditionedLinear::new(&params, "layer.0")?,
            norms: (0..n_layers)
                .map(|i| LayerNormSilu::new(&params, &format!("norm.{i}")))
                .collect::<Result<_, _>>()?,
            hidden: (1..n_layers).map(|i| Linear::new(&params, &format!("layer.{i}"))).collect::<Result<_, _>>()?,
            last: Linear::new(&params, "last")?,
            params,
        })
    }
}

impl Head {
    fn n_outputs(self, support: &Support) -> usize {
        match self {
            Self::HlGauss => support.n_bins(),
            Self::Mse => 1,
        }
    }
}

/// Ensemble of critics; see the module.
#[derive(Debug)]
pub struct ChunkCritic {
    config: CriticConfig,
    device: Device,
    members: Vec<Critic>,
}

impl ChunkCritic {
    /// A new ensemble for observations `[r, obs_dim]` and the first `chunk_dim` values of chunks; each critic starts
    /// differently.
    ///
    /// # Errors
    /// When a size is not allowed.
    pub fn new(
        config: CriticConfig,
        obs_dim: usize,
        chunk_dim: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, CriticError> {
        check_sizes(&config, obs_dim, chunk_dim)?;
        let members = (0..config.ensemble as u64)
            .map(|i| Critic::new(&config, obs_dim, chunk_dim, member_seed(seed, i), device))
            .collect::<Result<_, _>>()?;
        Ok(Self { config, device: device.clone(), members })
    }

    /// An ensemble of its own with the same weights.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    pub fn deep_clone(&self) -> Result<Self, CriticError> {
        let clone = |critic: &Critic| {
            Critic::assemble(&self.config, critic.n_inputs, critic.params.deep_clone()?, &self.device)
        };
        let members = self.members.iter().map(clone).collect::<Result<_, _>>()?;
        Ok(Self { config: self.config, device: self.device.clone(), members })
    }

    /// The size it was made with.
    #[must_use]
    pub fn config(&self) -> &CriticConfig {
        &self.config
    }

    /// The critics, each with parameters of its own.
    #[must_use]
    pub fn members(&self) -> &[Critic] {
        &self.members
    }

    /// Number of critics.
    #[must_use]
    pub fn n_members(&self) -> usize {
        self.members.len()
    }

    /// Values that a critic can express.
    #[must_use]
    pub fn support(&self) -> &Support {
        &self.config.support
    }

    /// The value `[r]` that the ensemble gives: the lowest or the mean of its critics'. Arguments as for [`Critic::q`].
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn value(&self, obs: &Tensor, action: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let mut combined: Option<Tensor> = None;
        for critic in &self.members {
            let q = critic.q(obs, action, track)?;
            combined = Some(match (combined, self.config.combine) {
                (None, _) => q,
                (Some(lowest), Combine::Min) => lowest.minimum(&q)?,
                (Some(sum), Combine::Mean) => (sum + q)?,
            });
        }
        match (combined, self.config.combine) {
            (Some(lowest), Combine::Min) => Ok(lowest),
            (Some(sum), Combine::Mean) => sum * (1.0 / self.members.len() as f64),
            (None, _) => bail!("an ensemble has at least one critic"),
        }
    }

    /// The labels of targets `y`.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    pub fn labels(&self, targets: &[f32]) -> candle_core::Result<Labels> {
        let support = &self.config.support;
        let (values, clamped_share) = match self.config.head {
            Head::HlGauss => {
                let labels = support.project(targets);
                (labels.probabilities, labels.clamped_share)
            }
            Head::Mse => {
                let label = |&y: &f32| ((f64::from(y) - support.middle()) / support.range()) as f32;
                (targets.iter().map(label).collect(), 0.0)
            }
        };
        let shape = (targets.len(), self.config.head.n_outputs(support));
        Ok(Labels { values: Tensor::from_vec(values, shape, &self.device)?, clamped_share })
    }

    /// Moves all weights towards those of `other`: `self += tau (other - self)`.
    ///
    /// # Errors
    /// When `other` has another size.
    pub fn polyak_from(&self, other: &Self, tau: f32) -> Result<(), CriticError> {
        if other.members.len() != self.members.len() {
            let (found, expected) = (other.members.len(), "the same number as in the other ensemble");
            return Err(CriticError::Size { field: "ensemble", found, expected });
        }
        for (target, source) in self.members.iter().zip(&other.members) {
            target.params.polyak_from(&source.params, tau)?;
        }
        Ok(())
    }

    /// Mean loss of one critic on [`ChunkCritic::labels`], and its gradient. The loss of the ensemble is the sum over
    /// its critics; their gradients have nothing in common, so they may be computed on different threads.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn gradient(
        &self,
        member: usize,
        obs: &Tensor,
        action: &Tensor,
        labels: &Tensor,
    ) -> Result<Gradient, GradientError> {
        let Some(critic) = self.members.get(member) else {
            return Err(candle_core::Error::Msg(format!("critic {member} of {}", self.members.len())).into());
        };
        Gradient::of(&critic.loss(obs, action, labels, Track::Weights)?, &critic.params)
    }

    /// All weights as the bytes of one file.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ParamsError> {
        let mut file = TensorFileWriter::default();
        for (i, critic) in self.members.iter().enumerate() {
            critic.params.write_to(&mut file, &member_prefix(i))?;
        }
        Ok(file.finish()?)
    }

    /// Takes all weights from the bytes of a file.
    ///
    /// # Errors
    /// When the file is damaged or belongs to another ensemble. Nothing is changed then.
    pub fn load_bytes(&self, bytes: &[u8]) -> Result<(), ParamsError> {
        let mut file = TensorFileReader::new(bytes)?;
        let members = self.members.iter().enumerate();
        let flats = members
            .map(|(i, critic)| critic.params.read_from(&mut file, &member_prefix(i)))
            .collect::<Result<Vec<_>, _>>()?;
        file.finish()?;
        self.members.iter().zip(&flats).try_for_each(|(critic, flat)| critic.params.copy_from_flat(flat))
    }
}

fn check_sizes(config: &CriticConfig, obs_dim: usize, chunk_dim: usize) -> Result<(), CriticError> {
    if !(1..=10).contains(&config.ensemble) {
        return Err(CriticError::Size { field: "ensemble", found: config.ensemble, expected: "1 to 10" });
    }
    let sizes =
        [("hidden", config.hidden), ("n_layers", config.n_layers), ("obs_dim", obs_dim), ("chunk_dim", chunk_dim)];
    match sizes.into_iter().find(|&(_, found)| found == 0) {
        Some((field, found)) => Err(CriticError::Size { field, found, expected: "at least 1" }),
        None => Ok(()),
    }
}

fn member_prefix(index: usize) -> String {
    format!("critic.{index:02}/")
}

/// Seeds of the members, drawn from a stream so that neighbouring seeds share none.
fn member_seed(seed: u64, index: u64) -> u64 {
    use rand::RngCore as _;
    bridge::random::stream(seed, "critic ensemble", index).next_u64()
}
