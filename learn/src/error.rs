//! What can go wrong in the learner.

use crate::adamw::AdamWError;
use crate::critic::CriticError;
use crate::flow::FlowError;
use crate::params::ParamsError;
use crate::shards::GradientError;
use std::path::PathBuf;
use thiserror::Error;

/// The learner could not go on.
#[derive(Debug, Error)]
pub enum LearnError {
    /// A tensor operation failed.
    #[error("tensor: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A flow could not be made or read.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A critic could not be made.
    #[error(transparent)]
    Critic(#[from] CriticError),
    /// Parameters could not be copied, read or written.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A gradient could not be computed.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// An optimiser refused a step, which is then not finished: the trainer can only be loaded again.
    #[error("{stage} step {step}: {source}; the last checkpoint is from before it")]
    Update {
        /// In which stage.
        stage: &'static str,
        /// In which step of it.
        step: u64,
        /// Why.
        source: AdamWError,
    },
    /// The environment failed.
    #[error(transparent)]
    Environment(#[from] bridge::EnvironmentError),
    /// An episode is not one.
    #[error(transparent)]
    Episode(#[from] bridge::EpisodeError),
    /// There is nothing to learn from.
    #[error("no data: wanted {wanted}")]
    NoData {
        /// What was wanted.
        wanted: &'static str,
    },
    /// A number became not finite. The step is not finished: the trainer can only be loaded again.
    #[error(
        "{quantity} is {value} in {stage} step {step}, expected a finite number; the last checkpoint is from before it"
    )]
    NonFinite {
        /// Which number.
        quantity: String,
        /// What it is.
        value: f64,
        /// In which stage.
        stage: &'static str,
        /// In which step of it.
        step: u64,
    },
    /// A policy planned no number.
    #[error("policy {policy}: a planned action is {value} rad, expected a finite number; is what it was shown finite?")]
    Plan {
        /// Name of the policy.
        policy: String,
        /// What it planned.
        value: f32,
    },
    /// A checkpoint cannot be used.
    #[error("checkpoint {}: {reason}", path.display())]
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A policy does not fit an environment.
    #[error("the policy was made for {made_for}, the environment is {found}")]
    Mismatch {
        /// What the policy fits.
        made_for: String,
        /// What it was given.
        found: String,
    },
    /// A configuration makes no sense.
    #[error("{field}: {reason}")]
    Config {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
