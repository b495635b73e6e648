//! A camera of this machine, by V4L2.
//!
//! The time of a frame is when its buffer was there, less the camera's shortest latency; the camera's own thread is woken
//! by it.

use super::super::clock::{Clock as _, MachineClock};
use super::{CameraConfig, CameraError, Frame, FrameFormat, FrameSource};
use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device, Fract};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;

/// How long a frame is waited for, ns: longer than between two of them, short enough to be asked to end.
const PATIENCE_NS: i64 = 100_000_000;
/// What a camera's rate may differ by from what was asked for.
const RATE_SLACK: f64 = 0.02;

/// A camera that delivers.
pub(super) struct V4l2Source {
    config: CameraConfig,
    clock: MachineClock,
    stream: ReadStream,
}

impl V4l2Source {
    pub(super) fn open(config: &CameraConfig, clock: MachineClock) -> Result<Self, CameraError> {
        let opening =
            |source: io::Error| CameraError::Open { name: config.name.clone(), device: config.device.clone(), source };
        let device = Device::open(&config.device).map_err(opening)?;
        let offered = offered(&device);
        let delivers = |found: String, expected: String| CameraError::Delivers {
            name: config.name.clone(),
            device: config.device.clone(),
            found,
            expected,
            offered: offered.clone(),
        };
        let (width, height) = config.size_px;
        let pixels = match config.format {
            FrameFormat::Mjpeg => PixelFormat::MJPG,
            FrameFormat::Yuyv => PixelFormat::YUYV,
        };
        let capture = device.video_capture(PixFormat::new(width, height, pixels)).map_err(opening)?;
        let found = capture.format();
        if (found.width(), found.height(), found.pixel_format()) != (width, height, pixels) {
            let found = format!("{} x {} {}", found.width(), found.height(), found.pixel_format());
            return Err(delivers(found, format!("{width} x {height} {pixels}")));
        }
        // Thousandths: no rate of a camera needs more.
        match capture.set_frame_interval(Fract::new(1000, (1e3 * config.rate_hz.get()).round() as u32)) {
            Ok(interval) => {
                let found_hz = f64::from(interval.denominator()) / f64::from(interval.numerator());
                // An interval of nothing gives no number, which is not near.
                let is_near = (found_hz / config.rate_hz.get() - 1.0).abs() < RATE_SLACK;
                if !is_near {
                    return Err(delivers(format!("{found_hz} frames a second"), format!("{}", config.rate_hz.get())));
                }
            }
            // It has one rate, and does not say which; `softflow doctor` counts.
            Err(error) if error.raw_os_error() == Some(Errno::NOTTY.raw_os_error()) => {}
            Err(error) => return Err(opening(error)),
        }
        let stream = capture.into_stream().map_err(opening)?;
        Ok(Self { config: config.clone(), clock, stream })
    }

    fn lost(&self, source: io::Error) -> CameraError {
        CameraError::Lost { name: self.config.name.clone(), device: self.config.device.clone(), source }
    }
}

impl FrameSource for V4l2Source {
    fn next(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        let patience = Timespec { tv_sec: 0, tv_nsec: PATIENCE_NS };
        let mut waited = [PollFd::new(&self.stream, PollFlags::IN)];
        match poll(&mut waited, Some(&patience)) {
            Ok(0) | Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(self.lost(error.into())),
        }
        let now_s = self.clock.now_s();
        let dequeued = self.stream.dequeue(|view| {
            frame.bytes.clear();
            if !view.is_error() {
                frame.bytes.extend_from_slice(&view);
            }
            Ok(())
        });
        dequeued.map_err(|error| self.lost(error))?;
        frame.time_s = now_s - self.config.shortest_latency_s.get();
        (frame.size_px, frame.format) = (self.config.size_px, self.config.format);
        Ok(is_whole(frame))
    }
}

/// A frame that was damaged on its way is none.
fn is_whole(frame: &Frame) -> bool {
    match frame.format {
        FrameFormat::Mjpeg => frame.bytes.starts_with(&[0xFF, 0xD8]),
        FrameFormat::Yuyv => frame.bytes.len() as u64 == 2 * u64::from(frame.size_px.0) * u64::from(frame.size_px.1),
    }
}

fn offered(device: &Device) -> String {
    let formats = device.formats(BufType::VIDEO_CAPTURE);
    let names: Vec<String> = formats.filter_map(Result::ok).map(|format| format.pixel_format().to_string()).collect();
    if names.is_empty() { "no formats of pictures".into() } else { names.join(", ") }
}
