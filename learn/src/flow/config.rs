//! Size of a flow, and what is not allowed.

use super::net::NetSize;
use super::split::Partition;
use crate::chunk::ChunkShape;
use crate::params::ParamsError;
use crate::transformer::TransformerSize;
use bridge::number::Positive;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Size of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowConfig {
    /// Number of couplings, even, at least 2. 12 for states, 16 in the paper; fewer than 8 need a larger `s_max`.
    pub n_blocks: usize,
    /// The networks of the couplings.
    pub couplings: Couplings,
    /// Which values each coupling reads and which it transforms.
    pub partition: Partition,
    /// Bound of a coupling's log-scale. 1 with 8 blocks or more, 2 with fewer.
    pub s_max: Positive,
}

/// The networks of the couplings, and how they see the observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Couplings {
    /// Two hidden layers on all values at once.
    Mlp {
        /// Width of the two hidden layers of each coupling, and of the encoder's first layer.
        hidden: usize,
        /// Width of the encoded observation.
        embedding: usize,
    },
    /// A transformer over the steps of the chunk, causal, now from the first, now from the last step, with cross-attention to
    /// the observation's tokens. At least two splits.
    Token {
        /// Width of a token, a multiple of twice the number of heads. 256 in the paper.
        width: usize,
        /// Heads of every attention. 8 in the paper.
        n_heads: usize,
        /// Blocks in every coupling, at least 1. 1 in the paper.
        n_layers: usize,
        /// Width of the hidden layers of the SwiGLU and before scale and shift. 512 for `width` 256.
        hidden: usize,
        /// Tokens that the values of the observation are dealt out to, in their order; at most as many as there are values.
        n_observation_tokens: usize,
    },
}

impl Couplings {
    pub(super) const fn size(self) -> NetSize {
        match self {
            Self::Mlp { hidden, embedding } => NetSize::Mlp { hidden, embedding },
            Self::Token { width, n_heads, n_layers, hidden, n_observation_tokens } => {
                NetSize::Token(TransformerSize { width, n_heads, n_layers, hidden, n_observation_tokens })
            }
        }
    }
}

/// A flow could not be made.
#[derive(Debug, Error)]
pub enum FlowError {
    /// The parameters could not be made or read.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A size is not allowed.
    #[error("flow: {field} is {found}, expected {expected}")]
    Size {
        /// Which one.
        field: &'static str,
        /// Its value.
        found: usize,
        /// What is allowed.
        expected: &'static str,
    },
}

impl FlowConfig {
    pub(super) const fn n_splits(&self) -> usize {
        self.n_blocks / self.partition.n_turns()
    }

    pub(super) fn split_names(&self) -> Vec<String> {
        (0..self.n_splits()).map(|index| self.partition.split_name(index)).collect()
    }
}

/// Checks what the types of the fields cannot.
pub(super) fn check_sizes(config: &FlowConfig, obs_dim: usize, chunk: ChunkShape) -> Result<(), FlowError> {
    let is_even = |found: usize| found > 0 && found.is_multiple_of(2);
    let [even, some] = ["an even number, at least 2", "at least 1"];
    let steps_are_halved = config.partition != Partition::RandomSteps || is_even(chunk.n_steps);
    let mut sizes = vec![
        ("n_blocks", config.n_blocks, even, is_even(config.n_blocks)),
        ("chunk_dim", chunk.dim(), even, is_even(chunk.dim())),
        ("chunk_len", chunk.n_steps, even, steps_are_halved),
        ("obs_dim", obs_dim, some, obs_dim > 0),
    ];
    match config.couplings.size() {
        NetSize::Mlp { hidden, embedding } => {
            sizes.extend([("hidden", hidden, some, hidden > 0), ("embedding", embedding, some, embedding > 0)]);
        }
        NetSize::Token(size) => {
            // One split alone reads only from steps before: the first of them would be a Gaussian's.
            sizes.push(("n_blocks", config.n_blocks, "two splits", config.n_splits() >= 2));
            sizes.extend(size.checks(obs_dim));
        }
    }
    match sizes.into_iter().find(|&(_, _, _, is_allowed)| !is_allowed) {
        Some((field, found, expected, _)) => Err(FlowError::Size { field, found, expected }),
        None => Ok(()),
    }
}
