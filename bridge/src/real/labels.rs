//! What a human says of an episode while it runs: rewards and outcomes, from buttons.
//!
//! Over UDP: datagrams as in [`datagram`], kind 4, with a payload of 8 bytes: `u32` code of the button (see
//! [`Button::code`]), `u32` 0. A sender may repeat a datagram, with the same sequence: it counts once.

use super::datagram::{self, DatagramError, Header, Kind, OnceGate, Reception, decode, receive};
use crossbeam::channel::Receiver;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};

const PAYLOAD_BYTES: usize = 8;
/// Presses that wait to be asked for. More in one tick are not a human's.
const MAX_WAITING: usize = 16;

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Button {
    /// One more of what is rewarded.
    PlusOne,
    /// The task is done: the episode ends. Where the body has signals that nothing measures, it says that they are true, and
    /// the task judges.
    Success,
    /// The task is lost: the episode ends.
    Failure,
    /// Something unsafe was seen: the episode ends, and nothing moves before a human says so.
    Unsafe,
    /// Emergency stop.
    EStop,
}

impl Button {
    /// Every button.
    pub const ALL: [Self; 5] = [Self::PlusOne, Self::Success, Self::Failure, Self::Unsafe, Self::EStop];

    /// Whether it says what came of an episode.
    #[must_use]
    pub const fn is_verdict(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Unsafe)
    }

    /// Its code in a datagram.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::PlusOne => 1,
            Self::Success => 2,
            Self::Failure => 3,
            Self::Unsafe => 4,
            Self::EStop => 5,
        }
    }
}

/// Writes the datagram of a press into `frame`.
pub fn encode_button(header: Header, button: Button, frame: &mut Vec<u8>) {
    let mut payload = [0; PAYLOAD_BYTES];
    payload[..4].copy_from_slice(&button.code().to_le_bytes());
    datagram::encode(header, &payload, frame);
}

/// Something with buttons: a socket, a keyboard, a gamepad.
pub trait LabelSource: Send {
    /// The next press, in their order. Never waits.
    fn next(&mut self) -> Option<Button>;
}

/// Nobody labels.
#[derive(Clone, Copy, Debug)]
pub struct NoLabels;

impl LabelSource for NoLabels {
    fn next(&mut self) -> Option<Button> {
        None
    }
}

/// Whoever reads the keyboard or the gamepad sends here.
impl LabelSource for Receiver<Button> {
    fn next(&mut self) -> Option<Button> {
        self.try_recv().ok()
    }
}

/// Two sources; the first is asked first.
impl<A: LabelSource, B: LabelSource> LabelSource for (A, B) {
    fn next(&mut self) -> Option<Button> {
        self.0.next().or_else(|| self.1.next())
    }
}

/// Buttons over UDP.
#[derive(Debug)]
pub struct UdpButtons {
    socket: UdpSocket,
    presses: Presses,
    reception: Reception,
}

/// What was pressed so far and not asked for yet. Separate from the socket, so that bytes can be given by hand.
#[derive(Clone, Debug)]
pub struct Presses {
    gate: OnceGate,
    waiting: VecDeque<Button>,
}

impl UdpButtons {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = datagram::bind(address)?;
        Ok(Self { socket, presses: Presses::new(), reception: Reception::default() })
    }

    /// Where presses are received.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What became of the datagrams received.
    #[must_use]
    pub const fn reception(&self) -> Reception {
        self.reception
    }
}

impl LabelSource for UdpButtons {
    fn next(&mut self) -> Option<Button> {
        receive(&self.socket, &mut self.reception, |frame, _| self.presses.take(frame));
        self.presses.next()
    }
}

impl Presses {
    /// Nothing pressed.
    #[must_use]
    pub fn new() -> Self {
        Self { gate: OnceGate::default(), waiting: VecDeque::with_capacity(MAX_WAITING) }
    }

    /// Takes in a datagram. An emergency stop always finds a place, before everything else, and is never too late: one that was
    /// overtaken, or sent twice, can only stop again.
    ///
    /// # Errors
    /// When it is refused; nothing of it is then used.
    pub fn take(&mut self, frame: &[u8]) -> Result<(), DatagramError> {
        let (header, mut payload) = decode(frame, Kind::Button, PAYLOAD_BYTES)?;
        let code = payload.u32()?;
        let button = Button::ALL.into_iter().find(|button| button.code() == code).ok_or(DatagramError::OutOfRange {
            field: "button",
            value: f64::from(code),
            expected: "a code from 1 to 5",
        })?;
        if button == Button::EStop {
            self.waiting.truncate(MAX_WAITING - 1);
            self.waiting.push_front(button);
            return Ok(());
        }
        self.gate.pass(&header)?;
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(button);
        }
        Ok(())
    }
}

impl Default for Presses {
    fn default() -> Self {
        Self::new()
    }
}

impl LabelSource for Presses {
    fn next(&mut self) -> Option<Button> {
        self.waiting.pop_front()
    }
}
