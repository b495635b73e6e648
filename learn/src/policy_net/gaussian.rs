//! Diagonal Gaussian with a state-dependent standard deviation; through the squash, a tanh-Gaussian.
//!
//! ```text
//! [mean | raw] = MLP(o)                                    [r, 2D]
//! log_std = -5 + 3.5 (tanh(raw + atanh(3/7)) + 1)          [r, D]   within [-5, 2], 0 in the beginning
//! x = mean + e^log_std z                                   [r, D]
//! ln p(x|o) = ln N((x - mean) e^-log_std; 0, I) - sum log_std
//! ```
//! The last layer starts at zero: an untrained network is the diagonal Gaussian of the data.

use super::standardized::{Law, Widths};
use crate::layers::{Init, Mlp, MlpSize, Track};
use crate::ops;
use crate::params::{Params, ParamsBuilder, ParamsError};
use candle_core::{Result, Tensor};
use std::f64::consts::PI;

/// Bounds of the logarithm of a standard deviation (Haarnoja et al. 2018, "Soft Actor-Critic").
const LOG_STD: [f64; 2] = [-5.0, 2.0];

#[derive(Debug)]
pub(super) struct Gaussian {
    width: usize,
    net: Mlp,
}

impl Gaussian {
    /// Mean and log-std, `[r, D]` each.
    fn moments(&self, embedding: &Tensor) -> Result<[Tensor; 2]> {
        let mean = embedding.narrow(1, 0, self.width)?;
        Ok([mean, log_std(&embedding.narrow(1, self.width, self.width)?)?])
    }
}

impl Law for Gaussian {
    type Config = MlpSize;
    const HAS_DENSITY: bool = true;

    fn build(size: &MlpSize, widths: Widths, params: &mut ParamsBuilder) -> std::result::Result<(), ParamsError> {
        Mlp::build(params, "net", [widths.observation, 2 * widths.chunk], *size, Init::Zero)
    }

    fn new(size: &MlpSize, widths: Widths, params: &Params) -> std::result::Result<Self, ParamsError> {
        Ok(Self { width: widths.chunk, net: Mlp::new(params, "net", *size)? })
    }

    fn noise_len(&self) -> usize {
        self.width
    }

    fn embed(&self, observations: &Tensor, track: Track) -> Result<Tensor> {
        self.net.forward(observations, track)
    }

    fn sample(&self, embedding: &Tensor, noise: &Tensor, _track: Track) -> Result<(Tensor, Option<Tensor>)> {
        let [mean, log_std] = self.moments(embedding)?;
        let x = noise.broadcast_mul(&log_std.exp()?)?.broadcast_add(&mean)?;
        let base = ops::squared_norm(noise)?.affine(-0.5, log_normalisation(self.width))?;
        Ok((x, Some(base.broadcast_sub(&log_std.sum(1)?)?)))
    }

    fn log_prob(&self, embedding: &Tensor, x: &Tensor, _track: Track) -> Result<Tensor> {
        let [mean, log_std] = self.moments(embedding)?;
        let z = x.broadcast_sub(&mean)?.broadcast_mul(&log_std.neg()?.exp()?)?;
        let base = ops::squared_norm(&z)?.affine(-0.5, log_normalisation(self.width))?;
        base.broadcast_sub(&log_std.sum(1)?)
    }
}

/// The log-std that a network's output stands for, any shape.
pub(super) fn log_std(raw: &Tensor) -> Result<Tensor> {
    let [low, high] = LOG_STD;
    let half = 0.5 * (high - low);
    let at_zero = (-low / half - 1.0).atanh();
    ops::tanh(&(raw + at_zero)?)?.affine(half, low + half)
}

/// `-(width / 2) ln 2 pi`.
pub(super) fn log_normalisation(width: usize) -> f64 {
    -0.5 * width as f64 * (2.0 * PI).ln()
}
