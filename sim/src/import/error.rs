//! Why a hand cannot be read.

use crate::asset::AssetError;
use std::path::PathBuf;
use thiserror::Error;

/// A hand could not be read from a file.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than any description of a hand.
    #[error("{}: found {found_bytes} bytes, expected at most {max_bytes}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found_bytes: u64,
        /// What is read at most.
        max_bytes: u64,
    },
    /// Something in a file is not what it has to be, or is not supported.
    #[error("{place}: {reason}")]
    Invalid {
        /// File, line and element.
        place: String,
        /// What was found, what is expected, what to do.
        reason: String,
    },
    /// What was read makes no hand.
    #[error(transparent)]
    Hand(#[from] AssetError),
}

impl ImportError {
    pub(crate) fn invalid(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), reason: reason.into() }
    }
}
