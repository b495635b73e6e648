//! Scalars in TensorBoard's event files.
//!
//! A file is a sequence of TFRecords, all integers little endian:
//! `length: u64 | masked_crc32c(length): u32 | payload | masked_crc32c(payload): u32`,
//! where `mask(crc) = rotate_right(crc, 15) + 0xa282ead8`. A payload is a protobuf message:
//!
//! ```text
//! Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
//! Summary { repeated Value value = 1; }
//! Value   { string tag = 1; float simple_value = 2; }
//! ```
//!
//! Source: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, framework/summary.proto.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The first event of every file says that it is one.
const FILE_VERSION: &[u8] = b"brain.Event:2";

/// Protobuf keys: `field number << 3 | wire type`, with wire types 0 varint, 1 fixed64, 2 bytes, 5 fixed32.
mod key {
    pub(super) const EVENT_WALL_TIME: u8 = 1 << 3 | 1;
    pub(super) const EVENT_STEP: u8 = 2 << 3;
    pub(super) const EVENT_FILE_VERSION: u8 = 3 << 3 | 2;
    pub(super) const EVENT_SUMMARY: u8 = 5 << 3 | 2;
    pub(super) const SUMMARY_VALUE: u8 = 1 << 3 | 2;
    pub(super) const VALUE_TAG: u8 = 1 << 3 | 2;
    pub(super) const VALUE_SIMPLE_VALUE: u8 = 2 << 3 | 5;
}

/// Appends scalars to an event file of its own.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
}

impl EventWriter {
    /// Creates a new event file in `directory`, which need not be there, named after `wall_time_s` (s since 1970) and `host`.
    ///
    /// A resumed run gets a further file: where two files hold the same step, TensorBoard shows the later one.
    ///
    /// # Errors
    /// Any of the file system's.
    pub fn create(directory: &Path, host: &str, wall_time_s: f64) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut n_taken = 0u32;
        let mut file = loop {
            let name = format!("events.out.tfevents.{:010}.{host}.{n_taken}", wall_time_s as u64);
            match OpenOptions::new().append(true).create_new(true).open(directory.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n_taken += 1,
                opened => break opened?,
            }
        };
        let mut event = event_head(wall_time_s, 0);
        put_bytes(&mut event, key::EVENT_FILE_VERSION, FILE_VERSION);
        file.write_all(&record(&event))?;
        Ok(Self { file })
    }

    /// Appends the values of one step in one write.
    ///
    /// # Errors
    /// Any of the file system's.
    pub fn append<'a>(
        &mut self,
        wall_time_s: f64,
        step: u64,
        scalars: impl IntoIterator<Item = (&'a str, f32)>,
    ) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, scalar) in scalars {
            let mut value = Vec::with_capacity(tag.len() + 8);
            put_bytes(&mut value, key::VALUE_TAG, tag.as_bytes());
            value.push(key::VALUE_SIMPLE_VALUE);
            value.extend_from_slice(&scalar.to_le_bytes());
            put_bytes(&mut summary, key::SUMMARY_VALUE, &value);
        }
        let mut event = event_head(wall_time_s, step);
        put_bytes(&mut event, key::EVENT_SUMMARY, &summary);
        self.file.write_all(&record(&event))
    }
}

fn event_head(wall_time_s: f64, step: u64) -> Vec<u8> {
    let mut event = vec![key::EVENT_WALL_TIME];
    event.extend_from_slice(&wall_time_s.to_le_bytes());
    event.push(key::EVENT_STEP);
    put_varint(&mut event, step);
    event
}

fn put_bytes(message: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    message.push(key);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// Seven bits a byte, lowest first; the top bit says that more follow.
fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(payload.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc32c(&length).to_le_bytes());
    record.extend_from_slice(payload);
    record.extend_from_slice(&masked_crc32c(payload).to_le_bytes());
    record
}

/// Masked, because the CRC of a string that contains its own CRC is a poor check.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event as the tests' own reader sees it.
    #[derive(Debug, Default, PartialEq)]
    struct Event {
        wall_time_s: f64,
        step: u64,
        file_version: Option<String>,
        scalars: Vec<(String, f32)>,
    }

    fn read_varint(bytes: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (&byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// Splits a message into its fields: (number, payload).
    fn read_fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut fields = Vec::new();
        while !message.is_empty() {
            let key = read_varint(&mut message);
            let length = match key & 7 {
                0 => {
                    fields.push((key >> 3, read_varint(&mut message).to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                2 => read_varint(&mut message) as usize,
                5 => 4,
                other => panic!("wire type {other}"),
            };
            let (payload, rest) = message.split_at(length);
            fields.push((key >> 3, payload.to_vec()));
            message = rest;
        }
        fields
    }

    fn read_event(payload: &[u8]) -> Event {
        let mut event = Event::default();
        for (number, field) in read_fields(payload) {
            match number {
                1 => event.wall_time_s = f64::from_le_bytes(field.try_into().unwrap()),
                2 => event.step = u64::from_le_bytes(field.try_into().unwrap()),
                3 => event.file_version = Some(String::from_utf8(field).unwrap()),
                5 => event.scalars.extend(read_fields(&field).into_iter().map(|(_, value)| {
                    let mut value = read_fields(&value).into_iter();
                    let (tag, scalar) = (value.next().unwrap().1, value.next().unwrap().1);
                    (String::from_utf8(tag).unwrap(), f32::from_le_bytes(scalar.try_into().unwrap()))
                })),
                other => panic!("field {other}"),
            }
        }
        event
    }

    fn read_file(path: &Path) -> Vec<Event> {
        let bytes = std::fs::read(path).unwrap();
        let mut rest = bytes.as_slice();
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_crc32c(&rest[..8]).to_le_bytes());
            let payload = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked_crc32c(payload).to_le_bytes());
            events.push(read_event(payload));
            rest = &rest[16 + length..];
        }
        events
    }

    fn files(directory: &Path) -> Vec<std::path::PathBuf> {
        let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    /// Contract: what is written is read back bit for bit, and every checksum holds.
    #[test]
    fn values_round_trip() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut writer = EventWriter::create(folder.path(), "host", 1_763_800_000.25)?;
        let steps = [0, 1, 127, 128, 300_000, u64::from(u32::MAX) + 5];
        for step in steps {
            let scalars = [("critic/loss", step as f32 * 0.1), ("rate", -1e-30), ("größe", f32::MAX)];
            writer.append(1_763_800_001.5, step, scalars)?;
        }
        let events = read_file(&files(folder.path())[0]);
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(events[0].wall_time_s, 1_763_800_000.25);
        assert_eq!(events.len(), 1 + steps.len());
        for (event, step) in events[1..].iter().zip(steps) {
            let named = |tag: &str, scalar| (tag.to_owned(), scalar);
            let scalars =
                vec![named("critic/loss", step as f32 * 0.1), named("rate", -1e-30), named("größe", f32::MAX)];
            assert_eq!(*event, Event { wall_time_s: 1_763_800_001.5, step, file_version: None, scalars });
        }
        Ok(())
    }

    /// Contract: a file is never written into twice, and files sort in the order in which they were opened.
    #[test]
    fn every_writer_has_its_own_file() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        for step in 0..3 {
            EventWriter::create(folder.path(), "host", 5.9)?.append(6.0, step, [("x", 1.0)])?;
        }
        let steps: Vec<u64> = files(folder.path()).iter().map(|path| read_file(path)[1].step).collect();
        assert_eq!(steps, [0, 1, 2]);
        let name = files(folder.path())[0].file_name().map(|name| name.to_string_lossy().into_owned());
        assert_eq!(name.as_deref(), Some("events.out.tfevents.0000000005.host.0"));
        Ok(())
    }

    /// Contract: the checksum is CRC-32C (its check value, RFC 3720 B.4) under TensorFlow's mask.
    ///
    /// ```python
    /// crc = 0xe3069283                     # crc32c(b"123456789")
    /// hex(((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff)
    /// ```
    #[test]
    fn checksum_matches_its_definition() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked_crc32c(b"123456789"), 0xc78a_b0e5);
    }
}
