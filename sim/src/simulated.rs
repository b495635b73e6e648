//! What every simulated body offers besides being one.

use crate::contact::Contact;
use crate::engine::Engine;
use bridge::{Body, Percept};

/// A body whose world can be looked into.
pub trait Simulated: Body + Sync {
    /// The physics, to look at.
    fn engine(&self) -> &Engine;

    /// Writes what a perfect observer would perceive: everything as it really is, without noise.
    fn truth(&self, percept: &mut Percept);

    /// Where the objects that the hand handles are touched, and the forces on them in the last substep of the last step.
    fn contacts(&self) -> Vec<Contact>;

    /// Gives object `object` of the body's spec a push through its origin, N s. What is fixed does not move.
    fn push(&mut self, object: usize, impulse_n_s: [f32; 3]);
}
