//! Contracts of the networks over tokens: the flow's token couplings and the transformer critic. What every flow and every
//! critic promises besides is in `policy_net.rs`, `flow.rs` and `critic.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;

use bridge::random;
use candle_core::{Device, Result, Tensor, Var};
use learn::adamw::{AdamW, AdamWConfig};
use learn::chunk::{ChunkShape, Chunks};
use learn::critic::{Backup, ChunkCritic, Combine, CriticConfig, CriticError, CriticNet, Head, TargetSubset};
use learn::flow::{Couplings, Flow, FlowConfig, Partition};
use learn::hl_gauss::Support;
use learn::layers::Track;
use learn::noise;
use learn::ops::{self, AttentionShape, Rotary, Visible};
use learn::params::Params;
use learn::shards::Gradient;

const OBS: usize = 5;
const CHUNK: ChunkShape = ChunkShape { n_steps: 3, action_len: 2 };
const LONG: ChunkShape = ChunkShape { n_steps: 4, action_len: 3 };
const TOKEN: Couplings = Couplings::Token { width: 8, n_heads: 2, n_layers: 2, hidden: 12, n_observation_tokens: 2 };
const MLP: Couplings = Couplings::Mlp { hidden: 16, embedding: 8 };

fn flow_config(n_blocks: usize, couplings: Couplings, partition: Partition) -> FlowConfig {
    FlowConfig { n_blocks, couplings, partition, s_max: 1.5.try_into().unwrap() }
}

fn critic_config(head: Head) -> CriticConfig {
    CriticConfig {
        ensemble: 1,
        net: CriticNet::Transformer { width: 8, n_heads: 2, n_layers: 2, hidden: 12, n_observation_tokens: 2 },
        support: Support::new(-0.5, 2.0, 11).unwrap(),
        head,
        combine: Combine::Min,
        target_subset: TargetSubset::All,
        backup: Backup::Chunk,
        target_candidates: std::num::NonZeroUsize::MIN,
        behavior_penalty: 0.0.try_into().unwrap(),
    }
}

fn normal(seed: u64, name: &str, shape: (usize, usize)) -> Tensor {
    noise::normal(&mut random::stream(seed, name, 0), shape, 1.0, &Device::Cpu).unwrap()
}

fn vec1(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Start values moved at random, so that no layer is zero any more.
fn disturb(params: &Params, seed: u64) {
    let mut values = vec![0.0; params.n_elements()];
    let mut moves = values.clone();
    params.copy_to_flat(&mut values).unwrap();
    noise::fill_normal(&mut random::stream(seed, "moves", 0), &mut moves);
    values.iter_mut().zip(moves).for_each(|(value, by)| *value += 0.2 * by);
    params.copy_from_flat(&values).unwrap();
}

fn random_flow(seed: u64, config: FlowConfig, chunk: ChunkShape) -> Flow {
    let flow = Flow::new(config, OBS, chunk, seed, &Device::Cpu).unwrap();
    disturb(flow.params(), seed);
    flow
}

fn random_critic(seed: u64, config: CriticConfig, chunk: ChunkShape) -> ChunkCritic {
    let critic = ChunkCritic::new(config, OBS, chunk, seed, &Device::Cpu).unwrap();
    critic.members().iter().for_each(|member| disturb(member.params(), seed));
    critic
}

fn assert_close(name: &str, found: &Tensor, expected: &Tensor, tolerance: f32) {
    let (found, expected) = (vec1(found), vec1(expected));
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1.0_f32, |scale, x| scale.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error < tolerance * scale, "{name} at {i}: found {found}, expected {expected}, scale {scale}");
    }
}

/// Contract: RMSNorm, rotary positions and attention equal an independent computation to 1e-5, whichever keys are seen.
#[test]
fn operations_have_their_golden_numbers() -> Result<()> {
    let golden = oracle::tokens();
    let of = |name: &str| golden.tensor(name).clone();
    assert_close("rms_norm", &ops::rms_norm(&of("rms_norm/x"), &of("rms_norm/weight"))?, &of("rms_norm"), 1e-5);
    let rotary = Rotary::new(&[0, 3, 11], 4)?;
    assert_close("rotate", &ops::rotate(&of("rotate/x"), &rotary)?, &of("rotate"), 1e-5);
    let [q, k, v] = ["q", "k", "v"].map(|name| of(&format!("attention/{name}")));
    for (name, visible, key_rows) in [
        ("attention/causal", Visible::Causal, 2),
        ("attention/per_row", Visible::PerRow([2, 3].into()), 2),
        ("attention/shared", Visible::All, 1),
    ] {
        let shape = AttentionShape { n_heads: 2, n_queries: 3, n_keys: 3, visible };
        let rows = |x: &Tensor, n: usize| x.narrow(0, 0, n)?.reshape((n * 3, 8));
        let found = ops::attention(&rows(&q, 2)?, &rows(&k, key_rows)?, &rows(&v, key_rows)?, &shape)?;
        assert_close(name, &found, golden.tensor(name), 1e-5);
    }
    Ok(())
}

/// Contract: density, latent and samples of token couplings equal an independent computation to 1e-4, the log-determinant of
/// which comes from central differences in double precision.
#[test]
fn the_flow_has_its_golden_numbers() -> Result<()> {
    let golden = oracle::tokens();
    let config = flow_config(4, TOKEN, Partition::Complementary);
    let flow = Flow::from_bytes(config, OBS, CHUNK, oracle::TOKEN_FLOW_FILE, &Device::Cpu).unwrap();
    let embedding = flow.embed(golden.tensor("obs"), Track::Frozen)?;
    let sample = flow.sample(&embedding, golden.tensor("z"), Track::Frozen)?;
    for (name, found) in [
        ("log_prob", flow.log_prob(&embedding, golden.tensor("u"), Track::Frozen)?),
        ("latent", flow.latent(&embedding, golden.tensor("u"), Track::Frozen)?),
        ("sample_u", sample.u),
        ("sample_log_prob", sample.log_prob),
    ] {
        assert_close(name, &found, golden.tensor(name), 1e-4);
    }
    Ok(())
}

/// Contract: values of whole and of partial chunks equal an independent computation to 1e-4, in which the steps that were not
/// carried out do not exist.
#[test]
fn the_critic_has_its_golden_numbers() -> Result<()> {
    let golden = oracle::tokens();
    let critic = ChunkCritic::new(critic_config(Head::HlGauss), OBS, CHUNK, 0, &Device::Cpu).unwrap();
    critic.load_bytes(oracle::TOKEN_CRITIC_FILE).unwrap();
    let (obs, actions) = (golden.tensor("obs"), golden.tensor("u"));
    let n_valid: Vec<usize> = golden.tensor("n_valid").to_vec1::<u32>()?.into_iter().map(|n| n as usize).collect();
    let partial = Chunks { actions, n_valid: Some(&n_valid) };
    assert_close("whole", &critic.value(obs, actions, Track::Frozen)?, golden.tensor("q_whole"), 1e-4);
    assert_close("partial", &critic.value(obs, partial, Track::Frozen)?, golden.tensor("q_partial"), 1e-4);
    Ok(())
}

/// Contract: whatever the couplings and the partition, z -> u -> z and u -> z -> u return within 1e-4, the density of a sample
/// is the one that `log_prob` gives it to 1e-3, and the log-determinant is that of the Jacobian, of which every row comes
/// from the way back, to 1e-4.
#[test]
fn every_partition_makes_a_density() -> Result<()> {
    for (couplings, partition) in [
        (TOKEN, Partition::Complementary),
        (TOKEN, Partition::Random),
        (TOKEN, Partition::RandomSteps),
        (MLP, Partition::Random),
        (MLP, Partition::RandomSteps),
    ] {
        let flow = random_flow(1, flow_config(6, couplings, partition), LONG);
        let what = format!("{couplings:?}, {partition:?}");
        let embedding = flow.embed(&normal(1, "obs", (16, OBS)), Track::Frozen)?;
        let (z, u) = (normal(1, "z", (16, LONG.dim())), normal(1, "u", (16, LONG.dim())));
        let sample = flow.sample(&embedding, &z, Track::Frozen)?;
        assert_close(&what, &flow.latent(&embedding, &sample.u, Track::Frozen)?, &z, 1e-4);
        assert_close(&what, &flow.log_prob(&embedding, &sample.u, Track::Frozen)?, &sample.log_prob, 1e-3);
        let latent = flow.latent(&embedding, &u, Track::Frozen)?;
        assert_close(&what, &flow.sample(&embedding, &latent, Track::Frozen)?.u, &u, 1e-4);

        let one = embedding.narrow(0, 0, 1)?.contiguous()?;
        let u = Var::from_tensor(&u.narrow(0, 0, 1)?.contiguous()?)?;
        let z = flow.latent(&one, &u, Track::Frozen)?;
        let rows = (0..LONG.dim()).map(|i| {
            let gradients = z.narrow(1, i, 1)?.sum_all()?.backward()?;
            Ok(vec1(gradients.get(&u).unwrap()).into_iter().map(f64::from).collect())
        });
        let numeric = oracle::flow::log_abs_det(rows.collect::<Result<_>>()?);
        let z: Vec<f64> = vec1(&z).into_iter().map(f64::from).collect();
        let expected = oracle::flow::log_normal(&z) + numeric;
        let found = f64::from(vec1(&flow.log_prob(&one, &u, Track::Frozen)?)[0]);
        assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{what}: {found} and {expected}");
    }
    Ok(())
}

/// Contract: complementary pairs transform every value once per pair; halves of whole steps are that, and drawn anew for every
/// coupling; another seed deals out differently.
#[test]
fn partitions_deal_out_what_they_say() {
    let splits = |seed: u64, partition: Partition| -> Vec<Vec<u32>> {
        let flow = Flow::new(flow_config(8, MLP, partition), OBS, LONG, seed, &Device::Cpu).unwrap();
        let kinds = ["pair", "block"].map(|kind| (0..8).map(move |i| format!("{kind}.{i:02}.split")));
        kinds.into_iter().flatten().filter_map(|name| flow.params().fixed(&name).ok().map(<[u32]>::to_vec)).collect()
    };
    for (partition, n_splits) in [(Partition::Complementary, 4), (Partition::Random, 8), (Partition::RandomSteps, 8)] {
        let of_seed = splits(1, partition);
        assert_eq!(of_seed.len(), n_splits, "{partition:?}");
        assert!(of_seed.iter().any(|split| split != &of_seed[0]), "{partition:?}");
        assert_ne!(of_seed, splits(2, partition));
        for split in &of_seed {
            let mut sorted = split.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..12).collect::<Vec<u32>>());
        }
    }
    for split in splits(1, Partition::RandomSteps) {
        let passive = &split[..6];
        let d = LONG.action_len as u32;
        assert!(passive.iter().all(|dim| (0..d).all(|joint| passive.contains(&(dim / d * d + joint)))), "{split:?}");
    }
}

/// Contract: a passive value moves scale and shift of its own step and of those that are read after it, and not a bit of those
/// that are read before it; the first pair reads from the first step, the second from the last.
#[test]
fn token_couplings_are_causal() -> Result<()> {
    for pair in [0, 1] {
        let flow = random_flow(2, flow_config(4, TOKEN, Partition::Complementary), LONG);
        // The other pair is made to change nothing, the second turn of this one does not touch what the first has transformed.
        let other = 1 - pair;
        for (name, var) in flow.params().iter() {
            if (0..2).any(|turn| name.starts_with(&format!("block.{:02}.last", 2 * other + turn))) {
                var.set(&var.zeros_like()?)?;
            }
        }
        let split = flow.params().fixed(&format!("pair.{pair:02}.split")).unwrap();
        let (passive, active) = split.split_at(split.len() / 2);
        let embedding = flow.embed(&normal(2, "obs", (1, OBS)), Track::Frozen)?;
        let u = vec1(&normal(2, "u", (1, LONG.dim())));
        let latent = |u: Vec<f32>| -> Result<Vec<f32>> {
            let u = Tensor::from_vec(u, (1, LONG.dim()), &Device::Cpu)?;
            Ok(vec1(&flow.latent(&embedding, &u, Track::Frozen)?))
        };
        let before = latent(u.clone())?;
        for &moved in passive {
            let mut u = u.clone();
            u[moved as usize] += 0.7;
            let after = latent(u)?;
            for &dim in active {
                let [step, of] = [dim, moved].map(|dim| dim as usize / LONG.action_len);
                let is_before = if pair == 0 { step < of } else { step > of };
                let is_same = before[dim as usize].to_bits() == after[dim as usize].to_bits();
                assert_eq!(is_same, is_before, "pair {pair}: value {dim} of step {step}, moved {moved} of step {of}");
            }
        }
    }
    Ok(())
}

/// Contract: one value a step is enough for two modes of the first step: what reads from the last step tells them apart.
#[test]
fn the_first_step_may_have_two_modes() -> Result<()> {
    let chunk = ChunkShape { n_steps: 2, action_len: 1 };
    let couplings = Couplings::Token { width: 16, n_heads: 2, n_layers: 1, hidden: 32, n_observation_tokens: 1 };
    let flow = Flow::new(flow_config(8, couplings, Partition::Complementary), OBS, chunk, 5, &Device::Cpu).unwrap();
    let config = AdamWConfig { weight_decay: 1e-4.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() };
    let mut optimiser = AdamW::new(config, flow.params());
    let mut rng = random::stream(5, "toy", 0);
    // Both steps at +0.5 or both at -0.5, standard deviation 0.1.
    let mut batch = || -> Result<Tensor> {
        let side = noise::normal(&mut rng, (128, 1), 1.0, &Device::Cpu)?.sign()?;
        (side.broadcast_as((128, 2))? * 0.5)? + noise::normal(&mut rng, (128, 2), 0.1, &Device::Cpu)?
    };
    flow.initialise_act_norm(&batch()?)?;
    for step in 0..600 {
        let embedding = flow.embed(&normal(step, "toy obs", (128, OBS)), Track::Weights)?;
        let loss = flow.log_prob(&embedding, &batch()?, Track::Weights)?.mean_all()?.neg()?;
        let gradient = Gradient::of(&loss, flow.params()).unwrap();
        optimiser.step(flow.params(), &gradient.flat, 3e-3 * (1.0 - step as f64 / 600.0)).unwrap();
    }
    let embedding = flow.embed(&normal(6, "obs", (1, OBS)), Track::Frozen)?;
    let u = flow.sample(&embedding, &normal(6, "z", (1000, 2)), Track::Frozen)?.u.to_vec2::<f32>()?;
    // A Gaussian of this mean and variance would have 0.19 of its first steps near each mode and 0.30 between them.
    let share = |of: f32| u.iter().filter(|u| (u[0] - of).abs() < 0.2).count() as f64 / 1000.0;
    let (first, second, between) = (share(0.5), share(-0.5), share(0.0));
    assert!(first > 0.3 && second > 0.3 && between < 0.12, "{first} and {second}, between {between}");
    Ok(())
}

/// Contract: every trainable tensor of token couplings and of a transformer critic gets a gradient that is finite and not zero,
/// from the likelihood, from a sample, and from the loss of partial chunks; frozen ones pass it to their inputs alone.
#[test]
fn every_tensor_gets_a_gradient() -> Result<()> {
    let all_learn = |what: &str, loss: &Tensor, params: &Params| {
        let flat = Gradient::of(loss, params).unwrap().flat;
        for (name, _, range) in params.layout() {
            let part = &flat[range];
            assert!(part.iter().all(|g| g.is_finite()) && part.iter().any(|&g| g != 0.0), "{what}: {name}");
        }
    };
    let flow = random_flow(3, flow_config(4, TOKEN, Partition::Complementary), LONG);
    let (obs, u) = (normal(3, "obs", (8, OBS)), normal(3, "u", (8, LONG.dim())));
    let embedding = flow.embed(&obs, Track::Weights)?;
    all_learn("likelihood", &flow.log_prob(&embedding, &u, Track::Weights)?.mean_all()?, flow.params());
    let sample = flow.sample(&embedding, &u, Track::Weights)?;
    all_learn("sample", &(sample.u.sqr()?.mean_all()? + sample.log_prob.mean_all()?)?, flow.params());

    let critic = random_critic(3, critic_config(Head::HlGauss), LONG);
    let labels = critic.labels(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])?.values;
    let chunks = Chunks { actions: &u, n_valid: Some(&[1, 2, 3, 4, 4, 3, 2, 1]) };
    let member = &critic.members()[0];
    let loss = ops::cross_entropy(&member.output(&obs, chunks, Track::Weights)?, &labels)?.mean_all()?;
    all_learn("critic", &loss, member.params());
    let expected = critic.gradient(0, &obs, chunks, &labels).unwrap().loss;
    assert!((f64::from(loss.to_scalar::<f32>()?) - expected).abs() < 1e-6);

    let u = Var::from_tensor(&u)?;
    let embedding = flow.embed(&obs, Track::Frozen)?;
    let density = flow.log_prob(&embedding, &u, Track::Frozen)?.sum_all()?;
    let value = critic.value(&obs, u.as_tensor(), Track::Frozen)?.sum_all()?;
    for (loss, params) in [(density, flow.params()), (value, member.params())] {
        let gradients = loss.backward()?;
        assert!(vec1(gradients.get(&u).unwrap()).iter().all(|&g| g != 0.0));
        assert!(params.iter().all(|(_, var)| gradients.get(var).is_none()));
    }
    Ok(())
}

/// Contract: steps that were not carried out do not change a bit of the value, not even when they are no numbers, and get no
/// gradient; chunks of which all steps were carried out are whole chunks; counts for other rows are refused.
#[test]
fn padding_changes_no_value() -> Result<()> {
    let critic = random_critic(4, critic_config(Head::Mse), LONG);
    let (obs, actions) = (normal(4, "obs", (4, OBS)), normal(4, "actions", (4, LONG.dim())));
    let n_valid = [1, 2, 3, 4];
    let padded = |padding: f32| -> Result<Var> {
        let mut rows = actions.to_vec2::<f32>()?;
        for (row, n) in rows.iter_mut().zip(n_valid) {
            row[n * LONG.action_len..].fill(padding);
        }
        Var::from_tensor(&Tensor::new(rows, &Device::Cpu)?)
    };
    let value = |actions: &Tensor| critic.value(&obs, Chunks { actions, n_valid: Some(&n_valid) }, Track::Frozen);
    let bits = |q: &Tensor| vec1(q).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let plain = bits(&value(&actions)?);
    for padding in [0.0, 3.0, f32::NAN] {
        assert_eq!(bits(&value(padded(padding)?.as_tensor())?), plain, "padded with {padding}");
    }
    let padded = padded(0.5)?;
    let gradients = value(&padded)?.sum_all()?.backward()?;
    for (row, n) in gradients.get(&padded).unwrap().to_vec2::<f32>()?.into_iter().zip(n_valid) {
        let (valid, padding) = row.split_at(n * LONG.action_len);
        assert!(valid.iter().all(|&g| g != 0.0) && padding.iter().all(|&g| g == 0.0), "{row:?}");
    }
    let whole = critic.value(&obs, &actions, Track::Frozen)?;
    assert_ne!(bits(&whole), plain);
    assert_eq!(bits(&whole)[3], plain[3]);
    let all = Chunks { actions: &actions, n_valid: Some(&[4; 4]) };
    assert_eq!(bits(&critic.value(&obs, all, Track::Frozen)?), bits(&whole));
    let refused = critic.value(&obs, Chunks { actions: &actions, n_valid: Some(&[4; 3]) }, Track::Frozen);
    assert!(refused.unwrap_err().to_string().contains("3 numbers of valid steps for 4 chunks"));
    Ok(())
}

/// Contract: one observation for many chunks gives what the same observation per chunk gives.
#[test]
fn observations_are_shared() -> Result<()> {
    let critic = random_critic(5, critic_config(Head::HlGauss), LONG);
    let (obs, actions) = (normal(5, "obs", (1, OBS)), normal(5, "actions", (24, LONG.dim())));
    let each = obs.broadcast_as((24, OBS))?.contiguous()?;
    let shared = critic.value(&obs, &actions, Track::Frozen)?;
    assert_close("value", &critic.value(&each, &actions, Track::Frozen)?, &shared, 1e-5);
    Ok(())
}

/// Contract: an untrained transformer critic gives the middle of its support, and learns values of chunks with either head to a
/// mean error of 4 % of the support.
#[test]
fn values_are_learned() -> Result<()> {
    let (obs, actions) = (normal(6, "obs", (128, OBS)), normal(6, "actions", (128, LONG.dim())));
    let rows = obs.to_vec2::<f32>()?.into_iter().zip(actions.to_vec2::<f32>()?);
    // Q = 0.75 + 0.5 tanh(o_0 + a_00 - a_31)
    let targets: Vec<f32> = rows.map(|(o, a)| 0.75 + 0.5 * (o[0] + a[0] - a[10]).tanh()).collect();
    for head in [Head::HlGauss, Head::Mse] {
        let critic = ChunkCritic::new(critic_config(head), OBS, LONG, 6, &Device::Cpu).unwrap();
        let q = vec1(&critic.value(&obs, &actions, Track::Frozen)?);
        assert!(q.iter().all(|q| (q - 0.75).abs() < 1e-5), "{head:?}");
        let labels = critic.labels(&targets)?.values;
        let config = AdamWConfig { weight_decay: 1e-4.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() };
        let params = critic.members()[0].params();
        let mut optimiser = AdamW::new(config, params);
        for _ in 0..400 {
            let gradient = critic.gradient(0, &obs, &actions, &labels).unwrap();
            optimiser.step(params, &gradient.flat, 3e-3).unwrap();
        }
        let q = vec1(&critic.value(&obs, &actions, Track::Frozen)?);
        let error = q.iter().zip(&targets).map(|(q, y)| (q - y).abs()).sum::<f32>() / 128.0;
        assert!(error < 0.1, "{head:?}: mean error {error}");
    }
    Ok(())
}

/// Contract: a random subset has the wanted size, comes from the stream alone, changes from draw to draw and is what the target
/// is combined of; without one the stream is not touched; sizes that no ensemble has are refused.
#[test]
fn targets_may_come_from_a_subset() -> Result<()> {
    let make = |target_subset| {
        let net = CriticNet::Mlp { hidden: 8, n_layers: 1, layer_norm: true };
        let config = CriticConfig { ensemble: 5, net, target_subset, ..critic_config(Head::Mse) };
        ChunkCritic::new(config, OBS, LONG, 7, &Device::Cpu)
    };
    let critic = make(TargetSubset::Random(2)).unwrap();
    (0..).zip(critic.members()).for_each(|(seed, member)| disturb(member.params(), seed));
    let draws = |seed| {
        let mut rng = random::stream(seed, "subset", 0);
        (0..20).map(|_| critic.target_members(&mut rng)).collect::<Vec<_>>()
    };
    assert_eq!(draws(1), draws(1));
    assert!(draws(1).iter().all(|members| members.len() == 2 && members[0] < members[1] && members[1] < 5));
    assert!((0..5).all(|member| draws(1).iter().any(|members| members.contains(&member))));

    let (obs, actions) = (normal(7, "obs", (8, OBS)), normal(7, "actions", (8, LONG.dim())));
    let q = |i: usize| vec1(&critic.members()[i].q(&obs, &actions, Track::Frozen).unwrap());
    let lowest: Vec<f32> = q(1).into_iter().zip(q(4)).map(|(a, b)| a.min(b)).collect();
    assert_eq!(vec1(&critic.value_of_members(&[1, 4], &obs, &actions, Track::Frozen)?), lowest);
    assert!(critic.value_of_members(&[5], &obs, &actions, Track::Frozen).is_err());

    let (mut used, mut fresh) = (random::stream(1, "subset", 0), random::stream(1, "subset", 0));
    assert_eq!(make(TargetSubset::All).unwrap().target_members(&mut used), [0, 1, 2, 3, 4]);
    assert_eq!(noise::tempered(4, 1.0, &mut used), noise::tempered(4, 1.0, &mut fresh));
    for n in [0, 6] {
        let refused = make(TargetSubset::Random(n));
        assert!(matches!(refused, Err(CriticError::Size { field: "target_subset", .. })));
    }
    Ok(())
}
