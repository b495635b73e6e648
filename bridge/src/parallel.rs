//! Independent jobs on threads, with results that do not depend on how many.

use crossbeam::channel::bounded;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `job` for 0..`n_jobs` on `n_threads` threads and returns the results in the order of the jobs.
///
/// `job` must depend on its index alone; then so do the results, whatever the number of threads. `on_done` sees every
/// result as it comes, in no particular order, on the calling thread. After the first error no job is begun.
///
/// # Errors
/// The error of the job with the lowest index among those that failed.
pub fn run<T: Send, E: Send>(
    n_jobs: usize,
    n_threads: usize,
    job: impl Fn(usize) -> Result<T, E> + Sync,
    mut on_done: impl FnMut(&T),
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = bounded(n_threads.max(1));
    let work = |sender: crossbeam::channel::Sender<(usize, Result<T, E>)>| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            // A receiver that is gone has no use for results.
            if index >= n_jobs || sender.send((index, job(index))).is_err() {
                return;
            }
        }
    };
    let mut results: Vec<Option<Result<T, E>>> = std::iter::repeat_with(|| None).take(n_jobs).collect();
    std::thread::scope(|scope| {
        for _ in 0..n_threads.clamp(1, n_jobs.max(1)) {
            let sender = sender.clone();
            scope.spawn(|| work(sender));
        }
        drop(sender);
        for (index, result) in receiver {
            match &result {
                Ok(value) => on_done(value),
                Err(_) => next.store(n_jobs, Ordering::Relaxed),
            }
            results[index] = Some(result);
        }
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: results come in the order of the jobs, each once, on any number of threads; all of them are seen.
    #[test]
    fn results_come_in_order() {
        for n_threads in [0, 1, 2, 7] {
            let mut n_seen = 0;
            let squares = run(20, n_threads, |index| Ok::<_, ()>(index * index), |_| n_seen += 1);
            assert_eq!(squares, Ok((0..20).map(|index| index * index).collect()));
            assert_eq!(n_seen, 20);
        }
        assert_eq!(run(0, 2, |_| Ok::<u8, ()>(1), |_| ()), Ok(vec![]));
    }

    /// Contract: an error stops the rest, and is the first in the order of the jobs among those that happened.
    #[test]
    fn an_error_stops_the_rest() {
        let started = AtomicUsize::new(0);
        let job = |index: usize| {
            started.fetch_add(1, Ordering::Relaxed);
            if index == 3 { Err(index) } else { Ok(index) }
        };
        assert_eq!(run(1_000_000, 2, job, |_| ()), Err(3));
        assert!(started.load(Ordering::Relaxed) < 1_000_000);
    }
}
