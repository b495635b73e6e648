//! Files that survive a killed process.
//!
//! [`write_atomic`] leaves either the old content or the new one. A [`FrameWriter`] appends records to a log; a log cut
//! off at any byte is readable up to its last whole record.
//!
//! Frame: `length: u32 LE | crc32(payload): u32 LE | payload`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// No frame is longer: a damaged length must not become a huge allocation.
pub const MAX_FRAME_BYTES: u32 = 256 << 20;

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

/// Appends frames to a log.
#[derive(Debug)]
pub struct FrameWriter {
    file: File,
}

impl FrameWriter {
    /// Opens or creates the log and cuts a broken last frame off, so that what is appended stays readable.
    ///
    /// # Errors
    /// Any of the file system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let whole = if path.exists() { read_frames(path)?.whole_bytes } else { 0 };
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file })
    }

    /// Appends one record and waits until it is on disk.
    ///
    /// # Errors
    /// Any of the file system's, or a payload above [`MAX_FRAME_BYTES`].
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
            let length =
                u32::try_from(payload.len()).ok().filter(|&length| length <= MAX_FRAME_BYTES).ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidInput, "the record is longer than a frame may be")
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
    /// Bytes after the last whole frame: lost.
    pub lost_bytes: u64,
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
    Ok(frames)
}

fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if length > MAX_FRAME_BYTES {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(length as usize)?;
    (crc32(payload) == u32::from_le_bytes(*crc)).then_some((payload, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a log cut at any byte yields exactly the records that were whole, and can be appended to again.
    #[test]
    fn a_cut_log_keeps_its_whole_records() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        let records: [&[u8]; 3] = [b"one", b"", b"three"];
        let mut writer = FrameWriter::open(&path)?;
        for record in records {
            writer.append(record)?;
        }
        let bytes = std::fs::read(&path)?;
        let ends = [11, 19, 32];
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
