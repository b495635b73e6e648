//! The binary under test.

use std::error::Error;
use std::process::{Command, Output};

pub type TestResult = Result<(), Box<dyn Error>>;

pub fn softflow() -> Command {
    Command::new(env!("CARGO_BIN_EXE_softflow"))
}

/// What a command that succeeded has printed.
pub fn success(output: &Output) -> Result<String, Box<dyn Error>> {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{error}", output.status);
    Ok(String::from_utf8(output.stdout.clone())?)
}
