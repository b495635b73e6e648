//! The safety governor: every command passes it, and it is on by default.
//!
//! In this order a wanted target is
//! 1. refused when it is not finite,
//! 2. clamped to the joint's range,
//! 3. clamped to a band around the measured position, `windup * max_effort / stiffness` wide, so that a blocked joint
//!    is not wound up against its obstacle,
//! 4. clamped to what the joint's rate allows since the last target.
//!
//! The rate has the last word: no target ever jumps. The one exception lowers every error to zero: [`Governor::hold`].
//!
//! The governor also knows how old the last command is. A servo's own watchdog does not: any packet feeds it, a read too.

use crate::number::{NumberError, Positive, UnitInterval};
use crate::{Body, BodyError, BodySpec, Percept};
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

/// Limits of a body's joints, ready to be applied. Pure: the same inputs give the same output.
#[derive(Clone, Debug)]
pub struct Limits {
    body: String,
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
        Self { body: spec.name.clone(), joints: joints.collect() }
    }

    /// Limits `wanted_rad` in place, given the last applied targets and the measured positions. Returns the largest
    /// change it made, rad.
    ///
    /// # Errors
    /// When a number is not finite or an array has the wrong length; nothing may then be commanded.
    pub fn apply(&self, wanted_rad: &mut [f32], previous_rad: &[f32], measured_rad: &[f32]) -> Result<f32, BodyError> {
        let arrays = [("wanted_rad", &*wanted_rad), ("previous_rad", previous_rad), ("measured_rad", measured_rad)];
        for (quantity, values) in arrays {
            self.check(quantity, values)?;
        }
        let mut largest_change_rad = 0.0f32;
        for (joint, wanted) in wanted_rad.iter_mut().enumerate() {
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

    /// Writes `positions_rad`, clamped to the joints' ranges, into `clamped_rad`.
    fn clamp_into(&self, positions_rad: &[f32], clamped_rad: &mut [f32]) -> Result<(), BodyError> {
        self.check("measured_rad", positions_rad)?;
        for ((clamped, position), limit) in clamped_rad.iter_mut().zip(positions_rad).zip(&self.joints) {
            *clamped = position.clamp(limit.lower_rad, limit.upper_rad);
        }
        Ok(())
    }

    fn check(&self, quantity: &'static str, values: &[f32]) -> Result<(), BodyError> {
        if values.len() != self.joints.len() {
            let (body, found, expected) = (self.body.clone(), values.len(), self.joints.len());
            return Err(BodyError::WrongLength { body, quantity, found, expected });
        }
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(joint) => {
                let (body, quantity) = (self.body.clone(), format!("{quantity}[{joint}]"));
                Err(BodyError::NonFinite { body, quantity, value: values[joint] })
            }
        }
    }
}

/// A body behind its limits: the only way to command one.
#[derive(Debug)]
pub struct Governor<B> {
    body: B,
    limits: Limits,
    percept: Percept,
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
        let rest_rad = vec![0.0; body.spec().joints.len()];
        let (applied_rad, wanted_rad) = (rest_rad.clone(), rest_rad);
        Self { body, limits, percept: Percept::default(), applied_rad, wanted_rad, commanded_at_s: None }
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

    /// The targets that were really sent last, rad.
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
        self.applied_rad.copy_from_slice(&self.percept.commanded_rad);
        self.commanded_at_s = None;
        Ok(&self.percept)
    }

    /// Reads the body without commanding it, as while its torque is off. The next target starts from where it then is.
    ///
    /// # Errors
    /// When the body fails or perceives a number that is not finite.
    pub fn observe(&mut self) -> Result<&Percept, BodyError> {
        self.read()?;
        self.limits.clamp_into(&self.percept.measured_rad, &mut self.applied_rad)?;
        Ok(&self.percept)
    }

    /// Commands the measured positions, within the joints' ranges, at once: this can only lower an effort.
    ///
    /// # Errors
    /// As [`Governor::command`].
    pub fn hold(&mut self) -> Result<&Percept, BodyError> {
        self.limits.clamp_into(&self.percept.measured_rad, &mut self.wanted_rad)?;
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
        self.limits.apply(wanted_rad, &self.applied_rad, &self.percept.measured_rad)?;
        self.body.command(wanted_rad)?;
        self.applied_rad.copy_from_slice(wanted_rad);
        self.commanded_at_s = Some(self.percept.time_s);
        self.read()?;
        Ok(&self.percept)
    }

    fn read(&mut self) -> Result<(), BodyError> {
        self.body.read(&mut self.percept)?;
        match self.percept.find_non_finite() {
            None => Ok(()),
            Some((quantity, value)) => {
                Err(BodyError::NonFinite { body: self.body.spec().name.clone(), quantity, value })
            }
        }
    }
}
