//! A study: what `softflow compare` reads. A grid of trainings - parties that differ by overrides, each with every seed -,
//! what is measured of each of them, and what is expected of it.

use crate::evaluation::Statistic;
use crate::experiment::Experiment;
use crate::overrides::{self, Override};
use bridge::config;
use bridge::number::{Finite, NonNegative, Positive};
use color_eyre::eyre::{Result, WrapErr, ensure};
use learn::{Acting, Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Name of the study's copy in its folder.
pub const STUDY_FILE: &str = "study.ron";

/// A grid of trainings and what is to be learned from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Over tables and figures.
    pub title: String,
    /// What all trainings have in common.
    pub base: Base,
    /// How all of them differ from it, as for `--set`.
    pub set: Vec<Override>,
    /// What is compared.
    pub parties: Vec<Party>,
    /// Every party is trained once with each of them.
    pub seeds: Vec<u64>,
    /// What is measured of every training.
    pub measures: Vec<Measure>,
}

/// What all trainings of a study have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Base {
    /// An experiment's file; a relative path starts at the study's folder.
    File(PathBuf),
    /// An experiment.
    Inline(Box<Experiment>),
}

/// One method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Its name: letters, digits, `_` and `-`; the folders of its runs begin with it.
    pub name: String,
    /// How it differs from the others, as for `--set`, e.g. `"learn.chunk_len=1"`.
    pub set: Vec<Override>,
}

/// A number that every run comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// What it is.
    pub of: Quantity,
    /// Of whom; of every party unless some are named.
    #[serde(default)]
    pub parties: Vec<String>,
    /// What is expected of some parties; the others are shown all the same.
    pub expected: Vec<Claim>,
}

/// What can be measured of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Quantity {
    /// Of the episodes of the policy that a stage ended with, on the same seeds for every run.
    Episodes {
        /// The number that they come to.
        statistic: Statistic,
        /// The stage.
        stage: Stage,
        /// The domain that they are played in.
        domain: String,
        /// How the policy acts; as it was deployed when none is given.
        acting: Option<Acting>,
        /// How many.
        episodes: usize,
    },
    /// Negative log-likelihood of fresh demonstrations with dequantization noise, nats per chunk in the units of the
    /// environment's actions; none for a policy without a density.
    DemonstrationNll {
        /// The stage.
        stage: Stage,
        /// How many demonstrations.
        episodes: usize,
    },
    /// What was logged in a stage; none if it never was.
    Logged {
        /// Name of the number in the metrics, e.g. `start_value` or `kl_to_imitation`.
        metric: String,
        /// The stage.
        stage: Stage,
        /// Which of its values.
        which: Which,
    },
    /// Critic steps of the warm-up until the value of the demonstrations' first states has reached a number, as often as it
    /// was logged; none if it never did.
    WarmupStepsUntilValue(Finite),
}

/// Which of several logged values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// The last one.
    Last,
    /// The largest one.
    Largest,
}

/// What is expected of a party.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The party.
    pub party: String,
    /// Of which of its numbers.
    pub of: Seeds,
    /// What.
    pub bound: Bound,
}

/// Which numbers of a party a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seeds {
    /// Each seed's.
    Each,
    /// Their mean.
    Mean,
}

/// What a number is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Bound {
    /// At least this.
    AtLeast(Finite),
    /// At most this.
    AtMost(Finite),
    /// No further from the value than the tolerance.
    Near {
        /// The value.
        value: Finite,
        /// The tolerance.
        tolerance: NonNegative,
    },
    /// Above the mean of another party by at least this.
    Above {
        /// By how much.
        by: NonNegative,
        /// The other party.
        party: String,
    },
    /// At least so many times the mean of another party.
    Times {
        /// How many times.
        factor: Positive,
        /// The other party.
        party: String,
    },
}

/// One training of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Index of its party.
    pub party_idx: usize,
    /// Name of its folder: `<party>-<seed>`.
    pub name: String,
    /// The party's experiment with the seed.
    pub experiment: Experiment,
}

impl Study {
    /// Reads a study.
    ///
    /// # Errors
    /// When the file is not one, or contradicts itself.
    pub fn load(path: &Path) -> Result<Self> {
        let study: Self = config::load(path)?;
        study.check().wrap_err_with(|| format!("study {}", path.display()))?;
        Ok(study)
    }

    /// The folders of its runs, party after party: `<party>-<seed>`.
    pub fn run_names(&self) -> impl Iterator<Item = String> {
        let of_party =
            |party: &Party| self.seeds.iter().map(|seed| format!("{}-{seed}", party.name)).collect::<Vec<_>>();
        self.parties.iter().flat_map(of_party)
    }

    /// The grid, party after party. Nothing is trained before all of it has been resolved.
    ///
    /// # Errors
    /// When the base cannot be read, or a party's override is none; the error names the party.
    pub fn cells(&self, path: &Path) -> Result<Vec<Cell>> {
        let mut cells = Vec::with_capacity(self.parties.len() * self.seeds.len());
        for (party_idx, party) in self.parties.iter().enumerate() {
            let experiment =
                self.experiment(party, path).wrap_err_with(|| format!("study {}: {}", path.display(), party.name))?;
            for &seed in &self.seeds {
                let name = format!("{}-{seed}", party.name);
                cells.push(Cell { party_idx, name, experiment: Experiment { seed, ..experiment.clone() } });
            }
        }
        Ok(cells)
    }

    /// The same study, which needs no other file.
    ///
    /// # Errors
    /// When the base cannot be read.
    pub fn inlined(&self, path: &Path) -> Result<Self> {
        let base = match &self.base {
            Base::File(_) => Base::Inline(Box::new(self.changed(&[], path)?)),
            Base::Inline(_) => self.base.clone(),
        };
        Ok(Self { base, ..self.clone() })
    }

    fn experiment(&self, party: &Party, path: &Path) -> Result<Experiment> {
        self.changed(&self.set.iter().chain(&party.set).cloned().collect::<Vec<_>>(), path)
    }

    /// The base of a study at `path` with changes.
    fn changed(&self, changes: &[Override], path: &Path) -> Result<Experiment> {
        match &self.base {
            Base::File(file) => {
                let file = path.parent().unwrap_or(Path::new("")).join(file);
                Ok(overrides::load(&file, changes)?)
            }
            Base::Inline(experiment) => Ok(overrides::parse("base", &ron::to_string(experiment)?, changes)?),
        }
    }

    fn check(&self) -> Result<()> {
        let is_folder =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        for party in &self.parties {
            ensure!(is_folder(&party.name), "party {:?}: expected letters, digits, _ and -", party.name);
        }
        let names: BTreeSet<&str> = self.parties.iter().map(|party| party.name.as_str()).collect();
        ensure!(names.len() == self.parties.len(), "two parties have the same name");
        let seeds: BTreeSet<u64> = self.seeds.iter().copied().collect();
        ensure!(seeds.len() == self.seeds.len(), "a seed is there twice");
        let measures: BTreeSet<&str> = self.measures.iter().map(|measure| measure.name.as_str()).collect();
        ensure!(measures.len() == self.measures.len(), "two measures have the same name");
        ensure!(
            !names.is_empty() && !seeds.is_empty() && !measures.is_empty(),
            "found {} parties, {} seeds and {} measures, expected at least one of each",
            names.len(),
            seeds.len(),
            measures.len()
        );
        for measure in &self.measures {
            let refuse_unknown = |party: &String, known: &BTreeSet<&str>| {
                let is_known = known.contains(party.as_str());
                ensure!(is_known, "measure {:?}: found party {party:?}, expected one of {known:?}", measure.name);
                Ok(())
            };
            for party in &measure.parties {
                refuse_unknown(party, &names)?;
            }
            let measured: BTreeSet<&str> = names.iter().copied().filter(|name| measure.is_of(name)).collect();
            for claim in &measure.expected {
                refuse_unknown(&claim.party, &measured)?;
                refuse_unknown(claim.bound.other().unwrap_or(&claim.party), &measured)?;
            }
        }
        Ok(())
    }
}

impl Measure {
    /// Whether it is measured of a party.
    #[must_use]
    pub fn is_of(&self, party: &str) -> bool {
        self.parties.is_empty() || self.parties.iter().any(|named| named == party)
    }

    /// What is expected of a party.
    pub fn claims<'a>(&'a self, party: &'a str) -> impl Iterator<Item = &'a Claim> {
        self.expected.iter().filter(move |claim| claim.party == party)
    }
}

impl Bound {
    /// The party that another one is compared with, if any.
    #[must_use]
    pub const fn other(&self) -> Option<&String> {
        match self {
            Self::Above { party, .. } | Self::Times { party, .. } => Some(party),
            Self::AtLeast(_) | Self::AtMost(_) | Self::Near { .. } => None,
        }
    }
}
