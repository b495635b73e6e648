//! Files that survive a killed process.
//!
//! [`write_atomic`] leaves either the old content or the new one. A [`FrameWriter`] appends records to a log; a log cut
//! off at any byte is readable up to its last whole record. One that was damaged where it lay is not cut: what is behind the
//! damage is whole.
//!
//! Frame: `length: u32 LE | crc32(payload): u32 LE | payload`. None is empty: the zeros that a loss of power leaves at the end of
//! a file would be frames.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use thiserror::Error;

/// No frame is longer: a damaged length must not become a huge allocation.
pub const MAX_FRAME_BYTES: u32 = 256 << 20;
/// Behind a broken frame no longer ones are looked for: each length by chance wants the checksum of so much. Behind a torn record of
/// 200 kB that takes 16 ms, behind a damaged length in 200 MB 3 s.
const MAX_SOUGHT_BYTES: usize = 16 << 20;

/// Writes `content` beside `path`, syncs it, and renames it into place.
///
/// # Errors
/// Any of the file system's; the old file is then untouched.
pub fn write_atomic(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".{}.tmp", std::process::id()));
    let temporary = directory.join(temporary_name);
    let written = File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&temporary, path))
        .and_then(|()| File::open(directory)?.sync_all());
    if written.is_err() {
        // The error that matters is the first one; a temporary file that stays is harmless.
        drop(std::fs::remove_file(&temporary));
    }
    written
}

/// Copies a folder with all that is below it. It is not atomic: whoever needs it whole must mark that it is.
///
/// # Errors
/// Any of the file system's.
pub fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The checksum that guards files and frames.
#[must_use]
pub fn crc32(content: &[u8]) -> u32 {
    crc32fast::hash(content)
}

/// A log was damaged where it lay. Nothing of it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the record at byte {at_byte} is damaged, and whole ones are among the {rest_bytes} bytes from there on; nothing was changed. Put a \
     copy of the file from before back, or save one and go on without them: truncate -s {at_byte} FILE"
)]
pub struct Damaged {
    /// Where the first broken frame begins.
    pub at_byte: u64,
    /// Length of the file from there on.
    pub rest_bytes: u64,
}

/// Appends frames to a log.
#[derive(Debug)]
pub struct FrameWriter {
    file: File,
}

impl FrameWriter {
    /// Opens or creates the log and cuts a broken last frame off, so that what is appended stays readable.
    ///
    /// # Errors
    /// Any of the file system's, or [`Damaged`] where whole frames follow a broken one: they are not cut.
    pub fn open(path: &Path) -> io::Result<Self> {
        let frames = if path.exists() { read_frames(path)? } else { Frames::default() };
        if frames.is_damaged {
            let (at_byte, rest_bytes) = (frames.whole_bytes, frames.lost_bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidData, Damaged { at_byte, rest_bytes }));
        }
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
        file.set_len(frames.whole_bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file })
    }

    /// Appends one record and waits until it is on disk.
    ///
    /// # Errors
    /// Any of the file system's, or a payload that is empty or above [`MAX_FRAME_BYTES`].
    pub fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        self.append_all(&[payload])
    }

    /// Appends records and waits once until all of them are on disk.
    ///
    /// # Errors
    /// As [`FrameWriter::append`]; none of them is then written, unless the file system failed.
    pub fn append_all<P: AsRef<[u8]>>(&mut self, payloads: &[P]) -> io::Result<()> {
        let mut frames = Vec::new();
        for payload in payloads {
            let payload = payload.as_ref();
            let length = u32::try_from(payload.len()).ok().filter(|length| (1..=MAX_FRAME_BYTES).contains(length));
            let length = length.ok_or_else(|| {
                let (found, most) = (payload.len(), MAX_FRAME_BYTES);
                let what = format!("a record of {found} bytes, expected 1 to {most}; nothing was written");
                io::Error::new(io::ErrorKind::InvalidInput, what)
            })?;
            frames.extend_from_slice(&length.to_le_bytes());
            frames.extend_from_slice(&crc32(payload).to_le_bytes());
            frames.extend_from_slice(payload);
        }
        self.file.write_all(&frames)?;
        self.file.sync_data()
    }
}

/// What a log holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// The payloads of all whole frames, in order.
    pub payloads: Vec<Vec<u8>>,
    /// Length of the part of the file that these frames fill.
    pub whole_bytes: u64,
    /// Bytes from the first broken frame on: lost.
    pub lost_bytes: u64,
    /// Whether whole frames are among them: the broken one was damaged where it lay, and not cut off.
    pub is_damaged: bool,
}

/// Reads all whole frames of a log; stops at the first broken one and says how much was lost.
///
/// # Errors
/// Any of the file system's. Damage is not an error, it is reported in [`Frames::lost_bytes`].
pub fn read_frames(path: &Path) -> io::Result<Frames> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let mut frames = Frames::default();
    let mut rest = bytes.as_slice();
    while let Some((payload, next)) = split_frame(rest) {
        frames.payloads.push(payload.to_vec());
        rest = next;
    }
    frames.lost_bytes = rest.len() as u64;
    frames.whole_bytes = bytes.len() as u64 - frames.lost_bytes;
    frames.is_damaged = has_whole_frame(rest);
    Ok(frames)
}

/// The payload of the frame that `bytes` begin with, and what is behind it; none if it is broken.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (payload, crc, rest) = split_unchecked(bytes)?;
    (crc32(payload) == crc).then_some((payload, rest))
}

/// Payload, checksum and rest as the length says.
fn split_unchecked(bytes: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if !(1..=MAX_FRAME_BYTES).contains(&length) {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(length as usize)?;
    Some((payload, u32::from_le_bytes(*crc), rest))
}

/// Whether a whole frame is behind the broken one that `bytes` begin with: where its length says, or, as that may be what is
/// broken, anywhere.
fn has_whole_frame(bytes: &[u8]) -> bool {
    let is_next_whole = split_unchecked(bytes).is_some_and(|(.., rest)| split_frame(rest).is_some());
    is_next_whole
        || (1..bytes.len()).any(|begin| {
            split_unchecked(&bytes[begin..])
                .is_some_and(|(payload, crc, _)| payload.len() <= MAX_SOUGHT_BYTES && crc32(payload) == crc)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a log cut at any byte yields exactly the records that were whole, and can be appended to again.
    #[test]
    fn a_cut_log_keeps_its_whole_records() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        let records: [&[u8]; 3] = [b"one", b"2", b"three"];
        let mut writer = FrameWriter::open(&path)?;
        for record in records {
            writer.append(record)?;
        }
        let bytes = std::fs::read(&path)?;
        let ends = [11, 20, 33];
        for cut in 0..=bytes.len() {
            write_atomic(&path, &bytes[..cut])?;
            let n_whole = ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(read_frames(&path)?.payloads, records[..n_whole], "cut at {cut}");
            FrameWriter::open(&path)?.append(b"more")?;
            let frames = read_frames(&path)?;
            assert_eq!(frames.payloads.len(), n_whole + 1);
            assert_eq!(frames.lost_bytes, 0);
        }
        Ok(())
    }

    /// Contract: zeros at the end of a log, which a loss of power leaves, are no records, however many there are: they are cut like a
    /// torn frame. An empty record is refused, and nothing is written.
    #[test]
    fn zeros_are_no_records() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        FrameWriter::open(&path)?.append(b"one")?;
        let bytes = std::fs::read(&path)?;
        for n_zeros in 1..40 {
            write_atomic(&path, &[bytes.as_slice(), &vec![0; n_zeros]].concat())?;
            let frames = read_frames(&path)?;
            assert_eq!((frames.payloads.len(), frames.lost_bytes, frames.is_damaged), (1, n_zeros as u64, false));
            FrameWriter::open(&path)?.append(b"two")?;
            assert_eq!(read_frames(&path)?.payloads, [b"one", b"two"], "{n_zeros} zeros");
        }
        let before = std::fs::read(&path)?;
        let mut writer = FrameWriter::open(&path)?;
        let error = writer.append_all(&[b"three".as_slice(), b""]).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains("0 bytes, expected 1 to")), "{error:?}");
        assert_eq!(std::fs::read(&path)?, before);
        Ok(())
    }

    /// Contract: a bit that is turned in any byte before the last record, of a length too, costs nothing behind it: the log is not
    /// opened, its bytes stay what they were, and it is said where. One in the last record is a torn end.
    #[test]
    fn damage_is_not_cut() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        let records = [b"one".repeat(9), b"two".repeat(9), b"three".repeat(9)];
        FrameWriter::open(&path)?.append_all(&records)?;
        let bytes = std::fs::read(&path)?;
        let starts = [0, 35, 70];
        for byte in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 1 << (byte % 8);
            write_atomic(&path, &damaged)?;
            let n_whole = starts.iter().filter(|&&start| start <= byte).count() - 1;
            assert_eq!(read_frames(&path)?.payloads, records[..n_whole], "byte {byte}");
            let opened = FrameWriter::open(&path);
            if n_whole == 2 {
                opened?;
                assert_eq!(std::fs::read(&path)?, bytes[..70], "byte {byte}");
                continue;
            }
            let error = opened.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(&format!("at byte {} is damaged", starts[n_whole])), "byte {byte}: {error}");
            assert_eq!(std::fs::read(&path)?, damaged, "byte {byte}");
        }
        Ok(())
    }

    /// Contract: a flipped bit anywhere never yields a record that was not written.
    #[test]
    fn a_damaged_log_never_invents_records() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        FrameWriter::open(&path)?.append(b"payload")?;
        let bytes = std::fs::read(&path)?;
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            write_atomic(&path, &damaged)?;
            let frames = read_frames(&path)?;
            assert!(frames.payloads.is_empty(), "bit {bit}: {:?}", frames.payloads);
            assert_eq!(frames.lost_bytes, bytes.len() as u64);
        }
        Ok(())
    }
}
