//! A simulated hand on an arm, with scissors and tape: one [`Body`]. A command is the tool pose, then the joints.

use super::domain::{Placement, ScissorsDomain, ScissorsDraw};
use super::parameters::ScissorsParameters;
use super::world::{ScissorsWorld, ScissorsWorldSnapshot};
use crate::collision::FingerContacts;
use crate::contact::Contact;
use crate::dump::{Dump, History, Origin};
use crate::engine::{Engine, PHYSICS_HZ};
use crate::fault::{PhysicsFault, check_targets};
use crate::hand::Hand;
use crate::latch::FaultLatch;
use crate::sensors::{disturb, normals};
use crate::sim_hand::{SERVO_HZ, STEPS_PER_COMMAND};
use crate::simulated::Simulated;
use crate::transmission::{CommandDelay, Play};
use bridge::random::{Rng, stream};
use bridge::{
    Body, BodyError, BodySpec, Percept, ScissorsObject, TAPE_CUT_SIGNAL, TAPE_TORN_SIGNAL, TOOL_POSE_LEN, ToolPose,
    ToolState,
};
use std::path::Path;
use std::sync::Arc;

/// The scissors settle in their case before the episode starts, s.
const SETTLE_S: f64 = 0.25;

/// What every episode starts from.
#[derive(Clone, Debug)]
pub(crate) struct ScissorsStart {
    pub(crate) parameters: ScissorsParameters,
    pub(crate) finger_contacts: FingerContacts,
    pub(crate) placement: Placement,
    pub(crate) tool: ToolPose,
    pub(crate) posture_rad: Vec<f32>,
    /// Posture in which the hand lets go of everything.
    pub(crate) released_rad: Vec<f32>,
    /// Where case and tape are pinned, whatever the domain draws: the episode's seed goes through them in turn. None leaves
    /// them to the domain.
    pub(crate) pinned_shifts: Vec<Placement>,
}

/// A simulated hand on an arm, with scissors and tape.
pub struct SimScissors {
    spec: BodySpec,
    hand: Arc<Hand>,
    start: Arc<ScissorsStart>,
    domain: ScissorsDomain,
    episode: Episode,
    latch: FaultLatch,
}

/// Everything that belongs to one episode.
struct Episode {
    seed: u64,
    draw: ScissorsDraw,
    world: ScissorsWorld,
    state: State,
}

/// What changes during an episode, besides the world.
#[derive(Clone)]
struct State {
    step: u64,
    /// Tool pose and joints.
    command: Vec<f32>,
    delay: CommandDelay,
    play: Play,
    /// Targets of the joints, behind delay and play, rad.
    target_rad: Vec<f32>,
    tool: ToolState,
    noise: Rng,
    history: History,
}

/// A moment of an episode, to return to.
#[derive(Clone)]
pub struct ScissorsSnapshot {
    world: ScissorsWorldSnapshot,
    state: State,
}

impl SimScissors {
    /// The body in `domain`, before its first episode. Dumps of faults go into `fault_folder`, if there is one.
    pub(crate) fn new(
        hand: Arc<Hand>,
        start: Arc<ScissorsStart>,
        domain: ScissorsDomain,
        fault_folder: Option<Arc<Path>>,
    ) -> Self {
        let objects = ScissorsObject::ALL.map(|object| object.name().to_owned());
        let spec = BodySpec {
            tool: Some(start.parameters.wrist.tool),
            signals: vec![TAPE_CUT_SIGNAL.into(), TAPE_TORN_SIGNAL.into()],
            ..hand.body_spec(objects.into(), SERVO_HZ)
        };
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
    pub const fn world(&self) -> &ScissorsWorld {
        &self.episode.world
    }

    #[cfg(test)]
    pub(crate) const fn world_mut(&mut self) -> &mut ScissorsWorld {
        &mut self.episode.world
    }

    /// What this episode drew from its domain.
    #[must_use]
    pub const fn draw(&self) -> &ScissorsDraw {
        &self.episode.draw
    }

    /// Copies the moment.
    #[must_use]
    pub fn snapshot(&self) -> ScissorsSnapshot {
        ScissorsSnapshot { world: self.episode.world.snapshot(), state: self.episode.state.clone() }
    }

    /// Goes back to `snapshot`, taken in this episode: the same commands then lead to the same bits.
    pub fn restore(&mut self, snapshot: &ScissorsSnapshot) {
        self.episode.world.restore(&snapshot.world);
        self.episode.state.clone_from(&snapshot.state);
        self.latch.release();
    }

    /// Runs one servo period.
    fn advance(&mut self, command: &[f32]) -> Result<(), BodyError> {
        self.latch.check()?;
        let result = check_targets(&self.spec, command).and_then(|()| self.episode.advance(command));
        self.latch.hold(result, |fault| {
            let origin = Origin::Scissors {
                hand: self.hand.address.clone(),
                domain: self.domain.clone(),
                pinned_shifts: self.start.pinned_shifts.clone(),
            };
            Dump::new(fault, origin, self.episode.seed, &self.episode.state.history)
        })
    }
}

impl Body for SimScissors {
    fn spec(&self) -> &BodySpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64) -> Result<(), BodyError> {
        self.episode = Episode::new(&self.hand, &self.start, &self.domain, seed);
        self.latch.release();
        let command = self.episode.state.command.clone();
        for _ in 0..(SETTLE_S * f64::from(SERVO_HZ)).round() as u32 {
            self.advance(&command)?;
        }
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
        if targets_rad.first_chunk().and_then(ToolPose::from_values).is_none() {
            let found = std::array::from_fn(|i| targets_rad[3 + i]);
            return Err(BodyError::NoRotation { body: self.spec.name.clone(), quantity: "targets_rad", found });
        }
        self.latch.check()?;
        self.episode.state.history.command(targets_rad);
        self.advance(targets_rad)
    }
}

impl Simulated for SimScissors {
    fn engine(&self) -> &Engine {
        self.episode.world.engine()
    }

    fn truth(&self, percept: &mut Percept) {
        self.episode.truth(&self.hand, percept);
    }

    fn contacts(&self) -> Vec<Contact> {
        self.episode.world.scissors_contacts()
    }

    fn push(&mut self, object: usize, impulse_n_s: [f32; 3]) {
        self.episode.state.history.push(object, impulse_n_s);
        if let Some(&object) = ScissorsObject::ALL.get(object) {
            self.episode.world.push(object, impulse_n_s);
        }
    }
}

impl Episode {
    fn new(hand: &Hand, start: &ScissorsStart, domain: &ScissorsDomain, seed: u64) -> Self {
        let mut draw = domain.draw(&mut stream(seed, "domain", 0));
        let n_pinned = start.pinned_shifts.len() as u64;
        if n_pinned > 0 {
            draw.shift = start.pinned_shifts[(seed % n_pinned) as usize];
        }
        let world = ScissorsWorld::new(
            hand,
            &start.posture_rad,
            start.tool,
            &start.parameters,
            &start.placement.shifted(&draw.shift),
            &draw,
            start.finger_contacts,
        );
        let command: Vec<f32> = start.tool.values().iter().chain(&start.posture_rad).copied().collect();
        let (delay_s, unsteady) = (domain.command_delay_s, &domain.transmission);
        let (delay_rng, play_rng) = (stream(seed, "command delay", 0), stream(seed, "play", 0));
        let state = State {
            step: 0,
            delay: CommandDelay::new(delay_s, unsteady.delay_jitter_s, &command, delay_rng),
            play: Play::new(domain.backlash_rad, unsteady.backlash_jitter, hand.n_joints(), play_rng),
            command,
            target_rad: start.posture_rad.clone(),
            tool: ToolState { measured: start.tool, commanded: start.tool, ..ToolState::default() },
            noise: stream(seed, "sensor noise", 0),
            history: History::new(start.tool.values().len() + hand.n_joints()),
        };
        Self { seed, draw, world, state }
    }

    fn advance(&mut self, command: &[f32]) -> Result<(), PhysicsFault> {
        let state = &mut self.state;
        state.command.copy_from_slice(command);
        for _ in 0..STEPS_PER_COMMAND {
            let (tool, joints_rad) = state.delay.push(command).split_at(TOOL_POSE_LEN);
            if let Some(target) = tool.first_chunk().and_then(ToolPose::from_values) {
                self.world.set_tool_target(target);
            }
            state.play.follow(&mut state.target_rad, joints_rad);
            self.world.set_targets(&state.target_rad);
            self.world.step()?;
            state.step += 1;
        }
        self.world.engine().check()?;
        self.state.tool = self.world.end_tick();
        Ok(())
    }

    fn truth(&self, hand: &Hand, percept: &mut Percept) {
        let Self { state, world, draw, .. } = self;
        let (tool, joints_rad) = state.command.split_at(TOOL_POSE_LEN);
        percept.time_s = state.step as f64 / f64::from(PHYSICS_HZ);
        percept.measured_rad.resize(joints_rad.len(), 0.0);
        percept.effort_nm.resize(joints_rad.len(), 0.0);
        world.engine().read_joints(&mut percept.measured_rad, &mut percept.effort_nm);
        let efforts = percept.effort_nm.iter_mut().zip(&percept.measured_rad).zip(&state.target_rad);
        for (((effort, &q), &target), joint) in efforts.zip(hand.joints()) {
            *effort = joint.motor.effort_nm(draw.motor_gain_scale, draw.slack_rad as f32, target - q, *effort);
        }
        percept.commanded_rad.clear();
        percept.commanded_rad.extend_from_slice(joints_rad);
        // What was commanded is known; the wrist hears of it later.
        let commanded = tool.first_chunk().and_then(ToolPose::from_values).unwrap_or_default();
        percept.tool = Some(ToolState { commanded, ..state.tool });
        percept.objects.clear();
        percept.objects.extend(ScissorsObject::ALL.map(|object| world.object_pose(object, percept.time_s)));
        percept.signals.clear();
        percept.signals.extend([world.is_tape_cut(), world.is_tape_torn()]);
    }

    fn read(&mut self, hand: &Hand, domain: &ScissorsDomain, percept: &mut Percept) {
        self.truth(hand, percept);
        let mut normal = normals(&mut self.state.noise);
        for q in &mut percept.measured_rad {
            *q += normal(domain.joint_noise_rad.f32());
        }
        for force in percept.tool.iter_mut().flat_map(|tool| &mut tool.force_n) {
            *force += normal(domain.force_noise_n.f32());
        }
        for object in &mut percept.objects {
            disturb(object, &domain.pose_noise, &mut normal);
        }
    }
}
