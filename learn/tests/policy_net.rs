//! Contracts of the policy networks: densities are densities, samples and densities belong together, every weight learns,
//! and two modes are found by those that can hold two.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;

use bridge::random;
use candle_core::{Device, Result, Tensor};
use learn::adamw::{AdamW, AdamWConfig};
use learn::chunk::ChunkShape;
use learn::layers::Track;
use learn::noise;
use learn::shards::Gradient;
use learn::squash::{action_log_prob, squash};
use learn::{LearnError, PolicyConfig, PolicyNet};

const OBS: usize = 3;

const FLOW: &str = "Flow(n_blocks: 4, couplings: Mlp(hidden: 32, embedding: 16), partition: Complementary, s_max: 2.0)";
const TOKEN_FLOW: &str =
    "Flow(n_blocks: 4, couplings: Token(width: 16, n_heads: 2, n_layers: 1, hidden: 32, n_observation_tokens: 2),
          partition: Complementary, s_max: 2.0)";
const GAUSSIAN: &str = "Gaussian(hidden: 32, n_layers: 2)";
const MIXTURE: &str = "Mixture(n_components: 5, hidden: 32, n_layers: 2)";
const FLOW_MATCHING: &str = "FlowMatching(n_steps: 10, one_step: false, hidden: 32, n_layers: 2)";
const ONE_STEP: &str = "FlowMatching(n_steps: 10, one_step: true, hidden: 32, n_layers: 2)";
const DIFFUSION: &str =
    "Diffusion(n_steps: 20, n_sampling_steps: 5, sampler: Ddim, schedule: Cosine, clip: 3.0, hidden: 32, n_layers: 2)";
const DETERMINISTIC: &str = "Deterministic(noise: 0.2, hidden: 32, n_layers: 2)";
const ALL: [&str; 8] = [FLOW, TOKEN_FLOW, GAUSSIAN, MIXTURE, FLOW_MATCHING, ONE_STEP, DIFFUSION, DETERMINISTIC];

fn config(text: &str) -> PolicyConfig {
    bridge::config::parse("policy", text).unwrap()
}

/// Steps of two values.
fn shape(chunk_dim: usize) -> ChunkShape {
    ChunkShape { n_steps: chunk_dim / 2, action_len: 2 }
}

fn normal(seed: u64, name: &str, shape: (usize, usize), std: f32) -> Tensor {
    noise::normal(&mut random::stream(seed, name, 0), shape, std, &Device::Cpu).unwrap()
}

fn vec1(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn max_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    // In this order the largest is what is not a number.
    vec1(a).iter().zip(vec1(b)).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap_or(0.0)
}

/// A network as if trained: statistics of some data, and its start values moved at random.
fn random_net(text: &str, chunk_dim: usize) -> Box<dyn PolicyNet> {
    let mut net = config(text).build(OBS, shape(chunk_dim), 1, &Device::Cpu).unwrap();
    net.initialise(&(normal(1, "data", (500, chunk_dim), 0.4) + 0.3).unwrap()).unwrap();
    let mut values = vec![0.0; net.params().n_elements()];
    let mut moves = values.clone();
    net.params().copy_to_flat(&mut values).unwrap();
    noise::fill_normal(&mut random::stream(1, "moves", 0), &mut moves);
    values.iter_mut().zip(moves).for_each(|(value, by)| *value += 0.15 * by);
    net.params().copy_from_flat(&values).unwrap();
    net
}

/// Base noise `[n, ..]` at a temperature.
fn base_noise(net: &dyn PolicyNet, n: usize, temperature: f32) -> Tensor {
    let values = net.base_noise(n, temperature, &mut random::stream(2, "base noise", 0));
    Tensor::from_vec(values, (n, net.noise_len()), &Device::Cpu).unwrap()
}

/// The imitation loss of every row of `u [r, D]`, with its noise from a stream.
fn imitation_loss(net: &dyn PolicyNet, obs: &Tensor, u: &Tensor, index: u64) -> Result<Tensor> {
    let r = u.dim(0)?;
    let values = net.imitation_noise(r, &mut random::stream(3, "imitation noise", index));
    let width = values.len() / r;
    let noise = Tensor::from_vec(values, (r, width), &Device::Cpu)?;
    net.imitation_loss(&net.embed(obs, Track::Weights)?, u, &noise, Track::Weights)
}

/// Contract: a density integrates to 1 over the plane, within 2e-3, for every observation.
#[test]
fn densities_integrate_to_one() -> Result<()> {
    let (n, half_width) = (601, 12.0);
    let step = 2.0 * half_width / (n - 1) as f64;
    let grid: Vec<f32> =
        (0..n * n).flat_map(|i| [i / n, i % n].map(|index| (index as f64 * step - half_width) as f32)).collect();
    let grid = Tensor::from_vec(grid, (n * n, 2), &Device::Cpu)?;
    for text in [FLOW, TOKEN_FLOW, GAUSSIAN, MIXTURE] {
        let net = random_net(text, 2);
        for row in 0..2 {
            let obs = normal(4, "obs", (2, OBS), 1.0).narrow(0, row, 1)?.contiguous()?;
            let log_prob = vec1(&net.log_prob(&net.embed(&obs, Track::Frozen)?, &grid, Track::Frozen)?);
            let integral = log_prob.iter().map(|&log_prob| f64::from(log_prob).exp()).sum::<f64>() * step * step;
            assert!((integral - 1.0).abs() < 2e-3, "{text}: {integral}");
        }
    }
    Ok(())
}

/// Contract: the density that comes with a sample is the one that `log_prob` gives it, at any temperature, to 1e-3; a
/// network without a density has neither, and says so.
#[test]
fn samples_and_densities_agree() -> Result<()> {
    for text in ALL {
        let net = random_net(text, 6);
        let embedding = net.embed(&normal(5, "obs", (64, OBS), 1.0), Track::Frozen)?;
        for temperature in [0.0, 0.7, 1.0] {
            let draw = net.sample(&embedding, &base_noise(net.as_ref(), 64, temperature), Track::Frozen)?;
            assert!(vec1(&draw.u).iter().all(|u| u.is_finite()));
            let log_prob = net.log_prob(&embedding, &draw.u, Track::Frozen);
            match (config(text).has_density(), draw.log_prob, log_prob) {
                (true, Some(found), Ok(expected)) => {
                    let error = max_difference(&found, &expected);
                    assert!(error < 1e-3, "{text} at temperature {temperature}: {error}");
                }
                (false, None, Err(error)) => assert!(error.to_string().contains("no density"), "{error}"),
                (has_density, found, expected) => panic!("{text}: {has_density}, {found:?}, {expected:?}"),
            }
        }
    }
    Ok(())
}

/// Contract: a Gaussian's samples have the mean and the standard deviation that its density has, whichever temperature
/// scales the latter; checked where it is exact, in an untrained network on standardised data.
#[test]
fn temperature_scales_the_gaussian() -> Result<()> {
    let mut net = config(GAUSSIAN).build(OBS, 2, 1, &Device::Cpu).unwrap();
    let data = (normal(6, "data", (4000, 2), 0.5) + 2.0)?;
    net.initialise(&data).unwrap();
    let embedding = net.embed(&normal(6, "obs", (1, OBS), 1.0), Track::Frozen)?;
    let u = net.sample(&embedding, &base_noise(net.as_ref(), 4000, 0.5), Track::Frozen)?.u;
    let (mean, square) = (vec1(&u.mean(0)?), vec1(&(&u - 2.0)?.sqr()?.mean(0)?));
    // 4000 numbers of standard deviation 0.26: four errors of their mean are 0.017. The data's is widened by 0.02.
    assert!(mean.iter().all(|mean| (mean - 2.0).abs() < 0.05), "{mean:?}");
    assert!(square.iter().all(|square| (square.sqrt() - 0.26).abs() < 0.02), "{square:?}");
    Ok(())
}

/// Contract: the mixture picks its components by their weights, and no temperature changes how often.
#[test]
fn components_come_as_often_as_they_weigh() -> Result<()> {
    let net = config("Mixture(n_components: 2, hidden: 4, n_layers: 1)").build(OBS, 1, 1, &Device::Cpu).unwrap();
    // Weights e^1 : e^0 = 0.731 : 0.269, centres at 3 and -3, log-std 0.
    for (name, var) in net.params().iter() {
        let mut values = vec![0.0f32; var.elem_count()];
        match name {
            "centres" => values = vec![3.0, -3.0],
            "net.last.bias" => values[0] = 1.0,
            _ => {}
        }
        var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?;
    }
    let embedding = net.embed(&normal(7, "obs", (1, OBS), 1.0), Track::Frozen)?;
    for temperature in [0.1, 1.0] {
        let u = vec1(&net.sample(&embedding, &base_noise(net.as_ref(), 4000, temperature), Track::Frozen)?.u);
        let share = u.iter().filter(|&&u| u > 0.0).count() as f64 / 4000.0;
        // Four standard errors are 0.028; at temperature 1 a thousandth of each component lies on the other side.
        assert!((share - 0.731).abs() < 0.03, "temperature {temperature}: {share}");
    }
    // ln(0.731 N(0; 3, 1) + 0.269 N(0; -3, 1)) = ln N(3)
    let at_zero = vec1(&net.log_prob(
        &embedding,
        &Tensor::zeros((1, 1), candle_core::DType::F32, &Device::Cpu)?,
        Track::Frozen,
    )?);
    assert!((at_zero[0] - (-4.5 - 0.918_938_5)).abs() < 1e-4, "{at_zero:?}");
    Ok(())
}

/// Contract: every trainable tensor of every network takes part in its imitation loss, with finite numbers; and a sample
/// passes a gradient back to the network.
#[test]
fn every_tensor_gets_a_gradient() -> Result<()> {
    for text in ALL {
        let net = random_net(text, 6);
        let (obs, u) = (normal(8, "obs", (16, OBS), 1.0), normal(8, "u", (16, 6), 0.5));
        let loss = imitation_loss(net.as_ref(), &obs, &u, 0)?.mean_all()?;
        let gradient = Gradient::of(&loss, net.params()).unwrap().flat;
        for (name, _, range) in net.params().layout() {
            let part = &gradient[range];
            assert!(part.iter().all(|g| g.is_finite()) && part.iter().any(|&g| g != 0.0), "{text}: {name}");
        }
        let draw = net.sample(&net.embed(&obs, Track::Weights)?, &base_noise(net.as_ref(), 16, 1.0), Track::Weights)?;
        let store = squash(&draw.u)?.sqr()?.mean_all()?.backward()?;
        let n_reached = net.params().iter().filter(|(_, var)| store.get(var).is_some()).count();
        assert!(n_reached >= 4, "{text}: a sample reaches {n_reached} tensors");
    }
    Ok(())
}

/// Contract: a saved network comes back with the same bits, statistics included; a clone is on its own; one embedding for
/// all rows is that embedding in every row.
#[test]
fn networks_are_copied() -> Result<()> {
    for text in ALL {
        let net = random_net(text, 6);
        let bytes = net.params().to_bytes().unwrap();
        let (back, clone) =
            (config(text).read(OBS, shape(6), &bytes, &Device::Cpu).unwrap(), net.deep_clone().unwrap());
        assert!(back.params().to_bytes().unwrap() == bytes, "{text}");
        let noise = base_noise(net.as_ref(), 8, 1.0);
        let one = normal(9, "obs", (1, OBS), 1.0);
        let each = one.broadcast_as((8, OBS))?.contiguous()?;
        let sample = |net: &dyn PolicyNet, obs: &Tensor| -> Result<Tensor> {
            Ok(net.sample(&net.embed(obs, Track::Frozen)?, &noise, Track::Frozen)?.u)
        };
        let before = vec1(&sample(net.as_ref(), &one)?);
        assert_eq!(vec1(&sample(back.as_ref(), &one)?), before, "{text}");
        assert_eq!(vec1(&sample(clone.as_ref(), &one)?), before, "{text}");
        let error = max_difference(&sample(net.as_ref(), &one)?, &sample(net.as_ref(), &each)?);
        // The first step of a diffusion divides by a hundredth and less: rounding is that much larger there.
        assert!(error < 1e-3, "{text}: {error}");
        clone.params().copy_from_flat(&vec![0.1; clone.params().n_elements()]).unwrap();
        assert_eq!(vec1(&sample(net.as_ref(), &one)?), before, "{text}");
    }
    Ok(())
}

/// Contract: chunks alone have the bits of those that come with their density, with gradients or without.
#[test]
fn chunks_alone_are_the_same() -> Result<()> {
    for text in ALL {
        let net = random_net(text, 6);
        let (noise, obs) = (base_noise(net.as_ref(), 8, 1.0), normal(9, "obs", (1, OBS), 1.0));
        for track in [Track::Frozen, Track::Weights] {
            let embedding = net.embed(&obs, track)?;
            let chunks = net.chunks(&embedding, &noise, track)?;
            assert_eq!(vec1(&chunks), vec1(&net.sample(&embedding, &noise, track)?.u), "{text}");
        }
    }
    Ok(())
}

/// Contract: an untrained velocity field carries its noise nowhere, so a sample is its noise in units of the data; the
/// denoised chunk never leaves its bound.
#[test]
fn untrained_samplers_by_hand() -> Result<()> {
    let data = (normal(10, "data", (2000, 2), 0.5) + 1.0)?;
    let obs = normal(10, "obs", (1, OBS), 1.0);
    let standardised = |text: &str| -> Result<[Vec<f32>; 2]> {
        let mut net = config(text).build(OBS, 2, 1, &Device::Cpu).unwrap();
        net.initialise(&data).unwrap();
        let noise = base_noise(net.as_ref(), 500, 1.0);
        let u = net.sample(&net.embed(&obs, Track::Frozen)?, &noise, Track::Frozen)?.u;
        let mean = data.mean_keepdim(0)?;
        let std = (data.broadcast_sub(&mean)?.sqr()?.mean_keepdim(0)?.sqrt()? + 0.02)?;
        Ok([vec1(&noise), vec1(&u.broadcast_sub(&mean)?.broadcast_div(&std)?)])
    };
    let [z, x] = standardised(FLOW_MATCHING)?;
    assert!(z.iter().zip(&x).all(|(z, x)| (z - x).abs() < 1e-3));
    let [z, x] = standardised(DETERMINISTIC)?;
    assert!(z.iter().zip(&x).all(|(z, x)| (0.2 * z.clamp(-2.5, 2.5) - x).abs() < 1e-3));
    let [z, x] = standardised(DIFFUSION)?;
    assert!(z.iter().zip(&x).all(|(z, x)| x.abs() < 3.0 + 1e-3 && z * x >= 0.0));
    Ok(())
}

/// Compares the network that `policy_net_golden.py` calls `name` with its numbers, samples and their gradients to `tolerance`,
/// everything else to 1e-5.
fn assert_golden(name: &str, text: &str, tolerance: f32) -> Result<()> {
    let golden = oracle::policy_net();
    let named = |part: &str| format!("{name}/{part}");
    let of = |part: &str| golden.tensor(&named(part));
    let mut net = config(text).build(OBS, 4, 1, &Device::Cpu).unwrap();
    golden.fill(&named("param/"), net.params());
    net.initialise(golden.tensor("data")).unwrap();
    let (embedding, u) = (net.embed(golden.tensor("obs"), Track::Weights)?, golden.tensor("u"));

    let loss = net.imitation_loss(&embedding, u, of("imitation_noise"), Track::Weights)?;
    golden.assert_close(&named("loss"), &loss, 1e-5);
    let gradient = Gradient::of(&loss.mean_all()?, net.params()).unwrap().flat;
    golden.assert_gradient(&named("gradient"), net.params(), &gradient, 1e-5);

    let draw = net.sample(&embedding, of("noise"), Track::Weights)?;
    golden.assert_close(&named("sample_u"), &draw.u, tolerance);
    let of_chunk = (squash(&draw.u)? * golden.tensor("weights"))?.sum_all()?;
    let gradient = oracle::gradient(&of_chunk, net.params());
    golden.assert_gradient(&named("sample_gradient"), net.params(), &gradient, tolerance);

    assert_eq!(draw.log_prob.is_some(), config(text).has_density());
    if let Some(sample_log_prob) = draw.log_prob {
        golden.assert_close(&named("sample_log_prob"), &sample_log_prob, 1e-5);
        let log_prob = net.log_prob(&embedding, u, Track::Weights)?;
        golden.assert_close(&named("log_prob"), &log_prob, 1e-5);
        golden.assert_close(&named("action_log_prob"), &action_log_prob(&log_prob, u)?, 1e-5);
    }
    Ok(())
}

/// Contract: densities, of chunks and of squashed ones, losses, samples and all gradients equal an independent computation.
#[test]
fn golden_gaussian() -> Result<()> {
    assert_golden("gaussian", "Gaussian(hidden: 8, n_layers: 2)", 1e-5)
}

/// Contract: as for the Gaussian, with five components.
#[test]
fn golden_mixture() -> Result<()> {
    assert_golden("mixture", "Mixture(n_components: 5, hidden: 8, n_layers: 2)", 1e-5)
}

/// Contract: losses given their noise, samples and all gradients equal an independent computation.
#[test]
fn golden_flow_matching() -> Result<()> {
    let text = "FlowMatching(n_steps: 10, one_step: false, hidden: 8, n_layers: 2)";
    assert_golden("flow_matching", text, 1e-5)?;
    assert_golden("one_step", &text.replace("false", "true"), 1e-5)
}

/// Contract: as for flow matching, on both schedules and with both samplers. The first steps of a sample divide by a hundredth and less: rounding is
/// that much larger there.
#[test]
fn golden_diffusion() -> Result<()> {
    let linear = "Diffusion(n_steps: 20, n_sampling_steps: 5, sampler: Ddim, schedule: Linear, clip: 10.0, hidden: 8,
                            n_layers: 2)";
    assert_golden("diffusion_linear", linear, 1e-4)?;
    let cosine = linear.replace("Linear", "Cosine");
    assert_golden("diffusion_cosine", &cosine, 1e-4)?;
    assert_golden(
        "diffusion_ddpm",
        &cosine.replace("n_sampling_steps: 5, sampler: Ddim", "n_sampling_steps: 20, sampler: Ddpm"),
        1e-4,
    )
}

/// Contract: as for flow matching.
#[test]
fn golden_deterministic() -> Result<()> {
    assert_golden("deterministic", "Deterministic(noise: 0.2, hidden: 8, n_layers: 2)", 1e-5)
}

/// Share of chunks near either mode of the toy, after training on it: `[near the first, near the second]`.
fn shares_of_modes(text: &str, n_steps: u64, learning_rate: f64) -> Result<[f64; 2]> {
    // Four dimensions at +0.5 or all at -0.5, two at 0.3, standard deviation 0.1.
    let (n, chunk_dim) = (128, 6);
    let mut rng = random::stream(11, "toy", 0);
    let mut batch = || -> Result<Tensor> {
        let side = noise::normal(&mut rng, (n, 1), 1.0, &Device::Cpu)?.sign()?;
        let modes = Tensor::cat(
            &[&(side.broadcast_as((n, 4))? * 0.5)?, &(side.zeros_like()?.broadcast_as((n, 2))? + 0.3)?],
            1,
        )?;
        modes + noise::normal(&mut rng, (n, chunk_dim), 0.1, &Device::Cpu)?
    };
    let mut net = config(text).build(OBS, shape(chunk_dim), 1, &Device::Cpu).unwrap();
    net.initialise(&batch()?).unwrap();
    let optimiser = AdamWConfig { weight_decay: 1e-4.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() };
    let mut optimiser = AdamW::new(optimiser, net.params());
    for step in 0..n_steps {
        let obs = normal(step, "toy obs", (n, OBS), 1.0);
        let loss = imitation_loss(net.as_ref(), &obs, &batch()?, step)?.mean_all()?;
        let gradient = Gradient::of(&loss, net.params()).unwrap();
        let rate = learning_rate * (1.0 - step as f64 / n_steps as f64);
        optimiser.step(net.params(), &gradient.flat, rate).unwrap();
    }
    let embedding = net.embed(&normal(12, "obs", (1000, OBS), 1.0), Track::Frozen)?;
    let chunks = net.sample(&embedding, &base_noise(net.as_ref(), 1000, 1.0), Track::Frozen)?.u.to_vec2::<f32>()?;
    Ok([0.5_f32, -0.5].map(|side| {
        let mode = [side, side, side, side, 0.3, 0.3];
        let is_near = |chunk: &&Vec<f32>| chunk.iter().zip(mode).all(|(u, mode)| (u - mode).abs() < 0.3);
        chunks.iter().filter(is_near).count() as f64 / 1000.0
    }))
}

/// Contract: networks that can hold two modes find both; a diagonal Gaussian and a deterministic chunk fall between them:
/// each of four dimensions on its own would have to be near one mode, 2 x 0.3^4 = 0.02 of the Gaussian's samples.
#[test]
fn two_modes_are_found_by_those_that_can_hold_them() -> Result<()> {
    let [flow_matching, ddim] = [FLOW_MATCHING, DIFFUSION].map(|text| text.replace("hidden: 32", "hidden: 64"));
    let ddpm = ddim.replace("n_sampling_steps: 5, sampler: Ddim", "n_sampling_steps: 20, sampler: Ddpm");
    let slow = [&flow_matching, &ddim, &ddpm].map(|text| (text.as_str(), 1500));
    for (text, n_steps) in [(FLOW, 800), (TOKEN_FLOW, 800), (MIXTURE, 800)].into_iter().chain(slow) {
        let [first, second] = shares_of_modes(text, n_steps, 3e-3)?;
        assert!(first > 0.25 && second > 0.25, "{text}: {first} and {second}");
        assert!(first + second > 0.7, "{text}: {first} and {second}");
    }
    for text in [GAUSSIAN, DETERMINISTIC] {
        let [first, second] = shares_of_modes(text, 300, 3e-3)?;
        assert!(first + second < 0.05, "{text}: {first} and {second}");
    }
    Ok(())
}

/// Contract: sizes that make no network are refused by the name of their field.
#[test]
fn impossible_sizes_are_refused() {
    for (text, expected) in [
        ("Gaussian(hidden: 0, n_layers: 2)", "learn.policy.hidden: found 0"),
        ("Deterministic(noise: 0.2, hidden: 8, n_layers: 0)", "learn.policy.n_layers: found 0"),
        ("Mixture(n_components: 0, hidden: 8, n_layers: 2)", "learn.policy.n_components: found 0"),
        ("FlowMatching(n_steps: 0, one_step: true, hidden: 8, n_layers: 2)", "learn.policy.n_steps: found 0"),
        (
            "Diffusion(n_steps: 20, n_sampling_steps: 6, sampler: Ddim, schedule: Linear, clip: 3.0, hidden: 8, n_layers: 2)",
            "learn.policy.n_sampling_steps: found 6, expected a divisor of n_steps, which is 20",
        ),
        (
            "Flow(n_blocks: 3, couplings: Mlp(hidden: 8, embedding: 8), partition: Complementary, s_max: 1.0)",
            "n_blocks is 3",
        ),
        (
            "Flow(n_blocks: 2, couplings: Mlp(hidden: 8, embedding: 8), partition: RandomSteps, s_max: 1.0)",
            "chunk_len is 1, expected an even number",
        ),
        (
            "Flow(n_blocks: 2, couplings: Token(width: 6, n_heads: 2, n_layers: 1, hidden: 8, n_observation_tokens: 1),
                  partition: Random, s_max: 1.0)",
            "width is 6, expected a multiple of twice n_heads",
        ),
        (
            "Flow(n_blocks: 2, couplings: Token(width: 8, n_heads: 2, n_layers: 1, hidden: 8, n_observation_tokens: 4),
                  partition: Random, s_max: 1.0)",
            "n_observation_tokens is 4",
        ),
    ] {
        let refused: std::result::Result<_, LearnError> = config(text).build(OBS, 6, 1, &Device::Cpu);
        let error = refused.err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
