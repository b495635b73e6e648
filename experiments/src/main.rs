//! `softflow`: demonstrations, training, evaluation, reports; robots, and hands for other simulators.

use clap::Parser;
use experiments::cli::{Cli, Command};
use experiments::commands::{self, Ended};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = learn::configure_process().map_err(Into::into).and_then(|_| match &cli.command {
        Command::Tasks(args) => commands::tasks(args),
        Command::Demo(args) => commands::demo(args),
        Command::Train(args) => commands::train(args),
        Command::Eval(args) => commands::eval(args),
        Command::Compare(args) => commands::compare(args),
        Command::Doctor(args) => commands::doctor(args),
        Command::Calibrate(args) => commands::calibrate(args),
        Command::Emulate(args) => commands::emulate(args),
        Command::Report(args) => commands::report(args),
        Command::Export(args) => commands::export(args),
        Command::Import(args) => commands::import(args),
    });
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::DataLost) => ExitCode::from(3),
        Ok(Ended::Unmet) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("softflow: {error:#}");
            ExitCode::FAILURE
        }
    }
}
