//! What every command of `softflow` needs and no maths of learning: configurations with overrides, run folders with
//! their logs, progress, statistics, tables and charts.
//!
//! - [`overrides`] reads a RON configuration with `--set path=value` applied to it.
//! - [`RunFolder`] holds all that one training produced; [`MetricsLog`] is what it logs while it goes on.
//! - [`statistics`] turns episodes into numbers with intervals, [`Table`] and [`LearningCurve`] show them.
//! - [`toys`] are tasks of known answer; a [`study::Study`] trains a grid of experiments, [`comparison`] holds what came of
//!   it against what was expected.
//!
//! Invariants:
//! - A number that is not finite is never logged and never drawn: it is an error that names it.
//! - A killed process leaves logs that are whole up to their last line.
//! - The same samples and seed give the same interval, bit for bit.

// The commands.
pub mod cli;
pub mod commands;
pub mod dataset;
pub mod evaluation;
pub mod experiment;
pub mod robot;
mod session;
pub mod toys;

// Studies.
mod beginnings;
pub mod comparison;
mod measure;
pub mod panels;
pub mod study;

// What they are made of.
pub mod overrides;
mod ron_scan;

mod json_lines;
mod manifest;
mod metrics_log;
mod run_folder;
mod tensorboard;

pub mod statistics;

mod chart;
mod progress;
mod table;

pub use chart::{ChartError, LearningCurve, Marker, Point, Series};
pub use json_lines::{JsonLines, LogError, Moment};
pub use manifest::{Manifest, SessionRecord};
pub use metrics_log::{Metrics, MetricsLog};
pub use progress::{Narration, Progress};
pub use run_folder::{RunError, RunFolder};
pub use table::Table;
pub use tensorboard::EventWriter;
