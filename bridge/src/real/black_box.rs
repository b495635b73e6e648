//! The last (percept, command) pairs before a fault, kept in a ring without allocation and written when one happens.
//!
//! File: RON lines. The first is a [`FaultHeader`], every further one a [`FaultRow`], oldest first.

use super::cause::Cause;
use crate::storage::write_atomic;
use crate::{BodySpec, Percept};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::{fmt, io};

/// Pairs that are kept: 2 s at 100 Hz.
pub const N_PAIRS: usize = 200;

/// Why the file was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultHeader {
    /// Name of the body.
    pub body: String,
    /// Names of its joints, in the order of every array.
    pub joints: Vec<String>,
    /// What happened.
    pub cause: Cause,
    /// The same in words.
    pub text: String,
    /// When it happened, s on the loop's clock.
    pub at_s: f64,
    /// Rows that follow.
    pub n_rows: usize,
}

/// One tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRow {
    /// When, s on the loop's clock.
    pub at_s: f64,
    /// What was wanted, rad; empty while nothing was commanded.
    pub wanted_rad: Vec<f32>,
    /// What was sent after all limits, rad.
    pub applied_rad: Vec<f32>,
    /// What was perceived after it.
    pub percept: Percept,
}

/// The ring.
#[derive(Clone)]
pub struct BlackBox {
    rows: Vec<FaultRow>,
    next: usize,
    len: usize,
}

impl BlackBox {
    /// An empty ring for the body of `spec`, with all the memory that it will use.
    #[must_use]
    pub fn new(spec: &BodySpec) -> Self {
        let (n_joints, command_len) = (spec.joints.len(), spec.command_len());
        let row = || FaultRow {
            at_s: 0.0,
            wanted_rad: Vec::with_capacity(command_len),
            applied_rad: Vec::with_capacity(command_len),
            percept: Percept {
                time_s: 0.0,
                measured_rad: Vec::with_capacity(n_joints),
                commanded_rad: Vec::with_capacity(n_joints),
                effort_nm: Vec::with_capacity(n_joints),
                tool: None,
                objects: Vec::with_capacity(spec.objects.len()),
                signals: Vec::with_capacity(spec.signals.len()),
            },
        };
        Self { rows: std::iter::repeat_with(row).take(N_PAIRS).collect(), next: 0, len: 0 }
    }

    /// Takes one tick in; the oldest one goes.
    pub fn push(&mut self, at_s: f64, wanted_rad: &[f32], applied_rad: &[f32], percept: &Percept) {
        let row = &mut self.rows[self.next];
        row.at_s = at_s;
        refill(&mut row.wanted_rad, wanted_rad);
        refill(&mut row.applied_rad, applied_rad);
        row.percept.time_s = percept.time_s;
        refill(&mut row.percept.measured_rad, &percept.measured_rad);
        refill(&mut row.percept.commanded_rad, &percept.commanded_rad);
        refill(&mut row.percept.effort_nm, &percept.effort_nm);
        row.percept.tool = percept.tool;
        refill(&mut row.percept.objects, &percept.objects);
        refill(&mut row.percept.signals, &percept.signals);
        self.next = (self.next + 1) % N_PAIRS;
        self.len = (self.len + 1).min(N_PAIRS);
    }

    /// What is in it, oldest first.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &FaultRow> {
        (0..self.len).map(|back| &self.rows[(self.next + N_PAIRS - self.len + back) % N_PAIRS])
    }

    /// Forgets everything, and keeps the memory.
    pub const fn clear(&mut self) {
        self.next = 0;
        self.len = 0;
    }

    /// Writes the file whole. Not for the control loop's thread.
    ///
    /// # Errors
    /// Any of the file system's.
    pub fn write(&self, path: &Path, spec: &BodySpec, cause: Cause, at_s: f64) -> io::Result<()> {
        let header = FaultHeader {
            body: spec.name.clone(),
            joints: spec.joints.iter().map(|joint| joint.name.clone()).collect(),
            cause,
            text: cause.text().to_owned(),
            at_s,
            n_rows: self.len,
        };
        let mut text = line(&header)?;
        for row in self.rows() {
            text.push_str(&line(row)?);
        }
        write_atomic(path, text.as_bytes())
    }
}

impl fmt::Debug for BlackBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlackBox").field("n_rows", &self.len).finish_non_exhaustive()
    }
}

fn line<T: Serialize>(value: &T) -> io::Result<String> {
    let mut text = ron::to_string(value).map_err(io::Error::other)?;
    text.push('\n');
    Ok(text)
}

fn refill<T: Copy>(values: &mut Vec<T>, new: &[T]) {
    values.clear();
    values.extend_from_slice(new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JointSpec;

    /// Contract: the file has the last 200 ticks, oldest first, and reads back as what was pushed, NaN included.
    #[test]
    fn the_last_pairs_are_written() {
        let joint = JointSpec {
            name: "a".into(),
            lower_rad: -1.0,
            upper_rad: 1.0,
            max_rate_rad_s: 1.0,
            max_effort_nm: 1.0,
            stiffness_nm_rad: 1.0,
        };
        let spec = BodySpec {
            name: "fake".into(),
            joints: vec![joint],
            tool: None,
            objects: vec![],
            signals: vec![],
            servo_hz: 100,
        };
        let mut black_box = BlackBox::new(&spec);
        assert_eq!(black_box.rows().len(), 0);
        for tick in 0..250 {
            let mut percept =
                Percept { time_s: f64::from(tick), measured_rad: vec![tick as f32], ..Percept::default() };
            if tick == 249 {
                percept.effort_nm = vec![f32::NAN];
            }
            black_box.push(f64::from(tick), &[0.5], &[0.25], &percept);
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fault.ron");
        black_box.write(&path, &spec, Cause::NotFinite, 2.5).unwrap();

        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let header: FaultHeader = ron::from_str(lines.next().unwrap()).unwrap();
        assert_eq!((header.n_rows, header.cause, header.joints), (N_PAIRS, Cause::NotFinite, vec!["a".to_owned()]));
        let rows: Vec<FaultRow> = lines.map(|line| ron::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), N_PAIRS);
        for (row, tick) in rows.iter().zip(50..) {
            assert_eq!((row.at_s, row.percept.measured_rad[0]), (f64::from(tick), tick as f32));
            assert_eq!((&row.wanted_rad[..], &row.applied_rad[..]), (&[0.5][..], &[0.25][..]));
        }
        assert!(rows[N_PAIRS - 1].percept.effort_nm[0].is_nan());
        black_box.clear();
        assert_eq!(black_box.rows().len(), 0);
    }
}
