//! Append-only logs of one JSON object a line, which a killed process leaves whole up to the last line.
//!
//! Every line says when it was written: `{"stage":"offline","step":1200,...}`. Steps may be counted through the run or
//! anew in every stage; lines are ordered by (stage, step), stages in the order in which the run goes through them.

use bridge::storage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// When in a run something was logged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment<'a> {
    /// Stage of the training.
    pub stage: &'a str,
    /// Step in that stage.
    pub step: u64,
    /// Time that was spent on the run, s.
    pub time_s: f64,
}

/// A log could not be written or read.
#[derive(Debug, Error)]
pub enum LogError {
    /// A number was not finite.
    #[error("log: {name} is {value} at {stage} step {step}, expected a finite number; the line was not written")]
    NonFinite {
        /// Name of the number.
        name: String,
        /// What it was.
        value: f64,
        /// Stage in which it was logged.
        stage: String,
        /// Step at which it was logged.
        step: u64,
    },
    /// A record held a null, which is what a number that is not finite becomes in JSON.
    #[error("log {}: {field} is null, expected a finite number; the line was not written", path.display())]
    Null {
        /// The log.
        path: PathBuf,
        /// The field, from the root of the record.
        field: String,
    },
    /// A line had no place for a name.
    #[error(
        "log: the name {name} is taken, expected names that differ from each other and from stage, step and time_s"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A line that is not the last is not what was written.
    #[error("log {}:{line}: {reason}", path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found and what was expected.
        reason: String,
    },
    /// The file system failed.
    #[error("log {}: {source}", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// An append-only log of one JSON object a line.
#[derive(Debug)]
pub struct JsonLines {
    file: File,
    path: PathBuf,
}

impl JsonLines {
    /// Opens or creates the log; a last line without an end is cut off.
    ///
    /// # Errors
    /// Any of the file system's.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let opened = OpenOptions::new().create(true).append(true).open(path).and_then(|file| {
            let text = std::fs::read(path)?;
            let whole_bytes = whole_lines(&text).len();
            if whole_bytes < text.len() {
                file.set_len(whole_bytes as u64)?;
            }
            Ok(file)
        });
        let file = opened.map_err(|source| LogError::Io { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends one record in one write. It is then out of this process's hands, though not yet of the system's.
    ///
    /// # Errors
    /// When the record holds a null (a field that may be absent must be skipped), or the file system fails.
    pub fn append<T: Serialize>(&mut self, record: &T) -> Result<(), LogError> {
        let invalid = |error| LogError::Io { path: self.path.clone(), source: io::Error::from(error) };
        let mut line = serde_json::to_string(record).map_err(invalid)?;
        if line.contains("null") {
            let value = serde_json::to_value(record).map_err(invalid)?;
            if let Some(field) = find_null(&value) {
                return Err(LogError::Null { path: self.path.clone(), field });
            }
        }
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|source| LogError::Io { path: self.path.clone(), source })
    }

    /// Waits until all that was appended is on disk.
    ///
    /// # Errors
    /// Any of the file system's.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync_data().map_err(|source| LogError::Io { path: self.path.clone(), source })
    }

    /// Reads all records of a log. A last line without an end is left out; a log that does not exist is empty.
    ///
    /// # Errors
    /// When a line is not a `T`, or the file system fails.
    pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, LogError> {
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(LogError::Io { path: path.to_owned(), source }),
            Ok(text) => text,
        };
        let lines = whole_lines(&text).split_inclusive(|&byte| byte == b'\n').enumerate();
        lines.map(|(line_idx, line)| parse_line(path, line_idx, line)).collect()
    }

    /// Drops every line that was written after `step` of `stage`, and a last line without an end.
    ///
    /// `stages` are all stages in the order of the run. A log that does not exist stays so.
    ///
    /// # Errors
    /// When a line is damaged or names a stage that is not among `stages` (nothing is then dropped), or the file system
    /// fails.
    pub fn truncate_after(path: &Path, stages: &[&str], stage: &str, step: u64) -> Result<(), LogError> {
        #[derive(serde::Deserialize)]
        struct When {
            stage: String,
            step: u64,
        }
        let io_error = |source| LogError::Io { path: path.to_owned(), source };
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(io_error)?,
        };
        let rank = |name: &str, line_idx: usize| {
            stages.iter().position(|&known| known == name).ok_or_else(|| LogError::Damaged {
                path: path.to_owned(),
                line: line_idx + 1,
                reason: format!("found stage {name:?}, expected one of {stages:?}"),
            })
        };
        let last = (rank(stage, 0)?, step);
        let mut kept = Vec::with_capacity(text.len());
        for (line_idx, line) in whole_lines(&text).split_inclusive(|&byte| byte == b'\n').enumerate() {
            let when: When = parse_line(path, line_idx, line)?;
            if (rank(&when.stage, line_idx)?, when.step) <= last {
                kept.extend_from_slice(line);
            }
        }
        if kept == text { Ok(()) } else { storage::write_atomic(path, &kept).map_err(io_error) }
    }
}

/// The part of `text` up to and including its last line end.
fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    &text[..end]
}

fn parse_line<T: DeserializeOwned>(path: &Path, line_idx: usize, line: &[u8]) -> Result<T, LogError> {
    serde_json::from_slice(line).map_err(|error| LogError::Damaged {
        path: path.to_owned(),
        line: line_idx + 1,
        reason: error.to_string(),
    })
}

/// Path of the first null, e.g. `outcomes[3].turns`.
fn find_null(value: &Value) -> Option<String> {
    fn search(value: &Value, path: &str) -> Option<String> {
        match value {
            Value::Null => Some(path.to_owned()),
            Value::Array(items) => {
                items.iter().enumerate().find_map(|(index, item)| search(item, &format!("{path}[{index}]")))
            }
            Value::Object(fields) => fields.iter().find_map(|(name, field)| search(field, &format!("{path}.{name}"))),
            _ => None,
        }
    }
    search(value, "").map(|path| path.trim_start_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::Outcome;
    use serde::Deserialize;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Line {
        stage: String,
        step: u64,
        outcomes: Vec<Outcome>,
    }

    fn line(stage: &str, step: u64) -> Line {
        Line { stage: stage.into(), step, outcomes: vec![Outcome { turns: 0.1, ..Outcome::default() }; 2] }
    }

    const STAGES: [&str; 3] = ["imitation", "offline", "online"];

    /// Contract: a log cut at any byte keeps its whole lines, reads as such, and can be appended to again.
    #[test]
    fn a_cut_log_keeps_its_whole_lines() -> Result<(), LogError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evals.jsonl");
        let lines: Vec<Line> = (0..3).map(|step| line("offline", step)).collect();
        let mut log = JsonLines::open(&path)?;
        for line in &lines {
            log.append(line)?;
        }
        let text = std::fs::read(&path).unwrap();
        for cut in 0..=text.len() {
            File::create(&path).and_then(|mut file| file.write_all(&text[..cut])).unwrap();
            let n_whole = text[..cut].iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(JsonLines::read::<Line>(&path)?, lines[..n_whole], "cut at {cut}");
            JsonLines::open(&path)?.append(&line("online", 9))?;
            let read = JsonLines::read::<Line>(&path)?;
            assert_eq!((read.len(), &read[n_whole]), (n_whole + 1, &line("online", 9)), "cut at {cut}");
        }
        Ok(())
    }

    /// Contract: a record with a number that is not finite is refused by the name of the number; the log stays as it is.
    #[test]
    fn non_finite_numbers_are_refused_by_name() -> Result<(), LogError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evals.jsonl");
        let mut log = JsonLines::open(&path)?;
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut bad = line("offline", 1);
            bad.outcomes[1].turns = value;
            let error = log.append(&bad).unwrap_err().to_string();
            assert!(error.contains("outcomes[1].turns"), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        Ok(())
    }

    /// Contract: what was written after the resumed step goes, in order of stage and then step; all else stays, byte
    /// for byte, even when a later line was written earlier.
    #[test]
    fn truncation_keeps_what_the_checkpoint_knows() -> Result<(), LogError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        JsonLines::truncate_after(&path, &STAGES, "offline", 10)?;
        assert!(!path.exists());
        let moments = [("imitation", 500), ("offline", 10), ("offline", 20), ("offline", 15), ("online", 5)];
        let cases: [(&str, u64, &[usize]); 5] = [
            ("offline", 10, &[0, 1]),
            ("offline", 15, &[0, 1, 3]),
            ("offline", 9, &[0]),
            ("online", 5, &[0, 1, 2, 3, 4]),
            ("imitation", 0, &[]),
        ];
        for (stage, step, kept) in cases {
            storage::write_atomic(&path, b"").unwrap();
            let mut log = JsonLines::open(&path)?;
            for (stage, step) in moments {
                log.append(&line(stage, step))?;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            storage::write_atomic(&path, format!("{text}{{\"stage\":\"of").as_bytes()).unwrap();
            JsonLines::truncate_after(&path, &STAGES, stage, step)?;
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let expected: String = kept.iter().map(|&line_idx| lines[line_idx]).collect();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "{stage} {step}");
        }
        Ok(())
    }

    /// Contract: damage before the last line is an error that names the line, and nothing is dropped because of it.
    #[test]
    fn damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let good = r#"{"stage":"offline","step":1}"#;
        let cases =
            [("{\"stage\":\"offl", "control character"), (r#"{"stage":"baking","step":1}"#, r#"found stage "baking""#)];
        for (bad, reason) in cases {
            let text = format!("{good}\n{bad}\n{good}\n");
            storage::write_atomic(&path, text.as_bytes()).unwrap();
            let error = JsonLines::truncate_after(&path, &STAGES, "imitation", 0).unwrap_err().to_string();
            assert!(error.contains("metrics.jsonl:2: ") && error.contains(reason), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
