//! A problem of known answer: a point on a line moves by what is applied to it; the reward of a step is
//! `0.1 (1 - 2 (x - g)^2)`, the goal g is observed. Demonstrators go towards a place beside the goal, on either side of it, so
//! there is something to imitate and something to improve.

#![allow(dead_code, reason = "every test binary uses its own part")]

use bridge::number::Positive;
use bridge::random::{Rng, stream};
use bridge::{Environment, EnvironmentError, EnvironmentSpec, Episode, Outcome, Step};
use learn::{Actor, ImitationConfig, LearnConfig, LearnError, OnlineConfig, Policy, Trainer, Work, play_all};
use rand::Rng as _;
use std::error::Error;
use std::path::Path;

pub type TestResult = Result<(), Box<dyn Error>>;
type File = (String, Vec<u8>);

/// The point on a line.
pub struct Line {
    pub spec: EnvironmentSpec,
    position: f32,
    goal: f32,
    step_idx: u32,
    applied: [f32; 1],
    outcome: Outcome,
}

impl Line {
    pub fn new() -> Self {
        let spec = EnvironmentSpec {
            task: "line".into(),
            body: "point".into(),
            observation_len: 2,
            action_len: 1,
            action_lower_rad: vec![-0.5],
            action_upper_rad: vec![0.5],
            control_hz: 10,
            horizon_steps: 20,
        };
        Self { spec, position: 0.0, goal: 0.0, step_idx: 0, applied: [0.0], outcome: Outcome::default() }
    }

    fn observe(&self, observation: &mut [f32]) {
        observation.copy_from_slice(&[self.position, self.goal]);
    }
}

impl Environment for Line {
    fn spec(&self) -> &EnvironmentSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) -> Result<(), EnvironmentError> {
        let mut rng = stream(seed, "line", 0);
        (self.position, self.goal) = (rng.random_range(-0.5..0.5), rng.random_range(-0.5..0.5));
        self.applied = [0.0];
        (self.step_idx, self.outcome) = (0, Outcome { succeeded: true, ..Outcome::default() });
        self.observe(observation);
        Ok(())
    }

    fn step(&mut self, action_rad: &[f32], observation: &mut [f32]) -> Result<Step, EnvironmentError> {
        self.applied = [action_rad[0].clamp(-0.5, 0.5)];
        self.position += self.applied[0];
        self.step_idx += 1;
        let reward = 0.1 * (1.0 - 2.0 * (self.position - self.goal).powi(2));
        self.outcome.total_reward += f64::from(reward);
        self.observe(observation);
        Ok(Step { reward, terminated: false, truncated: self.step_idx >= self.spec.horizon_steps })
    }

    fn applied_rad(&self) -> &[f32] {
        &self.applied
    }

    fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }
}

/// Goes a fifth of the way to a place beside the goal, now on this side of it, now on that.
struct Demonstrator;

impl Actor for Demonstrator {
    fn name(&self) -> &str {
        "beside the goal"
    }

    fn plan(&self, observation: &[f32], rng: &mut Rng, chunk_rad: &mut Vec<f32>) -> Result<(), LearnError> {
        let side = if rng.random_bool(0.5) { 0.5 } else { -0.5 };
        let mut position = observation[0];
        chunk_rad.clear();
        for _ in 0..4 {
            let step = 0.2 * (observation[1] + side - position) + rng.random_range(-0.05..0.05);
            position += step;
            chunk_rad.push(step);
        }
        Ok(())
    }
}

pub fn make() -> Result<Box<dyn Environment>, LearnError> {
    Ok(Box::new(Line::new()))
}

pub fn config(objective: &str) -> Result<LearnConfig, Box<dyn Error>> {
    config_of(FLOW, CRITIC, objective)
}

pub fn config_of(policy: &str, critic: &str, objective: &str) -> Result<LearnConfig, Box<dyn Error>> {
    let text = format!(
        "(chunk_len: 4, lead: 0, discount: 0.9, action_range: Demonstrated, action_margin: 0.9, dequantization: 0.03, batch_size: 64,
          optimizer: (weight_decay: 1e-4, max_gradient_norm: 1.0),
          policy: {policy},
          critic: (support: (min: -3.0, max: 1.2, n_bins: 51), {critic}),
          polyak: 0.05, critic_steps_per_actor_step: 2, critic_learning_rate: 1e-3, actor_learning_rate: 1e-3, actor_average_decay: 0.9, objective: {objective},
          acting: (n_candidates: 8, temperature: 0.7),
          imitation: (steps: 300, learning_rate: 2e-3, final_learning_rate: 1e-4, ramp_steps: 20, opening_share: 0.1, ema_decay: 0.99),
          warmup_steps: 300, offline_steps: 300,
          online: (iterations: 2, episodes_per_iteration: 5, critic_first_steps: 20, steps_per_iteration: 60,
                   frozen_candidates: 0, actor_ramp_steps: 0, offline_share: 0.5, success_share: 0.0,
                   gate: KeepBest(max_nats_per_dim: 2.0, max_calibration_gap: 1.0, value_tolerance: 0.5, max_shortfall: 1.0)))"
    );
    Ok(bridge::config::parse("config", &text)?)
}

pub const FLOW: &str =
    "Flow(n_blocks: 4, couplings: Mlp(hidden: 32, embedding: 16), partition: Complementary, s_max: 2.0)";
pub const CRITIC: &str =
    "ensemble: 2, net: Mlp(hidden: 32, n_layers: 2), head: HlGauss, combine: Min, target_subset: All,
    backup: Chunk, behavior_penalty: 0.0";
pub const REVERSE_KL: &str = "ReverseKl(target_nats_per_dim: 0.3, beta: 0.003, dual_rate: 0.02, reference: Frozen)";

/// The policies that have a density, then those that have none.
pub const POLICIES: [&[&str]; 2] = [
    &[
        "Flow(n_blocks: 2, couplings: Mlp(hidden: 8, embedding: 8), partition: Complementary, s_max: 2.0)",
        "Flow(n_blocks: 4, couplings: Token(width: 8, n_heads: 2, n_layers: 1, hidden: 8, n_observation_tokens: 2),
              partition: Complementary, s_max: 2.0)",
        "Flow(n_blocks: 4, couplings: Token(width: 8, n_heads: 2, n_layers: 2, hidden: 8, n_observation_tokens: 1),
              partition: RandomSteps, s_max: 2.0)",
        "Gaussian(hidden: 8, n_layers: 1)",
        "Mixture(n_components: 3, hidden: 8, n_layers: 2)",
        "Mixture(n_components: 1, hidden: 8, n_layers: 1)",
    ],
    &[
        "FlowMatching(n_steps: 3, one_step: false, hidden: 8, n_layers: 2)",
        "FlowMatching(n_steps: 3, one_step: true, hidden: 8, n_layers: 1)",
        "Diffusion(n_steps: 4, n_sampling_steps: 2, sampler: Ddim, schedule: Cosine, clip: 3.0, hidden: 8, n_layers: 2)",
        "Deterministic(noise: 0.2, hidden: 8, n_layers: 2)",
    ],
];

/// A transformer critic.
pub const TRANSFORMER: &str = "Transformer(width: 8, n_heads: 2, n_layers: 1, hidden: 8, n_observation_tokens: 2)";

/// The objectives that need a density, then those that need none.
pub const OBJECTIVES: [&[&str]; 2] = [
    &[
        REVERSE_KL,
        "ReverseKl(target_nats_per_dim: 0.3, beta: 0.003, dual_rate: 0.0,
                   reference: Average(decay: 0.5, max_nats_per_dim: 5.0))",
        "MaxEntropy(lambda: 0.03, entropy: 0.001)",
        "MaxEntropy(lambda: 0.03, entropy: 0.001, tuning: Some((target_nats_per_dim: -0.5, dual_rate: 0.1)))",
    ],
    &[
        "DemoLikelihood(lambda: 0.03)",
        "NormalizedDemoLikelihood(lambda: 1.0)",
        "AdvantageWeighted(n: 2, scale: 0.05, max_weight: 20.0)",
        "BestOfN(n: 2, temperature: 0.9, lambda: 0.3)",
        "Imitation",
    ],
];

pub fn temperature() -> Result<Positive, Box<dyn Error>> {
    Ok(0.7.try_into()?)
}

pub fn demonstrations() -> Result<Vec<Episode>, LearnError> {
    play_all(&make, &Demonstrator, &(0..40).collect::<Vec<_>>(), 2, |_| ())
}

pub fn trainer(objective: &str, demonstrations: &[Episode]) -> Result<Trainer, Box<dyn Error>> {
    Ok(Trainer::new(config(objective)?, Line::new().spec, demonstrations, temperature()?, 3)?)
}

/// Runs to the end; `pause` may replace the trainer between any two pieces of work.
pub fn run(
    mut trainer: Trainer,
    mut pause: impl FnMut(Trainer, &[Episode]) -> Result<Trainer, Box<dyn Error>>,
) -> Result<Trainer, Box<dyn Error>> {
    let mut own = Vec::new();
    loop {
        match trainer.work() {
            Work::Finished => return Ok(trainer),
            Work::Learn => drop(trainer.learn()?),
            Work::Collect { seeds, .. } => {
                let episodes = play_all(&make, trainer.acting()?, &seeds, 2, |_| ())?;
                trainer.accept(&episodes)?;
                own.extend(episodes);
            }
        }
        trainer = pause(trainer, &own)?;
    }
}

pub fn mean_return(policy: &Policy) -> Result<f64, LearnError> {
    let episodes = play_all(&make, policy, &(1000..1100).collect::<Vec<_>>(), 2, |_| ())?;
    Ok(episodes.iter().map(|episode| episode.label.outcome.total_reward).sum::<f64>() / episodes.len() as f64)
}

/// Everything that a trainer keeps on disk, byte for byte.
pub fn bytes(trainer: &Trainer) -> Result<Vec<File>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    trainer.save(folder.path())?;
    let mut files = Vec::new();
    collect_files(folder.path(), &mut files)?;
    files.sort();
    Ok(files)
}

fn collect_files(folder: &Path, files: &mut Vec<File>) -> TestResult {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_files(&path, files)?;
        } else {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let parent = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
            let is_root = path.parent() == Some(folder) && folder.join("trainer.ron").exists();
            files.push((if is_root { name } else { format!("{parent:?}/{name}") }, std::fs::read(&path)?));
        }
    }
    Ok(())
}

pub fn assert_same(left: &Trainer, right: &Trainer) -> TestResult {
    let (left, right) = (bytes(left)?, bytes(right)?);
    assert_eq!(
        left.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        right.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    for ((name, left), (_, right)) in left.iter().zip(&right) {
        assert!(left == right, "{name} differs");
    }
    Ok(())
}

/// A few steps of every stage.
pub fn short(config: LearnConfig) -> LearnConfig {
    let imitation = ImitationConfig { steps: 6, ..config.imitation };
    let online =
        OnlineConfig { episodes_per_iteration: 1, critic_first_steps: 2, steps_per_iteration: 4, ..config.online };
    LearnConfig { batch_size: 16, imitation, warmup_steps: 3, offline_steps: 4, online, ..config }
}
