//! The publish gate: which snapshots of the actor act, and which one is deployed.
//!
//! A snapshot that does not *look* worse than the deployed policy on the states of the latest episodes, by a critic that was
//! right about these before it learned from them, becomes its *challenger*: it collects the next episodes. It is dropped if
//! they return less than the deployed policy's episodes did, all of them together, by more than so many standard errors, and
//! the deployed policy acts again; the learner, which has now seen where the challenger fails, goes on. Else it is deployed.
//! Ten episodes tell little: with no shortfall allowed, a policy that was lucky once stays for long; with one standard error,
//! the deployed policy wandered below its best (reference hand: from 3.6 to 3.0 turns).

use crate::Gate;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is known of a snapshot before it has acted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Reverse KL to the imitation policy, nats per dimension; none when the policy has no density to measure it with.
    pub nats_per_dim: Option<f64>,
    /// Predicted minus realised value of chunks of episodes that had not been learned from, Q ranges.
    pub calibration_gap: f64,
    /// Estimated value of the snapshot's chunks minus that of the live policy's on the same states, Q ranges.
    pub value_gain: f64,
}

/// The gate's decision, with its reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The snapshot is deployed at once: the gate is open.
    Deployed,
    /// It challenges the deployed policy.
    Challenger,
    /// It has moved too far from the imitation policy, nats per dimension.
    TooFar(f64),
    /// Values cannot be trusted: the gap between predicted and realised ones, Q ranges.
    Uncalibrated(f64),
    /// It looks worse than the deployed policy, by Q ranges.
    LooksWorse(f64),
    /// No own episode was long enough to tell anything.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployed => write!(f, "deployed"),
            Self::Challenger => write!(f, "challenges the deployed policy"),
            Self::TooFar(kl) => write!(f, "kept back: {kl:.3} nats per dimension from the imitation policy"),
            Self::Uncalibrated(gap) => {
                write!(f, "kept back: predicted and realised values differ by {gap:.2} Q ranges")
            }
            Self::LooksWorse(gain) => write!(f, "kept back: its estimated value is {:.3} Q ranges lower", -gain),
            Self::Unknown => write!(f, "kept back: no own episode is long enough for a chunk"),
        }
    }
}

/// Whether a snapshot may act.
#[must_use]
pub fn judge(gate: Gate, evidence: Option<Evidence>) -> Verdict {
    let Gate::KeepBest { max_nats_per_dim, max_calibration_gap, value_tolerance, .. } = gate else {
        return Verdict::Deployed;
    };
    let Some(evidence) = evidence else { return Verdict::Unknown };
    // Written so that a number that is not one never passes.
    let at_most = |value: f64, limit: f64| value <= limit;
    let too_far = evidence.nats_per_dim.filter(|&nats_per_dim| !at_most(nats_per_dim, max_nats_per_dim.get()));
    if let Some(nats_per_dim) = too_far {
        Verdict::TooFar(nats_per_dim)
    } else if !at_most(evidence.calibration_gap.abs(), max_calibration_gap.get()) {
        Verdict::Uncalibrated(evidence.calibration_gap)
    } else if !at_most(-evidence.value_gain, value_tolerance.get()) {
        Verdict::LooksWorse(evidence.value_gain)
    } else {
        Verdict::Challenger
    }
}

/// What the episodes that a policy collected returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Returns {
    n_episodes: usize,
    sum: f64,
    sum_of_squares: f64,
}

impl Returns {
    /// Adds an episode's undiscounted return.
    pub fn add(&mut self, episode_return: f64) {
        self.n_episodes += 1;
        self.sum += episode_return;
        self.sum_of_squares += episode_return * episode_return;
    }

    /// Their mean; none without an episode.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n_episodes > 0).then(|| self.sum / self.n_episodes as f64)
    }

    /// The variance of that mean, `s^2 / n`; zero for less than two episodes, whose scatter is not known.
    #[must_use]
    pub fn variance_of_mean(&self) -> f64 {
        let n = self.n_episodes as f64;
        if self.n_episodes < 2 {
            return 0.0;
        }
        let sum_of_deviations = (self.sum_of_squares - self.sum * self.sum / n).max(0.0);
        sum_of_deviations / (n - 1.0) / n
    }
}

/// A challenger's episodes are in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Mean return of the challenger.
    pub challenger: f64,
    /// Mean return of the deployed policy.
    pub deployed: f64,
    /// Standard error of their difference.
    pub standard_error: f64,
    /// Whether the challenger is deployed.
    pub is_won: bool,
}

impl Trial {
    /// Compares the returns of the two policies. Without an episode of the deployed one there is nothing to fall short of.
    #[must_use]
    pub fn new(gate: Gate, challenger: Returns, deployed: Returns) -> Option<Self> {
        let standard_error = (challenger.variance_of_mean() + deployed.variance_of_mean()).sqrt();
        let (challenger, deployed) = (challenger.mean()?, deployed.mean().unwrap_or(f64::NEG_INFINITY));
        let is_won = match gate {
            Gate::Open => true,
            Gate::KeepBest { max_shortfall, .. } => challenger >= deployed - max_shortfall.get() * standard_error,
        };
        Some(Self { challenger, deployed, standard_error, is_won })
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { challenger, deployed, standard_error, is_won } = self;
        let verdict = if *is_won { "is deployed" } else { "is dropped" };
        write!(
            f,
            "the challenger {verdict}: its episodes returned {challenger:.2}, the deployed policy's {deployed:.2} \
             (standard error of the difference {standard_error:.2})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::number::NumberError;

    const GOOD: Evidence = Evidence { nats_per_dim: Some(0.05), calibration_gap: -0.1, value_gain: 0.01 };

    /// Contract: each piece of bad evidence alone keeps a snapshot back, NaN included, and so does none at all; the open gate
    /// never does. A KL that cannot be measured keeps none back.
    #[test]
    fn bad_evidence_keeps_a_snapshot_back() -> Result<(), NumberError> {
        let gate = Gate::KeepBest {
            max_nats_per_dim: 0.15.try_into()?,
            max_calibration_gap: 0.2.try_into()?,
            value_tolerance: 0.02.try_into()?,
            max_shortfall: 1.0.try_into()?,
        };
        assert_eq!(judge(gate, Some(GOOD)), Verdict::Challenger);
        assert_eq!(judge(gate, Some(Evidence { nats_per_dim: None, ..GOOD })), Verdict::Challenger);
        let bad = [
            None,
            Some(Evidence { nats_per_dim: Some(0.2), ..GOOD }),
            Some(Evidence { nats_per_dim: Some(f64::NAN), ..GOOD }),
            Some(Evidence { calibration_gap: 0.21, ..GOOD }),
            Some(Evidence { calibration_gap: -0.21, ..GOOD }),
            Some(Evidence { value_gain: -0.03, ..GOOD }),
            Some(Evidence { value_gain: f64::NAN, ..GOOD }),
        ];
        for evidence in bad {
            assert_ne!(judge(gate, evidence), Verdict::Challenger, "{evidence:?}");
            assert_eq!(judge(Gate::Open, evidence), Verdict::Deployed);
        }
        Ok(())
    }

    /// Contract: a challenger is dropped when its mean return is below the deployed policy's by more than the allowed
    /// number of standard errors, worked by hand: returns 6 8 13 have mean 9 and variance 13, 13/3 for the mean; 4 and 6
    /// have mean 5 and variance 2, 1 for the mean; the difference has the standard error sqrt(16/3) = 2.31.
    #[test]
    fn a_challenger_that_falls_short_is_dropped() -> Result<(), NumberError> {
        let returns = |each: &[f64]| {
            let mut returns = Returns::default();
            each.iter().for_each(|&r| returns.add(r));
            returns
        };
        let (challenger, deployed) = (returns(&[4.0, 6.0]), returns(&[6.0, 8.0, 13.0]));
        for (max_shortfall, is_won) in [(0.0, false), (1.7, false), (1.8, true)] {
            let gate = Gate::KeepBest {
                max_nats_per_dim: 0.15.try_into()?,
                max_calibration_gap: 0.2.try_into()?,
                value_tolerance: 0.02.try_into()?,
                max_shortfall: max_shortfall.try_into()?,
            };
            let trial = Trial::new(gate, challenger, deployed).unwrap();
            assert!((trial.standard_error - (16.0f64 / 3.0).sqrt()).abs() < 1e-12);
            assert_eq!(trial.is_won, is_won, "{max_shortfall}");
            assert!(Trial::new(gate, deployed, challenger).unwrap().is_won);
            assert!(Trial::new(gate, challenger, Returns::default()).unwrap().is_won);
            assert!(Trial::new(gate, Returns::default(), deployed).is_none());
        }
        Ok(())
    }
}
