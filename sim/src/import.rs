//! Hands of others: a URDF or MJCF file becomes a hand description like those in `assets/hands/`.
//!
//! A file is read into a tree of links (`urdf`, `mjcf`), whose palm and fingers become a table (`fingers`). Converting beats
//! loading as it is: a hand whose fingers are trees of their own is several times as fast as one tree of all its joints. The loaders
//! that come with Rapier build such a tree; `mjcf-rs` and `urdf-rs` keep no lines for errors and leave out, without a word, what is
//! included within a body: so the reading is done here, on XML alone.
//!
//! Read are links and bodies with their inertia, hinges with axis, range, damping and armature, limits of effort and velocity,
//! gains of position actuators, defaults, includes, frames. What has no place in a description is a note or an error, with file, line
//! and name; a joint is never lost.
//!
//! - Fixed joints are folded into their parents. Joints before the palm are held where they are at zero; the last of them turns
//!   the palm, as the hand's wrist, if the caller says so.
//! - Boxes, capsules and balls are taken as they are. A cylinder becomes a capsule or a box, a mesh what fits it; the notes say how
//!   far that is off.
//! - A description turns every joint by a motor of its own: joints that follow others need a word from the caller, [`Coupled`].
//! - Slides, balls, hinges without a range, fingers that branch and closed loops are refused.
//! - Files: no absolute path, none outside of the root folder, no text larger than 4 MiB and no mesh larger than 32 MiB.

mod drives;
mod element;
mod error;
mod files;
mod fingers;
mod fit;
mod frame;
mod mesh;
mod mjcf;
mod names;
mod table;
mod tree;
mod urdf;

pub use error::ImportError;

use crate::Hand;
use bridge::number::{NonNegative, Positive};
use files::Files;
use std::path::{Path, PathBuf};

/// How a file is read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the hand; the file's own unless given.
    pub name: Option<String>,
    /// Link or body that is the palm; where the fingers meet unless given.
    pub palm: Option<String>,
    /// Which of the palm's axes are x (to the finger tips), y and z (out of the back), e.g. `+z,-x,-y`; guessed unless given.
    pub frame: Option<String>,
    /// Folder that nothing is read from outside of; the file's own unless given.
    pub root: Option<PathBuf>,
    /// Whether the joint before the palm turns it, as the hand's wrist; else it is held at zero, as those before it.
    pub has_wrist: bool,
    /// What becomes of joints that follow others.
    pub coupled: Coupled,
    /// What the file does not say.
    pub assumed: Assumed,
}

/// What becomes of a joint that follows another: by a tendon, by an equation, by mimicking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coupled {
    /// The hand is refused.
    Refuse,
    /// It turns by a motor of its own: the hand can do more than the real one.
    Free,
    /// It stays where it is while what it follows is at rest: the hand can do less than the real one.
    Frozen,
}

/// What files often do not say of a joint.
#[derive(Clone, Copy, Debug)]
pub struct Assumed {
    /// Stiffness of a motor, N m/rad.
    pub stiffness_nm_rad: Positive,
    /// Damping of a motor, N m s/rad.
    pub damping_nm_s_rad: NonNegative,
    /// Highest torque, N m.
    pub max_effort_nm: Positive,
    /// Fastest target, rad/s.
    pub max_rate_rad_s: Positive,
    /// Inertia of the rotor, kg m^2.
    pub armature_kg_m2: Positive,
}

/// A hand that was read.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its description: RON.
    pub text: String,
    /// The hand.
    pub hand: Hand,
    /// The link that is the palm.
    pub palm: String,
    /// Which of its axes are x, y and z of the hand, e.g. `+z,-x,-y`.
    pub frame: String,
    /// Where the joints come from, in the hand's order.
    pub origins: Vec<JointOrigin>,
    /// What was assumed, approximated, held or left out.
    pub notes: Vec<String>,
}

/// Where a joint comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JointOrigin {
    /// What the file calls it.
    pub joint: String,
    /// The link or body that it moves.
    pub link: String,
}

/// Reads the hand in the file at `path`: URDF if it ends in `.urdf`, else whatever its first element says.
///
/// # Errors
/// When the file, or one that it includes, cannot be read; or there is no hand in it that can be described here.
pub fn hand(path: &Path, options: &Options) -> Result<Imported, ImportError> {
    let (files, name) = Files::new(path, options.root.as_deref())?;
    let document = files.document(&name)?;
    let tree = match document.tag.as_str() {
        "robot" => urdf::read(&document, &files)?,
        "mujoco" => mjcf::read(document, &files)?,
        tag => return Err(document.error(format!("found <{tag}>, expected <robot> of a URDF or <mujoco> of an MJCF"))),
    };
    fingers::build(tree, &files.source_name(), options)
}
