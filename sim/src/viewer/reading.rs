//! What the instruments say: numbers for the overlay, the captions and the text log.

use bridge::{ObjectPose, heading_rad, tilt_rad};
use std::collections::VecDeque;
use std::f64::consts::{PI, TAU};

/// Turning speed is the mean over this time, s: long enough to span a gait cycle.
const SPEED_WINDOW_S: f64 = 2.0;

/// The instruments at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Time since the episode began, s.
    pub time_s: f64,
    /// How far the cube has turned in the wanted direction, rad.
    pub turned_rad: f64,
    /// How fast it turned over the last two seconds, turns per minute.
    pub rpm: f64,
    /// Distance of its centre from its nominal place, m.
    pub offset_m: f64,
    /// Angle between its z axis and the vertical, rad.
    pub tilt_rad: f64,
    /// Places where it is touched.
    pub n_contacts: usize,
    /// The cube was dropped.
    pub dropped: bool,
}

impl Reading {
    /// How far the cube has turned in the wanted direction, turns.
    pub fn turns(&self) -> f64 {
        self.turned_rad / TAU
    }
}

/// Follows a cube from pose to pose.
#[derive(Clone, Debug)]
pub struct Instruments {
    nominal_center_m: [f64; 3],
    /// +1 when counter-clockwise is wanted, -1 when clockwise is.
    wanted_sign: f64,
    heading_rad: Option<f64>,
    /// Time and turned angle over the speed window, oldest first.
    recent: VecDeque<(f64, f64)>,
    reading: Reading,
}

impl Instruments {
    /// Instruments for a cube that belongs at `nominal_center_m` and is to turn as `wanted_sign` says.
    pub fn new(nominal_center_m: [f64; 3], wanted_sign: f64) -> Self {
        let reading = Reading::default();
        Self { nominal_center_m, wanted_sign, heading_rad: None, recent: VecDeque::new(), reading }
    }

    /// Starts an episode.
    pub fn clear(&mut self) {
        *self = Self::new(self.nominal_center_m, self.wanted_sign);
    }

    /// Reads the next pose. A cube that was dropped does not count as turning any more.
    pub fn read(&mut self, cube: &ObjectPose, n_contacts: usize, dropped: bool) -> Reading {
        let heading_rad = f64::from(heading_rad(cube.orientation));
        let turned_rad = match self.heading_rad {
            Some(before_rad) if !dropped => (heading_rad - before_rad + PI).rem_euclid(TAU) - PI,
            _ => 0.0,
        };
        self.heading_rad = Some(heading_rad);

        let reading = &mut self.reading;
        reading.time_s = cube.time_s;
        reading.turned_rad += self.wanted_sign * turned_rad;
        let squares =
            cube.position_m.iter().zip(self.nominal_center_m).map(|(&x, nominal)| (f64::from(x) - nominal).powi(2));
        reading.offset_m = squares.sum::<f64>().sqrt();
        reading.tilt_rad = f64::from(tilt_rad(cube.orientation));
        reading.n_contacts = n_contacts;
        reading.dropped = dropped;

        self.recent.push_back((reading.time_s, reading.turned_rad));
        while self.recent.front().is_some_and(|(time_s, _)| reading.time_s - time_s > SPEED_WINDOW_S) {
            self.recent.pop_front();
        }
        reading.rpm = match self.recent.front() {
            Some((time_s, turned_rad)) if reading.time_s > *time_s => {
                (reading.turned_rad - turned_rad) / TAU * 60.0 / (reading.time_s - time_s)
            }
            _ => 0.0,
        };
        *reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cube_at(time_s: f64, heading_rad: f64) -> ObjectPose {
        let (sin, cos) = (0.5 * heading_rad as f32).sin_cos();
        ObjectPose {
            time_s,
            position_m: [0.1, 0.0, -0.05],
            orientation: [0.0, 0.0, sin, cos],
            velocity_m_s: [0.0; 3],
            angular_velocity_rad_s: [0.0; 3],
        }
    }

    /// Contract: turns are counted through the wrap of the heading, in the wanted direction, and not after a drop.
    #[test]
    fn turns_are_counted() {
        let mut instruments = Instruments::new([0.1, 0.0, -0.06], -1.0);
        let clockwise_rad_s = 1.5;
        let mut reading = Reading::default();
        for tick in 0..=600 {
            let time_s = f64::from(tick) / 60.0;
            reading = instruments.read(&cube_at(time_s, -clockwise_rad_s * time_s), 5, false);
        }
        assert!((reading.turned_rad - 15.0).abs() < 1e-3, "{reading:?}");
        assert!((reading.rpm - clockwise_rad_s / TAU * 60.0).abs() < 1e-2, "{reading:?}");
        assert!((reading.offset_m - 0.01).abs() < 1e-6, "{reading:?}");
        let after = instruments.read(&cube_at(10.1, 1.0), 0, true);
        assert_eq!(after.turned_rad, reading.turned_rad);
    }
}
