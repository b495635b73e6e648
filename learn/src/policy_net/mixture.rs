//! Mixture of `K` diagonal Gaussians with state-dependent weights, means and standard deviations.
//!
//! ```text
//! [logit | mean | raw] = MLP(o)                            [r, K], [r, K, D], [r, K, D]
//! mu_k = mean_k + centre_k,  log_std_k as for the Gaussian,  ln w = log_softmax(logit)
//! x = mu_k + e^log_std_k z                                 [r, D]   k drawn from w
//! ln p(x|o) = logsumexp_k(ln w_k + ln N(x; mu_k, std_k))   [r]
//! ```
//! Noise is `[z | v]`: `v` is uniform, never tempered, and picks the component by the cumulated weights; no gradient goes
//! through that choice. The centres, `[K, D]`, start at random so that the components do not stay the same.

use super::gaussian::{log_normalisation, log_std};
use super::standardized::{Law, Widths};
use crate::layers::{Init, Mlp, MlpSize, Track, Weight};
use crate::noise::fill_normal;
use crate::params::{Params, ParamsBuilder, ParamsError};
use bridge::random::Rng;
use candle_core::{Result, Tensor, bail};
use rand::Rng as _;

/// The centres start uniformly within plus and minus this, standard deviations of the data.
const CENTRE_SPREAD: f32 = 1.0;

#[derive(Clone, Copy, Debug)]
pub(super) struct MixtureConfig {
    /// K.
    pub(super) n_components: usize,
    pub(super) size: MlpSize,
}

#[derive(Debug)]
pub(super) struct Mixture {
    n_components: usize,
    width: usize,
    net: Mlp,
    centres: Weight,
}

/// The components for `r` observations, or for one.
struct Components {
    /// `ln w`, `[r, K]`.
    log_weight: Tensor,
    /// `mu`, `[r, K, D]`.
    mean: Tensor,
    /// `[r, K, D]`.
    log_std: Tensor,
}

impl Mixture {
    fn components(&self, embedding: &Tensor, track: Track) -> Result<Components> {
        let (k, d) = (self.n_components, self.width);
        let r = embedding.dim(0)?;
        let matrix = |start: usize| embedding.narrow(1, start, k * d)?.contiguous()?.reshape((r, k, d));
        let logits = embedding.narrow(1, 0, k)?;
        Ok(Components {
            log_weight: logits.broadcast_sub(&log_sum_exp(&logits)?.unsqueeze(1)?)?,
            mean: matrix(k)?.broadcast_add(self.centres.seen(track))?,
            log_std: log_std(&matrix(k + k * d)?)?,
        })
    }

    /// `ln p(x|o)` `[r]` of `x [r, D]`.
    fn density(&self, components: &Components, x: &Tensor) -> Result<Tensor> {
        let Components { log_weight, mean, log_std } = components;
        let z = x.unsqueeze(1)?.broadcast_sub(mean)?.broadcast_mul(&log_std.neg()?.exp()?)?;
        let base = z.sqr()?.sum(2)?.affine(-0.5, log_normalisation(self.width))?;
        log_sum_exp(&base.broadcast_sub(&log_std.sum(2)?)?.broadcast_add(log_weight)?)
    }

    /// One in the place of the component that `v [r, 1]` picks, zero elsewhere: `[r, K, 1]`.
    fn choose(&self, log_weight: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (weights, v) = (log_weight.exp()?.to_vec2::<f32>()?, v.flatten_all()?.to_vec1::<f32>()?);
        if weights.len() != 1 && weights.len() != v.len() {
            bail!("mixture: {} rows of weights and {} of noise", weights.len(), v.len());
        }
        let mut chosen = vec![0.0_f32; v.len() * self.n_components];
        for (row, &v) in v.iter().enumerate() {
            let weights = &weights[if weights.len() == 1 { 0 } else { row }];
            let mut cumulated = 0.0;
            let is_reached = |weight: &f32| {
                cumulated += weight;
                v < cumulated
            };
            // Rounding may leave the sum of the weights below v: the last component then.
            let component = weights.iter().position(is_reached).unwrap_or(self.n_components - 1);
            chosen[row * self.n_components + component] = 1.0;
        }
        Tensor::from_vec(chosen, (v.len(), self.n_components, 1), log_weight.device())
    }
}

impl Law for Mixture {
    type Config = MixtureConfig;
    const HAS_DENSITY: bool = true;

    fn build(
        config: &MixtureConfig,
        widths: Widths,
        params: &mut ParamsBuilder,
    ) -> std::result::Result<(), ParamsError> {
        let n_out = config.n_components * (2 * widths.chunk + 1);
        Mlp::build(params, "net", [widths.observation, n_out], config.size, Init::Zero)?;
        params.uniform("centres", &[config.n_components, widths.chunk], CENTRE_SPREAD)
    }

    fn new(config: &MixtureConfig, widths: Widths, params: &Params) -> std::result::Result<Self, ParamsError> {
        Ok(Self {
            n_components: config.n_components,
            width: widths.chunk,
            net: Mlp::new(params, "net", config.size)?,
            centres: Weight::new(params, "centres")?,
        })
    }

    fn noise_len(&self) -> usize {
        self.width + 1
    }

    fn base_noise(&self, n_rows: usize, temperature: f32, rng: &mut Rng) -> Vec<f32> {
        let mut noise = vec![0.0; n_rows * self.noise_len()];
        for row in noise.chunks_exact_mut(self.width + 1) {
            let (z, v) = row.split_at_mut(self.width);
            fill_normal(rng, z);
            z.iter_mut().for_each(|z| *z *= temperature);
            v.fill_with(|| rng.random());
        }
        noise
    }

    fn embed(&self, observations: &Tensor, track: Track) -> Result<Tensor> {
        self.net.forward(observations, track)
    }

    fn sample(&self, embedding: &Tensor, noise: &Tensor, track: Track) -> Result<(Tensor, Option<Tensor>)> {
        let components = self.components(embedding, track)?;
        let chosen = self.choose(&components.log_weight, &noise.narrow(1, self.width, 1)?)?;
        let of_chosen = |all: &Tensor| all.broadcast_mul(&chosen)?.sum(1);
        let z = noise.narrow(1, 0, self.width)?;
        let x = ((z * of_chosen(&components.log_std)?.exp()?)? + of_chosen(&components.mean)?)?;
        let log_prob = self.density(&components, &x)?;
        Ok((x, Some(log_prob)))
    }

    fn log_prob(&self, embedding: &Tensor, x: &Tensor, track: Track) -> Result<Tensor> {
        self.density(&self.components(embedding, track)?, x)
    }
}

/// `ln sum_k e^x_k` per row: `[r, K]` to `[r]`; the maximum is a constant of the derivative.
fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let max = x.max_keepdim(1)?.detach();
    (x.broadcast_sub(&max)?.exp()?.sum_keepdim(1)?.log()? + max)?.squeeze(1)
}
