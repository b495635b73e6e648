//! The rollout as text: one line of instruments a second.

use crate::viewer::arguments::Arguments;
use crate::viewer::error::ViewerError;
use crate::viewer::reading::Reading;
use crate::viewer::rollout::Rollout;
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
    let mut rollout = Rollout::new(arguments)?;
    let n_ticks = (arguments.seconds * f64::from(SERVO_HZ)).round() as u64;
    let mut n_since_start = 0;
    let mut dropped = false;
    for tick in 0..=n_ticks {
        let reading = rollout.tick()?.reading;
        if reading.time_s == 0.0 {
            n_since_start = 0;
            writeln!(out, "{}", rollout.title())?;
            writeln!(out, " time s   yaw rad    turns     rpm   offset mm   tilt deg   contacts")?;
        }
        if n_since_start % u64::from(SERVO_HZ) == 0 || tick == n_ticks || (reading.dropped && !dropped) {
            write_reading(out, &reading)?;
        }
        n_since_start += 1;
        dropped = reading.dropped;
    }
    Ok(())
}

fn write_reading(out: &mut impl Write, reading: &Reading) -> io::Result<()> {
    let Reading { time_s, turned_rad, rpm, n_contacts, .. } = reading;
    let (turns, offset_mm, tilt_deg) = (reading.turns(), 1e3 * reading.offset_m, reading.tilt_rad.to_degrees());
    let dropped = if reading.dropped { "   dropped" } else { "" };
    writeln!(
        out,
        "{time_s:7.2} {turned_rad:9.3} {turns:8.3} {rpm:7.2} {offset_mm:11.1} {tilt_deg:10.1} {n_contacts:10}{dropped}"
    )
}
