//! Everything about learning that can be chosen. Only what came later has a default, so that older runs go on; all else stands in the
//! experiments' RON files, where a difference shows.

use bridge::EnvironmentSpec;
use bridge::number::{Finite, NonNegative, Positive, UnitInterval};
use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::adamw::AdamWConfig;
use crate::critic::CriticConfig;
use crate::objectives::WEIGHT_RANGE;
use crate::policy_net::PolicyConfig;

/// The learner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnConfig {
    /// Where gradient steps are computed; the CPU unless it is said.
    #[serde(default)]
    pub device: Compute,
    /// H: actions in a chunk. The policy emits them at once and the critic scores them at once.
    pub chunk_len: usize,
    /// Steps between an observation and the first action that is planned from it. The networks see the actions that are
    /// carried out in between beside the observation (real-time chunking: Black et al. 2025). 0 where the world waits for the
    /// plan, as a simulation does; on a robot the lead of its control loop.
    pub lead: usize,
    /// gamma per step. A chunk of L steps is discounted by gamma^L.
    pub discount: UnitInterval,
    /// Which range of every joint is mapped to -k..k.
    pub action_range: ActionRange,
    /// k, below 1 where demonstrated actions reach the ends of the range: tanh needs room.
    pub action_margin: UnitInterval,
    /// Standard deviation of the noise that sensors may add to what is observed where the policy is to act, in the units of the
    /// values. What varies less in the demonstrations is not blown up: noise would be all that the networks see of it. 0
    /// unless it is said.
    #[serde(default)]
    pub sensor_noise: NonNegative,
    /// Standard deviation of the dequantization noise on demonstrated actions, in normalized units. Without it the
    /// likelihood of repeated actions has no upper bound.
    pub dequantization: NonNegative,
    /// Rows in a batch.
    pub batch_size: usize,
    /// What all optimisers share.
    pub optimizer: AdamWConfig,
    /// The policy network.
    pub policy: PolicyConfig,
    /// The critic.
    pub critic: CriticConfig,
    /// tau: share of the critic that flows into its target network in every critic step.
    pub polyak: UnitInterval,
    /// Critic steps, each on a batch of its own, before every actor step. One is enough where the data changes slowly;
    /// more let the critic see the drops of a new policy before the actor moves again. With 0 the critic stays what the
    /// warm-up, and the first critic steps online, made of it.
    pub critic_steps_per_actor_step: usize,
    /// Learning rate of the critic.
    pub critic_learning_rate: Positive,
    /// Learning rate of the actor in the offline and online stages.
    pub actor_learning_rate: Positive,
    /// Decay per step of the moving average of the actor's weights in the offline and online stages; the average acts.
    /// With 0 the actor itself acts: single snapshots of it differ more than their values tell.
    pub actor_average_decay: UnitInterval,
    /// What the actor improves in the offline and online stages.
    pub objective: Objective,
    /// How the policy acts when it collects and when it is deployed; the critic chooses.
    pub acting: Acting,
    /// Stage 1: imitation.
    pub imitation: ImitationConfig,
    /// Stage 2: critic warm-up under the frozen imitation policy, gradient steps.
    pub warmup_steps: u64,
    /// Stage 3: offline RL, actor steps, each after `critic_steps_per_actor_step` critic steps.
    pub offline_steps: u64,
    /// Stage 4: online RL.
    pub online: OnlineConfig,
}

impl LearnConfig {
    /// Values that the networks see in `environment`: an observation and the actions on the way.
    #[must_use]
    pub const fn state_len(&self, environment: &EnvironmentSpec) -> usize {
        environment.observation_len + self.lead * environment.action_len
    }

    /// Checks what the types of the fields cannot.
    ///
    /// # Errors
    /// When a field makes no sense; the error names it.
    pub fn check(&self) -> Result<(), LearnError> {
        let n_own = match self.objective {
            Objective::AdvantageWeighted { n, .. } | Objective::BestOfN { n, .. } => n,
            _ => 1,
        };
        let at_least_one = [
            ("learn.chunk_len", self.chunk_len as u64),
            ("learn.batch_size", self.batch_size as u64),
            ("learn.acting.n_candidates", self.acting.n_candidates as u64),
            ("learn.online.episodes_per_iteration", self.online.episodes_per_iteration as u64),
            ("learn.online.steps_per_iteration", self.online.steps_per_iteration),
            ("learn.objective.n", n_own as u64),
        ];
        if let Some((field, _)) = at_least_one.into_iter().find(|&(_, value)| value == 0) {
            return Err(LearnError::Config { field, reason: "found 0, expected at least 1".into() });
        }
        let adapted = match self.objective {
            Objective::ReverseKl { beta, dual_rate, .. } if dual_rate.get() > 0.0 => {
                Some(("learn.objective.beta", beta.get(), "a dual_rate of 0"))
            }
            Objective::MaxEntropy { entropy, tuning: Some(_), .. } => {
                Some(("learn.objective.entropy", entropy.get(), "no tuning"))
            }
            _ => None,
        };
        let [low, high] = WEIGHT_RANGE;
        if let Some((field, found, or)) = adapted.filter(|(_, found, _)| !(low..=high).contains(found)) {
            let reason = format!("found {found}, expected {low} to {high} Q ranges per nat, or {or}");
            return Err(LearnError::Config { field, reason });
        }
        if self.objective.needs_density() && !self.policy.has_density() {
            let (objective, policy) = (self.objective.name(), self.policy.name());
            let reason = format!("{objective} needs a density, and the policy {policy} has none");
            return Err(LearnError::Config { field: "learn.objective", reason });
        }
        if self.action_margin.get() == 0.0 {
            let reason = "found 0, expected a share above 0: every action would be the middle of its range".into();
            return Err(LearnError::Config { field: "learn.action_margin", reason });
        }
        self.device.check()?;
        self.policy.check()
    }
}

/// Where a trainer computes. Policies act on the CPU wherever they were learned, and the optimiser's state stays there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compute {
    /// The same seed gives the same bits.
    #[default]
    Cpu,
    /// A GPU by its number, from 0, in builds with the feature `cuda`. Sums may be rounded otherwise in every run.
    Cuda(usize),
}

impl Compute {
    fn check(self) -> Result<(), LearnError> {
        match self {
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(self.refused("this build knows no GPU")),
            _ => Ok(()),
        }
    }

    /// The device, ready to compute.
    ///
    /// # Errors
    /// When this build or this machine has none of that number.
    pub fn open(self) -> Result<Device, LearnError> {
        self.check()?;
        match self {
            Self::Cpu => Ok(Device::Cpu),
            // What follows the first line is a backtrace.
            Self::Cuda(index) => Device::new_cuda(index)
                .map_err(|error| self.refused(error.to_string().lines().next().unwrap_or("it cannot be opened"))),
        }
    }

    fn refused(self, why: &str) -> LearnError {
        let reason =
            format!("found {self:?}: {why}; choose Cpu, or a GPU of this machine in a build with --features cuda");
        LearnError::Config { field: "learn.device", reason }
    }
}

/// Which range of every joint the networks see as -k..k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionRange {
    /// That of the demonstrations: a joint that hardly moves is seen as well as one that moves far.
    Demonstrated,
    /// The limits of the environment: a unit is the same for all joints whatever was demonstrated.
    Limits,
}

/// How actions are chosen: N candidates are sampled and the best one is carried out; see [`Choice`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acting {
    /// N. With 1 nobody is asked.
    pub n_candidates: usize,
    /// Scale of the base noise. Densities are always those of the untempered policy.
    pub temperature: Positive,
}

/// One candidate: it is carried out whatever chooses.
impl From<Positive> for Acting {
    fn from(temperature: Positive) -> Self {
        Self { n_candidates: 1, temperature }
    }
}

/// What chooses among candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// The critic: the most valued one.
    Value,
    /// The policy: the likeliest action chunk, by the density of the policy at temperature 1. Needs a density.
    Likelihood,
}

impl Choice {
    /// Checks that `policy` can make this choice among `n_candidates`.
    ///
    /// # Errors
    /// When there is no candidate, or the likeliest of several is wanted of a policy without a density.
    pub fn check(self, n_candidates: usize, policy: &PolicyConfig) -> Result<(), LearnError> {
        match (n_candidates, self) {
            (0, _) => Err(LearnError::Config { field: "n_candidates", reason: "found 0, expected at least 1".into() }),
            (n, Self::Likelihood) if n > 1 && !policy.has_density() => Err(no_density(n, policy)),
            _ => Ok(()),
        }
    }
}

/// The likeliest of `n` candidates is wanted of a policy without a density.
pub(crate) fn no_density(n: usize, policy: &PolicyConfig) -> LearnError {
    let reason = format!(
        "found {n}, expected 1: the likeliest candidate is wanted, and the policy {} has no density",
        policy.name()
    );
    LearnError::Config { field: "n_candidates", reason }
}

/// Stage 1: maximum likelihood on whole chunks of successful demonstrations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImitationConfig {
    /// Gradient steps.
    pub steps: u64,
    /// Learning rate after the ramp.
    pub learning_rate: Positive,
    /// Learning rate at the end of the cosine.
    pub final_learning_rate: Positive,
    /// Steps over which the learning rate rises from zero.
    pub ramp_steps: u64,
    /// Share of every batch that is drawn from chunks which start within the first H steps of their episode. Every
    /// episode goes through them and all else hangs on them, but they are few: 1 in 60 of those in 600 steps. And they
    /// are the hardest: from one and the same state every gait begins, at any phase.
    pub opening_share: UnitInterval,
    /// Decay of the moving average of the weights; the average is the imitation policy.
    pub ema_decay: UnitInterval,
}

/// Stage 4: collect with the newest policy that the gate lets act, then learn, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlineConfig {
    /// Rounds of collecting and learning.
    pub iterations: u64,
    /// Episodes in a round.
    pub episodes_per_iteration: usize,
    /// Critic-only steps in the first round: the critic meets the data of its own policy before the actor moves.
    pub critic_first_steps: u64,
    /// Actor steps in every round, each after `critic_steps_per_actor_step` critic steps.
    pub steps_per_iteration: u64,
    /// Candidates that the frozen imitation policy adds to the actor's wherever the critic chooses among several: something to
    /// fall back on where the newest policy errs.
    pub frozen_candidates: usize,
    /// Actor steps over which the actor's learning rate rises from zero when the actor begins to learn online.
    pub actor_ramp_steps: u64,
    /// Share of every batch that comes from the demonstrations.
    pub offline_share: UnitInterval,
    /// Share of the rest that comes from successful own episodes, as soon as there is one; 0 draws from all alike. Worth
    /// raising where successes are few, lest failures drown them.
    pub success_share: UnitInterval,
    /// Which snapshots are deployed.
    pub gate: Gate,
}

/// What the actor improves. Weights are in units of the Q range (the width of the critic's support), so that they mean
/// the same for every reward scale.
///
/// The *imitation loss* is the policy network's own: the NLL in nats where it has a density, a squared error elsewhere. So
/// A0 is the paper's objective for a flow, TD3+BC (Fujimoto and Gu 2021) for a deterministic policy, ReBRAC with the critic's
/// `behavior_penalty` and two critic steps per actor step (Tarasov et al. 2023), Diffusion-QL for a diffusion (Wang et al.
/// 2023), and FQL for one-step flow matching (Park et al. 2025). Unlike there, only successful demonstrations are imitated;
/// A4 alone weighs all chunks that were carried out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Objective {
    /// A3: value of the policy's own chunks, minus beta times their reverse KL to a reference, with beta raised and lowered
    /// so that the KL meets a target. Needs a density.
    ReverseKl {
        /// The KL that beta is adapted to, nats per dimension of the chunk; 0.02 is best of three on the cube.
        target_nats_per_dim: Positive,
        /// First beta, Q ranges per nat (measured: works from 0.0005 to 0.005 when held).
        beta: Positive,
        /// Relative change of beta per step and relative KL error; 0 holds beta.
        dual_rate: NonNegative,
        /// What the policy stays close to.
        reference: Reference,
    },
    /// A0, the paper's: value of the policy's own chunks, minus lambda times the imitation loss of demonstrated ones.
    DemoLikelihood {
        /// Q ranges per nat.
        lambda: NonNegative,
    },
    /// A1: A0 with each term divided by its own mean magnitude in the batch, through which no gradient goes.
    NormalizedDemoLikelihood {
        /// Relative weight of the imitation loss.
        lambda: NonNegative,
    },
    /// A2: A0 plus the entropy of the policy's own actions. Needs a density.
    MaxEntropy {
        /// Q ranges per nat of imitation loss.
        lambda: NonNegative,
        /// Q ranges per nat of entropy; the first weight, where it is tuned.
        entropy: NonNegative,
        /// How the weight of the entropy is tuned; it stays what it is unless it is said.
        #[serde(default)]
        tuning: Option<EntropyTuning>,
    },
    /// A4: imitation loss of replayed chunks, weighted by `exp(advantage / scale)`; the advantage is against the mean value
    /// of n own chunks. Padded chunks weigh nothing.
    AdvantageWeighted {
        /// Own chunks that the replayed one is compared with.
        n: usize,
        /// Advantage at which a chunk weighs e, Q ranges.
        scale: Positive,
        /// Largest weight.
        max_weight: Positive,
    },
    /// A5: imitation loss of the best of N own chunks, plus lambda times that of demonstrated ones.
    BestOfN {
        /// Candidates per state.
        n: usize,
        /// Scale of the base noise of the candidates.
        temperature: Positive,
        /// Weight of the demonstrations, relative to the own chunks.
        lambda: NonNegative,
    },
    /// A6: imitation loss of demonstrated chunks alone; what improves is the critic that chooses among candidates.
    Imitation,
    /// A6 that goes on with what the policy itself achieves: in the online stage `offline_share` of every batch are demonstrated chunks
    /// and the rest those of successful own episodes, as soon as there is one. It asks nothing of a critic.
    SelfImitation,
}

impl Objective {
    /// Name in RON and in errors.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ReverseKl { .. } => "ReverseKl",
            Self::DemoLikelihood { .. } => "DemoLikelihood",
            Self::NormalizedDemoLikelihood { .. } => "NormalizedDemoLikelihood",
            Self::MaxEntropy { .. } => "MaxEntropy",
            Self::AdvantageWeighted { .. } => "AdvantageWeighted",
            Self::BestOfN { .. } => "BestOfN",
            Self::Imitation => "Imitation",
            Self::SelfImitation => "SelfImitation",
        }
    }

    /// Whether it asks for `ln p(u|o)` of the policy's own chunks.
    #[must_use]
    pub const fn needs_density(&self) -> bool {
        matches!(self, Self::ReverseKl { .. } | Self::MaxEntropy { .. })
    }
}

/// The weight of the entropy in A2 is raised and lowered so that the entropy meets a target, as in SAC (Haarnoja et al. 2018) and RLPD
/// (Ball et al. 2023).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntropyTuning {
    /// The entropy of own normalized actions that is wanted, nats per dimension of the chunk. -0.5 in RLPD.
    pub target_nats_per_dim: Finite,
    /// Relative change of the weight per step and nat per dimension that is missing.
    pub dual_rate: Positive,
}

/// What the reverse KL of A3 is measured to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Reference {
    /// The frozen imitation policy pi_0.
    Frozen,
    /// A moving average of the actor, which stands still while the actor is too far from pi_0.
    Average {
        /// Decay of the average per actor step.
        decay: UnitInterval,
        /// Reverse KL of the actor to pi_0 from which on the average stands still, nats per dimension.
        max_nats_per_dim: Positive,
    },
}

/// Which snapshots of the actor are deployed in the online stage; see [`crate::gate`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Gate {
    /// All of them, as in the paper.
    Open,
    /// Those that did not look worse than the deployed one and whose episodes then did not return less.
    KeepBest {
        /// Largest reverse KL to the imitation policy, nats per dimension; it keeps no policy back that has no density.
        max_nats_per_dim: Positive,
        /// Largest gap between predicted value and realised return on episodes not yet learned from, Q ranges.
        max_calibration_gap: Positive,
        /// A snapshot's estimated value may be below the deployed one's by this much, Q ranges.
        value_tolerance: Finite,
        /// The mean return of its first episodes may be below the deployed policy's by this many standard errors of the
        /// difference.
        max_shortfall: NonNegative,
    },
}
