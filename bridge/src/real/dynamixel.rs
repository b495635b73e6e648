//! Dynamixel Protocol 2.0 without I/O: bytes out of instructions, packets out of bytes.
//!
//! ```text
//! FF FF FD 00 | ID | LEN | INST  PARAMS.. | CRC      LEN = bytes behind it, little-endian, counted after stuffing
//! status:                  55  ERR DATA.. |          ERR: bit 7 alert, low bits a number
//! fast sync status, id FE: 55 (ERR ID DATA CRC)*N    each CRC runs from the packet's first byte; not stuffed
//! ```
//! CRC-16: polynomial 0x8005, initially 0, not reflected, over everything before it. Stuffing: within INST..PARAMS an
//! `FD` follows every `FF FF FD`, so that a header never occurs inside of a packet. Source: ROBOTIS e-Manual, protocol 2.0.
//!
//! Neither side allocates once its buffers exist.

pub mod control_table;

mod crc;
mod decode;
mod encode;
mod model;

pub use crc::crc16;
pub use decode::{Decoder, DecoderCounters, FastBlock, Packet, Status, StatusError, fast_sync_blocks};
pub use encode::{EncodeError, Instruction};
pub use model::{Model, OperatingMode};

/// Highest id of a servo.
pub const MAX_ID: u8 = 252;
/// The id that all servos listen to.
pub const BROADCAST_ID: u8 = 0xFE;
/// No packet is longer, stuffing included: enough for 17 servos and for a whole control table.
pub const MAX_PACKET_BYTES: usize = 1024;

const HEADER: [u8; 4] = [0xFF, 0xFF, 0xFD, 0x00];
const STATUS: u8 = 0x55;
