//! What is to be done with a body, and how well it was done.

use crate::Percept;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Turns percepts into observations and judges them. The same code scores simulation and hardware.
pub trait Task: Send {
    /// What the task is. It never changes.
    fn spec(&self) -> &TaskSpec;

    /// Starts an episode at its first percept.
    fn begin(&mut self, first: &Percept);

    /// Writes the observation, [`TaskSpec::observation_len`] values.
    fn observe(&self, percept: &Percept, observation: &mut [f32]);

    /// Judges what one control step led to.
    fn judge(&mut self, percept: &Percept) -> Judgement;

    /// What came of the episode so far.
    fn outcome(&self) -> Outcome;

    /// After the end somebody says that the body's signals of success were true in the last step: what that step would
    /// have earned besides. [`Task::outcome`] is then as if it had been said in time.
    fn hear_success(&mut self) -> f64 {
        0.0
    }
}

/// What a task is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Name, e.g. `cube`.
    pub name: String,
    /// Values in an observation.
    pub observation_len: usize,
    /// Actions per second.
    pub control_hz: u32,
    /// Episodes are truncated after this time, s.
    pub horizon_s: f64,
}

/// What one control step led to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Reward of the step.
    pub reward: f64,
    /// The episode ended for good: nothing more can be earned from here.
    pub terminated: bool,
}

/// What came of an episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Length of the episode, s.
    pub seconds: f64,
    /// Sum of rewards.
    pub total_reward: f64,
    /// It ended for good, e.g. the cube was dropped.
    pub terminated: bool,
    /// It is what the task asks for. Only such demonstrations are imitated.
    pub succeeded: bool,
    /// Whole turns of the cube in the wanted direction.
    pub turns: f64,
    /// Mean distance of the object from its nominal place, m.
    pub offset_m: f64,
    /// Mean tilt of the object, rad.
    pub tilt_rad: f64,
    /// What else the task measures, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scalars: BTreeMap<String, f64>,
}

impl Outcome {
    /// The number called `name`: a field, with 1 for true, or one of the task's own scalars.
    #[must_use]
    pub fn scalar(&self, name: &str) -> Option<f64> {
        match name {
            "seconds" => Some(self.seconds),
            "total_reward" => Some(self.total_reward),
            "terminated" => Some(f64::from(u8::from(self.terminated))),
            "succeeded" => Some(f64::from(u8::from(self.succeeded))),
            "turns" => Some(self.turns),
            "offset_m" => Some(self.offset_m),
            "tilt_rad" => Some(self.tilt_rad),
            own => self.scalars.get(own).copied(),
        }
    }
}
