//! An emulated arm: the controller's side of the link, and behind it a plant's physics.
//!
//! The plant lets it take part in every step: it says where the arm is and is told where to pull it. Whoever carries
//! datagrams to and fro, through memory or by UDP, gives it what came and takes what it tells. Time is the plant's.

use super::SharedEmulator;
use crate::ToolState;
use crate::real::arm::{ArmController, ArmError, ArmLink, ArmPose, ArmSession, ArmState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An emulated arm. Clones are the same arm.
#[derive(Clone, Debug)]
pub struct EmulatedArm(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    controller: ArmController,
    now_s: f64,
    state: Option<ArmState>,
    is_told: bool,
    has_failed: bool,
}

impl EmulatedArm {
    /// An arm that has heard nothing. `session` is any number.
    #[must_use]
    pub fn new(session: u32) -> Self {
        let controller = ArmController::new(session);
        Self(Arc::new(Mutex::new(Inner { controller, now_s: 0.0, state: None, is_told: true, has_failed: false })))
    }

    /// Takes part in a step of the plant at `now_s`, with the tool as `felt`; the pose that it is pulled to, or none where
    /// the present one is held.
    #[must_use]
    pub fn step(&self, now_s: f64, felt: &ToolState) -> Option<ArmPose> {
        let mut inner = self.lock();
        inner.now_s = now_s;
        inner.state = Some(ArmState {
            pose: felt.measured.into(),
            force_n: felt.force_n.map(f64::from),
            torque_nm: felt.torque_nm.map(f64::from),
            is_ready: !inner.has_failed,
            has_failed: inner.has_failed,
            round_trip_s: None,
        });
        inner.is_told = false;
        inner.controller.target(now_s).filter(|_| !inner.has_failed)
    }

    /// Takes in a datagram. One that is refused is not used.
    pub fn hear(&self, frame: &[u8]) {
        let mut inner = self.lock();
        let now_s = inner.now_s;
        inner.controller.hear(frame, now_s).ok();
    }

    /// Writes the datagram of a state that was not told yet into `frame`; whether there is one.
    pub fn tell(&self, frame: &mut Vec<u8>) -> bool {
        let mut inner = self.lock();
        let (Some(state), false) = (inner.state, inner.is_told) else { return false };
        inner.is_told = true;
        let now_s = inner.now_s;
        inner.controller.tell(&state, now_s, frame);
        true
    }

    /// It fails, or is well again.
    pub fn set_failed(&self, has_failed: bool) {
        self.lock().has_failed = has_failed;
    }

    /// The newest setpoint, and whether it is engaged.
    #[must_use]
    pub fn setpoint(&self) -> Option<(ArmPose, bool)> {
        self.lock().controller.setpoint()
    }

    /// Where it is; none before the plant's first step.
    #[must_use]
    pub fn state(&self) -> Option<ArmState> {
        self.lock().state
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cable to an emulated arm, as far as the script of faults lets anything through.
#[derive(Clone, Debug)]
pub struct ArmCable {
    emulator: SharedEmulator,
    arm: EmulatedArm,
}

impl ArmCable {
    /// A cable to `arm`, with the faults of `emulator`.
    #[must_use]
    pub const fn new(emulator: SharedEmulator, arm: EmulatedArm) -> Self {
        Self { emulator, arm }
    }

    /// Carries a datagram to the arm.
    pub fn hear(&self, frame: &[u8]) {
        let does_hear = {
            let emulator = self.emulator.lock();
            !emulator.is_arm_silent() && !emulator.is_arm_deaf()
        };
        if does_hear {
            self.arm.hear(frame);
        }
    }

    /// Writes the datagram of a state that was not told yet into `frame`; whether there is one.
    pub fn tell(&self, frame: &mut Vec<u8>) -> bool {
        let (is_silent, has_failed) = {
            let emulator = self.emulator.lock();
            (emulator.is_arm_silent(), emulator.has_arm_failed())
        };
        self.arm.set_failed(has_failed);
        !is_silent && self.arm.tell(frame)
    }
}

/// Our end of the cable in memory: the link to an emulated arm in the emulator's time.
#[derive(Debug)]
pub struct MemoryArm {
    session: ArmSession,
    cable: ArmCable,
    frame: Vec<u8>,
}

impl MemoryArm {
    /// A link that has said nothing yet.
    #[must_use]
    pub const fn new(session: ArmSession, cable: ArmCable) -> Self {
        Self { session, cable, frame: Vec::new() }
    }
}

impl ArmLink for MemoryArm {
    fn poll(&mut self, now_s: f64) {
        while self.cable.tell(&mut self.frame) {
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

    fn unheard_s(&self) -> f64 {
        self.session.unheard_s()
    }

    fn send(&mut self, wanted: &ArmPose, now_s: f64) -> Result<ArmPose, ArmError> {
        let (applied, frame) = self.session.setpoint(wanted, now_s)?;
        self.cable.hear(frame);
        Ok(applied)
    }

    fn release(&mut self, now_s: f64) -> Result<(), ArmError> {
        self.cable.hear(self.session.release(now_s));
        Ok(())
    }
}
