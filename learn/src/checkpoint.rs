//! Checkpoint folders: `checkpoints/<stage>-<step>/`, whole or absent.
//!
//! Everything is written into a temporary folder beside the others; its `MANIFEST.ron`, written last, holds length and
//! CRC-32 of every file; a rename makes it a checkpoint. A killed process leaves a temporary folder, which the next
//! checkpoint clears away.

use crate::training::{Position, Stage};
use crate::{LearnConfig, LearnError, Policy, Trainer};
use bridge::{config, storage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const MANIFEST_FILE: &str = "MANIFEST.ron";
const POLICY_FOLDER: &str = "policy";
const TEMPORARY_PREFIX: &str = ".writing-";

/// Length and CRC-32 of every file of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointManifest {
    format: u32,
    files: BTreeMap<String, FileSum>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSum {
    bytes: u64,
    crc32: u32,
}

/// The version of the layout described above.
const FORMAT: u32 = 2;

/// A whole checkpoint on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// The stage that it was made in.
    pub stage: Stage,
    /// Gradient steps of the stage that were done.
    pub step: u64,
}

impl Checkpoint {
    /// Writes the trainer, and the policy that would be deployed now, below `checkpoints`.
    ///
    /// # Errors
    /// When a file cannot be written; the checkpoints that there are stay as they are.
    pub fn write(trainer: &Trainer, checkpoints: &Path) -> Result<Self, LearnError> {
        let (stage, step) = finished_stage_and_step(trainer.position(), trainer.config());
        let name = format!("{}-{step}", stage.name());
        let (path, temporary) = (checkpoints.join(&name), checkpoints.join(format!("{TEMPORARY_PREFIX}{name}")));
        let file_error = |path: &Path| {
            let path = path.to_owned();
            move |source| LearnError::File { path, source }
        };
        for stale in list(checkpoints).map_err(file_error(checkpoints))? {
            if stale.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY_PREFIX)) {
                fs::remove_dir_all(&stale).map_err(file_error(&stale))?;
            }
        }
        let policy = temporary.join(POLICY_FOLDER);
        fs::create_dir_all(&policy).map_err(file_error(&policy))?;
        trainer.save(&temporary)?;
        trainer.policy()?.save(&policy)?;

        let manifest = CheckpointManifest { format: FORMAT, files: sums(&temporary).map_err(file_error(&temporary))? };
        let manifest = ron::ser::to_string_pretty(&manifest, ron::ser::PrettyConfig::default())
            .map_err(|error| LearnError::Checkpoint { path: path.clone(), reason: error.to_string() })?;
        storage::write_atomic(&temporary.join(MANIFEST_FILE), manifest.as_bytes()).map_err(file_error(&temporary))?;
        if path.exists() {
            fs::remove_dir_all(&path).map_err(file_error(&path))?;
        }
        fs::rename(&temporary, &path).map_err(file_error(&path))?;
        Ok(Self { path, stage, step })
    }

    /// All whole checkpoints below `checkpoints`, the oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(checkpoints: &Path) -> Result<Vec<Self>, LearnError> {
        let paths = list(checkpoints).map_err(|source| LearnError::File { path: checkpoints.to_owned(), source })?;
        let mut found: Vec<Self> = paths.into_iter().filter_map(|path| Self::of_path(&path)).collect();
        found.sort_by_key(|checkpoint| (checkpoint.stage, checkpoint.step));
        Ok(found)
    }

    /// The checkpoint in a folder, if its name and its manifest say that it is one.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let (stage, step) = path.file_name()?.to_str()?.split_once('-')?;
        let stage = Stage::ALL.into_iter().find(|known| known.name() == stage)?;
        path.join(MANIFEST_FILE).exists().then_some(Self { path: path.to_owned(), stage, step: step.parse().ok()? })
    }

    /// Checks every file that the manifest names.
    ///
    /// # Errors
    /// When one is missing or damaged.
    pub fn verify(&self) -> Result<(), LearnError> {
        let unusable = |reason: String| LearnError::Checkpoint { path: self.path.clone(), reason };
        let manifest: CheckpointManifest =
            config::load(&self.path.join(MANIFEST_FILE)).map_err(|error| unusable(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(unusable(format!("it has format {}, this program reads format {FORMAT}", manifest.format)));
        }
        let found = sums(&self.path).map_err(|source| LearnError::File { path: self.path.clone(), source })?;
        for (name, expected) in &manifest.files {
            match found.get(name) {
                None => return Err(unusable(format!("{name} is missing"))),
                Some(found) if found != expected => {
                    let (found, expected) = (found.bytes, expected.bytes);
                    return Err(unusable(format!(
                        "{name} is damaged: {found} bytes, expected {expected} with another content"
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The policy that would have been deployed at this point.
    ///
    /// # Errors
    /// When the checkpoint is damaged.
    pub fn policy(&self) -> Result<Policy, LearnError> {
        self.verify()?;
        Policy::load(&self.path.join(POLICY_FOLDER))
    }

    /// Whether it was made at the end of a stage of a training with `config`.
    #[must_use]
    pub fn ends_stage(&self, config: &LearnConfig) -> bool {
        self.step == Position::n_steps(self.stage, config)
    }

    /// Removes it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(&self) -> Result<(), LearnError> {
        fs::remove_dir_all(&self.path).map_err(|source| LearnError::File { path: self.path.clone(), source })
    }
}

/// The policy that `path` means: the newest of a run, that of a checkpoint, or one that was saved by itself.
///
/// # Errors
/// When there is no policy, or it is damaged.
pub fn find_policy(path: &Path) -> Result<Policy, LearnError> {
    let checkpoints = path.join("checkpoints");
    if checkpoints.is_dir() {
        let newest = Checkpoint::list(&checkpoints)?.pop();
        let none = || LearnError::Checkpoint { path: checkpoints, reason: "there is none yet".into() };
        return newest.ok_or_else(none)?.policy();
    }
    match Checkpoint::of_path(path) {
        Some(checkpoint) => checkpoint.policy(),
        None => Policy::load(path),
    }
}

/// Steps that are done, told by the stage that they belong to: the end of a stage is not the start of the next, nor of one
/// after it where that has no steps.
fn finished_stage_and_step(position: Position, config: &LearnConfig) -> (Stage, u64) {
    let (stage, step) = position.stage_and_step(config);
    if step > 0 {
        return (stage, step);
    }
    let before = Stage::ALL.into_iter().rev().filter(|&before| before < stage);
    let with_steps = before.map(|before| (before, Position::n_steps(before, config))).find(|&(_, steps)| steps > 0);
    with_steps.unwrap_or((stage, 0))
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// Sums of all files below `folder` but the manifest, by relative path.
fn sums(folder: &Path) -> io::Result<BTreeMap<String, FileSum>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        for path in list(&folder)? {
            let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
            if path.is_dir() {
                folders.push((format!("{name}/"), path));
            } else if name != MANIFEST_FILE {
                let content = fs::read(&path)?;
                found.insert(name, FileSum { bytes: content.len() as u64, crc32: storage::crc32(&content) });
            }
        }
    }
    Ok(found)
}
