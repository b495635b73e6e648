//! Who moves the hand.

use crate::viewer::arguments::PolicyName;
use crate::viewer::error::ViewerError;
use crate::viewer::policy::Trained;
use bridge::EnvironmentSpec;
use bridge::random::stream;
use rand::Rng as _;
use sim::{CubeScene, Demonstrator};
use std::f64::consts::TAU;

/// Plans what the hand does next.
pub trait Driver: Send + Sync {
    /// What it is called.
    fn name(&self) -> &str;

    /// Starts the episode that `seed` names.
    ///
    /// # Errors
    /// When it cannot act in this scene.
    fn begin(&mut self, seed: u64) -> Result<(), ViewerError>;

    /// Plans from `observation` and replaces `chunk_rad` with one or more whole actions, one after the other, rad.
    ///
    /// # Errors
    /// When no plan can be made.
    fn plan(&mut self, observation: &[f32], chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError>;
}

/// The driver called `name` in `scene`, whose environment is `environment`.
///
/// # Errors
/// When a trained policy cannot be loaded or does not fit, or the scene has no demonstrations.
pub fn driver(
    name: &PolicyName,
    scene: &CubeScene,
    environment: &EnvironmentSpec,
) -> Result<Box<dyn Driver>, ViewerError> {
    Ok(match name {
        PolicyName::Demo => Box::new(Scripted::new(scene)?),
        PolicyName::Zero => Box::new(Hold { posture_rad: scene.start().holding_rad.clone() }),
        PolicyName::Random => Box::new(Wander::new(scene)),
        PolicyName::Run(folder) => Box::new(Trained::load(folder, environment)?),
    })
}

/// Plays the first of the scene's gaits, as it is: without the perturbation and noise of recorded demonstrations.
struct Scripted {
    name: String,
    scene: CubeScene,
    demonstrator: Demonstrator,
}

impl Scripted {
    fn new(scene: &CubeScene) -> Result<Self, ViewerError> {
        let no_demonstration = || ViewerError::NoDemonstration { scene: scene.name().into() };
        let demonstration = scene.demonstrations().first().ok_or_else(no_demonstration)?;
        let demonstrator = Demonstrator::new(scene, &demonstration.gait, 0.0, stream(0, "demonstration", 0))?;
        Ok(Self { name: demonstration.config.gait.clone(), scene: scene.clone(), demonstrator })
    }
}

impl Driver for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        if let Some(demonstration) = self.scene.demonstrations().first() {
            let rng = stream(seed, "demonstration", 0);
            self.demonstrator = Demonstrator::new(&self.scene, &demonstration.gait, 0.0, rng)?;
        }
        Ok(())
    }

    fn plan(&mut self, _observation: &[f32], chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        chunk_rad.resize(self.scene.hand().n_joints(), 0.0);
        self.demonstrator.act(chunk_rad);
        Ok(())
    }
}

/// Holds one posture.
struct Hold {
    posture_rad: Vec<f32>,
}

impl Driver for Hold {
    fn name(&self) -> &str {
        "zero"
    }

    fn begin(&mut self, _seed: u64) -> Result<(), ViewerError> {
        Ok(())
    }

    fn plan(&mut self, _observation: &[f32], chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        chunk_rad.clone_from(&self.posture_rad);
        Ok(())
    }
}

/// Wanders smoothly around a posture: each joint follows a sum of sines that its seed draws.
struct Wander {
    posture_rad: Vec<f32>,
    control_hz: f64,
    waves: Vec<[Wave; N_WAVES]>,
    step: u32,
}

#[derive(Clone, Copy, Default)]
struct Wave {
    frequency_hz: f64,
    phase_rad: f64,
}

const N_WAVES: usize = 3;
/// Amplitude of one wave, rad: together they stay within 0.18 rad of the posture.
const WAVE_AMPLITUDE_RAD: f64 = 0.06;
/// Slowest and fastest wave, Hz.
const WAVE_HZ: std::ops::Range<f64> = 0.2..1.0;

impl Wander {
    fn new(scene: &CubeScene) -> Self {
        let control_hz = f64::from(scene.task_config(bridge::CubeReward::Dense).control_hz);
        Self { posture_rad: scene.start().holding_rad.clone(), control_hz, waves: Vec::new(), step: 0 }
    }
}

impl Driver for Wander {
    fn name(&self) -> &str {
        "random"
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        let mut rng = stream(seed, "wander", 0);
        let mut wave = || Wave { frequency_hz: rng.random_range(WAVE_HZ), phase_rad: rng.random_range(0.0..TAU) };
        self.waves = self.posture_rad.iter().map(|_| std::array::from_fn(|_| wave())).collect();
        self.step = 0;
        Ok(())
    }

    fn plan(&mut self, _observation: &[f32], chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        let time_s = f64::from(self.step) / self.control_hz;
        self.step += 1;
        chunk_rad.clear();
        chunk_rad.extend(self.posture_rad.iter().zip(&self.waves).map(|(&posture, waves)| {
            let sines = waves.map(|wave| (TAU * wave.frequency_hz * time_s + wave.phase_rad).sin());
            posture + (WAVE_AMPLITUDE_RAD * sines.iter().sum::<f64>()) as f32
        }));
        Ok(())
    }
}
