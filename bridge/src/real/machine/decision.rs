//! What goes into the state machine and what comes out of it.

use super::super::cause::{Cause, Causes};

/// What a robot may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// There is no robot.
    Disconnected,
    /// It is read; its torque is off.
    Connected,
    /// It holds still.
    Hold,
    /// It does what the policy, or a human in its place, wants.
    Run,
    /// It moves slowly to its park posture and stays there.
    Park,
    /// Latched, torque off.
    Fault,
    /// Latched, torque off.
    EStop,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Disconnected, Self::Connected, Self::Hold, Self::Run, Self::Park, Self::Fault, Self::EStop];

    /// Whether a human has allowed torque.
    #[must_use]
    pub const fn is_armed(self) -> bool {
        matches!(self, Self::Hold | Self::Run | Self::Park)
    }

    /// Whether only [`Order::Reset`] leads out.
    #[must_use]
    pub const fn is_latched(self) -> bool {
        matches!(self, Self::Fault | Self::EStop)
    }
}

/// What an operator, or the session in the operator's name, wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Allow torque, and hold.
    Arm,
    /// Begin an episode.
    Start,
    /// End the episode, and hold.
    Stop,
    /// Move to the park posture.
    Park,
    /// Switch torque off.
    Disarm,
    /// Leave a latched state, torque off.
    Reset,
    /// A human has put the scene in order.
    SceneReady,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 7] =
        [Self::Arm, Self::Start, Self::Stop, Self::Park, Self::Disarm, Self::Reset, Self::SceneReady];
}

/// What the robot has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Torque off, all servos.
    TorqueOff,
    /// Forget every chunk, planned or being planned.
    DropChunks,
    /// Set the goal to what is measured, and keep it.
    HoldAtMeasured,
    /// Keep the goal that was applied last.
    HoldLastGoal,
    /// Current limit down to the share that holds.
    ReduceCurrent,
    /// Current limit up to the hand's own.
    RestoreCurrent,
    /// Goal := present, watchdog cleared and armed, torque on, in this order.
    TorqueOn,
    /// Ease to the park posture.
    Park,
    /// Begin an episode.
    BeginEpisode,
    /// End the episode: truncated, for this cause, or because it was ordered.
    EndEpisode(Option<Cause>),
    /// Reboot the servo with this index, then apply its mode, limits and gains again, goal := present.
    Reboot(usize),
    /// The servo with this index: watchdog cleared, goal := present, watchdog armed.
    Rearm(usize),
    /// Tell the human, who has to look.
    AskHuman(Cause),
}

/// Most actions that one tick can ask for.
const MAX_ACTIONS: usize = 10;

/// Actions in their order, without allocation.
#[derive(Clone, Copy, Debug)]
pub struct Actions {
    list: [Action; MAX_ACTIONS],
    len: usize,
}

impl Actions {
    pub(super) const fn none() -> Self {
        Self { list: [Action::TorqueOff; MAX_ACTIONS], len: 0 }
    }

    pub(super) fn push(&mut self, action: Action) {
        if let Some(place) = self.list.get_mut(self.len) {
            *place = action;
            self.len += 1;
        }
    }

    /// The actions.
    #[must_use]
    pub fn as_slice(&self) -> &[Action] {
        &self.list[..self.len]
    }
}

/// What holds from this tick on.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// The state.
    pub state: State,
    /// Whether the servos are to have torque.
    pub is_torque_on: bool,
    /// Whether the current limit is to be the reduced one.
    pub is_current_reduced: bool,
    /// Whether the policy may be asked.
    pub may_query: bool,
    /// Whether what happens in this tick may be stored.
    pub may_store: bool,
    /// All causes that are present, with those that only a human clears.
    pub causes: Causes,
    /// The cause of the last change of state; none for an order.
    pub cause: Option<Cause>,
    /// Why the order of this tick was refused, if it was.
    pub refused: Option<Refusal>,
    /// What has to be done, in order.
    pub actions: Actions,
}

/// An order was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It means nothing in this state.
    NotInThisState,
    /// This cause stands against it.
    Because(Cause),
}

/// Servos that can be put right where nothing moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// One whose reboot is due.
    pub reboot: Option<usize>,
    /// One whose watchdog has tripped.
    pub rearm: Option<usize>,
}

/// What the machine is told in a tick.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input {
    /// Whether there is a robot: its port is open.
    pub is_connected: bool,
    /// The present causes.
    pub causes: Causes,
    /// An order, if there is one.
    pub order: Option<Order>,
    /// Servos that can be put right.
    pub repairs: Repairs,
    /// Now, s, on a clock that never goes back.
    pub now_s: f64,
}
