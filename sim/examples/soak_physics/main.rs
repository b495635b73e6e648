//! Random actions on random domains, for long: says what it found, and fails if it found anything.
//!
//! `cargo run --release -p sim --no-default-features --example soak_physics -- task=cube steps=1000000 seed=1`; with `first=N` from
//! episode N on: every episode has a seed of its own, and `steps=1` is that one alone.

mod soak;

use soak::{MAX_DEPTH_M, Task};
use std::error::Error;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (mut task, mut n_steps, mut seed, mut first) = (Task::Cube, 1_000_000, 1, 0);
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("task", "cube")) => task = Task::Cube,
            Some(("task", "scissors")) => task = Task::Scissors,
            Some(("steps", number)) => n_steps = number.parse()?,
            Some(("seed", number)) => seed = number.parse()?,
            Some(("first", number)) => first = number.parse()?,
            _ => {
                return Err(
                    format!("found `{argument}`, expected task=cube|scissors, steps=N, seed=N or first=N").into()
                );
            }
        }
    }
    let report = soak::soak(task, n_steps, seed, first)?;
    let (depth_m, what) = &report.deepest;
    println!("{task:?}: {} physics steps in {} episodes, seed {seed}", report.n_steps, report.n_episodes);
    println!("faults: {}", report.faults.len());
    for fault in report.faults.iter().take(20) {
        println!("  {fault}");
    }
    println!("deepest: {:.2} mm ({what})", 1e3 * depth_m);
    println!("deeper than {:.0} mm in {} episodes", 1e3 * MAX_DEPTH_M, report.too_deep.len());
    for moment in report.too_deep.iter().take(20) {
        println!("  {moment}");
    }
    let is_well = report.faults.is_empty() && report.too_deep.is_empty();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
