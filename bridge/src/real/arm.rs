//! The arm: Cartesian setpoints to an external impedance controller, its state back.
//!
//! The controller runs at its own rate (1 kHz) beside the robot; we send it where the end effector is to be and receive
//! where it is, in the frame of the arm's base. Datagrams as in [`super::datagram`], with these payloads:
//!
//! | arm setpoint, 64 bytes | | arm state, 120 bytes | |
//! |---|---|---|---|
//! | 0: 3 f64 | position, m | 0: 3 f64 | measured position, m |
//! | 24: 4 f64 | orientation, unit quaternion x y z w | 24: 4 f64 | measured orientation, likewise |
//! | 56: u32 | flags: bit 0 engaged | 56: 3 f64 | external force, N |
//! | 60: u32 | 0 | 80: 3 f64 | external torque, N m |
//! | | | 104: u32 | flags: bit 0 ready, bit 1 failed |
//! | | | 108: u32 | sequence of the newest setpoint that it has; 0 before the first |
//! | | | 112: u64 | stamp of that setpoint, ns; 0 before the first |
//!
//! The last two are how we know that the controller hears us; one that does not tell them counts as deaf.
//!
//! A controller holds its present pose when the newest setpoint is not engaged or is older than 100 ms.
//!
//! Every setpoint passes [`ArmLimits`] inside of [`ArmLink::send`], in this order: refused when not finite or not a unit
//! quaternion; clamped to the workspace box; clipped to an error of at most 10 mm along each axis and 0.05 rad (as
//! configured) from the measured pose, so that with a stiffness of 2000 N/m no more than 20 N are asked for along an axis.
//! The clip has the last word: an arm outside of its box comes back in small steps. Without a fresh state nothing is sent
//! but the release.

mod controller;
mod limits;
mod session;
mod udp;
mod wire;

pub use controller::{ArmController, SETPOINT_STALE_S};
pub use limits::ArmLimits;
pub use session::ArmSession;
pub use udp::{UdpArm, UdpArmConfig};

use crate::ToolPose;
use std::io;
use std::net::SocketAddr;
use thiserror::Error;

/// A pose of the end effector in the frame of the arm's base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArmPose {
    /// m.
    pub position_m: [f64; 3],
    /// Unit quaternion x, y, z, w.
    pub orientation: [f64; 4],
}

impl From<ToolPose> for ArmPose {
    fn from(pose: ToolPose) -> Self {
        Self { position_m: pose.position_m.map(f64::from), orientation: pose.orientation.map(f64::from) }
    }
}

impl From<ArmPose> for ToolPose {
    fn from(pose: ArmPose) -> Self {
        Self { position_m: pose.position_m.map(|x| x as f32), orientation: pose.orientation.map(|x| x as f32) }
    }
}

/// What the controller says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArmState {
    /// Where the end effector is.
    pub pose: ArmPose,
    /// External force, N.
    pub force_n: [f64; 3],
    /// External torque, N m.
    pub torque_nm: [f64; 3],
    /// It follows setpoints.
    pub is_ready: bool,
    /// It has stopped for good.
    pub has_failed: bool,
    /// Time from a setpoint's sending to the arrival of the state that first knew of it, s; none before that.
    pub round_trip_s: Option<f64>,
}

/// An arm.
pub trait ArmLink: Send {
    /// Takes in what has come. Never waits.
    fn poll(&mut self, now_s: f64);

    /// The newest state; none before the first.
    fn state(&self) -> Option<&ArmState>;

    /// Its age by its stamp, s; none before the first.
    fn age_s(&self, now_s: f64) -> Option<f64>;

    /// For how long its controller has not heard the setpoints that were sent, s.
    fn unheard_s(&self) -> f64;

    /// Limits `wanted` and sends it, engaged; returns what was really sent.
    ///
    /// # Errors
    /// When `wanted` is not a pose or the state is too old (nothing is then sent), or when the socket fails.
    fn send(&mut self, wanted: &ArmPose, now_s: f64) -> Result<ArmPose, ArmError>;

    /// Sends that nothing is wanted any more: the arm holds its present pose.
    ///
    /// # Errors
    /// When the socket fails.
    fn release(&mut self, now_s: f64) -> Result<(), ArmError>;
}

/// The arm failed.
#[derive(Debug, Error)]
pub enum ArmError {
    /// A number that is not finite.
    #[error("arm: wanted {quantity}[{index}] is {value}, expected a finite number; nothing was sent")]
    NonFinite {
        /// Which quantity.
        quantity: &'static str,
        /// Which of its values.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// Not a rotation.
    #[error("arm: wanted orientation has length {length}, expected 1 within 0.001; nothing was sent")]
    NotUnit {
        /// Its length.
        length: f64,
    },
    /// The state is too old to be clipped against.
    #[error("arm: its newest state is {age_s:?} s old, expected at most {limit_s} s; nothing was sent")]
    Stale {
        /// Its age.
        age_s: Option<f64>,
        /// The limit.
        limit_s: f64,
    },
    /// The workspace is empty.
    #[error("arm: workspace axis {axis} goes from {lower_m} to {upper_m} m, expected the lower bound below the upper")]
    EmptyWorkspace {
        /// Which axis.
        axis: usize,
        /// Its lower bound.
        lower_m: f64,
        /// Its upper bound.
        upper_m: f64,
    },
    /// The socket failed.
    #[error("arm: {doing} {address}: {source}")]
    Socket {
        /// What was being done.
        doing: &'static str,
        /// With which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}
