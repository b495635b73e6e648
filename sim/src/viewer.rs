//! The three ways to show a rollout, and what they share.
//!
//! In reading order: the [`rollout`] is shown in a [`window`], as a [`recording`] or as [`text`].
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
mod clock;
mod driver;
mod filmed;
mod offscreen;
mod orbit;
mod overlay;
mod paint;
mod palette;
mod picture;
mod policy;
mod reading;
mod recorder;
mod rollout;
mod studio;
