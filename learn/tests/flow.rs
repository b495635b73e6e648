//! Contracts of the flow: it is a density, its two directions are inverse, and its log-determinant is the one of its
//! Jacobian.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;

use bridge::random;
use candle_core::{Device, Result, Tensor, Var};
use learn::adamw::{AdamW, AdamWConfig};
use learn::flow::{Couplings, Flow, FlowConfig, FlowError, Partition};
use learn::layers::Track;
use learn::noise;
use learn::shards::Gradient;
use learn::squash;
use oracle::flow::DoubleFlow;

const OBS: usize = 5;

fn sized(n_blocks: usize, hidden: usize, s_max: f64) -> FlowConfig {
    let (couplings, partition) = (Couplings::Mlp { hidden, embedding: 8 }, Partition::Complementary);
    FlowConfig { n_blocks, couplings, partition, s_max: s_max.try_into().unwrap() }
}

fn config(n_blocks: usize) -> FlowConfig {
    sized(n_blocks, 16, 1.0)
}

fn normal(seed: u64, name: &str, shape: (usize, usize), std: f32) -> Tensor {
    noise::normal(&mut random::stream(seed, name, 0), shape, std, &Device::Cpu).unwrap()
}

/// A flow as if trained: its start values moved at random, so that no layer is zero any more.
fn random_flow(seed: u64, n_blocks: usize, chunk_dim: usize) -> Flow {
    let flow = Flow::new(config(n_blocks), OBS, chunk_dim, seed, &Device::Cpu).unwrap();
    let mut values = vec![0.0; flow.params().n_elements()];
    let mut moves = values.clone();
    flow.params().copy_to_flat(&mut values).unwrap();
    noise::fill_normal(&mut random::stream(seed, "moves", 0), &mut moves);
    values.iter_mut().zip(moves).for_each(|(value, by)| *value += 0.15 * by);
    flow.params().copy_from_flat(&values).unwrap();
    flow
}

/// The flow whose numbers `flow_golden.py` computed.
fn golden_flow() -> Flow {
    Flow::from_bytes(config(4), OBS, 6, oracle::FLOW_FILE, &Device::Cpu).unwrap()
}

fn vec1(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn max_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    // In this order the largest is what is not a number.
    vec1(a).iter().zip(vec1(b)).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap_or(0.0)
}

/// Contract: the analytic log-determinant is that of the Jacobian: 1e-6 against central differences in double precision of
/// an independent implementation, and the crate's density is 1e-4 (relative) from that implementation's.
#[test]
fn log_determinant_is_that_of_the_jacobian() -> Result<()> {
    let chunk_dim = 6;
    for seed in 0..4 {
        let flow = random_flow(seed, 4, chunk_dim);
        let double = DoubleFlow::of(&flow);
        let (obs, u) = (normal(seed, "obs", (3, OBS), 1.0), normal(seed, "u", (3, chunk_dim), 1.0));
        let log_prob = vec1(&flow.log_prob(&flow.embed(&obs, Track::Frozen)?, &u, Track::Frozen)?);
        for (r, log_prob) in log_prob.into_iter().enumerate() {
            let row = |t: &Tensor| vec1(&t.get(r).unwrap()).into_iter().map(f64::from).collect::<Vec<f64>>();
            let (obs, u) = (row(&obs), row(&u));
            let (z, log_det) = double.latent(&obs, &u);
            let numeric = oracle::flow::log_abs_det_jacobian(|u| double.latent(&obs, u).0, &u);
            assert!((log_det - numeric).abs() < 1e-6 * log_det.abs().max(1.0), "{log_det} and {numeric}");
            let expected = oracle::flow::log_normal(&z) + log_det;
            assert!((f64::from(log_prob) - expected).abs() < 1e-4 * expected.abs().max(1.0), "{log_prob}, {expected}");
        }
    }
    Ok(())
}

/// Contract: z -> u -> z and u -> z -> u return within 1e-4, and the density of a sample from its own pass is the one
/// that `log_prob` gives it, to 1e-3, at any temperature.
#[test]
fn directions_are_inverse() -> Result<()> {
    for (seed, chunk_dim) in [(1, 2), (2, 6), (3, 40)] {
        let flow = random_flow(seed, 6, chunk_dim);
        let embedding = flow.embed(&normal(seed, "obs", (64, OBS), 1.0), Track::Frozen)?;
        for temperature in [0.0, 0.7, 1.0] {
            let z = normal(seed, "z", (64, chunk_dim), temperature);
            let sample = flow.sample(&embedding, &z, Track::Frozen)?;
            let error = max_difference(&flow.latent(&embedding, &sample.u, Track::Frozen)?, &z);
            assert!(error < 1e-4, "z, {chunk_dim} dimensions, temperature {temperature}: {error}");
            let log_prob = flow.log_prob(&embedding, &sample.u, Track::Frozen)?;
            let error = max_difference(&log_prob, &sample.log_prob);
            assert!(error < 1e-3, "log_prob, {chunk_dim} dimensions, temperature {temperature}: {error}");
        }
        let u = normal(seed, "u", (64, chunk_dim), 1.0);
        let back = flow.sample(&embedding, &flow.latent(&embedding, &u, Track::Frozen)?, Track::Frozen)?;
        let error = max_difference(&back.u, &u);
        assert!(error < 1e-4, "u, {chunk_dim} dimensions: {error}");
    }
    Ok(())
}

/// Contract: an untrained flow is ActNorm alone, and ActNorm starts at mean and standard deviation of the data.
#[test]
fn an_untrained_flow_is_the_diagonal_gaussian_of_the_data() -> Result<()> {
    let flow = Flow::new(config(4), OBS, 4, 0, &Device::Cpu).unwrap();
    let u = (normal(0, "u", (5000, 4), 0.5) + 2.0)?;
    flow.initialise_act_norm(&u)?;
    let embedding = flow.embed(&normal(0, "obs", (1, OBS), 1.0), Track::Frozen)?;
    let z = flow.latent(&embedding, &u, Track::Frozen)?;
    let (mean, square) = (vec1(&z.mean(0)?), vec1(&z.sqr()?.mean(0)?));
    assert!(mean.iter().all(|mean| mean.abs() < 1e-4), "{mean:?}");
    // The standard deviation of the data is widened by 0.02.
    assert!(square.iter().all(|square| (square - (0.5_f32 / 0.52).powi(2)).abs() < 0.02), "{square:?}");
    assert!(flow.initialise_act_norm(&(u * f64::NAN)?).is_err());
    Ok(())
}

/// Contract: a trained flow is a density: it integrates to 1 on a grid of the plane, within 1e-3, for every observation, and
/// has learned to tell two modes apart.
#[test]
fn a_trained_flow_integrates_to_one() -> Result<()> {
    let device = Device::Cpu;
    let config = sized(6, 32, 2.0);
    let flow = Flow::new(config, 1, 2, 5, &device).unwrap();
    let optimiser = AdamWConfig { weight_decay: 1e-4.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() };
    let mut optimiser = AdamW::new(optimiser, flow.params());
    let mut rng = random::stream(5, "toy", 0);
    // Two modes at +-(1, obs), noise 0.3.
    let mut batch = || -> Result<(Tensor, Tensor)> {
        let obs = noise::normal(&mut rng, (256, 1), 0.5, &device)?;
        let sign = noise::normal(&mut rng, (256, 1), 1.0, &device)?.sign()?;
        let mode = Tensor::cat(&[&obs.ones_like()?, &obs], 1)?.broadcast_mul(&sign)?;
        Ok((obs, (mode + noise::normal(&mut rng, (256, 2), 0.3, &device)?)?))
    };
    flow.initialise_act_norm(&batch()?.1)?;
    let mut losses = Vec::new();
    for _ in 0..400 {
        let (obs, u) = batch()?;
        let embedding = flow.embed(&obs, Track::Weights)?;
        let loss = flow.log_prob(&embedding, &u, Track::Weights)?.mean_all()?.neg()?;
        let gradient = Gradient::of(&loss, flow.params()).unwrap();
        losses.push(gradient.loss);
        optimiser.step(flow.params(), &gradient.flat, 3e-3).unwrap();
    }
    // Entropy of the data: ln 2 + ln(2 pi e 0.09) = 1.12; the best Gaussian is 0.6 above it.
    let last = losses[350..].iter().sum::<f64>() / 50.0;
    assert!(last < 1.35, "the toy was not learned: {last}");

    let (n, half_width) = (601, 6.0);
    let step = 2.0 * half_width / (n - 1) as f64;
    let grid: Vec<f32> =
        (0..n * n).flat_map(|i| [i / n, i % n].map(|index| (index as f64 * step - half_width) as f32)).collect();
    let grid = Tensor::from_vec(grid, (n * n, 2), &device)?;
    for obs in [-0.5_f32, 0.0, 0.7] {
        let embedding = flow.embed(&Tensor::new(&[[obs]], &device)?, Track::Frozen)?;
        let log_prob = vec1(&flow.log_prob(&embedding, &grid, Track::Frozen)?);
        let integral = log_prob.iter().map(|&log_prob| f64::from(log_prob).exp()).sum::<f64>() * step * step;
        assert!((integral - 1.0).abs() < 1e-3, "observation {obs}: {integral}");
    }
    Ok(())
}

/// Contract: density, log-determinant, latent, samples and action density equal an independent computation to 1e-5.
#[test]
fn golden_numbers() -> Result<()> {
    let golden = oracle::flow();
    let flow = golden_flow();
    let embedding = flow.embed(golden.tensor("obs"), Track::Frozen)?;
    let u = golden.tensor("u");
    let (log_prob, latent) = (flow.log_prob(&embedding, u, Track::Frozen)?, flow.latent(&embedding, u, Track::Frozen)?);
    // ln p(u) - ln N(z; 0, I)
    let half_log_tau = 0.5 * (2.0 * std::f64::consts::PI).ln();
    let log_det = ((&log_prob + (latent.sqr()?.sum(1)? * 0.5)?)? + 6.0 * half_log_tau)?;
    let sample = flow.sample(&embedding, golden.tensor("z"), Track::Frozen)?;
    for (name, found) in [
        ("log_prob", &log_prob),
        ("log_det", &log_det),
        ("latent", &latent),
        ("sample_u", &sample.u),
        ("sample_log_prob", &sample.log_prob),
        ("action_log_prob", &squash::action_log_prob(&log_prob, u)?),
    ] {
        golden.assert_close(name, found, 1e-5);
    }
    Ok(())
}

/// Contract: the gradients of the negative log-likelihood, and those of a function of samples and of their density, equal an
/// independent computation to 1e-5, for every parameter and every input.
#[test]
fn golden_gradients() -> Result<()> {
    let golden = oracle::flow();
    let flow = golden_flow();
    let input = |name: &str| Var::from_tensor(golden.tensor(name));
    let (obs, u, z) = (input("obs")?, input("u")?, input("z")?);
    let check = |name: &str, loss: &Tensor, (inputs, input): (&str, &Var)| -> Result<()> {
        golden.assert_gradient(
            &format!("{name}/gradient"),
            flow.params(),
            &oracle::gradient(loss, flow.params()),
            1e-5,
        );
        let store = loss.backward()?;
        golden.assert_close(&format!("{name}/by_obs"), store.get(&obs).unwrap(), 1e-5);
        golden.assert_close(&format!("{name}/by_{inputs}"), store.get(input).unwrap(), 1e-5);
        Ok(())
    };
    let nll = flow.log_prob(&flow.embed(&obs, Track::Weights)?, &u, Track::Weights)?.mean_all()?.neg()?;
    check("nll", &nll, ("u", &u))?;

    let sample = flow.sample(&flow.embed(&obs, Track::Weights)?, &z, Track::Weights)?;
    let of_chunk = (squash::squash(&sample.u)? * golden.tensor("sample/weights"))?.sum(1)?;
    let loss = (of_chunk + (sample.log_prob * 0.3)?)?.mean_all()?;
    golden.assert_close("sample/loss", &loss, 1e-5);
    check("sample", &loss, ("z", &z))
}

/// Contract: one embedding for all rows gives what the same embedding per row gives.
#[test]
fn a_shared_embedding_is_the_same_embedding() -> Result<()> {
    let flow = random_flow(9, 4, 6);
    let one = flow.embed(&normal(9, "obs", (1, OBS), 1.0), Track::Frozen)?;
    let each = one.broadcast_as((24, 8))?.contiguous()?;
    let z = normal(9, "z", (24, 6), 0.7);
    let (shared, own) = (flow.sample(&one, &z, Track::Frozen)?, flow.sample(&each, &z, Track::Frozen)?);
    assert!(max_difference(&shared.u, &own.u) < 1e-5);
    assert!(max_difference(&shared.log_prob, &own.log_prob) < 1e-4);
    Ok(())
}

/// Contract: a frozen flow passes gradients to `u`, the right ones, and none to its weights.
#[test]
fn frozen_weights_get_no_gradient_and_inputs_do() -> Result<()> {
    let flow = random_flow(11, 4, 6);
    let embedding = flow.embed(&normal(11, "obs", (8, OBS), 1.0), Track::Frozen)?;
    let u = Var::from_tensor(&normal(11, "u", (8, 6), 1.0))?;
    let run = |track: Track| flow.log_prob(&embedding, &u, track)?.sum_all()?.backward();
    let (frozen, full) = (run(Track::Frozen)?, run(Track::Weights)?);
    assert!(flow.params().iter().all(|(_, var)| frozen.get(var).is_none()));
    assert_eq!(vec1(frozen.get(&u).unwrap()), vec1(full.get(&u).unwrap()));

    let z = Var::from_tensor(&normal(11, "z", (8, 6), 1.0))?;
    let sample = flow.sample(&embedding, &z, Track::Frozen)?;
    let gradients = (sample.u.sum_all()? + sample.log_prob.sum_all()?)?.backward()?;
    assert!(gradients.get(&z).is_some());
    assert!(flow.params().iter().all(|(_, var)| gradients.get(var).is_none()));
    Ok(())
}

/// Contract: every trainable tensor takes part in the likelihood and in what a sample is used for: its value, and its
/// divergence from another flow.
#[test]
fn every_tensor_gets_a_gradient() -> Result<()> {
    let flow = random_flow(12, 4, 6);
    let obs = normal(12, "obs", (8, OBS), 1.0);
    let likelihood =
        flow.log_prob(&flow.embed(&obs, Track::Weights)?, &normal(12, "u", (8, 6), 1.0), Track::Weights)?;
    let sample = flow.sample(&flow.embed(&obs, Track::Weights)?, &normal(12, "z", (8, 6), 1.0), Track::Weights)?;
    let other = random_flow(13, 4, 6);
    let log_other = other.log_prob(&other.embed(&obs, Track::Frozen)?, &sample.u, Track::Frozen)?;
    let divergence = (&sample.log_prob - log_other)?;
    for loss in [likelihood.mean_all()?, squash::squash(&sample.u)?.sqr()?.mean_all()?, divergence.mean_all()?] {
        let gradient = Gradient::of(&loss, flow.params()).unwrap().flat;
        for (name, _, range) in flow.params().layout() {
            let part = &gradient[range];
            assert!(part.iter().all(|g| g.is_finite()), "{name}");
        }
        let n_zero = gradient.iter().filter(|&&g| g == 0.0).count();
        assert!(n_zero * 10 < gradient.len(), "{n_zero} of {} are zero", gradient.len());
    }
    Ok(())
}

/// Contract: a saved flow comes back with the same bits, splits included; a clone is on its own.
#[test]
fn a_saved_flow_comes_back() -> Result<()> {
    let flow = random_flow(13, 4, 6);
    let bytes = flow.params().to_bytes().unwrap();
    let back = Flow::from_bytes(config(4), OBS, 6, &bytes, &Device::Cpu).unwrap();
    assert_eq!(back.params().to_bytes().unwrap(), bytes);
    let clone = flow.clone_on(&Device::Cpu).unwrap();
    let density = |flow: &Flow| {
        let embedding = flow.embed(&normal(13, "obs", (4, OBS), 1.0), Track::Frozen).unwrap();
        vec1(&flow.log_prob(&embedding, &normal(13, "u", (4, 6), 1.0), Track::Frozen).unwrap())
    };
    let before = density(&flow);
    assert_eq!(density(&back), before);
    assert_eq!(density(&clone), before);
    clone.params().copy_from_flat(&vec![0.0; clone.params().n_elements()]).unwrap();
    assert_eq!(density(&flow), before);
    assert_ne!(density(&clone), before);
    // Another seed has other splits: its file is refused where the splits are fixed already.
    let other = Flow::new(config(4), OBS, 6, 14, &Device::Cpu).unwrap();
    assert!(other.params().load_bytes(&bytes).unwrap_err().to_string().contains("split"));
    Ok(())
}

/// Contract: sizes that make no flow are refused by name.
#[test]
fn impossible_sizes_are_refused() {
    let make = |n_blocks, obs_dim, chunk_dim| Flow::new(config(n_blocks), obs_dim, chunk_dim, 0, &Device::Cpu);
    for (result, name) in [
        (make(3, 5, 6), "n_blocks is 3"),
        (make(0, 5, 6), "n_blocks is 0"),
        (make(4, 0, 6), "obs_dim is 0"),
        (make(4, 5, 7), "chunk_dim is 7"),
    ] {
        match result {
            Err(error @ FlowError::Size { .. }) => assert!(error.to_string().contains(name), "{error}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let flow = random_flow(0, 4, 6);
    let embedding = flow.embed(&normal(0, "obs", (2, OBS), 1.0), Track::Frozen).unwrap();
    assert!(flow.log_prob(&embedding, &normal(0, "u", (3, 6), 1.0), Track::Frozen).is_err());
    assert!(flow.sample(&embedding, &normal(0, "z", (2, 5), 1.0), Track::Frozen).is_err());
}

/// Contract: the density of actions stays finite and right where `1 - tanh(u)^2` is zero in single precision.
#[test]
fn the_squash_is_safe_in_its_tails() -> Result<()> {
    let u = Tensor::new(&[[0.0_f32], [0.5], [-3.0], [9.0], [-40.0]], &Device::Cpu)?;
    let found = vec1(&squash::log_det(&u)?);
    for (found, u) in found.iter().zip(vec1(&u)) {
        let exact = -2.0 * f64::from(u).cosh().ln();
        assert!((f64::from(*found) - exact).abs() < 1e-5 * exact.abs().max(1.0), "{u}: {found} and {exact}");
    }
    assert_eq!(squash::unsquash(1.0, 0.999), squash::unsquash(2.0, 0.999));
    assert!((f64::from(squash::unsquash(-0.5, 0.999)) - (-0.5_f64).atanh()).abs() < 1e-7);
    Ok(())
}
