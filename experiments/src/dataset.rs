//! Recorded episodes on disk: a folder with `dataset.ron`, which says what they are, and `episodes.log`, one frame an
//! episode.

use bridge::storage::{FrameWriter, read_frames, write_atomic};
use bridge::{EnvironmentSpec, Episode, config};
use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const HEADER_FILE: &str = "dataset.ron";
const EPISODES_FILE: &str = "episodes.log";

/// What the episodes of a dataset are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetHeader {
    /// The environment that they were recorded in.
    pub environment: EnvironmentSpec,
    /// Its domain.
    pub domain: String,
    /// The seed that they were drawn from.
    pub seed: u64,
}

/// A dataset that episodes are appended to.
#[derive(Debug)]
pub struct Dataset {
    folder: PathBuf,
    writer: FrameWriter,
    n_episodes: usize,
}

impl Dataset {
    /// Creates a dataset, or opens one with the same header to go on with it.
    ///
    /// # Errors
    /// When there is one with another header, or the file system fails.
    pub fn open(folder: &Path, header: &DatasetHeader) -> Result<Self> {
        std::fs::create_dir_all(folder).wrap_err_with(|| format!("dataset {}", folder.display()))?;
        let path = folder.join(HEADER_FILE);
        if path.exists() {
            let found: DatasetHeader = config::load(&path)?;
            ensure!(&found == header, "dataset {}: it was recorded for something else", folder.display());
        } else {
            let text = ron::ser::to_string_pretty(header, ron::ser::PrettyConfig::default())?;
            write_atomic(&path, text.as_bytes()).wrap_err_with(|| path.display().to_string())?;
        }
        let log = folder.join(EPISODES_FILE);
        let n_episodes = if log.exists() { read_frames(&log)?.payloads.len() } else { 0 };
        let writer = FrameWriter::open(&log).wrap_err_with(|| log.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), writer, n_episodes })
    }

    /// Episodes that it holds.
    pub const fn n_episodes(&self) -> usize {
        self.n_episodes
    }

    /// Appends an episode and waits until it is on disk.
    ///
    /// # Errors
    /// When it is not finite, or the file system fails.
    pub fn append(&mut self, episode: &Episode) -> Result<()> {
        self.append_all(std::slice::from_ref(episode))
    }

    /// Appends episodes that can be made again, and waits once until all of them are on disk.
    ///
    /// # Errors
    /// When one of them is not finite, or the file system fails.
    pub fn append_all(&mut self, episodes: &[Episode]) -> Result<()> {
        let records: Vec<Vec<u8>> = episodes.iter().map(Episode::encode).collect::<Result<_, _>>()?;
        self.writer.append_all(&records).wrap_err_with(|| self.folder.display().to_string())?;
        self.n_episodes += episodes.len();
        Ok(())
    }
}

/// What was read of a dataset.
#[derive(Debug)]
pub struct ReadDataset {
    /// What the episodes are.
    pub header: DatasetHeader,
    /// The episodes.
    pub episodes: Vec<Episode>,
    /// Bytes at the end of the log that held no whole episode.
    pub lost_bytes: u64,
}

/// Reads the episodes of a dataset that may hold none yet.
///
/// # Errors
/// When an episode in it is not one.
pub fn read_or_empty(folder: &Path) -> Result<Vec<Episode>> {
    if folder.join(EPISODES_FILE).exists() { Ok(read(folder)?.episodes) } else { Ok(Vec::new()) }
}

/// Reads a dataset.
///
/// # Errors
/// When it is missing, or an episode in it is not one.
pub fn read(folder: &Path) -> Result<ReadDataset> {
    let header: DatasetHeader = config::load(&folder.join(HEADER_FILE))?;
    let log = folder.join(EPISODES_FILE);
    if !log.exists() {
        bail!("dataset {}: {EPISODES_FILE} is missing", folder.display());
    }
    let frames = read_frames(&log).wrap_err_with(|| log.display().to_string())?;
    let episodes =
        frames.payloads.iter().enumerate().map(|(index, record)| {
            Episode::decode(record).wrap_err_with(|| format!("{}: episode {index}", log.display()))
        });
    Ok(ReadDataset { header, episodes: episodes.collect::<Result<_>>()?, lost_bytes: frames.lost_bytes })
}
