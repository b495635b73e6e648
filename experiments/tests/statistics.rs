//! Contracts of the statistics over tasks and seeds: they are those of rliable, from `oracle/statistics_golden.py`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use experiments::statistics::{
    Estimate, bootstrap_improvement, iqm, mean, probability_of_improvement, share_above, stratified_bootstrap, wilson,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// `[task][seed]`.
    x: Vec<Vec<f64>>,
    /// `[task][seed]`, of another method.
    y: Vec<Vec<f64>>,
    iqm: f64,
    iqm_interval: Ends,
    mean_interval: Ends,
    improvement: f64,
    improvement_interval: Ends,
    profile: Vec<Height>,
    iqm_of_one_task: Vec<OneTask>,
    wilson: Vec<Rate>,
}

/// Where the lower and the upper end of an interval must lie: the script says why.
type Ends = [[f64; 2]; 2];

/// Of a performance profile.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Height {
    threshold: f64,
    share: f64,
    ends: Ends,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneTask {
    scores: Vec<f64>,
    iqm: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    successes: usize,
    trials: usize,
    ends: [f64; 2],
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("oracle/statistics_golden.json")).unwrap()
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "found {found}, expected {expected}");
}

fn assert_ends(found: Estimate, [low, high]: Ends) {
    // Few runs have few different statistics: an end may be that of its range, but for the order of a sum.
    let is_within = |end: f64, [from, to]: [f64; 2]| from - 1e-9 <= end && end <= to + 1e-9;
    assert!(is_within(found.low, low), "{found:?}, expected the lower end in {low:?}");
    assert!(is_within(found.high, high), "{found:?}, expected the upper end in {high:?}");
}

/// Contract: the interquartile mean over all runs of all tasks, the performance profile, the probability of improvement and
/// Wilson's interval are those of rliable and statsmodels to 1e-9.
#[test]
fn golden_numbers() {
    let golden = golden();
    assert_close(iqm(&golden.x.concat()).unwrap(), golden.iqm);
    for task in &golden.iqm_of_one_task {
        assert_close(iqm(&task.scores).unwrap(), task.iqm);
    }
    assert_close(probability_of_improvement(&golden.x, &golden.y).unwrap(), golden.improvement);
    assert_close(probability_of_improvement(&golden.y, &golden.x).unwrap(), 1.0 - golden.improvement);
    assert_close(probability_of_improvement(&golden.x, &golden.x).unwrap(), 0.5);
    for height in &golden.profile {
        assert_close(share_above(&golden.x.concat(), height.threshold).unwrap(), height.share);
    }
    for rate in &golden.wilson {
        let found = wilson(rate.successes, rate.trials).unwrap();
        assert_close(found.low, rate.ends[0]);
        assert_close(found.high, rate.ends[1]);
    }
}

/// Contract: the stratified intervals are rliable's within what its resamples and ours scatter, for any seed.
#[test]
fn golden_intervals() {
    let golden = golden();
    for seed in 0..3 {
        let of_iqm = stratified_bootstrap(&golden.x, seed, iqm).unwrap();
        assert_close(of_iqm.value, golden.iqm);
        assert_ends(of_iqm, golden.iqm_interval);
        assert_ends(stratified_bootstrap(&golden.x, seed, mean).unwrap(), golden.mean_interval);
        for height in &golden.profile {
            let share = |scores: &[f64]| share_above(scores, height.threshold);
            assert_ends(stratified_bootstrap(&golden.x, seed, share).unwrap(), height.ends);
        }
        let improvement = bootstrap_improvement(&golden.x, &golden.y, seed).unwrap();
        assert_close(improvement.value, golden.improvement);
        assert_ends(improvement, golden.improvement_interval);
    }
}

/// Contract: the same scores and seed give the same bits; what is not defined is not invented.
#[test]
fn tables_with_holes_are_none() {
    let Golden { x, y, .. } = golden();
    assert_eq!(stratified_bootstrap(&x, 3, iqm), stratified_bootstrap(&x, 3, iqm));
    assert_ne!(stratified_bootstrap(&x, 3, iqm), stratified_bootstrap(&x, 4, iqm));
    let (ragged, empty) = (vec![vec![1.0, 2.0], vec![3.0]], vec![vec![], vec![]]);
    for scores in [&[] as &[Vec<f64>], &ragged, &empty, &[vec![1.0, f64::NAN]]] {
        assert_eq!(stratified_bootstrap(scores, 0, iqm), None);
    }
    assert_eq!(
        (share_above(&[], 0.0), share_above(&[1.0, f64::NAN], 0.0), share_above(&[1.0], f64::NAN)),
        (None, None, None)
    );
    assert_eq!(probability_of_improvement(&x, &y[..2]), None);
    for scores in [&empty, &vec![vec![1.0, f64::NAN], vec![1.0]]] {
        assert_eq!(
            (probability_of_improvement(&ragged, scores), bootstrap_improvement(scores, &ragged, 0)),
            (None, None)
        );
    }
    assert_eq!(probability_of_improvement(&[], &[]), None);
    assert_eq!(probability_of_improvement(&ragged, &ragged), Some(0.5));
}
