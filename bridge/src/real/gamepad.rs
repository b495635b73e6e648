//! A gamepad in the hand of whoever stands beside the robot: what its buttons mean, and who listens to it.
//!
//! A press is an edge: a button that is held, or repeats, was pressed once. The emergency stop is pressed by the thread
//! that reads the pad; everything else waits for whoever leads the session. A pad that is unplugged is reported and
//! looked for until it is back.

mod device;
mod reader;
mod sticks;

pub use reader::{Gamepad, PadPort, PadReport};
pub use sticks::{AxisRange, StickMap, StickPad, Sticks};

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io;
use thiserror::Error;

/// Types of events of the kernel's input interface.
const EV_KEY: u16 = 1;
const EV_ABS: u16 = 3;
/// The axes of a directional pad that is none of buttons: -1 left or up, 1 right or down.
const ABS_HAT0X: u16 = 0x10;
const ABS_HAT0Y: u16 = 0x11;

/// A button, by its place; codes are those of the kernel, whose drivers know which button of a make is where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PadButton {
    /// A, or the cross.
    South,
    /// B, or the circle.
    East,
    /// Y or the triangle; X on pads for the Xbox, as their driver has it.
    North,
    /// X or the square; Y on pads for the Xbox.
    West,
    /// Upper one of the left shoulder.
    LeftShoulder,
    /// Upper one of the right shoulder.
    RightShoulder,
    /// Lower one of the left shoulder, where it is a button.
    LeftTrigger,
    /// Lower one of the right shoulder, where it is a button.
    RightTrigger,
    /// Select, back, share.
    Select,
    /// Start, menu, options.
    Start,
    /// The maker's, in the middle.
    Mode,
    /// The left stick, pressed.
    LeftStick,
    /// The right stick, pressed.
    RightStick,
    /// Directional pad.
    Up,
    /// Directional pad.
    Down,
    /// Directional pad.
    Left,
    /// Directional pad.
    Right,
}

impl PadButton {
    /// Every button with its code.
    pub const ALL: [(Self, u16); 17] = [
        (Self::South, 0x130),
        (Self::East, 0x131),
        (Self::North, 0x133),
        (Self::West, 0x134),
        (Self::LeftShoulder, 0x136),
        (Self::RightShoulder, 0x137),
        (Self::LeftTrigger, 0x138),
        (Self::RightTrigger, 0x139),
        (Self::Select, 0x13a),
        (Self::Start, 0x13b),
        (Self::Mode, 0x13c),
        (Self::LeftStick, 0x13d),
        (Self::RightStick, 0x13e),
        (Self::Up, 0x220),
        (Self::Down, 0x221),
        (Self::Left, 0x222),
        (Self::Right, 0x223),
    ];
}

/// What a human says without words, by a key or a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sign {
    /// What was asked for is done, or wanted.
    Yes,
    /// One more of what is rewarded.
    Reward,
    /// The task is done.
    Success,
    /// The task is lost.
    Failure,
    /// Something unsafe was seen.
    Unsafe,
    /// Emergency stop.
    EStop,
    /// Act in the policy's place.
    TakeOver,
    /// Let the policy act again.
    HandBack,
    /// The episode is kept as it is.
    Keep,
    /// The episode is worthless.
    Discard,
    /// Torque off, and wait.
    Pause,
    /// Enough.
    Quit,
}

/// Which pad, and what its buttons mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GamepadConfig {
    /// Its device, e.g. `/dev/input/by-id/usb-..-event-joystick`, or a part of its name, e.g. `Xbox`; none without a pad.
    pub device: Option<String>,
    /// What each button means; one at least is the emergency stop, no button is there twice.
    pub buttons: Vec<(PadButton, Sign)>,
}

/// A pad that cannot be used.
#[derive(Debug, Error)]
pub enum GamepadError {
    /// Two meanings.
    #[error("gamepad.buttons: {button:?} is there twice, expected one meaning a button")]
    Twice {
        /// Which button.
        button: PadButton,
    },
    /// No way to stop.
    #[error("gamepad.buttons: found no button for EStop, expected one at least")]
    NoEStop,
    /// It is not there.
    #[error(
        "gamepad {wanted:?}: expected one pad of that path, or with that in its name; found {found}. Plug it in and \
         wake it, or name it otherwise; `sudo usermod -aG input $USER` lets this user read devices"
    )]
    NotFound {
        /// What was looked for.
        wanted: String,
        /// What is there instead.
        found: String,
    },
    /// It is no pad of use.
    #[error("gamepad {name:?}: it has no button {missing}, expected one that can be the emergency stop")]
    CannotStop {
        /// Its name.
        name: String,
        /// Those that stop.
        missing: String,
    },
    /// The system fails.
    #[error("gamepad {name:?}: {source}")]
    Io {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl GamepadConfig {
    /// Whether every button means one thing, and one of them stops the robot.
    ///
    /// # Errors
    /// When not.
    pub fn check(&self) -> Result<(), GamepadError> {
        for (idx, &(button, _)) in self.buttons.iter().enumerate() {
            if self.buttons[..idx].iter().any(|(other, _)| *other == button) {
                return Err(GamepadError::Twice { button });
            }
        }
        if self.stops().next().is_none() {
            return Err(GamepadError::NoEStop);
        }
        Ok(())
    }

    /// What the buttons mean, as it is explained.
    #[must_use]
    pub fn legend(&self) -> String {
        let mut legend = "gamepad:".to_owned();
        for (button, sign) in &self.buttons {
            // Writing to a string cannot fail.
            write!(legend, "   {button:?} {sign:?}").ok();
        }
        legend
    }

    fn stops(&self) -> impl Iterator<Item = PadButton> {
        self.buttons.iter().filter(|(_, sign)| *sign == Sign::EStop).map(|&(button, _)| button)
    }
}

/// An event of the kernel's input interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// Its type.
    pub kind: u16,
    /// Which button or axis.
    pub code: u16,
    /// A button: 0 up, 1 down, 2 held on; an axis: where it is.
    pub value: i32,
}

/// Events to what buttons mean: presses alone, each once.
#[derive(Clone, Debug)]
pub struct PadMap<M> {
    meanings: [Option<M>; PadButton::ALL.len()],
    is_down: [bool; PadButton::ALL.len()],
}

impl<M: Copy> PadMap<M> {
    /// Nothing pressed, of `buttons` and what each means.
    #[must_use]
    pub fn new(buttons: &[(PadButton, M)]) -> Self {
        let meaning_of = |button| buttons.iter().find(|(other, _)| *other == button).map(|&(_, meaning)| meaning);
        Self { meanings: PadButton::ALL.map(|(button, _)| meaning_of(button)), is_down: [false; PadButton::ALL.len()] }
    }

    /// What an event says.
    pub fn take(&mut self, event: RawEvent) -> Option<M> {
        let RawEvent { kind, code, value } = event;
        match (kind, code) {
            (EV_KEY, _) => {
                let idx = PadButton::ALL.iter().position(|&(_, other)| other == code)?;
                self.set(idx, value != 0)
            }
            (EV_ABS, ABS_HAT0X) => self.set_pair(PadButton::Left, PadButton::Right, value),
            (EV_ABS, ABS_HAT0Y) => self.set_pair(PadButton::Up, PadButton::Down, value),
            _ => None,
        }
    }

    /// Nothing is pressed any more: the pad is gone.
    pub fn release_all(&mut self) {
        self.is_down.fill(false);
    }

    fn set_pair(&mut self, negative: PadButton, positive: PadButton, value: i32) -> Option<M> {
        let idx_of = |button| PadButton::ALL.iter().position(|&(other, _)| other == button);
        let (negative, positive) = (idx_of(negative)?, idx_of(positive)?);
        let pressed = [self.set(negative, value < 0), self.set(positive, value > 0)];
        pressed.into_iter().flatten().next()
    }

    fn set(&mut self, idx: usize, is_down: bool) -> Option<M> {
        let was_down = std::mem::replace(&mut self.is_down[idx], is_down);
        self.meanings[idx].filter(|_| is_down && !was_down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GamepadConfig {
        let buttons = vec![
            (PadButton::South, Sign::Yes),
            (PadButton::East, Sign::EStop),
            (PadButton::Up, Sign::TakeOver),
            (PadButton::Down, Sign::HandBack),
        ];
        GamepadConfig { device: None, buttons }
    }

    const fn key(code: u16, value: i32) -> RawEvent {
        RawEvent { kind: EV_KEY, code, value }
    }

    /// Contract: a button says what it means when it goes down: not while it is held or repeats, not when it goes up, and
    /// again when it goes down again; what means nothing says nothing.
    #[test]
    fn presses_are_edges() {
        let mut map = PadMap::new(&config().buttons);
        let events = [(0x130, 1), (0x130, 2), (0x130, 1), (0x130, 0), (0x130, 1), (0x131, 1), (0x133, 1), (0x1, 1)];
        let heard = events.map(|(code, value)| map.take(key(code, value)));
        let (yes, stop) = (Some(Sign::Yes), Some(Sign::EStop));
        assert_eq!(heard, [yes, None, None, None, yes, stop, None, None]);
        // The report that ends every group of events, and a stick.
        assert_eq!(map.take(RawEvent { kind: 0, code: 0, value: 0 }), None);
        assert_eq!(map.take(RawEvent { kind: EV_ABS, code: 0, value: 32_767 }), None);
        map.release_all();
        assert_eq!(map.take(key(0x131, 1)), stop);
    }

    /// Contract: a directional pad is four buttons, whether it is made of buttons or of axes.
    #[test]
    fn directions_are_buttons() {
        let mut map = PadMap::new(&config().buttons);
        let hat = |value| RawEvent { kind: EV_ABS, code: ABS_HAT0Y, value };
        let heard = [-1, -1, 0, 1, -1, 0].map(|value| map.take(hat(value)));
        let (over, back) = (Some(Sign::TakeOver), Some(Sign::HandBack));
        assert_eq!(heard, [over, None, None, back, over, None]);
        assert_eq!(map.take(key(0x221, 1)), back);
    }

    /// Contract: a mapping has a button to stop with, and no button that means two things.
    #[test]
    fn mappings_are_checked() {
        config().check().unwrap();
        let mut twice = config();
        twice.buttons.push((PadButton::South, Sign::Quit));
        assert!(twice.check().unwrap_err().to_string().contains("South"));
        let mut endless = config();
        endless.buttons.retain(|(_, sign)| *sign != Sign::EStop);
        assert!(endless.check().unwrap_err().to_string().contains("EStop"));
        assert!(config().legend().contains("East EStop"));
    }
}
