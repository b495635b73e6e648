//! A hand of emulated servos on an emulated arm with the whole path around it. Time is the emulator's.

#[path = "../real/rig.rs"]
#[expect(dead_code, reason = "shared with the tests of the driver")]
pub mod rig;
pub mod wire;

use bridge::number::{Finite, NonNegative, NumberError, Positive, UnitInterval};
use bridge::real::arm::{ArmLimits, ArmPose, UdpArm};
use bridge::real::bounds::BoundsConfig;
use bridge::real::carried::Carried;
use bridge::real::cause::Cause;
use bridge::real::clock::Clock;
use bridge::real::control_loop::{
    ControlLoop, EmergencyStop, Event, Inbox, LoopConfig, Outbox, Request, StartPosture, ToolMotion,
};
use bridge::real::emulator::{
    Drive, EmulatedArm, Emulator, EmulatorClock, Fault, FaultScript, FirstOrderPlant, MemoryPort, Plant, Shaft,
    SharedEmulator,
};
use bridge::real::failsafe::FailsafeConfig;
use bridge::real::hand_robot::HandRobot;
use bridge::real::labels::Button;
use bridge::real::machine::{Order, State};
use bridge::real::newest::{Publisher, newest};
use bridge::real::planner::{ChunkConfig, PlanError, Planner, PlannerWorker, Snapshot};
use bridge::real::recorder::Recorded;
use bridge::real::robot::{ObjectSource, Tracked};
use bridge::{
    GovernorConfig, Judgement, ObjectPose, Outcome, Percept, TOOL_POSE_LEN, Task, TaskSpec, ToolPose, ToolSpec,
    ToolState, turn_rad,
};
use crossbeam::channel::{Receiver, Sender, bounded};
use rig::{BAUD, TestResult, driver_on, register};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use wire::{Controller, Link};

pub const TORQUE: u16 = 64;
pub const N_SERVOS: u8 = 17;
pub const TICK_S: f64 = 0.01;
pub const PARK_RAD: f32 = 0.2;
pub const START: ToolPose = ToolPose { position_m: [0.4, 0.0, 0.3], orientation: [0.0, 0.0, 0.0, 1.0] };
pub const AWAY: ToolPose = ToolPose { position_m: [0.43, 0.02, 0.3], orientation: [0.0, 0.0, 0.149_438, 0.988_771] };

/// Shafts with a lag, and an arm without one.
struct Limb {
    shafts: FirstOrderPlant,
    arm: EmulatedArm,
    controller: Option<Controller>,
    tool: ToolPose,
    lifted: Lifted,
    time_s: f64,
}

/// When somebody puts the arm elsewhere, s, and where; none once it is there.
pub type Lifted = Arc<Mutex<Option<(f64, ToolPose)>>>;

impl Plant for Limb {
    fn advance(&mut self, drives: &[Drive], dt_s: f64, shafts: &mut [Shaft]) {
        self.shafts.advance(drives, dt_s, shafts);
        self.time_s += dt_s;
        let mut lifted = self.lifted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tool)) = lifted.take_if(|(at_s, _)| *at_s <= self.time_s) {
            self.tool = tool;
        }
        drop(lifted);
        // An arm may tell either sign of a rotation: this one has never that of the start.
        let sign = -self.tool.orientation[3].signum();
        let orientation = self.tool.orientation.map(|x| sign * x);
        let felt = ToolState { measured: ToolPose { orientation, ..self.tool }, ..ToolState::default() };
        if let Some(target) = self.arm.step(self.time_s, &felt) {
            self.tool = target.into();
        }
        if let Some(controller) = &mut self.controller {
            controller.step(&self.arm);
        }
    }
}

/// Nothing is seen, and nothing has to be.
pub struct Blind;

impl ObjectSource for Blind {
    fn poll(&mut self) {}

    fn newest(&self, _object_idx: usize) -> Option<(ObjectPose, f64)> {
        None
    }
}

/// Counts its steps, and ends when the body's signal is true.
pub struct UntilSignal {
    spec: TaskSpec,
    n_steps: u32,
    is_done: bool,
}

impl Task for UntilSignal {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn begin(&mut self, _first: &Percept) {
        (self.n_steps, self.is_done) = (0, false);
    }

    fn observe(&self, _percept: &Percept, observation: &mut [f32]) {
        observation[0] = self.n_steps as f32;
    }

    fn judge(&mut self, percept: &Percept) -> Judgement {
        self.n_steps += 1;
        self.is_done = percept.signals == [true];
        Judgement { reward: f64::from(u8::from(self.is_done)), terminated: self.is_done }
    }

    fn outcome(&self) -> Outcome {
        Outcome { terminated: self.is_done, succeeded: self.is_done, ..Outcome::default() }
    }

    fn hear_success(&mut self) -> f64 {
        f64::from(u8::from(!std::mem::replace(&mut self.is_done, true)))
    }
}

/// The tool jumps between the two poses of its policy, the joints stay at zero.
pub struct Jumps([[f32; TOOL_POSE_LEN]; 2]);

impl Planner for Jumps {
    type Policy = [[f32; TOOL_POSE_LEN]; 2];

    fn adopt(&mut self, policy: Self::Policy) {
        self.0 = policy;
    }

    fn plan(&mut self, observation: &[f32], chunk_rad: &mut [f32]) -> Result<(), PlanError> {
        for (h, action) in chunk_rad.chunks_exact_mut(TOOL_POSE_LEN + 16).enumerate() {
            action.fill(0.0);
            action[..TOOL_POSE_LEN].copy_from_slice(&self.0[(observation[0] as usize + h) / 20 % 2]);
        }
        Ok(())
    }
}

pub type Robot = Tracked<Carried<HandRobot<MemoryPort>, Link, EmulatorClock>, Blind>;

pub struct Bench {
    pub emulator: SharedEmulator,
    pub arm: EmulatedArm,
    pub lifted: Lifted,
    pub clock: EmulatorClock,
    pub control: ControlLoop<Robot, UntilSignal, Receiver<Button>>,
    pub worker: PlannerWorker<Jumps>,
    pub policies: Publisher<Snapshot<[[f32; TOOL_POSE_LEN]; 2]>>,
    pub tool_limits: ToolSpec,
    pub is_planning: bool,
    pub due_s: f64,
    pub requests: Sender<Request>,
    pub buttons: Sender<Button>,
    pub events: Receiver<Event>,
    pub records: Receiver<Recorded>,
    pub worst_m: f64,
    pub worst_rad: f32,
}

pub fn limits() -> Result<ArmLimits, NumberError> {
    let corner = |x: [f64; 3]| -> Result<[Finite; 3], NumberError> {
        Ok([x[0].try_into()?, x[1].try_into()?, x[2].try_into()?])
    };
    Ok(ArmLimits {
        workspace_lower_m: corner([0.3, -0.1, 0.2])?,
        workspace_upper_m: corner([0.5, 0.1, 0.4])?,
        max_error_m: 0.01.try_into()?,
        max_error_rad: 0.05.try_into()?,
        stale_s: 0.1.try_into()?,
    })
}

pub fn tool() -> Result<ToolSpec, Box<dyn Error>> {
    let of_task = ToolSpec {
        lower_m: [0.0, -0.5, 0.25],
        upper_m: [1.0, 0.5, 1.0],
        max_speed_m_s: 0.25,
        max_rate_rad_s: 1.0,
        max_error_m: 0.02,
        max_error_rad: 0.03,
    };
    Ok(limits()?.narrow(&of_task)?)
}

pub fn config() -> Result<LoopConfig, Box<dyn Error>> {
    let usual = FailsafeConfig::usual(20)?;
    let far: Positive = 1e9.try_into()?;
    Ok(LoopConfig {
        bounds: BoundsConfig {
            governor: GovernorConfig { rate_share: UnitInterval::try_from(1.0)?, windup: Positive::try_from(3.0)? },
            widened: vec![],
        },
        failsafe: FailsafeConfig { observation_stale_s: far, observation_lost_s: far, ..usual },
        chunks: ChunkConfig { horizon: 10, execute: 5, lead: 2 },
        first_chunk_s: NonNegative::try_from(0.2)?,
        range_slack_rad: NonNegative::try_from(0.05)?,
        n_spoilt_steps: 2,
        park_rad: vec![Finite::try_from(f64::from(PARK_RAD))?; 16],
        park_rate_rad_s: Positive::try_from(0.5)?,
        start: Some(StartPosture {
            posture_rad: vec![Finite::try_from(0.1)?; 16],
            rate_rad_s: Positive::try_from(1.0)?,
            settle_s: NonNegative::try_from(0.1)?,
        }),
        tool: Some(ToolMotion {
            start: START,
            start_speed_m_s: Positive::try_from(0.1)?,
            start_rate_rad_s: Positive::try_from(0.5)?,
            range_slack_m: NonNegative::try_from(0.5)?,
        }),
    })
}

impl Bench {
    pub fn new(config: LoopConfig) -> Result<Self, Box<dyn Error>> {
        Self::with(config, None)
    }

    /// The same with its arm behind UDP.
    pub fn behind_udp(config: LoopConfig) -> Result<Self, Box<dyn Error>> {
        Self::with(config, Some(Controller::new()?))
    }

    fn with(config: LoopConfig, udp: Option<(Controller, UdpArm)>) -> Result<Self, Box<dyn Error>> {
        let arm = EmulatedArm::new(9);
        let lifted = Lifted::default();
        let table = rig::motors()?;
        let (controller, udp) = udp.unzip();
        let shafts = rig::plant(&table);
        let limb = Limb { shafts, arm: arm.clone(), controller, tool: AWAY, lifted: Arc::clone(&lifted), time_s: 0.0 };
        let servos = rig::servo_configs(&table);
        let emulator = SharedEmulator::new(Emulator::new(&servos, Box::new(limb), &FaultScript::default()));
        let (hand, _) = HandRobot::connect(driver_on(emulator.open(BAUD))?, UnitInterval::try_from(0.5)?)?;
        let link = udp.map_or_else(|| Link::in_memory(&emulator, &arm), |arm| Ok(Link::Udp(arm)))?;
        let clock = emulator.clock();
        let signals = vec!["done".into()];
        let carried = Carried::connect(hand, link, clock.clone(), tool()?, signals, &START, 1.0)?;
        let spec = TaskSpec { name: "until".into(), observation_len: 1, control_hz: 20, horizon_s: 60.0 };
        let (requests, request_inbox) = bounded(16);
        let (record_outbox, records) = bounded(64);
        let (event_outbox, events) = bounded(4096);
        let (fault_outbox, _) = bounded(4);
        let (buttons, pressed) = bounded(4);
        let (policies, policy_inbox) = newest();
        let (_, human_rad) = newest();
        let inbox = Inbox { requests: request_inbox, e_stop: EmergencyStop::default(), human_rad, learner: None };
        let outbox = Outbox {
            records: record_outbox,
            events: event_outbox,
            faults: fault_outbox,
            n_dropped: Default::default(),
        };
        let task = UntilSignal { spec, n_steps: 0, is_done: false };
        let planner = Jumps([START.values(); 2]);
        let robot = Tracked::new(carried, Blind);
        let (control, worker) =
            ControlLoop::new(config, robot, task, pressed, planner, policy_inbox, inbox, outbox, 0)?;
        let (due_s, is_planning, worst_m, worst_rad) = (clock.now_s(), true, 0.0, 0.0);
        Ok(Self {
            emulator,
            arm,
            lifted,
            clock,
            control,
            worker,
            policies,
            tool_limits: tool()?,
            is_planning,
            due_s,
            requests,
            buttons,
            events,
            records,
            worst_m,
            worst_rad,
        })
    }

    /// A robot whose policy acts.
    pub fn running(policy: [[f32; TOOL_POSE_LEN]; 2]) -> Result<Self, Box<dyn Error>> {
        let mut bench = Self::new(config()?)?;
        bench.publish(policy);
        bench.run(5)?;
        bench.order(Order::Arm)?;
        bench.run(20)?;
        bench.order(Order::Start)?;
        bench.run(200)?;
        assert_eq!(bench.control.state(), State::Run, "{:?}", bench.causes());
        assert!(bench.is_engaged());
        Ok(bench)
    }

    pub fn publish(&self, policy: [[f32; TOOL_POSE_LEN]; 2]) {
        self.policies.publish(Snapshot { policy, version: 1, published_s: 0.0 });
    }

    pub fn order(&mut self, order: Order) -> TestResult {
        self.requests.send(Request::Order(order))?;
        self.run(2)
    }

    /// Runs, and looks at every setpoint: in the box, or nearer to it than the arm; never beyond the clip.
    pub fn run(&mut self, n_ticks: usize) -> TestResult {
        for _ in 0..n_ticks {
            let before = self.arm.state().ok_or("no state")?;
            let said_before = self.arm.setpoint();
            self.due_s = self.control.run_tick(&self.clock, self.due_s);
            while self.is_planning && self.worker.serve_waiting() {}
            let Some((setpoint, true)) = self.arm.setpoint().filter(|_| self.arm.setpoint() != said_before) else {
                continue;
            };
            self.check(&setpoint, &before.pose);
        }
        Ok(())
    }

    pub fn check(&mut self, setpoint: &ArmPose, measured: &ArmPose) {
        let tool = self.tool_limits;
        for axis in 0..3 {
            let x_m = setpoint.position_m[axis];
            let (lower_m, upper_m) = (f64::from(tool.lower_m[axis]), f64::from(tool.upper_m[axis]));
            assert!((lower_m - 1e-6..=upper_m + 1e-6).contains(&x_m), "axis {axis}: {x_m} m");
            self.worst_m = self.worst_m.max((x_m - measured.position_m[axis]).abs());
        }
        let (setpoint, measured) = (ToolPose::from(*setpoint), ToolPose::from(*measured));
        self.worst_rad = self.worst_rad.max(turn_rad(setpoint.orientation, measured.orientation));
    }

    /// Runs until `state`; after how long, s.
    pub fn until(&mut self, state: State, limit_s: f64) -> Result<f64, Box<dyn Error>> {
        let start_s = self.clock.now_s();
        while self.control.state() != state {
            self.run(1)?;
            if self.clock.now_s() - start_s > limit_s {
                return Err(format!("{:?} after {limit_s} s: {:?}", self.control.state(), self.causes()).into());
            }
        }
        Ok(self.clock.now_s() - start_s)
    }

    /// Puts the arm somewhere, `in_s` from now.
    pub fn lift(&self, tool: ToolPose, in_s: f64) {
        *self.lifted.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.clock.now_s() + in_s, tool));
    }

    pub fn inject(&self, fault: Fault) -> TestResult {
        rig::inject(&self.emulator, fault)
    }

    pub fn is_engaged(&self) -> bool {
        self.arm.setpoint().is_some_and(|(_, is_engaged)| is_engaged)
    }

    pub fn tool(&self) -> Result<ToolPose, Box<dyn Error>> {
        Ok(self.arm.state().ok_or("no state")?.pose.into())
    }

    pub fn torques(&self) -> Result<Vec<u32>, Box<dyn Error>> {
        (1..=N_SERVOS).map(|id| register(&self.emulator, id, TORQUE, 1)).collect()
    }

    pub fn causes(&self) -> Vec<Cause> {
        let cause = |event| if let Event::State { cause, .. } = event { cause } else { None };
        self.events.try_iter().filter_map(cause).collect()
    }
}
