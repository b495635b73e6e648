//! What turns behind the shafts of emulated servos when it is a simulated hand: a [`Plant`], with the hand's world around it.
//!
//! ```text
//! shaft = middle + ratio (q - middle of the joint's range)       the same line as a calibration's
//! torque of the joint = gain k (target - q) - d dq/dt             k, d of the hand; at most i_limit c |ratio|, i by
//! current = torque / (c ratio)                                    the servo's goal current, c by the motor table
//! ```
//! The target is the servo's goal behind the domain's delay, play and slack; without torque k is 0, and d is what the gears brake.
//! Joints that the body does not have follow their goals.
//!
//! A [`Room`] is the world that the hand is in, and somebody who stands beside it: [`cube`] and [`scissors`]. A [`Sight`] is
//! what a camera sees of it.
//!
//! No clock: time is what [`Plant::advance`] says. The same drives lead to the same bits.

mod cube;
mod scissors;
mod seen;
mod shafts;

pub use cube::CubePlant;
pub use scissors::ScissorsPlant;
pub use seen::{Presses, Seen, Sight, Sighting};
pub use shafts::emulated_calibration;

use crate::asset::AssetError;
use crate::engine::{Engine, PHYSICS_HZ};
use crate::hand::{Hand, Motor};
use crate::sensors::normals;
use crate::transmission::{CommandDelay, Play, Transmission};
use bridge::number::NonNegative;
use bridge::random::{Rng, stream};
use bridge::real::emulator::{Drive, FirstOrderPlant, Plant, Shaft, UNLIMITED_MA};
use bridge::real::motors::{self, EffortLimit};
use shafts::{ShaftMap, held_shaft, motor_range_rad, motors_of};

/// How near to a posture every joint is when the hand counts as there, rad.
const THERE_WITHIN_RAD: f32 = 0.12;
/// How long the hand is open before somebody sees to its things, s.
const OPEN_S: f64 = 0.2;
/// How long the goals rest before somebody lets go, s.
const RESTED_S: f64 = 0.1;
/// Changes of a goal that count as none, rad.
const RESTING_RAD: f32 = 0.004;

/// The world that a plant's hand is in, and who stands beside it.
trait Room: Send {
    /// The physics.
    fn engine(&mut self) -> &mut Engine;

    /// Stiffness of the motors over the hand's, now.
    fn motor_gain_scale(&self) -> f64;

    /// By how much the tendons hang through, now, rad.
    fn slack_rad(&self) -> f64;

    /// Lets a step of the physics pass that ends at `time_s`. Where it fails the hand is found anew at `q_rad`, where it
    /// was last: its servos see joints that stand still, and things that are gone.
    fn step(&mut self, time_s: f64, q_rad: &[f32]);

    /// Takes a picture at `time_s`.
    fn look(&mut self, time_s: f64, noise: &mut Rng);

    /// What somebody beside the hand does.
    fn help(&mut self, time_s: f64, hand: &HandSeen<'_>);
}

/// A hand as somebody beside it sees it.
struct HandSeen<'a> {
    q_rad: &'a [f32],
    /// For how many steps its goals have rested.
    resting_steps: u32,
}

/// What of a domain concerns the hand alone.
struct HandTraits {
    command_delay_s: NonNegative,
    backlash_rad: NonNegative,
    transmission: Transmission,
    joint_noise_rad: f32,
}

/// A simulated hand behind the shafts of its servos, in a room.
struct HandPlant<R> {
    room: R,
    traits: HandTraits,
    shafts: Vec<Behind>,
    held: FirstOrderPlant,
    held_drives: Vec<Drive>,
    held_shafts: Vec<Shaft>,
    noise: Rng,
    delay: CommandDelay,
    play: Play,
    wanted_rad: Vec<f32>,
    target_rad: Vec<f32>,
    motors: Vec<JointMotor>,
    /// The hand's own, a joint each.
    of_hand: Vec<Motor>,
    q_rad: Vec<f32>,
    dq_rad_s: Vec<f32>,
    measured_rad: Vec<f32>,
    resting_rad: Vec<f32>,
    resting_steps: u32,
    elapsed_s: f64,
    n_steps: u64,
    steps_per_sighting: u32,
}

/// What is behind a shaft.
#[derive(Clone, Copy, Debug)]
enum Behind {
    Joint { idx: usize, map: ShaftMap, nm_per_ma: f64 },
    Held { idx: usize },
}

/// What a joint's motor may do now.
#[derive(Clone, Copy, Debug, Default)]
struct JointMotor {
    is_on: bool,
    max_nm: f32,
}

impl<R: Room> HandPlant<R> {
    /// The hand at `q_rad` in `room`. A picture is taken `sight_hz` times a second, at most at every step of the physics.
    ///
    /// # Errors
    /// When the hand has no motors.
    fn new(
        hand: &Hand,
        room: R,
        traits: HandTraits,
        q_rad: Vec<f32>,
        seed: u64,
        sight_hz: u32,
    ) -> Result<Self, AssetError> {
        let table = motors_of(hand)?;
        let of_hand: Vec<Motor> = hand.joints().map(|joint| joint.motor).collect();
        let mut shafts = Vec::with_capacity(table.motors.len());
        let mut held = Vec::new();
        for motor in &table.motors {
            let map = ShaftMap::new(motor, motor_range_rad(motor, hand));
            match (motor.held, hand.joints().position(|joint| joint.name == motor.joint)) {
                (None, Some(joint)) => {
                    let nm_per_ma = nm_per_ma(motor, map.per_joint, of_hand[joint].max_effort_nm);
                    shafts.push(Behind::Joint { idx: joint, map, nm_per_ma });
                }
                _ => {
                    shafts.push(Behind::Held { idx: held.len() });
                    held.push(held_shaft(motor, &map, hand));
                }
            }
        }
        Ok(Self {
            held_drives: vec![Drive::default(); held.len()],
            held_shafts: vec![Shaft::default(); held.len()],
            held: FirstOrderPlant::new(held),
            shafts,
            noise: stream(seed, "sensor noise", 0),
            delay: CommandDelay::new(
                traits.command_delay_s,
                traits.transmission.delay_jitter_s,
                &q_rad,
                stream(seed, "command delay", 0),
            ),
            play: Play::new(
                traits.backlash_rad,
                traits.transmission.backlash_jitter,
                q_rad.len(),
                stream(seed, "play", 0),
            ),
            motors: vec![JointMotor::default(); q_rad.len()],
            of_hand,
            dq_rad_s: vec![0.0; q_rad.len()],
            wanted_rad: q_rad.clone(),
            target_rad: q_rad.clone(),
            measured_rad: q_rad.clone(),
            resting_rad: q_rad.clone(),
            q_rad,
            resting_steps: 0,
            elapsed_s: 0.0,
            n_steps: 0,
            steps_per_sighting: (PHYSICS_HZ / sight_hz.clamp(1, PHYSICS_HZ)).max(1),
            room,
            traits,
        })
    }

    /// One step of the physics.
    fn step(&mut self) {
        self.play.follow(&mut self.target_rad, self.delay.push(&self.wanted_rad));
        let gain_scale = self.room.motor_gain_scale();
        for (joint, (motor, of_hand)) in self.motors.iter().zip(&self.of_hand).enumerate() {
            let stiffness_nm_rad = if motor.is_on { (of_hand.stiffness_nm_rad * gain_scale) as f32 } else { 0.0 };
            self.room.engine().set_motor(joint, self.target_rad[joint], stiffness_nm_rad, motor.max_nm);
        }
        self.n_steps += 1;
        let time_s = self.n_steps as f64 / f64::from(PHYSICS_HZ);
        self.room.step(time_s, &self.q_rad);
        self.room.engine().read_joints(&mut self.q_rad, &mut self.dq_rad_s);
        self.sense(time_s);
        if is_unlike(&self.wanted_rad, &self.resting_rad, RESTING_RAD) {
            self.resting_rad.copy_from_slice(&self.wanted_rad);
            self.resting_steps = 0;
        } else {
            self.resting_steps = self.resting_steps.saturating_add(1);
        }
        self.room.help(time_s, &HandSeen { q_rad: &self.q_rad, resting_steps: self.resting_steps });
    }

    /// What encoders and camera see.
    fn sense(&mut self, time_s: f64) {
        let mut normal = normals(&mut self.noise);
        for (measured, q) in self.measured_rad.iter_mut().zip(&self.q_rad) {
            *measured = q + normal(self.traits.joint_noise_rad);
        }
        drop(normal);
        if self.n_steps.is_multiple_of(self.steps_per_sighting.into()) {
            self.room.look(time_s, &mut self.noise);
        }
    }

    fn command(&mut self, drives: &[Drive]) {
        for (behind, drive) in self.shafts.iter().zip(drives) {
            match *behind {
                Behind::Held { idx } => self.held_drives[idx] = *drive,
                Behind::Joint { idx, map, nm_per_ma } => {
                    let limit_nm = drive.current_limit_ma.max(0.0) * nm_per_ma.abs();
                    let is_on = drive.is_on && limit_nm > 0.0;
                    let most_nm = self.of_hand[idx].max_effort_nm;
                    let max_nm = if is_on { limit_nm.min(most_nm) } else { most_nm };
                    self.motors[idx] = JointMotor { is_on, max_nm: max_nm as f32 };
                    // Without torque a joint has no wish but to be where it is.
                    self.wanted_rad[idx] = if is_on { map.joint_rad(drive.goal_rad) as f32 } else { self.q_rad[idx] };
                }
            }
        }
    }

    fn report(&self, shafts: &mut [Shaft]) {
        let (gain_scale, slack_rad) = (self.room.motor_gain_scale(), self.room.slack_rad() as f32);
        for (behind, shaft) in self.shafts.iter().zip(shafts) {
            *shaft = match *behind {
                Behind::Held { idx } => self.held_shafts[idx],
                Behind::Joint { idx, map, nm_per_ma } => {
                    let motor = self.motors[idx];
                    let error_rad = self.target_rad[idx] - self.q_rad[idx];
                    let effort_nm = if motor.is_on {
                        self.of_hand[idx]
                            .effort_nm(gain_scale, slack_rad, error_rad, self.dq_rad_s[idx])
                            .clamp(-motor.max_nm, motor.max_nm)
                    } else {
                        0.0
                    };
                    Shaft {
                        position_rad: map.shaft_rad(self.measured_rad[idx].into()),
                        velocity_rad_s: map.per_joint * f64::from(self.dq_rad_s[idx]),
                        current_ma: f64::from(effort_nm) / nm_per_ma,
                    }
                }
            };
        }
    }
}

impl<R: Room> Plant for HandPlant<R> {
    fn advance(&mut self, drives: &[Drive], dt_s: f64, shafts: &mut [Shaft]) {
        if dt_s > 0.0 {
            self.command(drives);
        }
        self.held.advance(&self.held_drives, dt_s, &mut self.held_shafts);
        self.elapsed_s += dt_s;
        while (self.n_steps + 1) as f64 <= self.elapsed_s * f64::from(PHYSICS_HZ) {
            self.step();
        }
        self.report(shafts);
    }
}

/// Torque of a joint over the current of its motor, whose shaft turns `per_joint` of it, N m/mA. A model that does not measure
/// current is at the joint's highest torque where it is at the limit of the table.
fn nm_per_ma(motor: &motors::Motor, per_joint: f64, max_effort_nm: f64) -> f64 {
    match motor.limit {
        EffortLimit::CurrentMa(_) => 1e-3 * motor.torque_nm_per_a.get() * per_joint,
        EffortLimit::PwmShare(share) => per_joint.signum() * max_effort_nm / (UNLIMITED_MA * share.get()),
    }
}

/// Whether `n_steps` are `time_s` or more.
fn lasts(n_steps: u32, time_s: f64) -> bool {
    f64::from(n_steps) >= time_s * f64::from(PHYSICS_HZ)
}

/// Whether two postures differ in a joint by more than `most_rad`.
fn is_unlike(one_rad: &[f32], other_rad: &[f32], most_rad: f32) -> bool {
    one_rad.iter().zip(other_rad).any(|(a, b)| (a - b).abs() > most_rad)
}
