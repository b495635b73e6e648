//! A policy that acts: networks, normalizer and the way in which candidates are chosen. It is a snapshot: the learner
//! goes on without changing it.

use crate::chunk::ChunkShape;
use crate::config::no_density;
use crate::critic::{ChunkCritic, CriticConfig};
use crate::layers::Track;
use crate::policy_net::Draw;
use crate::policy_net::{PolicyConfig, PolicyNet};
use crate::squash::{action_log_prob, squash};
use crate::{Acting, Actor, Choice, LearnError, Normalizer};
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
    /// Steps between an observation and the first action that is planned from it.
    pub lead: usize,
    /// What the networks see instead of raw units.
    pub normalizer: Normalizer,
    /// The policy network.
    pub policy: PolicyConfig,
    /// Shape of the critic.
    pub critic: CriticConfig,
    /// How it acts.
    pub acting: Acting,
    /// Candidates that the imitation policy adds where the critics choose among several.
    pub n_frozen: usize,
    /// What chooses among its candidates.
    pub choice: Choice,
}

/// A policy that acts.
#[derive(Debug)]
pub struct Policy {
    header: PolicyHeader,
    net: Box<dyn PolicyNet>,
    /// The imitation policy, where it offers candidates too.
    frozen: Option<Box<dyn PolicyNet>>,
    critic: ChunkCritic,
}

const HEADER_FILE: &str = "policy.ron";
const NET_FILE: &str = "actor.safetensors";
const FROZEN_FILE: &str = "frozen.safetensors";
const CRITIC_FILE: &str = "critic.safetensors";

impl Policy {
    /// A policy from its parts; `frozen` is the imitation policy, where [`PolicyHeader::n_frozen`] asks for its candidates.
    #[must_use]
    pub const fn new(
        header: PolicyHeader,
        net: Box<dyn PolicyNet>,
        frozen: Option<Box<dyn PolicyNet>>,
        critic: ChunkCritic,
    ) -> Self {
        Self { header, net, frozen, critic }
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
        Ok(Self {
            header: self.header.clone(),
            net: self.net.deep_clone()?,
            frozen: self.frozen.as_ref().map(|net| net.deep_clone()).transpose()?,
            critic: self.critic.deep_clone()?,
        })
    }

    /// The same networks, acting in another way.
    #[must_use]
    pub fn acting(mut self, acting: Acting) -> Self {
        self.header.acting = acting;
        self
    }

    /// The same networks, choosing among their candidates in another way.
    ///
    /// # Errors
    /// When the likeliest of several candidates is wanted of a policy without a density.
    pub fn choosing_by(mut self, choice: Choice) -> Result<Self, LearnError> {
        choice.check(self.header.acting.n_candidates, &self.header.policy)?;
        self.header.choice = choice;
        Ok(self)
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
        if let Some(frozen) = &self.frozen {
            write(folder, FROZEN_FILE, &frozen.params().to_bytes()?)?;
        }
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
        let (observation_len, chunk) = (header.state_len(), header.chunk_shape());
        let net = |name: &str| -> Result<Box<dyn PolicyNet>, LearnError> {
            let bytes = read(folder, name)?;
            header
                .policy
                .read(observation_len, chunk, &bytes, &Device::Cpu)
                .map_err(|error| unusable(format!("{name}: {error}")))
        };
        let frozen = (header.n_frozen > 0).then(|| net(FROZEN_FILE)).transpose()?;
        let net = net(NET_FILE)?;
        let read_by_critic = ChunkShape { n_steps: header.critic.backup.n_actions(chunk.n_steps), ..chunk };
        let critic = ChunkCritic::new(header.critic, observation_len, read_by_critic, 0, &Device::Cpu)?;
        critic.load_bytes(&read(folder, CRITIC_FILE)?).map_err(|error| unusable(format!("{CRITIC_FILE}: {error}")))?;
        Ok(Self { header, net, frozen, critic })
    }

    /// What the networks see of a state in raw units, `[1, O]`.
    pub(crate) fn seen(&self, state: &[f32]) -> Result<Tensor, LearnError> {
        let normalizer = &self.header.normalizer;
        let mut normalized = Vec::with_capacity(state.len());
        let (observation, on_the_way_rad) = state.split_at(normalizer.observation_len().min(state.len()));
        normalizer.observation(observation, &mut normalized);
        for action_rad in on_the_way_rad.chunks_exact(normalizer.action_len()) {
            normalizer.action(action_rad, &mut normalized);
        }
        let len = normalized.len();
        Ok(Tensor::from_vec(normalized, (1, len), &Device::Cpu)?)
    }

    /// The actions of a normalized chunk, rad.
    pub(crate) fn chunk_rad(&self, normalized: &[f32]) -> Vec<f32> {
        let normalizer = &self.header.normalizer;
        let mut chunk_rad = Vec::with_capacity(normalized.len());
        for action in normalized.chunks_exact(normalizer.action_len()) {
            normalizer.action_rad(action, &mut chunk_rad);
        }
        chunk_rad
    }

    /// Candidates at the acting temperature: the policy's, then the imitation policy's where it offers some; their density is told
    /// where it is what chooses.
    pub(crate) fn candidates(&self, observation: &Tensor, rng: &mut Rng) -> Result<Draw, LearnError> {
        let Acting { n_candidates, temperature } = self.header.acting;
        let sample = |net: &dyn PolicyNet, n: usize, rng: &mut Rng| -> Result<Draw, LearnError> {
            let noise = net.base_noise(n, temperature.f32(), rng);
            let noise = Tensor::from_vec(noise, (n, net.noise_len()), &Device::Cpu)?;
            // One row of embedding serves all candidates.
            let embedding = net.embed(observation, Track::Frozen)?;
            Ok(match (n_candidates, self.header.choice) {
                (2.., Choice::Likelihood) => net.sample(&embedding, &noise, Track::Frozen)?,
                _ => Draw { u: net.chunks(&embedding, &noise, Track::Frozen)?, log_prob: None },
            })
        };
        let own = sample(self.net.as_ref(), n_candidates.max(1), rng)?;
        if let (Some(frozen), 2.., Choice::Value) = (&self.frozen, n_candidates, self.header.choice) {
            let u = Tensor::cat(&[&own.u, &sample(frozen.as_ref(), self.header.n_frozen, rng)?.u], 0)?;
            return Ok(Draw { u, log_prob: None });
        }
        Ok(own)
    }

    /// Index of the candidate that the critics value most, or that is the likeliest. `chunks` is the squashed `u`.
    pub(crate) fn choose(
        &self,
        observation: &Tensor,
        u: &Tensor,
        log_prob: Option<&Tensor>,
        chunks: &Tensor,
    ) -> Result<usize, LearnError> {
        let n = u.dim(0)?;
        let scores = match (n, self.header.choice, log_prob) {
            (1, ..) => vec![0.0],
            (_, Choice::Value, _) => self.critic.value(observation, chunks, Track::Frozen)?.to_vec1::<f32>()?,
            (_, Choice::Likelihood, Some(log_prob)) => action_log_prob(log_prob, u)?.to_vec1::<f32>()?,
            (_, Choice::Likelihood, None) => return Err(no_density(n, &self.header.policy)),
        };
        // The first of equals, and never a NaN.
        let better = |best: usize, i| if scores[i] > scores[best] || scores[best].is_nan() { i } else { best };
        Ok((1..n).fold(0, better))
    }
}

impl PolicyHeader {
    /// Values that the networks see: an observation and the actions on the way.
    #[must_use]
    pub const fn state_len(&self) -> usize {
        self.normalizer.observation_len() + self.lead * self.normalizer.action_len()
    }

    /// H d: values in a chunk.
    #[must_use]
    pub const fn chunk_dim(&self) -> usize {
        self.chunk_shape().dim()
    }

    /// How they fall into steps.
    #[must_use]
    pub const fn chunk_shape(&self) -> ChunkShape {
        ChunkShape { n_steps: self.chunk_len, action_len: self.normalizer.action_len() }
    }
}

impl Actor for Policy {
    fn name(&self) -> &str {
        &self.header.name
    }

    fn lead(&self) -> usize {
        self.header.lead
    }

    fn plan(&self, state: &[f32], rng: &mut Rng, chunk_rad: &mut Vec<f32>) -> Result<(), LearnError> {
        let observation = self.seen(state)?;
        let Draw { u, log_prob } = self.candidates(&observation, rng)?;
        let chunks = squash(&u)?;
        let chosen_idx = self.choose(&observation, &u, log_prob.as_ref(), &chunks)?;
        *chunk_rad = self.chunk_rad(&chunks.get(chosen_idx)?.to_vec1::<f32>()?);
        match chunk_rad.iter().find(|action_rad| !action_rad.is_finite()) {
            Some(&value) => Err(LearnError::Plan { policy: self.header.name.clone(), value }),
            None => Ok(()),
        }
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
