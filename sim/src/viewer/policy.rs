//! A trained policy from the folder of its run.

use crate::viewer::driver::Driver;
use crate::viewer::error::ViewerError;
use bridge::random::{Rng, stream};
use bridge::{EnvironmentSpec, Percept};
use learn::{Actor, LearnError, Policy, find_policy};
use std::path::Path;

/// Acts as a trained policy does.
pub struct Trained {
    policy: Policy,
    rng: Rng,
}

impl Trained {
    /// Loads the policy of the run in `folder`, for `environment`.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it was made for another environment.
    pub fn load(folder: &Path, environment: &EnvironmentSpec) -> Result<Self, LearnError> {
        let policy = find_policy(folder)?;
        policy.check_fits(environment)?;
        Ok(Self { policy, rng: stream(0, "act", 0) })
    }
}

impl Driver for Trained {
    fn name(&self) -> String {
        self.policy.name().to_owned()
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        self.rng = stream(seed, "act", 0);
        Ok(())
    }

    fn plan(&mut self, observation: &[f32], _: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        Ok(self.policy.plan(observation, &mut self.rng, chunk_rad)?)
    }
}
