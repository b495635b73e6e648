//! Cameras: frames with the time at which they were taken, on the loop's clock.
//!
//! A [`FrameSource`] is one camera. [`open`] opens one of this machine (V4L2, with the feature `cameras`);
//! [`SyntheticSource`] stands for it where the robot is emulated. Nobody waits for a camera but its own thread.

mod synthetic;
#[cfg(feature = "cameras")]
mod v4l2;

pub use synthetic::SyntheticSource;

use super::clock::MachineClock;
use crate::number::{NonNegative, Positive};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

const LEAST_SIDE_PX: u32 = 32;
const MOST_SIDE_PX: u32 = 8192;
const MOST_RATE_HZ: f64 = 240.0;

/// One camera of a robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// What its frames are filed under: letters, digits, `-` and `_`.
    pub name: String,
    /// Its device, e.g. `/dev/v4l/by-id/..`, which stays the same where `/dev/video0` does not.
    pub device: PathBuf,
    /// Width and height, px: even, 32 to 8192.
    pub size_px: (u32, u32),
    /// How pictures are delivered.
    pub format: FrameFormat,
    /// Pictures per second, at most 240.
    pub rate_hz: Positive,
    /// Shortest time from a picture's taking to its arrival, s: exposure and transfer. Times of frames are that long
    /// before they came.
    pub shortest_latency_s: NonNegative,
}

/// How pictures are delivered, and kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FrameFormat {
    /// One JPEG a picture.
    Mjpeg,
    /// Rows of two bytes a pixel: Y0 U Y1 V.
    #[default]
    Yuyv,
}

impl FrameFormat {
    /// What its files end in.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Mjpeg => "jpg",
            Self::Yuyv => "yuyv",
        }
    }
}

/// One picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// When it was taken, s on the loop's clock.
    pub time_s: f64,
    /// Width and height, px.
    pub size_px: (u32, u32),
    /// What its bytes are.
    pub format: FrameFormat,
    /// The picture.
    pub bytes: Vec<u8>,
}

/// A camera.
pub trait FrameSource: Send {
    /// Writes the next frame into `frame`; whether there is one. A camera waits a tenth of a second for it at most.
    ///
    /// # Errors
    /// When the camera is gone: it has to be opened again.
    fn next(&mut self, frame: &mut Frame) -> Result<bool, CameraError>;
}

/// A camera that cannot be used.
#[derive(Debug, Error)]
pub enum CameraError {
    /// Its name is none for a folder, or another's.
    #[error("camera {name:?}: expected a name of its own of letters, digits, - and _")]
    Name {
        /// Its name.
        name: String,
    },
    /// No size of a picture.
    #[error("camera {name}: size_px is {found:?}, expected even numbers from {LEAST_SIDE_PX} to {MOST_SIDE_PX}")]
    Size {
        /// Its name.
        name: String,
        /// What it says.
        found: (u32, u32),
    },
    /// Too fast.
    #[error("camera {name}: rate_hz is {found_hz} Hz, expected at most {MOST_RATE_HZ} Hz")]
    Rate {
        /// Its name.
        name: String,
        /// What it says, Hz.
        found_hz: f64,
    },
    /// This program cannot.
    #[error(
        "camera {name} ({}): found a softflow without cameras, expected one that was built with them: \
         `cargo build --release -p experiments --features cameras`", device.display()
    )]
    NotBuilt {
        /// Its name.
        name: String,
        /// Its device.
        device: PathBuf,
    },
    /// It cannot be opened.
    #[error(
        "camera {name} ({}): it cannot be opened: {source}; expected a device of /dev/v4l/by-id that no other program \
         uses and that this user may open (group video)", device.display()
    )]
    Open {
        /// Its name.
        name: String,
        /// Its device.
        device: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It delivers something else.
    #[error(
        "camera {name} ({}): it delivers {found}, expected {expected}; it has {offered} (`v4l2-ctl --list-formats-ext` \
         has the sizes and rates)", device.display()
    )]
    Delivers {
        /// Its name.
        name: String,
        /// Its device.
        device: PathBuf,
        /// What it would deliver.
        found: String,
        /// What is wanted.
        expected: String,
        /// Its formats.
        offered: String,
    },
    /// It does not work any more.
    #[error("camera {name} ({}): {source}; is it plugged in?", device.display())]
    Lost {
        /// Its name.
        name: String,
        /// Its device.
        device: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Whether the cameras of a robot can be told apart and ask for possible pictures.
///
/// # Errors
/// When they do not.
pub fn check(cameras: &[CameraConfig]) -> Result<(), CameraError> {
    for (idx, CameraConfig { name, size_px, rate_hz, .. }) in cameras.iter().enumerate() {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        let is_taken = cameras[..idx].iter().any(|other| other.name == *name);
        if name.is_empty() || !name.chars().all(is_letter) || is_taken {
            return Err(CameraError::Name { name: name.clone() });
        }
        let is_side = |px: u32| px.is_multiple_of(2) && (LEAST_SIDE_PX..=MOST_SIDE_PX).contains(&px);
        if !is_side(size_px.0) || !is_side(size_px.1) {
            return Err(CameraError::Size { name: name.clone(), found: *size_px });
        }
        if rate_hz.get() > MOST_RATE_HZ {
            return Err(CameraError::Rate { name: name.clone(), found_hz: rate_hz.get() });
        }
    }
    Ok(())
}

/// Opens a camera of this machine; times are those of `clock`.
///
/// # Errors
/// When it is not there, delivers something else, or this program was built without cameras.
#[cfg(feature = "cameras")]
pub fn open(config: &CameraConfig, clock: MachineClock) -> Result<Box<dyn FrameSource>, CameraError> {
    Ok(Box::new(v4l2::V4l2Source::open(config, clock)?))
}

/// Opens a camera of this machine; times are those of `clock`.
///
/// # Errors
/// Always: this program was built without cameras.
#[cfg(not(feature = "cameras"))]
pub fn open(config: &CameraConfig, _clock: MachineClock) -> Result<Box<dyn FrameSource>, CameraError> {
    Err(CameraError::NotBuilt { name: config.name.clone(), device: config.device.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palm() -> CameraConfig {
        CameraConfig {
            name: "palm".into(),
            device: "/dev/no such camera".into(),
            size_px: (64, 48),
            format: FrameFormat::Mjpeg,
            rate_hz: 30.0.try_into().unwrap(),
            shortest_latency_s: 0.0.try_into().unwrap(),
        }
    }

    /// Contract: cameras have names of their own that folders can have, and sizes and rates that pictures can have; what
    /// is wrong is named.
    #[test]
    fn cameras_are_checked() {
        let wrist = CameraConfig { name: "wrist-2".into(), ..palm() };
        check(&[palm(), wrist]).unwrap();
        let refused = |camera: CameraConfig| check(&[palm(), camera]).unwrap_err().to_string();
        assert!(refused(palm()).contains("\"palm\""));
        assert!(refused(CameraConfig { name: "../up".into(), ..palm() }).contains("../up"));
        assert!(refused(CameraConfig { name: String::new(), ..palm() }).contains("letters"));
        let b = || "b".to_owned();
        assert!(refused(CameraConfig { name: b(), size_px: (63, 48), ..palm() }).contains("(63, 48)"));
        assert!(refused(CameraConfig { name: b(), size_px: (64, 16), ..palm() }).contains("(64, 16)"));
        let rate_hz = 1e3.try_into().unwrap();
        assert!(refused(CameraConfig { name: b(), rate_hz, ..palm() }).contains("1000 Hz"));
    }

    /// Contract: a camera that is not there is an error that names it and says what to do: without the feature, that it
    /// is missing.
    #[test]
    fn a_camera_that_is_not_there() {
        let error = open(&palm(), MachineClock::start()).err().unwrap().to_string();
        let advice = if cfg!(feature = "cameras") { "cannot be opened" } else { "--features cameras" };
        assert!(error.contains("palm (/dev/no such camera)") && error.contains(advice), "{error}");
    }
}
