//! The episodes that a session begins with.

use crate::commands::read_demonstrations;
use crate::experiment::{Experiment, Workcell};
use crate::manifest::Given;
use crate::{Narration, RunFolder};
use bridge::Episode;
use bridge::dataset::{self, Dataset, DatasetHeader};
use color_eyre::eyre::{Result, ensure};
use learn::episode_seed;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// The demonstrations of the run: those in it, those that were given to it, now or when it began, or fresh ones.
pub(super) fn demonstrations(
    run: &mut RunFolder,
    experiment: &Experiment,
    cell: &Workcell,
    header: &DatasetHeader,
    given: Option<&Path>,
    n_threads: usize,
    narration: Narration,
) -> Result<dataset::ReadDataset> {
    let folder = run.replay().join("demonstrations");
    if let Some(given) = given {
        let dataset = std::path::absolute(given)?;
        let episodes = read_demonstrations(&dataset, header)?.episodes.len();
        run.give(Given { dataset, episodes })?;
    }
    let n_there = dataset::read_or_empty(&folder)?.len();
    let n_wanted = run.manifest().given.as_ref().map_or(experiment.demonstrations.episodes, |given| given.episodes);
    if n_there < n_wanted {
        let (header, episodes) = match &run.manifest().given {
            Some(given) => {
                let read = read_demonstrations(&given.dataset, header)?;
                (read.header, read.episodes)
            }
            None => {
                let started = Instant::now();
                let episodes = cell.demonstrations(n_wanted, experiment.seed, n_threads)?;
                let n_succeeded = episodes.iter().filter(|episode| episode.label.outcome.succeeded).count();
                let took_s = started.elapsed().as_secs_f64();
                narration
                    .say(|| format!("demonstrations: {n_wanted} episodes in {took_s:.0} s, {n_succeeded} successful"));
                (header.clone(), episodes)
            }
        };
        ensure!(
            episodes.len() == n_wanted,
            "demonstrations: found {} episodes, expected the {n_wanted} that the run was begun with",
            episodes.len()
        );
        Dataset::open(&folder, &header)?.append_all(&episodes[n_there..])?;
    }
    let read = dataset::read(&folder)?;
    ensure!(
        read.episodes.len() == n_wanted,
        "dataset {}: found {} episodes, expected the {n_wanted} of the experiment",
        folder.display(),
        read.episodes.len()
    );
    Ok(read)
}

/// The first `n` own episodes of a run, in the order in which the trainer accepted them.
pub(super) fn first_own(by_seed: &BTreeMap<u64, Episode>, seed: u64, n: usize) -> Result<Vec<&Episode>> {
    let episodes: Vec<&Episode> = (0..n as u64).filter_map(|index| by_seed.get(&episode_seed(seed, index))).collect();
    ensure!(
        episodes.len() == n,
        "replay: {} of the first {n} own episodes are there, expected all that were learned from",
        episodes.len()
    );
    Ok(episodes)
}
