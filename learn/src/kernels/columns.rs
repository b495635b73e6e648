//! Work along columns and rows: sums, squared norms, and moving columns about.

use super::lane_dot;

dispatched! {
    /// `out_j += sum_r x_rj`.
    fn column_sum(x: &[f32], out: &mut [f32]) {
        for row in x.chunks_exact(out.len()) {
            for (out, &x) in out.iter_mut().zip(row) {
                *out += x;
            }
        }
    }
}

dispatched! {
    /// `out_r = sum_j x_rj^2`.
    fn squared_norm(x: &[f32], width: usize, out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(x.chunks_exact(width)) {
            *out = lane_dot(row, row);
        }
    }
}

dispatched! {
    /// `grad_x_rj = 2 grad_r x_rj`.
    fn squared_norm_backward(x: &[f32], grad: &[f32], width: usize, grad_x: &mut [f32]) {
        for ((row, &grad), grad_x) in x.chunks_exact(width).zip(grad).zip(grad_x.chunks_exact_mut(width)) {
            for (grad_x, &x) in grad_x.iter_mut().zip(row) {
                *grad_x = 2.0 * grad * x;
            }
        }
    }
}

/// Columns of `[a | b]`, each `width` wide, in the order of `columns`: `out_rk = [a | b]_r,columns_k`.
pub(crate) fn gather_columns(a: &[f32], b: &[f32], width: usize, columns: &[u32], out: &mut [f32]) {
    for (r, out) in out.chunks_exact_mut(columns.len()).enumerate() {
        let (a, b) = (&a[r * width..][..width], b.get(r * width..(r + 1) * width).unwrap_or_default());
        for (out, &column) in out.iter_mut().zip(columns) {
            let column = column as usize;
            *out = if column < width { a[column] } else { b[column - width] };
        }
    }
}

/// The way back of [`gather_columns`]: writes each column of `grad` where it came from, leaves the others.
pub(crate) fn scatter_columns(grad: &[f32], columns: &[u32], width: usize, grad_a: &mut [f32], grad_b: &mut [f32]) {
    for (r, grad) in grad.chunks_exact(columns.len()).enumerate() {
        for (&grad, &column) in grad.iter().zip(columns) {
            let column = column as usize;
            if column < width {
                grad_a[r * width + column] = grad;
            } else {
                grad_b[r * width + column - width] = grad;
            }
        }
    }
}
