//! Why a robot stops: every cause, and what it asks for. This file is the fault table.
//!
//! | row | fault | causes |
//! |---|---|---|
//! | 1 | port unplugged, end of file, driver failed | `TransportLost`, `BodyFailed` |
//! | 2 | damaged frames | `BrokenCycle`, `BadCycles` |
//! | 3 | a servo does not answer | `JointStale`, `JointLost` |
//! | 4 | an answer that comes too late | `BrokenCycle` (it is discarded where it is read) |
//! | 5 | overload shutdown | `ServoShutdown`, `RebootsUsedUp` |
//! | 6 | heat | `Warm`, `Hot`, `Overheated`; `ServoShutdown` once the servo itself has switched off |
//! | 7 | supply voltage, a servo that lost power | `Electrical`, `PowerCycled` |
//! | 8 | stale observation | `ObservationStale`, `ObservationLost` |
//! | 9 | a chunk that is not finite, out of range or of wrong length; a reading that is not finite | `BadAction`, `NotFinite` |
//! | 10 | a jump in the actions | `ActionLimited` |
//! | 11 | a late chunk | `ChunkLate` |
//! | 12 | the learner is gone | `LearnerLost` |
//! | 13 | the process is gone, or only its commands are | `WatchdogTripped`, `CommandStale` |
//! | 14 | overrun of the loop | `Overrun` |
//! | 15 | emergency stop | `EStop` |
//! | 16 | wrong device, no calibration, not all facts known yet | `Unverified` |
//! | 17 | the port is taken | none: it is not opened |
//! | 18 | object dropped, reset interrupted, something unsafe seen | `SceneLost` |
//! | 19 | the log or the disk is slow or full | `LogDropped` |
//!
//! An arm adds `ArmStale`, `ArmDeaf` and `ArmFailed`, with the answers of rows 3, 3 and 1, and `ArmNotReady`, with that of row 16.

use std::fmt;

/// What a cause asks for. The most severe of all present causes wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// It is counted and logged.
    Count,
    /// Torque is not to be switched on; a robot whose torque is on faults.
    RefuseToArm,
    /// Hold where the robot is, at reduced current. It ends an episode.
    Hold,
    /// Hold without torque until the cause is gone.
    HoldLimp,
    /// Torque off, latched.
    Fault,
    /// Torque off, latched, whatever else is the case.
    EStop,
}

/// When a cause matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In every state.
    Always,
    /// To a policy that acts: it ends a run and refuses a start, and is nothing to a robot that holds still.
    Policy,
}

/// What a cause asks for, in whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Row of the fault table; 0 for the arm, which the table does not have.
    pub row: u8,
    /// What is done.
    pub reaction: Reaction,
    /// When it matters.
    pub scope: Scope,
    /// Whether what is recorded while it is present is worthless.
    pub is_spoiling: bool,
    /// Whether a hold goes on to the park posture when it lasts.
    pub is_parking: bool,
    /// Whether a human has to look.
    pub is_asking: bool,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident: $row:literal, $reaction:ident, $scope:ident, [$($mark:ident),*], $text:literal;)*) => {
        /// A cause, in the order of the fault table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Cause { $($(#[$doc])* $name,)* }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it asks for.
            #[must_use]
            pub const fn response(self) -> Response {
                match self { $(Self::$name => {
                    let response = Response {
                        row: $row,
                        reaction: Reaction::$reaction,
                        scope: Scope::$scope,
                        is_spoiling: false,
                        is_parking: false,
                        is_asking: false,
                    };
                    $(let response = Response { $mark: true, ..response };)*
                    response
                })* }
            }

            /// In words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

causes! {
    /// The port is gone.
    TransportLost: 1, Fault, Always, [is_spoiling, is_asking], "the connection to the hand is gone";
    /// The driver of the body failed.
    BodyFailed: 1, Fault, Always, [is_spoiling, is_asking], "the driver of the hand failed";
    /// One cycle on the bus went wrong; its retry is the driver's.
    BrokenCycle: 2, Count, Always, [], "a cycle on the bus went wrong";
    /// Too many cycles went wrong.
    BadCycles: 2, Hold, Always, [is_spoiling], "too many cycles on the bus went wrong";
    /// A servo has not answered for a while.
    JointStale: 3, Hold, Always, [is_spoiling], "a servo does not answer";
    /// A servo has not answered for long.
    JointLost: 3, Fault, Always, [is_spoiling, is_asking], "a servo is silent";
    /// A servo has shut itself down and waits for its reboot.
    ServoShutdown: 5, Hold, Always, [is_spoiling], "a servo has shut itself down";
    /// A servo shuts itself down again and again.
    RebootsUsedUp: 5, Fault, Always, [is_spoiling, is_asking], "a servo keeps shutting itself down";
    /// A servo is warm.
    Warm: 6, Count, Always, [], "a servo is warm";
    /// A servo is hot: its current is reduced.
    Hot: 6, Count, Always, [], "a servo is hot";
    /// A servo is too hot.
    Overheated: 6, HoldLimp, Always, [is_spoiling], "a servo is too hot";
    /// Supply voltage, encoder or electrical shock.
    Electrical: 7, Fault, Always, [is_spoiling, is_asking], "a servo reports its supply, its encoder or a shock";
    /// A servo lost its power: its turn count is lost.
    PowerCycled: 7, Fault, Always, [is_spoiling, is_asking], "a servo lost its power: calibrate again";
    /// The newest observation is older than a step.
    ObservationStale: 8, Count, Policy, [is_spoiling], "the observation is older than a step";
    /// The newest observation is far too old.
    ObservationLost: 8, Hold, Policy, [is_spoiling], "the observation is far too old";
    /// A chunk was refused.
    BadAction: 9, Hold, Policy, [is_spoiling], "a chunk of actions was refused";
    /// A reading is not finite.
    NotFinite: 9, Fault, Always, [is_spoiling, is_asking], "a reading is not a finite number";
    /// The governor changed an action.
    ActionLimited: 10, Count, Policy, [], "an action was limited";
    /// The next chunk did not come.
    ChunkLate: 11, Hold, Policy, [is_spoiling, is_parking], "the next chunk is late";
    /// The learner gives no sign of life.
    LearnerLost: 12, Hold, Policy, [is_spoiling, is_parking], "the learner is gone";
    /// A servo heard nothing for so long that its own watchdog stopped it; it takes no goal before it is armed again.
    WatchdogTripped: 13, Hold, Always, [is_spoiling], "a servo's bus watchdog has stopped it";
    /// The loop reads, and commands nothing.
    CommandStale: 13, Hold, Policy, [is_spoiling], "no command was sent for too long";
    /// The loop is far too slow.
    Overrun: 14, Fault, Always, [is_spoiling, is_asking], "the control loop is far too slow";
    /// Somebody pressed it.
    EStop: 15, EStop, Always, [is_spoiling, is_asking], "emergency stop";
    /// The hand is not the one that it should be, is not calibrated, or has not told all about itself yet.
    Unverified: 16, RefuseToArm, Always, [is_spoiling], "the hand is not verified";
    /// The object is not where it belongs, or something unsafe was seen. It lasts until a human says that all is ready.
    SceneLost: 18, Hold, Always, [is_spoiling, is_asking], "the scene needs a human";
    /// An episode or a line of the log found no place in its queue.
    LogDropped: 19, Count, Always, [], "a record was dropped";
    /// The arm's controller does not follow setpoints: it is switched off, or somebody guides the arm by hand.
    ArmNotReady: 0, RefuseToArm, Always, [is_spoiling, is_asking], "the arm is not ready";
    /// The arm's state is too old.
    ArmStale: 0, Hold, Always, [is_spoiling], "the arm's state is too old";
    /// The arm's controller has not taken in a setpoint for too long.
    ArmDeaf: 0, Hold, Always, [is_spoiling], "the arm does not hear its setpoints";
    /// The arm is silent, or reports a fault.
    ArmFailed: 0, Fault, Always, [is_spoiling, is_asking], "the arm is silent or has failed";
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A set of causes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Causes(u64);

impl Causes {
    /// None.
    pub const NONE: Self = Self(0);

    /// These and `cause`.
    #[must_use]
    pub const fn with(self, cause: Cause) -> Self {
        Self(self.0 | 1 << cause as u32)
    }

    /// These and `cause` if `is_present`.
    #[must_use]
    pub const fn with_if(self, is_present: bool, cause: Cause) -> Self {
        if is_present { self.with(cause) } else { self }
    }

    /// All of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `cause`.
    #[must_use]
    pub const fn without(self, cause: Cause) -> Self {
        Self(self.0 & !(1 << cause as u32))
    }

    /// Whether `cause` is among them.
    #[must_use]
    pub const fn has(self, cause: Cause) -> bool {
        self.0 & 1 << cause as u32 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order of the fault table.
    pub fn iter(self) -> impl Iterator<Item = Cause> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let cause = Cause::ALL.get(rest.trailing_zeros() as usize).copied();
            rest &= rest.wrapping_sub(1);
            cause
        })
    }

    /// The most severe one, the first in the table among equals, of those for which `matters` holds.
    pub fn worst(self, matters: impl Fn(Cause) -> bool) -> Option<Cause> {
        let relevant = self.iter().filter(|&cause| matters(cause));
        relevant
            .reduce(|worst, cause| if cause.response().reaction > worst.response().reaction { cause } else { worst })
    }
}

impl FromIterator<Cause> for Causes {
    fn from_iter<I: IntoIterator<Item = Cause>>(causes: I) -> Self {
        causes.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
