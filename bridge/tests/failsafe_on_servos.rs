//! Contract: the fault table, from a fault on the bus to the registers of the servos. The whole path runs: control loop,
//! failsafe, governor, driver, bytes, emulated servos; time is the emulator's.

#[path = "real/rig.rs"]
#[expect(dead_code, reason = "shared with the tests of the driver")]
mod hand_rig;

use bridge::number::{Finite, NonNegative, Positive, UnitInterval};
use bridge::real::bounds::BoundsConfig;
use bridge::real::cause::Cause;
use bridge::real::clock::Clock;
use bridge::real::control_loop::{ControlLoop, EmergencyStop, Event, FaultReport, Inbox, LoopConfig, Outbox, Request};
use bridge::real::emulator::{Fault, MemoryPort, Servos, SharedEmulator};
use bridge::real::failsafe::FailsafeConfig;
use bridge::real::hand_robot::HandRobot;
use bridge::real::labels::NoLabels;
use bridge::real::machine::{Order, State};
use bridge::real::newest::{Publisher, Pulse, newest, pulse};
use bridge::real::planner::{ChunkConfig, PlanError, Planner, PlannerWorker, Snapshot};
use bridge::{GovernorConfig, Judgement, Outcome, Percept, Task, TaskSpec};
use crossbeam::channel::{Receiver, Sender, bounded};
use hand_rig::{BAUD, TestResult, driver_on, inject, register};
use std::error::Error;
use std::time::Duration;

const N_JOINTS: usize = 16;
const TORQUE: u16 = 64;
const WATCHDOG: u16 = 98;
const GOAL_CURRENT: u16 = 102;
const GOAL: u16 = 116;
const POSITION: u16 = 132;
const TICK_S: f64 = 0.01;
const PARK_RAD: f64 = 0.2;

/// The emulator's time.
#[derive(Clone)]
struct BusClock(SharedEmulator);

impl Clock for BusClock {
    fn now_s(&self) -> f64 {
        self.0.lock().now().as_secs_f64()
    }

    fn wait_until(&self, at_s: f64) {
        self.0.lock().advance_to(Duration::from_secs_f64(at_s));
    }
}

struct Count {
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
struct Wave(f32);

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

struct Bench {
    emulator: SharedEmulator,
    clock: BusClock,
    control: ControlLoop<HandRobot<MemoryPort>, Count, NoLabels>,
    worker: PlannerWorker<Wave>,
    is_planning: bool,
    due_s: f64,
    requests: Sender<Request>,
    e_stop: EmergencyStop,
    policies: Publisher<Snapshot<f32>>,
    pulse: Option<Pulse<BusClock>>,
    events: Receiver<Event>,
    faults: Receiver<FaultReport>,
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
    })
}

impl Bench {
    fn on(emulator: SharedEmulator) -> Result<Self, Box<dyn Error>> {
        let (hand, _) = HandRobot::connect(driver_on(emulator.open(BAUD))?, UnitInterval::try_from(0.5)?)?;
        let clock = BusClock(emulator.clone());
        let spec = TaskSpec { name: "count".into(), observation_len: 1, control_hz: 20, horizon_s: 60.0 };
        let (requests, request_inbox) = bounded(16);
        let (records, _) = bounded(1);
        let (events, event_outbox) = bounded(4096);
        let (fault_outbox, faults) = bounded(4);
        let (policies, policy_inbox) = newest();
        let (_, human_rad) = newest();
        let (pulse, learner) = pulse(clock.clone());
        let e_stop = EmergencyStop::default();
        let inbox = Inbox { requests: request_inbox, e_stop: e_stop.clone(), human_rad, learner: Some(learner) };
        let outbox = Outbox { records, events, faults: fault_outbox, n_dropped: std::sync::Arc::default() };
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
        })
    }

    /// A hand that runs, for a second.
    fn running() -> Result<Self, Box<dyn Error>> {
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

    fn publish(&self, amplitude_rad: f32) {
        let published_s = self.clock.now_s();
        self.policies.publish(Snapshot { policy: amplitude_rad, version: 1, published_s });
    }

    fn order(&mut self, order: Order) -> TestResult {
        self.requests.send(Request::Order(order))?;
        self.run(2);
        Ok(())
    }

    fn run(&mut self, n_ticks: usize) {
        for _ in 0..n_ticks {
            if let Some(pulse) = &self.pulse {
                pulse.beat();
            }
            self.due_s = self.control.run_tick(&self.clock, self.due_s);
            while self.is_planning && self.worker.serve_waiting() {}
        }
    }

    /// Runs until `state`; after how long, s.
    fn until(&mut self, state: State, limit_s: f64) -> Result<f64, Box<dyn Error>> {
        let start_s = self.clock.now_s();
        while self.control.state() != state {
            self.run(1);
            if self.clock.now_s() - start_s > limit_s {
                return Err(format!("{:?} after {limit_s} s: {:?}", self.control.state(), self.events()).into());
            }
        }
        Ok(self.clock.now_s() - start_s)
    }

    fn events(&self) -> Vec<Event> {
        let is_telling = |event: &Event| !matches!(event, Event::Chunk { .. });
        self.events.try_iter().filter(is_telling).collect()
    }

    fn last_cause(&self) -> Option<Cause> {
        self.events().into_iter().rev().find_map(|event| match event {
            Event::State { cause, .. } => cause,
            _ => None,
        })
    }

    fn ids(&self) -> Vec<u8> {
        self.control.robot().driver().status().servos.iter().map(|servo| servo.id).collect()
    }

    fn registers(&self, address: u16, length: u16) -> Result<Vec<u32>, Box<dyn Error>> {
        self.ids().into_iter().map(|id| register(&self.emulator, id, address, length)).collect()
    }

    fn torques(&self) -> Result<Vec<u32>, Box<dyn Error>> {
        self.registers(TORQUE, 1)
    }

    /// Largest distance between goal and position of any servo, ticks.
    fn goal_to_position(&self) -> Result<i64, Box<dyn Error>> {
        let signed = |value: u32| i64::from(value.cast_signed());
        let pairs = self.registers(GOAL, 4)?.into_iter().zip(self.registers(POSITION, 4)?);
        Ok(pairs.map(|(goal, position)| (signed(goal) - signed(position)).abs()).max().unwrap_or_default())
    }
}

/// Contract, rows 13 and 16: connecting leaves torque off; arming leaves every goal at its position, reduced current and
/// the watchdog on.
#[test]
fn arming() -> TestResult {
    let mut bench = Bench::on(hand_rig::emulator()?)?;
    bench.run(50);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Start)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![5; 17]);
    assert!(bench.goal_to_position()? <= 2, "{} ticks", bench.goal_to_position()?);
    assert_eq!(register(&bench.emulator, 3, GOAL_CURRENT, 2)?, 150);
    bench.order(Order::Start)?;
    bench.run(2);
    assert_eq!(register(&bench.emulator, 3, GOAL_CURRENT, 2)?, 300);
    Ok(())
}

/// Contract, row 1: a pulled cable faults at once; the servos stop by themselves within 200 ms.
#[test]
fn a_pulled_cable() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Unplug)?;
    let took_s = bench.until(State::Fault, 0.1)?;
    assert!(took_s <= 2.5 * TICK_S, "{took_s} s");
    assert!(matches!(bench.last_cause(), Some(Cause::TransportLost | Cause::BodyFailed)));
    bench.run(15);
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![0xff; 17]);
    bench.order(Order::Reset)?;
    assert_eq!(bench.control.state(), State::Disconnected);
    Ok(())
}

/// Contract, row 2: a line that garbles a third of the answers ends in a hold with torque, and runs again once it is
/// clean.
#[test]
fn a_garbled_line() -> TestResult {
    let mut bench = Bench::running()?;
    let corrupt = Fault::Corrupt { servos: Servos::All, share: 0.3.try_into()?, for_s: 0.5.try_into()? };
    inject(&bench.emulator, corrupt)?;
    let took_s = bench.until(State::Hold, 0.3)?;
    assert!(took_s >= 4.0 * TICK_S, "{took_s} s");
    assert_eq!(bench.torques()?, vec![1; 17]);
    bench.run(120);
    bench.order(Order::Start)?;
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.events());
    Ok(())
}

/// Contract, row 3: one silent servo: hold after 100 ms, torque off after 500 ms, for the others too.
#[test]
fn a_silent_servo() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Silent { servos: Servos::Ids(vec![9]), for_s: 5.0.try_into()? })?;
    let hold_s = bench.until(State::Hold, 0.3)?;
    // Many cycles without an answer may be the first to end the run.
    assert!((0.04..=0.13).contains(&hold_s), "{hold_s} s");
    assert_eq!(bench.torques()?, vec![1; 17]);
    let fault_s = hold_s + bench.until(State::Fault, 1.0)?;
    assert!((0.49..=0.54).contains(&fault_s), "{fault_s} s");
    let torques = bench.torques()?;
    assert_eq!(torques.iter().sum::<u32>(), 1, "only the one that does not hear: {torques:?}");
    Ok(())
}

/// Contract, row 5: an overload holds the hand; the servo comes back with its goal where it is, and the run may go on.
#[test]
fn an_overload() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Overload { servos: Servos::Ids(vec![7]) })?;
    let took_s = bench.until(State::Hold, 0.1)?;
    assert!(took_s <= 4.0 * TICK_S, "{took_s} s");
    assert_eq!((bench.last_cause(), bench.torques()?.iter().sum::<u32>()), (Some(Cause::ServoShutdown), 16));
    let mut farthest = 0;
    for _ in 0..300 {
        bench.run(1);
        farthest = farthest.max(bench.goal_to_position()?);
    }
    assert_eq!(
        bench.torques()?,
        vec![1; 17],
        "{:?} {:?}",
        bench.events(),
        bench.faults.try_iter().map(|fault| fault.error).collect::<Vec<_>>()
    );
    assert_eq!(register(&bench.emulator, 7, GOAL_CURRENT, 2)?, 150, "a hold is at reduced current after a reboot too");
    // The lag of a wave that stops is some 40 ticks; nothing jumps beyond it.
    assert!(farthest < 100, "{farthest} ticks");
    bench.order(Order::Start)?;
    bench.run(10);
    assert_eq!(bench.control.state(), State::Run, "{:?}", bench.events());
    Ok(())
}

/// Contract, row 6: torque off 5 K below the limit of 70, for the whole hand; on again, in a hold, at 55.
#[test]
fn heat() -> TestResult {
    let mut bench = Bench::running()?;
    let warm = |celsius: f64| -> Result<Fault, Box<dyn Error>> {
        Ok(Fault::Temperature { servos: Servos::Ids(vec![12]), celsius: celsius.try_into()? })
    };
    inject(&bench.emulator, warm(61.0)?)?;
    bench.run(30);
    assert_eq!((bench.control.state(), register(&bench.emulator, 3, GOAL_CURRENT, 2)?), (State::Run, 150));
    inject(&bench.emulator, warm(66.0)?)?;
    bench.until(State::Hold, 0.5)?;
    assert_eq!(bench.torques()?, vec![0; 17]);
    inject(&bench.emulator, warm(57.0)?)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![0; 17]));
    inject(&bench.emulator, warm(54.0)?)?;
    bench.run(100);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    Ok(())
}

/// Contract, row 7: a brown-out faults, torque is off, and stays off when the supply is back.
#[test]
fn a_brown_out() -> TestResult {
    let mut bench = Bench::running()?;
    inject(&bench.emulator, Fault::Voltage { servos: Servos::All, volts: 3.0.try_into()?, for_s: 0.3.try_into()? })?;
    bench.until(State::Fault, 0.6)?;
    bench.run(200);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Fault, vec![0; 17]));
    Ok(())
}

/// Contract, rows 9 to 12: a chunk that is no number, one that jumps, none at all, and a dead learner.
#[test]
fn policies_that_fail() -> TestResult {
    let mut bench = Bench::running()?;
    bench.publish(f32::NAN);
    bench.until(State::Hold, 0.5)?;
    bench.run(1);
    assert_eq!((bench.last_cause(), bench.torques()?), (Some(Cause::BadAction), vec![1; 17]));
    bench.run(30);
    assert!(bench.goal_to_position()? <= 2);

    // 0.5 rad within a step: 10 rad/s, of which the governor allows 3.
    bench.publish(-0.25);
    bench.order(Order::Start)?;
    let mut before = bench.registers(GOAL, 4)?;
    for _ in 0..100 {
        bench.run(1);
        let now = bench.registers(GOAL, 4)?;
        let step = now.iter().zip(&before).map(|(&a, &b)| (a.cast_signed() - b.cast_signed()).abs()).max();
        // 3 rad/s for 10 ms, a ratio of 1.1, 4096 ticks a turn: 21.5, and one for rounding
        assert!(step.is_some_and(|step| step <= 23), "{step:?}");
        before = now;
    }
    assert_eq!(bench.control.state(), State::Run);

    bench.is_planning = false;
    let hold_s = bench.until(State::Hold, 1.0)?;
    assert!(hold_s <= 10.0 * 0.05 + 0.15 + 2.0 * TICK_S, "{hold_s} s");
    assert_eq!((bench.last_cause(), bench.torques()?), (Some(Cause::ChunkLate), vec![1; 17]));
    let park_s = bench.until(State::Park, 1.5)?;
    assert!((0.98..=1.03).contains(&park_s), "{park_s} s");
    bench.run(200);
    let percept_rad = bench.control.robot().driver().status().stale_s.len();
    assert_eq!((percept_rad, bench.goal_to_position()? <= 2), (N_JOINTS, true));

    bench.is_planning = true;
    bench.order(Order::Start)?;
    bench.run(20);
    bench.pulse = None;
    let hold_s = bench.until(State::Hold, 0.5)?;
    assert!(hold_s <= 0.15 + 2.0 * TICK_S, "{hold_s} s");
    assert_eq!(bench.last_cause(), Some(Cause::LearnerLost));
    Ok(())
}

/// Contract, row 13: of a process that is killed the servos' watchdogs know within 200 ms; the next one begins without
/// torque, and arms like the first.
#[test]
fn a_killed_process() -> TestResult {
    let bench = Bench::running()?;
    let (emulator, clock) = (bench.emulator.clone(), bench.clock.clone());
    std::mem::forget(bench);
    clock.wait_until(clock.now_s() + 0.2);
    let ids = 1..=17;
    for id in ids.clone() {
        assert_eq!(register(&emulator, id, WATCHDOG, 1)?, 0xff);
    }
    let mut bench = Bench::on(emulator)?;
    bench.run(2);
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Hold, vec![1; 17]));
    assert_eq!(bench.registers(WATCHDOG, 1)?, vec![5; 17]);
    // A process that ends in order, or by a panic, takes torque with it.
    let emulator = bench.emulator.clone();
    drop(bench);
    for id in ids {
        assert_eq!(register(&emulator, id, TORQUE, 1)?, 0);
    }
    Ok(())
}

/// Contract, rows 14 and 15: a loop that stalls faults; an emergency stop takes torque within a cycle and keeps it off.
#[test]
fn stalls_and_the_emergency_stop() -> TestResult {
    let mut bench = Bench::running()?;
    for _ in 0..6 {
        bench.clock.wait_until(bench.clock.now_s() + 0.11);
        bench.run(1);
    }
    assert_eq!((bench.control.state(), bench.torques()?), (State::Fault, vec![0; 17]));

    let mut bench = Bench::running()?;
    let start_s = bench.clock.now_s();
    bench.e_stop.press();
    bench.run(1);
    assert_eq!((bench.control.state(), bench.torques()?), (State::EStop, vec![0; 17]));
    // All are off with the first packet; that each confirms takes longer.
    assert!(bench.clock.now_s() - start_s < 0.2);
    bench.order(Order::Reset)?;
    bench.order(Order::Arm)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::EStop, vec![0; 17]));
    bench.e_stop.release();
    bench.order(Order::Reset)?;
    assert_eq!((bench.control.state(), bench.torques()?), (State::Connected, vec![0; 17]));
    Ok(())
}
