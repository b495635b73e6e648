//! Scripted demonstrations of the scissors task, recorded through the same environment as a policy.

use super::domain::ScissorsDomain;
use super::scene::ScissorsScene;
use super::script::Phase;
use crate::demonstrator::{DemonstrationError, perturbations};
use crate::schedule::schedule;
use bridge::{Environment, Episode, GovernorConfig, parallel};

/// How long a demonstrator that has given up is still recorded, s: then a person would stop the episode.
const PATIENCE_S: f64 = 0.5;

/// Records a demonstration of `scene` in `domain` for every one of `episode_seeds`, labelled with its strategy. Failures are kept;
/// [`bridge::Outcome::succeeded`] tells. An episode whose demonstrator gave up is cut there, as by the clock.
///
/// Episode i depends on its seed, on `seed`, by which its strategy is perturbed, and on i alone, not on `n_threads`. `on_done` sees every episode as it comes, in no particular
/// order.
///
/// # Errors
/// When the environment fails.
pub fn collect_scissors(
    scene: &ScissorsScene,
    domain: &ScissorsDomain,
    governor: GovernorConfig,
    episode_seeds: &[u64],
    seed: u64,
    n_threads: usize,
    on_done: impl FnMut(&Episode),
) -> Result<Vec<Episode>, DemonstrationError> {
    let names: Vec<&str> = scene.strategies().map(|strategy| strategy.name.as_str()).collect();
    let shares: Vec<f64> = scene.strategies().map(|strategy| strategy.share.get()).collect();
    let schedule = schedule(&shares, episode_seeds.len());
    let play = |index: usize| {
        let no_strategies = || DemonstrationError::NoGaits { scene: scene.name().to_owned() };
        let &(which, turn) = schedule.get(index).ok_or_else(no_strategies)?;
        let episode_seed = episode_seeds[index];
        let mut cutter = scene.cutter(which, turn, perturbations(seed, index)).ok_or_else(no_strategies)?;
        let mut environment = scene.environment(domain.clone(), governor)?;
        let mut observation = vec![0.0; environment.spec().observation_len];
        let mut action = vec![0.0; environment.spec().action_len];
        environment.reset(episode_seed, &mut observation)?;
        let mut episode = Episode::begin(environment.spec(), names[which], episode_seed, &observation);
        let mut patience = (PATIENCE_S * f64::from(environment.spec().control_hz)).round() as u32;
        loop {
            cutter.act(environment.governor().percept(), &mut action);
            let step = environment.step(&action, &mut observation)?;
            episode.push(environment.applied_rad(), step.reward, &observation);
            patience -= u32::from(cutter.phase() == Phase::GivenUp);
            if step.terminated || step.truncated || patience == 0 {
                episode.finish(environment.outcome());
                return Ok(episode);
            }
        }
    };
    parallel::run(episode_seeds.len(), n_threads, play, on_done)
}
