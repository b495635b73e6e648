//! A hand of emulated servos with the whole path around it: control loop, failsafe, governor, driver, bytes. Time is the
//! emulator's.

#[path = "../real/rig.rs"]
#[expect(dead_code, reason = "shared with the tests of the driver")]
pub mod hand_rig;

use bridge::number::{Finite, NonNegative, Positive, UnitInterval};
use bridge::real::bounds::BoundsConfig;
use bridge::real::cause::Cause;
use bridge::real::clock::Clock;
use bridge::real::control_loop::{ControlLoop, EmergencyStop, Event, FaultReport, Inbox, LoopConfig, Outbox, Request};
use bridge::real::emulator::{EmulatorClock, MemoryPort, SharedEmulator};
use bridge::real::failsafe::FailsafeConfig;
use bridge::real::hand_robot::HandRobot;
use bridge::real::labels::NoLabels;
use bridge::real::machine::{Order, State};
use bridge::real::newest::{Publisher, Pulse, newest, pulse};
use bridge::real::planner::{ChunkConfig, PlanError, Planner, PlannerWorker, Snapshot};
use bridge::real::recorder::Recorded;
use bridge::{GovernorConfig, Judgement, Outcome, Percept, Task, TaskSpec};
use crossbeam::channel::{Receiver, Sender, bounded};
use hand_rig::{BAUD, TestResult, driver_on, register};
use std::error::Error;

pub const N_JOINTS: usize = 16;
pub const TORQUE: u16 = 64;
pub const WATCHDOG: u16 = 98;
pub const GOAL_CURRENT: u16 = 102;
pub const GOAL: u16 = 116;
pub const POSITION: u16 = 132;
pub const TICK_S: f64 = 0.01;
const PARK_RAD: f64 = 0.2;

pub struct Count {
    spec: TaskSpec,
    n_steps: u32,
}

impl Task for Count {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn begin(&mut self, _first: &Percept) {
        self.n_steps = 0;
    }

    fn observe(&self, _percept: &Percept, observation: &mut [f32]) {
        observation[0] = self.n_steps as f32;
    }

    fn judge(&mut self, _percept: &Percept) -> Judgement {
        self.n_steps += 1;
        Judgement { reward: 1.0, terminated: false }
    }

    fn outcome(&self) -> Outcome {
        Outcome::default()
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

pub struct Bench {
    pub emulator: SharedEmulator,
    pub clock: EmulatorClock,
    pub control: ControlLoop<HandRobot<MemoryPort>, Count, NoLabels>,
    pub worker: PlannerWorker<Wave>,
    pub is_planning: bool,
    pub due_s: f64,
    pub requests: Sender<Request>,
    pub e_stop: EmergencyStop,
    pub policies: Publisher<Snapshot<f32>>,
    pub pulse: Option<Pulse<EmulatorClock>>,
    pub events: Receiver<Event>,
    pub faults: Receiver<FaultReport>,
    pub records: Receiver<Recorded>,
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
    pub fn on(emulator: SharedEmulator) -> Result<Self, Box<dyn Error>> {
        let (hand, _) = HandRobot::connect(driver_on(emulator.open(BAUD))?, UnitInterval::try_from(0.5)?)?;
        let clock = emulator.clock();
        let spec = TaskSpec { name: "count".into(), observation_len: 1, control_hz: 20, horizon_s: 60.0 };
        let (requests, request_inbox) = bounded(16);
        let (record_outbox, records) = bounded(64);
        let (events, event_outbox) = bounded(4096);
        let (fault_outbox, faults) = bounded(4);
        let (policies, policy_inbox) = newest();
        let (_, human_rad) = newest();
        let (pulse, learner) = pulse(clock.clone());
        let e_stop = EmergencyStop::default();
        let inbox = Inbox { requests: request_inbox, e_stop: e_stop.clone(), human_rad, learner: Some(learner) };
        let outbox =
            Outbox { records: record_outbox, events, faults: fault_outbox, n_dropped: std::sync::Arc::default() };
        let task = Count { spec, n_steps: 0 };
        let (control, worker) =
            ControlLoop::new(config()?, hand, task, NoLabels, Wave::default(), policy_inbox, inbox, outbox, 0)?;
        let (due_s, pulse) = (clock.now_s(), Some(pulse));
        let events = event_outbox;
        Ok(Self {
            emulator,
            clock,
            control,
            worker,
            is_planning: true,
            due_s,
            requests,
            e_stop,
            policies,
            pulse,
            events,
            faults,
            records,
        })
    }

    /// A hand that runs, for a second.
    pub fn running() -> Result<Self, Box<dyn Error>> {
        let mut bench = Self::on(hand_rig::emulator()?)?;
        bench.publish(0.2);
        bench.run(5);
        bench.order(Order::Arm)?;
        bench.run(20);
        bench.order(Order::Start)?;
        bench.run(100);
        assert_eq!(bench.control.state(), State::Run, "{:?}", bench.events());
        assert_eq!(bench.torques()?, vec![1; 17]);
        Ok(bench)
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
            if let Some(pulse) = self.pulse.as_ref().filter(|_| !self.emulator.lock().is_learner_silent()) {
                pulse.beat();
            }
            self.due_s = self.control.run_tick(&self.clock, self.due_s);
            while self.is_planning && self.worker.serve_waiting() {}
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
        self.control.robot().driver().status().servos.iter().map(|servo| servo.id).collect()
    }

    pub fn registers(&self, address: u16, length: u16) -> Result<Vec<u32>, Box<dyn Error>> {
        self.ids().into_iter().map(|id| register(&self.emulator, id, address, length)).collect()
    }

    pub fn torques(&self) -> Result<Vec<u32>, Box<dyn Error>> {
        self.registers(TORQUE, 1)
    }

    /// Largest distance between goal and position of any servo, ticks.
    pub fn goal_to_position(&self) -> Result<i64, Box<dyn Error>> {
        let signed = |value: u32| i64::from(value.cast_signed());
        let pairs = self.registers(GOAL, 4)?.into_iter().zip(self.registers(POSITION, 4)?);
        Ok(pairs.map(|(goal, position)| (signed(goal) - signed(position)).abs()).max().unwrap_or_default())
    }
}
