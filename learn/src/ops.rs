//! Differentiable operations of the networks.
//!
//! Every function has two definitions that agree to rounding: [`plain`] composes candle's own operations and says what is
//! computed; the fused one, used on the CPU, computes the same in one pass with a hand-written way back. Gradients are only
//! worked out for arguments that are tracked (`Tensor::track_op`): a frozen weight is passed detached and costs nothing on
//! the way back.
//!
//! candle's own `layer_norm` and `softmax_last_dim` return a result without gradients and say nothing; neither is used here.
//!
//! All tensors are `f32`; matrices have one row per sample.

pub mod plain;

mod attention;
mod columns;
mod coupling;
mod deposit;
mod distribution;
mod linear;
mod norm;
mod slices;

use candle_core::{Result, Tensor, bail};

pub use attention::{AttentionShape, Rotary, Visible};
pub use columns::Columns;
pub(crate) use deposit::collect;
pub(crate) use slices::{read, write};

/// What follows the affine part of [`linear_act`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `silu(x) = x sigmoid(x)`.
    Silu,
}

/// `activation(x w + b)`: `x [r, i]`, `w [i, o]`, `b [o]`, `[1, o]` or `[r, o]`, result `[r, o]`.
///
/// A `b` with rows of its own carries the part of the product that several calls share.
///
/// # Errors
/// When the shapes do not fit together.
pub fn linear_act(x: &Tensor, w: &Tensor, b: &Tensor, activation: Activation) -> Result<Tensor> {
    let ((r, i), (w_rows, o)) = (x.dims2()?, w.dims2()?);
    let fits = match *b.dims() {
        [width] => width == o,
        [rows, width] => (rows == 1 || rows == r) && width == o,
        _ => false,
    };
    if w_rows != i || !fits || r * i * o == 0 {
        bail!("linear_act: x {:?}, w {:?} and b {:?} do not fit together", x.dims(), w.dims(), b.dims());
    }
    if !x.device().is_cpu() {
        return plain::linear_act(x, w, b, activation);
    }
    x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, linear::LinearAct::new(activation, x, w, b))
}

/// Coupling, density direction: `x e^s + shift`, where `net_out [r, 2d] = [raw | shift]` and `s = s_max tanh(raw / s_max)`;
/// `x [r, d]`.
///
/// # Errors
/// When the shapes do not fit together.
pub fn coupling_forward(x: &Tensor, net_out: &Tensor, s_max: f32) -> Result<Tensor> {
    coupling::check(x, net_out, s_max)?;
    if !x.device().is_cpu() {
        return plain::coupling_forward(x, net_out, s_max);
    }
    x.contiguous()?
        .apply_op2(&net_out.contiguous()?, coupling::Coupling { direction: coupling::Direction::Density, s_max })
}

/// Coupling, sampling direction: `(y - shift) e^-s`, the inverse of [`coupling_forward`].
///
/// # Errors
/// When the shapes do not fit together.
pub fn coupling_inverse(y: &Tensor, net_out: &Tensor, s_max: f32) -> Result<Tensor> {
    coupling::check(y, net_out, s_max)?;
    if !y.device().is_cpu() {
        return plain::coupling_inverse(y, net_out, s_max);
    }
    y.contiguous()?
        .apply_op2(&net_out.contiguous()?, coupling::Coupling { direction: coupling::Direction::Sampling, s_max })
}

/// `sum_j s_j` of a coupling, `net_out [r, 2d]` as in [`coupling_forward`], result `[r]`.
///
/// # Errors
/// When the number of columns is odd.
pub fn sum_log_scale(net_out: &Tensor, s_max: f32) -> Result<Tensor> {
    coupling::check_net_out(net_out, s_max)?;
    if !net_out.device().is_cpu() {
        return plain::sum_log_scale(net_out, s_max);
    }
    net_out.contiguous()?.apply_op1(coupling::SumLogScale { s_max })
}

/// ActNorm, density direction: `(u - shift) e^-log_scale`; `u [r, d]`, `shift [d]`, `log_scale [d]`.
///
/// # Errors
/// When the shapes do not fit together.
pub fn act_norm_forward(u: &Tensor, shift: &Tensor, log_scale: &Tensor) -> Result<Tensor> {
    norm::check(u, shift, log_scale)?;
    if !u.device().is_cpu() {
        return plain::act_norm_forward(u, shift, log_scale);
    }
    u.contiguous()?.apply_op3(shift, log_scale, norm::ActNorm { direction: coupling::Direction::Density })
}

/// ActNorm, sampling direction: `x e^log_scale + shift`, the inverse of [`act_norm_forward`].
///
/// # Errors
/// When the shapes do not fit together.
pub fn act_norm_inverse(x: &Tensor, shift: &Tensor, log_scale: &Tensor) -> Result<Tensor> {
    norm::check(x, shift, log_scale)?;
    if !x.device().is_cpu() {
        return plain::act_norm_inverse(x, shift, log_scale);
    }
    x.contiguous()?.apply_op3(shift, log_scale, norm::ActNorm { direction: coupling::Direction::Sampling })
}

/// `silu(x_hat weight + bias)` with `x_hat = (x - mean) / sqrt(variance + 1e-5)` over the columns; `x [r, d]`,
/// `weight [d]`, `bias [d]`.
///
/// # Errors
/// When the shapes do not fit together.
pub fn layer_norm_silu(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    norm::check(x, weight, bias)?;
    if !x.device().is_cpu() {
        return plain::layer_norm_silu(x, weight, bias);
    }
    x.contiguous()?.apply_op3(weight, bias, norm::LayerNormSilu::default())
}

/// `x weight / sqrt(mean x^2 + 1e-6)` over the columns (Zhang and Sennrich 2019, "RMSNorm"); `x [r, d]`, `weight [d]`.
///
/// # Errors
/// When the shapes do not fit together.
pub fn rms_norm(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    norm::check(x, weight, weight)?;
    if !x.device().is_cpu() {
        return plain::rms_norm(x, weight);
    }
    x.contiguous()?.apply_op2(weight, norm::RmsNorm::default())
}

/// Attention of several heads (Vaswani et al. 2017): `out_t = sum_s softmax_s(q_t k_s / sqrt(d_h)) v_s` over the keys that
/// query `t` sees; `q [r T, W]`, `k` and `v [r S, W]`, or `[S, W]` for all rows, result `[r T, W]`.
///
/// # Errors
/// When the shapes do not fit together, or a query sees no key.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
    shape.check(q, k, v)?;
    if !q.device().is_cpu() {
        return plain::attention(q, k, v, shape);
    }
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, attention::Attention::new(shape.clone()))
}

/// Turns `x [r T, W]` by the angles of its tokens' positions.
///
/// # Errors
/// When `x` does not fit the positions.
pub fn rotate(x: &Tensor, rotary: &Rotary) -> Result<Tensor> {
    rotary.check(x)?;
    if !x.device().is_cpu() {
        return plain::rotate(x, rotary);
    }
    x.contiguous()?.apply_op1(attention::Rotate(rotary.clone()))
}

/// `-sum_j target_j ln softmax(logits)_j` per row: `logits [r, n]`, `target [r, n]`, result `[r]`. The targets are data:
/// they get no gradient.
///
/// # Errors
/// When the shapes do not fit together.
pub fn cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let (r, n) = logits.dims2()?;
    if target.dims() != [r, n] || r * n == 0 {
        bail!("cross_entropy: logits {:?} and target {:?} do not fit together", logits.dims(), target.dims());
    }
    let target = target.detach();
    if !logits.device().is_cpu() {
        return plain::cross_entropy(logits, &target);
    }
    logits.contiguous()?.apply_op2(&target.contiguous()?, distribution::CrossEntropy::default())
}

/// `sum_j softmax(logits)_j center_j` per row: `logits [r, n]`, `centers [n]`, result `[r]`. The centres get no gradient.
///
/// # Errors
/// When the shapes do not fit together.
pub fn softmax_expectation(logits: &Tensor, centers: &Tensor) -> Result<Tensor> {
    let (r, n) = logits.dims2()?;
    if centers.dims() != [n] || r * n == 0 {
        bail!("softmax_expectation: logits {:?} and centers {:?} do not fit together", logits.dims(), centers.dims());
    }
    let centers = centers.detach();
    if !logits.device().is_cpu() {
        return plain::softmax_expectation(logits, &centers);
    }
    logits.contiguous()?.apply_op2(&centers.contiguous()?, distribution::SoftmaxExpectation::default())
}

/// `sum_j x_j^2` per row: `x [r, d]`, result `[r]`.
///
/// # Errors
/// When `x` is not a matrix.
pub fn squared_norm(x: &Tensor) -> Result<Tensor> {
    if x.dims2()?.1 == 0 {
        bail!("squared_norm: x {:?} has no columns", x.dims());
    }
    if !x.device().is_cpu() {
        return plain::squared_norm(x);
    }
    x.contiguous()?.apply_op1(norm::SquaredNorm)
}

/// `tanh x`, any shape. candle's own is scalar, 70 times slower.
///
/// # Errors
/// When `x` is not `f32`.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return x.tanh();
    }
    x.contiguous()?.apply_op1(distribution::Tanh)
}

/// Some columns of `x [r, d]`, in the order of `columns`.
///
/// # Errors
/// When `columns` were not made for `d` columns.
pub fn select_columns(x: &Tensor, columns: &Columns) -> Result<Tensor> {
    columns.check(x.dims2()?.1)?;
    if !x.device().is_cpu() {
        return plain::select_columns(x, columns);
    }
    x.contiguous()?.apply_op1(columns.select())
}

/// Some columns of `[a | b]`, in the order of `columns`; `a [r, d]`, `b [r, d]`.
///
/// # Errors
/// When the shapes differ, or `columns` were not made for `2 d` columns.
pub fn select_from_halves(a: &Tensor, b: &Tensor, columns: &Columns) -> Result<Tensor> {
    if a.dims() != b.dims() {
        bail!("select_from_halves: {:?} and {:?} are not two halves", a.dims(), b.dims());
    }
    columns.check(2 * a.dims2()?.1)?;
    if !a.device().is_cpu() {
        return plain::select_from_halves(a, b, columns);
    }
    a.contiguous()?.apply_op2(&b.contiguous()?, columns.select())
}
