//! What commands say about hands and robots.

use super::positive;
use bridge::number::Positive;
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the body is: the only thing that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Rapier.
    Sim,
    /// Emulated servos, driven as a real hand is.
    Emulated,
    /// A hand at a serial port.
    Real,
}

impl Backend {
    /// Name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Emulated => "emulated",
            Self::Real => "real",
        }
    }
}

/// Which robot, for the backends emulated and real.
#[derive(Clone, Debug, Default, Args)]
pub struct RobotArgs {
    /// File of the robot; that of the run, or the one that comes with the hand, unless given.
    #[arg(long)]
    pub robot: Option<PathBuf>,
    /// Serial port of the real hand, instead of the robot's.
    #[arg(long)]
    pub port: Option<PathBuf>,
    /// Calibration of the real hand, instead of the robot's.
    #[arg(long)]
    pub calibration: Option<PathBuf>,
    /// Address on which poses of the objects are received, instead of the robot's.
    #[arg(long)]
    pub tracker: Option<SocketAddr>,
    /// Gamepad of whoever stands beside the real hand, by its path or a part of its name, instead of the robot's.
    #[arg(long)]
    pub gamepad: Option<String>,
    /// Address of the real arm's controller, instead of the robot's.
    #[arg(long)]
    pub arm: Option<SocketAddr>,
    /// File of what goes wrong with the emulated hand.
    #[arg(long)]
    pub faults: Option<PathBuf>,
    /// Run the emulated hand in real time behind a pseudo-terminal, the loop on threads of its own; else as fast as the
    /// machine can, the same every time.
    #[arg(long)]
    pub real_time: bool,
}

/// Arguments of `softflow doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// What is looked at besides this machine.
    #[arg(long, value_enum, default_value = "sim")]
    pub backend: Backend,
    /// The task; with scissors an arm carries the hand, and is looked at.
    #[arg(long, value_enum, default_value = "cube")]
    pub task: HandTask,
    /// The hand; `softflow tasks` lists them.
    #[arg(long, default_value = "orca_v2")]
    pub hand: String,
    /// Which robot.
    #[command(flatten)]
    pub robot: RobotArgs,
    /// How long the loop, the tracker and the arm are looked at, s.
    #[arg(long, default_value = "10", value_parser = positive)]
    pub seconds: Positive,
    /// Move every joint a little, one after the other. The hand has to be free, and somebody has to watch.
    #[arg(long = "move")]
    pub may_move: bool,
    /// Do not ask whether the hand is free to move.
    #[arg(long, requires = "may_move")]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `softflow calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Which hand: a real one, or the emulated one for practice.
    #[arg(long, value_enum, default_value = "real")]
    pub backend: Backend,
    /// Its description; `softflow tasks` lists them.
    #[arg(long, default_value = "orca_v2")]
    pub hand: String,
    /// Which robot.
    #[command(flatten)]
    pub robot: RobotArgs,
    /// Serial number of the hand; it stands in the file.
    #[arg(long)]
    pub serial: String,
    /// The file that is written.
    #[arg(long)]
    pub out: PathBuf,
    /// Do not ask whether the hand is free to move.
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `softflow emulate`.
#[derive(Debug, Args)]
pub struct EmulateArgs {
    /// The task.
    pub task: HandTask,
    /// The hand; `softflow tasks` lists them.
    #[arg(long, default_value = "orca_v2")]
    pub hand: String,
    /// The domain of the hand behind the servos; `softflow tasks` lists them. The task's nominal one unless given.
    #[arg(long)]
    pub domain: Option<String>,
    /// File of the robot; the one that comes with the hand unless given.
    #[arg(long)]
    pub robot: Option<PathBuf>,
    /// File of what goes wrong.
    #[arg(long, conflicts_with = "soak")]
    pub faults: Option<PathBuf>,
    /// Random faults that a robot recovers from, drawn with --seed.
    #[arg(long)]
    pub soak: bool,
    /// Time of the emulated hand over that of the clock.
    #[arg(long, default_value = "1", value_parser = positive)]
    pub speed: Positive,
    /// Where the poses of the objects are sent.
    #[arg(long, default_value = "127.0.0.1:7401")]
    pub tracker: SocketAddr,
    /// Where somebody beside the hand says by buttons what cannot be seen of a success.
    #[arg(long, default_value = "127.0.0.1:7402")]
    pub buttons: SocketAddr,
    /// Where the states of the emulated arm are sent.
    #[arg(long, default_value = "127.0.0.1:7410")]
    pub arm: SocketAddr,
    /// Where the emulated arm receives setpoints.
    #[arg(long, default_value = "127.0.0.1:7411")]
    pub arm_controller: SocketAddr,
    /// Write the hand's calibration to this file.
    #[arg(long)]
    pub write_calibration: Option<PathBuf>,
    /// Seed of what is laid out, of the sensors' noise and of --soak.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// End after this time of the clock, s; else it goes on until it is killed.
    #[arg(long, value_parser = positive)]
    pub seconds: Option<Positive>,
}

/// The tasks of a hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HandTask {
    /// Turn a cube in a palm-down hand.
    Cube,
    /// Take scissors from their case and cut a tape, with a hand on an arm.
    Scissors,
}

impl HandTask {
    /// Its nominal domain.
    #[must_use]
    pub const fn nominal_domain(self) -> &'static str {
        match self {
            Self::Cube => "nominal",
            Self::Scissors => "scissors_nominal",
        }
    }
}
