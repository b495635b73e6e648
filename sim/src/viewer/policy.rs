//! A trained policy from the folder of its run, that thinks aloud.

use crate::viewer::driver::Driver;
use crate::viewer::error::ViewerError;
use crate::viewer::thought::Thought;
use bridge::random::{Rng, stream};
use bridge::{EnvironmentSpec, Percept};
use learn::{Actor, Deliberation, LearnError, Policy, Schedule, find_policy};
use sim::Hand;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Acts as a trained policy does.
pub struct Trained {
    aloud: Aloud,
    hand: Hand,
    rng: Rng,
    /// Of the episode that runs, once it has begun.
    schedule: Option<Schedule>,
    thought: Option<Arc<Thought>>,
}

/// A policy that tells its latest decision.
struct Aloud {
    policy: Policy,
    latest: Mutex<Option<Deliberation>>,
}

impl Trained {
    /// Loads the policy of the run in `folder`, for `environment`, whose hand is `hand`.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it was made for another environment.
    pub fn load(folder: &Path, environment: &EnvironmentSpec, hand: &Hand) -> Result<Self, LearnError> {
        let policy = find_policy(folder)?;
        policy.check_fits(environment)?;
        let aloud = Aloud { policy, latest: Mutex::default() };
        Ok(Self { aloud, hand: hand.clone(), rng: stream(0, "act", 0), schedule: None, thought: None })
    }
}

impl Driver for Trained {
    fn name(&self) -> String {
        self.aloud.name().to_owned()
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        (self.rng, self.schedule, self.thought) = (stream(seed, "act", 0), None, None);
        Ok(())
    }

    fn plan(&mut self, observation: &[f32], percept: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        let schedule = self.schedule.get_or_insert_with(|| {
            let tool = percept.tool.iter().flat_map(|tool| tool.commanded.values());
            let command_rad: Vec<f32> = tool.chain(percept.commanded_rad.iter().copied()).collect();
            Schedule::begin(self.aloud.lead(), &command_rad)
        });
        let due_rad = schedule.next(&self.aloud, observation, &mut self.rng)?;
        chunk_rad.clear();
        chunk_rad.extend_from_slice(due_rad);
        let latest = self.aloud.latest.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thought = latest.map(|latest| Arc::new(Thought::new(&latest, &self.hand, percept.tool.is_some())));
        Ok(())
    }

    fn thought(&self) -> Option<Arc<Thought>> {
        self.thought.clone()
    }
}

impl Actor for Aloud {
    fn name(&self) -> &str {
        self.policy.name()
    }

    fn lead(&self) -> usize {
        self.policy.lead()
    }

    fn plan(&self, state: &[f32], rng: &mut Rng, chunk_rad: &mut Vec<f32>) -> Result<(), LearnError> {
        let deliberation = self.policy.deliberate(state, rng)?;
        chunk_rad.clear();
        chunk_rad.extend(deliberation.candidates_rad.get(deliberation.chosen_idx).into_iter().flatten());
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(deliberation);
        Ok(())
    }
}
