//! What a robot is connected with: the robot's part and the task's, put together.

use super::cell::{Cell, Parts};
use super::emulation::{Emulation, motors};
use super::{RobotConfig, cell};
use crate::experiment::TaskChoice;
use bridge::number::{Finite, NumberError, Positive};
use bridge::real::bounds::BoundsConfig;
use bridge::real::calibration::Calibration;
use bridge::real::clock::MachineClock;
use bridge::real::control_loop::{LoopConfig, StartPosture};
use bridge::real::emulator::{FaultScript, SharedEmulator};
use bridge::real::hand_driver::{Finding, HandDriver};
use bridge::real::labels::UdpButtons;
use bridge::real::planner::ChunkConfig;
use bridge::real::port::{Port, SerialLine};
use bridge::real::tracker::{TrackerConfig, UdpTracker};
use bridge::{BodySpec, CubeReward, CubeTask, GovernorConfig};
use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use sim::{CubeScene, Domain};
use std::path::Path;

/// What is behind the port.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Emulated servos.
    Emulated {
        /// The domain of the hand behind them.
        domain: Box<Domain>,
        /// Its name.
        name: String,
        /// What goes wrong.
        script: FaultScript,
        /// Seed of the cubes and of the sensors' noise.
        seed: u64,
        /// Whether it runs in real time behind a pseudo-terminal and UDP, with the loop on threads of its own; else in
        /// the emulator's time on one thread, the same every time.
        is_real_time: bool,
    },
    /// A serial port.
    Real,
}

/// Everything that a connection needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The robot.
    pub robot: RobotConfig,
    /// What is behind its port.
    pub kind: Kind,
    scene: CubeScene,
    reward: CubeReward,
    governor: GovernorConfig,
    planning: Planning,
    seed: u64,
}

/// How a policy plans.
#[derive(Clone, Copy, Debug)]
pub struct Planning {
    /// H: actions in a chunk.
    pub chunk_len: usize,
    /// Steps between an observation and the first of them.
    pub lead: usize,
}

impl Planning {
    /// For those who carry out no policy.
    pub const OF_NOBODY: Self = Self { chunk_len: 10, lead: 0 };
}

impl Setup {
    /// The task on the robot. `seed` names the policy's noise.
    ///
    /// # Errors
    /// When there is no robot for the task, or the policy's lead is none of the robot's.
    pub fn new(task: &TaskChoice, robot: RobotConfig, kind: Kind, planning: Planning, seed: u64) -> Result<Self> {
        let TaskChoice::Cube { hand, reward, governor } = task else {
            bail!("task: found one that only the simulation has; the backends emulated and real have Cube");
        };
        let scene = CubeScene::load(hand)?;
        motors(&scene)?;
        // A policy that does not know what is on the way is asked early and the beginning of its plan skipped.
        let (found, lead) = (planning.lead, robot.control.lead);
        ensure!(
            found == 0 || found == lead,
            "the policy plans {found} steps ahead (learn.lead), and the robot asks for plans {lead} steps ahead \
             (control.lead); expected the same number, or 0 of the policy"
        );
        Ok(Self { robot, kind, scene, reward: *reward, governor: *governor, planning, seed })
    }

    /// Name of the hand of `task`.
    ///
    /// # Errors
    /// When the task has none that can be driven.
    pub fn hand(task: &TaskChoice) -> Result<&str> {
        match task {
            TaskChoice::Cube { hand, .. } => Ok(hand),
            _ => bail!("task: found one that only the simulation has; the backends emulated and real have Cube"),
        }
    }

    /// Whether a human answers; else somebody who stands in.
    #[must_use]
    pub const fn is_attended(&self) -> bool {
        matches!(self.kind, Kind::Real)
    }

    /// Whether it runs in the time of the clock, and may do harm, or seem to, if the process ends.
    #[must_use]
    pub const fn is_real_time(&self) -> bool {
        matches!(self.kind, Kind::Real | Kind::Emulated { is_real_time: true, .. })
    }

    /// Opens the port, verifies the hand and starts the loop. Torque stays off.
    ///
    /// # Errors
    /// What stands in the way, and what to do.
    pub fn connect(&self) -> Result<(Cell, Vec<Finding>)> {
        let robot = &self.robot;
        match &self.kind {
            Kind::Real => {
                let calibration = Calibration::load(&robot.calibration).wrap_err_with(|| {
                    format!(
                        "no calibration of the hand in {}; `softflow calibrate` makes one",
                        robot.calibration.display()
                    )
                })?;
                let clock = MachineClock::start();
                let listen = robot.tracker.listen;
                let tracker = UdpTracker::open(&robot.tracker, 1, clock)
                    .wrap_err_with(|| format!("tracker: cannot listen on {listen}; is another softflow running?"))?;
                let open = |address| {
                    UdpButtons::open(address).wrap_err_with(|| format!("buttons: cannot listen on {address}"))
                };
                let buttons = robot.buttons.map(open).transpose()?;
                self.connect_by_wire(&robot.port, &calibration, tracker, buttons, clock, self.parts(None)?, None)
            }
            Kind::Emulated { domain, script, seed, is_real_time, .. } => {
                let emulation = Emulation::new(&self.scene, Domain::clone(domain), robot, script, *seed)?;
                if !is_real_time {
                    let port = emulation.emulator().open(motors(&self.scene)?.baud);
                    let driver = self.driver(port, Some(emulation.calibration()))?;
                    let tracker = emulation.tracker(&robot.tracker);
                    return cell::in_step(
                        self.parts(Some(emulation.emulator()))?,
                        driver,
                        tracker,
                        emulation.emulator().clock(),
                    );
                }
                let clock = MachineClock::start();
                let nearby = TrackerConfig { listen: ([127, 0, 0, 1], 0).into(), ..robot.tracker.clone() };
                let tracker = UdpTracker::open(&nearby, 1, clock).wrap_err("no socket for the tracker")?;
                let served = emulation.serve(Positive::try_from(1.0)?, tracker.address()?)?;
                let path = served.path().to_owned();
                let parts = self.parts(Some(emulation.emulator()))?;
                self.connect_by_wire(
                    &path,
                    emulation.calibration(),
                    tracker,
                    None,
                    clock,
                    parts,
                    Some(Box::new(served)),
                )
            }
        }
    }

    /// A driver of the hand on `port`. Nothing is sent yet.
    ///
    /// # Errors
    /// When hand, calibration and robot do not fit together.
    pub fn driver<P: Port>(&self, port: P, calibration: Option<&Calibration>) -> Result<HandDriver<P>> {
        let table = motors(&self.scene)?.clone();
        Ok(HandDriver::new(port, self.body_spec(), table, calibration, self.robot.driver.clone())?)
    }

    /// Baud rate of the hand's bus.
    #[must_use]
    pub fn baud(&self) -> u32 {
        self.scene.hand().motors.as_ref().map_or(0, |table| table.baud)
    }

    /// The scene.
    #[must_use]
    pub const fn scene(&self) -> &CubeScene {
        &self.scene
    }

    /// The limits of the task.
    #[must_use]
    pub const fn governor(&self) -> GovernorConfig {
        self.governor
    }

    /// The hand with its object, at the robot's rate.
    #[must_use]
    pub fn body_spec(&self) -> BodySpec {
        self.scene.hand().body_spec(vec!["cube".into()], self.robot.servo_hz)
    }

    #[expect(clippy::too_many_arguments, reason = "each is another wire of the robot")]
    fn connect_by_wire(
        &self,
        port: &Path,
        calibration: &Calibration,
        tracker: UdpTracker<MachineClock>,
        buttons: Option<UdpButtons>,
        clock: MachineClock,
        parts: Parts,
        behind: Option<Box<dyn Send>>,
    ) -> Result<(Cell, Vec<Finding>)> {
        let line = SerialLine::open(port, motors(&self.scene)?.baud).wrap_err(
            "the hand is not connected; `softflow doctor --backend real --port PORT` says what is wrong and what to do",
        )?;
        let driver = self.driver(line, Some(calibration))?;
        cell::on_threads(parts, driver, tracker, buttons, clock, behind)
    }

    fn parts(&self, emulator: Option<&SharedEmulator>) -> Result<Parts> {
        let control = &self.robot.control;
        let start = self.scene.start();
        let posture = |q_rad: &[f32]| -> Result<Vec<Finite>, NumberError> {
            q_rad.iter().map(|&q| Finite::try_from(f64::from(q))).collect()
        };
        let horizon = self.planning.lead + self.planning.chunk_len;
        let config = LoopConfig {
            bounds: BoundsConfig { governor: self.governor, widened: control.widened.clone() },
            failsafe: control.failsafe,
            chunks: ChunkConfig { horizon, execute: horizon.saturating_sub(control.lead), lead: control.lead },
            first_chunk_s: control.first_chunk_s,
            range_slack_rad: control.range_slack_rad,
            n_spoilt_steps: control.n_spoilt_steps,
            park_rad: posture(&start.open_rad)?,
            park_rate_rad_s: control.park_rate_rad_s,
            start: Some(StartPosture {
                posture_rad: posture(&start.holding_rad)?,
                rate_rad_s: control.start_rate_rad_s,
                settle_s: control.settle_s,
            }),
        };
        let task = CubeTask::new(self.scene.task_config(self.reward), self.scene.hand().n_joints());
        let hold_share = self.robot.driver.hold_effort_share;
        Ok(Parts { config, task, hold_share, seed: self.seed, emulator: emulator.cloned() })
    }
}
