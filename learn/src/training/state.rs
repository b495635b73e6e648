//! A trainer on disk: weights, targets, optimisers and counters. Batches and noise are named by counters, so no generator
//! state is needed; episodes have a log of their own, of which only their number is kept here.

use super::{Position, Published, Stage, Trainer};
use crate::adamw::AdamWError;
use crate::gate::Returns;
use crate::policy::{read, write};
use crate::policy_net::PolicyNet;
use crate::{Acting, LearnConfig, LearnError, Policy};
use bridge::{EnvironmentSpec, Episode, config};
use serde::{Deserialize, Serialize};
use std::path::Path;

const STATE_FILE: &str = "trainer.ron";
const DEPLOYED_FOLDER: &str = "deployed";
const CHALLENGER_FOLDER: &str = "challenger";

/// The counters of a trainer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerState {
    /// Where it stands.
    pub position: Position,
    /// Own episodes that it has accepted.
    pub n_online_episodes: usize,
    /// Weight of the KL in A3, or of the entropy in A2 where that is tuned. Q ranges per nat.
    pub beta: f64,
    /// Predicted minus realised value at the last collection, Q ranges.
    pub calibration_gap: f64,
    /// The seed of its randomness.
    pub seed: u64,
    /// The environment that it learns for.
    pub environment: EnvironmentSpec,
    /// What the deployed policy's episodes returned, when one is deployed.
    pub deployed: Option<Returns>,
    /// The same for its challenger.
    pub challenger: Option<Returns>,
}

impl TrainerState {
    /// Reads the counters of a trainer that [`Trainer::save`] wrote.
    ///
    /// # Errors
    /// When they are missing or damaged.
    pub fn load(folder: &Path) -> Result<Self, LearnError> {
        config::load(&folder.join(STATE_FILE))
            .map_err(|error| LearnError::Checkpoint { path: folder.to_owned(), reason: error.to_string() })
    }
}

impl Trainer {
    /// Writes everything but the episodes into `folder`, which must exist.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), LearnError> {
        let returns = |published: &Option<Published>| published.as_ref().map(|published| published.returns);
        let state = TrainerState {
            position: self.position,
            n_online_episodes: self.online.n_episodes(),
            beta: self.beta,
            calibration_gap: self.calibration_gap,
            seed: self.seed,
            environment: self.environment.clone(),
            deployed: returns(&self.deployed),
            challenger: returns(&self.challenger),
        };
        let state = ron::ser::to_string_pretty(&state, ron::ser::PrettyConfig::default())
            .map_err(|error| LearnError::Checkpoint { path: folder.to_owned(), reason: error.to_string() })?;
        write(folder, STATE_FILE, state.as_bytes())?;
        write(folder, "actor.safetensors", &self.actor.params().to_bytes()?)?;
        let unusable =
            |error: AdamWError| LearnError::Checkpoint { path: folder.to_owned(), reason: error.to_string() };
        let optimizer = self.actor_optimizer.to_bytes(self.actor.params()).map_err(unusable)?;
        write(folder, "actor_optimizer.safetensors", &optimizer)?;
        write(folder, "reference.safetensors", &self.reference.params().to_bytes()?)?;
        write(folder, "average.safetensors", &self.average.params().to_bytes()?)?;
        if let Some(anchor) = &self.anchor {
            write(folder, "anchor.safetensors", &anchor.params().to_bytes()?)?;
        }
        write(folder, "critic.safetensors", &self.critic.to_bytes()?)?;
        write(folder, "target_critic.safetensors", &self.target_critic.to_bytes()?)?;
        for (member, (critic, optimizer)) in self.critic.members().iter().zip(&self.critic_optimizers).enumerate() {
            let bytes = optimizer.to_bytes(critic.params()).map_err(unusable)?;
            write(folder, &critic_optimizer_file(member), &bytes)?;
        }
        for (name, published) in [(DEPLOYED_FOLDER, &self.deployed), (CHALLENGER_FOLDER, &self.challenger)] {
            if let Some(published) = published {
                let path = folder.join(name);
                std::fs::create_dir_all(&path).map_err(|source| LearnError::File { path: path.clone(), source })?;
                published.policy.save(&path)?;
            }
        }
        Ok(())
    }

    /// A trainer that goes on where the one that wrote `folder` stood. `demonstrations` are those that it began with,
    /// `online_episodes` the first [`TrainerState::n_online_episodes`] of its log.
    ///
    /// # Errors
    /// When a file is missing or damaged, or belongs to another training. Nothing is then half loaded.
    pub fn resume(
        config: LearnConfig,
        environment: EnvironmentSpec,
        demonstrations: &[Episode],
        online_episodes: &[Episode],
        imitation: impl Into<Acting>,
        folder: &Path,
    ) -> Result<Self, LearnError> {
        let unusable = |reason: String| LearnError::Checkpoint { path: folder.to_owned(), reason };
        let state = TrainerState::load(folder)?;
        if state.environment != environment {
            return Err(unusable("it was made for another environment".into()));
        }
        if state.n_online_episodes != online_episodes.len() {
            let (wanted, found) = (state.n_online_episodes, online_episodes.len());
            return Err(unusable(format!("it has learned from {wanted} own episodes, {found} were found")));
        }
        let mut trainer = Self::new(config, environment, demonstrations, imitation, state.seed)?;
        for episode in online_episodes {
            trainer.online.push(episode, &trainer.normalizer);
        }
        trainer.position = state.position;
        // What has not learned yet is as the configuration starts it, also where the checkpoint was made under another one.
        let reached = state.position.stage_and_step(&trainer.config);
        let (critic_has_learned, actor_has_improved) = (reached > (Stage::Warmup, 0), reached > (Stage::Offline, 0));
        if actor_has_improved {
            trainer.beta = state.beta;
        }
        trainer.calibration_gap = state.calibration_gap;
        let (policy, state_len) = (trainer.config.policy, trainer.config.state_len(&trainer.environment));
        let chunk = trainer.chunk_shape();
        let net = |name: &str| -> Result<Box<dyn PolicyNet>, LearnError> {
            let bytes = read(folder, name)?;
            policy.read(state_len, chunk, &bytes, &trainer.device).map_err(|error| unusable(format!("{name}: {error}")))
        };
        trainer.actor = net("actor.safetensors")?;
        trainer.reference = net("reference.safetensors")?;
        trainer.average = net("average.safetensors")?;
        if trainer.anchor.is_some() {
            let name = if actor_has_improved { "anchor.safetensors" } else { "reference.safetensors" };
            trainer.anchor = Some(net(name)?);
        }
        let optimizer_error = |name: &str, error: AdamWError| unusable(format!("{name}: {error}"));
        let (name, params) = ("actor_optimizer.safetensors", trainer.actor.params());
        let bytes = read(folder, name)?;
        trainer.actor_optimizer.load_bytes(params, &bytes).map_err(|error| optimizer_error(name, error))?;
        if critic_has_learned {
            trainer.critic.load_bytes(&read(folder, "critic.safetensors")?)?;
            trainer.target_critic.load_bytes(&read(folder, "target_critic.safetensors")?)?;
            for (member, optimizer) in trainer.critic_optimizers.iter_mut().enumerate() {
                let (name, params) = (critic_optimizer_file(member), trainer.critic.members()[member].params());
                optimizer.load_bytes(params, &read(folder, &name)?).map_err(|error| optimizer_error(&name, error))?;
            }
        }
        let load = |name: &str, returns: Option<Returns>| -> Result<Option<Published>, LearnError> {
            returns.map(|returns| Ok(Published { policy: Policy::load(&folder.join(name))?, returns })).transpose()
        };
        trainer.deployed = load(DEPLOYED_FOLDER, state.deployed).map_err(|error| unusable(error.to_string()))?;
        trainer.challenger = load(CHALLENGER_FOLDER, state.challenger).map_err(|error| unusable(error.to_string()))?;
        Ok(trainer)
    }
}

fn critic_optimizer_file(member: usize) -> String {
    format!("critic_optimizer_{member}.safetensors")
}
