//! Where an arm stands that nothing may hold.
//!
//! A hold asks for what is measured, in the workspace: to an arm that somebody has put outside of it that is a way back at once,
//! at all the force that its clip allows and at no rate.

use super::super::labels::LabelSource;
use super::super::machine::{Order, State};
use super::super::robot::Robot;
use super::ControlLoop;
use crate::{Task, ToolPose, ToolSpec};

const AXES: [char; 3] = ['x', 'y', 'z'];

impl<R: Robot, T: Task, L: LabelSource> ControlLoop<R, T, L> {
    /// Where the arm stands, in words, if torque must not come on there: it is `ordered`, or would come back by itself, e.g. when a
    /// servo has cooled down.
    pub(super) fn beyond_reach(&self, ordered: Option<Order>) -> Option<String> {
        let is_ordered = self.state == State::Connected && ordered == Some(Order::Arm);
        let may_come_back = self.state.is_armed() && !self.is_torque_on;
        let (tool, state) = (self.bounds.spec().tool.as_ref()?, self.governor.percept().tool.as_ref()?);
        (is_ordered || may_come_back).then(|| beyond(tool, &state.measured)).flatten()
    }
}

/// Where `measured` is outside of the workspace of `tool` by more than its clip, in words, and what to do; none where it is not.
fn beyond(tool: &ToolSpec, measured: &ToolPose) -> Option<String> {
    let (position_m, most_m) = (measured.position_m, tool.max_error_m);
    let within_m = |axis: usize| tool.lower_m[axis] - most_m..=tool.upper_m[axis] + most_m;
    let axis_idx = (0..3).find(|&axis| !within_m(axis).contains(&position_m[axis]))?;
    let (axis, at_m) = (AXES[axis_idx], position_m[axis_idx]);
    let (lower_m, upper_m) = (tool.lower_m[axis_idx], tool.upper_m[axis_idx]);
    Some(format!(
        "the tool is at {axis} {at_m:.3} m, its workspace goes from {lower_m:.3} to {upper_m:.3} m: an arm that is held would go there \
         at once; guide it into the workspace, then arm"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: an arm is beyond its workspace where it is further outside than its clip, along any axis; a position that is no
    /// number is.
    #[test]
    fn beyond_is_more_than_the_clip() {
        let tool = ToolSpec {
            lower_m: [0.3, -0.1, 0.2],
            upper_m: [0.5, 0.1, 0.4],
            max_speed_m_s: 0.25,
            max_rate_rad_s: 1.0,
            max_error_m: 0.01,
            max_error_rad: 0.05,
        };
        let told = |position_m| beyond(&tool, &ToolPose { position_m, ..ToolPose::default() });
        assert_eq!([[0.4, 0.0, 0.3], [0.2901, 0.1099, 0.4]].map(told), [None, None]);
        for (position_m, expected) in [
            ([0.289, 0.0, 0.3], "at x 0.289 m, its workspace goes from 0.300 to 0.500 m"),
            ([0.4, 0.111, 0.3], "at y 0.111 m, its workspace goes from -0.100 to 0.100 m"),
            ([0.4, 0.0, 0.62], "at z 0.620 m, its workspace goes from 0.200 to 0.400 m"),
            ([f32::NAN, 0.0, 0.3], "at x NaN m"),
        ] {
            let told = told(position_m).unwrap_or_default();
            assert!(told.contains(expected), "{told}");
        }
    }
}
