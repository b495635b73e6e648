//! The scissors task: take the scissors out of their case by the finger loops, and cut a tape with them.
//!
//! The hand is carried by an arm. Observation, n joints, in this order, vectors in the tool's frame unless said otherwise:
//! measured joints (n, rad) | commanded joints (n, rad)
//! | tool position (3, base frame, m) | tool orientation (6: x and y axis, base frame)
//! | commanded minus measured tool position (3, m) | force on the tool (3, N)
//! | pivot of the scissors (3, m) | axes x and z of the half that the finger moves (6) | opening (1, rad)
//! | seat in the case (3, m) | its axis x (3) | middle of the tape (3, m) | its direction (3) | retrieved (1)
//!
//! Reward: +1 once the scissors are retrieved, +1 when the tape is cut. An episode ends with the cut, when the tape is torn
//! instead or the scissors are dropped, and when the tool is unsafe: pushed too hard, or out of the box that is safe.

use crate::number::{Finite, Positive};
use crate::{Judgement, ObjectPose, Outcome, Percept, Task, TaskSpec, ToolPose, rotate, rotate_back};
use serde::{Deserialize, Serialize};

/// Name of the signal that the tape is cut: the only one that the task needs, the first of the body.
pub const TAPE_CUT_SIGNAL: &str = "tape_cut";
/// Name of the signal that the tape is torn, so that it cannot be cut any more: the second, of a body that can tell. On a robot
/// a human says that the episode has failed.
pub const TAPE_TORN_SIGNAL: &str = "tape_torn";

/// Places of the objects in [`Percept::objects`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScissorsObject {
    /// The half of the scissors that a finger moves; origin on the pivot, x along its axis, z from the blades to the loops.
    FingerHalf,
    /// The half that the thumb moves.
    ThumbHalf,
    /// The case; origin where the pivot is when the scissors are seated, z out of the slot.
    Case,
    /// The tape; origin in its middle, x along it, z along its width.
    Tape,
}

impl ScissorsObject {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::FingerHalf, Self::ThumbHalf, Self::Case, Self::Tape];

    /// Its name in a body's spec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FingerHalf => "scissors_finger_half",
            Self::ThumbHalf => "scissors_thumb_half",
            Self::Case => "case",
            Self::Tape => "tape",
        }
    }

    /// Its pose.
    #[must_use]
    pub fn of(self, percept: &Percept) -> &ObjectPose {
        &percept.objects[self as usize]
    }
}

/// What the scissors task is, fixed by the scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScissorsTaskConfig {
    /// The scissors are retrieved when they are this far out of the case, along its slot, m.
    pub retrieve_m: Positive,
    /// They are held when they move more slowly than this in the tool's frame, m/s.
    pub held_speed_m_s: Positive,
    /// For how long they must be out and held, s.
    pub hold_s: Positive,
    /// The scissors are dropped when their pivot is lower than this above the table, m.
    pub drop_below_m: Finite,
    /// Largest safe force on the tool, N.
    pub max_force_n: Positive,
    /// Lowest corner of the box that is safe for the tool, base frame, m.
    pub safe_lower_m: [Finite; 3],
    /// Its highest corner, m.
    pub safe_upper_m: [Finite; 3],
    /// Actions per second.
    pub control_hz: u32,
    /// Episodes are truncated after this time, s.
    pub horizon_s: Positive,
}

/// How an episode ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Cut,
    Torn,
    Dropped,
    TooMuchForce,
    OutOfSafeBox,
}

/// The scissors task.
#[derive(Clone, Debug)]
pub struct ScissorsTask {
    config: ScissorsTaskConfig,
    spec: TaskSpec,
    pivot_in_tool_m: [f32; 3],
    n_held: u32,
    retrieved_s: Option<f64>,
    ending: Option<Ending>,
    n_steps: u32,
    total_reward: f64,
    max_force_n: f64,
}

impl ScissorsTask {
    /// The task for a body with `n_joints` joints, a tool, and the objects of [`ScissorsObject::ALL`].
    #[must_use]
    pub fn new(config: ScissorsTaskConfig, n_joints: usize) -> Self {
        let spec = TaskSpec {
            name: "scissors".into(),
            observation_len: 2 * n_joints + 38,
            control_hz: config.control_hz,
            horizon_s: config.horizon_s.get(),
        };
        Self {
            config,
            spec,
            pivot_in_tool_m: [0.0; 3],
            n_held: 0,
            retrieved_s: None,
            ending: None,
            n_steps: 0,
            total_reward: 0.0,
            max_force_n: 0.0,
        }
    }

    /// Whether the scissors were retrieved in this episode.
    #[must_use]
    pub const fn is_retrieved(&self) -> bool {
        self.retrieved_s.is_some()
    }

    fn ending(&self, percept: &Percept, force_n: f64) -> Option<Ending> {
        let config = &self.config;
        let tool_m = tool(percept).position_m;
        let is_safe = (0..3).all(|axis| {
            (config.safe_lower_m[axis].get()..=config.safe_upper_m[axis].get()).contains(&f64::from(tool_m[axis]))
        });
        let pivot_m = ScissorsObject::FingerHalf.of(percept).position_m;
        if percept.signals.first() == Some(&true) {
            Some(Ending::Cut)
        } else if percept.signals.get(1) == Some(&true) {
            Some(Ending::Torn)
        } else if force_n > config.max_force_n.get() {
            Some(Ending::TooMuchForce)
        } else if !is_safe {
            Some(Ending::OutOfSafeBox)
        } else if f64::from(pivot_m[2]) < config.drop_below_m.get() {
            Some(Ending::Dropped)
        } else {
            None
        }
    }

    /// What the last step earns, by how it ended.
    fn earn(&mut self) -> f64 {
        let mut reward = 0.0;
        let is_lost = matches!(self.ending, Some(Ending::Dropped | Ending::TooMuchForce | Ending::OutOfSafeBox));
        let held_s = f64::from(self.n_held) / f64::from(self.spec.control_hz);
        if !self.is_retrieved() && !is_lost && held_s >= self.config.hold_s.get() {
            self.retrieved_s = Some(self.time_s());
            reward += 1.0;
        }
        if self.ending == Some(Ending::Cut) {
            reward += 1.0;
        }
        self.total_reward += reward;
        reward
    }

    fn time_s(&self) -> f64 {
        f64::from(self.n_steps) / f64::from(self.spec.control_hz)
    }
}

impl Task for ScissorsTask {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn begin(&mut self, first: &Percept) {
        let pivot_in_tool_m = in_tool(first, ScissorsObject::FingerHalf.of(first).position_m);
        *self = Self { pivot_in_tool_m, ..Self::new(self.config.clone(), first.measured_rad.len()) };
    }

    fn observe(&self, percept: &Percept, observation: &mut [f32]) {
        let pose = tool(percept);
        let (force_n, commanded_m) =
            percept.tool.map_or(([0.0; 3], [0.0; 3]), |tool| (tool.force_n, tool.commanded.position_m));
        let turned = |v: [f32; 3]| rotate_back(pose.orientation, v);
        let axis = |object: &ObjectPose, axis: [f32; 3]| turned(rotate(object.orientation, axis));
        let (x, y, z) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]);
        let [finger, _, case, tape] = ScissorsObject::ALL.map(|object| object.of(percept));
        let vectors = [
            pose.position_m,
            rotate(pose.orientation, x),
            rotate(pose.orientation, y),
            turned(minus(commanded_m, pose.position_m)),
            turned(force_n),
            in_tool(percept, finger.position_m),
            axis(finger, x),
            axis(finger, z),
            in_tool(percept, case.position_m),
            axis(case, x),
            in_tool(percept, tape.position_m),
            axis(tape, x),
        ];
        let scalars = [opening_rad(percept), f32::from(u8::from(self.is_retrieved()))];
        let values = percept.measured_rad.iter().chain(&percept.commanded_rad).copied();
        let values = values.chain(vectors.into_iter().flatten()).chain(scalars);
        for (slot, value) in observation.iter_mut().zip(values) {
            *slot = value;
        }
    }

    fn judge(&mut self, percept: &Percept) -> Judgement {
        self.n_steps += 1;
        let force_n = percept.tool.map_or(0.0, |tool| f64::from(length(tool.force_n)));
        self.max_force_n = self.max_force_n.max(force_n);
        self.ending = self.ending(percept, force_n);

        let pivot_m = ScissorsObject::FingerHalf.of(percept).position_m;
        let pivot_in_tool_m = in_tool(percept, pivot_m);
        let speed_m_s =
            f64::from(length(minus(pivot_in_tool_m, self.pivot_in_tool_m))) * f64::from(self.spec.control_hz);
        self.pivot_in_tool_m = pivot_in_tool_m;
        let case = ScissorsObject::Case.of(percept);
        let out_m = rotate_back(case.orientation, minus(pivot_m, case.position_m))[2];
        let is_held = f64::from(out_m) >= self.config.retrieve_m.get() && speed_m_s < self.config.held_speed_m_s.get();
        self.n_held = if is_held { self.n_held + 1 } else { 0 };

        let reward = self.earn();
        Judgement { reward, terminated: self.ending.is_some() }
    }

    fn hear_success(&mut self) -> f64 {
        match self.ending.replace(Ending::Cut) {
            Some(Ending::Cut) => 0.0,
            _ => self.earn(),
        }
    }

    /// The scalars are `grasped`, `cut`, `torn`, `dropped`, `too_much_force`, `out_of_safe_box` (0 or 1), `max_force_n`, and, where
    /// they happened, `time_to_grasp_s` and `time_to_cut_s`.
    fn outcome(&self) -> Outcome {
        let ended = |ending| f64::from(u8::from(self.ending == Some(ending)));
        let mut scalars = vec![
            ("grasped", f64::from(u8::from(self.is_retrieved()))),
            ("cut", ended(Ending::Cut)),
            ("torn", ended(Ending::Torn)),
            ("dropped", ended(Ending::Dropped)),
            ("too_much_force", ended(Ending::TooMuchForce)),
            ("out_of_safe_box", ended(Ending::OutOfSafeBox)),
            ("max_force_n", self.max_force_n),
        ];
        scalars.extend(self.retrieved_s.map(|time_s| ("time_to_grasp_s", time_s)));
        let succeeded = self.ending == Some(Ending::Cut);
        if succeeded {
            scalars.push(("time_to_cut_s", self.time_s()));
        }
        Outcome {
            seconds: self.time_s(),
            total_reward: self.total_reward,
            terminated: self.ending.is_some(),
            succeeded,
            scalars: scalars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Outcome::default()
        }
    }
}

/// How far the scissors are open, rad: the angle from the thumb's half to the finger's about the axis of the pivot.
#[must_use]
pub fn opening_rad(percept: &Percept) -> f32 {
    let (finger, thumb) = (ScissorsObject::FingerHalf.of(percept), ScissorsObject::ThumbHalf.of(percept));
    let thumb_y = rotate_back(finger.orientation, rotate(thumb.orientation, [0.0, 1.0, 0.0]));
    (-thumb_y[2]).atan2(thumb_y[1])
}

fn tool(percept: &Percept) -> ToolPose {
    percept.tool.map_or_else(ToolPose::default, |tool| tool.measured)
}

fn in_tool(percept: &Percept, position_m: [f32; 3]) -> [f32; 3] {
    let pose = tool(percept);
    rotate_back(pose.orientation, minus(position_m, pose.position_m))
}

fn minus(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|i| a[i] - b[i])
}

fn length(v: [f32; 3]) -> f32 {
    v.iter().map(|x| x * x).sum::<f32>().sqrt()
}
