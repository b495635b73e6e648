//! Ways to do the scissors task, as data.

use bridge::number::{Finite, NonNegative, NumberError, Positive};
use bridge::random::Rng;
use rand::Rng as _;
use rand_distr::StandardNormal;
use rapier3d::glamx::DVec3;
use serde::{Deserialize, Serialize};

/// A way to take the scissors and to cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strategy {
    /// Name, e.g. `index_one_stroke`.
    pub name: String,
    /// Its share of the episodes, relative to the other strategies'.
    pub share: Positive,
    /// Name of the grip.
    pub grip: String,
    /// Side that the hand comes from: heading of its path relative to the axis of the scissors, rad.
    pub approach_rad: Finite,
    /// Length of the straight path into the loops, m.
    pub approach_m: Positive,
    /// How far the hand goes on once the fingers are in the loops, m: the loops come to lie behind the fingers' tips.
    pub seat_m: Finite,
    /// Height of the fingers over the middle of the loops, m.
    pub raise_m: Finite,
    /// Span of finger and thumb on the way into the loops, m.
    pub entry_span_m: Positive,
    /// Span that opens the scissors, m.
    pub open_span_m: Positive,
    /// Span that closes them, m: smaller than that of closed scissors, so that the fingers press.
    pub closed_span_m: Positive,
    /// How far the scissors are lifted, m.
    pub lift_m: Positive,
    /// Distance from the pivot to the middle of the tape, one for each stroke, m.
    pub strokes_m: Vec<Positive>,
    /// How fast everything goes: 1 takes 1.3 s into the loops and 2 s for the lift.
    pub pace: Positive,
    /// How often it tries again what failed.
    pub n_retries: u32,
    /// How far episodes scatter around these numbers.
    pub scatter: Scatter,
    /// Standard deviations of the noise on joint targets, rad, which episodes take in turn.
    pub joint_noise_rad: Vec<NonNegative>,
    /// Standard deviation of the noise on the tool's target, m.
    pub tool_noise_m: NonNegative,
}

/// Standard deviations of what an episode adds to its strategy: a person misjudges differently every time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// Of where the hand takes the scissors, along each axis, m.
    pub grasp_m: NonNegative,
    /// Of the heading of the hand, rad.
    pub heading_rad: NonNegative,
    /// Of the spans, m.
    pub span_m: NonNegative,
    /// Of where the tape is between the blades, across them, m.
    pub aim_m: NonNegative,
    /// Of the distance from the pivot to the tape, m.
    pub stroke_m: NonNegative,
    /// Of the pace, relative.
    pub pace: NonNegative,
}

/// What an attempt misjudges: one draw of a [`Scatter`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Misjudged {
    pub(crate) grasp_m: DVec3,
    pub(crate) heading_rad: f64,
    pub(crate) span_m: f64,
    pub(crate) aim_m: f64,
    pub(crate) stroke_m: f64,
    /// Pace over the strategy's.
    pub(crate) pace: f64,
}

impl Scatter {
    pub(crate) fn draw(&self, rng: &mut Rng) -> Misjudged {
        let mut normal = |deviation: NonNegative| deviation.get() * rng.sample::<f64, _>(StandardNormal);
        Misjudged {
            grasp_m: DVec3::from_array(std::array::from_fn(|_| normal(self.grasp_m))),
            heading_rad: normal(self.heading_rad),
            span_m: normal(self.span_m),
            aim_m: normal(self.aim_m),
            stroke_m: normal(self.stroke_m),
            pace: (1.0 + normal(self.pace)).clamp(0.5, 2.0),
        }
    }

    /// No scatter.
    ///
    /// # Errors
    /// Never: zero is a deviation.
    pub fn none() -> Result<Self, NumberError> {
        let zero = NonNegative::try_from(0.0)?;
        Ok(Self { grasp_m: zero, heading_rad: zero, span_m: zero, aim_m: zero, stroke_m: zero, pace: zero })
    }
}
