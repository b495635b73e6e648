//! The rollout as a recording: simulated time and drawing time have nothing to do with each other.

use crate::viewer::arguments::Arguments;
use crate::viewer::arguments::RecordTarget;
use crate::viewer::error::ViewerError;
use crate::viewer::offscreen::Offscreen;
use crate::viewer::orbit::Orbit;
use crate::viewer::overlay::{Overlay, status_line};
use crate::viewer::reading::Reading;
use crate::viewer::recorder::{PICTURES_PER_S, Recorded, Recorder};
use crate::viewer::rollout::Rollout;
use crate::viewer::studio::Subject;
use sim::SERVO_HZ;

/// Records the rollout to where the command line says. Returns what was written, and what the instruments said last.
///
/// # Errors
/// [`ViewerError::NoRenderer`] when there is no graphics driver; nothing is written then. Else when the rollout, the
/// renderer or the file system fails.
pub fn record(arguments: &Arguments) -> Result<(Recorded, Reading), ViewerError> {
    let target = arguments.record_target();
    let mut rollout = Rollout::new(arguments)?;
    let mut moment = rollout.tick()?;
    let mut n_ticks = 1;

    let subject = Subject { parts: rollout.parts(), frame: moment.frame.clone() };
    let view = Orbit::framing(subject.points()).transform();
    let overlay = Overlay { title: rollout.title(), status: status_line(&moment.reading), ..Overlay::default() };
    let mut camera = Offscreen::new(arguments.size, view, subject, overlay)?;
    let mut recorder = Recorder::new(&target, arguments.size)?;

    let n_pictures = (arguments.seconds / arguments.speed * f64::from(PICTURES_PER_S)).ceil() as u64;
    for picture_idx in 0..n_pictures {
        // A still shows the last moment only.
        let due_s = match target {
            RecordTarget::Still(_) => arguments.seconds,
            _ => (picture_idx + 1) as f64 / f64::from(PICTURES_PER_S) * arguments.speed,
        };
        let n_due = (due_s * f64::from(SERVO_HZ)).round() as u64;
        while n_ticks <= n_due {
            moment = rollout.tick()?;
            n_ticks += 1;
        }
        let subject = Subject { parts: rollout.parts(), frame: moment.frame.clone() };
        recorder.add(camera.shoot(subject, status_line(&moment.reading))?)?;
        if matches!(target, RecordTarget::Still(_)) {
            break;
        }
    }
    Ok((recorder.finish()?, moment.reading))
}
