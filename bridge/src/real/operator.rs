//! The human's way through a session with a real robot, as a pure state machine that a command line drives.
//!
//! ```text
//! connect -> check -> arm -> open -> place -> episode -> label -> open ... -> done
//!            fault, e-stop: -> stopped -> arm;   pause: -> paused -> arm
//! ```
//! It hears what the loop reports and what the human answers, and says what to request and what to ask next. Its
//! position is saved after every change, so that a session that was interrupted goes on where it was: from connecting,
//! because a new process begins without torque, with the episodes that are already done. An episode that had ended
//! without a label when the process died is not stored; it is counted as lost.

use super::cause::Cause;
use super::control_loop::{Event, Posture, Request};
use super::labels::Button;
use super::machine::{Order, Refusal, State};
use crate::config::{self, ConfigError};
use crate::storage::write_atomic;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// The robot has to be connected.
    Connect,
    /// The robot is checked.
    Check,
    /// A human has to allow torque.
    Arm,
    /// A human has to keep clear: the hand goes to its park posture, open for the object.
    Open,
    /// A human has to put the object in its place.
    Place,
    /// The policy acts.
    Episode,
    /// A human has to say what came of it.
    Label,
    /// A fault or the emergency stop; a human has to look.
    Stopped,
    /// A human wanted a pause; torque is off.
    Paused,
    /// All episodes are done, or the human has had enough.
    Done,
}

/// Where a session is, and how far it has come. It is what is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Where it is.
    pub stage: Stage,
    /// Episodes that are wanted.
    pub n_wanted: u64,
    /// Number of the next episode. Numbers are never used twice.
    pub next_seed: u64,
    /// Episodes that ended and were kept.
    pub n_kept: u64,
    /// Episodes that a human discarded.
    pub n_discarded: u64,
    /// Episodes that a fault, a pause or an order cut off.
    pub n_cut: u64,
    /// Episodes that ended and were never labelled.
    pub n_lost: u64,
}

impl Position {
    /// A session that has not begun.
    #[must_use]
    pub const fn new(n_wanted: u64, first_seed: u64) -> Self {
        let stage = Stage::Connect;
        Self { stage, n_wanted, next_seed: first_seed, n_kept: 0, n_discarded: 0, n_cut: 0, n_lost: 0 }
    }

    /// Saves it whole.
    ///
    /// # Errors
    /// Any of the file system's; the old file is then untouched.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        write_atomic(path, ron::to_string(self).map_err(io::Error::other)?.as_bytes())
    }

    /// Loads it.
    ///
    /// # Errors
    /// When the file cannot be read or is not one.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        config::load(path)
    }
}

/// What the human says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// What was asked for is done, or wanted.
    Yes,
    /// What came of the episode, if anything; it is kept.
    Keep(Option<Button>),
    /// The episode is worthless.
    Discard,
    /// Torque off, and wait.
    Pause,
    /// Act in the policy's place.
    TakeOver,
    /// Let the policy act again.
    HandBack,
    /// Enough.
    Quit,
}

/// What the operator hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The robot is connected.
    Connected,
    /// It was checked; whether it is fit to be armed.
    Checked(bool),
    /// The loop reports.
    Loop(Event),
    /// The human answers.
    Human(Answer),
}

/// What came of an episode that had ended: what whoever holds its record has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Store it, with this verdict.
    Keep(Option<Button>),
    /// Throw it away.
    Discard,
}

/// What the operator says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// To be sent to the loop, in this order.
    pub requests: [Option<Request>; 2],
    /// What is to become of the record that waits for its label.
    pub judged: Option<Judged>,
    /// Whether the answer meant nothing here.
    pub is_misplaced: bool,
}

/// Leads through a session.
#[derive(Clone, Debug)]
pub struct Operator {
    position: Position,
    is_attended: bool,
    cause: Option<Cause>,
    refusal: Option<Refusal>,
}

impl Operator {
    /// A session that is new, or goes on from where it was saved. Unattended, opening, placing and labelling count as done
    /// at once (the scene resets itself); arming and what comes after a fault are always a human's.
    #[must_use]
    pub const fn new(saved: Position, is_attended: bool) -> Self {
        let mut position = saved;
        if matches!(saved.stage, Stage::Label) {
            position.n_lost += 1;
        }
        if !matches!(saved.stage, Stage::Done) {
            position.stage = Stage::Connect;
        }
        Self { position, is_attended, cause: None, refusal: None }
    }

    /// Where the session is; to be saved after every [`Operator::hear`].
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// What the human is to be told.
    #[must_use]
    pub fn prompt(&self) -> String {
        let Position { n_wanted, n_kept, next_seed, .. } = self.position;
        let because = match (self.refusal, self.cause) {
            (Some(Refusal::Because(cause)), _) | (None, Some(cause)) => format!(" ({cause})"),
            (Some(Refusal::NotInThisState), _) => " (the robot was not ready for that)".to_owned(),
            (None, None) => String::new(),
        };
        let text = match self.position.stage {
            Stage::Connect => "connect the hand and switch its supply on",
            Stage::Check => "the hand is being checked; see to what was found, then check again",
            Stage::Arm => "stand clear: the hand will hold where it is. Arm it?",
            Stage::Open => "keep clear: the hand opens slowly. May it?",
            Stage::Place => "put the object in its place. Ready?",
            Stage::Episode => "running: +1, success, failure, unsafe, take over, hand back, pause or quit",
            Stage::Label => "what came of it: keep, success, failure, unsafe or discard?",
            Stage::Stopped => "stopped, torque is off. See to the cause, then confirm",
            Stage::Paused => "paused, torque is off. Go on?",
            Stage::Done => "done",
        };
        format!("{text}{because} [episode {next_seed}, {n_kept} of {n_wanted} kept]")
    }

    /// Takes in what happened.
    pub fn hear(&mut self, heard: Heard) -> Reply {
        let before = self.position.stage;
        let mut reply = match heard {
            Heard::Connected if before == Stage::Connect => self.go(Stage::Check),
            Heard::Checked(is_fit) if before == Stage::Check => {
                if is_fit {
                    self.go(Stage::Arm)
                } else {
                    Reply::default()
                }
            }
            Heard::Connected | Heard::Checked(_) => Reply::default(),
            Heard::Loop(event) => self.hear_loop(event),
            Heard::Human(answer) => self.hear_human(answer),
        };
        if !self.is_attended && self.position.stage != before {
            match self.position.stage {
                Stage::Open | Stage::Place => reply.requests = self.hear_human(Answer::Yes).requests,
                Stage::Label => reply = self.hear(Heard::Human(Answer::Keep(None))),
                _ => {}
            }
        }
        reply
    }

    fn hear_loop(&mut self, event: Event) -> Reply {
        let stage = self.position.stage;
        match event {
            Event::State { to: State::Fault | State::EStop, cause, .. } if stage != Stage::Done => {
                self.cause = cause;
                if stage == Stage::Label {
                    // The record is whole: the hand stopped after its end.
                    return self.judge(Judged::Keep(None), Stage::Stopped);
                }
                self.go(Stage::Stopped)
            }
            Event::State { to: State::Hold, .. } if stage == Stage::Arm => self.go(Stage::Open),
            Event::Reached { posture: Posture::Park, .. } if stage == Stage::Open => self.go(Stage::Place),
            Event::State { to: State::Run, .. } if stage == Stage::Place => self.go(Stage::Episode),
            Event::State { to: State::Connected, .. } if stage == Stage::Stopped => self.go(Stage::Arm),
            Event::State { to: State::Connected, .. } if matches!(stage, Stage::Open | Stage::Place | Stage::Label) => {
                self.go(Stage::Arm)
            }
            Event::State { to: State::Disconnected, .. } if stage != Stage::Done => self.go(Stage::Connect),
            Event::EpisodeEnded { seed, cause, n_steps, .. } => {
                self.position.next_seed = seed + 1;
                let is_whole = stage == Stage::Episode && cause.is_none() && n_steps > 0;
                if is_whole {
                    return self.go(Stage::Label);
                }
                self.position.n_cut += 1;
                if stage == Stage::Episode {
                    let reply = self.go(Stage::Open);
                    self.cause = cause;
                    return reply;
                }
                Reply::default()
            }
            // Said with a button in place of a key.
            Event::Pressed { button, .. } if stage == Stage::Label && button.is_verdict() => {
                self.hear_human(Answer::Keep(Some(button)))
            }
            Event::Refused { refusal, .. } => {
                self.refusal = Some(refusal);
                Reply::default()
            }
            Event::Asked { cause, .. } => {
                self.cause = Some(cause);
                Reply::default()
            }
            _ => Reply::default(),
        }
    }

    fn hear_human(&mut self, answer: Answer) -> Reply {
        let stage = self.position.stage;
        let ask = |requests: [Option<Request>; 2]| Reply { requests, ..Reply::default() };
        let order = |order| ask([Some(Request::Order(order)), None]);
        self.refusal = None;
        match (stage, answer) {
            (Stage::Done, _) => Reply { is_misplaced: true, ..Reply::default() },
            (Stage::Label, Answer::Keep(verdict)) => self.judge(Judged::Keep(verdict), Stage::Open),
            (Stage::Label, Answer::Discard) => self.judge(Judged::Discard, Stage::Open),
            (_, Answer::Quit) => {
                let judged = (stage == Stage::Label).then_some(Judged::Discard);
                self.position.n_lost += u64::from(judged.is_some());
                self.go(Stage::Done);
                Reply { judged, ..order(Order::Disarm) }
            }
            (Stage::Arm, Answer::Yes) => order(Order::Arm),
            (Stage::Open, Answer::Yes) => {
                ask([Some(Request::Order(Order::SceneReady)), Some(Request::Order(Order::Park))])
            }
            (Stage::Place, Answer::Yes) => {
                ask([Some(Request::Order(Order::SceneReady)), Some(Request::Order(Order::Start))])
            }
            (Stage::Stopped, Answer::Yes) => order(Order::Reset),
            (Stage::Paused, Answer::Yes) => self.go(Stage::Arm),
            (Stage::Open | Stage::Place | Stage::Episode | Stage::Arm, Answer::Pause) => {
                self.go(Stage::Paused);
                order(Order::Disarm)
            }
            (Stage::Episode, Answer::TakeOver) => ask([Some(Request::TakeOver), None]),
            (Stage::Episode, Answer::HandBack) => ask([Some(Request::HandBack), None]),
            _ => Reply { is_misplaced: true, ..Reply::default() },
        }
    }

    fn judge(&mut self, judged: Judged, next: Stage) -> Reply {
        match judged {
            Judged::Keep(_) => self.position.n_kept += 1,
            Judged::Discard => self.position.n_discarded += 1,
        }
        let is_done = self.position.n_kept >= self.position.n_wanted;
        let cause = self.cause;
        self.go(if is_done { Stage::Done } else { next });
        self.cause = cause;
        let disarm = is_done.then_some(Request::Order(Order::Disarm));
        Reply { requests: [disarm, None], judged: Some(judged), is_misplaced: false }
    }

    fn go(&mut self, stage: Stage) -> Reply {
        self.position.stage = stage;
        self.refusal = None;
        if stage != Stage::Stopped {
            self.cause = None;
        }
        Reply::default()
    }
}
