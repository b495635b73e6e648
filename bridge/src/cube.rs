//! The cube task: turn a cube about the vertical in a palm-down hand, and do not drop it.
//!
//! Observation, n joints, in this order:
//! measured joints (n, rad) | commanded joints (n, rad) | cube centre minus nominal (3, m) | angular velocity (3, rad/s)
//! | horizontal part of the cube's z axis (2) | cos 4h, sin 4h of its heading h (2).
//!
//! A cube looks the same after every quarter turn, and so does the last part: a policy need not learn four cubes.

use crate::number::{Finite, Positive};
use crate::{Judgement, Outcome, Percept, Task, TaskSpec, heading_rad, rotate, tilt_rad};
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// Angular velocities are clamped to this, rad/s: an impact must not dominate the observation.
const MAX_ANGULAR_VELOCITY_RAD_S: f32 = 5.0;

/// Which way the cube is to turn, seen from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TurnDirection {
    /// Heading grows.
    CounterClockwise,
    /// Heading falls.
    Clockwise,
}

impl TurnDirection {
    /// +1 counter-clockwise, -1 clockwise.
    #[must_use]
    pub const fn sign(self) -> f64 {
        match self {
            Self::CounterClockwise => 1.0,
            Self::Clockwise => -1.0,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::CounterClockwise => Self::Clockwise,
            Self::Clockwise => Self::CounterClockwise,
        }
    }
}

/// What is rewarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CubeReward {
    /// Progress of the heading in the wanted direction, rad per step.
    #[default]
    Dense,
    /// +1 for every further quarter turn (the paper's, given there by hand).
    Sparse,
}

/// What the cube task is, fixed by the scene and the experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CubeTaskConfig {
    /// Where the cube's centre belongs, palm frame, m.
    pub nominal_center_m: [Finite; 3],
    /// The episode ends when the centre is this far below its nominal place, m.
    pub drop_below_m: Positive,
    /// Which way to turn.
    pub direction: TurnDirection,
    /// What is rewarded.
    pub reward: CubeReward,
    /// Actions per second.
    pub control_hz: u32,
    /// Episodes are truncated after this time, s.
    pub horizon_s: Positive,
}

/// The cube task.
#[derive(Clone, Debug)]
pub struct CubeTask {
    config: CubeTaskConfig,
    spec: TaskSpec,
    heading_rad: f64,
    progress_rad: f64,
    best_quarter: f64,
    n_steps: u32,
    total_reward: f64,
    offset_sum_m: f64,
    tilt_sum_rad: f64,
    terminated: bool,
}

impl CubeTask {
    /// The task for a body with `n_joints` joints whose first object is the cube.
    #[must_use]
    pub fn new(config: CubeTaskConfig, n_joints: usize) -> Self {
        let spec = TaskSpec {
            name: "cube".into(),
            observation_len: 2 * n_joints + 10,
            control_hz: config.control_hz,
            horizon_s: config.horizon_s.get(),
        };
        Self {
            config,
            spec,
            heading_rad: 0.0,
            progress_rad: 0.0,
            best_quarter: 0.0,
            n_steps: 0,
            total_reward: 0.0,
            offset_sum_m: 0.0,
            tilt_sum_rad: 0.0,
            terminated: false,
        }
    }

    /// Heading turned in the wanted direction since the episode began, rad.
    #[must_use]
    pub const fn progress_rad(&self) -> f64 {
        self.progress_rad
    }

    fn offset_m(&self, position_m: [f32; 3]) -> [f64; 3] {
        std::array::from_fn(|axis| f64::from(position_m[axis]) - self.config.nominal_center_m[axis].get())
    }
}

impl Task for CubeTask {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn begin(&mut self, first: &Percept) {
        let heading_rad = f64::from(heading_rad(first.objects[0].orientation));
        *self = Self { heading_rad, ..Self::new(self.config.clone(), first.measured_rad.len()) };
    }

    fn observe(&self, percept: &Percept, observation: &mut [f32]) {
        let n = percept.measured_rad.len();
        let cube = &percept.objects[0];
        observation[..n].copy_from_slice(&percept.measured_rad);
        observation[n..2 * n].copy_from_slice(&percept.commanded_rad);
        let offset_m = self.offset_m(cube.position_m);
        let z_axis = rotate(cube.orientation, [0.0, 0.0, 1.0]);
        let (sin, cos) = (4.0 * heading_rad(cube.orientation)).sin_cos();
        let spin =
            cube.angular_velocity_rad_s.map(|w| w.clamp(-MAX_ANGULAR_VELOCITY_RAD_S, MAX_ANGULAR_VELOCITY_RAD_S));
        observation[2 * n..2 * n + 3].copy_from_slice(&offset_m.map(|x| x as f32));
        observation[2 * n + 3..2 * n + 6].copy_from_slice(&spin);
        observation[2 * n + 6..].copy_from_slice(&[z_axis[0], z_axis[1], cos, sin]);
    }

    fn judge(&mut self, percept: &Percept) -> Judgement {
        let cube = &percept.objects[0];
        let heading_rad = f64::from(heading_rad(cube.orientation));
        let turned_rad = (heading_rad - self.heading_rad + PI).rem_euclid(TAU) - PI;
        self.heading_rad = heading_rad;
        let progress_rad = self.config.direction.sign() * turned_rad;
        let offset_m = self.offset_m(cube.position_m);
        let terminated = offset_m[2] < -self.config.drop_below_m.get();

        // A cube that tumbles out of the hand earns nothing for the turning it does in the air.
        let reward = if terminated {
            0.0
        } else {
            self.progress_rad += progress_rad;
            match self.config.reward {
                CubeReward::Dense => progress_rad,
                CubeReward::Sparse => {
                    let quarter = (self.progress_rad / FRAC_PI_2).floor().max(self.best_quarter);
                    let earned = quarter - self.best_quarter;
                    self.best_quarter = quarter;
                    earned
                }
            }
        };
        self.n_steps += 1;
        self.total_reward += reward;
        self.offset_sum_m += offset_m.iter().map(|x| x * x).sum::<f64>().sqrt();
        self.tilt_sum_rad += f64::from(tilt_rad(cube.orientation));
        self.terminated = terminated;
        Judgement { reward, terminated }
    }

    fn outcome(&self) -> Outcome {
        let n_steps = f64::from(self.n_steps.max(1));
        Outcome {
            seconds: f64::from(self.n_steps) / f64::from(self.spec.control_hz),
            total_reward: self.total_reward,
            terminated: self.terminated,
            succeeded: !self.terminated,
            turns: self.progress_rad / TAU,
            offset_m: self.offset_sum_m / n_steps,
            tilt_rad: self.tilt_sum_rad / n_steps,
            ..Outcome::default()
        }
    }
}
