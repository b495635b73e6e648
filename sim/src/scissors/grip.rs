//! How a hand takes scissors: a finger and the thumb in the loops, worked out by inverse kinematics.
//!
//! The thumb is up and the palm faces the plane of the scissors, turned by `tilt_rad` about the hand's y axis: in the hand
//! frame D = (sin tilt, 0, -cos tilt) is the direction into the loops and E = (cos tilt, 0, sin tilt) points across them.
//! On scissors that stand in the world's y-z plane, D is +x, E is -y and the hand's y axis is +z. So both fingers are
//! level, and the scissors hang on them like a pendulum.
//!
//! A finger goes through its loop without touching it if the point of its bone that is in the plane of the loops stays in
//! the middle of the loop all the way: while the hand approaches, that point slides from near the tip to its final place.

use crate::asset::AssetError;
use crate::hand::{Finger, Hand};
use crate::kinematics::Pointing;
use bridge::number::{Finite, Positive};
use rapier3d::glamx::{DMat3, DQuat, DVec3};
use serde::{Deserialize, Serialize};

/// Spans that are worked out, m; the others are interpolated.
const SPANS_M: std::ops::RangeInclusive<f64> = 0.024..=0.090;
const N_SPANS: usize = 45;
/// Distance between insertions that are worked out, m.
const SLIDE_STEP_M: f64 = 0.002;

/// A grip as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GripConfig {
    /// Name, e.g. `index`.
    pub name: String,
    /// The finger in the other loop than the thumb's.
    pub finger: String,
    /// Turn of the hand about its y axis, rad.
    pub tilt_rad: Finite,
    /// From the palm's origin to the plane of the loops along D, m.
    pub depth_m: Positive,
    /// Height of the loops in the hand frame, along y, m.
    pub height_m: Finite,
    /// Middle between the loops along E, m.
    pub across_m: Finite,
    /// Span of finger and thumb when the scissors are closed, m: the distance between the centres of the loops.
    pub closed_span_m: Positive,
    /// Point of the finger's last bone that is in its loop, from the joint, m.
    pub finger_in_loop_m: Positive,
    /// Point of the thumb's last bone that is in its loop, m.
    pub thumb_in_loop_m: Positive,
    /// Furthest points that are aimed with while they slide in, m.
    pub sliding_end_m: [Positive; 2],
    /// Where inverse kinematics starts, rad.
    pub finger_seed_rad: Vec<Finite>,
    /// Where it starts for the thumb, rad.
    pub thumb_seed_rad: Vec<Finite>,
    /// Posture of the fingers that do not grip, rad.
    pub idle_rad: Vec<Finite>,
}

/// A grip worked out for a hand.
#[derive(Clone, Debug)]
pub struct Grip {
    /// Pose of the hand relative to closed scissors (origin on the pivot): orientation.
    pub orientation: DQuat,
    /// Position of the hand relative to the middle between the loops, m.
    pub position_m: DVec3,
    spans_rad: Vec<Vec<f64>>,
    slides_rad: Vec<Vec<f64>>,
    worst_miss_m: f64,
    worst_skew_rad: f64,
}

impl Grip {
    /// Works `config` out for `hand`, for fingers that slide in at a span of `entry_span_m`.
    ///
    /// # Errors
    /// When a finger is unknown, or a seed has the wrong length.
    pub fn new(hand: &Hand, config: &GripConfig, entry_span_m: f64) -> Result<Self, AssetError> {
        let inconsistent =
            |reason| AssetError::Inconsistent { source_name: format!("grip {} of {}", config.name, hand.name), reason };
        let find = |name: &str| {
            let found = hand.fingers.iter().find(|finger| finger.name == name);
            found.ok_or_else(|| inconsistent(format!("finger: the hand has none called `{name}`")))
        };
        let (finger, thumb) = (find(&config.finger)?, find("thumb")?);
        for (finger, seed_rad) in [(finger, &config.finger_seed_rad), (thumb, &config.thumb_seed_rad)] {
            let (found, expected) = (seed_rad.len(), finger.joints.len());
            if found != expected {
                let name = &finger.name;
                return Err(inconsistent(format!("seed of {name}: found {found} joints, expected {expected}")));
            }
        }
        let (sin, cos) = config.tilt_rad.get().sin_cos();
        // Columns: where the hand's axes are on scissors whose plane is y-z.
        let orientation = DMat3::from_cols(DVec3::new(sin, -cos, 0.0), DVec3::Z, DVec3::new(-cos, -sin, 0.0));
        let mut grip = Self {
            orientation: DQuat::from_mat3(&orientation),
            position_m: DVec3::new(-config.depth_m.get(), config.across_m.get(), -config.height_m.get()),
            spans_rad: Vec::with_capacity(N_SPANS),
            slides_rad: Vec::new(),
            worst_miss_m: 0.0,
            worst_skew_rad: 0.0,
        };
        for index in 0..N_SPANS {
            let posture_rad = grip.solve(hand, config, finger, thumb, span_m(index), 0.0);
            grip.spans_rad.push(posture_rad);
        }
        let longest_m = config.sliding_end_m.map(Positive::get).into_iter().fold(0.0, f64::max);
        for index in 0..=(longest_m / SLIDE_STEP_M).ceil() as usize {
            let posture_rad = grip.solve(hand, config, finger, thumb, entry_span_m, index as f64 * SLIDE_STEP_M);
            grip.slides_rad.push(posture_rad);
        }
        Ok(grip)
    }

    /// Writes the posture at a span of finger and thumb, rad.
    pub fn at_span(&self, span_m: f64, posture_rad: &mut [f64]) {
        let (start, end) = (SPANS_M.start(), SPANS_M.end());
        let place = (span_m - start) / (end - start) * (N_SPANS - 1) as f64;
        interpolate(&self.spans_rad, place, posture_rad);
    }

    /// Writes the posture when the loops are still `distance_m` away from where they end up on the fingers, rad.
    pub fn sliding_in(&self, distance_m: f64, posture_rad: &mut [f64]) {
        interpolate(&self.slides_rad, distance_m / SLIDE_STEP_M, posture_rad);
    }

    /// By how much the fingers miss their places at worst, m.
    #[must_use]
    pub const fn worst_miss_m(&self) -> f64 {
        self.worst_miss_m
    }

    /// By how much they do not point into the loops at worst, rad.
    #[must_use]
    pub const fn worst_skew_rad(&self) -> f64 {
        self.worst_skew_rad
    }

    fn solve(
        &mut self,
        hand: &Hand,
        config: &GripConfig,
        finger: &Finger,
        thumb: &Finger,
        span_m: f64,
        slide_m: f64,
    ) -> Vec<f64> {
        let (sin, cos) = config.tilt_rad.get().sin_cos();
        let (direction, across) = (DVec3::new(sin, 0.0, -cos), DVec3::new(cos, 0.0, sin));
        let idle_rad = config.idle_rad.iter().map(|q| q.get()).chain(std::iter::repeat(0.0));
        let mut posture_rad =
            hand.with_neutral_wrist(idle_rad.take(hand.fingers.iter().map(|it| it.joints.len()).sum()));
        let sides = [
            (finger, &config.finger_seed_rad, config.finger_in_loop_m, config.sliding_end_m[0], 0.5),
            (thumb, &config.thumb_seed_rad, config.thumb_in_loop_m, config.sliding_end_m[1], -0.5),
        ];
        for (finger, seed_rad, in_loop_m, end_m, side) in sides {
            let slide_m = slide_m.clamp(0.0, (end_m.get() - in_loop_m.get()).max(0.0));
            let place = across * (config.across_m.get() + side * span_m) + DVec3::Y * config.height_m.get();
            let wanted = Pointing {
                along_m: in_loop_m.get() + slide_m,
                target_m: place + direction * (config.depth_m.get() + slide_m),
                direction,
            };
            let mut q_rad: Vec<f64> = seed_rad.iter().map(|q| q.get()).collect();
            self.worst_miss_m = self.worst_miss_m.max(finger.reach_pointing(&mut q_rad, &wanted));
            self.worst_skew_rad = self.worst_skew_rad.max(finger.pointing(&q_rad).angle_between(direction));
            posture_rad[finger.first_joint..][..q_rad.len()].copy_from_slice(&q_rad);
        }
        posture_rad
    }
}

fn span_m(index: usize) -> f64 {
    SPANS_M.start() + (SPANS_M.end() - SPANS_M.start()) * index as f64 / (N_SPANS - 1) as f64
}

fn interpolate(rows: &[Vec<f64>], place: f64, row: &mut [f64]) {
    let place = place.clamp(0.0, (rows.len() - 1) as f64);
    let before = (place as usize).min(rows.len().saturating_sub(2));
    let share = place - before as f64;
    let after = (before + 1).min(rows.len() - 1);
    for (value, (a, b)) in row.iter_mut().zip(rows[before].iter().zip(&rows[after])) {
        *value = a + (b - a) * share;
    }
}
