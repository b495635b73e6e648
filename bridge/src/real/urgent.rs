//! Threads with a deadline. While a learner takes every core, a thread of the usual kind waits for its turn, now and then for tens of
//! milliseconds, and a loop of 100 Hz is late. Where the system allows it, these go first.
//!
//! Between their deadlines they sleep. Should one of them not, the system keeps a share of the time for others (Linux: 5 %).

use rustix::process::setpriority_process;
use std::io;
use std::thread::{Builder, JoinHandle};
use thread_priority::{
    Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Niceness of what goes last, of -20 to 19.
const LAST: i32 = 19;

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
        .map_err(|error| NotUrgent {
            reason: match error {
                Error::OS(code) => io::Error::from_raw_os_error(code).to_string(),
                other => format!("{other:?}"),
            },
        })
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

/// Leaves this thread, and those that it starts from now on, what usual threads leave over. What carries bytes between a port and a thread
/// that goes first is a usual thread of the system's: it waits for a learner as long as any other.
///
/// # Errors
/// When the system refuses.
pub fn go_last() -> io::Result<()> {
    Ok(setpriority_process(None, LAST)?)
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
    use rustix::process::getpriority_process;
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

    /// Contract: a thread that goes last takes the ones that it starts along, and nobody else.
    #[test]
    fn what_goes_last_goes_alone() -> Result<(), Box<dyn std::error::Error>> {
        let niceness = || getpriority_process(None);
        let before = niceness()?;
        let attempt = std::thread::spawn(move || {
            go_last()?;
            let child = std::thread::spawn(niceness).join();
            std::io::Result::Ok((niceness()?, child))
        });
        let (own, child) = attempt.join().map_err(|_panic| "it panicked")??;
        assert_eq!((own, child.map_err(|_panic| "it panicked")??), (LAST, LAST));
        assert_eq!(niceness()?, before);
        Ok(())
    }
}
