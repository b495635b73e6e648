//! Mass and inertia of uniform solids, and of what they make up. A capsule has the length l between its ends and the radius r.
//!
//! A capsule is a cylinder of mass m_c and two halves of a ball, m_b together, in the ratio of their volumes. About its middle:
//! along the axis I_a = m_c r^2/2 + m_b 2r^2/5, across it I_t = m_c (l^2/12 + r^2/4) + m_b (2r^2/5 + l^2/4 + 3lr/8).

use crate::hand::{Finger, Link};
use crate::solid::Solid;
use rapier3d::glamx::{DMat3, DQuat, DVec3};
use std::f64::consts::PI;

/// Of one part, in the frame of the part or of what it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inertia {
    /// Mass, kg.
    pub(crate) mass_kg: f64,
    /// Centre of mass, m.
    pub(crate) center_m: DVec3,
    /// About the centre of mass, kg m^2.
    pub(crate) moments_kg_m2: DMat3,
}

impl Inertia {
    /// Of the link behind joint `link` of `finger`, with the tip if it is the last.
    pub(crate) fn of(finger: &Finger, link: usize) -> Self {
        let own = Self::of_link(&finger.joints[link].link);
        let tip = &finger.tip;
        if link + 1 < finger.joints.len() || tip.mass_kg <= 0.0 {
            return own;
        }
        let ball = Solid::Ball { center_m: tip.center_m, radius_m: tip.radius_m };
        own.joined(&Self::uniform(&ball, tip.mass_kg))
    }

    /// Of a solid whose mass is spread evenly.
    pub(crate) fn uniform(solid: &Solid, mass_kg: f64) -> Self {
        let center_m = solid.center_m();
        let moments_kg_m2 = match *solid {
            Solid::Box { half_extents_m, turn, .. } => {
                let square = half_extents_m * half_extents_m * (mass_kg / 3.0);
                let own = DVec3::new(square.y + square.z, square.x + square.z, square.x + square.y);
                turned(DMat3::from_diagonal(own), turn)
            }
            Solid::Capsule { from_m, to_m, radius_m: r } => {
                let (axis_m, l) = (to_m - from_m, (to_m - from_m).length());
                let (cylinder, ball) = (PI * r * r * l, 4.0 / 3.0 * PI * r.powi(3));
                let (m_c, m_b) = (mass_kg * cylinder / (cylinder + ball), mass_kg * ball / (cylinder + ball));
                let along = m_c * r * r / 2.0 + m_b * 0.4 * r * r;
                let across = m_c * (l * l / 12.0 + r * r / 4.0) + m_b * (0.4 * r * r + l * l / 4.0 + 3.0 * l * r / 8.0);
                DMat3::from_diagonal(DVec3::splat(across)) + outer(axis_m.normalize_or_zero()) * (along - across)
            }
            Solid::Ball { radius_m, .. } => DMat3::from_diagonal(DVec3::splat(0.4 * mass_kg * radius_m * radius_m)),
        };
        Self { mass_kg, center_m, moments_kg_m2 }
    }

    /// Of solids among which `mass_kg` is spread evenly; none where there are none.
    pub(crate) fn of_solids(solids: &[Solid], mass_kg: f64) -> Option<Self> {
        let all_m3: f64 = solids.iter().map(Solid::volume_m3).sum();
        let own = solids.iter().map(|solid| Self::uniform(solid, mass_kg * solid.volume_m3() / all_m3));
        own.reduce(|all, part| all.joined(&part))
    }

    /// About the centre of mass: xx, yy, zz, xy, xz, yz, kg m^2.
    pub(crate) fn moments_kg_m2(&self) -> [f64; 6] {
        let [x, y, z] = self.moments_kg_m2.to_cols_array_2d();
        [x[0], y[1], z[2], x[1], x[2], y[2]]
    }

    /// The same seen from a frame in which its own frame is turned by `turn` and then moved by `offset_m`.
    pub(crate) fn placed(&self, offset_m: DVec3, turn: DQuat) -> Self {
        let moments_kg_m2 = turned(self.moments_kg_m2, turn);
        Self { mass_kg: self.mass_kg, center_m: offset_m + turn * self.center_m, moments_kg_m2 }
    }

    /// Of both together.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        let mass_kg = self.mass_kg + other.mass_kg;
        let center_m = (self.center_m * self.mass_kg + other.center_m * other.mass_kg) / mass_kg;
        let seen_from = |part: &Self| {
            let arm = part.center_m - center_m;
            let steiner = DMat3::from_diagonal(DVec3::splat(arm.length_squared())) - outer(arm);
            part.moments_kg_m2 + steiner * part.mass_kg
        };
        Self { mass_kg, center_m, moments_kg_m2: seen_from(self) + seen_from(other) }
    }

    pub(crate) fn of_link(link: &Link) -> Self {
        match &link.form {
            Some(form) => {
                Self { mass_kg: link.mass_kg, center_m: form.center_of_mass_m, moments_kg_m2: form.inertia_kg_m2 }
            }
            None => {
                let bone = Solid::Capsule { from_m: DVec3::ZERO, to_m: link.end_m, radius_m: link.radius_m };
                Self::uniform(&bone, link.mass_kg)
            }
        }
    }
}

/// R M R^T.
fn turned(moments: DMat3, turn: DQuat) -> DMat3 {
    let turn = DMat3::from_quat(turn);
    turn * moments * turn.transpose()
}

/// v v^T.
fn outer(v: DVec3) -> DMat3 {
    DMat3::from_cols(v * v.x, v * v.y, v * v.z)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hand;

    /// Contract: mass, centre and moments of a link are those that the physics gives its capsule.
    #[test]
    fn capsules_are_those_of_the_physics() {
        let hand = Hand::load("orca_v2").unwrap();
        for joint in hand.joints() {
            let ours = Inertia::of_link(&joint.link);
            let theirs = joint.link.collider().build().mass_properties();
            assert!((ours.mass_kg - f64::from(theirs.mass())).abs() < 1e-8, "{}", joint.name);
            let theirs_m = DVec3::from_array(theirs.local_com.to_array().map(f64::from));
            assert!((ours.center_m - theirs_m).length() < 1e-8, "{}", joint.name);
            let matrix = theirs.reconstruct_inertia_matrix().to_cols_array().map(f64::from);
            let apart = ours.moments_kg_m2.to_cols_array().into_iter().zip(matrix).map(|(a, b)| (a - b).abs());
            let trace = ours.moments_kg_m2()[..3].iter().sum::<f64>();
            assert!(apart.fold(0.0, f64::max) < 1e-3 * trace, "{}: {ours:?}, {matrix:?}", joint.name);
        }
    }

    /// Contract: two halves of a dumbbell, 1 kg at +1 m and 3 kg at -1 m along x, have their centre at -0.5 m and 3 kg m^2
    /// across it: 1 * 1.5^2 + 3 * 0.5^2.
    #[test]
    fn a_dumbbell_is_worked_by_hand() {
        let end = |mass_kg, x| Inertia { mass_kg, center_m: DVec3::new(x, 0.0, 0.0), moments_kg_m2: DMat3::ZERO };
        let dumbbell = end(1.0, 1.0).joined(&end(3.0, -1.0));
        assert_eq!((dumbbell.mass_kg, dumbbell.center_m), (4.0, DVec3::new(-0.5, 0.0, 0.0)));
        assert_eq!(dumbbell.moments_kg_m2(), [0.0, 3.0, 3.0, 0.0, 0.0, 0.0]);
    }
}
