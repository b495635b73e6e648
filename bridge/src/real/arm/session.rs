//! Our side of the arm link without the socket, so that time and bytes can be given by hand.

use super::super::datagram::{DatagramError, Header, Kind, SequenceGate, decode, encode};
use super::wire::{STATE_BYTES, decode_state, encode_setpoint};
use super::{ArmError, ArmLimits, ArmPose, ArmState};

/// What was said and heard so far.
#[derive(Clone, Debug)]
pub struct ArmSession {
    limits: ArmLimits,
    session: u32,
    sequence: u32,
    frame: Vec<u8>,
    gate: SequenceGate,
    newest: Option<(ArmState, f64)>,
    heard_sequence: u32,
}

impl ArmSession {
    /// Nothing said or heard yet. `session` tells this connection from the one before it: any number that differs.
    ///
    /// # Errors
    /// When the workspace is empty.
    pub fn new(limits: ArmLimits, session: u32) -> Result<Self, ArmError> {
        limits.check()?;
        Ok(Self {
            limits,
            session,
            sequence: 0,
            frame: Vec::with_capacity(super::super::datagram::MAX_BYTES),
            gate: SequenceGate::default(),
            newest: None,
            heard_sequence: 0,
        })
    }

    /// Takes in a datagram that came at `now_s`.
    ///
    /// # Errors
    /// When it is refused; nothing of it is then used.
    pub fn take(&mut self, frame: &[u8], now_s: f64) -> Result<(), DatagramError> {
        let (header, payload) = decode(frame, Kind::ArmState, STATE_BYTES)?;
        let (state, heard) = decode_state(payload)?;
        self.gate.pass(&header)?;
        let former = self.newest.as_ref().and_then(|(state, _)| state.round_trip_s);
        let round_trip_s = match heard {
            Some((sequence, sent_s)) if sequence != self.heard_sequence => {
                self.heard_sequence = sequence;
                Some(now_s - sent_s)
            }
            _ => former,
        };
        self.newest = Some((ArmState { round_trip_s, ..state }, now_s));
        Ok(())
    }

    /// The newest state; none before the first.
    #[must_use]
    pub fn state(&self) -> Option<&ArmState> {
        self.newest.as_ref().map(|(state, _)| state)
    }

    /// Its age, s; none before the first.
    #[must_use]
    pub fn age_s(&self, now_s: f64) -> Option<f64> {
        self.newest.as_ref().map(|(_, received_s)| now_s - received_s)
    }

    /// Datagrams that never came.
    #[must_use]
    pub const fn n_lost(&self) -> u64 {
        self.gate.n_lost
    }

    /// Limits `wanted`; what is left of it, and the datagram that asks for it.
    ///
    /// # Errors
    /// When `wanted` is not a pose, or the state is too old.
    pub fn setpoint(&mut self, wanted: &ArmPose, now_s: f64) -> Result<(ArmPose, &[u8]), ArmError> {
        let (age_s, limit_s) = (self.age_s(now_s), self.limits.stale_s.get());
        let measured = match (self.state(), age_s) {
            (Some(state), Some(age_s)) if age_s <= limit_s => state.pose,
            _ => return Err(ArmError::Stale { age_s, limit_s }),
        };
        let applied = self.limits.apply(wanted, &measured)?;
        Ok((applied, self.write(&applied, true, now_s)))
    }

    /// The datagram that releases the arm, whatever is known of it.
    pub fn release(&mut self, now_s: f64) -> &[u8] {
        let rest = ArmPose { position_m: [0.0; 3], orientation: [0.0, 0.0, 0.0, 1.0] };
        let pose = self.state().map_or(rest, |state| state.pose);
        self.write(&pose, false, now_s)
    }

    fn write(&mut self, pose: &ArmPose, is_engaged: bool, now_s: f64) -> &[u8] {
        self.sequence = self.sequence.wrapping_add(1);
        let (session, sequence, stamp_ns) = (self.session, self.sequence, (now_s * 1e9) as u64);
        let header = Header { kind: Kind::ArmSetpoint, session, sequence, stamp_ns };
        encode(header, &encode_setpoint(pose, is_engaged), &mut self.frame);
        &self.frame
    }
}
