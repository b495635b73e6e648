//! What the commands do. Results go to standard output, everything else to standard error.

mod compare;
mod demo;
mod eval;
mod export;
mod tasks;
mod train;

pub use compare::compare;
pub use demo::demo;
pub use eval::eval;
pub use export::export;
pub use tasks::tasks;
pub use train::{last_of, read_demonstrations, train};

/// How a command ended, when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Well.
    Well,
    /// It finished, but recorded data was lost on the way.
    DataLost,
    /// It finished, but a number is not what was expected.
    Unmet,
}

/// The number of threads to use: what was asked for, else all there are.
fn n_threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}
