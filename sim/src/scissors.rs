//! Scissors in a case and a tape to cut, for a hand on an arm. The world frame is that of the table: z up, top at height 0.
//!
//! In reading order: [`parameters`] says what everything is; [`wrist`], [`shears`], [`case`] and [`tape`] are it in Rapier
//! and [`world`] puts them together; [`body`] makes it a body in a [`domain`], [`scene`] an environment. [`grip`] knows how
//! a hand takes the scissors ([`grip_search`] where), [`script`] what to do with them, [`demonstrations`] records it.

mod body;
mod case;
mod demonstrations;
mod domain;
mod grip;
mod grip_search;
mod parameters;
mod scene;
mod script;
mod shears;
mod sight;
mod strategy;
mod tape;
mod world;
mod wrist;

pub(crate) use body::ScissorsStart;
pub use body::{ScissorsSnapshot, SimScissors};
pub use demonstrations::collect_scissors;
pub use domain::{Placement, ScissorsDomain, ScissorsDraw, ScissorsJitter};
pub use grip::{Grip, GripConfig};
pub use grip_search::search_grip;
pub use parameters::{CaseParameters, ScissorsParameters, ShearsParameters, TapeParameters, WristParameters};
pub use scene::{Configuration, ScissorsScene};
pub use script::{Cutter, Phase};
pub(crate) use shears::{OVERTURN_RAD, Piece, pieces};
pub use strategy::{Scatter, Strategy};
pub use world::ScissorsWorld;
