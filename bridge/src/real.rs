//! The robot behind the contract: a Dynamixel hand, and the emulated servos that stand for it in tests.

pub mod bus;
pub mod calibration;
pub mod dynamixel;
pub mod emulator;
pub mod hand_driver;
pub mod motors;
pub mod port;
pub mod status;
