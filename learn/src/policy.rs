//! A policy that acts: networks, normalizer and the way in which candidates are chosen. It is a snapshot: the learner
//! goes on without changing it.

use crate::critic::{ChunkCritic, CriticConfig};
use crate::layers::Track;
use crate::policy_net::{PolicyConfig, PolicyNet};
use crate::squash::squash;
use crate::{Acting, Actor, LearnError, Normalizer};
use bridge::random::Rng;
use bridge::{EnvironmentSpec, config, storage};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a policy is besides its weights; `policy.ron` in its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyHeader {
    /// Name: the stage and step that it comes from.
    pub name: String,
    /// The environment that it was made for.
    pub environment: EnvironmentSpec,
    /// H: actions in a chunk.
    pub chunk_len: usize,
    /// What the networks see instead of raw units.
    pub normalizer: Normalizer,
    /// The policy network.
    pub policy: PolicyConfig,
    /// Shape of the critic.
    pub critic: CriticConfig,
    /// How it acts.
    pub acting: Acting,
}

/// A policy that acts.
#[derive(Debug)]
pub struct Policy {
    header: PolicyHeader,
    net: Box<dyn PolicyNet>,
    critic: ChunkCritic,
}

const HEADER_FILE: &str = "policy.ron";
const NET_FILE: &str = "actor.safetensors";
const CRITIC_FILE: &str = "critic.safetensors";

impl Policy {
    /// A policy from its parts.
    #[must_use]
    pub const fn new(header: PolicyHeader, net: Box<dyn PolicyNet>, critic: ChunkCritic) -> Self {
        Self { header, net, critic }
    }

    /// What it is.
    #[must_use]
    pub const fn header(&self) -> &PolicyHeader {
        &self.header
    }

    /// The policy network.
    #[must_use]
    pub fn net(&self) -> &dyn PolicyNet {
        self.net.as_ref()
    }

    /// The critic that chooses among its candidates.
    #[must_use]
    pub const fn critic(&self) -> &ChunkCritic {
        &self.critic
    }

    /// A policy of its own with the same weights.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn deep_clone(&self) -> Result<Self, LearnError> {
        Ok(Self { header: self.header.clone(), net: self.net.deep_clone()?, critic: self.critic.deep_clone()? })
    }

    /// The same networks, acting in another way.
    #[must_use]
    pub fn acting(mut self, acting: Acting) -> Self {
        self.header.acting = acting;
        self
    }

    /// Checks that the policy fits an environment.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_fits(&self, found: &EnvironmentSpec) -> Result<(), LearnError> {
        let made_for = &self.header.environment;
        if made_for == found {
            return Ok(());
        }
        let describe = |spec: &EnvironmentSpec| {
            format!(
                "{} with {}: {} observed values, {} actions at {} Hz, {} steps",
                spec.task, spec.body, spec.observation_len, spec.action_len, spec.control_hz, spec.horizon_steps
            )
        };
        Err(LearnError::Mismatch { made_for: describe(made_for), found: describe(found) })
    }

    /// Writes the policy into `folder`, which must exist.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), LearnError> {
        let unusable = |reason: String| LearnError::Checkpoint { path: folder.to_owned(), reason };
        let header = ron::ser::to_string_pretty(&self.header, ron::ser::PrettyConfig::default())
            .map_err(|error| unusable(error.to_string()))?;
        write(folder, HEADER_FILE, header.as_bytes())?;
        write(folder, NET_FILE, &self.net.params().to_bytes()?)?;
        write(folder, CRITIC_FILE, &self.critic.to_bytes()?)
    }

    /// Reads a policy from the folder that [`Policy::save`] wrote.
    ///
    /// # Errors
    /// When a file is missing, damaged, or does not fit the others.
    pub fn load(folder: &Path) -> Result<Self, LearnError> {
        let unusable = |reason: String| LearnError::Checkpoint { path: folder.to_owned(), reason };
        let header: PolicyHeader =
            config::load(&folder.join(HEADER_FILE)).map_err(|error| unusable(error.to_string()))?;
        let (observation_len, chunk_dim) = (header.normalizer.observation_len(), header.chunk_dim());
        let bytes = read(folder, NET_FILE)?;
        let net = header
            .policy
            .read(observation_len, chunk_dim, &bytes)
            .map_err(|error| unusable(format!("{NET_FILE}: {error}")))?;
        let critic_dim = header.critic.backup.n_actions(header.chunk_len) * header.normalizer.action_len();
        let critic = ChunkCritic::new(header.critic, observation_len, critic_dim, 0, &Device::Cpu)?;
        critic.load_bytes(&read(folder, CRITIC_FILE)?).map_err(|error| unusable(format!("{CRITIC_FILE}: {error}")))?;
        Ok(Self { header, net, critic })
    }

    /// The policy's best normalized chunk for one normalized observation: N candidates at the acting temperature, the one
    /// that the critics value most.
    fn best_chunk(&self, observation: &[f32], rng: &mut Rng) -> Result<Vec<f32>, LearnError> {
        let Acting { n_candidates, temperature } = self.header.acting;
        let n = n_candidates.max(1);
        let observation = Tensor::from_slice(observation, (1, observation.len()), &Device::Cpu)?;
        let noise = self.net.base_noise(n, temperature.f32(), rng);
        let noise = Tensor::from_vec(noise, (n, self.net.noise_len()), &Device::Cpu)?;
        // One row of embedding serves all candidates.
        let embedding = self.net.embed(&observation, Track::Frozen)?;
        let chunks = squash(&self.net.sample(&embedding, &noise, Track::Frozen)?.u)?;
        let best = if n == 1 {
            0
        } else {
            let values = self.critic.value(&observation, &chunks, Track::Frozen)?.to_vec1::<f32>()?;
            // The first of equals, and never a NaN.
            (1..n).fold(0, |best, i| if values[i] > values[best] || values[best].is_nan() { i } else { best })
        };
        Ok(chunks.get(best)?.to_vec1()?)
    }
}

impl PolicyHeader {
    /// H d: values in a chunk.
    #[must_use]
    pub const fn chunk_dim(&self) -> usize {
        self.chunk_len * self.normalizer.action_len()
    }
}

impl Actor for Policy {
    fn name(&self) -> &str {
        &self.header.name
    }

    fn plan(&self, observation: &[f32], rng: &mut Rng, chunk_rad: &mut Vec<f32>) -> Result<(), LearnError> {
        let normalizer = &self.header.normalizer;
        let mut normalized = Vec::with_capacity(observation.len());
        normalizer.observation(observation, &mut normalized);
        let chunk = self.best_chunk(&normalized, rng)?;
        chunk_rad.clear();
        for action in chunk.chunks_exact(normalizer.action_len()) {
            normalizer.action_rad(action, chunk_rad);
        }
        Ok(())
    }
}

pub(crate) fn write(folder: &Path, name: &str, content: &[u8]) -> Result<(), LearnError> {
    let path = folder.join(name);
    storage::write_atomic(&path, content).map_err(|source| LearnError::File { path, source })
}

pub(crate) fn read(folder: &Path, name: &str) -> Result<Vec<u8>, LearnError> {
    let path = folder.join(name);
    std::fs::read(&path).map_err(|source| LearnError::File { path, source })
}
