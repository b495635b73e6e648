//! The control loop of a real robot: actor and learner at once.
//!
//! One thread owns the robot. In every tick it takes in what has come, asks the failsafe, does what that says, commands
//! the body through its governor and reads it. It waits for nobody: chunks come from the planning thread ([`Planner`]),
//! weights go there by [`newest`](super::newest), episodes and events leave by bounded queues, and what finds no place in
//! them is dropped and counted. In the steady state a tick does not allocate.
//!
//! ```text
//! learner -- newest policy --> planner <-- observations, chunks --> control loop <-- requests, e-stop -- operator
//!    ^                                                                 |      ^-- buttons, poses
//!    `------------------------ records (bounded) ----------------------'----> events, fault reports (bounded)
//! ```

mod acting;
mod notices;
mod reach;
mod wiring;

pub use wiring::{
    EmergencyStop, Event, FaultReport, Inbox, LoopConfig, LoopError, Outbox, Posture, Request, StartPosture, ToolMotion,
};

use super::black_box::BlackBox;
use super::bounds::Bounds;
use super::cause::{Cause, Causes};
use super::clock::Clock;
use super::failsafe::{Facts, Failsafe};
use super::labels::LabelSource;
use super::machine::{Action, Decision, Order, State};
use super::newest::Subscriber;
use super::pace::Pace;
use super::planner::{ActionRange, PlanError, Planner, PlannerWorker, Plans, Snapshot};
use super::recorder::Recorder;
use super::robot::Robot;
use crate::{BodyError, BodySpec, EnvironmentSpec, Governor, Percept, Task};
use acting::{Acting, approach};
use notices::Notices;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the body does when no policy acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// From the next tick on, stay where it is measured to be.
    HoldMeasured,
    /// Keep the goal.
    Keep,
    /// Ease to the park posture.
    Park,
}

/// The loop of one robot.
#[derive(Debug)]
pub struct ControlLoop<R: Robot, T: Task, L: LabelSource> {
    config: LoopConfig,
    governor: Governor<R>,
    bounds: Bounds,
    task: T,
    labels: L,
    failsafe: Failsafe,
    notices: Notices,
    plans: Plans,
    recorder: Recorder,
    black_box: BlackBox,
    inbox: Inbox,
    outbox: Outbox,
    pace: Pace,
    spec: EnvironmentSpec,
    ticks_per_step: u32,
    next_seed: u64,
    state: State,
    is_torque_on: bool,
    goal: Goal,
    is_parked: bool,
    /// This tick switched torque on.
    has_armed: bool,
    acting: Option<Acting>,
    events: Causes,
    own_order: Option<Order>,
    n_records_dropped: u64,
    last_error: Option<BodyError>,
    wanted_rad: Vec<f32>,
    sent_rad: Vec<f32>,
    start_rad: Vec<f32>,
    action_rad: Vec<f32>,
    before: Vec<f32>,
    after: Vec<f32>,
}

impl<R: Robot, T: Task, L: LabelSource> ControlLoop<R, T, L> {
    /// A loop for `robot`, its torque off, and the worker that has to run on the planning thread. The first episode gets
    /// the number `first_seed`, every further one the next.
    ///
    /// # Errors
    /// When the configuration does not fit the robot, or the robot cannot be read.
    #[expect(clippy::too_many_arguments, reason = "each is another side of the loop, and all are needed")]
    pub fn new<P: Planner>(
        config: LoopConfig,
        robot: R,
        task: T,
        labels: L,
        planner: P,
        policies: Subscriber<Snapshot<P::Policy>>,
        inbox: Inbox,
        outbox: Outbox,
        first_seed: u64,
    ) -> Result<(Self, PlannerWorker<P>), LoopError> {
        let bounds = Bounds::new(robot.spec(), config.bounds.clone())?;
        let spec = EnvironmentSpec::of(bounds.spec(), task.spec())?;
        let (n_joints, servo_hz) = (bounds.spec().joints.len(), bounds.spec().servo_hz);
        let start = config.start.as_ref().map(|start| ("start.posture_rad", start.posture_rad.len()));
        for (field, found) in [("park_rad", config.park_rad.len())].into_iter().chain(start) {
            if found != n_joints {
                return Err(LoopError::PostureLength { field, found, expected: n_joints });
            }
        }
        if config.tool.is_some() != bounds.spec().tool.is_some() {
            return Err(LoopError::Tool { is_given: config.tool.is_some() });
        }
        let slack_m = config.tool.map_or(0.0, |tool| tool.range_slack_m.f32());
        let range = ActionRange::new(bounds.spec(), config.range_slack_rad.f32(), slack_m);
        let (plans, worker) = Plans::new(config.chunks, spec.observation_len, range, planner, policies)?;
        let n_servos = robot.status().map_or(n_joints, |status| status.servos.len());
        let period_s = 1.0 / f64::from(servo_hz);
        let mut governor = Governor::with_limits(robot, bounds.limits());
        governor.observe()?;
        let control = Self {
            failsafe: Failsafe::new(config.failsafe, n_servos, period_s),
            notices: Notices::new(),
            recorder: Recorder::new(spec.clone(), config.n_spoilt_steps as usize, outbox.records.clone()),
            black_box: BlackBox::new(bounds.spec()),
            pace: Pace::new(period_s),
            ticks_per_step: servo_hz / spec.control_hz,
            next_seed: first_seed,
            state: State::Disconnected,
            is_torque_on: false,
            goal: Goal::HoldMeasured,
            is_parked: false,
            has_armed: false,
            acting: None,
            events: Causes::NONE,
            own_order: None,
            n_records_dropped: 0,
            last_error: None,
            wanted_rad: vec![0.0; spec.action_len],
            sent_rad: vec![0.0; spec.action_len],
            start_rad: vec![0.0; spec.action_len],
            action_rad: vec![0.0; spec.action_len],
            before: vec![0.0; spec.observation_len],
            after: vec![0.0; spec.observation_len],
            config,
            governor,
            bounds,
            task,
            labels,
            plans,
            inbox,
            outbox,
            spec,
        };
        Ok((control, worker))
    }

    /// The limits and deadlines in force; to be printed before anything moves.
    pub fn limits(&self) -> String {
        format!("{}{}", self.bounds, self.config.failsafe.in_words(self.config.tool.is_some()))
    }

    /// What is recorded and planned for.
    pub const fn spec(&self) -> &EnvironmentSpec {
        &self.spec
    }

    /// The state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// How well the period was kept.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The robot, to look at.
    pub const fn robot(&self) -> &R {
        self.governor.body()
    }

    /// What was perceived last.
    pub const fn percept(&self) -> &Percept {
        self.governor.percept()
    }

    /// What the robot's body is.
    pub const fn body_spec(&self) -> &BodySpec {
        self.bounds.spec()
    }

    /// Runs until `is_over`, then switches torque off.
    pub fn run(&mut self, clock: &impl Clock, is_over: &AtomicBool) {
        let mut due_s = clock.now_s();
        while !is_over.load(Ordering::Relaxed) {
            due_s = self.run_tick(clock, due_s);
        }
        // Whatever is still asked for comes too late.
        self.inbox.requests.try_iter().for_each(drop);
        self.own_order = Some(Order::Disarm);
        self.tick(clock.now_s());
    }

    /// One tick that is due at `due_s`, and the wait for the next one, whose time it returns.
    pub fn run_tick(&mut self, clock: &impl Clock, due_s: f64) -> f64 {
        let start_s = clock.now_s();
        self.tick(start_s);
        let now_s = clock.now_s();
        let next_s = if std::mem::take(&mut self.has_armed) {
            self.pace.start_anew(now_s)
        } else {
            self.pace.end(due_s, start_s, now_s)
        };
        clock.wait_until(next_s);
        next_s
    }

    fn tick(&mut self, now_s: f64) {
        let period_s = self.pace.begin(now_s);
        self.take_in_labels(now_s);
        let order = self.take_in_requests(now_s);
        let refusal = self.plans.collect();
        let beyond = self.beyond_reach(order);
        let mut events = std::mem::take(&mut self.events)
            .with_if(self.inbox.e_stop.is_pressed(), Cause::EStop)
            .with_if(refusal.is_some() && self.acting.is_some(), Cause::BadAction)
            .with_if(beyond.is_some(), Cause::ArmNotReady);
        if let Some(PlanError { reason }) = refusal {
            self.emit(Event::ChunkRefused { reason, at_s: now_s });
        }
        if let Some(reason) = beyond {
            self.emit(Event::OutOfReach { reason, at_s: now_s });
        }
        if self.recorder.n_dropped > self.n_records_dropped {
            self.n_records_dropped = self.recorder.n_dropped;
            events = events.with(Cause::LogDropped);
        }
        let facts = Facts {
            hand: self.governor.body().status(),
            observation_age_s: self.observation_age_s(),
            chunk_late_s: self.acting.as_ref().and_then(|acting| acting.late_s(now_s)),
            learner_silence_s: self.inbox.learner.as_ref().map(|learner| learner.silence_s(now_s)),
            command_age_s: self.acting.as_ref().and_then(|_| self.governor.command_age_s()),
            arm: self.governor.body().arm(),
            period_s,
            events,
        };
        let decision = self.failsafe.tick(&facts, order, now_s);
        let fault = self.report(order, &decision, now_s);
        for &action in decision.actions.as_slice() {
            self.carry_out(action, now_s);
        }
        // Torque goes first; only then is there time for a new ring.
        if let Some((cause, error)) = fault {
            self.report_fault(cause, error, now_s);
        }
        self.is_torque_on = decision.is_torque_on;
        self.move_body(&decision, now_s);
    }

    /// Age of the object that was seen longest ago, s.
    fn observation_age_s(&self) -> Option<f64> {
        let percept = self.governor.percept();
        percept.objects.iter().map(|object| percept.time_s - object.time_s).reduce(f64::max)
    }

    /// The order of this tick; whatever else was requested is done.
    fn take_in_requests(&mut self, now_s: f64) -> Option<Order> {
        while let Ok(request) = self.inbox.requests.try_recv() {
            match request {
                Request::Order(order) => return Some(order),
                Request::TakeOver => self.take_over(),
                Request::HandBack => self.hand_back(now_s),
            }
        }
        self.own_order.take()
    }

    /// Tells what was decided. Where a latched state begins, its cause, and what the body said of it.
    fn report(&mut self, order: Option<Order>, decision: &Decision, now_s: f64) -> Option<(Cause, Option<BodyError>)> {
        if let (Some(order), Some(refusal)) = (order, decision.refused) {
            self.emit(Event::Refused { order, refusal, at_s: now_s });
        }
        for cause in self.notices.among(decision.causes, now_s).iter() {
            self.emit(Event::Noticed { cause, at_s: now_s });
        }
        if decision.state == self.state {
            return None;
        }
        self.emit(Event::State { from: self.state, to: decision.state, cause: decision.cause, at_s: now_s });
        self.state = decision.state;
        if matches!(self.state, State::Connected | State::Hold) {
            // What the body said before is of no fault that comes from here on.
            self.last_error = None;
        }
        let cause = decision.cause.filter(|_| self.state.is_latched())?;
        Some((cause, self.last_error.take()))
    }

    fn report_fault(&mut self, cause: Cause, error: Option<BodyError>, at_s: f64) {
        let black_box = std::mem::replace(&mut self.black_box, BlackBox::new(self.bounds.spec()));
        if self.outbox.faults.try_send(FaultReport { cause, error, at_s, black_box }).is_err() {
            self.outbox.count_drop();
        }
    }

    fn carry_out(&mut self, action: Action, now_s: f64) {
        let robot = self.governor.body_mut();
        let done = match action {
            Action::TorqueOff => robot.torque_off(),
            // It takes its time, in which a limp hand sags: what is held from here on is where it is now.
            Action::TorqueOn => {
                self.has_armed = true;
                let e_stop = &self.inbox.e_stop;
                robot.torque_on(&|| e_stop.is_pressed()).and_then(|()| self.governor.observe().map(|_| ()))
            }
            Action::ReduceCurrent => robot.reduce_current(true),
            Action::RestoreCurrent => robot.reduce_current(false),
            Action::Reboot(servo_idx) => {
                let done = robot.reboot(servo_idx);
                self.emit(Event::Rebooted { servo_idx, at_s: now_s });
                done
            }
            Action::Rearm(servo_idx) => robot.rearm(servo_idx),
            Action::DropChunks => {
                self.plans.drop_all();
                Ok(())
            }
            Action::HoldAtMeasured | Action::HoldLastGoal | Action::Park => {
                self.is_parked = false;
                self.goal = match action {
                    Action::HoldAtMeasured => Goal::HoldMeasured,
                    Action::Park => Goal::Park,
                    _ => Goal::Keep,
                };
                Ok(())
            }
            Action::BeginEpisode => {
                self.begin_episode(now_s);
                Ok(())
            }
            Action::EndEpisode(cause) => {
                self.end_episode(cause, now_s);
                Ok(())
            }
            Action::AskHuman(cause) => {
                self.emit(Event::Asked { cause, at_s: now_s });
                Ok(())
            }
        };
        if let Err(error) = done {
            self.note_failure(error);
        }
    }

    fn move_body(&mut self, decision: &Decision, now_s: f64) {
        self.wanted_rad.copy_from_slice(self.governor.applied_rad());
        if decision.state == State::Run {
            self.goal = Goal::Keep;
            self.act(decision, now_s);
        } else if self.goal == Goal::Keep {
            self.follow_those_down();
        } else if self.goal == Goal::Park {
            let step_rad = self.config.park_rate_rad_s.f32() / self.bounds.spec().servo_hz as f32;
            let joints_rad = &mut self.wanted_rad[self.bounds.spec().tool_len()..];
            let is_there = approach(joints_rad, &self.config.park_rad, step_rad);
            if is_there && !self.is_parked {
                self.is_parked = true;
                self.emit(Event::Reached { posture: Posture::Park, at_s: now_s });
            }
        }
        // Where the hand moves they may; a hold moves nothing.
        let is_moving = decision.state == State::Run || self.goal == Goal::Park;
        self.governor.body_mut().free_held_joints(is_moving);
        self.sent_rad.copy_from_slice(&self.wanted_rad);
        let moved = match (decision.is_torque_on, self.goal) {
            (false, _) => self.governor.observe(),
            (true, Goal::HoldMeasured) => self.governor.hold(),
            (true, Goal::Keep | Goal::Park) => self.governor.command(&mut self.sent_rad),
        };
        match moved {
            Ok(_) => {
                if decision.is_torque_on && self.goal == Goal::HoldMeasured {
                    self.goal = Goal::Keep;
                }
                if decision.state == State::Run && self.is_unlike_applied(&self.wanted_rad) {
                    self.events = self.events.with(Cause::ActionLimited);
                }
            }
            Err(error) => self.note_failure(error),
        }
        let wanted_rad = if decision.is_torque_on { &self.wanted_rad[..] } else { &[] };
        self.black_box.push(now_s, wanted_rad, self.governor.applied_rad(), self.governor.percept());
    }

    /// A joint whose servo has shut down, or is on its way back, is not asked to be where it was: when its torque returns,
    /// it is to stay where it then is.
    fn follow_those_down(&mut self) {
        let Some(status) = self.governor.body().status() else { return };
        let measured_rad = &self.governor.percept().measured_rad;
        let joints_rad = &mut self.wanted_rad[self.bounds.spec().tool_len()..];
        for ((wanted, &measured), servo) in joints_rad.iter_mut().zip(measured_rad).zip(&status.servos) {
            if servo.is_down() {
                *wanted = measured;
            }
        }
    }

    fn note_failure(&mut self, error: BodyError) {
        let cause = if matches!(error, BodyError::NonFinite { .. }) { Cause::NotFinite } else { Cause::BodyFailed };
        self.events = self.events.with(cause);
        self.last_error = Some(error);
    }

    fn emit(&self, event: Event) {
        if self.outbox.events.try_send(event).is_err() {
            self.outbox.count_drop();
        }
    }
}

impl<R: Robot, T: Task, L: LabelSource> Drop for ControlLoop<R, T, L> {
    /// Torque off, as far as that is still possible: a panic must not leave a hand that grips.
    fn drop(&mut self) {
        drop(self.governor.body_mut().torque_off());
    }
}
