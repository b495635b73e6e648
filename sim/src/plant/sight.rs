//! What a camera over the hand has seen.

use bridge::ObjectPose;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pictures that wait for whoever looks; the oldest are forgotten.
const MAX_WAITING: usize = 256;

/// One picture of the cube.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// When it was taken, s on the plant's time.
    pub time_s: f64,
    /// What it shows, with the noise of the domain.
    pub pose: ObjectPose,
}

/// The pictures that a camera has taken, oldest first. Clones look through the same camera.
#[derive(Clone, Debug, Default)]
pub struct Sight(Arc<Mutex<VecDeque<Sighting>>>);

impl Sight {
    /// Takes the oldest picture that is not younger than `time_s`.
    #[must_use]
    pub fn take_until(&self, time_s: f64) -> Option<Sighting> {
        let mut sightings = self.lock();
        if sightings.front()?.time_s > time_s { None } else { sightings.pop_front() }
    }

    pub(super) fn push(&self, sighting: Sighting) {
        let mut sightings = self.lock();
        if sightings.len() == MAX_WAITING {
            sightings.pop_front();
        }
        sightings.push_back(sighting);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Sighting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
