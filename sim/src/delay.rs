//! What happens to a command between the policy and a joint: it arrives late, and the joint has play.

use std::collections::VecDeque;

/// Hands out every command a fixed number of physics steps after it was pushed.
#[derive(Clone, Debug)]
pub(crate) struct CommandDelay {
    n_steps: usize,
    /// Commands that are under way, oldest first, then the one that arrived.
    under_way: VecDeque<Vec<f32>>,
}

impl CommandDelay {
    /// A delay by `n_steps` whose line is filled with `first_rad`.
    pub(crate) fn new(n_steps: usize, first_rad: &[f32]) -> Self {
        Self { n_steps, under_way: std::iter::repeat_n(first_rad.to_vec(), n_steps + 1).collect() }
    }

    /// Sends `command_rad` and returns what arrives now.
    pub(crate) fn push(&mut self, command_rad: &[f32]) -> &[f32] {
        self.under_way.rotate_left(1);
        self.under_way[self.n_steps].copy_from_slice(command_rad);
        &self.under_way[0]
    }
}

/// Moves `joint_rad` as play of `width_rad` lets `motor_rad` move it: not until the motor touches one of its ends.
pub(crate) fn follow_with_play(joint_rad: &mut [f32], motor_rad: &[f32], width_rad: f32) {
    let half = 0.5 * width_rad;
    for (joint, &motor) in joint_rad.iter_mut().zip(motor_rad) {
        *joint = joint.clamp(motor - half, motor + half);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a command arrives exactly the given number of steps later, and at once without delay.
    #[test]
    fn commands_arrive_late() {
        for n_steps in [0, 1, 5] {
            let mut delay = CommandDelay::new(n_steps, &[-1.0]);
            for step in 0..20usize {
                let expected = step.checked_sub(n_steps).map_or(-1.0, |sent| sent as f32);
                assert_eq!(delay.push(&[step as f32]), [expected], "delay {n_steps}, step {step}");
            }
        }
    }

    /// Contract: within the play nothing moves; reversing costs its whole width.
    #[test]
    fn play_is_lost_motion() {
        let mut joint = [0.0];
        let mut move_motor = |to| {
            follow_with_play(&mut joint, &[to], 0.2);
            joint[0]
        };
        assert_eq!(move_motor(0.1), 0.0);
        assert_eq!(move_motor(1.1), 1.0);
        assert_eq!(move_motor(0.9), 1.0);
        assert_eq!(move_motor(0.4), 0.5);
    }
}
