//! Object poses from an external tracker over UDP.
//!
//! Datagrams as in [`datagram`], kind 3, with a payload of 112 bytes; everything in the palm frame of the hand, or in the
//! base frame of the arm where one carries the hand:
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | u32 | index of the object, in the order of the body's spec |
//! | 4 | u32 | flags: bit 0 the velocities are given |
//! | 8 | 3 f64 | position of the centre, m |
//! | 32 | 4 f64 | orientation, unit quaternion x y z w |
//! | 64 | 3 f64 | velocity, m/s; ignored unless given |
//! | 88 | 3 f64 | angular velocity, rad/s; ignored unless given |
//!
//! The header's stamp is when the picture was taken, on the tracker's own monotonic clock; its offset from ours is
//! estimated ([`ClockOffset`]). Velocities that are not given are differences of the last two poses, zero until there are
//! two of them within [`MAX_GAP_S`].

use super::clock::Clock;
use super::clock_offset::ClockOffset;
use super::datagram::{self, DatagramError, Header, Kind, Payload, Reception, StreamGate, decode, receive};
use super::robot::ObjectSource;
use crate::ObjectPose;
use crate::number::NonNegative;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{SocketAddr, UdpSocket};

const PAYLOAD_BYTES: usize = 112;
const HAS_VELOCITY: u32 = 1;
/// Poses that are further apart give no velocity, s.
pub const MAX_GAP_S: f64 = 0.2;
/// Objects are not faster; two poses that say so are a jump and give no velocity.
const MAX_SPEED_M_S: f64 = 100.0;
const MAX_TURNING_RAD_S: f64 = 1000.0;

/// How a tracker is listened to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackerConfig {
    /// Where poses are received, e.g. "127.0.0.1:7401" for senders of this machine alone.
    pub listen: SocketAddr,
    /// Shortest time from a picture's taking to the arrival of its pose, s: exposure, computation, network.
    pub shortest_latency_s: NonNegative,
}

/// Writes the datagram of a pose with its velocities, as a tracker sends it, into `frame`.
pub fn encode_pose(header: Header, object_idx: u32, pose: &ObjectPose, frame: &mut Vec<u8>) {
    let mut payload = [0; PAYLOAD_BYTES];
    payload[..4].copy_from_slice(&object_idx.to_le_bytes());
    payload[4..8].copy_from_slice(&HAS_VELOCITY.to_le_bytes());
    let numbers = pose.position_m.iter().chain(&pose.orientation).chain(&pose.velocity_m_s);
    let numbers = numbers.chain(&pose.angular_velocity_rad_s);
    for (place, &number) in payload[8..].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&f64::from(number).to_le_bytes());
    }
    datagram::encode(header, &payload, frame);
}

/// Listens to one tracker.
#[derive(Debug)]
pub struct UdpTracker<C> {
    socket: UdpSocket,
    clock: C,
    intake: Intake,
    reception: Reception,
}

/// What a tracker has said so far. Separate from the socket, so that time and bytes can be given by hand.
#[derive(Clone, Debug)]
pub struct Intake {
    gate: StreamGate,
    session: Option<u32>,
    offset: ClockOffset,
    objects: Vec<Option<Sighting>>,
}

/// One pose of an object.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    stamp_s: f64,
    received_s: f64,
    position_m: [f64; 3],
    orientation: [f64; 4],
    velocity_m_s: [f64; 3],
    angular_velocity_rad_s: [f64; 3],
}

impl<C: Clock> UdpTracker<C> {
    /// Listens for `n_objects`, with our time from `clock`.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub fn open(config: &TrackerConfig, n_objects: usize, clock: C) -> io::Result<Self> {
        let socket = datagram::bind(config.listen)?;
        Ok(Self { socket, clock, intake: Intake::new(config, n_objects), reception: Reception::default() })
    }

    /// Where poses are received.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What became of the datagrams received, and how many never came.
    #[must_use]
    pub const fn reception(&self) -> (Reception, u64) {
        (self.reception, self.intake.gate.n_lost)
    }
}

impl<C: Clock> ObjectSource for UdpTracker<C> {
    fn poll(&mut self) {
        let now_s = self.clock.now_s();
        receive(&self.socket, &mut self.reception, |frame, _| self.intake.take(frame, now_s));
    }

    fn newest(&self, object_idx: usize) -> Option<(ObjectPose, f64)> {
        self.intake.newest(object_idx, self.clock.now_s())
    }
}

impl Intake {
    /// Nothing heard yet of `n_objects`.
    #[must_use]
    pub fn new(config: &TrackerConfig, n_objects: usize) -> Self {
        Self {
            gate: StreamGate::default(),
            session: None,
            offset: ClockOffset::new(config.shortest_latency_s),
            objects: vec![None; n_objects],
        }
    }

    /// Takes in a datagram that came at `now_s`.
    ///
    /// # Errors
    /// When it is refused; nothing of it is then used.
    pub fn take(&mut self, frame: &[u8], now_s: f64) -> Result<(), DatagramError> {
        let (header, payload) = decode(frame, Kind::ObjectPose, PAYLOAD_BYTES)?;
        let (object_idx, sighting) = decode_pose(&header, payload, now_s)?;
        if object_idx as usize >= self.objects.len() {
            let expected = "the index of an object of the body";
            return Err(DatagramError::OutOfRange { field: "object index", value: f64::from(object_idx), expected });
        }
        self.gate.pass(&header, now_s)?;
        if self.session != Some(header.session) {
            // A tracker that has started anew has a new clock: what the old one said cannot be dated any more.
            self.session = Some(header.session);
            self.offset.clear();
            self.objects.fill(None);
        }
        self.offset.note(header.stamp_s(), now_s);
        let place = &mut self.objects[object_idx as usize];
        let (velocity_m_s, angular_velocity_rad_s) = match (sighting, *place) {
            ((sighting, true), _) => (sighting.velocity_m_s, sighting.angular_velocity_rad_s),
            ((sighting, false), Some(former)) => differences(&former, &sighting),
            ((_, false), None) => ([0.0; 3], [0.0; 3]),
        };
        *place = Some(Sighting { velocity_m_s, angular_velocity_rad_s, ..sighting.0 });
        Ok(())
    }

    /// The newest pose of an object and its age at `now_s`, s; none before the first. The pose's own time is left 0.
    #[must_use]
    pub fn newest(&self, object_idx: usize, now_s: f64) -> Option<(ObjectPose, f64)> {
        let sighting = (*self.objects.get(object_idx)?)?;
        // It is no younger than its datagram, whatever the sender's clock has done since.
        let waited_s = now_s - sighting.received_s + self.offset.shortest_latency_s();
        let age_s = self.offset.age_s(sighting.stamp_s, now_s)?.max(waited_s);
        let pose = ObjectPose {
            time_s: 0.0,
            position_m: sighting.position_m.map(|x| x as f32),
            orientation: sighting.orientation.map(|x| x as f32),
            velocity_m_s: sighting.velocity_m_s.map(|x| x as f32),
            angular_velocity_rad_s: sighting.angular_velocity_rad_s.map(|x| x as f32),
        };
        Some((pose, age_s))
    }
}

/// The object's index, its pose, and whether the velocities were given.
fn decode_pose(
    header: &Header,
    mut payload: Payload<'_>,
    received_s: f64,
) -> Result<(u32, (Sighting, bool)), DatagramError> {
    let (object_idx, flags) = (payload.u32()?, payload.u32()?);
    let position_m = payload.vector("position_m", 10.0, "at most 10 m from the origin")?;
    let orientation = payload.orientation()?;
    let velocity_m_s = payload.vector("velocity_m_s", MAX_SPEED_M_S, "at most 100 m/s")?;
    let turning_rad_s = payload.vector("angular_velocity_rad_s", MAX_TURNING_RAD_S, "at most 1000 rad/s")?;
    let stamp_s = header.stamp_s();
    let sighting =
        Sighting { stamp_s, received_s, position_m, orientation, velocity_m_s, angular_velocity_rad_s: turning_rad_s };
    Ok((object_idx, (sighting, flags & HAS_VELOCITY != 0)))
}

/// Velocity and angular velocity between two poses; `w = 2 log(q1 q0*) / dt`.
fn differences(former: &Sighting, now: &Sighting) -> ([f64; 3], [f64; 3]) {
    let dt_s = now.stamp_s - former.stamp_s;
    if dt_s > MAX_GAP_S {
        return ([0.0; 3], [0.0; 3]);
    }
    if dt_s < 1e-4 {
        return (former.velocity_m_s, former.angular_velocity_rad_s);
    }
    let velocity_m_s = std::array::from_fn(|i| (now.position_m[i] - former.position_m[i]) / dt_s);
    let ([ax, ay, az, aw], [bx, by, bz, bw]) = (now.orientation, former.orientation);
    // a b*, vector and scalar part
    let vector = [
        -aw * bx + ax * bw - ay * bz + az * by,
        -aw * by + ax * bz + ay * bw - az * bx,
        -aw * bz - ax * by + ay * bx + az * bw,
    ];
    let scalar = aw * bw + ax * bx + ay * by + az * bz;
    let sine = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    let half_angle_rad = sine.atan2(scalar.abs()) * scalar.signum();
    let per_sine = if sine > 1e-12 { 2.0 * half_angle_rad / (sine * dt_s) } else { 0.0 };
    let turning_rad_s = vector.map(|x| x * per_sine);
    let is_jump = velocity_m_s.iter().any(|x: &f64| x.abs() > MAX_SPEED_M_S)
        || turning_rad_s.iter().any(|x| x.abs() > MAX_TURNING_RAD_S);
    if is_jump { ([0.0; 3], [0.0; 3]) } else { (velocity_m_s, turning_rad_s) }
}
