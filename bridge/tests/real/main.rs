//! The path to the robot, against emulated servos.

mod calibration;
mod codec;
mod driver;
mod fast_reads;
mod faults;
mod firmware;
mod foreign;
mod refusals;
mod rig;
mod terminal;
mod turns;
