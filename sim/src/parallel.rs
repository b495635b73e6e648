//! Independent jobs on threads, with results that do not depend on how many.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `job` for 0..`n_jobs` on `n_threads` threads and returns the results in the order of the jobs.
///
/// `job` must depend on its index alone; then so do the results, whatever the number of threads.
pub(crate) fn run<T: Send>(n_jobs: usize, n_threads: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= n_jobs {
                return done;
            }
            done.push((index, job(index)));
        }
    };
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..n_threads.clamp(1, n_jobs.max(1))).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for helper in helpers {
            match helper.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: every job runs once and results keep their order, for any number of threads.
    #[test]
    fn results_keep_their_order() {
        for n_threads in [0, 1, 2, 7] {
            assert_eq!(run(20, n_threads, |index| index * index), (0..20).map(|i| i * i).collect::<Vec<_>>());
            assert!(run(0, n_threads, |index| index).is_empty());
        }
    }
}
