//! What can go wrong while showing.

use std::path::PathBuf;
use thiserror::Error;

/// The rollout could not be shown.
#[derive(Debug, Error)]
pub enum ViewerError {
    /// The hand, its scene or its domain is unknown.
    #[error(transparent)]
    Asset(#[from] sim::AssetError),
    /// A setting is not what it may be.
    #[error(transparent)]
    Number(#[from] bridge::number::NumberError),
    /// The environment failed.
    #[error(transparent)]
    Environment(#[from] bridge::EnvironmentError),
    /// The dump cannot be replayed.
    #[error(transparent)]
    Dump(#[from] sim::DumpError),
    /// The configuration of a run cannot be read.
    #[error("run: {0}")]
    Run(#[from] bridge::config::ConfigError),
    /// The policy failed.
    #[error("policy: {0}")]
    Policy(#[from] learn::LearnError),
    /// What is watched cannot be recorded.
    #[error(transparent)]
    Dataset(#[from] bridge::dataset::DatasetError),
    /// The scene has nothing that could be played.
    #[error("scene {scene}: found no demonstrations, expected at least one")]
    NoDemonstration {
        /// Name of the scene.
        scene: String,
    },
    /// A picture could not be encoded as PNG.
    #[error("picture: {0}")]
    Png(#[from] png::EncodingError),
    /// A picture could not be encoded as GIF.
    #[error("animation: {0}")]
    Gif(#[from] gif::EncodingError),
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The window's size changed while a film ran.
    #[error("the window has another size now, and a film has one size")]
    Resized,
    /// The text could not be printed.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
    /// There is nothing to draw with.
    #[error("{reason}")]
    NoRenderer {
        /// What the renderer or the window system said.
        reason: String,
    },
    /// The renderer failed in the middle of its work.
    #[error("the renderer failed: {reason}")]
    Renderer {
        /// What it said.
        reason: String,
    },
}
