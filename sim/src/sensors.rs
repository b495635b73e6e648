//! Noise of sensors.

use crate::domain::PoseNoise;
use bridge::ObjectPose;
use bridge::random::Rng;
use rand::Rng as _;
use rand_distr::StandardNormal;
use rapier3d::prelude::{Rotation, Vector};

/// Draws normal numbers of a given deviation.
pub(crate) fn normals(rng: &mut Rng) -> impl FnMut(f32) -> f32 {
    move |deviation| deviation * rng.sample::<f32, _>(StandardNormal)
}

/// What a tracker reports of an object that is at `pose`.
pub(crate) fn disturb(pose: &mut ObjectPose, noise: &PoseNoise, normal: &mut impl FnMut(f32) -> f32) {
    for x in &mut pose.position_m {
        *x += normal(noise.position_m.f32());
    }
    let turn = Vector::from_array(std::array::from_fn(|_| normal(noise.orientation_rad.f32())));
    pose.orientation = (Rotation::from_scaled_axis(turn) * Rotation::from_array(pose.orientation)).normalize().into();
    for w in &mut pose.angular_velocity_rad_s {
        *w += normal(noise.angular_velocity_rad_s.f32());
    }
}
