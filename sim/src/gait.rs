//! Finger gaits: each finger carries the cube along an arc around the vertical (stance), lifts off and returns (swing).
//!
//! With phase s in 0..1 of a finger, stance for s < duty:
//! - relative place r on the arc: -1/2 -> 1/2 linearly in stance, back by a smooth step in swing;
//! - angle = `angle_rad` + `stroke_rad` * `stroke_scale` * r;
//! - distance from the axis = half an edge + tip radius, minus the squeeze in stance (ramped over 8 % of the cycle at
//!   either end), plus `lift_m` * sqrt(sin(pi u)) in swing, u in 0..1.

use crate::asset::{AssetError, GAITS};
use bridge::number::{Finite, NumberError, Positive, UnitInterval};
use serde::{Deserialize, Serialize};

/// A gait of a hand around a cube.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gait {
    /// Name of the hand.
    pub hand: String,
    /// Edge of the cube that it was made for, m.
    pub cube_edge_m: Positive,
    /// Centre of the arcs and start of the cube's centre, hand frame, m.
    pub center_m: [Finite; 3],
    /// Heading of the cube at the start, rad.
    pub cube_yaw_rad: Finite,
    /// Duration of a cycle, s.
    pub period_s: Positive,
    /// Share of the cycle in which a finger holds the cube.
    pub duty: UnitInterval,
    /// Arc of the stance, rad; negative turns clockwise.
    pub stroke_rad: Finite,
    /// How far below the cube's surface the tips aim in stance, m.
    pub squeeze_m: Finite,
    /// How far off the cube's surface the tips swing back, m.
    pub lift_m: Finite,
    /// How far the tips rise during stance, m: works against creep of the cube.
    pub vertical_stroke_m: Finite,
    /// One for each finger of the hand.
    pub fingers: Vec<FingerGait>,
}

/// What a finger does differently from the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FingerGait {
    /// Its place in the cycle, in cycles.
    pub phase: Finite,
    /// Middle of its arc, rad from the hand's x axis.
    pub angle_rad: Finite,
    /// Its stroke over the gait's.
    pub stroke_scale: Finite,
    /// Added to the gait's squeeze, m.
    pub squeeze_m: Finite,
    /// Height of its tip above the cube's centre, m.
    pub height_m: Finite,
}

/// Where a tip is to be: in cylinder coordinates around the gait's centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TipTarget {
    pub angle_rad: f64,
    /// Distance from the cube's axis, less the tip's radius, m.
    pub distance_m: f64,
    pub height_m: f64,
}

impl Gait {
    /// Names of all gaits.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GAITS.names()
    }

    /// Names of all gaits, each with a few words on it.
    pub fn described() -> impl Iterator<Item = (&'static str, String)> {
        GAITS.described()
    }

    /// The gait called `name`.
    ///
    /// # Errors
    /// When there is none of that name; the error lists those that there are.
    pub fn load(name: &str) -> Result<Self, AssetError> {
        GAITS.load(name)
    }

    /// The same motion with a period `factor` times as long.
    ///
    /// # Errors
    /// When no number can hold that period.
    pub fn slowed_down(self, factor: Positive) -> Result<Self, NumberError> {
        Ok(Self { period_s: Positive::try_from(self.period_s.get() * factor.get())?, ..self })
    }

    /// The same motion seen in the mirror (see [`Hand::mirrored`](crate::Hand::mirrored)): it turns the other way.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let [x, y, z] = self.center_m;
        let fingers = self.fingers.iter().map(|finger| FingerGait { angle_rad: -finger.angle_rad, ..*finger });
        Self {
            center_m: [x, -y, z],
            cube_yaw_rad: -self.cube_yaw_rad,
            stroke_rad: -self.stroke_rad,
            fingers: fingers.collect(),
            ..self.clone()
        }
    }

    /// Where the tip of finger `finger` is to be at phase `phase` (0..1) of its own cycle.
    pub(crate) fn tip_target(&self, finger: usize, phase: f64) -> TipTarget {
        /// Share of the cycle over which the squeeze comes and goes.
        const RAMP: f64 = 0.08;
        let own = &self.fingers[finger];
        let duty = self.duty.get();
        let half_m = 0.5 * self.cube_edge_m.get();
        let (relative, distance_m) = if phase < duty {
            let ramp = (phase / RAMP).min(1.0).min((duty - phase) / RAMP).max(0.0);
            (phase / duty - 0.5, half_m - (self.squeeze_m.get() + own.squeeze_m.get()) * ramp)
        } else {
            let u = (phase - duty) / (1.0 - duty);
            let lift = (std::f64::consts::PI * u).sin().max(0.0).sqrt();
            (0.5 - u * u * (3.0 - 2.0 * u), half_m + self.lift_m.get() * lift)
        };
        TipTarget {
            angle_rad: own.angle_rad.get() + self.stroke_rad.get() * own.stroke_scale.get() * relative,
            distance_m,
            height_m: own.height_m.get() + self.vertical_stroke_m.get() * relative,
        }
    }
}
