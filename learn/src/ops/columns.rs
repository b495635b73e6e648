//! Moving columns about, with a way back.

use super::slices::{read, stored, tensor, values};
use crate::kernels;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};
use std::sync::Arc;

/// Different columns of a matrix, in an order.
#[derive(Clone, Debug)]
pub struct Columns {
    indices: Arc<[u32]>,
    n_columns: usize,
}

impl Columns {
    /// `indices` into a matrix of `n_columns` columns.
    ///
    /// # Errors
    /// When an index is out of range or comes twice.
    pub fn new(indices: &[u32], n_columns: usize) -> Result<Self> {
        let mut seen = vec![false; n_columns];
        for &index in indices {
            match seen.get_mut(index as usize) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => bail!("column {index} comes twice"),
                None => bail!("column {index} of {n_columns}"),
            }
        }
        Ok(Self { indices: indices.into(), n_columns })
    }

    /// The indices.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    pub(super) fn check(&self, n_columns: usize) -> Result<()> {
        if n_columns != self.n_columns || self.indices.is_empty() {
            bail!("select_columns: the matrix has {n_columns} columns, expected {} and some selected", self.n_columns);
        }
        Ok(())
    }

    pub(super) fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        Tensor::new(self.indices(), device)
    }

    pub(super) fn select(&self) -> Select {
        Select { columns: self.clone() }
    }
}

pub(super) struct Select {
    columns: Columns,
}

impl CustomOp1 for Select {
    fn name(&self) -> &'static str {
        "select-columns"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (r, width) = layout.shape().dims2()?;
        let mut out = vec![0.0; r * self.columns.indices.len()];
        kernels::gather_columns(values(x, layout)?, &[], width, &self.columns.indices, &mut out);
        Ok(stored(out, (r, self.columns.indices.len())))
    }

    fn bwd(&self, x: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (r, width) = x.dims2()?;
        let mut grad_x = vec![0.0; r * width];
        read(grad, |grad| {
            kernels::scatter_columns(grad, &self.columns.indices, width, &mut grad_x, &mut []);
            Ok(())
        })?;
        Ok(Some(tensor(grad_x, (r, width))?))
    }
}

impl CustomOp2 for Select {
    fn name(&self) -> &'static str {
        "select-from-halves"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (r, width) = a_layout.shape().dims2()?;
        let mut out = vec![0.0; r * self.columns.indices.len()];
        let (a, b) = (values(a, a_layout)?, values(b, b_layout)?);
        kernels::gather_columns(a, b, width, &self.columns.indices, &mut out);
        Ok(stored(out, (r, self.columns.indices.len())))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (r, width) = a.dims2()?;
        let (mut grad_a, mut grad_b) = (vec![0.0; r * width], vec![0.0; r * width]);
        read(grad, |grad| {
            kernels::scatter_columns(grad, &self.columns.indices, width, &mut grad_a, &mut grad_b);
            Ok(())
        })?;
        let grad_a = if a.track_op() { Some(tensor(grad_a, (r, width))?) } else { None };
        let grad_b = if b.track_op() { Some(tensor(grad_b, (r, width))?) } else { None };
        Ok((grad_a, grad_b))
    }
}
