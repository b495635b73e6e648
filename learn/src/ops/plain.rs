//! The definitions of all [operations](super) in candle's own: what other devices than the CPU run, and what the fused
//! ones are tested against.

use super::{Activation, AttentionShape, Columns, Rotary};
use candle_core::{D, Result, Tensor};
use candle_nn::ops::{layer_norm_slow, log_softmax, rms_norm_slow};

const LAYER_NORM_EPSILON: f32 = 1e-5;
const RMS_NORM_EPSILON: f32 = 1e-6;
/// Logit of a key that is not seen: its share is zero in single precision.
const HIDDEN: f32 = -1e30;

/// See [`super::linear_act`].
///
/// # Errors
/// Those of candle.
pub fn linear_act(x: &Tensor, w: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    let y = x.matmul(w)?.broadcast_add(b)?;
    match activation {
        Activation::None => Ok(y),
        Activation::Silu => y.silu(),
    }
}

/// `(s, shift)` of a coupling network's output `[r, 2d]`.
fn scale_and_shift(net_out: &Tensor, s_max: f32) -> Result<(Tensor, Tensor)> {
    let half = net_out.dim(1)? / 2;
    let s_max = f64::from(s_max);
    let s = ((net_out.narrow(1, 0, half)? * (1.0 / s_max))?.tanh()? * s_max)?;
    Ok((s, net_out.narrow(1, half, half)?))
}

/// See [`super::coupling_forward`].
///
/// # Errors
/// Those of candle.
pub fn coupling_forward(x: &Tensor, net_out: &Tensor, s_max: f32) -> Result<Tensor> {
    let (s, shift) = scale_and_shift(net_out, s_max)?;
    (x * s.exp()?)? + shift
}

/// See [`super::coupling_inverse`].
///
/// # Errors
/// Those of candle.
pub fn coupling_inverse(y: &Tensor, net_out: &Tensor, s_max: f32) -> Result<Tensor> {
    let (s, shift) = scale_and_shift(net_out, s_max)?;
    (y - shift)? * s.neg()?.exp()?
}

/// See [`super::sum_log_scale`].
///
/// # Errors
/// Those of candle.
pub fn sum_log_scale(net_out: &Tensor, s_max: f32) -> Result<Tensor> {
    scale_and_shift(net_out, s_max)?.0.sum(1)
}

/// See [`super::act_norm_forward`].
///
/// # Errors
/// Those of candle.
pub fn act_norm_forward(u: &Tensor, shift: &Tensor, log_scale: &Tensor) -> Result<Tensor> {
    u.broadcast_sub(shift)?.broadcast_mul(&log_scale.neg()?.exp()?)
}

/// See [`super::act_norm_inverse`].
///
/// # Errors
/// Those of candle.
pub fn act_norm_inverse(x: &Tensor, shift: &Tensor, log_scale: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&log_scale.exp()?)?.broadcast_add(shift)
}

/// See [`super::layer_norm_silu`].
///
/// # Errors
/// Those of candle.
pub fn layer_norm_silu(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    layer_norm_slow(x, weight, bias, LAYER_NORM_EPSILON)?.silu()
}

/// See [`super::rms_norm`].
///
/// # Errors
/// Those of candle.
pub fn rms_norm(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    rms_norm_slow(x, weight, RMS_NORM_EPSILON)
}

/// See [`super::attention`].
///
/// # Errors
/// Those of candle.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
    let &AttentionShape { n_heads, n_queries, n_keys, .. } = shape;
    let (rows, width) = q.dims2()?;
    let (r, head_len) = (rows / n_queries, width / n_heads);
    let heads = |x: &Tensor, n_tokens: usize| {
        let x = x.reshape(((), n_tokens, n_heads, head_len))?.transpose(1, 2)?;
        x.broadcast_as((r, n_heads, n_tokens, head_len))?.contiguous()
    };
    let (q, k, v) = (heads(q, n_queries)?, heads(k, n_keys)?, heads(v, n_keys)?);
    let logits = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * (1.0 / (head_len as f64).sqrt()))?;

    let (mut hidden, mut counts) = (Vec::with_capacity(r * n_queries * n_keys), vec![0; n_queries]);
    for row in 0..r {
        shape.visible(row, &mut counts);
        let of_query = |&count: &usize| (0..n_keys).map(move |key| if key < count { 0.0 } else { HIDDEN });
        hidden.extend(counts.iter().flat_map(of_query));
    }
    let hidden = Tensor::from_vec(hidden, (r, 1, n_queries, n_keys), q.device())?;
    let probabilities = log_softmax(&logits.broadcast_add(&hidden)?, D::Minus1)?.exp()?;
    probabilities.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((rows, width))
}

/// See [`super::rotate`].
///
/// # Errors
/// Those of candle.
pub fn rotate(x: &Tensor, rotary: &Rotary) -> Result<Tensor> {
    let [cosines, sines] = rotary.to_tensors(x.device())?;
    let (n_positions, half) = (cosines.dim(0)?, rotary.half());
    let n_heads = x.dim(1)? / (2 * half);
    let pairs = x.reshape(((), n_positions, n_heads, half, 2))?;
    let (first, second) = (pairs.narrow(4, 0, 1)?.squeeze(4)?, pairs.narrow(4, 1, 1)?.squeeze(4)?);
    let turned = [
        (first.broadcast_mul(&cosines)? - second.broadcast_mul(&sines)?)?,
        (first.broadcast_mul(&sines)? + second.broadcast_mul(&cosines)?)?,
    ];
    Tensor::stack(&turned, 4)?.reshape(x.shape())
}

/// See [`super::cross_entropy`].
///
/// # Errors
/// Those of candle.
pub fn cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    (log_softmax(logits, D::Minus1)? * target)?.sum(1)?.neg()
}

/// See [`super::softmax_expectation`].
///
/// # Errors
/// Those of candle.
pub fn softmax_expectation(logits: &Tensor, centers: &Tensor) -> Result<Tensor> {
    log_softmax(logits, D::Minus1)?.exp()?.broadcast_mul(centers)?.sum(1)
}

/// See [`super::squared_norm`].
///
/// # Errors
/// Those of candle.
pub fn squared_norm(x: &Tensor) -> Result<Tensor> {
    x.sqr()?.sum(1)
}

/// See [`super::select_columns`].
///
/// # Errors
/// Those of candle.
pub fn select_columns(x: &Tensor, columns: &Columns) -> Result<Tensor> {
    x.contiguous()?.index_select(&columns.to_tensor(x.device())?, 1)
}

/// See [`super::select_from_halves`].
///
/// # Errors
/// Those of candle.
pub fn select_from_halves(a: &Tensor, b: &Tensor, columns: &Columns) -> Result<Tensor> {
    select_columns(&Tensor::cat(&[a, b], 1)?, columns)
}
