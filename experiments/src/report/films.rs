//! Films of episodes: the first success and the first failure of the last policy of every party's first run.
//!
//! The viewer plays the episodes that were evaluated (the same seeds name the same episodes) to their ends, long ones faster than
//! life, and leaves an animation beside the run, where the page finds it.

use crate::evaluation::EvaluationRecord;
use crate::experiment::TaskChoice;
use crate::results::{Party, Results, Run};
use crate::run_folder::EVALS_FILE;
use color_eyre::eyre::{Result, WrapErr, bail};
use learn::Stage;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Animations in the folder of a run whose names begin so are shown.
pub(super) const FILM_PREFIX: &str = "episode_";
/// How long a film of an episode is, s, but for those that would have to be faster than the viewer is.
const FILMED_S: f64 = 8.0;
/// How much faster than life the viewer shows an episode.
const MAX_SPEED: f64 = 10.0;
/// The domains as the viewer calls them, of either task and of whatever hand.
const DOMAINS: [&str; 5] = ["nominal", "shifted", "randomised", "tendons", "exact"];

/// A film to be shot, or that has been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Film {
    /// The animation.
    pub path: PathBuf,
    /// What the viewer is to be told.
    arguments: Vec<String>,
    /// The outcomes by which the episode was chosen.
    outcomes: PathBuf,
}

impl Film {
    /// All films of some results; those of a store have none, for the policies are elsewhere.
    #[must_use]
    pub fn of(results: &Results) -> Vec<Self> {
        results.parties.iter().flat_map(films_of).collect()
    }

    /// The command that shoots it.
    pub(super) fn command(&self) -> String {
        format!("cargo run -p sim --release -- {}", self.arguments.join(" "))
    }

    /// Shoots it with the program `viewer`, unless there is one that is younger than the outcomes; whether there was need to.
    ///
    /// # Errors
    /// When the viewer cannot be started or fails.
    pub fn shoot(&self, viewer: &Path) -> Result<bool> {
        let modified = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
        if modified(&self.path).is_some_and(|film| Some(film) >= modified(&self.outcomes)) {
            return Ok(false);
        }
        let output = Command::new(viewer)
            .args(&self.arguments)
            .output()
            .wrap_err_with(|| format!("{}: the viewer cannot be started", viewer.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}: the viewer ended with {}:\n{}", self.path.display(), output.status, said.trim());
        }
        Ok(true)
    }
}

fn films_of(party: &Party) -> Vec<Film> {
    let (task, hand) = match &party.experiment.task {
        TaskChoice::Cube { hand, .. } => ("cube", hand),
        TaskChoice::Scissors { hand, .. } => ("scissors", hand),
        TaskChoice::Bandit(_) | TaskChoice::Chain(_) | TaskChoice::Detour(_) => return Vec::new(),
    };
    let is_online = |name: &&&str| party.experiment.online_domain.contains(**name);
    let Some(domain) = DOMAINS.iter().find(is_online) else { return Vec::new() };
    let Some(run) = party.runs.first() else { return Vec::new() };
    let (Some(folder), Some(record)) = (&run.folder, last_record(party, run)) else { return Vec::new() };
    let film = |(name, wanted)| {
        let index = record.outcomes.iter().position(|outcome| outcome.succeeded == wanted)?;
        let seconds = record.outcomes[index].seconds.max(2.0);
        let path = folder.join(format!("{FILM_PREFIX}{name}.gif"));
        let options = [
            ("--task", task.to_owned()),
            ("--hand", hand.clone()),
            ("--domain", (*domain).to_owned()),
            ("--policy", folder.display().to_string()),
            ("--seed", (record.first_seed + index as u64).to_string()),
            ("--seconds", seconds.to_string()),
            ("--speed", format!("{:.2}", (seconds / FILMED_S).clamp(1.0, MAX_SPEED))),
            ("--record", path.display().to_string()),
        ];
        let mut arguments = vec!["--headless".to_owned()];
        arguments.extend(options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
        Some(Film { path, arguments, outcomes: folder.join(EVALS_FILE) })
    };
    [("success", true), ("failure", false)].into_iter().filter_map(film).collect()
}

fn last_record<'a>(party: &Party, run: &'a Run) -> Option<&'a EvaluationRecord> {
    Stage::ALL.into_iter().rev().find_map(|stage| party.at_end(run, stage))
}
