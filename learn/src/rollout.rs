//! Episodes: an actor plans a chunk, the environment carries it out, what was really applied is recorded.

use crate::LearnError;
use bridge::random::{Rng, stream};
use bridge::{Environment, Episode, parallel};

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

/// Makes an environment: one per episode, all alike.
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

/// Plays one episode per seed on `n_threads` threads. The result does not depend on their number. `on_done` sees each
/// episode as it ends, in no particular order.
///
/// # Errors
/// When an environment or the actor fails.
pub fn play_all(
    make: &MakeEnvironment<'_>,
    actor: &dyn Actor,
    seeds: &[u64],
    n_threads: usize,
    on_done: impl FnMut(&Episode),
) -> Result<Vec<Episode>, LearnError> {
    parallel::run(seeds.len(), n_threads, |index| play(make()?.as_mut(), actor, seeds[index]), on_done)
}
