//! The data that is compiled into the library, so that a binary runs anywhere.

use bridge::config::{ConfigError, parse};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
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
    /// A hand's file has no scene beside it.
    #[error(
        "hand {hand}: it has no scene for this task: expected one in {}, with a gait; docs/hands.md says how",
        path.display()
    )]
    NoScene {
        /// The hand's file.
        hand: String,
        /// Where its scene is looked for.
        path: PathBuf,
    },
    /// Every field is valid alone, but they do not fit together.
    #[error("{source_name}: {reason}")]
    Inconsistent {
        /// File name, or whatever else tells where the data came from.
        source_name: String,
        /// What was found and what is allowed.
        reason: String,
    },
}

/// Where a hand, its scenes and its gaits are: all in one place.
pub(crate) enum Library {
    /// In the library itself.
    BuiltIn,
    /// In the folder of the hand's file: `cube_<hand>.ron` is its scene, `<gait>.ron` a gait.
    Folder(PathBuf),
}

impl Library {
    /// The one in which the hand at `address` is, and the hand's name there.
    pub(crate) fn of(address: &str) -> (Self, &str) {
        let path = Path::new(address);
        match (address.strip_suffix(".ron"), path.file_stem().and_then(|stem| stem.to_str())) {
            (Some(_), Some(name)) => (Self::Folder(path.parent().unwrap_or(Path::new("")).to_owned()), name),
            _ => (Self::BuiltIn, address),
        }
    }

    /// Where errors say that `name` came from.
    pub(crate) fn source_name(&self, shelf: &Shelf, name: &str) -> String {
        match self {
            Self::BuiltIn => shelf.source_name(name),
            Self::Folder(folder) => folder.join(format!("{name}.ron")).display().to_string(),
        }
    }

    /// Parses the scene called `name` of the hand at `address`.
    pub(crate) fn load_scene<T: DeserializeOwned>(&self, name: &str, address: &str) -> Result<T, AssetError> {
        match (self, self.load(&SCENES, name)) {
            (Self::Folder(_), Err(AssetError::Config(ConfigError::Unreadable { path, .. }))) => {
                Err(AssetError::NoScene { hand: address.to_owned(), path })
            }
            (_, result) => result,
        }
    }

    /// Parses what is called `name`.
    pub(crate) fn load<T: DeserializeOwned>(&self, shelf: &Shelf, name: &str) -> Result<T, AssetError> {
        Ok(parse(&self.source_name(shelf, name), &self.text(shelf, name)?)?)
    }

    /// The text of what is called `name`.
    pub(crate) fn text(&self, shelf: &Shelf, name: &str) -> Result<Cow<'static, str>, AssetError> {
        match self {
            Self::BuiltIn => shelf.text(name).map(Cow::Borrowed),
            Self::Folder(folder) => {
                let path = folder.join(format!("{name}.ron"));
                let read = std::fs::read_to_string(&path);
                Ok(Cow::Owned(read.map_err(|source| ConfigError::Unreadable { path, source })?))
            }
        }
    }
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

pub(crate) const HANDS: Shelf = shelf!(
    "hand",
    "hands",
    ["orca_v2", "reference16", "orca_v2_left", "orca_v2_tendons", "orca_v2_torques", "orca_v2_wrist"]
);
pub(crate) const SCENES: Shelf = shelf!("scene", "scenes", ["cube_orca_v2", "cube_reference16", "scissors_orca_v2"]);
pub(crate) const GAITS: Shelf = shelf!(
    "gait",
    "gaits",
    [
        "orca_v2_r5",
        "orca_v2_r5d",
        "orca_v2_r7b",
        "orca_v2_r7d",
        "orca_v2_tendons_r7d",
        "orca_v2_torques_r5d",
        "reference16_trot",
        "reference16_trot_clear",
        "reference16_wave"
    ]
);
pub(crate) const DOMAINS: Shelf = shelf!(
    "domain",
    "domains",
    ["nominal", "exact", "randomised", "shifted_orca_v2", "shifted_reference16", "tendons_orca_v2"]
);

pub(crate) const SCISSORS_DOMAINS: Shelf = shelf!(
    "domain of the scissors",
    "domains",
    ["scissors_exact", "scissors_nominal", "scissors_randomised", "scissors_shifted", "scissors_tendons"]
);

impl Shelf {
    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(name, _)| *name)
    }

    /// All names, each with what its file begins to say of itself.
    pub(crate) fn described(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.files.iter().map(|(name, text)| (*name, first_words(text)))
    }

    /// Where errors say that `name` came from.
    pub(crate) fn source_name(&self, name: &str) -> String {
        format!("assets/{}/{name}.ron", self.folder)
    }

    /// Parses the file called `name`.
    pub(crate) fn load<T: DeserializeOwned>(&self, name: &str) -> Result<T, AssetError> {
        Ok(parse(&self.source_name(name), self.text(name)?)?)
    }

    fn text(&self, name: &str) -> Result<&'static str, AssetError> {
        let file = self.files.iter().find(|(known, _)| *known == name);
        let unknown = || AssetError::Unknown { kind: self.kind, name: name.to_owned(), known: self.names().collect() };
        file.map(|(_, text)| *text).ok_or_else(unknown)
    }
}

/// What the comment at the beginning of a file says up to its first stop, colon or semicolon.
fn first_words(text: &str) -> String {
    let comment = text.lines().map_while(|line| line.strip_prefix("//")).map(str::trim).collect::<Vec<_>>().join(" ");
    let end = [". ", ": ", "; "].iter().filter_map(|stop| comment.find(stop)).min();
    comment[..end.unwrap_or(comment.len())].trim_end_matches('.').to_owned()
}
