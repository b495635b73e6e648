//! Episodes: an actor plans a chunk, the environment carries it out, what was really applied is recorded.
//!
//! An actor may plan ahead: from the observation of step s and the actions that are carried out while it plans.
//!
//! ```text
//! steps           s             s + lead          s + H         s + H + lead
//! planned at s                  |<-                H actions               ->|
//! carried out     |<- on the way ->|<-   planned   ->|<- on the way at s + H ->|
//! ```

use crate::LearnError;
use bridge::random::{Rng, stream};
use bridge::{Environment, Episode, parallel};

/// Something that plans chunks.
pub trait Actor: Sync {
    /// Who acts; recorded with the episode.
    fn name(&self) -> &str;

    /// Steps between an observation and the first action that is planned from it.
    fn lead(&self) -> usize {
        0
    }

    /// Plans from `state`, an observation in raw units and the actions of the next [`Actor::lead`] steps, and replaces `chunk_rad` with whole actions, one after the other, rad.
    ///
    /// # Errors
    /// When no finite plan can be made.
    fn plan(&self, state: &[f32], rng: &mut Rng, chunk_rad: &mut Vec<f32>) -> Result<(), LearnError>;
}

/// What is carried out, chunk after chunk, of what an actor plans.
#[derive(Clone, Debug)]
pub struct Schedule {
    on_the_way_rad: Vec<f32>,
    state: Vec<f32>,
    planned_rad: Vec<f32>,
    due_rad: Vec<f32>,
}

impl Schedule {
    /// That of an episode which begins at the command `applied_rad`: it is held until the first plan is there, `lead` steps.
    #[must_use]
    pub fn begin(lead: usize, applied_rad: &[f32]) -> Self {
        Self {
            on_the_way_rad: applied_rad.repeat(lead),
            state: Vec::new(),
            planned_rad: Vec::new(),
            due_rad: Vec::new(),
        }
    }

    /// Has a chunk planned from `observation`. The actions, rad, of the steps until the next one is to be planned.
    ///
    /// # Errors
    /// When no plan can be made.
    pub fn next(&mut self, actor: &dyn Actor, observation: &[f32], rng: &mut Rng) -> Result<&[f32], LearnError> {
        self.state.clear();
        self.state.extend_from_slice(observation);
        self.state.extend_from_slice(&self.on_the_way_rad);
        actor.plan(&self.state, rng, &mut self.planned_rad)?;
        self.due_rad.clear();
        self.due_rad.extend_from_slice(&self.on_the_way_rad);
        self.due_rad.extend_from_slice(&self.planned_rad);
        let (due_rad, on_the_way_rad) = self.due_rad.split_at(self.planned_rad.len());
        self.on_the_way_rad.copy_from_slice(on_the_way_rad);
        Ok(due_rad)
    }
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
    environment.reset(seed, &mut observation)?;
    let mut schedule = Schedule::begin(actor.lead(), environment.applied_rad());
    let mut episode = Episode::begin(&spec, actor.name(), seed, &observation);
    'episode: loop {
        let due_rad = schedule.next(actor, &observation, &mut rng)?;
        for action_rad in due_rad.chunks_exact(spec.action_len) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans `10 s + h` for the h-th of its three steps, s being the number that it sees, and tells what was on the way by the
    /// sign: negative where it is not what is expected.
    struct Ahead {
        on_the_way: [f32; 2],
    }

    impl Actor for Ahead {
        fn name(&self) -> &str {
            "ahead"
        }

        fn lead(&self) -> usize {
            2
        }

        fn plan(&self, state: &[f32], _: &mut Rng, chunk_rad: &mut Vec<f32>) -> Result<(), LearnError> {
            let sign = if state[1..] == self.on_the_way { 1.0 } else { -1.0 };
            *chunk_rad = (0..3).map(|h| sign * (10.0 * state[0] + h as f32)).collect();
            Ok(())
        }
    }

    /// Contract: the command of the start is held for as many steps as plans are made ahead; then every planned action is
    /// carried out, and the actor sees what is carried out while it plans.
    #[test]
    fn what_is_on_the_way_is_carried_out_first() -> Result<(), LearnError> {
        let mut schedule = Schedule::begin(2, &[0.5]);
        let mut rng = stream(0, "act", 0);
        let first = schedule.next(&Ahead { on_the_way: [0.5, 0.5] }, &[1.0], &mut rng)?;
        assert_eq!(first, [0.5, 0.5, 10.0]);
        let second = schedule.next(&Ahead { on_the_way: [11.0, 12.0] }, &[2.0], &mut rng)?;
        assert_eq!(second, [11.0, 12.0, 20.0]);
        Ok(())
    }
}
