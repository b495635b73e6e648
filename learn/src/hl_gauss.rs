//! HL-Gauss labels (Farebrother et al. 2024, "Stop Regressing"): a scalar target becomes a histogram, and the critic a
//! classifier.
//!
//! `n` bins of width `w` cover `[min, max]`, with edges `e_j = min + j w`. A target `y`, clamped into the range first,
//! becomes the mass of a normal distribution with standard deviation `0.75 w` around it:
//! `p_j = (erf((e_j+1 - y) / (sqrt2 sigma)) - erf((e_j - y) / (sqrt2 sigma))) / Z`, with `Z` the same over the whole
//! range. The value of a histogram is `sum_j p_j center_j`.

use candle_core::cpu::erf::erf_f64;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Standard deviation of a label, in bins.
const SIGMA_BINS: f64 = 0.75;

/// Range of values that a critic can express.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SupportFields", into = "SupportFields")]
pub struct Support {
    min: f64,
    max: f64,
    n_bins: usize,
}

/// As written in a file.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename = "Support", deny_unknown_fields)]
struct SupportFields {
    min: f64,
    max: f64,
    n_bins: usize,
}

/// A support is not one.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("support from {min} to {max} in {n_bins} bins, expected finite numbers, min < max, and at least 2 bins")]
pub struct SupportError {
    /// Lowest value.
    pub min: f64,
    /// Highest value.
    pub max: f64,
    /// Number of bins.
    pub n_bins: usize,
}

/// Labels of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// `[r, n_bins]`, row-major; each row sums to 1.
    pub probabilities: Vec<f32>,
    /// Share of the targets that lay outside of the support. Above 1 % the support is too narrow.
    pub clamped_share: f64,
}

impl Support {
    /// `n_bins` equal bins from `min` to `max`; 101 is the usual number.
    ///
    /// # Errors
    /// When the range is empty or not finite, or there are fewer than 2 bins.
    pub fn new(min: f64, max: f64, n_bins: usize) -> Result<Self, SupportError> {
        if !(min.is_finite() && max.is_finite() && min < max && (max - min).is_finite() && n_bins >= 2) {
            return Err(SupportError { min, max, n_bins });
        }
        Ok(Self { min, max, n_bins })
    }

    /// Lowest value.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Highest value.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Number of bins.
    #[must_use]
    pub fn n_bins(&self) -> usize {
        self.n_bins
    }

    /// Width of a bin.
    #[must_use]
    pub fn bin_width(&self) -> f64 {
        (self.max - self.min) / self.n_bins as f64
    }

    /// Middle of each bin.
    #[must_use]
    pub fn centers(&self) -> Vec<f32> {
        (0..self.n_bins).map(|j| (self.min + (j as f64 + 0.5) * self.bin_width()) as f32).collect()
    }

    /// `max - min`.
    #[must_use]
    pub fn range(&self) -> f64 {
        self.max - self.min
    }

    /// The value half-way between them.
    #[must_use]
    pub fn middle(&self) -> f64 {
        0.5 * (self.min + self.max)
    }

    /// Labels of `targets`. A target that is NaN gives a row of NaN: nothing is hidden.
    #[must_use]
    pub fn project(&self, targets: &[f32]) -> Labels {
        let mut probabilities = vec![0.0; targets.len() * self.n_bins];
        let mut n_clamped = 0_usize;
        for (&target, row) in targets.iter().zip(probabilities.chunks_exact_mut(self.n_bins)) {
            let target = f64::from(target);
            let clamped = target.clamp(self.min, self.max);
            n_clamped += usize::from(clamped != target);
            self.label(clamped, row);
        }
        Labels { probabilities, clamped_share: n_clamped as f64 / targets.len().max(1) as f64 }
    }

    fn label(&self, target: f64, row: &mut [f32]) {
        let scale = 1.0 / (std::f64::consts::SQRT_2 * SIGMA_BINS * self.bin_width());
        let cumulative = |j: usize| erf_f64((self.min + j as f64 * self.bin_width() - target) * scale);
        let first = cumulative(0);
        let mass = cumulative(self.n_bins) - first;
        let mut below = first;
        for (j, probability) in row.iter_mut().enumerate() {
            let above = cumulative(j + 1);
            *probability = ((above - below) / mass) as f32;
            below = above;
        }
    }
}

impl TryFrom<SupportFields> for Support {
    type Error = SupportError;

    fn try_from(fields: SupportFields) -> Result<Self, SupportError> {
        Self::new(fields.min, fields.max, fields.n_bins)
    }
}

impl From<Support> for SupportFields {
    fn from(support: Support) -> Self {
        Self { min: support.min, max: support.max, n_bins: support.n_bins }
    }
}
