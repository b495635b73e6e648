//! Bytes to packets. Whatever arrives, the decoder goes on: it skips to the next header that may begin a packet.

use super::{BROADCAST_ID, HEADER, MAX_ID, MAX_PACKET_BYTES, STATUS, crc16};
use std::fmt;

/// Finds packets in a stream of bytes. Holds a fixed buffer.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    params: Vec<u8>,
    max_packet_bytes: usize,
    counters: DecoderCounters,
}

/// What went wrong on the wire so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecoderCounters {
    /// Bytes that belong to no packet.
    pub n_garbage_bytes: u64,
    /// Packets with a wrong checksum.
    pub n_crc_errors: u64,
    /// Headers with an impossible id or length.
    pub n_bad_headers: u64,
    /// Packets that were cut off by the next one.
    pub n_cut_packets: u64,
}

/// A packet with a right checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// From whom, or to whom.
    pub id: u8,
    /// Instruction code; 0x55 is a status.
    pub instruction: u8,
    /// What follows the instruction, without stuffing and checksum.
    pub params: &'a [u8],
    /// All bytes as they came.
    pub raw: &'a [u8],
}

/// The answer of one servo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// From whom.
    pub id: u8,
    /// What it says of the instruction and of itself.
    pub error: StatusError,
    /// The registers that were asked for.
    pub data: &'a [u8],
}

/// The error byte of a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusError(pub u8);

/// One servo's part of a fast sync read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastBlock<'a> {
    /// From whom.
    pub id: u8,
    /// What it says of the instruction and of itself.
    pub error: StatusError,
    /// Its registers.
    pub data: &'a [u8],
}

impl Decoder {
    /// A decoder with an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: vec![0; 2 * MAX_PACKET_BYTES],
            start: 0,
            end: 0,
            params: vec![0; MAX_PACKET_BYTES],
            max_packet_bytes: MAX_PACKET_BYTES,
            counters: DecoderCounters::default(),
        }
    }

    /// Refuses packets above `bytes` at their header, so that a damaged length does not swallow what follows.
    pub fn expect_at_most(&mut self, bytes: usize) {
        self.max_packet_bytes = bytes.min(MAX_PACKET_BYTES);
    }

    /// The longest packet that is not refused, bytes.
    #[must_use]
    pub const fn longest(&self) -> usize {
        self.max_packet_bytes
    }

    /// Forgets what has arrived.
    pub const fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// What went wrong so far.
    #[must_use]
    pub const fn counters(&self) -> DecoderCounters {
        self.counters
    }

    /// Takes as many of `bytes` as there is room for, and says how many. There is room again after
    /// [`Decoder::next_packet`] returned none.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let n_taken = bytes.len().min(self.buffer.len() - self.end);
        self.buffer[self.end..self.end + n_taken].copy_from_slice(&bytes[..n_taken]);
        self.end += n_taken;
        n_taken
    }

    /// The next packet, if all of it is here.
    pub fn next_packet(&mut self) -> Option<Packet<'_>> {
        let total = self.find_packet()?;
        let raw = &self.buffer[self.start..self.start + total];
        self.start += total;
        let n_params = unstuff(&raw[8..total - 2], &mut self.params);
        Some(Packet { id: raw[4], instruction: raw[7], params: &self.params[..n_params], raw })
    }

    /// Skips to a packet that is complete and right; its length.
    fn find_packet(&mut self) -> Option<usize> {
        loop {
            self.skip_to_header();
            let waiting = &self.buffer[self.start..self.end];
            let id = *waiting.get(4)?;
            let total = 7 + usize::from(u16::from_le_bytes([*waiting.get(5)?, *waiting.get(6)?]));
            if (id > MAX_ID && id != BROADCAST_ID) || total < 10 || total > self.max_packet_bytes {
                self.counters.n_bad_headers += 1;
                self.skip(1);
                continue;
            }
            // The checksum is not stuffed: data that ends in FF FF and one of FD 00 are no header.
            let body = &waiting[7..(total - 2).clamp(7, waiting.len())];
            // Only the packet of a fast sync read is not stuffed: every other header is that of the next packet.
            if id != BROADCAST_ID
                && let Some(cut) = body.windows(4).position(|window| window == HEADER)
            {
                self.counters.n_cut_packets += 1;
                self.skip(7 + cut);
                continue;
            }
            if waiting.len() < total {
                return None;
            }
            let (content, crc) = waiting[..total].split_at(total - 2);
            if crc16(content).to_le_bytes() == crc {
                return Some(total);
            }
            self.counters.n_crc_errors += 1;
            self.skip(1);
        }
    }

    /// Drops everything before the first header, or before what may be the beginning of one.
    fn skip_to_header(&mut self) {
        let waiting = &self.buffer[self.start..self.end];
        let is_header = |at: &usize| waiting[*at..].iter().zip(HEADER).all(|(&found, expected)| found == expected);
        let n_garbage = (0..waiting.len()).find(is_header).unwrap_or(waiting.len());
        self.skip(n_garbage);
    }

    const fn skip(&mut self, n_bytes: usize) {
        self.start += n_bytes;
        self.counters.n_garbage_bytes += n_bytes as u64;
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies `stuffed` without its stuffing; the length of what was copied.
fn unstuff(stuffed: &[u8], plain: &mut [u8]) -> usize {
    let (mut n_plain, mut matched) = (0, 0u8);
    for &byte in stuffed {
        if matched == 3 {
            matched = 0;
            if byte == 0xFD {
                continue;
            }
        }
        matched = match (matched, byte) {
            (0, 0xFF) => 1,
            (1 | 2, 0xFF) => 2,
            (2, 0xFD) => 3,
            _ => 0,
        };
        plain[n_plain] = byte;
        n_plain += 1;
    }
    n_plain
}

impl<'a> Packet<'a> {
    /// The packet as the answer of one servo; none if it is an instruction, e.g. our own that the adapter echoes.
    #[must_use]
    pub fn status(&self) -> Option<Status<'a>> {
        if self.instruction != STATUS || self.id == BROADCAST_ID {
            return None;
        }
        let (&error, data) = self.params.split_first()?;
        Some(Status { id: self.id, error: StatusError(error), data })
    }
}

/// The blocks of a fast sync read of `length` bytes from each of `n_servos`; none unless all are there and every one's
/// own checksum is right.
#[must_use]
pub fn fast_sync_blocks<'a>(
    packet: &Packet<'a>,
    n_servos: usize,
    length: usize,
) -> Option<impl Iterator<Item = FastBlock<'a>> + Clone + use<'a>> {
    let raw = packet.raw;
    let block_bytes = length + 4;
    if packet.instruction != STATUS || packet.id != BROADCAST_ID || raw.len() != 8 + n_servos * block_bytes {
        return None;
    }
    let is_right = (1..=n_servos).all(|n| {
        let (content, crc) = raw[..8 + n * block_bytes].split_at(6 + n * block_bytes);
        crc16(content).to_le_bytes() == crc
    });
    is_right.then(|| {
        raw[8..].chunks_exact(block_bytes).map(move |block| FastBlock {
            error: StatusError(block[0]),
            id: block[1],
            data: &block[2..block_bytes - 2],
        })
    })
}

impl StatusError {
    /// Whether the servo has a hardware error to tell.
    #[must_use]
    pub const fn is_alert(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// Why the instruction was refused; 0 if it was carried out.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0 & 0x7F
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.number() {
            0 => "carried out",
            1 => "could not process the packet",
            2 => "unknown instruction",
            3 => "wrong checksum",
            4 => "value out of range, or goals locked by the bus watchdog",
            5 => "too few bytes for the register",
            6 => "value outside of a limit register",
            7 => "read-only or undefined register, or EEPROM while torque is on",
            _ => "unknown error number",
        };
        write!(f, "error {}: {meaning}", self.number())
    }
}
