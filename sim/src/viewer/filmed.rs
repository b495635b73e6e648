//! A simulated body that is filmed: after every servo tick it keeps what there is to see.
//!
//! A control step lasts several servo ticks, too long for a smooth picture. Filming the body shows every tick as it was
//! instead of inventing what lies between two steps. Whoever watches holds the [`Reel`]; the body is behind its governor.

use crate::viewer::pull::Pull;
use bridge::{Body, BodyError, BodySpec, Percept};
use sim::{Contact, Dump, Part, Simulated};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What there is to see after one servo tick.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Position (m) and unit quaternion (x, y, z, w) of each part of the world.
    pub part_poses: Vec<([f32; 3], [f32; 4])>,
    /// Where the objects are touched.
    pub contacts: Vec<Contact>,
    /// Everything as it really is, without sensor noise.
    pub truth: Percept,
}

/// What goes between a filmed body and who watches it.
#[derive(Clone, Default)]
pub struct Reel(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    /// Not shown yet, oldest first.
    frames: VecDeque<Frame>,
    /// Pushes on objects that are due before the next tick, N s.
    pushes: Vec<(usize, [f32; 3])>,
    /// What pulls on an object in every tick.
    pull: Option<Pull>,
    /// Why the body's physics failed.
    fault: Option<String>,
}

/// A simulated body and its reel.
pub struct Filmed {
    body: Box<dyn Simulated>,
    reel: Reel,
    /// As it was before a tick.
    truth: Percept,
}

impl Reel {
    /// Takes the oldest frame.
    pub fn take_frame(&self) -> Option<Frame> {
        self.contents().frames.pop_front()
    }

    /// Takes what the body said when its physics failed.
    pub fn take_fault(&self) -> Option<String> {
        self.contents().fault.take()
    }

    /// Gives object `object` a push before the next tick, N s.
    pub fn push(&self, object: usize, impulse_n_s: [f32; 3]) {
        self.contents().pushes.push((object, impulse_n_s));
    }

    /// Pulls on an object from the next tick on, or lets go of it.
    pub fn pull(&self, pull: Option<Pull>) {
        self.contents().pull = pull;
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filmed {
    /// Films `body` onto `reel`.
    pub fn new(body: Box<dyn Simulated>, reel: &Reel) -> Self {
        Self { body, reel: reel.clone(), truth: Percept::default() }
    }

    /// Shapes of everything that there is to see, in the order of [`Frame::part_poses`].
    pub fn parts(&self) -> Vec<Part> {
        self.body.engine().parts().copied().collect()
    }

    /// Does what `dump` has for servo period `tick`; false where it ends.
    ///
    /// # Errors
    /// When the body fails.
    pub fn replay(&mut self, dump: &Dump, tick: usize) -> Result<bool, BodyError> {
        let is_done = dump.tick(tick, self.body.as_mut())?;
        if is_done {
            self.film();
        }
        Ok(is_done)
    }

    fn film(&self) {
        let engine = self.body.engine();
        let mut truth = Percept::default();
        self.body.truth(&mut truth);
        self.reel.contents().frames.push_back(Frame {
            part_poses: (0..engine.parts().len()).map(|part| engine.part_pose(part)).collect(),
            contacts: self.body.contacts(),
            truth,
        });
    }
}

impl Body for Filmed {
    fn spec(&self) -> &BodySpec {
        self.body.spec()
    }

    /// Forgets the episode before; the new one begins with a frame of its start.
    fn reset(&mut self, seed: u64) -> Result<(), BodyError> {
        self.body.reset(seed)?;
        *self.reel.contents() = Contents::default();
        self.film();
        Ok(())
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        self.body.read(percept)
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        let (pushes, pull) = {
            let mut contents = self.reel.contents();
            (std::mem::take(&mut contents.pushes), contents.pull)
        };
        for (object, impulse_n_s) in pushes {
            self.body.push(object, impulse_n_s);
        }
        if let Some(pull) = pull {
            self.body.truth(&mut self.truth);
            if let Some(object) = self.truth.objects.get(pull.object_idx) {
                let per_tick_s = 1.0 / self.body.spec().servo_hz as f32;
                self.body.push(pull.object_idx, pull.force_n(object).map(|force_n| force_n * per_tick_s));
            }
        }
        if let Err(error) = self.body.command(targets_rad) {
            self.reel.contents().fault = Some(error.to_string());
            return Err(error);
        }
        self.film();
        Ok(())
    }
}
