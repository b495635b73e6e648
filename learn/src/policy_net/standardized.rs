//! What the networks other than the flow share: their law is one of standardised chunks `x`, see [`crate::standardizer`].

use super::{Draw, PolicyNet};
use crate::LearnError;
use crate::layers::Track;
use crate::noise::tempered;
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::standardizer::Standardizer;
use bridge::random::Rng;
use candle_core::{Device, Result, Tensor, bail};
use std::fmt::Debug;

/// Widths that a network is made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Widths {
    /// O.
    pub(super) observation: usize,
    /// D.
    pub(super) chunk: usize,
}

/// A conditional law of standardised chunks `x [r, D]`; the methods are those of [`PolicyNet`], of `x` in place of `u`.
pub(super) trait Law: Debug + Send + Sync + Sized + 'static {
    type Config: Clone + Debug + Send + Sync + 'static;
    const HAS_DENSITY: bool;

    fn build(config: &Self::Config, widths: Widths, params: &mut ParamsBuilder)
    -> std::result::Result<(), ParamsError>;

    fn new(config: &Self::Config, widths: Widths, params: &Params) -> std::result::Result<Self, ParamsError>;

    fn noise_len(&self) -> usize;

    fn base_noise(&self, n_rows: usize, temperature: f32, rng: &mut Rng) -> Vec<f32> {
        tempered(n_rows * self.noise_len(), temperature, rng)
    }

    fn improved_noise(&self, n_rows: usize, rng: &mut Rng) -> Vec<f32> {
        self.base_noise(n_rows, 1.0, rng)
    }

    fn embed(&self, observations: &Tensor, track: Track) -> Result<Tensor>;

    /// `x`, and its log-density where there is one.
    fn sample(&self, embedding: &Tensor, noise: &Tensor, track: Track) -> Result<(Tensor, Option<Tensor>)>;

    fn log_prob(&self, _embedding: &Tensor, _x: &Tensor, _track: Track) -> Result<Tensor> {
        bail!("this policy network has no density")
    }

    fn imitation_noise(&self, _n_rows: usize, _rng: &mut Rng) -> Vec<f32> {
        Vec::new()
    }

    fn imitation_loss(&self, embedding: &Tensor, x: &Tensor, _noise: &Tensor, track: Track) -> Result<Tensor> {
        self.log_prob(embedding, x, track)?.neg()
    }
}

/// A law with its parameters and the map from `u` to `x`.
#[derive(Debug)]
pub(super) struct Standardized<L: Law> {
    config: L::Config,
    widths: Widths,
    params: Params,
    standardizer: Standardizer,
    law: L,
}

impl<L: Law> Standardized<L> {
    pub(super) fn new(
        config: L::Config,
        widths: Widths,
        seed: u64,
        device: &Device,
    ) -> std::result::Result<Self, ParamsError> {
        Self::with_constants(config, widths, seed, Standardizer::identity(widths.chunk), device)
    }

    pub(super) fn from_bytes(
        config: L::Config,
        widths: Widths,
        bytes: &[u8],
        device: &Device,
    ) -> std::result::Result<Self, ParamsError> {
        let net = Self::with_constants(config, widths, 0, Standardizer::read(bytes)?, device)?;
        net.params.load_bytes(bytes)?;
        Ok(net)
    }

    fn with_constants(
        config: L::Config,
        widths: Widths,
        seed: u64,
        constants: [Vec<u32>; 2],
        device: &Device,
    ) -> std::result::Result<Self, ParamsError> {
        let mut params = ParamsBuilder::new(seed, device);
        L::build(&config, widths, &mut params)?;
        Standardizer::build(&mut params, constants)?;
        Self::assemble(config, widths, params.build())
    }

    fn assemble(config: L::Config, widths: Widths, params: Params) -> std::result::Result<Self, ParamsError> {
        let (standardizer, law) = (Standardizer::new(&params)?, L::new(&config, widths, &params)?);
        Ok(Self { config, widths, params, standardizer, law })
    }
}

impl<L: Law> PolicyNet for Standardized<L> {
    fn params(&self) -> &Params {
        &self.params
    }

    fn clone_on(&self, device: &Device) -> std::result::Result<Box<dyn PolicyNet>, LearnError> {
        Ok(Box::new(Self::assemble(self.config.clone(), self.widths, self.params.clone_on(device)?)?))
    }

    fn initialise(&mut self, u: &Tensor) -> std::result::Result<(), LearnError> {
        self.standardizer = Standardizer::set(&mut self.params, u)?;
        Ok(())
    }

    fn noise_len(&self) -> usize {
        self.law.noise_len()
    }

    fn base_noise(&self, n_rows: usize, temperature: f32, rng: &mut Rng) -> Vec<f32> {
        self.law.base_noise(n_rows, temperature, rng)
    }

    fn improved_noise(&self, n_rows: usize, rng: &mut Rng) -> Vec<f32> {
        self.law.improved_noise(n_rows, rng)
    }

    fn embed(&self, observations: &Tensor, track: Track) -> Result<Tensor> {
        self.law.embed(observations, track)
    }

    fn sample(&self, embedding: &Tensor, noise: &Tensor, track: Track) -> Result<Draw> {
        if noise.dims2()?.1 != self.law.noise_len() {
            bail!("policy network: the noise is {:?}, expected [r, {}]", noise.dims(), self.law.noise_len());
        }
        let (x, log_prob) = self.law.sample(embedding, noise, track)?;
        let log_prob = log_prob.map(|log_prob| log_prob - self.standardizer.sum_log_scale()).transpose()?;
        Ok(Draw { u: self.standardizer.restore(&x)?, log_prob })
    }

    fn log_prob(&self, embedding: &Tensor, u: &Tensor, track: Track) -> Result<Tensor> {
        let x = self.standardizer.standardize(u)?;
        self.law.log_prob(embedding, &x, track)? - self.standardizer.sum_log_scale()
    }

    fn imitation_noise(&self, n_rows: usize, rng: &mut Rng) -> Vec<f32> {
        self.law.imitation_noise(n_rows, rng)
    }

    fn imitation_loss(&self, embedding: &Tensor, u: &Tensor, noise: &Tensor, track: Track) -> Result<Tensor> {
        let loss = self.law.imitation_loss(embedding, &self.standardizer.standardize(u)?, noise, track)?;
        if L::HAS_DENSITY { loss + self.standardizer.sum_log_scale() } else { Ok(loss) }
    }
}
