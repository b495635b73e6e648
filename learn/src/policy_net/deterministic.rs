//! One chunk per observation, with clipped noise where it explores and in the critic's targets: the actor of TD3 (Fujimoto et al.
//! 2018) and its successors.
//!
//! ```text
//! mu = MLP(o)                                              [r, D], zero in the beginning: the mean of the data
//! loss = |x - mu|^2                                        [r], summed over D
//! sampling: mu + std clip(z, -2.5, 2.5)
//! ```
//! The actor raises the value of mu itself.

use super::standardized::{Law, Widths};
use crate::layers::{Init, Mlp, MlpSize, Track};
use crate::ops;
use crate::params::{Params, ParamsBuilder, ParamsError};
use bridge::random::Rng;
use candle_core::{Result, Tensor};

/// Bound of the noise, in its standard deviations: TD3 clips noise of 0.2 at 0.5.
const CLIP: f32 = 2.5;

#[derive(Clone, Copy, Debug)]
pub(super) struct DeterministicConfig {
    /// Standard deviation of the noise, in standard deviations of the data.
    pub(super) noise: f64,
    pub(super) size: MlpSize,
}

#[derive(Debug)]
pub(super) struct Deterministic {
    width: usize,
    noise: f64,
    net: Mlp,
}

impl Law for Deterministic {
    type Config = DeterministicConfig;
    const HAS_DENSITY: bool = false;

    fn build(
        config: &DeterministicConfig,
        widths: Widths,
        params: &mut ParamsBuilder,
    ) -> std::result::Result<(), ParamsError> {
        Mlp::build(params, "net", [widths.observation, widths.chunk], config.size, Init::Zero)
    }

    fn new(config: &DeterministicConfig, widths: Widths, params: &Params) -> std::result::Result<Self, ParamsError> {
        Ok(Self { width: widths.chunk, noise: config.noise, net: Mlp::new(params, "net", config.size)? })
    }

    fn noise_len(&self) -> usize {
        self.width
    }

    fn improved_noise(&self, n_rows: usize, _rng: &mut Rng) -> Vec<f32> {
        vec![0.0; n_rows * self.width]
    }

    fn embed(&self, observations: &Tensor, track: Track) -> Result<Tensor> {
        self.net.forward(observations, track)
    }

    fn sample(&self, mean: &Tensor, noise: &Tensor, _track: Track) -> Result<(Tensor, Option<Tensor>)> {
        Ok(((noise.clamp(-CLIP, CLIP)? * self.noise)?.broadcast_add(mean)?, None))
    }

    fn imitation_loss(&self, mean: &Tensor, x: &Tensor, _noise: &Tensor, _track: Track) -> Result<Tensor> {
        ops::squared_norm(&x.broadcast_sub(mean)?)
    }
}
