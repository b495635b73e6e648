//! LayerNorm followed by SiLU: `out = silu(x_hat * weight + bias)`, `x_hat = (x - mean) / sqrt(variance + 1e-5)`.

use super::{lane_dot, lane_sum, sigmoid};

const EPSILON: f32 = 1e-5;

dispatched! {
    /// On entry `x_hat` is the input; on exit it is normalised, and `inverse_std` and `out` are filled.
    fn layer_norm_silu(x_hat: &mut [f32], weight: &[f32], bias: &[f32], inverse_std: &mut [f32], out: &mut [f32]) {
        let width = weight.len();
        let rows = x_hat.chunks_exact_mut(width).zip(inverse_std).zip(out.chunks_exact_mut(width));
        for ((x, inverse_std), out) in rows {
            let mean = lane_sum(x, |x| x) / width as f32;
            let variance = lane_sum(x, |x| (x - mean) * (x - mean)) / width as f32;
            *inverse_std = 1.0 / (variance + EPSILON).sqrt();
            for (((x, out), &weight), &bias) in x.iter_mut().zip(out).zip(weight).zip(bias) {
                *x = (*x - mean) * *inverse_std;
                let y = x.mul_add(weight, bias);
                *out = y * sigmoid(y);
            }
        }
    }
}

dispatched! {
    /// On entry `grad_x` is the gradient of the output; on exit that of the input. Adds to the gradients of the columns.
    fn layer_norm_silu_backward(
        x_hat: &[f32], inverse_std: &[f32], weight: &[f32], bias: &[f32],
        grad_x: &mut [f32], grad_weight: &mut [f32], grad_bias: &mut [f32],
    ) {
        let width = weight.len();
        let rows = x_hat.chunks_exact(width).zip(inverse_std).zip(grad_x.chunks_exact_mut(width));
        for ((x, &inverse_std), grad) in rows {
            let columns = weight.iter().zip(bias).zip(grad_weight.iter_mut()).zip(grad_bias.iter_mut());
            for ((((&weight, &bias), grad_weight), grad_bias), (&x, grad)) in columns.zip(x.iter().zip(grad.iter_mut())) {
                let y = x.mul_add(weight, bias);
                let sigmoid = sigmoid(y);
                let grad_y = *grad * sigmoid * y.mul_add(1.0 - sigmoid, 1.0);
                *grad_weight += grad_y * x;
                *grad_bias += grad_y;
                *grad = grad_y * weight;
            }
            let mean = lane_sum(grad, |g| g) / width as f32;
            let slope = lane_dot(grad, x) / width as f32;
            for (grad, &x) in grad.iter_mut().zip(x) {
                *grad = inverse_std * (*grad - mean - x * slope);
            }
        }
    }
}
