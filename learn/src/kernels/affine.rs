//! The affine maps of the flow: the coupling, its log-scale, and ActNorm.
//!
//! A coupling network puts out `[raw | shift]`, each `half` wide; the log-scale is `s = s_max tanh(raw / s_max)`.

use super::{exp, lane_sum, tanh};

dispatched! {
    /// Density direction: `out = x e^s + shift`.
    fn coupling_forward(net_out: &[f32], x: &[f32], half: usize, s_max: f32, out: &mut [f32]) {
        let rows = net_out.chunks_exact(2 * half).zip(x.chunks_exact(half)).zip(out.chunks_exact_mut(half));
        for ((net, x), out) in rows {
            let (raw, shift) = net.split_at(half);
            for (((out, &x), &raw), &shift) in out.iter_mut().zip(x).zip(raw).zip(shift) {
                *out = x.mul_add(exp(s_max * tanh(raw / s_max)), shift);
            }
        }
    }
}

dispatched! {
    /// Backward of [`coupling_forward`].
    fn coupling_forward_backward(
        net_out: &[f32], x: &[f32], grad: &[f32], half: usize, s_max: f32, grad_net: &mut [f32], grad_x: &mut [f32],
    ) {
        let inputs = net_out.chunks_exact(2 * half).zip(x.chunks_exact(half)).zip(grad.chunks_exact(half));
        let outputs = grad_net.chunks_exact_mut(2 * half).zip(grad_x.chunks_exact_mut(half));
        for (((net, x), grad), (grad_net, grad_x)) in inputs.zip(outputs) {
            let raw = &net[..half];
            let (grad_raw, grad_shift) = grad_net.split_at_mut(half);
            grad_shift.copy_from_slice(grad);
            let outputs = grad_raw.iter_mut().zip(grad_x);
            for (((grad_raw, grad_x), &raw), (&x, &grad)) in outputs.zip(raw).zip(x.iter().zip(grad)) {
                let tanh = tanh(raw / s_max);
                *grad_x = grad * exp(s_max * tanh);
                *grad_raw = *grad_x * x * (-tanh).mul_add(tanh, 1.0);
            }
        }
    }
}

dispatched! {
    /// Sampling direction: `out = (y - shift) e^-s`.
    fn coupling_inverse(net_out: &[f32], y: &[f32], half: usize, s_max: f32, out: &mut [f32]) {
        let rows = net_out.chunks_exact(2 * half).zip(y.chunks_exact(half)).zip(out.chunks_exact_mut(half));
        for ((net, y), out) in rows {
            let (raw, shift) = net.split_at(half);
            for (((out, &y), &raw), &shift) in out.iter_mut().zip(y).zip(raw).zip(shift) {
                *out = (y - shift) * exp(-s_max * tanh(raw / s_max));
            }
        }
    }
}

dispatched! {
    /// Backward of [`coupling_inverse`], of which `out` is the result.
    fn coupling_inverse_backward(
        net_out: &[f32], out: &[f32], grad: &[f32], half: usize, s_max: f32, grad_net: &mut [f32], grad_y: &mut [f32],
    ) {
        let inputs = net_out.chunks_exact(2 * half).zip(out.chunks_exact(half)).zip(grad.chunks_exact(half));
        let outputs = grad_net.chunks_exact_mut(2 * half).zip(grad_y.chunks_exact_mut(half));
        for (((net, out), grad), (grad_net, grad_y)) in inputs.zip(outputs) {
            let raw = &net[..half];
            let (grad_raw, grad_shift) = grad_net.split_at_mut(half);
            let outputs = grad_raw.iter_mut().zip(grad_shift).zip(grad_y);
            for ((((grad_raw, grad_shift), grad_y), &raw), (&out, &grad)) in outputs.zip(raw).zip(out.iter().zip(grad)) {
                let tanh = tanh(raw / s_max);
                *grad_y = grad * exp(-s_max * tanh);
                *grad_shift = -*grad_y;
                *grad_raw = -grad * out * (-tanh).mul_add(tanh, 1.0);
            }
        }
    }
}

dispatched! {
    /// `out_r = sum_j s_rj`.
    fn sum_log_scale(net_out: &[f32], half: usize, s_max: f32, out: &mut [f32]) {
        for (out, net) in out.iter_mut().zip(net_out.chunks_exact(2 * half)) {
            *out = s_max * lane_sum(&net[..half], |raw| tanh(raw / s_max));
        }
    }
}

dispatched! {
    /// Backward of [`sum_log_scale`].
    fn sum_log_scale_backward(net_out: &[f32], grad: &[f32], half: usize, s_max: f32, grad_net: &mut [f32]) {
        let rows = net_out.chunks_exact(2 * half).zip(grad).zip(grad_net.chunks_exact_mut(2 * half));
        for ((net, &grad), grad_net) in rows {
            let (grad_raw, grad_shift) = grad_net.split_at_mut(half);
            grad_shift.fill(0.0);
            for (grad_raw, &raw) in grad_raw.iter_mut().zip(&net[..half]) {
                let tanh = tanh(raw / s_max);
                *grad_raw = grad * (-tanh).mul_add(tanh, 1.0);
            }
        }
    }
}

dispatched! {
    /// Density direction: `out = (u - shift) e^-log_scale`, column by column.
    fn act_norm_forward(u: &[f32], shift: &[f32], log_scale: &[f32], out: &mut [f32]) {
        let width = shift.len();
        for (u, out) in u.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            for (((out, &u), &shift), &log_scale) in out.iter_mut().zip(u).zip(shift).zip(log_scale) {
                *out = (u - shift) * exp(-log_scale);
            }
        }
    }
}

dispatched! {
    /// Backward of [`act_norm_forward`], of which `out` is the result; adds to the gradients of the columns.
    fn act_norm_forward_backward(
        out: &[f32], log_scale: &[f32], grad: &[f32], grad_u: &mut [f32], grad_shift: &mut [f32], grad_log_scale: &mut [f32],
    ) {
        let width = log_scale.len();
        let rows = out.chunks_exact(width).zip(grad.chunks_exact(width)).zip(grad_u.chunks_exact_mut(width));
        for ((out, grad), grad_u) in rows {
            let columns = grad_shift.iter_mut().zip(grad_log_scale.iter_mut()).zip(log_scale);
            for ((((grad_shift, grad_log_scale), &log_scale), grad_u), (&out, &grad)) in
                columns.zip(grad_u).zip(out.iter().zip(grad))
            {
                *grad_u = grad * exp(-log_scale);
                *grad_shift -= *grad_u;
                *grad_log_scale -= grad * out;
            }
        }
    }
}

dispatched! {
    /// Sampling direction: `out = x e^log_scale + shift`, column by column.
    fn act_norm_inverse(x: &[f32], shift: &[f32], log_scale: &[f32], out: &mut [f32]) {
        let width = shift.len();
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            for (((out, &x), &shift), &log_scale) in out.iter_mut().zip(x).zip(shift).zip(log_scale) {
                *out = x.mul_add(exp(log_scale), shift);
            }
        }
    }
}

dispatched! {
    /// Backward of [`act_norm_inverse`]; adds to the gradients of the columns.
    fn act_norm_inverse_backward(
        x: &[f32], log_scale: &[f32], grad: &[f32], grad_x: &mut [f32], grad_shift: &mut [f32], grad_log_scale: &mut [f32],
    ) {
        let width = log_scale.len();
        let rows = x.chunks_exact(width).zip(grad.chunks_exact(width)).zip(grad_x.chunks_exact_mut(width));
        for ((x, grad), grad_x) in rows {
            let columns = grad_shift.iter_mut().zip(grad_log_scale.iter_mut()).zip(log_scale);
            for ((((grad_shift, grad_log_scale), &log_scale), grad_x), (&x, &grad)) in
                columns.zip(grad_x).zip(x.iter().zip(grad))
            {
                *grad_x = grad * exp(log_scale);
                *grad_shift += grad;
                *grad_log_scale += *grad_x * x;
            }
        }
    }
}
