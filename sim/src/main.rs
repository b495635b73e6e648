//! Shows a simulated hand that turns a cube or cuts a tape, in the best way that the machine has.

mod viewer;

use clap::Parser;
use std::env;
use std::process::ExitCode;
use viewer::arguments::Arguments;
use viewer::error::ViewerError;
use viewer::{recording, text, window};

/// The rollout was shown, but not where the command line wanted it.
const RECORDING_LOST: u8 = 3;

fn main() -> ExitCode {
    match show(&Arguments::parse()) {
        Ok(exit_code) => exit_code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Opens a window; where there is none, records; where nothing can be drawn, prints.
fn show(arguments: &Arguments) -> Result<ExitCode, ViewerError> {
    if arguments.record.is_none() && !arguments.headless {
        match open_window(arguments) {
            Err(ViewerError::NoRenderer { reason }) if arguments.shot.is_none() => {
                println!("No window, but a recording, because {reason}.")
            }
            done => return done.map(|()| ExitCode::SUCCESS),
        }
    }
    match recording::record(arguments) {
        Ok((recorded, reading)) => {
            let (path, n_pictures, kilobytes) = (recorded.path.display(), recorded.n_pictures, recorded.n_bytes / 1000);
            println!("Wrote {path}: {n_pictures} pictures, {kilobytes} kB; {}", reading.summary());
            return Ok(ExitCode::SUCCESS);
        }
        Err(ViewerError::NoRenderer { reason }) => println!("No recording, but text, because {reason}."),
        Err(error) => return Err(error),
    }
    text::print(arguments, &mut std::io::stdout().lock())?;
    Ok(if arguments.record.is_some() { RECORDING_LOST.into() } else { ExitCode::SUCCESS })
}

fn open_window(arguments: &Arguments) -> Result<(), ViewerError> {
    if ["DISPLAY", "WAYLAND_DISPLAY"].iter().all(|name| env::var_os(name).is_none_or(|value| value.is_empty())) {
        let reason = "there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set".into();
        return Err(ViewerError::NoRenderer { reason });
    }
    window::open(arguments)
}
