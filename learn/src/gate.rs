//! The publish gate: which snapshots of the actor act, and which one is deployed.
//!
//! A snapshot that does not *look* worse than the deployed policy, on data that nobody has learned from yet, becomes its
//! *challenger*: it collects the next episodes. It is deployed if they return at least as much as the episodes of the
//! deployed policy did, all of them together. Else it is dropped and the deployed policy acts again; the learner, which
//! has now seen where the challenger fails, goes on.

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
        }
    }
}

/// Whether a snapshot may act.
#[must_use]
pub fn judge(gate: Gate, evidence: Evidence) -> Verdict {
    let Gate::KeepBest { max_nats_per_dim, max_calibration_gap, value_tolerance } = gate else {
        return Verdict::Deployed;
    };
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
}

impl Returns {
    /// Adds an episode's undiscounted return.
    pub fn add(&mut self, episode_return: f64) {
        self.n_episodes += 1;
        self.sum += episode_return;
    }

    /// Their mean; none without an episode.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n_episodes > 0).then(|| self.sum / self.n_episodes as f64)
    }
}

/// A challenger's episodes are in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Mean return of the challenger.
    pub challenger: f64,
    /// Mean return of the deployed policy.
    pub deployed: f64,
}

impl Trial {
    /// Whether the challenger is deployed.
    #[must_use]
    pub fn is_won(&self) -> bool {
        self.challenger >= self.deployed
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { challenger, deployed } = self;
        let verdict = if self.is_won() { "is deployed" } else { "is dropped" };
        write!(
            f,
            "the challenger {verdict}: its episodes returned {challenger:.2}, the deployed policy's {deployed:.2}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::number::NumberError;

    const GOOD: Evidence = Evidence { nats_per_dim: Some(0.05), calibration_gap: -0.1, value_gain: 0.01 };

    /// Contract: each piece of bad evidence alone keeps a snapshot back, NaN included; the open gate never does. A KL
    /// that cannot be measured keeps none back.
    #[test]
    fn bad_evidence_keeps_a_snapshot_back() -> Result<(), NumberError> {
        let gate = Gate::KeepBest {
            max_nats_per_dim: 0.15.try_into()?,
            max_calibration_gap: 0.2.try_into()?,
            value_tolerance: 0.02.try_into()?,
        };
        assert_eq!(judge(gate, GOOD), Verdict::Challenger);
        assert_eq!(judge(gate, Evidence { nats_per_dim: None, ..GOOD }), Verdict::Challenger);
        let bad = [
            Evidence { nats_per_dim: Some(0.2), ..GOOD },
            Evidence { nats_per_dim: Some(f64::NAN), ..GOOD },
            Evidence { calibration_gap: 0.21, ..GOOD },
            Evidence { calibration_gap: -0.21, ..GOOD },
            Evidence { value_gain: -0.03, ..GOOD },
            Evidence { value_gain: f64::NAN, ..GOOD },
        ];
        for evidence in bad {
            assert_ne!(judge(gate, evidence), Verdict::Challenger, "{evidence:?}");
            assert_eq!(judge(Gate::Open, evidence), Verdict::Deployed);
        }
        Ok(())
    }

    /// Contract: a challenger wins with at least the deployed policy's mean, over all of whose episodes it is taken;
    /// without an episode there is no mean.
    #[test]
    fn the_larger_mean_return_wins() {
        let returns = |each: &[f64]| {
            let mut returns = Returns::default();
            each.iter().for_each(|&r| returns.add(r));
            returns.mean()
        };
        assert_eq!(returns(&[]), None);
        let deployed = returns(&[6.0, 8.0, 13.0]).unwrap();
        assert!(Trial { challenger: returns(&[9.0]).unwrap(), deployed }.is_won());
        assert!(!Trial { challenger: returns(&[8.0, 9.9]).unwrap(), deployed }.is_won());
    }
}
