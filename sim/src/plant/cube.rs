//! The hand with its cube. Whenever the hand is open, somebody puts the cube into its place and holds it there, without
//! weight, until the hand has closed. Every cube that is put there is a new draw from the domain.

use super::{HandPlant, HandSeen, HandTraits, OPEN_S, RESTED_S, Room, Sight, Sighting, THERE_WITHIN_RAD};
use super::{emulated_calibration, is_unlike, lasts};
use crate::asset::AssetError;
use crate::domain::{Domain, EpisodeDraw};
use crate::engine::{Engine, Surroundings};
use crate::hand::Hand;
use crate::scene::CubeScene;
use crate::sensors::{disturb, normals};
use crate::sim_hand::Start;
use crate::world::{Cube, World};
use bridge::random::{Rng, stream};
use bridge::real::calibration::Calibration;
use bridge::real::emulator::{Drive, Plant, Shaft};
use rapier3d::glamx::DVec3;
use std::sync::Arc;

/// Where a cube lies that is not in the hand, from its place, m.
const ASIDE_M: DVec3 = DVec3::new(0.0, -0.3, 0.0);

/// A simulated hand with its cube behind the shafts of its servos.
pub struct CubePlant(HandPlant<CubeRoom>);

struct CubeRoom {
    hand: Arc<Hand>,
    start: Arc<Start>,
    domain: Domain,
    seed: u64,
    world: World,
    draw: EpisodeDraw,
    holder: Holder,
    n_presented: u64,
    open_steps: u32,
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

impl CubePlant {
    /// The hand of `scene` in `domain`, open, its cube beside it. A picture is taken `sight_hz` times a second, at most at
    /// every step of the physics.
    ///
    /// # Errors
    /// When the hand has no motors.
    pub fn new(scene: &CubeScene, domain: Domain, seed: u64, sight_hz: u32) -> Result<Self, AssetError> {
        let (hand, start) = (scene.shared_hand(), scene.shared_start());
        let draw = domain.draw(&mut stream(seed, "domain", 0));
        let open_rad = start.open_rad.clone();
        let traits = HandTraits {
            command_delay_s: domain.command_delay_s,
            backlash_rad: domain.backlash_rad,
            transmission: domain.transmission,
            joint_noise_rad: domain.joint_noise_rad.f32(),
        };
        let room = CubeRoom {
            world: world(&hand, &start, &draw, &open_rad, ASIDE_M),
            hand: Arc::clone(&hand),
            start,
            domain,
            seed,
            draw,
            holder: Holder::Hand,
            n_presented: 0,
            open_steps: 0,
            sight: Sight::default(),
        };
        Ok(Self(HandPlant::new(&hand, room, traits, open_rad, seed, sight_hz)?))
    }

    /// The camera.
    #[must_use]
    pub fn sight(&self) -> Sight {
        self.0.room.sight.clone()
    }

    /// Where the stops of the hand of `scene` are, as a calibration would find them.
    ///
    /// # Errors
    /// As [`emulated_calibration`].
    pub fn calibration(scene: &CubeScene) -> Result<Calibration, AssetError> {
        emulated_calibration(scene.hand())
    }
}

impl Plant for CubePlant {
    fn advance(&mut self, drives: &[Drive], dt_s: f64, shafts: &mut [Shaft]) {
        self.0.advance(drives, dt_s, shafts);
    }
}

impl Room for CubeRoom {
    fn engine(&mut self) -> &mut Engine {
        self.world.engine_mut()
    }

    fn motor_gain_scale(&self) -> f64 {
        self.draw.motor_gain_scale
    }

    fn slack_rad(&self) -> f64 {
        self.draw.slack_rad
    }

    fn step(&mut self, _time_s: f64, q_rad: &[f32]) {
        if self.world.step().is_err() || self.world.engine().check().is_err() {
            self.world = world(&self.hand, &self.start, &self.draw, q_rad, ASIDE_M);
            self.holder = Holder::Hand;
        }
    }

    fn look(&mut self, time_s: f64, noise: &mut Rng) {
        let mut pose = self.world.cube_pose(time_s);
        disturb(&mut pose, &self.domain.pose_noise, &mut normals(noise));
        self.sight.push(time_s, Sighting { object_idx: 0, pose });
    }

    fn help(&mut self, _time_s: f64, hand: &HandSeen<'_>) {
        let is_open = !is_unlike(hand.q_rad, &self.start.open_rad, THERE_WITHIN_RAD);
        self.open_steps = if is_open { self.open_steps.saturating_add(1) } else { 0 };
        match self.holder {
            Holder::Hand if lasts(self.open_steps, OPEN_S) => {
                self.n_presented += 1;
                self.draw = self.domain.draw(&mut stream(self.seed, "domain", self.n_presented));
                self.world = world(&self.hand, &self.start, &self.draw, hand.q_rad, DVec3::ZERO);
                self.world.set_cube_weight(false);
                self.holder = Holder::Helper;
            }
            Holder::Helper if !is_open && lasts(hand.resting_steps, RESTED_S) => {
                self.world.set_cube_weight(true);
                self.holder = Holder::Hand;
            }
            _ => {}
        }
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
        slack_rad: draw.slack_rad,
        finger_contacts: start.finger_contacts,
    };
    World::new(hand, q_rad, &cube, &surroundings)
}
