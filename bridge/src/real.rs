//! The robot behind the contract: a Dynamixel hand, and the emulated servos that stand for it in tests.

pub mod arm;
pub mod black_box;
pub mod bounds;
pub mod cause;
pub mod clock;
pub mod clock_offset;
pub mod control_loop;
pub mod datagram;
pub mod failsafe;
pub mod labels;
pub mod machine;
pub mod newest;
pub mod operator;
pub mod pace;
pub mod planner;
pub mod recorder;
pub mod robot;
pub mod status;
pub mod tracker;
pub mod watch;
