//! Which steps are measured, at which sizes, and the work in them.

use serde::Serialize;

/// Rows of a batch.
pub const BATCH: usize = 256;
/// N of `act_best_of_n`.
pub const CANDIDATES: usize = 24;
/// The sizes: what continuous integration trains, a hand with an arm, and that with the most critics.
pub const SIZES: [Size; 3] = [
    Size { name: "ci", observation: 64, chunk: 160, embedding: 128, hidden: 256, n_blocks: 6, n_critics: 2 },
    Size { name: "full", observation: 100, chunk: 230, embedding: 256, hidden: 512, n_blocks: 8, n_critics: 2 },
    Size { name: "full10", observation: 100, chunk: 230, embedding: 256, hidden: 512, n_blocks: 8, n_critics: 10 },
];

/// Layers of a critic.
pub(crate) const CRITIC_LAYERS: usize = 3;
/// Bins of a critic.
pub(crate) const BINS: usize = 101;

/// Size of the networks: a flow, and critics of three layers of the same width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Its name.
    pub name: &'static str,
    /// Observed numbers, `O`.
    pub observation: usize,
    /// Numbers in a chunk, `D`.
    pub chunk: usize,
    /// Width of the encoded observation, `E`.
    pub embedding: usize,
    /// Width of all hidden layers, `H`.
    pub hidden: usize,
    /// Couplings, `K`.
    pub n_blocks: usize,
    /// Critics, `M`.
    pub n_critics: usize,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Maximum likelihood of the batch.
    Imitation,
    /// All critics and their target networks.
    Critic,
    /// The reverse KL objective, A3.
    Actor,
    /// One decision.
    Act,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Imitation, Self::Critic, Self::Actor, Self::Act];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imitation => "imitation_step",
            Self::Critic => "critic_step",
            Self::Actor => "actor_step",
            Self::Act => "act_best_of_n",
        }
    }

    /// Floating-point operations of the matrix products that no implementation can do without: two per weight and row on
    /// the way there, two more for each gradient that is needed, of inputs or of weights.
    #[must_use]
    pub fn flop(self, size: &Size) -> u64 {
        let &Size { observation, chunk, embedding, hidden, n_blocks, n_critics, .. } = size;
        let first_encoder = observation * hidden;
        let encoder = first_encoder + hidden * embedding;
        let conditions = n_blocks * embedding * hidden;
        let first_passive = chunk / 2 * hidden;
        let couplings = conditions + n_blocks * (first_passive + hidden * hidden + hidden * chunk);
        let critic_observation = observation * hidden;
        let critic_first = critic_observation + chunk * hidden;
        let critic = critic_first + (CRITIC_LAYERS - 1) * hidden * hidden + hidden * BINS;
        let per_row = |rows: usize, products: usize| (2 * rows * products) as u64;
        match self {
            Self::Imitation => per_row(BATCH, 3 * (encoder + couplings) - first_encoder),
            Self::Critic => {
                let targets = encoder + couplings + n_critics * critic;
                per_row(BATCH, targets + n_critics * (3 * critic - critic_first))
            }
            Self::Actor => {
                let own = 3 * (encoder + couplings) - first_encoder - first_passive;
                let value = n_critics * (2 * critic - critic_observation);
                let reference = encoder + 2 * couplings - conditions;
                per_row(BATCH, own + value + reference)
            }
            Self::Act => {
                let once = encoder + conditions + n_critics * critic_observation;
                let candidate = couplings - conditions + n_critics * (critic - critic_observation);
                per_row(1, once) + per_row(CANDIDATES, candidate)
            }
        }
    }
}
