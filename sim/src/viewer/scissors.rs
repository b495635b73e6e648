//! The scissors task to be played: its environment, who acts in it, and its instruments.

use crate::viewer::arguments::{Arguments, PolicyName};
use crate::viewer::driver::{Driver, Hold, Wander};
use crate::viewer::error::ViewerError;
use crate::viewer::filmed::{Filmed, Frame, Reel};
use crate::viewer::limits::limits;
use crate::viewer::play::Act;
use crate::viewer::policy::Trained;
use crate::viewer::reading::{Gauges, Instruments, Reading};
use crate::viewer::steering::Teleop;
use bridge::random::stream;
use bridge::{
    Environment, Outcome, Percept, ScissorsObject, ScissorsTask, TOOL_POSE_LEN, TaskEnvironment, opening_rad,
};
use sim::{Cutter, FAULT_FOLDER, Phase, ScissorsDomain, ScissorsScene};
use std::path::Path;

/// What the command line asks for.
///
/// # Errors
/// When a name is unknown, or the policy cannot be loaded.
pub fn open(arguments: &Arguments) -> Result<Act, ViewerError> {
    let scene = ScissorsScene::load(&arguments.hand)?.with_fault_folder(Path::new(FAULT_FOLDER));
    let task = ScissorsTask::new(scene.task_config().clone(), scene.hand().n_joints());
    let reel = Reel::default();
    // Who was trained plays the episodes that are evaluated: case and tape stand where the scene's configurations have them.
    let is_trained = matches!(arguments.policy, PolicyName::Run(_));
    let laid_out = if is_trained { scene.clone().pinned_to(scene.configurations()) } else { scene.clone() };
    let body = Box::new(laid_out.body(ScissorsDomain::load(&arguments.domain_name())?));
    let stage = TaskEnvironment::new(Filmed::new(body, &reel), task, limits(&arguments.policy)?)?;
    let control_hz = f64::from(scene.task_config().control_hz);
    let driver: Box<dyn Driver> = match &arguments.policy {
        PolicyName::Demo => Box::new(Scripted::new(scene.with_exact_strategies()?)?),
        PolicyName::Zero => Box::new(Hold { command: scene.start_command() }),
        PolicyName::Random => Box::new(Wander::new(scene.start_command(), TOOL_POSE_LEN, control_hz)),
        PolicyName::Teleop => Box::new(Teleop::new(scene.hand().clone(), stage.spec().clone())),
        PolicyName::Run(folder) => Box::new(Trained::load(folder, stage.spec(), scene.hand())?),
    };
    let pushed = ScissorsObject::FingerHalf as usize;
    Ok(Act { stage: Box::new(stage), reel, driver, instruments: instruments(), pushed })
}

/// The instruments for scissors and tape.
pub fn instruments() -> Box<dyn Instruments> {
    Box::new(ScissorsInstruments)
}

/// Plays the scene's strategies in turn, as they are: without the scatter and noise of recorded demonstrations.
struct Scripted {
    scene: ScissorsScene,
    which: usize,
    cutter: Cutter,
}

impl Scripted {
    fn new(scene: ScissorsScene) -> Result<Self, ViewerError> {
        let no_demonstration = || ViewerError::NoDemonstration { scene: scene.name().into() };
        let cutter = scene.cutter(0, 0, stream(0, "demonstration", 0)).ok_or_else(no_demonstration)?;
        Ok(Self { scene, which: 0, cutter })
    }
}

impl Driver for Scripted {
    fn name(&self) -> String {
        self.scene.strategies().nth(self.which).map_or_else(String::new, |strategy| strategy.name.clone())
    }

    fn activity(&self) -> Option<String> {
        let phase = match self.cutter.phase() {
            Phase::Approach => "approach",
            Phase::Insert => "insert",
            Phase::Seat => "seat",
            Phase::Lift => "lift",
            Phase::Retreat => "retreat",
            Phase::Carry => "carry",
            Phase::Open => "open",
            Phase::Lower => "lower",
            Phase::Close => "close",
            Phase::GivenUp => "given up",
        };
        Some(phase.into())
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        let n_strategies = self.scene.strategies().len().max(1) as u64;
        self.which = (seed % n_strategies) as usize;
        if let Some(cutter) = self.scene.cutter(self.which, 0, stream(seed, "demonstration", 0)) {
            self.cutter = cutter;
        }
        Ok(())
    }

    fn plan(&mut self, _: &[f32], percept: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        chunk_rad.resize(TOOL_POSE_LEN + self.scene.hand().n_joints(), 0.0);
        self.cutter.act(percept, chunk_rad);
        Ok(())
    }

    fn has_given_up(&self) -> bool {
        self.cutter.phase() == Phase::GivenUp
    }
}

/// Looks at scissors and tape.
struct ScissorsInstruments;

impl Instruments for ScissorsInstruments {
    fn clear(&mut self) {}

    fn read(&mut self, frame: &Frame, outcome: &Outcome, ending: Option<String>) -> Reading {
        let Frame { truth, contacts, .. } = frame;
        let [x, y, z] = truth.tool.map_or([0.0; 3], |tool| tool.force_n.map(f64::from));
        let out_m = ScissorsObject::FingerHalf.of(truth).position_m[2] - ScissorsObject::Case.of(truth).position_m[2];
        let gauges = Gauges::Scissors {
            opening_rad: f64::from(opening_rad(truth)),
            out_m: f64::from(out_m),
            force_n: (x * x + y * y + z * z).sqrt(),
            grasped_s: outcome.scalar("time_to_grasp_s"),
            cut_s: outcome.scalar("time_to_cut_s"),
        };
        Reading { time_s: truth.time_s, n_contacts: contacts.len(), gauges, ending }
    }

    fn ending(&self, outcome: &Outcome) -> &'static str {
        let endings = [
            ("cut", "cut"),
            ("torn", "torn"),
            ("dropped", "dropped"),
            ("too_much_force", "pushed too hard"),
            ("out_of_safe_box", "out of the safe box"),
        ];
        let is_it = |&&(scalar, _): &&(&str, &str)| outcome.scalar(scalar).is_some_and(|value| value > 0.0);
        endings.iter().find(is_it).map_or("given up", |(_, words)| words)
    }
}
