//! The arm link over UDP.

use super::super::datagram::{self, DatagramError, Reception, drain};
use super::{ArmError, ArmLimits, ArmLink, ArmPose, ArmSession, ArmState};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// How an arm is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UdpArmConfig {
    /// Where states are received, e.g. "127.0.0.1:0" for any free port of this machine alone.
    pub listen: SocketAddr,
    /// Where the controller receives setpoints. Its states are taken from this machine alone.
    pub controller: SocketAddr,
    /// How far it may be asked to go.
    pub limits: ArmLimits,
}

/// An arm behind UDP.
#[derive(Debug)]
pub struct UdpArm {
    session: ArmSession,
    controller: SocketAddr,
    socket: UdpSocket,
    reception: Reception,
}

impl UdpArm {
    /// Opens the socket. `session` tells this connection from the one before it: any number that differs.
    ///
    /// # Errors
    /// When the workspace is empty or the address cannot be had.
    pub fn open(config: &UdpArmConfig, session: u32) -> Result<Self, ArmError> {
        let session = ArmSession::new(config.limits, session)?;
        let socket = datagram::bind(config.listen).map_err(|source| ArmError::Socket {
            doing: "listening on",
            address: config.listen,
            source,
        })?;
        Ok(Self { session, controller: config.controller, socket, reception: Reception::default() })
    }

    /// Sends setpoints to `controller` from now on.
    #[must_use]
    pub const fn towards(mut self, controller: SocketAddr) -> Self {
        self.controller = controller;
        self
    }

    /// Where states are received.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What became of the datagrams received, and how many never came.
    #[must_use]
    pub const fn reception(&self) -> (Reception, u64) {
        (self.reception, self.session.n_lost())
    }
}

impl ArmLink for UdpArm {
    fn poll(&mut self, now_s: f64) {
        let Self { session, socket, reception, controller } = self;
        let expected = controller.ip();
        drain(socket, reception, |frame, found| {
            if found != expected {
                return Err(DatagramError::Stranger { found, expected });
            }
            session.take(frame, now_s)
        });
    }

    fn state(&self) -> Option<&ArmState> {
        self.session.state()
    }

    fn age_s(&self, now_s: f64) -> Option<f64> {
        self.session.age_s(now_s)
    }

    fn unheard_s(&self) -> f64 {
        self.session.unheard_s()
    }

    fn send(&mut self, wanted: &ArmPose, now_s: f64) -> Result<ArmPose, ArmError> {
        let (applied, frame) = self.session.setpoint(wanted, now_s)?;
        send(&self.socket, frame, self.controller)?;
        Ok(applied)
    }

    fn release(&mut self, now_s: f64) -> Result<(), ArmError> {
        send(&self.socket, self.session.release(now_s), self.controller)
    }
}

fn send(socket: &UdpSocket, frame: &[u8], address: SocketAddr) -> Result<(), ArmError> {
    let failed = |source| ArmError::Socket { doing: "sending to", address, source };
    socket.send_to(frame, address).map(|_| ()).map_err(failed)
}
