//! The arm: Cartesian setpoints to an external impedance controller, its state back.
//!
//! The controller runs at its own rate (1 kHz) beside the robot; we send it where the end effector is to be and receive
//! where it is, in the frame of the arm's base. Datagrams as in [`datagram`], with these payloads:
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
//! A controller holds its present pose when the newest setpoint is not engaged or is older than 100 ms.
//!
//! Every setpoint passes [`ArmLimits`] inside of [`ArmLink::send`], in this order: refused when not finite or not a unit
//! quaternion; clamped to the workspace box; clipped to an error of at most 10 mm and 0.05 rad (as configured) from the
//! measured pose, so that with a stiffness of 2000 N/m no more than 20 N are asked for. The clip has the last word: an
//! arm outside of its box comes back in small steps. Without a fresh state nothing is sent.

use super::datagram::{self, DatagramError, Header, Kind, Payload, Reception, SequenceGate, decode, encode, receive};
use crate::number::{Finite, Positive};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use thiserror::Error;

const SETPOINT_BYTES: usize = 64;
const STATE_BYTES: usize = 120;
const ENGAGED: u32 = 1;
const READY: u32 = 1;
const FAILED: u32 = 2;

/// A pose of the end effector in the frame of the arm's base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArmPose {
    /// m.
    pub position_m: [f64; 3],
    /// Unit quaternion x, y, z, w.
    pub orientation: [f64; 4],
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

    /// Its age, s; none before the first.
    fn age_s(&self, now_s: f64) -> Option<f64>;

    /// Limits `wanted` and sends it; returns what was really sent. The controller follows only engaged setpoints.
    ///
    /// # Errors
    /// When `wanted` is not a pose or the state is too old (nothing is then sent), or when the socket fails.
    fn send(&mut self, wanted: &ArmPose, is_engaged: bool, now_s: f64) -> Result<ArmPose, ArmError>;
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

/// How far an arm may be asked to go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmLimits {
    /// Lowest corner of the workspace, m.
    pub workspace_lower_m: [Finite; 3],
    /// Highest corner of the workspace, m.
    pub workspace_upper_m: [Finite; 3],
    /// Largest distance of a setpoint from the measured position, m. 0.01 is usual.
    pub max_error_m: Positive,
    /// Largest angle of a setpoint from the measured orientation, rad. 0.05 is usual.
    pub max_error_rad: Positive,
    /// Oldest state that a setpoint may be clipped against, s. 0.1 is usual.
    pub stale_s: Positive,
}

impl ArmLimits {
    /// Limits `wanted`, given the measured pose. Pure.
    ///
    /// # Errors
    /// When `wanted` is not a pose.
    pub fn apply(&self, wanted: &ArmPose, measured: &ArmPose) -> Result<ArmPose, ArmError> {
        let arrays = [("position_m", &wanted.position_m[..]), ("orientation", &wanted.orientation[..])];
        for (quantity, values) in arrays {
            if let Some(index) = values.iter().position(|x| !x.is_finite()) {
                return Err(ArmError::NonFinite { quantity, index, value: values[index] });
            }
        }
        let length = norm(&wanted.orientation);
        if (length - 1.0).abs() > 1e-3 {
            return Err(ArmError::NotUnit { length });
        }
        let error_m: [f64; 3] = std::array::from_fn(|axis| {
            let (lower_m, upper_m) = (self.workspace_lower_m[axis].get(), self.workspace_upper_m[axis].get());
            wanted.position_m[axis].clamp(lower_m, upper_m) - measured.position_m[axis]
        });
        let share = (self.max_error_m.get() / norm(&error_m)).min(1.0);
        let position_m = std::array::from_fn(|axis| measured.position_m[axis] + share * error_m[axis]);

        // The rotation that leads from the measured to the wanted orientation, the short way round.
        let turn = product(wanted.orientation.map(|x| x / length), conjugate(measured.orientation));
        let turn = if turn[3] < 0.0 { turn.map(|x| -x) } else { turn };
        let sine = norm(&turn[..3]);
        let angle_rad = 2.0 * sine.atan2(turn[3]);
        let clipped = if angle_rad > self.max_error_rad.get() {
            let (new_sine, cosine) = (0.5 * self.max_error_rad.get()).sin_cos();
            [turn[0] / sine * new_sine, turn[1] / sine * new_sine, turn[2] / sine * new_sine, cosine]
        } else {
            turn
        };
        let orientation = product(clipped, measured.orientation);
        let length = norm(&orientation);
        Ok(ArmPose { position_m, orientation: orientation.map(|x| x / length) })
    }
}

/// How an arm is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UdpArmConfig {
    /// Where states are received, e.g. "127.0.0.1:0" for any free port of this machine alone.
    pub listen: SocketAddr,
    /// Where the controller receives setpoints.
    pub controller: SocketAddr,
    /// How far it may be asked to go.
    pub limits: ArmLimits,
}

/// An arm behind UDP.
#[derive(Debug)]
pub struct UdpArm {
    config: UdpArmConfig,
    socket: UdpSocket,
    session: u32,
    sequence: u32,
    frame: Vec<u8>,
    states: States,
    reception: Reception,
}

/// What an arm has said so far. Separate from the socket, so that time and bytes can be given by hand.
#[derive(Clone, Debug, Default)]
pub struct States {
    gate: SequenceGate,
    newest: Option<(ArmState, f64)>,
    heard_sequence: u32,
}

impl States {
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

    /// The newest state, and when it came, s.
    #[must_use]
    pub const fn newest(&self) -> Option<&(ArmState, f64)> {
        self.newest.as_ref()
    }
}

impl UdpArm {
    /// Opens the socket. `session` tells this process from the one before it: any number that differs.
    ///
    /// # Errors
    /// When the workspace is empty or the address cannot be had.
    pub fn open(config: UdpArmConfig, session: u32) -> Result<Self, ArmError> {
        for axis in 0..3 {
            let lower_m = config.limits.workspace_lower_m[axis].get();
            let upper_m = config.limits.workspace_upper_m[axis].get();
            if lower_m >= upper_m {
                return Err(ArmError::EmptyWorkspace { axis, lower_m, upper_m });
            }
        }
        let socket = datagram::bind(config.listen).map_err(|source| ArmError::Socket {
            doing: "listening on",
            address: config.listen,
            source,
        })?;
        Ok(Self {
            config,
            socket,
            session,
            sequence: 0,
            frame: Vec::with_capacity(datagram::MAX_BYTES),
            states: States::default(),
            reception: Reception::default(),
        })
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
        (self.reception, self.states.gate.n_lost)
    }
}

impl ArmLink for UdpArm {
    fn poll(&mut self, now_s: f64) {
        receive(&self.socket, &mut self.reception, |frame| self.states.take(frame, now_s));
    }

    fn state(&self) -> Option<&ArmState> {
        self.states.newest().map(|(state, _)| state)
    }

    fn age_s(&self, now_s: f64) -> Option<f64> {
        self.states.newest().map(|(_, received_s)| now_s - received_s)
    }

    fn send(&mut self, wanted: &ArmPose, is_engaged: bool, now_s: f64) -> Result<ArmPose, ArmError> {
        let (age_s, limit_s) = (self.age_s(now_s), self.config.limits.stale_s.get());
        let measured = match (self.state(), age_s) {
            (Some(state), Some(age_s)) if age_s <= limit_s => state.pose,
            _ => return Err(ArmError::Stale { age_s, limit_s }),
        };
        let applied = self.config.limits.apply(wanted, &measured)?;
        self.sequence = self.sequence.wrapping_add(1);
        let payload = encode_setpoint(&applied, is_engaged);
        let (session, sequence, stamp_ns) = (self.session, self.sequence, (now_s * 1e9) as u64);
        encode(Header { kind: Kind::ArmSetpoint, session, sequence, stamp_ns }, &payload, &mut self.frame);
        let address = self.config.controller;
        self.socket.send_to(&self.frame, address).map_err(|source| ArmError::Socket {
            doing: "sending to",
            address,
            source,
        })?;
        Ok(applied)
    }
}

fn encode_setpoint(pose: &ArmPose, is_engaged: bool) -> [u8; SETPOINT_BYTES] {
    let mut payload = [0; SETPOINT_BYTES];
    let numbers = pose.position_m.iter().chain(&pose.orientation);
    for (place, number) in payload.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
        *place = number.to_le_bytes();
    }
    let flags = if is_engaged { ENGAGED } else { 0 };
    payload[56..60].copy_from_slice(&flags.to_le_bytes());
    payload
}

/// The state, and the newest setpoint that the controller has: its sequence and when it was sent, s.
fn decode_state(mut payload: Payload<'_>) -> Result<(ArmState, Option<(u32, f64)>), DatagramError> {
    let position_m = payload.vector("position_m", 10.0, "at most 10 m from the base")?;
    let pose = ArmPose { position_m, orientation: payload.orientation()? };
    let force_n = payload.vector("force_n", 1e4, "at most 10 kN")?;
    let torque_nm = payload.vector("torque_nm", 1e4, "at most 10 kN m")?;
    let (flags, sequence, stamp_ns) = (payload.u32()?, payload.u32()?, payload.u64()?);
    let (is_ready, has_failed) = (flags & READY != 0, flags & FAILED != 0);
    let state = ArmState { pose, force_n, torque_nm, is_ready, has_failed, round_trip_s: None };
    Ok((state, (stamp_ns != 0).then_some((sequence, stamp_ns as f64 * 1e-9))))
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn conjugate([x, y, z, w]: [f64; 4]) -> [f64; 4] {
    [-x, -y, -z, w]
}

fn product([ax, ay, az, aw]: [f64; 4], [bx, by, bz, bw]: [f64; 4]) -> [f64; 4] {
    [
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    ]
}
