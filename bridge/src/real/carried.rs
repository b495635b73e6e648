//! A robot that an arm carries: one body whose commands begin with the pose of its tool.
//!
//! The arm has no torque of its own to switch: it is engaged by the first setpoint and released when torque goes off, and
//! then its controller holds its present pose, as it does by itself when no setpoint comes. A state that is too old to be
//! limited against keeps setpoints back and nothing else; what is to be done about it the failsafe decides by its age.
//!
//! While the hand is armed, which takes a second, nobody hears the arm: what has piled up meanwhile is taken in before anybody
//! judges, and where it is old, because a full buffer drops the new, a new state is waited for.
//!
//! A quaternion and its negative are one rotation: what the arm measures has the sign that is nearer to what it measured
//! before, at first to where episodes begin, so that it is the sign that policies have learned with.

use super::arm::ArmLink;
use super::clock::Clock;
use super::failsafe::ArmFacts;
use super::robot::Robot;
use super::status::HandStatus;
use crate::{Body, BodyError, BodySpec, Percept, ToolPose, ToolSpec, ToolState};

/// How often a first state is looked for, s.
const LOOK_S: f64 = 0.005;
/// A state of this age is a present one, s: half of what a setpoint is usually limited against.
const PRESENT_S: f64 = 0.05;
/// How long one is waited for once torque is on, s: a fifth of the servos' watchdog, which nobody feeds meanwhile. A controller so
/// fast that its states fill a buffer while the hand is armed tells several in it.
const CATCH_UP_S: f64 = 0.02;

/// A robot on an arm.
#[derive(Debug)]
pub struct Carried<R, A, C> {
    robot: R,
    arm: A,
    clock: C,
    spec: BodySpec,
    reference: [f32; 4],
    commanded: Option<ToolPose>,
}

impl<R: Robot, A: ArmLink, C: Clock> Carried<R, A, C> {
    /// Puts `robot`, which has no tool of its own, on `arm`, whose tool is to be held to the limits of `tool`, and waits
    /// for the arm's first state. The body can tell `signals`. Episodes begin at `start`.
    ///
    /// # Errors
    /// When no state comes within `patience_s`.
    pub fn connect(
        robot: R,
        mut arm: A,
        clock: C,
        tool: ToolSpec,
        signals: Vec<String>,
        start: &ToolPose,
        patience_s: f64,
    ) -> Result<Self, BodyError> {
        let spec = BodySpec { tool: Some(tool), signals, ..robot.spec().clone() };
        let began_s = clock.now_s();
        arm.poll(began_s);
        while arm.state().is_none() {
            if clock.now_s() - began_s > patience_s {
                return Err(silent(&spec));
            }
            clock.wait_until(clock.now_s() + LOOK_S);
            arm.poll(clock.now_s());
        }
        let reference = start.orientation;
        Ok(Self { robot, arm, clock, spec, reference, commanded: None })
    }

    /// The robot without the arm, to look at.
    pub const fn robot(&self) -> &R {
        &self.robot
    }

    /// The arm, to look at.
    pub const fn arm_link(&self) -> &A {
        &self.arm
    }

    /// Takes in what came while nobody heard, and a present state if one comes soon. Whether none does is the failsafe's.
    fn catch_up(&mut self) {
        let began_s = self.clock.now_s();
        self.arm.poll(began_s);
        loop {
            let now_s = self.clock.now_s();
            let is_present = self.arm.age_s(now_s).is_some_and(|age_s| age_s <= PRESENT_S);
            if is_present || now_s - began_s >= CATCH_UP_S {
                return;
            }
            self.clock.wait_until(now_s + LOOK_S);
            self.arm.poll(self.clock.now_s());
        }
    }
}

fn silent(spec: &BodySpec) -> BodyError {
    let reason =
        "the arm has told nothing yet; start its controller and let it send its states to this machine and port".into();
    BodyError::Fault { body: spec.name.clone(), reason }
}

impl<R: Robot, A: ArmLink, C: Clock> Body for Carried<R, A, C> {
    fn spec(&self) -> &BodySpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64) -> Result<(), BodyError> {
        self.robot.reset(seed)
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        self.robot.read(percept)?;
        self.arm.poll(self.clock.now_s());
        let Some(state) = self.arm.state() else { return Err(silent(&self.spec)) };
        let mut measured = ToolPose::from(state.pose);
        let dot: f32 = measured.orientation.iter().zip(&self.reference).map(|(a, b)| a * b).sum();
        if dot < 0.0 {
            measured.orientation = measured.orientation.map(|x| -x);
        }
        self.reference = measured.orientation;
        percept.tool = Some(ToolState {
            measured,
            commanded: self.commanded.unwrap_or(measured),
            force_n: state.force_n.map(|x| x as f32),
            torque_nm: state.torque_nm.map(|x| x as f32),
        });
        Ok(())
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.spec.check_command("targets_rad", targets_rad)?;
        let (tool, joints_rad) = targets_rad.split_at(self.spec.tool_len());
        let wanted = tool.first_chunk().and_then(ToolPose::from_values).ok_or_else(|| {
            let found = std::array::from_fn(|i| targets_rad[3 + i]);
            BodyError::NoRotation { body: self.spec.name.clone(), quantity: "targets_rad", found }
        })?;
        // A setpoint that could not be sent is one that the arm does not hear, and is seen as that.
        if let Ok(sent) = self.arm.send(&wanted.into(), self.clock.now_s()) {
            let sent = ToolPose::from(sent);
            let dot: f32 = sent.orientation.iter().zip(&wanted.orientation).map(|(a, b)| a * b).sum();
            let orientation = sent.orientation.map(|x| if dot < 0.0 { -x } else { x });
            self.commanded = Some(ToolPose { orientation, ..sent });
        }
        self.robot.command(joints_rad)
    }
}

impl<R: Robot, A: ArmLink, C: Clock> Robot for Carried<R, A, C> {
    fn status(&self) -> Option<&HandStatus> {
        self.robot.status()
    }

    fn arm(&self) -> Option<ArmFacts> {
        let state = self.arm.state();
        Some(ArmFacts {
            age_s: self.arm.age_s(self.clock.now_s()),
            unheard_s: self.arm.unheard_s(),
            is_ready: state.is_some_and(|state| state.is_ready),
            has_failed: state.is_some_and(|state| state.has_failed),
        })
    }

    fn torque_on(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<(), BodyError> {
        let done = self.robot.torque_on(is_stopped);
        self.catch_up();
        done
    }

    fn torque_off(&mut self) -> Result<(), BodyError> {
        self.commanded = None;
        // Where that cannot be said, it stops by itself for want of setpoints.
        drop(self.arm.release(self.clock.now_s()));
        self.robot.torque_off()
    }

    fn reduce_current(&mut self, is_reduced: bool) -> Result<(), BodyError> {
        self.robot.reduce_current(is_reduced)
    }

    fn free_held_joints(&mut self, are_free: bool) {
        self.robot.free_held_joints(are_free);
    }

    fn reboot(&mut self, servo_idx: usize) -> Result<(), BodyError> {
        self.robot.reboot(servo_idx)
    }

    fn rearm(&mut self, servo_idx: usize) -> Result<(), BodyError> {
        self.robot.rearm(servo_idx)
    }
}
