//! The seam between the ensemble and the network of a critic: observations and chunks to what the head puts out.

use super::mlp::{MlpNet, MlpNetSize};
use super::transformer::TransformerNet;
use super::{CriticNet, Shape};
use crate::chunk::Chunks;
use crate::layers::Track;
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::transformer::TransformerSize;
use candle_core::Tensor;

/// Which network, and its size.
#[derive(Clone, Copy, Debug)]
pub(super) enum NetSize {
    Mlp(MlpNetSize),
    Transformer(TransformerSize),
}

impl CriticNet {
    pub(super) const fn size(self) -> NetSize {
        match self {
            Self::Mlp { hidden, n_layers, layer_norm } => NetSize::Mlp(MlpNetSize { hidden, n_layers, layer_norm }),
            Self::Transformer { width, n_heads, n_layers, hidden, n_observation_tokens } => {
                NetSize::Transformer(TransformerSize { width, n_heads, n_layers, hidden, n_observation_tokens })
            }
        }
    }
}

/// The network of a critic.
#[derive(Debug)]
pub(super) enum Net {
    Mlp(MlpNet),
    Transformer(TransformerNet),
}

impl Net {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        size: NetSize,
        shape: Shape,
        n_outputs: usize,
    ) -> Result<(), ParamsError> {
        match size {
            NetSize::Mlp(size) => MlpNet::build(params, size, shape, n_outputs),
            NetSize::Transformer(size) => TransformerNet::build(params, &size, shape, n_outputs),
        }
    }

    pub(super) fn new(params: &Params, size: NetSize, shape: Shape) -> Result<Self, ParamsError> {
        Ok(match size {
            NetSize::Mlp(size) => Self::Mlp(MlpNet::new(params, size, shape)?),
            NetSize::Transformer(size) => Self::Transformer(TransformerNet::new(params, size, shape)?),
        })
    }

    /// `obs [r or 1, O]` and chunks of which the first columns are read, to `[r, n_outputs]`.
    pub(super) fn forward(&self, obs: &Tensor, chunks: Chunks<'_>, track: Track) -> candle_core::Result<Tensor> {
        match self {
            Self::Mlp(net) => net.forward(obs, chunks, track),
            Self::Transformer(net) => net.forward(obs, chunks, track),
        }
    }
}

/// The first `n_inputs` values of chunks `[r, D]`.
pub(super) fn first_values(actions: &Tensor, n_inputs: usize) -> candle_core::Result<Tensor> {
    if actions.dims2()?.1 > n_inputs { actions.narrow(1, 0, n_inputs)?.contiguous() } else { Ok(actions.clone()) }
}
