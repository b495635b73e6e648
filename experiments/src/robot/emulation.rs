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
            still: Still::default(),
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
    still: Still,
}

/// What a tracker that stands still goes on to see of each object: index and pose.
#[derive(Debug, Default)]
struct Still(Vec<(usize, ObjectPose)>);

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
            let pose = self.still.seen(sighting.object_idx, sighting.pose, is_frozen);
            encode_pose(header, sighting.object_idx as u32, &pose, frame);
            return Some(time_s + self.latency_s);
        }
    }
}

impl Still {
    /// What `pose` is taken for: while the tracker stands still, for the first that it saw of this object since.
    fn seen(&mut self, object_idx: usize, pose: ObjectPose, is_frozen: bool) -> ObjectPose {
        if !is_frozen {
            self.0.clear();
            return pose;
        }
        match self.0.iter().find(|(known_idx, _)| *known_idx == object_idx) {
            Some((_, first)) => *first,
            None => {
                self.0.push((object_idx, pose));
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

    /// Contract: a tracker that stands still goes on to send the first pose that it then saw of each object; before and after
    /// it sends what it sees.
    #[test]
    fn a_tracker_that_stands_still() {
        let pose = |x_m: f32| ObjectPose {
            time_s: 0.0,
            position_m: [x_m, 0.0, 0.0],
            orientation: [0.0, 0.0, 0.0, 1.0],
            velocity_m_s: [0.0; 3],
            angular_velocity_rad_s: [0.0; 3],
        };
        let mut still = Still::default();
        let pictures = [
            (0, 0.1, false, 0.1),
            (0, 0.2, true, 0.2),
            (1, 0.9, true, 0.9),
            (0, 0.3, true, 0.2),
            (1, 0.8, true, 0.9),
            (0, 0.4, false, 0.4),
            (0, 0.5, true, 0.5),
            (0, 0.6, true, 0.5),
        ];
        for (object_idx, x_m, is_frozen, expected_m) in pictures {
            assert_eq!(still.seen(object_idx, pose(x_m), is_frozen), pose(expected_m), "{object_idx} at {x_m}");
        }
    }
}
