//! The data that is compiled into the library, so that a binary runs anywhere.

use bridge::config::{ConfigError, parse};
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A named asset could not be used.
#[derive(Debug, Error)]
pub enum AssetError {
    /// There is none of that name.
    #[error("no {kind} is called `{name}`; known are {}", known.join(", "))]
    Unknown {
        /// What was looked for, e.g. `hand`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
    /// The text is not what the structs describe.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Every field is valid alone, but they do not fit together.
    #[error("{source_name}: {reason}")]
    Inconsistent {
        /// File name, or whatever else tells where the data came from.
        source_name: String,
        /// What was found and what is allowed.
        reason: String,
    },
}

/// One kind of asset: all files of a folder, by name.
pub(crate) struct Shelf {
    kind: &'static str,
    folder: &'static str,
    files: &'static [(&'static str, &'static str)],
}

macro_rules! shelf {
    ($kind:literal, $folder:literal, [$($name:literal),* $(,)?]) => {
        Shelf {
            kind: $kind,
            folder: $folder,
            files: &[$(($name, include_str!(concat!("../../assets/", $folder, "/", $name, ".ron")))),*],
        }
    };
}

pub(crate) const HANDS: Shelf = shelf!("hand", "hands", ["orca_v2", "reference16"]);
pub(crate) const SCENES: Shelf = shelf!("scene", "scenes", ["cube_orca_v2", "cube_reference16", "scissors_orca_v2"]);
pub(crate) const GAITS: Shelf = shelf!(
    "gait",
    "gaits",
    [
        "orca_v2_r5",
        "orca_v2_r5d",
        "orca_v2_r7b",
        "orca_v2_r7d",
        "reference16_trot",
        "reference16_trot_clear",
        "reference16_wave"
    ]
);
pub(crate) const DOMAINS: Shelf =
    shelf!("domain", "domains", ["nominal", "exact", "shifted_orca_v2", "shifted_reference16"]);

pub(crate) const SCISSORS_DOMAINS: Shelf = shelf!(
    "domain of the scissors",
    "domains",
    ["scissors_exact", "scissors_nominal", "scissors_randomised", "scissors_shifted"]
);

impl Shelf {
    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(name, _)| *name)
    }

    /// Where errors say that `name` came from.
    pub(crate) fn source_name(&self, name: &str) -> String {
        format!("assets/{}/{name}.ron", self.folder)
    }

    /// Parses the file called `name`.
    pub(crate) fn load<T: DeserializeOwned>(&self, name: &str) -> Result<T, AssetError> {
        let file = self.files.iter().find(|(known, _)| *known == name);
        let (_, text) = file.ok_or_else(|| AssetError::Unknown {
            kind: self.kind,
            name: name.to_owned(),
            known: self.names().collect(),
        })?;
        Ok(parse(&self.source_name(name), text)?)
    }
}
