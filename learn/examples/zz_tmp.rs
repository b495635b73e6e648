#![allow(clippy::all, clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tmp")]
use bridge::random;
use candle_core::{Device, Tensor};
use learn::adamw::{AdamW, AdamWConfig};
use learn::critic::{ChunkCritic, CriticConfig};
use learn::flow::{Flow, FlowConfig};
use learn::hl_gauss::Support;
use learn::layers::Track;
use learn::shards::{self, Gradient, GradientError, ShardOutput};
use learn::{noise, squash};
const OBS: usize = 42; const CHUNK: usize = 160; const CANDIDATES: usize = 24; const BATCH: usize = 256;
fn cpu() -> f64 { let t = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap(); t.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-6 }
fn time(name: &str, n: usize, mut f: impl FnMut()) { for _ in 0..3 { f() } let mut v: Vec<f64> = (0..n).map(|_| { let t = cpu(); f(); cpu() - t }).collect(); v.sort_by(|a, b| a.total_cmp(b)); println!("{name}: median {:.3} ms, min {:.3} (CPU time)", v[n / 2], v[0]); }
/// Networks with random weights in every layer, so that no product is with zeros.
struct Networks {
    flow: Flow,
    critic: ChunkCritic,
}

impl Networks {
    fn new() -> Self {
        let s_max = 1.0.try_into().expect("1 is above 0");
        let flow_config = FlowConfig { n_blocks: 12, hidden: 256, embedding: 128, s_max };
        let support = Support::new(-0.5, 5.0, 101).expect("a range");
        let critic_config = CriticConfig { ensemble: 2, hidden: 256, n_layers: 3, support };
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
        let actions = squash::squash(&self.flow.sample(&embedding, z, Track::Frozen)?.u)?;
        self.critic.q_min(obs, &actions, Track::Frozen)?.argmax(0)?.to_scalar()
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
            let q = self.critic.q_min(&obs, &squash::squash(&sample.u)?, Track::Frozen)?;
            let reference = self.flow.log_prob(&self.flow.embed(&obs, Track::Frozen)?, &sample.u, Track::Frozen)?;
            let loss = (((sample.log_prob - reference)? * 0.01)? - q)?;
            Ok(ShardOutput { loss: (loss.sum_all()? / BATCH as f64)?, metrics: Vec::new() })
        })
    }
}

fn normal(purpose: &str, rows: usize, columns: usize) -> Tensor {
    noise::normal(&mut random::stream(4, purpose, 0), (rows, columns), 1.0, &Device::Cpu).expect("a tensor on the CPU")
}


fn main() {
    learn::configure_process().unwrap();
    let networks = Networks::new();
    let obs = normal("obs", 1, OBS);
    let mut rng = random::stream(5, "z", 0);
    time("act", 400, || { let z = noise::normal(&mut rng, (CANDIDATES, CHUNK), 0.7, &Device::Cpu).unwrap(); networks.best_of(&obs, &z).unwrap(); });
    time("act1", 400, || { let z = noise::normal(&mut rng, (1, CHUNK), 0.7, &Device::Cpu).unwrap(); networks.best_of(&obs, &z).unwrap(); });
    let (obs, u) = (normal("batch obs", BATCH, OBS), normal("batch u", BATCH, CHUNK));
    let config = AdamWConfig { weight_decay: 1e-4.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() };
    let mut optimiser = AdamW::new(config, networks.flow.params());
    println!("{} params", networks.flow.params().n_elements());
    let g = networks.nll_gradient(&obs, &u).unwrap();
    time("adamw", 50, || { optimiser.step(networks.flow.params(), &g.flat, 1e-6).unwrap(); });
    time("log_prob frozen", 50, || { let e = networks.flow.embed(&obs, Track::Frozen).unwrap(); networks.flow.log_prob(&e, &u, Track::Frozen).unwrap(); });
    time("nll", 50, || { let g = networks.nll_gradient(&obs, &u).unwrap(); optimiser.step(networks.flow.params(), &g.flat, 1e-6).unwrap(); });
    time("actor", 30, || { let g = networks.actor_gradient(&obs, &u).unwrap(); optimiser.step(networks.flow.params(), &g.flat, 1e-6).unwrap(); });
    let actions = squash::squash(&u).unwrap();
    let targets: Vec<f32> = (0..BATCH).map(|i| 4.0 * i as f32 / BATCH as f32).collect();
    let members = networks.critic.members();
    let mut optimisers: Vec<AdamW> = members.iter().map(|member| AdamW::new(config, member.params())).collect();
    time("labels", 50, || { networks.critic.support().project(&targets); });
    time("critic", 50, || {
        let labels = networks.critic.support().project(&targets).probabilities;
        let labels = Tensor::from_vec(labels, (BATCH, 101), &Device::Cpu).unwrap();
        for i in 0..2 { let g = networks.critic.gradient(i, &obs, &actions, &labels).unwrap(); optimisers[i].step(members[i].params(), &g.flat, 1e-6).unwrap(); }
    });
}
