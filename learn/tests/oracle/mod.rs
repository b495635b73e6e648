//! Independent answers: numbers that the scripts of this folder computed, and the flow once more in double precision.

#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod flow;

use candle_core::{Device, Tensor};
use learn::params::Params;
use std::collections::BTreeMap;

/// Parameters of a flow, from `flow_golden.py`.
pub const FLOW_FILE: &[u8] = include_bytes!("flow.safetensors");

/// Parameters of a flow with token couplings and of a transformer critic, written without the crate by `tokens_golden.py`.
pub const TOKEN_FLOW_FILE: &[u8] = include_bytes!("token_flow.safetensors");
pub const TOKEN_CRITIC_FILE: &[u8] = include_bytes!("token_critic.safetensors");

/// What a script computed, by name.
pub struct Golden(BTreeMap<String, Tensor>);

/// From `flow_golden.py`.
pub fn flow() -> Golden {
    Golden::read(include_bytes!("flow_golden.safetensors"))
}

/// From `tokens_golden.py`: what the networks over tokens must reproduce.
pub fn tokens() -> Golden {
    Golden::read(include_bytes!("tokens_golden.safetensors"))
}

/// From `critic_golden.py`.
pub fn critic() -> Golden {
    Golden::read(include_bytes!("critic_golden.safetensors"))
}

/// From `adamw_golden.py`.
pub fn adamw() -> Golden {
    Golden::read(include_bytes!("adamw_golden.safetensors"))
}

/// From `policy_net_golden.py`.
pub fn policy_net() -> Golden {
    Golden::read(include_bytes!("policy_net_golden.safetensors"))
}

/// From `objectives_golden.py`.
pub fn objectives() -> Golden {
    Golden::read(include_bytes!("objectives_golden.safetensors"))
}

impl Golden {
    fn read(bytes: &[u8]) -> Self {
        Self(candle_core::safetensors::load_buffer(bytes, &Device::Cpu).unwrap().into_iter().collect())
    }

    pub fn tensor(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("the script wrote no {name:?}"))
    }

    /// All numbers of a tensor, row-major.
    pub fn values(&self, name: &str) -> Vec<f32> {
        values(self.tensor(name))
    }

    /// Sets all `params` to the tensors named `prefix` and their own name.
    pub fn fill(&self, prefix: &str, params: &Params) {
        for (name, var) in params.iter() {
            var.set(self.tensor(&format!("{prefix}{name}"))).unwrap();
        }
    }

    /// Numbers must be within `tolerance` of those of the script, relative to the largest of these.
    pub fn assert_close(&self, name: &str, found: &Tensor, tolerance: f32) {
        assert_eq!(found.dims(), self.tensor(name).dims(), "{name}");
        assert_near(name, &values(found), &self.values(name), tolerance);
    }

    /// The same for a gradient in the flat layout of `params`, tensor by tensor, so that a large one hides no small one.
    pub fn assert_gradient(&self, name: &str, params: &Params, found: &[f32], tolerance: f32) {
        let expected = self.values(name);
        assert_eq!(found.len(), expected.len(), "{name}");
        for (part, _, range) in params.layout() {
            assert_near(&format!("{name} of {part}"), &found[range.clone()], &expected[range], tolerance);
        }
    }
}

pub fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The gradient of a loss in the flat layout of `params`; zero for tensors that take no part.
pub fn gradient(loss: &Tensor, params: &Params) -> Vec<f32> {
    let mut store = loss.backward().unwrap();
    let of_var = |(_, var): (_, &candle_core::Var)| match store.remove(var) {
        Some(gradient) => values(&gradient),
        None => vec![0.0; var.elem_count()],
    };
    params.iter().flat_map(of_var).collect()
}

pub fn assert_near(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0.0_f32, |scale, x| scale.max(x.abs()));
    // One by one: the largest of errors of which one is not a number may be a small number.
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * scale, "{name} at {i}: found {found}, expected {expected}, scale {scale}");
    }
}
