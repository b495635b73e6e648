//! A hand of emulated servos with the whole path around it: control loop, failsafe, governor, driver, bytes, and a tracker
//! that sees its object. Time is the emulator's.

#[path = "../real/rig.rs"]
#[expect(dead_code, reason = "shared with the tests of the driver")]
pub mod hand_rig;
pub mod held;
mod scene;

pub use scene::Scene;

use bridge::number::{Finite, NonNegative, Positive, UnitInterval};
use bridge::real::bounds::BoundsConfig;
use bridge::real::cause::Cause;
use bridge::real::clock::Clock;
use bridge::real::control_loop::{ControlLoop, EmergencyStop, Event, FaultReport, Inbox, LoopConfig, Outbox, Request};
use bridge::real::emulator::{EmulatorClock, Fault, MemoryPort};
use bridge::real::failsafe::FailsafeConfig;
use bridge::real::hand_driver::HandDriver;
use bridge::real::hand_robot::HandRobot;
use bridge::real::labels::Button;
use bridge::real::machine::{Order, State};
use bridge::real::newest::{Publisher, Pulse, newest, pulse};
use bridge::real::planner::{ChunkConfig, PlanError, Planner, PlannerWorker, Snapshot};
use bridge::real::recorder::Recorded;
use bridge::real::robot::Tracked;
use bridge::{BodySpec, GovernorConfig, Judgement, Outcome, Percept, Task, TaskSpec};
use crossbeam::channel::{Receiver, Sender, bounded};
use hand_rig::{BAUD, TestResult, register};
use scene::Eye;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub const N_JOINTS: usize = 16;
pub const TORQUE: u16 = 64;
pub const WATCHDOG: u16 = 98;
pub const GOAL_CURRENT: u16 = 102;
pub const GOAL: u16 = 116;
pub const POSITION: u16 = 132;
pub const TICK_S: f64 = 0.01;
/// All servos let go with one packet of half a millisecond, felt a step of the shafts later; one by one they would take a tick.
pub const LET_GO_S: f64 = 0.002;
pub const PARK_RAD: f64 = 0.2;

/// A step is worth 1 until the object falls, which ends the episode for good.
pub struct Count {
    spec: TaskSpec,
    n_steps: u32,
    is_fallen: bool,
}

impl Task for Count {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn begin(&mut self, _first: &Percept) {
        (self.n_steps, self.is_fallen) = (0, false);
    }

    fn observe(&self, _percept: &Percept, observation: &mut [f32]) {
        observation[0] = self.n_steps as f32;
    }

    fn judge(&mut self, percept: &Percept) -> Judgement {
        self.n_steps += 1;
        self.is_fallen = percept.objects[0].position_m[2] < 0.0;
        Judgement { reward: 1.0, terminated: self.is_fallen }
    }

    fn outcome(&self) -> Outcome {
        Outcome { terminated: self.is_fallen, ..Outcome::default() }
    }
}

/// All joints wave; the policy is how far. Below zero they jump from one side to the other.
#[derive(Default)]
pub struct Wave(f32);

impl Planner for Wave {
    type Policy = f32;

    fn adopt(&mut self, policy: f32) {
        self.0 = policy;
    }

    fn plan(&mut self, observation: &[f32], chunk_rad: &mut [f32]) -> Result<(), PlanError> {
        for (h, action) in chunk_rad.chunks_exact_mut(N_JOINTS).enumerate() {
            let phase = 0.3 * (observation[0] + h as f32);
            action.fill(if self.0 < 0.0 { self.0.copysign(phase.sin()) } else { self.0 * phase.sin() });
        }
        Ok(())
    }
}

/// Places in the queues that lead out of the loop.
pub struct Places {
    pub records: usize,
    pub events: usize,
}

pub struct Bench {
    pub scene: Scene,
    pub clock: EmulatorClock,
    pub control: ControlLoop<Tracked<HandRobot<MemoryPort>, Eye>, Count, Receiver<Button>>,
    pub worker: PlannerWorker<Wave>,
    pub is_planning: bool,
    pub n_plans: usize,
    /// Where the servos were after the last tick but one, and after the last one, ticks.
    pub seen: [Vec<i32>; 2],
    pub due_s: f64,
    pub requests: Sender<Request>,
    pub buttons: Sender<Button>,
    pub e_stop: EmergencyStop,
    pub policies: Publisher<Snapshot<f32>>,
    pub pulse: Option<Pulse<EmulatorClock>>,
    pub events: Receiver<Event>,
    pub faults: Receiver<FaultReport>,
    pub records: Receiver<Recorded>,
    pub n_dropped: Arc<AtomicU64>,
}

fn config() -> Result<LoopConfig, Box<dyn Error>> {
    Ok(LoopConfig {
        bounds: BoundsConfig {
            governor: GovernorConfig { rate_share: UnitInterval::try_from(0.5)?, windup: Positive::try_from(3.0)? },
            widened: vec![],
        },
        failsafe: FailsafeConfig::usual(20)?,
        chunks: ChunkConfig { horizon: 10, execute: 5, lead: 2 },
        first_chunk_s: NonNegative::try_from(0.2)?,
        range_slack_rad: NonNegative::try_from(0.05)?,
        n_spoilt_steps: 2,
        park_rad: vec![Finite::try_from(PARK_RAD)?; N_JOINTS],
        park_rate_rad_s: Positive::try_from(0.5)?,
        start: None,
        tool: None,
    })
}

impl Bench {
    pub fn on(scene: Scene) -> Result<Self, Box<dyn Error>> {
        Self::with_places(scene, Places { records: 64, events: 4096 })
    }

    pub fn with_places(scene: Scene, places: Places) -> Result<Self, Box<dyn Error>> {
        let spec = BodySpec { objects: vec!["cube".into()], ..hand_rig::spec() };
        let port = scene.emulator.open(BAUD);
        let driver =
            HandDriver::new(port, spec, hand_rig::motors()?, Some(&scene.calibration), hand_rig::driver_config()?)?;
        let (hand, _) = HandRobot::connect(driver, UnitInterval::try_from(0.5)?)?;
        let clock = scene.emulator.clock();
        let spec = TaskSpec { name: "count".into(), observation_len: 1, control_hz: 20, horizon_s: 60.0 };
        let (requests, request_inbox) = bounded(16);
        let (buttons, labels) = bounded(16);
        let (record_outbox, records) = bounded(places.records);
        let (event_outbox, events) = bounded(places.events);
        let (fault_outbox, faults) = bounded(4);
        let (policies, policy_inbox) = newest();
        let (_, human_rad) = newest();
        let (pulse, learner) = pulse(clock.clone());
        let e_stop = EmergencyStop::default();
        let n_dropped = Arc::new(AtomicU64::new(0));
        let inbox = Inbox { requests: request_inbox, e_stop: e_stop.clone(), human_rad, learner: Some(learner) };
        let outbox = Outbox {
            records: record_outbox,
            events: event_outbox,
            faults: fault_outbox,
            n_dropped: Arc::clone(&n_dropped),
        };
        let task = Count { spec, n_steps: 0, is_fallen: false };
        let robot = Tracked::new(hand, scene.eye()?);
        let (control, worker) =
            ControlLoop::new(config()?, robot, task, labels, Wave::default(), policy_inbox, inbox, outbox, 0)?;
        let (due_s, pulse) = (clock.now_s(), Some(pulse));
        Ok(Self {
            scene,
            clock,
            control,
            worker,
            is_planning: true,
            n_plans: 0,
            seen: [vec![], vec![]],
            due_s,
            requests,
            buttons,
            e_stop,
            policies,
            pulse,
            events,
            faults,
            records,
            n_dropped,
        })
    }

    /// A hand that runs, for a second.
    pub fn running() -> Result<Self, Box<dyn Error>> {
        let mut bench = Self::on(Scene::new()?)?;
        bench.start()?;
        Ok(bench)
    }

    /// Arms the hand and lets it run for a second.
    pub fn start(&mut self) -> TestResult {
        self.publish(0.2);
        self.run(5);
        self.order(Order::Arm)?;
        self.run(20);
        self.order(Order::Start)?;
        self.run(100);
        assert_eq!(self.control.state(), State::Run, "{:?}", self.events());
        assert_eq!(self.torques()?, vec![1; 17]);
        Ok(())
    }

    pub fn publish(&self, amplitude_rad: f32) {
        let published_s = self.clock.now_s();
        self.policies.publish(Snapshot { policy: amplitude_rad, version: 1, published_s });
    }

    pub fn order(&mut self, order: Order) -> TestResult {
        self.requests.send(Request::Order(order))?;
        self.run(2);
        Ok(())
    }

    pub fn run(&mut self, n_ticks: usize) {
        for _ in 0..n_ticks {
            if let Some(pulse) = self.pulse.as_ref().filter(|_| !self.scene.emulator.lock().is_learner_silent()) {
                pulse.beat();
            }
            self.due_s = self.control.run_tick(&self.clock, self.due_s);
            while self.is_planning && self.worker.serve_waiting() {
                self.n_plans += 1;
            }
            self.seen.swap(0, 1);
            self.seen[1] = self.ticks(POSITION).unwrap_or_default();
        }
    }

    /// Runs until `state`; after how long, s.
    pub fn until(&mut self, state: State, limit_s: f64) -> Result<f64, Box<dyn Error>> {
        let start_s = self.clock.now_s();
        while self.control.state() != state {
            self.run(1);
            if self.clock.now_s() - start_s > limit_s {
                return Err(format!("{:?} after {limit_s} s: {:?}", self.control.state(), self.events()).into());
            }
        }
        Ok(self.clock.now_s() - start_s)
    }

    pub fn events(&self) -> Vec<Event> {
        let is_telling = |event: &Event| !matches!(event, Event::Chunk { .. });
        self.events.try_iter().filter(is_telling).collect()
    }

    pub fn last_cause(&self) -> Option<Cause> {
        self.events().into_iter().rev().find_map(|event| match event {
            Event::State { cause, .. } => cause,
            _ => None,
        })
    }

    pub fn ids(&self) -> Vec<u8> {
        self.control.robot().robot().driver().status().servos.iter().map(|servo| servo.id).collect()
    }

    pub fn registers(&self, address: u16, length: u16) -> Result<Vec<u32>, Box<dyn Error>> {
        self.ids().into_iter().map(|id| register(&self.scene.emulator, id, address, length)).collect()
    }

    pub fn torques(&self) -> Result<Vec<u32>, Box<dyn Error>> {
        self.registers(TORQUE, 1)
    }

    /// A fault that begins now.
    pub fn inject(&self, fault: Fault) -> TestResult {
        hand_rig::inject(&self.scene.emulator, fault)
    }

    /// Goals that the servos have taken so far.
    pub fn n_goals(&self) -> u64 {
        self.scene.emulator.lock().counters().n_goals
    }

    /// A register of one servo.
    pub fn register(&self, id: u8, address: u16, length: u16) -> Result<u32, Box<dyn Error>> {
        register(&self.scene.emulator, id, address, length)
    }

    /// A register of every servo that holds ticks.
    pub fn ticks(&self, address: u16) -> Result<Vec<i32>, Box<dyn Error>> {
        Ok(self.registers(address, 4)?.into_iter().map(u32::cast_signed).collect())
    }

    /// Largest distance between goal and position of any servo, ticks.
    pub fn goal_to_position(&self) -> Result<i32, Box<dyn Error>> {
        let pairs = self.ticks(GOAL)?.into_iter().zip(self.ticks(POSITION)?);
        Ok(pairs.map(|(goal, position)| (goal - position).abs()).max().unwrap_or_default())
    }
}
