//! The properties of the hostile tests, for a fuzzer. They stand beside those tests.

#[path = "../../bridge/tests/hostile/properties/mod.rs"]
pub mod properties;

#[cfg(feature = "robot")]
#[path = "../../experiments/tests/hostile/robot.rs"]
pub mod robot;
