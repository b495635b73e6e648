//! One camera: takes its frames, gives them on or drops them, and says when it is silent.

use super::writer::Shot;
use super::{FilmingConfig, Opener};
use bridge::real::camera::{CameraConfig, CameraError, Frame, FrameSource};
use bridge::real::clock::Clock;
use crossbeam::channel::{Sender, TrySendError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a camera that is gone is looked for.
const RETRY: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_millis(50);

/// What came, and what found no place.
#[derive(Debug, Default)]
pub(super) struct Counts {
    n_taken: AtomicU64,
    n_dropped: AtomicU64,
}

impl Counts {
    /// Frames that came, and of them those dropped.
    pub(super) fn get(&self) -> (u64, u64) {
        (self.n_taken.load(Ordering::Relaxed), self.n_dropped.load(Ordering::Relaxed))
    }
}

/// Who looks through a camera.
pub(super) struct Eye {
    camera_idx: usize,
    name: String,
    silent_after_s: f64,
    clock: Box<dyn Clock>,
    shots: Sender<Shot>,
    reports: Sender<String>,
    counts: Arc<Counts>,
    /// Dropped since the last one that was given on.
    n_dropped: u64,
    last_s: f64,
    is_silent: bool,
    blank: Frame,
}

impl Eye {
    pub(super) fn new(
        camera_idx: usize,
        camera: &CameraConfig,
        config: FilmingConfig,
        clock: Box<dyn Clock>,
        shots: Sender<Shot>,
        reports: Sender<String>,
    ) -> Self {
        Self {
            camera_idx,
            name: camera.name.clone(),
            silent_after_s: config.silent_after_s.get(),
            last_s: clock.now_s(),
            clock,
            shots,
            reports,
            counts: Arc::default(),
            n_dropped: 0,
            is_silent: false,
            blank: Frame::default(),
        }
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Takes the next frame, if there is one; whether there was.
    ///
    /// # Errors
    /// When the camera is gone.
    pub(super) fn look(&mut self, source: &mut dyn FrameSource) -> Result<bool, CameraError> {
        let is_there = source.next(&mut self.blank)?;
        let now_s = self.clock.now_s();
        if is_there {
            if self.is_silent {
                self.is_silent = false;
                self.report(now_s, "delivers again");
            }
            self.last_s = now_s;
            self.give_on();
        } else if !self.is_silent && now_s - self.last_s > self.silent_after_s {
            self.is_silent = true;
            self.report(now_s, &format!("no frame for {} s; the robot goes on without", self.silent_after_s));
        }
        Ok(is_there)
    }

    /// Looks until it is over, and for the camera where it is gone.
    pub(super) fn watch(mut self, source: Box<dyn FrameSource>, mut opener: Opener, is_over: &AtomicBool) {
        let mut source = Some(source);
        while !is_over.load(Ordering::Relaxed) {
            let Some(camera) = &mut source else {
                source = self.search(&mut opener, is_over);
                continue;
            };
            if let Err(error) = self.look(camera.as_mut()) {
                source = None;
                self.is_silent = true;
                self.report(self.clock.now_s(), &format!("gone: {error}; the robot goes on without"));
            }
        }
    }

    /// One attempt to have the camera back, after a while.
    fn search(&self, opener: &mut Opener, is_over: &AtomicBool) -> Option<Box<dyn FrameSource>> {
        let next = Instant::now() + RETRY;
        while Instant::now() < next {
            if is_over.load(Ordering::Relaxed) {
                return None;
            }
            std::thread::sleep(NAP);
        }
        opener().ok()
    }

    fn give_on(&mut self) {
        self.counts.n_taken.fetch_add(1, Ordering::Relaxed);
        let frame = std::mem::take(&mut self.blank);
        let shot = Shot { camera_idx: self.camera_idx, n_dropped: self.n_dropped, frame };
        match self.shots.try_send(shot) {
            Ok(()) => self.n_dropped = 0,
            Err(TrySendError::Full(shot) | TrySendError::Disconnected(shot)) => {
                self.n_dropped += 1;
                self.counts.n_dropped.fetch_add(1, Ordering::Relaxed);
                if self.n_dropped == 1 {
                    let what = "the disk is too slow: frames are dropped; fewer pixels or a lower rate would do";
                    self.report(self.clock.now_s(), what);
                }
                // Its memory serves for the next one.
                self.blank = shot.frame;
            }
        }
    }

    fn report(&self, at_s: f64, what: &str) {
        self.reports.try_send(format!("{at_s:9.3}  camera {}: {what}", self.name)).ok();
    }
}
