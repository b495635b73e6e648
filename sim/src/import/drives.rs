//! Motors of joints: what a file says of them, and what has to be assumed.

use super::Assumed;
use super::tree::Joint;
use crate::hand_file::DriveFile;
use bridge::number::{NonNegative, NumberError, Positive};

/// How many joints did not say something.
#[derive(Default)]
pub(crate) struct Assumptions {
    gains: usize,
    efforts: usize,
    rates: usize,
    armatures: usize,
}

impl Assumptions {
    /// Them in words, if there are any.
    pub(crate) fn words(&self, assumed: &Assumed) -> Option<String> {
        let parts = [
            (self.gains, "gains", assumed.stiffness_nm_rad.get(), "N m/rad"),
            (self.efforts, "a limit of effort", assumed.max_effort_nm.get(), "N m"),
            (self.rates, "a limit of velocity", assumed.max_rate_rad_s.get(), "rad/s"),
            (self.armatures, "an armature", assumed.armature_kg_m2.get(), "kg m^2"),
        ];
        let word =
            |(n, what, value, unit): (usize, &str, f64, &str)| format!("{n} joints without {what} ({value} {unit})");
        let words: Vec<String> = parts.into_iter().filter(|part| part.0 > 0).map(word).collect();
        (!words.is_empty()).then(|| format!("assumed: {}", words.join(", ")))
    }
}

/// What turns a joint: what the file says, and what is assumed for the rest.
pub(crate) fn drive(joint: &Joint, assumed: &Assumed, missing: &mut Assumptions) -> Result<DriveFile, NumberError> {
    let mut or = |value: Option<f64>, usual: Positive, count: fn(&mut Assumptions) -> &mut usize| match value
        .filter(|&value| value > 0.0)
    {
        Some(value) => Positive::try_from(value),
        None => {
            *count(missing) += 1;
            Ok(usual)
        }
    };
    let gains = joint.gains.filter(|gains| gains.stiffness_nm_rad > 0.0);
    let damping = gains.map_or(assumed.damping_nm_s_rad.get(), |gains| gains.damping_nm_s_rad);
    Ok(DriveFile {
        stiffness_nm_rad: or(gains.map(|it| it.stiffness_nm_rad), assumed.stiffness_nm_rad, |it| &mut it.gains)?,
        max_effort_nm: or(joint.max_effort_nm, assumed.max_effort_nm, |it| &mut it.efforts)?,
        max_rate_rad_s: or(joint.max_rate_rad_s, assumed.max_rate_rad_s, |it| &mut it.rates)?,
        armature_kg_m2: or(joint.armature_kg_m2, assumed.armature_kg_m2, |it| &mut it.armatures)?,
        damping_nm_s_rad: NonNegative::try_from(damping)?,
        joint_damping_nm_s_rad: NonNegative::try_from(joint.damping_nm_s_rad)?,
    })
}
