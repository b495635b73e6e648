//! What a gradient step reads.

/// A batch of chunks, row after row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChunkBatch {
    /// Rows.
    pub n_rows: usize,
    /// Normalized observations `o_t`, n x O, with the actions on the way.
    pub observations: Vec<f32>,
    /// Normalized chunks, n x (H d), padded with their last action.
    pub chunks: Vec<f32>,
    /// Whether a chunk has no padding, n.
    pub is_whole: Vec<bool>,
    /// Steps of a chunk that were carried out, n; H where it has no padding.
    pub n_valid: Vec<usize>,
    /// Discounted reward of the target's steps, n.
    pub rewards: Vec<f32>,
    /// `gamma^L (1 - d)`: what the next value is multiplied with, n.
    pub continuations: Vec<f32>,
    /// Normalized observations `o_{t+L}`, n x O, with the actions on the way.
    pub next_observations: Vec<f32>,
    /// Normalized chunks that were carried out from `o_{t+L}` on, n x (H d), padded with their last action; that of the
    /// episode where it has ended.
    pub next_chunks: Vec<f32>,
    /// Steps of the next chunk that were carried out, n; 0 where the episode has ended.
    pub n_next: Vec<usize>,
}

impl ChunkBatch {
    /// The targets `y = sum gamma^h r + gamma^L (1 - d) Q` of all rows, n, from the values `Q(o_{t+L}, a')` of all rows.
    #[must_use]
    pub fn targets(&self, next_values: &[f32]) -> Vec<f32> {
        let to_go = next_values.iter().zip(&self.continuations).zip(&self.rewards);
        to_go.map(|((&value, &continuation), &reward)| reward + continuation * value).collect()
    }

    pub(super) fn clear(&mut self) {
        self.n_rows = 0;
        self.is_whole.clear();
        self.n_valid.clear();
        self.n_next.clear();
        for values in [
            &mut self.observations,
            &mut self.chunks,
            &mut self.rewards,
            &mut self.continuations,
            &mut self.next_observations,
            &mut self.next_chunks,
        ] {
            values.clear();
        }
    }
}
