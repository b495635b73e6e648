//! Chunks as the networks see them: a row of `D = H d` values, step after step.

use candle_core::Tensor;

/// How a row of values falls into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkShape {
    /// H.
    pub n_steps: usize,
    /// d: values in an action.
    pub action_len: usize,
}

impl ChunkShape {
    /// `D = H d`.
    #[must_use]
    pub const fn dim(self) -> usize {
        self.n_steps * self.action_len
    }
}

/// One step of that many values: all that networks without tokens need to know.
impl From<usize> for ChunkShape {
    fn from(action_len: usize) -> Self {
        Self { n_steps: 1, action_len }
    }
}

/// Chunks that a critic is to value.
#[derive(Clone, Copy, Debug)]
pub struct Chunks<'a> {
    /// `[r, D]`.
    pub actions: &'a Tensor,
    /// Steps of every row that were carried out, 1 to H, where an episode may have ended inside of a chunk; what follows them
    /// is padding. None: all of them, in every row.
    pub n_valid: Option<&'a [usize]>,
}

impl<'a> From<&'a Tensor> for Chunks<'a> {
    fn from(actions: &'a Tensor) -> Self {
        Self { actions, n_valid: None }
    }
}
