//! Independent answers: numbers from `flow_golden.py` and `tokens_golden.py`, and the flow once more in double precision.

#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod flow;

use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// Parameters of a flow, written without the crate.
pub const FLOW_FILE: &[u8] = include_bytes!("flow.safetensors");

/// Parameters of a flow with token couplings and of a transformer critic, written without the crate.
pub const TOKEN_FLOW_FILE: &[u8] = include_bytes!("token_flow.safetensors");
pub const TOKEN_CRITIC_FILE: &[u8] = include_bytes!("token_critic.safetensors");

/// What must be reproduced.
pub fn golden() -> BTreeMap<String, Tensor> {
    read(include_bytes!("golden.safetensors"))
}

/// What must be reproduced of the networks over tokens.
pub fn tokens_golden() -> BTreeMap<String, Tensor> {
    read(include_bytes!("tokens_golden.safetensors"))
}

fn read(bytes: &[u8]) -> BTreeMap<String, Tensor> {
    candle_core::safetensors::load_buffer(bytes, &Device::Cpu).unwrap().into_iter().collect()
}
