//! A simulated hand with what it handles: one [`bridge::Body`] made of Rapier, and everything that goes with it as data.
//!
//! A [`Hand`] is a table of joints and links. A [`World`] is that hand with a cube in Rapier; a [`SimHand`] makes it a
//! body, a [`Simulated`] one, in a [`Domain`] that says how far it is from its real twin. A [`CubeScene`] puts all of it together and offers
//! it as an environment. A [`Gait`] turns the cube; a [`Demonstrator`] plays gaits, [`collect`] records them and
//! [`search_gait`] finds new ones. [`export`] writes a hand for other simulators, [`import`](mod@import) reads one of others.
//!
//! A [`CubePlant`] is the same hand behind the shafts of emulated servos: to them it is the robot. A [`ScissorsPlant`] is that
//! with an emulated arm.
//!
//! The scissors task has the same hand on an arm: a [`ScissorsWorld`], a [`SimScissors`] in a [`ScissorsDomain`], a
//! [`ScissorsScene`]. A [`Strategy`] says how to take the scissors with a [`Grip`] and how to cut; a [`Cutter`] plays it,
//! [`collect_scissors`] records it and [`search_grip`] finds grips.
//!
//! Invariants:
//! - The same seed gives the same bits, on any number of threads and after any snapshot.
//! - The physics never panics into its caller: what blows up is a [`bridge::BodyError::SimFault`], and a [`Dump`]
//!   leads to it again.
//! - The hand frame, which is the palm's, has x to the finger tips, y to the thumb side, z out of the back; a mirror image has
//!   its thumb on the other side. Around the cube it is the world frame too, z up; around the scissors the world frame is that of
//!   the table.
//! - Without the feature `viewer` nothing here draws, and nothing here learns.

pub mod export;
pub mod import;
pub mod kinematics;

mod asset;
mod collision;
mod contact;
mod demonstrator;
mod domain;
mod dump;
mod engine;
mod fault;
mod gait;
mod gait_table;
mod hand;
mod hand_file;
mod hand_variant;
mod inertia;
mod latch;
mod mirror;
mod parts;
mod plant;
mod scene;
mod schedule;
mod scissors;
mod search;
mod sensors;
mod sim_hand;
mod simulated;
mod solid;
mod transmission;
mod world;

pub use asset::AssetError;
pub use collision::FingerContacts;
pub use contact::Contact;
pub use demonstrator::{DemonstrationError, Demonstrator, collect, demonstration_seeds, perturb};
pub use domain::{Domain, EpisodeDraw, Jitter, PoseNoise};
pub use dump::{Dump, DumpError, FAULT_FOLDER, Origin, Push};
pub use engine::{Engine, PHYSICS_HZ, Surroundings, WorldSnapshot};
pub use fault::PhysicsFault;
pub use gait::{FingerGait, Gait};
pub use gait_table::{GaitTable, N_SAMPLES};
pub use hand::{Finger, Form, Hand, Joint, Link, Motor, Tip};
pub use parts::{Part, PartKind, Shape};
pub use plant::{CubePlant, Presses, ScissorsPlant, Seen, Sight, Sighting, emulated_calibration};
pub use scene::{CubeScene, Demonstration, DemonstrationConfig};
pub use scissors::{
    CaseParameters, Configuration, Cutter, Grip, GripConfig, Phase, Placement, Scatter, ScissorsDomain, ScissorsDraw,
    ScissorsJitter, ScissorsParameters, ScissorsScene, ScissorsSnapshot, ScissorsWorld, ShearsParameters, SimScissors,
    Strategy, TapeParameters, WristParameters, collect_scissors, search_grip,
};
pub use search::{GaitScore, SearchOptions, SearchProgress, search_gait};
pub use sim_hand::{SERVO_HZ, SimHand, Snapshot, Start};
pub use simulated::Simulated;
pub use solid::Solid;
pub use transmission::{PLAY_LASTS_S, Transmission};
pub use world::{Cube, World};
