//! What happened to a robot, a line an event: `robot/log` of a run. Times are s on the loop's clock, which starts with
//! every connection.
//!
//! A disk that is full stops no hand: what cannot be written is counted, and whoever stands beside it is told.

use bridge::real::control_loop::Event;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The log of one session, and the count of all that could not be written of it and beside it.
#[derive(Debug)]
pub(super) struct Log<W = File> {
    out: W,
    /// The last line is not whole.
    is_torn: bool,
    n_lost: u64,
}

impl Log {
    /// Goes on with the log at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::of(OpenOptions::new().create(true).append(true).open(path)?))
    }
}

impl<W: Write> Log<W> {
    const fn of(out: W) -> Self {
        Self { out, is_torn: false, n_lost: 0 }
    }

    /// Notes what is told. What there is to say of a log that cannot be written, the first time.
    pub(super) fn note(&mut self, line: &str) -> Option<String> {
        let before = if self.is_torn { "\n" } else { "" };
        let written = self.out.write_all(format!("{before}{line}\n").as_bytes());
        self.is_torn = written.is_err();
        self.lose("the robot's log", written.err()?)
    }

    /// Counts something that could not be written. What there is to say of it, the first time.
    pub(super) fn lose(&mut self, what: &str, error: impl Display) -> Option<String> {
        self.n_lost += 1;
        let told =
            || format!("{what} cannot be written ({error}): the robot goes on, what is lost is counted; make room");
        (self.n_lost == 1).then(told)
    }

    /// Lines and files that could not be written.
    pub(super) const fn n_lost(&self) -> u64 {
        self.n_lost
    }
}

/// An event in words.
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::State { from, to, cause: Some(cause), at_s } => format!("{at_s:9.3}  {from:?} -> {to:?}: {cause}"),
        Event::State { from, to, cause: None, at_s } => format!("{at_s:9.3}  {from:?} -> {to:?}"),
        Event::Noticed { cause, at_s } => format!("{at_s:9.3}  {cause}"),
        Event::Refused { order, refusal, at_s } => format!("{at_s:9.3}  {order:?} refused: {refusal:?}"),
        Event::Asked { cause, at_s } => format!("{at_s:9.3}  a human has to look: {cause}"),
        Event::Rebooted { servo_idx, at_s } => format!("{at_s:9.3}  servo {servo_idx} is rebooted"),
        Event::Reached { posture, at_s } => format!("{at_s:9.3}  posture reached: {posture:?}"),
        Event::EpisodeBegun { seed, at_s } => format!("{at_s:9.3}  episode {seed} begins"),
        Event::EpisodeEnded { seed, n_steps, cause: None, at_s } => {
            format!("{at_s:9.3}  episode {seed} ends after {n_steps} steps")
        }
        Event::EpisodeEnded { seed, n_steps, cause: Some(cause), at_s } => {
            format!("{at_s:9.3}  episode {seed} is cut off after {n_steps} steps: {cause}")
        }
        Event::Pressed { button, at_s } => format!("{at_s:9.3}  {button:?} was pressed, and no episode runs"),
        Event::ChunkRefused { reason, at_s } => format!("{at_s:9.3}  chunk refused: {reason}"),
        Event::OutOfReach { reason, at_s } => format!("{at_s:9.3}  not armed: {reason}"),
        Event::Chunk { step, version, policy_age_s } => {
            format!("           step {step}: a chunk of policy {version}, {policy_age_s:.1} s old")
        }
        Event::Intervention { step, is_human: true } => format!("           step {step}: a human takes over"),
        Event::Intervention { step, is_human: false } => format!("           step {step}: the human hands back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for `n_bytes`.
    struct Disk {
        n_bytes: usize,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n_bytes = bytes.len().min(self.n_bytes);
            if n_bytes == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.n_bytes -= n_bytes;
            self.written.extend_from_slice(&bytes[..n_bytes]);
            Ok(n_bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Contract: what a full disk does not take is counted and told once; with room again the log goes on, on a line of its own.
    #[test]
    fn a_full_disk_is_counted_and_told_once() {
        let mut log = Log::of(Disk { n_bytes: 7, written: Vec::new() });
        assert_eq!(log.note("one"), None);
        let told = log.note("two two").unwrap();
        assert!(told.contains("the robot's log cannot be written"), "{told}");
        assert_eq!((log.note("three"), log.lose("a file", "why"), log.n_lost()), (None, None, 3));
        log.out.n_bytes = 100;
        assert_eq!((log.note("four"), log.n_lost()), (None, 3));
        assert_eq!(String::from_utf8(log.out.written).unwrap(), "one\ntwo\nfour\n");
    }
}
