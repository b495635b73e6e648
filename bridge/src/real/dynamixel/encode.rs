//! Instructions to bytes.

use super::{BROADCAST_ID, HEADER, MAX_ID, MAX_PACKET_BYTES, crc16};
use thiserror::Error;

/// What a host can ask of servos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction<'a> {
    /// Answered with model and firmware.
    Ping {
        /// Whom; [`BROADCAST_ID`] for everybody.
        id: u8,
    },
    /// Answered with the registers.
    Read {
        /// Whom.
        id: u8,
        /// First register.
        address: u16,
        /// How many bytes.
        length: u16,
    },
    /// Answered with an empty status.
    Write {
        /// Whom.
        id: u8,
        /// First register.
        address: u16,
        /// What.
        data: &'a [u8],
    },
    /// Restarts a servo; the only way out of a shutdown.
    Reboot {
        /// Whom.
        id: u8,
    },
    /// Never encoded: it erases id, baud and limits, and two servos of factory id 1 cannot be told apart.
    FactoryReset {
        /// Whom.
        id: u8,
    },
    /// Answered by each servo with a status of its own, in the order of `ids`.
    SyncRead {
        /// Whom.
        ids: &'a [u8],
        /// First register.
        address: u16,
        /// How many bytes of each.
        length: u16,
    },
    /// Answered by all servos with one status that they write together.
    FastSyncRead {
        /// Whom.
        ids: &'a [u8],
        /// First register.
        address: u16,
        /// How many bytes of each.
        length: u16,
    },
    /// Not answered.
    SyncWrite {
        /// Whom.
        ids: &'a [u8],
        /// First register.
        address: u16,
        /// How many bytes for each.
        length: u16,
        /// The bytes for each id, one after the other: `ids.len() * length`.
        data: &'a [u8],
    },
}

/// An instruction that is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// There is no such servo.
    #[error("servo id {found}: expected 0 to {MAX_ID}")]
    Id {
        /// The id.
        found: u8,
    },
    /// The same servo twice in a sync instruction.
    #[error("servo id {id} is listed twice in one instruction; expected every servo once")]
    RepeatedId {
        /// The id.
        id: u8,
    },
    /// Nothing to do.
    #[error("the instruction addresses no servo or no byte; expected at least one of both")]
    Empty,
    /// Blocks of a sync write do not fit its ids.
    #[error("sync write: found {found} bytes, expected {expected}: one block for each servo")]
    Blocks {
        /// Bytes of all blocks.
        found: usize,
        /// What the ids ask for.
        expected: usize,
    },
    /// The packet would be longer than any may be.
    #[error("the packet would have more than {MAX_PACKET_BYTES} bytes; address fewer servos or fewer bytes at once")]
    TooLong,
    /// Not sent on purpose.
    #[error(
        "factory reset of servo {id} is refused: it erases id, baud and limits; use the maker's wizard, one servo wired at a time"
    )]
    FactoryReset {
        /// The id.
        id: u8,
    },
}

impl Instruction<'_> {
    /// Replaces the content of `packet` by this instruction. Allocates nothing if `packet` has room for
    /// [`MAX_PACKET_BYTES`].
    ///
    /// # Errors
    /// When the instruction makes no sense; `packet` is then empty.
    pub fn encode(&self, packet: &mut Vec<u8>) -> Result<(), EncodeError> {
        packet.clear();
        let result = self.write(packet);
        if result.is_err() {
            packet.clear();
        }
        result
    }

    fn write(&self, packet: &mut Vec<u8>) -> Result<(), EncodeError> {
        match *self {
            Self::Ping { id: BROADCAST_ID } => Frame::begin(packet, BROADCAST_ID, 0x01).end(),
            Self::Ping { id } => Frame::begin(packet, single(id)?, 0x01).end(),
            Self::Read { id, address, length } => {
                not_empty(length.into())?;
                Frame::begin(packet, single(id)?, 0x02).word(address).word(length).end()
            }
            Self::Write { id, address, data } => {
                not_empty(data.len())?;
                Frame::begin(packet, single(id)?, 0x03).word(address).bytes(data).end()
            }
            Self::Reboot { id } => Frame::begin(packet, single(id)?, 0x08).end(),
            Self::FactoryReset { id } => Err(EncodeError::FactoryReset { id }),
            Self::SyncRead { ids, address, length } => sync_read(packet, 0x82, ids, address, length),
            Self::FastSyncRead { ids, address, length } => sync_read(packet, 0x8A, ids, address, length),
            Self::SyncWrite { ids, address, length, data } => {
                distinct(ids)?;
                not_empty(length.into())?;
                let expected = ids.len() * usize::from(length);
                if data.len() != expected {
                    return Err(EncodeError::Blocks { found: data.len(), expected });
                }
                let mut frame = Frame::begin(packet, BROADCAST_ID, 0x83).word(address).word(length);
                for (&id, block) in ids.iter().zip(data.chunks_exact(length.into())) {
                    frame = frame.byte(id).bytes(block);
                }
                frame.end()
            }
        }
    }
}

fn sync_read(packet: &mut Vec<u8>, code: u8, ids: &[u8], address: u16, length: u16) -> Result<(), EncodeError> {
    distinct(ids)?;
    not_empty(length.into())?;
    Frame::begin(packet, BROADCAST_ID, code).word(address).word(length).bytes(ids).end()
}

const fn single(id: u8) -> Result<u8, EncodeError> {
    if id <= MAX_ID { Ok(id) } else { Err(EncodeError::Id { found: id }) }
}

const fn not_empty(length: usize) -> Result<(), EncodeError> {
    if length == 0 { Err(EncodeError::Empty) } else { Ok(()) }
}

fn distinct(ids: &[u8]) -> Result<(), EncodeError> {
    not_empty(ids.len())?;
    let mut seen = [false; 256];
    for &id in ids {
        if std::mem::replace(&mut seen[usize::from(single(id)?)], true) {
            return Err(EncodeError::RepeatedId { id });
        }
    }
    Ok(())
}

/// A packet being written: stuffs as it goes, and stops growing at [`MAX_PACKET_BYTES`].
struct Frame<'a> {
    packet: &'a mut Vec<u8>,
    /// How much of `FF FF FD` the last bytes are.
    matched: u8,
    is_too_long: bool,
}

impl<'a> Frame<'a> {
    fn begin(packet: &'a mut Vec<u8>, id: u8, code: u8) -> Self {
        packet.extend_from_slice(&HEADER);
        packet.extend_from_slice(&[id, 0, 0, code]);
        Frame { packet, matched: 0, is_too_long: false }
    }

    fn byte(mut self, byte: u8) -> Self {
        // Two bytes for what may be stuffed, two for the CRC.
        if self.packet.len() + 4 > MAX_PACKET_BYTES {
            self.is_too_long = true;
            return self;
        }
        self.packet.push(byte);
        self.matched = match (self.matched, byte) {
            (0, 0xFF) => 1,
            (1 | 2, 0xFF) => 2,
            (2, 0xFD) => {
                self.packet.push(0xFD);
                0
            }
            _ => 0,
        };
        self
    }

    fn word(self, word: u16) -> Self {
        self.bytes(&word.to_le_bytes())
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |frame, &byte| frame.byte(byte))
    }

    fn end(self) -> Result<(), EncodeError> {
        let length = u16::try_from(self.packet.len() + 2 - 7).ok().filter(|_| !self.is_too_long);
        let length = length.ok_or(EncodeError::TooLong)?;
        self.packet[5..7].copy_from_slice(&length.to_le_bytes());
        let crc = crc16(self.packet);
        self.packet.extend_from_slice(&crc.to_le_bytes());
        Ok(())
    }
}
