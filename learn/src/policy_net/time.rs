//! How a network sees the time of a diffusion: a number between 0 and 1 as a few of its harmonics.

use candle_core::{Result, Tensor};
use std::f32::consts::PI;

/// Octaves of the harmonics.
const N_OCTAVES: usize = 4;

/// Features of one time.
pub(super) const WIDTH: usize = 1 + 2 * N_OCTAVES;

/// `[x | t | sin(2^j pi t) | cos(2^j pi t)]`, `[r, D + WIDTH]`, j below 4, of `x [r, D]` and a time for every row, or one
/// for all.
pub(super) fn with_time(x: &Tensor, times: &[f32]) -> Result<Tensor> {
    let n_rows = x.dim(0)?;
    let mut features = Vec::with_capacity(n_rows * WIDTH);
    for row in 0..n_rows {
        let t = if times.len() == 1 { times[0] } else { times[row] };
        features.push(t);
        for octave in 0..N_OCTAVES {
            let angle = (1 << octave) as f32 * PI * t;
            features.extend([angle.sin(), angle.cos()]);
        }
    }
    Tensor::cat(&[x, &Tensor::from_vec(features, (n_rows, WIDTH), x.device())?], 1)
}
