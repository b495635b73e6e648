//! A camera without a lens: pictures of the time and of the joints, the same every time.
//!
//! Picture k is taken at k / rate. Its upper half has 32 columns of equal width, the bits of round(1000 time) from the
//! highest to the lowest, white where they are set. The lower half has a row for every joint, white from the left as
//! far as the joint is from its lower to its upper stop. The rest is grey, without colour.

use super::super::clock::Clock;
use super::{CameraConfig, CameraError, Frame, FrameFormat, FrameSource};
use std::time::Duration;

const WHITE: u8 = 235;
const GREY: u8 = 64;
const NO_COLOUR: u8 = 128;

/// Pictures of the time and of the joints, as YUYV whatever the configuration says.
#[derive(Debug)]
pub struct SyntheticSource<C, J> {
    size_px: (u32, u32),
    rate_hz: f64,
    latency_s: f64,
    clock: C,
    joints: J,
    shares: Vec<f32>,
    next_idx: u64,
    nap: Duration,
}

impl<C: Clock, J: FnMut(&mut Vec<f32>) + Send> SyntheticSource<C, J> {
    /// In the place of the camera of `config`, in the time of `clock`. `joints` says how far every joint is from its
    /// lower to its upper stop, 0 to 1. Who asks too early waits for `nap`.
    #[must_use]
    pub fn new(config: &CameraConfig, clock: C, joints: J, nap: Duration) -> Self {
        let (rate_hz, latency_s) = (config.rate_hz.get(), config.shortest_latency_s.get());
        Self { size_px: config.size_px, rate_hz, latency_s, clock, joints, shares: Vec::new(), next_idx: 0, nap }
    }
}

impl<C: Clock, J: FnMut(&mut Vec<f32>) + Send> FrameSource for SyntheticSource<C, J> {
    fn next(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        let last_idx = ((self.clock.now_s() - self.latency_s) * self.rate_hz + 1e-6).floor();
        if last_idx < self.next_idx as f64 {
            std::thread::sleep(self.nap);
            return Ok(false);
        }
        // Who asks too late has missed some, as with any camera.
        let idx = last_idx as u64;
        self.next_idx = idx + 1;
        frame.time_s = idx as f64 / self.rate_hz;
        (frame.size_px, frame.format) = (self.size_px, FrameFormat::Yuyv);
        self.shares.clear();
        (self.joints)(&mut self.shares);
        draw(frame, &self.shares);
        Ok(true)
    }
}

fn draw(frame: &mut Frame, shares: &[f32]) {
    let (width, height) = (frame.size_px.0 as usize, frame.size_px.1 as usize);
    let time_ms = (frame.time_s * 1e3).round() as u32;
    let half = height / 2;
    frame.bytes.clear();
    frame.bytes.resize(2 * width * height, NO_COLOUR);
    for (y, row) in frame.bytes.chunks_exact_mut(2 * width).enumerate() {
        let joint = (y >= half).then(|| shares.get((y - half) * shares.len() / (height - half))).flatten();
        for (x, pixel) in row.chunks_exact_mut(2).enumerate() {
            let is_white = match joint {
                Some(&share) => (x as f32 + 0.5) < share * width as f32,
                None => y < half && (time_ms >> (31 - x * 32 / width)) & 1 == 1,
            };
            pixel[0] = if is_white { WHITE } else { GREY };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::clock::VirtualClock;
    use super::*;

    fn luma(frame: &Frame, x: usize, y: usize) -> u8 {
        frame.bytes[2 * (y * frame.size_px.0 as usize + x)]
    }

    /// Contract: pictures come at their rate and show their time and the joints; those that nobody took are missed;
    /// the same moment gives the same bytes.
    #[test]
    fn pictures_of_time_and_joints() {
        let config = CameraConfig {
            name: "palm".into(),
            device: "".into(),
            size_px: (64, 32),
            format: FrameFormat::Mjpeg,
            rate_hz: 10.0.try_into().unwrap(),
            shortest_latency_s: 0.0.try_into().unwrap(),
        };
        let clock = VirtualClock::default();
        let joints = |shares: &mut Vec<f32>| shares.extend([0.25, 1.0]);
        let mut source = SyntheticSource::new(&config, clock.clone(), joints, Duration::ZERO);
        let mut frame = Frame::default();
        assert!(source.next(&mut frame).unwrap());
        assert!(!source.next(&mut frame).unwrap());
        clock.advance(0.3);
        assert!(source.next(&mut frame).unwrap());
        assert!(!source.next(&mut frame).unwrap());
        assert_eq!((frame.size_px, frame.format, frame.bytes.len()), ((64, 32), FrameFormat::Yuyv, 4096));
        assert!((frame.time_s - 0.3).abs() < 1e-12, "{}", frame.time_s);
        let time_ms = (0..32).fold(0_u32, |bits, bit| bits << 1 | u32::from(luma(&frame, 2 * bit, 3) == WHITE));
        assert_eq!(time_ms, 300);
        // The first joint's rows are 16 to 23, a quarter of 64 px white.
        assert_eq!([15, 16].map(|x| luma(&frame, x, 20)), [WHITE, GREY]);
        assert_eq!(luma(&frame, 63, 28), WHITE);

        let mut again = SyntheticSource::new(&config, clock, joints, Duration::ZERO);
        let mut same = Frame::default();
        assert!(again.next(&mut same).unwrap() && same == frame);
    }
}
