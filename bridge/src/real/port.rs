//! The wire: bytes out, bytes in until a deadline, and the clock that the deadlines are on.
//!
//! The clock belongs to the port, so that everything above it is a function of bytes and times: on an emulated port time
//! passes only while the caller waits.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, Timespec, flock, fstat, major, minor, open};
use rustix::io::Errno;
use rustix::termios::{ioctl_tiocexcl, ioctl_tiocnxcl};
use serial2::SerialPort;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// A half-duplex line to servos. Times are since the port was opened.
pub trait Port: Send {
    /// The time.
    fn now(&self) -> Duration;

    /// The baud rate.
    fn baud(&self) -> u32;

    /// Changes the baud rate.
    ///
    /// # Errors
    /// When the line is gone or has no such rate.
    fn set_baud(&mut self, baud: u32) -> Result<(), PortError>;

    /// Hands all of `bytes` to the line; they may still be on their way when this returns.
    ///
    /// # Errors
    /// When the line is gone or does not take them before `deadline`.
    fn write_all(&mut self, bytes: &[u8], deadline: Duration) -> Result<(), PortError>;

    /// Reads what is there; if nothing is, waits for it until `deadline`. 0 means that nothing came.
    ///
    /// # Errors
    /// When the line is gone.
    fn read_until(&mut self, buffer: &mut [u8], deadline: Duration) -> Result<usize, PortError>;

    /// Drops everything that has arrived.
    ///
    /// # Errors
    /// When the line is gone.
    fn discard_input(&mut self) -> Result<(), PortError>;

    /// Waits.
    fn wait_until(&mut self, time: Duration);
}

/// A line that does not work.
#[derive(Debug, Error)]
pub enum PortError {
    /// It cannot be opened.
    #[error("{}: cannot be opened at {baud} baud: {source}; is it plugged in, and are you in the group that owns it?", path.display())]
    Open {
        /// The device.
        path: PathBuf,
        /// The baud rate that was asked for.
        baud: u32,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{}: is held by {holder}; two programs on one bus garble each other, end that one first", path.display())]
    Held {
        /// The device.
        path: PathBuf,
        /// Who, as far as the system tells.
        holder: String,
    },
    /// It worked before.
    #[error("the port is gone: {reason}")]
    Lost {
        /// What the system says.
        reason: String,
    },
}

/// A serial port or pseudo-terminal that this process alone has.
#[derive(Debug)]
pub struct SerialLine {
    port: SerialPort,
    opened: Instant,
    baud: u32,
    is_terminal_locked: bool,
}

impl SerialLine {
    /// Opens the device at `path` and locks it.
    ///
    /// # Errors
    /// When it cannot be opened, or another process has it.
    pub fn open(path: &Path, baud: u32) -> Result<Self, PortError> {
        let failed = |error: io::Error| PortError::Open { path: path.to_owned(), baud, source: error };
        let held = |holder| PortError::Held { path: path.to_owned(), holder };
        // Locked before it is configured: the owner's baud rate is not ours to change.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = match open(path, flags, Mode::empty()) {
            Ok(device) => device,
            // Somebody holds the terminal exclusively; the kernel does not say who.
            Err(Errno::BUSY) => return Err(held("another process".into())),
            Err(error) => return Err(failed(error.into())),
        };
        let status = fstat(&device).map_err(|error| failed(error.into()))?;
        match flock(&device, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(held(lock_holder(status.st_dev, status.st_ino))),
            Err(error) => return Err(failed(error.into())),
        }
        // The lock keeps out those who ask for it, this those who do not. A pseudo-terminal would stay exclusive after
        // the death of this process, as its other side keeps it open.
        let is_pseudo_terminal = (136..=143).contains(&major(status.st_rdev));
        if !is_pseudo_terminal {
            ioctl_tiocexcl(&device).map_err(|error| failed(error.into()))?;
        }
        let mut port = SerialPort::from(device);
        let mut settings = port.get_configuration().map_err(failed)?;
        settings.set_raw();
        settings.set_baud_rate(baud).map_err(failed)?;
        port.set_configuration(&settings).map_err(failed)?;
        Ok(Self { port, opened: Instant::now(), baud, is_terminal_locked: !is_pseudo_terminal })
    }

    /// Waits until the port is ready for `flags`; whether it is.
    fn wait_for(&self, flags: PollFlags, deadline: Duration) -> Result<bool, PortError> {
        loop {
            let left = deadline.saturating_sub(self.now());
            let timeout =
                Timespec { tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.port, flags)], Some(&timeout)) {
                Ok(n_ready) => return Ok(n_ready > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(lost(&error.into())),
            }
        }
    }
}

impl Port for SerialLine {
    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    fn baud(&self) -> u32 {
        self.baud
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), PortError> {
        let mut settings = self.port.get_configuration().map_err(|error| lost(&error))?;
        settings.set_baud_rate(baud).map_err(|error| lost(&error))?;
        self.port.set_configuration(&settings).map_err(|error| lost(&error))?;
        self.baud = baud;
        Ok(())
    }

    fn write_all(&mut self, bytes: &[u8], deadline: Duration) -> Result<(), PortError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if !self.wait_for(PollFlags::OUT, deadline)? {
                return Err(PortError::Lost { reason: format!("{} bytes were not taken in time", rest.len()) });
            }
            match self.port.write(rest) {
                Ok(0) => return Err(PortError::Lost { reason: "it takes no bytes".into() }),
                Ok(n_written) => rest = &rest[n_written..],
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(lost(&error)),
            }
        }
        Ok(())
    }

    fn read_until(&mut self, buffer: &mut [u8], deadline: Duration) -> Result<usize, PortError> {
        while self.wait_for(PollFlags::IN, deadline)? {
            match self.port.read(buffer) {
                Ok(0) => {
                    return Err(PortError::Lost {
                        reason: "it is ready, but there is nothing to read: unplugged".into(),
                    });
                }
                Ok(n_read) => return Ok(n_read),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(lost(&error)),
            }
        }
        Ok(0)
    }

    fn discard_input(&mut self) -> Result<(), PortError> {
        self.port.discard_input_buffer().map_err(|error| lost(&error))
    }

    fn wait_until(&mut self, time: Duration) {
        std::thread::sleep(time.saturating_sub(self.now()));
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        if self.is_terminal_locked {
            // Whoever opens the device next must be able to; if this fails, the device is gone.
            ioctl_tiocnxcl(&self.port).ok();
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn lost(error: &io::Error) -> PortError {
    PortError::Lost { reason: error.to_string() }
}

/// Who holds the lock on a file, by the kernel's table of locks.
fn lock_holder(device: u64, inode: u64) -> String {
    let file = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    let table = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let holder = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip_while(|&field| field != "FLOCK").skip(3);
        let process = fields.next()?;
        (fields.next()? == file).then_some(process)
    });
    match holder {
        None => "another process".into(),
        Some(process) => match std::fs::read_to_string(format!("/proc/{process}/comm")) {
            Ok(name) => format!("process {process} ({})", name.trim()),
            Err(_) => format!("process {process}"),
        },
    }
}
