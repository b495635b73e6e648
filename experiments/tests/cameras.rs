//! Contract: what the cameras of a robot see of its episodes is kept beside them, in their time, whoever the robot is; a
//! camera that cannot be used is a clear error.

mod binary;
#[expect(dead_code, reason = "shared with the tests of robots")]
mod robot_bench;
mod training;

use binary::{TestResult, softflow, success};
use bridge::Episode;
use bridge::real::calibration::Calibration;
use bridge::real::camera::{CameraConfig, FrameFormat};
use bridge::real::emulator::{Fault, FaultScript, TimedFault};
use bridge::storage::{crc32, read_frames, write_atomic};
use experiments::robot::{EpisodeNote, Fate, FrameLine, RobotConfig};
use robot_bench::{path, tiny_training};
use sim::{CubePlant, CubeScene};
use std::error::Error;
use std::path::Path;

const SIZE_PX: (u32, u32) = (64, 32);
const RATE_HZ: f64 = 20.0;

fn camera(name: &str) -> Result<CameraConfig, Box<dyn Error>> {
    Ok(CameraConfig {
        name: name.into(),
        device: "/dev/no such camera".into(),
        size_px: SIZE_PX,
        format: FrameFormat::Mjpeg,
        rate_hz: RATE_HZ.try_into()?,
        shortest_latency_s: 0.0.try_into()?,
    })
}

fn robot_with(cameras: Vec<CameraConfig>, file: &Path) -> TestResult {
    let mut robot = RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string())?;
    robot.cameras = cameras;
    robot.filming.least_free_gb = 0.0.try_into()?;
    write_atomic(file, ron::to_string(&robot)?.as_bytes())?;
    Ok(())
}

fn index(camera: &Path) -> Result<Vec<FrameLine>, Box<dyn Error>> {
    let text = std::fs::read_to_string(camera.join("index.jsonl"))?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The time that a synthetic picture shows, ms.
fn shown_ms(picture: &[u8]) -> u32 {
    let width = SIZE_PX.0 as usize;
    (0..32).fold(0, |bits, bit| bits << 1 | u32::from(picture[2 * (width + bit * width / 32)] > 128))
}

/// Contract: of two episodes on the emulated hand every camera has its frames, in order, within their episode but for the
/// one before it, and showing the time that they were taken at; episodes are found by their seeds, observations by their
/// times. The same evaluation gives the same bytes.
#[test]
fn frames_beside_episodes() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, robot_file) = (path(&folder, "run"), path(&folder, "robot.ron"));
    success(&tiny_training(&run).output()?)?;
    robot_with(vec![camera("palm")?, camera("side")?], &robot_file)?;
    let evaluate = || -> TestResult {
        let arguments = ["--backend", "emulated", "--episodes", "2", "--seed", "5", "--json", "--robot"];
        success(&softflow().arg("eval").arg(&run).args(arguments).arg(&robot_file).output()?).map(drop)
    };
    evaluate()?;
    for (episode, seed) in [(1, 5), (2, 6)] {
        let episode = run.join(format!("frames/{episode}"));
        let note: EpisodeNote = serde_json::from_str(&std::fs::read_to_string(episode.join("episode.json"))?)?;
        let [piece] = note.pieces.as_slice() else { return Err(format!("{note:?}").into()) };
        assert_eq!((note.fate, piece.seed, piece.record), (Fate::Kept, Some(seed), None));
        let (first_s, last_s) = (piece.observed_s[0], piece.observed_s[piece.observed_s.len() - 1]);
        for name in ["palm", "side"] {
            let lines = index(&episode.join(name))?;
            assert!(lines.len() as f64 >= (last_s - first_s) * RATE_HZ, "{} frames of {name}", lines.len());
            assert!(lines[0].time_s <= first_s && lines[1].time_s > first_s, "{lines:?}");
            for pair in lines.windows(2) {
                assert!((pair[1].time_s - pair[0].time_s - 1.0 / RATE_HZ).abs() < 1e-9, "{pair:?}");
            }
            for line in &lines {
                // The end is noticed a tick after the last observation.
                assert!(line.time_s <= last_s + 0.02, "{line:?} {last_s}");
                let picture = std::fs::read(episode.join(name).join(&line.file))?;
                assert_eq!((line.bytes, line.crc32, line.n_dropped), (picture.len(), crc32(&picture), 0));
                assert_eq!(shown_ms(&picture), (line.time_s * 1e3).round() as u32);
            }
        }
    }
    let log = std::fs::read_to_string(run.join("robot/log"))?;
    assert!(log.contains("camera palm:") && log.contains(" 0 of them dropped"), "{log}");

    evaluate()?;
    for name in ["palm/index.jsonl", "side/index.jsonl", "palm/000007.yuyv", "episode.json"] {
        let read = |episode: &str| std::fs::read(run.join("frames").join(episode).join(name));
        assert_eq!(read("2")?, read("4")?, "{name}");
    }
    Ok(())
}

/// Contract: an episode that a fault cuts off keeps its frames, and says which records of it were kept apart and when their
/// observations were made; those that are kept after it are found as ever.
#[test]
fn frames_of_episodes_that_are_cut_off() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, robot_file, script) = (path(&folder, "run"), path(&folder, "robot.ron"), path(&folder, "faults.ron"));
    success(&tiny_training(&run).output()?)?;
    robot_with(vec![camera("palm")?], &robot_file)?;
    // The first episode begins at 5.1 s and is seldom longer than half a second: nobody has learned much.
    let faults = vec![TimedFault { at_s: 5.25.try_into()?, fault: Fault::TrackerSilent { for_s: 1.0.try_into()? } }];
    write_atomic(&script, ron::to_string(&FaultScript { seed: 1, faults })?.as_bytes())?;
    let mut command = softflow();
    command.arg("eval").arg(&run).args(["--backend", "emulated", "--episodes", "2", "--seed", "5", "--json"]);
    success(&command.arg("--robot").arg(&robot_file).arg("--faults").arg(&script).output()?)?;

    let cut: Vec<Episode> = read_frames(&run.join("robot/cut/episodes.log"))?
        .payloads
        .iter()
        .map(|record| Episode::decode(record))
        .collect::<Result<_, _>>()?;
    let (mut n_cut, mut seeds, mut records) = (0, Vec::new(), Vec::new());
    for number in 1.. {
        let episode = run.join(format!("frames/{number}"));
        if !episode.exists() {
            break;
        }
        let note: EpisodeNote = serde_json::from_str(&std::fs::read_to_string(episode.join("episode.json"))?)?;
        let lines = index(&episode.join("palm"))?;
        let last_s = lines.last().ok_or("no frames")?.time_s;
        for piece in &note.pieces {
            let (Some(first), Some(last)) = (piece.observed_s.first(), piece.observed_s.last()) else {
                return Err("a piece without observations".into());
            };
            assert!(lines[0].time_s <= *first && *last <= last_s + 1.0 / RATE_HZ + 0.02, "{last_s} {piece:?}");
            if let Some(record) = piece.record {
                assert_eq!(piece.observed_s.len(), cut[record].n_steps() + 1);
                records.push(record);
            }
        }
        match note.fate {
            Fate::Cut => n_cut += 1,
            Fate::Kept => seeds.extend(note.pieces[0].seed),
            Fate::Discarded => return Err("nobody discarded it".into()),
        }
    }
    assert_eq!((n_cut, seeds, records), (1, vec![5, 6], (0..cut.len()).collect()));
    assert!(!cut.is_empty(), "nothing was kept apart");
    Ok(())
}

/// Contract: a configured camera that cannot be used is an error before anything moves, which says what to do: without the
/// feature, that it is missing. The doctor says the same; one of an emulated robot is looked through.
#[test]
fn cameras_that_cannot_be_used() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, calibration, robot_file) = (path(&folder, "run"), path(&folder, "hand.ron"), path(&folder, "robot.ron"));
    let truth: Calibration = CubePlant::calibration(&CubeScene::load("orca_v2")?)?;
    truth.save(&calibration)?;
    robot_with(vec![camera("palm")?], &robot_file)?;
    let advice = if cfg!(feature = "cameras") { "it cannot be opened" } else { "--features cameras" };
    let real = ["--backend", "real", "--port", "/dev/no such port", "--tracker", "127.0.0.1:0"];
    let output = tiny_training(&run)
        .args(real)
        .args(["--calibration"])
        .arg(&calibration)
        .arg("--robot")
        .arg(&robot_file)
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("palm (/dev/no such camera)"), "{error}");
    assert!(error.contains(advice), "{error}");

    let doctor = |arguments: &[&str]| -> Result<String, Box<dyn Error>> {
        let mut command = softflow();
        command.args(["doctor", "--seconds", "1", "--robot"]).arg(&robot_file).args(arguments);
        Ok(String::from_utf8_lossy(&command.output()?.stdout).into_owned())
    };
    let found = doctor(&real)?;
    assert!(found.contains("BAD   camera") && found.contains(advice), "{found}");
    let found = doctor(&["--backend", "emulated"])?;
    assert!(
        found.contains("palm (/dev/no such camera), 64 x 32 Mjpeg:") && found.contains("frames a second of 20"),
        "{found}"
    );

    robot_with(vec![camera("palm")?, camera("palm")?], &robot_file)?;
    let output = tiny_training(&run).args(["--backend", "emulated", "--robot"]).arg(&robot_file).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("a name of its own"), "{error}");
    Ok(())
}

/// Contract: a gamepad that is configured and not there is an error that names it, at once and by the doctor; an emulated
/// robot has somebody who answers, and refuses one.
#[test]
fn a_gamepad_that_is_not_there() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, calibration) = (path(&folder, "run"), path(&folder, "hand.ron"));
    CubePlant::calibration(&CubeScene::load("orca_v2")?)?.save(&calibration)?;
    let real = ["--backend", "real", "--port", "/dev/no such port", "--tracker", "127.0.0.1:0"];
    let real = [&real[..], &["--gamepad", "a pad that nobody makes", "--calibration"]].concat();
    let output = tiny_training(&run).args(&real).arg(&calibration).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("a pad that nobody makes"), "{error}");
    let output = softflow().args(["doctor", "--seconds", "0.2"]).args(&real).arg(&calibration).output()?;
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(found.contains("BAD   gamepad") && found.contains("in /dev/input"), "{found}");
    let output = tiny_training(&run).args(["--backend", "emulated", "--gamepad", "Xbox"]).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("whoever answers"), "{error}");
    Ok(())
}
