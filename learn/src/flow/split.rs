//! How the dimensions are dealt out to halves.

use crate::chunk::ChunkShape;
use crate::ops::{self, Columns};
use bridge::random;
use candle_core::{Result, Tensor, bail};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// How the `H x d` values of a chunk, steps times joints, are dealt out to the passive and the active half of each coupling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Partition {
    /// At random for every two couplings, the second of which swaps the halves: two couplings transform every value once.
    /// Measured to learn with every seed where `Random` does not with 8 couplings.
    Complementary,
    /// At random for every coupling.
    Random,
    /// Whole steps, at random for every coupling, as in the paper; H is even.
    RandomSteps,
}

impl Partition {
    /// Couplings in a row that work with the same halves, the roles of which they swap.
    pub(super) const fn n_turns(self) -> usize {
        match self {
            Self::Complementary => 2,
            Self::Random | Self::RandomSteps => 1,
        }
    }

    /// The dimensions of the first half, passive in the first turn, then those of the second.
    pub(super) fn split(self, seed: u64, index: usize, chunk: ChunkShape) -> Vec<u32> {
        let mut rng = random::stream(seed, "flow split", index as u64);
        let mut shuffled = |n: usize| {
            let mut order: Vec<u32> = (0..n as u32).collect();
            order.shuffle(&mut rng);
            order
        };
        match self {
            Self::Complementary | Self::Random => shuffled(chunk.dim()),
            Self::RandomSteps => {
                let d = chunk.action_len as u32;
                shuffled(chunk.n_steps).into_iter().flat_map(|step| step * d..(step + 1) * d).collect()
            }
        }
    }

    /// Name of a split among the parameters.
    pub(super) fn split_name(self, index: usize) -> String {
        match self {
            Self::Complementary => format!("pair.{index:02}.split"),
            Self::Random | Self::RandomSteps => format!("block.{index:02}.split"),
        }
    }
}

/// The dimensions that a coupling reads and those that it transforms, and in which order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Halves<'a> {
    pub(super) passive: &'a [u32],
    pub(super) active: &'a [u32],
    /// Whether the steps are read from the last to the first, where their order matters.
    pub(super) is_backward: bool,
}

impl<'a> Halves<'a> {
    /// The halves of the `index`-th split in a turn.
    pub(super) fn of(split: &'a [u32], index: usize, turn: usize) -> Self {
        let (first, second) = split.split_at(split.len() / 2);
        let (passive, active) = if turn == 0 { (first, second) } else { (second, first) };
        Self { passive, active, is_backward: !index.is_multiple_of(2) }
    }
}

/// Where the columns go where the halves change. Two lists of columns stand for the two halves.
#[derive(Debug)]
pub(super) struct Routes {
    /// From the order of the dimensions into the halves of the first split, and of the last.
    pub(super) enter_first: [Columns; 2],
    pub(super) enter_last: [Columns; 2],
    /// From the halves of split `j` into those of split `j + 1`.
    pub(super) forward: Vec<[Columns; 2]>,
    /// From the halves of split `j + 1` into those of split `j`.
    pub(super) backward: Vec<[Columns; 2]>,
    /// From the halves of the first split, and of the last, into the order of the dimensions.
    pub(super) leave_first: Columns,
    pub(super) leave_last: Columns,
}

impl Routes {
    pub(super) fn new(splits: &[&[u32]], chunk_dim: usize) -> Result<Self> {
        let natural: Vec<u32> = (0..chunk_dim as u32).collect();
        let (Some(&first), Some(&last)) = (splits.first(), splits.last()) else {
            bail!("a flow has at least one split");
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
