//! Independent answers: numbers from `flow_golden.py`, and the flow once more in double precision.

#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod flow;

use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// Parameters of a flow, written without the crate.
pub const FLOW_FILE: &[u8] = include_bytes!("flow.safetensors");

/// What must be reproduced.
pub fn golden() -> BTreeMap<String, Tensor> {
    let bytes = include_bytes!("golden.safetensors");
    candle_core::safetensors::load_buffer(bytes, &Device::Cpu).unwrap().into_iter().collect()
}
