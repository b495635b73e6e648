//! Scissors in the hand, opened and closed, to be compared with MuJoCo: what was commanded, and what came of it here.
//! `benches/peers/mujoco_scissors.py` runs it.
//!
//! `cargo run --release -p sim --no-default-features --example scissors_for_mujoco -- export OUT`: takes the scissors from their
//! case as the demonstrator does, holds them, and writes how that is: `hand.xml`, `scissors.xml`, `start.json`; and `spans.csv`, a row
//! of joint targets (rad) for every span of finger and thumb
//! `... -- play OUT NAME`: plays `NAME.csv`, a row of joint targets a servo tick, from there; writes `NAME.ours.csv`: the opening
//! (rad) and where the pivot is in the tool's frame (m), a row a tick

use bridge::random::stream;
use bridge::storage::write_atomic;
use bridge::{Body, Percept, ScissorsObject, ToolPose, rotate};
use sim::export::{mjcf, mjcf_scissors};
use sim::{FingerContacts, PHYSICS_HZ, Phase, SERVO_HZ, ScissorsDomain, ScissorsScene, SimScissors, Simulated};
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

const HAND: &str = "orca_v2";
/// Of the demonstrator's strategies: index and thumb, straight into the loops.
const STRATEGY: usize = 0;
/// The scissors come to rest in the hand, s.
const REST_S: u32 = 2;
/// Longest time until they are lifted, s.
const LIFT_WITHIN_S: u32 = 30;
const SPANS_M: [f64; 2] = [0.028, 0.086];
const N_SPANS: usize = 59;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scene = ScissorsScene::load(HAND)?.with_exact_strategies()?;
    let held = Held::take(&scene)?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["export", folder] => held.export(&scene, Path::new(folder)),
        ["play", folder, name] => held.play(Path::new(folder), name),
        _ => Err("expected export OUT or play OUT NAME".into()),
    }
}

/// Scissors that hang on finger and thumb.
struct Held {
    body: SimScissors,
    /// Tool pose and joints that are commanded.
    command: Vec<f32>,
    percept: Percept,
}

impl Held {
    fn take(scene: &ScissorsScene) -> Result<Self, Box<dyn Error>> {
        let mut body = scene.body(ScissorsDomain::load("scissors_exact")?);
        body.reset(0)?;
        let mut cutter = scene.cutter(STRATEGY, 0, stream(0, "demonstrator", 0)).ok_or("no such strategy")?;
        let mut percept = Percept::default();
        let (mut before, mut action) = (scene.start_command(), scene.start_command());
        let n_ticks = SERVO_HZ / scene.task_config().control_hz;
        for _ in 0..LIFT_WITHIN_S * scene.task_config().control_hz {
            body.truth(&mut percept);
            cutter.act(&percept, &mut action);
            if cutter.phase() == Phase::Carry {
                break;
            }
            for tick in 1..=n_ticks {
                let share = tick as f32 / n_ticks as f32;
                let between: Vec<f32> = before.iter().zip(&action).map(|(a, b)| a + (b - a) * share).collect();
                body.command(&between)?;
            }
            before.clone_from(&action);
        }
        if cutter.phase() != Phase::Carry {
            return Err(format!("the scissors are not lifted: {:?}", cutter.phase()).into());
        }
        for _ in 0..REST_S * SERVO_HZ {
            body.command(&before)?;
        }
        body.truth(&mut percept);
        Ok(Self { body, command: before, percept })
    }

    fn export(self, scene: &ScissorsScene, folder: &Path) -> Result<(), Box<dyn Error>> {
        std::fs::create_dir_all(folder)?;
        let write = |name: &str, text: &str| write_atomic(&folder.join(name), text.as_bytes());
        write("hand.xml", &mjcf(scene.hand(), FingerContacts::Distal))?;
        write("scissors.xml", &mjcf_scissors(&scene.parameters().shears, self.body.draw().friction))?;
        let (tool, finger) = (self.tool()?, ScissorsObject::FingerHalf.of(&self.percept));
        let start = format!(
            "{{\"tool_m\": {:?}, \"tool_turn\": {:?}, \"scissors_m\": {:?}, \"scissors_turn\": {:?}, \"opening_rad\": {}, \
             \"q_rad\": {:?}, \"targets_rad\": {:?}, \"friction\": {}, \"servo_hz\": {SERVO_HZ}, \"physics_hz\": {PHYSICS_HZ}, \
             \"spans_m\": {SPANS_M:?}}}",
            tool.position_m,
            tool.orientation,
            finger.position_m,
            finger.orientation,
            self.body.world().opening_rad(),
            self.percept.measured_rad,
            self.joints(),
            self.body.draw().friction,
        );
        write("start.json", &start)?;
        let grip = scene.grips().nth(STRATEGY).ok_or("no such strategy")?;
        let (mut rows, mut posture_rad) = (String::new(), vec![0.0; scene.hand().n_joints()]);
        for index in 0..N_SPANS {
            let share = index as f64 / (N_SPANS - 1) as f64;
            grip.at_span(SPANS_M[0] + (SPANS_M[1] - SPANS_M[0]) * share, &mut posture_rad);
            writeln!(rows, "{}", row(&posture_rad))?;
        }
        Ok(write("spans.csv", &rows)?)
    }

    fn play(mut self, folder: &Path, name: &str) -> Result<(), Box<dyn Error>> {
        let mut rows = String::new();
        for line in std::fs::read_to_string(folder.join(format!("{name}.csv")))?.lines() {
            let targets_rad = line.split(',').map(str::parse).collect::<Result<Vec<f32>, _>>()?;
            let n_tool = self.command.len() - self.joints().len();
            self.command.truncate(n_tool);
            self.command.extend(targets_rad);
            self.body.command(&self.command)?;
            self.body.truth(&mut self.percept);
            let (tool, finger) = (self.tool()?, ScissorsObject::FingerHalf.of(&self.percept));
            let offset_m = std::array::from_fn(|axis| finger.position_m[axis] - tool.position_m[axis]);
            let [x, y, z, w] = tool.orientation;
            let pivot_m = rotate([-x, -y, -z, w], offset_m);
            writeln!(rows, "{},{}", self.body.world().opening_rad(), row(&pivot_m))?;
        }
        Ok(write_atomic(&folder.join(format!("{name}.ours.csv")), rows.as_bytes())?)
    }

    fn tool(&self) -> Result<ToolPose, Box<dyn Error>> {
        Ok(self.percept.tool.ok_or("no tool")?.measured)
    }

    fn joints(&self) -> &[f32] {
        &self.command[self.command.len() - self.percept.measured_rad.len()..]
    }
}

fn row<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}
