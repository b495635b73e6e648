//! Episodes that are recorded while they are watched, as a dataset: `dataset.ron` says what they are, `episodes.log` has a frame an
//! episode.
//!
//! An episode is recorded from its start to its end, or to where the recording ends; one that is begun anew is dropped.

use crate::viewer::arguments::Arguments;
use crate::viewer::error::ViewerError;
use bridge::storage::{FrameWriter, read_frames, write_atomic};
use bridge::{Environment, EnvironmentSpec, Episode, Step, config};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const HEADER_FILE: &str = "dataset.ron";
const EPISODES_FILE: &str = "episodes.log";

/// What the episodes of a dataset are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatasetHeader {
    environment: EnvironmentSpec,
    domain: String,
    seed: u64,
}

/// A recording that runs.
pub struct Takes {
    folder: PathBuf,
    writer: FrameWriter,
    /// The one that runs, from its start on.
    episode: Option<Episode>,
    n_recorded: usize,
}

impl Takes {
    /// Records what `arguments` show in `environment` into a dataset in `folder`, or goes on with the one that is there.
    ///
    /// # Errors
    /// When that one is of something else, or the file system fails.
    pub fn open(folder: &Path, arguments: &Arguments, environment: &EnvironmentSpec) -> Result<Self, ViewerError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| ViewerError::File { path, source }
        };
        std::fs::create_dir_all(folder).map_err(file(folder))?;
        let path = folder.join(HEADER_FILE);
        let (environment, domain) = (environment.clone(), arguments.domain_name());
        if path.exists() {
            let found: DatasetHeader = config::load(&path)?;
            if found.environment != environment || found.domain != domain {
                let expected = format!("{} in {domain}", environment.task);
                return Err(ViewerError::Dataset { folder: folder.into(), found: found.domain, expected });
            }
        } else {
            let header = DatasetHeader { environment, domain, seed: arguments.seed };
            let text = ron::ser::to_string_pretty(&header, ron::ser::PrettyConfig::default())?;
            write_atomic(&path, text.as_bytes()).map_err(file(&path))?;
        }
        let log = folder.join(EPISODES_FILE);
        let n_recorded = if log.exists() { read_frames(&log).map_err(file(&log))?.payloads.len() } else { 0 };
        let writer = FrameWriter::open(&log).map_err(file(&log))?;
        Ok(Self { folder: folder.into(), writer, episode: None, n_recorded })
    }

    /// An episode begins with `observation`; one that ran is dropped.
    pub fn begin(&mut self, actor: &str, seed: u64, environment: &dyn Environment, observation: &[f32]) {
        self.episode = Some(Episode::begin(environment.spec(), actor, seed, observation));
    }

    /// A step was taken, to `observation`. An episode that has ended is written.
    ///
    /// # Errors
    /// When a number is not finite, or the file system fails.
    pub fn push(&mut self, step: Step, environment: &dyn Environment, observation: &[f32]) -> Result<(), ViewerError> {
        if let Some(episode) = &mut self.episode {
            episode.push(environment.applied_rad(), step.reward, observation);
        }
        if step.terminated || step.truncated { self.end(environment) } else { Ok(()) }
    }

    /// Writes the episode that runs, if it has a step.
    ///
    /// # Errors
    /// When a number is not finite, or the file system fails.
    pub fn end(&mut self, environment: &dyn Environment) -> Result<(), ViewerError> {
        let Some(mut episode) = self.episode.take().filter(|episode| episode.n_steps() > 0) else { return Ok(()) };
        episode.finish(environment.outcome());
        let failed = |source| ViewerError::File { path: self.folder.join(EPISODES_FILE), source };
        self.writer.append(&episode.encode()?).map_err(failed)?;
        self.n_recorded += 1;
        Ok(())
    }

    /// What it has recorded, in words.
    pub fn summary(&self) -> String {
        format!("{} episodes in {}", self.n_recorded, self.folder.display())
    }
}
