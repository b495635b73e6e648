//! The state machine of the failsafe: what a robot may do, as a pure function of its state, the present causes, an order and the time.
//!
//! ```text
//! disconnected -> connected -- arm --> hold -- start --> run
//!                                      hold <- stop, causes --- run
//!                                      hold -- park, 1 s without chunks or learner --> park -- start --> run
//! every armed state -- disarm --> connected;   every state -- severe causes --> fault | e-stop -- reset --> connected
//! ```
//! Disconnected, connected, fault and e-stop have no torque. Hold has, unless a servo is too hot; run and park have.
//! What the robot has to do is a list of [`Action`]s in their order. Nothing here knows a clock, a bus or a file, and
//! nothing allocates.

mod decision;

pub use decision::{Action, Actions, Decision, Input, Order, Refusal, Repairs, State};

use super::cause::{Cause, Causes, Reaction, Scope};

/// The state machine.
#[derive(Clone, Debug)]
pub struct Machine {
    park_after_s: f64,
    state: State,
    cause: Option<Cause>,
    entered_s: f64,
    is_parking: bool,
    scene_lost: bool,
    is_torque_on: bool,
    is_current_reduced: bool,
    is_servo_down: bool,
    asked: Causes,
}

impl Machine {
    /// A machine without a robot. A hold for want of chunks or of the learner goes on to the park posture after
    /// `park_after_s`.
    #[must_use]
    pub const fn new(park_after_s: f64) -> Self {
        Self {
            park_after_s,
            state: State::Disconnected,
            cause: None,
            entered_s: 0.0,
            is_parking: false,
            scene_lost: false,
            is_torque_on: false,
            is_current_reduced: true,
            is_servo_down: false,
            asked: Causes::NONE,
        }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Takes one tick.
    pub fn step(&mut self, input: Input) -> Decision {
        self.scene_lost |= input.causes.has(Cause::SceneLost) && self.state.is_armed();
        if input.order == Some(Order::SceneReady) && !input.causes.has(Cause::SceneLost) {
            self.scene_lost = false;
        }
        let causes = input.causes.with_if(self.scene_lost, Cause::SceneLost);
        let before = self.state;

        // What is severe comes before what is ordered; only to switch torque off is more than to hold.
        let forced = self.forced(&input, causes);
        let forced = forced.filter(|&(state, _)| state != State::Hold || input.order != Some(Order::Disarm));
        let (state, cause, refused) = match (forced, input.order) {
            (Some((state, cause)), order) => {
                let refused = order.filter(|order| !matches!(order, Order::Stop | Order::Disarm | Order::SceneReady));
                (state, cause, refused.and(Some(cause.map_or(Refusal::NotInThisState, Refusal::Because))))
            }
            (None, Some(order)) => {
                let (state, refused) = self.ordered(order, &input, causes);
                (state, None, refused)
            }
            (None, None) => (self.lapsed(&input, causes), None, None),
        };
        if state != before {
            self.state = state;
            self.cause = cause;
            self.entered_s = input.now_s;
            self.is_parking = state == State::Hold && cause.is_some_and(|cause| cause.response().is_parking);
            if matches!(state, State::Connected | State::Disconnected) {
                self.scene_lost = false;
            }
        }

        // A limp hand with a servo that shut itself down cannot be armed: that is rebooted first.
        let may_have_torque = self.is_torque_on || !causes.has(Cause::ServoShutdown);
        let is_torque_on = state.is_armed() && !is_present(causes, Reaction::HoldLimp) && may_have_torque;
        let is_current_reduced = state != State::Run || causes.has(Cause::Hot);
        let actions = self.actions(before, cause, causes, is_torque_on, is_current_reduced, input.repairs);
        self.is_torque_on = is_torque_on;
        self.is_current_reduced = is_current_reduced;
        let is_spoilt = causes.iter().any(|cause| cause.response().is_spoiling);
        Decision {
            state,
            is_torque_on,
            is_current_reduced,
            may_query: state == State::Run && !is_spoilt,
            may_store: state == State::Run && !is_spoilt,
            causes,
            cause: self.cause,
            refused,
            actions,
        }
    }

    /// Where causes lead, whatever was ordered.
    fn forced(&self, input: &Input, causes: Causes) -> Option<(State, Option<Cause>)> {
        let state = self.state;
        if state == State::EStop {
            return None;
        }
        if causes.has(Cause::EStop) {
            return Some((State::EStop, Some(Cause::EStop)));
        }
        if matches!(state, State::Fault | State::Disconnected) {
            return None;
        }
        if !input.is_connected && state.is_armed() {
            return Some((State::Fault, Some(Cause::TransportLost)));
        }
        let faulting = |cause: Cause| match cause.response().reaction {
            Reaction::Fault => true,
            // A hand that was fit to be armed and no longer is.
            Reaction::RefuseToArm => state.is_armed(),
            _ => false,
        };
        if let Some(cause) = causes.worst(faulting) {
            return Some((State::Fault, Some(cause)));
        }
        if !input.is_connected {
            return Some((State::Disconnected, None));
        }
        let stops = |cause: Cause| {
            let response = cause.response();
            response.reaction >= Reaction::Hold && (state == State::Run || response.scope == Scope::Always)
        };
        match state {
            State::Run | State::Park => causes.worst(stops).map(|cause| (State::Hold, Some(cause))),
            _ => None,
        }
    }

    /// Where an order leads.
    fn ordered(&self, order: Order, input: &Input, causes: Causes) -> (State, Option<Refusal>) {
        let state = self.state;
        let unless = |stands_against: &dyn Fn(Cause) -> bool, next: State| match causes.worst(stands_against) {
            None => (next, None),
            Some(cause) => (state, Some(Refusal::Because(cause))),
        };
        let refuses = |cause: Cause| cause.response().reaction >= Reaction::RefuseToArm;
        let refuses_motion = |cause: Cause| refuses(cause) && cause.response().scope == Scope::Always;
        match (state, order) {
            (_, Order::SceneReady) => (self.lapsed(input, causes), None),
            (State::Connected, Order::Arm) => unless(&refuses_motion, State::Hold),
            // A hold whose servos are off, or come back in this very tick, is no place to move from.
            (State::Hold, Order::Start | Order::Park) if !self.is_torque_on => match causes.worst(refuses) {
                Some(cause) => (state, Some(Refusal::Because(cause))),
                None => (state, Some(Refusal::NotInThisState)),
            },
            (State::Hold | State::Park, Order::Start) => unless(&refuses, State::Run),
            (State::Hold, Order::Park) => unless(&refuses_motion, State::Park),
            (State::Run, Order::Park) => (State::Park, None),
            (State::Hold | State::Run | State::Park, Order::Stop) => (State::Hold, None),
            (State::Connected | State::Hold | State::Run | State::Park, Order::Disarm) => (State::Connected, None),
            (State::EStop, Order::Reset) if causes.has(Cause::EStop) => (state, Some(Refusal::Because(Cause::EStop))),
            (State::Fault | State::EStop, Order::Reset) if !input.is_connected => (State::Disconnected, None),
            (State::Fault | State::EStop, Order::Reset) => {
                unless(&|cause| cause.response().reaction >= Reaction::Fault, State::Connected)
            }
            _ => (state, Some(Refusal::NotInThisState)),
        }
    }

    /// Where time alone leads.
    fn lapsed(&self, input: &Input, causes: Causes) -> State {
        let is_free = || {
            causes.iter().all(|cause| {
                let response = cause.response();
                response.reaction < Reaction::RefuseToArm || response.scope == Scope::Policy
            })
        };
        match self.state {
            State::Disconnected if input.is_connected => State::Connected,
            State::Hold
                if self.is_parking
                    && self.is_torque_on
                    && input.now_s - self.entered_s >= self.park_after_s
                    && is_free() =>
            {
                State::Park
            }
            state => state,
        }
    }

    /// What has to be done. What takes energy out comes first, what puts it in comes last.
    fn actions(
        &mut self,
        before: State,
        cause: Option<Cause>,
        causes: Causes,
        is_torque_on: bool,
        is_current_reduced: bool,
        repairs: Repairs,
    ) -> Actions {
        let state = self.state;
        let is_new = state != before;
        let mut actions = Actions::none();
        // A hand is found with torque on after a process that was killed: connecting takes it, too.
        if (self.is_torque_on && !is_torque_on) || (is_new && (state.is_latched() || state == State::Connected)) {
            actions.push(Action::TorqueOff);
        }
        if is_new && state == State::Hold && self.is_torque_on && is_torque_on {
            let keeps_goal = cause.is_some_and(|cause| cause.response().is_parking);
            actions.push(if keeps_goal { Action::HoldLastGoal } else { Action::HoldAtMeasured });
        }
        if !self.is_current_reduced && is_current_reduced && is_torque_on {
            actions.push(Action::ReduceCurrent);
        }
        if before == State::Run && is_new {
            actions.push(Action::DropChunks);
            actions.push(Action::EndEpisode(cause));
        }
        // A servo that was rebooted has its whole limit again.
        let is_back = self.is_servo_down && !causes.has(Cause::ServoShutdown);
        self.is_servo_down = causes.has(Cause::ServoShutdown);
        if is_back && self.is_torque_on && is_torque_on && is_current_reduced {
            actions.push(Action::ReduceCurrent);
        }
        if !self.is_torque_on && is_torque_on {
            actions.push(Action::ReduceCurrent);
            actions.push(Action::TorqueOn);
            actions.push(Action::HoldAtMeasured);
        }
        if self.is_current_reduced && !is_current_reduced {
            actions.push(Action::RestoreCurrent);
        }
        if is_new && state == State::Park {
            actions.push(Action::Park);
        }
        if is_new && state == State::Run {
            actions.push(Action::BeginEpisode);
        }
        // A reboot takes a servo's torque away and loses its limits: only where nothing moves, and not while it is hot.
        let may_reboot = matches!(state, State::Hold | State::Connected) && !is_present(causes, Reaction::HoldLimp);
        if let Some(servo) = repairs.reboot.filter(|_| may_reboot) {
            actions.push(Action::Reboot(servo));
        }
        if let Some(servo) = repairs.rearm.filter(|_| state == State::Hold && self.is_torque_on && is_torque_on) {
            actions.push(Action::Rearm(servo));
        }
        // Each cause is told once, until it has gone.
        self.asked = causes.iter().filter(|&cause| self.asked.has(cause)).collect();
        let tells = |c: Cause| c.response().is_asking && !self.asked.has(c) && state != State::Disconnected;
        if let Some(new) = causes.worst(tells) {
            self.asked = self.asked.with(new);
            actions.push(Action::AskHuman(new));
        }
        actions
    }
}

fn is_present(causes: Causes, reaction: Reaction) -> bool {
    causes.iter().any(|cause| cause.response().reaction == reaction)
}
