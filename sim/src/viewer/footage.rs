//! Pictures of the window: single ones, a film, and one after which it closes.
//!
//! A picture arrives some frames after it was asked for. While a film runs the clock waits for each of its pictures: what is
//! on the screen may be slower than the clock says, what is in the film is not.

use crate::viewer::arguments::{PictureSize, RecordTarget};
use crate::viewer::error::ViewerError;
use crate::viewer::paint;
use crate::viewer::palette::Palette;
use crate::viewer::picture::Picture;
use crate::viewer::recorder::{PICTURE_S, Recorded, Recorder, save};
use crate::viewer::window::Show;
use bevy::prelude::*;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};
use sim::SERVO_HZ;
use std::path::{Path, PathBuf};

/// Where pictures go, from where the program is run.
pub const FOLDER: &str = "out";
/// Title of the window, while nothing runs that is kept.
pub const TITLE: &str = "softflow sim";
/// Films of wider windows have half of their size.
const MAX_FILM_WIDTH: u16 = 800;

/// What is being taken.
#[derive(Resource, Default)]
pub struct Footage {
    wants_picture: bool,
    film: Option<Film>,
    last: Option<Last>,
}

/// The picture after which the window closes.
struct Last {
    /// Servo ticks until it is due.
    ticks_left: u32,
    is_asked: bool,
}

/// A film that runs.
struct Film {
    path: PathBuf,
    /// From the first picture on: it tells the size.
    recorder: Option<Recorder>,
    /// Size of the pictures, from the first one on.
    size: Option<PictureSize>,
    /// Servo ticks until the next picture is due.
    ticks_left: u32,
    /// A picture was asked for and is not here yet.
    is_waiting: bool,
}

impl Footage {
    /// Of a window that closes after a picture in `ticks` servo ticks.
    pub fn closing_after(ticks: u32) -> Self {
        Self { last: Some(Last { ticks_left: ticks, is_asked: false }), ..Self::default() }
    }

    /// Has a single picture taken.
    pub const fn take_picture(&mut self) {
        self.wants_picture = true;
    }

    /// Starts a film of what is called `name`, or ends the one that runs and says what became of it.
    pub fn toggle_film(&mut self, name: &str) -> String {
        if self.film.is_some() {
            return self.end();
        }
        let path = unused(Path::new(FOLDER), name, "gif");
        self.film = Some(Film { path, recorder: None, size: None, ticks_left: 0, is_waiting: false });
        String::new()
    }

    /// Ends the film, if one runs; says what became of it.
    pub fn end(&mut self) -> String {
        let Some(film) = self.film.take() else { return String::new() };
        match film.recorder.map(Recorder::finish) {
            None => "a film without pictures".into(),
            Some(Ok(Recorded { path, n_pictures, .. })) => format!("wrote {}: {n_pictures} pictures", path.display()),
            Some(Err(error)) => error.to_string(),
        }
    }

    /// How many of `ticks` may pass: not beyond the next picture of a film, nor beyond the last.
    pub fn allowed(&self, ticks: u32) -> u32 {
        let ticks = self.last.as_ref().map_or(ticks, |last| ticks.min(last.ticks_left));
        match &self.film {
            None => ticks,
            Some(film) if film.is_waiting => 0,
            Some(film) => ticks.min(film.ticks_left),
        }
    }

    /// `ticks` have passed.
    pub const fn pass(&mut self, ticks: u32) {
        if let Some(film) = &mut self.film {
            film.ticks_left = film.ticks_left.saturating_sub(ticks);
        }
        if let Some(last) = &mut self.last {
            last.ticks_left = last.ticks_left.saturating_sub(ticks);
        }
    }

    fn add(&mut self, picture: Picture, speed: f64) -> Result<(), ViewerError> {
        let Some(film) = &mut self.film else { return Ok(()) };
        let picture = if picture.width > MAX_FILM_WIDTH { picture.halved() } else { picture };
        let size = PictureSize { width: picture.width, height: picture.height };
        if film.recorder.is_none() {
            // What will be seen is not known; the colours that may turn up are.
            let palette = || Ok(Palette::of(&[picture.clone(), paint::swatch(size)]));
            film.recorder = Some(Recorder::new(&RecordTarget::Gif(film.path.clone()), size, palette)?);
        }
        if film.size.replace(size).is_some_and(|before| before != size) {
            return Err(ViewerError::Resized);
        }
        let (n_ticks, shown_s) = pace(speed);
        if let Some(recorder) = &mut film.recorder {
            recorder.add(picture, shown_s)?;
        }
        film.ticks_left = n_ticks;
        film.is_waiting = false;
        Ok(())
    }
}

/// Servo ticks between a picture and the next one, and how long it is shown, s, at `speed` simulated seconds per second.
///
/// Ticks are whole, so that pictures come as often as they should or nearly so; as they are shown until the next one was due, the
/// film keeps the pace. Slow motion is filmed tick by tick at most.
fn pace(speed: f64) -> (u32, f64) {
    let n_ticks = (f64::from(SERVO_HZ) * PICTURE_S * speed).round().max(1.0);
    (n_ticks as u32, n_ticks / (f64::from(SERVO_HZ) * speed))
}

/// Tells in the window's title what runs that is kept: not in the picture, which is filmed.
pub fn tell_in_title(footage: Res<Footage>, show: Res<Show>, mut window: Single<&mut Window>) {
    let title = title(footage.film.is_some(), show.rollout.is_recording());
    if window.title != title {
        window.title = title;
    }
}

fn title(is_filming: bool, is_recording: bool) -> String {
    let marks = [("filming", is_filming), ("recording", is_recording)];
    let marks: Vec<&str> = marks.into_iter().filter_map(|(mark, is_on)| is_on.then_some(mark)).collect();
    if marks.is_empty() { TITLE.into() } else { format!("{TITLE}: {}", marks.join(", ")) }
}

/// Asks for the pictures that are due.
pub fn take_pictures(mut commands: Commands, mut footage: ResMut<Footage>, show: Res<Show>) {
    let last = footage.last.as_mut().filter(|last| last.ticks_left == 0 && !last.is_asked);
    let is_last = last.is_some();
    last.into_iter().for_each(|last| last.is_asked = true);
    let is_single = std::mem::take(&mut footage.wants_picture) || is_last;
    let due = footage.film.as_mut().filter(|film| film.ticks_left == 0 && !film.is_waiting);
    let is_film = due.is_some();
    due.into_iter().for_each(|film| film.is_waiting = true);
    if !is_single && !is_film {
        return;
    }
    let single = is_single.then(|| unused(Path::new(FOLDER), &show.name(), "png"));
    let receive = move |captured: On<ScreenshotCaptured>,
                        mut footage: ResMut<Footage>,
                        mut show: ResMut<Show>,
                        mut exit: MessageWriter<AppExit>| {
        let picture = picture(&captured.image);
        if let Some(path) = &single {
            let saved = picture.as_ref().map_err(ToString::to_string);
            let saved = saved.and_then(|picture| save(path, picture).map_err(|error| error.to_string()));
            let is_saved = saved.is_ok();
            show.notice = saved.map_or_else(|error| error, |_| format!("wrote {}", path.display()));
            if is_last {
                println!("{}", show.notice);
                exit.write(if is_saved { AppExit::Success } else { AppExit::error() });
            }
        }
        if is_film && let Err(error) = picture.and_then(|picture| footage.add(picture, show.clock.speed())) {
            show.notice = format!("{error}; {}", footage.end());
        }
    };
    commands.spawn(Screenshot::primary_window()).observe(receive);
}

/// Ends film and recording when the window goes.
pub fn end_with_the_window(mut exits: MessageReader<AppExit>, mut footage: ResMut<Footage>, mut show: ResMut<Show>) {
    if exits.read().next().is_none() {
        return;
    }
    if footage.film.is_some() {
        println!("{}", footage.end());
    }
    show.end_recording();
}

/// The pixels of what the renderer captured.
fn picture(image: &Image) -> Result<Picture, ViewerError> {
    let unreadable = |reason: String| ViewerError::Renderer { reason };
    let rgba = image.clone().try_into_dynamic().map_err(|error| unreadable(error.to_string()))?.to_rgba8();
    let side = |pixels: u32| u16::try_from(pixels).map_err(|error| unreadable(format!("{pixels} pixels: {error}")));
    let (width, height) = (side(rgba.width())?, side(rgba.height())?);
    let mut rgba = rgba.into_raw();
    rgba.as_chunks_mut::<4>().0.iter_mut().for_each(|pixel| pixel[3] = 255);
    Ok(Picture { width, height, rgba })
}

/// A path in `folder` at which there is no file yet: `name.extension`, else `name_2.extension` and so on.
fn unused(folder: &Path, name: &str, extension: &str) -> PathBuf {
    let numbered =
        |n: u32| folder.join(if n == 1 { format!("{name}.{extension}") } else { format!("{name}_{n}.{extension}") });
    (1..).map(numbered).find(|path| !path.exists()).unwrap_or_else(|| numbered(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: no tick passes beyond the picture after which the window closes.
    #[test]
    fn the_last_picture_is_of_its_tick() {
        let mut footage = Footage::closing_after(10);
        assert_eq!(footage.allowed(6), 6);
        footage.pass(6);
        assert_eq!(footage.allowed(6), 4);
        footage.pass(4);
        assert_eq!(footage.allowed(6), 0);
    }

    /// Contract: a picture never replaces one that is there.
    #[test]
    fn pictures_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for expected in ["cube_1.50s.png", "cube_1.50s_2.png", "cube_1.50s_3.png"] {
            let path = unused(folder.path(), "cube_1.50s", "png");
            assert_eq!(path, folder.path().join(expected));
            bridge::storage::write_atomic(&path, b"a picture").unwrap();
        }
    }

    fn picture_of(shade: u8) -> Picture {
        let rgba = (0..64 * 36).flat_map(|pixel: u32| [(pixel % 256) as u8, 60 * shade, 0, 255]).collect();
        Picture { width: 64, height: 36, rgba }
    }

    /// Contract: the title tells all that runs.
    #[test]
    fn the_title_tells_what_runs() {
        assert_eq!(title(false, false), TITLE);
        assert_eq!(title(true, false), "softflow sim: filming");
        assert_eq!(title(false, true), "softflow sim: recording");
        assert_eq!(title(true, true), "softflow sim: filming, recording");
    }

    /// Contract: a film is as fast as the clock, whatever its speed, to 1/100 s over all of its pictures; where the speed changes,
    /// what comes after it is at the new one.
    #[test]
    fn a_film_is_as_fast_as_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.gif");
        for speeds in [[1.0; 2], [0.5; 2], [1.5; 2], [0.0625; 2], [8.0; 2], [0.3, 1.7]] {
            let film = Film { path: path.clone(), recorder: None, size: None, ticks_left: 0, is_waiting: true };
            let mut footage = Footage { film: Some(film), ..Footage::default() };
            let mut expected_s = 0.0;
            for (index, speed) in speeds.into_iter().flat_map(|speed| [speed; 7]).enumerate() {
                footage.add(picture_of(index as u8 % 4), speed).unwrap();
                let ticks = footage.allowed(u32::MAX);
                footage.pass(ticks);
                expected_s += f64::from(ticks) / f64::from(SERVO_HZ) / speed;
            }
            footage.end();
            let bytes = std::fs::read(&path).unwrap();
            let mut decoder = gif::DecodeOptions::new().read_info(bytes.as_slice()).unwrap();
            let mut shown_cs = 0;
            while let Some(frame) = decoder.read_next_frame().unwrap() {
                shown_cs += u32::from(frame.delay);
            }
            let found_s = f64::from(shown_cs) / 100.0;
            assert!((found_s - expected_s).abs() <= 0.01, "at {speeds:?}: {found_s} s, expected {expected_s} s");
        }
    }

    /// Contract: a film has a picture every three ticks at the speed of life, in the middle of which no tick is lost, and
    /// the clock waits while one is on its way; afterwards there is an animation.
    #[test]
    fn a_film_paces_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let mut footage = Footage::default();
        assert_eq!(footage.allowed(6), 6);
        let path = folder.path().join("film.gif");
        footage.film = Some(Film { path: path.clone(), recorder: None, size: None, ticks_left: 0, is_waiting: true });
        assert_eq!(footage.allowed(6), 0);
        for shade in 0..4 {
            footage.add(picture_of(shade), 1.0).unwrap();
            assert_eq!(footage.allowed(6), 3);
            footage.pass(2);
            assert_eq!(footage.allowed(6), 1);
            footage.pass(1);
        }
        // A window that changes its size ends the film, which is kept.
        let error = footage.add(Picture { width: 36, height: 64, rgba: vec![255; 4 * 36 * 64] }, 1.0).unwrap_err();
        assert!(error.to_string().contains("size"), "{error}");
        let said = footage.end();
        assert!(said.contains("4 pictures") && path.exists(), "{said}");
        assert_eq!(footage.allowed(6), 6);
    }
}
