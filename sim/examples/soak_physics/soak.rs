//! Random actions on random domains, and what must hold whatever they do.
//!
//! Every second episode commands the body without the governor's limits on rates and errors. What must hold: every
//! perceived number is finite, no step fails, and nothing is inside of what it cannot pass. Depths are lower bounds, from
//! the ball in the cube and from points on the scissors; see [`Room`].

use bridge::number::{NonNegative, NumberError, Positive, UnitInterval};
use bridge::random::{Rng, stream};
use bridge::{
    BodyError, BodySpec, GovernorConfig, Limits, ObjectPose, Percept, ScissorsObject, TOOL_POSE_LEN, rotate,
    rotate_back,
};
use rand::{Rng as _, RngCore as _};
use rapier3d::glamx::DVec3;
use sim::{
    CaseParameters, CubeScene, Domain, Engine, Hand, PHYSICS_HZ, PartKind, SERVO_HZ, ScissorsDomain,
    ScissorsParameters, ScissorsScene, Shape, ShearsParameters, Simulated, Transmission,
};
use std::error::Error;
use std::f64::consts::TAU;

/// Length of an episode, servo ticks.
const EPISODE_TICKS: u64 = 6 * SERVO_HZ as u64;
const STEPS_PER_TICK: u64 = (PHYSICS_HZ / SERVO_HZ) as u64;

/// Below every floor, m.
const LOST_BELOW_M: f32 = -0.6;
/// Half of the table's edges, and its thickness, m: what is thrown beyond them falls beside it.
const TABLE_HALF_M: f64 = 0.5;
const TABLE_THICKNESS_M: f64 = 0.1;
/// A point this deep below the case's rim does not come over it within a tick, m: it is 4 cm from there to the other side.
const RIM_M: f64 = 0.01;
/// The tool overshoots what its controller's error leaves it by less than this, m.
const OVERSHOOT_M: f32 = 0.01;

/// A task to be soaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The cube in the hand.
    Cube,
    /// Scissors and tape.
    Scissors,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Physics steps.
    pub n_steps: u64,
    /// Episodes.
    pub n_episodes: u64,
    /// What the physics said where it failed, numbers that were not finite, and what went through a wall; in which episode, and when.
    pub faults: Vec<String>,
    /// How deep something was at most in what it cannot pass, m, what, and when.
    pub deepest: (f64, String),
    /// The episodes in which it was deeper than [`MAX_DEPTH_M`], and when first; scissors for two ticks in a row: a blade of as little as
    /// 4 g that nothing governs is in a wall or in the table for a tick now and then, where it hits it, and out in the next.
    pub too_deep: Vec<String>,
}

/// Deeper than this, something is on its way through, m. The thinnest wall has 16 mm.
pub const MAX_DEPTH_M: f64 = 0.004;

/// Soaks `task` for at least `n_steps` physics steps, in the episodes of `seed` from number `first` on.
///
/// # Errors
/// When an asset is not there, or a body cannot be reset.
pub fn soak(task: Task, n_steps: u64, seed: u64, first: u64) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    for episode in first.. {
        if report.n_steps >= n_steps {
            break;
        }
        let mut rng = stream(seed, "soak", episode);
        let (mut body, mut room) = match task {
            Task::Cube => {
                let scene = CubeScene::load("orca_v2")?;
                let body = scene.body(random_cube_domain(&mut rng)?);
                (Box::new(body) as Box<dyn Simulated>, Room::Hand(scene.hand().clone()))
            }
            Task::Scissors => {
                let scene = ScissorsScene::load("orca_v2")?;
                let body = scene.body(random_scissors_domain(&mut rng)?);
                let room = Room::Table { parameters: scene.parameters().clone(), places: Vec::new() };
                (Box::new(body) as Box<dyn Simulated>, room)
            }
        };
        play(body.as_mut(), &mut room, episode, &mut rng, &mut report)?;
        report.n_episodes += 1;
    }
    Ok(report)
}

fn play(
    body: &mut dyn Simulated,
    room: &mut Room,
    episode: u64,
    rng: &mut Rng,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let spec = body.spec().clone();
    let limits = episode.is_multiple_of(2).then(|| GovernorConfig::usual().map(|usual| Limits::new(&spec, usual)));
    let limits = limits.transpose()?;
    let (mut percept, mut truth) = (Percept::default(), Percept::default());
    body.reset(rng.next_u64())?;
    body.read(&mut percept)?;
    let radius_m = f64::from(cube_half_m(body.engine()).unwrap_or(0.0));
    let start = commanded(&percept);
    let (mut command, mut wish) = (start.clone(), start.clone());
    // Some episodes stay near their start, where something is held; others go everywhere.
    let reach = rng.random_range(0.02..=1.0);
    let (mut ticks_left, mut ticks_deep, mut is_reported) = (0, 0, false);
    for tick in 0..EPISODE_TICKS {
        let moment = || format!("episode {episode}, {:.2} s", tick as f64 / f64::from(SERVO_HZ));
        if ticks_left == 0 {
            ticks_left = rng.random_range(1..30);
            draw_wish(&spec, rng, &mut wish);
            for (wish, start) in wish.iter_mut().zip(&start) {
                *wish = start + (*wish - start) * reach;
            }
        }
        ticks_left -= 1;
        let previous = std::mem::replace(&mut command, wish.clone());
        if let Some(limits) = &limits {
            limits.apply(&mut command, &previous, &measured(&percept))?;
        }
        report.n_steps += STEPS_PER_TICK;
        match body.command(&command).and_then(|()| body.read(&mut percept)) {
            Ok(()) => {}
            Err(error @ BodyError::SimFault { .. }) => {
                report.faults.push(format!("{}: {error}", moment()));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        if let Some((name, value)) = percept.find_non_finite() {
            report.faults.push(format!("{}: {name} is {value}", moment()));
            return Ok(());
        }
        body.truth(&mut truth);
        let (depth_m, what) = room.deepest(radius_m, &truth);
        if depth_m > report.deepest.0 {
            report.deepest = (depth_m, format!("{what}, {}", moment()));
        }
        ticks_deep = if depth_m > MAX_DEPTH_M { ticks_deep + 1 } else { 0 };
        if ticks_deep >= room.patience() && !is_reported {
            report.too_deep.push(format!("{}: {what}", moment()));
            is_reported = true;
        }
        if let Some(name) = room.escaped(&truth) {
            report.faults.push(format!("{}: {name} went through a wall of the case", moment()));
            return Ok(());
        }
        // What rolled off the edge of the floor falls for ever.
        if truth.objects.iter().any(|object| object.position_m[2] < LOST_BELOW_M) {
            break;
        }
    }
    Ok(())
}

fn cube_half_m(engine: &Engine) -> Option<f32> {
    engine.parts().find_map(|part| match (part.kind, part.shape) {
        (PartKind::Cube, Shape::Cuboid { half_extents_m: [half_m, ..], .. }) => Some(half_m),
        _ => None,
    })
}

/// Measured positions, in the layout of a command.
fn measured(percept: &Percept) -> Vec<f32> {
    let tool = percept.tool.iter().flat_map(|tool| tool.measured.values());
    tool.chain(percept.measured_rad.iter().copied()).collect()
}

/// What holds the start, in the layout of a command.
fn commanded(percept: &Percept) -> Vec<f32> {
    let tool = percept.tool.iter().flat_map(|tool| tool.commanded.values());
    tool.chain(percept.commanded_rad.iter().copied()).collect()
}

/// Anywhere that limits allow.
fn draw_wish(spec: &BodySpec, rng: &mut Rng, wish: &mut [f32]) {
    let (tool, joints) = wish.split_at_mut(spec.tool_len());
    if let (Some(limits), Some(pose)) = (&spec.tool, tool.first_chunk_mut::<TOOL_POSE_LEN>()) {
        let [x, y, z, orientation @ ..] = pose;
        for (axis, value) in [x, y, z].into_iter().enumerate() {
            *value = rng.random_range(limits.lower_m[axis]..=limits.upper_m[axis]);
        }
        // Every second wish turns the hand, the others only move it.
        if rng.random_bool(0.5) {
            orientation.fill_with(|| rng.random_range(-1.0..=1.0));
        }
    }
    for (value, joint) in joints.iter_mut().zip(&spec.joints) {
        *value = rng.random_range(joint.lower_rad..=joint.upper_rad);
    }
}

/// Ranges far beyond those that anything is trained on.
fn random_cube_domain(rng: &mut Rng) -> Result<Domain, Box<dyn Error>> {
    let nominal = Domain::load("nominal")?;
    Ok(Domain {
        friction: between(rng, 0.2, 2.0)?,
        cube_mass_scale: between(rng, 0.3, 4.0)?,
        cube_edge_scale: between(rng, 0.9, 1.1)?,
        motor_gain_scale: between(rng, 0.3, 2.0)?,
        command_delay_s: from_zero(rng, 0.1)?,
        backlash_rad: from_zero(rng, 0.1)?,
        transmission: random_transmission(rng)?,
        ..nominal
    })
}

fn random_scissors_domain(rng: &mut Rng) -> Result<ScissorsDomain, Box<dyn Error>> {
    let randomised = ScissorsDomain::load("scissors_randomised")?;
    Ok(ScissorsDomain {
        friction: between(rng, 0.2, 2.0)?,
        scissors_mass_scale: between(rng, 0.3, 4.0)?,
        pivot_friction_scale: between(rng, 0.1, 4.0)?,
        detent_scale: between(rng, 0.1, 4.0)?,
        tape_strength_scale: between(rng, 0.1, 4.0)?,
        motor_gain_scale: between(rng, 0.3, 2.0)?,
        wrist_gain_scale: between(rng, 0.3, 2.0)?,
        command_delay_s: from_zero(rng, 0.1)?,
        backlash_rad: from_zero(rng, 0.1)?,
        transmission: random_transmission(rng)?,
        ..randomised
    })
}

fn random_transmission(rng: &mut Rng) -> Result<Transmission, NumberError> {
    Ok(Transmission {
        slack_rad: from_zero(rng, 0.1)?,
        slack_jitter: UnitInterval::try_from(rng.random_range(0.0..=1.0))?,
        backlash_jitter: UnitInterval::try_from(rng.random_range(0.0..=1.0))?,
        delay_jitter_s: from_zero(rng, 0.1)?,
    })
}

fn between(rng: &mut Rng, lower: f64, upper: f64) -> Result<Positive, NumberError> {
    Positive::try_from(rng.random_range(lower..=upper))
}

fn from_zero(rng: &mut Rng, upper: f64) -> Result<NonNegative, NumberError> {
    NonNegative::try_from(rng.random_range(0.0..=upper))
}

/// What cannot be passed.
enum Room {
    /// The palm and the fingers, for the ball inside of the cube.
    Hand(Hand),
    /// The table and the walls of the case, for points on the blades and loops; where each of them was that was in no wall.
    Table { parameters: ScissorsParameters, places: Vec<Place> },
}

impl Room {
    /// Ticks in a row that something may not be too deep for.
    const fn patience(&self) -> u32 {
        match self {
            Self::Hand(_) => 1,
            Self::Table { .. } => 2,
        }
    }

    /// How deep something is in something else, m, and what; 0 where nothing is.
    fn deepest(&self, radius_m: f64, truth: &Percept) -> (f64, String) {
        let mut deepest = (0.0, String::new());
        let mut note = |depth_m: f64, what: &dyn Fn() -> String| {
            if depth_m > deepest.0 {
                deepest = (depth_m, what());
            }
        };
        match self {
            Self::Hand(hand) => {
                let center_m = vector(truth.objects[0].position_m);
                for part in &hand.palm {
                    note(radius_m - part.distance_m(center_m), &|| "cube in palm".into());
                }
                for finger in &hand.fingers {
                    let q_rad: Vec<f64> = truth.measured_rad[finger.first_joint..][..finger.joints.len()]
                        .iter()
                        .map(|&q| f64::from(q))
                        .collect();
                    for (link, joint) in finger.joints.iter().enumerate().filter(|(_, joint)| joint.link.collides) {
                        let start_m = finger.point_m(&q_rad, link, DVec3::ZERO);
                        let axis_m = finger.point_m(&q_rad, link, joint.link.end_m) - start_m;
                        let share = (center_m - start_m).dot(axis_m) / axis_m.length_squared().max(1e-12);
                        let off_m = (start_m + axis_m * share.clamp(0.0, 1.0) - center_m).length();
                        note(radius_m + joint.link.radius_m - off_m, &|| format!("cube in {}", joint.name));
                    }
                }
            }
            Self::Table { parameters, .. } => {
                let limits = &parameters.wrist.tool;
                let room_m = limits.max_error_m + OVERSHOOT_M;
                for (axis, x) in truth.tool.iter().flat_map(|tool| tool.measured.position_m.into_iter().enumerate()) {
                    let beyond_m = (limits.lower_m[axis] - x).max(x - limits.upper_m[axis]) - room_m;
                    note(f64::from(beyond_m), &|| "tool beyond its workspace".into());
                }
                let case = Case::new(&parameters.case, truth);
                for (object, point) in scissors_points(&parameters.shears, truth) {
                    let [x, y, z] = point.map(f64::from);
                    let to_side = TABLE_HALF_M - x.abs().max(y.abs());
                    note(to_side.min(-z).min(TABLE_THICKNESS_M + z), &|| format!("{} in the table", object.name()));
                    note(case.depth_m(point), &|| format!("{} in the case", object.name()));
                }
            }
        }
        deepest
    }

    /// What has gone through a wall of the case since the last look.
    fn escaped(&mut self, truth: &Percept) -> Option<&'static str> {
        let Self::Table { parameters, places } = self else { return None };
        let case = Case::new(&parameters.case, truth);
        let mut escaped = None;
        for (index, (object, point)) in scissors_points(&parameters.shears, truth).enumerate() {
            let place = case.place(point);
            if places.len() <= index {
                places.push(place);
            }
            if place != Place::InWall {
                let before = std::mem::replace(&mut places[index], place);
                if matches!((before, place), (Place::InSlot, Place::Around) | (Place::Around, Place::InSlot)) {
                    escaped = Some(object.name());
                }
            }
        }
        escaped
    }
}

/// Points on the scissors' blades and loops, m.
fn scissors_points(shears: &ShearsParameters, truth: &Percept) -> impl Iterator<Item = (ScissorsObject, [f32; 3])> {
    [(ScissorsObject::FingerHalf, -1.0), (ScissorsObject::ThumbHalf, 1.0)].into_iter().flat_map(
        move |(object, side)| {
            let half = object.of(truth);
            let blade = (0..=8).map(|k| [0.0, 0.0, -f64::from(k) / 8.0 * shears.blade_length_m.get()]);
            let wire_m = shears.loop_inner_radius_m.get() + shears.loop_wire_radius_m.get();
            let ring = (0..8).map(move |k| {
                let (sin, cos) = (f64::from(k) / 8.0 * TAU).sin_cos();
                [0.0, side * shears.loop_offset_m.get() + wire_m * cos, shears.loop_height_m.get() + wire_m * sin]
            });
            blade.chain(ring).map(move |point| {
                let turned = rotate(half.orientation, point.map(|x| x as f32));
                (object, std::array::from_fn(|i| half.position_m[i] + turned[i]))
            })
        },
    )
}

/// Where a point is as the walls of the case have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    InSlot,
    InWall,
    /// Beside the case.
    Around,
    /// Higher than the rim, or so little below it that a tick could lift a point over it.
    Above,
}

/// The case, to compare points with.
struct Case {
    frame: ObjectPose,
    half_slot_m: [f64; 2],
    half_outer_m: [f64; 2],
    floor_m: f64,
    top_m: f64,
}

impl Case {
    fn new(parameters: &CaseParameters, truth: &Percept) -> Self {
        let frame = *ScissorsObject::Case.of(truth);
        let bottom_m = f64::from(-frame.position_m[2]);
        Self {
            frame,
            half_slot_m: parameters.slot_m.map(|x| 0.5 * x.get()),
            half_outer_m: parameters.outer_m.map(|x| 0.5 * x.get()),
            floor_m: bottom_m + parameters.floor_m.get(),
            top_m: bottom_m + parameters.height_m.get(),
        }
    }

    /// In the frame of the case.
    fn seen(&self, point: [f32; 3]) -> [f64; 3] {
        let seen = std::array::from_fn(|i| point[i] - self.frame.position_m[i]);
        rotate_back(self.frame.orientation, seen).map(f64::from)
    }

    /// How deep a point is in what the case is made of, m.
    fn depth_m(&self, point: [f32; 3]) -> f64 {
        let ([x, y, z], [slot_x, slot_y], [outer_x, outer_y]) = (self.seen(point), self.half_slot_m, self.half_outer_m);
        let to_slot = if z > self.floor_m { (x.abs() - slot_x).max(y.abs() - slot_y) } else { self.floor_m - z };
        let to_outside = (outer_x - x.abs()).min(outer_y - y.abs()).min(self.top_m - z);
        to_slot.min(to_outside)
    }

    fn place(&self, point: [f32; 3]) -> Place {
        let [x, y, z] = self.seen(point);
        let is_within = |half_m: [f64; 2]| x.abs() < half_m[0] && y.abs() < half_m[1];
        if z > self.top_m - RIM_M {
            Place::Above
        } else if is_within(self.half_slot_m) {
            Place::InSlot
        } else if is_within(self.half_outer_m) {
            Place::InWall
        } else {
            Place::Around
        }
    }
}

fn vector(v: [f32; 3]) -> DVec3 {
    DVec3::from_array(v.map(f64::from))
}
