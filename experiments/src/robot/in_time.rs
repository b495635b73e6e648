//! What goes to and comes from an emulated robot besides its bus, in the emulator's time: the datagrams of tracker and arm
//! and the presses of buttons, without a network.

use super::emulation::{Camera, Helper, Wrist};
use bridge::ObjectPose;
use bridge::real::arm::{ArmError, ArmLink, ArmPose, ArmSession, ArmState};
use bridge::real::labels::{Button, LabelSource};
use bridge::real::robot::ObjectSource;
use bridge::real::tracker::Intake;

/// The tracker.
#[derive(Debug)]
pub struct InTimeTracker {
    camera: Camera,
    intake: Intake,
    frame: Vec<u8>,
}

impl InTimeTracker {
    pub(super) const fn new(camera: Camera, intake: Intake) -> Self {
        Self { camera, intake, frame: Vec::new() }
    }
}

impl ObjectSource for InTimeTracker {
    fn poll(&mut self) {
        while let Some(arrival_s) = self.camera.next_frame(&mut self.frame) {
            // What is refused is not used; a tracker that is silent is seen by its age.
            self.intake.take(&self.frame, arrival_s).ok();
        }
    }

    fn newest(&self, object_idx: usize) -> Option<(ObjectPose, f64)> {
        self.intake.newest(object_idx, self.camera.emulator.lock().now().as_secs_f64())
    }
}

/// The buttons.
#[derive(Debug)]
pub struct InTimeButtons {
    helper: Helper,
}

impl InTimeButtons {
    pub(super) const fn new(helper: Helper) -> Self {
        Self { helper }
    }
}

impl LabelSource for InTimeButtons {
    fn next(&mut self) -> Option<Button> {
        self.helper.next()
    }
}

/// The arm link.
#[derive(Debug)]
pub struct InTimeArm {
    session: ArmSession,
    wrist: Wrist,
    frame: Vec<u8>,
}

impl InTimeArm {
    pub(super) const fn new(session: ArmSession, wrist: Wrist) -> Self {
        Self { session, wrist, frame: Vec::new() }
    }
}

impl ArmLink for InTimeArm {
    fn poll(&mut self, now_s: f64) {
        while self.wrist.tell(&mut self.frame) {
            // What is refused is not used; an arm that is silent is seen by the age of its state.
            self.session.take(&self.frame, now_s).ok();
        }
    }

    fn state(&self) -> Option<&ArmState> {
        self.session.state()
    }

    fn age_s(&self, now_s: f64) -> Option<f64> {
        self.session.age_s(now_s)
    }

    fn send(&mut self, wanted: &ArmPose, now_s: f64) -> Result<ArmPose, ArmError> {
        let (applied, frame) = self.session.setpoint(wanted, now_s)?;
        self.wrist.hear(frame);
        Ok(applied)
    }

    fn release(&mut self, now_s: f64) -> Result<(), ArmError> {
        self.wrist.hear(self.session.release(now_s));
        Ok(())
    }
}
