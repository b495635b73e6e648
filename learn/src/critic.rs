//! Ensemble of critics `Q(o, a)` of whole action chunks, trained as classifiers ([`crate::hl_gauss`]); with what it is
//! compared with: regression, other ensembles, values of single steps.
//!
//! ```text
//! out = Net(o, a)                        [r, n_bins] or [r, 1], zero in the beginning
//! Q = sum_j softmax(out)_j center_j      [r]   HL-Gauss: loss is the cross entropy against the label of y
//! Q = middle + range out                 [r]   MSE: loss is (out - (y - middle) / range)^2, never clamped
//! ```
//! What `Net` is stands in `mlp` and `transformer`.

mod config;
mod mlp;
mod net;
mod transformer;

use crate::chunk::{ChunkShape, Chunks};
use crate::hl_gauss::Support;
use crate::layers::Track;
use crate::ops;
use crate::params::{Params, ParamsBuilder, ParamsError};
use crate::shards::{Gradient, GradientError};
use crate::tensor_file::{TensorFileReader, TensorFileWriter};
use bridge::random::Rng;
use candle_core::{Device, Tensor, bail};
use net::{Net, NetSize};
use rand::seq::SliceRandom as _;
use thiserror::Error;

pub use config::{Backup, Combine, CriticConfig, CriticNet, Head, TargetSubset};

/// Labels of a batch, as the head wants them.
#[derive(Clone, Debug)]
pub struct Labels {
    /// `[r, n_bins]` or `[r, 1]`.
    pub values: Tensor,
    /// Share of the targets that lay outside of the support and were clamped to it; above 1 % the support is too narrow.
    pub clamped_share: f64,
}

/// An ensemble could not be made.
#[derive(Debug, Error)]
pub enum CriticError {
    /// The parameters could not be made or read.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A size is not allowed.
    #[error("critic: {field} is {found}, expected {expected}")]
    Size {
        /// Which one.
        field: &'static str,
        /// Its value.
        found: usize,
        /// What is allowed.
        expected: &'static str,
    },
}

/// One critic.
#[derive(Debug)]
pub struct Critic {
    params: Params,
    head: Head,
    support: Support,
    centers: Tensor,
    net: Net,
}

impl Critic {
    /// All trainable tensors.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What the head puts out, `[r, n_bins]` or `[r, 1]`, for `chunks` of which the first columns are read, as many as the
    /// critic was made for; `obs` is `[r, O]`, or `[1, O]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn output<'a>(&self, obs: &Tensor, chunks: impl Into<Chunks<'a>>, track: Track) -> candle_core::Result<Tensor> {
        self.net.forward(obs, chunks.into(), track)
    }

    /// Values `[r]`; arguments as for [`Critic::output`].
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn q<'a>(&self, obs: &Tensor, chunks: impl Into<Chunks<'a>>, track: Track) -> candle_core::Result<Tensor> {
        let output = self.output(obs, chunks, track)?;
        match self.head {
            Head::HlGauss => ops::softmax_expectation(&output, &self.centers),
            Head::Mse => output.squeeze(1)?.affine(self.support.range(), self.support.middle()),
        }
    }

    /// Mean loss against [`ChunkCritic::labels`], a scalar.
    fn loss(&self, obs: &Tensor, chunks: Chunks<'_>, labels: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let output = self.output(obs, chunks, track)?;
        match self.head {
            Head::HlGauss => ops::cross_entropy(&output, labels)?.mean_all(),
            Head::Mse => (output - labels)?.sqr()?.mean_all(),
        }
    }

    fn new(config: &CriticConfig, shape: Shape, seed: u64, device: &Device) -> Result<Self, ParamsError> {
        let mut params = ParamsBuilder::new(seed, device);
        Net::build(&mut params, config.net.size(), shape, config.head.n_outputs(&config.support))?;
        Self::assemble(config, shape, params.build())
    }

    fn assemble(config: &CriticConfig, shape: Shape, params: Params) -> Result<Self, ParamsError> {
        Ok(Self {
            head: config.head,
            support: config.support,
            centers: Tensor::new(config.support.centers(), params.device())?,
            net: Net::new(&params, config.net.size(), shape)?,
            params,
        })
    }
}

/// What a critic reads.
#[derive(Clone, Copy, Debug)]
struct Shape {
    obs_dim: usize,
    chunk: ChunkShape,
}

/// Ensemble of critics; see the module.
#[derive(Debug)]
pub struct ChunkCritic {
    config: CriticConfig,
    shape: Shape,
    device: Device,
    members: Vec<Critic>,
}

impl ChunkCritic {
    /// A new ensemble for observations `[r, obs_dim]` and the first values of chunks, as many as are in `chunk`; each critic
    /// starts differently.
    ///
    /// # Errors
    /// When a size is not allowed.
    pub fn new(
        config: CriticConfig,
        obs_dim: usize,
        chunk: impl Into<ChunkShape>,
        seed: u64,
        device: &Device,
    ) -> Result<Self, CriticError> {
        let shape = Shape { obs_dim, chunk: chunk.into() };
        check_sizes(&config, shape)?;
        let members = (0..config.ensemble as u64)
            .map(|i| Critic::new(&config, shape, member_seed(seed, i), device))
            .collect::<Result<_, _>>()?;
        Ok(Self { config, shape, device: device.clone(), members })
    }

    /// An ensemble of its own with the same weights, on any device.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    pub fn clone_on(&self, device: &Device) -> Result<Self, CriticError> {
        let clone = |critic: &Critic| Critic::assemble(&self.config, self.shape, critic.params.clone_on(device)?);
        let members = self.members.iter().map(clone).collect::<Result<_, _>>()?;
        Ok(Self { config: self.config, shape: self.shape, device: device.clone(), members })
    }

    /// An ensemble of its own with the same weights, where this one is.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    pub fn deep_clone(&self) -> Result<Self, CriticError> {
        self.clone_on(&self.device)
    }

    /// The size it was made with.
    #[must_use]
    pub fn config(&self) -> &CriticConfig {
        &self.config
    }

    /// The critics, each with parameters of its own.
    #[must_use]
    pub fn members(&self) -> &[Critic] {
        &self.members
    }

    /// Number of critics.
    #[must_use]
    pub fn n_members(&self) -> usize {
        self.members.len()
    }

    /// Values that a critic can express.
    #[must_use]
    pub fn support(&self) -> &Support {
        &self.config.support
    }

    /// The value `[r]` that the ensemble gives: the lowest or the mean of its critics'. Arguments as for [`Critic::q`].
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn value<'a>(&self, obs: &Tensor, chunks: impl Into<Chunks<'a>>, track: Track) -> candle_core::Result<Tensor> {
        self.combined(self.members.iter(), obs, chunks.into(), track)
    }

    /// The value that some critics give, by their indices.
    ///
    /// # Errors
    /// When there is no such critic, or the shapes do not fit together.
    pub fn value_of_members<'a>(
        &self,
        members: &[usize],
        obs: &Tensor,
        chunks: impl Into<Chunks<'a>>,
        track: Track,
    ) -> candle_core::Result<Tensor> {
        if let Some(member) = members.iter().find(|&&member| member >= self.members.len()) {
            bail!("critic {member} of {}", self.members.len());
        }
        self.combined(members.iter().map(|&member| &self.members[member]), obs, chunks.into(), track)
    }

    /// The critics that the targets of one step are made of.
    #[must_use]
    pub fn target_members(&self, rng: &mut Rng) -> Vec<usize> {
        let mut members: Vec<usize> = (0..self.members.len()).collect();
        match self.config.target_subset {
            TargetSubset::All => members,
            TargetSubset::Random(n) => {
                let mut drawn = members.partial_shuffle(rng, n).0.to_vec();
                drawn.sort_unstable();
                drawn
            }
        }
    }

    fn combined<'a>(
        &self,
        members: impl ExactSizeIterator<Item = &'a Critic>,
        obs: &Tensor,
        chunks: Chunks<'_>,
        track: Track,
    ) -> candle_core::Result<Tensor> {
        let n_members = members.len();
        let mut combined: Option<Tensor> = None;
        for critic in members {
            let q = critic.q(obs, chunks, track)?;
            combined = Some(match (combined, self.config.combine) {
                (None, _) => q,
                (Some(lowest), Combine::Min) => lowest.minimum(&q)?,
                (Some(sum), Combine::Mean) => (sum + q)?,
            });
        }
        match (combined, self.config.combine) {
            (Some(lowest), Combine::Min) => Ok(lowest),
            (Some(sum), Combine::Mean) => sum * (1.0 / n_members as f64),
            (None, _) => bail!("a value is that of at least one critic"),
        }
    }

    /// The labels of targets `y`.
    ///
    /// # Errors
    /// When the device refuses a tensor.
    pub fn labels(&self, targets: &[f32]) -> candle_core::Result<Labels> {
        let support = &self.config.support;
        let (values, clamped_share) = match self.config.head {
            Head::HlGauss => {
                let labels = support.project(targets);
                (labels.probabilities, labels.clamped_share)
            }
            Head::Mse => {
                let label = |&y: &f32| ((f64::from(y) - support.middle()) / support.range()) as f32;
                (targets.iter().map(label).collect(), 0.0)
            }
        };
        let shape = (targets.len(), self.config.head.n_outputs(support));
        Ok(Labels { values: Tensor::from_vec(values, shape, &self.device)?, clamped_share })
    }

    /// Moves all weights towards those of `other`: `self += tau (other - self)`.
    ///
    /// # Errors
    /// When `other` has another size.
    pub fn polyak_from(&self, other: &Self, tau: f32) -> Result<(), CriticError> {
        if other.members.len() != self.members.len() {
            let (found, expected) = (other.members.len(), "the same number as in the other ensemble");
            return Err(CriticError::Size { field: "ensemble", found, expected });
        }
        for (target, source) in self.members.iter().zip(&other.members) {
            target.params.polyak_from(&source.params, tau)?;
        }
        Ok(())
    }

    /// Mean loss of one critic on [`ChunkCritic::labels`], and its gradient. The loss of the ensemble is the sum over
    /// its critics; their gradients have nothing in common, so they may be computed on different threads.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn gradient<'a>(
        &self,
        member: usize,
        obs: &Tensor,
        chunks: impl Into<Chunks<'a>>,
        labels: &Tensor,
    ) -> Result<Gradient, GradientError> {
        let Some(critic) = self.members.get(member) else {
            return Err(candle_core::Error::Msg(format!("critic {member} of {}", self.members.len())).into());
        };
        Gradient::of(&critic.loss(obs, chunks.into(), labels, Track::Weights)?, &critic.params)
    }

    /// All weights as the bytes of one file.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ParamsError> {
        let mut file = TensorFileWriter::default();
        for (i, critic) in self.members.iter().enumerate() {
            critic.params.write_to(&mut file, &member_prefix(i))?;
        }
        Ok(file.finish()?)
    }

    /// Takes all weights from the bytes of a file.
    ///
    /// # Errors
    /// When the file is damaged or belongs to another ensemble. Nothing is changed then.
    pub fn load_bytes(&self, bytes: &[u8]) -> Result<(), ParamsError> {
        let mut file = TensorFileReader::new(bytes)?;
        let members = self.members.iter().enumerate();
        let flats = members
            .map(|(i, critic)| critic.params.read_from(&mut file, &member_prefix(i)))
            .collect::<Result<Vec<_>, _>>()?;
        file.finish()?;
        self.members.iter().zip(&flats).try_for_each(|(critic, flat)| critic.params.copy_from_flat(flat))
    }
}

fn check_sizes(config: &CriticConfig, Shape { obs_dim, chunk }: Shape) -> Result<(), CriticError> {
    let (ensemble, some) = (config.ensemble, "at least 1");
    let target_subset = match config.target_subset {
        TargetSubset::All => ensemble,
        TargetSubset::Random(n) => n,
    };
    let mut sizes = vec![
        ("ensemble", ensemble, "1 to 10", (1..=10).contains(&ensemble)),
        ("target_subset", target_subset, "1 to the number of critics", (1..=ensemble).contains(&target_subset)),
        ("obs_dim", obs_dim, some, obs_dim > 0),
        ("chunk_dim", chunk.dim(), some, chunk.dim() > 0),
    ];
    match config.net.size() {
        NetSize::Mlp(mlp::MlpNetSize { hidden, n_layers, .. }) => {
            sizes.extend([("hidden", hidden, some, hidden > 0), ("n_layers", n_layers, some, n_layers > 0)]);
        }
        NetSize::Transformer(size) => sizes.extend(size.checks(obs_dim)),
    }
    match sizes.into_iter().find(|&(_, _, _, is_allowed)| !is_allowed) {
        Some((field, found, expected, _)) => Err(CriticError::Size { field, found, expected }),
        None => Ok(()),
    }
}

fn member_prefix(index: usize) -> String {
    format!("critic.{index:02}/")
}

/// Seeds of the members, drawn from a stream so that neighbouring seeds share none.
fn member_seed(seed: u64, index: u64) -> u64 {
    use rand::RngCore as _;
    bridge::random::stream(seed, "critic ensemble", index).next_u64()
}
