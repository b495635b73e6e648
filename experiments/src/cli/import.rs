//! Arguments of `softflow import`.

use bridge::number::{NonNegative, Positive};
use clap::{Args, Subcommand, ValueEnum};
use sim::import::{Assumed, Coupled, Options};
use std::path::PathBuf;

/// Arguments of `softflow import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// What is read.
    #[command(subcommand)]
    pub what: Import,
}

/// What can be imported.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// A hand: URDF or MJCF.
    #[command(
        after_help = "Examples:\n  softflow import hand allegro_hand_right.urdf --out hands/allegro.ron\n  softflow import hand \
                            hand/reach.xml --palm robot0:palm --coupled free --out hands/shadow.ron\n\nWhat was assumed, \
                            approximated or left out is told, and stands at the top of the description."
    )]
    Hand(HandArgs),
}

/// Arguments of `softflow import hand`.
#[derive(Debug, Args)]
pub struct HandArgs {
    /// The file: .urdf or .xml.
    pub file: PathBuf,
    /// The description; standard output unless given.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Name of the hand; that of the description's file unless given, else the file's own.
    #[arg(long)]
    pub name: Option<String>,
    /// Link or body that is the palm; where the fingers meet unless given.
    #[arg(long)]
    pub palm: Option<String>,
    /// Which of the palm's axes are x (to the finger tips), y and z (out of the back of the hand); guessed unless given.
    #[arg(long, value_name = "X,Y,Z", allow_hyphen_values = true)]
    pub frame: Option<String>,
    /// Folder that nothing is read from outside of; the file's own unless given.
    #[arg(long)]
    pub root: Option<PathBuf>,
    /// The joint before the palm turns it, as the hand's wrist; without this it is held at zero, as those before it.
    #[arg(long)]
    pub wrist: bool,
    /// What becomes of joints that follow others.
    #[arg(long, value_enum, default_value = "refuse")]
    pub coupled: CoupledJoints,
    /// Stiffness of motors that the file has no gains of, N m/rad.
    #[arg(long, default_value = "3", value_parser = super::positive, value_name = "NM_RAD")]
    pub stiffness: Positive,
    /// Damping of motors that the file has no gains of, N m s/rad.
    #[arg(long, default_value = "0.1", value_parser = non_negative, value_name = "NM_S_RAD")]
    pub damping: NonNegative,
    /// Highest torque of motors that the file has no limit of, N m.
    #[arg(long, default_value = "0.5", value_parser = super::positive, value_name = "NM")]
    pub effort: Positive,
    /// Fastest target of joints that the file has no limit of, rad/s.
    #[arg(long, default_value = "6", value_parser = super::positive, value_name = "RAD_S")]
    pub rate: Positive,
    /// Inertia of rotors that the file does not say, as their joints feel it, kg m^2.
    #[arg(long, default_value = "0.0005", value_parser = super::positive, value_name = "KG_M2")]
    pub armature: Positive,
    /// Print origins and notes as JSON on standard output; needs --out.
    #[arg(long, requires = "out")]
    pub json: bool,
}

/// What becomes of a joint that follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CoupledJoints {
    /// The hand is refused.
    Refuse,
    /// It gets a motor of its own: the hand can do more than the real one.
    Free,
    /// It is held: the hand can do less than the real one.
    Frozen,
}

impl HandArgs {
    /// How the file is read.
    #[must_use]
    pub fn options(&self) -> Options {
        let stem = self.out.as_deref().and_then(|out| out.file_stem()).and_then(|stem| stem.to_str());
        Options {
            name: self.name.clone().or_else(|| stem.map(str::to_owned)),
            palm: self.palm.clone(),
            frame: self.frame.clone(),
            root: self.root.clone(),
            has_wrist: self.wrist,
            coupled: match self.coupled {
                CoupledJoints::Refuse => Coupled::Refuse,
                CoupledJoints::Free => Coupled::Free,
                CoupledJoints::Frozen => Coupled::Frozen,
            },
            assumed: Assumed {
                stiffness_nm_rad: self.stiffness,
                damping_nm_s_rad: self.damping,
                max_effort_nm: self.effort,
                max_rate_rad_s: self.rate,
                armature_kg_m2: self.armature,
            },
        }
    }
}

fn non_negative(text: &str) -> Result<NonNegative, String> {
    let number: f64 = text.parse().map_err(|error| format!("found {text:?}, expected a number: {error}"))?;
    NonNegative::try_from(number).map_err(|error| error.to_string())
}
