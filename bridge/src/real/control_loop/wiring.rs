//! What goes into the control loop and what comes out of it.

use super::super::black_box::BlackBox;
use super::super::bounds::{BoundsConfig, BoundsError};
use super::super::cause::Cause;
use super::super::failsafe::FailsafeConfig;
use super::super::labels::Button;
use super::super::machine::{Order, Refusal, State};
use super::super::newest::{Stethoscope, Subscriber};
use super::super::planner::{ChunkConfig, ChunkError};
use super::super::recorder::Recorded;
use crate::number::{Finite, NonNegative, Positive};
use crate::{BodyError, EnvironmentError, ToolPose};
use crossbeam::channel::{Receiver, Sender};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use thiserror::Error;

/// How a real robot is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopConfig {
    /// The limits of the hand.
    pub bounds: BoundsConfig,
    /// The deadlines.
    pub failsafe: FailsafeConfig,
    /// How chunks follow one another.
    pub chunks: ChunkConfig,
    /// Time that the first chunk of an episode, and the first after an intervention, may take before it counts as late, s.
    pub first_chunk_s: NonNegative,
    /// How far a target may be outside of its joint's range before its chunk is refused, rad. Within, it is clamped.
    pub range_slack_rad: NonNegative,
    /// Steps before a fault that are not stored.
    pub n_spoilt_steps: u32,
    /// The posture to park in, rad, one value a joint. An arm stays where it is.
    pub park_rad: Vec<Finite>,
    /// How fast every joint moves there, rad/s.
    pub park_rate_rad_s: Positive,
    /// How an episode begins; none where it begins in whatever posture the hand is.
    pub start: Option<StartPosture>,
    /// How the arm is moved; for a body that has a tool, and for no other.
    pub tool: Option<ToolMotion>,
}

/// The posture in which episodes begin. The hand goes there in a run, before the policy is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartPosture {
    /// Joint positions, rad, one value a joint.
    pub posture_rad: Vec<Finite>,
    /// How fast every joint moves there, rad/s.
    pub rate_rad_s: Positive,
    /// How long the hand stays there, s: time to let go of the object.
    pub settle_s: NonNegative,
}

/// How the arm is moved where no policy does it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolMotion {
    /// Where episodes begin that begin in a posture. The way there is a straight line and has to be free.
    pub start: ToolPose,
    /// How fast the tool moves there, m/s.
    pub start_speed_m_s: Positive,
    /// How fast it turns meanwhile, rad/s.
    pub start_rate_rad_s: Positive,
    /// How far a target may be outside of the workspace before its chunk is refused, m. Within, it is clamped.
    pub range_slack_m: NonNegative,
}

/// A posture that the loop goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posture {
    /// The one to park in.
    Park,
    /// The one in which episodes begin.
    Start,
}

/// The loop cannot begin.
#[derive(Debug, Error)]
pub enum LoopError {
    /// A posture is another hand's.
    #[error("control loop: {field} has {found} values, expected {expected}, one a joint")]
    PostureLength {
        /// Which one.
        field: &'static str,
        /// Its length.
        found: usize,
        /// The number of joints.
        expected: usize,
    },
    /// An arm without a way to move it, or the other way round.
    #[error("control loop: tool is {}, and the body has {}", if *.is_given { "given" } else { "not given" }, if *.is_given { "none" } else { "one" })]
    Tool {
        /// Whether the configuration has one.
        is_given: bool,
    },
    /// The limits.
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    /// The chunks.
    #[error(transparent)]
    Chunks(#[from] ChunkError),
    /// Task and body do not fit.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The robot cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// An order to the failsafe. One is taken in a tick; requests behind it wait for the next.
    Order(Order),
    /// A human acts in the policy's place; nothing unless an episode runs.
    TakeOver,
    /// The policy acts again.
    HandBack,
}

/// The button that stops everything. Clones are the same button.
#[derive(Clone, Debug, Default)]
pub struct EmergencyStop(Arc<AtomicBool>);

impl EmergencyStop {
    /// Presses it. It stays pressed.
    pub fn press(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Releases it. The robot stays stopped until it is reset.
    pub fn release(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether it is pressed.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What comes in.
#[derive(Debug)]
pub struct Inbox {
    /// Of the operator.
    pub requests: Receiver<Request>,
    /// The emergency stop: it waits in no queue.
    pub e_stop: EmergencyStop,
    /// Targets of a human who has taken over: joints in rad, after the tool's pose where there is one.
    pub human_rad: Subscriber<Box<[f32]>>,
    /// The learner; none when none takes part.
    pub learner: Option<Stethoscope>,
}

/// What goes out. All queues are bounded; what finds no place is dropped and counted.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// Episodes.
    pub records: Sender<Recorded>,
    /// What happened.
    pub events: Sender<Event>,
    /// Faults, with what led to them.
    pub faults: Sender<FaultReport>,
    /// Events and fault reports that found no place.
    pub n_dropped: Arc<AtomicU64>,
}

impl Outbox {
    pub(super) fn count_drop(&self) {
        self.n_dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// What happened, for the log. All times on the loop's clock, s.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The state changed.
    State {
        /// From this one.
        from: State,
        /// To this one.
        to: State,
        /// Why; none by order.
        cause: Option<Cause>,
        /// When.
        at_s: f64,
    },
    /// A cause is there that was not for a second, whatever the state makes of it.
    Noticed {
        /// Which.
        cause: Cause,
        /// When.
        at_s: f64,
    },
    /// An order was refused.
    Refused {
        /// Which.
        order: Order,
        /// Why.
        refusal: Refusal,
        /// When.
        at_s: f64,
    },
    /// A human has to look.
    Asked {
        /// At what.
        cause: Cause,
        /// When.
        at_s: f64,
    },
    /// A servo is being rebooted.
    Rebooted {
        /// Its index.
        servo_idx: usize,
        /// When.
        at_s: f64,
    },
    /// A posture was reached, as far as it can be.
    Reached {
        /// Which one.
        posture: Posture,
        /// When.
        at_s: f64,
    },
    /// An episode began: its first chunk came.
    EpisodeBegun {
        /// Its number.
        seed: u64,
        /// When.
        at_s: f64,
    },
    /// An episode ended.
    EpisodeEnded {
        /// Its number.
        seed: u64,
        /// Steps carried out.
        n_steps: u32,
        /// Why; none by itself, by order or by label.
        cause: Option<Cause>,
        /// When.
        at_s: f64,
    },
    /// A button was pressed that no episode took in, as none runs or it has not begun: it may judge the one that has ended.
    Pressed {
        /// Which one; never the emergency stop.
        button: Button,
        /// When.
        at_s: f64,
    },
    /// A chunk was refused, or could not be planned.
    ChunkRefused {
        /// Why.
        reason: String,
        /// When.
        at_s: f64,
    },
    /// The arm stands where nothing may hold it: the hand is not armed there.
    OutOfReach {
        /// Where that is, and what to do.
        reason: String,
        /// When.
        at_s: f64,
    },
    /// A chunk began.
    Chunk {
        /// In which step.
        step: u32,
        /// Number of the policy that planned it.
        version: u64,
        /// Age of that policy.
        policy_age_s: f64,
    },
    /// A human took over, or handed back.
    Intervention {
        /// In which step.
        step: u32,
        /// Whether the human acts from now on.
        is_human: bool,
    },
}

/// A fault, and what led to it. Whoever receives it writes it; the loop does not touch the disk.
#[derive(Debug)]
pub struct FaultReport {
    /// What happened.
    pub cause: Cause,
    /// What the body said last, if it was that which failed.
    pub error: Option<BodyError>,
    /// When, s.
    pub at_s: f64,
    /// The last ticks.
    pub black_box: BlackBox,
}
