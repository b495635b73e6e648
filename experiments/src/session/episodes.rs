//! The episodes that a session begins with.

use crate::commands::read_demonstrations;
use crate::experiment::{Experiment, Workcell};
use crate::{Narration, RunFolder};
use bridge::Episode;
use bridge::dataset::{self, Dataset, DatasetHeader};
use color_eyre::eyre::{Result, ensure};
use learn::episode_seed;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// The demonstrations of the run: those in it, those given, or fresh ones.
pub(super) fn demonstrations(
    run: &RunFolder,
    experiment: &Experiment,
    cell: &Workcell,
    header: &DatasetHeader,
    given: Option<&Path>,
    n_threads: usize,
    narration: Narration,
) -> Result<dataset::ReadDataset> {
    let folder = run.replay().join("demonstrations");
    let given = given.map(|given| read_demonstrations(given, &header.environment)).transpose()?;
    let n_wanted = given.as_ref().map_or(experiment.demonstrations.episodes, |given| given.episodes.len());
    let header = given.as_ref().map_or(header, |given| &given.header);
    let mut dataset = Dataset::open(&folder, header)?;
    if dataset.n_episodes() < n_wanted {
        let episodes = match given {
            Some(given) => given.episodes,
            None => {
                let started = Instant::now();
                let episodes = cell.demonstrations(n_wanted, experiment.seed, n_threads)?;
                let n_succeeded = episodes.iter().filter(|episode| episode.label.outcome.succeeded).count();
                let took_s = started.elapsed().as_secs_f64();
                narration
                    .say(|| format!("demonstrations: {n_wanted} episodes in {took_s:.0} s, {n_succeeded} successful"));
                episodes
            }
        };
        let n_there = dataset.n_episodes();
        dataset.append_all(&episodes[n_there..])?;
    }
    Ok(dataset::read(&folder)?)
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
