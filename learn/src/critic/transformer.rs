//! A critic over tokens.
//!
//! ```text
//! x = [v | observation tokens | a_0 W + b .. a_H-1 W + b]     [1 + n + H, W]   v learned
//! x <- blocks(x)                                              see `transformer`; steps at positions 1 to H, all else at 0
//! out = N x_0 W_o + b_o                                       [n_outputs]
//! ```
//! Every token sees every other, but none sees a step that was not carried out: the padding of a partial chunk changes no value.
//!
//! The paper's (SOFT-FLOW v1, IV-C, A-C1): an encoder over observation tokens and the chunk, 512 wide, 8 heads, 3 layers. Ours:
//! a token for every step, where the paper has one for the chunk, so that steps can be left out; a token of its own to be read;
//! the blocks of the token couplings (RMSNorm, rotary positions, SwiGLU) for LayerNorm and GELU; no dropout.

use super::Shape;
use super::net::first_values;
use crate::chunk::{ChunkShape, Chunks};
use crate::layers::{Init, Linear, RmsNorm, Track, Weight};
use crate::ops::{Activation, AttentionShape, Visible};
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::transformer::{Block, ObservationTokens, TransformerSize};
use candle_core::{Tensor, bail};

#[derive(Debug)]
pub(super) struct TransformerNet {
    size: TransformerSize,
    chunk: ChunkShape,
    observation: ObservationTokens,
    value: Weight,
    action: Linear,
    blocks: Vec<Block>,
    norm: RmsNorm,
    last: Linear,
}

impl TransformerNet {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        size: &TransformerSize,
        shape: Shape,
        n_outputs: usize,
    ) -> Result<(), ParamsError> {
        ObservationTokens::build(params, size, shape.obs_dim)?;
        params.uniform("value", &[1, size.width], 1.0)?;
        Linear::build(params, "action", [shape.chunk.action_len, size.width], Init::FanIn)?;
        for layer in 0..size.n_layers {
            Block::build(params, &format!("layer.{layer}"), size, false)?;
        }
        RmsNorm::build(params, "norm", size.width)?;
        Linear::build(params, "last", [size.width, n_outputs], Init::Zero)
    }

    pub(super) fn new(params: &Params, size: TransformerSize, shape: Shape) -> Result<Self, ParamsError> {
        let mut positions = vec![0; 1 + size.n_observation_tokens];
        positions.extend(1..=shape.chunk.n_steps);
        let block = |i| Block::new(params, &format!("layer.{i}"), &size, &positions, false);
        Ok(Self {
            chunk: shape.chunk,
            observation: ObservationTokens::new(params, &size, shape.obs_dim)?,
            value: Weight::new(params, "value")?,
            action: Linear::new(params, "action")?,
            blocks: (0..size.n_layers).map(block).collect::<Result<_, _>>()?,
            norm: RmsNorm::new(params, "norm")?,
            last: Linear::new(params, "last")?,
            size,
        })
    }

    pub(super) fn forward(&self, obs: &Tensor, chunks: Chunks<'_>, track: Track) -> candle_core::Result<Tensor> {
        let ChunkShape { n_steps, action_len } = self.chunk;
        let &TransformerSize { width, n_heads, n_observation_tokens, .. } = &self.size;
        let actions = first_values(chunks.actions, self.chunk.dim())?;
        let r = actions.dim(0)?;
        let steps = actions.reshape((r * n_steps, action_len))?;
        let steps = self.action.forward(&steps, Activation::None, track)?.reshape((r, n_steps * width))?;
        let observation = self.observation.forward(obs, track)?.broadcast_as((r, n_observation_tokens * width))?;
        let value = self.value.seen(track).broadcast_as((r, width))?;

        let n_tokens = 1 + n_observation_tokens + n_steps;
        let visible = match chunks.n_valid {
            None => Visible::All,
            Some(n_valid) if n_valid.len() == r => {
                Visible::PerRow(n_valid.iter().map(|&n| n_tokens - n_steps + n.min(n_steps)).collect())
            }
            Some(n_valid) => bail!("critic: {} numbers of valid steps for {r} chunks", n_valid.len()),
        };
        let shape = AttentionShape { n_heads, n_queries: n_tokens, n_keys: n_tokens, visible };
        let mut x = Tensor::cat(&[&value, &observation, &steps], 1)?.reshape((r * n_tokens, width))?;
        for block in &self.blocks {
            x = block.forward(&x, &shape, None, track)?;
        }
        let value = x.reshape((r, n_tokens * width))?.narrow(1, 0, width)?;
        self.last.forward(&self.norm.forward(&value, track)?, Activation::None, track)
    }
}
