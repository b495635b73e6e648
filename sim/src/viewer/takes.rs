//! Episodes that are recorded while they are watched, as a dataset: `dataset.ron` says what they are, `episodes.log` has a
//! frame an episode.
//!
//! An episode is recorded from its start to its end, or to where the recording ends; one that is begun anew, or left for another
//! one, is dropped.

use crate::viewer::arguments::Arguments;
use crate::viewer::error::ViewerError;
use bridge::dataset::{self, Dataset, DatasetHeader};
use bridge::{CubeReward, Environment, EnvironmentSpec, Episode, Step};
use std::path::Path;

/// A recording that runs.
pub struct Takes {
    dataset: Dataset,
    /// The one that runs, from its start on.
    episode: Option<Episode>,
}

impl Takes {
    /// Records what `arguments` show in `environment` into a dataset in `folder`, or goes on with the one that is there.
    ///
    /// # Errors
    /// When that one is of something else, or the file system fails.
    pub fn open(folder: &Path, arguments: &Arguments, environment: &EnvironmentSpec) -> Result<Self, ViewerError> {
        // Whose seed it began with does not matter here.
        let seed = dataset::header_of(folder)?.map_or(arguments.seed, |header| header.seed);
        let header = DatasetHeader {
            environment: environment.clone(),
            domain: arguments.domain_name(),
            seed,
            reward: CubeReward::Dense,
        };
        Ok(Self { dataset: Dataset::open(folder, &header)?, episode: None })
    }

    /// An episode begins with `observation`; one that ran is dropped.
    pub fn begin(&mut self, actor: &str, seed: u64, environment: &dyn Environment, observation: &[f32]) {
        self.episode = Some(Episode::begin(environment.spec(), actor, seed, observation));
    }

    /// A step was taken, to `observation`. An episode that has ended is written.
    ///
    /// # Errors
    /// When a number is not finite, or the file system fails.
    pub fn push(&mut self, step: Step, environment: &dyn Environment, observation: &[f32]) -> Result<(), ViewerError> {
        if let Some(episode) = &mut self.episode {
            episode.push(environment.applied_rad(), step.reward, observation);
        }
        if step.terminated || step.truncated { self.end(environment) } else { Ok(()) }
    }

    /// Writes the episode that runs, if it has a step.
    ///
    /// # Errors
    /// When a number is not finite, or the file system fails.
    pub fn end(&mut self, environment: &dyn Environment) -> Result<(), ViewerError> {
        let Some(mut episode) = self.episode.take().filter(|episode| episode.n_steps() > 0) else { return Ok(()) };
        episode.finish(environment.outcome());
        Ok(self.dataset.append(&episode)?)
    }

    /// How many episodes the dataset has, in words.
    pub fn summary(&self) -> String {
        format!("{} recorded in {}", self.dataset.n_episodes(), self.dataset.folder().display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewer::rollout::{Rollout, rollout};
    use clap::Parser as _;

    fn arguments(domain: &str) -> Arguments {
        Arguments::try_parse_from(["sim", "--policy", "zero", "--domain", domain]).unwrap()
    }

    fn watch(rollout: &mut dyn Rollout, ticks: usize) {
        (0..ticks).for_each(|_| drop(rollout.tick().unwrap()));
    }

    /// Contract: what is watched is recorded from the start of an episode on, step by step, with what was applied; what was
    /// begun anew is dropped; a second recording goes on with the dataset; one of another domain is refused.
    #[test]
    fn what_is_watched_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("episodes");
        let arguments_here = arguments("exact");
        let mut shown = rollout(&arguments_here).unwrap();
        watch(shown.as_mut(), 30);
        shown.record(&folder).unwrap();
        watch(shown.as_mut(), 20);
        shown.restart().unwrap();
        // The start and three ticks a step.
        watch(shown.as_mut(), 1 + 3 * 8);
        let said = shown.end_recording().unwrap().unwrap();
        assert!(said.contains("1 recorded"), "{said}");

        let dataset::ReadDataset { header, episodes, .. } = dataset::read(&folder).unwrap();
        assert_eq!((header.domain.as_str(), header.environment.control_hz), ("exact", 20));
        assert_eq!((episodes.len(), episodes[0].n_steps()), (1, 8));
        assert_eq!((episodes[0].label.actor.as_str(), episodes[0].label.seed), ("zero", 0));
        let scene = sim::CubeScene::load(&arguments_here.hand).unwrap();
        let held_rad = &scene.start().holding_rad;
        assert!(episodes[0].action_rad(7).iter().zip(held_rad).all(|(a, b)| (a - b).abs() < 1e-4));

        shown.record(&folder).unwrap();
        watch(shown.as_mut(), 4);
        shown.end_recording().unwrap();
        assert_eq!(dataset::read(&folder).unwrap().episodes.len(), 2);
        let error = rollout(&arguments("nominal")).unwrap().record(&folder).unwrap_err().to_string();
        assert!(error.contains("in exact, seed") && error.contains("in nominal, seed"), "{error}");
    }
    /// Contract: whoever acts is recorded by name, as in demonstrations: not with what it was at when the episode began.
    #[test]
    fn actors_are_recorded_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let scene = sim::ScissorsScene::load("orca_v2").unwrap();
        let strategy = &scene.strategies().next().unwrap().name;
        for (line, actor) in [(["--task", "scissors"], strategy.as_str()), (["--policy", "teleop"], "teleop")] {
            let folder = folder.path().join(actor);
            let arguments = Arguments::try_parse_from([&["sim"], line.as_slice()].concat()).unwrap();
            let mut shown = rollout(&arguments).unwrap();
            assert!(shown.title().contains(&format!("| {actor}: ")), "{}", shown.title());
            shown.record(&folder).unwrap();
            watch(shown.as_mut(), 5);
            shown.end_recording().unwrap();
            assert_eq!(dataset::read(&folder).unwrap().episodes[0].label.actor, actor);
        }
    }
}
