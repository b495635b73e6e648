//! Episodes: an actor plans a chunk, the environment carries it out, what was really applied is recorded.

use crate::LearnError;
use bridge::random::{Rng, stream};
use bridge::{Environment, Episode};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Something that plans chunks.
pub trait Actor: Sync {
    /// Who acts; recorded with the episode.
    fn name(&self) -> &str;

    /// Plans from `observation` (raw units) and replaces `chunk_rad` with whole actions, one after the other, rad.
    ///
    /// # Errors
    /// When no finite plan can be made.
    fn plan(&self, observation: &[f32], rng: &mut Rng, chunk_rad: &mut Vec<f32>) -> Result<(), LearnError>;
}

/// Makes an environment: one per thread, all alike.
pub type MakeEnvironment<'a> = dyn Fn() -> Result<Box<dyn Environment>, LearnError> + Sync + 'a;

/// Plays one episode. Its randomness is named by `seed`, the environment's and the actor's.
///
/// # Errors
/// When the environment or the actor fails.
pub fn play(environment: &mut dyn Environment, actor: &dyn Actor, seed: u64) -> Result<Episode, LearnError> {
    let spec = environment.spec().clone();
    let mut rng = stream(seed, "act", 0);
    let mut observation = vec![0.0; spec.observation_len];
    let mut chunk_rad = Vec::new();
    environment.reset(seed, &mut observation)?;
    let mut episode = Episode::begin(&spec, actor.name(), seed, &observation);
    'episode: loop {
        actor.plan(&observation, &mut rng, &mut chunk_rad)?;
        for action_rad in chunk_rad.chunks_exact(spec.action_len) {
            let step = environment.step(action_rad, &mut observation)?;
            episode.push(environment.applied_rad(), step.reward, &observation);
            if step.terminated || step.truncated {
                break 'episode;
            }
        }
    }
    episode.finish(environment.outcome());
    Ok(episode)
}

/// Plays one episode per seed on `n_threads` threads. The result does not depend on their number. `on_done` is called
/// as each episode ends, in no particular order.
///
/// # Errors
/// The first that any episode met.
pub fn play_all(
    make: &MakeEnvironment<'_>,
    actor: &dyn Actor,
    seeds: &[u64],
    n_threads: usize,
    on_done: &(dyn Fn(&Episode) + Sync),
) -> Result<Vec<Episode>, LearnError> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<(usize, Episode)>, LearnError> {
        let mut environment = make()?;
        let mut played = Vec::new();
        loop {
            let episode_idx = next.fetch_add(1, Ordering::Relaxed);
            let Some(&seed) = seeds.get(episode_idx) else { return Ok(played) };
            let episode = play(environment.as_mut(), actor, seed).inspect_err(|_| {
                // No episode is begun after a failure.
                next.store(seeds.len(), Ordering::Relaxed);
            })?;
            on_done(&episode);
            played.push((episode_idx, episode));
        }
    };
    let mut played = Vec::with_capacity(seeds.len());
    for result in crossbeam::thread::scope(|scope| {
        let workers: Vec<_> = (0..n_threads.clamp(1, seeds.len().max(1))).map(|_| scope.spawn(|_| worker())).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Vec<_>>()
    })
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    {
        played.extend(result?);
    }
    played.sort_by_key(|(episode_idx, _)| *episode_idx);
    Ok(played.into_iter().map(|(_, episode)| episode).collect())
}
