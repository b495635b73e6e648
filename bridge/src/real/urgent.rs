//! Threads with a deadline. While a learner takes every core, a thread of the usual kind waits for its turn, now and then for tens of
//! milliseconds, and a loop of 100 Hz is late. Where the system allows it, these go first.
//!
//! Between their deadlines they sleep. Should one of them not, the system keeps a share of the time for others (Linux: 5 %).
//!
//! A core that has nothing to do sleeps too, and then wakes late, in a virtual machine by milliseconds: there the host has given it away.
//! A [`Vigil`] leaves it little time to sleep.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle, available_parallelism, sleep, yield_now};
use std::time::{Duration, Instant};
use thread_priority::{
    Error, NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue,
    ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

/// Which of two threads with a deadline goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Within its period: a control loop, what stops it, and what plays hardware.
    Period,
    /// Within several periods of a loop: a planner.
    Plan,
}

/// Threads must wait their turn here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives threads of this process no real-time priority ({reason})")]
pub struct NotUrgent {
    reason: String,
}

/// A thread cannot go last here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system knows no time that nobody else wants ({reason})")]
pub struct NotLast {
    reason: String,
}

impl Urgency {
    /// Real-time priority, 1 to 99. The system's own threads have 50 and more.
    const fn priority(self) -> u8 {
        match self {
            Self::Period => 20,
            Self::Plan => 10,
        }
    }

    /// Gives this thread its priority, for good.
    ///
    /// # Errors
    /// When that is not allowed; the thread goes on as it was.
    pub fn take(self) -> Result<(), NotUrgent> {
        let value = ThreadPriorityValue::try_from(self.priority());
        let priority = value.map_err(|reason| NotUrgent { reason })?;
        set_thread_priority_and_policy(
            thread_native_id(),
            ThreadPriority::Crossplatform(priority),
            ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
        )
        .map_err(|error| NotUrgent { reason: in_words(error) })
    }

    /// Starts a thread that goes first if that is allowed, and is a usual one if not.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn<T: Send + 'static>(
        self,
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        Builder::new().name(name.into()).spawn(move || {
            // Whoever has to know of a refusal asks `allowed`.
            self.take().ok();
            work()
        })
    }
}

/// Starts a thread that plays hardware, `rate` times as fast as the clock. At the clock's own pace it is urgent; faster, it may have no time
/// to sleep.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn_hardware<T: Send + 'static>(
    name: &str,
    rate: f64,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    if rate <= 1.0 { Urgency::Period.spawn(name, work) } else { Builder::new().name(name.into()).spawn(work) }
}

/// Leaves this thread, and those that it starts from now on, the time that nobody else wants. Niceness would not do: what carries bytes
/// between a port and a thread that goes first is a usual thread of the system's, and a nice one keeps its core for milliseconds before
/// that gets it.
///
/// # Errors
/// When the system refuses.
pub fn go_last() -> Result<(), NotLast> {
    let leftovers = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, leftovers)
        .map_err(|error| NotLast { reason: in_words(error) })
}

fn in_words(error: Error) -> String {
    match error {
        Error::OS(code) => io::Error::from_raw_os_error(code).to_string(),
        other => format!("{other:?}"),
    }
}

/// Keeps all cores awake as long as it lives: on each a thread spins in the time that nobody else wants, but for a nap that all take at
/// once. A host that allots time to its guests takes the cores from one that leaves nothing of it, for as long as 100 ms at a time; in the
/// naps a machine whose learner works on has a core's time to spare.
///
/// Of 40,000 wakeups of 1 kHz on every core of a virtual machine of two, 0.45 % came more than 1 ms late and 0.2 % more than 2 ms while it
/// had next to nothing to do. Beside a learner of one thread 0.15 and 0.06 % did with the vigil, none by 5 ms; where one of the two never
/// napped, three in 40 s were 100 ms late. Of the reads of the emulated hand 99.70 and 99.85 % were on time with it, 98.55 to 99.70 % without.
#[derive(Debug)]
pub struct Vigil {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Vigil {
    /// How long the cores are kept awake at a time.
    const WATCH: Duration = Duration::from_millis(9);
    /// How long they may sleep then.
    const NAP: Duration = Duration::from_millis(1);

    /// Begins it. Where the system knows no time that nobody wants, nothing spins.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn keep() -> io::Result<Self> {
        let mut vigil = Self { is_over: Arc::default(), threads: Vec::new() };
        let begun = Instant::now();
        for _ in 0..available_parallelism()?.get() {
            let is_over = Arc::clone(&vigil.is_over);
            vigil.threads.push(Builder::new().name("vigil".into()).spawn(move || {
                let is_last = go_last().is_ok();
                while is_last && !is_over.load(Ordering::Relaxed) {
                    match Self::nap_at(begun.elapsed()) {
                        // Where others go last too, they go before it.
                        None => yield_now(),
                        Some(rest) => sleep(rest),
                    }
                }
            })?);
        }
        Ok(vigil)
    }

    /// What is left of the nap, if it is time for one.
    fn nap_at(elapsed: Duration) -> Option<Duration> {
        let period = Self::WATCH + Self::NAP;
        let phase = Duration::from_nanos((elapsed.as_nanos() % period.as_nanos()) as u64);
        (phase >= Self::WATCH).then(|| period - phase)
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic.
            drop(thread.join());
        }
    }
}

/// Whether threads may go first here, the most urgent ones too.
///
/// # Errors
/// When they may not.
pub fn allowed() -> Result<(), NotUrgent> {
    let refused = |reason: &str| NotUrgent { reason: reason.into() };
    let attempt = Builder::new().spawn(|| Urgency::Period.take()).map_err(|error| refused(&error.to_string()))?;
    attempt.join().map_err(|_panic| refused("the attempt panicked"))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use thread_priority::thread_schedule_policy;

    /// Contract: where threads may go first, urgent ones do, and those that were not asked to do not; where they may not, the work is
    /// done all the same, and somebody can be told why.
    #[test]
    fn urgent_threads_go_first_where_they_may() -> Result<(), Box<dyn std::error::Error>> {
        let first = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        for urgency in [Urgency::Period, Urgency::Plan] {
            let policy = urgency.spawn("urgent", thread_schedule_policy)?.join().map_err(|_panic| "it panicked")?;
            match allowed() {
                Ok(()) => assert_eq!(policy, Ok(first)),
                Err(refusal) => {
                    assert_ne!(policy, Ok(first));
                    assert!(refusal.to_string().contains("no real-time priority"), "{refusal}");
                }
            }
        }
        assert_ne!(thread_schedule_policy(), Ok(first));
        Ok(())
    }

    /// Contract: those who keep watch have the system's idle policy, and end with the vigil.
    #[test]
    fn a_vigil_takes_leftovers_alone() -> Result<(), Box<dyn std::error::Error>> {
        // The system tells the policy of every thread of this process: field 41, behind the name in brackets.
        let n_idle = || -> io::Result<usize> {
            let mut n_idle = 0;
            for task in std::fs::read_dir("/proc/self/task")? {
                // A thread of another test may be gone by now.
                let stat = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
                let (head, fields) = stat.rsplit_once(')').unwrap_or_default();
                let policy = fields.split_whitespace().nth(41 - 3);
                n_idle += usize::from(head.ends_with("(vigil") && policy == Some("5"));
            }
            Ok(n_idle)
        };
        let vigil = Vigil::keep()?;
        while n_idle()? < available_parallelism()?.get() {
            std::thread::yield_now();
        }
        drop(vigil);
        assert_eq!(n_idle()?, 0);
        Ok(())
    }

    /// Contract: of ten milliseconds the last one is a nap, for all at once.
    #[test]
    fn naps_are_a_tenth() {
        let nap_us = |elapsed_us| Vigil::nap_at(Duration::from_micros(elapsed_us)).map(|rest| rest.as_micros());
        assert_eq!([0, 8_999, 10_000, 3_600_008_999].map(nap_us), [None; 4]);
        assert_eq!([9_000, 19_250, 3_600_009_999].map(nap_us), [Some(1000), Some(750), Some(1)]);
    }

    /// Contract: a thread that goes last takes the ones that it starts along, and nobody else.
    #[test]
    fn what_goes_last_goes_alone() -> Result<(), Box<dyn std::error::Error>> {
        let last = Ok(ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle));
        let before = thread_schedule_policy();
        let attempt = std::thread::spawn(|| {
            go_last()?;
            Ok::<_, NotLast>((thread_schedule_policy(), std::thread::spawn(thread_schedule_policy).join()))
        });
        let (own, child) = attempt.join().map_err(|_panic| "it panicked")??;
        assert_eq!((own, child.map_err(|_panic| "it panicked")?), (last.clone(), last));
        assert_eq!(thread_schedule_policy(), before);
        Ok(())
    }
}
