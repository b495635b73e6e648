//! How likely a policy finds what was demonstrated.
//!
//! The training adds noise to normalized actions a and takes u = atanh(a + noise); so does this, with noise of its own. The
//! density of a chunk of H actions is told in the raw units x of the environment, in which it does not depend on how a
//! learner normalizes:
//!
//! `-ln p(x) = -ln p(u) + sum ln |da/du| - H sum_j ln |da_j/dx_j|`,   `da/du = 1 - tanh(u)^2`, `da/dx = k / half range`.

use crate::layers::Track;
use crate::replay::{ChunkBatch, Replay, Window};
use crate::squash::action_log_prob;
use crate::training::unsquashed;
use crate::{LearnError, Policy, shards};
use bridge::Episode;
use bridge::number::NonNegative;
use bridge::random::stream;
use candle_core::Device;

impl Policy {
    /// Mean negative log-likelihood of the whole chunks of the successful `episodes`, nats per chunk of raw actions, at
    /// temperature 1; `dequantization` is that of [`crate::LearnConfig`]. None without a density.
    ///
    /// # Errors
    /// When no episode succeeded for at least one chunk, or a tensor cannot be computed.
    pub fn demonstration_nll(
        &self,
        episodes: &[Episode],
        dequantization: NonNegative,
        seed: u64,
    ) -> Result<Option<f64>, LearnError> {
        let header = self.header();
        if !header.policy.has_density() {
            return Ok(None);
        }
        let window = Window { lead: header.lead, chunk_len: header.chunk_len, backup_len: 1 };
        let mut replay = Replay::new(window, 1.0);
        episodes.iter().for_each(|episode| replay.push(episode, &header.normalizer));
        let mut batch = ChunkBatch::default();
        replay.gather(replay.imitable_starts(), &mut batch);
        if batch.n_rows == 0 {
            return Err(LearnError::NoData { wanted: "a demonstration that succeeds for at least one chunk" });
        }
        let n = batch.n_rows;
        let u = unsquashed(&batch.chunks, dequantization.f32(), &mut stream(seed, "likelihood", 0));
        let log_prob = shards::map(n, |range| -> candle_core::Result<f64> {
            let observations = shards::rows(&batch.observations, n, range.clone(), &Device::Cpu)?;
            let u = shards::rows(&u, n, range, &Device::Cpu)?;
            let log_prob = self.net().log_prob(&self.net().embed(&observations, Track::Frozen)?, &u, Track::Frozen)?;
            let log_prob = action_log_prob(&log_prob, &u)?.to_vec1::<f32>()?;
            Ok(log_prob.into_iter().map(f64::from).sum())
        })?;
        let mean = log_prob.into_iter().sum::<f64>() / n as f64;
        Ok(Some(-mean - header.chunk_len as f64 * header.normalizer.action_log_det()))
    }
}
