//! Contract: each fused operation equals its definition in plain candle, values and gradients, for any shape.
//!
//! The loss of every comparison is the sum of squares of the result with fixed weights, so that no gradient is trivial.
//! Differences are measured against the largest element: 1e-5 for both.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bridge::random;
use candle_core::{Device, Result, Tensor, Var};
use learn::noise;
use learn::ops::{self, Activation, AttentionShape, Columns, Rotary, Visible, plain};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const TOLERANCE: f32 = 1e-5;

/// Seeded variable.
fn var(seed: u64, name: &str, shape: &[usize], std: f32) -> Var {
    Var::from_tensor(&noise::normal(&mut random::stream(seed, name, 0), shape, std, &Device::Cpu).unwrap()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(what: &str, fused: &Tensor, plain: &Tensor) {
    assert_eq!(fused.dims(), plain.dims(), "{what}");
    let (fused, plain) = (values(fused), values(plain));
    let scale = plain.iter().fold(1e-3_f32, |scale, x| scale.max(x.abs()));
    for (i, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
        assert!(
            (fused - plain).abs() <= TOLERANCE * scale,
            "{what} at {i}: fused {fused}, plain {plain}, scale {scale}"
        );
    }
}

/// Compares results and the gradients of all of `vars`.
fn compare(vars: &[&Var], fused: impl Fn() -> Result<Tensor>, plain: impl Fn() -> Result<Tensor>) {
    let loss = |result: &Tensor| {
        let weights = noise::normal(&mut random::stream(7, "weights", 0), result.shape(), 1.0, &Device::Cpu)?;
        ((result.sqr()? * 0.5)? + result)?.mul(&weights)?.sum_all()
    };
    let (fused, plain) = (fused().unwrap(), plain().unwrap());
    assert_close("result", &fused, &plain);
    let gradients = |result: &Tensor| loss(result).unwrap().backward().unwrap();
    let (fused, plain) = (gradients(&fused), gradients(&plain));
    for (i, var) in vars.iter().enumerate() {
        let fused = fused.get(var).unwrap_or_else(|| panic!("argument {i} has no gradient"));
        assert_close(&format!("gradient of argument {i}"), fused, plain.get(var).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn linear_act(seed: u64, r in 1..40_usize, i in 1..50_usize, o in 1..70_usize, silu: bool, bias in 0..3) {
        let (x, w) = (var(seed, "x", &[r, i], 1.0), var(seed, "w", &[i, o], 0.5));
        let b = match bias {
            0 => var(seed, "b", &[o], 1.0),
            1 => var(seed, "b", &[1, o], 1.0),
            _ => var(seed, "b", &[r, o], 1.0),
        };
        let activation = if silu { Activation::Silu } else { Activation::None };
        compare(&[&x, &w, &b], || ops::linear_act(&x, &w, &b, activation), || plain::linear_act(&x, &w, &b, activation));
    }

    #[test]
    fn coupling(seed: u64, r in 1..40_usize, d in 1..50_usize, s_max in 0.5_f32..3.0) {
        let (x, net) = (var(seed, "x", &[r, d], 1.0), var(seed, "net", &[r, 2 * d], 2.0));
        compare(&[&x, &net], || ops::coupling_forward(&x, &net, s_max), || plain::coupling_forward(&x, &net, s_max));
        compare(&[&x, &net], || ops::coupling_inverse(&x, &net, s_max), || plain::coupling_inverse(&x, &net, s_max));
        compare(&[&net], || ops::sum_log_scale(&net, s_max), || plain::sum_log_scale(&net, s_max));
    }

    #[test]
    fn act_norm(seed: u64, r in 1..40_usize, d in 1..50_usize) {
        let (x, shift, scale) = (var(seed, "x", &[r, d], 1.0), var(seed, "m", &[d], 1.0), var(seed, "s", &[d], 0.5));
        let all = [&x, &shift, &scale];
        compare(&all, || ops::act_norm_forward(&x, &shift, &scale), || plain::act_norm_forward(&x, &shift, &scale));
        compare(&all, || ops::act_norm_inverse(&x, &shift, &scale), || plain::act_norm_inverse(&x, &shift, &scale));
    }

    // From 8 columns on: two columns normalize to +-1 whatever they are, so that their gradient is zero but for rounding,
    // which no tolerance relative to it can hold.
    #[test]
    fn layer_norm_silu(seed: u64, r in 1..40_usize, d in 8..90_usize) {
        let (x, w, b) = (var(seed, "x", &[r, d], 2.0), var(seed, "w", &[d], 1.0), var(seed, "b", &[d], 1.0));
        compare(&[&x, &w, &b], || ops::layer_norm_silu(&x, &w, &b), || plain::layer_norm_silu(&x, &w, &b));
    }

    #[test]
    fn rms_norm(seed: u64, r in 1..40_usize, d in 2..90_usize) {
        let (x, w) = (var(seed, "x", &[r, d], 2.0), var(seed, "w", &[d], 1.0));
        compare(&[&x, &w], || ops::rms_norm(&x, &w), || plain::rms_norm(&x, &w));
    }

    // From 3 keys on: a softmax over one passes no gradient on, and no tolerance relative to it can hold.
    #[test]
    fn attention(seed: u64, r in 1..6_usize, n_queries in 1..9_usize, n_keys in 3..9_usize, len in 1..20_usize, kind in 0..4) {
        let n_heads = 1 + seed as usize % 3;
        let n_queries = if kind == 1 { n_keys } else { n_queries };
        let visible = match kind {
            1 => Visible::Causal,
            2 => Visible::PerRow((0..r).map(|row| 3 + row % (n_keys - 2)).collect()),
            _ => Visible::All,
        };
        let (key_rows, shape) = (if kind == 3 { 1 } else { r }, AttentionShape { n_heads, n_queries, n_keys, visible });
        let q = var(seed, "q", &[r * n_queries, n_heads * len], 1.0);
        let [k, v] = ["k", "v"].map(|name| var(seed, name, &[key_rows * n_keys, n_heads * len], 1.0));
        compare(&[&q, &k, &v], || ops::attention(&q, &k, &v, &shape), || plain::attention(&q, &k, &v, &shape));
    }

    #[test]
    fn rotate(seed: u64, r in 1..6_usize, n_heads in 1..4_usize, half in 1..9_usize, first in 0..50_usize) {
        let rotary = Rotary::new(&[first, 0, first + 1], 2 * half).unwrap();
        let x = var(seed, "x", &[r * 3, n_heads * 2 * half], 1.0);
        compare(&[&x], || ops::rotate(&x, &rotary), || plain::rotate(&x, &rotary));
    }

    #[test]
    fn categorical(seed: u64, r in 1..40_usize, n in 2..120_usize) {
        let logits = var(seed, "logits", &[r, n], 3.0);
        let target = var(seed, "target", &[r, n], 1.0).abs().unwrap().detach();
        let centers = var(seed, "centers", &[n], 1.0).detach();
        compare(&[&logits], || ops::cross_entropy(&logits, &target), || plain::cross_entropy(&logits, &target));
        compare(
            &[&logits],
            || ops::softmax_expectation(&logits, &centers),
            || plain::softmax_expectation(&logits, &centers),
        );
    }

    #[test]
    fn rows_and_columns(seed: u64, r in 1..40_usize, half in 1..40_usize, take in 1..80_usize) {
        let (a, b) = (var(seed, "a", &[r, half], 1.0), var(seed, "b", &[r, half], 1.0));
        let x = var(seed, "x", &[r, 2 * half], 1.0);
        let mut order: Vec<u32> = (0..2 * half as u32).collect();
        order.rotate_left(take % (2 * half));
        order.swap(0, half);
        let columns = Columns::new(&order[..take.min(2 * half)], 2 * half).unwrap();
        compare(&[&x], || ops::select_columns(&x, &columns), || plain::select_columns(&x, &columns));
        compare(&[&a, &b], || ops::select_from_halves(&a, &b, &columns), || plain::select_from_halves(&a, &b, &columns));
        compare(&[&x], || ops::squared_norm(&x), || plain::squared_norm(&x));
        compare(&[&x], || ops::tanh(&x), || x.tanh());
    }
}

/// Contract: strided arguments (narrowed, transposed) give the same as contiguous ones.
#[test]
fn strided_arguments_are_read_right() -> Result<()> {
    let wide = var(3, "wide", &[6, 10], 1.0);
    let (w, b) = (var(3, "w", &[9, 4], 1.0), var(3, "b", &[9], 1.0));
    let fused = || ops::linear_act(&wide.narrow(1, 3, 4)?, &w.t()?, &b, Activation::Silu);
    let plain = || plain::linear_act(&wide.narrow(1, 3, 4)?.contiguous()?, &w.t()?.contiguous()?, &b, Activation::Silu);
    compare(&[&wide, &w, &b], fused, plain);
    Ok(())
}

/// Contract: a detached weight gets no gradient, and the input still gets the right one.
#[test]
fn detached_weights_cost_nothing() -> Result<()> {
    let (x, w, b) = (var(4, "x", &[5, 8], 1.0), var(4, "w", &[8, 3], 1.0), var(4, "b", &[3], 1.0));
    let run = |w: &Tensor, b: &Tensor| ops::linear_act(&x, w, b, Activation::Silu)?.sum_all()?.backward();
    let (full, frozen) = (run(&w, &b)?, run(&w.detach(), &b.detach())?);
    assert!(frozen.get(&w).is_none() && frozen.get(&b).is_none());
    assert_eq!(values(full.get(&x).unwrap()), values(frozen.get(&x).unwrap()));
    Ok(())
}

/// Contract: shapes that do not fit together are refused with both shapes in the message, on every operation.
#[test]
fn misfits_are_refused() {
    let t = |shape: &[usize]| var(5, "t", shape, 1.0).detach();
    let attention = |n_queries, n_keys, visible, q: [usize; 2], k: [usize; 2]| {
        let shape = AttentionShape { n_heads: 2, n_queries, n_keys, visible };
        ops::attention(&t(&q), &t(&k), &t(&k), &shape)
    };
    let rows = |counts: &[usize]| Visible::PerRow(counts.into());
    let cases = [
        ops::rms_norm(&t(&[2, 3]), &t(&[2])),
        ops::rotate(&t(&[4, 6]), &Rotary::new(&[0, 1], 4).unwrap()),
        ops::rotate(&t(&[3, 4]), &Rotary::new(&[0, 1], 4).unwrap()),
        attention(2, 3, Visible::All, [4, 6], [6, 4]),
        attention(2, 3, Visible::All, [4, 5], [6, 5]),
        attention(2, 3, Visible::All, [5, 6], [6, 6]),
        attention(2, 3, Visible::All, [6, 6], [6, 6]),
        attention(2, 3, Visible::Causal, [4, 6], [6, 6]),
        attention(2, 3, rows(&[1]), [4, 6], [6, 6]),
        attention(2, 3, rows(&[1, 4]), [4, 6], [6, 6]),
        attention(2, 3, rows(&[0, 3]), [4, 6], [6, 6]),
        ops::linear_act(&t(&[2, 3]), &t(&[4, 5]), &t(&[5]), Activation::None),
        ops::linear_act(&t(&[2, 3]), &t(&[3, 5]), &t(&[4]), Activation::None),
        ops::linear_act(&t(&[2, 3]), &t(&[3, 5]), &t(&[3, 5]), Activation::None),
        ops::coupling_forward(&t(&[2, 3]), &t(&[2, 7]), 1.0),
        ops::coupling_inverse(&t(&[2, 3]), &t(&[3, 6]), 1.0),
        ops::coupling_forward(&t(&[2, 3]), &t(&[2, 6]), 0.0),
        ops::coupling_forward(&t(&[2, 3]), &t(&[2, 6]), f32::NAN),
        ops::sum_log_scale(&t(&[2, 5]), 1.0),
        ops::act_norm_forward(&t(&[2, 3]), &t(&[3]), &t(&[2])),
        ops::layer_norm_silu(&t(&[2, 3]), &t(&[2]), &t(&[3])),
        ops::cross_entropy(&t(&[2, 3]), &t(&[2, 4])),
        ops::softmax_expectation(&t(&[2, 3]), &t(&[2])),
        ops::select_columns(&t(&[2, 3]), &Columns::new(&[1, 0], 4).unwrap()),
        ops::select_from_halves(&t(&[2, 3]), &t(&[2, 2]), &Columns::new(&[1, 0], 6).unwrap()),
    ];
    for (i, case) in cases.iter().enumerate() {
        assert!(case.is_err(), "case {i} was accepted");
    }
    assert!(Rotary::new(&[0], 3).is_err() && Rotary::new(&[], 2).is_err());
    assert!(Columns::new(&[0, 0], 2).is_err() && Columns::new(&[2], 2).is_err());
}
