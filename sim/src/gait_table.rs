//! A gait turned into joint targets, once, by inverse kinematics.

use crate::asset::AssetError;
use crate::gait::Gait;
use crate::hand::{Finger, Hand};
use crate::kinematics::IK_ITERATIONS;
use rapier3d::glamx::DVec3;

/// Samples of a cycle.
pub const N_SAMPLES: usize = 48;

/// From one sample to the next the joints hardly move.
const IK_ITERATIONS_NEXT: usize = 6;
/// Clearance of the open posture, m.
const OPEN_CLEARANCE_M: f64 = 0.004;
/// The gait fades in from the holding posture, s.
const FADE_IN_S: f64 = 0.3;

/// Joint targets over one cycle of a gait.
#[derive(Clone, Debug, PartialEq)]
pub struct GaitTable {
    period_s: f64,
    /// Phase of each joint's finger.
    phases: Vec<f64>,
    /// `[joint][sample]`, rad.
    samples_rad: Vec<[f64; N_SAMPLES]>,
    holding_rad: Vec<f32>,
    open_rad: Vec<f32>,
    mean_miss_m: f64,
}

impl GaitTable {
    /// The table of `gait` for `hand`: one of its own, or one of its family, which a mirror image plays mirrored.
    ///
    /// # Errors
    /// When the gait is for neither, has another number of fingers, or a duty of 0 or 1.
    pub fn new(hand: &Hand, gait: &Gait) -> Result<Self, AssetError> {
        check(hand, gait)?;
        Ok(if Self::plays_mirrored(hand, gait) { Self::of(hand, &gait.mirrored()) } else { Self::of(hand, gait) })
    }

    /// Whether `hand` plays `gait` mirrored: a mirror image does, unless the gait is its own.
    pub(crate) fn plays_mirrored(hand: &Hand, gait: &Gait) -> bool {
        hand.is_mirrored && gait.hand != hand.name
    }

    fn of(hand: &Hand, gait: &Gait) -> Self {
        let mut table = Self {
            period_s: gait.period_s.get(),
            phases: Vec::with_capacity(hand.n_joints()),
            samples_rad: Vec::with_capacity(hand.n_joints()),
            holding_rad: Vec::with_capacity(hand.n_joints()),
            open_rad: Vec::with_capacity(hand.n_joints()),
            mean_miss_m: 0.0,
        };
        if let Some(wrist) = &hand.wrist {
            table.add_still(wrist.neutral_rad);
        }
        for (index, finger) in hand.fingers.iter().enumerate() {
            table.add_finger(index, finger, gait);
        }
        table.mean_miss_m /= (hand.fingers.len() * N_SAMPLES) as f64;
        table
    }

    /// Writes the joint targets (rad) at `time_s`, for a cycle that is `phase` (in cycles) ahead.
    pub fn target(&self, time_s: f64, phase: f64, targets_rad: &mut [f32]) {
        let cycles = time_s / self.period_s + phase;
        for ((target, samples), joint_phase) in targets_rad.iter_mut().zip(&self.samples_rad).zip(&self.phases) {
            let sample = (cycles + joint_phase).rem_euclid(1.0) * N_SAMPLES as f64;
            let share = sample.fract();
            let before = sample as usize % N_SAMPLES;
            *target = (samples[before] * (1.0 - share) + samples[(before + 1) % N_SAMPLES] * share) as f32;
        }
    }

    /// Like [`GaitTable::target`], fading in from `holding_rad`, the posture at time 0.
    pub fn target_from(&self, holding_rad: &[f32], time_s: f64, phase: f64, targets_rad: &mut [f32]) {
        self.target(time_s, phase, targets_rad);
        let share = (time_s / FADE_IN_S).min(1.0) as f32;
        for (target, &holding) in targets_rad.iter_mut().zip(holding_rad) {
            *target = holding * (1.0 - share) + *target * share;
        }
    }

    /// Posture in which all fingers hold the cube in the middle of their stance, rad.
    #[must_use]
    pub fn holding_rad(&self) -> &[f32] {
        &self.holding_rad
    }

    /// Posture around the cube without touching it, rad.
    #[must_use]
    pub fn open_rad(&self) -> &[f32] {
        &self.open_rad
    }

    /// Fastest target of any joint, rad/s.
    #[must_use]
    pub fn max_rate_rad_s(&self) -> f64 {
        let steps = self.samples_rad.iter().flat_map(|samples| {
            (0..N_SAMPLES).map(|sample| (samples[(sample + 1) % N_SAMPLES] - samples[sample]).abs())
        });
        steps.fold(0.0, f64::max) * N_SAMPLES as f64 / self.period_s
    }

    /// By how much the tips miss their targets, mean over the cycle, m.
    #[must_use]
    pub const fn mean_miss_m(&self) -> f64 {
        self.mean_miss_m
    }

    /// A joint that has no part in the gait.
    fn add_still(&mut self, q_rad: f64) {
        self.phases.push(0.0);
        self.samples_rad.push([q_rad; N_SAMPLES]);
        self.holding_rad.push(q_rad as f32);
        self.open_rad.push(q_rad as f32);
    }

    fn add_finger(&mut self, index: usize, finger: &Finger, gait: &Gait) {
        let first_joint = self.samples_rad.len();
        let n_joints = finger.joints.len();
        let place = |angle_rad: f64, distance_m: f64, height_m: f64| {
            let reach_m = distance_m + finger.tip.radius_m;
            let center_m = DVec3::from_array(gait.center_m.map(bridge::number::Finite::get));
            center_m + DVec3::new(reach_m * angle_rad.cos(), reach_m * angle_rad.sin(), height_m)
        };
        self.samples_rad.extend(std::iter::repeat_n([0.0; N_SAMPLES], n_joints));
        self.phases.extend(std::iter::repeat_n(gait.fingers[index].phase.get(), n_joints));

        // The first round only finds the branch of the joint positions that the second one starts in.
        let mut q_rad = finger.ik_seed_rad.clone();
        for round in 0..2 {
            for sample in 0..N_SAMPLES {
                let tip = gait.tip_target(index, sample as f64 / N_SAMPLES as f64);
                let target_m = place(tip.angle_rad, tip.distance_m, tip.height_m);
                let first = round == 0 && sample == 0;
                let miss_m = finger.reach(&mut q_rad, target_m, if first { IK_ITERATIONS } else { IK_ITERATIONS_NEXT });
                if round == 1 {
                    self.mean_miss_m += miss_m;
                    for (samples, &q) in self.samples_rad[first_joint..].iter_mut().zip(&q_rad) {
                        samples[sample] = q;
                    }
                }
            }
        }

        let middle = (0.5 * gait.duty.get() * N_SAMPLES as f64) as usize;
        q_rad = self.samples_rad[first_joint..].iter().map(|samples| samples[middle]).collect();
        self.holding_rad.extend(q_rad.iter().map(|&q| q as f32));

        let own = &gait.fingers[index];
        let from_face_rad = own.angle_rad.get() - gait.cube_yaw_rad.get();
        let corner = from_face_rad.cos().abs().max(from_face_rad.sin().abs());
        let half_m = 0.5 * gait.cube_edge_m.get();
        let outside_m = (half_m + finger.tip.radius_m) / corner + OPEN_CLEARANCE_M - finger.tip.radius_m;
        let target_m = place(own.angle_rad.get(), outside_m, own.height_m.get());
        finger.reach(&mut q_rad, target_m, IK_ITERATIONS);
        self.open_rad.extend(q_rad.iter().map(|&q| q as f32));
    }
}

fn check(hand: &Hand, gait: &Gait) -> Result<(), AssetError> {
    let inconsistent =
        |reason| Err(AssetError::Inconsistent { source_name: format!("gait for {}", gait.hand), reason });
    if gait.hand != hand.name && gait.hand != hand.family {
        return inconsistent(format!("it was to be played on the hand {}", hand.name));
    }
    if gait.fingers.len() != hand.fingers.len() {
        let (found, expected) = (gait.fingers.len(), hand.fingers.len());
        return inconsistent(format!("fingers: found {found}, expected {expected} as in the hand"));
    }
    if gait.duty.get() <= 0.0 || gait.duty.get() >= 1.0 {
        return inconsistent(format!("duty: found {}, expected a number between 0 and 1", gait.duty.get()));
    }
    Ok(())
}
