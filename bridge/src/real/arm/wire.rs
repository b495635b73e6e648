//! Payloads of the arm's datagrams, both ways; the layouts are in the header of [`super`].

use super::super::datagram::{DatagramError, Payload};
use super::{ArmPose, ArmState};

pub(super) const SETPOINT_BYTES: usize = 64;
pub(super) const STATE_BYTES: usize = 120;
const ENGAGED: u32 = 1;
const READY: u32 = 1;
const FAILED: u32 = 2;

pub(super) fn encode_setpoint(pose: &ArmPose, is_engaged: bool) -> [u8; SETPOINT_BYTES] {
    let mut payload = [0; SETPOINT_BYTES];
    let numbers = pose.position_m.iter().chain(&pose.orientation);
    put_numbers(&mut payload, numbers);
    let flags = if is_engaged { ENGAGED } else { 0 };
    payload[56..60].copy_from_slice(&flags.to_le_bytes());
    payload
}

/// The pose, and whether it is engaged.
pub(super) fn decode_setpoint(mut payload: Payload<'_>) -> Result<(ArmPose, bool), DatagramError> {
    let pose = ArmPose { position_m: payload.numbers("position_m")?, orientation: payload.orientation()? };
    Ok((pose, payload.u32()? & ENGAGED != 0))
}

/// The state, and sequence and stamp (ns) of the newest setpoint that the controller has.
pub(super) fn encode_state(state: &ArmState, (sequence, stamp_ns): (u32, u64)) -> [u8; STATE_BYTES] {
    let mut payload = [0; STATE_BYTES];
    let numbers = state.pose.position_m.iter().chain(&state.pose.orientation).chain(&state.force_n);
    put_numbers(&mut payload, numbers.chain(&state.torque_nm));
    let flags = if state.is_ready { READY } else { 0 } | if state.has_failed { FAILED } else { 0 };
    payload[104..108].copy_from_slice(&flags.to_le_bytes());
    payload[108..112].copy_from_slice(&sequence.to_le_bytes());
    payload[112..].copy_from_slice(&stamp_ns.to_le_bytes());
    payload
}

/// The state, and the newest setpoint that the controller has: its sequence and when it was sent, s.
pub(super) fn decode_state(mut payload: Payload<'_>) -> Result<(ArmState, Option<(u32, f64)>), DatagramError> {
    let position_m = payload.vector("position_m", 10.0, "at most 10 m from the base")?;
    let pose = ArmPose { position_m, orientation: payload.orientation()? };
    let force_n = payload.vector("force_n", 1e4, "at most 10 kN")?;
    let torque_nm = payload.vector("torque_nm", 1e4, "at most 10 kN m")?;
    let (flags, sequence, stamp_ns) = (payload.u32()?, payload.u32()?, payload.u64()?);
    let (is_ready, has_failed) = (flags & READY != 0, flags & FAILED != 0);
    let state = ArmState { pose, force_n, torque_nm, is_ready, has_failed, round_trip_s: None };
    Ok((state, (stamp_ns != 0).then_some((sequence, stamp_ns as f64 * 1e-9))))
}

fn put_numbers<'a>(payload: &mut [u8], numbers: impl Iterator<Item = &'a f64>) {
    for (place, number) in payload.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
        *place = number.to_le_bytes();
    }
}
