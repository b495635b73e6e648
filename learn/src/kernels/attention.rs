//! Attention of one row of the batch, and rotary positions.
//!
//! Queries `q [T, W]`, keys and values `k, v [S, W]`; head `j` has the columns `j W / n_heads` on. Query `t` sees the first
//! `visible[t]` keys: `p_ts = softmax_s(q_t k_s / sqrt(W / n_heads))`, `out_t = sum_s p_ts v_s`.

use super::{exp, lane_dot, lane_sum};

/// What one row of the batch attends with.
#[derive(Clone, Copy)]
pub(crate) struct AttentionRow<'a> {
    /// `[T, W]`.
    pub(crate) q: &'a [f32],
    /// `[S, W]`.
    pub(crate) k: &'a [f32],
    /// `[S, W]`.
    pub(crate) v: &'a [f32],
    /// Keys that each query sees, `[T]`.
    pub(crate) visible: &'a [usize],
    pub(crate) n_heads: usize,
}

dispatched! {
    /// Fills `probabilities [n_heads, T, S]`, zero where nothing is seen, and adds to `out [T, W]`.
    fn attention(row: AttentionRow<'_>, probabilities: &mut [f32], out: &mut [f32]) {
        let AttentionRow { q, k, v, visible, n_heads } = row;
        let (n_queries, width) = (visible.len(), q.len() / visible.len());
        let (n_keys, len) = (k.len() / width, width / n_heads);
        let scale = 1.0 / (len as f32).sqrt();
        for head in 0..n_heads {
            let of = |row: usize| row * width + head * len;
            for (t, &n_visible) in visible.iter().enumerate() {
                let q = &q[of(t)..][..len];
                let p = &mut probabilities[(head * n_queries + t) * n_keys..][..n_visible];
                for (s, p) in p.iter_mut().enumerate() {
                    *p = scale * lane_dot(q, &k[of(s)..][..len]);
                }
                softmax_in_place(p);
                let out = &mut out[of(t)..][..len];
                for (s, &p) in p.iter().enumerate() {
                    for (out, &v) in out.iter_mut().zip(&v[of(s)..][..len]) {
                        *out = p.mul_add(v, *out);
                    }
                }
            }
        }
    }
}

dispatched! {
    /// Backward of [`attention`]; adds to the three gradients. `slopes [S]` is scratch.
    fn attention_backward(
        row: AttentionRow<'_>, probabilities: &[f32], grad: &[f32], slopes: &mut [f32],
        grad_q: &mut [f32], grad_k: &mut [f32], grad_v: &mut [f32],
    ) {
        let AttentionRow { q, k, v, visible, n_heads } = row;
        let (n_queries, width) = (visible.len(), q.len() / visible.len());
        let (n_keys, len) = (k.len() / width, width / n_heads);
        let scale = 1.0 / (len as f32).sqrt();
        for head in 0..n_heads {
            let of = |row: usize| row * width + head * len;
            for (t, &n_visible) in visible.iter().enumerate() {
                let p = &probabilities[(head * n_queries + t) * n_keys..][..n_visible];
                let slopes = &mut slopes[..n_visible];
                let grad = &grad[of(t)..][..len];
                for (s, (slope, &p)) in slopes.iter_mut().zip(p).enumerate() {
                    *slope = lane_dot(grad, &v[of(s)..][..len]);
                    for (grad_v, &grad) in grad_v[of(s)..][..len].iter_mut().zip(grad) {
                        *grad_v = p.mul_add(grad, *grad_v);
                    }
                }
                let mean = lane_dot(slopes, p);
                let (q, grad_q) = (&q[of(t)..][..len], &mut grad_q[of(t)..][..len]);
                for (s, (&slope, &p)) in slopes.iter().zip(p).enumerate() {
                    let grad_logit = scale * p * (slope - mean);
                    for (grad_q, &k) in grad_q.iter_mut().zip(&k[of(s)..][..len]) {
                        *grad_q = grad_logit.mul_add(k, *grad_q);
                    }
                    for (grad_k, &q) in grad_k[of(s)..][..len].iter_mut().zip(q) {
                        *grad_k = grad_logit.mul_add(q, *grad_k);
                    }
                }
            }
        }
    }
}

dispatched! {
    /// Turns every pair `(x_2i, x_2i+1)` of each head by the angle whose cosine and sine are in `cosines` and `sines [T, l]`,
    /// `x [.., T, n_heads 2 l]`; `sign` is 1, or -1 for the way back.
    fn rotate(x: &[f32], cosines: &[f32], sines: &[f32], half: usize, width: usize, sign: f32, out: &mut [f32]) {
        let n_positions = cosines.len() / half;
        for (row, (x, out)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate() {
            let place = row % n_positions * half..(row % n_positions + 1) * half;
            let (cosines, sines) = (&cosines[place.clone()], &sines[place]);
            for (x, out) in x.chunks_exact(2 * half).zip(out.chunks_exact_mut(2 * half)) {
                let (pairs, _) = x.as_chunks::<2>();
                let (out_pairs, _) = out.as_chunks_mut::<2>();
                for (((x, out), &cosine), &sine) in pairs.iter().zip(out_pairs).zip(cosines).zip(sines) {
                    let sine = sign * sine;
                    *out = [x[0] * cosine - x[1] * sine, x[0] * sine + x[1] * cosine];
                }
            }
        }
    }
}

#[inline(always)]
fn softmax_in_place(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for x in &mut *x {
        *x = exp(*x - max);
    }
    let scale = 1.0 / lane_sum(x, |x| x);
    for x in x {
        *x *= scale;
    }
}
