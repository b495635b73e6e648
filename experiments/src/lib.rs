//! What every command of `softflow` needs and no maths of learning: configurations with overrides, run folders with
//! their logs, progress, statistics, tables and charts.
//!
//! - [`overrides`] reads a RON configuration with `--set path=value` applied to it.
//! - [`RunFolder`] holds all that one training produced; [`MetricsLog`] is what it logs while it goes on.
//! - [`statistics`] turns episodes into numbers with intervals, [`Table`] and [`figure::Figure`] show them, [`report`] makes a
//!   page of them.
//! - [`toys`] are tasks of known answer; a [`study::Study`] trains a grid of experiments, [`comparison`] holds what came of
//!   it against what was expected, [`results::Results`] are what runs came to, from their folders or from a [`store`].
//!
//! Invariants:
//! - A number that is not finite is never logged and never drawn: it is an error that names it.
//! - A killed process leaves logs that are whole up to their last line.
//! - The same samples and seed give the same interval, bit for bit.

// The commands.
mod averages;
pub mod cli;
pub mod commands;
pub mod evaluation;
pub mod experiment;
pub mod robot;
mod session;
pub mod toys;

// Studies.
mod beginnings;
pub mod comparison;
mod cost;
mod live;
mod measure;
pub mod results;
pub mod store;
pub mod study;

// Reports.
pub mod figure;
pub mod report;

// What they are made of.
pub mod overrides;
mod ron_scan;

mod json_lines;
mod manifest;
mod metrics_log;
mod run_folder;
mod tensorboard;

pub mod statistics;

mod progress;
mod table;

pub use cost::Cost;
pub use json_lines::{JsonLines, LogError, Moment};
pub use manifest::{Manifest, SessionRecord};
pub use metrics_log::{Metrics, MetricsLog};
pub use progress::{Narration, Progress};
pub use run_folder::{RunError, RunFolder};
pub use table::Table;
pub use tensorboard::EventWriter;
