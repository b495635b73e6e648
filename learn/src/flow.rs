//! Conditional normalizing flow over action chunks, before the squash of [`crate::squash`].
//!
//! A RealNVP (Dinh et al. 2017) of *complementary pairs*: each pair splits the `D` dimensions at random into two halves
//! and transforms first the second half given the first, then the first given the second, so that every dimension is
//! transformed once per pair.
//!
//! ```text
//! e = Enc(o)                                                     [r, E]   two layers, SiLU
//! x = (u - shift) e^-log_scale                                   [r, D]   ActNorm, starts at the statistics of the data
//! per pair, halves a, b [r, D/2]:
//!     b <- b e^s + t,   (s, t) = Net(a, e)
//!     a <- a e^s + t,   (s, t) = Net'(b, e)                               s = s_max tanh(raw / s_max)
//! z = x                                                          [r, D]
//! ln p(u|o) = ln N(z; 0, I) + sum s - sum log_scale              [r]
//! ```
//! This is the density direction; sampling runs it backwards, `b <- (b - t) e^-s`. The last layers start at zero: an
//! untrained flow is ActNorm alone. `z` is in the order of the dimensions of `u`.

mod net;
mod split;

use crate::layers::{Init, Linear};
use crate::ops::{self, Activation};
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::standardizer::column_statistics;
use bridge::number::Positive;
use candle_core::{DType, Device, Tensor, Var, bail};
use net::CouplingNet;
use serde::{Deserialize, Serialize};
use split::{Routes, random_split, split_name};
use thiserror::Error;

pub use crate::layers::Track;

/// Size of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowConfig {
    /// Number of couplings, even, at least 2: two make a pair. 12 for states; 8 and fewer need a larger `s_max`.
    pub n_blocks: usize,
    /// Width of the two hidden layers of each coupling, and of the encoder's first layer.
    pub hidden: usize,
    /// Width of the encoded observation.
    pub embedding: usize,
    /// Bound of a coupling's log-scale. 1 with 8 blocks or more, 2 with fewer.
    pub s_max: Positive,
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

/// Samples, and their density from the same pass.
#[derive(Clone, Debug)]
pub struct Sample {
    /// `[r, D]`; the action is `squash(u)`.
    pub u: Tensor,
    /// `ln p(u|o)` of the flow, `[r]`. For noise that was scaled by a temperature it is still the density of the flow itself.
    pub log_prob: Tensor,
}

/// Conditional normalizing flow; see the module.
#[derive(Debug)]
pub struct Flow {
    config: FlowConfig,
    obs_dim: usize,
    chunk_dim: usize,
    params: Params,
    encoder: [Linear; 2],
    shift: Var,
    log_scale: Var,
    pairs: Vec<[CouplingNet; 2]>,
    routes: Routes,
}

impl Flow {
    /// A new flow for observations `[r, obs_dim]` and chunks `[r, chunk_dim]`; weights and splits come from `seed`.
    ///
    /// # Errors
    /// When a size is not allowed.
    pub fn new(
        config: FlowConfig,
        obs_dim: usize,
        chunk_dim: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, FlowError> {
        check_sizes(&config, obs_dim, chunk_dim)?;
        let splits = (0..config.n_blocks / 2).map(|pair| random_split(seed, pair, chunk_dim)).collect();
        Self::with_splits(config, obs_dim, chunk_dim, seed, splits, device)
    }

    /// The flow that was saved by [`Params::to_bytes`], its splits included.
    ///
    /// # Errors
    /// When a size is not allowed, or the file does not belong to such a flow or is damaged.
    pub fn from_bytes(
        config: FlowConfig,
        obs_dim: usize,
        chunk_dim: usize,
        bytes: &[u8],
        device: &Device,
    ) -> Result<Self, FlowError> {
        check_sizes(&config, obs_dim, chunk_dim)?;
        let names: Vec<String> = (0..config.n_blocks / 2).map(split_name).collect();
        let splits = Params::read_fixed(bytes, &names)?;
        let flow = Self::with_splits(config, obs_dim, chunk_dim, 0, splits, device)?;
        flow.params.load_bytes(bytes)?;
        Ok(flow)
    }

    /// A flow of its own with the same weights.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    pub fn deep_clone(&self) -> Result<Self, FlowError> {
        Self::assemble(self.config, self.obs_dim, self.chunk_dim, self.params.deep_clone()?)
    }

    /// The size it was made with.
    #[must_use]
    pub fn config(&self) -> &FlowConfig {
        &self.config
    }

    /// Width of an observation.
    #[must_use]
    pub fn obs_dim(&self) -> usize {
        self.obs_dim
    }

    /// Width of a chunk, `D`.
    #[must_use]
    pub fn chunk_dim(&self) -> usize {
        self.chunk_dim
    }

    /// All trainable tensors.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Sets ActNorm to the statistics of `u [r, D]`, so that the flow starts at the best diagonal Gaussian.
    ///
    /// # Errors
    /// When `u` has the wrong shape, no rows, or a number that is not finite.
    pub fn initialise_act_norm(&self, u: &Tensor) -> candle_core::Result<()> {
        let [shift, log_scale] = column_statistics(u, self.chunk_dim)?;
        let d = self.chunk_dim;
        self.shift.set(&Tensor::from_vec(shift, d, self.shift.device())?)?;
        self.log_scale.set(&Tensor::from_vec(log_scale, d, self.log_scale.device())?)
    }

    /// Encodes observations `[r, obs_dim]` as `[r, E]`; the same embedding serves any number of the calls below.
    ///
    /// # Errors
    /// When `obs` has the wrong shape.
    pub fn embed(&self, obs: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let hidden = self.encoder[0].forward(obs, Activation::Silu, track)?;
        self.encoder[1].forward(&hidden, Activation::Silu, track)
    }

    /// `ln p(u|o)`, `[r]`, of `u [r, D]`; `embedding` is `[r, E]`, or `[1, E]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn log_prob(&self, embedding: &Tensor, u: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let ([a, b], log_det) = self.to_latent(embedding, u, track)?;
        self.with_base_density(&(ops::squared_norm(&a)? + ops::squared_norm(&b)?)?, &log_det, track)
    }

    /// The latent `z [r, D]` of `u [r, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn latent(&self, embedding: &Tensor, u: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let ([a, b], _) = self.to_latent(embedding, u, track)?;
        ops::select_from_halves(&a, &b, &self.routes.leave_last)
    }

    /// The chunks of the latents `z [r, D]`; `embedding` is `[r, E]`, or `[1, E]` for all rows: its part of the work is
    /// then done once.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn sample(&self, embedding: &Tensor, z: &Tensor, track: Track) -> candle_core::Result<Sample> {
        self.check_rows(embedding, z)?;
        let [mut a, mut b] = split::enter(z, &self.routes.enter_last)?;
        let mut log_det: Option<Tensor> = None;
        for (j, [first, second]) in self.pairs.iter().enumerate().rev() {
            let net_out = second.forward(&b, embedding, track)?;
            a = ops::coupling_inverse(&a, &net_out, self.s_max())?;
            log_det = Some(self.add_log_scale(log_det, &net_out)?);
            let net_out = first.forward(&a, embedding, track)?;
            b = ops::coupling_inverse(&b, &net_out, self.s_max())?;
            log_det = Some(self.add_log_scale(log_det, &net_out)?);
            if let Some(before) = j.checked_sub(1) {
                [a, b] = split::regroup(&a, &b, &self.routes.backward[before])?;
            }
        }
        let x = ops::select_from_halves(&a, &b, &self.routes.leave_first)?;
        let u = ops::act_norm_inverse(&x, &track.tensor(&self.shift), &track.tensor(&self.log_scale))?;
        let Some(log_det) = log_det else { bail!("a flow has at least one pair") };
        let log_prob = self.with_base_density(&ops::squared_norm(z)?, &log_det, track)?;
        Ok(Sample { u, log_prob })
    }

    /// The two halves of the last pair, and `sum s`.
    fn to_latent(&self, embedding: &Tensor, u: &Tensor, track: Track) -> candle_core::Result<([Tensor; 2], Tensor)> {
        self.check_rows(embedding, u)?;
        let x = ops::act_norm_forward(u, &track.tensor(&self.shift), &track.tensor(&self.log_scale))?;
        let [mut a, mut b] = split::enter(&x, &self.routes.enter_first)?;
        let mut log_det: Option<Tensor> = None;
        for (j, [first, second]) in self.pairs.iter().enumerate() {
            let net_out = first.forward(&a, embedding, track)?;
            b = ops::coupling_forward(&b, &net_out, self.s_max())?;
            log_det = Some(self.add_log_scale(log_det, &net_out)?);
            let net_out = second.forward(&b, embedding, track)?;
            a = ops::coupling_forward(&a, &net_out, self.s_max())?;
            log_det = Some(self.add_log_scale(log_det, &net_out)?);
            if let Some(halves) = self.routes.forward.get(j) {
                [a, b] = split::regroup(&a, &b, halves)?;
            }
        }
        match log_det {
            Some(log_det) => Ok(([a, b], log_det)),
            None => bail!("a flow has at least one pair"),
        }
    }

    fn s_max(&self) -> f32 {
        self.config.s_max.f32()
    }

    fn add_log_scale(&self, log_det: Option<Tensor>, net_out: &Tensor) -> candle_core::Result<Tensor> {
        let more = ops::sum_log_scale(net_out, self.s_max())?;
        log_det.map_or(Ok(more.clone()), |log_det| log_det + more)
    }

    /// `ln N(z; 0, I) + log_det - sum log_scale`.
    fn with_base_density(&self, squared_norm: &Tensor, log_det: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let constant = -0.5 * self.chunk_dim as f64 * (2.0 * std::f64::consts::PI).ln();
        let base = squared_norm.affine(-0.5, constant)?;
        (base + log_det)?.broadcast_sub(&track.tensor(&self.log_scale).sum_all()?)
    }

    fn check_rows(&self, embedding: &Tensor, x: &Tensor) -> candle_core::Result<()> {
        let ((embedding_rows, width), (r, d)) = (embedding.dims2()?, x.dims2()?);
        if d != self.chunk_dim || width != self.config.embedding || (embedding_rows != 1 && embedding_rows != r) {
            bail!(
                "flow: embedding {:?} and chunks {:?}, expected [r or 1, {}] and [r, {}]",
                embedding.dims(),
                x.dims(),
                self.config.embedding,
                self.chunk_dim
            );
        }
        if x.dtype() != DType::F32 {
            bail!("flow: the chunks are {:?}, expected f32", x.dtype());
        }
        Ok(())
    }

    fn with_splits(
        config: FlowConfig,
        obs_dim: usize,
        chunk_dim: usize,
        seed: u64,
        splits: Vec<Vec<u32>>,
        device: &Device,
    ) -> Result<Self, FlowError> {
        let mut params = ParamsBuilder::new(seed, device);
        Linear::build(&mut params, "encoder.0", [obs_dim, config.hidden], Init::FanIn)?;
        Linear::build(&mut params, "encoder.1", [config.hidden, config.embedding], Init::FanIn)?;
        params.constant("act_norm.shift", &[chunk_dim], 0.0)?;
        params.constant("act_norm.log_scale", &[chunk_dim], 0.0)?;
        for block in 0..config.n_blocks {
            CouplingNet::build(&mut params, block, &config, chunk_dim / 2)?;
        }
        for (pair, split) in splits.into_iter().enumerate() {
            params.fixed(&split_name(pair), split)?;
        }
        Self::assemble(config, obs_dim, chunk_dim, params.build())
    }

    fn assemble(config: FlowConfig, obs_dim: usize, chunk_dim: usize, params: Params) -> Result<Self, FlowError> {
        let n_pairs = config.n_blocks / 2;
        let splits = (0..n_pairs).map(|pair| params.fixed(&split_name(pair))).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            config,
            obs_dim,
            chunk_dim,
            encoder: [Linear::new(&params, "encoder.0")?, Linear::new(&params, "encoder.1")?],
            shift: params.var("act_norm.shift")?.clone(),
            log_scale: params.var("act_norm.log_scale")?.clone(),
            pairs: (0..n_pairs)
                .map(|pair| Ok([CouplingNet::new(&params, 2 * pair)?, CouplingNet::new(&params, 2 * pair + 1)?]))
                .collect::<Result<_, ParamsError>>()?,
            routes: Routes::new(&splits, chunk_dim)?,
            params,
        })
    }
}

fn check_sizes(config: &FlowConfig, obs_dim: usize, chunk_dim: usize) -> Result<(), FlowError> {
    let sizes = [
        ("n_blocks", config.n_blocks, "an even number, at least 2", true),
        ("chunk_dim", chunk_dim, "an even number, at least 2", true),
        ("obs_dim", obs_dim, "at least 1", false),
        ("hidden", config.hidden, "at least 1", false),
        ("embedding", config.embedding, "at least 1", false),
    ];
    match sizes.into_iter().find(|&(_, found, _, even)| found == 0 || (even && found % 2 != 0)) {
        Some((field, found, expected, _)) => Err(FlowError::Size { field, found, expected }),
        None => Ok(()),
    }
}
