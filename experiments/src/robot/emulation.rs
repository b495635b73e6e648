//! The robot that stands for a real one: emulated servos whose shafts are a simulated hand, a camera, somebody beside it who
//! presses buttons, and an arm where one carries the hand.
//!
//! In the emulator's own time everything happens on the caller's thread, the same every time ([`super::in_time`]). Served,
//! the servos are behind a pseudo-terminal and everything else comes and goes by UDP, as many times as fast as the clock as
//! is wanted ([`super::served`]).

use super::RobotConfig;
use super::in_time::{InTimeButtons, InTimeTracker};
use super::scene::{Scene, Staged};
use bridge::ObjectPose;
use bridge::real::arm::{ArmError, ArmLimits, ArmSession};
use bridge::real::calibration::Calibration;
use bridge::real::camera::{CameraConfig, FrameSource, SyntheticSource};
use bridge::real::clock::Clock;
use bridge::real::datagram::{Header, Kind};
use bridge::real::dynamixel::control_table::RAD_PER_TICK;
use bridge::real::emulator::{
    ArmCable, EmulatedArm, Emulator, FaultScript, FirstOrderPlant, FirstOrderShaft, MemoryArm, ServoConfig,
    SharedEmulator,
};
use bridge::real::labels::{Button, encode_button};
use bridge::real::motors::Motor;
use bridge::real::tracker::{Intake, TrackerConfig, encode_pose};
use color_eyre::eyre::{Result, eyre};
use sim::{Presses, Sight, emulated_calibration};
use std::time::Duration;

/// Code of the baud rates that servos have.
const BAUD_CODES: [(u32, u8); 4] = [(1_000_000, 3), (2_000_000, 4), (3_000_000, 5), (4_000_000, 6)];

/// An emulated hand with what is around it.
#[derive(Clone, Debug)]
pub struct Emulation {
    emulator: SharedEmulator,
    sight: Sight,
    presses: Presses,
    arm: Option<EmulatedArm>,
    calibration: Calibration,
    n_objects: usize,
    latency_s: f64,
    session: u32,
}

impl Emulation {
    /// The hand of `scene` as `robot` has it, in the domain called `domain`, with faults by `script`.
    ///
    /// # Errors
    /// When the hand has no motors, or a baud rate that servos do not have, or there is no such domain.
    pub fn new(scene: &Scene, domain: &str, robot: &RobotConfig, script: &FaultScript, seed: u64) -> Result<Self> {
        let staged = scene.stage(domain, seed, robot.emulated.tracker_hz)?;
        Self::of(scene, staged, robot, script, (seed as u32) | 1)
    }

    /// The same servos with nothing at their shafts but the stops: a hand whose fingers touch nothing.
    ///
    /// # Errors
    /// As [`Emulation::new`].
    pub fn of_bare_hand(scene: &Scene, robot: &RobotConfig, script: &FaultScript) -> Result<Self> {
        let shafts = emulated_calibration(scene.hand())?.joints.into_iter().map(|joint| {
            let [one_rad, other_rad] =
                [joint.lower_ticks, joint.upper_ticks].map(|ticks| f64::from(ticks) * RAD_PER_TICK);
            let (lower_rad, upper_rad) = (one_rad.min(other_rad), one_rad.max(other_rad));
            FirstOrderShaft { position_rad: 0.5 * (lower_rad + upper_rad), lower_rad, upper_rad }
        });
        let plant = Box::new(FirstOrderPlant::new(shafts.collect()));
        let staged = Staged { plant, sight: Sight::default(), presses: Presses::default(), arm: None };
        Self::of(scene, staged, robot, script, 1)
    }

    fn of(scene: &Scene, staged: Staged, robot: &RobotConfig, script: &FaultScript, session: u32) -> Result<Self> {
        let calibration = emulated_calibration(scene.hand())?;
        let table = scene.motors()?;
        let known = || BAUD_CODES.map(|(baud, _)| baud.to_string()).join(", ");
        let &(_, baud_code) = BAUD_CODES
            .iter()
            .find(|(baud, _)| *baud == table.baud)
            .ok_or_else(|| eyre!("emulated servos: baud {}, expected one of {}", table.baud, known()))?;
        let servo = |motor: &Motor| ServoConfig {
            id: motor.id,
            model_number: motor.model.number(),
            firmware: robot.emulated.firmware,
            baud_code,
            supply_v: robot.emulated.supply_v.get(),
        };
        let servos: Vec<ServoConfig> = table.motors.iter().map(servo).collect();
        let Staged { plant, sight, presses, arm } = staged;
        let emulator = SharedEmulator::new(Emulator::new(&servos, plant, script));
        let (latency_s, n_objects) = (robot.emulated.tracker_latency_s.get(), scene.objects().len());
        Ok(Self { emulator, sight, presses, arm, calibration, n_objects, latency_s, session })
    }

    /// The servos.
    #[must_use]
    pub const fn emulator(&self) -> &SharedEmulator {
        &self.emulator
    }

    /// The hand's calibration.
    #[must_use]
    pub const fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The arm, to look at; none where the palm is fixed.
    #[must_use]
    pub const fn arm(&self) -> Option<&EmulatedArm> {
        self.arm.as_ref()
    }

    /// The tracker, in the emulator's time.
    #[must_use]
    pub fn tracker_in_time(&self, config: &TrackerConfig) -> InTimeTracker {
        InTimeTracker::new(self.camera(1.0), Intake::new(config, self.n_objects))
    }

    /// The buttons of whoever stands beside the hand, in the emulator's time.
    #[must_use]
    pub fn buttons_in_time(&self) -> InTimeButtons {
        InTimeButtons::new(self.helper())
    }

    /// The link to the arm, in the emulator's time; none where the palm is fixed.
    ///
    /// # Errors
    /// When the workspace is empty.
    pub fn arm_in_time(&self, limits: ArmLimits) -> Result<Option<MemoryArm>, ArmError> {
        self.arm_cable().map(|cable| Ok(MemoryArm::new(ArmSession::new(limits, self.session)?, cable))).transpose()
    }

    /// A camera over the hand that stands for the one of `config`, in the time of `clock`. Who asks too early waits for `nap`.
    pub(super) fn film_camera<C>(&self, config: &CameraConfig, clock: C, nap: Duration) -> Box<dyn FrameSource>
    where
        C: Clock + 'static,
    {
        let emulator = self.emulator.clone();
        let stop_rad = |ticks: i32| f64::from(ticks) * RAD_PER_TICK;
        let joints = self.calibration.joints.iter();
        let joints: Vec<(u8, f64, f64)> =
            joints.map(|joint| (joint.id, stop_rad(joint.lower_ticks), stop_rad(joint.upper_ticks))).collect();
        let shares = move |shares: &mut Vec<f32>| {
            let emulator = emulator.lock();
            shares.extend(joints.iter().map(|&(id, lower_rad, upper_rad)| {
                let shaft_rad = emulator.shaft_rad(id).unwrap_or(lower_rad);
                ((shaft_rad - lower_rad) / (upper_rad - lower_rad)).clamp(0.0, 1.0) as f32
            }));
        };
        Box::new(SyntheticSource::new(config, clock, shares, nap))
    }

    pub(super) fn camera(&self, rate: f64) -> Camera {
        Camera {
            emulator: self.emulator.clone(),
            sight: self.sight.clone(),
            latency_s: self.latency_s,
            rate,
            session: self.session,
            sequence: 0,
            frozen: Vec::new(),
        }
    }

    pub(super) fn helper(&self) -> Helper {
        Helper { emulator: self.emulator.clone(), presses: self.presses.clone(), session: self.session, sequence: 0 }
    }

    pub(super) fn arm_cable(&self) -> Option<ArmCable> {
        self.arm.clone().map(|arm| ArmCable::new(self.emulator.clone(), arm))
    }
}

/// The camera over the hand and what computes poses from its pictures.
#[derive(Debug)]
pub(super) struct Camera {
    pub(super) emulator: SharedEmulator,
    sight: Sight,
    latency_s: f64,
    /// The emulator's time passes this many times as fast as that of whoever listens.
    rate: f64,
    session: u32,
    sequence: u32,
    /// What it goes on to see of each object while it stands still: index and pose.
    frozen: Vec<(usize, ObjectPose)>,
}

impl Camera {
    /// Writes the next datagram that has arrived by now into `frame`; when it did, s of the emulator's time.
    pub(super) fn next_frame(&mut self, frame: &mut Vec<u8>) -> Option<f64> {
        loop {
            let (now_s, is_silent, is_frozen) = {
                let emulator = self.emulator.lock();
                (emulator.now().as_secs_f64(), emulator.is_tracker_silent(), emulator.is_tracker_frozen())
            };
            let (time_s, sighting) = self.sight.take_until(now_s - self.latency_s)?;
            if is_silent {
                continue;
            }
            self.sequence = self.sequence.wrapping_add(1);
            let stamp_ns = (time_s / self.rate * 1e9) as u64;
            let header = Header { kind: Kind::ObjectPose, session: self.session, sequence: self.sequence, stamp_ns };
            let pose = self.seen(sighting.object_idx, sighting.pose, is_frozen);
            encode_pose(header, sighting.object_idx as u32, &pose, frame);
            return Some(time_s + self.latency_s);
        }
    }

    /// What it takes `pose` for: while it stands still, the first that it saw of this object since.
    fn seen(&mut self, object_idx: usize, pose: ObjectPose, is_frozen: bool) -> ObjectPose {
        if !is_frozen {
            self.frozen.clear();
            return pose;
        }
        match self.frozen.iter().find(|(known_idx, _)| *known_idx == object_idx) {
            Some((_, first)) => *first,
            None => {
                self.frozen.push((object_idx, pose));
                pose
            }
        }
    }
}

/// Whoever stands beside the hand and presses buttons.
#[derive(Debug)]
pub(super) struct Helper {
    emulator: SharedEmulator,
    presses: Presses,
    session: u32,
    sequence: u32,
}

impl Helper {
    /// The next button that was pressed.
    pub(super) fn next(&self) -> Option<Button> {
        let now_s = self.emulator.lock().now().as_secs_f64();
        self.presses.take_until(now_s).map(|(_, button)| button)
    }

    /// Writes the datagram of the next button that was pressed into `frame`; whether there is one.
    pub(super) fn next_frame(&mut self, frame: &mut Vec<u8>) -> bool {
        let Some(button) = self.next() else { return false };
        self.sequence = self.sequence.wrapping_add(1);
        let header = Header { kind: Kind::Button, session: self.session, sequence: self.sequence, stamp_ns: 0 };
        encode_button(header, button, frame);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::TaskChoice;
    use bridge::real::emulator::{Fault, TimedFault};
    use bridge::{CubeReward, GovernorConfig};

    /// Contract: a tracker that stands still goes on to send, with new stamps, and always the same pose; before and after it
    /// what it sees differs from picture to picture.
    #[test]
    fn a_frozen_tracker_sends_what_it_saw() -> Result<()> {
        let governor = GovernorConfig { rate_share: 1.0.try_into()?, windup: 3.0.try_into()? };
        let (scene, _) = Scene::of(&TaskChoice::Cube { hand: "orca_v2".into(), reward: CubeReward::Dense, governor })?;
        let robot = RobotConfig::of_hand("orca_v2")?;
        let fault = TimedFault { at_s: 0.3.try_into()?, fault: Fault::TrackerFrozen { for_s: 0.3.try_into()? } };
        let emulation = Emulation::new(&scene, "nominal", &robot, &FaultScript { seed: 1, faults: vec![fault] }, 1)?;
        let mut camera = emulation.camera(1.0);
        // (stamp, pose) of every picture: the bytes that the frame begins with, and those of its payload.
        let mut pictures = [Vec::new(), Vec::new(), Vec::new()];
        let mut frame = Vec::new();
        for millisecond in 1..=900u64 {
            camera.emulator.lock().advance_to(Duration::from_millis(millisecond));
            while camera.next_frame(&mut frame).is_some() {
                let (stamp, pose) = (frame[16..24].to_vec(), frame[24..frame.len() - 4].to_vec());
                pictures[(millisecond as usize * 3 - 1) / 900].push((stamp, pose));
            }
        }
        let [before, during, after] = pictures.map(|pictures| {
            let n_stamps = pictures.iter().map(|(stamp, _)| stamp).collect::<std::collections::BTreeSet<_>>().len();
            let n_poses = pictures.iter().map(|(_, pose)| pose).collect::<std::collections::BTreeSet<_>>().len();
            (n_stamps > 20, n_poses)
        });
        // The picture at its edge may be of either side.
        assert!(before.0 && before.1 > 20, "{before:?}");
        assert!(during.0 && during.1 <= 2, "{during:?}");
        assert!(after.0 && after.1 > 20, "{after:?}");
        Ok(())
    }
}
