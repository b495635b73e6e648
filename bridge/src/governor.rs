//! The safety governor: every command passes it, and it is on by default.
//!
//! In this order a wanted target is
//! 1. refused when it is not finite,
//! 2. clamped to the joint's range,
//! 3. clamped to a band around the measured position, `windup * max_effort / stiffness` wide, so that a blocked joint
//!    is not wound up against its obstacle,
//! 4. clamped to what the joint's rate allows since the last target.
//!
//! The rate has the last word: no target ever jumps. The one exception lowers every error to zero: [`Governor::hold`]. A
//! tool's target, where a body has one, goes the same way: refused, its quaternion normalised; clamped to the workspace;
//! clamped to a band around the measured pose; clamped in rate.
//!
//! The governor also knows how old the last command is. A servo's own watchdog does not: any packet feeds it, a read too.

use crate::number::{NumberError, Positive, UnitInterval};
use crate::tool::ToolLimit;
use crate::{Body, BodyError, BodySpec, Percept, TOOL_POSE_LEN, ToolPose};
use serde::{Deserialize, Serialize};

/// How tight the governor holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GovernorConfig {
    /// Share of the joint's rate limit that may be used, 0..1.
    pub rate_share: UnitInterval,
    /// Position error that the servo may be asked for, in units of the error that saturates its motor (max effort /
    /// stiffness). 1 never saturates; the measured gaits saturate in a third of all steps and need 3.
    pub windup: Positive,
}

impl GovernorConfig {
    /// What holds where nothing else is chosen: all of a joint's rate, and the position error that the gaits need.
    ///
    /// # Errors
    /// Never.
    pub fn usual() -> Result<Self, NumberError> {
        Ok(Self { rate_share: 1.0.try_into()?, windup: 3.0.try_into()? })
    }
}

/// Limits of a body's commands, ready to be applied. Pure: the same inputs give the same output.
#[derive(Clone, Debug)]
pub struct Limits {
    spec: BodySpec,
    tool: Option<ToolLimit>,
    joints: Vec<JointLimit>,
}

#[derive(Clone, Copy, Debug)]
struct JointLimit {
    lower_rad: f32,
    upper_rad: f32,
    max_step_rad: f32,
    max_error_rad: f32,
}

impl Limits {
    /// The limits of `spec`, held as `config` says.
    #[must_use]
    pub fn new(spec: &BodySpec, config: GovernorConfig) -> Self {
        let joints = spec.joints.iter().map(|joint| JointLimit {
            lower_rad: joint.lower_rad,
            upper_rad: joint.upper_rad,
            max_step_rad: joint.max_rate_rad_s * config.rate_share.f32() / spec.servo_hz as f32,
            max_error_rad: config.windup.f32() * joint.max_effort_nm / joint.stiffness_nm_rad,
        });
        let tool = spec.tool.map(|tool| ToolLimit::new(tool, config.rate_share.f32(), spec.servo_hz));
        Self { spec: spec.clone(), tool, joints: joints.collect() }
    }

    /// Limits the command `wanted_rad` in place, given the last applied command and the measured positions, which have
    /// the same layout. Returns the largest change it made to a joint, rad.
    ///
    /// # Errors
    /// When a number is not finite or an array has the wrong length; nothing may then be commanded.
    pub fn apply(&self, wanted_rad: &mut [f32], previous_rad: &[f32], measured_rad: &[f32]) -> Result<f32, BodyError> {
        let arrays = [("wanted_rad", &*wanted_rad), ("previous_rad", previous_rad), ("measured_rad", measured_rad)];
        for (quantity, values) in arrays {
            self.spec.check_command(quantity, values)?;
        }
        let (joints_rad, previous_rad, measured_rad) = match &self.tool {
            None => (wanted_rad, previous_rad, measured_rad),
            Some(tool) => {
                let (wanted, joints_rad) = self.split_mut("wanted_rad", wanted_rad)?;
                let (previous, previous_rad) = self.split("previous_rad", previous_rad)?;
                let (measured, measured_rad) = self.split("measured_rad", measured_rad)?;
                let pose = self.tool_pose("wanted_rad", wanted)?;
                *wanted = tool.apply(&pose, &previous, &measured).values();
                (joints_rad, previous_rad, measured_rad)
            }
        };
        let mut largest_change_rad = 0.0f32;
        for (joint, wanted) in joints_rad.iter_mut().enumerate() {
            let limit = self.joints[joint];
            let previous = previous_rad[joint].clamp(limit.lower_rad, limit.upper_rad);
            let measured = measured_rad[joint];
            let in_range = wanted.clamp(limit.lower_rad, limit.upper_rad);
            let in_band = in_range
                .clamp(measured - limit.max_error_rad, measured + limit.max_error_rad)
                .clamp(limit.lower_rad, limit.upper_rad);
            let applied = in_band.clamp(previous - limit.max_step_rad, previous + limit.max_step_rad);
            largest_change_rad = largest_change_rad.max((applied - *wanted).abs());
            *wanted = applied;
        }
        Ok(largest_change_rad)
    }

    /// Writes the command that stays where `measured` is, within the workspace and the joints' ranges, into `clamped`.
    fn clamp_into(&self, measured: &[f32], clamped: &mut [f32]) -> Result<(), BodyError> {
        self.spec.check_command("measured_rad", measured)?;
        clamped.copy_from_slice(measured);
        let mut joints_rad = clamped;
        if let Some(tool) = &self.tool {
            let (pose, rest) = self.split_mut("measured_rad", joints_rad)?;
            *pose = tool.in_workspace(&self.tool_pose("measured_rad", pose)?).values();
            joints_rad = rest;
        }
        for (position, limit) in joints_rad.iter_mut().zip(&self.joints) {
            *position = position.clamp(limit.lower_rad, limit.upper_rad);
        }
        Ok(())
    }

    fn split<'a>(&self, quantity: &'static str, command: &'a [f32]) -> Result<(ToolPose, &'a [f32]), BodyError> {
        let (tool, joints) = command.split_first_chunk().ok_or_else(|| self.too_short(quantity, command.len()))?;
        Ok((self.tool_pose(quantity, tool)?, joints))
    }

    fn split_mut<'a>(
        &self,
        quantity: &'static str,
        command: &'a mut [f32],
    ) -> Result<(&'a mut [f32; TOOL_POSE_LEN], &'a mut [f32]), BodyError> {
        let found = command.len();
        command.split_first_chunk_mut().ok_or_else(|| self.too_short(quantity, found))
    }

    fn tool_pose(&self, quantity: &'static str, values: &[f32; TOOL_POSE_LEN]) -> Result<ToolPose, BodyError> {
        ToolPose::from_values(values).ok_or_else(|| BodyError::NoRotation {
            body: self.spec.name.clone(),
            quantity,
            found: [values[3], values[4], values[5], values[6]],
        })
    }

    fn too_short(&self, quantity: &'static str, found: usize) -> BodyError {
        BodyError::WrongLength { body: self.spec.name.clone(), quantity, found, expected: self.spec.command_len() }
    }
}

/// A body behind its limits: the only way to command one.
#[derive(Debug)]
pub struct Governor<B> {
    body: B,
    limits: Limits,
    percept: Percept,
    measured_rad: Vec<f32>,
    applied_rad: Vec<f32>,
    wanted_rad: Vec<f32>,
    commanded_at_s: Option<f64>,
}

impl<B: Body> Governor<B> {
    /// Puts `body` behind its limits.
    pub fn new(body: B, config: GovernorConfig) -> Self {
        let limits = Limits::new(body.spec(), config);
        Self::with_limits(body, limits)
    }

    /// Puts `body` behind limits that are not its own.
    pub fn with_limits(body: B, limits: Limits) -> Self {
        let rest = vec![0.0; body.spec().command_len()];
        Self {
            body,
            limits,
            percept: Percept::default(),
            measured_rad: rest.clone(),
            applied_rad: rest.clone(),
            wanted_rad: rest,
            commanded_at_s: None,
        }
    }

    /// The body, to look at.
    pub const fn body(&self) -> &B {
        &self.body
    }

    /// The body, to push or to reconfigure between commands.
    pub const fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// The latest percept.
    pub const fn percept(&self) -> &Percept {
        &self.percept
    }

    /// The command that was really sent last: joints in rad, after the tool pose if the body has a tool.
    pub fn applied_rad(&self) -> &[f32] {
        &self.applied_rad
    }

    /// How long ago the body was last commanded, s, on its own clock; none before the first command.
    pub fn command_age_s(&self) -> Option<f64> {
        self.commanded_at_s.map(|at_s| self.percept.time_s - at_s)
    }

    /// Resets the body and reads it.
    ///
    /// # Errors
    /// When the body fails or perceives a number that is not finite.
    pub fn reset(&mut self, seed: u64) -> Result<&Percept, BodyError> {
        self.body.reset(seed)?;
        self.read()?;
        let (tool, joints_rad) = self.applied_rad.split_at_mut(self.limits.spec.tool_len());
        if let Some(state) = &self.percept.tool {
            tool.copy_from_slice(&state.commanded.values());
        }
        joints_rad.copy_from_slice(&self.percept.commanded_rad);
        self.commanded_at_s = None;
        Ok(&self.percept)
    }

    /// Reads the body without commanding it, as while its torque is off. The next target starts from where it then is.
    ///
    /// # Errors
    /// When the body fails or perceives a number that is not finite.
    pub fn observe(&mut self) -> Result<&Percept, BodyError> {
        self.read()?;
        self.limits.clamp_into(&self.measured_rad, &mut self.applied_rad)?;
        Ok(&self.percept)
    }

    /// Commands the measured positions, within the joints' ranges, at once: this can only lower an effort.
    ///
    /// # Errors
    /// As [`Governor::command`].
    pub fn hold(&mut self) -> Result<&Percept, BodyError> {
        self.limits.clamp_into(&self.measured_rad, &mut self.wanted_rad)?;
        self.body.command(&self.wanted_rad)?;
        self.applied_rad.copy_from_slice(&self.wanted_rad);
        self.commanded_at_s = Some(self.percept.time_s);
        self.read()?;
        Ok(&self.percept)
    }

    /// Limits `wanted_rad`, holds the result for one servo period, and reads the body.
    ///
    /// # Errors
    /// When `wanted_rad` is not finite (nothing is then sent) or the body fails.
    pub fn command(&mut self, wanted_rad: &mut [f32]) -> Result<&Percept, BodyError> {
        self.limits.apply(wanted_rad, &self.applied_rad, &self.measured_rad)?;
        self.body.command(wanted_rad)?;
        self.applied_rad.copy_from_slice(wanted_rad);
        self.commanded_at_s = Some(self.percept.time_s);
        self.read()?;
        Ok(&self.percept)
    }

    fn read(&mut self) -> Result<(), BodyError> {
        self.body.read(&mut self.percept)?;
        let spec = self.body.spec();
        let (found, expected) = (self.percept.measured_rad.len(), spec.joints.len());
        if found != expected {
            return Err(BodyError::WrongLength { body: spec.name.clone(), quantity: "measured_rad", found, expected });
        }
        if self.percept.tool.is_some() != spec.tool.is_some() {
            let reason = "it perceives a tool and has none, or has one and does not perceive it".into();
            return Err(BodyError::Fault { body: spec.name.clone(), reason });
        }
        // Before anything is refused: what is not a number is not held either.
        let (tool, joints_rad) = self.measured_rad.split_at_mut(spec.tool_len());
        if let Some(state) = &self.percept.tool {
            tool.copy_from_slice(&state.measured.values());
        }
        joints_rad.copy_from_slice(&self.percept.measured_rad);
        match self.percept.find_non_finite() {
            None => Ok(()),
            Some((quantity, value)) => Err(BodyError::NonFinite { body: spec.name.clone(), quantity, value }),
        }
    }
}
