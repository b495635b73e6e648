//! The path to the robot, against emulated servos.

mod calibration;
mod codec;
mod driver;
mod faults;
mod firmware;
mod foreign;
mod rig;
mod terminal;
