//! What one decision of the policy costs, and one step of each network, at the size of the cube task: chunks of 10 steps x
//! 16 joints, 42 observed numbers, 12 couplings, two critics of three layers.
//!
//! `act_best_of_24` is one decision on one core: embed one observation, sample 24 chunks, value them with both critics, take
//! the best. `token_flow_sample_24` is the sampling alone, with token couplings of the paper's size. `nll_step` and `critic_step`
//! are gradient and AdamW step on a batch of 256, on all worker threads: run with `RAYON_NUM_THREADS=1` for one core.

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use bridge::random;
use candle_core::{Device, Tensor};
use criterion::{Criterion, criterion_group};
use learn::adamw::{AdamW, AdamWConfig};
use learn::chunk::ChunkShape;
use learn::critic::{Backup, ChunkCritic, Combine, CriticConfig, CriticNet, Head, TargetSubset};
use learn::flow::{Couplings, Flow, FlowConfig, Partition};
use learn::hl_gauss::Support;
use learn::layers::Track;
use learn::shards::{self, Gradient, GradientError, ShardOutput};
use learn::{noise, squash};
use std::hint::black_box;

const OBS: usize = 42;
const CHUNK: usize = 160;
const CANDIDATES: usize = 24;
const BATCH: usize = 256;

/// Networks with random weights in every layer, so that no product is with zeros.
struct Networks {
    flow: Flow,
    critic: ChunkCritic,
}

impl Networks {
    fn new() -> Self {
        let s_max = 1.0.try_into().expect("1 is above 0");
        let flow_config = FlowConfig {
            n_blocks: 12,
            couplings: Couplings::Mlp { hidden: 256, embedding: 128 },
            partition: Partition::Complementary,
            s_max,
        };
        let support = Support::new(-0.5, 5.0, 101).expect("a range");
        let critic_config = CriticConfig {
            ensemble: 2,
            net: CriticNet::Mlp { hidden: 256, n_layers: 3, layer_norm: true },
            support,
            head: Head::HlGauss,
            combine: Combine::Min,
            target_subset: TargetSubset::All,
            backup: Backup::Chunk,
            target_candidates: std::num::NonZeroUsize::MIN,
            behavior_penalty: 0.0.try_into().expect("0 is not below 0"),
        };
        let flow = Flow::new(flow_config, OBS, CHUNK, 1, &Device::Cpu).expect("allowed sizes");
        let critic = ChunkCritic::new(critic_config, OBS, CHUNK, 2, &Device::Cpu).expect("allowed sizes");
        for params in critic.members().iter().map(|member| member.params()).chain([flow.params()]) {
            let mut values = vec![0.0; params.n_elements()];
            noise::fill_normal(&mut random::stream(3, "weights", 0), &mut values);
            values.iter_mut().for_each(|value| *value *= 0.03);
            params.copy_from_flat(&values).expect("as many values as parameters");
        }
        Self { flow, critic }
    }

    fn best_of(&self, obs: &Tensor, z: &Tensor) -> candle_core::Result<u32> {
        let embedding = self.flow.embed(obs, Track::Frozen)?;
        let actions = squash::squash(&self.flow.chunks(&embedding, z, Track::Frozen)?)?;
        self.critic.value(obs, &actions, Track::Frozen)?.argmax(0)?.to_scalar()
    }

    fn nll_gradient(&self, obs: &Tensor, u: &Tensor) -> Result<Gradient, GradientError> {
        shards::gradients(self.flow.params(), BATCH, |rows| {
            let part = |t: &Tensor| t.narrow(0, rows.start, rows.len());
            let embedding = self.flow.embed(&part(obs)?, Track::Weights)?;
            let log_prob = self.flow.log_prob(&embedding, &part(u)?, Track::Weights)?;
            Ok(ShardOutput { loss: (log_prob.sum_all()? * (-1.0 / BATCH as f64))?, metrics: Vec::new() })
        })
    }

    /// Value of own samples plus their reverse KL to a frozen flow (here the same one).
    fn actor_gradient(&self, obs: &Tensor, z: &Tensor) -> Result<Gradient, GradientError> {
        shards::gradients(self.flow.params(), BATCH, |rows| {
            let part = |t: &Tensor| t.narrow(0, rows.start, rows.len());
            let obs = part(obs)?;
            let sample = self.flow.sample(&self.flow.embed(&obs, Track::Weights)?, &part(z)?, Track::Weights)?;
            let q = self.critic.value(&obs, &squash::squash(&sample.u)?, Track::Frozen)?;
            let reference = self.flow.log_prob(&self.flow.embed(&obs, Track::Frozen)?, &sample.u, Track::Frozen)?;
            let loss = (((sample.log_prob - reference)? * 0.01)? - q)?;
            Ok(ShardOutput { loss: (loss.sum_all()? / BATCH as f64)?, metrics: Vec::new() })
        })
    }
}

/// One decision's sampling with token couplings of the paper's size.
fn sample_tokens(criterion: &mut Criterion) {
    let couplings = Couplings::Token { width: 256, n_heads: 8, n_layers: 1, hidden: 512, n_observation_tokens: 8 };
    let s_max = 1.0.try_into().expect("1 is above 0");
    let config = FlowConfig { n_blocks: 16, couplings, partition: Partition::RandomSteps, s_max };
    let chunk = ChunkShape { n_steps: 10, action_len: CHUNK / 10 };
    let flow = Flow::new(config, OBS, chunk, 1, &Device::Cpu).expect("allowed sizes");
    let (obs, z) = (normal("obs", 1, OBS), normal("z", CANDIDATES, CHUNK));
    criterion.bench_function("token_flow_sample_24", |bencher| {
        bencher.iter(|| {
            let embedding = flow.embed(&obs, Track::Frozen).expect("shapes that fit together");
            black_box(flow.chunks(&embedding, &z, Track::Frozen).expect("shapes that fit together"))
        });
    });
}

fn normal(purpose: &str, rows: usize, columns: usize) -> Tensor {
    noise::normal(&mut random::stream(4, purpose, 0), (rows, columns), 1.0, &Device::Cpu).expect("a tensor on the CPU")
}

fn act(criterion: &mut Criterion) {
    let networks = Networks::new();
    let obs = normal("obs", 1, OBS);
    let mut rng = random::stream(5, "z", 0);
    criterion.bench_function("act_best_of_24", |bencher| {
        bencher.iter(|| {
            let z = noise::normal(&mut rng, (CANDIDATES, CHUNK), 0.7, &Device::Cpu).expect("a tensor on the CPU");
            black_box(networks.best_of(&obs, &z).expect("shapes that fit together"))
        });
    });
}

fn steps(criterion: &mut Criterion) {
    let networks = Networks::new();
    let (obs, u) = (normal("batch obs", BATCH, OBS), normal("batch u", BATCH, CHUNK));
    let decay = 1e-4.try_into().expect("not below 0");
    let config = AdamWConfig { weight_decay: decay, max_gradient_norm: 1.0.try_into().expect("1 is above 0") };
    let mut optimiser = AdamW::new(config, networks.flow.params());
    criterion.bench_function("nll_step", |bencher| {
        bencher.iter(|| {
            let gradient = networks.nll_gradient(&obs, &u).expect("every tensor has a gradient");
            optimiser.step(networks.flow.params(), &gradient.flat, 1e-6).expect("a finite gradient")
        });
    });
    criterion.bench_function("actor_step", |bencher| {
        bencher.iter(|| {
            let gradient = networks.actor_gradient(&obs, &u).expect("every tensor has a gradient");
            optimiser.step(networks.flow.params(), &gradient.flat, 1e-6).expect("a finite gradient")
        });
    });

    let actions = squash::squash(&u).expect("a tensor on the CPU");
    let targets: Vec<f32> = (0..BATCH).map(|i| 4.0 * i as f32 / BATCH as f32).collect();
    let members = networks.critic.members();
    let mut optimisers: Vec<AdamW> = members.iter().map(|member| AdamW::new(config, member.params())).collect();
    criterion.bench_function("critic_step", |bencher| {
        bencher.iter(|| {
            let labels = networks.critic.support().project(&targets).probabilities;
            let n_bins = networks.critic.support().n_bins();
            let labels = Tensor::from_vec(labels, (BATCH, n_bins), &Device::Cpu).expect("a tensor on the CPU");
            let one = |member| networks.critic.gradient(member, &obs, &actions, &labels).expect("shapes that fit");
            let (first, second) = rayon::join(|| one(0), || one(1));
            for ((member, optimiser), gradient) in members.iter().zip(&mut optimisers).zip([first, second]) {
                optimiser.step(member.params(), &gradient.flat, 1e-6).expect("a finite gradient");
            }
        });
    });
}

criterion_group!(groups, act, sample_tokens, steps);

fn main() {
    learn::configure_process().expect("the first call of main");
    groups();
    Criterion::default().configure_from_args().final_summary();
}
