//! A robot with its control loop, and the other ends of all that goes in and out of it.

mod learner_pulse;
mod policy_planner;

use super::film::Film;
use bridge::real::black_box::BlackBox;
use bridge::real::cause::Cause;
use bridge::real::clock::{Clock, MachineClock};
use bridge::real::control_loop::{ControlLoop, EmergencyStop, Event, FaultReport, Inbox, LoopConfig, Outbox, Request};
use bridge::real::emulator::{EmulatorClock, SharedEmulator};
use bridge::real::labels::{Button, LabelSource};
use bridge::real::newest::{Publisher, newest, pulse};
use bridge::real::pace::Pace;
use bridge::real::planner::{PlannerWorker, Snapshot};
use bridge::real::recorder::Recorded;
use bridge::real::robot::Robot;
use bridge::real::urgent::{Urgency, Vigil};
use bridge::{BodySpec, Task};
use color_eyre::eyre::{Result, eyre};
use crossbeam::channel::{Receiver, Sender, bounded};
use learn::Policy;
use learner_pulse::LearnerPulse;
use policy_planner::PolicyPlanner;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Places in the queues: a minute of events, more records than one look at them can find.
const N_EVENTS: usize = 4096;
const N_RECORDS: usize = 64;
const N_FAULTS: usize = 8;
/// How long a turn lasts that only waits for the loop's threads.
const TURN: Duration = Duration::from_millis(5);

/// What a loop is made of besides the robot.
pub(super) struct Parts<T> {
    pub(super) config: LoopConfig,
    pub(super) task: T,
    pub(super) seed: u64,
    /// The emergency stop of whoever is beside it.
    pub(super) e_stop: EmergencyStop,
    /// Whose script may silence the learner.
    pub(super) emulator: Option<SharedEmulator>,
}

/// On what a loop runs.
pub(super) enum Running {
    /// The caller's thread, when it is turned, in the emulator's time.
    InStep(EmulatorClock),
    /// Threads of its own, its planner too, on cores that are kept awake where that is wanted. `behind` is dropped after them.
    OnThreads { clock: MachineClock, is_awake: bool, behind: Option<Box<dyn Send>> },
}

/// A robot with its loop.
pub struct Cell {
    runner: Box<dyn Runner>,
    ends: Ends,
    film: Option<Film>,
}

impl Cell {
    /// The same, filmed.
    pub(super) fn filmed(self, film: Option<Film>) -> Self {
        Self { film, ..self }
    }

    /// Its cameras.
    pub(super) const fn film(&mut self) -> &mut Option<Film> {
        &mut self.film
    }

    /// The limits in force, as a table.
    #[must_use]
    pub fn limits(&self) -> &str {
        &self.ends.limits
    }

    /// Lets the loop go on a little: by one tick, where it runs in step, else by some milliseconds of the clock. It is
    /// also the learner's sign of life.
    ///
    /// # Errors
    /// When one of its threads has ended.
    pub fn turn(&mut self) -> Result<()> {
        self.runner.turn()?;
        self.film.iter_mut().for_each(Film::turn);
        Ok(())
    }

    /// The loop's time, s.
    #[must_use]
    pub fn now_s(&self) -> f64 {
        self.runner.now_s()
    }

    /// Asks for something; a queue that is full loses it, as any order may be refused.
    pub fn request(&self, request: Request) {
        self.ends.requests.try_send(request).ok();
    }

    /// Presses a button.
    pub fn press(&self, button: Button) {
        if button == Button::EStop {
            self.ends.e_stop.press();
        } else {
            self.ends.buttons.try_send(button).ok();
        }
    }

    /// The emergency stop of the keyboard is released: a human wants to go on.
    pub fn release_e_stop(&self) {
        self.ends.e_stop.release();
    }

    /// Makes `policy`, of the number `version`, the one that plans from the next chunk on.
    pub fn publish(&self, policy: Policy, version: u64) {
        let snapshot = Snapshot { policy, version, published_s: self.now_s() };
        self.ends.policies.publish(snapshot);
    }

    /// What happened since the last look.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        self.ends.events.try_iter()
    }

    /// Episodes that were recorded since the last look.
    pub fn records(&self) -> impl Iterator<Item = Recorded> {
        self.ends.records.try_iter()
    }

    /// Faults since the last look.
    pub fn faults(&self) -> impl Iterator<Item = FaultReport> {
        self.ends.faults.try_iter()
    }

    /// Writes what led to a fault.
    ///
    /// # Errors
    /// Any of the file system's.
    pub fn write_fault(&self, path: &Path, black_box: &BlackBox, cause: Cause, at_s: f64) -> io::Result<()> {
        black_box.write(path, &self.ends.body, cause, at_s)
    }

    /// Events and reports that found no place.
    #[must_use]
    pub fn n_dropped(&self) -> u64 {
        self.ends.n_dropped.load(Ordering::Relaxed)
    }

    /// As if `n` events had found no place.
    #[cfg(test)]
    pub(super) fn count_drops(&self, n: u64) {
        self.ends.n_dropped.fetch_add(n, Ordering::Relaxed);
    }

    /// Ends the loop, torque off. How well it kept its period.
    ///
    /// # Errors
    /// When one of its threads panicked; the servos' own watchdog has then stopped the hand.
    pub fn end(self) -> Result<Pace> {
        self.runner.end()
    }
}

/// What turns the loop.
trait Runner {
    fn turn(&mut self) -> Result<()>;
    fn now_s(&self) -> f64;
    fn end(self: Box<Self>) -> Result<Pace>;
}

/// Everything on the caller's thread, in the time of `clock`.
struct InStep<R: Robot, T: Task, C: Clock> {
    control: ControlLoop<R, T, Buttons>,
    worker: PlannerWorker<PolicyPlanner>,
    clock: C,
    due_s: f64,
    pulse: LearnerPulse<C>,
}

impl<R: Robot, T: Task, C: Clock> Runner for InStep<R, T, C> {
    fn turn(&mut self) -> Result<()> {
        self.pulse.beat();
        self.due_s = self.control.run_tick(&self.clock, self.due_s);
        while self.worker.serve_waiting() {}
        Ok(())
    }

    fn now_s(&self) -> f64 {
        self.clock.now_s()
    }

    fn end(self: Box<Self>) -> Result<Pace> {
        Ok(*self.control.pace())
    }
}

/// The loop and the planner on threads of their own, in the machine's time.
struct OnThreads {
    clock: MachineClock,
    pulse: LearnerPulse<MachineClock>,
    is_over: Arc<AtomicBool>,
    control: Option<JoinHandle<Pace>>,
    planner: Option<JoinHandle<()>>,
    vigil: Option<Vigil>,
    /// What is behind the port, where it is of this process. It has to outlive the loop.
    behind: Option<Box<dyn Send>>,
}

impl OnThreads {
    fn join(&mut self) -> Result<Pace> {
        self.is_over.store(true, Ordering::Relaxed);
        let pace = self.control.take().map(JoinHandle::join);
        let planner = self.planner.take().map(JoinHandle::join);
        self.vigil = None;
        self.behind = None;
        match (pace, planner) {
            (Some(Ok(pace)), Some(Ok(()))) => Ok(pace),
            _ => Err(eyre!("a thread of the control loop panicked; the servos' watchdog has stopped the hand")),
        }
    }
}

impl Runner for OnThreads {
    fn turn(&mut self) -> Result<()> {
        self.pulse.beat();
        if self.control.as_ref().is_none_or(JoinHandle::is_finished) {
            return self.join().and(Err(eyre!("the control loop has ended")));
        }
        std::thread::sleep(TURN);
        Ok(())
    }

    fn now_s(&self) -> f64 {
        self.clock.now_s()
    }

    fn end(mut self: Box<Self>) -> Result<Pace> {
        self.join()
    }
}

impl Drop for OnThreads {
    fn drop(&mut self) {
        if self.control.is_some() {
            // There is nobody left to tell; torque goes off on the way.
            drop(self.join());
        }
    }
}

/// The keyboard's buttons, and those of somebody else.
struct Buttons {
    keyboard: Receiver<Button>,
    others: Option<Box<dyn LabelSource>>,
}

impl LabelSource for Buttons {
    fn next(&mut self) -> Option<Button> {
        self.keyboard.next().or_else(|| self.others.as_mut()?.next())
    }
}

type Assembled<R, T> = (ControlLoop<R, T, Buttons>, PlannerWorker<PolicyPlanner>);

/// Makes the loop of `robot` and starts it. `buttons` are those besides the keyboard's.
pub(super) fn start<R: Robot + 'static, T: Task + 'static>(
    parts: Parts<T>,
    robot: R,
    buttons: Option<Box<dyn LabelSource>>,
    running: Running,
) -> Result<Cell> {
    let (runner, ends): (Box<dyn Runner>, Ends) = match running {
        Running::InStep(clock) => {
            let (pulse, learner) = pulse(clock.clone());
            let pulse = LearnerPulse { pulse, emulator: parts.emulator.clone() };
            let ((control, worker), ends) =
                Wiring::new(learner, parts.e_stop.clone()).assemble(parts, robot, buttons)?;
            let due_s = clock.now_s();
            (Box::new(InStep { control, worker, clock, due_s, pulse }), ends)
        }
        Running::OnThreads { clock, is_awake, behind } => {
            let vigil = is_awake.then(Vigil::keep).transpose()?;
            let (pulse, learner) = pulse(clock);
            let pulse = LearnerPulse { pulse, emulator: parts.emulator.clone() };
            let ((mut control, worker), ends) =
                Wiring::new(learner, parts.e_stop.clone()).assemble(parts, robot, buttons)?;
            let is_over = Arc::new(AtomicBool::new(false));
            let over = Arc::clone(&is_over);
            let control = Urgency::Period.spawn("control loop", move || {
                control.run(&clock, &over);
                *control.pace()
            })?;
            let planner = Urgency::Plan.spawn("planner", move || worker.run())?;
            let (control, planner) = (Some(control), Some(planner));
            (Box::new(OnThreads { clock, pulse, is_over, control, planner, vigil, behind }), ends)
        }
    };
    Ok(Cell { runner, ends, film: None })
}

/// Both ends of the loop's queues.
struct Wiring {
    inbox: Inbox,
    outbox: Outbox,
    keyboard: Receiver<Button>,
    requests: Sender<Request>,
    buttons: Sender<Button>,
    events: Receiver<Event>,
    records: Receiver<Recorded>,
    faults: Receiver<FaultReport>,
}

/// What stays on this side of the loop.
struct Ends {
    requests: Sender<Request>,
    buttons: Sender<Button>,
    e_stop: EmergencyStop,
    policies: Publisher<Snapshot<Policy>>,
    events: Receiver<Event>,
    records: Receiver<Recorded>,
    faults: Receiver<FaultReport>,
    n_dropped: Arc<AtomicU64>,
    limits: String,
    body: BodySpec,
}

impl Wiring {
    fn new(learner: bridge::real::newest::Stethoscope, e_stop: EmergencyStop) -> Self {
        let (requests, request_inbox) = bounded(16);
        let (buttons, keyboard) = bounded(16);
        let (record_outbox, records) = bounded(N_RECORDS);
        let (event_outbox, events) = bounded(N_EVENTS);
        let (fault_outbox, faults) = bounded(N_FAULTS);
        // A human's joint targets come from a glove; there is none yet, and a human who takes over holds still.
        let (_, human_rad) = newest();
        let inbox = Inbox { requests: request_inbox, e_stop, human_rad, learner: Some(learner) };
        let outbox =
            Outbox { records: record_outbox, events: event_outbox, faults: fault_outbox, n_dropped: Arc::default() };
        Self { inbox, outbox, keyboard, requests, buttons, events, records, faults }
    }

    /// Makes the loop.
    fn assemble<R: Robot, T: Task>(
        self,
        parts: Parts<T>,
        robot: R,
        others: Option<Box<dyn LabelSource>>,
    ) -> Result<(Assembled<R, T>, Ends)> {
        let planner = PolicyPlanner::new(parts.seed);
        let (policies, policy_inbox) = newest();
        let (e_stop, n_dropped) = (self.inbox.e_stop.clone(), Arc::clone(&self.outbox.n_dropped));
        let buttons = Buttons { keyboard: self.keyboard, others };
        let Parts { config, task, .. } = parts;
        let assembled =
            ControlLoop::new(config, robot, task, buttons, planner, policy_inbox, self.inbox, self.outbox, 0)?;
        let (limits, body) = (assembled.0.limits(), assembled.0.body_spec().clone());
        let ends = Ends {
            requests: self.requests,
            buttons: self.buttons,
            e_stop,
            policies,
            events: self.events,
            records: self.records,
            faults: self.faults,
            n_dropped,
            limits,
            body,
        };
        Ok((assembled, ends))
    }
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("hand", &self.ends.body.name).finish_non_exhaustive()
    }
}
