//! A critic without tokens.
//!
//! ```text
//! h = silu(LayerNorm([a | o] W + b))     [r, hidden], n_layers of them; LayerNorm can be left out
//! out = h W + b                          [r, n_outputs]
//! ```
//! The first weight is kept in two blocks, so that the observation's part is computed once when many chunks are compared
//! for one observation.

use super::Shape;
use super::net::first_values;
use crate::chunk::Chunks;
use crate::layers::{ConditionedLinear, Init, LayerNormSilu, Linear, Track};
use crate::ops::Activation;
use crate::params::{Params, ParamsBuilder, ParamsError};
use candle_core::Tensor;

#[derive(Clone, Copy, Debug)]
pub(super) struct MlpNetSize {
    pub(super) hidden: usize,
    pub(super) n_layers: usize,
    pub(super) layer_norm: bool,
}

#[derive(Debug)]
pub(super) struct MlpNet {
    n_inputs: usize,
    first: ConditionedLinear,
    hidden: Vec<Linear>,
    /// One for every hidden layer, the first included, or none.
    norms: Vec<LayerNormSilu>,
    last: Linear,
}

impl MlpNet {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        size: MlpNetSize,
        shape: Shape,
        n_outputs: usize,
    ) -> Result<(), ParamsError> {
        let MlpNetSize { hidden, n_layers, layer_norm } = size;
        for i in 0..n_layers {
            let layer = format!("layer.{i}");
            if i == 0 {
                ConditionedLinear::build(params, &layer, shape.chunk.dim(), shape.obs_dim, hidden)?;
            } else {
                Linear::build(params, &layer, [hidden, hidden], Init::FanIn)?;
            }
            if layer_norm {
                LayerNormSilu::build(params, &format!("norm.{i}"), hidden)?;
            }
        }
        Linear::build(params, "last", [hidden, n_outputs], Init::Zero)
    }

    pub(super) fn new(params: &Params, size: MlpNetSize, shape: Shape) -> Result<Self, ParamsError> {
        let n_norms = if size.layer_norm { size.n_layers } else { 0 };
        let norm = |i| LayerNormSilu::new(params, &format!("norm.{i}"));
        Ok(Self {
            n_inputs: shape.chunk.dim(),
            first: ConditionedLinear::new(params, "layer.0")?,
            hidden: (1..size.n_layers).map(|i| Linear::new(params, &format!("layer.{i}"))).collect::<Result<_, _>>()?,
            norms: (0..n_norms).map(norm).collect::<Result<_, _>>()?,
            last: Linear::new(params, "last")?,
        })
    }

    pub(super) fn forward(&self, obs: &Tensor, chunks: Chunks<'_>, track: Track) -> candle_core::Result<Tensor> {
        let actions = first_values(chunks.actions, self.n_inputs)?;
        // The normalization brings the activation with it.
        let activation = if self.norms.is_empty() { Activation::Silu } else { Activation::None };
        let normalized = |x: Tensor, i: usize| self.norms.get(i).map_or(Ok(x.clone()), |norm| norm.forward(&x, track));
        let mut x = normalized(self.first.forward(&actions, obs, activation, track)?, 0)?;
        for (i, hidden) in self.hidden.iter().enumerate() {
            x = normalized(hidden.forward(&x, activation, track)?, i + 1)?;
        }
        self.last.forward(&x, Activation::None, track)
    }
}
