//! Contract: what comes from outside - bytes of servos, datagrams, the files of a hand - is what it says or an error, however it was
//! damaged; never a panic, and never a number that its field does not allow.
//!
//! Here are seconds of it, from the seeds in `fuzz/seeds`, the same every time. `fuzz/` has the same properties for hours.

mod damage;
mod properties;

use bridge::ObjectPose;
use bridge::number::NonNegative;
use bridge::random::stream;
use bridge::real::datagram::{Header, Kind};
use bridge::real::tracker::{Intake, TrackerConfig, encode_pose};
use damage::{damaged, try_damaged};

#[test]
fn packets() {
    try_damaged("fuzz/seeds/decoder", 20_000, properties::decoder);
    try_damaged("fuzz/seeds/instruction", 50_000, properties::instruction);
}

#[test]
fn datagrams() {
    try_damaged("fuzz/seeds/datagrams", 20_000, properties::datagrams);
}

#[test]
fn calibrations() {
    try_damaged("fuzz/seeds/calibration", 5000, |bytes| properties::calibration(&String::from_utf8_lossy(bytes)));
}

#[test]
fn motor_tables() {
    try_damaged("assets/hands", 2000, |bytes| properties::motors(&String::from_utf8_lossy(bytes)));
}

/// Contract: a checksum of 32 bits finds every damage, and the next pose is taken as if nothing had been.
#[test]
fn damaged_poses_are_refused() -> Result<(), Box<dyn std::error::Error>> {
    let config =
        TrackerConfig { listen: ([127, 0, 0, 1], 0).into(), shortest_latency_s: NonNegative::try_from(0.005)? };
    let pose = ObjectPose {
        time_s: 0.0,
        position_m: [0.01, -0.02, 0.03],
        orientation: [0.0, 0.0, 0.0, 1.0],
        velocity_m_s: [0.0; 3],
        angular_velocity_rad_s: [0.0, 0.0, 0.5],
    };
    let mut intake = Intake::new(&config, 1);
    let mut frame = Vec::new();
    for index in 0..80_000 {
        let stamp_ns = u64::from(index) * 10_000_000;
        let header = Header { kind: Kind::ObjectPose, session: 1, sequence: index, stamp_ns };
        encode_pose(header, 0, &pose, &mut frame);
        let now_s = f64::from(index) * 0.01 + 0.005;
        let damaged = damaged(&frame, &mut stream(1, "datagram", index.into()));
        assert!(damaged == frame || intake.take(&damaged, now_s).is_err(), "{index}: {damaged:02x?}");
        intake.take(&frame, now_s)?;
        let (seen, age_s) = intake.newest(0, now_s).ok_or("nothing was seen")?;
        assert!(seen.position_m == pose.position_m && (age_s - 0.005).abs() < 1e-6);
    }
    Ok(())
}
