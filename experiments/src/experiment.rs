//! An experiment: what `softflow train` reads. Every number stands in the RON file; there are no defaults here.

use crate::evaluation::{Column, Headline};
use crate::toys::{self, AnyToy, Bandit, Chain, Detour, Toy};
use bridge::{CubeReward, Environment, Episode, GovernorConfig};
use color_eyre::eyre::{Result, ensure};
use learn::{Acting, LearnConfig, LearnError, play_all};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sim::{CubeScene, Domain, FAULT_FOLDER, ScissorsDomain, ScissorsScene, demonstration_seeds};
use std::path::Path;
use std::sync::Arc;

/// A training from demonstrations to the online policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Names every random number of the run: demonstrations, initial weights, batches, noise, episodes.
    pub seed: u64,
    /// What is to be done.
    pub task: TaskChoice,
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

impl Experiment {
    /// The first field in which it differs from another one, e.g. `learn.polyak: 0.05 in place of 0.02`.
    #[must_use]
    pub fn difference_to(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        // Without a form in JSON, as with one, they are not equal.
        let [own, others] = [self, other].map(|experiment| serde_json::to_value(experiment).unwrap_or_default());
        Some(difference("", &own, &others).unwrap_or_else(|| "a field that cannot be written".into()))
    }
}

fn difference(path: &str, own: &Value, others: &Value) -> Option<String> {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (own, others) {
        (Value::Object(own), Value::Object(others)) if own.keys().eq(others.keys()) => {
            own.iter().zip(others.values()).find_map(|((name, own), others)| difference(&inner(name), own, others))
        }
        _ if own == others => None,
        _ => Some(format!("{path}: {own} in place of {others}")),
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum TaskChoice {
    /// Turn a cube in a palm-down hand.
    Cube {
        /// The hand, e.g. `orca_v2`.
        hand: String,
        /// What is rewarded.
        reward: CubeReward,
        /// The limits that every command passes.
        governor: GovernorConfig,
    },
    /// Take a pair of scissors from its case and cut a tape; an action is the pose of the wrist, then the joints.
    Scissors {
        /// The hand, e.g. `orca_v2`.
        hand: String,
        /// The limits that every command passes.
        governor: GovernorConfig,
    },
    /// Hit one of two modes with one chunk.
    Bandit(Bandit),
    /// Walk to a reward at the end of a corridor.
    Chain(Chain),
    /// Pass a wall through one of two gaps.
    Detour(Detour),
}

/// The tasks by their names in RON, with a line each.
pub const TASKS: [(&str, &str); 5] = [
    ("Cube", "turn a cube in a palm-down hand and do not drop it"),
    ("Scissors", "take a pair of scissors from its case and cut a tape"),
    ("Bandit", "toy: hit one of two modes with one chunk"),
    ("Chain", "toy: walk to the reward at the end of a corridor"),
    ("Detour", "toy: pass a wall through one of two gaps, one way being longer"),
];

/// Scripted demonstrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demonstrations {
    /// The domain that they are given in; toys have only `exact`.
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
    /// What it is, in two words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Cube { hand, .. } => format!("Cube with {hand}"),
            Self::Scissors { hand, .. } => format!("Scissors with {hand}"),
            Self::Bandit(_) => "Bandit".into(),
            Self::Chain(_) => "Chain".into(),
            Self::Detour(_) => "Detour".into(),
        }
    }

    /// What it rewards, of a cube.
    #[must_use]
    pub fn reward(&self) -> CubeReward {
        match self {
            Self::Cube { reward, .. } => *reward,
            Self::Scissors { .. } | Self::Bandit(_) | Self::Chain(_) | Self::Detour(_) => CubeReward::default(),
        }
    }

    /// What its learning curve shows.
    #[must_use]
    pub fn headline(&self) -> Headline {
        let column = |idx: usize| self.columns().swap_remove(idx);
        match self {
            Self::Cube { .. } => {
                Headline { column: column(1), title: "Cube turns in 30 s", y_label: "turns per episode" }
            }
            Self::Scissors { .. } => {
                Headline { column: column(0), title: "Tape cut", y_label: "share of the episodes" }
            }
            Self::Bandit(_) | Self::Chain(_) | Self::Detour(_) => {
                Headline { column: column(0), title: "Success", y_label: "share of the episodes" }
            }
        }
    }

    /// What is shown of its episodes, the most telling first.
    #[must_use]
    pub fn columns(&self) -> Vec<Column> {
        match self {
            Self::Cube { .. } => Column::of_cube(),
            Self::Scissors { .. } => Column::of_scissors(),
            Self::Bandit(_) => Column::of_toy(Bandit::SCALARS),
            Self::Chain(_) => Column::of_toy(Chain::SCALARS),
            Self::Detour(_) => Column::of_toy(Detour::SCALARS),
        }
    }
}

/// A task in one domain: makes the environments of an experiment, and demonstrates in them.
#[derive(Clone, Debug)]
pub struct Workcell(Place);

#[derive(Clone, Debug)]
enum Place {
    /// One hand with its object.
    Hand {
        scene: Box<CubeScene>,
        domain: Box<Domain>,
        governor: GovernorConfig,
        reward: CubeReward,
    },
    /// One hand on an arm's wrist, with scissors, case and tape.
    Wrist {
        scene: Box<ScissorsScene>,
        domain: Box<ScissorsDomain>,
        governor: GovernorConfig,
    },
    Toy(Arc<dyn AnyToy>),
}

impl Workcell {
    /// The task of `experiment` in the domain called `domain`.
    ///
    /// # Errors
    /// When hand or domain are not known; the error lists those that are.
    pub fn new(experiment: &Experiment, domain: &str) -> Result<Self> {
        Self::of(&experiment.task, domain)
    }

    /// A task in the domain called `domain`.
    ///
    /// # Errors
    /// As [`Workcell::new`].
    pub fn of(task: &TaskChoice, domain: &str) -> Result<Self> {
        let toy: Arc<dyn AnyToy> = match task {
            TaskChoice::Cube { hand, reward, governor } => {
                let scene = Box::new(CubeScene::load(hand)?.with_fault_folder(Path::new(FAULT_FOLDER)));
                let domain = Box::new(Domain::load(domain)?);
                return Ok(Self(Place::Hand { scene, domain, governor: *governor, reward: *reward }));
            }
            TaskChoice::Scissors { hand, governor } => {
                let scene = Box::new(ScissorsScene::load(hand)?.with_fault_folder(Path::new(FAULT_FOLDER)));
                let domain = Box::new(ScissorsDomain::load(domain)?);
                return Ok(Self(Place::Wrist { scene, domain, governor: *governor }));
            }
            TaskChoice::Bandit(toy) => Arc::new(toy.clone()),
            TaskChoice::Chain(toy) => Arc::new(toy.clone()),
            TaskChoice::Detour(toy) => Arc::new(toy.clone()),
        };
        ensure!(domain == toys::DOMAIN, "domain {domain}: found none for a toy, expected {}", toys::DOMAIN);
        Ok(Self(Place::Toy(toy)))
    }

    /// The same for evaluations: case and tape of the scissors task are where the scene's named configurations have them, the
    /// seeds going through them in turn.
    #[must_use]
    pub fn for_evaluation(mut self) -> Self {
        if let Place::Wrist { scene, .. } = &mut self.0 {
            let pinned = ScissorsScene::clone(scene).pinned_to(scene.configurations());
            **scene = pinned;
        }
        self
    }

    /// A fresh environment.
    ///
    /// # Errors
    /// When rates of body and task do not fit.
    pub fn environment(&self) -> Result<Box<dyn Environment>, LearnError> {
        Ok(match &self.0 {
            Place::Hand { scene, domain, governor, reward } => {
                Box::new(scene.environment(Domain::clone(domain), *governor, *reward)?)
            }
            Place::Wrist { scene, domain, governor } => {
                Box::new(scene.environment(ScissorsDomain::clone(domain), *governor)?)
            }
            Place::Toy(toy) => toy.environment(),
        })
    }

    /// `n` scripted demonstrations, failures included. They depend on `seed` alone, not on the number of threads.
    ///
    /// # Errors
    /// When the task has no demonstrator, or the environment fails.
    pub fn demonstrations(&self, n: usize, seed: u64, n_threads: usize) -> Result<Vec<Episode>> {
        let seeds = demonstration_seeds(n, seed);
        match &self.0 {
            Place::Hand { scene, domain, governor, reward } => {
                Ok(sim::collect(scene, domain, *governor, *reward, &seeds, seed, n_threads)?)
            }
            Place::Wrist { scene, domain, governor } => {
                Ok(sim::collect_scissors(scene, domain, *governor, &seeds, seed, n_threads, |_| ())?)
            }
            Place::Toy(toy) => play_demonstrator(toy.as_ref(), &seeds, n_threads),
        }
    }

    /// The demonstrator as it is, without the perturbation and noise of a hand's demonstrations, on the `n` episodes from
    /// `first_seed` on: those that a policy is evaluated on.
    ///
    /// # Errors
    /// As [`Workcell::demonstrations`].
    pub fn exact_demonstrations(&self, n: usize, first_seed: u64, n_threads: usize) -> Result<Vec<Episode>> {
        let seeds: Vec<u64> = (first_seed..).take(n).collect();
        match &self.0 {
            Place::Hand { scene, domain, governor, reward } => {
                let scene = CubeScene::clone(scene).with_exact_gaits()?;
                Ok(sim::collect(&scene, domain, *governor, *reward, &seeds, first_seed, n_threads)?)
            }
            Place::Wrist { scene, domain, governor } => {
                let scene = ScissorsScene::clone(scene).with_exact_strategies()?;
                Ok(sim::collect_scissors(&scene, domain, *governor, &seeds, first_seed, n_threads, |_| ())?)
            }
            Place::Toy(toy) => play_demonstrator(toy.as_ref(), &seeds, n_threads),
        }
    }
}

fn play_demonstrator(toy: &dyn AnyToy, seeds: &[u64], n_threads: usize) -> Result<Vec<Episode>> {
    Ok(play_all(&|| Ok(toy.environment()), toy.demonstrator().as_ref(), seeds, n_threads, |_| ())?)
}
