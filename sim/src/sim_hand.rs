//! A simulated hand with a cube in it: one [`Body`].

use crate::collision::FingerContacts;
use crate::contact::Contact;
use crate::domain::{Domain, EpisodeDraw};
use crate::dump::{Dump, History, Origin};
use crate::engine::{Engine, PHYSICS_HZ, Surroundings, WorldSnapshot};
use crate::fault::{PhysicsFault, check_targets};
use crate::hand::Hand;
use crate::latch::FaultLatch;
use crate::sensors::{disturb, normals};
use crate::simulated::Simulated;
use crate::transmission::{CommandDelay, Play};
use crate::world::{Cube, World};
use bridge::random::{Rng, stream};
use bridge::{Body, BodyError, BodySpec, ObjectPose, Percept};
use std::path::Path;
use std::sync::Arc;

/// Commands per second.
pub const SERVO_HZ: u32 = 60;
pub(crate) const STEPS_PER_COMMAND: u32 = PHYSICS_HZ / SERVO_HZ;

/// How long the hand takes to close around the cube, s.
const CLOSE_S: f64 = 0.4;
/// The cube has no weight until then, s.
const WEIGHTLESS_S: f64 = 0.5;
/// The episode starts after this, s.
const SETTLE_S: f64 = 0.8;

/// How an episode starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Posture around the cube without touching it, rad.
    pub open_rad: Vec<f32>,
    /// Posture that holds the cube, rad.
    pub holding_rad: Vec<f32>,
    /// The cube, before the domain changes it.
    pub cube: Cube,
    /// Which finger parts touch those of other fingers.
    pub finger_contacts: FingerContacts,
}

/// A simulated hand with a cube in it.
pub struct SimHand {
    spec: BodySpec,
    hand: Arc<Hand>,
    start: Arc<Start>,
    domain: Domain,
    episode: Episode,
    latch: FaultLatch,
}

/// Everything that belongs to one episode.
struct Episode {
    seed: u64,
    draw: EpisodeDraw,
    world: World,
    state: State,
}

/// What changes during an episode, besides the world.
#[derive(Clone)]
struct State {
    step: u64,
    commanded_rad: Vec<f32>,
    delay: CommandDelay,
    play: Play,
    /// Targets of the joints, behind delay and play.
    target_rad: Vec<f32>,
    noise: Rng,
    history: History,
}

/// A moment of an episode, to return to.
#[derive(Clone)]
pub struct Snapshot {
    world: WorldSnapshot,
    state: State,
}

impl SimHand {
    /// A hand in `domain`, before its first episode. Dumps of faults go into `fault_folder`, if there is one.
    pub(crate) fn new(hand: Arc<Hand>, start: Arc<Start>, domain: Domain, fault_folder: Option<Arc<Path>>) -> Self {
        let spec = hand.body_spec(vec!["cube".into()], SERVO_HZ);
        let episode = Episode::new(&hand, &start, &domain, 0);
        let latch = FaultLatch::new(spec.name.clone(), fault_folder);
        Self { spec, hand, start, domain, episode, latch }
    }

    /// The hand.
    #[must_use]
    pub fn hand(&self) -> &Hand {
        &self.hand
    }

    /// The physics, to look at.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.episode.world
    }

    /// What this episode drew from its domain.
    #[must_use]
    pub const fn draw(&self) -> &EpisodeDraw {
        &self.episode.draw
    }

    /// The cube as it really is, without sensor noise.
    #[must_use]
    pub fn cube_pose(&self) -> ObjectPose {
        self.episode.world.cube_pose(self.episode.time_s())
    }

    /// Copies the moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { world: self.episode.world.snapshot(), state: self.episode.state.clone() }
    }

    /// Goes back to `snapshot`, taken in this episode: the same commands then lead to the same bits.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.episode.world.restore(&snapshot.world);
        self.episode.state.clone_from(&snapshot.state);
        self.latch.release();
    }

    /// Runs one servo period.
    fn advance(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.latch.check()?;
        let result = check_targets(&self.spec, targets_rad).and_then(|()| self.episode.advance(targets_rad));
        self.latch.hold(result, |fault| {
            let origin = Origin::Cube {
                hand: self.hand.address.clone(),
                finger_contacts: self.start.finger_contacts,
                domain: self.domain.clone(),
            };
            Dump::new(fault, origin, self.episode.seed, &self.episode.state.history)
        })
    }

    /// Closes the hand around the weightless cube, then lets the cube have its weight.
    fn close(&mut self) -> Result<(), BodyError> {
        let hand = Arc::clone(&self.hand);
        let max_steps_rad = || hand.joints().map(|joint| (joint.motor.max_rate_rad_s / f64::from(SERVO_HZ)) as f32);
        let n_ticks = (SETTLE_S * f64::from(SERVO_HZ)).round() as u32;
        let weight_tick = (WEIGHTLESS_S * f64::from(SERVO_HZ)).round() as u32;
        let start = Arc::clone(&self.start);
        let mut targets_rad = start.open_rad.clone();
        self.episode.world.set_cube_weight(false);
        for tick in 0..n_ticks {
            if tick == weight_tick {
                self.episode.world.set_cube_weight(true);
            }
            let closed = (f64::from(tick) / f64::from(SERVO_HZ) / CLOSE_S).min(1.0) as f32;
            let postures_rad = start.open_rad.iter().zip(&start.holding_rad).zip(max_steps_rad());
            for (target, ((&open, &holding), max_step_rad)) in targets_rad.iter_mut().zip(postures_rad) {
                let wanted = open + (holding - open) * closed;
                *target += (wanted - *target).clamp(-max_step_rad, max_step_rad);
            }
            self.advance(&targets_rad)?;
        }
        Ok(())
    }
}

impl Body for SimHand {
    fn spec(&self) -> &BodySpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64) -> Result<(), BodyError> {
        self.episode = Episode::new(&self.hand, &self.start, &self.domain, seed);
        self.latch.release();
        self.close()?;
        self.episode.state.step = 0;
        Ok(())
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        self.latch.check()?;
        self.episode.read(&self.hand, &self.domain, percept);
        Ok(())
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.spec.check_command("targets_rad", targets_rad)?;
        self.latch.check()?;
        self.episode.state.history.command(targets_rad);
        self.advance(targets_rad)
    }
}

impl Simulated for SimHand {
    fn engine(&self) -> &Engine {
        self.episode.world.engine()
    }

    fn truth(&self, percept: &mut Percept) {
        self.episode.truth(&self.hand, percept);
    }

    fn contacts(&self) -> Vec<Contact> {
        self.episode.world.cube_contacts()
    }

    fn push(&mut self, object: usize, impulse_n_s: [f32; 3]) {
        self.episode.state.history.push(object, impulse_n_s);
        if object == 0 {
            self.episode.world.push_cube(impulse_n_s);
        }
    }
}

impl Episode {
    fn new(hand: &Hand, start: &Start, domain: &Domain, seed: u64) -> Self {
        let draw = domain.draw(&mut stream(seed, "domain", 0));
        let cube = Cube {
            edge_m: start.cube.edge_m * draw.cube_edge_scale,
            mass_kg: start.cube.mass_kg * draw.cube_mass_scale,
            center_m: start.cube.center_m + rapier3d::glamx::DVec3::new(draw.cube_xy_m[0], draw.cube_xy_m[1], 0.0),
            yaw_rad: start.cube.yaw_rad + draw.cube_yaw_rad,
        };
        let surroundings = Surroundings {
            friction: draw.friction,
            motor_gain_scale: draw.motor_gain_scale,
            slack_rad: draw.slack_rad,
            finger_contacts: start.finger_contacts,
        };
        let (delay_s, unsteady) = (domain.command_delay_s, &domain.transmission);
        let (delay_rng, play_rng) = (stream(seed, "command delay", 0), stream(seed, "play", 0));
        let state = State {
            step: 0,
            commanded_rad: start.open_rad.clone(),
            delay: CommandDelay::new(delay_s, unsteady.delay_jitter_s, &start.open_rad, delay_rng),
            play: Play::new(domain.backlash_rad, unsteady.backlash_jitter, hand.n_joints(), play_rng),
            target_rad: start.open_rad.clone(),
            noise: stream(seed, "sensor noise", 0),
            history: History::new(hand.n_joints()),
        };
        Self { seed, draw, world: World::new(hand, &start.open_rad, &cube, &surroundings), state }
    }

    fn time_s(&self) -> f64 {
        self.state.step as f64 / f64::from(PHYSICS_HZ)
    }

    fn advance(&mut self, targets_rad: &[f32]) -> Result<(), PhysicsFault> {
        let state = &mut self.state;
        state.commanded_rad.copy_from_slice(targets_rad);
        for _ in 0..STEPS_PER_COMMAND {
            state.play.follow(&mut state.target_rad, state.delay.push(targets_rad));
            self.world.set_targets(&state.target_rad);
            self.world.step()?;
            state.step += 1;
        }
        self.world.engine().check()
    }

    fn truth(&self, hand: &Hand, percept: &mut Percept) {
        let n_joints = self.state.commanded_rad.len();
        percept.time_s = self.time_s();
        percept.measured_rad.resize(n_joints, 0.0);
        percept.effort_nm.resize(n_joints, 0.0);
        self.world.engine().read_joints(&mut percept.measured_rad, &mut percept.effort_nm);
        let efforts = percept.effort_nm.iter_mut().zip(&percept.measured_rad).zip(&self.state.target_rad);
        for (((effort, &q), &target), joint) in efforts.zip(hand.joints()) {
            let EpisodeDraw { motor_gain_scale, slack_rad, .. } = self.draw;
            *effort = joint.motor.effort_nm(motor_gain_scale, slack_rad as f32, target - q, *effort);
        }
        percept.commanded_rad.clone_from(&self.state.commanded_rad);
        percept.objects.clear();
        percept.objects.push(self.world.cube_pose(percept.time_s));
    }

    fn read(&mut self, hand: &Hand, domain: &Domain, percept: &mut Percept) {
        self.truth(hand, percept);
        let mut normal = normals(&mut self.state.noise);
        for q in &mut percept.measured_rad {
            *q += normal(domain.joint_noise_rad.f32());
        }
        for object in &mut percept.objects {
            disturb(object, &domain.pose_noise, &mut normal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CubeScene;

    /// Contract: physics that stops being finite is a fault of the body, command after command, until a reset; never a
    /// panic, and never a cube that silently hangs where it was last finite.
    #[test]
    fn physics_that_stops_being_finite_is_a_fault() {
        let scene = CubeScene::load("reference16").unwrap();
        let targets_rad = scene.start().holding_rad.clone();
        let mut hand = scene.body(Domain::load("exact").unwrap());
        let mut percept = Percept::default();
        for impulse_n_s in [f32::NAN, f32::INFINITY, f32::MAX] {
            hand.reset(0).unwrap();
            hand.command(&targets_rad).unwrap();
            hand.push(0, [0.0, impulse_n_s, 0.0]);
            for _ in 0..3 {
                let error = hand.command(&targets_rad).unwrap_err();
                assert!(matches!(error, BodyError::SimFault { .. }), "{impulse_n_s} N s: {error}");
                let error = hand.read(&mut percept).unwrap_err();
                assert!(matches!(error, BodyError::SimFault { .. }), "{impulse_n_s} N s: {error}");
            }
        }
        hand.reset(0).unwrap();
        hand.command(&targets_rad).unwrap();
        hand.read(&mut percept).unwrap();
        assert_eq!(percept.find_non_finite(), None);
    }
}
