//! Work on a batch, shared out over two threads in a way that does not depend on their number.
//!
//! A batch is always cut into the same [`N_SHARDS`] ranges of rows, whether they run side by side or one after the other,
//! and what they return is always put together in the same order. Results have the same bits for any number of threads.

use crate::kernels;
use crate::ops::{collect, read};
use crate::params::Params;
use candle_core::{Device, Tensor, bail};
use std::ops::Range;
use thiserror::Error;

/// Number of row ranges.
pub const N_SHARDS: usize = 2;

/// A gradient could not be computed.
#[derive(Debug, Error)]
pub enum GradientError {
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A tensor takes no part in the loss: some operation has cut its gradient.
    #[error("tensor {name:?} has no gradient: an operation on its way to the loss has no way back")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// There is nothing to learn from.
    #[error("the batch has no rows")]
    EmptyBatch,
    /// The shards do not measure the same things.
    #[error("the shards return different metrics: {first:?} and {second:?}")]
    Metrics {
        /// Names from the first shard.
        first: Vec<&'static str>,
        /// Names from the second one.
        second: Vec<&'static str>,
    },
}

/// What a shard computes from its rows.
#[derive(Debug)]
pub struct ShardOutput {
    /// Sum over the shard's rows, divided by the number of rows of the whole batch; a scalar.
    pub loss: Tensor,
    /// Named numbers to be logged, divided in the same way.
    pub metrics: Vec<(&'static str, f64)>,
}

/// A loss and its gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// Mean over the batch.
    pub loss: f64,
    /// In the flat layout of the parameters.
    pub flat: Vec<f32>,
    /// Sums over the shards.
    pub metrics: Vec<(&'static str, f64)>,
}

impl Gradient {
    /// Backpropagates a scalar loss to all of `params`.
    ///
    /// # Errors
    /// When `loss` is not a scalar, or a tensor has no gradient.
    pub fn of(loss: &Tensor, params: &Params) -> Result<Self, GradientError> {
        let places = params.layout().map(|(_, var, range)| (var.as_tensor(), range));
        let (mut gradients, mut collected) = collect(params.n_elements(), places, || loss.backward())?;
        for (name, var, range) in params.layout() {
            match gradients.remove(var) {
                Some(gradient) => read(&gradient, |gradient| {
                    kernels::add_assign(&mut collected.flat[range], gradient);
                    Ok(())
                })?,
                None if collected.has(var) => {}
                None => return Err(GradientError::Missing { name: name.to_owned() }),
            }
        }
        Ok(Self { loss: f64::from(loss.to_scalar::<f32>()?), flat: collected.flat, metrics: Vec::new() })
    }

    fn add(&mut self, other: &Self) -> Result<(), GradientError> {
        let names = |gradient: &Self| gradient.metrics.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        if names(self) != names(other) {
            return Err(GradientError::Metrics { first: names(self), second: names(other) });
        }
        kernels::add_assign(&mut self.flat, &other.flat);
        self.loss += other.loss;
        for ((_, total), (_, metric)) in self.metrics.iter_mut().zip(&other.metrics) {
            *total += metric;
        }
        Ok(())
    }
}

/// Calls `shard` with each range of rows of a batch, backpropagates each loss to `params`, and adds everything up.
///
/// # Errors
/// When the batch is empty, `shard` fails, or a tensor of `params` has no gradient.
pub fn gradients<E, F>(params: &Params, n_rows: usize, shard: F) -> Result<Gradient, E>
where
    E: From<GradientError> + Send,
    F: Fn(Range<usize>) -> Result<ShardOutput, E> + Sync,
{
    let parts = map(n_rows, |rows| -> Result<Gradient, E> {
        let ShardOutput { loss, metrics } = shard(rows)?;
        Ok(Gradient { metrics, ..Gradient::of(&loss, params)? })
    })?;
    let mut parts = parts.into_iter();
    let mut total: Gradient = parts.next().ok_or(GradientError::EmptyBatch)?;
    parts.try_for_each(|part| total.add(&part))?;
    Ok(total)
}

/// Calls `shard` with each range of rows of a batch; the results are in the order of the rows.
///
/// # Errors
/// The first error of `shard`, in the order of the rows.
pub fn map<T: Send, E: Send>(n_rows: usize, shard: impl Fn(Range<usize>) -> Result<T, E> + Sync) -> Result<Vec<T>, E> {
    let [first, second] = ranges(n_rows);
    match (first.is_empty(), second.is_empty()) {
        (true, _) => Ok(Vec::new()),
        (false, true) => Ok(vec![shard(first)?]),
        (false, false) if rayon::current_num_threads() == 1 => Ok(vec![shard(first)?, shard(second)?]),
        (false, false) => {
            let (first, second) = rayon::join(|| shard(first), || shard(second));
            Ok(vec![first?, second?])
        }
    }
}

/// The rows of each shard of a batch: halves, the first one longer by one row if need be.
#[must_use]
pub fn ranges(n_rows: usize) -> [Range<usize>; N_SHARDS] {
    let middle = n_rows.div_ceil(N_SHARDS);
    [0..middle, middle..n_rows]
}

/// Some rows of a row-major matrix of `n_rows` rows, as a tensor.
///
/// # Errors
/// When `values` are not `n_rows` equal rows, or the range does not lie within them.
pub fn rows(values: &[f32], n_rows: usize, range: Range<usize>, device: &Device) -> candle_core::Result<Tensor> {
    if n_rows == 0 || !values.len().is_multiple_of(n_rows) {
        bail!("{} values are not {n_rows} equal rows", values.len());
    }
    let width = values.len() / n_rows;
    match values.get(range.start * width..range.end * width) {
        Some(part) => Tensor::from_slice(part, (range.len(), width), device),
        None => bail!("rows {range:?} of {n_rows}"),
    }
}
