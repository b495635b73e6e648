//! Frames of episodes on their way to the disk.
//!
//! Between episodes it holds the newest frames of every camera, because it hears of a beginning a little late. What was
//! taken after an end goes away again. A disk that is full or fails stops the recording of that episode and is told once;
//! the next episode is tried anew.

use super::FilmingConfig;
use super::index::{EpisodeNote, Fate, FrameLine};
use bridge::real::camera::Frame;
use bridge::storage::{crc32, write_atomic};
use crossbeam::channel::{Receiver, Sender};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Frames that are held of every camera between episodes: more than come until a beginning is heard of.
const N_HELD: usize = 16;

/// A frame on its way.
#[derive(Debug)]
pub(super) struct Shot {
    pub(super) camera_idx: usize,
    /// How many of its camera were dropped right before it.
    pub(super) n_dropped: u64,
    pub(super) frame: Frame,
}

/// What the session says.
#[derive(Debug)]
pub(super) enum Order {
    /// An episode began.
    Begin { at_s: f64 },
    /// It ended.
    End { at_s: f64 },
    /// This became of it.
    Judge(EpisodeNote),
}

/// Where frames go.
pub(super) trait Store: Send {
    /// Writes a frame.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// What is free, bytes.
    fn free_bytes(&mut self, folder: &Path) -> io::Result<u64>;
}

/// The disk.
pub(super) struct Disk;

impl Store for Disk {
    /// The index, which is written after it, knows its checksum: it need not be synced.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        File::create(path)?.write_all(bytes)
    }

    fn free_bytes(&mut self, folder: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Writes frames.
pub(super) struct Writer {
    folder: PathBuf,
    names: Vec<String>,
    config: FilmingConfig,
    store: Box<dyn Store>,
    shots: Receiver<Shot>,
    orders: Receiver<Order>,
    reports: Sender<String>,
    next_episode: u64,
    held: Vec<VecDeque<Shot>>,
    recording: Option<Recording>,
    /// The episode that ended and was not judged yet.
    ended: Option<PathBuf>,
}

/// An episode that is recorded.
struct Recording {
    folder: PathBuf,
    reels: Vec<Vec<FrameLine>>,
    has_failed: bool,
}

impl Writer {
    pub(super) fn new(
        folder: &Path,
        names: Vec<String>,
        config: FilmingConfig,
        store: Box<dyn Store>,
        (shots, orders): (Receiver<Shot>, Receiver<Order>),
        reports: Sender<String>,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut next_episode = 1;
        for entry in std::fs::read_dir(folder)? {
            let number = entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            next_episode = next_episode.max(number.map_or(0, |number| number.saturating_add(1)));
        }
        let held = names.iter().map(|_| VecDeque::with_capacity(N_HELD)).collect();
        let folder = folder.to_owned();
        let (recording, ended) = (None, None);
        Ok(Self { folder, names, config, store, shots, orders, reports, next_episode, held, recording, ended })
    }

    /// Works until it is over and all is done.
    pub(super) fn run(mut self, is_over: &AtomicBool, look: Duration) {
        while !is_over.load(Ordering::Relaxed) {
            self.serve();
            if let Ok(shot) = self.shots.recv_timeout(look) {
                self.take(shot);
            }
        }
        self.finish();
    }

    /// Does all that waits. A frame that came before an order is dealt with before it.
    pub(super) fn serve(&mut self) {
        loop {
            let order = self.orders.try_recv();
            while let Ok(shot) = self.shots.try_recv() {
                self.take(shot);
            }
            match order {
                Ok(Order::Begin { at_s }) => self.begin(at_s),
                Ok(Order::End { at_s }) => self.end(at_s),
                Ok(Order::Judge(note)) => self.judge(&note),
                Err(_) => return,
            }
        }
    }

    /// The end of it all: an episode that has not ended stays, unjudged.
    pub(super) fn finish(&mut self) {
        self.serve();
        self.end(f64::INFINITY);
    }

    fn take(&mut self, shot: Shot) {
        if self.recording.is_some() {
            self.write(shot);
        } else if let Some(held) = self.held.get_mut(shot.camera_idx) {
            if held.len() == N_HELD {
                held.pop_front();
            }
            held.push_back(shot);
        }
    }

    fn begin(&mut self, at_s: f64) {
        self.end(at_s);
        let folder = self.folder.join(self.next_episode.to_string());
        self.next_episode += 1;
        let reels = self.names.iter().map(|_| Vec::new()).collect();
        let made = self.names.iter().try_for_each(|name| std::fs::create_dir_all(folder.join(name)));
        self.recording = Some(Recording { folder, reels, has_failed: false });
        if let Err(error) = made {
            self.fail(&error.to_string());
        }
        let mut shots = Vec::new();
        for held in &mut self.held {
            // The newest from before, and all since then.
            let n_since = held.iter().rev().take_while(|shot| shot.frame.time_s > at_s).count();
            let n_older = held.len().saturating_sub(n_since + 1);
            shots.extend(held.drain(..).skip(n_older));
        }
        shots.into_iter().for_each(|shot| self.write(shot));
    }

    fn write(&mut self, shot: Shot) {
        let Some(recording) = self.recording.as_mut().filter(|recording| !recording.has_failed) else { return };
        let Shot { camera_idx, n_dropped, frame } = shot;
        let (Some(reel), Some(name)) = (recording.reels.get_mut(camera_idx), self.names.get(camera_idx)) else {
            return;
        };
        let file = format!("{:06}.{}", reel.len(), frame.format.extension());
        let path = recording.folder.join(name).join(&file);
        let least_gb = self.config.least_free_gb.get();
        let written = match self.store.free_bytes(&recording.folder) {
            Ok(free) if (free as f64) < 1e9 * least_gb => Err(format!(
                "{:.1} GB of the disk are free, expected {least_gb} GB (filming.least_free_gb)",
                free as f64 / 1e9
            )),
            Ok(_) => self.store.write(&path, &frame.bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match written {
            Ok(()) => reel.push(FrameLine {
                file,
                time_s: frame.time_s,
                size_px: frame.size_px,
                bytes: frame.bytes.len(),
                crc32: crc32(&frame.bytes),
                n_dropped,
            }),
            Err(why) => {
                // Half of a frame is none.
                drop(std::fs::remove_file(&path));
                self.fail(&why);
            }
        }
    }

    fn end(&mut self, at_s: f64) {
        let Some(mut recording) = self.recording.take() else { return };
        for (name, reel) in self.names.iter().zip(&mut recording.reels) {
            let folder = recording.folder.join(name);
            let n_inside = reel.iter().take_while(|line| line.time_s <= at_s).count();
            for line in reel.drain(n_inside..) {
                // One that stays is in no index.
                drop(std::fs::remove_file(folder.join(line.file)));
            }
            if let Err(error) = write_index(&folder.join("index.jsonl"), reel) {
                self.report(&format!("{}: {error}", folder.display()));
            }
        }
        self.ended = Some(recording.folder);
    }

    fn judge(&mut self, note: &EpisodeNote) {
        let Some(folder) = self.ended.take() else { return };
        let done = match note.fate {
            Fate::Discarded => std::fs::remove_dir_all(&folder),
            Fate::Kept | Fate::Cut => serde_json::to_vec(note)
                .map_err(io::Error::other)
                .and_then(|text| write_atomic(&folder.join("episode.json"), &text)),
        };
        if let Err(error) = done {
            self.report(&format!("{}: {error}", folder.display()));
        }
    }

    fn fail(&mut self, why: &str) {
        let Some(recording) = self.recording.as_mut().filter(|recording| !recording.has_failed) else { return };
        recording.has_failed = true;
        let told = format!("{}: {why}; no more frames of this episode, the robot goes on", recording.folder.display());
        self.report(&told);
    }

    fn report(&self, what: &str) {
        self.reports.try_send(format!("           frames in {what}")).ok();
    }
}

fn write_index(path: &Path, lines: &[FrameLine]) -> io::Result<()> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    write_atomic(path, &text)
}
