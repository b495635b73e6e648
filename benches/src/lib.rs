//! What the benches measure. The benches themselves are in `benches/`; `peers/` runs the learner beside PyTorch and JAX.
//!
//! - [`learner`]: the learner's steps on a fixed batch, at three sizes.
//! - [`threads`]: the same on one thread or on two.

pub mod learner;
pub mod threads;
