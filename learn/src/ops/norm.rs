//! Fused ActNorm, LayerNorm with SiLU, RMSNorm, and squared norm.

use super::coupling::Direction;
use super::slices::{read, stored, tensor, values};
use crate::kernels;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// `x [r, d]` with two vectors of its columns.
pub(super) fn check(x: &Tensor, first: &Tensor, second: &Tensor) -> Result<()> {
    let (_, d) = x.dims2()?;
    if d == 0 || first.dims() != [d] || second.dims() != [d] {
        bail!("norm: x {:?}, {:?} and {:?} do not fit together", x.dims(), first.dims(), second.dims());
    }
    Ok(())
}

/// Arguments: the matrix, the shift, the log-scale.
pub(super) struct ActNorm {
    pub(super) direction: Direction,
}

impl CustomOp3 for ActNorm {
    fn name(&self) -> &'static str {
        "act-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
        log_scale: &CpuStorage,
        log_scale_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = x_layout.shape().clone();
        let (x, shift, log_scale) =
            (values(x, x_layout)?, values(shift, shift_layout)?, values(log_scale, log_scale_layout)?);
        let mut out = vec![0.0; x.len()];
        match self.direction {
            Direction::Density => kernels::act_norm_forward(x, shift, log_scale, &mut out),
            Direction::Sampling => kernels::act_norm_inverse(x, shift, log_scale, &mut out),
        }
        Ok(stored(out, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        shift: &Tensor,
        log_scale: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let d = log_scale.elem_count();
        let (mut grad_x, mut grad_shift, mut grad_log_scale) = (vec![0.0; x.elem_count()], vec![0.0; d], vec![0.0; d]);
        // The way back of the density direction needs its result, that of the sampling direction its argument.
        let kept = if self.direction == Direction::Density { out } else { x };
        read(kept, |kept| {
            read(log_scale, |log_scale| {
                read(grad, |grad| {
                    let (grad_x, grad_shift, grad_log_scale) = (&mut grad_x, &mut grad_shift, &mut grad_log_scale);
                    match self.direction {
                        Direction::Density => {
                            kernels::act_norm_forward_backward(
                                kept,
                                log_scale,
                                grad,
                                grad_x,
                                grad_shift,
                                grad_log_scale,
                            );
                        }
                        Direction::Sampling => {
                            kernels::act_norm_inverse_backward(
                                kept,
                                log_scale,
                                grad,
                                grad_x,
                                grad_shift,
                                grad_log_scale,
                            );
                        }
                    }
                    Ok(())
                })
            })
        })?;
        let grad_x = if x.track_op() { Some(tensor(grad_x, x.shape())?) } else { None };
        let grad_shift = if shift.track_op() { Some(tensor(grad_shift, d)?) } else { None };
        let grad_log_scale = if log_scale.track_op() { Some(tensor(grad_log_scale, d)?) } else { None };
        Ok((grad_x, grad_shift, grad_log_scale))
    }
}

/// Arguments: the matrix, the weight, the bias. One object per call, it keeps what the way back needs.
#[derive(Default)]
pub(super) struct LayerNormSilu {
    kept: OnceLock<Normalised>,
}

struct Normalised {
    x_hat: Vec<f32>,
    inverse_std: Vec<f32>,
}

impl CustomOp3 for LayerNormSilu {
    fn name(&self) -> &'static str {
        "layer-norm-silu"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (r, d) = x_layout.shape().dims2()?;
        let mut x_hat = values(x, x_layout)?.to_vec();
        let (mut inverse_std, mut out) = (vec![0.0; r], vec![0.0; r * d]);
        let (weight, bias) = (values(weight, weight_layout)?, values(bias, bias_layout)?);
        kernels::layer_norm_silu(&mut x_hat, weight, bias, &mut inverse_std, &mut out);
        if self.kept.set(Normalised { x_hat, inverse_std }).is_err() {
            bail!("layer-norm-silu: one object serves one call");
        }
        Ok(stored(out, (r, d)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(Normalised { x_hat, inverse_std }) = self.kept.get() else {
            bail!("layer-norm-silu: the way back comes after the way there");
        };
        let d = weight.elem_count();
        let mut grad_x = read(grad, |grad| Ok(grad.to_vec()))?;
        let (mut grad_weight, mut grad_bias) = (vec![0.0; d], vec![0.0; d]);
        read(weight, |weight| {
            read(bias, |bias| {
                let (grad_weight, grad_bias) = (&mut grad_weight, &mut grad_bias);
                kernels::layer_norm_silu_backward(
                    x_hat,
                    inverse_std,
                    weight,
                    bias,
                    &mut grad_x,
                    grad_weight,
                    grad_bias,
                );
                Ok(())
            })
        })?;
        let grad_x = if x.track_op() { Some(tensor(grad_x, x.shape())?) } else { None };
        let grad_weight = if weight.track_op() { Some(tensor(grad_weight, d)?) } else { None };
        let grad_bias = if bias.track_op() { Some(tensor(grad_bias, d)?) } else { None };
        Ok((grad_x, grad_weight, grad_bias))
    }
}

/// Arguments: the matrix, the weight. One object per call, it keeps what the way back needs.
#[derive(Default)]
pub(super) struct RmsNorm {
    inverse_rms: OnceLock<Vec<f32>>,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (r, d) = x_layout.shape().dims2()?;
        let (mut inverse_rms, mut out) = (vec![0.0; r], vec![0.0; r * d]);
        kernels::rms_norm(values(x, x_layout)?, values(weight, weight_layout)?, &mut inverse_rms, &mut out);
        if self.inverse_rms.set(inverse_rms).is_err() {
            bail!("rms-norm: one object serves one call");
        }
        Ok(stored(out, (r, d)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(inverse_rms) = self.inverse_rms.get() else {
            bail!("rms-norm: the way back comes after the way there");
        };
        let mut grad_x = read(grad, |grad| Ok(grad.to_vec()))?;
        let mut grad_weight = vec![0.0; weight.elem_count()];
        read(x, |x| {
            read(weight, |weight| {
                kernels::rms_norm_backward(x, inverse_rms, weight, &mut grad_x, &mut grad_weight);
                Ok(())
            })
        })?;
        let grad_x = if x.track_op() { Some(tensor(grad_x, x.shape())?) } else { None };
        let grad_weight = if weight.track_op() { Some(tensor(grad_weight, weight.shape())?) } else { None };
        Ok((grad_x, grad_weight))
    }
}

pub(super) struct SquaredNorm;

impl CustomOp1 for SquaredNorm {
    fn name(&self) -> &'static str {
        "squared-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (r, d) = layout.shape().dims2()?;
        let mut out = vec![0.0; r];
        kernels::squared_norm(values(x, layout)?, d, &mut out);
        Ok(stored(out, r))
    }

    fn bwd(&self, x: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (r, d) = x.dims2()?;
        let mut grad_x = vec![0.0; r * d];
        read(x, |x| {
            read(grad, |grad| {
                kernels::squared_norm_backward(x, grad, d, &mut grad_x);
                Ok(())
            })
        })?;
        Ok(Some(tensor(grad_x, (r, d))?))
    }
}
