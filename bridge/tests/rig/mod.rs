//! A hand of two joints in virtual time, with a control loop around it whose every side a test can reach.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../healthy/mod.rs"]
mod healthy;

use bridge::number::{Finite, NonNegative, Positive, UnitInterval};
use bridge::real::bounds::BoundsConfig;
use bridge::real::clock::{Clock, VirtualClock};
use bridge::real::control_loop::{ControlLoop, EmergencyStop, Event, FaultReport, Inbox, LoopConfig, Outbox, Request};
use bridge::real::failsafe::FailsafeConfig;
use bridge::real::labels::Button;
use bridge::real::machine::{Order, State};
use bridge::real::newest::{Publisher, Pulse, newest, pulse};
use bridge::real::planner::{ChunkConfig, PlanError, Planner, PlannerWorker, Snapshot};
use bridge::real::recorder::Recorded;
use bridge::real::robot::Robot;
use bridge::real::status::HandStatus;
use bridge::{
    Body, BodyError, BodySpec, GovernorConfig, JointSpec, Judgement, ObjectPose, Outcome, Percept, Task, TaskSpec,
};
use crossbeam::channel::{Receiver, Sender, bounded};
use healthy::healthy;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub const N_JOINTS: usize = 2;
pub const TICKS_PER_STEP: usize = 5;
pub const HORIZON_STEPS: usize = 20;
pub const CHUNKS: ChunkConfig = ChunkConfig { horizon: 8, execute: 4, lead: 2 };
const RATE_RAD_S: f32 = 2.0;

/// The servos: what a test sets and what it looks at.
#[derive(Debug)]
pub struct Servos {
    pub status: HandStatus,
    pub q_rad: Vec<f32>,
    pub goal_rad: Vec<f32>,
    pub has_torque: bool,
    pub is_reduced: bool,
    pub object_age_s: f64,
    pub reading: Option<f32>,
    pub n_commands: u64,
    pub reboots: Vec<usize>,
    /// Joint 0 does not get beyond this.
    pub wall_rad: f32,
    /// Where joint 1 sags to without torque of its own.
    pub sag_rad: Option<f32>,
    /// Reports of faults that were sent when torque went off last.
    pub n_reports_before_off: Option<usize>,
}

pub struct FakeHand<C: Clock> {
    spec: BodySpec,
    clock: C,
    servos: Arc<Mutex<Servos>>,
    status: HandStatus,
    faults: Receiver<FaultReport>,
}

pub fn spec() -> BodySpec {
    let joint = |name: &str| JointSpec {
        name: name.into(),
        lower_rad: -1.0,
        upper_rad: 1.0,
        max_rate_rad_s: RATE_RAD_S,
        max_effort_nm: 0.3,
        stiffness_nm_rad: 3.0,
    };
    BodySpec {
        name: "fake".into(),
        joints: vec![joint("a"), joint("b")],
        tool: None,
        objects: vec!["cube".into()],
        signals: vec![],
        servo_hz: 100,
    }
}

impl<C: Clock> Body for FakeHand<C> {
    fn spec(&self) -> &BodySpec {
        &self.spec
    }

    fn reset(&mut self, _seed: u64) -> Result<(), BodyError> {
        Ok(())
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        let mut servos = self.servos.lock().unwrap_or_else(PoisonError::into_inner);
        if servos.has_torque {
            for joint in 0..N_JOINTS {
                let error_rad = servos.goal_rad[joint] - servos.q_rad[joint];
                servos.q_rad[joint] += 0.5 * error_rad;
            }
            servos.q_rad[0] = servos.q_rad[0].min(servos.wall_rad);
            servos.q_rad[1] = servos.sag_rad.unwrap_or(servos.q_rad[1]);
        }
        let HandStatus { stale_s, servos: each, transport_lost, .. } = &servos.status;
        self.status.stale_s.clone_from(stale_s);
        self.status.servos.clone_from(each);
        self.status.transport_lost.clone_from(transport_lost);
        percept.time_s = self.clock.now_s();
        percept.measured_rad.clone_from(&servos.q_rad);
        percept.commanded_rad.clone_from(&servos.goal_rad);
        percept.effort_nm.resize(N_JOINTS, 0.0);
        percept.effort_nm.fill(servos.reading.unwrap_or(0.0));
        percept.objects.clear();
        percept.objects.push(ObjectPose {
            time_s: percept.time_s - servos.object_age_s,
            position_m: [0.0; 3],
            orientation: [0.0, 0.0, 0.0, 1.0],
            velocity_m_s: [0.0; 3],
            angular_velocity_rad_s: [0.0; 3],
        });
        Ok(())
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        let mut servos = self.servos.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(servos.has_torque, "a goal is sent only to servos with torque");
        for (joint, &target) in targets_rad.iter().enumerate() {
            assert!(target.is_finite() && (-1.0..=1.0).contains(&target), "{targets_rad:?}");
            let step_rad = (target - servos.goal_rad[joint]).abs();
            let to_measured_rad = (target - servos.q_rad[joint]).abs();
            assert!(step_rad <= RATE_RAD_S / 100.0 + 1e-6 || to_measured_rad < 1e-6, "{targets_rad:?} jumps");
        }
        servos.goal_rad.copy_from_slice(targets_rad);
        servos.n_commands += 1;
        Ok(())
    }
}

impl<C: Clock> Robot for FakeHand<C> {
    fn status(&self) -> Option<&HandStatus> {
        Some(&self.status)
    }

    fn torque_on(&mut self, _is_stopped: &dyn Fn() -> bool) -> Result<(), BodyError> {
        let mut servos = self.servos.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(servos.is_reduced, "torque comes with the reduced current");
        let present_rad = servos.q_rad.clone();
        servos.goal_rad.copy_from_slice(&present_rad);
        servos.has_torque = true;
        Ok(())
    }

    fn torque_off(&mut self) -> Result<(), BodyError> {
        let mut servos = self.servos.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut servos.has_torque) {
            servos.n_reports_before_off = Some(self.faults.len());
        }
        Ok(())
    }

    fn reduce_current(&mut self, is_reduced: bool) -> Result<(), BodyError> {
        self.servos.lock().unwrap_or_else(PoisonError::into_inner).is_reduced = is_reduced;
        Ok(())
    }

    fn reboot(&mut self, servo_idx: usize) -> Result<(), BodyError> {
        self.servos.lock().unwrap_or_else(PoisonError::into_inner).reboots.push(servo_idx);
        Ok(())
    }

    fn rearm(&mut self, servo_idx: usize) -> Result<(), BodyError> {
        let mut servos = self.servos.lock().unwrap_or_else(PoisonError::into_inner);
        servos.status.servos[servo_idx].is_watchdog_tripped = false;
        Ok(())
    }
}

/// One reward a step; the observation is the measured joints and the number of steps.
#[derive(Debug)]
pub struct Steps {
    spec: TaskSpec,
    n_steps: u32,
    /// The episode ends for good after this many.
    pub ends_after: Option<u32>,
}

impl Task for Steps {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn begin(&mut self, _first: &Percept) {
        self.n_steps = 0;
    }

    fn observe(&self, percept: &Percept, observation: &mut [f32]) {
        observation[..N_JOINTS].copy_from_slice(&percept.measured_rad);
        observation[N_JOINTS] = self.n_steps as f32;
    }

    fn judge(&mut self, _percept: &Percept) -> Judgement {
        self.n_steps += 1;
        Judgement { reward: 1.0, terminated: self.ends_after == Some(self.n_steps) }
    }

    fn outcome(&self) -> Outcome {
        let terminated = self.ends_after == Some(self.n_steps);
        Outcome { total_reward: f64::from(self.n_steps), terminated, succeeded: !terminated, ..Outcome::default() }
    }
}

/// Joint 0 goes to what the policy says plus a thousandth a step; joint 1 tells the step that was observed.
#[derive(Debug, Default)]
pub struct FakePlanner {
    target_rad: f32,
}

impl Planner for FakePlanner {
    type Policy = f32;

    fn adopt(&mut self, policy: f32) {
        self.target_rad = policy;
    }

    fn plan(&mut self, observation: &[f32], chunk_rad: &mut [f32]) -> Result<(), PlanError> {
        if self.target_rad == 99.0 {
            return Err(PlanError { reason: "no weights".into() });
        }
        for (h, action) in chunk_rad.chunks_exact_mut(N_JOINTS).enumerate() {
            action[0] = self.target_rad + 0.001 * h as f32;
            action[1] = 0.01 * observation[N_JOINTS];
        }
        Ok(())
    }
}

pub fn config() -> LoopConfig {
    LoopConfig {
        bounds: BoundsConfig {
            governor: GovernorConfig {
                rate_share: UnitInterval::try_from(1.0).unwrap(),
                windup: Positive::try_from(3.0).unwrap(),
            },
            widened: vec![],
        },
        failsafe: FailsafeConfig::usual(20).unwrap(),
        chunks: CHUNKS,
        first_chunk_s: NonNegative::try_from(0.2).unwrap(),
        range_slack_rad: NonNegative::try_from(0.05).unwrap(),
        n_spoilt_steps: 2,
        park_rad: vec![Finite::try_from(-0.5).unwrap(); N_JOINTS],
        park_rate_rad_s: Positive::try_from(0.5).unwrap(),
        start: None,
        tool: None,
    }
}

pub type Loop<C> = ControlLoop<FakeHand<C>, Steps, Receiver<Button>>;

/// The loop and all its sides.
pub struct Rig<C: Clock + Clone> {
    pub control: Loop<C>,
    pub sides: Sides<C>,
}

pub struct Sides<C: Clock> {
    pub worker: Option<PlannerWorker<FakePlanner>>,
    pub clock: C,
    pub due_s: f64,
    pub servos: Arc<Mutex<Servos>>,
    pub requests: Sender<Request>,
    pub buttons: Sender<Button>,
    pub e_stop: EmergencyStop,
    pub human: Publisher<Box<[f32]>>,
    pub policies: Publisher<Snapshot<f32>>,
    pub pulse: Option<Pulse<C>>,
    pub records: Receiver<Recorded>,
    pub events: Receiver<Event>,
    pub faults: Receiver<FaultReport>,
    pub n_dropped: Arc<AtomicU64>,
}

pub fn rig<C: Clock + Clone>(clock: C, record_capacity: usize, ends_after: Option<u32>) -> Rig<C> {
    rig_of(config(), clock, record_capacity, ends_after)
}

pub fn rig_of<C: Clock + Clone>(
    config: LoopConfig,
    clock: C,
    record_capacity: usize,
    ends_after: Option<u32>,
) -> Rig<C> {
    let servos = Servos {
        status: healthy(N_JOINTS as u8),
        q_rad: vec![0.1; N_JOINTS],
        goal_rad: vec![0.0; N_JOINTS],
        has_torque: false,
        is_reduced: false,
        object_age_s: 0.0,
        reading: None,
        n_commands: 0,
        reboots: Vec::with_capacity(8),
        wall_rad: 1.0,
        sag_rad: None,
        n_reports_before_off: None,
    };
    let servos = Arc::new(Mutex::new(servos));
    let (faults, fault_outbox) = bounded(4);
    let hand = FakeHand {
        spec: spec(),
        clock: clock.clone(),
        servos: Arc::clone(&servos),
        status: healthy(N_JOINTS as u8),
        faults: fault_outbox.clone(),
    };
    let task_spec = TaskSpec { name: "steps".into(), observation_len: N_JOINTS + 1, control_hz: 20, horizon_s: 1.0 };
    let task = Steps { spec: task_spec, n_steps: 0, ends_after };
    let (requests, request_inbox) = bounded(16);
    let (buttons, labels) = bounded(16);
    let (records, record_outbox) = bounded(record_capacity);
    let (events, event_outbox) = bounded(4096);
    let (policies, policy_inbox) = newest();
    let (human, human_rad) = newest();
    let (pulse, learner) = pulse(clock.clone());
    let e_stop = EmergencyStop::default();
    let inbox = Inbox { requests: request_inbox, e_stop: e_stop.clone(), human_rad, learner: Some(learner) };
    let n_dropped = Arc::new(AtomicU64::new(0));
    let outbox = Outbox { records, events, faults, n_dropped: Arc::clone(&n_dropped) };
    let (control, worker) =
        ControlLoop::new(config, hand, task, labels, FakePlanner::default(), policy_inbox, inbox, outbox, 7).unwrap();
    let sides = Sides {
        worker: Some(worker),
        due_s: clock.now_s(),
        clock,
        servos,
        requests,
        buttons,
        e_stop,
        human,
        policies,
        pulse: Some(pulse),
        records: record_outbox,
        events: event_outbox,
        faults: fault_outbox,
        n_dropped,
    };
    Rig { control, sides }
}

impl Rig<VirtualClock> {
    pub fn new() -> Self {
        rig(VirtualClock::default(), 16, None)
    }

    /// One tick, after which the planner has planned; the learner is alive.
    pub fn tick(&mut self) {
        self.tick_without_planner();
        self.plan();
    }

    pub fn plan(&mut self) {
        if let Some(worker) = &mut self.sides.worker {
            while worker.serve_waiting() {}
        }
    }

    pub fn tick_without_planner(&mut self) {
        if let Some(pulse) = &self.sides.pulse {
            pulse.beat();
        }
        self.sides.due_s = self.control.run_tick(&self.sides.clock, self.sides.due_s);
    }

    pub fn ticks(&mut self, n: usize) {
        for _ in 0..n {
            self.tick();
        }
    }

    pub fn order(&mut self, order: Order) {
        self.sides.requests.send(Request::Order(order)).unwrap();
        self.tick();
    }

    pub fn publish(&self, target_rad: f32, version: u64) {
        let published_s = self.sides.clock.now_s();
        self.sides.policies.publish(Snapshot { policy: target_rad, version, published_s });
    }

    /// Armed and started, the first chunk planned: the next tick begins step 0.
    pub fn start(&mut self) {
        self.publish(0.3, 1);
        self.tick();
        self.order(Order::Arm);
        self.tick();
        self.order(Order::Start);
        assert_eq!(self.control.state(), State::Run);
    }

    /// `n` whole steps.
    pub fn steps(&mut self, n: usize) {
        self.ticks(n * TICKS_PER_STEP);
    }

    pub fn servos<T>(&self, look: impl FnOnce(&mut Servos) -> T) -> T {
        look(&mut self.sides.servos.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn events(&self) -> Vec<Event> {
        self.sides.events.try_iter().collect()
    }

    pub fn n_dropped(&self) -> u64 {
        self.sides.n_dropped.load(Ordering::Relaxed)
    }
}
