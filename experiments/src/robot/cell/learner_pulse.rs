//! The learner's pulse, which a script of faults may silence.

use bridge::real::clock::Clock;
use bridge::real::emulator::SharedEmulator;
use bridge::real::newest::Pulse;

/// The learner's signs of life, but for what a script of faults makes of them.
pub(super) struct LearnerPulse<C: Clock> {
    pub(super) pulse: Pulse<C>,
    pub(super) emulator: Option<SharedEmulator>,
}

impl<C: Clock> LearnerPulse<C> {
    pub(super) fn beat(&self) {
        if !self.emulator.as_ref().is_some_and(|emulator| emulator.lock().is_learner_silent()) {
            self.pulse.beat();
        }
    }
}
