//! The hand on an emulated arm, with scissors and tape.
//!
//! The arm is the simulated Cartesian impedance: setpoints go through the domain's delay, and what it feels is told as its
//! state, the pose at every step and the force as a mean over 1 / [`SERVO_HZ`] s. Where the arm's controller has nothing
//! to follow, the arm holds the pose in which it was left.
//!
//! Somebody stands beside. Whenever the hand lets go of everything, most of its joints in the released posture, whatever
//! hangs on the others, scissors, case and tape are taken away. Once hand and arm are where episodes begin and rest there, they are laid out anew, by a new draw from the
//! domain. A tape that is cut is told at once: the button for success.

use super::{HandPlant, HandSeen, HandTraits, OPEN_S, Presses, RESTED_S, Room, Sight, Sighting, THERE_WITHIN_RAD};
use super::{is_unlike, lasts};
use crate::asset::AssetError;
use crate::engine::Engine;
use crate::hand::Hand;
use crate::scissors::{Placement, ScissorsDomain, ScissorsDraw, ScissorsScene, ScissorsStart, ScissorsWorld};
use crate::sensors::{disturb, normals};
use crate::sim_hand::STEPS_PER_COMMAND;
use crate::transmission::CommandDelay;
use bridge::random::{Rng, stream};
use bridge::real::emulator::{Drive, EmulatedArm, Plant, Shaft};
use bridge::real::labels::Button;
use bridge::{ScissorsObject, ToolPose, ToolState, turn_rad};
use std::sync::Arc;

/// Where things are that are taken away, from their places along x, m.
const ASIDE_M: f64 = 2.0;
/// Share of the joints that are in the released posture when the hand lets go; a grip has less than half of them there.
const RELEASED_SHARE: f64 = 0.75;
/// How near to its start the tool is when it counts as there, along each axis (m) and in angle (rad).
const THERE_WITHIN_M: f32 = 0.01;
const TURNED_WITHIN_RAD: f32 = 0.1;

/// A simulated hand on an arm, with scissors and tape, behind the shafts of its servos.
pub struct ScissorsPlant(HandPlant<ScissorsRoom>);

struct ScissorsRoom {
    hand: Arc<Hand>,
    start: Arc<ScissorsStart>,
    domain: ScissorsDomain,
    seed: u64,
    world: ScissorsWorld,
    draw: ScissorsDraw,
    arm: EmulatedArm,
    felt: ToolState,
    /// Where the arm stays; none while it follows setpoints.
    held: Option<ToolPose>,
    delay: CommandDelay,
    force_noise: Rng,
    n_steps: u32,
    is_laid_out: bool,
    n_laid_out: u64,
    is_cut_told: bool,
    released_steps: u32,
    sight: Sight,
    presses: Presses,
}

impl ScissorsPlant {
    /// The hand of `scene` in `domain`, released, on an arm that is where episodes begin; nothing is laid out yet. A
    /// picture is taken `sight_hz` times a second, at most at every step of the physics.
    ///
    /// # Errors
    /// When the hand has no motors.
    pub fn new(scene: &ScissorsScene, domain: ScissorsDomain, seed: u64, sight_hz: u32) -> Result<Self, AssetError> {
        let (hand, start) = (scene.shared_hand(), scene.shared_start());
        let draw = domain.draw(&mut stream(seed, "domain", 0));
        let q_rad = start.released_rad.clone();
        let traits = HandTraits {
            command_delay_s: domain.command_delay_s,
            backlash_rad: domain.backlash_rad,
            transmission: domain.transmission,
            joint_noise_rad: domain.joint_noise_rad.f32(),
        };
        let felt = ToolState { measured: start.tool, commanded: start.tool, ..ToolState::default() };
        let room = ScissorsRoom {
            world: world(&hand, &start, &draw, &q_rad, start.tool, ASIDE_M),
            arm: EmulatedArm::new(seed as u32 | 1),
            delay: CommandDelay::new(
                domain.command_delay_s,
                domain.transmission.delay_jitter_s,
                &start.tool.values(),
                stream(seed, "command delay", 1),
            ),
            felt,
            held: None,
            force_noise: stream(seed, "force noise", 0),
            n_steps: 0,
            is_laid_out: false,
            n_laid_out: 0,
            is_cut_told: false,
            released_steps: 0,
            sight: Sight::default(),
            presses: Presses::default(),
            hand: Arc::clone(&hand),
            start,
            domain,
            seed,
            draw,
        };
        Ok(Self(HandPlant::new(&hand, room, traits, q_rad, seed, sight_hz)?))
    }

    /// The camera.
    #[must_use]
    pub fn sight(&self) -> Sight {
        self.0.room.sight.clone()
    }

    /// The buttons.
    #[must_use]
    pub fn presses(&self) -> Presses {
        self.0.room.presses.clone()
    }

    /// The arm.
    #[must_use]
    pub fn arm(&self) -> EmulatedArm {
        self.0.room.arm.clone()
    }
}

impl Plant for ScissorsPlant {
    fn advance(&mut self, drives: &[Drive], dt_s: f64, shafts: &mut [Shaft]) {
        self.0.advance(drives, dt_s, shafts);
    }
}

impl ScissorsRoom {
    /// Builds the world anew around a hand that stays where it is.
    fn rebuild(&mut self, q_rad: &[f32], aside_m: f64) {
        let tool = self.felt.measured;
        self.world = world(&self.hand, &self.start, &self.draw, q_rad, tool, aside_m);
        self.is_laid_out = aside_m == 0.0;
        self.is_cut_told = false;
        self.released_steps = 0;
    }

    /// By a new draw.
    fn lay_out(&mut self, q_rad: &[f32]) {
        self.n_laid_out += 1;
        self.draw = self.domain.draw(&mut stream(self.seed, "domain", self.n_laid_out));
        let pinned = &self.start.pinned_shifts;
        if !pinned.is_empty() {
            self.draw.shift = pinned[((self.n_laid_out - 1) % pinned.len() as u64) as usize];
        }
        self.rebuild(q_rad, 0.0);
    }

    /// What the arm feels now.
    fn feel(&mut self) {
        self.n_steps += 1;
        if self.n_steps.is_multiple_of(STEPS_PER_COMMAND) {
            self.felt = self.world.end_tick();
            let mut normal = normals(&mut self.force_noise);
            for force_n in &mut self.felt.force_n {
                *force_n += normal(self.domain.force_noise_n.f32());
            }
        } else {
            self.felt.measured = self.world.tool_pose();
        }
    }

    /// Whether hand and arm are where episodes begin.
    fn is_at_start(&self, q_rad: &[f32]) -> bool {
        let (tool, start) = (&self.felt.measured, &self.start.tool);
        let is_there = tool.position_m.iter().zip(start.position_m).all(|(a, b)| (a - b).abs() < THERE_WITHIN_M);
        is_there
            && turn_rad(tool.orientation, start.orientation) < TURNED_WITHIN_RAD
            && !is_unlike(q_rad, &self.start.posture_rad, THERE_WITHIN_RAD)
    }
}

impl Room for ScissorsRoom {
    fn engine(&mut self) -> &mut Engine {
        self.world.engine_mut()
    }

    fn motor_gain_scale(&self) -> f64 {
        self.draw.motor_gain_scale
    }

    fn slack_rad(&self) -> f64 {
        self.draw.slack_rad
    }

    fn step(&mut self, time_s: f64, q_rad: &[f32]) {
        let target = match self.arm.step(time_s, &self.felt) {
            Some(pose) => {
                self.held = None;
                pose.into()
            }
            None => *self.held.get_or_insert(self.felt.measured),
        };
        if let Some(target) = self.delay.push(&target.values()).first_chunk().and_then(ToolPose::from_values) {
            self.world.set_tool_target(target);
        }
        if self.world.step().is_err() || self.world.engine().check().is_err() {
            self.rebuild(q_rad, ASIDE_M);
        }
        self.feel();
    }

    fn look(&mut self, time_s: f64, noise: &mut Rng) {
        let mut normal = normals(noise);
        for object in ScissorsObject::ALL {
            let mut pose = self.world.object_pose(object, time_s);
            disturb(&mut pose, &self.domain.pose_noise, &mut normal);
            self.sight.push(time_s, Sighting { object_idx: object as usize, pose });
        }
    }

    fn help(&mut self, time_s: f64, hand: &HandSeen<'_>) {
        let near = hand.q_rad.iter().zip(&self.start.released_rad).filter(|(a, b)| (*a - *b).abs() <= THERE_WITHIN_RAD);
        let is_released = near.count() as f64 >= RELEASED_SHARE * hand.q_rad.len() as f64;
        self.released_steps = if is_released { self.released_steps.saturating_add(1) } else { 0 };
        if self.is_laid_out && lasts(self.released_steps, OPEN_S) {
            self.rebuild(hand.q_rad, ASIDE_M);
        } else if !self.is_laid_out && lasts(hand.resting_steps, RESTED_S) && self.is_at_start(hand.q_rad) {
            self.lay_out(hand.q_rad);
        }
        if self.world.is_tape_cut() && !self.is_cut_told {
            self.is_cut_told = true;
            self.presses.push(time_s, Button::Success);
        }
    }
}

/// The hand at `q_rad` on an arm whose tool is at `tool`, and everything else by `draw`, but `aside_m` along x from there.
fn world(
    hand: &Hand,
    start: &ScissorsStart,
    draw: &ScissorsDraw,
    q_rad: &[f32],
    tool: ToolPose,
    aside_m: f64,
) -> ScissorsWorld {
    let Placement {
        case_xy_m: [case_x_m, case_y_m],
        case_yaw_rad,
        tape_m: [tape_x_m, tape_y_m, tape_z_m],
        tape_yaw_rad,
    } = start.placement.shifted(&draw.shift);
    let placement = Placement {
        case_xy_m: [case_x_m + aside_m, case_y_m],
        case_yaw_rad,
        tape_m: [tape_x_m + aside_m, tape_y_m, tape_z_m],
        tape_yaw_rad,
    };
    ScissorsWorld::new(hand, q_rad, tool, &start.parameters, &placement, draw, start.finger_contacts)
}
