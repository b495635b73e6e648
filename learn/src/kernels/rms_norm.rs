//! RMSNorm: `out = x_hat * weight`, `x_hat = x / sqrt(mean x^2 + 1e-6)` over the columns.

use super::{lane_dot, lane_sum};

const EPSILON: f32 = 1e-6;

dispatched! {
    /// Fills `inverse_rms`, one number a row, and `out`.
    fn rms_norm(x: &[f32], weight: &[f32], inverse_rms: &mut [f32], out: &mut [f32]) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(inverse_rms).zip(out.chunks_exact_mut(width));
        for ((x, inverse_rms), out) in rows {
            *inverse_rms = 1.0 / (lane_sum(x, |x| x * x) / width as f32 + EPSILON).sqrt();
            for ((out, &x), &weight) in out.iter_mut().zip(x).zip(weight) {
                *out = x * *inverse_rms * weight;
            }
        }
    }
}

dispatched! {
    /// On entry `grad_x` is the gradient of the output; on exit that of the input. Adds to the gradient of the weight.
    fn rms_norm_backward(
        x: &[f32], inverse_rms: &[f32], weight: &[f32], grad_x: &mut [f32], grad_weight: &mut [f32],
    ) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(inverse_rms).zip(grad_x.chunks_exact_mut(width));
        for ((x, &inverse_rms), grad) in rows {
            for (((grad, &x), &weight), grad_weight) in grad.iter_mut().zip(x).zip(weight).zip(grad_weight.iter_mut()) {
                *grad_weight += *grad * x * inverse_rms;
                *grad *= weight;
            }
            let slope = lane_dot(grad, x) / width as f32 * inverse_rms * inverse_rms;
            for (grad, &x) in grad.iter_mut().zip(x) {
                *grad = inverse_rms * (*grad - x * slope);
            }
        }
    }
}
