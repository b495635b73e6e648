//! One folder with all that one training produced.
//!
//! ```text
//! runs/X/config.ron            the resolved configuration; written last, it says that X is a run
//!        robot.ron  robot/     the robot, where there is one, and what happened to it
//!        manifest.ron          seed, and for every session commit, version, host, backend, start
//!        metrics.jsonl         every logged scalar; tensorboard/ holds the same
//!        evals.jsonl           every evaluation
//!        checkpoints/ replay/  the learner's
//! ```
//!
//! One process at a time works on a run: a lock, which ends with the process however it ends, keeps others out.

use crate::json_lines::{JsonLines, LogError};
use crate::manifest::{Given, Manifest, SessionRecord};
use crate::metrics_log::MetricsLog;
use crate::tensorboard::EventWriter;
use bridge::config::{self, ConfigError};
use bridge::storage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The robot that a run collects on, where there is one.
pub const ROBOT_FILE: &str = "robot.ron";
/// Every logged scalar.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Every evaluation.
pub const EVALS_FILE: &str = "evals.jsonl";

/// A run could not be created, opened or written.
#[derive(Debug, Error)]
pub enum RunError {
    /// There is a run already.
    #[error("run {}: it exists already, expected a folder without config.ron; --resume continues it", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run.
    #[error("run {}: there is none, expected a folder with config.ron", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Another process works on it.
    #[error("run {}: another process is working on it", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A value has no form in RON.
    #[error("run {}: {file} cannot be written: {source}", path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// The file.
        file: &'static str,
        /// Why.
        source: ron::Error,
    },
    /// The file system failed.
    #[error("run {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest or the configuration was not what it should be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A run's folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    manifest: Manifest,
    /// Held by those who write a run, not by those who look at it.
    _lock: Option<File>,
}

impl RunFolder {
    /// Creates a run with its resolved configuration.
    ///
    /// # Errors
    /// When there is one already, or another process is creating it, or the file system fails.
    pub fn create<C: Serialize>(path: &Path, config: &C, seed: u64, backend: &str) -> Result<Self, RunError> {
        for folder in ["checkpoints", "replay", "tensorboard"] {
            std::fs::create_dir_all(path.join(folder)).map_err(io_error(path))?;
        }
        let lock = lock(path)?;
        if path.join("config.ron").exists() {
            return Err(RunError::Exists { path: path.to_owned() });
        }
        let manifest = Manifest { seed, given: None, sessions: vec![SessionRecord::of_this_process(backend)] };
        write_ron(path, "manifest.ron", &manifest)?;
        write_ron(path, "config.ron", config)?;
        Ok(Self { path: path.to_owned(), manifest, _lock: Some(lock) })
    }

    /// Goes on with a run, in a further session.
    ///
    /// # Errors
    /// When there is none, when another process is working on it, or when the file system fails.
    pub fn resume(path: &Path, backend: &str) -> Result<Self, RunError> {
        let mut run = Self::open(path)?;
        run._lock = Some(lock(path)?);
        run.manifest.sessions.push(SessionRecord::of_this_process(backend));
        write_ron(path, "manifest.ron", &run.manifest)?;
        Ok(run)
    }

    /// Opens a run to look at it and to append evaluations.
    ///
    /// # Errors
    /// When there is none, or its manifest cannot be read.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        if !path.join("config.ron").exists() {
            return Err(RunError::Missing { path: path.to_owned() });
        }
        let manifest = config::load(&path.join("manifest.ron"))?;
        Ok(Self { path: path.to_owned(), manifest, _lock: None })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the run comes from.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Remembers that the run's demonstrations are those of somebody else, also for who goes on with it.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn give(&mut self, given: Given) -> Result<(), RunError> {
        self.manifest.given = Some(given);
        write_ron(&self.path, "manifest.ron", &self.manifest)
    }

    /// The resolved configuration.
    ///
    /// # Errors
    /// When it is not a valid `C`.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C, ConfigError> {
        config::load(&self.path.join("config.ron"))
    }

    /// Writes the robot as it was resolved.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn write_robot<C: Serialize>(&self, robot: &C) -> Result<(), RunError> {
        write_ron(&self.path, ROBOT_FILE, robot)
    }

    /// Folder of the checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Folder of the replay segments.
    #[must_use]
    pub fn replay(&self) -> PathBuf {
        self.path.join("replay")
    }

    /// Log of every scalar, to read with [`MetricsLog::read`].
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS_FILE)
    }

    /// Log of every evaluation, to read with [`JsonLines::read`].
    #[must_use]
    pub fn evals(&self) -> PathBuf {
        self.path.join(EVALS_FILE)
    }

    /// Opens the log of scalars, with an event file of its own for TensorBoard.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn open_metrics(&self) -> Result<MetricsLog, RunError> {
        let lines = JsonLines::open(&self.metrics())?;
        let directory = self.path.join("tensorboard");
        let session = self.manifest.sessions.last();
        let (host, started_s) = session.map_or(("unknown", 0), |last| (last.host.as_str(), last.started_unix_s));
        let events = EventWriter::create(&directory, host, started_s as f64).map_err(io_error(&directory))?;
        Ok(MetricsLog::new(lines, events))
    }

    /// Appends one evaluation and waits until it is on disk. It must say its `stage` and `step`.
    ///
    /// # Errors
    /// When it holds a number that is not finite, or the file system fails.
    pub fn append_eval<T: Serialize>(&self, eval: &T) -> Result<(), LogError> {
        let mut log = JsonLines::open(&self.evals())?;
        log.append(eval)?;
        log.sync()
    }

    /// Drops from both logs what was written after the checkpoint of (`stage`, `step`), from which the run goes on.
    ///
    /// `stages` are all stages in the order of the run.
    ///
    /// # Errors
    /// When a log is damaged (it then stays as it is) or the file system fails.
    pub fn truncate_after(&self, stages: &[&str], stage: &str, step: u64) -> Result<(), LogError> {
        JsonLines::truncate_after(&self.metrics(), stages, stage, step)?;
        JsonLines::truncate_after(&self.evals(), stages, stage, step)
    }
}

fn lock(path: &Path) -> Result<File, RunError> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(".lock"));
    let file = opened.map_err(io_error(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(RunError::Io { path: path.to_owned(), source }),
    }
}

fn write_ron<T: Serialize>(path: &Path, file: &'static str, value: &T) -> Result<(), RunError> {
    let mut text = ron::ser::to_string_pretty(value, ron::ser::PrettyConfig::default())
        .map_err(|source| RunError::Unwritable { path: path.to_owned(), file, source })?;
    text.push('\n');
    storage::write_atomic(&path.join(file), text.as_bytes()).map_err(io_error(&path.join(file)))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_owned();
    |source| RunError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json_lines::Moment;
    use serde::Deserialize;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Config {
        rate: bridge::number::Positive,
        task: String,
    }

    #[derive(Serialize)]
    struct Eval {
        stage: &'static str,
        step: u64,
        turns: Vec<f64>,
    }

    fn config() -> Config {
        Config { rate: 3e-4.try_into().unwrap(), task: "cube".into() }
    }

    const STAGES: [&str; 2] = ["offline", "online"];

    /// Contract: a run is created once, resumed only where there is one, and worked on by one process at a time.
    #[test]
    fn a_run_has_one_owner() -> Result<(), RunError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/run");
        assert!(matches!(RunFolder::resume(&path, "sim"), Err(RunError::Missing { .. })));
        let run = RunFolder::create(&path, &config(), 7, "sim")?;
        assert!(matches!(RunFolder::create(&path, &config(), 7, "sim"), Err(RunError::InUse { .. })));
        assert!(matches!(RunFolder::resume(&path, "sim"), Err(RunError::InUse { .. })));
        assert_eq!(RunFolder::open(&path)?.manifest(), run.manifest());
        drop(run);
        assert!(matches!(RunFolder::create(&path, &config(), 7, "sim"), Err(RunError::Exists { .. })));
        let run = RunFolder::resume(&path, "emulated")?;
        let backends: Vec<&str> = run.manifest().sessions.iter().map(|session| session.backend.as_str()).collect();
        assert_eq!((run.manifest().seed, backends), (7, vec!["sim", "emulated"]));
        assert_eq!(run.config::<Config>()?, config());
        Ok(())
    }

    /// Contract: a process killed while it creates a run leaves nothing that stands in the way of creating it again.
    #[test]
    fn a_half_created_run_is_no_run() -> Result<(), RunError> {
        let folder = tempfile::tempdir().unwrap();
        drop(RunFolder::create(folder.path(), &config(), 7, "sim")?);
        std::fs::remove_file(folder.path().join("config.ron")).unwrap();
        assert!(matches!(RunFolder::open(folder.path()), Err(RunError::Missing { .. })));
        RunFolder::create(folder.path(), &config(), 8, "sim").map(drop)
    }

    /// Contract: a resumed run has exactly the lines of a run that was never stopped, in both logs.
    #[test]
    fn a_resumed_run_logs_as_if_never_stopped() -> Result<(), RunError> {
        let folder = tempfile::tempdir().unwrap();
        let (stopped, whole) = (folder.path().join("stopped"), folder.path().join("whole"));
        let work = |run: &RunFolder, steps: std::ops::RangeInclusive<u64>| -> Result<(), RunError> {
            let mut metrics = run.open_metrics()?;
            for step in steps {
                let moment = Moment { stage: "online", step, time_s: step as f64 };
                metrics.append(&moment, &[("return", step as f64 / 3.0)])?;
                run.append_eval(&Eval { stage: "online", step, turns: vec![0.25; 3] })?;
            }
            Ok(())
        };
        work(&RunFolder::create(&whole, &config(), 7, "sim")?, 1..=9)?;
        work(&RunFolder::create(&stopped, &config(), 7, "sim")?, 1..=6)?;
        let text = std::fs::read(stopped.join("metrics.jsonl")).unwrap();
        storage::write_atomic(&stopped.join("metrics.jsonl"), &text[..text.len() - 5]).unwrap();

        let run = RunFolder::resume(&stopped, "sim")?;
        run.truncate_after(&STAGES, "online", 4)?;
        work(&run, 5..=9)?;
        for log in ["metrics.jsonl", "evals.jsonl"] {
            let read = |path: &Path| std::fs::read_to_string(path.join(log)).unwrap();
            assert_eq!(read(&stopped), read(&whole), "{log}");
        }
        let events = stopped.join("tensorboard");
        let n_event_files = || std::fs::read_dir(&events).unwrap().count();
        assert_eq!(n_event_files(), 2);
        // Nothing is read from there: who tidies it away loses no more than it.
        std::fs::remove_dir_all(&events).unwrap();
        work(&run, 10..=10)?;
        assert_eq!(n_event_files(), 1);
        Ok(())
    }
}
