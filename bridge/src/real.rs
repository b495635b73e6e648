//! The robot behind the contract: a Dynamixel hand, and the emulated servos that stand for it in tests.

pub mod black_box;
pub mod bounds;
pub mod cause;
pub mod failsafe;
pub mod machine;
pub mod robot;
pub mod status;
pub mod watch;
