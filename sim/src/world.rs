//! The cube in the hand: a palm-down hand that does not move, a cube and a floor. The world frame is the hand frame.

use crate::collision::Groups;
use crate::contact::Contact;
use crate::engine::{Engine, Mount, Surroundings, WorldSnapshot, vector};
use crate::fault::PhysicsFault;
use crate::hand::Hand;
use crate::parts::{PartKind, Shape};
use bridge::ObjectPose;
use rapier3d::glamx::DVec3;
use rapier3d::prelude::{ColliderBuilder, Pose, RigidBodyBuilder, RigidBodyHandle, Rotation, Vector};

/// How far below the hand the floor is, m.
const FLOOR_DEPTH_M: f32 = 0.30;

/// The cube as it is put into the hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cube {
    /// Edge, m.
    pub edge_m: f64,
    /// Mass, kg.
    pub mass_kg: f64,
    /// Where its centre starts, m.
    pub center_m: DVec3,
    /// Heading that it starts with, rad.
    pub yaw_rad: f64,
}

/// A hand with a cube.
pub struct World {
    engine: Engine,
    cube: RigidBodyHandle,
}

impl World {
    /// Builds the world with the hand at joint positions `q_rad`, which its motors hold.
    #[must_use]
    pub fn new(hand: &Hand, q_rad: &[f32], cube: &Cube, surroundings: &Surroundings) -> Self {
        let engine = Engine::new(hand, q_rad, Mount::Fixed, -FLOOR_DEPTH_M, surroundings);
        let mut world = Self { engine, cube: RigidBodyHandle::invalid() };
        world.insert_cube(cube, Groups::new(surroundings.finger_contacts), surroundings.friction as f32);
        world
    }

    /// The physics, to look at.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Lets 1 / [`crate::PHYSICS_HZ`] s pass.
    ///
    /// # Errors
    /// When a body is not where it can be. The world must be built anew.
    pub fn step(&mut self) -> Result<(), PhysicsFault> {
        self.engine.step()
    }

    /// Sets what the motors hold, rad.
    pub fn set_targets(&mut self, targets_rad: &[f32]) {
        self.engine.set_targets(targets_rad);
    }

    pub(crate) const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Pose and velocity of the cube, at `time_s`.
    #[must_use]
    pub fn cube_pose(&self, time_s: f64) -> ObjectPose {
        self.engine.object_pose(self.cube, time_s)
    }

    /// Where the cube is touched, and the forces on it in the last substep of the last step.
    #[must_use]
    pub fn cube_contacts(&self) -> Vec<Contact> {
        let mut contacts = Vec::new();
        self.engine.contacts_on(self.cube, &mut contacts);
        contacts
    }

    /// Gives the cube a push through its centre, N s.
    pub fn push_cube(&mut self, impulse_n_s: [f32; 3]) {
        self.engine.physics.bodies[self.cube].apply_impulse(Vector::from_array(impulse_n_s), true);
    }

    /// Switches the cube's weight on or off: off while the hand closes around it.
    pub fn set_cube_weight(&mut self, on: bool) {
        self.engine.physics.bodies[self.cube].set_gravity_scale(if on { 1.0 } else { 0.0 }, true);
    }

    /// Copies everything that changes.
    #[must_use]
    pub fn snapshot(&self) -> WorldSnapshot {
        self.engine.snapshot()
    }

    /// Goes back to `snapshot`, which was taken of this world or of one built alike: from here on the same targets lead
    /// to the same bits.
    pub fn restore(&mut self, snapshot: &WorldSnapshot) {
        self.engine.restore(snapshot);
    }

    fn insert_cube(&mut self, cube: &Cube, groups: Groups, friction: f32) {
        let half = 0.5 * cube.edge_m as f32;
        let rotation = Rotation::from_axis_angle(Vector::Z, cube.yaw_rad as f32);
        let body = RigidBodyBuilder::dynamic().pose(Pose::from_parts(vector(cube.center_m), rotation)).can_sleep(false);
        let collider = ColliderBuilder::cuboid(half, half, half)
            .mass(cube.mass_kg as f32)
            .friction(friction)
            .collision_groups(groups.object());
        self.cube = self.engine.insert_object("cube", body);
        self.engine.physics.insert_collider(collider, Some(self.cube));
        self.engine.show(self.cube, PartKind::Cube, Shape::cuboid([0.0; 3], [half; 3]));
    }
}

#[cfg(test)]
mod tests {
    use crate::{CubeScene, Domain, Simulated};
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
            for contact in body.contacts() {
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
        body.push(0, [0.0, 0.008, 0.0]);
        let gained_m_s = body.cube_pose().velocity_m_s[1] - before[1];
        assert!((gained_m_s - 0.008 / mass_kg).abs() < 1e-4, "{gained_m_s} m/s");
    }
}
