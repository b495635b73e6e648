//! Couplings and encoder without tokens: layers on all values at once.

use crate::layers::{ConditionedLinear, Init, Linear, Track};
use crate::ops::Activation;
use crate::params::{Params, ParamsBuilder, ParamsError};
use candle_core::Tensor;

/// Observations `[r, O]` to `[r, E]`: two layers, SiLU.
#[derive(Debug)]
pub(super) struct MlpEncoder([Linear; 2]);

impl MlpEncoder {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        obs_dim: usize,
        hidden: usize,
        embedding: usize,
    ) -> Result<(), ParamsError> {
        Linear::build(params, "encoder.0", [obs_dim, hidden], Init::FanIn)?;
        Linear::build(params, "encoder.1", [hidden, embedding], Init::FanIn)
    }

    pub(super) fn new(params: &Params) -> Result<Self, ParamsError> {
        Ok(Self([Linear::new(params, "encoder.0")?, Linear::new(params, "encoder.1")?]))
    }

    pub(super) fn forward(&self, obs: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let hidden = self.0[0].forward(obs, Activation::Silu, track)?;
        self.0[1].forward(&hidden, Activation::Silu, track)
    }
}

/// Passive half and embedding to `[raw log-scale | shift]` of the active half: two hidden layers, SiLU.
#[derive(Debug)]
pub(super) struct MlpCoupling {
    first: ConditionedLinear,
    second: Linear,
    last: Linear,
}

impl MlpCoupling {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        block: usize,
        [hidden, embedding]: [usize; 2],
        half: usize,
    ) -> Result<(), ParamsError> {
        let [first, second, last] = layer_names(block);
        ConditionedLinear::build(params, &first, half, embedding, hidden)?;
        Linear::build(params, &second, [hidden, hidden], Init::FanIn)?;
        Linear::build(params, &last, [hidden, 2 * half], Init::Zero)
    }

    pub(super) fn new(params: &Params, block: usize) -> Result<Self, ParamsError> {
        let [first, second, last] = layer_names(block);
        Ok(Self {
            first: ConditionedLinear::new(params, &first)?,
            second: Linear::new(params, &second)?,
            last: Linear::new(params, &last)?,
        })
    }

    /// `passive [r, D/2]`, `embedding [r or 1, E]` to `[r, D]`.
    pub(super) fn forward(&self, passive: &Tensor, embedding: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let hidden = self.first.forward(passive, embedding, Activation::Silu, track)?;
        let hidden = self.second.forward(&hidden, Activation::Silu, track)?;
        self.last.forward(&hidden, Activation::None, track)
    }
}

/// Two digits keep the order of the names the order of the blocks.
fn layer_names(block: usize) -> [String; 3] {
    ["first", "second", "last"].map(|layer| format!("block.{block:02}.{layer}"))
}
