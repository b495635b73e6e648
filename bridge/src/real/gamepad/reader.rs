//! The thread that listens to a pad.

use super::super::control_loop::EmergencyStop;
use super::super::urgent::Urgency;
use super::{GamepadConfig, GamepadError, PadMap, RawEvent, Sign, device};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Presses that wait to be asked for. More are not a human's.
const MAX_SIGNS: usize = 16;
/// Reports that wait: presses, and pads that come and go.
const MAX_REPORTS: usize = 64;
/// How often a pad that is gone is looked for.
const RETRY: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_millis(50);

/// What a pad tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PadReport {
    /// A button was pressed; never the emergency stop, which needs nobody who asks.
    Pressed(Sign),
    /// It is gone; why.
    Lost(String),
    /// It is back; its name.
    Found(String),
}

/// The wire to a pad.
pub trait PadPort: Send {
    /// Appends what has happened; waits for it for a tenth of a second at most.
    ///
    /// # Errors
    /// When the pad is gone.
    fn wait(&mut self, events: &mut Vec<RawEvent>) -> io::Result<()>;
}

/// A pad that is listened to, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Gamepad {
    name: String,
    reports: Receiver<PadReport>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Gamepad {
    /// Listens to the pad of `config`, whose emergency stop is `e_stop`; none where none is configured.
    ///
    /// # Errors
    /// When it is not there, cannot stop the robot, or its buttons have no clear meaning.
    pub fn open(config: &GamepadConfig, e_stop: EmergencyStop) -> Result<Option<Self>, GamepadError> {
        config.check()?;
        let Some(wanted) = config.device.clone() else { return Ok(None) };
        let (port, name) = device::open(&wanted, config)?;
        let again = config.clone();
        let reopen = move || device::open(&wanted, &again).ok();
        Self::listen(config, e_stop, (port, name), reopen, RETRY).map(Some)
    }

    /// Listens to `port`, the pad of a name. One that is lost is looked for with `reopen`, every `retry`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn listen<P: PadPort + 'static>(
        config: &GamepadConfig,
        e_stop: EmergencyStop,
        (port, name): (P, String),
        reopen: impl FnMut() -> Option<(P, String)> + Send + 'static,
        retry: Duration,
    ) -> Result<Self, GamepadError> {
        let (reports_out, reports) = bounded(MAX_REPORTS);
        let is_over = Arc::new(AtomicBool::new(false));
        let listener = Listener {
            map: PadMap::new(&config.buttons),
            e_stop,
            reports: reports_out,
            events: Vec::new(),
            is_over: Arc::clone(&is_over),
        };
        let thread = Urgency::Period
            .spawn("gamepad", move || listener.run(port, reopen, retry))
            .map_err(|source| GamepadError::Io { name: name.clone(), source })?;
        Ok(Self { name, reports, is_over, thread: Some(thread) })
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it tells next. Never waits.
    #[must_use]
    pub fn next(&self) -> Option<PadReport> {
        self.reports.try_recv().ok()
    }
}

impl Drop for Gamepad {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so itself.
            drop(thread.join());
        }
    }
}

struct Listener {
    map: PadMap<Sign>,
    e_stop: EmergencyStop,
    reports: Sender<PadReport>,
    events: Vec<RawEvent>,
    is_over: Arc<AtomicBool>,
}

impl Listener {
    fn run<P: PadPort>(mut self, mut port: P, mut reopen: impl FnMut() -> Option<(P, String)>, retry: Duration) {
        while !self.is_over.load(Ordering::Relaxed) {
            let heard = port.wait(&mut self.events);
            self.pass_on();
            let Err(error) = heard else { continue };
            self.map.release_all();
            self.report(PadReport::Lost(error.to_string()));
            // Its device has to be closed before it is opened again.
            drop(port);
            let Some((found, name)) = self.search(&mut reopen, retry) else { return };
            port = found;
            self.report(PadReport::Found(name));
        }
    }

    fn pass_on(&mut self) {
        for event in self.events.drain(..) {
            match self.map.take(event) {
                Some(Sign::EStop) => self.e_stop.press(),
                Some(sign) if self.reports.len() < MAX_SIGNS => {
                    self.reports.try_send(PadReport::Pressed(sign)).ok();
                }
                _ => {}
            }
        }
    }

    /// Looks for the pad until it is back; none when it is over.
    fn search<P>(&self, reopen: &mut impl FnMut() -> Option<P>, retry: Duration) -> Option<P> {
        while !self.is_over.load(Ordering::Relaxed) {
            let next = Instant::now() + retry;
            while Instant::now() < next && !self.is_over.load(Ordering::Relaxed) {
                std::thread::sleep(NAP.min(retry));
            }
            if let Some(found) = reopen() {
                return Some(found);
            }
        }
        None
    }

    fn report(&self, report: PadReport) {
        self.reports.try_send(report).ok();
    }
}
