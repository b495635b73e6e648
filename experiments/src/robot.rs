//! Real hands, and those that stand for them: what `--backend emulated` and `--backend real` mean.
//!
//! ```text
//! RobotSession -- policy --> Cell (control loop, failsafe, governor, hand driver) -- bytes --> servos | emulated servos
//!      ^  operator's way, human or stand-in       <-- episodes, events, faults      poses <-- tracker | camera of the plant
//! ```
//! Where an arm carries the hand, its setpoints and states go beside the bytes. Both backends are the same code from the policy to the bytes. They differ in what is behind the port and in the
//! clock.

mod cell;
mod doctor;
mod emulation;
mod film;
mod human;
mod in_time;
mod interrupt;
mod keyboard;
mod log;
mod play;
mod scene;
mod served;
mod setup;

pub use cell::Cell;
pub use doctor::{Check, Examination, Listeners, Mover, Verdict, Watched, examine, examine_gamepad, examine_machine};
pub use emulation::Emulation;
pub use film::{EpisodeNote, Fate, FilmingConfig, FrameLine, Piece};
pub(crate) use film::{NAP, emulated_camera, real_camera};
pub use in_time::{InTimeButtons, InTimeTracker};
pub use interrupt::Interrupt;
pub use keyboard::Bystander;
pub use play::RobotSession;
pub use scene::{Scene, Staged, ToolUse};
pub use served::{Addresses, ArmAddresses, Served};
pub use setup::{Kind, Planning, Setup};

use crate::cli::RobotArgs;
use bridge::config;
use bridge::number::{NonNegative, Positive};
use bridge::real::arm::UdpArmConfig;
use bridge::real::bounds::Widening;
use bridge::real::camera::CameraConfig;
use bridge::real::failsafe::FailsafeConfig;
use bridge::real::gamepad::GamepadConfig;
use bridge::real::hand_driver::HandDriverConfig;
use bridge::real::tracker::TrackerConfig;
use color_eyre::eyre::{Result, eyre};
use serde::{Deserialize, Serialize};
use sim::Hand;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The robots that come with softflow, by their hands.
const ROBOTS: [(&str, &str); 1] = [("orca_v2", include_str!("../../assets/robots/orca_v2.ron"))];

/// A robot: all that is about the machine and not about the task. See `assets/robots/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobotConfig {
    /// The hand's description, e.g. `orca_v2`.
    pub hand: String,
    /// Serial port of the hand; `--port` changes it.
    pub port: PathBuf,
    /// The hand's calibration, as `softflow calibrate` writes it; `--calibration` changes it.
    pub calibration: PathBuf,
    /// Servo targets per second: a multiple of the policy's rate that the bus can carry.
    pub servo_hz: u32,
    /// How the servos are driven.
    pub driver: HandDriverConfig,
    /// How the loop around them runs, and when it stops.
    pub control: ControlConfig,
    /// What sees the objects; `--tracker` changes where it is listened to.
    pub tracker: TrackerConfig,
    /// The arm that carries the hand, for tasks that have one; `--arm` changes where its controller is.
    pub arm: Option<ArmConfig>,
    /// Where buttons for rewards and outcomes are received; none for the keyboard alone.
    pub buttons: Option<SocketAddr>,
    /// The gamepad of whoever stands beside a real hand; `--gamepad` changes which.
    pub gamepad: GamepadConfig,
    /// What films it; usually empty.
    pub cameras: Vec<CameraConfig>,
    /// How frames are kept.
    pub filming: FilmingConfig,
    /// Whether the machine's cores are kept awake while the loop runs, nine tenths of the time, with what nobody else wants of it. It costs
    /// power; without it a virtual machine, and some laptops, wake up late for the loop.
    pub keep_awake: bool,
    /// What the hand does while the learner learns.
    pub learning: Learning,
    /// The hand that stands for this one.
    pub emulated: EmulatedConfig,
}

/// When the learner of the online stage learns from an iteration's episodes. In the emulator's own time it is always in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Learning {
    /// While the hand plays the next ones: with the policy of before, and from the chunk on that is planned when what was learned is
    /// deployed with that. Nobody waits.
    WhilePlaying,
    /// In between, while the hand rests without torque: every episode is played by what was learned from all before.
    InBetween,
}

/// How the control loop runs. What is missing to a `LoopConfig` comes from the task: governor, chunk length, postures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlConfig {
    /// The deadlines.
    pub failsafe: FailsafeConfig,
    /// One line for every limit that is wider than the hand's own; usually empty.
    pub widened: Vec<Widening>,
    /// Steps of the policy that the planning of a chunk may take; 1 to the chunk's length - 1. A chunk is carried out
    /// from there on.
    pub lead: usize,
    /// Time that the first chunk of an episode may take, s.
    pub first_chunk_s: NonNegative,
    /// How far a target may be outside of its joint's range before its chunk is refused, rad. Within, it is clamped.
    pub range_slack_rad: NonNegative,
    /// Steps before a fault that are not stored.
    pub n_spoilt_steps: u32,
    /// How fast every joint moves to the open posture, rad/s, at reduced current.
    pub park_rate_rad_s: Positive,
    /// How fast every joint closes around the object, rad/s.
    pub start_rate_rad_s: Positive,
    /// How long the hand stays closed before the policy acts, s: time to let go of the object.
    pub settle_s: NonNegative,
}

/// The arm that carries the hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmConfig {
    /// How its controller is reached, and how far it may be asked to go.
    pub link: UdpArmConfig,
    /// How fast the tool moves to where episodes begin, m/s.
    pub start_speed_m_s: Positive,
    /// How fast it turns meanwhile, rad/s.
    pub start_rate_rad_s: Positive,
    /// How far a target may be outside of the workspace before its chunk is refused, m. Within, it is clamped.
    pub range_slack_m: NonNegative,
}

/// The hand that stands for a real one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmulatedConfig {
    /// Firmware of its servos.
    pub firmware: u8,
    /// Their supply, V.
    pub supply_v: Positive,
    /// Pictures of the object per second, at most 240.
    pub tracker_hz: u32,
    /// Time from a picture to the arrival of its pose, s.
    pub tracker_latency_s: NonNegative,
    /// How long whoever stands in for the human takes to answer, s.
    pub answer_s: Positive,
    /// Faults and episodes cut off, in a row without one that is kept, after which it gives up.
    pub give_up_after: u32,
}

impl RobotConfig {
    /// The robot of `args`, or else the one in `saved`, or else the one that comes with `hand`; with what `args`
    /// changes of it.
    ///
    /// # Errors
    /// When there is none, or a file is not one.
    pub fn resolve(args: &RobotArgs, saved: Option<&Path>, hand: &str) -> Result<Self> {
        let saved = saved.filter(|path| path.exists());
        let mut robot: Self = match args.robot.as_deref().or(saved) {
            Some(path) => config::load(path)?,
            None => Self::of_hand(hand)?,
        };
        if robot.hand != hand {
            return Err(eyre!("robot: it has the hand {}, the task is for {hand}", robot.hand));
        }
        if let Some(port) = &args.port {
            robot.port.clone_from(port);
        }
        if let Some(calibration) = &args.calibration {
            robot.calibration.clone_from(calibration);
        }
        if let Some(gamepad) = &args.gamepad {
            robot.gamepad.device = Some(gamepad.clone());
        }
        if let Some(listen) = args.tracker {
            robot.tracker.listen = listen;
        }
        if let Some(controller) = args.arm {
            let arm = robot.arm.as_mut();
            arm.ok_or_else(|| eyre!("--arm: found {controller}, and the robot has no arm"))?.link.controller =
                controller;
        }
        Ok(robot)
    }

    /// The robot that comes with `hand`. A variant of a hand has the other one's, and a calibration of its own.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_hand(hand: &str) -> Result<Self> {
        let family = Hand::load(hand).map_or_else(|_| hand.to_owned(), |hand| hand.family);
        let known = || ROBOTS.map(|(name, _)| name).join(", ");
        let (name, text) = ROBOTS.iter().find(|(name, _)| *name == family).ok_or_else(|| {
            eyre!("robot: none comes with the hand {hand}, known are {}; write one and give it with --robot", known())
        })?;
        let robot: Self = config::parse(&format!("assets/robots/{name}.ron"), text)?;
        let is_own = robot.hand == hand;
        let calibration = if is_own { robot.calibration } else { format!("calibration/{hand}.ron").into() };
        Ok(Self { hand: hand.to_owned(), calibration, ..robot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: every robot that comes along is one, for the hand that it is listed under, and has the usual
    /// deadlines; a variant of a hand has the same, with a calibration of its own.
    #[test]
    fn robots_are_valid() {
        for (hand, _) in ROBOTS {
            let robot = RobotConfig::of_hand(hand).unwrap();
            assert_eq!(robot.hand, hand);
            robot.gamepad.check().unwrap();
            assert_eq!((robot.gamepad.device.as_ref(), robot.cameras.len()), (None, 0));
            assert_eq!(robot.control.failsafe, FailsafeConfig::usual(20).unwrap());
            let text = ron::to_string(&robot).unwrap();
            assert_eq!(config::parse::<RobotConfig>("again", &text).unwrap(), robot);
        }
        let left = RobotConfig::of_hand("orca_v2_left").unwrap();
        assert_eq!(left.calibration, Path::new("calibration/orca_v2_left.ron"));
        let right = RobotConfig::of_hand("orca_v2").unwrap();
        assert_eq!(RobotConfig { hand: right.hand.clone(), calibration: right.calibration.clone(), ..left }, right);
        assert!(RobotConfig::of_hand("claw").unwrap_err().to_string().contains("orca_v2"));
    }
}
