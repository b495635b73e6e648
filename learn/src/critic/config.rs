//! What can be chosen about the critics.

use crate::hl_gauss::Support;
use bridge::number::NonNegative;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Size of an ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriticConfig {
    /// Number of critics, 1 to 10. 2 is the usual number; more are more pessimistic.
    pub ensemble: usize,
    /// The network of every critic.
    pub net: CriticNet,
    /// Values that a critic can express; with the MSE head the middle and the unit of its values.
    pub support: Support,
    /// What a critic puts out, and its loss.
    pub head: Head,
    /// What the ensemble makes of the values of its critics.
    pub combine: Combine,
    /// Which target networks a target is made of.
    pub target_subset: TargetSubset,
    /// Chunks of the policy's own, at the acting temperature, of which the critics choose the best for a target; the target networks
    /// then value it. 1, unless it is said, is the plain target. 32 in Q-chunking (Li et al. 2025), whose critics take the mean: the
    /// maximum of a noisy critic is biased upwards, and costs as many samples.
    #[serde(default = "one")]
    pub target_candidates: NonZeroUsize,
    /// What a value is of, and how its target is backed up.
    pub backup: Backup,
    /// What a target loses for the policy's next chunk being unlike the replayed one: Q ranges per mean squared difference
    /// of the actions that a critic reads (ReBRAC, Tarasov et al. 2023). 0 for the plain target.
    pub behavior_penalty: NonNegative,
}

const fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

const fn yes() -> bool {
    true
}

/// The network of a critic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum CriticNet {
    /// Hidden layers on chunk and observation at once. It reads the padding of partial chunks as actions.
    Mlp {
        /// Width of the hidden layers.
        hidden: usize,
        /// Number of hidden layers, at least 1. 3.
        n_layers: usize,
        /// Whether LayerNorm stands before every activation; yes, unless it is said. Without it a critic by squared error promises
        /// anything of chunks that no data is near to.
        #[serde(default = "yes")]
        layer_norm: bool,
    },
    /// A transformer over the steps of the chunk and the observation's tokens. It does not see padding.
    Transformer {
        /// Width of a token, a multiple of twice the number of heads. 512 in the paper.
        width: usize,
        /// Heads of every attention. 8 in the paper.
        n_heads: usize,
        /// Blocks, at least 1. 3 in the paper.
        n_layers: usize,
        /// Width of the hidden layer of the SwiGLU. 256 in the paper.
        hidden: usize,
        /// Tokens that the values of the observation are dealt out to, in their order; at most as many as there are values.
        n_observation_tokens: usize,
    },
}

/// What a critic puts out, and its loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Head {
    /// A histogram of the support, cross entropy. Values never leave the support.
    HlGauss,
    /// A number, squared error: what most published critics have.
    Mse,
}

/// What the ensemble makes of the values of its critics, in targets, objectives and choices alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Combine {
    /// The lowest.
    Min,
    /// The mean.
    Mean,
}

/// Which of the ensemble's target networks a target is made of. Objectives and choices always use all of the ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetSubset {
    /// All of them.
    All,
    /// So many, drawn anew for every critic step (REDQ, Chen et al. 2021): with 10 critics the lowest of 2 is less pessimistic
    /// than the lowest of all.
    Random(usize),
}

/// What a value is of, and how its target is backed up over a chunk of H actions. `a'` is the policy's next chunk, `a'_0` its
/// first action; at an episode's end fewer steps are left, and the target uses those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backup {
    /// The chunk, backed up over all its steps: `Q(o_t, a) <- sum_{h<H} gamma^h r_{t+h} + gamma^H Q(o_{t+H}, a')`.
    Chunk,
    /// The first action, backed up over its step: `Q(o_t, a_0) <- r_t + gamma Q(o_{t+1}, a'_0)`.
    PerStep,
    /// The first action, backed up over all steps of the chunk: `Q(o_t, a_0) <- sum_{h<H} gamma^h r_{t+h} + gamma^H
    /// Q(o_{t+H}, a'_0)`. Off the policy it is biased: the other actions are those of the data.
    NStep,
}

impl Backup {
    /// Actions of a chunk of `chunk_len` that a critic reads.
    #[must_use]
    pub const fn n_actions(self, chunk_len: usize) -> usize {
        match self {
            Self::Chunk => chunk_len,
            Self::PerStep | Self::NStep => 1,
        }
    }

    /// Steps of a target.
    #[must_use]
    pub const fn n_steps(self, chunk_len: usize) -> usize {
        match self {
            Self::Chunk | Self::NStep => chunk_len,
            Self::PerStep => 1,
        }
    }
}

impl Head {
    pub(super) fn n_outputs(self, support: &Support) -> usize {
        match self {
            Self::HlGauss => support.n_bins(),
            Self::Mse => 1,
        }
    }
}
