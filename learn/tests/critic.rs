//! Contracts of the ensemble of critics, and of gradients on several threads.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;

use bridge::{Episode, EpisodeLabel, Outcome, random};
use candle_core::{Device, Tensor, Var};
use learn::Normalizer;
use learn::adamw::{AdamW, AdamWConfig};
use learn::critic::{Backup, ChunkCritic, Combine, CriticConfig, CriticError, CriticNet, Head, TargetSubset};
use learn::flow::{Couplings, Flow, FlowConfig, Partition};
use learn::hl_gauss::Support;
use learn::layers::Track;
use learn::noise;
use learn::replay::{ChunkBatch, Replay, Window};
use learn::shards::{self, Gradient, GradientError, ShardOutput};
use learn::squash::squash;

const OBS: usize = 3;
const CHUNK: usize = 4;

const PLAIN_NET: CriticNet = CriticNet::Mlp { hidden: 24, n_layers: 3, layer_norm: false };

fn config(ensemble: usize) -> CriticConfig {
    let support = Support::new(-0.5, 2.0, 31).unwrap();
    let (head, combine, backup) = (Head::HlGauss, Combine::Min, Backup::Chunk);
    let (target_candidates, behavior_penalty) = (std::num::NonZeroUsize::MIN, 0.0.try_into().unwrap());
    let (net, target_subset) = (CriticNet::Mlp { hidden: 24, n_layers: 3, layer_norm: true }, TargetSubset::All);
    CriticConfig { ensemble, net, support, head, combine, target_subset, target_candidates, backup, behavior_penalty }
}

fn flow_config(n_blocks: usize, hidden: usize, embedding: usize) -> FlowConfig {
    let (couplings, partition) = (Couplings::Mlp { hidden, embedding }, Partition::Complementary);
    FlowConfig { n_blocks, couplings, partition, s_max: 1.0.try_into().unwrap() }
}

fn normal(seed: u64, name: &str, shape: (usize, usize)) -> Tensor {
    noise::normal(&mut random::stream(seed, name, 0), shape, 1.0, &Device::Cpu).unwrap()
}

fn vec1(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// An ensemble whose weights are all random.
fn random_critic(seed: u64) -> ChunkCritic {
    let critic = ChunkCritic::new(config(2), OBS, CHUNK, seed, &Device::Cpu).unwrap();
    for (i, member) in critic.members().iter().enumerate() {
        let mut values = vec![0.0; member.params().n_elements()];
        noise::fill_normal(&mut random::stream(seed, "weights", i as u64), &mut values);
        values.iter_mut().for_each(|value| *value *= 0.3);
        member.params().copy_from_flat(&values).unwrap();
    }
    critic
}

/// Contract: an untrained critic gives the middle of its support; trained on values of chunks it learns them (mean error below
/// 2 % of the support), and every trainable tensor gets a gradient on the way; so does one without LayerNorm.
#[test]
fn values_are_learned() {
    learns_values(config(2));
    learns_values(CriticConfig { net: PLAIN_NET, ..config(2) });
}

fn learns_values(config: CriticConfig) {
    let critic = ChunkCritic::new(config, OBS, CHUNK, 1, &Device::Cpu).unwrap();
    let (obs, action) = (normal(1, "obs", (256, OBS)), normal(1, "action", (256, CHUNK)));
    let q = vec1(&critic.value(&obs, &action, Track::Frozen).unwrap());
    assert!(q.iter().all(|q| (q - 0.75).abs() < 1e-5));

    // Q = 0.75 + 0.5 tanh(o_0 + a_0 - a_1)
    let targets: Vec<f32> = obs
        .to_vec2::<f32>()
        .unwrap()
        .iter()
        .zip(action.to_vec2::<f32>().unwrap())
        .map(|(o, a)| 0.75 + 0.5 * (o[0] + a[0] - a[1]).tanh())
        .collect();
    let labels = critic.support().project(&targets);
    let labels = Tensor::from_vec(labels.probabilities, (256, 31), &Device::Cpu).unwrap();
    let optimiser = AdamWConfig { weight_decay: 1e-4.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() };
    let new_optimiser = |member: &learn::critic::Critic| AdamW::new(optimiser, member.params());
    let mut optimisers: Vec<AdamW> = critic.members().iter().map(new_optimiser).collect();
    for _ in 0..200 {
        for (i, optimiser) in optimisers.iter_mut().enumerate() {
            let gradient = critic.gradient(i, &obs, &action, &labels).unwrap();
            optimiser.step(critic.members()[i].params(), &gradient.flat, 3e-3).unwrap();
        }
    }
    let q = vec1(&critic.value(&obs, &action, Track::Frozen).unwrap());
    let error = q.iter().zip(&targets).map(|(q, y)| (q - y).abs()).sum::<f32>() / 256.0;
    assert!(error < 0.05, "mean error {error}");
}

/// Contract: the minimum is over the members; one observation for many chunks gives what the same observation per chunk
/// gives; frozen critics pass gradients to the chunks and none to their weights.
#[test]
fn values_are_compared() {
    let critic = random_critic(2);
    let (obs, action) = (normal(2, "obs", (1, OBS)), Var::from_tensor(&normal(2, "action", (24, CHUNK))).unwrap());
    let lowest = critic.value(&obs, action.as_tensor(), Track::Frozen).unwrap();
    let each = obs.broadcast_as((24, OBS)).unwrap().contiguous().unwrap();
    let members: Vec<Vec<f32>> = critic
        .members()
        .iter()
        .map(|member| vec1(&member.q(&each, action.as_tensor(), Track::Frozen).unwrap()))
        .collect();
    assert_ne!(members[0], members[1]);
    for (i, q) in vec1(&lowest).into_iter().enumerate() {
        assert!((q - members[0][i].min(members[1][i])).abs() < 1e-5);
    }
    let gradients = lowest.sum_all().unwrap().backward().unwrap();
    assert!(vec1(gradients.get(&action).unwrap()).iter().all(|g| g.is_finite() && *g != 0.0));
    for member in critic.members() {
        assert!(member.params().iter().all(|(_, var)| gradients.get(var).is_none()));
    }
}

/// An ensemble of another kind whose weights are all random.
fn random_variant(config: CriticConfig, n_inputs: usize) -> ChunkCritic {
    let critic = ChunkCritic::new(config, OBS, n_inputs, 9, &Device::Cpu).unwrap();
    for (i, member) in critic.members().iter().enumerate() {
        let mut values = vec![0.0; member.params().n_elements()];
        noise::fill_normal(&mut random::stream(9, "variant", i as u64), &mut values);
        values.iter_mut().for_each(|value| *value *= 0.3);
        member.params().copy_from_flat(&values).unwrap();
    }
    critic
}

/// Contract: the mean of the ensemble is that of its members.
#[test]
fn ensembles_may_take_the_mean() {
    let critic = random_variant(CriticConfig { combine: Combine::Mean, ..config(3) }, CHUNK);
    let (obs, action) = (normal(10, "obs", (8, OBS)), normal(10, "action", (8, CHUNK)));
    let members: Vec<Vec<f32>> =
        critic.members().iter().map(|member| vec1(&member.q(&obs, &action, Track::Frozen).unwrap())).collect();
    for (i, q) in vec1(&critic.value(&obs, &action, Track::Frozen).unwrap()).into_iter().enumerate() {
        assert!((q - members.iter().map(|member| member[i]).sum::<f32>() / 3.0).abs() < 1e-5);
    }
}

/// Contract: a critic of single actions reads the first columns of a chunk and nothing behind them; it passes gradients to
/// those alone.
#[test]
fn first_actions_are_valued_alone() {
    let n_inputs = CHUNK / 2;
    let critic = random_variant(CriticConfig { backup: Backup::PerStep, ..config(2) }, n_inputs);
    let (obs, chunk) = (normal(11, "obs", (8, OBS)), Var::from_tensor(&normal(11, "chunk", (8, CHUNK))).unwrap());
    let first = chunk.narrow(1, 0, n_inputs).unwrap().contiguous().unwrap();
    let q = critic.value(&obs, chunk.as_tensor(), Track::Frozen).unwrap();
    assert_eq!(vec1(&q), vec1(&critic.value(&obs, &first, Track::Frozen).unwrap()));
    let store = q.sum_all().unwrap().backward().unwrap();
    for row in store.get(&chunk).unwrap().to_vec2::<f32>().unwrap() {
        assert!(row[..n_inputs].iter().all(|&g| g != 0.0) && row[n_inputs..].iter().all(|&g| g == 0.0), "{row:?}");
    }
    assert_eq!(
        [Backup::Chunk, Backup::PerStep, Backup::NStep].map(|b| [b.n_actions(10), b.n_steps(10)]),
        [[10, 10], [1, 1], [1, 10]]
    );
}

/// Contract: the squared-error head starts at the middle of the support, has labels in its units, worked by hand, learns
/// values beyond the support, and every trainable tensor gets a gradient on the way.
#[test]
fn squared_errors_are_learned() {
    let critic = ChunkCritic::new(CriticConfig { head: Head::Mse, ..config(2) }, OBS, CHUNK, 1, &Device::Cpu).unwrap();
    let (obs, action) = (normal(12, "obs", (256, OBS)), normal(12, "action", (256, CHUNK)));
    let q = vec1(&critic.value(&obs, &action, Track::Frozen).unwrap());
    assert!(q.iter().all(|q| (q - 0.75).abs() < 1e-5));
    // (y - 0.75) / 2.5
    let labels = critic.labels(&[0.75, 3.25, -0.5]).unwrap();
    assert_eq!((vec1(&labels.values), labels.clamped_share), (vec![0.0, 1.0, -0.5], 0.0));
    assert_eq!(labels.values.dims(), [3, 1]);

    // Q = 2.5 + tanh(o_0 + a_0 - a_1): most of it above the support's 2.
    let rows = obs.to_vec2::<f32>().unwrap().into_iter().zip(action.to_vec2::<f32>().unwrap());
    let targets: Vec<f32> = rows.map(|(o, a)| 2.5 + (o[0] + a[0] - a[1]).tanh()).collect();
    let labels = critic.labels(&targets).unwrap();
    let optimiser = AdamWConfig { weight_decay: 1e-4.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() };
    let mut optimisers: Vec<AdamW> =
        critic.members().iter().map(|member| AdamW::new(optimiser, member.params())).collect();
    for _ in 0..300 {
        for (i, optimiser) in optimisers.iter_mut().enumerate() {
            let gradient = critic.gradient(i, &obs, &action, &labels.values).unwrap();
            optimiser.step(critic.members()[i].params(), &gradient.flat, 3e-3).unwrap();
        }
    }
    let q = vec1(&critic.value(&obs, &action, Track::Frozen).unwrap());
    let error = q.iter().zip(&targets).map(|(q, y)| (q - y).abs()).sum::<f32>() / 256.0;
    assert!(error < 0.1, "mean error {error}");
}

/// Contract: an ensemble comes back from its file with the same bits; a target follows by tau; sizes that make none are
/// refused.
#[test]
fn ensembles_are_copied() {
    let critic = random_critic(3);
    let other = random_critic(4);
    other.load_bytes(&critic.to_bytes().unwrap()).unwrap();
    assert_eq!(other.to_bytes().unwrap(), critic.to_bytes().unwrap());
    let target = critic.deep_clone().unwrap();
    target.polyak_from(&random_critic(5), 1.0).unwrap();
    assert_ne!(target.to_bytes().unwrap(), critic.to_bytes().unwrap());
    let three = ChunkCritic::new(config(3), OBS, CHUNK, 0, &Device::Cpu).unwrap();
    assert!(target.polyak_from(&three, 0.5).is_err());
    assert!(critic.load_bytes(&three.to_bytes().unwrap()).is_err());
    for ensemble in [0, 11] {
        let refused = ChunkCritic::new(config(ensemble), OBS, CHUNK, 0, &Device::Cpu);
        assert!(matches!(refused, Err(CriticError::Size { field: "ensemble", .. })));
    }
}

/// Contract: without LayerNorm a critic is linear layers with SiLU between them, worked out here number by number, and has no
/// parameters of a norm.
#[test]
fn without_layer_norm_by_hand() {
    let config = CriticConfig { net: PLAIN_NET, head: Head::Mse, ..config(1) };
    let critic = ChunkCritic::new(config, OBS, CHUNK, 4, &Device::Cpu).unwrap();
    let params = critic.members()[0].params();
    let mut values = vec![0.0; params.n_elements()];
    noise::fill_normal(&mut random::stream(4, "weights", 0), &mut values);
    params.copy_from_flat(&values).unwrap();
    assert!(params.iter().all(|(name, _)| !name.contains("norm")));
    let (obs, action) = (normal(4, "obs", (5, OBS)), normal(4, "action", (5, CHUNK)));
    let parameter = |name: &str| vec1(params.var(name).unwrap().as_tensor());
    let affine = |x: &[f32], weight: &[f32], bias: Vec<f32>| -> Vec<f32> {
        let n_out = bias.len();
        let product =
            |column: usize| x.iter().enumerate().map(|(row, x)| x * weight[row * n_out + column]).sum::<f32>();
        bias.iter().enumerate().map(|(column, bias)| bias + product(column)).collect()
    };
    let silu = |x: Vec<f32>| -> Vec<f32> { x.into_iter().map(|x| x / (1.0 + (-x).exp())).collect() };
    let found = vec1(&critic.value(&obs, &action, Track::Frozen).unwrap());
    for ((obs, action), found) in obs.to_vec2().unwrap().iter().zip(action.to_vec2::<f32>().unwrap()).zip(found) {
        let seen = affine(obs, &parameter("layer.0.condition_weight"), parameter("layer.0.bias"));
        let mut hidden = silu(affine(&action, &parameter("layer.0.weight"), seen));
        for layer in ["layer.1", "layer.2"] {
            let (weight, bias) = (parameter(&format!("{layer}.weight")), parameter(&format!("{layer}.bias")));
            hidden = silu(affine(&hidden, &weight, bias));
        }
        let last = affine(&hidden, &parameter("last.weight"), parameter("last.bias"));
        // The middle of the support, and its width.
        let expected = 0.75 + 2.5 * last[0];
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{found}, expected {expected}");
    }
}

/// The networks whose numbers `critic_golden.py` computed.
const GOLDEN_NET: CriticNet = CriticNet::Mlp { hidden: 8, n_layers: 3, layer_norm: true };

/// Their ensemble.
fn golden_critic(combine: Combine) -> ChunkCritic {
    let config = CriticConfig { net: GOLDEN_NET, combine, ..config(3) };
    let critic = ChunkCritic::new(config, 5, 6, 0, &Device::Cpu).unwrap();
    for (i, member) in critic.members().iter().enumerate() {
        oracle::critic().fill(&format!("critic.{i:02}/"), member.params());
    }
    critic
}

/// Contract: values, their gradients to the chunks, losses and their gradients to every parameter equal an independent
/// computation to 1e-5, for the lowest and the mean of an ensemble and for a squared error.
#[test]
fn golden_numbers() -> candle_core::Result<()> {
    let golden = oracle::critic();
    let (obs, action) = (golden.tensor("obs"), Var::from_tensor(golden.tensor("action"))?);
    for (name, combine) in [("min", Combine::Min), ("mean", Combine::Mean)] {
        let value = golden_critic(combine).value(obs, action.as_tensor(), Track::Frozen)?;
        golden.assert_close(name, &value, 1e-5);
        let store = (value * golden.tensor("q_weights"))?.sum_all()?.backward()?;
        golden.assert_close(&format!("{name}/by_action"), store.get(&action).unwrap(), 1e-5);
    }
    let critic = golden_critic(Combine::Min);
    let labels = critic.labels(&golden.values("y"))?.values;
    let each: Vec<Tensor> = critic
        .members()
        .iter()
        .map(|member| member.q(obs, action.as_tensor(), Track::Frozen))
        .collect::<Result<_, _>>()?;
    golden.assert_close("q", &Tensor::stack(&each, 0)?, 1e-5);
    for (i, member) in critic.members().iter().enumerate() {
        let found = critic.gradient(i, obs, action.as_tensor(), &labels).unwrap();
        oracle::assert_near("loss", &[found.loss as f32], &golden.values(&format!("loss.{i:02}")), 1e-5);
        golden.assert_gradient(&format!("gradient.{i:02}"), member.params(), &found.flat, 1e-5);
    }

    let config = CriticConfig { net: GOLDEN_NET, head: Head::Mse, ..config(1) };
    let critic = ChunkCritic::new(config, 5, 6, 0, &Device::Cpu).unwrap();
    let member = &critic.members()[0];
    golden.fill("mse/", member.params());
    golden.assert_close("mse.q", &member.q(obs, action.as_tensor(), Track::Frozen)?, 1e-5);
    let found = critic.gradient(0, obs, action.as_tensor(), &critic.labels(&golden.values("y"))?.values).unwrap();
    oracle::assert_near("mse.loss", &[found.loss as f32], &golden.values("mse.loss"), 1e-5);
    golden.assert_gradient("mse.gradient", member.params(), &found.flat, 1e-5);
    Ok(())
}

/// Contract: targets equal an independent computation to 1e-6 at whole and partial chunks, at a failure and at a timeout, of
/// chunks and of single steps, with the lowest and with the mean of the ensemble.
#[test]
fn golden_targets() {
    let golden = oracle::critic();
    let rewards = golden.values("rewards");
    let (mut episodes, mut first) = (Vec::new(), 0);
    for (n_steps, terminated) in [(7, true), (6, false), (2, true)] {
        let label = EpisodeLabel {
            actor: String::new(),
            seed: 0,
            terminated,
            observation_len: 1,
            action_len: 1,
            outcome: Outcome::default(),
        };
        episodes.push(Episode {
            label,
            observations: vec![0.0; n_steps + 1],
            actions_rad: vec![0.0; n_steps],
            rewards: rewards[first..first + n_steps].to_vec(),
        });
        first += n_steps;
    }
    let normalizer = Normalizer::fit(&episodes, 0.0, 0.9).unwrap();
    for (name, combine) in [("min", Combine::Min), ("mean", Combine::Mean)] {
        let (next_obs, next_action) = (golden.tensor("next_obs"), golden.tensor("next_action"));
        let next_values = golden_critic(combine).value(next_obs, next_action, Track::Frozen).unwrap();
        for backup_len in [1, 4] {
            let mut replay = Replay::new(Window { lead: 0, chunk_len: 4, backup_len }, 0.97);
            episodes.iter().for_each(|episode| replay.push(episode, &normalizer));
            let mut batch = ChunkBatch::default();
            replay.gather(replay.starts(), &mut batch);
            let expected = golden.values(&format!("targets/{name}/{backup_len}"));
            oracle::assert_near(name, &batch.targets(&vec1(&next_values)), &expected, 1e-6);
        }
    }
}

/// Loss of an actor step: likelihood of chunks, value of samples, density of samples; odd number of rows.
fn actor_gradient(flow: &Flow, critic: &ChunkCritic) -> Gradient {
    const N: usize = 33;
    let (obs, u, z) = (normal(6, "obs", (N, OBS)), normal(6, "u", (N, CHUNK)), normal(6, "z", (N, CHUNK)));
    shards::gradients(flow.params(), N, |rows| -> Result<ShardOutput, GradientError> {
        let part = |t: &Tensor| t.narrow(0, rows.start, rows.len());
        let obs = part(&obs)?;
        let embedding = flow.embed(&obs, Track::Weights)?;
        let log_prob = flow.log_prob(&embedding, &part(&u)?, Track::Weights)?;
        let sample = flow.sample(&embedding, &part(&z)?, Track::Weights)?;
        let q = critic.value(&obs, &squash(&sample.u)?, Track::Frozen)?;
        let loss = (((sample.log_prob * 0.1)? - q)? - log_prob)?;
        let metrics = vec![("loss", f64::from(loss.sum_all()?.to_scalar::<f32>()?) / N as f64)];
        Ok(ShardOutput { loss: (loss.sum_all()? / N as f64)?, metrics })
    })
    .unwrap()
}

/// Contract: losses, metrics and gradients have the same bits on one and on two threads, training included.
#[test]
fn the_number_of_threads_changes_nothing() {
    let run = |n_threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap().install(|| {
            let flow_config = flow_config(4, 40, 9);
            let flow = Flow::new(flow_config, OBS, CHUNK, 6, &Device::Cpu).unwrap();
            let critic = random_critic(6);
            let optimiser =
                AdamWConfig { weight_decay: 1e-4.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() };
            let mut optimiser = AdamW::new(optimiser, flow.params());
            let losses: Vec<Gradient> = (0..5)
                .map(|_| {
                    let gradient = actor_gradient(&flow, &critic);
                    optimiser.step(flow.params(), &gradient.flat, 1e-2).unwrap();
                    gradient
                })
                .collect();
            (losses, flow.params().to_bytes().unwrap())
        })
    };
    let (one, two) = (run(1), run(2));
    assert!(one.0.iter().zip(&two.0).all(|(one, two)| one == two), "losses or gradients differ");
    assert!(one.1 == two.1, "weights differ");
}

/// Contract: the sum over the shards is the gradient of the whole batch, to rounding; metrics add up the same way.
#[test]
fn shards_add_up_to_the_batch() {
    let flow_config = flow_config(2, 16, 8);
    let flow = Flow::new(flow_config, OBS, CHUNK, 7, &Device::Cpu).unwrap();
    let (obs, u) = (normal(7, "obs", (9, OBS)), normal(7, "u", (9, CHUNK)));
    let loss = |obs: &Tensor, u: &Tensor| -> Result<Tensor, GradientError> {
        let embedding = flow.embed(obs, Track::Weights)?;
        Ok((flow.log_prob(&embedding, u, Track::Weights)?.sum_all()? / -9.0)?)
    };
    let whole = Gradient::of(&loss(&obs, &u).unwrap(), flow.params()).unwrap();
    let sharded = shards::gradients(flow.params(), 9, |rows| {
        let loss = loss(&obs.narrow(0, rows.start, rows.len())?, &u.narrow(0, rows.start, rows.len())?)?;
        Ok::<_, GradientError>(ShardOutput { loss, metrics: vec![("rows", rows.len() as f64)] })
    })
    .unwrap();
    assert!((whole.loss - sharded.loss).abs() < 1e-5 * whole.loss.abs());
    assert_eq!(sharded.metrics, [("rows", 9.0)]);
    let scale = whole.flat.iter().fold(0.0_f32, |scale, g| scale.max(g.abs()));
    assert!(whole.flat.iter().zip(&sharded.flat).all(|(a, b)| (a - b).abs() < 1e-5 * scale));
}

/// Contract: a tensor that takes no part in the loss is an error with its name; a batch without rows is one, too; a batch of
/// one row is none.
#[test]
fn missing_gradients_are_named() {
    let flow_config = flow_config(2, 16, 8);
    let flow = Flow::new(flow_config, OBS, CHUNK, 8, &Device::Cpu).unwrap();
    let embedding_only = |rows: std::ops::Range<usize>| {
        let loss = flow.embed(&normal(8, "obs", (rows.len(), OBS)), Track::Weights)?.sum_all()?;
        Ok(ShardOutput { loss, metrics: Vec::new() })
    };
    match shards::gradients(flow.params(), 1, embedding_only) {
        Err(GradientError::Missing { name }) => assert_eq!(name, "act_norm.log_scale"),
        other => panic!("{other:?}"),
    }
    let empty = shards::gradients(flow.params(), 0, |_| -> Result<ShardOutput, GradientError> { panic!("no rows") });
    assert!(matches!(empty, Err(GradientError::EmptyBatch)));
    assert_eq!(shards::ranges(1), [0..1, 1..1]);
    assert_eq!(shards::ranges(7), [0..4, 4..7]);
}
