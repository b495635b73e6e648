//! Touching the cube: where the hand does, with what force, and how to push it from outside.

use super::{PHYSICS_HZ, SOLVER_ITERATIONS, World};
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
        let physics = &self.physics;
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
        self.physics.bodies[self.cube].apply_impulse(Vector::from_array(impulse_n_s), true);
    }
}
