//! Contracts of the critic's labels, of the loss against them, and of what a histogram is worth.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;

use candle_core::cpu::erf::erf_f64;
use candle_core::{Device, Result, Tensor, Var};
use learn::hl_gauss::Support;
use learn::ops;
use proptest::prelude::*;

/// Contract: labels equal an independent computation to 1e-7, targets outside of the support are clamped and counted, and a
/// bin's value is its middle.
#[test]
fn golden_labels() {
    let golden = oracle::critic();
    let support = Support::new(-0.5, 5.0, 101).unwrap();
    let targets = golden.values("targets");
    let labels = support.project(&targets);
    let expected = golden.values("labels");
    assert_eq!(labels.probabilities.len(), expected.len());
    for (i, (found, expected)) in labels.probabilities.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() < 1e-7, "bin {} of target {}: {found}, {expected}", i % 101, targets[i / 101]);
    }
    // Two of twelve: what lies on an end is not outside.
    assert_eq!(labels.clamped_share, 2.0 / 12.0);
    oracle::assert_near("centers", &support.centers(), &golden.values("centers"), 1e-7);
}

/// Contract: the cross entropy against the labels, the value of a histogram, and the gradients of both equal an independent
/// computation to 1e-6.
#[test]
fn golden_losses_and_values() -> Result<()> {
    let golden = oracle::critic();
    let support = Support::new(-0.5, 5.0, 101).unwrap();
    let labels = support.project(&golden.values("targets")).probabilities;
    let labels = Tensor::from_vec(labels, golden.tensor("labels").dims(), &Device::Cpu)?;
    let logits = Var::from_tensor(golden.tensor("logits"))?;
    let losses = ops::cross_entropy(&logits, &labels)?;
    let values = ops::softmax_expectation(&logits, &Tensor::new(support.centers(), &Device::Cpu)?)?;
    for (name, found) in [("cross_entropy", &losses), ("value", &values)] {
        golden.assert_close(name, found, 1e-6);
        let store = (found * golden.tensor("weights"))?.sum_all()?.backward()?;
        golden.assert_close(&format!("{name}/by_logits"), store.get(&logits).unwrap(), 1e-6);
    }
    Ok(())
}

/// Contract: the error function that the labels are made of is right to 1e-15 (Abramowitz and Stegun, table 7.1, and Wolfram
/// Alpha for the digits beyond it).
#[test]
fn the_error_function_is_right() {
    for (x, expected) in [
        (0.0, 0.0),
        (0.1, 0.112_462_916_018_284_89),
        (0.5, 0.520_499_877_813_046_5),
        (1.0, 0.842_700_792_949_714_9),
        (2.0, 0.995_322_265_018_952_7),
        (3.0, 0.999_977_909_503_001_4),
        (-1.0, -0.842_700_792_949_714_9),
        (7.0, 1.0),
    ] {
        assert!((erf_f64(x) - expected).abs() < 1e-15, "erf({x}) = {}", erf_f64(x));
    }
}

proptest! {
    /// Contract: each label is a distribution, and away from the edges its expectation is the target within a hundredth of
    /// a bin.
    #[test]
    fn labels_are_distributions(min in -10.0..10.0_f64, width in 0.1..100.0_f64, n_bins in 8..200_usize, at in 0.0..1.0_f64) {
        let support = Support::new(min, min + width, n_bins).unwrap();
        let target = (min + at * width) as f32;
        let labels = support.project(&[target]);
        let sum: f64 = labels.probabilities.iter().map(|&p| f64::from(p)).sum();
        prop_assert!((sum - 1.0).abs() < 1e-6);
        prop_assert!(labels.probabilities.iter().all(|&p| p >= 0.0));
        let expectation: f64 =
            labels.probabilities.iter().zip(support.centers()).map(|(&p, center)| f64::from(p) * f64::from(center)).sum();
        let margin = 4.0 * support.bin_width();
        if f64::from(target) - min > margin && min + width - f64::from(target) > margin {
            let error = (expectation - f64::from(target)).abs();
            // Single precision of the centres and of the target adds to the hundredth of a bin.
            prop_assert!(error < 0.01 * support.bin_width() + 1e-6 * (min.abs() + width), "{error}");
        }
    }
}

/// Contract: a range that is none is refused, in code and in a file, and what is written comes back.
#[test]
fn impossible_supports_are_refused() {
    for (min, max, n_bins) in
        [(1.0, 1.0, 101), (2.0, 1.0, 101), (0.0, f64::INFINITY, 101), (f64::NAN, 1.0, 101), (0.0, 1.0, 1)]
    {
        assert!(Support::new(min, max, n_bins).is_err());
    }
    assert!(ron::from_str::<Support>("(min: 0.0, max: 0.0, n_bins: 101)").is_err());
    assert!(ron::from_str::<Support>("(min: 0.0, max: 1.0, n_bins: 101, sigma: 1.0)").is_err());
    let support = Support::new(-0.5, 5.0, 101).unwrap();
    assert_eq!(ron::from_str::<Support>(&ron::to_string(&support).unwrap()).unwrap(), support);
}
