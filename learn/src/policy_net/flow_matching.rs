//! Flow matching (Lipman et al. 2023): a velocity field that carries noise to chunks, and, if wanted, a student that makes
//! the whole way in one step (Park et al. 2025, "Flow Q-Learning").
//!
//! ```text
//! x_t = (1 - t) x_0 + t x_1                                x_0 noise, x_1 data, t uniform
//! loss = |v(x_t, t, o) - (x_1 - x_0)|^2                    [r], summed over D
//! sampling: x <- x + v(x, i / n, o) / n,  i = 0..n         x = z in the beginning
//! student: loss += |s(z, o) - sampled(z, o)|^2;  sampling: s(z, o)
//! ```
//! There is no density: that of the field needs the divergence along the whole way.

use super::standardized::{Law, Widths};
use super::time::{self, with_time};
use crate::layers::{ConditionedMlp, MlpSize, Track};
use crate::noise::fill_normal;
use crate::ops;
use crate::params::{Params, ParamsBuilder, ParamsError};
use bridge::random::Rng;
use candle_core::{Result, Tensor};
use rand::Rng as _;

#[derive(Clone, Copy, Debug)]
pub(super) struct FlowMatchingConfig {
    pub(super) n_steps: usize,
    pub(super) one_step: bool,
    pub(super) size: MlpSize,
}

#[derive(Debug)]
pub(super) struct FlowMatching {
    width: usize,
    n_steps: usize,
    velocity: ConditionedMlp,
    student: Option<ConditionedMlp>,
}

impl FlowMatching {
    /// Euler steps from `z` at time 0 to time 1.
    fn integrate(&self, observations: &Tensor, z: &Tensor, track: Track) -> Result<Tensor> {
        let step = 1.0 / self.n_steps as f64;
        let mut x = z.clone();
        for i in 0..self.n_steps {
            let velocity = self.velocity.forward(&with_time(&x, &[(i as f64 * step) as f32])?, observations, track)?;
            x = (x + (velocity * step)?)?;
        }
        Ok(x)
    }

    /// Numbers of noise in a row of the imitation loss: `[x_0 | t]`, and `z` for the student.
    const fn imitation_noise_len(&self) -> usize {
        self.width + 1 + if self.student.is_some() { self.width } else { 0 }
    }
}

impl Law for FlowMatching {
    type Config = FlowMatchingConfig;
    const HAS_DENSITY: bool = false;

    fn build(
        config: &FlowMatchingConfig,
        widths: Widths,
        params: &mut ParamsBuilder,
    ) -> std::result::Result<(), ParamsError> {
        let (d, o) = (widths.chunk, widths.observation);
        ConditionedMlp::build(params, "velocity", [d + time::WIDTH, o, d], config.size)?;
        if config.one_step {
            ConditionedMlp::build(params, "student", [d, o, d], config.size)?;
        }
        Ok(())
    }

    fn new(config: &FlowMatchingConfig, widths: Widths, params: &Params) -> std::result::Result<Self, ParamsError> {
        Ok(Self {
            width: widths.chunk,
            n_steps: config.n_steps,
            velocity: ConditionedMlp::new(params, "velocity", config.size)?,
            student: config.one_step.then(|| ConditionedMlp::new(params, "student", config.size)).transpose()?,
        })
    }

    fn noise_len(&self) -> usize {
        self.width
    }

    fn embed(&self, observations: &Tensor, _track: Track) -> Result<Tensor> {
        Ok(observations.clone())
    }

    fn sample(&self, observations: &Tensor, noise: &Tensor, track: Track) -> Result<(Tensor, Option<Tensor>)> {
        let x = match &self.student {
            Some(student) => student.forward(noise, observations, track)?,
            None => self.integrate(observations, noise, track)?,
        };
        Ok((x, None))
    }

    fn imitation_noise(&self, n_rows: usize, rng: &mut Rng) -> Vec<f32> {
        let mut noise = vec![0.0; n_rows * self.imitation_noise_len()];
        for row in noise.chunks_exact_mut(self.imitation_noise_len()) {
            fill_normal(rng, row);
            row[self.width] = rng.random();
        }
        noise
    }

    fn imitation_loss(&self, observations: &Tensor, x: &Tensor, noise: &Tensor, track: Track) -> Result<Tensor> {
        let start = noise.narrow(1, 0, self.width)?;
        let t = noise.narrow(1, self.width, 1)?;
        let way = (x - &start)?;
        let between = (&start + way.broadcast_mul(&t)?)?;
        let times = t.flatten_all()?.to_vec1::<f32>()?;
        let velocity = self.velocity.forward(&with_time(&between, &times)?, observations, track)?;
        let loss = ops::squared_norm(&(velocity - way)?)?;
        let Some(student) = &self.student else { return Ok(loss) };
        let z = noise.narrow(1, self.width + 1, self.width)?.contiguous()?;
        let target = self.integrate(observations, &z, Track::Frozen)?.detach();
        loss + ops::squared_norm(&(student.forward(&z, observations, track)? - target)?)?
    }
}
