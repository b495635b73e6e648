//! The seam between the learner and the networks that it can train.
//!
//! A policy network is a conditional law of chunks `u [r, D]`, before the squash of [`crate::squash`], given observations
//! `o [r, O]`. The learner asks it for samples with a way back to the weights, for an imitation loss, and, where it has one,
//! for a density; nothing else of it is known outside of its module. All randomness is handed in, as plain numbers.

mod flow;

use crate::LearnError;
use crate::flow::{Flow, FlowConfig};
use crate::layers::Track;
use crate::noise::fill_normal;
use crate::params::Params;
use bridge::number::Positive;
use bridge::random::Rng;
use candle_core::{Device, Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// Which network the policy is, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PolicyConfig {
    /// Conditional normalizing flow; see [`crate::flow`].
    Flow {
        /// Number of couplings, even, at least 2: two make a pair. 12 for states; 8 and fewer need a larger `s_max`.
        n_blocks: usize,
        /// Width of the two hidden layers of each coupling, and of the encoder's first layer.
        hidden: usize,
        /// Width of the encoded observation.
        embedding: usize,
        /// Bound of a coupling's log-scale. 1 with 8 blocks or more, 2 with fewer.
        s_max: Positive,
    },
}

/// Chunks that a policy network drew.
#[derive(Clone, Debug)]
pub struct Draw {
    /// `[r, D]`; the action is `squash(u)`.
    pub u: Tensor,
    /// `ln p(u|o)`, `[r]`, of the network at temperature 1 whatever the noise was scaled by; none without a density.
    pub log_prob: Option<Tensor>,
}

/// What the learner asks of a policy network.
///
/// `D` is the width of a chunk, `E` that of an embedding, which is the network's own business.
pub trait PolicyNet: Debug + Send + Sync {
    /// All trainable tensors.
    fn params(&self) -> &Params;

    /// A network of its own with the same weights.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    fn deep_clone(&self) -> Result<Box<dyn PolicyNet>, LearnError>;

    /// Starts at the statistics of the data `u [r, D]`: mean and standard deviation of every dimension.
    ///
    /// # Errors
    /// When `u` has the wrong shape, no rows, or a number that is not finite.
    fn initialise(&mut self, u: &Tensor) -> Result<(), LearnError>;

    /// Numbers of base noise that one chunk needs.
    fn noise_len(&self) -> usize;

    /// Base noise of `n_rows` chunks, row after row, at a temperature. Standard normal numbers, scaled, unless the network
    /// says otherwise.
    fn base_noise(&self, n_rows: usize, temperature: f32, rng: &mut Rng) -> Vec<f32> {
        let mut noise = vec![0.0; n_rows * self.noise_len()];
        fill_normal(rng, &mut noise);
        noise.iter_mut().for_each(|z| *z *= temperature);
        noise
    }

    /// Encodes observations `[r, O]` as `[r, E]`; the same embedding serves any number of the calls below.
    ///
    /// # Errors
    /// When `observations` have the wrong shape.
    fn embed(&self, observations: &Tensor, track: Track) -> TensorResult<Tensor>;

    /// The chunks of `noise [r, noise_len]`; `embedding` is `[r, E]`, or `[1, E]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    fn sample(&self, embedding: &Tensor, noise: &Tensor, track: Track) -> TensorResult<Draw>;

    /// `ln p(u|o)`, `[r]`, of `u [r, D]`; `embedding` is `[r, E]`, or `[1, E]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together, or the network has no density.
    fn log_prob(&self, embedding: &Tensor, u: &Tensor, track: Track) -> TensorResult<Tensor>;

    /// Noise that the imitation loss of `n_rows` rows needs, row after row; empty for a density.
    fn imitation_noise(&self, _n_rows: usize, _rng: &mut Rng) -> Vec<f32> {
        Vec::new()
    }

    /// The imitation loss of every row, `[r]`, given `u [r, D]` and [`PolicyNet::imitation_noise`] `[r, ..]`: the negative
    /// log-likelihood in nats, where there is a density.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    fn imitation_loss(&self, embedding: &Tensor, u: &Tensor, _noise: &Tensor, track: Track) -> TensorResult<Tensor> {
        self.log_prob(embedding, u, track)?.neg()
    }
}

impl PolicyConfig {
    /// Name in RON and in errors.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Flow { .. } => "Flow",
        }
    }

    /// Whether `ln p(u|o)` can be computed.
    #[must_use]
    pub const fn has_density(&self) -> bool {
        match self {
            Self::Flow { .. } => true,
        }
    }

    /// A new network for observations `[r, observation_len]` and chunks `[r, chunk_dim]`.
    ///
    /// # Errors
    /// When a size is not allowed.
    pub fn build(&self, observation_len: usize, chunk_dim: usize, seed: u64) -> Result<Box<dyn PolicyNet>, LearnError> {
        Ok(match *self {
            Self::Flow { n_blocks, hidden, embedding, s_max } => {
                let config = FlowConfig { n_blocks, hidden, embedding, s_max };
                Box::new(Flow::new(config, observation_len, chunk_dim, seed, &Device::Cpu)?)
            }
        })
    }

    /// The network that was saved by [`Params::to_bytes`].
    ///
    /// # Errors
    /// When a size is not allowed, or the file does not belong to such a network or is damaged.
    pub fn read(
        &self,
        observation_len: usize,
        chunk_dim: usize,
        bytes: &[u8],
    ) -> Result<Box<dyn PolicyNet>, LearnError> {
        Ok(match *self {
            Self::Flow { n_blocks, hidden, embedding, s_max } => {
                let config = FlowConfig { n_blocks, hidden, embedding, s_max };
                Box::new(Flow::from_bytes(config, observation_len, chunk_dim, bytes, &Device::Cpu)?)
            }
        })
    }
}
