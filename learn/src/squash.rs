//! The squash between the flow's unbounded space and actions: `a = tanh(u)`, `|a| < 1`.
//!
//! Densities change by `ln |da/du| = ln(1 - tanh(u)^2)` per dimension:
//! `ln p(a) = ln p(u) - sum_j ln(1 - tanh(u_j)^2)`.

use crate::ops;
use candle_core::{Result, Tensor};

/// `a = tanh(u)`, any shape.
///
/// # Errors
/// When `u` is not `f32`.
pub fn squash(u: &Tensor) -> Result<Tensor> {
    ops::tanh(u)
}

/// `u = atanh(a)` of data, in double precision, with `a` clamped to `[-bound, bound]` first.
///
/// `bound` lies inside of (0, 1): a flow gives a point mass at the edge an unbounded density.
#[must_use]
pub fn unsquash(action: f32, bound: f64) -> f32 {
    f64::from(action).clamp(-bound, bound).atanh() as f32
}

/// `sum_j ln(1 - tanh(u_j)^2)` per row, `u [r, d]`, result `[r]`.
///
/// Written as `2 (ln 2 - |u| - ln(1 + e^(-2|u|)))`: `1 - tanh(u)^2` itself is 0 in single precision from `|u|` = 9 on.
///
/// # Errors
/// When `u` is not a matrix.
pub fn log_det(u: &Tensor) -> Result<Tensor> {
    let magnitude = u.abs()?;
    let softplus = ((&magnitude * -2.0)?.exp()? + 1.0)?.log()?;
    ((magnitude + softplus)?.neg()? + std::f64::consts::LN_2)?.sum(1)? * 2.0
}

/// Density of actions from the density of `u`: `log_prob_u - log_det(u)`, both `[r]`.
///
/// # Errors
/// When the shapes do not fit together.
pub fn action_log_prob(log_prob_u: &Tensor, u: &Tensor) -> Result<Tensor> {
    log_prob_u - log_det(u)?
}
