//! What the benches measure. The benches themselves are in `benches/`; `peers/` runs the learner beside PyTorch and JAX.
//!
//! - [`step`]: which of the learner's steps are measured, at which sizes, and the work in them.
//! - [`learner`]: these steps on a fixed batch.
//! - [`threads`]: the same on one thread or on two.

pub mod learner;
pub mod step;
pub mod threads;
