//! The planner of a robot that a policy of the learner moves.

use bridge::random::{Rng, stream};
use bridge::real::planner::{PlanError, Planner};
use learn::{Actor, Policy};

/// Plans with a policy of the learner.
pub(super) struct PolicyPlanner {
    policy: Option<Policy>,
    rng: Rng,
    state: Vec<f32>,
    planned_rad: Vec<f32>,
}

impl PolicyPlanner {
    /// Without a policy yet; `seed` names its noise.
    pub(super) fn new(seed: u64) -> Self {
        Self { policy: None, rng: stream(seed, "act on a robot", 0), state: Vec::new(), planned_rad: Vec::new() }
    }
}

impl Planner for PolicyPlanner {
    type Policy = Policy;

    fn adopt(&mut self, policy: Policy) {
        self.policy = Some(policy);
    }

    fn plan(&mut self, observation: &[f32], chunk_rad: &mut [f32]) -> Result<(), PlanError> {
        let failed = |reason: String| PlanError { reason };
        let policy = self.policy.as_ref().ok_or_else(|| failed("no policy was published yet".into()))?;
        let n_on_the_way = policy.lead() * policy.header().environment.action_len;
        let (on_the_way_rad, chunk_rad) = chunk_rad.split_at_mut(n_on_the_way.min(chunk_rad.len()));
        self.state.clear();
        self.state.extend_from_slice(observation);
        self.state.extend_from_slice(on_the_way_rad);
        policy.plan(&self.state, &mut self.rng, &mut self.planned_rad).map_err(|error| failed(error.to_string()))?;
        if self.planned_rad.len() != chunk_rad.len() {
            let (found, expected) = (self.planned_rad.len(), chunk_rad.len());
            return Err(failed(format!("the policy's chunk has {found} values, expected {expected}")));
        }
        chunk_rad.copy_from_slice(&self.planned_rad);
        Ok(())
    }
}
