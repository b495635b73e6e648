//! A camera that circles around what it looks at.

use crate::viewer::arguments::TaskName;
use bevy::prelude::*;
use std::f32::consts::FRAC_PI_2;

/// Where the camera is, seen from what it looks at.
#[derive(Resource, Clone, Copy, Debug, PartialEq)]
pub struct Orbit {
    /// What it looks at, m.
    center: Vec3,
    distance_m: f32,
    /// From the x axis towards the y axis, rad.
    azimuth_rad: f32,
    /// Above the horizontal plane, rad.
    elevation_rad: f32,
}

/// From where it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As at the beginning.
    First,
    /// From ahead of the finger tips.
    Ahead,
    /// From the side of the thumb.
    Side,
    /// From below, where a palm hides what it holds, else from above.
    Steep,
}

/// Nearest and farthest distance, m.
const DISTANCES_M: (f32, f32) = (0.08, 1.2);
/// The camera never looks straight up or down: left and right would have no meaning.
const MAX_ELEVATION_RAD: f32 = FRAC_PI_2 - 0.02;
const RAD_PER_PIXEL: f32 = 0.006;

/// Angle from the lower to the upper edge of the picture, rad.
pub const FIELD_OF_VIEW_RAD: f32 = 0.52;

impl Orbit {
    /// A view of a task, given by `points` of the parts of its world. What `is_mirrored` is looked at from the other side.
    pub fn framing(task: TaskName, is_mirrored: bool, view: View, points: impl IntoIterator<Item = Vec3>) -> Self {
        let first = Self::first(task, points);
        let steep_rad = match task {
            TaskName::Cube => -1.3,
            TaskName::Scissors => 1.2,
        };
        let (azimuth_rad, elevation_rad) = match view {
            View::First => (first.azimuth_rad, first.elevation_rad),
            View::Ahead => (0.0, 0.05),
            View::Side => (FRAC_PI_2, 0.05),
            View::Steep => (first.azimuth_rad, steep_rad),
        };
        let azimuth_rad = if is_mirrored { -azimuth_rad } else { azimuth_rad };
        Self { azimuth_rad, elevation_rad, ..first }
    }

    fn first(task: TaskName, points: impl IntoIterator<Item = Vec3>) -> Self {
        let points: Vec<Vec3> = points.into_iter().collect();
        let lower = points.iter().copied().reduce(Vec3::min).unwrap_or_default();
        let upper = points.iter().copied().reduce(Vec3::max).unwrap_or_default();
        let center = lower.midpoint(upper);
        match task {
            // A palm-down hand: from the thumb's side and a little below, where the gap between thumb and index shows the
            // cube turning.
            TaskName::Cube => {
                /// Distance over the radius of what is to be seen: fills a picture with [`FIELD_OF_VIEW_RAD`] to two thirds.
                const DISTANCE_SHARE: f32 = 4.2;
                let radius_m = points.iter().map(|point| point.distance(center)).fold(0.0, f32::max);
                let distance_m = (DISTANCE_SHARE * radius_m).clamp(DISTANCES_M.0, DISTANCES_M.1);
                Self { center, distance_m, azimuth_rad: 1.1, elevation_rad: -0.2 }
            }
            // The hand comes along x: from ahead of it and above, with the case to the left and the tape to the right.
            TaskName::Scissors => {
                Self { center: Vec3::new(-0.02, 0.07, 0.105), distance_m: 0.6, azimuth_rad: -0.5, elevation_rad: 0.24 }
            }
        }
    }

    /// Distance of the camera from what it looks at, m.
    pub const fn distance_m(&self) -> f32 {
        self.distance_m
    }

    /// Where the camera is and where it looks.
    pub fn transform(&self) -> Transform {
        let (sin_azimuth, cos_azimuth) = self.azimuth_rad.sin_cos();
        let (sin_elevation, cos_elevation) = self.elevation_rad.sin_cos();
        let outwards = Vec3::new(cos_elevation * cos_azimuth, cos_elevation * sin_azimuth, sin_elevation);
        Transform::from_translation(self.center + self.distance_m * outwards).looking_at(self.center, Vec3::Z)
    }

    /// Horizontal directions of the view: to the right, and away from the camera.
    pub fn right_and_away(&self) -> (Vec3, Vec3) {
        let (sin, cos) = self.azimuth_rad.sin_cos();
        (Vec3::new(-sin, cos, 0.0), Vec3::new(-cos, -sin, 0.0))
    }

    /// Turns by a drag of the mouse, pixels: the scene follows the pointer.
    pub fn drag(&mut self, pixels: Vec2) {
        self.azimuth_rad -= RAD_PER_PIXEL * pixels.x;
        self.elevation_rad =
            (self.elevation_rad + RAD_PER_PIXEL * pixels.y).clamp(-MAX_ELEVATION_RAD, MAX_ELEVATION_RAD);
    }

    /// Comes nearer by clicks of the wheel, or goes away when they are negative.
    pub fn zoom(&mut self, clicks: f32) {
        self.distance_m = (self.distance_m * 0.9f32.powf(clicks)).clamp(DISTANCES_M.0, DISTANCES_M.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: all views look at the same place from the same distance, ahead of the tips (x), from the thumb's side (y; of a
    /// mirror image -y), and from where nothing is in the way.
    #[test]
    fn views_differ_in_direction() {
        let points = [Vec3::ZERO, Vec3::new(0.14, 0.03, -0.08)];
        let all = [(TaskName::Cube, false, -1.0), (TaskName::Cube, true, -1.0), (TaskName::Scissors, false, 1.0)];
        for (task, is_mirrored, steep) in all {
            let first = Orbit::framing(task, is_mirrored, View::First, points);
            let thumb = if is_mirrored { -Vec3::Y } else { Vec3::Y };
            assert!((first.transform().translation - first.center).dot(thumb) > 0.0 || task == TaskName::Scissors);
            for (view, towards) in [(View::Ahead, Vec3::X), (View::Side, thumb), (View::Steep, steep * Vec3::Z)] {
                let orbit = Orbit::framing(task, is_mirrored, view, points);
                assert_eq!((orbit.center, orbit.distance_m), (first.center, first.distance_m));
                let outwards = (orbit.transform().translation - orbit.center).normalize();
                assert!(outwards.dot(towards) > 0.9, "{task:?} {view:?}: {outwards}");
            }
        }
    }

    /// Contract: the camera always looks at its centre from its distance, the right way up, however it was dragged.
    #[test]
    fn the_subject_stays_in_view() {
        let mut orbit = Orbit::framing(TaskName::Cube, false, View::First, [Vec3::ZERO, Vec3::new(0.14, 0.03, -0.08)]);
        for (drag, clicks) in [((0.0, 0.0), 0.0), ((300.0, 900.0), 2.0), ((-5000.0, -9000.0), -40.0)] {
            orbit.drag(drag.into());
            orbit.zoom(clicks);
            let view = orbit.transform();
            let seen = view.translation + orbit.distance_m * *view.forward();
            assert!(seen.distance(orbit.center) < 1e-4 && view.up().z > 0.0, "{orbit:?}");
            let (right, away) = orbit.right_and_away();
            assert!(right.dot(*view.right()) > 0.99 && away.dot(*view.forward()) > 0.0, "{orbit:?}");
        }
    }
}
