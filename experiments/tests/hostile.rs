//! Contract: what comes from outside - the file of a robot, a calibration, a script of faults, a datagram - is what it says or an error,
//! however it was damaged; never a panic, and never a number that its field does not allow. Fixed seeds: every run tries the same.

use bridge::config::parse;
use bridge::number::{NonNegative, Positive};
use bridge::random::{Rng, stream};
use bridge::real::calibration::Calibration;
use bridge::real::datagram::{Header, Kind};
use bridge::real::emulator::FaultScript;
use bridge::real::tracker::{Intake, TrackerConfig, encode_pose};
use experiments::robot::{RobotConfig, soak};
use rand::Rng as _;
use serde::de::DeserializeOwned;
use sim::{CubePlant, CubeScene};

/// Seconds of work; for hours of it, raise this.
const N_TRIES: u64 = 4000;
const TOKENS: [&str; 10] =
    ["NaN", "-inf", "1e999", "-1", "18446744073709551616", "None", "Some(", "(((((((((", "\"\0\"", "seed: 1, seed: 2,"];

/// `bytes` with one to four things wrong.
fn damage(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=damaged.len());
        let end = (at + rng.random_range(0..24)).min(damaged.len());
        match rng.random_range(0..5) {
            0 if at < damaged.len() => damaged[at] ^= 1 << rng.random_range(0..8),
            1 => drop(damaged.drain(at..end)),
            2 => {
                let copied = damaged[at..end].to_vec();
                damaged.splice(at..at, copied);
            }
            3 => damaged.truncate(at),
            _ => drop(damaged.splice(at..end, TOKENS[rng.random_range(0..TOKENS.len())].bytes())),
        }
    }
    damaged
}

/// Tries damaged versions of `text`; those that are still a `T` go to `use_it`.
fn try_text<T: DeserializeOwned>(name: &str, text: &str, mut use_it: impl FnMut(T)) {
    let mut n_refused = 0;
    for index in 0..N_TRIES {
        let bytes = damage(text.as_bytes(), &mut stream(1, name, index));
        match parse::<T>(name, &String::from_utf8_lossy(&bytes)) {
            Ok(value) => use_it(value),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                n_refused += 1;
            }
        }
    }
    assert!(n_refused > N_TRIES / 4, "{name}: only {n_refused} of {N_TRIES} were refused");
}

#[test]
fn damaged_files_are_refused() {
    let scene = CubeScene::load("orca_v2").unwrap();
    let robot = RobotConfig::of_hand("orca_v2").unwrap();
    try_text("robot", &ron::to_string(&robot).unwrap(), |robot: RobotConfig| {
        assert!(robot.driver.watchdog_s.get().is_finite() && robot.control.settle_s.get() >= 0.0);
    });
    let table = scene.hand().motors.clone().unwrap();
    let joints = scene.hand().body_spec(Vec::new(), 100).joints;
    let ranges_rad: Vec<(f64, f64)> = table.motors.iter().map(|motor| motor.range_rad(&joints).unwrap()).collect();
    let calibration = CubePlant::calibration(&scene).unwrap();
    calibration.check("orca_v2", &table, &ranges_rad).unwrap();
    try_text("calibration", &ron::to_string(&calibration).unwrap(), |found: Calibration| {
        // Whatever it is now, it is checked against the hand before a joint is moved by it.
        drop(found.check("orca_v2", &table, &ranges_rad));
    });
    try_text("faults", &ron::to_string(&soak(1, 60.0).unwrap()).unwrap(), |script: FaultScript| {
        assert!(script.faults.iter().all(|fault| fault.at_s.get() >= 0.0));
    });
}

#[test]
fn damaged_datagrams_are_refused() {
    let config = TrackerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        shortest_latency_s: NonNegative::try_from(0.005).unwrap(),
        offset_window_s: Positive::try_from(10.0).unwrap(),
    };
    let pose = bridge::ObjectPose {
        time_s: 0.0,
        position_m: [0.01, -0.02, 0.03],
        orientation: [0.0, 0.0, 0.0, 1.0],
        velocity_m_s: [0.0; 3],
        angular_velocity_rad_s: [0.0, 0.0, 0.5],
    };
    let mut intake = Intake::new(&config, 1);
    let mut frame = Vec::new();
    for index in 0..20 * N_TRIES as u32 {
        let header =
            Header { kind: Kind::ObjectPose, session: 1, sequence: index, stamp_ns: u64::from(index) * 10_000_000 };
        encode_pose(header, 0, &pose, &mut frame);
        let now_s = f64::from(index) * 0.01 + 0.005;
        let damaged = damage(&frame, &mut stream(1, "datagram", index.into()));
        // A checksum of 32 bits finds all of these.
        assert!(damaged == frame || intake.take(&damaged, now_s).is_err(), "{index}: {damaged:02x?}");
        intake.take(&frame, now_s).unwrap();
        let (seen, age_s) = intake.newest(0, now_s).unwrap();
        assert!(seen.position_m == pose.position_m && (age_s - 0.005).abs() < 1e-6);
    }
}
