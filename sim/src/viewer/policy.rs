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

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::{CubeReward, Environment, GovernorConfig, config};
    use learn::{Acting, Choice, LearnConfig, Trainer};
    use sim::{CubeScene, Domain, collect};

    const N_CANDIDATES: usize = 5;
    const CHUNK_LEN: usize = 4;
    const FLOW: &str =
        "Flow(n_blocks: 2, couplings: Mlp(hidden: 8, embedding: 8), partition: Complementary, s_max: 2.0)";
    const DETERMINISTIC: &str = "Deterministic(noise: 0.2, hidden: 8, n_layers: 1)";

    /// A policy as it is before its training, with as many candidates as are wanted.
    fn write_policy(folder: &Path, net: &str, environment: &EnvironmentSpec, scene: &CubeScene) {
        let text = format!(
            "(chunk_len: {CHUNK_LEN}, lead: 0, discount: 0.99, action_range: Demonstrated, action_margin: 0.9,
            dequantization: 0.02, batch_size: 8, optimizer: (weight_decay: 0.0, max_gradient_norm: 1.0), policy: {net},
            critic: (ensemble: 1, net: Mlp(hidden: 8, n_layers: 1), support: (min: -1.0, max: 5.0, n_bins: 11),
                head: HlGauss, combine: Min, target_subset: All, backup: Chunk, behavior_penalty: 0.0),
            polyak: 0.02, critic_steps_per_actor_step: 1, critic_learning_rate: 1e-3, actor_learning_rate: 1e-3,
            actor_average_decay: 0.9, objective: Imitation, acting: (n_candidates: {N_CANDIDATES}, temperature: 0.7),
            imitation: (steps: 1, learning_rate: 1e-3, final_learning_rate: 1e-3, ramp_steps: 1, opening_share: 0.1,
                ema_decay: 0.9),
            warmup_steps: 0, offline_steps: 0,
            online: (iterations: 0, episodes_per_iteration: 1, critic_first_steps: 0, steps_per_iteration: 1,
                frozen_candidates: 0, actor_ramp_steps: 0, offline_share: 0.5, success_share: 0.0, gate: Open))"
        );
        let learn: LearnConfig = config::parse("the test", &text).unwrap();
        let (nominal, governor) = (Domain::load("nominal").unwrap(), GovernorConfig::usual().unwrap());
        let demonstrations = collect(scene, &nominal, governor, CubeReward::Dense, &[0, 1], 0, 1).unwrap();
        let acting = Acting { n_candidates: N_CANDIDATES, temperature: 0.7.try_into().unwrap() };
        let alone = Acting { n_candidates: 1, ..acting };
        let trainer = Trainer::new(learn, environment.clone(), &demonstrations, alone, 3).unwrap();
        let policy = trainer.policy().unwrap().acting(acting).choosing_by(Choice::Value).unwrap();
        policy.save(folder).unwrap();
    }

    /// Contract: a policy that thinks aloud acts as it does silently, and tells every candidate: its value, a point of each
    /// finger tip's way an action, and the likelihood of the chosen one if the policy has a density. A new episode
    /// begins without a thought.
    #[test]
    fn a_policy_thinks_aloud() {
        let scene = CubeScene::load("reference16").unwrap().with_horizon(1.0.try_into().unwrap());
        let (exact, governor) = (Domain::load("exact").unwrap(), GovernorConfig::usual().unwrap());
        let mut environment = scene.environment(exact, governor, CubeReward::Dense).unwrap();
        let mut observation = vec![0.0; environment.spec().observation_len];
        environment.reset(0, &mut observation).unwrap();
        let percept = environment.governor().percept().clone();
        for (net, has_density) in [(FLOW, true), (DETERMINISTIC, false)] {
            let folder = tempfile::tempdir().unwrap();
            write_policy(folder.path(), net, environment.spec(), &scene);
            let mut trained = Trained::load(folder.path(), environment.spec(), scene.hand()).unwrap();
            trained.begin(7).unwrap();
            assert_eq!(trained.thought(), None);
            let mut chunk_rad = Vec::new();
            trained.plan(&observation, &percept, &mut chunk_rad).unwrap();

            let mut silent_rad = Vec::new();
            let silent = find_policy(folder.path()).unwrap();
            silent.plan(&observation, &mut stream(7, "act", 0), &mut silent_rad).unwrap();
            assert_eq!(chunk_rad, silent_rad, "{net}");

            let thought = trained.thought().unwrap();
            assert_eq!(thought.candidates.len(), N_CANDIDATES, "{net}");
            for candidate in &thought.candidates {
                assert!(candidate.value <= thought.value().unwrap(), "{net}: {thought:?}");
                assert_eq!(candidate.traces_m.len(), scene.hand().fingers.len());
                assert!(candidate.traces_m.iter().all(|trace_m| trace_m.len() == CHUNK_LEN));
            }
            assert_eq!(thought.log_likelihood_per_value.is_some(), has_density, "{net}");
            assert!(thought.log_likelihood_per_value.is_none_or(f64::is_finite), "{net}: {thought:?}");
            trained.begin(7).unwrap();
            assert_eq!(trained.thought(), None);
        }
    }
}
