//! The learner: a normalizing-flow policy with exact likelihoods over whole action chunks, a critic that scores whole
//! chunks, and the four stages that improve the one by the other.
//!
//! - [`Trainer`] is the four stages: it says what is to be done, takes gradient steps, takes episodes.
//! - [`Policy`] is a snapshot that acts: N candidate chunks, the critic chooses, or their likelihood.
//! - [`PolicyNet`] is what a policy network offers, [`flow::Flow`] the one of the method; [`critic::ChunkCritic`] scores its
//!   chunks; [`objectives`] is what the actor improves.
//!
//! Invariants:
//! - The learner knows environments and nothing behind them: no robot, no clock, no hardware's file format.
//! - The same seed gives the same bits on a CPU, whatever the number of threads; a resumed training never notices.
//! - Only `kernels` holds unsafe code.
//! - A number that is not finite never reaches the weights, the replay or a checkpoint.

// What is learned, from the outside in.
mod checkpoint;
mod config;
mod deliberation;
mod error;
pub mod gate;
mod likelihood;
mod normalizer;
pub mod objectives;
mod policy;
pub mod replay;
mod rollout;
pub mod training;

// The networks.
pub mod chunk;
pub mod critic;
pub mod flow;
pub mod hl_gauss;
pub mod layers;
pub mod policy_net;
pub mod squash;
pub mod standardizer;
pub mod transformer;

// The numerics under them.
pub mod adamw;
pub mod kernels;
pub mod noise;
pub mod ops;
pub mod params;
pub mod shards;
pub mod tensor_file;

pub use checkpoint::{Checkpoint, find_policy};
pub use config::{
    Acting, ActionRange, Choice, Compute, EntropyTuning, Gate, ImitationConfig, LearnConfig, Objective, OnlineConfig,
    Reference,
};
pub use deliberation::Deliberation;
pub use error::LearnError;
pub use kernels::configure_process;
pub use normalizer::Normalizer;
pub use policy::{Policy, PolicyHeader};
pub use policy_net::{PolicyConfig, PolicyNet};
pub use rollout::{Actor, MakeEnvironment, Schedule, play, play_all};
pub use training::{Boundary, Metrics, Position, Stage, StepReport, Trainer, TrainerState, Work, episode_seed};
