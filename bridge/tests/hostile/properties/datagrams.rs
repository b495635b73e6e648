//! Datagrams of trackers, buttons and arms.

use bridge::number::{Finite, NonNegative, Positive};
use bridge::real::arm::{ArmLimits, ArmPose, ArmSession};
use bridge::real::datagram::{Header, Kind, encode};
use bridge::real::labels::{Button, LabelSource, Presses};
use bridge::real::tracker::{Intake, TrackerConfig};

const N_OBJECTS: usize = 2;
/// Presses that wait at most.
const MAX_WAITING: usize = 16;
const LATENCY_S: f64 = 0.005;
const WORKSPACE_M: f64 = 0.5;
const MAX_ERROR_M: f64 = 0.01;
const MAX_ERROR_RAD: f64 = 0.05;

/// Everybody who listens.
struct Listeners {
    tracker: Intake,
    arm: ArmSession,
    buttons: Presses,
    limits: ArmLimits,
    now_s: f64,
    /// When the last datagram of each object was accepted, s.
    seen_s: [Option<f64>; N_OBJECTS],
    is_stopped: bool,
    n_presses: usize,
}

/// Datagrams one after the other: a byte that says what they are, six for header and time, one for the length, then as many bytes.
/// Half of them have their frame and checksum made for them, for no fuzzer guesses those.
///
/// Whatever is sent: what is held is finite and in range, no pose is younger than its datagram, an emergency stop that was accepted
/// comes first, and the arm is never asked for more than its limits.
pub fn datagrams(input: &[u8]) {
    let Some(mut listeners) = Listeners::new() else { panic!("the numbers above are allowed") };
    let mut rest = input;
    let mut frame = Vec::new();
    while let Some((&[what, session, sequence, stamp, unit, wait, turn, length], after)) = rest.split_first_chunk::<8>()
    {
        let (body, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        listeners.now_s += f64::from(wait) * 0.005;
        let kinds = [Kind::ArmSetpoint, Kind::ArmState, Kind::ObjectPose, Kind::Button];
        let kind = kinds[usize::from(what) % 4];
        if what & 0x80 == 0 {
            frame.clear();
            frame.extend_from_slice(body);
        } else {
            // From about now to the end of the clock.
            let ns_per_unit = 1u64 << (unit % 57);
            let stamp_ns = u64::from(stamp).saturating_mul(ns_per_unit);
            let mut payload = body.to_vec();
            payload.resize([64, 120, 112, 8][usize::from(what) % 4], 0);
            if what & 0x40 != 0 {
                let at = if kind == Kind::ObjectPose { 32 } else { 24 };
                make_unit(&mut payload, at, turn);
            }
            let header =
                Header { kind, session: (session % 4).into(), sequence: u32::from(sequence) << (unit % 25), stamp_ns };
            encode(header, &payload, &mut frame);
        }
        listeners.hear(&frame);
        listeners.check();
    }
}

/// Puts a turn about the first axis where an orientation belongs.
fn make_unit(payload: &mut [u8], at: usize, turn: u8) {
    let Some(place) = payload.get_mut(at..at + 32) else { return };
    let (sine, cosine) = (f64::from(turn) / 40.0).sin_cos();
    for (place, number) in place.chunks_exact_mut(8).zip([sine, 0.0, 0.0, cosine]) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}

impl Listeners {
    fn new() -> Option<Self> {
        let config = TrackerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            shortest_latency_s: NonNegative::try_from(LATENCY_S).ok()?,
        };
        let limits = ArmLimits {
            workspace_lower_m: [Finite::try_from(-WORKSPACE_M).ok()?; 3],
            workspace_upper_m: [Finite::try_from(WORKSPACE_M).ok()?; 3],
            max_error_m: Positive::try_from(MAX_ERROR_M).ok()?,
            max_error_rad: Positive::try_from(MAX_ERROR_RAD).ok()?,
            stale_s: Positive::try_from(0.1).ok()?,
        };
        Some(Self {
            tracker: Intake::new(&config, N_OBJECTS),
            arm: ArmSession::new(limits, 1).ok()?,
            buttons: Presses::new(),
            limits,
            now_s: 0.0,
            seen_s: [None; N_OBJECTS],
            is_stopped: false,
            n_presses: 0,
        })
    }

    /// Every listener gets it: what is not meant for one is refused by it.
    fn hear(&mut self, frame: &[u8]) {
        let taken = [self.tracker.take(frame, self.now_s), self.arm.take(frame, self.now_s), self.buttons.take(frame)];
        assert!(taken.iter().filter(|taken| taken.is_ok()).count() <= 1, "two took {frame:02x?}");
        for error in taken.iter().filter_map(|taken| taken.as_ref().err()) {
            assert!(!error.to_string().is_empty());
        }
        let code = frame.get(24).copied();
        if taken[0].is_ok() {
            let object = code.map_or(0, usize::from);
            self.seen_s[object] = Some(self.now_s);
        }
        if taken[2].is_ok() {
            self.n_presses += 1;
            self.is_stopped |= code == Some(5);
        }
    }

    fn check(&mut self) {
        let mut wanted = ArmPose { position_m: [1.0, -1.0, 1.0], orientation: [0.0, 0.0, 0.0, 1.0] };
        for (object, seen_s) in self.seen_s.iter().enumerate() {
            let Some((pose, age_s)) = self.tracker.newest(object, self.now_s) else { continue };
            // Those of a session before are forgotten; what is still held was accepted.
            let Some(seen_s) = seen_s else { panic!("a pose of {object} that never came") };
            assert!(age_s.is_finite() && age_s >= self.now_s - seen_s, "{age_s} s old, seen at {seen_s} s");
            let numbers = pose.position_m.iter().chain(&pose.velocity_m_s).chain(&pose.angular_velocity_rad_s);
            assert!(numbers.clone().all(|x| x.abs() <= 1000.0), "{pose:?}");
            assert!((length(&pose.orientation.map(f64::from)) - 1.0).abs() < 1e-5, "{pose:?}");
            wanted = ArmPose { position_m: pose.position_m.map(f64::from), orientation: wanted.orientation };
        }
        if let (Some(state), Some(age_s)) = (self.arm.state(), self.arm.age_s(self.now_s)) {
            assert!(age_s >= 0.0 && state.round_trip_s.is_none_or(f64::is_finite), "{state:?}");
            assert!((length(&state.pose.orientation) - 1.0).abs() < 1e-9, "{state:?}");
            assert!(state.force_n.iter().chain(&state.torque_nm).all(|x| x.is_finite()), "{state:?}");
            let Ok(asked) = self.limits.apply(&wanted, &state.pose) else { panic!("{wanted:?} is a pose") };
            self.check_within(&asked, &state.pose);
        }
        if self.n_presses > 2 * MAX_WAITING {
            let first = self.buttons.next();
            assert!(first == Some(Button::EStop) || !self.is_stopped, "{first:?} before the emergency stop");
            let n_waiting = usize::from(first.is_some()) + std::iter::from_fn(|| self.buttons.next()).count();
            assert!(n_waiting <= MAX_WAITING, "{n_waiting} presses");
            (self.n_presses, self.is_stopped) = (0, false);
        }
    }

    fn check_within(&self, asked: &ArmPose, measured: &ArmPose) {
        for (asked_m, measured_m) in asked.position_m.iter().zip(&measured.position_m) {
            assert!((asked_m - measured_m).abs() <= MAX_ERROR_M * (1.0 + 1e-6), "{asked:?} from {measured:?}");
        }
        assert!((length(&asked.orientation) - 1.0).abs() < 1e-9, "{asked:?}");
        let cosine: f64 = asked.orientation.iter().zip(&measured.orientation).map(|(a, b)| a * b).sum();
        // Of half the angle; rounding costs what it costs near 1.
        assert!(2.0 * cosine.abs().min(1.0).acos() <= MAX_ERROR_RAD + 1e-6, "{asked:?} from {measured:?}");
    }
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}
