//! The network of one coupling as a transformer over the steps of the chunk.
//!
//! ```text
//! x_h = [m_h y_h | m_h] W + b                   [W]    y_h the d values of the h-th step, m_h 1 where they are passive
//! x <- blocks(x; c)                             [H, W] see `transformer`; causal, c the observation tokens
//! [raw_h | t_h] = silu(N x_h W_1 + b_1) W_2 + b_2      [2d]   of which those of the active values are used
//! ```
//! Every second split reads the chunk from its end: the h-th step is then `H - 1 - h`.
//!
//! The paper's (SOFT-FLOW v1, IV-B, IV-E, A-C1): one token a step, causal self-attention over what is passive, cross-attention
//! to observation tokens, RMSNorm, rotary positions, SwiGLU, one block a coupling, 256 wide with 8 heads.
//!
//! Ours: the partition may cut through steps, so that all H steps are tokens, the active values of which are zero, and the mask
//! tells a passive zero from an active value. The active values of a step follow from the passive ones of the steps up to it, in
//! the order of reading: were it always that of time, nothing but the observation would ever move the first step, and its law
//! would be a Gaussian. (The paper's text does not say which passive token speaks for which active one.) SiLU in place of GELU
//! before the last layer, which puts out scale and shift together; no dropout.

use super::split::Halves;
use crate::chunk::ChunkShape;
use crate::layers::{Init, Linear, RmsNorm, Track};
use crate::ops::{self, Activation, AttentionShape, Columns, Visible};
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::transformer::{Block, TransformerSize};
use candle_core::{Device, Result, Tensor};

#[derive(Debug)]
pub(super) struct TokenCoupling {
    size: TransformerSize,
    chunk: ChunkShape,
    /// From `[passive | zeros]` into the order of reading.
    grid: Columns,
    /// 1 where a value is passive, `[H, d]`, in that order.
    mask: Tensor,
    first: Linear,
    blocks: Vec<Block>,
    norm: RmsNorm,
    hidden: Linear,
    last: Linear,
    /// From the outputs of all steps, `[H, 2 d]`, those of the active half.
    outputs: Columns,
}

impl TokenCoupling {
    pub(super) fn build(
        params: &mut ParamsBuilder,
        block: usize,
        size: &TransformerSize,
        chunk: ChunkShape,
    ) -> std::result::Result<(), ParamsError> {
        let (name, d) = (name(block), chunk.action_len);
        Linear::build(params, &format!("{name}.first"), [2 * d, size.width], Init::FanIn)?;
        for layer in 0..size.n_layers {
            Block::build(params, &format!("{name}.layer.{layer}"), size, true)?;
        }
        RmsNorm::build(params, &format!("{name}.norm"), size.width)?;
        Linear::build(params, &format!("{name}.hidden"), [size.width, size.hidden], Init::FanIn)?;
        Linear::build(params, &format!("{name}.last"), [size.hidden, 2 * d], Init::Zero)
    }

    pub(super) fn new(
        params: &Params,
        block: usize,
        size: &TransformerSize,
        chunk: ChunkShape,
        halves: Halves<'_>,
    ) -> std::result::Result<Self, ParamsError> {
        let name = name(block);
        let positions: Vec<usize> = (0..chunk.n_steps).collect();
        let layer = |i: usize| Block::new(params, &format!("{name}.layer.{i}"), size, &positions, true);
        let (first, order) = (Linear::new(params, &format!("{name}.first"))?, places(chunk, halves.is_backward));
        Ok(Self {
            size: *size,
            chunk,
            grid: grid(&order, halves)?,
            mask: mask(&order, halves, chunk, first.device())?,
            first,
            blocks: (0..size.n_layers).map(layer).collect::<std::result::Result<_, _>>()?,
            norm: RmsNorm::new(params, &format!("{name}.norm"))?,
            hidden: Linear::new(params, &format!("{name}.hidden"))?,
            last: Linear::new(params, &format!("{name}.last"))?,
            outputs: outputs(&order, halves, chunk)?,
        })
    }

    /// `passive [r, D/2]`, observation tokens `[r or 1, n W]` to `[raw | shift]` of the active half, `[r, D]`.
    pub(super) fn forward(&self, passive: &Tensor, observation: &Tensor, track: Track) -> Result<Tensor> {
        let (r, ChunkShape { n_steps, action_len: d }) = (passive.dim(0)?, self.chunk);
        let values = ops::select_from_halves(passive, &passive.zeros_like()?, &self.grid)?.reshape((r * n_steps, d))?;
        let mask = self.mask.broadcast_as((r, n_steps, d))?.contiguous()?.reshape((r * n_steps, d))?;
        let mut x = self.first.forward(&Tensor::cat(&[&values, &mask], 1)?, Activation::None, track)?;

        let (n_heads, n_context) = (self.size.n_heads, self.size.n_observation_tokens);
        let context = observation.reshape(((), self.size.width))?;
        let causal = AttentionShape { n_heads, n_queries: n_steps, n_keys: n_steps, visible: Visible::Causal };
        let across = AttentionShape { n_heads, n_queries: n_steps, n_keys: n_context, visible: Visible::All };
        for block in &self.blocks {
            x = block.forward(&x, &causal, Some((&context, &across)), track)?;
        }
        let hidden = self.hidden.forward(&self.norm.forward(&x, track)?, Activation::Silu, track)?;
        let all = self.last.forward(&hidden, Activation::None, track)?.reshape((r, n_steps * 2 * d))?;
        ops::select_columns(&all, &self.outputs)
    }
}

fn name(block: usize) -> String {
    format!("block.{block:02}")
}

/// Where each dimension is read.
fn places(chunk: ChunkShape, is_backward: bool) -> Vec<usize> {
    let place = |dim: usize| {
        let (step, joint) = (dim / chunk.action_len, dim % chunk.action_len);
        (if is_backward { chunk.n_steps - 1 - step } else { step }) * chunk.action_len + joint
    };
    (0..chunk.dim()).map(place).collect()
}

/// Where that which is read comes from in `[passive | active]`.
fn grid(places: &[usize], halves: Halves<'_>) -> Result<Columns> {
    let mut columns = vec![0; places.len()];
    for (column, &dim) in (0..).zip(halves.passive.iter().chain(halves.active)) {
        columns[places[dim as usize]] = column;
    }
    Columns::new(&columns, places.len())
}

fn mask(places: &[usize], halves: Halves<'_>, chunk: ChunkShape, device: &Device) -> Result<Tensor> {
    let mut mask = vec![0.0_f32; places.len()];
    for &dim in halves.passive {
        mask[places[dim as usize]] = 1.0;
    }
    Tensor::from_vec(mask, (chunk.n_steps, chunk.action_len), device)
}

fn outputs(places: &[usize], halves: Halves<'_>, chunk: ChunkShape) -> Result<Columns> {
    let d = chunk.action_len;
    let raw = halves.active.iter().map(|&dim| {
        let place = places[dim as usize];
        (place / d * 2 * d + place % d) as u32
    });
    let shift = raw.clone().map(|column| column + d as u32);
    Columns::new(&raw.chain(shift).collect::<Vec<_>>(), 2 * chunk.dim())
}
