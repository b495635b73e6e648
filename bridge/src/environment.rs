//! What the learner sees: Gymnasium's semantics, where `terminated` is not `truncated`.

use crate::tool::interpolate;
use crate::{Body, BodyError, BodySpec, Governor, GovernorConfig, JointSpec, Outcome, Task, TaskSpec, ToolSpec};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// 1 in the scalars of an episode that ended because the physics of its body failed.
pub const SIM_FAULT_SCALAR: &str = "sim_fault";

/// An episodic decision problem with continuous actions.
pub trait Environment: Send {
    /// What it is. It never changes.
    fn spec(&self) -> &EnvironmentSpec;

    /// Starts the episode that `seed` names and writes its first observation.
    ///
    /// # Errors
    /// When the body cannot be brought to its start.
    fn reset(&mut self, seed: u64, observation: &mut [f32]) -> Result<(), EnvironmentError>;

    /// Takes one action (joint targets, rad, after the tool pose if the body has a tool) and writes the next observation.
    ///
    /// Where the physics of a simulated body fails, the episode is truncated there: the observation stays what it was, and
    /// the outcome has the scalar [`SIM_FAULT_SCALAR`].
    ///
    /// # Errors
    /// When the action is not finite or has the wrong length (nothing then moves), or when the body fails.
    fn step(&mut self, action_rad: &[f32], observation: &mut [f32]) -> Result<Step, EnvironmentError>;

    /// The action that was really carried out in the last step, after all limits; before the first one the command at which
    /// the episode begins. Its layout is that of an action.
    fn applied_rad(&self) -> &[f32];

    /// What came of the episode so far.
    fn outcome(&self) -> Outcome;
}

/// What an environment is. It is written into checkpoints: a policy runs only where it fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentSpec {
    /// Name of the task.
    pub task: String,
    /// Name of the body.
    pub body: String,
    /// Values in an observation.
    pub observation_len: usize,
    /// Values in an action.
    pub action_len: usize,
    /// Lowest action, rad; m and components of a unit quaternion for a tool pose.
    pub action_lower_rad: Vec<f32>,
    /// Highest action, rad; m and components of a unit quaternion for a tool pose.
    pub action_upper_rad: Vec<f32>,
    /// Actions per second.
    pub control_hz: u32,
    /// Steps after which an episode is truncated.
    pub horizon_steps: u32,
}

impl EnvironmentSpec {
    /// For tests of what takes any: one value is seen, one joint is moved.
    #[cfg(test)]
    pub(crate) fn of_one_value(horizon_steps: u32) -> Self {
        Self {
            task: "none".into(),
            body: "none".into(),
            observation_len: 1,
            action_len: 1,
            action_lower_rad: vec![-1.0],
            action_upper_rad: vec![1.0],
            control_hz: 20,
            horizon_steps,
        }
    }

    /// That of a task on a body.
    ///
    /// # Errors
    /// When the servo rate is not a multiple of the control rate.
    pub fn of(body: &BodySpec, task: &TaskSpec) -> Result<Self, EnvironmentError> {
        let (servo_hz, control_hz) = (body.servo_hz, task.control_hz);
        if control_hz == 0 || !servo_hz.is_multiple_of(control_hz) {
            return Err(EnvironmentError::UnevenRates { servo_hz, control_hz });
        }
        let range = |of_tool: fn(&ToolSpec) -> [f32; 3], quaternion: f32, of_joint: fn(&JointSpec) -> f32| {
            let pose = body.tool.iter().flat_map(|tool| of_tool(tool).into_iter().chain([quaternion; 4]));
            pose.chain(body.joints.iter().map(of_joint)).collect()
        };
        Ok(Self {
            task: task.name.clone(),
            body: body.name.clone(),
            observation_len: task.observation_len,
            action_len: body.command_len(),
            action_lower_rad: range(|tool| tool.lower_m, -1.0, |joint| joint.lower_rad),
            action_upper_rad: range(|tool| tool.upper_m, 1.0, |joint| joint.upper_rad),
            control_hz,
            horizon_steps: (task.horizon_s * f64::from(control_hz)).round() as u32,
        })
    }
}

/// What one step led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Reward of the step.
    pub reward: f32,
    /// The episode ended for good: there is no value after it.
    pub terminated: bool,
    /// The episode was cut by the clock: its value goes on.
    pub truncated: bool,
}

/// An environment could not go on.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    /// An action had a number that is not finite.
    #[error("environment: action[{index}] is {value}, expected a finite target; nothing was commanded")]
    NonFiniteAction {
        /// Which one.
        index: usize,
        /// What it was.
        value: f32,
    },
    /// An observation had a number that is not finite.
    #[error("environment: observation[{index}] is {value}, expected a finite number")]
    NonFiniteObservation {
        /// Which one.
        index: usize,
        /// What it was.
        value: f32,
    },
    /// An array had the wrong length.
    #[error("environment: {quantity} has {found} values, expected {expected}")]
    WrongLength {
        /// Which array.
        quantity: &'static str,
        /// Its length.
        found: usize,
        /// What it should be.
        expected: usize,
    },
    /// `step` was called on an episode that had ended.
    #[error("environment: the episode has ended, reset comes first")]
    EpisodeEnded,
    /// The rates of body and task do not fit.
    #[error("environment: servo rate {servo_hz} Hz is not a multiple of the control rate {control_hz} Hz")]
    UnevenRates {
        /// Servo targets per second.
        servo_hz: u32,
        /// Actions per second.
        control_hz: u32,
    },
    /// The body failed.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// A task on a body behind its governor.
#[derive(Debug)]
pub struct TaskEnvironment<B, T> {
    governor: Governor<B>,
    task: T,
    spec: EnvironmentSpec,
    ticks_per_step: u32,
    step_idx: u32,
    ended: bool,
    /// The episode ended because the physics of its body failed.
    has_sim_fault: bool,
    start_rad: Vec<f32>,
    wanted_rad: Vec<f32>,
}

impl<B: Body, T: Task> TaskEnvironment<B, T> {
    /// Joins the two.
    ///
    /// # Errors
    /// When the servo rate is not a multiple of the control rate.
    pub fn new(body: B, task: T, governor: GovernorConfig) -> Result<Self, EnvironmentError> {
        let spec = EnvironmentSpec::of(body.spec(), task.spec())?;
        let ticks_per_step = body.spec().servo_hz / spec.control_hz;
        let rest_rad = vec![0.0; spec.action_len];
        Ok(Self {
            governor: Governor::new(body, governor),
            task,
            spec,
            ticks_per_step,
            step_idx: 0,
            ended: true,
            has_sim_fault: false,
            start_rad: rest_rad.clone(),
            wanted_rad: rest_rad,
        })
    }

    /// The body behind its governor, to look at.
    pub const fn governor(&self) -> &Governor<B> {
        &self.governor
    }

    /// The body behind its governor, to push or to reconfigure.
    pub const fn governor_mut(&mut self) -> &mut Governor<B> {
        &mut self.governor
    }

    /// The task.
    pub const fn task(&self) -> &T {
        &self.task
    }

    fn observe(&self, observation: &mut [f32]) -> Result<(), EnvironmentError> {
        check_len("observation", observation.len(), self.spec.observation_len)?;
        self.task.observe(self.governor.percept(), observation);
        match observation.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(index) => Err(EnvironmentError::NonFiniteObservation { index, value: observation[index] }),
        }
    }
}

impl<B: Body, T: Task> Environment for TaskEnvironment<B, T> {
    fn spec(&self) -> &EnvironmentSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) -> Result<(), EnvironmentError> {
        self.governor.reset(seed)?;
        self.task.begin(self.governor.percept());
        self.step_idx = 0;
        self.ended = false;
        self.has_sim_fault = false;
        self.observe(observation)
    }

    fn step(&mut self, action_rad: &[f32], observation: &mut [f32]) -> Result<Step, EnvironmentError> {
        if self.ended {
            return Err(EnvironmentError::EpisodeEnded);
        }
        check_len("action", action_rad.len(), self.spec.action_len)?;
        if let Some(index) = action_rad.iter().position(|x| !x.is_finite()) {
            return Err(EnvironmentError::NonFiniteAction { index, value: action_rad[index] });
        }
        // The target moves in a straight line over the servo ticks of the step.
        self.start_rad.copy_from_slice(self.governor.applied_rad());
        for tick in 1..=self.ticks_per_step {
            let share = tick as f32 / self.ticks_per_step as f32;
            let has_tool = self.governor.body().spec().tool.is_some();
            interpolate(&self.start_rad, action_rad, share, has_tool, &mut self.wanted_rad);
            if let Err(error) = self.governor.command(&mut self.wanted_rad) {
                self.ended = true;
                if matches!(error, BodyError::SimFault { .. }) {
                    self.has_sim_fault = true;
                    return Ok(Step { reward: 0.0, terminated: false, truncated: true });
                }
                return Err(error.into());
            }
        }
        let judgement = self.task.judge(self.governor.percept());
        self.step_idx += 1;
        let truncated = !judgement.terminated && self.step_idx >= self.spec.horizon_steps;
        self.ended = judgement.terminated || truncated;
        self.observe(observation)?;
        Ok(Step { reward: judgement.reward as f32, terminated: judgement.terminated, truncated })
    }

    fn applied_rad(&self) -> &[f32] {
        self.governor.applied_rad()
    }

    fn outcome(&self) -> Outcome {
        let mut outcome = self.task.outcome();
        if self.has_sim_fault {
            outcome.succeeded = false;
            outcome.scalars.insert(SIM_FAULT_SCALAR.into(), 1.0);
        }
        outcome
    }
}

fn check_len(quantity: &'static str, found: usize, expected: usize) -> Result<(), EnvironmentError> {
    if found == expected { Ok(()) } else { Err(EnvironmentError::WrongLength { quantity, found, expected }) }
}
