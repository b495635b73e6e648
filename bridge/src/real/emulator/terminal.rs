//! An emulated bus behind a pseudo-terminal: any program can open it as a serial port.
//!
//! The emulation runs on a thread of its own, `rate` times as fast as the clock, but at most a thousand times. A pseudo-terminal has no baud rate on
//! the wire; the one that the client sets is read back from the terminal.

use super::super::urgent;
use super::SharedEmulator;
use crate::number::Positive;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, Timespec, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;

/// A pseudo-terminal could not be made.
#[derive(Debug, Error)]
#[error("no pseudo-terminal for the emulated servos: {0}")]
pub struct TerminalError(#[from] std::io::Error);

/// A running emulation behind a pseudo-terminal; it ends when this is dropped.
#[derive(Debug)]
pub struct PseudoTerminal {
    path: PathBuf,
    emulator: SharedEmulator,
    is_ended: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl PseudoTerminal {
    /// No emulation is faster than this many times the clock.
    pub const MAX_RATE: f64 = 1000.0;

    /// Serves `emulator`, `rate` times as fast as the clock, at most [`Self::MAX_RATE`].
    ///
    /// # Errors
    /// When the system gives no pseudo-terminal or no thread.
    pub fn serve(emulator: SharedEmulator, rate: Positive) -> Result<Self, TerminalError> {
        let rate = rate.get().clamp(1e-3, Self::MAX_RATE);
        let host = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).map_err(io_error)?;
        grantpt(&host).map_err(io_error)?;
        unlockpt(&host).map_err(io_error)?;
        let path = PathBuf::from(OsStr::from_bytes(ptsname(&host, Vec::new()).map_err(io_error)?.as_bytes()));
        // Held open, so that the terminal outlives its clients; raw, so that no byte means anything to it.
        let client_side = ioctl_tiocgptpeer(&host, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .map_err(io_error)?;
        let mut settings = tcgetattr(&client_side).map_err(io_error)?;
        settings.make_raw();
        tcsetattr(&client_side, OptionalActions::Now, &settings).map_err(io_error)?;
        fcntl_setfl(&host, OFlags::NONBLOCK).map_err(io_error)?;

        let is_ended = Arc::new(AtomicBool::new(false));
        let (served, ended) = (emulator.clone(), Arc::clone(&is_ended));
        let server = urgent::spawn_hardware("emulated servos", rate, move || {
            serve(&served, &host, client_side, rate, &ended);
        })?;
        Ok(Self { path, emulator, is_ended, server: Some(server) })
    }

    /// The device to open.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The emulator, to look at.
    #[must_use]
    pub const fn emulator(&self) -> &SharedEmulator {
        &self.emulator
    }
}

impl Drop for PseudoTerminal {
    fn drop(&mut self) {
        self.is_ended.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            // A server that panicked has said so itself.
            drop(server.join());
        }
    }
}

fn io_error(error: Errno) -> std::io::Error {
    error.into()
}

/// As a USB adapter, it hands bytes on a frame at a time: a thread that is woken for every byte of 10 us takes a third of a core from
/// those whom it stands for.
const PACKET: Duration = Duration::from_micros(125);

/// Until the end, the cable is pulled, or the terminal fails: closing `host` is what a client sees of either.
fn serve(emulator: &SharedEmulator, host: &OwnedFd, client_side: OwnedFd, rate: f64, is_ended: &AtomicBool) {
    let begun = Instant::now();
    let mut buffer = [0; 4096];
    let packet = PACKET.div_f64(rate.max(1.0));
    while !is_ended.load(Ordering::Relaxed) {
        let (outgoing, next, is_unplugged) = {
            let mut emulator = emulator.lock();
            emulator.advance_to(begun.elapsed().mul_f64(rate));
            (emulator.transmit(&mut buffer), emulator.next_event_time(), emulator.is_unplugged())
        };
        if is_unplugged || write_all(host, &buffer[..outgoing]).is_err() {
            break;
        }
        let wait = next.div_f64(rate).saturating_sub(begun.elapsed()).max(packet);
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos().min(999_999_999).try_into().unwrap_or(1_000_000) };
        match poll(&mut [PollFd::new(host, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => break,
        }
        match rustix::io::read(host, &mut buffer) {
            Ok(n_read) => {
                let baud = tcgetattr(&client_side).map_or(0, |settings| settings.output_speed());
                let mut emulator = emulator.lock();
                emulator.advance_to(begun.elapsed().mul_f64(rate));
                emulator.receive(&buffer[..n_read], baud);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => break,
        }
    }
}

fn write_all(host: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(host, rest) {
            Ok(n_written) => rest = &rest[n_written..],
            // A client that does not read loses bytes, as on a wire.
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl super::Emulator {
    /// When there is something to do next.
    fn next_event_time(&self) -> Duration {
        self.next_event().min(self.next_byte().unwrap_or(Duration::MAX))
    }
}
