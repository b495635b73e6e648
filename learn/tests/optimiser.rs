//! Contracts of the optimiser and of the files of parameters and state.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;

use bridge::random;
use candle_core::Device;
use learn::adamw::{AdamW, AdamWConfig, AdamWError};
use learn::noise;
use learn::params::{Params, ParamsBuilder, ParamsError};
use learn::tensor_file::TensorFileError;

fn config(weight_decay: f64) -> AdamWConfig {
    AdamWConfig { weight_decay: weight_decay.try_into().unwrap(), max_gradient_norm: 1.0.try_into().unwrap() }
}

/// Twelve numbers in two tensors.
fn params(seed: u64) -> Params {
    let mut builder = ParamsBuilder::new(seed, &Device::Cpu);
    builder.uniform("b", &[2, 4], 1.0).unwrap();
    builder.uniform("a", &[4], 1.0).unwrap();
    builder.fixed("order", vec![2, 0, 1]).unwrap();
    builder.build()
}

fn flat(params: &Params) -> Vec<f32> {
    let mut flat = vec![0.0; params.n_elements()];
    params.copy_to_flat(&mut flat).unwrap();
    flat
}

fn gradient(seed: u64, step: u64) -> Vec<f32> {
    let mut gradient = vec![0.0; 12];
    noise::fill_normal(&mut random::stream(seed, "gradient", step), &mut gradient);
    gradient
}

/// Contract: eight steps at changing rates, some of them clipped, some gradients so small that epsilon counts, equal PyTorch's
/// in double precision to 1e-6; so do the moments, to 2e-5.
#[test]
fn golden_steps() {
    let golden = oracle::adamw();
    let rows = |name: &str| golden.tensor(name).to_vec2::<f32>().unwrap();
    let (norms, scales) = (golden.values("norms"), golden.values("scales"));
    let params = params(0);
    params.copy_from_flat(&golden.values("start")).unwrap();
    let mut optimiser = AdamW::new(config(0.1), &params);
    for (t, (gradient, theta)) in rows("gradients").iter().zip(rows("theta")).enumerate() {
        let report = optimiser.step(&params, gradient, f64::from(golden.values("rates")[t])).unwrap();
        assert!((report.gradient_norm - f64::from(norms[t])).abs() < 1e-6 * f64::from(norms[t]));
        assert!((report.gradient_scale - f64::from(scales[t])).abs() < 1e-6 * f64::from(scales[t]));
        oracle::assert_near(&format!("theta after step {}", optimiser.n_steps()), &flat(&params), &theta, 1e-6);
    }
    let state = candle_core::safetensors::load_buffer(&optimiser.to_bytes(&params).unwrap(), &Device::Cpu).unwrap();
    // In single precision 1 - 0.999 is off by 1.3e-5 of itself, and v with it.
    for (moment, tolerance) in [("m", 1e-6), ("v", 2e-5)] {
        let found = ["a", "b"].map(|part| oracle::values(&state[&format!("{moment}/{part}")])).concat();
        for (i, (found, expected)) in found.iter().zip(golden.values(moment)).enumerate() {
            assert!((found - expected).abs() <= tolerance * expected.abs(), "{moment} {i}: {found}, {expected}");
        }
    }
}

/// Contract: a training that was saved and loaded goes on with the same bits as one that never stopped.
#[test]
fn loading_is_never_having_stopped() {
    let (straight, stopped) = (params(1), params(1));
    let mut straight_optimiser = AdamW::new(config(1e-4), &straight);
    let mut optimiser = AdamW::new(config(1e-4), &stopped);
    for step in 0..20 {
        straight_optimiser.step(&straight, &gradient(1, step), 1e-2).unwrap();
    }
    for step in 0..9 {
        optimiser.step(&stopped, &gradient(1, step), 1e-2).unwrap();
    }
    let (weights, state) = (stopped.to_bytes().unwrap(), optimiser.to_bytes(&stopped).unwrap());
    let loaded = params(1);
    loaded.load_bytes(&weights).unwrap();
    let mut optimiser = AdamW::new(config(1e-4), &loaded);
    optimiser.load_bytes(&loaded, &state).unwrap();
    for step in 9..20 {
        optimiser.step(&loaded, &gradient(1, step), 1e-2).unwrap();
    }
    assert_eq!(flat(&loaded), flat(&straight));
    assert_eq!(optimiser, straight_optimiser);
    assert_eq!(optimiser.to_bytes(&loaded).unwrap(), straight_optimiser.to_bytes(&straight).unwrap());
}

/// Contract: a gradient that is not finite is refused by the name of its tensor, and nothing is changed.
#[test]
fn bad_gradients_change_nothing() {
    let params = params(2);
    let mut optimiser = AdamW::new(config(1e-4), &params);
    optimiser.step(&params, &gradient(2, 0), 1e-2).unwrap();
    let (weights, state) = (flat(&params), optimiser.clone());
    let mut bad = gradient(2, 1);
    bad[6] = f32::NAN;
    match optimiser.step(&params, &bad, 1e-2) {
        // `a` holds the first four numbers.
        Err(AdamWError::NotFinite { name, index, found }) => {
            assert_eq!((name.as_str(), index), ("b", 2));
            assert!(found.is_nan());
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(optimiser.step(&params, &gradient(2, 1), f64::NAN), Err(AdamWError::LearningRate { .. })));
    assert!(matches!(optimiser.step(&params, &[0.0; 3], 1e-2), Err(AdamWError::Length { found: 3, .. })));
    assert_eq!(flat(&params), weights);
    assert_eq!(optimiser, state);
}

/// Contract: start values depend on the seed and the name of the tensor, not on the order in which tensors are made; the
/// flat layout is in the order of the names.
#[test]
fn parameters_are_named() {
    let mut builder = ParamsBuilder::new(3, &Device::Cpu);
    builder.uniform("a", &[4], 1.0).unwrap();
    builder.uniform("b", &[2, 4], 1.0).unwrap();
    assert!(matches!(builder.constant("a", &[1], 0.0), Err(ParamsError::Duplicate { .. })));
    let in_order = builder.build();
    assert_eq!(flat(&in_order), flat(&params(3)));
    assert_ne!(flat(&in_order), flat(&params(4)));
    let names: Vec<_> = in_order.layout().map(|(name, _, range)| (name.to_owned(), range)).collect();
    assert_eq!(names, [("a".to_owned(), 0..4), ("b".to_owned(), 4..12)]);
    assert!(flat(&in_order).iter().all(|x| x.abs() <= 1.0));
}

/// Contract: a clone shares nothing, `polyak_from` moves by tau, `copy_from` makes equal, also from itself; another network is
/// refused.
#[test]
fn parameters_are_combined() {
    let (a, b) = (params(5), params(6));
    let clone = a.clone_on(a.device()).unwrap();
    clone.polyak_from(&b, 0.25).unwrap();
    for ((clone, a), b) in flat(&clone).iter().zip(flat(&a)).zip(flat(&b)) {
        assert!((clone - (0.75 * a + 0.25 * b)).abs() < 1e-7);
    }
    assert_eq!(flat(&a), flat(&params(5)));
    clone.copy_from(&b).unwrap();
    clone.copy_from(&clone).unwrap();
    assert_eq!(flat(&clone), flat(&b));
    let mut builder = ParamsBuilder::new(0, &Device::Cpu);
    builder.constant("a", &[4], 0.0).unwrap();
    assert!(matches!(a.copy_from(&builder.build()), Err(ParamsError::Different { name }) if name == "b"));
}

/// Contract: a parameters file that was cut anywhere, or has any one bit flipped, is refused; nothing is changed.
#[test]
fn damaged_files_are_refused() {
    let written = params(7);
    let bytes = written.to_bytes().unwrap();
    assert_eq!(bytes, params(7).to_bytes().unwrap(), "the same content gives the same bytes");
    let reader = params(8);
    let before = flat(&reader);
    for cut in 0..bytes.len() {
        assert!(reader.load_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(reader.load_bytes(&damaged).is_err(), "bit {bit}");
    }
    assert_eq!(flat(&reader), before);
    reader.load_bytes(&bytes).unwrap();
    assert_eq!(flat(&reader), flat(&written));
}

/// Contract: missing, unexpected, misshapen and non-finite tensors are named.
#[test]
fn unsuitable_files_are_refused_by_name() {
    let build = |tensors: &[(&str, &[usize])], order: &[u32]| {
        let mut builder = ParamsBuilder::new(9, &Device::Cpu);
        for (name, shape) in tensors {
            builder.uniform(name, shape, 1.0).unwrap();
        }
        builder.fixed("order", order.to_vec()).unwrap();
        builder.build()
    };
    let reader = params(9);
    let refused = |bytes: &[u8]| match reader.load_bytes(bytes) {
        Err(ParamsError::File(error)) => error,
        other => panic!("{other:?}"),
    };
    let file = |tensors: &[(&str, &[usize])]| build(tensors, &[2, 0, 1]).to_bytes().unwrap();
    assert!(matches!(refused(&file(&[("b", &[2, 4])])), TensorFileError::Missing { name } if name == "a"));
    let more = file(&[("a", &[4]), ("b", &[2, 4]), ("c", &[1])]);
    assert!(matches!(refused(&more), TensorFileError::Unexpected { name } if name == "c"));
    let turned = refused(&file(&[("a", &[4]), ("b", &[4, 2])])).to_string();
    assert_eq!(turned, "tensor \"b\" has shape [4, 2], expected [2, 4]");
    let infinite = build(&[("a", &[4]), ("b", &[2, 4])], &[2, 0, 1]);
    let mut values = flat(&infinite);
    values[5] = f32::INFINITY;
    infinite.copy_from_flat(&values).unwrap();
    let message = refused(&infinite.to_bytes().unwrap()).to_string();
    assert_eq!(message, "tensor \"b\" holds inf at element 1, expected finite numbers");
    let other_order = build(&[("a", &[4]), ("b", &[2, 4])], &[0, 1, 2]).to_bytes().unwrap();
    assert!(matches!(reader.load_bytes(&other_order), Err(ParamsError::Different { name }) if name == "order"));
    assert_eq!(flat(&reader), flat(&params(9)));
}
