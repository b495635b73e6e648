//! Fused coupling and its log-scale.

use super::slices::{read, stored, tensor, values};
use crate::kernels;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Which way an invertible map is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From data to the latent.
    Density,
    /// From the latent to data.
    Sampling,
}

pub(super) fn check_net_out(net_out: &Tensor, s_max: f32) -> Result<()> {
    let (_, width) = net_out.dims2()?;
    if width == 0 || !width.is_multiple_of(2) {
        bail!("coupling: net_out {:?} needs an even number of columns", net_out.dims());
    }
    if !(s_max.is_finite() && s_max > 0.0) {
        bail!("coupling: s_max is {s_max}, expected a finite number above 0");
    }
    Ok(())
}

pub(super) fn check(x: &Tensor, net_out: &Tensor, s_max: f32) -> Result<()> {
    check_net_out(net_out, s_max)?;
    let (r, d) = x.dims2()?;
    if net_out.dims() != [r, 2 * d] {
        bail!("coupling: x {:?} and net_out {:?} do not fit together", x.dims(), net_out.dims());
    }
    Ok(())
}

/// Arguments: the active half, the network's output.
pub(super) struct Coupling {
    pub(super) direction: Direction,
    pub(super) s_max: f32,
}

impl CustomOp2 for Coupling {
    fn name(&self) -> &'static str {
        "coupling"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        net_out: &CpuStorage,
        net_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (r, d) = x_layout.shape().dims2()?;
        let (x, net_out) = (values(x, x_layout)?, values(net_out, net_layout)?);
        let mut out = vec![0.0; r * d];
        match self.direction {
            Direction::Density => kernels::coupling_forward(net_out, x, d, self.s_max, &mut out),
            Direction::Sampling => kernels::coupling_inverse(net_out, x, d, self.s_max, &mut out),
        }
        Ok(stored(out, (r, d)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        net_out: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (r, d) = x.dims2()?;
        let (mut grad_x, mut grad_net) = (vec![0.0; r * d], vec![0.0; r * 2 * d]);
        let s_max = self.s_max;
        read(net_out, |net| {
            read(grad, |grad| match self.direction {
                Direction::Density => read(x, |x| {
                    kernels::coupling_forward_backward(net, x, grad, d, s_max, &mut grad_net, &mut grad_x);
                    Ok(())
                }),
                Direction::Sampling => read(out, |out| {
                    kernels::coupling_inverse_backward(net, out, grad, d, s_max, &mut grad_net, &mut grad_x);
                    Ok(())
                }),
            })
        })?;
        let grad_net = if net_out.track_op() { Some(tensor(grad_net, (r, 2 * d))?) } else { None };
        let grad_x = if x.track_op() { Some(tensor(grad_x, (r, d))?) } else { None };
        Ok((grad_x, grad_net))
    }
}

pub(super) struct SumLogScale {
    pub(super) s_max: f32,
}

impl CustomOp1 for SumLogScale {
    fn name(&self) -> &'static str {
        "sum-log-scale"
    }

    fn cpu_fwd(&self, net_out: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (r, width) = layout.shape().dims2()?;
        let mut out = vec![0.0; r];
        kernels::sum_log_scale(values(net_out, layout)?, width / 2, self.s_max, &mut out);
        Ok(stored(out, r))
    }

    fn bwd(&self, net_out: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (r, width) = net_out.dims2()?;
        let mut grad_net = vec![0.0; r * width];
        read(net_out, |net| {
            read(grad, |grad| {
                kernels::sum_log_scale_backward(net, grad, width / 2, self.s_max, &mut grad_net);
                Ok(())
            })
        })?;
        Ok(Some(tensor(grad_net, (r, width))?))
    }
}
