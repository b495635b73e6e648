//! The robot behind the contract: a Dynamixel hand, and the emulated servos that stand for it in tests.

pub mod status;
