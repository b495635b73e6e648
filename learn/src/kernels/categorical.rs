//! Softmax rows: cross-entropy against a target distribution, and the expectation over bin centres.

use super::{exp, lane_dot, lane_sum};

/// Writes `softmax(logits)` and returns `ln sum e^logits`.
#[inline(always)]
fn softmax_row(logits: &[f32], probabilities: &mut [f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for (probability, &logit) in probabilities.iter_mut().zip(logits) {
        *probability = exp(logit - max);
    }
    let sum = lane_sum(probabilities, |p| p);
    let scale = 1.0 / sum;
    for probability in probabilities {
        *probability *= scale;
    }
    max + sum.ln()
}

dispatched! {
    /// `out_r = -sum_j target_rj ln softmax(logits_r)_j`; keeps the softmax for the way back.
    fn cross_entropy(logits: &[f32], target: &[f32], n_bins: usize, probabilities: &mut [f32], out: &mut [f32]) {
        let rows = logits.chunks_exact(n_bins).zip(target.chunks_exact(n_bins)).zip(probabilities.chunks_exact_mut(n_bins));
        for (((logits, target), probabilities), out) in rows.zip(out) {
            let log_sum = softmax_row(logits, probabilities);
            *out = log_sum * lane_sum(target, |p| p) - lane_dot(target, logits);
        }
    }
}

dispatched! {
    /// Backward of [`cross_entropy`] with respect to the logits; `grad_logits` holds the softmax when it is called.
    fn cross_entropy_backward(target: &[f32], grad: &[f32], n_bins: usize, grad_logits: &mut [f32]) {
        for ((target, &grad), row) in target.chunks_exact(n_bins).zip(grad).zip(grad_logits.chunks_exact_mut(n_bins)) {
            let mass = lane_sum(target, |p| p);
            for (value, &target) in row.iter_mut().zip(target) {
                *value = grad * value.mul_add(mass, -target);
            }
        }
    }
}

dispatched! {
    /// `out_r = sum_j softmax(logits_r)_j center_j`; keeps the softmax for the way back.
    fn softmax_expectation(logits: &[f32], centers: &[f32], probabilities: &mut [f32], out: &mut [f32]) {
        let n_bins = centers.len();
        let rows = logits.chunks_exact(n_bins).zip(probabilities.chunks_exact_mut(n_bins));
        for ((logits, probabilities), out) in rows.zip(out) {
            softmax_row(logits, probabilities);
            *out = lane_dot(probabilities, centers);
        }
    }
}

dispatched! {
    /// Backward of [`softmax_expectation`], whose result is `out`; `grad_logits` holds the softmax when it is called.
    fn softmax_expectation_backward(centers: &[f32], out: &[f32], grad: &[f32], grad_logits: &mut [f32]) {
        for ((row, &out), &grad) in grad_logits.chunks_exact_mut(centers.len()).zip(out).zip(grad) {
            for (value, &center) in row.iter_mut().zip(centers) {
                *value *= grad * (center - out);
            }
        }
    }
}
