//! Finds grips by random search: where the palm is and which points of finger and thumb are in the loops.
//!
//! The score of a grip, to be small, is its worst miss plus 2 mm per radian by which a finger does not point into its loop at
//! worst. A first part of the samples explores around the start; the others refine the best.

use super::grip::{Grip, GripConfig};
use crate::demonstrator::DemonstrationError;
use crate::hand::Hand;
use bridge::number::{Finite, Positive};
use bridge::random::stream;
use rand::Rng as _;

/// What a finger that is skew by a radian counts like, m.
const SKEW_WEIGHT_M: f64 = 0.002;
/// Share of the samples that explore, and the width of the others relative to theirs.
const EXPLORING_SHARE: f64 = 0.15;
const REFINING_WIDTH: f64 = 0.15;
/// Half widths of exploration: tilt (rad), place of the palm (m), places on the bones (m).
const TILT_RAD: f64 = 0.5;
const PALM_M: f64 = 0.03;
const FINGER_M: f64 = 0.01;
const THUMB_M: f64 = 0.008;
/// Nearer to a joint there is no room for a loop, nearer to the tip it slips off, m.
const FINGER_RANGE_M: (f64, f64) = (0.008, 0.030);
const THUMB_RANGE_M: (f64, f64) = (0.004, 0.016);

/// Searches around `start`, which names the finger and its seeds; calls `report` with every better grip and its score, m.
///
/// # Errors
/// When `start` does not fit the hand.
pub fn search_grip(
    hand: &Hand,
    start: &GripConfig,
    entry_span_m: f64,
    n_samples: usize,
    seed: u64,
    mut report: impl FnMut(&GripConfig, f64),
) -> Result<GripConfig, DemonstrationError> {
    let mut rng = stream(seed, "grip search", 0);
    let score = |config: &GripConfig| {
        let grip = Grip::new(hand, config, entry_span_m)?;
        Ok::<_, DemonstrationError>(grip.worst_miss_m() + SKEW_WEIGHT_M * grip.worst_skew_rad())
    };
    let mut best = start.clone();
    let mut best_score_m = score(&best)?;
    for sample in 0..n_samples {
        let is_exploring = (sample as f64) < EXPLORING_SHARE * n_samples as f64;
        let width = if is_exploring { 1.0 } else { REFINING_WIDTH };
        let mut near = |value: f64, half_width: f64| value + width * half_width * rng.random_range(-1.0..=1.0);
        let config = GripConfig {
            tilt_rad: Finite::try_from(near(best.tilt_rad.get(), TILT_RAD))?,
            depth_m: Positive::try_from(near(best.depth_m.get(), PALM_M).max(0.01))?,
            height_m: Finite::try_from(near(best.height_m.get(), PALM_M))?,
            across_m: Finite::try_from(near(best.across_m.get(), PALM_M))?,
            finger_in_loop_m: clamped(near(best.finger_in_loop_m.get(), FINGER_M), FINGER_RANGE_M)?,
            thumb_in_loop_m: clamped(near(best.thumb_in_loop_m.get(), THUMB_M), THUMB_RANGE_M)?,
            ..best.clone()
        };
        let score_m = score(&config)?;
        if score_m < best_score_m {
            (best, best_score_m) = (config, score_m);
            report(&best, best_score_m);
        }
    }
    Ok(best)
}

fn clamped(value: f64, (low, high): (f64, f64)) -> Result<Positive, bridge::number::NumberError> {
    Positive::try_from(value.clamp(low, high))
}
