//! The arm: its limits, what is sent to it, and how old its states are.

use super::loopback;
use bridge::number::{Finite, Positive};
use bridge::real::arm::{
    ArmController, ArmError, ArmLimits, ArmLink, ArmPose, ArmSession, ArmState, UdpArm, UdpArmConfig,
};
use bridge::real::datagram::{self, Header, Kind};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::RngSeed;
use std::net::UdpSocket;

pub(super) fn limits() -> ArmLimits {
    let corner = |x: [f64; 3]| x.map(|x| Finite::try_from(x).unwrap());
    ArmLimits {
        workspace_lower_m: corner([0.2, -0.3, 0.05]),
        workspace_upper_m: corner([0.6, 0.3, 0.6]),
        max_error_m: Positive::try_from(0.01).unwrap(),
        max_error_rad: Positive::try_from(0.05).unwrap(),
        stale_s: Positive::try_from(0.1).unwrap(),
    }
}

pub(super) fn pose(x: f64, y: f64, z: f64, turn_rad: f64) -> ArmPose {
    let (sine, cosine) = (0.5 * turn_rad).sin_cos();
    ArmPose { position_m: [x, y, z], orientation: [0.0, sine, 0.0, cosine] }
}

pub(super) fn angle_rad(a: [f64; 4], b: [f64; 4]) -> f64 {
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

/// Contract: what a socket's buffer holds is taken in by one poll, however long nobody polled: the newest of it is the state.
#[test]
fn one_poll_empties_the_buffer() {
    let controller = UdpSocket::bind(loopback()).unwrap();
    let config = UdpArmConfig { listen: loopback(), controller: controller.local_addr().unwrap(), limits: limits() };
    let mut arm = UdpArm::open(&config, 1).unwrap();
    let (mut other_side, mut frame) = (ArmController::new(3), Vec::new());
    let at = |x_m| ArmState {
        pose: pose(x_m, 0.0, 0.3, 0.0),
        force_n: [0.0; 3],
        torque_nm: [0.0; 3],
        is_ready: true,
        has_failed: false,
        round_trip_s: None,
    };
    for n in 1..=200u32 {
        other_side.tell(&at(0.3 + 1e-3 * f64::from(n)), 1e-3 * f64::from(n), &mut frame);
        controller.send_to(&frame, arm.address().unwrap()).unwrap();
    }
    // A datagram to oneself is there when it is sent.
    arm.poll(0.2);
    assert_eq!(arm.reception().0.n_accepted, 200);
    assert!((arm.state().unwrap().pose.position_m[0] - 0.5).abs() < 1e-9 && arm.age_s(0.2).unwrap() < 1e-9);
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
