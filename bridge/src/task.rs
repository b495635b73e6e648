//! What is to be done with a body, and how well it was done.

use crate::Percept;
use serde::{Deserialize, Serialize};

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
    /// Whole turns of the cube in the wanted direction.
    pub turns: f64,
    /// Mean distance of the object from its nominal place, m.
    pub offset_m: f64,
    /// Mean tilt of the object, rad.
    pub tilt_rad: f64,
}
