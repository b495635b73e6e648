//! A hand for other simulators: MJCF and URDF, from the table that our own physics is built from; and the scissors, as MJCF.
//!
//! Both trees start at the palm, whose frame is the hand frame, or at the forearm of a hand with a wrist; a link's frame is on
//! its joint and aligned with the palm where all joints are at zero. Links are what the physics has: uniform capsules or what
//! their form says, and at the end the ball of the tip.
//!
//! What a format has no words for stands in its first comment: a URDF has no gains and no armature, neither has a limit on
//! how fast a target moves.

mod mjcf;
mod scissors;
mod urdf;
mod xml;

pub use mjcf::mjcf;
pub use scissors::mjcf_scissors;
pub use urdf::urdf;

use crate::hand::Hand;

/// What the tree starts at, in words.
fn base_of(hand: &Hand) -> &'static str {
    if hand.wrist.is_some() { "forearm" } else { "palm" }
}

/// What the y axis of a hand's frame points to, in words.
fn y_of(hand: &Hand) -> &'static str {
    if hand.is_mirrored { "away from the thumb" } else { "to the thumb side" }
}
