//! What a call of `Trainer::learn` costs in every stage: the steps of `benches/learner.rs` with all that training adds to
//! them, the drawing of batches and noise above all. The demonstrations are noise.
//!
//! `offline` is a critic step and an actor step; online batches are drawn from two replays and cost the same.

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use benches::step::{BATCH, SIZES, Size};
use benches::threads;
use bridge::number::Positive;
use bridge::{EnvironmentSpec, Episode, random};
use criterion::{BenchmarkId, Criterion};
use learn::{LearnConfig, Stage, Trainer, noise};

const CHUNK_LEN: usize = 10;
const N_EPISODES: u64 = 20;
const N_STEPS: usize = 200;

/// A trainer at the start of `stage`, which never ends.
fn trainer(size: &Size, stage: Stage) -> Trainer {
    let steps = |of: Stage| if of == stage { u64::MAX } else { 0 };
    let text = format!(
        "(chunk_len: {CHUNK_LEN}, lead: 0, discount: 0.99, action_range: Demonstrated, action_margin: 0.9, dequantization: 0.02, batch_size: {BATCH},
          optimizer: (weight_decay: 1e-4, max_gradient_norm: 1.0),
          policy: Flow(n_blocks: {n_blocks}, couplings: Mlp(hidden: {hidden}, embedding: {embedding}), partition: Complementary, s_max: 2.0),
          critic: (ensemble: {n_critics}, net: Mlp(hidden: {hidden}, n_layers: 3), support: (min: -0.5, max: 5.0, n_bins: 101),
                   head: HlGauss, combine: Min, target_subset: All, backup: Chunk, behavior_penalty: 0.0),
          polyak: 0.01, critic_steps_per_actor_step: 1,
          critic_learning_rate: 1e-7, actor_learning_rate: 1e-7, actor_average_decay: 0.99,
          objective: ReverseKl(target_nats_per_dim: 0.04, beta: 0.002, dual_rate: 0.01, reference: Frozen),
          acting: (n_candidates: 24, temperature: 0.7),
          imitation: (steps: {imitation}, learning_rate: 1e-7, final_learning_rate: 1e-7, ramp_steps: 1,
                      opening_share: 0.0, ema_decay: 0.99),
          warmup_steps: {warmup}, offline_steps: {offline},
          online: (iterations: 0, episodes_per_iteration: 1, critic_first_steps: 0, steps_per_iteration: 1,
                   frozen_candidates: 0, actor_ramp_steps: 0, offline_share: 0.5, success_share: 0.0, gate: Open))",
        n_blocks = size.n_blocks,
        hidden = size.hidden,
        embedding = size.embedding,
        n_critics = size.n_critics,
        imitation = steps(Stage::Imitation),
        warmup = steps(Stage::Warmup),
        offline = steps(Stage::Offline),
    );
    let config: LearnConfig = bridge::config::parse("training bench", &text).expect("a configuration");
    let action_len = size.chunk / CHUNK_LEN;
    let spec = EnvironmentSpec {
        task: "noise".into(),
        body: "noise".into(),
        observation_len: size.observation,
        action_len,
        action_lower_rad: vec![-1.0; action_len],
        action_upper_rad: vec![1.0; action_len],
        control_hz: 20,
        horizon_steps: N_STEPS as u32,
    };
    let demonstrations: Vec<Episode> = (0..N_EPISODES).map(|seed| episode(&spec, seed)).collect();
    let temperature: Positive = 0.7.try_into().expect("0.7 is above 0");
    Trainer::new(config, spec, &demonstrations, temperature, 1).expect("enough demonstrations")
}

fn episode(spec: &EnvironmentSpec, seed: u64) -> Episode {
    let mut rng = random::stream(seed, "demonstration", 0);
    let mut normal = |n: usize| {
        let mut values = vec![0.0; n];
        noise::fill_normal(&mut rng, &mut values);
        values
    };
    let mut episode = Episode::begin(spec, "noise", seed, &normal(spec.observation_len));
    episode.observations.extend(normal(N_STEPS * spec.observation_len));
    episode.actions_rad = normal(N_STEPS * spec.action_len);
    episode.rewards = normal(N_STEPS).iter().map(|reward| 0.02 * reward).collect();
    // Only successes are imitated.
    episode.label.outcome.succeeded = true;
    episode
}

fn stages(criterion: &mut Criterion, n_threads: usize) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("training/{}", size.name));
        for stage in [Stage::Imitation, Stage::Warmup, Stage::Offline] {
            let mut trainer = trainer(&size, stage);
            group.bench_function(BenchmarkId::new(stage.name(), n_threads), |bencher| {
                bencher.iter(|| trainer.learn().expect("finite numbers"));
            });
        }
        group.finish();
    }
}

fn main() {
    learn::configure_process().expect("the first call of main");
    for n_threads in [1, 2] {
        threads::on(n_threads, || stages(&mut Criterion::default().configure_from_args(), n_threads))
            .expect("as many threads as the machine should have");
    }
    Criterion::default().configure_from_args().final_summary();
}
