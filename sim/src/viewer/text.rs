//! The rollout as text: one line of instruments a second.

use crate::viewer::arguments::Arguments;
use crate::viewer::error::ViewerError;
use crate::viewer::rollout::rollout;
use sim::SERVO_HZ;
use std::io::{self, Write};

/// Prints the rollout to `out`.
///
/// # Errors
/// When the rollout fails or `out` cannot be written to. A reader who has seen enough and closes the pipe is no error.
pub fn print(arguments: &Arguments, out: &mut impl Write) -> Result<(), ViewerError> {
    match print_all(arguments, out) {
        Err(ViewerError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn print_all(arguments: &Arguments, out: &mut impl Write) -> Result<(), ViewerError> {
    let mut rollout = rollout(arguments)?;
    let n_ticks = (arguments.seconds()? * f64::from(SERVO_HZ)).round() as u64;
    let mut n_since_start = 0;
    let mut has_ended = false;
    for tick in 0..=n_ticks {
        let reading = rollout.tick()?.reading;
        if reading.time_s == 0.0 {
            n_since_start = 0;
            writeln!(out, "{}", rollout.title())?;
            writeln!(out, "{}", reading.columns())?;
        }
        let ends = reading.ending.is_some() && !has_ended;
        if n_since_start % u64::from(SERVO_HZ) == 0 || tick == n_ticks || ends {
            writeln!(out, "{}", reading.row())?;
        }
        n_since_start += 1;
        has_ended = reading.ending.is_some();
    }
    Ok(())
}
