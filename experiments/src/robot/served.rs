//! An emulated robot that other programs can open: servos behind a pseudo-terminal, everything else by UDP.

use super::emulation::{Camera, Emulation, Helper};
use bridge::number::Positive;
use bridge::real::datagram;
use bridge::real::emulator::{ArmCable, PseudoTerminal};
use bridge::real::urgent;
use color_eyre::eyre::{Result, WrapErr, eyre};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is looked whether there is anything to send or to hear, at least.
const POST_PERIOD: Duration = Duration::from_millis(1);

/// Where what an emulated robot tells is sent.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Poses of the objects.
    pub tracker: SocketAddr,
    /// Buttons; none where nobody wants them.
    pub buttons: Option<SocketAddr>,
    /// The arm, where one carries the hand.
    pub arm: Option<ArmAddresses>,
}

/// Both ends of the link to an emulated arm.
#[derive(Clone, Copy, Debug)]
pub struct ArmAddresses {
    /// Where its states are sent.
    pub states: SocketAddr,
    /// Where it receives setpoints.
    pub controller: SocketAddr,
}

/// An emulated robot that other programs can open; it ends when this is dropped.
#[derive(Debug)]
pub struct Served {
    terminal: PseudoTerminal,
    emulation: Emulation,
    arm: Option<SocketAddr>,
    is_ended: Arc<AtomicBool>,
    n_poses: Arc<AtomicU64>,
    post: Option<JoinHandle<()>>,
}

impl Emulation {
    /// Puts the servos behind a pseudo-terminal and lets everything else go to `addresses`, `rate` times as fast as the
    /// clock.
    ///
    /// # Errors
    /// When the system gives no pseudo-terminal, socket or thread, or there is an arm and no address for it.
    pub fn serve(&self, rate: Positive, addresses: Addresses) -> Result<Served> {
        let terminal = PseudoTerminal::serve(self.emulator().clone(), rate)?;
        let arm = match (self.arm_cable(), addresses.arm) {
            (Some(cable), Some(ArmAddresses { states, controller })) => {
                let socket = datagram::bind(controller).wrap_err_with(|| {
                    format!("emulated arm: cannot listen on {controller}; is another one running?")
                })?;
                Some(ArmPost { cable, socket, states })
            }
            (Some(_), None) => return Err(eyre!("emulated arm: nobody to send its states to")),
            (None, _) => None,
        };
        let arm_address = arm.as_ref().map(|arm| arm.socket.local_addr()).transpose()?;
        let (is_ended, n_poses) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let own_address: SocketAddr =
            if addresses.tracker.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let post = Post {
            camera: self.camera(rate.get()),
            helper: self.helper(),
            arm,
            socket: UdpSocket::bind(own_address).wrap_err("no socket for the emulated tracker")?,
            addresses,
            n_poses: Arc::clone(&n_poses),
        };
        let ended = Arc::clone(&is_ended);
        let post = urgent::spawn_hardware("emulated surroundings", rate.get(), move || post.run(&ended))?;
        Ok(Served { terminal, emulation: self.clone(), arm: arm_address, is_ended, n_poses, post: Some(post) })
    }
}

impl Served {
    /// The device to open.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.terminal.path()
    }

    /// Where the arm receives setpoints; none without one.
    #[must_use]
    pub const fn arm(&self) -> Option<SocketAddr> {
        self.arm
    }

    /// What is served.
    #[must_use]
    pub const fn emulation(&self) -> &Emulation {
        &self.emulation
    }

    /// Poses sent so far.
    #[must_use]
    pub fn n_poses(&self) -> u64 {
        self.n_poses.load(Ordering::Relaxed)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.is_ended.store(true, Ordering::Relaxed);
        if let Some(post) = self.post.take() {
            // One that panicked has said so itself.
            drop(post.join());
        }
    }
}

/// Carries datagrams to and fro.
struct Post {
    camera: Camera,
    helper: Helper,
    arm: Option<ArmPost>,
    socket: UdpSocket,
    addresses: Addresses,
    n_poses: Arc<AtomicU64>,
}

/// The socket of an emulated arm.
struct ArmPost {
    cable: ArmCable,
    socket: UdpSocket,
    states: SocketAddr,
}

impl Post {
    fn run(mut self, is_ended: &AtomicBool) {
        let mut frame = Vec::new();
        while !is_ended.load(Ordering::Relaxed) {
            // Nobody listens yet, or no more: those who tell do not care.
            while self.camera.next_frame(&mut frame).is_some() {
                let is_sent = self.socket.send_to(&frame, self.addresses.tracker).is_ok();
                self.n_poses.fetch_add(u64::from(is_sent), Ordering::Relaxed);
            }
            while self.helper.next_frame(&mut frame) {
                if let Some(buttons) = self.addresses.buttons {
                    self.socket.send_to(&frame, buttons).ok();
                }
            }
            if let Some(arm) = &self.arm {
                arm.carry(&mut frame);
            }
            std::thread::sleep(POST_PERIOD);
        }
    }
}

impl ArmPost {
    fn carry(&self, frame: &mut Vec<u8>) {
        let mut heard = [0; datagram::MAX_BYTES + 1];
        while let Ok((length, _)) = self.socket.recv_from(&mut heard) {
            self.cable.hear(&heard[..length]);
        }
        if self.cable.tell(frame) {
            self.socket.send_to(frame, self.states).ok();
        }
    }
}
