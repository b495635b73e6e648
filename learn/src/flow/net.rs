//! The network of one coupling: passive half and embedding to `[raw log-scale | shift]` of the active half.

use super::FlowConfig;
use crate::layers::{ConditionedLinear, Init, Linear, Track};
use crate::ops::Activation;
use crate::params::{Params, ParamsBuilder, ParamsError};
use candle_core::Tensor;

#[derive(Debug)]
pub(super) struct CouplingNet {
    first: ConditionedLinear,
    second: Linear,
    last: Linear,
}

impl CouplingNet {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        block: usize,
        config: &FlowConfig,
        half: usize,
    ) -> Result<(), ParamsError> {
        let [first, second, last] = layer_names(block);
        ConditionedLinear::build(params, &first, half, config.embedding, config.hidden)?;
        Linear::build(params, &second, [config.hidden, config.hidden], Init::FanIn)?;
        Linear::build(params, &last, [config.hidden, 2 * half], Init::Zero)
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
