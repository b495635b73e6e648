//! Fused linear layer.

use super::slices::{read, stored, tensor, values};
use super::{Activation, deposit};
use crate::kernels::{self, Matrix};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use std::sync::OnceLock;

/// `activation(x w + b)`; one object per call, it keeps what the way back needs.
pub(super) struct LinearAct {
    activation: Activation,
    tracked: bool,
    before_activation: OnceLock<Vec<f32>>,
}

impl LinearAct {
    pub(super) fn new(activation: Activation, x: &Tensor, w: &Tensor, b: &Tensor) -> Self {
        let tracked = x.track_op() || w.track_op() || b.track_op();
        Self { activation, tracked, before_activation: OnceLock::new() }
    }

    /// Gradient of `x w + b`.
    fn affine_backward(&self, x: &Tensor, w: &Tensor, b: &Tensor, grad: &[f32]) -> Result<[Option<Tensor>; 3]> {
        let ((r, i), o) = (x.dims2()?, w.dim(1)?);
        let grad_matrix = Matrix::row_major(grad, r, o)?;
        let mut grads = [None, None, None];
        if x.track_op() {
            let grad_x = read(w, |w| kernels::times_transposed(grad_matrix, Matrix::row_major(w, i, o)?))?;
            grads[0] = Some(tensor(grad_x, (r, i))?);
        }
        if w.track_op() {
            let add = |grad_w: &mut [f32]| {
                read(x, |x| kernels::matmul(grad_w, true, Matrix::row_major(x, r, i)?.transposed(), grad_matrix))
            };
            if !deposit::add_to(w, add)? {
                let mut grad_w = vec![0.0; i * o];
                add(&mut grad_w)?;
                grads[1] = Some(tensor(grad_w, (i, o))?);
            }
        }
        let has_rows = b.elem_count() == r * o && b.rank() == 2;
        if b.track_op() && has_rows {
            grads[2] = Some(tensor(grad.to_vec(), b.shape())?);
        } else if b.track_op() {
            let add = |sum: &mut [f32]| {
                kernels::column_sum(grad, sum);
                Ok(())
            };
            if !deposit::add_to(b, add)? {
                let mut sum = vec![0.0; o];
                add(&mut sum)?;
                grads[2] = Some(tensor(sum, b.shape())?);
            }
        }
        Ok(grads)
    }
}

impl CustomOp3 for LinearAct {
    fn name(&self) -> &'static str {
        "linear-act"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((r, i), o) = (x_layout.shape().dims2()?, w_layout.shape().dims2()?.1);
        let (x, w, b) = (values(x, x_layout)?, values(w, w_layout)?, values(b, b_layout)?);
        let mut y = Vec::with_capacity(r * o);
        while y.len() < r * o {
            y.extend_from_slice(b);
        }
        kernels::matmul(&mut y, true, Matrix::row_major(x, r, i)?, Matrix::row_major(w, i, o)?)?;
        match (self.activation, self.tracked) {
            (Activation::None, _) => {}
            (Activation::Silu, false) => kernels::silu_in_place(&mut y),
            (Activation::Silu, true) => {
                let mut out = vec![0.0; r * o];
                kernels::silu(&y, &mut out);
                if self.before_activation.set(std::mem::replace(&mut y, out)).is_err() {
                    bail!("linear-act: one object serves one call");
                }
            }
        }
        Ok(stored(y, (r, o)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [grad_x, grad_w, grad_b] = read(grad, |grad| match self.before_activation.get() {
            None => self.affine_backward(x, w, b, grad),
            Some(before) => {
                let mut grad_before = vec![0.0; grad.len()];
                kernels::silu_backward(before, grad, &mut grad_before);
                self.affine_backward(x, w, b, &grad_before)
            }
        })?;
        Ok((grad_x, grad_w, grad_b))
    }
}
