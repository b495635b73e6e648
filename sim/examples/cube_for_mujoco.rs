//! The cube in the hand, to be compared with MuJoCo: what was commanded, what came of it here, and how long it takes.
//! `benches/peers/mujoco_peer.py` runs it.
//!
//! `cargo run --release -p sim --no-default-features --example cube_for_mujoco -- export OUT`: writes `hand.xml`, `hand.urdf`
//! `... -- replay OUT GAIT SECONDS`: plays a gait of the ORCA hand, or `hold`, open loop; writes `GAIT.csv`, one row of joint
//! targets (rad) a servo tick, and prints a line of JSON
//! `... -- follow OUT NAME`: plays the targets of `NAME.csv`, and prints such a line
//! `... -- time GAIT SECONDS PLAYS`: plays a gait so often from its start, and nothing else; the cube must not fall

use bridge::storage::write_atomic;
use bridge::{heading_rad, tilt_rad};
use sim::export::{mjcf, urdf};
use sim::{CubeScene, FingerContacts, Gait, GaitTable, Joint, PHYSICS_HZ, SERVO_HZ, Surroundings, World};
use std::error::Error;
use std::f64::consts::{PI, TAU};
use std::fmt::Write as _;
use std::num::ParseFloatError;
use std::path::Path;

/// As in every episode: the hand closes around the weightless cube.
const CLOSE_S: f64 = 0.4;
const WEIGHTLESS_TICKS: u64 = SERVO_HZ as u64 / 2;
/// The gait begins.
const START_TICKS: u64 = 48;
/// Turns and slip are counted from here on.
const COUNT_TICKS: u64 = SERVO_HZ as u64;
const DROPPED_M: f32 = 0.03;
const FRICTION: f64 = 1.0;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scene = CubeScene::load("orca_v2")?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["export", folder] => {
            std::fs::create_dir_all(folder)?;
            let files = [("hand.xml", mjcf(scene.hand(), FingerContacts::Distal)), ("hand.urdf", urdf(scene.hand()))];
            for (name, text) in files {
                write_atomic(&Path::new(folder).join(name), text.as_bytes())?;
            }
        }
        ["replay", folder, gait, seconds] => {
            let rows = count(&scene, Source::load(&scene, gait)?, ticks(seconds)?)?;
            write_atomic(&Path::new(folder).join(format!("{gait}.csv")), rows.as_bytes())?;
        }
        ["follow", folder, name] => {
            let text = std::fs::read_to_string(Path::new(folder).join(format!("{name}.csv")))?;
            let row = |line: &str| line.split(',').map(str::parse).collect::<Result<Vec<f32>, _>>();
            let rows = text.lines().map(row).collect::<Result<Vec<_>, _>>()?;
            let n_ticks = rows.len() as u64;
            count(&scene, Source::Rows(rows), n_ticks)?;
        }
        ["time", gait, seconds, plays] => {
            let n_ticks = ticks(seconds)?;
            for _ in 0..plays.parse::<u32>()? {
                let mut play = Play::new(&scene, Source::load(&scene, gait)?);
                (0..n_ticks).try_for_each(|tick| play.tick(tick))?;
                if is_dropped(&scene, &play.world) {
                    return Err(format!("the cube fell within {seconds} s: an empty hand costs less").into());
                }
            }
        }
        _ => {
            return Err(
                "expected export OUT, replay OUT GAIT SECONDS, follow OUT NAME or time GAIT SECONDS PLAYS".into()
            );
        }
    }
    Ok(())
}

fn ticks(seconds: &str) -> Result<u64, ParseFloatError> {
    Ok((seconds.parse::<f64>()? * f64::from(SERVO_HZ)).round() as u64)
}

fn is_dropped(scene: &CubeScene, world: &World) -> bool {
    f64::from(world.cube_pose(0.0).position_m[2]) - scene.start().cube.center_m.z < -f64::from(DROPPED_M)
}

/// Where targets come from.
enum Source {
    /// The hand closes around the cube and holds it.
    Holding,
    /// It closes, then plays a gait.
    Gait(GaitTable),
    /// A row of targets (rad) a tick, whatever they do.
    Rows(Vec<Vec<f32>>),
}

impl Source {
    /// A gait, or `hold`.
    fn load(scene: &CubeScene, name: &str) -> Result<Self, Box<dyn Error>> {
        Ok(match name {
            "hold" => Self::Holding,
            gait => Self::Gait(GaitTable::new(scene.hand(), &Gait::load(gait)?)?),
        })
    }
}

/// A hand with a cube that plays a source of targets.
struct Play {
    world: World,
    source: Source,
    open_rad: Vec<f32>,
    holding_rad: Vec<f32>,
    targets_rad: Vec<f32>,
    max_steps_rad: Vec<f32>,
}

impl Play {
    fn new(scene: &CubeScene, source: Source) -> Self {
        let start = scene.start();
        let (open_rad, holding_rad) = (start.open_rad.clone(), start.holding_rad.clone());
        let surroundings = Surroundings {
            friction: FRICTION,
            motor_gain_scale: 1.0,
            slack_rad: 0.0,
            finger_contacts: FingerContacts::Distal,
        };
        let mut world = World::new(scene.hand(), &open_rad, &start.cube, &surroundings);
        world.set_cube_weight(false);
        let max_step_rad = |joint: &Joint| (joint.motor.max_rate_rad_s / f64::from(SERVO_HZ)) as f32;
        let max_steps_rad = scene.hand().joints().map(max_step_rad).collect();
        Self { world, source, targets_rad: open_rad.clone(), open_rad, holding_rad, max_steps_rad }
    }

    /// One servo period.
    fn tick(&mut self, tick: u64) -> Result<(), Box<dyn Error>> {
        if tick == WEIGHTLESS_TICKS {
            self.world.set_cube_weight(true);
        }
        let time_s = |ticks: u64| ticks as f64 / f64::from(SERVO_HZ);
        let mut wanted_rad = self.holding_rad.clone();
        match &self.source {
            Source::Rows(rows) => wanted_rad.clone_from(&rows[tick as usize]),
            Source::Gait(gait) if tick >= START_TICKS => {
                gait.target_from(&self.holding_rad, time_s(tick - START_TICKS), 0.0, &mut wanted_rad);
            }
            Source::Gait(_) | Source::Holding => {
                let closed = (time_s(tick) / CLOSE_S).min(1.0) as f32;
                for (wanted, open) in wanted_rad.iter_mut().zip(&self.open_rad) {
                    *wanted = open + (*wanted - open) * closed;
                }
            }
        }
        for ((target, wanted), &max_step_rad) in self.targets_rad.iter_mut().zip(wanted_rad).zip(&self.max_steps_rad) {
            *target += (wanted - *target).clamp(-max_step_rad, max_step_rad);
        }
        self.world.set_targets(&self.targets_rad);
        for _ in 0..PHYSICS_HZ / SERVO_HZ {
            self.world.step()?;
        }
        Ok(())
    }
}

/// Plays `source`, prints what came of it, and returns the targets, a row a tick.
fn count(scene: &CubeScene, source: Source, n_ticks: u64) -> Result<String, Box<dyn Error>> {
    let mut play = Play::new(scene, source);
    let cube = scene.start().cube;
    let (mut rows, mut turned_rad, mut tilt_sum, mut n_counted) = (String::new(), 0.0, 0.0, 0);
    let (mut before_rad, mut from_m, mut dropped_s) = (None, None, None);
    let mut slip_m = 0.0;
    let q0 = play.open_rad.clone();
    for tick in 0..n_ticks {
        play.tick(tick)?;
        let row: Vec<String> = play.targets_rad.iter().map(f32::to_string).collect();
        writeln!(rows, "{}", row.join(","))?;
        let pose = play.world.cube_pose(0.0);
        if dropped_s.is_none() && is_dropped(scene, &play.world) {
            dropped_s = Some((tick + 1) as f64 / f64::from(SERVO_HZ));
        }
        if tick < COUNT_TICKS || dropped_s.is_some() {
            continue;
        }
        let heading = f64::from(heading_rad(pose.orientation));
        if let Some(before) = before_rad.replace(heading) {
            turned_rad += (heading - before + PI).rem_euclid(TAU) - PI;
        }
        let from = *from_m.get_or_insert(pose.position_m);
        slip_m = (0..3).map(|axis| f64::from(pose.position_m[axis] - from[axis]).powi(2)).sum::<f64>().sqrt();
        tilt_sum += f64::from(tilt_rad(pose.orientation));
        n_counted += 1;
    }
    let counted_s = f64::from(n_counted) / f64::from(SERVO_HZ);
    println!(
        "{{\"turned_rad\": {turned_rad}, \"counted_s\": {counted_s}, \"slip_m\": {slip_m}, \"tilt_rad\": {}, \
         \"dropped_s\": {}, \"contacts\": {}, \"open_rad\": {q0:?}, \"edge_m\": {}, \"mass_kg\": {}, \
         \"center_m\": {:?}, \"yaw_rad\": {}, \"friction\": {FRICTION}, \"servo_hz\": {SERVO_HZ}, \
         \"physics_hz\": {PHYSICS_HZ}, \"weightless_ticks\": {WEIGHTLESS_TICKS}, \"count_ticks\": {COUNT_TICKS}, \
         \"dropped_m\": {DROPPED_M}}}",
        tilt_sum / f64::from(n_counted.max(1)),
        dropped_s.map_or("null".to_owned(), |at_s: f64| at_s.to_string()),
        play.world.engine().n_contacts(),
        cube.edge_m,
        cube.mass_kg,
        cube.center_m.to_array(),
        cube.yaw_rad,
    );
    Ok(rows)
}
