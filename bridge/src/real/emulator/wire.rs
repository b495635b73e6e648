//! The protocol as a servo speaks it.
//!
//! Packets are taken by their length and tolerated without stuffing: a well-known host library never stuffs what it sends.

use std::time::Duration;

/// An instruction of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) id: u8,
    pub(super) code: u8,
    pub(super) params: Vec<u8>,
}

/// What a byte completed.
pub(super) enum Parsed {
    Nothing,
    WrongChecksum,
    Packet(Request),
}

/// Collects bytes to packets.
#[derive(Default)]
pub(super) struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    const LONGEST: usize = 2048;

    pub(super) fn push(&mut self, byte: u8) -> Parsed {
        self.bytes.push(byte);
        // Whatever does not begin like a packet is dropped byte by byte.
        while !begins_a_packet(&self.bytes) {
            self.bytes.remove(0);
        }
        if self.bytes.len() < 7 {
            return Parsed::Nothing;
        }
        let announced = usize::from(self.bytes[5]) | usize::from(self.bytes[6]) << 8;
        if !(3..=Self::LONGEST).contains(&announced) {
            self.bytes.clear();
            return Parsed::Nothing;
        }
        if self.bytes.len() < 7 + announced {
            return Parsed::Nothing;
        }
        let packet = std::mem::take(&mut self.bytes);
        let n_checked = packet.len() - 2;
        let announced_crc = u16::from(packet[n_checked]) | u16::from(packet[n_checked + 1]) << 8;
        if checksum(&packet[..n_checked]) != announced_crc {
            return Parsed::WrongChecksum;
        }
        Parsed::Packet(Request { id: packet[4], code: packet[7], params: without_stuffing(&packet[8..n_checked]) })
    }
}

fn begins_a_packet(bytes: &[u8]) -> bool {
    bytes.iter().zip([0xFF, 0xFF, 0xFD, 0x00]).all(|(&found, expected)| found == expected)
}

/// Bit by bit, as the manual's polynomial has it.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let mut register = 0u16;
    for byte in bytes {
        for bit in (0..8).rev() {
            let feedback = (register >> 15) ^ u16::from(byte >> bit & 1);
            register <<= 1;
            if feedback == 1 {
                register ^= 0x8005;
            }
        }
    }
    register
}

fn without_stuffing(stuffed: &[u8]) -> Vec<u8> {
    let mut plain: Vec<u8> = Vec::with_capacity(stuffed.len());
    let mut index = 0;
    while index < stuffed.len() {
        plain.push(stuffed[index]);
        let is_pattern = index >= 2 && stuffed[index - 2..=index] == [0xFF, 0xFF, 0xFD];
        index += if is_pattern && stuffed.get(index + 1) == Some(&0xFD) { 2 } else { 1 };
    }
    plain
}

fn with_stuffing(plain: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(plain.len() * 4 / 3 + 1);
    for &byte in plain {
        stuffed.push(byte);
        if stuffed.ends_with(&[0xFF, 0xFF, 0xFD]) {
            stuffed.push(0xFD);
        }
    }
    stuffed
}

/// A status packet.
pub(super) fn status(id: u8, error: u8, data: &[u8]) -> Vec<u8> {
    let mut content = vec![0x55, error];
    content.extend_from_slice(data);
    let content = with_stuffing(&content);
    let length = (content.len() + 2) as u16;
    let mut packet = vec![0xFF, 0xFF, 0xFD, 0x00, id, length as u8, (length >> 8) as u8];
    packet.extend_from_slice(&content);
    let crc = checksum(&packet);
    packet.extend_from_slice(&[crc as u8, (crc >> 8) as u8]);
    packet
}

/// The common head of a fast sync read's answer.
pub(super) fn fast_head(n_servos: usize, length: usize) -> Vec<u8> {
    let announced = (n_servos * (length + 4) + 1) as u16;
    vec![0xFF, 0xFF, 0xFD, 0x00, 0xFE, announced as u8, (announced >> 8) as u8, 0x55]
}

/// Appends one servo's part to a fast sync read's answer.
pub(super) fn push_fast_block(packet: &mut Vec<u8>, id: u8, error: u8, data: &[u8]) {
    packet.extend_from_slice(&[error, id]);
    packet.extend_from_slice(data);
    let crc = checksum(packet);
    packet.extend_from_slice(&[crc as u8, (crc >> 8) as u8]);
}

/// What two servos that speak at once make of the line: a zero wins.
pub(super) fn collide(mut one: Vec<u8>, other: &[u8]) -> Vec<u8> {
    let n_bytes = one.len().max(other.len());
    one.resize(n_bytes, 0xFF);
    for (byte, &weaker) in one.iter_mut().zip(other) {
        *byte &= weaker;
    }
    one
}

/// Start bit, eight bits, stop bit.
pub(super) fn byte_time(baud: u32) -> Duration {
    Duration::from_nanos(10_000_000_000 / u64::from(baud.max(1)))
}
