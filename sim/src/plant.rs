//! What turns behind the shafts of emulated servos when it is a simulated hand with its cube: a [`Plant`].
//!
//! ```text
//! shaft = middle + ratio (q - middle of the joint's range)       the same line as a calibration's
//! torque of the joint = gain k (target - q) - d dq/dt             k, d of the hand; at most i_limit c |ratio|, i by
//! current = torque / (c ratio)                                    the servo's goal current, c by the motor table
//! ```
//! The target is the servo's goal behind the domain's delay and play; without torque k is 0, and d is what the gears brake.
//! Joints that the body does not have follow their goals.
//!
//! Somebody stands beside the hand: whenever it is open for [`OPEN_S`], the cube is put into its place and held there,
//! without weight, until the hand has closed. Every cube that is put there is a new draw from the domain. A [`Sight`] is
//! what a camera sees of it.
//!
//! No clock: time is what [`Plant::advance`] says. The same drives lead to the same bits.

mod shafts;
mod sight;

pub use sight::{Sight, Sighting};

use crate::asset::AssetError;
use crate::delay::{CommandDelay, follow_with_play};
use crate::domain::{Domain, EpisodeDraw};
use crate::engine::{PHYSICS_HZ, Surroundings};
use crate::hand::Hand;
use crate::scene::CubeScene;
use crate::sensors::{disturb, normals};
use crate::sim_hand::Start;
use crate::world::{Cube, World};
use bridge::random::{Rng, stream};
use bridge::real::calibration::{Calibration, JointCalibration};
use bridge::real::dynamixel::control_table::RAD_PER_TICK;
use bridge::real::emulator::{Drive, FirstOrderPlant, Plant, Shaft};
use rapier3d::glamx::DVec3;
use shafts::{ShaftMap, held_shaft, inconsistent, motor_range_rad, motors_of};
use std::sync::Arc;

/// How near to the open posture every joint is when the hand counts as open, rad.
const OPEN_WITHIN_RAD: f32 = 0.12;
/// How long the hand is open before the cube is put into it, s.
const OPEN_S: f64 = 0.2;
/// How long the goals rest before the cube is let go, s.
const CLOSED_S: f64 = 0.1;
/// Changes of a goal that count as none, rad.
const RESTING_RAD: f32 = 0.004;
/// Where a cube lies that is not in the hand, from its place, m.
const ASIDE_M: DVec3 = DVec3::new(0.0, -0.3, 0.0);

/// A simulated hand behind the shafts of its servos.
pub struct CubePlant {
    hand: Arc<Hand>,
    start: Arc<Start>,
    domain: Domain,
    seed: u64,
    shafts: Vec<Behind>,
    held: FirstOrderPlant,
    held_drives: Vec<Drive>,
    held_shafts: Vec<Shaft>,
    world: World,
    draw: EpisodeDraw,
    cube: Holder,
    n_presented: u64,
    noise: Rng,
    delay: CommandDelay,
    wanted_rad: Vec<f32>,
    target_rad: Vec<f32>,
    motors: Vec<JointMotor>,
    q_rad: Vec<f32>,
    dq_rad_s: Vec<f32>,
    measured_rad: Vec<f32>,
    resting_rad: Vec<f32>,
    open_steps: u32,
    resting_steps: u32,
    elapsed_s: f64,
    n_steps: u64,
    steps_per_sighting: u32,
    sight: Sight,
}

/// Who holds the cube.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// The hand, or nobody.
    Hand,
    /// Whoever stands beside the hand.
    Helper,
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

impl CubePlant {
    /// The hand of `scene` in `domain`, open, its cube beside it. A picture is taken `sight_hz` times a second, at most at
    /// every step of the physics.
    ///
    /// # Errors
    /// When the hand has no motors.
    pub fn new(scene: &CubeScene, domain: Domain, seed: u64, sight_hz: u32) -> Result<Self, AssetError> {
        let (hand, start) = (scene.shared_hand(), scene.shared_start());
        let table = motors_of(&hand)?;
        let mut shafts = Vec::with_capacity(table.motors.len());
        let mut held = Vec::new();
        for motor in &table.motors {
            let map = ShaftMap::new(motor, motor_range_rad(motor, &hand));
            match (motor.held, hand.joints().position(|joint| joint.name == motor.joint)) {
                (None, Some(idx)) => {
                    let nm_per_ma = 1e-3 * motor.torque_nm_per_a.get() * map.per_joint;
                    shafts.push(Behind::Joint { idx, map, nm_per_ma });
                }
                _ => {
                    shafts.push(Behind::Held { idx: held.len() });
                    held.push(held_shaft(motor, &map, &hand));
                }
            }
        }
        let draw = domain.draw(&mut stream(seed, "domain", 0));
        let open_rad = start.open_rad.clone();
        let world = world(&hand, &start, &draw, &open_rad, ASIDE_M);
        let delay_steps = (domain.command_delay_s.get() * f64::from(PHYSICS_HZ)).round() as usize;
        Ok(Self {
            held_drives: vec![Drive::default(); held.len()],
            held_shafts: vec![Shaft::default(); held.len()],
            held: FirstOrderPlant::new(held),
            shafts,
            world,
            draw,
            cube: Holder::Hand,
            n_presented: 0,
            noise: stream(seed, "sensor noise", 0),
            delay: CommandDelay::new(delay_steps, &open_rad),
            motors: vec![JointMotor::default(); open_rad.len()],
            dq_rad_s: vec![0.0; open_rad.len()],
            wanted_rad: open_rad.clone(),
            target_rad: open_rad.clone(),
            measured_rad: open_rad.clone(),
            resting_rad: open_rad.clone(),
            q_rad: open_rad,
            open_steps: 0,
            resting_steps: 0,
            elapsed_s: 0.0,
            n_steps: 0,
            steps_per_sighting: (PHYSICS_HZ / sight_hz.clamp(1, PHYSICS_HZ)).max(1),
            sight: Sight::default(),
            hand,
            start,
            domain,
            seed,
        })
    }

    /// The camera.
    #[must_use]
    pub fn sight(&self) -> Sight {
        self.sight.clone()
    }

    /// Where the stops of the hand of `scene` are, as a calibration would find them.
    ///
    /// # Errors
    /// When the hand has no motors, or one whose joint does not fit into a turn of its shaft.
    pub fn calibration(scene: &CubeScene) -> Result<Calibration, AssetError> {
        let hand = scene.shared_hand();
        let joints = motors_of(&hand)?.motors.iter().map(|motor| {
            let range_rad = motor_range_rad(motor, &hand);
            let map = ShaftMap::new(motor, range_rad);
            let ticks = |q_rad: f64| (map.shaft_rad(q_rad) / RAD_PER_TICK).round() as i32;
            JointCalibration::new(motor, range_rad, ticks(range_rad.0), ticks(range_rad.1))
                .map_err(|reason| inconsistent(&hand, format!("{}: {reason}", motor.joint)))
        });
        Ok(Calibration {
            version: Calibration::VERSION,
            hand: hand.name.clone(),
            serial: "emulated".into(),
            date: "never".into(),
            joints: joints.collect::<Result<_, _>>()?,
        })
    }

    /// One step of the physics.
    fn step(&mut self) {
        let play_rad = self.domain.backlash_rad.f32();
        follow_with_play(&mut self.target_rad, self.delay.push(&self.wanted_rad), play_rad);
        let stiffness_nm_rad = (self.hand.motor.stiffness_nm_rad * self.draw.motor_gain_scale) as f32;
        for (joint, motor) in self.motors.iter().enumerate() {
            let stiffness_nm_rad = if motor.is_on { stiffness_nm_rad } else { 0.0 };
            self.world.set_motor(joint, self.target_rad[joint], stiffness_nm_rad, motor.max_nm);
        }
        self.n_steps += 1;
        if self.world.step().is_err() || self.world.engine().check().is_err() {
            // The hand is found anew where it was last: its servos see joints that stand still, and a cube that is gone.
            self.world = world(&self.hand, &self.start, &self.draw, &self.q_rad, ASIDE_M);
            self.cube = Holder::Hand;
        }
        self.world.engine().read_joints(&mut self.q_rad, &mut self.dq_rad_s);
        self.sense();
        self.help();
    }

    /// What encoders and camera see.
    fn sense(&mut self) {
        let mut normal = normals(&mut self.noise);
        for (measured, q) in self.measured_rad.iter_mut().zip(&self.q_rad) {
            *measured = q + normal(self.domain.joint_noise_rad.f32());
        }
        if self.n_steps.is_multiple_of(self.steps_per_sighting.into()) {
            let time_s = self.n_steps as f64 / f64::from(PHYSICS_HZ);
            let mut pose = self.world.cube_pose(time_s);
            disturb(&mut pose, &self.domain.pose_noise, &mut normal);
            self.sight.push(Sighting { time_s, pose });
        }
    }

    /// What somebody beside the hand does.
    fn help(&mut self) {
        let is_unlike =
            |one: &[f32], other: &[f32], most: f32| one.iter().zip(other).any(|(a, b)| (a - b).abs() > most);
        let is_open = !is_unlike(&self.q_rad, &self.start.open_rad, OPEN_WITHIN_RAD);
        self.open_steps = if is_open { self.open_steps.saturating_add(1) } else { 0 };
        if is_unlike(&self.wanted_rad, &self.resting_rad, RESTING_RAD) {
            self.resting_rad.copy_from_slice(&self.wanted_rad);
            self.resting_steps = 0;
        } else {
            self.resting_steps = self.resting_steps.saturating_add(1);
        }
        let lasts = |n_steps: u32, time_s: f64| f64::from(n_steps) >= time_s * f64::from(PHYSICS_HZ);
        match self.cube {
            Holder::Hand if lasts(self.open_steps, OPEN_S) => {
                self.n_presented += 1;
                self.draw = self.domain.draw(&mut stream(self.seed, "domain", self.n_presented));
                self.world = world(&self.hand, &self.start, &self.draw, &self.q_rad, DVec3::ZERO);
                self.world.set_cube_weight(false);
                self.cube = Holder::Helper;
            }
            Holder::Helper if !is_open && lasts(self.resting_steps, CLOSED_S) => {
                self.world.set_cube_weight(true);
                self.cube = Holder::Hand;
            }
            _ => {}
        }
    }

    fn command(&mut self, drives: &[Drive]) {
        for (behind, drive) in self.shafts.iter().zip(drives) {
            match *behind {
                Behind::Held { idx } => self.held_drives[idx] = *drive,
                Behind::Joint { idx, map, nm_per_ma } => {
                    let limit_nm = drive.current_limit_ma.max(0.0) * nm_per_ma.abs();
                    let is_on = drive.is_on && limit_nm > 0.0;
                    let max_nm =
                        if is_on { limit_nm.min(self.hand.motor.max_effort_nm) } else { self.hand.motor.max_effort_nm };
                    self.motors[idx] = JointMotor { is_on, max_nm: max_nm as f32 };
                    // Without torque a joint has no wish but to be where it is.
                    self.wanted_rad[idx] = if is_on { map.joint_rad(drive.goal_rad) as f32 } else { self.q_rad[idx] };
                }
            }
        }
    }

    fn report(&self, shafts: &mut [Shaft]) {
        for (behind, shaft) in self.shafts.iter().zip(shafts) {
            *shaft = match *behind {
                Behind::Held { idx } => self.held_shafts[idx],
                Behind::Joint { idx, map, nm_per_ma } => {
                    let motor = self.motors[idx];
                    let error_rad = self.target_rad[idx] - self.q_rad[idx];
                    let of_hand = self.hand.motor;
                    let effort_nm = if motor.is_on {
                        of_hand
                            .effort_nm(self.draw.motor_gain_scale, error_rad, self.dq_rad_s[idx])
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

impl Plant for CubePlant {
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

/// The hand at `q_rad`, and a cube of this draw `from_place_m` away from where it belongs.
fn world(hand: &Hand, start: &Start, draw: &EpisodeDraw, q_rad: &[f32], from_place_m: DVec3) -> World {
    let drawn_m = DVec3::new(draw.cube_xy_m[0], draw.cube_xy_m[1], 0.0);
    let cube = Cube {
        edge_m: start.cube.edge_m * draw.cube_edge_scale,
        mass_kg: start.cube.mass_kg * draw.cube_mass_scale,
        center_m: start.cube.center_m + drawn_m + from_place_m,
        yaw_rad: start.cube.yaw_rad + draw.cube_yaw_rad,
    };
    let surroundings = Surroundings {
        friction: draw.friction,
        motor_gain_scale: draw.motor_gain_scale,
        finger_contacts: start.finger_contacts,
    };
    World::new(hand, q_rad, &cube, &surroundings)
}
