//! Where a training stands: which of the four stages, and how far into it.

use crate::LearnConfig;
use serde::{Deserialize, Serialize};

/// The four stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Maximum likelihood on demonstrated chunks.
    Imitation,
    /// The critic learns the value of the frozen imitation policy.
    Warmup,
    /// Actor and critic learn from the demonstrations.
    Offline,
    /// Actor and critic learn from their own episodes too.
    Online,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Imitation, Self::Warmup, Self::Offline, Self::Online];

    /// Name in logs, files and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imitation => "imitation",
            Self::Warmup => "warmup",
            Self::Offline => "offline",
            Self::Online => "online",
        }
    }

    /// The stage of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

/// Where a training stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// Before step `step` of a stage; online steps are counted over all iterations.
    Learn {
        /// The stage.
        stage: Stage,
        /// Gradient steps of the stage that are done.
        step: u64,
    },
    /// Before iteration `iteration` of the online stage collects its episodes.
    Collect {
        /// Iterations that are done.
        iteration: u64,
    },
    /// All stages are done.
    Finished,
}

impl Position {
    /// Where every training begins.
    pub const START: Self = Self::Learn { stage: Stage::Imitation, step: 0 };

    /// The stage, and the gradient steps of it that are done.
    #[must_use]
    pub fn stage_and_step(self, config: &LearnConfig) -> (Stage, u64) {
        match self {
            Self::Learn { stage, step } => (stage, step),
            Self::Collect { iteration } => (Stage::Online, online_steps(config, iteration)),
            Self::Finished => (Stage::Online, online_steps(config, config.online.iterations)),
        }
    }

    /// The iteration of the online stage that the step about to be taken belongs to.
    #[must_use]
    pub fn iteration(self, config: &LearnConfig) -> u64 {
        let (_, step) = self.stage_and_step(config);
        (0..config.online.iterations).find(|&i| step < online_steps(config, i + 1)).unwrap_or(config.online.iterations)
    }

    /// Whether the step about to be taken moves the critic alone.
    #[must_use]
    pub fn is_critic_only(self, config: &LearnConfig) -> bool {
        match self {
            Self::Learn { stage: Stage::Warmup, .. } => true,
            Self::Learn { stage: Stage::Online, step } => step < config.online.critic_first_steps,
            _ => false,
        }
    }

    /// All gradient steps of a stage.
    #[must_use]
    pub const fn n_steps(stage: Stage, config: &LearnConfig) -> u64 {
        match stage {
            Stage::Imitation => config.imitation.steps,
            Stage::Warmup => config.warmup_steps,
            Stage::Offline => config.offline_steps,
            Stage::Online => online_steps(config, config.online.iterations),
        }
    }

    /// Gradient steps of all stages before one.
    #[must_use]
    pub fn steps_before(stage: Stage, config: &LearnConfig) -> u64 {
        Stage::ALL.into_iter().filter(|&before| before < stage).map(|before| Self::n_steps(before, config)).sum()
    }

    /// The step of the current stage at which it, or its current iteration, ends.
    #[must_use]
    pub fn next_boundary(self, config: &LearnConfig) -> u64 {
        match self.stage_and_step(config) {
            (Stage::Online, _) => online_steps(config, self.iteration(config) + 1),
            (stage, _) => Self::n_steps(stage, config),
        }
    }

    /// Skips over stages that have nothing to do.
    #[must_use]
    pub fn settle(self, config: &LearnConfig) -> Self {
        match self {
            Self::Learn { stage: Stage::Imitation, step } if step >= config.imitation.steps => {
                Self::Learn { stage: Stage::Warmup, step: 0 }.settle(config)
            }
            Self::Learn { stage: Stage::Warmup, step } if step >= config.warmup_steps => {
                Self::Learn { stage: Stage::Offline, step: 0 }.settle(config)
            }
            Self::Learn { stage: Stage::Offline, step } if step >= config.offline_steps => {
                Self::Collect { iteration: 0 }.settle(config)
            }
            Self::Learn { stage: Stage::Online, step } => {
                let n_done = (0..=config.online.iterations).find(|&i| online_steps(config, i) == step && i > 0);
                n_done.map_or(self, |iteration| Self::Collect { iteration }.settle(config))
            }
            Self::Collect { iteration } if iteration >= config.online.iterations => Self::Finished,
            _ => self,
        }
    }
}

/// Gradient steps of the online stage after `iterations` iterations.
const fn online_steps(config: &LearnConfig, iterations: u64) -> u64 {
    let first = if iterations > 0 { config.online.critic_first_steps } else { 0 };
    first + iterations * config.online.steps_per_iteration
}
