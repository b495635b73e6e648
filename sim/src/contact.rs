//! Where something touches a body, and with what force.

use crate::engine::{Engine, PHYSICS_HZ, SOLVER_ITERATIONS};
use rapier3d::prelude::{RigidBodyHandle, Vector};

/// A place where something touches an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contact {
    /// Where, m.
    pub position_m: [f32; 3],
    /// Force on the object: normal force and friction, N.
    pub force_n: [f32; 3],
}

impl Engine {
    /// Appends where `body` is touched, and the forces on it in the last substep of the last step.
    pub(crate) fn contacts_on(&self, body: RigidBodyHandle, contacts: &mut Vec<Contact>) {
        let substeps_per_s = (PHYSICS_HZ * SOLVER_ITERATIONS as u32) as f32;
        for &collider in self.physics.bodies[body].colliders() {
            for pair in self.physics.narrow_phase.contact_pairs_with(collider) {
                // Impulses are those on the first collider's body.
                let sign = if pair.collider1 == collider { 1.0 } else { -1.0 };
                let Some(first) = self.physics.colliders.get(pair.collider1) else { continue };
                for manifold in pair.manifolds() {
                    for point in &manifold.points {
                        let impulse =
                            manifold.data.normal * -point.data.warmstart_impulse + point.data.warmstart_tangent_world;
                        if impulse == Vector::ZERO {
                            continue;
                        }
                        let position = first.position() * point.local_p1;
                        contacts.push(Contact {
                            position_m: position.into(),
                            force_n: (impulse * (sign * substeps_per_s)).into(),
                        });
                    }
                }
            }
        }
    }
}
