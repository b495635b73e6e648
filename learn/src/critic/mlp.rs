//! A critic without tokens.
//!
//! ```text
//! h = silu(LayerNorm([a | o] W + b))     [r, hidden], n_layers of them
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

#[derive(Debug)]
pub(super) struct MlpNet {
    n_inputs: usize,
    first: ConditionedLinear,
    norms: Vec<LayerNormSilu>,
    hidden: Vec<Linear>,
    last: Linear,
}

impl MlpNet {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        [hidden, n_layers]: [usize; 2],
        shape: Shape,
        n_outputs: usize,
    ) -> Result<(), ParamsError> {
        ConditionedLinear::build(params, "layer.0", shape.chunk.dim(), shape.obs_dim, hidden)?;
        LayerNormSilu::build(params, "norm.0", hidden)?;
        for i in 1..n_layers {
            Linear::build(params, &format!("layer.{i}"), [hidden, hidden], Init::FanIn)?;
            LayerNormSilu::build(params, &format!("norm.{i}"), hidden)?;
        }
        Linear::build(params, "last", [hidden, n_outputs], Init::Zero)
    }

    pub(super) fn new(params: &Params, n_layers: usize, shape: Shape) -> Result<Self, ParamsError> {
        let norm = |i| LayerNormSilu::new(params, &format!("norm.{i}"));
        Ok(Self {
            n_inputs: shape.chunk.dim(),
            first: ConditionedLinear::new(params, "layer.0")?,
            norms: (0..n_layers).map(norm).collect::<Result<_, _>>()?,
            hidden: (1..n_layers).map(|i| Linear::new(params, &format!("layer.{i}"))).collect::<Result<_, _>>()?,
            last: Linear::new(params, "last")?,
        })
    }

    pub(super) fn forward(&self, obs: &Tensor, chunks: Chunks<'_>, track: Track) -> candle_core::Result<Tensor> {
        let actions = first_values(chunks.actions, self.n_inputs)?;
        let mut x = self.first.forward(&actions, obs, Activation::None, track)?;
        for (i, norm) in self.norms.iter().enumerate() {
            x = norm.forward(&x, track)?;
            x = match self.hidden.get(i) {
                Some(hidden) => hidden.forward(&x, Activation::None, track)?,
                None => self.last.forward(&x, Activation::None, track)?,
            };
        }
        Ok(x)
    }
}
