//! The three ways to show a rollout, and what they share.
//!
//! In reading order: the [`rollout`], which is a [`play`] or a [`replay`], is shown in a [`window`], as a [`recording`] or as
//! [`text`]. What belongs to one task is in [`cube`] and [`scissors`].
//!
//! Invariants:
//! - Bevy never steps the physics: it is told poses, and draws them.
//! - [`rollout`] and everything below it knows nothing of Bevy.

pub mod arguments;
pub mod error;
pub mod recording;
pub mod text;
pub mod window;

mod animation;
mod attempt;
mod chronicle;
mod clock;
mod cube;
mod curve;
mod dashboard;
mod driver;
mod filmed;
mod footage;
mod keys;
mod limits;
mod mouse;
mod offscreen;
mod orbit;
mod overlay;
mod pad;
mod paint;
mod palette;
mod pickers;
mod picture;
mod play;
mod policy;
mod props;
mod pull;
mod ray;
mod reading;
mod recorder;
mod replay;
mod rollout;
mod scissors;
mod steering;
mod studio;
mod takes;
mod thought;
