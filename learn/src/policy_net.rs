//! The seam between the learner and the networks that it can train.
//!
//! A policy network is a conditional law of chunks `u [r, D]`, before the squash of [`crate::squash`], given observations
//! `o [r, O]`. The learner asks it for samples with a way back to the weights, for an imitation loss, and, where it has one,
//! for a density; nothing else of it is known outside of its module. All randomness is handed in, as plain numbers.
//!
//! | network | draws | density | imitation loss of a row |
//! |---|---|---|---|
//! | flow | invertible map of noise | exact | `-ln p(u|o)` |
//! | Gaussian | mean and standard deviation | exact | `-ln p(u|o)` |
//! | mixture | one of K Gaussians | exact | `-ln p(u|o)` |
//! | flow matching | Euler steps, or a student's one step | - | squared error of the velocity (and of the student) |
//! | diffusion | DDPM or DDIM steps | - | squared error of the noise |
//! | deterministic | one chunk, clipped noise | - | squared error of the chunk |
//!
//! Squared errors are summed over the dimensions of standardised chunks, so that all imitation losses grow with them alike.

mod deterministic;
mod diffusion;
mod flow;
mod flow_matching;
mod gaussian;
mod mixture;
mod standardized;
mod time;

use crate::LearnError;
use crate::chunk::ChunkShape;
use crate::flow::{Couplings, Flow, FlowConfig, Partition};
use crate::layers::{MlpSize, Track};
use crate::noise::tempered;
use crate::params::{Params, ParamsError};
use bridge::number::{NonNegative, Positive};
use bridge::random::Rng;
use candle_core::{Device, Result as TensorResult, Tensor};
use deterministic::{Deterministic, DeterministicConfig};
use diffusion::{Diffusion, DiffusionConfig};
use flow_matching::{FlowMatching, FlowMatchingConfig};
use gaussian::Gaussian;
use mixture::{Mixture, MixtureConfig};
use serde::{Deserialize, Serialize};
use standardized::{Law, Standardized, Widths};
use std::fmt::Debug;

/// Which network the policy is, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PolicyConfig {
    /// Conditional normalizing flow; see [`crate::flow`].
    Flow {
        /// Number of couplings, even, at least 2. 12 for states, 16 in the paper; fewer than 8 need a larger `s_max`.
        n_blocks: usize,
        /// The networks of the couplings.
        couplings: Couplings,
        /// Which values each coupling reads and which it transforms.
        partition: Partition,
        /// Bound of a coupling's log-scale. 1 with 8 blocks or more, 2 with fewer.
        s_max: Positive,
    },
    /// Diagonal Gaussian with a state-dependent standard deviation: a tanh-Gaussian after the squash.
    Gaussian {
        /// Width of the hidden layers. 256.
        hidden: usize,
        /// Number of hidden layers, at least 1. 4.
        n_layers: usize,
    },
    /// Mixture of such Gaussians.
    Mixture {
        /// K, at least 1. 5.
        n_components: usize,
        /// Width of the hidden layers. 256.
        hidden: usize,
        /// Number of hidden layers, at least 1. 4.
        n_layers: usize,
    },
    /// Flow matching; no density.
    FlowMatching {
        /// Euler steps of a sample, at least 1. 10.
        n_steps: usize,
        /// Whether a student makes them in one, distilled along with the imitation loss.
        one_step: bool,
        /// Width of the hidden layers. 512.
        hidden: usize,
        /// Number of hidden layers, at least 1. 4.
        n_layers: usize,
    },
    /// Denoising diffusion; no density.
    Diffusion {
        /// Steps of the noising chain, at least 1. 20.
        n_steps: usize,
        /// Steps of a sample, a divisor of `n_steps`. 20, or 5 with DDIM.
        n_sampling_steps: usize,
        /// How a sample goes back along the chain.
        sampler: Sampler,
        /// How noise grows along the chain.
        schedule: Schedule,
        /// Bound of the denoised chunk, in standard deviations of the data.
        clip: Positive,
        /// Width of the hidden layers. 256.
        hidden: usize,
        /// Number of hidden layers, at least 1. 3.
        n_layers: usize,
    },
    /// One chunk per observation; no density. With `DemoLikelihood` or `NormalizedDemoLikelihood` it is TD3+BC.
    Deterministic {
        /// Standard deviation of the clipped noise of a sample at temperature 1, in standard deviations of the data: what explores,
        /// and smooths the critic's targets. 0.2.
        noise: NonNegative,
        /// Width of the hidden layers. 256.
        hidden: usize,
        /// Number of hidden layers, at least 1. 3.
        n_layers: usize,
    },
}

/// How a sample goes back along the chain of a diffusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sampler {
    /// Ho et al. 2020: every step adds fresh noise.
    Ddpm,
    /// Song et al. 2021: the first noise decides.
    Ddim,
}

/// How noise grows along the chain of a diffusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// Ho et al. 2020, scaled to the number of steps.
    Linear,
    /// Nichol and Dhariwal 2021.
    Cosine,
}

/// Chunks that a policy network drew.
#[derive(Clone, Debug)]
pub struct Draw {
    /// `[r, D]`; the action is `squash(u)`.
    pub u: Tensor,
    /// `ln p(u|o)`, `[r]`, of the network at temperature 1 whatever the noise was scaled by; none without a density.
    pub log_prob: Option<Tensor>,
}

/// What the learner asks of a policy network.
///
/// `D` is the width of a chunk, `E` that of an embedding, which is the network's own business.
pub trait PolicyNet: Debug + Send + Sync {
    /// All trainable tensors.
    fn params(&self) -> &Params;

    /// A network of its own with the same weights, on any device.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    fn clone_on(&self, device: &Device) -> Result<Box<dyn PolicyNet>, LearnError>;

    /// A network of its own with the same weights, where this one is.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    fn deep_clone(&self) -> Result<Box<dyn PolicyNet>, LearnError> {
        self.clone_on(self.params().device())
    }

    /// Starts at the statistics of the data `u [r, D]`: mean and standard deviation of every dimension.
    ///
    /// # Errors
    /// When `u` has the wrong shape, no rows, or a number that is not finite.
    fn initialise(&mut self, u: &Tensor) -> Result<(), LearnError>;

    /// Numbers of base noise that one chunk needs.
    fn noise_len(&self) -> usize;

    /// Base noise of `n_rows` chunks, row after row, at a temperature. Standard normal numbers, scaled, unless the network
    /// says otherwise.
    fn base_noise(&self, n_rows: usize, temperature: f32, rng: &mut Rng) -> Vec<f32> {
        tempered(n_rows * self.noise_len(), temperature, rng)
    }

    /// Base noise of the chunks whose value an objective raises: that of temperature 1, unless the network says otherwise.
    fn improved_noise(&self, n_rows: usize, rng: &mut Rng) -> Vec<f32> {
        self.base_noise(n_rows, 1.0, rng)
    }

    /// Encodes observations `[r, O]` as `[r, E]`; the same embedding serves any number of the calls below.
    ///
    /// # Errors
    /// When `observations` have the wrong shape.
    fn embed(&self, observations: &Tensor, track: Track) -> TensorResult<Tensor>;

    /// The chunks of `noise [r, noise_len]`; `embedding` is `[r, E]`, or `[1, E]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    fn sample(&self, embedding: &Tensor, noise: &Tensor, track: Track) -> TensorResult<Draw>;

    /// [`Draw::u`] alone, in the same bits: for those who do not ask how likely it is.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    fn chunks(&self, embedding: &Tensor, noise: &Tensor, track: Track) -> TensorResult<Tensor> {
        Ok(self.sample(embedding, noise, track)?.u)
    }

    /// `ln p(u|o)`, `[r]`, of `u [r, D]`; `embedding` is `[r, E]`, or `[1, E]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together, or the network has no density.
    fn log_prob(&self, embedding: &Tensor, u: &Tensor, track: Track) -> TensorResult<Tensor>;

    /// Noise that the imitation loss of `n_rows` rows needs, row after row; empty for a density.
    fn imitation_noise(&self, _n_rows: usize, _rng: &mut Rng) -> Vec<f32> {
        Vec::new()
    }

    /// The imitation loss of every row, `[r]`, given `u [r, D]` and [`PolicyNet::imitation_noise`] `[r, ..]`: the negative
    /// log-likelihood in nats, where there is a density.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    fn imitation_loss(&self, embedding: &Tensor, u: &Tensor, _noise: &Tensor, track: Track) -> TensorResult<Tensor> {
        self.log_prob(embedding, u, track)?.neg()
    }

    /// Names and values of what shows the numerical health of the network on `u [r, D]`; nothing unless it says otherwise.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    fn inspect(&self, _embedding: &Tensor, _u: &Tensor) -> TensorResult<Vec<(&'static str, f64)>> {
        Ok(Vec::new())
    }
}

impl PolicyConfig {
    /// Name in RON and in errors.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Flow { .. } => "Flow",
            Self::Gaussian { .. } => "Gaussian",
            Self::Mixture { .. } => "Mixture",
            Self::FlowMatching { .. } => "FlowMatching",
            Self::Diffusion { .. } => "Diffusion",
            Self::Deterministic { .. } => "Deterministic",
        }
    }

    /// Whether `ln p(u|o)` can be computed.
    #[must_use]
    pub const fn has_density(&self) -> bool {
        match self {
            Self::Flow { .. } => true,
            Self::Gaussian { .. } => Gaussian::HAS_DENSITY,
            Self::Mixture { .. } => Mixture::HAS_DENSITY,
            Self::FlowMatching { .. } => FlowMatching::HAS_DENSITY,
            Self::Diffusion { .. } => Diffusion::HAS_DENSITY,
            Self::Deterministic { .. } => Deterministic::HAS_DENSITY,
        }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// When one is not allowed; the error names it.
    pub fn check(&self) -> Result<(), LearnError> {
        let refuse = |field, found: usize, expected: &str| {
            Err(LearnError::Config { field, reason: format!("found {found}, expected {expected}") })
        };
        let sizes = match *self {
            // The flow checks its own.
            Self::Flow { .. } => return Ok(()),
            Self::Gaussian { hidden, n_layers } | Self::Deterministic { hidden, n_layers, .. } => {
                [hidden, n_layers, 1, 1]
            }
            Self::Mixture { n_components, hidden, n_layers } => [hidden, n_layers, n_components, 1],
            Self::FlowMatching { n_steps, hidden, n_layers, .. } => [hidden, n_layers, 1, n_steps],
            Self::Diffusion { n_steps, n_sampling_steps, hidden, n_layers, .. } => {
                if n_sampling_steps == 0 || !n_steps.is_multiple_of(n_sampling_steps) {
                    let expected = format!("a divisor of n_steps, which is {n_steps}");
                    return refuse("learn.policy.n_sampling_steps", n_sampling_steps, &expected);
                }
                [hidden, n_layers, 1, n_steps]
            }
        };
        let names =
            ["learn.policy.hidden", "learn.policy.n_layers", "learn.policy.n_components", "learn.policy.n_steps"];
        match names.into_iter().zip(sizes).find(|&(_, found)| found == 0) {
            Some((field, found)) => refuse(field, found, "at least 1"),
            None => Ok(()),
        }
    }

    /// A new network for observations `[r, observation_len]` and chunks `[r, D]`.
    ///
    /// # Errors
    /// When a size is not allowed.
    pub fn build(
        &self,
        observation_len: usize,
        chunk: impl Into<ChunkShape>,
        seed: u64,
        device: &Device,
    ) -> Result<Box<dyn PolicyNet>, LearnError> {
        self.make(observation_len, chunk.into(), Source::Seed(seed), device)
    }

    /// The network that was saved by [`Params::to_bytes`].
    ///
    /// # Errors
    /// When a size is not allowed, or the file does not belong to such a network or is damaged.
    pub fn read(
        &self,
        observation_len: usize,
        chunk: impl Into<ChunkShape>,
        bytes: &[u8],
        device: &Device,
    ) -> Result<Box<dyn PolicyNet>, LearnError> {
        self.make(observation_len, chunk.into(), Source::Bytes(bytes), device)
    }

    fn make(
        &self,
        observation: usize,
        chunk: ChunkShape,
        from: Source<'_>,
        device: &Device,
    ) -> Result<Box<dyn PolicyNet>, LearnError> {
        self.check()?;
        let widths = Widths { observation, chunk: chunk.dim() };
        Ok(match *self {
            Self::Flow { n_blocks, couplings, partition, s_max } => {
                let config = FlowConfig { n_blocks, couplings, partition, s_max };
                Box::new(match from {
                    Source::Seed(seed) => Flow::new(config, observation, chunk, seed, device)?,
                    Source::Bytes(bytes) => Flow::from_bytes(config, observation, chunk, bytes, device)?,
                })
            }
            Self::Gaussian { hidden, n_layers } => {
                from.make::<Gaussian>(MlpSize { hidden, n_layers }, widths, device)?
            }
            Self::Mixture { n_components, hidden, n_layers } => from.make::<Mixture>(
                MixtureConfig { n_components, size: MlpSize { hidden, n_layers } },
                widths,
                device,
            )?,
            Self::FlowMatching { n_steps, one_step, hidden, n_layers } => {
                let size = MlpSize { hidden, n_layers };
                from.make::<FlowMatching>(FlowMatchingConfig { n_steps, one_step, size }, widths, device)?
            }
            Self::Diffusion { n_steps, n_sampling_steps, sampler, schedule, clip, hidden, n_layers } => {
                let (size, clip) = (MlpSize { hidden, n_layers }, clip.f32());
                let config = DiffusionConfig { n_steps, n_sampling_steps, sampler, schedule, clip, size };
                from.make::<Diffusion>(config, widths, device)?
            }
            Self::Deterministic { noise, hidden, n_layers } => {
                let size = MlpSize { hidden, n_layers };
                from.make::<Deterministic>(DeterministicConfig { noise: noise.get(), size }, widths, device)?
            }
        })
    }
}

/// Where the weights of a network come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Seed(u64),
    Bytes(&'a [u8]),
}

impl Source<'_> {
    fn make<L: Law>(
        self,
        config: L::Config,
        widths: Widths,
        device: &Device,
    ) -> Result<Box<dyn PolicyNet>, ParamsError> {
        Ok(Box::new(match self {
            Source::Seed(seed) => Standardized::<L>::new(config, widths, seed, device)?,
            Source::Bytes(bytes) => Standardized::<L>::from_bytes(config, widths, bytes, device)?,
        }))
    }
}
