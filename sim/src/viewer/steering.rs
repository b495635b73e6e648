//! A human at the keys, or with a gamepad, instead of a policy: finger tips, wrist and arm move while keys are held or sticks are
//! away from their middle.
//!
//! Every action starts from what was really applied, so that nothing winds up against a limit: tips move along the axes of the
//! hand by inverse kinematics, the tool along and about those of the arm's base; the wrist turns.

use crate::viewer::driver::Driver;
use crate::viewer::error::ViewerError;
use bridge::{EnvironmentSpec, Percept};
use rapier3d::glamx::{DVec3, Quat, Vec3};
use sim::Hand;
use sim::kinematics::IK_ITERATIONS;

/// Speed of a finger tip and of the arm, m/s, and how fast wrist and arm turn, rad/s.
const TIP_SPEED_M_S: f64 = 0.06;
const ARM_SPEED_M_S: f32 = 0.08;
const WRIST_RATE_RAD_S: f32 = 0.5;
const ARM_RATE_RAD_S: f32 = 0.5;

/// What keys and sticks ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Steering {
    /// What is to move.
    pub choice: Choice,
    /// Where to, and how fast: -1 to 1 along x, y and z.
    pub direction: [f32; 3],
    /// Whether the arm turns about that axis instead of moving along it.
    pub is_turning: bool,
}

/// What is to move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The tips of all fingers.
    #[default]
    AllFingers,
    /// The tip of one finger.
    Finger(usize),
    /// The wrist, of a hand that has one: up and down.
    Wrist,
    /// The arm.
    Arm,
}

impl Choice {
    /// In the order of keys and buttons.
    pub const ALL: [Self; 8] = [
        Self::Finger(0),
        Self::Finger(1),
        Self::Finger(2),
        Self::Finger(3),
        Self::Finger(4),
        Self::AllFingers,
        Self::Arm,
        Self::Wrist,
    ];
}

/// Moves as the keys say.
pub struct Teleop {
    hand: Hand,
    environment: EnvironmentSpec,
    steering: Steering,
}

impl Teleop {
    /// Steers `hand` in `environment`.
    pub fn new(hand: Hand, environment: EnvironmentSpec) -> Self {
        Self { hand, environment, steering: Steering::default() }
    }

    fn move_tips(&self, joints_rad: &mut [f32]) {
        let step_s = 1.0 / f64::from(self.environment.control_hz);
        let step_m = DVec3::from_array(self.steering.direction.map(f64::from)) * TIP_SPEED_M_S * step_s;
        for (index, finger) in self.hand.fingers.iter().enumerate() {
            if self.steering.choice != Choice::AllFingers && self.steering.choice != Choice::Finger(index) {
                continue;
            }
            let own_rad = &mut joints_rad[finger.first_joint..finger.first_joint + finger.joints.len()];
            let mut q_rad: Vec<f64> = own_rad.iter().copied().map(f64::from).collect();
            let target_m = finger.tip_m(&q_rad) + step_m;
            finger.reach(&mut q_rad, target_m, IK_ITERATIONS);
            own_rad.iter_mut().zip(&q_rad).for_each(|(own, &q)| *own = q as f32);
        }
    }

    /// Turns the palm down or up: the wrist is the first joint, and its positive direction flexes.
    fn turn_wrist(&self, joints_rad: &mut [f32]) {
        if let (Some(_), [wrist_rad, ..]) = (&self.hand.wrist, joints_rad) {
            *wrist_rad -= self.steering.direction[2] * WRIST_RATE_RAD_S / self.environment.control_hz as f32;
        }
    }

    /// Moves or turns the tool, whose pose has seven values.
    fn move_arm(&self, pose: &mut [f32]) {
        let step_s = 1.0 / self.environment.control_hz as f32;
        let direction = Vec3::from_array(self.steering.direction);
        let [position @ .., i, j, k, w] = pose else { return };
        if self.steering.is_turning {
            let turn = Quat::from_scaled_axis(direction * ARM_RATE_RAD_S * step_s);
            [*i, *j, *k, *w] = (turn * Quat::from_xyzw(*i, *j, *k, *w)).normalize().to_array();
        } else {
            let step_m = direction * ARM_SPEED_M_S * step_s;
            position.iter_mut().zip(step_m.to_array()).for_each(|(x, step)| *x += step);
        }
    }
}

impl Driver for Teleop {
    fn name(&self) -> String {
        "teleop".into()
    }

    fn activity(&self) -> Option<String> {
        let finger = |index: usize| self.hand.fingers.get(index).map_or("no finger", |finger| finger.name.as_str());
        let chosen = match self.steering.choice {
            Choice::AllFingers => "all fingers",
            Choice::Finger(index) => finger(index),
            Choice::Wrist if self.hand.wrist.is_none() => "no wrist",
            Choice::Wrist => "wrist",
            Choice::Arm => "arm",
        };
        Some(chosen.into())
    }

    fn begin(&mut self, _seed: u64) -> Result<(), ViewerError> {
        Ok(())
    }

    fn plan(&mut self, _: &[f32], percept: &Percept, chunk_rad: &mut Vec<f32>) -> Result<(), ViewerError> {
        chunk_rad.clear();
        chunk_rad.extend(percept.tool.iter().flat_map(|tool| tool.commanded.values()));
        let (tool_len, is_moving) = (chunk_rad.len(), self.steering.direction != [0.0; 3]);
        chunk_rad.extend_from_slice(&percept.commanded_rad);
        let (tool, joints_rad) = chunk_rad.split_at_mut(tool_len);
        match self.steering.choice {
            _ if !is_moving => {}
            Choice::Arm => self.move_arm(tool),
            Choice::Wrist => self.turn_wrist(joints_rad),
            Choice::AllFingers | Choice::Finger(_) => self.move_tips(joints_rad),
        }
        let limits = self.environment.action_lower_rad.iter().zip(&self.environment.action_upper_rad);
        chunk_rad.iter_mut().zip(limits).for_each(|(value, (&lower, &upper))| *value = value.clamp(lower, upper));
        Ok(())
    }

    fn steer(&mut self, steering: Steering) {
        self.steering = steering;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::{Body, Task};
    use bridge::{CubeReward, CubeTask, ToolPose, ToolState};
    use sim::{CubeScene, Domain};

    fn teleop(hand: &str) -> (Teleop, Percept) {
        let scene = CubeScene::load(hand).unwrap();
        let body = scene.body(Domain::load("exact").unwrap());
        let task = CubeTask::new(scene.task_config(CubeReward::Dense), scene.hand().n_joints());
        let environment = EnvironmentSpec::of(body.spec(), task.spec()).unwrap();
        let percept = Percept { commanded_rad: scene.start().holding_rad.clone(), ..Percept::default() };
        (Teleop::new(scene.hand().clone(), environment), percept)
    }

    fn tips_m(teleop: &Teleop, joints_rad: &[f32]) -> Vec<DVec3> {
        let q_rad: Vec<f64> = joints_rad.iter().copied().map(f64::from).collect();
        let fingers = teleop.hand.fingers.iter();
        fingers.map(|finger| finger.tip_m(&q_rad[finger.first_joint..][..finger.joints.len()])).collect()
    }

    /// Contract: without a key everything holds; a chosen finger's tip moves by 6 cm/s over 1/20 s along the axis, the others
    /// stay; all fingers move alike; the arm is left alone where there is none.
    #[test]
    fn chosen_tips_move() {
        let (mut teleop, percept) = teleop("orca_v2");
        let held_rad = percept.commanded_rad.clone();
        let mut plan = |steering: Steering| {
            let mut chunk_rad = Vec::new();
            teleop.steer(steering);
            teleop.plan(&[], &percept, &mut chunk_rad).unwrap();
            let before_m = tips_m(&teleop, &held_rad);
            let moved_m = tips_m(&teleop, &chunk_rad).iter().zip(before_m).map(|(now, before)| *now - before).collect();
            (chunk_rad, moved_m)
        };
        let (chunk_rad, _): (_, Vec<DVec3>) = plan(Steering::default());
        assert_eq!(chunk_rad, held_rad);
        let (chunk_rad, _) = plan(Steering { choice: Choice::Arm, direction: [1.0, 0.0, 0.0], is_turning: false });
        assert_eq!(chunk_rad, held_rad);

        let down = [0.0, 0.0, -1.0];
        let step_m = DVec3::new(0.0, 0.0, -0.003);
        let (_, moved_m) = plan(Steering { choice: Choice::Finger(1), direction: down, is_turning: false });
        for (index, moved_m) in moved_m.iter().enumerate() {
            let expected_m = if index == 1 { step_m } else { DVec3::ZERO };
            assert!(moved_m.distance(expected_m) < 1e-4, "finger {index}: {moved_m} m, expected {expected_m} m");
        }
        let (_, moved_m) = plan(Steering { choice: Choice::AllFingers, direction: down, is_turning: false });
        let n_moved = moved_m.iter().filter(|moved_m| moved_m.distance(step_m) < 1e-3).count();
        assert!(n_moved >= 3, "{moved_m:?} m");
    }

    /// Contract: up turns the wrist up by 0.5 rad/s over 1/20 s, down turns it down to its stop, the fingers hold; where there
    /// is no wrist all holds.
    #[test]
    fn the_wrist_turns() {
        let up = Steering { choice: Choice::Wrist, direction: [0.0, 0.0, 1.0], is_turning: false };
        let (mut teleop, mut percept) = teleop("orca_v2_wrist");
        let mut chunk_rad = Vec::new();
        teleop.steer(up);
        teleop.plan(&[], &percept, &mut chunk_rad).unwrap();
        let before_rad = percept.commanded_rad[0];
        assert!((chunk_rad[0] - (before_rad - 0.025)).abs() < 1e-6, "{} rad, then {} rad", before_rad, chunk_rad[0]);
        assert_eq!(chunk_rad[1..], percept.commanded_rad[1..]);
        let stop_rad = teleop.environment.action_upper_rad[0];
        percept.commanded_rad[0] = stop_rad - 0.001;
        teleop.steer(Steering { direction: [0.0, 0.0, -1.0], ..up });
        teleop.plan(&[], &percept, &mut chunk_rad).unwrap();
        assert_eq!((chunk_rad[0], teleop.activity().as_deref()), (stop_rad, Some("wrist")));

        let (mut teleop, percept) = self::teleop("orca_v2");
        teleop.steer(up);
        teleop.plan(&[], &percept, &mut chunk_rad).unwrap();
        assert_eq!((&chunk_rad, teleop.activity().as_deref()), (&percept.commanded_rad, Some("no wrist")));
    }

    /// Contract: the arm moves by 8 cm/s over 1/20 s, or turns by 0.5 rad/s, and the joints hold.
    #[test]
    fn the_arm_moves_or_turns() {
        let (mut teleop, mut percept) = teleop("orca_v2");
        let lower = [&[-1.0; 7], teleop.environment.action_lower_rad.as_slice()].concat();
        let upper = [&[1.0; 7], teleop.environment.action_upper_rad.as_slice()].concat();
        (teleop.environment.action_lower_rad, teleop.environment.action_upper_rad) = (lower, upper);
        let commanded = ToolPose { position_m: [0.1, 0.2, 0.3], ..ToolPose::default() };
        percept.tool = Some(ToolState { commanded, ..ToolState::default() });
        let mut chunk_rad = Vec::new();
        for (is_turning, expected) in [
            (false, [0.1, 0.204, 0.3, 0.0, 0.0, 0.0, 1.0]),
            (true, [0.1, 0.2, 0.3, 0.0, 0.0125f32.sin(), 0.0, 0.0125f32.cos()]),
        ] {
            teleop.steer(Steering { choice: Choice::Arm, direction: [0.0, 1.0, 0.0], is_turning });
            teleop.plan(&[], &percept, &mut chunk_rad).unwrap();
            assert!(chunk_rad.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{chunk_rad:?}");
            assert_eq!(chunk_rad[7..], percept.commanded_rad);
        }
    }
}
