//! What a policy weighs, as it can be seen: where each candidate would lead the finger tips.
//!
//! Tip of finger f after action h of a candidate: `T_h FK_f(q_h)`, with the joint targets q_h and, where an arm carries the
//! hand, its tool pose T_h.

use bridge::{TOOL_POSE_LEN, ToolPose, rotate};
use learn::Deliberation;
use sim::Hand;

/// One decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Thought {
    /// Among these.
    pub candidates: Vec<Candidate>,
    /// Index of the one that is carried out.
    pub chosen_idx: usize,
    /// How likely the policy finds it, nats per value; none without a density.
    pub log_likelihood_per_value: Option<f64>,
}

/// A chunk that might be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What the critics expect of it.
    pub value: f32,
    /// The way of every finger tip, m: one point an action.
    pub traces_m: Vec<Vec<[f32; 3]>>,
}

impl Thought {
    /// How `deliberation` looks on `hand`, which an arm carries or not.
    pub fn new(deliberation: &Deliberation, hand: &Hand, is_carried: bool) -> Self {
        let candidates = deliberation.candidates_rad.iter().zip(&deliberation.values);
        Self {
            candidates: candidates
                .map(|(chunk_rad, &value)| Candidate { value, traces_m: traces_m(chunk_rad, hand, is_carried) })
                .collect(),
            chosen_idx: deliberation.chosen_idx,
            log_likelihood_per_value: deliberation.log_likelihood_per_value,
        }
    }

    /// What the critics expect of the chosen candidate.
    pub fn value(&self) -> Option<f32> {
        self.candidates.get(self.chosen_idx).map(|candidate| candidate.value)
    }

    /// Where a value stands between the lowest (0) and the highest (1) of the candidates; 1 where all are alike.
    pub fn share(&self, value: f32) -> f32 {
        let values = || self.candidates.iter().map(|candidate| candidate.value);
        let (lowest, highest) = (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max));
        if highest > lowest { (value - lowest) / (highest - lowest) } else { 1.0 }
    }
}

fn traces_m(chunk_rad: &[f32], hand: &Hand, is_carried: bool) -> Vec<Vec<[f32; 3]>> {
    let tool_len = if is_carried { TOOL_POSE_LEN } else { 0 };
    let mut traces_m = vec![Vec::new(); hand.fingers.len()];
    for action in chunk_rad.chunks_exact(tool_len + hand.n_joints()) {
        let (tool, joints_rad) = action.split_at(tool_len);
        let tool = tool.first_chunk().and_then(ToolPose::from_values).unwrap_or_default();
        let q_rad: Vec<f64> = joints_rad.iter().copied().map(f64::from).collect();
        let palm_turn = hand.palm_turn(&q_rad);
        for (finger, trace_m) in hand.fingers.iter().zip(&mut traces_m) {
            let tip_m = palm_turn * finger.tip_m(&q_rad[finger.first_joint..][..finger.joints.len()]);
            let tip_m = rotate(tool.orientation, tip_m.as_vec3().to_array());
            trace_m.push(std::array::from_fn(|axis| tool.position_m[axis] + tip_m[axis]));
        }
    }
    traces_m
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::{Body, Percept};
    use sim::{CubeScene, Domain, PartKind, Shape, Simulated};

    /// Contract: a trace begins where the finger tip is that holds the first action; a tool moves and turns all of it.
    #[test]
    fn traces_are_where_the_tips_would_be() {
        let scene = CubeScene::load("orca_v2").unwrap();
        let mut body = scene.body(Domain::load("exact").unwrap());
        body.reset(0).unwrap();
        let mut truth = Percept::default();
        body.truth(&mut truth);
        let traces = traces_m(&[truth.measured_rad.clone(), truth.measured_rad.clone()].concat(), scene.hand(), false);
        let tips = body.engine().parts().enumerate().filter_map(|(index, part)| match (part.kind, part.shape) {
            (PartKind::Tip { .. }, Shape::Ball { center_m, .. }) => {
                let (position_m, orientation) = body.engine().part_pose(index);
                let center_m = rotate(orientation, center_m);
                Some([0, 1, 2].map(|axis| position_m[axis] + center_m[axis]))
            }
            _ => None,
        });
        assert_eq!(traces.len(), scene.hand().fingers.len());
        for (trace, tip_m) in traces.iter().zip(tips) {
            assert_eq!(trace.len(), 2);
            assert!(trace[0].iter().zip(tip_m).all(|(a, b)| (a - b).abs() < 1e-4), "{trace:?} m, expected {tip_m:?} m");
        }

        // A quarter turn about z takes x to y.
        let half = std::f32::consts::FRAC_1_SQRT_2;
        let carried = [&[0.1, 0.2, 0.3, 0.0, 0.0, half, half], truth.measured_rad.as_slice()].concat();
        for (carried, fixed) in traces_m(&carried, scene.hand(), true).iter().zip(&traces) {
            let [x, y, z] = fixed[0];
            let expected = [0.1 - y, 0.2 + x, 0.3 + z];
            assert!(carried[0].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{carried:?} {expected:?}");
        }
    }

    /// Contract: values are told apart from the lowest to the highest.
    #[test]
    fn values_have_their_share() {
        let candidates = [2.0, 4.0, 3.0].map(|value| Candidate { value, traces_m: Vec::new() });
        let thought = Thought { candidates: candidates.into(), chosen_idx: 1, log_likelihood_per_value: None };
        assert_eq!([2.0, 3.0, 4.0].map(|value| thought.share(value)), [0.0, 0.5, 1.0]);
        assert_eq!(thought.value(), Some(4.0));
    }
}
