//! Who moves the hand.

use crate::viewer::error::ViewerError;
use crate::viewer::steering::Steering;
use crate::viewer::thought::Thought;
use bridge::Percept;
use bridge::random::stream;
use rand::Rng as _;
use std::f64::consts::TAU;
use std::sync::Arc;

/// Plans what the hand does next.
pub trait Driver: Send + Sync {
    /// What it is called, whatever it is at.
    fn name(&self) -> String;

    /// What it is at, if it can tell.
    fn activity(&self) -> Option<String> {
        None
    }

    /// Starts the episode that `seed` names.
    ///
    /// # Errors
    /// When it cannot act in this scene.
    fn begin(&mut self, seed: u64) -> Result<(), ViewerError>;

    /// Plans from `observation`, or from the `percept` that it was made of, and replaces `chunk_rad` with one or more whole
    /// actions, one after the other, rad.
    ///
    /// # Errors
    /// When no plan can be made.
    fn plan(&mut self, observation: &[f32], percept: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError>;

    /// What it weighed when it planned last, if it can tell.
    fn thought(&self) -> Option<Arc<Thought>> {
        None
    }

    /// Hears what the keys ask for.
    fn steer(&mut self, _steering: Steering) {}

    /// Whether it has nothing more to try in this episode.
    fn has_given_up(&self) -> bool {
        false
    }
}

/// Holds one command.
pub struct Hold {
    /// Joint targets, rad, after the pose of the tool if there is one.
    pub command: Vec<f32>,
}

impl Driver for Hold {
    fn name(&self) -> String {
        "zero".into()
    }

    fn begin(&mut self, _seed: u64) -> Result<(), ViewerError> {
        Ok(())
    }

    fn plan(&mut self, _: &[f32], _: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        chunk_rad.clone_from(&self.command);
        Ok(())
    }
}

/// Wanders smoothly around a command: each value follows a sum of sines that its seed draws.
pub struct Wander {
    command: Vec<f32>,
    /// Values before the joints': the pose of the tool.
    n_tool: usize,
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
/// Amplitude of one wave, rad: together they stay within 0.18 rad of the posture. That of a tool, m and quaternion: within
/// 0.06 m of its pose.
const WAVE_AMPLITUDE_RAD: f64 = 0.06;
const TOOL_AMPLITUDE: f64 = 0.02;
/// Slowest and fastest wave, Hz.
const WAVE_HZ: std::ops::Range<f64> = 0.2..1.0;

impl Wander {
    /// Wanders around `command`, whose first `n_tool` values are the pose of a tool.
    pub const fn new(command: Vec<f32>, n_tool: usize, control_hz: f64) -> Self {
        Self { command, n_tool, control_hz, waves: Vec::new(), step: 0 }
    }
}

impl Driver for Wander {
    fn name(&self) -> String {
        "random".into()
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        let mut rng = stream(seed, "wander", 0);
        let mut wave = || Wave { frequency_hz: rng.random_range(WAVE_HZ), phase_rad: rng.random_range(0.0..TAU) };
        self.waves = self.command.iter().map(|_| std::array::from_fn(|_| wave())).collect();
        self.step = 0;
        Ok(())
    }

    fn plan(&mut self, _: &[f32], _: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        let time_s = f64::from(self.step) / self.control_hz;
        self.step += 1;
        chunk_rad.clear();
        chunk_rad.extend(self.command.iter().zip(&self.waves).enumerate().map(|(index, (&value, waves))| {
            let amplitude = if index < self.n_tool { TOOL_AMPLITUDE } else { WAVE_AMPLITUDE_RAD };
            let sines = waves.map(|wave| (TAU * wave.frequency_hz * time_s + wave.phase_rad).sin());
            value + (amplitude * sines.iter().sum::<f64>()) as f32
        }));
        Ok(())
    }
}
