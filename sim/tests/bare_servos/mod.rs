//! Servos without firmware: drives that hold goals, and shafts that the plant turns.

use bridge::real::calibration::{JointCalibration, JointMap};
use bridge::real::dynamixel::control_table::RAD_PER_TICK;
use bridge::real::emulator::{Drive, Plant, Shaft};
use sim::Hand;
use std::error::Error;

const N_SERVOS: usize = 17;
pub const STEP_S: f64 = 0.001;

pub struct BareServos {
    pub drives: Vec<Drive>,
    pub shafts: Vec<Shaft>,
    /// Of every joint: its servo, and how its angle is told to it.
    maps: Vec<(usize, JointMap)>,
}

impl BareServos {
    /// The servos of `hand` with `joints`, which hold it where `plant` has it.
    pub fn new(plant: &mut impl Plant, hand: &Hand, joints: &[JointCalibration]) -> Result<Self, Box<dyn Error>> {
        let maps = hand.joints().map(|joint| {
            let idx = joints.iter().position(|other| other.joint == joint.name).ok_or("a joint without a motor")?;
            Ok((idx, JointMap::new(&joints[idx], (joint.lower_rad, joint.upper_rad))))
        });
        let maps = maps.collect::<Result<_, Box<dyn Error>>>()?;
        let mut shafts = vec![Shaft::default(); N_SERVOS];
        plant.advance(&[Drive::default(); N_SERVOS], 0.0, &mut shafts);
        let drives =
            shafts.iter().map(|shaft| Drive { is_on: true, goal_rad: shaft.position_rad, current_limit_ma: 300.0 });
        Ok(Self { drives: drives.collect(), shafts, maps })
    }

    pub fn step(&mut self, plant: &mut impl Plant) {
        plant.advance(&self.drives, STEP_S, &mut self.shafts);
    }

    /// Moves the goals in a straight line to `q_rad`, in `n_steps`, each of them taken by `step`.
    pub fn go(&mut self, q_rad: &[f32], n_steps: u32, mut step: impl FnMut(&mut Self)) {
        let from: Vec<f64> = self.drives.iter().map(|drive| drive.goal_rad).collect();
        for step_idx in 1..=n_steps {
            let share = f64::from(step_idx) / f64::from(n_steps);
            for ((idx, map), &q) in self.maps.iter().zip(q_rad) {
                let Some(ticks) = map.ticks(q.into()) else { continue };
                let to_rad = f64::from(ticks) * RAD_PER_TICK;
                self.drives[*idx].goal_rad = from[*idx] + (to_rad - from[*idx]) * share;
            }
            step(self);
        }
    }

    /// What the shafts say of the joints, rad.
    pub fn joints_rad(&self) -> Vec<f32> {
        let ticks = |idx: usize| (self.shafts[idx].position_rad / RAD_PER_TICK).round() as i32;
        self.maps.iter().map(|(idx, map)| map.angle_rad(ticks(*idx)) as f32).collect()
    }
}
