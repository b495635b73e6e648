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
use crate::viewer::recorder::{PICTURE_S, PICTURES_PER_S, Recorded, Recorder};
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
        recorder.add(film.shoot(&mut camera)?, PICTURE_S)?;
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
        let view = Orbit::framing(self.rollout.task(), self.rollout.is_mirrored(), View::First, subject.points());
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

#[cfg(test)]
mod tests {
    //! Pictures of three scenes beside the ones in `tests/pictures`, which the program has made itself. To make one anew, if
    //! the scene is meant to look otherwise, run in the folder `sim` what its row in [`SCENES`] says, and look at it:
    //!
    //! `cargo run --release -- --policy zero --domain exact --seconds 0.2 --size 320x180 --record tests/pictures/cube.png`

    use super::*;
    use crate::viewer::paint;
    use crate::viewer::picture::Picture;
    use crate::viewer::thought::{Candidate, Thought};
    use clap::Parser as _;
    use sim::PartKind;
    use std::fs::File;
    use std::io::BufReader;
    use std::path::Path;
    use std::sync::Arc;

    /// Name of the picture, the command line that makes it, and what must be missed where it is not drawn.
    type Scene = (&'static str, &'static str, [(&'static str, fn(PartKind) -> bool); 2]);

    const SCENES: [Scene; 3] = [
        ("cube", "--policy zero --domain exact --seconds 0.2", [("hand", is_hand), ("cube", is_cube)]),
        (
            "case",
            "--task scissors --policy zero --domain exact --seconds 0.2",
            [("scissors", is_scissors), ("case", is_case)],
        ),
        ("cut", "--task scissors --domain exact --seconds 9.3", [("hand", is_hand), ("scissors", is_scissors)]),
    ];

    /// What another version of a software renderer may change: a little everywhere, more along edges. Levels of 0..255, and
    /// the share of pixels with a channel that differs by more than [`LARGE`].
    const MAX_MEAN: f64 = 2.0;
    const MAX_SHARE: f64 = 0.006;
    const LARGE: u8 = 40;

    fn is_hand(kind: PartKind) -> bool {
        matches!(kind, PartKind::Palm | PartKind::Link { .. } | PartKind::Tip { .. })
    }

    fn is_cube(kind: PartKind) -> bool {
        kind == PartKind::Cube
    }

    fn is_scissors(kind: PartKind) -> bool {
        matches!(kind, PartKind::Scissors { .. })
    }

    fn is_case(kind: PartKind) -> bool {
        kind == PartKind::Case
    }

    fn read(path: &Path) -> Picture {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
        let mut rgba = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgba).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgba, png::BitDepth::Eight));
        Picture { width: info.width as u16, height: info.height as u16, rgba }
    }

    /// Mean difference of the channels, and the share of pixels that differ largely.
    fn difference(a: &Picture, b: &Picture) -> (f64, f64) {
        assert_eq!((a.width, a.height), (b.width, b.height));
        let pairs = || a.rgba.as_chunks::<4>().0.iter().zip(b.rgba.as_chunks::<4>().0);
        let sum: f64 =
            pairs().flat_map(|(a, b)| (0..3).map(|channel| f64::from(a[channel].abs_diff(b[channel])))).sum();
        let n_large = pairs().filter(|(a, b)| (0..3).any(|channel| a[channel].abs_diff(b[channel]) > LARGE)).count();
        let n = pairs().count() as f64;
        (sum / n / 3.0, n_large as f64 / n)
    }

    fn is_alike((mean, share): (f64, f64)) -> bool {
        mean <= MAX_MEAN && share <= MAX_SHARE
    }

    /// The picture with every pixel in the middle between itself and its right and lower neighbours: edges as another
    /// rasteriser may draw them, half a pixel off.
    fn softened(picture: &Picture) -> Picture {
        let (width, height) = (usize::from(picture.width), usize::from(picture.height));
        let at = |x: usize, y: usize, channel: usize| u16::from(picture.rgba[4 * (y * width + x) + channel]);
        let mut rgba = Vec::with_capacity(picture.rgba.len());
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let (right, below) = ((x + 1).min(width - 1), (y + 1).min(height - 1));
            rgba.extend((0..4).map(|c| ((2 * at(x, y, c) + at(right, y, c) + at(x, below, c)) / 4) as u8));
        }
        Picture { rgba, ..picture.clone() }
    }

    /// Contract: the hand with its cube, the scissors in their case and a cut look as they are meant to. Softer edges are
    /// alike; without the hand, the cube, the scissors or the case a picture is not. Skipped, and said so, where there is no
    /// renderer.
    #[test]
    fn scenes_look_as_they_are_meant_to() {
        for (name, line, missed) in SCENES {
            let arguments = ["sim", "--size", "320x180", "--record", "scene.png"].into_iter().chain(line.split(' '));
            let arguments = Arguments::try_parse_from(arguments).unwrap();
            let mut film = Film::new(&arguments).unwrap();
            let mut camera = match film.camera(&arguments) {
                Err(ViewerError::NoRenderer { reason }) => {
                    eprintln!("skipped: pictures were not compared, because {reason}");
                    return;
                }
                camera => camera.unwrap(),
            };
            film.wind_to(arguments.seconds().unwrap()).unwrap();
            let found = film.shoot(&mut camera).unwrap();
            let expected = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pictures/{name}.png")));
            let differs = difference(&found, &expected);
            assert!(is_alike(differs), "{name}.png: mean difference {:.2}, share {:.4}", differs.0, differs.1);
            let softer = difference(&softened(&found), &expected);
            assert!(is_alike(softer), "{name}.png, softened: mean difference {:.2}, share {:.4}", softer.0, softer.1);

            for (what, is_missing) in missed {
                let mut subject = film.subject();
                let kept: Vec<bool> = subject.parts.iter().map(|part| !is_missing(part.kind)).collect();
                let mut keep = kept.iter();
                subject.parts.retain(|_| *keep.next().unwrap());
                let mut keep = kept.iter();
                subject.frame.part_poses.retain(|_| *keep.next().unwrap());
                let without = camera.shoot(subject, film.overlay()).unwrap();
                let (mean, share) = difference(&without, &expected);
                assert!(!is_alike((mean, share)), "{name}.png without the {what}: mean {mean:.2}, share {share:.4}");
                // All the rest is there: it is not missed because nothing was drawn.
                assert!(mean < 40.0, "{name}.png without the {what}: mean {mean:.2}");
                println!("{name}: softened {softer:.4?}, without the {what} {mean:.2}, {share:.4}");
            }
        }
    }

    /// Contract: one call makes a complete picture: the traces of candidates, boldly the chosen one, and the curves are in it,
    /// each in its colour; without a density there is one curve less.
    #[test]
    fn thoughts_are_in_the_picture() {
        let arguments = Arguments::try_parse_from(["sim", "--size", "640x360", "--record", "scene.png"]).unwrap();
        let mut film = Film::new(&arguments).unwrap();
        let mut camera = match film.camera(&arguments) {
            Err(ViewerError::NoRenderer { reason }) => {
                eprintln!("skipped: thoughts were not drawn, because {reason}");
                return;
            }
            camera => camera.unwrap(),
        };
        let candidate = |value, z: f32| {
            let trace_m = vec![[0.15, -0.05, z], [0.15, 0.05, z]];
            Candidate { value, traces_m: vec![trace_m] }
        };
        let (chosen, other) = (candidate(3.0, -0.07), candidate(1.0, -0.05));
        let thought = |candidates: &[Candidate], log_likelihood_per_value| {
            Some(Arc::new(Thought { candidates: candidates.to_vec(), chosen_idx: 0, log_likelihood_per_value }))
        };
        let thoughts = [
            None,
            thought(std::slice::from_ref(&chosen), None),
            thought(&[chosen.clone(), other.clone()], None),
            thought(&[chosen, other], Some(2.0)),
        ];
        let [none, alone, both, likely] = thoughts.map(|thought| {
            film.moment.thought = thought;
            film.chronicle = Chronicle::new(30.0);
            for tick in 0..120 {
                film.moment.reading.time_s = f64::from(tick) / 60.0;
                film.chronicle.follow(&film.moment);
            }
            film.shoot(&mut camera).unwrap()
        });
        let n_like = |picture: &Picture, wanted: [u8; 3]| {
            let is_like = |pixel: &&[u8; 4]| pixel.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 24);
            picture.rgba.as_chunks::<4>().0.iter().filter(is_like).count()
        };
        let highest = paint::value_color(1.0).to_srgba();
        let highest = [highest.red, highest.green, highest.blue].map(|channel| (255.0 * channel) as u8);
        for (what, color) in [("trace", highest), ("value", paint::VALUE_LINE), ("effort", paint::EFFORT_LINE)] {
            let (before, after) = (n_like(&none, color), n_like(&alone, color));
            assert!(after > before + 20, "{what}: {before}, then {after} pixels");
        }
        let pairs = alone.rgba.as_chunks::<4>().0.iter().zip(both.rgba.as_chunks::<4>().0);
        let n_other = pairs.filter(|(a, b)| a != b).count();
        assert!((20..2000).contains(&n_other), "the other candidate: {n_other} pixels");
        let [before, after] = [&both, &likely].map(|picture| n_like(picture, paint::LIKELIHOOD_LINE));
        assert!(after > before + 20, "likelihood: {before}, then {after} pixels");
    }
}
