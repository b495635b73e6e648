//! What happened to a robot, a line an event: `robot/log` of a run. Times are s on the loop's clock, which starts with
//! every connection.

use bridge::real::control_loop::Event;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The log of one session.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
}

impl Log {
    /// Goes on with the log at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().create(true).append(true).open(path)? })
    }

    /// Notes what is told, without a time.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.file, "{line}")
    }

    /// Notes an event.
    pub(super) fn note(&mut self, event: &Event) -> io::Result<()> {
        self.say(&describe(event))
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
        Event::Chunk { step, version, policy_age_s } => {
            format!("           step {step}: a chunk of policy {version}, {policy_age_s:.1} s old")
        }
        Event::Intervention { step, is_human: true } => format!("           step {step}: a human takes over"),
        Event::Intervention { step, is_human: false } => format!("           step {step}: the human hands back"),
    }
}
