//! The hand that stands for a real one: emulated servos whose shafts are a simulated hand with its cube, and a camera.
//!
//! In the emulator's own time everything happens on the caller's thread, the same every time. Served, the servos are
//! behind a pseudo-terminal and the poses leave by UDP, as many times as fast as the clock as is wanted.

use super::RobotConfig;
use bridge::ObjectPose;
use bridge::number::Positive;
use bridge::real::calibration::Calibration;
use bridge::real::datagram::{Header, Kind};
use bridge::real::dynamixel::control_table::RAD_PER_TICK;
use bridge::real::emulator::{
    Emulator, FaultScript, FirstOrderPlant, FirstOrderShaft, Plant, PseudoTerminal, ServoConfig, SharedEmulator,
};
use bridge::real::motors::{Motor, MotorTable};
use bridge::real::robot::ObjectSource;
use bridge::real::tracker::{Intake, TrackerConfig, encode_pose};
use color_eyre::eyre::{Result, WrapErr, eyre};
use sim::{CubePlant, CubeScene, Domain, Sight};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Code of the baud rates that servos have.
const BAUD_CODES: [(u32, u8); 4] = [(1_000_000, 3), (2_000_000, 4), (3_000_000, 5), (4_000_000, 6)];
/// How often the camera is asked for pictures, at most.
const CAMERA_PERIOD: Duration = Duration::from_millis(1);

/// An emulated hand with its cube.
#[derive(Clone, Debug)]
pub struct Emulation {
    emulator: SharedEmulator,
    sight: Sight,
    calibration: Calibration,
    latency_s: f64,
    session: u32,
}

impl Emulation {
    /// The hand of `scene` as `robot` has it, in `domain`, with faults by `script`.
    ///
    /// # Errors
    /// When the hand has no motors, or a baud rate that servos do not have.
    pub fn new(
        scene: &CubeScene,
        domain: Domain,
        robot: &RobotConfig,
        script: &FaultScript,
        seed: u64,
    ) -> Result<Self> {
        let plant = CubePlant::new(scene, domain, seed, robot.emulated.tracker_hz)?;
        let sight = plant.sight();
        Self::of(scene, Box::new(plant), sight, robot, script, (seed as u32) | 1)
    }

    /// The same servos with nothing at their shafts but the stops: a hand whose fingers touch nothing.
    ///
    /// # Errors
    /// As [`Emulation::new`].
    pub fn of_bare_hand(scene: &CubeScene, robot: &RobotConfig, script: &FaultScript) -> Result<Self> {
        let shafts = CubePlant::calibration(scene)?.joints.into_iter().map(|joint| {
            let [one_rad, other_rad] =
                [joint.lower_ticks, joint.upper_ticks].map(|ticks| f64::from(ticks) * RAD_PER_TICK);
            let (lower_rad, upper_rad) = (one_rad.min(other_rad), one_rad.max(other_rad));
            FirstOrderShaft { position_rad: 0.5 * (lower_rad + upper_rad), lower_rad, upper_rad }
        });
        let plant = FirstOrderPlant::new(shafts.collect());
        Self::of(scene, Box::new(plant), Sight::default(), robot, script, 1)
    }

    fn of(
        scene: &CubeScene,
        plant: Box<dyn Plant>,
        sight: Sight,
        robot: &RobotConfig,
        script: &FaultScript,
        session: u32,
    ) -> Result<Self> {
        let calibration = CubePlant::calibration(scene)?;
        let table = motors(scene)?;
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
        let emulator = SharedEmulator::new(Emulator::new(&servos, plant, script));
        let latency_s = robot.emulated.tracker_latency_s.get();
        Ok(Self { emulator, sight, calibration, latency_s, session })
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

    /// The tracker, in the emulator's time.
    #[must_use]
    pub fn tracker(&self, config: &TrackerConfig) -> EmulatedTracker {
        EmulatedTracker { camera: self.camera(1.0), intake: Intake::new(config, 1), frame: Vec::new() }
    }

    /// Puts the servos behind a pseudo-terminal and sends poses to `tracker`, `rate` times as fast as the clock.
    ///
    /// # Errors
    /// When the system gives no pseudo-terminal, socket or thread.
    pub fn serve(&self, rate: Positive, tracker: SocketAddr) -> Result<Served> {
        let terminal = PseudoTerminal::serve(self.emulator.clone(), rate)?;
        let own_address: SocketAddr = if tracker.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(own_address).wrap_err("no socket for the emulated tracker")?;
        let (is_ended, n_sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, counter, mut camera) = (Arc::clone(&is_ended), Arc::clone(&n_sent), self.camera(rate.get()));
        let sender = std::thread::Builder::new().name("emulated tracker".into()).spawn(move || {
            let mut frame = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                while camera.next_frame(&mut frame).is_some() {
                    // Nobody listens yet, or no more: a tracker does not care.
                    if socket.send_to(&frame, tracker).is_ok() {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(CAMERA_PERIOD);
            }
        })?;
        Ok(Served { terminal, emulation: self.clone(), is_ended, n_sent, sender: Some(sender) })
    }

    fn camera(&self, rate: f64) -> Camera {
        Camera {
            emulator: self.emulator.clone(),
            sight: self.sight.clone(),
            latency_s: self.latency_s,
            rate,
            session: self.session,
            sequence: 0,
        }
    }
}

/// An emulated hand that other programs can open; it ends when this is dropped.
#[derive(Debug)]
pub struct Served {
    terminal: PseudoTerminal,
    emulation: Emulation,
    is_ended: Arc<AtomicBool>,
    n_sent: Arc<AtomicU64>,
    sender: Option<JoinHandle<()>>,
}

impl Served {
    /// The device to open.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.terminal.path()
    }

    /// What is served.
    #[must_use]
    pub const fn emulation(&self) -> &Emulation {
        &self.emulation
    }

    /// Poses sent so far.
    #[must_use]
    pub fn n_poses(&self) -> u64 {
        self.n_sent.load(Ordering::Relaxed)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.is_ended.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            // A sender that panicked has said so itself.
            drop(sender.join());
        }
    }
}

/// The camera over the hand and what computes poses from its pictures.
#[derive(Debug)]
struct Camera {
    emulator: SharedEmulator,
    sight: Sight,
    latency_s: f64,
    /// The emulator's time passes this many times as fast as that of whoever listens.
    rate: f64,
    session: u32,
    sequence: u32,
}

impl Camera {
    /// Writes the next datagram that has arrived by now into `frame`; when it did, s of the emulator's time.
    fn next_frame(&mut self, frame: &mut Vec<u8>) -> Option<f64> {
        loop {
            let (now_s, is_silent) = {
                let emulator = self.emulator.lock();
                (emulator.now().as_secs_f64(), emulator.is_tracker_silent())
            };
            let sighting = self.sight.take_until(now_s - self.latency_s)?;
            if is_silent {
                continue;
            }
            self.sequence = self.sequence.wrapping_add(1);
            let stamp_ns = (sighting.time_s / self.rate * 1e9) as u64;
            let header = Header { kind: Kind::ObjectPose, session: self.session, sequence: self.sequence, stamp_ns };
            encode_pose(header, 0, &sighting.pose, frame);
            return Some(sighting.time_s + self.latency_s);
        }
    }
}

/// The tracker of an emulated hand in the emulator's time: the datagrams of the camera without a network.
#[derive(Debug)]
pub struct EmulatedTracker {
    camera: Camera,
    intake: Intake,
    frame: Vec<u8>,
}

impl ObjectSource for EmulatedTracker {
    fn poll(&mut self) {
        while let Some(arrival_s) = self.camera.next_frame(&mut self.frame) {
            // What is refused is not used; a tracker that is silent is seen by its age.
            self.intake.take(&self.frame, arrival_s).ok();
        }
    }

    fn newest(&self, object_idx: usize) -> Option<(ObjectPose, f64)> {
        self.intake.newest(object_idx, self.camera.emulator.lock().now().as_secs_f64())
    }
}

/// The motors of the scene's hand.
///
/// # Errors
/// When it has none.
pub fn motors(scene: &CubeScene) -> Result<&MotorTable> {
    let hand = scene.hand();
    hand.motors.as_ref().ok_or_else(|| {
        eyre!(
            "hand {}: its description has no motors, so there is nothing to emulate or drive; `orca_v2` has",
            hand.name
        )
    })
}
