//! Normal noise from the project's seeded streams; candle's own generator cannot be seeded on the CPU.

use bridge::random::Rng;
use candle_core::{Device, Result, Shape, Tensor};
use rand::Rng as _;
use rand_distr::StandardNormal;

/// Fills `values` with independent standard normal numbers.
pub fn fill_normal(rng: &mut Rng, values: &mut [f32]) {
    values.fill_with(|| rng.sample(StandardNormal));
}

/// `n` independent normal numbers of standard deviation `temperature`.
#[must_use]
pub fn tempered(n: usize, temperature: f32, rng: &mut Rng) -> Vec<f32> {
    let mut values = vec![0.0; n];
    fill_normal(rng, &mut values);
    values.iter_mut().for_each(|z| *z *= temperature);
    values
}

/// A tensor of independent normal numbers with mean 0 and the given standard deviation.
///
/// # Errors
/// When the device refuses the tensor.
pub fn normal(rng: &mut Rng, shape: impl Into<Shape>, std: f32, device: &Device) -> Result<Tensor> {
    let shape = shape.into();
    let mut values = vec![0.0; shape.elem_count()];
    fill_normal(rng, &mut values);
    for value in &mut values {
        *value *= std;
    }
    Tensor::from_vec(values, shape, device)
}
