//! A rollout that is lived through again: the dump of a fault, up to the fault.

use crate::viewer::arguments::{Arguments, TaskName};
use crate::viewer::error::ViewerError;
use crate::viewer::filmed::{Filmed, Reel};
use crate::viewer::pull::Pull;
use crate::viewer::reading::Instruments;
use crate::viewer::rollout::{Moment, Rollout};
use crate::viewer::steering::Steering;
use crate::viewer::{cube, scissors};
use bridge::{Body, Outcome};
use sim::{Dump, Hand, Origin, Part, SERVO_HZ};
use std::path::Path;

/// How long the moment of the fault is shown before everything begins anew, s.
const FAULT_S: f64 = 3.0;

/// The body of a dump, and where in the dump it is.
pub struct Replay {
    dump: Dump,
    filmed: Filmed,
    reel: Reel,
    instruments: Box<dyn Instruments>,
    tick: usize,
    latest: Option<Moment>,
    /// Ticks that the moment of the fault is still shown for, once it was reached.
    ticks_left: Option<u32>,
}

impl Replay {
    /// The dump at `path`, at its beginning.
    ///
    /// # Errors
    /// When the file is no dump, or its body is not known.
    pub fn new(path: &Path) -> Result<Self, ViewerError> {
        let dump = Dump::read(path)?;
        let reel = Reel::default();
        let filmed = Filmed::new(dump.body()?, &reel);
        let instruments = match &dump.origin {
            Origin::Cube { hand, .. } => cube::instruments(hand)?,
            Origin::Scissors { .. } => scissors::instruments(),
        };
        let mut replay = Self { dump, filmed, reel, instruments, tick: 0, latest: None, ticks_left: None };
        replay.restart()?;
        Ok(replay)
    }

    /// Length of the dump at `path`, and of the look at its end, s.
    ///
    /// # Errors
    /// When the file is no dump.
    pub fn seconds(path: &Path) -> Result<f64, ViewerError> {
        Ok(Dump::read(path)?.commands.len() as f64 / f64::from(SERVO_HZ) + 0.5 * FAULT_S)
    }
}

impl Rollout for Replay {
    fn task(&self) -> TaskName {
        match &self.dump.origin {
            Origin::Cube { .. } => TaskName::Cube,
            Origin::Scissors { .. } => TaskName::Scissors,
        }
    }

    fn is_mirrored(&self) -> bool {
        let (Origin::Cube { hand, .. } | Origin::Scissors { hand, .. }) = &self.dump.origin;
        Hand::load(hand).is_ok_and(|hand| hand.is_mirrored)
    }

    fn title(&self) -> String {
        let (task, hand) = self.dump.origin.names();
        format!("{hand} | {task} | replay of a fault | seed {}", self.dump.seed)
    }

    fn horizon_s(&self) -> f64 {
        self.dump.commands.len() as f64 / f64::from(SERVO_HZ)
    }

    fn parts(&self) -> Vec<Part> {
        self.filmed.parts()
    }

    fn tick(&mut self) -> Result<Moment, ViewerError> {
        loop {
            if let Some(frame) = self.reel.take_frame() {
                let reading = self.instruments.read(&frame, &Outcome::default(), None);
                let moment = Moment { frame, reading, thought: None };
                self.latest = Some(moment.clone());
                return Ok(moment);
            }
            match (self.ticks_left, &self.latest) {
                (None, _) => {
                    let lived = self.filmed.replay(&self.dump, self.tick);
                    self.tick += 1;
                    if !matches!(lived, Ok(true)) {
                        let fault =
                            lived.map_or_else(|error| error.to_string(), |_| "it does not fail any more".into());
                        self.ticks_left = Some((FAULT_S * f64::from(SERVO_HZ)) as u32);
                        if let Some(latest) = &mut self.latest {
                            latest.reading.ending = Some(fault);
                        }
                    }
                }
                (Some(0), _) | (Some(_), None) => self.restart()?,
                (Some(ticks_left), Some(latest)) => {
                    self.ticks_left = Some(ticks_left - 1);
                    return Ok(latest.clone());
                }
            }
        }
    }

    fn restart(&mut self) -> Result<(), ViewerError> {
        self.filmed.reset(self.dump.seed).map_err(bridge::EnvironmentError::from)?;
        self.instruments.clear();
        (self.tick, self.ticks_left) = (0, None);
        Ok(())
    }

    fn begin(&mut self, _seed: u64) -> Result<(), ViewerError> {
        self.restart()
    }

    fn arguments(&self) -> Option<&Arguments> {
        None
    }

    fn is_recording(&self) -> bool {
        false
    }

    fn record(&mut self, _folder: &Path) -> Result<String, ViewerError> {
        Ok("a replay is not recorded: it is on record already".into())
    }

    fn end_recording(&mut self) -> Result<Option<String>, ViewerError> {
        Ok(None)
    }

    fn steer(&mut self, _steering: Steering) {}

    /// What has happened is not disturbed.
    fn push(&mut self, _impulse_n_s: [f32; 3]) {}

    /// What has happened is not disturbed.
    fn pull(&mut self, _pull: Option<Pull>) {}
}
