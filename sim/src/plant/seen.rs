//! What somebody, or a camera, has seen of a plant, and when: it waits for whoever wants to know.

use bridge::ObjectPose;
use bridge::real::labels::Button;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things that wait for whoever asks; the oldest are forgotten.
const MAX_WAITING: usize = 1024;

/// One object in a picture.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// Which object, in the order of the body's spec.
    pub object_idx: usize,
    /// Where it is, with the noise of the domain.
    pub pose: ObjectPose,
}

/// What was seen, oldest first. Clones are the same.
#[derive(Debug)]
pub struct Seen<T>(Arc<Mutex<VecDeque<(f64, T)>>>);

/// The pictures that a camera has taken.
pub type Sight = Seen<Sighting>;

/// The buttons that somebody beside the hand has pressed.
pub type Presses = Seen<Button>;

impl<T> Seen<T> {
    /// Takes the oldest that is not younger than `time_s`, s on the plant's time; with its time.
    #[must_use]
    pub fn take_until(&self, time_s: f64) -> Option<(f64, T)> {
        let mut waiting = self.lock();
        if waiting.front()?.0 > time_s { None } else { waiting.pop_front() }
    }

    pub(super) fn push(&self, time_s: f64, thing: T) {
        let mut waiting = self.lock();
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back((time_s, thing));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(f64, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}
