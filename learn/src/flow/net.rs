//! The seam between the flow and the networks of its couplings: an encoder of the observation, and for every coupling a network
//! from the passive half and the encoded observation to `[raw log-scale | shift]` of the active half.

use super::mlp::{MlpCoupling, MlpEncoder};
use super::split::Halves;
use super::token::TokenCoupling;
use crate::chunk::ChunkShape;
use crate::layers::Track;
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::transformer::{ObservationTokens, TransformerSize};
use candle_core::{Result as TensorResult, Tensor};

/// Which networks, and their size.
#[derive(Clone, Copy, Debug)]
pub(super) enum NetSize {
    Mlp { hidden: usize, embedding: usize },
    Token(TransformerSize),
}

impl NetSize {
    /// Width of the encoded observation.
    pub(super) const fn embedding(self) -> usize {
        match self {
            Self::Mlp { embedding, .. } => embedding,
            Self::Token(size) => size.n_observation_tokens * size.width,
        }
    }
}

/// Observations `[r, O]` to `[r, E]`.
#[derive(Debug)]
pub(super) enum Encoder {
    Mlp(MlpEncoder),
    /// `E = n W`: token after token.
    Tokens(ObservationTokens),
}

impl Encoder {
    pub(super) fn build(params: &mut ParamsBuilder, size: NetSize, obs_dim: usize) -> Result<(), ParamsError> {
        match size {
            NetSize::Mlp { hidden, embedding } => MlpEncoder::build(params, obs_dim, hidden, embedding),
            NetSize::Token(size) => ObservationTokens::build(params, &size, obs_dim),
        }
    }

    pub(super) fn new(params: &Params, size: NetSize, obs_dim: usize) -> Result<Self, ParamsError> {
        Ok(match size {
            NetSize::Mlp { .. } => Self::Mlp(MlpEncoder::new(params)?),
            NetSize::Token(size) => Self::Tokens(ObservationTokens::new(params, &size, obs_dim)?),
        })
    }

    pub(super) fn forward(&self, obs: &Tensor, track: Track) -> TensorResult<Tensor> {
        match self {
            Self::Mlp(encoder) => encoder.forward(obs, track),
            Self::Tokens(encoder) => encoder.forward(obs, track),
        }
    }
}

/// The network of one coupling.
#[derive(Debug)]
pub(super) enum CouplingNet {
    Mlp(MlpCoupling),
    Token(Box<TokenCoupling>),
}

impl CouplingNet {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        size: NetSize,
        block: usize,
        chunk: ChunkShape,
    ) -> Result<(), ParamsError> {
        match size {
            NetSize::Mlp { hidden, embedding } => {
                MlpCoupling::build(params, block, [hidden, embedding], chunk.dim() / 2)
            }
            NetSize::Token(size) => TokenCoupling::build(params, block, &size, chunk),
        }
    }

    pub(super) fn new(
        params: &Params,
        size: NetSize,
        block: usize,
        chunk: ChunkShape,
        halves: Halves<'_>,
    ) -> Result<Self, ParamsError> {
        Ok(match size {
            NetSize::Mlp { .. } => Self::Mlp(MlpCoupling::new(params, block)?),
            NetSize::Token(size) => Self::Token(Box::new(TokenCoupling::new(params, block, &size, chunk, halves)?)),
        })
    }

    /// `passive [r, D/2]`, `embedding [r or 1, E]` to `[r, D]`.
    pub(super) fn forward(&self, passive: &Tensor, embedding: &Tensor, track: Track) -> TensorResult<Tensor> {
        match self {
            Self::Mlp(net) => net.forward(passive, embedding, track),
            Self::Token(net) => net.forward(passive, embedding, track),
        }
    }
}
