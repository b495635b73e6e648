//! All that led to a fault, as a file: the episode can be lived through again, up to the same fault and with the same bits.
//!
//! A seed names an episode, and the same commands lead to the same bits; so the body's beginnings and what was done to it
//! are enough. That holds for the bodies of the scenes in `assets/`.

use crate::asset::{AssetError, Library};
use crate::collision::FingerContacts;
use crate::domain::Domain;
use crate::scene::CubeScene;
use crate::scissors::{Placement, ScissorsDomain, ScissorsScene};
use crate::simulated::Simulated;
use bridge::config::{self, ConfigError};
use bridge::storage::write_atomic;
use bridge::{Body, BodyError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Where the programs of this project leave the dumps of faults, from where they are run.
pub const FAULT_FOLDER: &str = "out/faults";

/// An episode that ended with a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// What was wrong.
    pub fault: String,
    /// The body.
    pub origin: Origin,
    /// Seed of its reset.
    pub seed: u64,
    /// Every command since then, one a servo period; the last one failed.
    pub commands: Vec<Vec<f32>>,
    /// Every push since then.
    pub pushes: Vec<Push>,
}

/// What a body is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Origin {
    /// That of a cube scene.
    Cube {
        /// Name of the hand.
        hand: String,
        /// Which finger parts touch those of other fingers.
        finger_contacts: FingerContacts,
        /// The domain.
        domain: Domain,
    },
    /// That of a scissors scene.
    Scissors {
        /// Name of the hand.
        hand: String,
        /// The domain.
        domain: ScissorsDomain,
        /// Where case and tape are pinned, if they are.
        pinned_shifts: Vec<Placement>,
    },
}

/// A push on an object.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Commands before it.
    pub tick: usize,
    /// Index of the object in the body's spec.
    pub object: usize,
    /// Impulse, N s.
    pub impulse_n_s: [f32; 3],
}

/// A dump could not be written, read or used.
#[derive(Debug, Error)]
pub enum DumpError {
    /// The file could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no text.
    #[error("dump: {0}")]
    Text(#[from] ron::Error),
    /// It is no dump.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its body cannot be made.
    #[error(transparent)]
    Asset(#[from] AssetError),
}

/// Commands in a block of a history.
const BLOCK_COMMANDS: usize = 128;

/// What was done to a body since its reset. Clones share what is in full blocks: snapshots late in an episode cost what those
/// at its beginning cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    command_len: usize,
    n_commands: usize,
    blocks: Vec<Arc<Vec<f32>>>,
    pushes: Vec<Push>,
}

impl Dump {
    pub(crate) fn new(fault: String, origin: Origin, seed: u64, history: &History) -> Self {
        let blocks = history.blocks.iter();
        let commands =
            blocks.flat_map(|block| block.chunks_exact(history.command_len.max(1))).map(<[f32]>::to_vec).collect();
        Self { fault, origin, seed, commands, pushes: history.pushes.clone() }
    }

    /// Reads a dump.
    ///
    /// # Errors
    /// When the file cannot be read or is no dump.
    pub fn read(path: &Path) -> Result<Self, DumpError> {
        Ok(config::load(path)?)
    }

    /// Writes it into `folder`, under a name that tells body, seed and length.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, DumpError> {
        let (task, hand) = self.origin.names();
        let path = folder.join(format!("{task}_{hand}_{}_{}.ron", self.seed, self.commands.len()));
        // One command a line.
        let pretty = ron::ser::PrettyConfig::new().depth_limit(2);
        let text = ron::ser::to_string_pretty(self, pretty)?;
        let written = std::fs::create_dir_all(folder).and_then(|()| write_atomic(&path, text.as_bytes()));
        written.map_err(|source| DumpError::File { path: path.clone(), source })?;
        Ok(path)
    }

    /// The body, before its reset with [`Dump::seed`].
    ///
    /// # Errors
    /// When there is no such hand or scene.
    pub fn body(&self) -> Result<Box<dyn Simulated>, DumpError> {
        Ok(match &self.origin {
            Origin::Cube { hand, finger_contacts, domain } => {
                Box::new(CubeScene::load(hand)?.with_finger_contacts(*finger_contacts).body(domain.clone()))
            }
            Origin::Scissors { hand, domain, pinned_shifts } => {
                Box::new(ScissorsScene::load(hand)?.with_pinned_shifts(pinned_shifts.clone()).body(domain.clone()))
            }
        })
    }

    /// Does to `body`, which was reset or has taken the ticks before, what was done to it in servo period `tick`. False if
    /// nothing was: the dump ends there.
    ///
    /// # Errors
    /// When the body fails, as it did.
    pub fn tick(&self, tick: usize, body: &mut dyn Simulated) -> Result<bool, BodyError> {
        for push in self.pushes.iter().filter(|push| push.tick == tick) {
            body.push(push.object, push.impulse_n_s);
        }
        let Some(command) = self.commands.get(tick) else { return Ok(false) };
        Body::command(body, command)?;
        Ok(true)
    }
}

impl Origin {
    /// Names of task and hand.
    #[must_use]
    pub fn names(&self) -> (&'static str, &str) {
        match self {
            Self::Cube { hand, .. } => ("cube", Library::of(hand).1),
            Self::Scissors { hand, .. } => ("scissors", Library::of(hand).1),
        }
    }
}

impl History {
    /// Nothing was done yet to a body that takes commands of `command_len` values.
    pub(crate) fn new(command_len: usize) -> Self {
        Self { command_len, ..Self::default() }
    }

    pub(crate) fn command(&mut self, values: &[f32]) {
        if self.n_commands.is_multiple_of(BLOCK_COMMANDS) {
            self.blocks.push(Arc::default());
        }
        self.n_commands += 1;
        if let Some(block) = self.blocks.last_mut() {
            Arc::make_mut(block).extend_from_slice(values);
        }
    }

    pub(crate) fn push(&mut self, object: usize, impulse_n_s: [f32; 3]) {
        self.pushes.push(Push { tick: self.n_commands, object, impulse_n_s });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a clone shares all but its last block with its original; what is done to one of them afterwards is not done to
    /// the other, and a dump of either has all of its own commands, in order.
    #[test]
    fn clones_share_what_is_behind_them() {
        let command = |index: usize| [index as f32, -1.0, 0.5];
        let n_commands = 3 * BLOCK_COMMANDS + 10;
        let mut history = History::new(3);
        (0..n_commands).for_each(|index| history.command(&command(index)));
        let mut branch = history.clone();
        for index in 0..2 * BLOCK_COMMANDS {
            history.command(&command(n_commands + index));
            branch.command(&[7.0; 3]);
        }
        branch.push(0, [1.0; 3]);
        let n_shared = history.blocks.iter().zip(&branch.blocks).take_while(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(n_shared, 3);

        let origin = || Origin::Cube {
            hand: "orca_v2".into(),
            finger_contacts: FingerContacts::Distal,
            domain: Domain::load("exact").unwrap(),
        };
        let [straight, branched] = [&history, &branch].map(|history| Dump::new(String::new(), origin(), 0, history));
        let n_all = n_commands + 2 * BLOCK_COMMANDS;
        let expected: Vec<Vec<f32>> = (0..n_all).map(|index| command(index).to_vec()).collect();
        assert_eq!(straight.commands, expected);
        assert_eq!(branched.commands[..n_commands], expected[..n_commands]);
        assert_eq!(branched.commands[n_commands..], vec![vec![7.0; 3]; 2 * BLOCK_COMMANDS]);
        assert_eq!((straight.pushes.len(), branched.pushes[0].tick), (0, n_all));
    }
}
