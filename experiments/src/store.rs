//! Results in one file, small enough to be committed: a line of JSON a party, a run, and an episode of an evaluation, from which
//! every number of a report can be made again. A name that ends in `.gz` is that of a compressed store.
//!
//! ```text
//! {"store":{"format":2,"title":..,"study":..}}
//! {"party":{"name":..,"experiment":..}}
//! {"run":{"party":..,"seed":..,"provenance":..,"cost":..,"measured":..}}
//! {"log":{"party":..,"seed":..,"stage":..,"steps":[..],"values":{"critic_loss":[..],..}}}
//! {"episode":{"party":..,"seed":..,"stage":..,"domain":..,"own_episodes":..,"episode_seed":..,"outcome":..,..}}
//! ```
//! Of what a run logged while it learned it holds so many lines a stage that curves can be drawn, and four digits of a value; nothing
//! of the time that it took, so that a run that was killed and went on is the same as one that never was.
//! Format 1 had no logs and no own steps; it is read as well.

use crate::Metrics;
use crate::cost::Cost;
use crate::evaluation::EvaluationRecord;
use crate::experiment::Experiment;
use crate::measure::Measured;
use crate::results::{Party, Provenance, Results, Run};
use crate::study::Study;
use bridge::{Outcome, storage};
use color_eyre::eyre::{Result, WrapErr, ensure, eyre};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use learn::{Choice, Stage};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;

/// The version of the lines described above.
const FORMAT: u32 = 2;

/// Lines of the log of a stage, at most.
const MAX_LOGGED: usize = 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Store { format: u32, title: String, study: Option<Box<Study>> },
    Party { name: String, experiment: Box<Experiment> },
    Run { party: String, seed: u64, provenance: Provenance, cost: Option<Cost>, measured: Vec<Measured> },
    Log(LogLine),
    Episode(Box<EpisodeLine>),
}

/// A stage's log, by columns: most values are there at most steps.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLine {
    party: String,
    seed: u64,
    stage: String,
    steps: Vec<u64>,
    values: BTreeMap<String, Vec<Option<f64>>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpisodeLine {
    party: String,
    seed: u64,
    stage: String,
    step: u64,
    policy: String,
    snapshot: String,
    domain: String,
    own_episodes: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own_steps: Option<u64>,
    n_candidates: usize,
    choice: Choice,
    temperature: f64,
    episode_seed: u64,
    outcome: Outcome,
}

/// Writes results, whole or not at all.
///
/// # Errors
/// When the file system fails.
pub fn write(results: &Results, path: &Path) -> Result<()> {
    let text = to_lines(results)?;
    let content = if is_compressed(path) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes())?;
        encoder.finish()?
    } else {
        text.into_bytes()
    };
    storage::write_atomic(path, &content).wrap_err_with(|| format!("store {}", path.display()))
}

/// Reads results.
///
/// # Errors
/// When the file cannot be read, or a line is not what it should be; the error names the line.
pub fn read(path: &Path) -> Result<Results> {
    let bytes = std::fs::read(path).wrap_err_with(|| format!("store {}", path.display()))?;
    let mut text = String::new();
    let decoded = if is_compressed(path) {
        MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text)
    } else {
        bytes.as_slice().read_to_string(&mut text)
    };
    decoded.wrap_err_with(|| format!("store {}", path.display()))?;
    let mut results = Results { title: String::new(), study: None, parties: Vec::new() };
    for (line_idx, line) in text.lines().enumerate() {
        let added = serde_json::from_str(line).map_err(Into::into).and_then(|line| results.add(line_idx, line));
        added.wrap_err_with(|| format!("store {}:{}", path.display(), line_idx + 1))?;
    }
    let is_whole = !results.parties.is_empty() && results.parties.iter().all(|party| !party.runs.is_empty());
    ensure!(is_whole, "store {}: found a party without runs, or none at all", path.display());
    Ok(results)
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

fn to_lines(results: &Results) -> Result<String> {
    let study = results.study.clone().map(Box::new);
    let mut lines = vec![Line::Store { format: FORMAT, title: results.title.clone(), study }];
    for party in &results.parties {
        lines.push(Line::Party { name: party.name.clone(), experiment: Box::new(party.experiment.clone()) });
        for run in &party.runs {
            let (party, seed, cost) = (party.name.clone(), run.seed, run.cost);
            let (provenance, measured) = (run.provenance.clone(), run.measured.clone());
            lines.push(Line::Run { party: party.clone(), seed, provenance, cost, measured });
            let stages = Stage::ALL.map(Stage::name);
            lines.extend(stages.iter().filter_map(|stage| LogLine::of(&party, run, stage)).map(Line::Log));
            let episodes = run.evaluations.iter().flat_map(|record| episodes(&party, seed, record));
            lines.extend(episodes.map(|episode| Line::Episode(Box::new(episode))));
        }
    }
    let mut text = String::new();
    for line in &lines {
        text += &serde_json::to_string(line)?;
        text.push('\n');
    }
    Ok(text)
}

fn episodes<'a>(party: &'a str, seed: u64, record: &'a EvaluationRecord) -> impl Iterator<Item = EpisodeLine> + 'a {
    record.outcomes.iter().zip(record.first_seed..).map(move |(outcome, episode_seed)| EpisodeLine {
        party: party.to_owned(),
        seed,
        stage: record.stage.clone(),
        step: record.step,
        policy: record.policy.clone(),
        snapshot: record.snapshot.clone(),
        domain: record.domain.clone(),
        own_episodes: record.own_episodes,
        own_steps: record.own_steps,
        n_candidates: record.n_candidates,
        choice: record.choice,
        temperature: record.temperature,
        episode_seed,
        outcome: outcome.clone(),
    })
}

impl Results {
    fn add(&mut self, line_idx: usize, line: Line) -> Result<()> {
        ensure!(
            matches!(line, Line::Store { .. }) == (line_idx == 0),
            "found another line, expected one that begins with {{\"store\": at the beginning and nowhere else"
        );
        match line {
            Line::Store { format, title, study } => {
                ensure!(
                    (1..=FORMAT).contains(&format),
                    "found format {format}, this program reads formats 1 to {FORMAT}"
                );
                (self.title, self.study) = (title, study.map(|study| *study));
            }
            Line::Party { name, experiment } => {
                self.parties.push(Party { name, experiment: *experiment, runs: Vec::new() });
            }
            Line::Run { party, seed, provenance, cost, measured } => {
                let party = self.parties.last_mut().filter(|last| last.name == party);
                let party = party.ok_or_else(|| eyre!("found a run of another party than the last one"))?;
                let (evaluations, metrics, folder) = (Vec::new(), Vec::new(), None);
                party.runs.push(Run { seed, provenance, cost, measured, evaluations, metrics, folder });
            }
            Line::Log(line) => self.last_run(&line.party, line.seed)?.metrics.extend(line.into_metrics()?),
            Line::Episode(line) => self.last_run(&line.party, line.seed)?.add(*line),
        }
        Ok(())
    }

    /// The run that lines are about.
    fn last_run(&mut self, party: &str, seed: u64) -> Result<&mut Run> {
        let party = self.parties.last_mut().filter(|last| last.name == party);
        let run = party.and_then(|party| party.runs.last_mut()).filter(|last| last.seed == seed);
        run.ok_or_else(|| eyre!("found a line of another run than the last one"))
    }
}

impl LogLine {
    /// What a run logged in a stage, if anything: of many lines some, evenly, the last one always.
    fn of(party: &str, run: &Run, stage: &str) -> Option<Self> {
        let logged: Vec<&Metrics> = run.metrics.iter().filter(|line| line.stage == stage).collect();
        let period = logged.len().div_ceil(MAX_LOGGED).max(1);
        let mut kept: Vec<&Metrics> = logged.iter().rev().step_by(period).copied().collect();
        kept.reverse();
        let names: BTreeSet<&String> = kept.iter().flat_map(|line| line.values.keys()).collect();
        let column = |name: &String| kept.iter().map(|line| line.values.get(name).copied().map(rounded)).collect();
        (!kept.is_empty()).then(|| Self {
            party: party.to_owned(),
            seed: run.seed,
            stage: stage.to_owned(),
            steps: kept.iter().map(|line| line.step).collect(),
            values: names.into_iter().map(|name| (name.clone(), column(name))).collect(),
        })
    }

    fn into_metrics(self) -> Result<Vec<Metrics>> {
        let n_lines = self.steps.len();
        let are_whole = self.values.values().all(|column| column.len() == n_lines);
        ensure!(are_whole, "found columns of several lengths in a log");
        let line = |index: usize| Metrics {
            stage: self.stage.clone(),
            step: self.steps[index],
            time_s: 0.0,
            values: self.values.iter().filter_map(|(name, column)| Some((name.clone(), column[index]?))).collect(),
        };
        Ok((0..n_lines).map(line).collect())
    }
}

/// A number with four digits that count.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

impl Run {
    /// Adds an episode to the evaluation that it goes on with, or begins a new one with it.
    fn add(&mut self, line: EpisodeLine) {
        // Stores of before name what the offline stage left by the stage that begins then.
        let is_offline = line.policy == Stage::Offline.name() && line.snapshot == "online-0";
        let snapshot = if is_offline { format!("{}-{}", line.policy, line.step) } else { line.snapshot };
        let begun = EvaluationRecord {
            stage: line.stage,
            step: line.step,
            policy: line.policy,
            snapshot,
            domain: line.domain,
            own_episodes: line.own_episodes,
            own_steps: line.own_steps,
            n_candidates: line.n_candidates,
            choice: line.choice,
            temperature: line.temperature,
            first_seed: line.episode_seed,
            outcomes: vec![line.outcome],
        };
        if let Some(last) = self.evaluations.last_mut() {
            let next_seed = last.first_seed + last.outcomes.len() as u64;
            let goes_on = last.stage == begun.stage
                && (last.step, next_seed) == (begun.step, begun.first_seed)
                && (&last.policy, &last.snapshot, &last.domain) == (&begun.policy, &begun.snapshot, &begun.domain)
                && (last.own_episodes, last.own_steps) == (begun.own_episodes, begun.own_steps)
                && last.n_candidates == begun.n_candidates
                && last.choice == begun.choice
                && last.temperature.to_bits() == begun.temperature.to_bits();
            if goes_on {
                last.outcomes.extend(begun.outcomes);
                return;
            }
        }
        self.evaluations.push(begun);
    }
}
