//! Our side of the arm link without the socket, so that time and bytes can be given by hand.

use super::super::clock_offset::ClockOffset;
use super::super::datagram::{DatagramError, Header, Kind, StreamGate, decode, encode};
use super::wire::{STATE_BYTES, decode_state, encode_setpoint};
use super::{ArmError, ArmLimits, ArmPose, ArmState};
use crate::number::NonNegative;

/// What was said and heard so far.
///
/// The age of a state is that of its stamp, on a clock whose offset from ours is estimated ([`ClockOffset`]): a state that was
/// under way for long is old when it comes.
#[derive(Clone, Debug)]
pub struct ArmSession {
    limits: ArmLimits,
    session: u32,
    sequence: u32,
    frame: Vec<u8>,
    gate: StreamGate,
    offset: ClockOffset,
    newest: Option<Told>,
    /// Since when setpoints have followed one another without a gap, and when the newest was sent, s; none since the release.
    engaged_s: Option<(f64, f64)>,
    /// When the newest of our setpoints that the controller has was sent, s.
    heard_s: f64,
    heard_sequence: u32,
}

/// A state, and its two times, s: on the controller's clock, and when it came on ours.
#[derive(Clone, Copy, Debug)]
struct Told {
    state: ArmState,
    session: u32,
    stamp_s: f64,
    received_s: f64,
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
            gate: StreamGate::default(),
            offset: ClockOffset::new(NonNegative::ZERO),
            newest: None,
            engaged_s: None,
            heard_s: f64::NEG_INFINITY,
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
        self.gate.pass(&header, now_s)?;
        let Header { session, .. } = header;
        let mut round_trip_s = self.newest.as_ref().and_then(|told| told.state.round_trip_s);
        if self.newest.as_ref().is_none_or(|told| told.session != session) {
            // A controller that has started anew has a new clock.
            self.offset.clear();
        }
        // What a former process asked for is still what the controller has until it hears from this one; and nothing was sent
        // later than now.
        let is_ours =
            |sequence: u32, sent_s: f64| self.sequence.wrapping_sub(sequence) < u32::MAX / 2 && sent_s <= now_s;
        if let Some((sequence, sent_s)) = heard
            && sequence != self.heard_sequence
            && is_ours(sequence, sent_s)
        {
            (self.heard_sequence, self.heard_s) = (sequence, sent_s);
            round_trip_s = Some(now_s - sent_s);
        }
        let stamp_s = header.stamp_s();
        self.offset.note(stamp_s, now_s);
        self.newest = Some(Told { state: ArmState { round_trip_s, ..state }, session, stamp_s, received_s: now_s });
        Ok(())
    }

    /// The newest state; none before the first.
    #[must_use]
    pub fn state(&self) -> Option<&ArmState> {
        self.newest.as_ref().map(|told| &told.state)
    }

    /// Its age, s; none before the first.
    #[must_use]
    pub fn age_s(&self, now_s: f64) -> Option<f64> {
        let told = self.newest.as_ref()?;
        // It is no younger than its datagram, whatever the sender's clock has done since.
        Some(self.offset.age_s(told.stamp_s, now_s)?.max(now_s - told.received_s))
    }

    /// For how long the controller has not taken in what it is asked for, s: from the newest setpoint that it has, or from the
    /// first one since the arm was engaged, to the newest one that was sent.
    #[must_use]
    pub fn unheard_s(&self) -> f64 {
        self.engaged_s.map_or(0.0, |(since_s, said_s)| said_s - self.heard_s.max(since_s))
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
        let since_s =
            self.engaged_s.filter(|(_, said_s)| now_s - said_s <= limit_s).map_or(now_s, |(since_s, _)| since_s);
        self.engaged_s = Some((since_s, now_s));
        Ok((applied, self.write(&applied, true, now_s)))
    }

    /// The datagram that releases the arm, whatever is known of it.
    pub fn release(&mut self, now_s: f64) -> &[u8] {
        let rest = ArmPose { position_m: [0.0; 3], orientation: [0.0, 0.0, 0.0, 1.0] };
        let pose = self.state().map_or(rest, |state| state.pose);
        self.engaged_s = None;
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
