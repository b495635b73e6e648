//! How the dimensions are dealt out to the halves of the pairs.

use crate::ops::{self, Columns};
use bridge::random;
use candle_core::{Result, Tensor, bail};
use rand::seq::SliceRandom;

/// The dimensions of a pair's first half, then those of its second half.
pub(super) fn random_split(seed: u64, pair: usize, chunk_dim: usize) -> Vec<u32> {
    let mut split: Vec<u32> = (0..chunk_dim as u32).collect();
    split.shuffle(&mut random::stream(seed, "flow split", pair as u64));
    split
}

/// Name of a pair's split among the parameters.
pub(super) fn split_name(pair: usize) -> String {
    format!("pair.{pair:02}.split")
}

/// Where the columns go at the borders of the pairs. Two lists of columns stand for the two halves.
#[derive(Debug)]
pub(super) struct Routes {
    /// From the order of the dimensions into the halves of the first pair, and of the last.
    pub(super) enter_first: [Columns; 2],
    pub(super) enter_last: [Columns; 2],
    /// From the halves of pair `j` into those of pair `j + 1`.
    pub(super) forward: Vec<[Columns; 2]>,
    /// From the halves of pair `j + 1` into those of pair `j`.
    pub(super) backward: Vec<[Columns; 2]>,
    /// From the halves of the first pair, and of the last, into the order of the dimensions.
    pub(super) leave_first: Columns,
    pub(super) leave_last: Columns,
}

impl Routes {
    pub(super) fn new(splits: &[&[u32]], chunk_dim: usize) -> Result<Self> {
        let natural: Vec<u32> = (0..chunk_dim as u32).collect();
        let (Some(&first), Some(&last)) = (splits.first(), splits.last()) else {
            bail!("a flow has at least one pair");
        };
        if let Some(split) = splits.iter().find(|split| split.len() != chunk_dim) {
            bail!("a split has {} dimensions, expected {chunk_dim}", split.len());
        }
        let neighbours = || splits.iter().zip(&splits[1..]);
        Ok(Self {
            enter_first: halves(&natural, first)?,
            enter_last: halves(&natural, last)?,
            forward: neighbours().map(|(from, to)| halves(from, to)).collect::<Result<_>>()?,
            backward: neighbours().map(|(to, from)| halves(from, to)).collect::<Result<_>>()?,
            leave_first: Columns::new(&route(first, &natural)?, chunk_dim)?,
            leave_last: Columns::new(&route(last, &natural)?, chunk_dim)?,
        })
    }
}

/// The halves of `x [r, D]`.
pub(super) fn enter(x: &Tensor, [first, second]: &[Columns; 2]) -> Result<[Tensor; 2]> {
    Ok([ops::select_columns(x, first)?, ops::select_columns(x, second)?])
}

/// New halves from the halves `a` and `b`, all `[r, D/2]`.
pub(super) fn regroup(a: &Tensor, b: &Tensor, [first, second]: &[Columns; 2]) -> Result<[Tensor; 2]> {
    Ok([ops::select_from_halves(a, b, first)?, ops::select_from_halves(a, b, second)?])
}

fn halves(from: &[u32], to: &[u32]) -> Result<[Columns; 2]> {
    let (first, second) = to.split_at(to.len() / 2);
    Ok([Columns::new(&route(from, first)?, from.len())?, Columns::new(&route(from, second)?, from.len())?])
}

/// For each dimension of `to`, its place in `from`.
fn route(from: &[u32], to: &[u32]) -> Result<Vec<u32>> {
    let mut places = vec![None; from.len()];
    for (place, &dim) in (0_u32..).zip(from) {
        if let Some(slot) = places.get_mut(dim as usize) {
            *slot = Some(place);
        }
    }
    to.iter()
        .map(|&dim| match places.get(dim as usize) {
            Some(&Some(place)) => Ok(place),
            _ => bail!("a split lacks dimension {dim}"),
        })
        .collect()
}
