//! The other side of the link: what an arm's controller does with datagrams. Emulated arms are made of it.

use super::super::datagram::{DatagramError, Header, Kind, StreamGate, decode, encode};
use super::wire::{SETPOINT_BYTES, decode_setpoint, encode_state};
use super::{ArmPose, ArmState};

/// A controller holds its present pose when the newest setpoint is older than this, s.
pub const SETPOINT_STALE_S: f64 = 0.1;

/// The controller's side, without socket and arm.
#[derive(Clone, Debug)]
pub struct ArmController {
    session: u32,
    sequence: u32,
    gate: StreamGate,
    newest: Option<Heard>,
}

/// The newest setpoint.
#[derive(Clone, Copy, Debug)]
struct Heard {
    pose: ArmPose,
    is_engaged: bool,
    sequence: u32,
    stamp_ns: u64,
    at_s: f64,
}

impl ArmController {
    /// A controller that has heard nothing. `session` is any number.
    #[must_use]
    pub fn new(session: u32) -> Self {
        Self { session, sequence: 0, gate: StreamGate::default(), newest: None }
    }

    /// Takes in a datagram that came at `now_s`.
    ///
    /// # Errors
    /// When it is refused; nothing of it is then used.
    pub fn hear(&mut self, frame: &[u8], now_s: f64) -> Result<(), DatagramError> {
        let (header, payload) = decode(frame, Kind::ArmSetpoint, SETPOINT_BYTES)?;
        let (pose, is_engaged) = decode_setpoint(payload)?;
        self.gate.pass(&header, now_s)?;
        let Header { sequence, stamp_ns, .. } = header;
        self.newest = Some(Heard { pose, is_engaged, sequence, stamp_ns, at_s: now_s });
        Ok(())
    }

    /// The newest setpoint, and whether it is engaged.
    #[must_use]
    pub fn setpoint(&self) -> Option<(ArmPose, bool)> {
        self.newest.map(|heard| (heard.pose, heard.is_engaged))
    }

    /// The pose to follow at `now_s`; none when the present one is to be held.
    #[must_use]
    pub fn target(&self, now_s: f64) -> Option<ArmPose> {
        let heard = self.newest.filter(|heard| heard.is_engaged && now_s - heard.at_s <= SETPOINT_STALE_S)?;
        Some(heard.pose)
    }

    /// Writes the datagram that tells `state` into `frame`.
    pub fn tell(&mut self, state: &ArmState, now_s: f64, frame: &mut Vec<u8>) {
        self.sequence = self.sequence.wrapping_add(1);
        let (session, sequence, stamp_ns) = (self.session, self.sequence, (now_s * 1e9) as u64);
        let newest = self.newest.map_or((0, 0), |heard| (heard.sequence, heard.stamp_ns));
        encode(Header { kind: Kind::ArmState, session, sequence, stamp_ns }, &encode_state(state, newest), frame);
    }
}
