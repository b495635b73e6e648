//! The frame of every datagram that goes to or comes from another process. Little endian throughout.
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | 4 bytes | magic `SFLW` |
//! | 4 | u8 | version, 1 |
//! | 5 | u8 | kind: 1 arm setpoint, 2 arm state, 3 object pose, 4 button |
//! | 6 | u16 | length of the payload n, bytes |
//! | 8 | u32 | session: any number that the sender draws at its start |
//! | 12 | u32 | sequence, one more with every datagram of the session, wraps |
//! | 16 | u64 | stamp, ns on the sender's monotonic clock |
//! | 24 | n bytes | payload; its layout belongs to the kind, its length is fixed |
//! | 24 + n | u32 | CRC-32 (IEEE, as zlib's) of all that is before it |
//!
//! A datagram that is damaged, of another version, of another length, or that holds a number that is not finite is
//! refused whole. Of one that was overtaken by a newer one nothing is used.

use crate::storage::crc32;
use std::io;
use std::net::{IpAddr, UdpSocket};
use thiserror::Error;

/// The version that is spoken.
pub const VERSION: u8 = 1;
/// Longest datagram of any kind, bytes.
pub const MAX_BYTES: usize = 256;
const MAGIC: [u8; 4] = *b"SFLW";
const HEADER_BYTES: usize = 24;
const CRC_BYTES: usize = 4;
/// Datagrams that one poll takes in: a sender gone mad must not hold up the loop.
const MAX_PER_POLL: usize = 64;
/// The same of a stream of which the newest counts. A buffer that nobody has emptied keeps the oldest, so that all of it has to go
/// before there is a new one: some 280 of the arm's are in the 208 KiB that Linux gives, some 1400 in a MiB. A sender gone mad must
/// not hold up the loop here either: so many take 2 ms.
const MAX_PER_DRAIN: usize = 2048;

/// What a datagram is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Where the arm is to be.
    ArmSetpoint = 1,
    /// Where it is.
    ArmState = 2,
    /// Where an object is.
    ObjectPose = 3,
    /// A button was pressed.
    Button = 4,
}

/// What precedes the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is about.
    pub kind: Kind,
    /// Drawn by the sender at its start.
    pub session: u32,
    /// One more with every datagram.
    pub sequence: u32,
    /// The sender's monotonic clock, ns.
    pub stamp_ns: u64,
}

impl Header {
    /// The stamp in s.
    #[must_use]
    pub const fn stamp_s(&self) -> f64 {
        self.stamp_ns as f64 * 1e-9
    }
}

/// A datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum DatagramError {
    /// Too short or too long for its kind.
    #[error("datagram of {found} bytes, expected {expected}")]
    Length {
        /// Its length.
        found: usize,
        /// What its kind has.
        expected: usize,
    },
    /// Not one of ours.
    #[error("datagram begins with {found:02x?}, expected {MAGIC:02x?} (SFLW)")]
    Magic {
        /// Its first bytes.
        found: [u8; 4],
    },
    /// Another version.
    #[error("datagram of version {found}, expected {VERSION}; update the other side")]
    Version {
        /// Its version.
        found: u8,
    },
    /// Another kind.
    #[error("datagram of kind {found}, expected {expected}; is it sent to the wrong port?")]
    Kind {
        /// Its kind.
        found: u8,
        /// What belongs here.
        expected: u8,
    },
    /// Damaged.
    #[error("datagram with checksum {found:08x}, expected {expected:08x}")]
    Checksum {
        /// What it says.
        found: u32,
        /// What its bytes have.
        expected: u32,
    },
    /// A number that is not finite.
    #[error("datagram: {field}[{index}] is {value}, expected a finite number")]
    NonFinite {
        /// Which field.
        field: &'static str,
        /// Which of its values.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// A number that its field does not allow.
    #[error("datagram: {field} is {value}, expected {expected}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it is.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// Older than one that was seen.
    #[error("datagram {found} came after {newest}")]
    Overtaken {
        /// Its sequence number.
        found: u32,
        /// The newest one.
        newest: u32,
    },
    /// From another machine than the one that is spoken with.
    #[error("datagram from {found}, expected {expected}")]
    Stranger {
        /// Where it came from.
        found: IpAddr,
        /// Who is spoken with.
        expected: IpAddr,
    },
    /// Somebody else is being listened to.
    #[error("datagram of session {found:08x}, but {current:08x} spoke {silence_s:.3} s ago; is there a second sender?")]
    Crowded {
        /// Its session.
        found: u32,
        /// The session that is listened to.
        current: u32,
        /// For how long that one has been silent, s.
        silence_s: f64,
    },
}

/// Writes a datagram into `frame`, which keeps its memory.
pub fn encode(header: Header, payload: &[u8], frame: &mut Vec<u8>) {
    frame.clear();
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[VERSION, header.kind as u8]);
    frame.extend_from_slice(&(payload.len() as u16).to_le_bytes());
    frame.extend_from_slice(&header.session.to_le_bytes());
    frame.extend_from_slice(&header.sequence.to_le_bytes());
    frame.extend_from_slice(&header.stamp_ns.to_le_bytes());
    frame.extend_from_slice(payload);
    let crc = crc32(frame);
    frame.extend_from_slice(&crc.to_le_bytes());
}

/// Reads a datagram of `kind` whose payload has `payload_bytes`.
///
/// # Errors
/// When it is anything else.
pub fn decode(frame: &[u8], kind: Kind, payload_bytes: usize) -> Result<(Header, Payload<'_>), DatagramError> {
    let (found, expected) = (frame.len(), HEADER_BYTES + payload_bytes + CRC_BYTES);
    let length = || DatagramError::Length { found, expected };
    let (magic, rest) = frame.split_first_chunk::<4>().ok_or_else(length)?;
    if *magic != MAGIC {
        return Err(DatagramError::Magic { found: *magic });
    }
    let (&[version, found_kind, length_low, length_high], _) = rest.split_first_chunk::<4>().ok_or_else(length)?;
    if version != VERSION {
        return Err(DatagramError::Version { found: version });
    }
    if found_kind != kind as u8 {
        return Err(DatagramError::Kind { found: found_kind, expected: kind as u8 });
    }
    if found != expected || usize::from(u16::from_le_bytes([length_low, length_high])) != payload_bytes {
        return Err(length());
    }
    let (body, crc) = frame.split_last_chunk::<CRC_BYTES>().ok_or_else(length)?;
    let (found, expected) = (u32::from_le_bytes(*crc), crc32(body));
    if found != expected {
        return Err(DatagramError::Checksum { found, expected });
    }
    let mut rest = Payload { bytes: &body[8..] };
    let (session, sequence, stamp_ns) = (rest.u32()?, rest.u32()?, rest.u64()?);
    Ok((Header { kind, session, sequence, stamp_ns }, rest))
}

/// What is left of a payload.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    bytes: &'a [u8],
}

impl Payload<'_> {
    /// The next u32.
    ///
    /// # Errors
    /// When the payload has ended.
    pub fn u32(&mut self) -> Result<u32, DatagramError> {
        self.take().map(u32::from_le_bytes)
    }

    /// The next u64.
    ///
    /// # Errors
    /// When the payload has ended.
    pub fn u64(&mut self) -> Result<u64, DatagramError> {
        self.take().map(u64::from_le_bytes)
    }

    /// The next N numbers, which are the field `field`.
    ///
    /// # Errors
    /// When one is not finite, or the payload has ended.
    pub fn numbers<const N: usize>(&mut self, field: &'static str) -> Result<[f64; N], DatagramError> {
        let mut values = [0.0; N];
        for (index, value) in values.iter_mut().enumerate() {
            *value = f64::from_le_bytes(self.take()?);
            if !value.is_finite() {
                return Err(DatagramError::NonFinite { field, index, value: *value });
            }
        }
        Ok(values)
    }

    /// The next three numbers, which are the vector `field`: none of them beyond `most` either way, as `expected` says.
    ///
    /// # Errors
    /// When one is not finite or beyond that, or the payload has ended.
    pub fn vector(
        &mut self,
        field: &'static str,
        most: f64,
        expected: &'static str,
    ) -> Result<[f64; 3], DatagramError> {
        let values: [f64; 3] = self.numbers(field)?;
        match values.into_iter().find(|x| x.abs() > most) {
            None => Ok(values),
            Some(value) => Err(DatagramError::OutOfRange { field, value, expected }),
        }
    }

    /// The next four numbers, a unit quaternion x, y, z, w.
    ///
    /// # Errors
    /// When its length is off by more than a thousandth, or the payload has ended.
    pub fn orientation(&mut self) -> Result<[f64; 4], DatagramError> {
        let quaternion: [f64; 4] = self.numbers("orientation")?;
        let length = quaternion.iter().map(|x| x * x).sum::<f64>().sqrt();
        if (length - 1.0).abs() > 1e-3 {
            let (field, expected) = ("length of orientation", "1 within 0.001");
            return Err(DatagramError::OutOfRange { field, value: length, expected });
        }
        Ok(quaternion.map(|x| x / length))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DatagramError> {
        let (found, expected) = (self.bytes.len(), N);
        let (bytes, rest) = self.bytes.split_first_chunk::<N>().ok_or(DatagramError::Length { found, expected })?;
        self.bytes = rest;
        Ok(*bytes)
    }
}

/// A stream whose sender has been silent for so long may be gone on with by another one, s.
pub const HANDOVER_S: f64 = 1.0;

/// Lets the newest datagrams of one stream through. A second sender is not heard as long as the first one speaks.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamGate {
    newest: Option<Passed>,
    /// Datagrams that never came.
    pub n_lost: u64,
}

/// The newest datagram of a sender.
#[derive(Clone, Copy, Debug)]
struct Passed {
    session: u32,
    sequence: u32,
    at_s: f64,
}

impl StreamGate {
    /// Whether the datagram, which came at `now_s`, is the newest one of its session, or starts one where nobody else speaks.
    ///
    /// # Errors
    /// When it is neither.
    pub fn pass(&mut self, header: &Header, now_s: f64) -> Result<(), DatagramError> {
        let Header { session, sequence, .. } = *header;
        if let Some(newest) = self.newest {
            let silence_s = now_s - newest.at_s;
            if newest.session == session {
                self.n_lost += u64::from(ahead(sequence, newest.sequence)? - 1);
            } else if silence_s < HANDOVER_S {
                return Err(DatagramError::Crowded { found: session, current: newest.session, silence_s });
            }
        }
        self.newest = Some(Passed { session, sequence, at_s: now_s });
        Ok(())
    }
}

/// Lets every datagram of several senders through once: those who press buttons do not exclude each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnceGate {
    /// Session and newest sequence of the last senders that began.
    newest: [Option<(u32, u32)>; 8],
    next: usize,
}

impl OnceGate {
    /// Whether the datagram is the newest one of its session.
    ///
    /// # Errors
    /// When it is not.
    pub fn pass(&mut self, header: &Header) -> Result<(), DatagramError> {
        let Header { session, sequence, .. } = *header;
        match self.newest.iter_mut().flatten().find(|(known, _)| *known == session) {
            Some((_, newest)) => {
                ahead(sequence, *newest)?;
                *newest = sequence;
            }
            None => {
                self.newest[self.next] = Some((session, sequence));
                self.next = (self.next + 1) % self.newest.len();
            }
        }
        Ok(())
    }
}

/// How far a sequence number is ahead of the `newest` of its session; the counter wraps.
const fn ahead(found: u32, newest: u32) -> Result<u32, DatagramError> {
    match found.wrapping_sub(newest) {
        ahead @ 1..=0x7fff_ffff => Ok(ahead),
        _ => Err(DatagramError::Overtaken { found, newest }),
    }
}

/// What became of the datagrams that a socket received.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reception {
    /// Taken in.
    pub n_accepted: u64,
    /// Refused.
    pub n_refused: u64,
    /// Why the last one was refused.
    pub last_error: Option<DatagramError>,
    /// Failures of the socket itself.
    pub n_socket_errors: u64,
}

/// Hands every waiting datagram, but no more than 64, to `take`, with whom it came from, and counts what becomes of it. Never waits,
/// never allocates.
pub fn receive(
    socket: &UdpSocket,
    reception: &mut Reception,
    take: impl FnMut(&[u8], IpAddr) -> Result<(), DatagramError>,
) {
    receive_up_to(MAX_PER_POLL, socket, reception, take);
}

/// The same for a stream of which the newest counts: what a socket's buffer holds is all taken in.
pub fn drain(
    socket: &UdpSocket,
    reception: &mut Reception,
    take: impl FnMut(&[u8], IpAddr) -> Result<(), DatagramError>,
) {
    receive_up_to(MAX_PER_DRAIN, socket, reception, take);
}

fn receive_up_to(
    n_most: usize,
    socket: &UdpSocket,
    reception: &mut Reception,
    mut take: impl FnMut(&[u8], IpAddr) -> Result<(), DatagramError>,
) {
    let mut buffer = [0; MAX_BYTES + 1];
    for _ in 0..n_most {
        match socket.recv_from(&mut buffer) {
            Ok((length, sender)) => match take(&buffer[..length], sender.ip()) {
                Ok(()) => reception.n_accepted += 1,
                Err(error) => {
                    reception.n_refused += 1;
                    reception.last_error = Some(error);
                }
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => reception.n_socket_errors += 1,
        }
    }
}

/// A socket on `address` that never waits.
///
/// # Errors
/// When the address is taken or not this machine's.
pub fn bind(address: std::net::SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
