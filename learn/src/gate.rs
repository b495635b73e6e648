//! The publish gate: which snapshots of the actor go live.
//!
//! Before a snapshot goes live it must not *look* worse than the live one on data that it has not learned from; once it
//! acts it must not *prove* worse than the one before, which is kept for that and brought back if it does.

use crate::Gate;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is known of a snapshot before it has acted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Reverse KL to the imitation flow, nats per dimension.
    pub nats_per_dim: f64,
    /// Predicted minus realised value of chunks of episodes that had not been learned from, Q ranges.
    pub calibration_gap: f64,
    /// Estimated value of the snapshot's chunks minus that of the live policy's on the same states, Q ranges.
    pub value_gain: f64,
}

/// The gate's decision, with its reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The snapshot goes live.
    Live,
    /// It has moved too far from the imitation policy, nats per dimension.
    TooFar(f64),
    /// Values cannot be trusted: the gap between predicted and realised ones, Q ranges.
    Uncalibrated(f64),
    /// It looks worse than the live policy, by Q ranges.
    LooksWorse(f64),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => write!(f, "goes live"),
            Self::TooFar(kl) => write!(f, "kept back: {kl:.3} nats per dimension from the imitation policy"),
            Self::Uncalibrated(gap) => {
                write!(f, "kept back: predicted and realised values differ by {gap:.2} Q ranges")
            }
            Self::LooksWorse(gain) => write!(f, "kept back: its estimated value is {:.3} Q ranges lower", -gain),
        }
    }
}

/// Whether a snapshot goes live.
#[must_use]
pub fn judge(gate: Gate, evidence: Evidence) -> Verdict {
    let Gate::KeepBest { max_nats_per_dim, max_calibration_gap, value_tolerance, .. } = gate else {
        return Verdict::Live;
    };
    // Written so that a number that is not one never passes.
    let at_most = |value: f64, limit: f64| value <= limit;
    if !at_most(evidence.nats_per_dim, max_nats_per_dim.get()) {
        Verdict::TooFar(evidence.nats_per_dim)
    } else if !at_most(evidence.calibration_gap.abs(), max_calibration_gap.get()) {
        Verdict::Uncalibrated(evidence.calibration_gap)
    } else if !at_most(-evidence.value_gain, value_tolerance.get()) {
        Verdict::LooksWorse(evidence.value_gain)
    } else {
        Verdict::Live
    }
}

/// Mean return of the episodes that a policy collected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RealisedReturn {
    /// Its episodes.
    pub n_episodes: usize,
    /// Mean of their undiscounted returns.
    pub mean: f64,
}

/// Whether the live policy has proven worse than the one before, which then comes back.
#[must_use]
pub fn has_proven_worse(gate: Gate, live: RealisedReturn, before: RealisedReturn) -> bool {
    match gate {
        Gate::Open => false,
        Gate::KeepBest { max_return_drop, .. } => live.mean < before.mean - max_return_drop.get() * before.mean.abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::number::NumberError;

    fn keep_best() -> Result<Gate, NumberError> {
        Ok(Gate::KeepBest {
            max_nats_per_dim: 0.15.try_into()?,
            max_calibration_gap: 0.2.try_into()?,
            value_tolerance: 0.02.try_into()?,
            max_return_drop: 0.25.try_into()?,
        })
    }

    const GOOD: Evidence = Evidence { nats_per_dim: 0.05, calibration_gap: -0.1, value_gain: 0.01 };

    /// Contract: each piece of bad evidence alone keeps a snapshot back, NaN included; the open gate never does.
    #[test]
    fn bad_evidence_keeps_a_snapshot_back() -> Result<(), NumberError> {
        let gate = keep_best()?;
        assert_eq!(judge(gate, GOOD), Verdict::Live);
        let bad = [
            Evidence { nats_per_dim: 0.2, ..GOOD },
            Evidence { nats_per_dim: f64::NAN, ..GOOD },
            Evidence { calibration_gap: 0.21, ..GOOD },
            Evidence { calibration_gap: -0.21, ..GOOD },
            Evidence { value_gain: -0.03, ..GOOD },
            Evidence { value_gain: f64::NAN, ..GOOD },
        ];
        for evidence in bad {
            assert_ne!(judge(gate, evidence), Verdict::Live, "{evidence:?}");
            assert_eq!(judge(Gate::Open, evidence), Verdict::Live);
        }
        Ok(())
    }

    /// Contract: only a drop beyond the allowed share brings the policy before back.
    #[test]
    fn a_proven_drop_is_undone() -> Result<(), NumberError> {
        let realised = |mean| RealisedReturn { n_episodes: 10, mean };
        assert!(has_proven_worse(keep_best()?, realised(7.4), realised(10.0)));
        assert!(!has_proven_worse(keep_best()?, realised(7.6), realised(10.0)));
        assert!(!has_proven_worse(Gate::Open, realised(0.0), realised(10.0)));
        Ok(())
    }
}
