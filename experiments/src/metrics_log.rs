//! Every logged scalar, once as a line of `metrics.jsonl` and once as an event for TensorBoard.
//!
//! A line is `{"stage":…,"step":…,"time_s":…,"<name>":<value>,…}`; in TensorBoard the same value has the tag
//! `<stage>/<name>`, because steps may start anew with a stage. The lines are the record, the events are for looking at.

use crate::json_lines::{JsonLines, LogError, Moment};
use crate::tensorboard::EventWriter;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// One line as it is read back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Metrics {
    /// Stage of the training.
    pub stage: String,
    /// Step in that stage.
    pub step: u64,
    /// Time that was spent on the run, s.
    pub time_s: f64,
    /// Everything else on the line, by name.
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
}

/// Logs scalars.
#[derive(Debug)]
pub struct MetricsLog {
    lines: JsonLines,
    events: EventWriter,
}

impl MetricsLog {
    /// Joins a log of lines and an event file.
    #[must_use]
    pub const fn new(lines: JsonLines, events: EventWriter) -> Self {
        Self { lines, events }
    }

    /// Logs the values of one moment.
    ///
    /// # Errors
    /// When a value is not finite or a name is taken (nothing is then logged), or the file system fails.
    pub fn append(&mut self, moment: &Moment<'_>, values: &[(&str, f64)]) -> Result<(), LogError> {
        check(moment, values)?;
        self.lines.append(&Line { moment, values })?;
        let wall_time_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let tags: Vec<String> = values.iter().map(|(name, _)| format!("{}/{name}", moment.stage)).collect();
        let scalars = tags.iter().zip(values).map(|(tag, &(_, value))| (tag.as_str(), value as f32));
        self.events
            .append(wall_time_s, moment.step, scalars)
            .map_err(|source| LogError::Io { path: "tensorboard".into(), source })
    }

    /// Waits until all lines are on disk.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.lines.sync()
    }

    /// Reads all whole lines of a `metrics.jsonl`.
    ///
    /// # Errors
    /// When a line that is not the last is damaged, or the file system fails.
    pub fn read(path: &Path) -> Result<Vec<Metrics>, LogError> {
        JsonLines::read(path)
    }
}

fn check(moment: &Moment<'_>, values: &[(&str, f64)]) -> Result<(), LogError> {
    let time = ("time_s", moment.time_s);
    if let Some(&(name, value)) = values.iter().chain([&time]).find(|(_, value)| !value.is_finite()) {
        let (name, stage, step) = (name.to_owned(), moment.stage.to_owned(), moment.step);
        return Err(LogError::NonFinite { name, value, stage, step });
    }
    let is_taken = |(value_idx, (name, _)): &(usize, &(&str, f64))| {
        ["stage", "step", "time_s"].contains(name) || values[..*value_idx].iter().any(|(earlier, _)| earlier == name)
    };
    match values.iter().enumerate().find(is_taken) {
        Some((_, (name, _))) => Err(LogError::NameTaken { name: (*name).to_owned() }),
        None => Ok(()),
    }
}

/// One line as it is written: the moment first, then the values in the order in which they were given.
struct Line<'a> {
    moment: &'a Moment<'a>,
    values: &'a [(&'a str, f64)],
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(Some(3 + self.values.len()))?;
        line.serialize_entry("stage", self.moment.stage)?;
        line.serialize_entry("step", &self.moment.step)?;
        line.serialize_entry("time_s", &self.moment.time_s)?;
        for (name, value) in self.values {
            line.serialize_entry(name, value)?;
        }
        line.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_in(folder: &Path) -> MetricsLog {
        let lines = JsonLines::open(&folder.join("metrics.jsonl")).unwrap();
        MetricsLog::new(lines, EventWriter::create(folder, "host", 0.0).unwrap())
    }

    /// Contract: a line has the documented form, and its values are read back bit for bit.
    #[test]
    fn lines_have_one_schema() -> Result<(), LogError> {
        let folder = tempfile::tempdir().unwrap();
        let values = [("critic/loss", 0.1 + 0.2), ("actor/entropy", -5e-324)];
        log_in(folder.path()).append(&Moment { stage: "offline", step: 7, time_s: 1.5 }, &values)?;
        let path = folder.path().join("metrics.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        let expected =
            r#"{"stage":"offline","step":7,"time_s":1.5,"critic/loss":0.30000000000000004,"actor/entropy":-5e-324}"#;
        assert_eq!(text, format!("{expected}\n"));
        let read = MetricsLog::read(&path)?;
        assert_eq!((read[0].stage.as_str(), read[0].step, read[0].time_s), ("offline", 7, 1.5));
        assert_eq!(read[0].values, values.map(|(name, value)| (name.to_owned(), value)).into());
        Ok(())
    }

    /// Contract: a value that is not finite and a name that is taken are refused by name, and nothing is logged.
    #[test]
    fn nonsense_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log_in(folder.path());
        let n_event_bytes = |folder: &Path| -> u64 {
            let sizes = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
            sizes.sum()
        };
        let before = n_event_bytes(folder.path());
        let now = Moment { stage: "online", step: 3, time_s: 1.0 };
        type Values<'a> = &'a [(&'a str, f64)];
        let cases: [(Moment<'_>, Values<'_>, &str); 5] = [
            (now, &[("a", 1.0), ("critic/loss", f64::NAN)], "critic/loss is NaN at online step 3"),
            (now, &[("a", f64::NEG_INFINITY)], "a is -inf at online step 3"),
            (Moment { time_s: f64::INFINITY, ..now }, &[], "time_s is inf"),
            (now, &[("a", 1.0), ("a", 2.0)], "the name a is taken"),
            (now, &[("step", 1.0)], "the name step is taken"),
        ];
        for (moment, values, reason) in cases {
            let error = log.append(&moment, values).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(n_event_bytes(folder.path()), before);
    }
}
