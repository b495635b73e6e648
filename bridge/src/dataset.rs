//! Recorded episodes on disk: a folder with `dataset.ron`, which says what they are, and `episodes.log`, one frame an
//! episode.

use crate::config::{self, ConfigError};
use crate::storage::{FrameWriter, read_frames, write_atomic};
use crate::{CubeReward, EnvironmentSpec, Episode, EpisodeError};
use serde::{Deserialize, Serialize};
use std::io;
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
    /// What was rewarded, of a cube; other tasks reward one thing only.
    #[serde(default)]
    pub reward: CubeReward,
}

/// Why a dataset cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// There is none, or it does not say what it is.
    #[error("dataset: {0}")]
    Header(#[from] ConfigError),
    /// There is one of something else.
    #[error(
        "dataset {}: found episodes of {found}, expected those of {expected}; record into another folder",
        folder.display()
    )]
    Other {
        /// Its folder.
        folder: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// An episode is not one.
    #[error("{}: episode {index}: {source}", path.display())]
    Episode {
        /// The file; the folder of one that was to be written.
        path: PathBuf,
        /// Which.
        index: usize,
        /// Why not.
        source: EpisodeError,
    },
    /// The file system fails.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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
    /// When there is one with another header, or the file system fails. One whose log was damaged where it lay
    /// ([`crate::storage::Damaged`]) stays what it is.
    pub fn open(folder: &Path, header: &DatasetHeader) -> Result<Self, DatasetError> {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        if let Some(found) = header_of(folder)? {
            if &found != header {
                let (found, expected) = (told(&found), told(header));
                return Err(DatasetError::Other { folder: folder.to_owned(), found, expected });
            }
        } else {
            let path = folder.join(HEADER_FILE);
            let text = ron::ser::to_string_pretty(header, ron::ser::PrettyConfig::default())
                .map_err(|error| failed(&path)(io::Error::other(error)))?;
            write_atomic(&path, text.as_bytes()).map_err(failed(&path))?;
        }
        let log = folder.join(EPISODES_FILE);
        let n_episodes = if log.exists() { read_frames(&log).map_err(failed(&log))?.payloads.len() } else { 0 };
        let writer = FrameWriter::open(&log).map_err(failed(&log))?;
        Ok(Self { folder: folder.to_owned(), writer, n_episodes })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Episodes that it holds.
    #[must_use]
    pub const fn n_episodes(&self) -> usize {
        self.n_episodes
    }

    /// Appends an episode and waits until it is on disk.
    ///
    /// # Errors
    /// When it is not finite, or the file system fails.
    pub fn append(&mut self, episode: &Episode) -> Result<(), DatasetError> {
        self.append_all(std::slice::from_ref(episode))
    }

    /// Appends episodes that can be made again, and waits once until all of them are on disk.
    ///
    /// # Errors
    /// When one of them is not finite, or the file system fails. Then none of them is appended.
    pub fn append_all(&mut self, episodes: &[Episode]) -> Result<(), DatasetError> {
        let encode = |(index, episode): (usize, &Episode)| {
            episode.encode().map_err(|source| DatasetError::Episode { path: self.folder.clone(), index, source })
        };
        let records: Vec<Vec<u8>> = episodes.iter().enumerate().map(encode).collect::<Result<_, _>>()?;
        self.writer.append_all(&records).map_err(failed(&self.folder))?;
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

/// What the dataset in `folder` says that it is; none where there is no dataset.
///
/// # Errors
/// When it cannot be read.
pub fn header_of(folder: &Path) -> Result<Option<DatasetHeader>, DatasetError> {
    let path = folder.join(HEADER_FILE);
    if path.exists() { Ok(Some(config::load(&path)?)) } else { Ok(None) }
}

/// Reads the episodes of a dataset that may hold none yet.
///
/// # Errors
/// When an episode in it is not one.
pub fn read_or_empty(folder: &Path) -> Result<Vec<Episode>, DatasetError> {
    if folder.join(EPISODES_FILE).exists() { Ok(read(folder)?.episodes) } else { Ok(Vec::new()) }
}

/// Reads a dataset.
///
/// # Errors
/// When it is missing, or an episode in it is not one.
pub fn read(folder: &Path) -> Result<ReadDataset, DatasetError> {
    let header: DatasetHeader = config::load(&folder.join(HEADER_FILE))?;
    let log = folder.join(EPISODES_FILE);
    let frames = read_frames(&log).map_err(failed(&log))?;
    let episodes = frames.payloads.iter().enumerate().map(|(index, record)| {
        Episode::decode(record).map_err(|source| DatasetError::Episode { path: log.clone(), index, source })
    });
    Ok(ReadDataset { header, episodes: episodes.collect::<Result<_, _>>()?, lost_bytes: frames.lost_bytes })
}

fn told(header: &DatasetHeader) -> String {
    let DatasetHeader { environment, domain, seed, reward } = header;
    format!("{} on {} in {domain}, seed {seed}, reward {reward:?}", environment.task, environment.body)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> DatasetError {
    let path = path.to_owned();
    move |source| DatasetError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a dataset with a damaged byte in its middle is not gone on with and loses nothing; file, byte and what to do are
    /// said. One whose end was torn off is.
    #[test]
    fn a_damaged_dataset_is_kept() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let environment = EnvironmentSpec::of_one_value(2);
        let mut episode = Episode::begin(&environment, "nobody", 1, &[0.0]);
        episode.push(&[0.5], 1.0, &[0.5]);
        let header = DatasetHeader { environment, domain: "nominal".into(), seed: 1, reward: CubeReward::default() };
        Dataset::open(folder.path(), &header)?.append_all(&[episode.clone(), episode.clone(), episode])?;

        let path = folder.path().join(EPISODES_FILE);
        let bytes = std::fs::read(&path)?;
        let frame_bytes = bytes.len() / 3;
        let mut damaged = bytes.clone();
        damaged[frame_bytes + 20] ^= 1;
        write_atomic(&path, &damaged)?;
        let error = Dataset::open(folder.path(), &header).err().ok_or("it was opened")?.to_string();
        for told in
            [path.display().to_string(), format!("at byte {frame_bytes} "), format!("truncate -s {frame_bytes} ")]
        {
            assert!(error.contains(&told), "{error}");
        }
        assert_eq!(std::fs::read(&path)?, damaged);

        write_atomic(&path, &bytes[..bytes.len() - 1])?;
        assert_eq!(Dataset::open(folder.path(), &header)?.n_episodes(), 2);
        Ok(())
    }
}
