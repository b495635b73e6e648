//! What one chunk costs of every policy network, at equal width: 10 steps x 16 joints, 42 observed numbers, hidden layers of
//! 256, one observation, one candidate, on one core. No critic is asked. And what a density costs beside it: of one chunk, and
//! of a batch of 256 for as many observations.
//!
//! A flow passes its 12 couplings, or 6, or 4, once; flow matching and diffusion pass their network once a step. Weights are random
//! in every layer, so that no product is with zeros.

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use bridge::{config, random};
use candle_core::{Device, Tensor};
use criterion::{Criterion, criterion_group};
use learn::chunk::ChunkShape;
use learn::layers::Track;
use learn::policy_net::{Draw, PolicyNet};
use learn::{PolicyConfig, noise};
use std::hint::black_box;

const OBS: usize = 42;
const CHUNK: ChunkShape = ChunkShape { n_steps: 10, action_len: 16 };

/// Name and configuration of each network.
const NETWORKS: [(&str, &str); 12] = [
    ("flow", "Flow(n_blocks: 12, couplings: Mlp(hidden: 256, embedding: 128), partition: Complementary, s_max: 1.0)"),
    // As the cube task has it.
    ("flow_6", "Flow(n_blocks: 6, couplings: Mlp(hidden: 256, embedding: 128), partition: Complementary, s_max: 2.0)"),
    (
        "flow_6_narrow",
        "Flow(n_blocks: 6, couplings: Mlp(hidden: 256, embedding: 64), partition: Complementary, s_max: 2.0)",
    ),
    ("flow_4", "Flow(n_blocks: 4, couplings: Mlp(hidden: 256, embedding: 128), partition: Complementary, s_max: 2.0)"),
    (
        "token_flow",
        "Flow(n_blocks: 16, partition: RandomSteps, s_max: 1.0,
              couplings: Token(width: 256, n_heads: 8, n_layers: 1, hidden: 512, n_observation_tokens: 4))",
    ),
    ("gaussian", "Gaussian(hidden: 256, n_layers: 4)"),
    ("mixture_5", "Mixture(n_components: 5, hidden: 256, n_layers: 4)"),
    ("flow_matching_10", "FlowMatching(n_steps: 10, one_step: false, hidden: 256, n_layers: 4)"),
    ("flow_matching_1", "FlowMatching(n_steps: 10, one_step: true, hidden: 256, n_layers: 4)"),
    (
        "diffusion_20",
        "Diffusion(n_steps: 20, n_sampling_steps: 20, sampler: Ddpm, schedule: Cosine, clip: 3.0, hidden: 256, n_layers: 3)",
    ),
    (
        "diffusion_5",
        "Diffusion(n_steps: 20, n_sampling_steps: 5, sampler: Ddim, schedule: Cosine, clip: 3.0, hidden: 256, n_layers: 3)",
    ),
    ("deterministic", "Deterministic(noise: 0.0, hidden: 256, n_layers: 3)"),
];

/// A network, and what `n_rows` chunks for as many observations are made of.
struct Policy {
    net: Box<dyn PolicyNet>,
    observations: Tensor,
    noise: Tensor,
}

impl Policy {
    fn new(name: &str, text: &str, n_rows: usize) -> Self {
        let policy: PolicyConfig = config::parse(name, text).expect("a policy network");
        let net = policy.build(OBS, CHUNK, 1, &Device::Cpu).expect("allowed sizes");
        let mut values = vec![0.0; net.params().n_elements()];
        noise::fill_normal(&mut random::stream(3, "weights", 0), &mut values);
        values.iter_mut().for_each(|value| *value *= 0.03);
        net.params().copy_from_flat(&values).expect("as many values as parameters");
        let mut rng = random::stream(4, "observation", 0);
        let observations = noise::normal(&mut rng, (n_rows, OBS), 1.0, &Device::Cpu).expect("a matrix");
        let drawn = Tensor::from_vec(net.base_noise(n_rows, 0.7, &mut rng), (n_rows, net.noise_len()), &Device::Cpu);
        Self { noise: drawn.expect("as much noise as the network asks for"), net, observations }
    }

    fn embedding(&self) -> Tensor {
        self.net.embed(black_box(&self.observations), Track::Frozen).expect("observations that fit")
    }

    fn chunks(&self) -> Tensor {
        self.net.chunks(&self.embedding(), &self.noise, Track::Frozen).expect("shapes that fit")
    }

    fn sample(&self) -> Draw {
        self.net.sample(&self.embedding(), &self.noise, Track::Frozen).expect("shapes that fit")
    }
}

fn policies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one_chunk");
    for (name, text) in NETWORKS {
        let policy = Policy::new(name, text, 1);
        group.bench_function(name, |bencher| bencher.iter(|| policy.chunks()));
    }
    group.finish();
}

fn densities(criterion: &mut Criterion) {
    for (name, text) in NETWORKS {
        for n_rows in [1, 256] {
            let policy = Policy::new(name, text, n_rows);
            if policy.sample().log_prob.is_some() {
                let mut group = criterion.benchmark_group(format!("{name}/{n_rows}"));
                // A batch through the token couplings takes half a second.
                group.sample_size(if n_rows == 1 { 100 } else { 10 });
                group.bench_function("chunks", |bencher| bencher.iter(|| policy.chunks()));
                group.bench_function("with_density", |bencher| bencher.iter(|| policy.sample()));
                group.finish();
            }
        }
    }
}

criterion_group!(benches, policies, densities);

fn main() {
    learn::configure_process().expect("the first call of main");
    benches();
    Criterion::default().configure_from_args().final_summary();
}
