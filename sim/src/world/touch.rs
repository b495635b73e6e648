//! Touching the cube: where the hand does, with what force, and how to push it from outside.

use super::World;
use crate::engine::{PHYSICS_HZ, SOLVER_ITERATIONS};
use rapier3d::prelude::Vector;

/// A place where something touches the cube.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CubeContact {
    /// Where, m.
    pub position_m: [f32; 3],
    /// Force on the cube: normal force and friction, N.
    pub force_n: [f32; 3],
}

impl World {
    /// Where the cube is touched, and the forces on it in the last substep of the last step.
    #[must_use]
    pub fn cube_contacts(&self) -> Vec<CubeContact> {
        let physics = &self.engine.physics;
        let substeps_per_s = (PHYSICS_HZ * SOLVER_ITERATIONS as u32) as f32;
        let cube_colliders = physics.bodies[self.cube].colliders();
        let mut contacts = Vec::new();
        for &cube in cube_colliders {
            for pair in physics.narrow_phase.contact_pairs_with(cube) {
                // Impulses are those on the first collider's body.
                let sign = if pair.collider1 == cube { 1.0 } else { -1.0 };
                let Some(first) = physics.colliders.get(pair.collider1) else { continue };
                for manifold in pair.manifolds() {
                    for point in &manifold.points {
                        let impulse =
                            manifold.data.normal * -point.data.warmstart_impulse + point.data.warmstart_tangent_world;
                        if impulse == Vector::ZERO {
                            continue;
                        }
                        let position = first.position() * point.local_p1;
                        contacts.push(CubeContact {
                            position_m: position.into(),
                            force_n: (impulse * (sign * substeps_per_s)).into(),
                        });
                    }
                }
            }
        }
        contacts
    }

    /// Gives the cube a push through its centre, N s.
    pub fn push_cube(&mut self, impulse_n_s: [f32; 3]) {
        self.engine.physics.bodies[self.cube].apply_impulse(Vector::from_array(impulse_n_s), true);
    }
}

#[cfg(test)]
mod tests {
    use crate::{CubeScene, Domain};
    use bridge::Body;

    /// Contract: the forces on a cube that is held still add up to its weight, and a push changes its velocity by impulse
    /// over mass.
    #[test]
    fn forces_carry_the_cube() {
        let scene = CubeScene::load("orca_v2").unwrap();
        let mut body = scene.body(Domain::load("exact").unwrap());
        body.reset(0).unwrap();
        let holding_rad = scene.start().holding_rad.clone();
        let n_ticks = 120;
        let mut mean_n = [0.0; 3];
        for _ in 0..n_ticks {
            body.command(&holding_rad).unwrap();
            for contact in body.world().cube_contacts() {
                for (mean, force) in mean_n.iter_mut().zip(contact.force_n) {
                    *mean += force / n_ticks as f32;
                }
            }
        }
        let mass_kg = scene.start().cube.mass_kg as f32;
        let weight_n = 9.81 * mass_kg;
        for (found_n, expected_n) in mean_n.into_iter().zip([0.0, 0.0, weight_n]) {
            assert!((found_n - expected_n).abs() < 0.1 * weight_n, "{mean_n:?} N, expected {weight_n} N upwards");
        }

        let before = body.cube_pose().velocity_m_s;
        body.push_cube([0.0, 0.008, 0.0]);
        let gained_m_s = body.cube_pose().velocity_m_s[1] - before[1];
        assert!((gained_m_s - 0.008 / mass_kg).abs() < 1e-4, "{gained_m_s} m/s");
    }
}
