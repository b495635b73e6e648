//! Contract: datagrams are those that the headers describe; anything else is refused whole; the arm is never asked for
//! more than its limits; poses are dated on our clock; the examples in Python are the other side.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arm;
mod examples;

use bridge::number::NonNegative;
use bridge::real::datagram::{self, DatagramError, Header, Kind, OnceGate, StreamGate};
use bridge::real::labels::{Button, LabelSource, UdpButtons};
use bridge::real::tracker::{Intake, TrackerConfig};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use proptest::test_runner::RngSeed;
use std::net::{SocketAddr, UdpSocket};

/// Made with Python: HEADER.pack(b"SFLW", 1, 4, 8, 0x01020304, 7, 1_500_000_000) + struct.pack("<II", 2, 0), zlib.crc32.
const BUTTON: &str = "53464c57010408000403020107000000002f68590000000002000000000000008fba4997";
/// Likewise: kind 3, session 9, sequence 1, stamp 2 s; object 0, velocities given, position (.01, -.02, .03), no rotation,
/// velocity (.1, 0, 0), angular velocity (0, 0, 2).
const POSE: &str = concat!(
    "53464c570103700009000000010000000094357700000000",
    "00000000010000007b14ae47e17a843f7b14ae47e17a94bfb81e85eb51b89e3f",
    "000000000000000000000000000000000000000000000000000000000000f03f",
    "9a9999999999b93f000000000000000000000000000000000000000000000000",
    "000000000000000000000000000000400f68841f",
);

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, _) = hex.as_bytes().as_chunks::<2>();
    pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn tracker_config() -> TrackerConfig {
    TrackerConfig { listen: loopback(), shortest_latency_s: NonNegative::try_from(0.01).unwrap() }
}

fn pose_frame(session: u32, sequence: u32, stamp_s: f64, numbers: &[f64; 13], flags: u32) -> Vec<u8> {
    let mut payload = Vec::from(0u32.to_le_bytes());
    payload.extend(flags.to_le_bytes());
    payload.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
    let mut frame = Vec::new();
    let stamp_ns = (stamp_s * 1e9) as u64;
    datagram::encode(Header { kind: Kind::ObjectPose, session, sequence, stamp_ns }, &payload, &mut frame);
    frame
}

/// Contract: golden datagrams are understood and made, byte for byte.
#[test]
fn golden_datagrams() {
    let frame = bytes(BUTTON);
    let (header, mut payload) = datagram::decode(&frame, Kind::Button, 8).unwrap();
    let expected = Header { kind: Kind::Button, session: 0x0102_0304, sequence: 7, stamp_ns: 1_500_000_000 };
    assert_eq!((header, payload.u32()), (expected, Ok(2)));
    let mut made = Vec::new();
    datagram::encode(header, &[2, 0, 0, 0, 0, 0, 0, 0], &mut made);
    assert_eq!(made, frame);

    let mut intake = Intake::new(&tracker_config(), 1);
    intake.take(&bytes(POSE), 50.0).unwrap();
    let (pose, age_s) = intake.newest(0, 50.5).unwrap();
    assert_eq!((pose.position_m, pose.orientation), ([0.01, -0.02, 0.03], [0.0, 0.0, 0.0, 1.0]));
    assert_eq!((pose.velocity_m_s, pose.angular_velocity_rad_s), ([0.1, 0.0, 0.0], [0.0, 0.0, 2.0]));
    assert!((age_s - 0.51).abs() < 1e-9, "{age_s}");
}

/// Contract: every damaged bit, every cut, and every other kind, version or length is refused.
#[test]
fn damage_is_refused() {
    let frame = bytes(POSE);
    for bit in 0..8 * frame.len() {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Intake::new(&tracker_config(), 1).take(&damaged, 0.0).is_err(), "bit {bit}");
    }
    for cut in 0..frame.len() {
        assert!(Intake::new(&tracker_config(), 1).take(&frame[..cut], 0.0).is_err(), "cut at {cut}");
    }
    let refused = |frame: &[u8]| Intake::new(&tracker_config(), 1).take(frame, 0.0).unwrap_err().to_string();
    assert!(refused(&bytes(BUTTON)).contains("kind 4, expected 3"));
    let mut newer = frame;
    newer[4] = 2;
    assert!(refused(&newer).contains("version 2"));
    let good = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for (index, value, expected) in [
        (1, f64::NAN, "position_m[1] is NaN"),
        (5, f64::INFINITY, "orientation[2] is inf"),
        (12, f64::NEG_INFINITY, "angular_velocity_rad_s[2] is -inf"),
        (6, 0.9, "length of orientation is 0.9"),
        (2, 11.0, "position_m is 11"),
    ] {
        let mut numbers = good;
        numbers[index] = value;
        let error = refused(&pose_frame(1, 1, 1.0, &numbers, 1));
        assert!(error.contains(expected), "{error}");
    }
}

const fn header(session: u32, sequence: u32) -> Header {
    Header { kind: Kind::ObjectPose, session, sequence, stamp_ns: 0 }
}

/// Contract: of a stream only newer datagrams pass, over the wrap of the counter, and losses are counted.
#[test]
fn only_newer_datagrams_pass() {
    let mut gate = StreamGate::default();
    let mut pass = |sequence| gate.pass(&header(1, sequence), 0.0).is_ok();
    assert_eq!([5, 6, 6, 5, 9].map(&mut pass), [true, true, false, false, true]);
    assert_eq!(gate.n_lost, 2);
    let mut wrapped = StreamGate::default();
    let passed = [u32::MAX, 0, u32::MAX].map(|sequence| wrapped.pass(&header(1, sequence), 0.0).is_ok());
    assert_eq!(passed, [true, true, false]);
}

/// Contract: whoever speaks is listened to. A second sender, or a stray datagram, is refused for as long as the first one speaks
/// and takes nothing from it; after a second of silence another one is heard: a tracker was started anew.
#[test]
fn a_second_sender_takes_nothing_from_the_first() {
    let mut gate = StreamGate::default();
    gate.pass(&header(1, 1), 10.0).unwrap();
    let refused = gate.pass(&header(2, 1), 10.5).unwrap_err();
    assert!(matches!(refused, DatagramError::Crowded { found: 2, current: 1, .. }), "{refused}");
    gate.pass(&header(1, 2), 10.6).unwrap();
    gate.pass(&header(2, 2), 11.5).unwrap_err();
    gate.pass(&header(2, 3), 11.6).unwrap();
    // It was the stray one; the other is heard again once that is silent.
    gate.pass(&header(1, 3), 11.7).unwrap_err();
    gate.pass(&header(1, 4), 12.6).unwrap();
}

/// Contract: two people with buttons do not silence each other, and no press of either counts twice.
#[test]
fn two_people_press_buttons() {
    let mut gate = OnceGate::default();
    let mut pass = |session, sequence| gate.pass(&header(session, sequence)).is_ok();
    let presses = [(1, 1), (2, 7), (1, 1), (1, 2), (2, 7), (2, 6), (2, 8), (1, 3)];
    let passed = presses.map(|(session, sequence)| pass(session, sequence));
    assert_eq!(passed, [true, true, false, true, false, false, true, true]);
}

/// Contract: without given velocities they are those of a body that turns and moves evenly; after a gap, and after a
/// restart of the tracker, they are not made up, and no pose of the old tracker stays.
#[test]
fn velocities_are_differences() {
    let mut intake = Intake::new(&tracker_config(), 1);
    let pose = |time_s: f64| {
        let (sine, cosine) = (0.5 * 3.0 * time_s).sin_cos();
        [0.2 * time_s, 0.0, -0.1 * time_s, 0.0, 0.0, sine, cosine, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]
    };
    let velocities = |intake: &Intake| {
        let (pose, _) = intake.newest(0, 100.0).unwrap();
        (pose.velocity_m_s, pose.angular_velocity_rad_s)
    };
    for n in 1..100u32 {
        let time_s = f64::from(n) * 0.02;
        intake.take(&pose_frame(1, n, time_s, &pose(time_s), 0), time_s).unwrap();
        let (linear, angular) = velocities(&intake);
        if n > 1 {
            let expected = [0.2, 0.0, -0.1, 0.0, 0.0, 3.0];
            for (found, expected) in linear.into_iter().chain(angular).zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{n}: {linear:?} {angular:?}");
            }
        } else {
            assert_eq!((linear, angular), ([0.0; 3], [0.0; 3]));
        }
    }
    intake.take(&pose_frame(1, 200, 5.0, &pose(5.0), 0), 5.0).unwrap();
    assert_eq!(velocities(&intake), ([0.0; 3], [0.0; 3]));
    intake.take(&pose_frame(2, 1, 0.5, &pose(0.5), 0), 6.02).unwrap();
    assert_eq!(velocities(&intake), ([0.0; 3], [0.0; 3]));
    let (_, age_s) = intake.newest(0, 6.03).unwrap();
    assert!((age_s - 0.02).abs() < 1e-9, "{age_s}");
}

/// Contract: buttons come in their order, once however often they are sent; the emergency stop before all others, every time, even
/// where another datagram has overtaken it.
#[test]
fn buttons_count_once() {
    let mut buttons = UdpButtons::open(loopback()).unwrap();
    let sender = UdpSocket::bind(loopback()).unwrap();
    let mut frame = Vec::new();
    for (sequence, code) in [(1, 1), (1, 1), (2, 1), (3, 2), (4, 99), (5, 5), (5, 5), (1, 5)] {
        let header = Header { kind: Kind::Button, session: 1, sequence, stamp_ns: 0 };
        let mut payload = [0; 8];
        payload[0] = code;
        datagram::encode(header, &payload, &mut frame);
        sender.send_to(&frame, buttons.address().unwrap()).unwrap();
    }
    sender.send_to(b"nonsense", buttons.address().unwrap()).unwrap();
    let mut pressed = Vec::new();
    while buttons.reception().n_accepted + buttons.reception().n_refused < 9 {
        pressed.extend(buttons.next());
    }
    pressed.extend(std::iter::from_fn(|| buttons.next()));
    pressed.sort_by_key(|&button| button != Button::EStop);
    assert_eq!(
        pressed,
        [Button::EStop, Button::EStop, Button::EStop, Button::PlusOne, Button::PlusOne, Button::Success]
    );
    assert_eq!(buttons.reception().n_refused, 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// Contract: no bytes, with a right frame around them or not, do more than be refused.
    #[test]
    fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..200), is_framed in any::<bool>()) {
        let mut frame = payload.clone();
        if is_framed {
            let payload: Vec<u8> = payload.iter().copied().chain(std::iter::repeat(0)).take(112).collect();
            datagram::encode(Header { kind: Kind::ObjectPose, session: 1, sequence: 1, stamp_ns: 1 }, &payload, &mut frame);
        }
        let mut intake = Intake::new(&tracker_config(), 1);
        if intake.take(&frame, 1.0).is_ok() {
            let (pose, age_s) = intake.newest(0, 1.0).unwrap();
            prop_assert!(age_s.is_finite() && pose.position_m.iter().chain(&pose.orientation).all(|x| x.is_finite()));
        } else {
            prop_assert!(intake.newest(0, 1.0).is_none());
        }
    }
}
