//! A simulated hand that is filmed: after every servo tick it keeps what there is to see.
//!
//! A control step lasts several servo ticks, too long for a smooth picture. Filming the body shows every tick as it was
//! instead of inventing what lies between two steps.

use bridge::{Body, BodyError, BodySpec, ObjectPose, Percept};
use sim::{Contact, SimHand};
use std::collections::VecDeque;

/// What there is to see after one servo tick.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Position (m) and unit quaternion (x, y, z, w) of each part of the world.
    pub part_poses: Vec<([f32; 3], [f32; 4])>,
    /// Where the cube is touched.
    pub contacts: Vec<Contact>,
    /// The cube as it really is, without sensor noise.
    pub cube: ObjectPose,
}

/// A simulated hand and the frames that were not shown yet, oldest first.
pub struct Filmed {
    hand: SimHand,
    frames: VecDeque<Frame>,
}

impl Filmed {
    /// Films `hand`.
    pub const fn new(hand: SimHand) -> Self {
        Self { hand, frames: VecDeque::new() }
    }

    /// The hand.
    pub const fn hand(&self) -> &SimHand {
        &self.hand
    }

    /// The hand, to push or to reconfigure.
    pub const fn hand_mut(&mut self) -> &mut SimHand {
        &mut self.hand
    }

    /// Takes the oldest frame.
    pub fn take_frame(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    fn film(&mut self) {
        let world = self.hand.world();
        self.frames.push_back(Frame {
            part_poses: (0..world.parts().len()).map(|part| world.part_pose(part)).collect(),
            contacts: world.cube_contacts(),
            cube: self.hand.cube_pose(),
        });
    }
}

impl Body for Filmed {
    fn spec(&self) -> &BodySpec {
        self.hand.spec()
    }

    /// Forgets the frames of the episode before; the new one begins with a frame of its start.
    fn reset(&mut self, seed: u64) -> Result<(), BodyError> {
        self.hand.reset(seed)?;
        self.frames.clear();
        self.film();
        Ok(())
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        self.hand.read(percept)
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.hand.command(targets_rad)?;
        self.film();
        Ok(())
    }
}
