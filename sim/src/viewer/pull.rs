//! A hand that reaches into the scene: a spring from a point of an object to a point in space.
//!
//! ```text
//! F = k (target - point) - c v,   |F| <= F_max
//! ```
//!
//! v is the velocity of the object's origin, at which the force acts: a pull moves an object, it does not turn it. Once a servo
//! tick of length h it is a push of F h. With mass m that is stable while k h^2 / m and c h / m stay below 1: here down to the
//! 25 g of one half of the scissors (0.44 and 0.53).

use bridge::{ObjectPose, rotate};

/// k, N/m: 1 cm is worth half of the weight of the cube.
const STIFFNESS_N_M: f32 = 40.0;
/// c, N s/m.
const DAMPING_N_S_M: f32 = 0.8;
/// F_max, N: about what a finger tip presses with.
const MAX_FORCE_N: f32 = 3.0;

/// A pull on an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pull {
    /// Index of the object in the body's spec.
    pub object_idx: usize,
    /// The point that is held, in the frame of the object, m.
    pub local_m: [f32; 3],
    /// Where it is pulled to, m.
    pub target_m: [f32; 3],
}

impl Pull {
    /// Where the point is that is held, m.
    pub fn point_m(&self, object: &ObjectPose) -> [f32; 3] {
        let arm_m = rotate(object.orientation, self.local_m);
        std::array::from_fn(|axis| object.position_m[axis] + arm_m[axis])
    }

    /// The force on the object, N; none where a number is not finite.
    pub fn force_n(&self, object: &ObjectPose) -> [f32; 3] {
        let point_m = self.point_m(object);
        let force_n: [f32; 3] = std::array::from_fn(|axis| {
            STIFFNESS_N_M * (self.target_m[axis] - point_m[axis]) - DAMPING_N_S_M * object.velocity_m_s[axis]
        });
        let length_n = force_n.iter().map(|force| force * force).sum::<f32>().sqrt();
        if !length_n.is_finite() {
            return [0.0; 3];
        }
        force_n.map(|force| if length_n > MAX_FORCE_N { force * MAX_FORCE_N / length_n } else { force })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewer::filmed::{Filmed, Reel};
    use bridge::{Body, Percept};
    use sim::{CubeScene, Domain, SERVO_HZ};

    fn at(position_m: [f32; 3], velocity_m_s: [f32; 3]) -> ObjectPose {
        let orientation = [0.0, 0.0, 0.0, 1.0];
        ObjectPose { time_s: 0.0, position_m, orientation, velocity_m_s, angular_velocity_rad_s: [0.0; 3] }
    }

    /// Contract: the force is that of a damped spring on the point that is held, which turns with its object; it is limited
    /// along its direction, and what is not finite pulls on nothing.
    #[test]
    fn a_pull_is_a_limited_spring() {
        let pull = Pull { object_idx: 0, local_m: [0.01, 0.0, 0.0], target_m: [0.03, 0.0, 0.01] };
        let near = |found: [f32; 3], expected: [f32; 3]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        // 40 N/m over 2 cm and 1 cm, less 0.8 N s/m at 0.5 m/s.
        assert!(near(pull.force_n(&at([0.0; 3], [0.5, 0.0, 0.0])), [0.4, 0.0, 0.4]));
        // A quarter turn about z takes the point to y.
        let half = std::f32::consts::FRAC_1_SQRT_2;
        let turned = ObjectPose { orientation: [0.0, 0.0, half, half], ..at([0.0; 3], [0.0; 3]) };
        assert!(near(pull.force_n(&turned), [1.2, -0.4, 0.4]));
        // 40 N/m over 30 cm and 40 cm would be 20 N.
        let far = Pull { target_m: [0.31, 0.4, 0.0], ..pull };
        assert!(near(far.force_n(&at([0.0; 3], [0.0; 3])), [1.8, 2.4, 0.0]));
        for bad in [f32::NAN, f32::INFINITY, f32::MAX] {
            let force_n = Pull { target_m: [0.0, bad, 0.0], ..pull }.force_n(&at([0.0; 3], [0.0; 3]));
            assert_eq!(force_n, [0.0; 3], "{bad} m");
        }
    }

    /// Contract: what can move comes to rest where it is pulled to, with the mass of the cube and of half of the scissors.
    #[test]
    fn a_pull_comes_to_rest() {
        let step_s = 1.0 / SERVO_HZ as f32;
        let pull = Pull { object_idx: 0, local_m: [0.0; 3], target_m: [0.05, -0.02, 0.0] };
        for mass_kg in [0.08, 0.025] {
            let mut object = at([0.0; 3], [0.0; 3]);
            for _ in 0..2 * SERVO_HZ {
                let force_n = pull.force_n(&object);
                let axes = object.position_m.iter_mut().zip(&mut object.velocity_m_s).zip(force_n);
                for ((position_m, velocity_m_s), force_n) in axes {
                    *velocity_m_s += force_n / mass_kg * step_s;
                    *position_m += *velocity_m_s * step_s;
                }
            }
            let miss_m = object.position_m.iter().zip(pull.target_m).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(miss_m < 1e-3, "{mass_kg} kg: {miss_m} m off");
        }
    }

    /// Contract: a cube in the hand goes where it is pulled, and back when it is let go; the same pulls lead to the same bits,
    /// and a reset lets go.
    #[test]
    fn a_cube_is_pulled() {
        let scene = CubeScene::load("orca_v2").unwrap();
        let play = |pulled: [bool; 2]| {
            let reel = Reel::default();
            let mut filmed = Filmed::new(Box::new(scene.body(Domain::load("exact").unwrap())), &reel);
            filmed.reset(0).unwrap();
            let mut percept = Percept::default();
            filmed.read(&mut percept).unwrap();
            let [x, y, z] = percept.objects[0].position_m;
            let pull = Pull { object_idx: 0, local_m: [0.0; 3], target_m: [x, y, z - 0.05] };
            let mut positions_m = Vec::new();
            for is_pulled in pulled {
                reel.pull(is_pulled.then_some(pull));
                for _ in 0..15 {
                    filmed.command(&scene.start().holding_rad).unwrap();
                }
                filmed.read(&mut percept).unwrap();
                positions_m.push(percept.objects[0].position_m);
            }
            reel.pull(Some(pull));
            filmed.reset(0).unwrap();
            for _ in 0..15 {
                filmed.command(&scene.start().holding_rad).unwrap();
            }
            filmed.read(&mut percept).unwrap();
            positions_m.push(percept.objects[0].position_m);
            positions_m
        };
        let (still, pulled) = (play([false; 2]), play([true, false]));
        assert!(pulled[0][2] < still[0][2] - 5e-4, "{pulled:?} m, unpulled {still:?} m");
        assert!(pulled[1][2] > pulled[0][2], "{pulled:?} m");
        assert_eq!(pulled[2], still[0]);
        assert_eq!(play([true, false]), pulled);
    }
}
