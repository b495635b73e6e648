//! Numbers with intervals, from episodes.
//!
//! Every function takes finite samples and returns `None` where the statistic is not defined: for no samples, for a
//! sample that is not finite, for a ratio whose denominators are not all above zero.
//!
//! The interval of [`bootstrap`] is the percentile bootstrap (Efron & Tibshirani 1993, ch. 13): draw n of the n samples
//! with replacement, compute the statistic, repeat; the interval runs from the 2.5 % to the 97.5 % quantile. It holds
//! what varies between the samples it was given and nothing else: over the episodes of one run it says nothing about
//! other seeds. Over the runs of several tasks, `scores[task][seed]`, it is stratified: every task keeps its number of runs.

use bridge::random::{self, Rng};
use rand::Rng as _;

/// Resamples behind every bootstrap interval: the ends then scatter by about 1 % of the interval's width.
pub const N_RESAMPLES: usize = 10_000;

/// z of a two-sided 95 % interval.
const Z_95: f64 = 1.959_963_984_540_054;

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The statistic of the samples themselves.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Arithmetic mean.
#[must_use]
pub fn mean(samples: &[f64]) -> Option<f64> {
    defined(!samples.is_empty(), samples.iter().sum::<f64>() / samples.len() as f64)
}

/// Sum of the numerators over sum of the denominators, e.g. turns over minutes: long episodes count for what they are.
#[must_use]
pub fn pooled_ratio(pairs: &[(f64, f64)]) -> Option<f64> {
    let (numerator, denominator) = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    let is_ratio = |pair: &(f64, f64)| pair.0.is_finite() && pair.1.is_finite() && pair.1 > 0.0;
    defined(!pairs.is_empty() && pairs.iter().all(is_ratio), numerator / denominator)
}

/// Interquartile mean: the mean without the lowest and the highest quarter, each rounded down to whole samples.
///
/// Source: `rliable.metrics.aggregate_iqm` (Agarwal et al. 2021), which is `scipy.stats.trim_mean(x, 0.25)`.
#[must_use]
pub fn iqm(samples: &[f64]) -> Option<f64> {
    defined(samples.iter().all(|x| x.is_finite()), 0.0)?;
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n_cut = sorted.len() / 4;
    mean(&sorted[n_cut..sorted.len() - n_cut])
}

/// Percentile bootstrap interval of `statistic` over the samples, most often whole episodes.
///
/// `seed` fixes the resamples: two policies judged with one seed on the same episodes are resampled alike.
#[must_use]
pub fn bootstrap<T: Copy>(samples: &[T], seed: u64, statistic: impl Fn(&[T]) -> Option<f64>) -> Option<Estimate> {
    let value = statistic(samples)?;
    let mut resample = samples.to_vec();
    percentile_interval(value, seed, |rng| {
        draw(samples, &mut resample, rng)?;
        statistic(&resample)
    })
}

/// Stratified bootstrap interval of `statistic`, e.g. [`iqm`], over all runs of all tasks, `scores[task][seed]`: each task's
/// runs are resampled among themselves, so that the interval holds what varies between seeds and not between tasks. Tasks
/// with different numbers of seeds would weigh differently; they are not defined.
///
/// Source: `rliable.library.StratifiedBootstrap` with the percentile method (Agarwal et al. 2021, sec. 4.1).
#[must_use]
pub fn stratified_bootstrap(
    scores: &[Vec<f64>],
    seed: u64,
    statistic: impl Fn(&[f64]) -> Option<f64>,
) -> Option<Estimate> {
    let n_seeds = scores.first()?.len();
    defined(n_seeds > 0 && scores.iter().all(|task| task.len() == n_seeds), 0.0)?;
    let mut pooled = scores.concat();
    let value = statistic(&pooled)?;
    percentile_interval(value, seed, |rng| {
        for (task, resample) in scores.iter().zip(pooled.chunks_exact_mut(n_seeds)) {
            draw(task, resample, rng)?;
        }
        statistic(&pooled)
    })
}

/// Probability that a run of `x` scores more than one of `y` on the same task, equal scores counting half, averaged over the
/// tasks; both are `[task][seed]`, and may have different numbers of seeds.
///
/// Source: `rliable.metrics.probability_of_improvement` (Agarwal et al. 2021, sec. 4.3): the mean over the tasks of
/// Mann and Whitney's U over the number of pairs.
#[must_use]
pub fn probability_of_improvement(x: &[Vec<f64>], y: &[Vec<f64>]) -> Option<f64> {
    defined(x.len() == y.len(), 0.0)?;
    let of_task = |(x, y): (&Vec<f64>, &Vec<f64>)| {
        let is_finite = x.iter().chain(y).all(|score| score.is_finite());
        let of_pair = |x: &f64, y: &f64| {
            if x > y {
                1.0
            } else if x < y {
                0.0
            } else {
                0.5
            }
        };
        let sum: f64 = x.iter().map(|x| y.iter().map(|y| of_pair(x, y)).sum::<f64>()).sum();
        defined(is_finite, sum / (x.len() * y.len()) as f64)
    };
    mean(&x.iter().zip(y).map(of_task).collect::<Option<Vec<f64>>>()?)
}

/// Stratified bootstrap interval of [`probability_of_improvement`]: the runs of either method are resampled, each task's among
/// themselves.
///
/// Source: `rliable.library.StratifiedIndependentBootstrap`.
#[must_use]
pub fn bootstrap_improvement(x: &[Vec<f64>], y: &[Vec<f64>], seed: u64) -> Option<Estimate> {
    let value = probability_of_improvement(x, y)?;
    let (mut of_x, mut of_y) = (x.to_vec(), y.to_vec());
    percentile_interval(value, seed, |rng| {
        for (scores, resamples) in [(x, &mut of_x), (y, &mut of_y)] {
            for (task, resample) in scores.iter().zip(resamples) {
                draw(task, resample, rng)?;
            }
        }
        probability_of_improvement(&of_x, &of_y)
    })
}

/// Share of samples above a threshold: of a performance profile, the height at this threshold. Over the runs of several tasks
/// its interval is that of [`stratified_bootstrap`], point by point.
///
/// Source: `rliable.library.run_score_deviation` behind `create_performance_profile` (Agarwal et al. 2021, sec. 4.2).
#[must_use]
pub fn share_above(samples: &[f64], threshold: f64) -> Option<f64> {
    let n_above = samples.iter().filter(|&&sample| sample > threshold).count();
    let is_defined = !samples.is_empty() && threshold.is_finite() && samples.iter().all(|sample| sample.is_finite());
    defined(is_defined, n_above as f64 / samples.len() as f64)
}

/// Bootstrap interval of [`mean`].
#[must_use]
pub fn bootstrap_mean(samples: &[f64], seed: u64) -> Option<Estimate> {
    bootstrap(samples, seed, mean)
}

/// Bootstrap interval of [`pooled_ratio`].
#[must_use]
pub fn bootstrap_ratio(pairs: &[(f64, f64)], seed: u64) -> Option<Estimate> {
    bootstrap(pairs, seed, pooled_ratio)
}

/// Wilson's score interval of a rate, `n_successes` of `n_trials`; unlike the bootstrap's it does not shrink to a point
/// at 0 and 1.
///
/// Source: Wilson 1927. With p = k/n and z of 95 %, centre (p + z²/2n) / (1 + z²/n), half width
/// z √(p(1-p)/n + z²/4n²) / (1 + z²/n).
#[must_use]
pub fn wilson(n_successes: usize, n_trials: usize) -> Option<Estimate> {
    if n_trials == 0 || n_successes > n_trials {
        return None;
    }
    let n = n_trials as f64;
    let rate = n_successes as f64 / n;
    let shrink = 1.0 + Z_95 * Z_95 / n;
    let centre = (rate + Z_95 * Z_95 / (2.0 * n)) / shrink;
    let half = Z_95 * (rate * (1.0 - rate) / n + Z_95 * Z_95 / (4.0 * n * n)).sqrt() / shrink;
    // At the ends the formula is exact but for rounding, which must not leave 0..1 or exclude the rate itself.
    Some(Estimate { value: rate, low: (centre - half).clamp(0.0, rate), high: (centre + half).clamp(rate, 1.0) })
}

fn defined(is_defined: bool, value: f64) -> Option<f64> {
    (is_defined && value.is_finite()).then_some(value)
}

/// The percentile interval of a statistic around its `value`, from resamples of the stream that `seed` names.
fn percentile_interval(value: f64, seed: u64, mut resampled: impl FnMut(&mut Rng) -> Option<f64>) -> Option<Estimate> {
    let mut rng = random::stream(seed, "bootstrap", 0);
    let mut statistics = (0..N_RESAMPLES).map(|_| resampled(&mut rng)).collect::<Option<Vec<f64>>>()?;
    statistics.sort_unstable_by(f64::total_cmp);
    Some(Estimate { value, low: quantile(&statistics, 0.025), high: quantile(&statistics, 0.975) })
}

/// Fills `resample` with samples, drawn with replacement; none when there are too many to be counted.
fn draw<T: Copy>(samples: &[T], resample: &mut [T], rng: &mut Rng) -> Option<()> {
    let n_samples = u32::try_from(samples.len()).ok()?;
    resample.fill_with(|| samples[rng.random_range(0..n_samples) as usize]);
    Some(())
}

/// Quantile of sorted values, linear between them (numpy's default).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected} ± {tolerance}");
    }

    /// Contract: numbers worked by hand, and for the interquartile mean scipy's.
    ///
    /// ```python
    /// from scipy.stats import trim_mean
    /// for n in (1, 2, 3, 4, 5, 8, 11): print(n, trim_mean([x * x for x in range(n)], 0.25))
    /// ```
    #[test]
    fn point_estimates() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        // One turn in 10 s and one in 50 s are two in a minute, not the mean of 6 and 1.2 per minute.
        assert_eq!(pooled_ratio(&[(1.0, 10.0 / 60.0), (1.0, 50.0 / 60.0)]), Some(2.0));
        let golden = [(1, 0.0), (2, 0.5), (3, 5.0 / 3.0), (4, 2.5), (5, 14.0 / 3.0), (8, 13.5), (11, 29.0)];
        for (n, expected) in golden {
            // Highest first: the order must not matter.
            let squares: Vec<f64> = (0..n).rev().map(|x| f64::from(x * x)).collect();
            assert_close(iqm(&squares).unwrap(), expected, 1e-12);
        }
    }

    /// Contract: what is not defined is not invented.
    #[test]
    fn undefined_statistics_are_none() {
        assert_eq!((mean(&[]), iqm(&[]), pooled_ratio(&[])), (None, None, None));
        assert_eq!((bootstrap_mean(&[], 0), bootstrap_ratio(&[], 0), wilson(0, 0)), (None, None, None));
        assert_eq!(wilson(3, 2), None);
        assert_eq!(pooled_ratio(&[(1.0, 1.0), (1.0, 0.0)]), None);
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                (mean(&[1.0, bad]), iqm(&[1.0, 2.0, 3.0, bad]), bootstrap_mean(&[1.0, bad], 0)),
                (None, None, None)
            );
            assert_eq!((pooled_ratio(&[(bad, 1.0)]), pooled_ratio(&[(1.0, bad), (1.0, bad)])), (None, None));
        }
    }

    /// Contract: the resampled mean of k ones among n is binomial, so its interval is known exactly.
    ///
    /// ```python
    /// from scipy.stats import binom
    /// for k, n in ((4, 10), (13, 25), (36, 40)): print([binom.ppf(q, n, k / n) / n for q in (.025, .975)])
    /// ```
    #[test]
    fn bootstrap_of_a_rate_is_binomial() {
        for (k, n, low, high) in [(4, 10, 0.1, 0.7), (13, 25, 0.32, 0.72), (36, 40, 0.8, 0.975)] {
            let ones: Vec<f64> = (0..n).map(|index| f64::from(u8::from(index < k))).collect();
            for seed in 0..5 {
                let found = bootstrap_mean(&ones, seed).unwrap();
                assert_close(found.value, f64::from(k) / f64::from(n), 1e-12);
                assert_close(found.low, low, 1e-12);
                assert_close(found.high, high, 1e-12);
            }
        }
    }

    /// Contract: strata are resampled by themselves. Where each is constant there is nothing to vary; where one is constant the
    /// sum of the other's n samples of two values is binomial, so the interval of the mean is known exactly: half of ten ones
    /// beside ten twos, `[(binom.ppf(q, 10, 0.5) + 20) / 20 for q in (.025, .975)]`.
    #[test]
    fn strata_are_resampled_by_themselves() {
        let (ones, twos) = (vec![1.0; 10], vec![2.0; 10]);
        let halves: Vec<f64> = (0..10).map(|index| f64::from(index % 2)).collect();
        let constant = stratified_bootstrap(&[ones, twos.clone()], 1, mean).unwrap();
        assert_eq!(constant, Estimate { value: 1.5, low: 1.5, high: 1.5 });
        let found = stratified_bootstrap(&[halves, twos], 1, mean).unwrap();
        assert_close(found.value, 1.25, 1e-12);
        assert_close(found.low, 1.1, 1e-12);
        assert_close(found.high, 1.4, 1e-12);
        assert_eq!(stratified_bootstrap(&[vec![], vec![]], 1, mean), None);
    }

    /// Contract: the interval of a pooled ratio is scipy's, up to the scatter of the resamples (standard error 0.003).
    ///
    /// ```python
    /// import numpy as np; from scipy.stats import bootstrap
    /// k = np.arange(40); turns = (k * 7 % 11) / 10; minutes = 0.2 + (k * 5 % 13) / 20
    /// print(bootstrap((turns, minutes), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True, vectorized=True,
    ///                 n_resamples=1_000_000, batch=10_000, method="percentile", rng=np.random.default_rng(0)))
    /// ```
    #[test]
    fn bootstrap_of_a_ratio_matches_scipy() {
        let pairs: Vec<(f64, f64)> =
            (0..40).map(|k| (f64::from(k * 7 % 11) / 10.0, 0.2 + f64::from(k * 5 % 13) / 20.0)).collect();
        let found = bootstrap_ratio(&pairs, 1).unwrap();
        assert_close(found.value, 1.025_380_710_659_898_4, 1e-12);
        assert_close(found.low, 0.815_920, 0.01);
        assert_close(found.high, 1.257_790, 0.01);
    }

    /// Contract: the same samples and seed give the same bits; another seed gives other resamples.
    #[test]
    fn bootstrap_is_reproducible() {
        let samples: Vec<f64> = (0..30).map(|x| f64::from(x).sqrt()).collect();
        assert_eq!(bootstrap(&samples, 3, iqm), bootstrap(&samples, 3, iqm));
        assert_ne!(bootstrap_mean(&samples, 3), bootstrap_mean(&samples, 4));
    }

    /// Contract: Wilson's interval is scipy's, stays within 0..1 and contains the rate.
    ///
    /// ```python
    /// from scipy.stats import binomtest
    /// for k, n in ((7, 10), (8, 10), (0, 10), (10, 10), (70, 100), (280, 400)):
    ///     print(binomtest(k, n).proportion_ci(method="wilson"))
    /// ```
    #[test]
    fn wilson_matches_scipy() {
        let golden = [
            (7, 10, 0.396_778_147_461_145_26, 0.892_208_732_593_699),
            (8, 10, 0.490_162_471_536_641_8, 0.943_317_848_545_624_8),
            (0, 10, 0.0, 0.277_532_799_862_889_26),
            (10, 10, 0.722_467_200_137_110_9, 1.0),
            (70, 100, 0.604_151_453_666_533_3, 0.781_051_147_050_672_5),
            (280, 400, 0.653_362_754_222_478_5, 0.742_832_328_043_803),
        ];
        for (k, n, low, high) in golden {
            let found = wilson(k, n).unwrap();
            assert_close(found.low, low, 1e-12);
            assert_close(found.high, high, 1e-12);
            assert!(found.low >= 0.0 && found.low <= found.value && found.value <= found.high && found.high <= 1.0);
        }
    }
}
