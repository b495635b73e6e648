//! `silu(x) = x sigmoid(x)` and `tanh`.

use super::{sigmoid, tanh};

dispatched! {
    /// `out = silu(x)`.
    fn silu(x: &[f32], out: &mut [f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x * sigmoid(x);
        }
    }
}

dispatched! {
    /// `x = silu(x)`.
    fn silu_in_place(x: &mut [f32]) {
        for x in x {
            *x *= sigmoid(*x);
        }
    }
}

dispatched! {
    /// `grad_x = grad silu'(x)`.
    fn silu_backward(x: &[f32], grad: &[f32], grad_x: &mut [f32]) {
        for ((grad_x, &x), &grad) in grad_x.iter_mut().zip(x).zip(grad) {
            let sigmoid = sigmoid(x);
            *grad_x = grad * sigmoid * x.mul_add(1.0 - sigmoid, 1.0);
        }
    }
}

dispatched! {
    /// `out = tanh(x)`.
    fn tanh_rows(x: &[f32], out: &mut [f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = tanh(x);
        }
    }
}

dispatched! {
    /// `grad_x = grad (1 - y^2)`, where `y = tanh(x)`.
    fn tanh_backward(y: &[f32], grad: &[f32], grad_x: &mut [f32]) {
        for ((grad_x, &y), &grad) in grad_x.iter_mut().zip(y).zip(grad) {
            *grad_x = grad * (-y).mul_add(y, 1.0);
        }
    }
}
