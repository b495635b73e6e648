//! How many threads a bench uses.

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// Runs `work` on a thread of a pool of `n_threads`; what the learner shares out stays on these. Waking the pool is paid
/// once, not in what `work` measures.
///
/// # Errors
/// When the threads cannot be started.
pub fn on<T: Send>(n_threads: usize, work: impl FnOnce() -> T + Send) -> Result<T, ThreadPoolBuildError> {
    Ok(ThreadPoolBuilder::new().num_threads(n_threads).build()?.install(work))
}
