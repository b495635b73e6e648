//! What may differ between a simulated hand and its real twin, and from episode to episode.

use crate::asset::{AssetError, DOMAINS};
use crate::transmission::Transmission;
use bridge::number::{NonNegative, Positive, UnitInterval};
use bridge::random::Rng;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// The physics around a hand and its cube. Scales are relative to what the hand and the scene say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Coulomb friction of everything but the floor. 0.7 (smooth plastic) to 1.3 (soft silicone).
    pub friction: Positive,
    /// Mass of the cube over the scene's.
    pub cube_mass_scale: Positive,
    /// Edge of the cube over the scene's. The fingers do not know: 0.98 to 1.02 is much.
    pub cube_edge_scale: Positive,
    /// Stiffness of the motors over the hand's; their damping stays.
    pub motor_gain_scale: Positive,
    /// Time until a command reaches the motors, s, rounded to physics steps (1/240 s).
    pub command_delay_s: NonNegative,
    /// Standard deviation of measured joint positions, rad. Commanded positions are known exactly.
    pub joint_noise_rad: NonNegative,
    /// Standard deviations of measured object poses.
    pub pose_noise: PoseNoise,
    /// Play between motor and joint, rad: the joint follows when the motor has crossed it.
    pub backlash_rad: NonNegative,
    /// What is not taut and not steady on the way there; all is without this line.
    #[serde(default)]
    pub transmission: Transmission,
    /// How far episodes scatter around these values.
    pub jitter: Jitter,
}

/// Standard deviations of measured object poses, per component.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoseNoise {
    /// Position, m.
    pub position_m: NonNegative,
    /// Rotation vector, rad.
    pub orientation_rad: NonNegative,
    /// Angular velocity, rad/s.
    pub angular_velocity_rad_s: NonNegative,
}

/// Half widths of the uniform distributions that each episode draws from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// Of the friction, relative.
    pub friction: UnitInterval,
    /// Of the cube's mass, relative.
    pub cube_mass: UnitInterval,
    /// Of the cube's edge, relative.
    pub cube_edge: UnitInterval,
    /// Of the motors' stiffness, relative.
    pub motor_gain: UnitInterval,
    /// Of the cube's place in the hand, along x and y, m.
    pub cube_xy_m: NonNegative,
    /// Of the cube's heading, rad.
    pub cube_yaw_rad: NonNegative,
}

/// What one episode drew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpisodeDraw {
    /// Coulomb friction.
    pub friction: f64,
    /// Mass of the cube over the scene's.
    pub cube_mass_scale: f64,
    /// Edge of the cube over the scene's.
    pub cube_edge_scale: f64,
    /// Stiffness of the motors over the hand's.
    pub motor_gain_scale: f64,
    /// Displacement of the cube, m.
    pub cube_xy_m: [f64; 2],
    /// Turn of the cube, rad.
    pub cube_yaw_rad: f64,
    /// By how much the tendons hang through, rad.
    pub slack_rad: f64,
}

impl Domain {
    /// Names of all domains.
    pub fn names() -> impl Iterator<Item = &'static str> {
        DOMAINS.names()
    }

    /// Names of all domains, each with a few words on it.
    pub fn described() -> impl Iterator<Item = (&'static str, String)> {
        DOMAINS.described()
    }

    /// The domain called `name`.
    ///
    /// # Errors
    /// When there is none of that name; the error lists those that there are.
    pub fn load(name: &str) -> Result<Self, AssetError> {
        DOMAINS.load(name)
    }

    /// Draws an episode. Always takes the same number of random numbers, so that domains can be compared episode by
    /// episode.
    #[must_use]
    pub fn draw(&self, rng: &mut Rng) -> EpisodeDraw {
        let mut spread = |half_width: f64| half_width * rng.random_range(-1.0..=1.0);
        EpisodeDraw {
            friction: self.friction.get() * (1.0 + spread(self.jitter.friction.get())),
            cube_mass_scale: self.cube_mass_scale.get() * (1.0 + spread(self.jitter.cube_mass.get())),
            cube_edge_scale: self.cube_edge_scale.get() * (1.0 + spread(self.jitter.cube_edge.get())),
            motor_gain_scale: self.motor_gain_scale.get() * (1.0 + spread(self.jitter.motor_gain.get())),
            cube_xy_m: [spread(self.jitter.cube_xy_m.get()), spread(self.jitter.cube_xy_m.get())],
            cube_yaw_rad: spread(self.jitter.cube_yaw_rad.get()),
            slack_rad: self.transmission.slack_rad.get() * (1.0 + spread(self.transmission.slack_jitter.get())),
        }
    }
}
