//! What may differ between the simulated scissors task and its real twin, and from episode to episode.

use crate::asset::{AssetError, SCISSORS_DOMAINS};
use crate::domain::PoseNoise;
use crate::transmission::Transmission;
use bridge::number::{NonNegative, Positive, UnitInterval};
use bridge::random::Rng;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// The physics around the scissors. Scales are relative to what hand and scene say; ranges and reasons stand in
/// `assets/domains/scissors_randomised.ron`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScissorsDomain {
    /// Coulomb friction of the hand and of the handles.
    pub friction: Positive,
    /// Mass of the scissors over the scene's.
    pub scissors_mass_scale: Positive,
    /// Friction of the pivot over the scene's.
    pub pivot_friction_scale: Positive,
    /// Force of the detent over the scene's.
    pub detent_scale: Positive,
    /// Cutting torque and strength of the tape over the scene's.
    pub tape_strength_scale: Positive,
    /// Stiffness of the motors over the hand's.
    pub motor_gain_scale: Positive,
    /// Stiffness of the wrist over the scene's.
    pub wrist_gain_scale: Positive,
    /// Time until a command reaches motors and wrist, s, rounded to physics steps (1/240 s).
    pub command_delay_s: NonNegative,
    /// Standard deviation of measured joint positions, rad.
    pub joint_noise_rad: NonNegative,
    /// Standard deviations of measured object poses.
    pub pose_noise: PoseNoise,
    /// Standard deviation of each component of the measured force on the tool, N.
    pub force_noise_n: NonNegative,
    /// Play between motor and joint, rad.
    pub backlash_rad: NonNegative,
    /// What is not taut and not steady on the way there; all is without this line.
    #[serde(default)]
    pub transmission: Transmission,
    /// How far episodes scatter around these values.
    pub jitter: ScissorsJitter,
}

/// Half widths of the uniform distributions that each episode draws from; relative ones in shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScissorsJitter {
    /// Of the friction, relative.
    pub friction: UnitInterval,
    /// Of the scissors' mass, relative.
    pub scissors_mass: UnitInterval,
    /// Of the pivot's friction, relative.
    pub pivot_friction: UnitInterval,
    /// Of the detent's force, relative.
    pub detent: UnitInterval,
    /// Of the tape's strength, relative.
    pub tape_strength: UnitInterval,
    /// Of the motors' stiffness, relative.
    pub motor_gain: UnitInterval,
    /// Of the wrist's stiffness, relative.
    pub wrist_gain: UnitInterval,
    /// Of the case's place, along x and y, m.
    pub case_xy_m: NonNegative,
    /// Of the case's heading, rad.
    pub case_yaw_rad: NonNegative,
    /// Of the tape's place, along x and y, m.
    pub tape_xy_m: NonNegative,
    /// Of the tape's height, m.
    pub tape_height_m: NonNegative,
    /// Of the tape's heading, rad.
    pub tape_yaw_rad: NonNegative,
}

/// Where case and tape are, in the frame of the table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Middle of the case, m.
    pub case_xy_m: [f64; 2],
    /// Heading of the case, rad.
    pub case_yaw_rad: f64,
    /// Middle of the tape, m.
    pub tape_m: [f64; 3],
    /// Heading of the tape, rad.
    pub tape_yaw_rad: f64,
}

impl Placement {
    /// This one moved by `shift`.
    #[must_use]
    pub fn shifted(&self, shift: &Self) -> Self {
        Self {
            case_xy_m: std::array::from_fn(|i| self.case_xy_m[i] + shift.case_xy_m[i]),
            case_yaw_rad: self.case_yaw_rad + shift.case_yaw_rad,
            tape_m: std::array::from_fn(|i| self.tape_m[i] + shift.tape_m[i]),
            tape_yaw_rad: self.tape_yaw_rad + shift.tape_yaw_rad,
        }
    }
}

/// What one episode drew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScissorsDraw {
    /// Coulomb friction of the hand and of the handles.
    pub friction: f64,
    /// Mass of the scissors over the scene's.
    pub scissors_mass_scale: f64,
    /// Friction of the pivot over the scene's.
    pub pivot_friction_scale: f64,
    /// Force of the detent over the scene's.
    pub detent_scale: f64,
    /// Strength of the tape over the scene's.
    pub tape_strength_scale: f64,
    /// Stiffness of the motors over the hand's.
    pub motor_gain_scale: f64,
    /// Stiffness of the wrist over the scene's.
    pub wrist_gain_scale: f64,
    /// By how much case and tape are moved.
    pub shift: Placement,
    /// By how much the tendons hang through, rad.
    pub slack_rad: f64,
}

impl ScissorsDomain {
    /// Names of all domains.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SCISSORS_DOMAINS.names()
    }

    /// Names of all domains, each with a few words on it.
    pub fn described() -> impl Iterator<Item = (&'static str, String)> {
        SCISSORS_DOMAINS.described()
    }

    /// The domain called `name`, e.g. `scissors_nominal`.
    ///
    /// # Errors
    /// When there is none of that name; the error lists those that there are.
    pub fn load(name: &str) -> Result<Self, AssetError> {
        SCISSORS_DOMAINS.load(name)
    }

    /// Draws an episode. Always takes the same number of random numbers, so that domains can be compared episode by
    /// episode.
    #[must_use]
    pub fn draw(&self, rng: &mut Rng) -> ScissorsDraw {
        let jitter = &self.jitter;
        let mut spread = |half_width: f64| half_width * rng.random_range(-1.0..=1.0);
        let mut scaled = |value: Positive, half_width: UnitInterval| value.get() * (1.0 + spread(half_width.get()));
        ScissorsDraw {
            friction: scaled(self.friction, jitter.friction),
            scissors_mass_scale: scaled(self.scissors_mass_scale, jitter.scissors_mass),
            pivot_friction_scale: scaled(self.pivot_friction_scale, jitter.pivot_friction),
            detent_scale: scaled(self.detent_scale, jitter.detent),
            tape_strength_scale: scaled(self.tape_strength_scale, jitter.tape_strength),
            motor_gain_scale: scaled(self.motor_gain_scale, jitter.motor_gain),
            wrist_gain_scale: scaled(self.wrist_gain_scale, jitter.wrist_gain),
            shift: Placement {
                case_xy_m: [spread(jitter.case_xy_m.get()), spread(jitter.case_xy_m.get())],
                case_yaw_rad: spread(jitter.case_yaw_rad.get()),
                tape_m: [
                    spread(jitter.tape_xy_m.get()),
                    spread(jitter.tape_xy_m.get()),
                    spread(jitter.tape_height_m.get()),
                ],
                tape_yaw_rad: spread(jitter.tape_yaw_rad.get()),
            },
            slack_rad: self.transmission.slack_rad.get() * (1.0 + spread(self.transmission.slack_jitter.get())),
        }
    }
}
