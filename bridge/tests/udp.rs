//! Contract: datagrams are those that the headers describe; anything else is refused whole; the arm is never asked for
//! more than its limits; poses are dated on our clock; the examples in Python are the other side.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bridge::number::{Finite, NonNegative, Positive};
use bridge::real::arm::{
    ArmController, ArmError, ArmLimits, ArmLink, ArmPose, ArmSession, ArmState, UdpArm, UdpArmConfig,
};
use bridge::real::clock::{Clock, MachineClock};
use bridge::real::datagram::{self, DatagramError, Header, Kind, OnceGate, StreamGate};
use bridge::real::labels::{Button, LabelSource, UdpButtons};
use bridge::real::robot::ObjectSource;
use bridge::real::tracker::{Intake, TrackerConfig, UdpTracker};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::RngSeed;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

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

fn limits() -> ArmLimits {
    let corner = |x: [f64; 3]| x.map(|x| Finite::try_from(x).unwrap());
    ArmLimits {
        workspace_lower_m: corner([0.2, -0.3, 0.05]),
        workspace_upper_m: corner([0.6, 0.3, 0.6]),
        max_error_m: Positive::try_from(0.01).unwrap(),
        max_error_rad: Positive::try_from(0.05).unwrap(),
        stale_s: Positive::try_from(0.1).unwrap(),
    }
}

fn pose(x: f64, y: f64, z: f64, turn_rad: f64) -> ArmPose {
    let (sine, cosine) = (0.5 * turn_rad).sin_cos();
    ArmPose { position_m: [x, y, z], orientation: [0.0, sine, 0.0, cosine] }
}

fn angle_rad(a: [f64; 4], b: [f64; 4]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    2.0 * dot.abs().min(1.0).acos()
}

/// Contract: clips worked by hand; what is no pose is refused by name.
#[test]
fn arm_limits_by_hand() {
    let measured = pose(0.4, 0.0, 0.3, 0.1);
    let near = limits().apply(&pose(0.405, 0.0, 0.3, 0.12), &measured).unwrap();
    assert!(
        (near.position_m[0] - 0.405).abs() < 1e-12
            && angle_rad(near.orientation, pose(0., 0., 0., 0.12).orientation) < 1e-7
    );
    let far = limits().apply(&pose(0.43, 0.04, 0.3, 1.1), &measured).unwrap();
    // 30 and 40 mm away: 10 mm along each axis
    for (found, expected) in far.position_m.into_iter().zip([0.41, 0.01, 0.3]) {
        assert!((found - expected).abs() < 1e-12, "{far:?}");
    }
    assert!(angle_rad(far.orientation, pose(0., 0., 0., 0.15).orientation) < 1e-7, "{far:?}");
    // The short way round, whatever the sign of the quaternion.
    let minus = pose(0.4, 0.0, 0.3, 0.12);
    let minus = ArmPose { orientation: minus.orientation.map(|x| -x), ..minus };
    let same = limits().apply(&minus, &measured).unwrap();
    assert!(angle_rad(same.orientation, minus.orientation) < 1e-7);
    // At the wall of the box, and back into it from outside.
    let wall = limits().apply(&pose(0.4, 0.0, 0.0, 0.1), &pose(0.4, 0.0, 0.055, 0.1)).unwrap();
    assert!((wall.position_m[2] - 0.05).abs() < 1e-12);
    let back = limits().apply(&pose(0.4, 0.0, 0.01, 0.1), &pose(0.4, 0.0, 0.01, 0.1)).unwrap();
    assert!((back.position_m[2] - 0.02).abs() < 1e-12);

    let nan = ArmPose { position_m: [0.4, f64::NAN, 0.3], ..measured };
    let error = limits().apply(&nan, &measured).unwrap_err().to_string();
    assert!(error.contains("position_m[1] is NaN") && error.contains("nothing was sent"), "{error}");
    let long = ArmPose { orientation: [0.0, 0.0, 0.0, 1.1], ..measured };
    assert!(matches!(limits().apply(&long, &measured), Err(ArmError::NotUnit { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// Contract: whatever is wanted, what is applied is finite, near the measured pose, and no further outside of the box
    /// than the arm is; or nothing is applied.
    #[test]
    fn arm_limits_hold(wanted in any::<[f64; 3]>(), q in any::<[f32; 4]>(), at in proptest::array::uniform3(-1.0..1.0f64), turn_rad in -3.0..3.0f64) {
        let length = q.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let orientation = if length.is_normal() { q.map(|x| f64::from(x) / length) } else { [0.0, 0.0, 0.0, 1.0] };
        let measured = pose(at[0], at[1], at[2], turn_rad);
        let is_pose = wanted.iter().chain(&orientation).all(|x| x.is_finite());
        let applied = limits().apply(&ArmPose { position_m: wanted, orientation }, &measured);
        prop_assert_eq!(applied.is_ok(), is_pose);
        if let Ok(applied) = applied {
            let errors_m = applied.position_m.iter().zip(at).map(|(a, b)| (a - b).abs());
            let error_m = errors_m.fold(0.0, f64::max);
            prop_assert!(error_m <= 0.01 + 1e-9, "{} m", error_m);
            prop_assert!(angle_rad(applied.orientation, measured.orientation) <= 0.05 + 1e-6);
            let corners = limits().workspace_lower_m.into_iter().zip(limits().workspace_upper_m);
            for ((applied, before), (lower, upper)) in applied.position_m.into_iter().zip(at).zip(corners) {
                let outside = |x: f64| (lower.get() - x).max(x - upper.get()).max(0.0);
                prop_assert!(outside(applied) <= outside(before) + 1e-9);
            }
        }
    }

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

/// Contract: without a fresh state of its own controller nothing is sent; the clip is against the measured pose, and the other side
/// can tell.
#[test]
fn a_stale_arm_is_not_commanded() {
    let controller = UdpSocket::bind(loopback()).unwrap();
    let config = UdpArmConfig { listen: loopback(), controller: controller.local_addr().unwrap(), limits: limits() };
    let mut arm = UdpArm::open(&config, 1).unwrap();
    let target = pose(0.5, 0.0, 0.3, 0.0);
    assert!(matches!(arm.send(&target, 0.0), Err(ArmError::Stale { age_s: None, .. })));
    let mut payload: Vec<u8> = [0.4, 0.0, 0.3, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0f64]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    payload.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut frame = Vec::new();
    datagram::encode(Header { kind: Kind::ArmState, session: 4, sequence: 1, stamp_ns: 5 }, &payload, &mut frame);
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    stranger.send_to(&frame, arm.address().unwrap()).unwrap();
    while arm.reception().0.n_refused == 0 {
        arm.poll(10.0);
    }
    assert!(arm.state().is_none(), "another machine's state was taken");
    controller.send_to(&frame, arm.address().unwrap()).unwrap();
    while arm.state().is_none() {
        arm.poll(10.0);
    }
    let state = arm.state().unwrap();
    assert!(state.is_ready && !state.has_failed && state.force_n == [1.0, 2.0, 3.0] && state.round_trip_s.is_none());
    let applied = arm.send(&target, 10.1).unwrap();
    assert!((applied.position_m[0] - 0.41).abs() < 1e-12);
    let mut received = [0; 256];
    let length = controller.recv(&mut received).unwrap();
    let (header, mut sent) = datagram::decode(&received[..length], Kind::ArmSetpoint, 64).unwrap();
    assert_eq!((header.session, header.sequence, header.stamp_ns), (1, 1, 10_100_000_000));
    assert_eq!(sent.numbers("position_m"), Ok(applied.position_m));
    assert_eq!((sent.orientation(), sent.u32()), (Ok(applied.orientation), Ok(1)));
    assert!(matches!(arm.send(&target, 10.2), Err(ArmError::Stale { age_s: Some(_), .. })));

    // A release needs no state.
    arm.release(10.2).unwrap();
    let length = controller.recv(&mut received).unwrap();
    let (header, mut sent) = datagram::decode(&received[..length], Kind::ArmSetpoint, 64).unwrap();
    assert_eq!((header.sequence, sent.numbers("position_m")), (2, Ok([0.4, 0.0, 0.3])));
    assert_eq!((sent.orientation(), sent.u32()), (Ok([0.0, 0.0, 0.0, 1.0]), Ok(0)));

    let mut empty = config;
    empty.limits.workspace_upper_m[1] = Finite::try_from(-0.3).unwrap();
    assert!(matches!(UdpArm::open(&empty, 1), Err(ArmError::EmptyWorkspace { axis: 1, .. })));
}

/// Contract: a state is as old as its stamp, whatever the controller's clock says: one that was under way for long is too old
/// to be limited against when it comes. A controller that starts anew has a new clock.
#[test]
fn a_late_state_of_the_arm_is_old() {
    let (mut session, mut controller) = (ArmSession::new(limits(), 1).unwrap(), ArmController::new(3));
    let state = ArmState {
        pose: pose(0.4, 0.0, 0.3, 0.0),
        force_n: [0.0; 3],
        torque_nm: [0.0; 3],
        is_ready: true,
        has_failed: false,
        round_trip_s: None,
    };
    let mut frame = Vec::new();
    for n in 0..50 {
        let sent_s = 0.01 * f64::from(n);
        controller.tell(&state, 1000.0 + sent_s, &mut frame);
        session.take(&frame, sent_s + 0.001).unwrap();
        assert!(session.age_s(sent_s + 0.001).unwrap() < 1e-3);
    }
    controller.tell(&state, 1000.5, &mut frame);
    session.take(&frame, 0.65).unwrap();
    let age_s = session.age_s(0.65).unwrap();
    assert!((age_s - 0.149).abs() < 1e-3, "{age_s} s");
    assert!(matches!(session.setpoint(&state.pose, 0.65), Err(ArmError::Stale { .. })));

    ArmController::new(4).tell(&state, 5.0, &mut frame);
    session.take(&frame, 1.66).unwrap();
    assert!(session.age_s(1.66).unwrap() < 1e-3);
}

/// Contract: a controller that says it has a setpoint of the future has not heard one, however often it says so.
#[test]
fn an_arm_cannot_have_heard_what_was_not_sent() {
    let mut session = ArmSession::new(limits(), 1).unwrap();
    let numbers = [0.4, 0.0, 0.3, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0f64];
    let told = |sequence: u32, stamp_ns: u64, at_s: f64| {
        let mut payload: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        payload.extend(1u32.to_le_bytes().into_iter().chain(sequence.to_le_bytes()).chain(stamp_ns.to_le_bytes()));
        let mut frame = Vec::new();
        let header =
            Header { kind: Kind::ArmState, session: 4, sequence: (at_s * 1e3) as u32, stamp_ns: (at_s * 1e9) as u64 };
        datagram::encode(header, &payload, &mut frame);
        frame
    };
    let target = pose(0.4, 0.0, 0.3, 0.0);
    session.take(&told(0, 0, 1.0), 1.0).unwrap();
    for n in 1..=50u32 {
        let now_s = 1.0 + 0.01 * f64::from(n);
        session.setpoint(&target, now_s).unwrap();
        session.take(&told(n, 1 << 62, now_s), now_s).unwrap();
        assert!(session.state().unwrap().round_trip_s.is_none());
    }
    assert!((session.unheard_s() - 0.49).abs() < 1e-9, "{} s", session.unheard_s());

    session.take(&told(50, 1_500_000_000, 1.51), 1.51).unwrap();
    assert!(session.unheard_s() < 1e-9 && session.state().unwrap().round_trip_s.is_some());
}

struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts an example; none, with a word of why, where there is no Python.
fn example(name: &str, arguments: &[String]) -> Option<Python> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name);
    let started = Command::new("python3").arg(path).args(arguments).stdout(Stdio::piped()).spawn();
    if let Err(error) = &started {
        eprintln!("skipped: python3: {error}");
    }
    started.ok().map(Python)
}

/// Contract: the controller in docs/examples follows our setpoints, says so, and stays within the limits on its way.
#[test]
fn the_example_controller_follows() {
    let config = |controller| UdpArmConfig { listen: loopback(), controller, limits: limits() };
    // The controller has to know our port and we its own: ours is found out first.
    let probe = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--bridge", &probe.to_string()].map(str::to_owned);
    let Some(mut python) = example("arm_controller.py", &arguments) else { return };
    let mut line = String::new();
    BufReader::new(python.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().strip_prefix("listening ").unwrap();
    let controller = format!("127.0.0.1:{port}").parse().unwrap();
    let mut arm = UdpArm::open(&UdpArmConfig { listen: probe, ..config(controller) }, 77).unwrap();

    let clock = MachineClock::start();
    let target = pose(0.43, 0.02, 0.3, 0.2);
    let is_there = |arm: &UdpArm| {
        arm.state().is_some_and(|state| {
            let far = state.pose.position_m.iter().zip(target.position_m).any(|(a, b)| (a - b).abs() > 1e-3);
            !far && angle_rad(state.pose.orientation, target.orientation) < 0.01 && state.round_trip_s.is_some()
        })
    };
    while !is_there(&arm) {
        arm.poll(clock.now_s());
        if let Some(state) = arm.state().copied()
            && let Ok(applied) = arm.send(&target, clock.now_s())
        {
            let errors_m = applied.position_m.iter().zip(state.pose.position_m).map(|(a, b)| (a - b).abs());
            assert!(errors_m.fold(0.0, f64::max) <= 0.01 + 1e-9);
        }
        clock.wait_until(clock.now_s() + 0.002);
        assert!(python.0.try_wait().unwrap().is_none(), "the controller has ended");
    }
    let (reception, _) = arm.reception();
    assert_eq!((reception.n_refused, reception.last_error), (0, None::<DatagramError>));
}

/// Contract: the tracker in docs/examples is understood: the object circles at 1 cm and turns at 0.5 rad/s.
#[test]
fn the_example_tracker_is_seen() {
    let clock = MachineClock::start();
    let mut tracker = UdpTracker::open(&tracker_config(), 1, clock).unwrap();
    let arguments = ["--rate", "100", "--bridge", &tracker.address().unwrap().to_string()].map(str::to_owned);
    let Some(mut python) = example("object_tracker.py", &arguments) else { return };
    while tracker.reception().0.n_accepted < 20 {
        tracker.poll();
        clock.wait_until(clock.now_s() + 0.005);
        assert!(python.0.try_wait().unwrap().is_none(), "the tracker has ended");
    }
    let (pose, age_s) = tracker.newest(0).unwrap();
    let [x, y, z] = pose.position_m;
    assert!((x.hypot(y) - 0.01).abs() < 1e-6 && (z + 0.03).abs() < 1e-6, "{pose:?}");
    assert!((pose.angular_velocity_rad_s[2] - 0.5).abs() < 0.01, "{pose:?}");
    assert!(age_s >= 0.01 && age_s.is_finite(), "{age_s}");
    assert_eq!(tracker.reception().0.n_refused, 0);
}
