//! Conditional normalizing flow over action chunks, before the squash of [`crate::squash`].
//!
//! A RealNVP (Dinh et al. 2017): a [`Partition`] deals the `D` dimensions out to two halves, and a coupling transforms one half
//! given the other. With complementary pairs the next coupling swaps the halves, so that every dimension is transformed once
//! per pair; else every coupling has halves of its own.
//!
//! ```text
//! e = Enc(o)                                                     [r, E]
//! x = (u - shift) e^-log_scale                                   [r, D]   ActNorm, starts at the statistics of the data
//! per split, halves a, b [r, D/2]:
//!     b <- b e^s + t,   (s, t) = Net(a, e)
//!     a <- a e^s + t,   (s, t) = Net'(b, e)   in a pair                   s = s_max tanh(raw / s_max)
//! z = x                                                          [r, D]
//! ln p(u|o) = ln N(z; 0, I) + sum s - sum log_scale              [r]
//! ```
//! This is the density direction; sampling runs it backwards, `b <- (b - t) e^-s`. The last layers start at zero: an
//! untrained flow is ActNorm alone. `z` is in the order of the dimensions of `u`.
//!
//! The paper (SOFT-FLOW v1, IV-B) has random halves of whole steps, token couplings and no ActNorm; pairs, partitions of single
//! values, MLP couplings, ActNorm and the choice of `s_max` are ours. What `Enc` and `Net` are is in `mlp` and `token`.

mod config;
mod mlp;
mod net;
mod split;
mod token;

use crate::chunk::ChunkShape;
use crate::layers::Weight;
use crate::ops;
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::standardizer::column_statistics;
use candle_core::{DType, Device, Tensor, bail};
use config::check_sizes;
use net::{CouplingNet, Encoder};
use split::{Halves, Routes};

pub use crate::layers::Track;
pub use config::{Couplings, FlowConfig, FlowError};
pub use split::Partition;

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
    chunk: ChunkShape,
    params: Params,
    encoder: Encoder,
    shift: Weight,
    log_scale: Weight,
    /// For every split the couplings that take turns on its halves.
    turns: Vec<Vec<CouplingNet>>,
    routes: Routes,
}

impl Flow {
    /// A new flow for observations `[r, obs_dim]` and chunks `[r, D]`; weights and splits come from `seed`.
    ///
    /// # Errors
    /// When a size is not allowed.
    pub fn new(
        config: FlowConfig,
        obs_dim: usize,
        chunk: impl Into<ChunkShape>,
        seed: u64,
        device: &Device,
    ) -> Result<Self, FlowError> {
        let chunk = chunk.into();
        check_sizes(&config, obs_dim, chunk)?;
        let splits = (0..config.n_splits()).map(|index| config.partition.split(seed, index, chunk)).collect();
        Self::with_splits(config, obs_dim, chunk, seed, splits, device)
    }

    /// The flow that was saved by [`Params::to_bytes`], its splits included.
    ///
    /// # Errors
    /// When a size is not allowed, or the file does not belong to such a flow or is damaged.
    pub fn from_bytes(
        config: FlowConfig,
        obs_dim: usize,
        chunk: impl Into<ChunkShape>,
        bytes: &[u8],
        device: &Device,
    ) -> Result<Self, FlowError> {
        let chunk = chunk.into();
        check_sizes(&config, obs_dim, chunk)?;
        let splits = Params::read_fixed(bytes, &config.split_names())?;
        let flow = Self::with_splits(config, obs_dim, chunk, 0, splits, device)?;
        flow.params.load_bytes(bytes)?;
        Ok(flow)
    }

    /// A flow of its own with the same weights, on any device.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    pub fn clone_on(&self, device: &Device) -> Result<Self, FlowError> {
        Self::assemble(self.config, self.obs_dim, self.chunk, self.params.clone_on(device)?)
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
        self.chunk.dim()
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
        let d = self.chunk_dim();
        let [shift, log_scale] = column_statistics(u, d)?;
        self.shift.set(&Tensor::from_vec(shift, d, self.shift.device())?)?;
        self.log_scale.set(&Tensor::from_vec(log_scale, d, self.log_scale.device())?)
    }

    /// Encodes observations `[r, obs_dim]` as `[r, E]`; the same embedding serves any number of the calls below.
    ///
    /// # Errors
    /// When `obs` has the wrong shape.
    pub fn embed(&self, obs: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        self.encoder.forward(obs, track)
    }

    /// `ln p(u|o)`, `[r]`, of `u [r, D]`; `embedding` is `[r, E]`, or `[1, E]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn log_prob(&self, embedding: &Tensor, u: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let ([a, b], log_det) = self.to_latent(embedding, u, track, |_| Ok(()))?;
        self.with_base_density(&(ops::squared_norm(&a)? + ops::squared_norm(&b)?)?, &log_det, track)
    }

    /// The latent `z [r, D]` of `u [r, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn latent(&self, embedding: &Tensor, u: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let ([a, b], _) = self.to_latent(embedding, u, track, |_| Ok(()))?;
        ops::select_from_halves(&a, &b, &self.routes.leave_last)
    }

    /// The largest magnitude of a coupling's log-scale on `u [r, D]`; `s_max` is its bound, which it should stay clear of.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn largest_log_scale(&self, embedding: &Tensor, u: &Tensor) -> candle_core::Result<f32> {
        let mut largest = 0.0f32;
        self.to_latent(embedding, u, Track::Frozen, |net_out| {
            let raw = net_out.narrow(1, 0, net_out.dim(1)? / 2)?;
            largest = raw.flatten_all()?.to_vec1::<f32>()?.into_iter().fold(largest, |most, raw| most.max(raw.abs()));
            Ok(())
        })?;
        Ok(self.s_max() * (largest / self.s_max()).tanh())
    }

    /// The chunks of the latents `z [r, D]`; `embedding` is `[r, E]`, or `[1, E]` for all rows: its part of the work is
    /// then done once.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn sample(&self, embedding: &Tensor, z: &Tensor, track: Track) -> candle_core::Result<Sample> {
        let mut log_det: Option<Tensor> = None;
        let u = self.to_chunks(embedding, z, track, |net_out| {
            log_det = Some(self.add_log_scale(log_det.take(), net_out)?);
            Ok(())
        })?;
        let Some(log_det) = log_det else { bail!("a flow has at least one coupling") };
        let log_prob = self.with_base_density(&ops::squared_norm(z)?, &log_det, track)?;
        Ok(Sample { u, log_prob })
    }

    /// [`Sample::u`] alone, in the same bits: no work is done for the density.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn chunks(&self, embedding: &Tensor, z: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        self.to_chunks(embedding, z, track, |_| Ok(()))
    }

    /// `u [r, D]`. `see` is shown what every coupling's network returns.
    fn to_chunks(
        &self,
        embedding: &Tensor,
        z: &Tensor,
        track: Track,
        mut see: impl FnMut(&Tensor) -> candle_core::Result<()>,
    ) -> candle_core::Result<Tensor> {
        self.check_rows(embedding, z)?;
        let [mut a, mut b] = split::enter(z, &self.routes.enter_last)?;
        for (j, nets) in self.turns.iter().enumerate().rev() {
            for (turn, net) in nets.iter().enumerate().rev() {
                let (passive, active) = if turn == 0 { (&a, &mut b) } else { (&b, &mut a) };
                let net_out = net.forward(passive, embedding, track)?;
                *active = ops::coupling_inverse(active, &net_out, self.s_max())?;
                see(&net_out)?;
            }
            if let Some(before) = j.checked_sub(1) {
                [a, b] = split::regroup(&a, &b, &self.routes.backward[before])?;
            }
        }
        let x = ops::select_from_halves(&a, &b, &self.routes.leave_first)?;
        ops::act_norm_inverse(&x, self.shift.seen(track), self.log_scale.seen(track))
    }

    /// The two halves of the last split, and `sum s`. `see` is shown what every coupling's network returns.
    fn to_latent(
        &self,
        embedding: &Tensor,
        u: &Tensor,
        track: Track,
        mut see: impl FnMut(&Tensor) -> candle_core::Result<()>,
    ) -> candle_core::Result<([Tensor; 2], Tensor)> {
        self.check_rows(embedding, u)?;
        let x = ops::act_norm_forward(u, self.shift.seen(track), self.log_scale.seen(track))?;
        let [mut a, mut b] = split::enter(&x, &self.routes.enter_first)?;
        let mut log_det: Option<Tensor> = None;
        for (j, nets) in self.turns.iter().enumerate() {
            for (turn, net) in nets.iter().enumerate() {
                let (passive, active) = if turn == 0 { (&a, &mut b) } else { (&b, &mut a) };
                let net_out = net.forward(passive, embedding, track)?;
                see(&net_out)?;
                *active = ops::coupling_forward(active, &net_out, self.s_max())?;
                log_det = Some(self.add_log_scale(log_det, &net_out)?);
            }
            if let Some(halves) = self.routes.forward.get(j) {
                [a, b] = split::regroup(&a, &b, halves)?;
            }
        }
        match log_det {
            Some(log_det) => Ok(([a, b], log_det)),
            None => bail!("a flow has at least one coupling"),
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
        let constant = -0.5 * self.chunk_dim() as f64 * (2.0 * std::f64::consts::PI).ln();
        let base = squared_norm.affine(-0.5, constant)?;
        (base + log_det)?.broadcast_sub(&self.log_scale.seen(track).sum_all()?)
    }

    fn check_rows(&self, embedding: &Tensor, x: &Tensor) -> candle_core::Result<()> {
        let ((embedding_rows, width), (r, d)) = (embedding.dims2()?, x.dims2()?);
        let expected = self.config.couplings.size().embedding();
        if d != self.chunk_dim() || width != expected || (embedding_rows != 1 && embedding_rows != r) {
            bail!(
                "flow: embedding {:?} and chunks {:?}, expected [r or 1, {expected}] and [r, {}]",
                embedding.dims(),
                x.dims(),
                self.chunk_dim()
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
        chunk: ChunkShape,
        seed: u64,
        splits: Vec<Vec<u32>>,
        device: &Device,
    ) -> Result<Self, FlowError> {
        let (size, mut params) = (config.couplings.size(), ParamsBuilder::new(seed, device));
        Encoder::build(&mut params, size, obs_dim)?;
        params.constant("act_norm.shift", &[chunk.dim()], 0.0)?;
        params.constant("act_norm.log_scale", &[chunk.dim()], 0.0)?;
        for block in 0..config.n_blocks {
            CouplingNet::build(&mut params, size, block, chunk)?;
        }
        for (name, split) in config.split_names().iter().zip(splits) {
            params.fixed(name, split)?;
        }
        Self::assemble(config, obs_dim, chunk, params.build())
    }

    fn assemble(config: FlowConfig, obs_dim: usize, chunk: ChunkShape, params: Params) -> Result<Self, FlowError> {
        let (size, n_turns) = (config.couplings.size(), config.partition.n_turns());
        let names = config.split_names();
        let splits = names.iter().map(|name| params.fixed(name)).collect::<Result<Vec<_>, _>>()?;
        // The couplings index by these, so they are checked first.
        let routes = Routes::new(&splits, chunk.dim())?;
        let turns = |(index, split): (usize, &&[u32])| -> Result<Vec<CouplingNet>, ParamsError> {
            let net = |turn| {
                let halves = Halves::of(split, index, turn);
                CouplingNet::new(&params, size, index * n_turns + turn, chunk, halves)
            };
            (0..n_turns).map(net).collect()
        };
        Ok(Self {
            config,
            obs_dim,
            chunk,
            encoder: Encoder::new(&params, size, obs_dim)?,
            shift: Weight::new(&params, "act_norm.shift")?,
            log_scale: Weight::new(&params, "act_norm.log_scale")?,
            turns: splits.iter().enumerate().map(turns).collect::<Result<_, _>>()?,
            routes,
            params,
        })
    }
}
