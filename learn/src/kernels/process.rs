//! Settings of the whole process that the speed of the learner depends on.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use thiserror::Error;

/// The process could not be set up for computing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProcessError {
    /// The environment can only be changed while nobody else can read it.
    #[error("configure_process must be the first call of main: {n_threads} threads are running, expected 1")]
    ThreadsAreRunning {
        /// Threads of the process, this one included.
        n_threads: usize,
    },
    /// The pool of worker threads could not be started.
    #[error("the worker threads could not be started: {0}")]
    WorkerThreads(String),
}

/// Sets the process up for computing; call it first thing in `main`, before any thread is started.
///
/// - The allocator keeps the memory it has: otherwise each big temporary tensor is mapped and unmapped by the kernel, up to
///   a fifth of a training step.
/// - Rayon's pool gets `RAYON_NUM_THREADS` threads, or as many as the machine has.
/// - Inside of candle nothing is spread over threads any more (`CANDLE_NUM_THREADS` and, for its matrix products,
///   `RAYON_NUM_THREADS` are set to 1): the learner shares out rows above candle, where it can be done the same way for any
///   number of threads, and candle's own spinning pool would fight with it for the cores.
///
/// Returns the number of worker threads. Calls after the first one change nothing.
///
/// # Errors
/// When other threads are running already, or the pool cannot be started.
pub fn configure_process() -> Result<usize, ProcessError> {
    static DONE: OnceLock<Result<usize, ProcessError>> = OnceLock::new();
    DONE.get_or_init(|| {
        keep_memory();
        let n_workers = n_wanted_workers();
        keep_candle_on_one_thread()?;
        rayon::ThreadPoolBuilder::new()
            .num_threads(n_workers)
            .build_global()
            .map_err(|error| ProcessError::WorkerThreads(error.to_string()))?;
        Ok(n_workers)
    })
    .clone()
}

/// Runs `job` once on every worker thread.
pub fn on_every_worker(job: impl Fn() + Sync) {
    rayon::broadcast(|_| job());
}

/// Runs `job` with a pool of its own, whose workers all do `begin` first: one worker less than there are, but one at least. The core that
/// is left belongs to whoever has deadlines. The job's bits do not depend on it.
///
/// # Errors
/// When the pool cannot be started.
pub fn sparing_a_core<T: Send>(
    begin: impl Fn() + Send + Sync + 'static,
    job: impl FnOnce() -> T + Send,
) -> Result<T, ProcessError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(rayon::current_num_threads().saturating_sub(1).max(1))
        .start_handler(move |_| begin())
        .build()
        .map_err(|error| ProcessError::WorkerThreads(error.to_string()))?;
    Ok(pool.install(job))
}

fn n_wanted_workers() -> usize {
    std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|&n| n > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

/// Makes glibc serve big blocks from its heap and never give the heap back.
fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const KEEP_BYTES: libc::c_int = 1 << 30;
        // SAFETY: `mallopt` takes two integers and is safe at any time; a refused setting only costs speed.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, KEEP_BYTES);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP_BYTES);
        }
    }
}

/// Where the number of threads cannot be counted the variables stay as they are: candle is then slower, not different.
fn keep_candle_on_one_thread() -> Result<(), ProcessError> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Ok(()) };
    let n_threads = threads.count();
    if n_threads != 1 {
        return Err(ProcessError::ThreadsAreRunning { n_threads });
    }
    // SAFETY: this is the only thread of the process, so nobody reads the environment meanwhile.
    unsafe {
        std::env::set_var("CANDLE_NUM_THREADS", "1");
        std::env::set_var("RAYON_NUM_THREADS", "1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Contract: the pool is one worker smaller than the usual one, but has one; each begins as it is told to.
    #[test]
    fn a_core_is_spared() -> Result<(), ProcessError> {
        let n_begun = Arc::new(AtomicUsize::new(0));
        let begun = Arc::clone(&n_begun);
        let begin = move || {
            begun.fetch_add(1, Ordering::SeqCst);
        };
        let n_workers = sparing_a_core(begin, || {
            rayon::broadcast(|_| ());
            rayon::current_num_threads()
        })?;
        assert_eq!(n_workers, (rayon::current_num_threads() - 1).max(1));
        assert_eq!(n_begun.load(Ordering::SeqCst), n_workers);
        Ok(())
    }
}
