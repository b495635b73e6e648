//! The cameras and the gamepad: whether they are there, and how many pictures a second come.

use super::{Examination, Verdict};
use crate::robot::film::Opener;
use bridge::number::Positive;
use bridge::real::camera::{CameraConfig, Frame, FrameSource};
use bridge::real::clock::{Clock as _, MachineClock};
use bridge::real::control_loop::EmergencyStop;
use bridge::real::gamepad::{Gamepad, GamepadConfig};
use std::thread::JoinHandle;

/// Share of the wanted rate that is enough, and that works.
const GOOD_SHARE: f64 = 0.95;
const LEAST_SHARE: f64 = 0.5;

/// Cameras that are looked through, all at once, because they may share a cable.
#[derive(Debug)]
pub struct Watched {
    cameras: Vec<(CameraConfig, JoinHandle<Seen>)>,
}

/// What one of them delivered.
#[derive(Debug, Default)]
struct Seen {
    n_frames: u64,
    n_bytes: u64,
    first_s: f64,
    last_s: f64,
    error: Option<String>,
}

impl Watched {
    /// Begins to look for `seconds`. A camera that cannot be opened is a finding.
    pub fn begin(
        cameras: &[CameraConfig],
        opener: impl Fn(&CameraConfig) -> Opener,
        clock: MachineClock,
        seconds: Positive,
        examination: &mut Examination,
    ) -> Self {
        let mut watched = Vec::new();
        for camera in cameras {
            let begun = opener(camera)().map_err(|error| error.to_string()).and_then(|source| {
                let builder = std::thread::Builder::new().name("camera".into());
                builder.spawn(move || watch(source, clock, seconds)).map_err(|error| error.to_string())
            });
            match begun {
                Ok(thread) => watched.push((camera.clone(), thread)),
                Err(error) => {
                    let advice = "plug it in, end what else uses it, correct cameras of the robot, or take it out";
                    examination.note("camera", Verdict::Bad, error, advice);
                }
            }
        }
        Self { cameras: watched }
    }

    /// Waits for the end of it: size, format and rate.
    pub fn report(self, examination: &mut Examination) {
        for (camera, thread) in self.cameras {
            // One that panicked has said so itself, and saw nothing.
            let seen = thread.join().unwrap_or_default();
            judge(&camera, &seen, examination);
        }
    }
}

/// The gamepad, if there is to be one.
pub fn examine_gamepad(config: &GamepadConfig, examination: &mut Examination) {
    match Gamepad::open(config, EmergencyStop::default()) {
        Ok(None) => {}
        Ok(Some(pad)) => examination.good("gamepad", format!("{}; {}", pad.name(), config.legend())),
        Err(error) => {
            let advice = "wake it, correct gamepad of the robot, give --gamepad, or go without: device: None";
            examination.note("gamepad", Verdict::Bad, error.to_string(), advice);
        }
    }
}

fn watch(mut source: Box<dyn FrameSource>, clock: MachineClock, seconds: Positive) -> Seen {
    let (mut seen, mut frame) = (Seen::default(), Frame::default());
    let end_s = clock.now_s() + seconds.get();
    while clock.now_s() < end_s {
        match source.next(&mut frame) {
            Ok(true) => {
                if seen.n_frames == 0 {
                    seen.first_s = frame.time_s;
                }
                seen.last_s = frame.time_s;
                seen.n_frames += 1;
                seen.n_bytes += frame.bytes.len() as u64;
            }
            Ok(false) => {}
            Err(error) => {
                seen.error = Some(error.to_string());
                return seen;
            }
        }
    }
    seen
}

fn judge(camera: &CameraConfig, seen: &Seen, examination: &mut Examination) {
    let CameraConfig { name, device, size_px: (width, height), format, rate_hz, .. } = camera;
    let what = format!("{name} ({}), {width} x {height} {format:?}", device.display());
    if let Some(error) = &seen.error {
        let advice = "look at its plug and its cable; a hub with a supply of its own may help";
        examination.note("camera", Verdict::Bad, error.clone(), advice);
        return;
    }
    if seen.n_frames < 2 {
        let advice = "it opens and delivers nothing: plug it out and in, try another port or a smaller size";
        examination.note("camera", Verdict::Bad, format!("{what}: {} frames came", seen.n_frames), advice);
        return;
    }
    let found_hz = (seen.n_frames - 1) as f64 / (seen.last_s - seen.first_s).max(1e-9);
    let mean_kb = seen.n_bytes as f64 / seen.n_frames as f64 / 1e3;
    let found = format!("{what}: {found_hz:.1} frames a second of {}, {mean_kb:.0} kB each", rate_hz.get());
    let share = found_hz / rate_hz.get();
    if share >= GOOD_SHARE {
        examination.good("camera", found);
    } else {
        let advice =
            "more light (a long exposure costs rate), a USB port of its own, Mjpeg, fewer pixels, or a lower rate_hz";
        let verdict = if share >= LEAST_SHARE { Verdict::Warning } else { Verdict::Bad };
        examination.note("camera", verdict, found, advice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::real::camera::FrameFormat;

    /// Contract: a camera at its rate is good, one far below is bad with something to do, one that is silent too.
    #[test]
    fn rates_are_judged() {
        let camera = CameraConfig {
            name: "palm".into(),
            device: "/dev/video0".into(),
            size_px: (640, 480),
            format: FrameFormat::Mjpeg,
            rate_hz: 30.0.try_into().unwrap(),
            shortest_latency_s: 0.0.try_into().unwrap(),
        };
        let verdict = |n_frames, last_s| {
            let mut examination = Examination::default();
            let seen = Seen { n_frames, n_bytes: 50_000 * n_frames, first_s: 0.0, last_s, error: None };
            judge(&camera, &seen, &mut examination);
            examination.checks.remove(0)
        };
        let good = verdict(31, 1.0);
        assert_eq!((good.verdict, good.advice.as_str()), (Verdict::Good, ""));
        assert!(good.found.contains("30.0 frames a second of 30, 50 kB"), "{}", good.found);
        assert_eq!(verdict(21, 1.0).verdict, Verdict::Warning);
        assert_eq!(verdict(11, 1.0).verdict, Verdict::Bad);
        assert!(verdict(0, 0.0).found.contains("0 frames came"));
    }
}
