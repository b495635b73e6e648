//! The cameras of a robot: frames that are kept beside its episodes.
//!
//! ```text
//! camera -- its own thread (Eye) --> frames (bounded, dropped and counted when full) --> Writer, on one more
//! session -- an episode begins, ends, is judged -----------------------------------------^   `--> reports
//!
//! runs/X/frames/N/CAMERA/000000.jpg ..  frames of the N-th episode that was begun, as the camera delivered them
//!                        index.jsonl    a line a frame, written whole when the episode ends
//!                 episode.json          what became of it, and when each observation was made
//! ```
//! Nobody waits: neither the control loop nor the session for a camera or the disk, nor a camera for the disk. Where the
//! robot is emulated in its own time, all of it happens on the caller's thread, the same every time.

mod eye;
mod index;
mod writer;

pub use index::{EpisodeNote, Fate, FrameLine, Piece};

use super::Emulation;
use bridge::number::{NonNegative, Positive};
use bridge::real::camera::{self, CameraConfig, CameraError, FrameSource};
use bridge::real::clock::{Clock, MachineClock};
use bridge::real::control_loop::Event;
use color_eyre::eyre::{Result, WrapErr};
use crossbeam::channel::{Receiver, Sender, bounded};
use eye::{Counts, Eye};
use serde::{Deserialize, Serialize};
use std::io;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use writer::{Disk, Order, Writer};

/// Orders that wait for the writer: more than a session gives while a frame is written.
const N_ORDERS: usize = 64;
/// Lines for the log.
const N_REPORTS: usize = 64;
/// How often a writer without work looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// How long whoever waits for a picture of an emulated camera sleeps.
pub(crate) const NAP: Duration = Duration::from_millis(5);

/// How frames are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilmingConfig {
    /// Frames of all cameras together that may wait for the disk. What finds no place is dropped and counted.
    pub n_waiting: NonZeroU16,
    /// A camera that delivers nothing for this long is reported, s.
    pub silent_after_s: Positive,
    /// With less free space on the disk than this no frame is written, GB of 10^9 bytes.
    pub least_free_gb: NonNegative,
}

/// Opens a camera, at the beginning and again when it was lost.
pub(crate) type Opener = Box<dyn FnMut() -> Result<Box<dyn FrameSource>, CameraError> + Send>;

/// A camera of this machine.
pub(crate) fn real_camera(config: &CameraConfig, clock: MachineClock) -> Opener {
    let config = config.clone();
    Box::new(move || camera::open(&config, clock))
}

/// One that stands for it.
pub(crate) fn emulated_camera<C: Clock + Clone + 'static>(
    emulation: &Emulation,
    config: &CameraConfig,
    clock: C,
    nap: Duration,
) -> Opener {
    let (emulation, config) = (emulation.clone(), config.clone());
    Box::new(move || Ok(emulation.film_camera(&config, clock.clone(), nap)))
}

/// The cameras of a connection.
pub(super) struct Film {
    desk: Desk,
    orders: Option<Sender<Order>>,
    reports: Receiver<String>,
    counts: Vec<(String, Arc<Counts>)>,
    n_orders_lost: u64,
}

/// Who takes the frames.
enum Desk {
    /// Whoever turns the robot.
    InStep { eyes: Vec<(Eye, Box<dyn FrameSource>)>, writer: Box<Writer> },
    /// Threads of their own.
    OnThreads { is_over: Arc<AtomicBool>, eyes: Vec<JoinHandle<()>>, writer: Option<JoinHandle<()>> },
}

impl Film {
    /// Films with `cameras` in the time of clocks from `clock`, into `folder`; on threads of their own, or when it is turned.
    ///
    /// # Errors
    /// When a camera cannot be opened, or there is no place for frames.
    pub(super) fn open<C: Clock + 'static>(
        cameras: Vec<(&CameraConfig, Opener)>,
        config: FilmingConfig,
        clock: impl Fn() -> C,
        folder: &Path,
        is_on_threads: bool,
    ) -> Result<Self> {
        let (shots_out, shots) = bounded(usize::from(config.n_waiting.get()));
        let (orders_out, orders) = bounded(N_ORDERS);
        let (reports_out, reports) = bounded(N_REPORTS);
        let names: Vec<String> = cameras.iter().map(|(camera, _)| camera.name.clone()).collect();
        let writer = Writer::new(folder, names, config, Box::new(Disk), (shots, orders), reports_out.clone())
            .wrap_err_with(|| format!("frames of cameras: {}", folder.display()))?;
        let (mut eyes, mut counts) = (Vec::new(), Vec::new());
        for (camera_idx, (camera, mut opener)) in cameras.into_iter().enumerate() {
            let source = opener()?;
            let eye = Eye::new(camera_idx, camera, config, Box::new(clock()), shots_out.clone(), reports_out.clone());
            counts.push((camera.name.clone(), eye.counts()));
            eyes.push((eye, source, opener));
        }
        let film = |desk| Self { desk, orders: Some(orders_out), reports, counts, n_orders_lost: 0 };
        if !is_on_threads {
            let eyes = eyes.into_iter().map(|(eye, source, _)| (eye, source)).collect();
            return Ok(film(Desk::InStep { eyes, writer: Box::new(writer) }));
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let writer = std::thread::Builder::new().name("frames".into()).spawn(move || writer.run(&over, LOOK))?;
        let mut film = film(Desk::OnThreads { is_over, eyes: Vec::new(), writer: Some(writer) });
        for (eye, source, opener) in eyes {
            film.spawn(eye, source, opener)?;
        }
        Ok(film)
    }

    /// Takes in what the cameras have, where nobody else does.
    pub(super) fn turn(&mut self) {
        if let Desk::InStep { eyes, writer } = &mut self.desk {
            for (eye, source) in eyes {
                // A camera that has no thread is a synthetic one, which is never gone.
                while matches!(eye.look(source.as_mut()), Ok(true)) {}
            }
            writer.serve();
        }
    }

    /// Takes note of an event of the loop.
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::EpisodeBegun { at_s, .. } => self.order(Order::Begin { at_s: *at_s }),
            Event::EpisodeEnded { at_s, .. } => self.order(Order::End { at_s: *at_s }),
            _ => {}
        }
    }

    /// Says what became of the episode that ended last.
    pub(super) fn judge(&mut self, note: EpisodeNote) {
        self.order(Order::Judge(note));
    }

    /// What there is to be told.
    pub(super) fn reports(&self) -> impl Iterator<Item = String> {
        self.reports.try_iter()
    }

    /// Ends it. What is waiting is written; what there is to be told at the end.
    pub(super) fn end(mut self) -> Vec<String> {
        self.finish();
        let total = |(name, counts): &(String, Arc<Counts>)| {
            let (n_taken, n_dropped) = counts.get();
            format!("camera {name}: {n_taken} frames came, {n_dropped} of them dropped")
        };
        let mut told: Vec<String> = self.reports.try_iter().chain(self.counts.iter().map(total)).collect();
        if self.n_orders_lost > 0 {
            told.push(format!("cameras: the disk was too slow; {} beginnings and ends were lost", self.n_orders_lost));
        }
        told
    }

    fn spawn(&mut self, eye: Eye, source: Box<dyn FrameSource>, opener: Opener) -> io::Result<()> {
        if let Desk::OnThreads { is_over, eyes, .. } = &mut self.desk {
            let over = Arc::clone(is_over);
            let builder = std::thread::Builder::new().name("camera".into());
            eyes.push(builder.spawn(move || eye.watch(source, opener, &over))?);
        }
        Ok(())
    }

    fn order(&mut self, order: Order) {
        let is_taken = self.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok());
        if is_taken {
            // On the caller's own thread it is done at once.
            if let Desk::InStep { writer, .. } = &mut self.desk {
                writer.serve();
            }
        } else {
            self.n_orders_lost += 1;
        }
    }

    fn finish(&mut self) {
        self.orders = None;
        match &mut self.desk {
            Desk::InStep { writer, .. } => writer.finish(),
            Desk::OnThreads { is_over, eyes, writer } => {
                is_over.store(true, Ordering::Relaxed);
                // One that panicked has said so itself.
                eyes.drain(..).for_each(|eye| drop(eye.join()));
                drop(writer.take().map(JoinHandle::join));
            }
        }
    }
}

impl Drop for Film {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests;
