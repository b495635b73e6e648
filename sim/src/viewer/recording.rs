//! The rollout as a recording: simulated time and drawing time have nothing to do with each other.

use crate::viewer::arguments::{Arguments, RecordTarget};
use crate::viewer::chronicle::Chronicle;
use crate::viewer::error::ViewerError;
use crate::viewer::offscreen::Offscreen;
use crate::viewer::orbit::{Orbit, View};
use crate::viewer::overlay::Overlay;
use crate::viewer::palette::Palette;
use crate::viewer::picture::Picture;
use crate::viewer::reading::Reading;
use crate::viewer::recorder::{PICTURES_PER_S, Recorded, Recorder};
use crate::viewer::rollout::{Moment, Rollout, rollout};
use crate::viewer::studio::Subject;
use sim::SERVO_HZ;

/// Pictures that an animation's colours are taken from.
const N_SCOUTED: u64 = 10;

/// Records the rollout to where the command line says. Returns what was written, and what the instruments said last.
///
/// # Errors
/// [`ViewerError::NoRenderer`] when there is no graphics driver; nothing is written then. Else when the rollout, the
/// renderer or the file system fails.
pub fn record(arguments: &Arguments) -> Result<(Recorded, Reading), ViewerError> {
    let target = arguments.record_target();
    let mut film = Film::new(arguments)?;
    let mut camera = film.camera(arguments)?;
    let seconds = arguments.seconds()?;
    println!("Recording {seconds} s of {} to {}", film.rollout.title(), target.path().display());
    let mut recorder = Recorder::new(&target, arguments.picture_size(), || scout(arguments, seconds, &mut camera))?;
    let shown_s = seconds / arguments.speed;
    let n_pictures = match target {
        RecordTarget::Still(_) => 1,
        RecordTarget::Gif(_) | RecordTarget::Series(_) => (shown_s * f64::from(PICTURES_PER_S)).ceil() as u64,
    };
    for picture in 1..=n_pictures {
        film.wind_to(seconds * picture as f64 / n_pictures as f64)?;
        recorder.add(film.shoot(&mut camera)?)?;
    }
    Ok((recorder.finish()?, film.moment.reading))
}

/// Goes through the same rollout ahead of the recording: the colours must be known before the first picture is written,
/// and a side of the cube that shows up later has its own.
fn scout(arguments: &Arguments, seconds: f64, camera: &mut Offscreen) -> Result<Palette, ViewerError> {
    let mut film = Film::new(arguments)?;
    let pictures = (0..N_SCOUTED).map(|picture| {
        film.wind_to(seconds * picture as f64 / (N_SCOUTED - 1) as f64)?;
        film.shoot(camera)
    });
    Ok(Palette::of(&pictures.collect::<Result<Vec<_>, _>>()?))
}

/// A rollout that is wound forward from picture to picture.
struct Film {
    rollout: Box<dyn Rollout>,
    moment: Moment,
    chronicle: Chronicle,
    n_ticks: u64,
}

impl Film {
    fn new(arguments: &Arguments) -> Result<Self, ViewerError> {
        let mut rollout = rollout(arguments)?;
        let moment = rollout.tick()?;
        let mut chronicle = Chronicle::new(rollout.horizon_s());
        chronicle.follow(&moment);
        Ok(Self { rollout, moment, chronicle, n_ticks: 0 })
    }

    /// A camera in front of the rollout's start.
    fn camera(&self, arguments: &Arguments) -> Result<Offscreen, ViewerError> {
        let subject = self.subject();
        let view = Orbit::framing(self.rollout.task(), View::First, subject.points());
        Offscreen::new(arguments.picture_size(), view, subject, self.overlay())
    }

    /// Goes on to `time_s` since the first moment.
    fn wind_to(&mut self, time_s: f64) -> Result<(), ViewerError> {
        let n_ticks = (time_s * f64::from(SERVO_HZ)).round() as u64;
        while self.n_ticks < n_ticks {
            self.moment = self.rollout.tick()?;
            self.chronicle.follow(&self.moment);
            self.n_ticks += 1;
        }
        Ok(())
    }

    fn shoot(&self, camera: &mut Offscreen) -> Result<Picture, ViewerError> {
        camera.shoot(self.subject(), self.overlay())
    }

    fn overlay(&self) -> Overlay {
        Overlay {
            title: self.rollout.title(),
            status: self.moment.reading.status(),
            chronicle: self.chronicle.clone(),
            thought: self.moment.thought.clone(),
            has_traces: true,
            has_curves: true,
            ..Overlay::default()
        }
    }

    fn subject(&self) -> Subject {
        Subject { parts: self.rollout.parts(), frame: self.moment.frame.clone() }
    }
}
