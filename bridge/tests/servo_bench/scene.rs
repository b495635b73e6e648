//! What is around the servos of the bench: an object that a tracker sees, and somebody who feels every shaft.

use super::hand_rig::{calibration, motors, plant, servo_configs};
use bridge::ObjectPose;
use bridge::number::NonNegative;
use bridge::real::calibration::Calibration;
use bridge::real::clock::Clock as _;
use bridge::real::datagram::{Header, Kind};
use bridge::real::emulator::{
    Drive, Emulator, EmulatorClock, FaultScript, FirstOrderPlant, Plant, Shaft, SharedEmulator,
};
use bridge::real::robot::ObjectSource;
use bridge::real::tracker::{Intake, TrackerConfig, encode_pose};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// From a picture to its pose, s.
const LATENCY_S: f64 = 0.01;
const HELD_M: f32 = 0.05;

/// A hand with its object, which outlives whoever drives it.
#[derive(Clone, Debug)]
pub struct Scene {
    pub emulator: SharedEmulator,
    /// Where its stops are.
    pub calibration: Calibration,
    /// Shafts as they were felt.
    pub witness: Witness,
    /// The object lies on the floor.
    pub is_fallen: Arc<AtomicBool>,
}

impl Scene {
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let table = motors()?;
        let witness = Witness::default();
        let limb = Limb { shafts: plant(&table), witness: witness.clone() };
        let emulator = Emulator::new(&servo_configs(&table), Box::new(limb), &FaultScript::default());
        let emulator = SharedEmulator::new(emulator);
        Ok(Self { emulator, calibration: calibration()?, witness, is_fallen: Arc::default() })
    }

    /// A tracker that sees the object, unless the script of faults keeps it from it.
    pub fn eye(&self) -> Result<Eye, Box<dyn Error>> {
        let config =
            TrackerConfig { listen: ([127, 0, 0, 1], 0).into(), shortest_latency_s: NonNegative::try_from(LATENCY_S)? };
        let (scene, clock) = (self.clone(), self.emulator.clock());
        Ok(Eye { scene, clock, intake: Intake::new(&config, 1), sequence: 0 })
    }
}

/// A pose at every look, as datagrams bring it.
pub struct Eye {
    scene: Scene,
    clock: EmulatorClock,
    intake: Intake,
    sequence: u32,
}

impl ObjectSource for Eye {
    fn poll(&mut self) {
        if self.scene.emulator.lock().is_tracker_silent() {
            return;
        }
        let now_s = self.clock.now_s();
        let height_m = if self.scene.is_fallen.load(Ordering::Relaxed) { -HELD_M } else { HELD_M };
        let pose = ObjectPose {
            time_s: 0.0,
            position_m: [0.0, 0.0, height_m],
            orientation: [0.0, 0.0, 0.0, 1.0],
            velocity_m_s: [0.0; 3],
            angular_velocity_rad_s: [0.0; 3],
        };
        self.sequence += 1;
        let stamp_ns = ((now_s - LATENCY_S) * 1e9) as u64;
        let header = Header { kind: Kind::ObjectPose, session: 1, sequence: self.sequence, stamp_ns };
        let mut frame = Vec::new();
        encode_pose(header, 0, &pose, &mut frame);
        assert_eq!(self.intake.take(&frame, now_s), Ok(()));
    }

    fn newest(&self, object_idx: usize) -> Option<(ObjectPose, f64)> {
        self.intake.newest(object_idx, self.clock.now_s())
    }
}

/// What the shafts felt, to the millisecond: not what a register says, but what came of it.
#[derive(Clone, Debug, Default)]
pub struct Witness(Arc<Mutex<Felt>>);

#[derive(Clone, Debug, Default)]
struct Felt {
    n_steps: u32,
    torque_s: f64,
    change_s: f64,
    goals_rad: Vec<Option<f64>>,
}

impl Witness {
    /// When a servo last had torque, s.
    pub fn torque_s(&self) -> f64 {
        self.felt().torque_s
    }

    /// When a servo with torque last got another goal, s.
    pub fn change_s(&self) -> f64 {
        self.felt().change_s
    }

    fn felt(&self) -> MutexGuard<'_, Felt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shafts with a lag, and who feels them.
struct Limb {
    shafts: FirstOrderPlant,
    witness: Witness,
}

impl Plant for Limb {
    fn advance(&mut self, drives: &[Drive], dt_s: f64, shafts: &mut [Shaft]) {
        self.shafts.advance(drives, dt_s, shafts);
        let mut felt = self.witness.felt();
        felt.n_steps += u32::from(dt_s > 0.0);
        let now_s = f64::from(felt.n_steps) * Emulator::STEP.as_secs_f64();
        let goals_rad: Vec<Option<f64>> = drives.iter().map(|drive| drive.is_on.then_some(drive.goal_rad)).collect();
        if goals_rad.iter().any(Option::is_some) {
            felt.torque_s = now_s;
        }
        if goals_rad.iter().zip(&felt.goals_rad).any(|(now, before)| now.is_some() && now != before) {
            felt.change_s = now_s;
        }
        felt.goals_rad = goals_rad;
    }
}
