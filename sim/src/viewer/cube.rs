//! The cube task to be played: its environment, who acts in it, and its instruments.

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
use bridge::{CubeReward, CubeTask, Environment, ObjectPose, Outcome, Percept, TaskEnvironment, heading_rad, tilt_rad};
use sim::{CubeScene, Demonstrator, Domain, FAULT_FOLDER};
use std::collections::VecDeque;
use std::f64::consts::{PI, TAU};
use std::path::Path;

/// Turning speed is the mean over this time, s: long enough to span a gait cycle.
const SPEED_WINDOW_S: f64 = 2.0;

/// What the command line asks for.
///
/// # Errors
/// When a name is unknown, or the policy cannot be loaded.
pub fn open(arguments: &Arguments) -> Result<Act, ViewerError> {
    let scene = CubeScene::load(&arguments.hand)?.with_fault_folder(Path::new(FAULT_FOLDER));
    let config = scene.task_config(CubeReward::Dense);
    let control_hz = f64::from(config.control_hz);
    let task = CubeTask::new(config, scene.hand().n_joints());
    let reel = Reel::default();
    let body = Box::new(scene.body(Domain::load(&arguments.domain_name())?));
    let stage = TaskEnvironment::new(Filmed::new(body, &reel), task, limits(&arguments.policy)?)?;
    let hand = scene.hand().clone();
    let posture_rad = scene.start().holding_rad.clone();
    let driver: Box<dyn Driver> = match &arguments.policy {
        PolicyName::Demo => Box::new(Scripted::new(scene)?),
        PolicyName::Zero => Box::new(Hold { command: posture_rad }),
        PolicyName::Random => Box::new(Wander::new(posture_rad, 0, control_hz)),
        PolicyName::Teleop => Box::new(Teleop::new(hand, stage.spec().clone())),
        PolicyName::Run(folder) => Box::new(Trained::load(folder, stage.spec(), &hand)?),
    };
    Ok(Act { stage: Box::new(stage), reel, driver, instruments: instruments(&arguments.hand)?, pushed: 0 })
}

/// The instruments for the cube of `hand`.
///
/// # Errors
/// When the hand has no cube.
pub fn instruments(hand: &str) -> Result<Box<dyn Instruments>, ViewerError> {
    let config = CubeScene::load(hand)?.task_config(CubeReward::Dense);
    Ok(Box::new(CubeInstruments::new(config.nominal_center_m.map(|x| x.get()), config.direction.sign())))
}

/// Plays the first of the scene's gaits, as it is: without the perturbation and noise of recorded demonstrations.
struct Scripted {
    name: String,
    scene: CubeScene,
    demonstrator: Demonstrator,
}

impl Scripted {
    fn new(scene: CubeScene) -> Result<Self, ViewerError> {
        let no_demonstration = || ViewerError::NoDemonstration { scene: scene.name().into() };
        let demonstration = scene.demonstrations().first().ok_or_else(no_demonstration)?;
        let demonstrator = Demonstrator::new(&scene, &demonstration.gait, 0.0, stream(0, "demonstration", 0))?;
        Ok(Self { name: demonstration.config.gait.clone(), scene, demonstrator })
    }
}

impl Driver for Scripted {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        if let Some(demonstration) = self.scene.demonstrations().first() {
            let rng = stream(seed, "demonstration", 0);
            self.demonstrator = Demonstrator::new(&self.scene, &demonstration.gait, 0.0, rng)?;
        }
        Ok(())
    }

    fn plan(&mut self, _: &[f32], _: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        chunk_rad.resize(self.scene.hand().n_joints(), 0.0);
        self.demonstrator.act(chunk_rad);
        Ok(())
    }
}

/// Follows a cube from pose to pose.
#[derive(Clone, Debug)]
struct CubeInstruments {
    nominal_center_m: [f64; 3],
    /// +1 when counter-clockwise is wanted, -1 when clockwise is.
    wanted_sign: f64,
    heading_rad: Option<f64>,
    turned_rad: f64,
    /// Time and turned angle over the speed window, oldest first.
    recent: VecDeque<(f64, f64)>,
}

impl CubeInstruments {
    /// Instruments for a cube that belongs at `nominal_center_m` and is to turn as `wanted_sign` says.
    const fn new(nominal_center_m: [f64; 3], wanted_sign: f64) -> Self {
        Self { nominal_center_m, wanted_sign, heading_rad: None, turned_rad: 0.0, recent: VecDeque::new() }
    }

    /// Reads the next pose. A cube that was dropped does not count as turning any more.
    fn follow(&mut self, cube: &ObjectPose, is_dropped: bool) -> Gauges {
        let heading_rad = f64::from(heading_rad(cube.orientation));
        if let (Some(before_rad), false) = (self.heading_rad, is_dropped) {
            self.turned_rad += self.wanted_sign * ((heading_rad - before_rad + PI).rem_euclid(TAU) - PI);
        }
        self.heading_rad = Some(heading_rad);
        self.recent.push_back((cube.time_s, self.turned_rad));
        while self.recent.front().is_some_and(|(time_s, _)| cube.time_s - time_s > SPEED_WINDOW_S) {
            self.recent.pop_front();
        }
        let rpm = match self.recent.front() {
            Some((time_s, turned_rad)) if cube.time_s > *time_s => {
                (self.turned_rad - turned_rad) / TAU * 60.0 / (cube.time_s - time_s)
            }
            _ => 0.0,
        };
        let squares =
            cube.position_m.iter().zip(self.nominal_center_m).map(|(&x, nominal)| (f64::from(x) - nominal).powi(2));
        Gauges::Cube {
            turned_rad: self.turned_rad,
            rpm,
            offset_m: squares.sum::<f64>().sqrt(),
            tilt_rad: f64::from(tilt_rad(cube.orientation)),
        }
    }
}

impl Instruments for CubeInstruments {
    fn clear(&mut self) {
        *self = Self::new(self.nominal_center_m, self.wanted_sign);
    }

    fn read(&mut self, frame: &Frame, _: &Outcome, ending: Option<String>) -> Reading {
        let cube = &frame.truth.objects[0];
        let gauges = self.follow(cube, ending.is_some());
        Reading { time_s: cube.time_s, n_contacts: frame.contacts.len(), gauges, ending }
    }

    fn ending(&self, _: &Outcome) -> &'static str {
        "dropped"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cube_at(time_s: f64, heading_rad: f64) -> ObjectPose {
        let (sin, cos) = (0.5 * heading_rad as f32).sin_cos();
        ObjectPose {
            time_s,
            position_m: [0.1, 0.0, -0.05],
            orientation: [0.0, 0.0, sin, cos],
            velocity_m_s: [0.0; 3],
            angular_velocity_rad_s: [0.0; 3],
        }
    }

    /// Contract: turns are counted through the wrap of the heading, in the wanted direction, and not after a drop.
    #[test]
    fn turns_are_counted() {
        let mut instruments = CubeInstruments::new([0.1, 0.0, -0.06], -1.0);
        let clockwise_rad_s = 1.5;
        for tick in 0..=600 {
            let time_s = f64::from(tick) / 60.0;
            instruments.follow(&cube_at(time_s, -clockwise_rad_s * time_s), false);
        }
        let Gauges::Cube { turned_rad, rpm, offset_m, .. } = instruments.follow(&cube_at(10.0, -15.0), false) else {
            panic!("the gauges of a cube are others")
        };
        assert!((turned_rad - 15.0).abs() < 1e-3, "{turned_rad} rad");
        assert!((rpm - clockwise_rad_s / TAU * 60.0).abs() < 1e-2, "{rpm} rpm");
        assert!((offset_m - 0.01).abs() < 1e-6, "{offset_m} m");
        instruments.follow(&cube_at(10.1, 1.0), true);
        assert_eq!(instruments.turned_rad, turned_rad);
    }
}
