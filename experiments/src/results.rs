//! What runs came to: read from their folders, or from a [`crate::store`].
//!
//! A party is an experiment up to its seed; it has a run a seed. What a party scores at the end of a stage is a number a run: a
//! statistic of the episodes of the policy that the stage ended with, as it is deployed, in the domain that stands for the robot.

use crate::cost::Cost;
use crate::evaluation::{EvaluationRecord, Headline, Statistic};
use crate::experiment::Experiment;
use crate::measure::{self, Measured};
use crate::study::{Cell, STUDY_FILE, Study};
use crate::{JsonLines, Manifest, Metrics, MetricsLog, RunFolder, store};
use bridge::config;
use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use learn::{Acting, Position, Stage};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What the runs of a task came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// Over all of it.
    pub title: String,
    /// The study that they belong to.
    pub study: Option<Study>,
    /// What is compared; at least one, each with at least one run.
    pub parties: Vec<Party>,
}

/// An experiment up to its seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Party {
    /// Its name.
    pub name: String,
    /// The experiment, with the seed of its first run.
    pub experiment: Experiment,
    /// A run a seed.
    pub runs: Vec<Run>,
}

/// One training.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// What produced it.
    pub provenance: Provenance,
    /// What its policy costs, where that was measured.
    pub cost: Option<Cost>,
    /// What its study measured.
    pub measured: Vec<Measured>,
    /// What came of every evaluation.
    pub evaluations: Vec<EvaluationRecord>,
    /// What was logged while it learned; a store has some of it.
    pub metrics: Vec<Metrics>,
    /// Its folder, where the results come from one.
    pub folder: Option<PathBuf>,
}

/// What produced a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of softflow.
    pub version: String,
    /// Git commit of the source, where it was at hand.
    pub commit: Option<String>,
    /// The source differed from it, or the run's sessions were of several.
    pub dirty: bool,
    /// What moved: `sim`, `emulated` or `real`.
    pub backend: String,
}

impl Results {
    /// Reads runs, studies and stores. Runs that are given one by one are results together; every study and every store is one
    /// of its own.
    ///
    /// # Errors
    /// When a path is none of them, or something in it is damaged.
    pub fn read(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let (mut all, mut runs) = (Vec::new(), Vec::new());
        for path in paths {
            if path.is_file() {
                all.push(store::read(path)?);
            } else if is_run(path) {
                runs.push(path.clone());
            } else {
                all.push(Self::of_study(path)?);
            }
        }
        if !runs.is_empty() {
            all.insert(0, Self::of_runs(&runs)?);
        }
        Ok(all)
    }

    /// What the runs in the folder of a study came to, finished or not.
    ///
    /// # Errors
    /// When there are none, or one of them is damaged or of another study.
    pub fn of_study(folder: &Path) -> Result<Self> {
        let file = folder.join(STUDY_FILE);
        let study: Option<Study> = if file.exists() { Some(config::load(&file)?) } else { None };
        let mut runs = runs_within(folder)?;
        ensure!(
            !runs.is_empty(),
            "results {}: found neither a run nor a study's runs, expected a folder with config.ron, or with such folders",
            folder.display()
        );
        if let Some(study) = &study {
            let names: Vec<String> = study.run_names().collect();
            runs.retain(|run| run.file_name().is_some_and(|name| names.iter().any(|known| name == known.as_str())));
            runs.sort_by_key(|run| names.iter().position(|name| run.ends_with(name)));
            for cell in study.cells(&file)? {
                let Some(run) = runs.iter().find(|run| run.ends_with(&cell.name)) else { continue };
                is_of_study(&RunFolder::open(run)?.config()?, &cell, &file)?;
            }
        }
        let title = study.as_ref().map_or_else(|| name_of(folder), |study| study.title.clone());
        Ok(Self { title, study, ..Self::of_runs(&runs)? })
    }

    /// What runs of a study came to that were trained apart, on several machines or with some seeds first. Those that are
    /// missing are left out.
    ///
    /// # Errors
    /// When the study cannot be read, a part holds a run that is none of its, or two parts hold the same one.
    pub fn join(study: &Path, parts: Vec<Self>) -> Result<Self> {
        let file = study;
        let study = Study::load(file)?;
        let mut apart: Vec<(String, Experiment, Run)> = Vec::new();
        for Party { name, experiment, runs } in parts.into_iter().flat_map(|part| part.parties) {
            let run =
                |run: Run| (format!("{name}-{}", run.seed), Experiment { seed: run.seed, ..experiment.clone() }, run);
            apart.extend(runs.into_iter().map(run));
        }
        let mut parties: Vec<Party> = Vec::new();
        for cell in study.cells(file)? {
            let mut of_cell = apart.extract_if(.., |(name, ..)| *name == cell.name);
            let Some((_, experiment, run)) = of_cell.next() else { continue };
            ensure!(of_cell.next().is_none(), "results: found run {} in two parts, expected it in one", cell.name);
            is_of_study(&experiment, &cell, file)?;
            let name = &study.parties[cell.party_idx].name;
            match parties.last_mut().filter(|last| last.name == *name) {
                Some(party) => party.runs.push(run),
                None => parties.push(Party { name: name.clone(), experiment, runs: vec![run] }),
            }
        }
        if let Some((name, ..)) = apart.first() {
            bail!("results: found run {name}, expected runs of {} alone", file.display());
        }
        ensure!(!parties.is_empty(), "results: found no run of {}, expected at least one", file.display());
        Ok(Self { title: study.title.clone(), study: Some(study.inlined(file)?), parties })
    }

    fn of_runs(folders: &[PathBuf]) -> Result<Self> {
        let mut parties: Vec<Party> = Vec::new();
        for folder in folders {
            let run = RunFolder::open(folder)?;
            let experiment: Experiment = run.config()?;
            let name = party_name(folder, experiment.seed);
            let run = Run::open(&run, folder).wrap_err_with(|| format!("results {}", folder.display()))?;
            let is_same = |party: &Party| {
                party.name == name && Experiment { seed: experiment.seed, ..party.experiment.clone() } == experiment
            };
            match parties.iter_mut().find(|party| is_same(party)) {
                Some(party) => party.runs.push(run),
                None => {
                    // Another experiment of the same name is told apart by its whole folder.
                    let is_taken = parties.iter().any(|party| party.name == name);
                    let name = if is_taken { folder.display().to_string() } else { name };
                    parties.push(Party { name, experiment, runs: vec![run] });
                }
            }
        }
        let Some(first) = parties.first() else { bail!("results: found no run, expected at least one") };
        for party in &parties {
            ensure!(
                std::mem::discriminant(&party.experiment.task) == std::mem::discriminant(&first.experiment.task),
                "results: {} and {} are not about the same task; each task has a report of its own",
                first.name,
                party.name
            );
        }
        let title = match &parties[..] {
            [Party { name, runs, .. }] if runs.len() == 1 => format!("{name}, seed {}", runs[0].seed),
            _ => parties.iter().map(|party| party.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        Ok(Self { title, study: None, parties })
    }

    /// The first party's experiment; all have the same task.
    #[must_use]
    pub fn experiment(&self) -> &Experiment {
        &self.parties[0].experiment
    }

    /// What the task is judged by.
    #[must_use]
    pub fn headline(&self) -> Headline {
        self.experiment().task.headline()
    }

    /// The last stage that all parties were evaluated after; else the last one that any was.
    #[must_use]
    pub fn last_stage(&self) -> Option<Stage> {
        let has = |party: &Party, stage| party.runs.iter().any(|run| party.at_end(run, stage).is_some());
        let stages = || Stage::ALL.into_iter().rev();
        let of_all = stages().find(|&stage| self.parties.iter().all(|party| has(party, stage)));
        of_all.or_else(|| stages().find(|&stage| self.parties.iter().any(|party| has(party, stage))))
    }

    /// Whether any party has several runs, so that what varies between seeds can be told.
    #[must_use]
    pub fn has_seeds(&self) -> bool {
        self.parties.iter().any(|party| party.runs.len() > 1)
    }
}

impl Party {
    /// The evaluation of a run at the end of a stage, in the domain that stands for the robot, as it is deployed.
    #[must_use]
    pub fn at_end<'a>(&self, run: &'a Run, stage: Stage) -> Option<&'a EvaluationRecord> {
        self.at_end_in(run, stage, &self.experiment.online_domain)
    }

    /// The same in any domain.
    #[must_use]
    pub fn at_end_in<'a>(&self, run: &'a Run, stage: Stage, domain: &str) -> Option<&'a EvaluationRecord> {
        // While a stage goes on its evaluations are not those of its end.
        let n_steps = Position::n_steps(stage, &self.experiment.learn);
        let is_meant = |record: &&EvaluationRecord| {
            record.policy == stage.name() && record.domain == domain && record.step >= n_steps
        };
        let of_stage = run.evaluations.iter().filter(is_meant);
        of_stage.max_by_key(|record| (self.is_as_deployed(record), record.step, record.outcomes.len()))
    }

    /// The evaluations of a run from the switch to the online stage on, by own episodes; empty where it has none after it.
    #[must_use]
    pub fn online<'a>(&self, run: &'a Run) -> Vec<&'a EvaluationRecord> {
        let is_meant = |record: &&EvaluationRecord| {
            record.policy == Stage::Online.name()
                && record.domain == self.experiment.online_domain
                && self.is_as_deployed(record)
        };
        let mut records: Vec<_> = run.evaluations.iter().filter(is_meant).collect();
        records.sort_by_key(|record| (record.own_episodes, record.outcomes.len()));
        // Of two evaluations of the same policy the longer one counts.
        records.reverse();
        records.dedup_by_key(|record| record.own_episodes);
        records.reverse();
        match self.at_end(run, Stage::Offline) {
            Some(switch) if !records.is_empty() => std::iter::once(switch).chain(records).collect(),
            _ => records,
        }
    }

    /// A number a run at the end of a stage, with the run's seed, where it is defined.
    #[must_use]
    pub fn scores(&self, stage: Stage, statistic: &Statistic) -> Vec<(u64, f64)> {
        let score = |run: &Run| Some((run.seed, statistic.value(&self.at_end(run, stage)?.outcomes)?));
        self.runs.iter().filter_map(score).collect()
    }

    /// What its policies cost: that of the run with the median time, of the runs that measured it.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        let mut costs: Vec<Cost> = self.runs.iter().filter_map(|run| run.cost).collect();
        costs.sort_by(|a, b| a.ms_per_chunk.total_cmp(&b.ms_per_chunk));
        costs.get(costs.len().saturating_sub(1) / 2).copied()
    }

    /// Whether an evaluation's policy acted as the experiment deploys it after that stage.
    fn is_as_deployed(&self, record: &EvaluationRecord) -> bool {
        let Acting { n_candidates, temperature } = if record.stage == Stage::Imitation.name() {
            self.experiment.evaluation.imitation
        } else {
            self.experiment.learn.acting
        };
        record.n_candidates == n_candidates && record.temperature.to_bits() == temperature.get().to_bits()
    }
}

impl Run {
    fn open(run: &RunFolder, folder: &Path) -> Result<Self> {
        Ok(Self {
            seed: run.manifest().seed,
            provenance: Provenance::of(run.manifest()),
            cost: Cost::read(folder)?,
            measured: measure::read(folder)?,
            evaluations: JsonLines::read(&run.evals())?,
            metrics: MetricsLog::read(&run.metrics())?,
            folder: Some(folder.to_owned()),
        })
    }
}

impl Provenance {
    fn of(manifest: &Manifest) -> Self {
        let last = manifest.sessions.last();
        Self {
            version: last.map_or_else(|| "unknown".into(), |session| session.version.clone()),
            commit: last.and_then(|session| session.commit.clone()),
            dirty: manifest
                .sessions
                .iter()
                .any(|session| session.dirty || Some(&session.commit) != last.map(|last| &last.commit)),
            backend: last.map_or_else(|| "unknown".into(), |session| session.backend.clone()),
        }
    }
}

/// Holds that a run was trained as a study has it.
fn is_of_study(found: &Experiment, cell: &Cell, study: &Path) -> Result<()> {
    if let Some(difference) = found.difference_to(&cell.experiment) {
        bail!(
            "results: run {} was trained with another experiment than that of {}: it has {difference}",
            cell.name,
            study.display()
        );
    }
    Ok(())
}

/// Whether a folder is a run's.
#[must_use]
pub fn is_run(folder: &Path) -> bool {
    folder.join("config.ron").exists()
}

/// The runs in a folder, by name.
fn runs_within(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).wrap_err_with(|| format!("results {}", folder.display()))?;
    let mut runs = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    runs.retain(|path| is_run(path));
    runs.sort();
    Ok(runs)
}

fn name_of(folder: &Path) -> String {
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The folder's name without the seed at its end.
fn party_name(folder: &Path, seed: u64) -> String {
    let name = name_of(folder);
    name.strip_suffix(&format!("-{seed}")).map(str::to_owned).unwrap_or(name)
}
