//! Ctrl-C, and the system's wish that the process ends, while it has a robot.
//!
//! The first SIGINT or SIGTERM is a wish: whoever drives the robot looks for it, opens the hand and takes its torque. The second ends
//! the process at once; the servos' watchdogs then stop the hand.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether it was wished that the process ends. Made once a process.
#[derive(Debug)]
pub struct Interrupt {
    is_asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens to SIGINT and SIGTERM.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn watch() -> io::Result<Self> {
        let is_asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&is_asked))?;
            flag::register(signal, Arc::clone(&is_asked))?;
        }
        Ok(Self { is_asked })
    }

    /// Leaves both as they are: the first one ends the process.
    #[must_use]
    pub fn ignore() -> Self {
        Self { is_asked: Arc::default() }
    }

    /// Tells it to whoever works on another thread.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_asked)
    }

    /// Whether it was wished.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupt {
    /// There is nothing left to put down: the next signal ends the process.
    fn drop(&mut self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }
}
