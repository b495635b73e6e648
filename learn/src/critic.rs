//! Ensemble of critics `Q(o, a)` of whole action chunks, trained as classifiers ([`crate::hl_gauss`]).
//!
//! ```text
//! h = silu(LayerNorm([a | o] W + b))     [r, hidden], n_layers of them
//! logits = h W + b                       [r, n_bins], zero in the beginning
//! Q = sum_j softmax(logits)_j center_j   [r]
//! ```
//! The first weight is kept in two blocks, so that the observation's part is computed once when many chunks are compared
//! for one observation.

use crate::hl_gauss::Support;
use crate::layers::{ConditionedLinear, Init, LayerNormSilu, Linear, Track};
use crate::ops::{self, Activation};
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::shards::{Gradient, GradientError};
use crate::tensor_file::{TensorFileReader, TensorFileWriter};
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
    /// Values that a critic can express.
    pub support: Support,
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

    /// Logits `[r, n_bins]` of chunks `action [r, D]`; `obs` is `[r, O]`, or `[1, O]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn logits(&self, obs: &Tensor, action: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let mut x = self.first.forward(action, obs, Activation::None, track)?;
        for (i, norm) in self.norms.iter().enumerate() {
            x = norm.forward(&x, track)?;
            x = match self.hidden.get(i) {
                Some(hidden) => hidden.forward(&x, Activation::None, track)?,
                None => self.last.forward(&x, Activation::None, track)?,
            };
        }
        Ok(x)
    }

    /// Values `[r]` of chunks `action [r, D]`; `obs` is `[r, O]`, or `[1, O]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn q(&self, obs: &Tensor, action: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        ops::softmax_expectation(&self.logits(obs, action, track)?, &self.centers)
    }

    fn new(
        config: &CriticConfig,
        obs_dim: usize,
        chunk_dim: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ParamsError> {
        let (hidden, n_bins) = (config.hidden, config.support.n_bins());
        let mut params = ParamsBuilder::new(seed, device);
        ConditionedLinear::build(&mut params, "layer.0", chunk_dim, obs_dim, hidden)?;
        LayerNormSilu::build(&mut params, "norm.0", hidden)?;
        for i in 1..config.n_layers {
            Linear::build(&mut params, &format!("layer.{i}"), [hidden, hidden], Init::FanIn)?;
            LayerNormSilu::build(&mut params, &format!("norm.{i}"), hidden)?;
        }
        Linear::build(&mut params, "last", [hidden, n_bins], Init::Zero)?;
        Self::assemble(config, params.build(), device)
    }

    fn assemble(config: &CriticConfig, params: Params, device: &Device) -> Result<Self, ParamsError> {
        let n_layers = config.n_layers;
        Ok(Self {
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

/// Ensemble of critics; see the module.
#[derive(Debug)]
pub struct ChunkCritic {
    config: CriticConfig,
    device: Device,
    members: Vec<Critic>,
}

impl ChunkCritic {
    /// A new ensemble for observations `[r, obs_dim]` and chunks `[r, chunk_dim]`; each critic starts differently.
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
        let clone = |critic: &Critic| Critic::assemble(&self.config, critic.params.deep_clone()?, &self.device);
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

    /// The lowest value `[r]` that any critic gives; arguments as for [`Critic::q`].
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn q_min(&self, obs: &Tensor, action: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let mut lowest: Option<Tensor> = None;
        for critic in &self.members {
            let q = critic.q(obs, action, track)?;
            lowest = Some(match lowest {
                Some(lowest) => lowest.minimum(&q)?,
                None => q,
            });
        }
        match lowest {
            Some(lowest) => Ok(lowest),
            None => bail!("an ensemble has at least one critic"),
        }
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

    /// Mean cross-entropy of one critic on `labels [r, n_bins]`, and its gradient. The loss of the ensemble is the sum over
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
        let logits = critic.logits(obs, action, Track::Weights)?;
        Gradient::of(&ops::cross_entropy(&logits, labels)?.mean_all()?, &critic.params)
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
