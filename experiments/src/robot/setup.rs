//! What a robot is connected with: the robot's part and the task's, put together.

use super::cell::{Cell, Parts, Running};
use super::emulation::Emulation;
use super::film::{Film, NAP, Opener, emulated_camera, real_camera};
use super::scene::{Scene, ToolUse};
use super::served::{Addresses, ArmAddresses};
use super::{ArmConfig, RobotConfig, cell};
use crate::experiment::TaskChoice;
use bridge::number::{Finite, NumberError, Positive};
use bridge::real::arm::{ArmLink, UdpArm, UdpArmConfig};
use bridge::real::bounds::BoundsConfig;
use bridge::real::calibration::Calibration;
use bridge::real::camera::{self, CameraConfig};
use bridge::real::carried::Carried;
use bridge::real::clock::{Clock, MachineClock};
use bridge::real::control_loop::{EmergencyStop, LoopConfig, StartPosture, ToolMotion};
use bridge::real::emulator::{FaultScript, SharedEmulator};
use bridge::real::hand_driver::{Finding, HandDriver};
use bridge::real::hand_robot::HandRobot;
use bridge::real::labels::{LabelSource, UdpButtons};
use bridge::real::planner::ChunkConfig;
use bridge::real::port::{Port, SerialLine};
use bridge::real::robot::{ObjectSource, Tracked};
use bridge::real::tracker::{TrackerConfig, UdpTracker};
use bridge::{BodySpec, CubeReward, CubeTask, GovernorConfig, ScissorsTask};
use color_eyre::eyre::{Result, WrapErr, ensure, eyre};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long an arm's first state is waited for, s.
const ARM_PATIENCE_S: f64 = 1.0;

/// What is behind the port.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Emulated servos.
    Emulated {
        /// Name of the domain of the hand behind them.
        domain: String,
        /// What goes wrong.
        script: FaultScript,
        /// Seed of what is laid out and of the sensors' noise.
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
    /// What its task rewards, of a cube.
    pub reward: CubeReward,
    scene: Scene,
    governor: GovernorConfig,
    planning: Planning,
    seed: u64,
    e_stop: EmergencyStop,
    frames: Option<PathBuf>,
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

/// What is connected besides the bus.
struct Around<S, A, C, L> {
    tracker: S,
    arm: Option<A>,
    clock: C,
    buttons: Option<L>,
    film: Option<Film>,
    /// Whose script may silence the learner.
    emulator: Option<SharedEmulator>,
}

impl Setup {
    /// The task on the robot. `seed` names the policy's noise.
    ///
    /// # Errors
    /// When there is no robot for the task, no arm where it needs one, no such domain, or the policy's lead is none of the
    /// robot's.
    pub fn new(task: &TaskChoice, robot: RobotConfig, kind: Kind, planning: Planning, seed: u64) -> Result<Self> {
        let (scene, governor) = Scene::of(task)?;
        if let Kind::Emulated { domain, .. } = &kind {
            scene.check_domain(domain)?;
        }
        // A policy that does not know what is on the way is asked early and the beginning of its plan skipped.
        let (found, lead) = (planning.lead, robot.control.lead);
        ensure!(
            found == 0 || found == lead,
            "the policy plans {found} steps ahead (learn.lead), and the robot asks for plans {lead} steps ahead \
             (control.lead); expected the same number, or 0 of the policy"
        );
        camera::check(&robot.cameras).wrap_err("robot: cameras")?;
        robot.gamepad.check().wrap_err("robot")?;
        let e_stop = EmergencyStop::default();
        let reward = task.reward();
        let setup = Self { robot, kind, reward, scene, governor, planning, seed, e_stop, frames: None };
        setup.tool()?;
        Ok(setup)
    }

    /// The same with things laid out as evaluations have them.
    #[must_use]
    pub fn for_evaluation(self) -> Self {
        Self { scene: self.scene.for_evaluation(), ..self }
    }

    /// The same with its cameras on, their frames in `folder`.
    #[must_use]
    pub fn filmed_into(self, folder: PathBuf) -> Self {
        Self { frames: Some(folder), ..self }
    }

    /// The emergency stop of whoever is beside the robot; one for all its connections.
    #[must_use]
    pub fn e_stop(&self) -> EmergencyStop {
        self.e_stop.clone()
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
                let around = Around {
                    tracker: self.open_tracker(&robot.tracker, clock)?,
                    arm: self.tool()?.map(|(_, config)| open_arm(&config.link)).transpose()?,
                    clock,
                    buttons: robot.buttons.map(open_buttons).transpose()?,
                    film: self.film(|camera| real_camera(camera, clock), || clock, true)?,
                    emulator: None,
                };
                let running = Running::OnThreads { clock, is_awake: robot.keep_awake, behind: None };
                self.start(self.driver(self.open_line(&robot.port)?, Some(&calibration))?, around, running)
            }
            Kind::Emulated { domain, script, seed, is_real_time } => {
                let emulation = Emulation::new(&self.scene, domain, robot, script, *seed)?;
                if *is_real_time {
                    return self.connect_in_real_time(&emulation);
                }
                let arm = match self.tool()? {
                    Some((_, config)) => emulation.arm_in_time(config.link.limits)?,
                    None => None,
                };
                let clock = emulation.emulator().clock();
                let around = Around {
                    tracker: emulation.tracker_in_time(&robot.tracker),
                    arm,
                    clock: clock.clone(),
                    buttons: Some(emulation.buttons_in_time()),
                    film: self.film(
                        |camera| emulated_camera(&emulation, camera, clock.clone(), Duration::ZERO),
                        || clock.clone(),
                        false,
                    )?,
                    emulator: Some(emulation.emulator().clone()),
                };
                let driver = self.driver(emulation.emulator().open(self.baud()), Some(emulation.calibration()))?;
                self.start(driver, around, Running::InStep(clock))
            }
        }
    }

    /// A driver of the hand on `port`. Nothing is sent yet.
    ///
    /// # Errors
    /// When hand, calibration and robot do not fit together.
    pub fn driver<P: Port>(&self, port: P, calibration: Option<&Calibration>) -> Result<HandDriver<P>> {
        let table = self.scene.motors()?.clone();
        Ok(HandDriver::new(port, self.body_spec(), table, calibration, self.robot.driver.clone())?)
    }

    /// Baud rate of the hand's bus.
    #[must_use]
    pub fn baud(&self) -> u32 {
        self.scene.hand().motors.as_ref().map_or(0, |table| table.baud)
    }

    /// The scene.
    #[must_use]
    pub const fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The limits of the task.
    #[must_use]
    pub const fn governor(&self) -> GovernorConfig {
        self.governor
    }

    /// The hand with its objects, at the robot's rate.
    #[must_use]
    pub fn body_spec(&self) -> BodySpec {
        self.scene.hand().body_spec(self.scene.objects(), self.robot.servo_hz)
    }

    /// What the task wants of the arm, within the arm's own limits, and how that arm is reached; none where the palm is
    /// fixed.
    ///
    /// # Errors
    /// When the robot has no arm, or one whose workspace the task does not reach into.
    pub fn tool(&self) -> Result<Option<(ToolUse, &ArmConfig)>> {
        let Some(tool) = self.scene.tool() else { return Ok(None) };
        let arm = self.robot.arm.as_ref().ok_or_else(|| {
            eyre!("robot: `arm` is None, and the task moves the hand by an arm; see assets/robots/orca_v2.ron for one")
        })?;
        let spec = arm.link.limits.narrow(&tool.spec).wrap_err("robot: workspaces of arm and task")?;
        Ok(Some((ToolUse { spec, ..tool }, arm)))
    }

    fn connect_in_real_time(&self, emulation: &Emulation) -> Result<(Cell, Vec<Finding>)> {
        let clock = MachineClock::start();
        let nearby: SocketAddr = ([127, 0, 0, 1], 0).into();
        let tracker = self.open_tracker(&TrackerConfig { listen: nearby, ..self.robot.tracker.clone() }, clock)?;
        let buttons = open_buttons(nearby)?;
        // The arm's own address is known once it is served.
        let link = |limits| UdpArmConfig { listen: nearby, controller: nearby, limits };
        let arm = self.tool()?.map(|(_, config)| open_arm(&link(config.link.limits))).transpose()?;
        let states = arm.as_ref().map(UdpArm::address).transpose()?;
        let addresses = Addresses {
            tracker: tracker.address()?,
            buttons: Some(buttons.address()?),
            arm: states.map(|states| ArmAddresses { states, controller: nearby }),
        };
        let served = emulation.serve(Positive::try_from(1.0)?, addresses)?;
        let arm = match (arm, served.arm()) {
            (Some(arm), Some(controller)) => Some(arm.towards(controller)),
            (arm, _) => arm,
        };
        let driver = self.driver(self.open_line(served.path())?, Some(emulation.calibration()))?;
        let film = self.film(|camera| emulated_camera(emulation, camera, clock, NAP), || clock, true)?;
        let (buttons, emulator) = (Some(buttons), Some(emulation.emulator().clone()));
        let around = Around { tracker, arm, clock, buttons, film, emulator };
        let is_awake = self.robot.keep_awake;
        self.start(driver, around, Running::OnThreads { clock, is_awake, behind: Some(Box::new(served)) })
    }

    fn open_line(&self, port: &Path) -> Result<SerialLine> {
        SerialLine::open(port, self.baud()).wrap_err(
            "the hand is not connected; `softflow doctor --backend real --port PORT` says what is wrong and what to do",
        )
    }

    fn open_tracker(&self, config: &TrackerConfig, clock: MachineClock) -> Result<UdpTracker<MachineClock>> {
        let listen = config.listen;
        UdpTracker::open(config, self.scene.objects().len(), clock)
            .wrap_err_with(|| format!("tracker: cannot listen on {listen}; is another softflow running?"))
    }

    /// Joins everything and starts the loop.
    fn start<P, S, A, C, L>(
        &self,
        driver: HandDriver<P>,
        around: Around<S, A, C, L>,
        running: Running,
    ) -> Result<(Cell, Vec<Finding>)>
    where
        P: Port + 'static,
        S: ObjectSource + 'static,
        A: ArmLink + 'static,
        C: Clock + 'static,
        L: LabelSource + 'static,
    {
        let (hand, findings) = HandRobot::connect(driver, self.robot.driver.hold_effort_share)?;
        let buttons = around.buttons.map(|buttons| Box::new(buttons) as Box<dyn LabelSource>);
        let n_joints = self.scene.hand().n_joints();
        let film = around.film;
        let cell = match &self.scene {
            Scene::Cube { scene, reward } => {
                let task = CubeTask::new(scene.task_config(*reward), n_joints);
                cell::start(self.parts(task, around.emulator)?, Tracked::new(hand, around.tracker), buttons, running)?
            }
            Scene::Scissors(scene) => {
                let (Some((tool, _)), Some(arm)) = (self.tool()?, around.arm) else {
                    return Err(eyre!("robot: the arm is not connected"));
                };
                let ToolUse { spec, start, signals } = tool;
                let carried = Carried::connect(hand, arm, around.clock, spec, signals, &start, ARM_PATIENCE_S)?;
                let task = ScissorsTask::new(scene.task_config().clone(), n_joints);
                cell::start(
                    self.parts(task, around.emulator)?,
                    Tracked::new(carried, around.tracker),
                    buttons,
                    running,
                )?
            }
        };
        Ok((cell.filmed(film), findings))
    }

    /// Films with the robot's cameras, where there are any and a place for their frames.
    fn film<C: Clock + 'static>(
        &self,
        opener: impl Fn(&CameraConfig) -> Opener,
        clock: impl Fn() -> C,
        is_on_threads: bool,
    ) -> Result<Option<Film>> {
        let cameras = &self.robot.cameras;
        let Some(folder) = self.frames.as_ref().filter(|_| !cameras.is_empty()) else { return Ok(None) };
        let cameras = cameras.iter().map(|camera| (camera, opener(camera))).collect();
        Film::open(cameras, self.robot.filming, clock, folder, is_on_threads).map(Some)
    }

    fn parts<T>(&self, task: T, emulator: Option<SharedEmulator>) -> Result<Parts<T>> {
        let control = &self.robot.control;
        let posture = |q_rad: &[f32]| -> Result<Vec<Finite>, NumberError> {
            q_rad.iter().map(|&q| Finite::try_from(f64::from(q))).collect()
        };
        let horizon = self.planning.lead + self.planning.chunk_len;
        let tool = self.tool()?.map(|(tool, arm)| ToolMotion {
            start: tool.start,
            start_speed_m_s: arm.start_speed_m_s,
            start_rate_rad_s: arm.start_rate_rad_s,
            range_slack_m: arm.range_slack_m,
        });
        let config = LoopConfig {
            bounds: BoundsConfig { governor: self.governor, widened: control.widened.clone() },
            failsafe: control.failsafe,
            chunks: ChunkConfig { horizon, execute: horizon.saturating_sub(control.lead), lead: control.lead },
            first_chunk_s: control.first_chunk_s,
            range_slack_rad: control.range_slack_rad,
            n_spoilt_steps: control.n_spoilt_steps,
            park_rad: posture(self.scene.park_rad())?,
            park_rate_rad_s: control.park_rate_rad_s,
            start: Some(StartPosture {
                posture_rad: posture(&self.scene.start_rad())?,
                rate_rad_s: control.start_rate_rad_s,
                settle_s: control.settle_s,
            }),
            tool,
        };
        Ok(Parts { config, task, seed: self.seed, e_stop: self.e_stop(), emulator })
    }
}

fn open_buttons(address: SocketAddr) -> Result<UdpButtons> {
    UdpButtons::open(address).wrap_err_with(|| format!("buttons: cannot listen on {address}"))
}

/// Opens the link with a session number that no connection had before.
///
/// # Errors
/// When the address cannot be had.
pub(super) fn open_arm(config: &UdpArmConfig) -> Result<UdpArm> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(UdpArm::open(config, since.as_micros() as u32)?)
}
