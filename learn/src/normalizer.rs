//! What the networks see instead of raw units.
//!
//! - Observations: z-scored per value and clamped to +-5.
//! - Actions: the demonstrations' range of every joint mapped to +-k, so that what the demonstrators did has room on
//!   both sides before tanh saturates; or the environment's limits of every joint.
//!
//! The statistics come from the demonstrations and are never refreshed: a policy must not change because a mean did.

use crate::LearnError;
use bridge::{EnvironmentSpec, Episode};
use serde::{Deserialize, Serialize};

/// Normalized observations are clamped to this.
const MAX_OBSERVATION: f32 = 5.0;
/// Normalized actions are clamped to this before atanh: |u| stays below 3.
const MAX_ACTION: f32 = 0.995;

/// Fixed statistics of the demonstrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalizer {
    observation_mean: Vec<f32>,
    observation_scale: Vec<f32>,
    action_center_rad: Vec<f32>,
    action_half_range_rad: Vec<f32>,
    action_margin: f32,
}

impl Normalizer {
    /// Statistics over all steps of `episodes`, as if sensors had added noise of standard deviation `sensor_noise` to every
    /// observed value; the range of every action is mapped to `-action_margin..action_margin`.
    ///
    /// # Errors
    /// When there is no step to learn them from.
    pub fn fit(episodes: &[Episode], sensor_noise: f64, action_margin: f32) -> Result<Self, LearnError> {
        let first = episodes
            .iter()
            .find(|episode| episode.n_steps() > 0)
            .ok_or(LearnError::NoData { wanted: "demonstrations with at least one step, to normalize by" })?;
        let (observation_len, action_len) = (first.label.observation_len, first.label.action_len);
        let n_rows: usize = episodes.iter().map(Episode::n_steps).sum();

        let (mut sum, mut square) = (vec![0.0f64; observation_len], vec![0.0f64; observation_len]);
        let (mut lower, mut upper) = (vec![f32::INFINITY; action_len], vec![f32::NEG_INFINITY; action_len]);
        for episode in episodes {
            for step_idx in 0..episode.n_steps() {
                for (i, &x) in episode.observation(step_idx).iter().enumerate() {
                    sum[i] += f64::from(x);
                    square[i] += f64::from(x) * f64::from(x);
                }
                for (i, &x) in episode.action_rad(step_idx).iter().enumerate() {
                    lower[i] = lower[i].min(x);
                    upper[i] = upper[i].max(x);
                }
            }
        }
        let n = n_rows as f64;
        let mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
        let variance = mean.iter().zip(&square).map(|(m, s)| (s / n - m * m).max(0.0));
        let scale = variance.map(|variance| ((variance + sensor_noise * sensor_noise).sqrt() + 1e-3) as f32);
        Ok(Self {
            observation_scale: scale.collect(),
            observation_mean: mean.iter().map(|&m| m as f32).collect(),
            action_center_rad: lower.iter().zip(&upper).map(|(l, u)| (l + u) / 2.0).collect(),
            // A joint that never moved keeps a small range: it must not be divided by zero.
            action_half_range_rad: lower.iter().zip(&upper).map(|(l, u)| (u - l) / 2.0 * 1.01 + 1e-4).collect(),
            action_margin,
        })
    }

    /// The same, with the limits of `environment` mapped to `-action_margin..action_margin`.
    #[must_use]
    pub fn over_limits(self, environment: &EnvironmentSpec) -> Self {
        let limits = || environment.action_lower_rad.iter().zip(&environment.action_upper_rad);
        Self {
            action_center_rad: limits().map(|(l, u)| (l + u) / 2.0).collect(),
            action_half_range_rad: limits().map(|(l, u)| (u - l) / 2.0).collect(),
            ..self
        }
    }

    /// `sum_j ln |da_j / dx_j|` of the normalized action a of a raw action x: what a density in normalized units gains per
    /// action when it is told in raw ones.
    #[must_use]
    pub fn action_log_det(&self) -> f64 {
        let margin = f64::from(self.action_margin);
        self.action_half_range_rad.iter().map(|&half| (margin / f64::from(half)).ln()).sum()
    }

    /// Values in an observation.
    #[must_use]
    pub const fn observation_len(&self) -> usize {
        self.observation_mean.len()
    }

    /// Values in an action.
    #[must_use]
    pub const fn action_len(&self) -> usize {
        self.action_center_rad.len()
    }

    /// Normalizes one observation into `out`.
    pub fn observation(&self, raw: &[f32], out: &mut Vec<f32>) {
        out.extend(
            raw.iter()
                .zip(&self.observation_mean)
                .zip(&self.observation_scale)
                .map(|((x, mean), scale)| ((x - mean) / scale).clamp(-MAX_OBSERVATION, MAX_OBSERVATION)),
        );
    }

    /// Normalizes one action into `out`, in -1..1.
    pub fn action(&self, raw_rad: &[f32], out: &mut Vec<f32>) {
        out.extend(
            raw_rad
                .iter()
                .zip(&self.action_center_rad)
                .zip(&self.action_half_range_rad)
                .map(|((x, center), half)| ((x - center) / half * self.action_margin).clamp(-MAX_ACTION, MAX_ACTION)),
        );
    }

    /// Joint targets of one normalized action, rad: beyond k or -k nothing more happens.
    pub fn action_rad(&self, normalized: &[f32], out: &mut Vec<f32>) {
        out.extend(
            normalized
                .iter()
                .zip(&self.action_center_rad)
                .zip(&self.action_half_range_rad)
                .map(|((a, center), half)| (a / self.action_margin).clamp(-1.0, 1.0) * half + center),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::{EpisodeLabel, Outcome};

    fn episode() -> Episode {
        let label = EpisodeLabel {
            actor: String::new(),
            seed: 0,
            terminated: false,
            observation_len: 1,
            action_len: 2,
            outcome: Outcome::default(),
        };
        let actions_rad = vec![-1.0, 0.3, 1.0, 0.3, 0.5, 0.3];
        Episode { label, observations: vec![1.0, 2.0, 3.0, 100.0], actions_rad, rewards: vec![0.0; 3] }
    }

    /// Contract: demonstrated actions survive the round trip, a joint that never moved included, and nothing leaves the
    /// open interval.
    #[test]
    fn actions_round_trip() -> Result<(), LearnError> {
        let normalizer = Normalizer::fit(&[episode()], 0.0, 0.9)?;
        for raw in [[-1.0f32, 0.3], [0.25, 0.3], [1.0, 0.3]] {
            let (mut normalized, mut back) = (Vec::new(), Vec::new());
            normalizer.action(&raw, &mut normalized);
            assert!(normalized.iter().all(|a| a.abs() <= 0.9), "{normalized:?}");
            normalizer.action_rad(&normalized, &mut back);
            assert!(raw.iter().zip(&back).all(|(x, y)| (x - y).abs() < 1e-6), "{raw:?} {back:?}");
        }
        let mut wild = Vec::new();
        normalizer.action(&[1e30, -1e30], &mut wild);
        assert!(wild.iter().all(|&a| a.abs() < 1.0), "{wild:?}");
        Ok(())
    }

    /// Contract: over limits a raw unit is the same for every joint, whatever was demonstrated, and a density changes by
    /// the logarithm of the slope: margin 0.9 over half ranges 2 and 0.5.
    #[test]
    fn limits_replace_the_demonstrated_range() -> Result<(), LearnError> {
        let environment = EnvironmentSpec {
            task: String::new(),
            body: String::new(),
            observation_len: 1,
            action_len: 2,
            action_lower_rad: vec![-1.0, 0.0],
            action_upper_rad: vec![3.0, 1.0],
            control_hz: 10,
            horizon_steps: 3,
        };
        let normalizer = Normalizer::fit(&[episode()], 0.0, 0.9)?.over_limits(&environment);
        let mut normalized = Vec::new();
        normalizer.action(&[3.0, 0.0], &mut normalized);
        assert_eq!(normalized, [0.9, -0.9]);
        assert!((normalizer.action_log_det() - (0.9f64 / 2.0).ln() - (0.9f64 / 0.5).ln()).abs() < 1e-7);
        Ok(())
    }

    /// Contract: mean and scale are those of the observations before each step (the last one starts no chunk), with the noise of
    /// sensors as far as it is told.
    #[test]
    fn observations_are_z_scored() -> Result<(), LearnError> {
        for sensor_noise in [0.0, 0.5] {
            let normalizer = Normalizer::fit(&[episode()], sensor_noise, 0.9)?;
            let mut out = Vec::new();
            for raw in [1.0, 2.0, 3.0, 100.0] {
                normalizer.observation(&[raw], &mut out);
            }
            let scale = (2.0f32 / 3.0 + (sensor_noise * sensor_noise) as f32).sqrt() + 1e-3;
            for (found, expected) in out.iter().zip([-1.0 / scale, 0.0, 1.0 / scale, MAX_OBSERVATION]) {
                assert!((found - expected).abs() < 1e-5, "{out:?}");
            }
        }
        Ok(())
    }
}
