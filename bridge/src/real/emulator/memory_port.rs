//! An emulated bus in memory: time passes only while the client waits, so that a test is the same every time.

use super::Emulator;
use crate::real::clock::Clock;
use crate::real::port::{Port, PortError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An emulator that its port and its observers share.
#[derive(Clone, Debug)]
pub struct SharedEmulator(Arc<Mutex<Emulator>>);

/// The host's end of an emulated bus. Its clock is the emulator's.
#[derive(Debug)]
pub struct MemoryPort {
    emulator: SharedEmulator,
    baud: u32,
    /// How often the cable had been pulled when this was opened: what was opened before is lost for good, as a device is.
    n_unplugs: u32,
}

/// The emulator's time as the clock of a control loop: it passes while the loop waits.
#[derive(Clone, Debug)]
pub struct EmulatorClock(SharedEmulator);

impl SharedEmulator {
    /// Shares `emulator`.
    #[must_use]
    pub fn new(emulator: Emulator) -> Self {
        Self(Arc::new(Mutex::new(emulator)))
    }

    /// The emulator, for as long as the guard is held.
    pub fn lock(&self) -> MutexGuard<'_, Emulator> {
        // Whoever panicked was not halfway through anything that a later reader relies on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host's end, at `baud`.
    #[must_use]
    pub fn open(&self, baud: u32) -> MemoryPort {
        let n_unplugs = self.lock().n_unplugs;
        MemoryPort { emulator: self.clone(), baud, n_unplugs }
    }

    /// Its time.
    #[must_use]
    pub fn clock(&self) -> EmulatorClock {
        EmulatorClock(self.clone())
    }
}

impl Clock for EmulatorClock {
    fn now_s(&self) -> f64 {
        self.0.lock().now().as_secs_f64()
    }

    fn wait_until(&self, at_s: f64) {
        self.0.lock().advance_to(Duration::try_from_secs_f64(at_s).unwrap_or_default());
    }
}

impl MemoryPort {
    fn plugged(&self) -> Result<MutexGuard<'_, Emulator>, PortError> {
        let emulator = self.emulator.lock();
        if emulator.is_unplugged() || emulator.n_unplugs != self.n_unplugs {
            return Err(PortError::Lost { reason: "the cable is pulled".into() });
        }
        Ok(emulator)
    }
}

impl Port for MemoryPort {
    fn now(&self) -> Duration {
        self.emulator.lock().now()
    }

    fn baud(&self) -> u32 {
        self.baud
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), PortError> {
        self.baud = baud;
        Ok(())
    }

    fn write_all(&mut self, bytes: &[u8], _deadline: Duration) -> Result<(), PortError> {
        let baud = self.baud;
        self.plugged()?.receive(bytes, baud);
        Ok(())
    }

    fn read_until(&mut self, buffer: &mut [u8], deadline: Duration) -> Result<usize, PortError> {
        self.plugged()?.advance_until_byte(deadline);
        Ok(self.plugged()?.transmit(buffer))
    }

    fn discard_input(&mut self) -> Result<(), PortError> {
        let mut emulator = self.plugged()?;
        let mut sink = [0; 64];
        while emulator.transmit(&mut sink) > 0 {}
        Ok(())
    }

    fn wait_until(&mut self, time: Duration) {
        self.emulator.lock().advance_to(time);
    }
}
