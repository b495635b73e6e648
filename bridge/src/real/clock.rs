//! The time of a control loop: the machine's, or one that a test turns by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A clock that never goes back.
pub trait Clock: Send {
    /// Now, s since some fixed moment.
    fn now_s(&self) -> f64;

    /// Returns when it is `at_s`, at once if that is past.
    fn wait_until(&self, at_s: f64);
}

/// The machine's monotonic clock. Copies tell the same time.
#[derive(Clone, Copy, Debug)]
pub struct MachineClock {
    start: Instant,
}

impl MachineClock {
    /// A clock that starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for MachineClock {
    fn now_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn wait_until(&self, at_s: f64) {
        if let Ok(rest) = Duration::try_from_secs_f64(at_s - self.now_s()) {
            std::thread::sleep(rest);
        }
    }
}

/// A clock that stands still until somebody waits: then it is what was waited for. Clones tell the same time.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    now_ns: Arc<AtomicU64>,
}

impl VirtualClock {
    /// Lets `by_s` pass.
    pub fn advance(&self, by_s: f64) {
        self.now_ns.fetch_add(nanoseconds(by_s), Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now_s(&self) -> f64 {
        self.now_ns.load(Ordering::SeqCst) as f64 * 1e-9
    }

    fn wait_until(&self, at_s: f64) {
        self.now_ns.fetch_max(nanoseconds(at_s), Ordering::SeqCst);
    }
}

fn nanoseconds(time_s: f64) -> u64 {
    (time_s * 1e9).round() as u64
}
