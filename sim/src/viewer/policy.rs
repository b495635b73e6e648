//! A trained policy from the folder of its run.

use crate::viewer::driver::Driver;
use crate::viewer::error::ViewerError;
use bridge::random::{Rng, stream};
use bridge::{EnvironmentSpec, Percept};
use learn::{Actor, LearnError, Policy, Schedule, find_policy};
use std::path::Path;

/// Acts as a trained policy does.
pub struct Trained {
    policy: Policy,
    rng: Rng,
    /// Of the episode that runs, once it has begun.
    schedule: Option<Schedule>,
}

impl Trained {
    /// Loads the policy of the run in `folder`, for `environment`.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it was made for another environment.
    pub fn load(folder: &Path, environment: &EnvironmentSpec) -> Result<Self, LearnError> {
        let policy = find_policy(folder)?;
        policy.check_fits(environment)?;
        Ok(Self { policy, rng: stream(0, "act", 0), schedule: None })
    }
}

impl Driver for Trained {
    fn name(&self) -> String {
        self.policy.name().to_owned()
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        (self.rng, self.schedule) = (stream(seed, "act", 0), None);
        Ok(())
    }

    fn plan(&mut self, observation: &[f32], percept: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        let schedule = self.schedule.get_or_insert_with(|| {
            let tool = percept.tool.iter().flat_map(|tool| tool.commanded.values());
            let command_rad: Vec<f32> = tool.chain(percept.commanded_rad.iter().copied()).collect();
            Schedule::begin(self.policy.lead(), &command_rad)
        });
        let due_rad = schedule.next(&self.policy, observation, &mut self.rng)?;
        chunk_rad.clear();
        chunk_rad.extend_from_slice(due_rad);
        Ok(())
    }
}
