//! Denoising diffusion (Ho et al. 2020, "DDPM"), sampled along its chain or deterministically (Song et al. 2021, "DDIM").
//!
//! ```text
//! x_k = sqrt(A_k) x_0 + sqrt(1 - A_k) eps                  A_k = prod_{i<=k} (1 - beta_i), k uniform in 1..=n
//! loss = |net(x_k, k / n, o) - eps|^2                      [r], summed over D
//! sampling, k = n, n - n/m, .., n/m and j = k - n/m:       x = z in the beginning
//!     x_0 = clip((x - sqrt(1 - A_k) net(x, k / n, o)) / sqrt(A_k))
//!     eps = (x - sqrt(A_k) x_0) / sqrt(1 - A_k)
//!     x <- sqrt(A_j) x_0 + sqrt(1 - A_j - sigma^2) eps + sigma z_j
//!     sigma^2 = (1 - A_j) / (1 - A_k) (1 - A_k / A_j) with DDPM, 0 with DDIM      no noise in the last step: A_0 = 1
//! ```
//! There is no density: the chain has one only for its whole path.

use super::standardized::{Law, Widths};
use super::time::{self, with_time};
use super::{Sampler, Schedule};
use crate::layers::{ConditionedMlp, MlpSize, Track};
use crate::noise::fill_normal;
use crate::ops;
use crate::params::{Params, ParamsBuilder, ParamsError};
use bridge::random::Rng;
use candle_core::{Result, Tensor};
use rand::Rng as _;
use std::f64::consts::FRAC_PI_2;

/// No step destroys more than this share of the variance.
const MAX_BETA: f64 = 0.999;

#[derive(Clone, Copy, Debug)]
pub(super) struct DiffusionConfig {
    pub(super) n_steps: usize,
    pub(super) n_sampling_steps: usize,
    pub(super) sampler: Sampler,
    pub(super) schedule: Schedule,
    pub(super) clip: f32,
    pub(super) size: MlpSize,
}

#[derive(Debug)]
pub(super) struct Diffusion {
    width: usize,
    config: DiffusionConfig,
    /// A, from A_0 = 1 to A_n.
    kept: Vec<f64>,
    net: ConditionedMlp,
}

impl Diffusion {
    fn time(&self, k: usize) -> f32 {
        k as f32 / self.config.n_steps as f32
    }
}

impl Schedule {
    /// A_0 to A_n.
    pub(super) fn kept(self, n_steps: usize) -> Vec<f64> {
        let n = n_steps as f64;
        let beta = |k: usize| match self {
            // Ho et al.: 1e-4 to 0.02 in a thousand steps, here in n.
            Self::Linear => {
                let share = (k - 1) as f64 / (n - 1.0).max(1.0);
                (1e-4 + (0.02 - 1e-4) * share) * 1000.0 / n
            }
            // Nichol and Dhariwal 2021, eq. 17.
            Self::Cosine => {
                let cosine = |k: f64| ((k / n + 0.008) / 1.008 * FRAC_PI_2).cos().powi(2);
                1.0 - cosine(k as f64) / cosine(k as f64 - 1.0)
            }
        };
        let mut kept = vec![1.0];
        for k in 1..=n_steps {
            kept.push(kept[k - 1] * (1.0 - beta(k).min(MAX_BETA)));
        }
        kept
    }
}

impl Law for Diffusion {
    type Config = DiffusionConfig;
    const HAS_DENSITY: bool = false;

    fn build(
        config: &DiffusionConfig,
        widths: Widths,
        params: &mut ParamsBuilder,
    ) -> std::result::Result<(), ParamsError> {
        let (d, o) = (widths.chunk, widths.observation);
        ConditionedMlp::build(params, "net", [d + time::WIDTH, o, d], config.size)
    }

    fn new(config: &DiffusionConfig, widths: Widths, params: &Params) -> std::result::Result<Self, ParamsError> {
        Ok(Self {
            width: widths.chunk,
            config: *config,
            kept: config.schedule.kept(config.n_steps),
            net: ConditionedMlp::new(params, "net", config.size)?,
        })
    }

    /// Where the chain starts and, with DDPM, what every step but the last adds.
    fn noise_len(&self) -> usize {
        match self.config.sampler {
            Sampler::Ddim => self.width,
            Sampler::Ddpm => self.width * self.config.n_sampling_steps,
        }
    }

    fn embed(&self, observations: &Tensor, _track: Track) -> Result<Tensor> {
        Ok(observations.clone())
    }

    fn sample(&self, observations: &Tensor, noise: &Tensor, track: Track) -> Result<(Tensor, Option<Tensor>)> {
        let DiffusionConfig { n_steps, n_sampling_steps, clip, .. } = self.config;
        let stride = n_steps / n_sampling_steps;
        let mut x = noise.narrow(1, 0, self.width)?;
        for (step, k) in (1..=n_sampling_steps).rev().map(|step| step * stride).enumerate() {
            let (now, next) = (self.kept[k], self.kept[k - stride]);
            let eps = self.net.forward(&with_time(&x, &[self.time(k)])?, observations, track)?;
            let clean = ((&x - (eps * (1.0 - now).sqrt())?)? * (1.0 / now.sqrt()))?.clamp(-clip, clip)?;
            let eps = ((x - (&clean * now.sqrt())?)? * (1.0 / (1.0 - now).sqrt()))?;
            let variance = match self.config.sampler {
                Sampler::Ddim => 0.0,
                Sampler::Ddpm => (1.0 - next) / (1.0 - now) * (1.0 - now / next),
            };
            x = ((clean * next.sqrt())? + (eps * (1.0 - next - variance).max(0.0).sqrt())?)?;
            if variance > 0.0 {
                let added = noise.narrow(1, (step + 1) * self.width, self.width)?;
                x = (x + (added * variance.sqrt())?)?;
            }
        }
        Ok((x, None))
    }

    fn imitation_noise(&self, n_rows: usize, rng: &mut Rng) -> Vec<f32> {
        let mut noise = vec![0.0; n_rows * (self.width + 1)];
        for row in noise.chunks_exact_mut(self.width + 1) {
            fill_normal(rng, row);
            row[self.width] = rng.random_range(1..=self.config.n_steps) as f32;
        }
        noise
    }

    fn imitation_loss(&self, observations: &Tensor, x: &Tensor, noise: &Tensor, track: Track) -> Result<Tensor> {
        let eps = noise.narrow(1, 0, self.width)?;
        let steps = noise.narrow(1, self.width, 1)?.flatten_all()?.to_vec1::<f32>()?;
        let steps: Vec<usize> = steps.into_iter().map(|k| (k as usize).clamp(1, self.config.n_steps)).collect();
        let column = |of: &dyn Fn(f64) -> f64| {
            let values: Vec<f32> = steps.iter().map(|&k| of(self.kept[k]) as f32).collect();
            Tensor::from_vec(values, (steps.len(), 1), x.device())
        };
        let (signal, noise) = (column(&f64::sqrt)?, column(&|kept| (1.0 - kept).sqrt())?);
        let noisy = (x.broadcast_mul(&signal)? + eps.broadcast_mul(&noise)?)?;
        let times: Vec<f32> = steps.iter().map(|&k| self.time(k)).collect();
        let found = self.net.forward(&with_time(&noisy, &times)?, observations, track)?;
        ops::squared_norm(&(found - eps)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: schedules worked by hand: in two steps the linear one has beta 0.05 and 10, which is bounded to 0.999; the
    /// cosine one keeps cos^2(0.508 / 1.008 pi/2) / cos^2(0.008 / 1.008 pi/2) after its first half and nothing in the end.
    #[test]
    fn schedules_by_hand() {
        let near = |found: &[f64], expected: [f64; 3]| {
            assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
        };
        near(&Schedule::Linear.kept(2), [1.0, 0.95, 0.000_95]);
        near(&Schedule::Cosine.kept(2), [1.0, 0.493_844, 0.000_493_844]);
    }
}
