//! The ways to the arm: through memory, or by UDP, where its controller tells a state a millisecond, whoever listens.

use super::limits;
use bridge::real::arm::{ArmError, ArmLink, ArmPose, ArmSession, ArmState, UdpArm, UdpArmConfig};
use bridge::real::emulator::{ArmCable, EmulatedArm, MemoryArm, SharedEmulator};
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};

/// The controller's end of the way by UDP.
pub struct Controller {
    socket: UdpSocket,
    bridge: SocketAddr,
    frame: Vec<u8>,
}

impl Controller {
    /// Both ends.
    pub fn new() -> Result<(Self, UdpArm), Box<dyn Error>> {
        let loopback = "127.0.0.1:0".parse()?;
        let socket = UdpSocket::bind(loopback)?;
        socket.set_nonblocking(true)?;
        let config = UdpArmConfig { listen: loopback, controller: socket.local_addr()?, limits: limits()? };
        let arm = UdpArm::open(&config, 1)?;
        Ok((Self { socket, bridge: arm.address()?, frame: Vec::new() }, arm))
    }

    /// A millisecond of the controller of `arm`.
    pub fn step(&mut self, arm: &EmulatedArm) {
        let mut heard = [0; 256];
        while let Ok(length) = self.socket.recv(&mut heard) {
            arm.hear(&heard[..length]);
        }
        if arm.tell(&mut self.frame) {
            // A buffer that is full loses it, as on a real machine.
            self.socket.send_to(&self.frame, self.bridge).ok();
        }
    }
}

/// Our end of either way.
pub enum Link {
    Memory(MemoryArm),
    Udp(UdpArm),
}

impl Link {
    pub fn in_memory(emulator: &SharedEmulator, arm: &EmulatedArm) -> Result<Self, Box<dyn Error>> {
        let cable = ArmCable::new(emulator.clone(), arm.clone());
        Ok(Self::Memory(MemoryArm::new(ArmSession::new(limits()?, 1)?, cable)))
    }

    fn link(&self) -> &dyn ArmLink {
        match self {
            Self::Memory(arm) => arm,
            Self::Udp(arm) => arm,
        }
    }

    fn link_mut(&mut self) -> &mut dyn ArmLink {
        match self {
            Self::Memory(arm) => arm,
            Self::Udp(arm) => arm,
        }
    }
}

impl ArmLink for Link {
    fn poll(&mut self, now_s: f64) {
        self.link_mut().poll(now_s);
    }

    fn state(&self) -> Option<&ArmState> {
        self.link().state()
    }

    fn age_s(&self, now_s: f64) -> Option<f64> {
        self.link().age_s(now_s)
    }

    fn unheard_s(&self) -> f64 {
        self.link().unheard_s()
    }

    fn send(&mut self, wanted: &ArmPose, now_s: f64) -> Result<ArmPose, ArmError> {
        self.link_mut().send(wanted, now_s)
    }

    fn release(&mut self, now_s: f64) -> Result<(), ArmError> {
        self.link_mut().release(now_s)
    }
}
