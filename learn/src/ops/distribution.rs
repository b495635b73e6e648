//! Fused softmax rows, and the squash of actions.

use super::slices::{read, stored, tensor, values};
use crate::kernels;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// Arguments: logits, target. One object per call, it keeps the softmax.
#[derive(Default)]
pub(super) struct CrossEntropy {
    probabilities: OnceLock<Vec<f32>>,
}

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (r, n) = logits_layout.shape().dims2()?;
        let (mut probabilities, mut out) = (vec![0.0; r * n], vec![0.0; r]);
        let (logits, target) = (values(logits, logits_layout)?, values(target, target_layout)?);
        kernels::cross_entropy(logits, target, n, &mut probabilities, &mut out);
        keep(&self.probabilities, probabilities)?;
        Ok(stored(out, r))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        target: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut grad_logits = kept(&self.probabilities)?.to_vec();
        read(target, |target| {
            read(grad, |grad| {
                kernels::cross_entropy_backward(target, grad, logits.dim(1)?, &mut grad_logits);
                Ok(())
            })
        })?;
        Ok((Some(tensor(grad_logits, logits.shape())?), None))
    }
}

/// Arguments: logits, centres. One object per call, it keeps the softmax.
#[derive(Default)]
pub(super) struct SoftmaxExpectation {
    probabilities: OnceLock<Vec<f32>>,
}

impl CustomOp2 for SoftmaxExpectation {
    fn name(&self) -> &'static str {
        "softmax-expectation"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        centers: &CpuStorage,
        centers_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (r, n) = logits_layout.shape().dims2()?;
        let (mut probabilities, mut out) = (vec![0.0; r * n], vec![0.0; r]);
        let (logits, centers) = (values(logits, logits_layout)?, values(centers, centers_layout)?);
        kernels::softmax_expectation(logits, centers, &mut probabilities, &mut out);
        keep(&self.probabilities, probabilities)?;
        Ok(stored(out, r))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        centers: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut grad_logits = kept(&self.probabilities)?.to_vec();
        read(centers, |centers| {
            read(out, |out| {
                read(grad, |grad| {
                    kernels::softmax_expectation_backward(centers, out, grad, &mut grad_logits);
                    Ok(())
                })
            })
        })?;
        Ok((Some(tensor(grad_logits, logits.shape())?), None))
    }
}

pub(super) struct Tanh;

impl CustomOp1 for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let mut out = vec![0.0; x.len()];
        kernels::tanh_rows(x, &mut out);
        Ok(stored(out, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut grad_x = vec![0.0; x.elem_count()];
        read(out, |out| {
            read(grad, |grad| {
                kernels::tanh_backward(out, grad, &mut grad_x);
                Ok(())
            })
        })?;
        Ok(Some(tensor(grad_x, x.shape())?))
    }
}

fn keep(cell: &OnceLock<Vec<f32>>, values: Vec<f32>) -> Result<()> {
    if cell.set(values).is_err() {
        bail!("softmax: one object serves one call");
    }
    Ok(())
}

fn kept(cell: &OnceLock<Vec<f32>>) -> Result<&[f32]> {
    match cell.get() {
        Some(values) => Ok(values),
        None => bail!("softmax: the way back comes after the way there"),
    }
}
