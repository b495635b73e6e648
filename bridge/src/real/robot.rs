//! What the control loop asks of a body that moves for real, besides reading and commanding it.

use super::failsafe::ArmFacts;
use super::status::{HandStatus, Recovery, ServoStatus};
use crate::{Body, BodyError, BodySpec, ObjectPose, Percept};

/// A body with servos, torque and a health. Nothing here paces, `Body::read` and `Body::command` neither: the loop does.
/// All but [`Robot::torque_on`], which may verify and prepare the hand, return within a control period.
pub trait Robot: Body {
    /// What is known about the servos as of the last read. None once the connection is given up.
    fn status(&self) -> Option<&HandStatus>;

    /// What is known of the arm that carries the hand; none without one.
    fn arm(&self) -> Option<ArmFacts> {
        None
    }

    /// What a human says of the body's signals, all of them ([`BodySpec::signals`]); nothing where there are none.
    fn say_signals(&mut self, _are_true: bool) {}

    /// Goal := present, watchdog cleared and armed, torque on, in this order. That may take longer than a human waits with an
    /// emergency stop: `is_stopped` is asked before each servo, and ends it with torque off.
    ///
    /// # Errors
    /// When the servos cannot be told.
    fn torque_on(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<(), BodyError>;

    /// Torque off, all servos; as far as the connection allows.
    ///
    /// # Errors
    /// When the servos cannot be told.
    fn torque_off(&mut self) -> Result<(), BodyError>;

    /// Sets every current limit to its reduced value, or to the hand's own. What is said while torque is off holds from
    /// the next torque on.
    ///
    /// # Errors
    /// When the servos cannot be told.
    fn reduce_current(&mut self, is_reduced: bool) -> Result<(), BodyError>;

    /// Whether joints that the body does not have may go to their places with the commands that follow; nothing where there are none.
    fn free_held_joints(&mut self, _are_free: bool) {}

    /// Begins to reboot one servo. What comes after it (mode, limits, gains, goal := present, torque) is the driver's,
    /// and is seen in the status; so is a driver that refuses, which is no error.
    ///
    /// # Errors
    /// When the connection fails.
    fn reboot(&mut self, servo_idx: usize) -> Result<(), BodyError>;

    /// Makes a servo that its watchdog has stopped follow again: watchdog cleared, goal := present, watchdog armed.
    ///
    /// # Errors
    /// When the connection fails. A servo that does not obey is seen in the status.
    fn rearm(&mut self, servo_idx: usize) -> Result<(), BodyError>;
}

impl ServoStatus {
    /// Whether it does not follow its goal: it has shut itself down, is on its way back, or was stopped by its watchdog.
    #[must_use]
    pub const fn is_down(&self) -> bool {
        self.is_watchdog_tripped
            || self.is_alert
            || !self.hardware_error.is_clear()
            || matches!(self.recovery, Recovery::Rebooting | Recovery::Applying)
    }
}

/// Where the poses of objects come from.
pub trait ObjectSource: Send {
    /// Takes in what has come since the last call. Never waits.
    fn poll(&mut self);

    /// The newest pose of the object with this index and its age in s; none before the first.
    fn newest(&self, object_idx: usize) -> Option<(ObjectPose, f64)>;
}

/// A robot that sees objects through a tracker: it fills [`Percept::objects`] in the order of its spec. Whatever else the
/// body is to tell ([`BodySpec::signals`]) a human says.
///
/// A pose's time is the percept's minus its age, so that its age can be read from the percept alone. An object that was
/// never seen has the age [`NEVER_SEEN_S`] and stands at the origin.
#[derive(Debug)]
pub struct Tracked<R, S> {
    robot: R,
    source: S,
    are_signals_true: bool,
}

/// The age of an object that was never seen, s.
pub const NEVER_SEEN_S: f64 = 1e6;

impl<R: Robot, S: ObjectSource> Tracked<R, S> {
    /// `robot` with the objects of its spec seen by `source`.
    pub const fn new(robot: R, source: S) -> Self {
        Self { robot, source, are_signals_true: false }
    }

    /// The robot without its tracker, to look at.
    pub const fn robot(&self) -> &R {
        &self.robot
    }
}

impl<R: Robot, S: ObjectSource> Body for Tracked<R, S> {
    fn spec(&self) -> &BodySpec {
        self.robot.spec()
    }

    fn reset(&mut self, seed: u64) -> Result<(), BodyError> {
        self.robot.reset(seed)
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        self.robot.read(percept)?;
        self.source.poll();
        percept.objects.clear();
        for object_idx in 0..self.robot.spec().objects.len() {
            let unseen = ObjectPose {
                time_s: 0.0,
                position_m: [0.0; 3],
                orientation: [0.0, 0.0, 0.0, 1.0],
                velocity_m_s: [0.0; 3],
                angular_velocity_rad_s: [0.0; 3],
            };
            let (pose, age_s) = self.source.newest(object_idx).unwrap_or((unseen, NEVER_SEEN_S));
            percept.objects.push(ObjectPose { time_s: percept.time_s - age_s, ..pose });
        }
        percept.signals.clear();
        percept.signals.resize(self.robot.spec().signals.len(), self.are_signals_true);
        Ok(())
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.robot.command(targets_rad)
    }
}

impl<R: Robot, S: ObjectSource> Robot for Tracked<R, S> {
    fn status(&self) -> Option<&HandStatus> {
        self.robot.status()
    }

    fn arm(&self) -> Option<ArmFacts> {
        self.robot.arm()
    }

    fn say_signals(&mut self, are_true: bool) {
        self.are_signals_true = are_true;
    }

    fn torque_on(&mut self, is_stopped: &dyn Fn() -> bool) -> Result<(), BodyError> {
        self.robot.torque_on(is_stopped)
    }

    fn torque_off(&mut self) -> Result<(), BodyError> {
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
