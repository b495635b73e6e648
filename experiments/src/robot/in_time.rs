//! What comes from an emulated robot besides its bus and its arm, in the emulator's time: the datagrams of the tracker and
//! the presses of buttons, without a network.

use super::emulation::{Camera, Helper};
use bridge::ObjectPose;
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
