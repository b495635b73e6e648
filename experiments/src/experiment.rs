//! An experiment: what `softflow train` reads. Every number stands in the RON file; there are no defaults here.

use bridge::{CubeReward, Environment, GovernorConfig};
use learn::{Acting, LearnConfig, LearnError};
use serde::{Deserialize, Serialize};
use sim::{CubeScene, Domain};

/// A training from demonstrations to the online policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Names every random number of the run: demonstrations, initial weights, batches, noise, episodes.
    pub seed: u64,
    /// What is to be done.
    pub task: TaskChoice,
    /// The limits that every command passes.
    pub governor: GovernorConfig,
    /// Where the data comes from.
    pub demonstrations: Demonstrations,
    /// The domain that the online stage collects in: the one that stands for the robot.
    pub online_domain: String,
    /// How policies are evaluated.
    pub evaluation: Evaluation,
    /// Gradient steps between two checkpoints within a stage; the end of a stage always has one.
    pub checkpoint_every: u64,
    /// Gradient steps over which logged scalars are averaged.
    pub log_every: u64,
    /// The learner.
    pub learn: LearnConfig,
}

/// What is to be done, with which hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TaskChoice {
    /// Turn a cube in a palm-down hand.
    Cube {
        /// The hand, e.g. `orca_v2`.
        hand: String,
        /// What is rewarded.
        reward: CubeReward,
    },
}

/// Scripted demonstrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demonstrations {
    /// The domain that they are given in.
    pub domain: String,
    /// How many, failures included.
    pub episodes: usize,
}

/// How policies are evaluated. The seeds are the same for every policy and run, and no training ever sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Domains of the final table.
    pub domains: Vec<String>,
    /// Episodes in every row of the final table.
    pub episodes: usize,
    /// Episodes after every iteration of the online stage, in its domain; 0 for none.
    pub online_episodes: usize,
    /// How the imitation policy acts. There is no critic yet: of several candidates it carries out the likeliest, which only a
    /// policy with a density can tell.
    pub imitation: Acting,
}

impl TaskChoice {
    /// Loads the scene of the task.
    ///
    /// # Errors
    /// When the hand is not known; the error lists those that are.
    pub fn scene(&self) -> Result<CubeScene, sim::AssetError> {
        let Self::Cube { hand, .. } = self;
        CubeScene::load(hand)
    }
}

/// One hand with its object in one domain: makes the environments of an experiment.
#[derive(Clone, Debug)]
pub struct Workcell {
    scene: CubeScene,
    domain: Domain,
    governor: GovernorConfig,
    reward: CubeReward,
}

impl Workcell {
    /// The scene of `experiment` in the domain called `domain`.
    ///
    /// # Errors
    /// When hand or domain are not known; the error lists those that are.
    pub fn new(experiment: &Experiment, domain: &str) -> Result<Self, sim::AssetError> {
        let TaskChoice::Cube { reward, .. } = experiment.task;
        Ok(Self {
            scene: experiment.task.scene()?,
            domain: Domain::load(domain)?,
            governor: experiment.governor,
            reward,
        })
    }

    /// The scene.
    pub const fn scene(&self) -> &CubeScene {
        &self.scene
    }

    /// The domain.
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// A fresh environment.
    ///
    /// # Errors
    /// When rates of body and task do not fit.
    pub fn environment(&self) -> Result<Box<dyn Environment>, LearnError> {
        let environment = self.scene.environment(self.domain.clone(), self.governor, self.reward)?;
        Ok(Box::new(environment))
    }
}
