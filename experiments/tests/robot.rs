//! Contract: the commands that concern robots do what their help says, on emulated servos: bytes of the real protocol,
//! from the command line to the registers of the servos. A robot that is not there is a clear error.

mod binary;
mod child;
#[expect(dead_code, reason = "shared with the tests of interruptions")]
mod robot_bench;
mod training;

use binary::{TestResult, softflow, success};
use bridge::number::NonNegative;
use bridge::real::bus::{Bus, BusTiming};
use bridge::real::calibration::Calibration;
use bridge::real::emulator::{Fault, FaultScript, Servos, TimedFault};
use bridge::real::port::SerialLine;
use bridge::storage::write_atomic;
use child::Killed;
use color_eyre::eyre::eyre;
use crossbeam::channel::{bounded, never};
use experiments::experiment::Experiment;
use experiments::robot::{Kind, Planning, RobotConfig, RobotSession, Setup};
use experiments::{Narration, RunFolder};
use learn::{Checkpoint, Policy};
use robot_bench::{path, patient_robot, save, tiny_training};
use sim::{CubePlant, CubeScene};
use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Contract: the online stage collects through the servos, the same every time; run and evaluation say so; what
/// happened is in the log.
#[test]
fn training_on_the_emulated_hand() -> TestResult {
    let folder = tempfile::tempdir()?;
    let run = path(&folder, "run");
    let output = tiny_training(&run).args(["--backend", "emulated"]).output()?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let table = success(&output)?;
    assert!(table.lines().any(|line| line.starts_with("online")), "no row online in\n{table}");
    assert!(error.contains("collected on the robot") && error.contains("ticks on time"), "{error}");
    let manifest = std::fs::read_to_string(run.join("manifest.ron"))?;
    assert!(manifest.contains("backend: \"emulated\""), "{manifest}");
    assert!(std::fs::read_to_string(run.join("replay/own/dataset.ron"))?.contains("shifted_orca_v2, emulated"));
    let robot: RobotConfig = bridge::config::load(&run.join("robot.ron"))?;
    assert_eq!(robot, RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string())?);
    let log = std::fs::read_to_string(run.join("robot/log"))?;
    // The limits, before anything can move.
    let (limits, _) = log.split_once("Connected -> Hold").ok_or_else(|| log.clone())?;
    for limit in ["limits of orca_v2", "a run ends:", "torque off:", "servos: stop by themselves after 0.1 s"] {
        assert!(limits.contains(limit), "no {limit} in\n{limits}");
    }
    for line in ["Connected -> Hold", "Hold -> Park", "posture reached: Start", "Park -> Run", "episode 1 ends"] {
        assert!(log.contains(line), "no {line} in\n{log}");
    }

    let evaluate = || -> Result<String, Box<dyn Error>> {
        let arguments = ["--backend", "emulated", "--episodes", "2", "--json"];
        success(&softflow().arg("eval").arg(&run).args(arguments).output()?)
    };
    let row = evaluate()?;
    assert!(row.contains("\"domain\":\"shifted_orca_v2, emulated\"") && row.contains("\"episodes\":2"), "{row}");
    assert_eq!(row, evaluate()?);

    let resumed = softflow().args(["train", "--resume", "--out"]).arg(&run).output()?;
    assert_eq!(resumed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&resumed.stderr).contains("--backend emulated"));
    Ok(())
}

/// Contract: faults that a robot recovers from cost episodes, and are in the log by their causes; the evaluation still
/// gets what it asked for. One that latches is reset and leaves the ticks before it in a file.
#[test]
fn episodes_go_on_after_faults() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, script) = (path(&folder, "run"), path(&folder, "faults.ron"));
    success(&tiny_training(&run).output()?)?;
    let for_s = |for_s: f64| NonNegative::try_from(for_s);
    let one = |id| Servos::Ids(vec![id]);
    let faults = [
        (6.0, Fault::Overload { servos: one(3) }),
        (14.0, Fault::TrackerSilent { for_s: for_s(1.0)? }),
        (20.0, Fault::Silent { servos: one(7), for_s: for_s(1.0)? }),
        (28.0, Fault::Noise { n_bytes: 64 }),
    ];
    let faults = faults.map(|(at_s, fault): (f64, Fault)| Ok(TimedFault { at_s: at_s.try_into()?, fault }));
    let faults = faults.into_iter().collect::<Result<_, Box<dyn Error>>>()?;
    write_atomic(&script, ron::to_string(&FaultScript { seed: 1, faults })?.as_bytes())?;
    let mut command = softflow();
    command.arg("eval").arg(&run).args(["--backend", "emulated", "--episodes", "5", "--json", "--faults"]).arg(&script);
    let row = success(&command.output()?)?;
    assert!(row.contains("\"episodes\":5"), "{row}");
    let log = std::fs::read_to_string(run.join("robot/log"))?;
    for text in ["shut itself down", "is rebooted", "is silent", "Fault -> Connected"] {
        assert!(log.contains(text), "no {text} in\n{log}");
    }
    assert!(std::fs::metadata(run.join("robot/faults/1.jsonl"))?.len() > 1000);
    Ok(())
}

/// Contract, row 19: a log that cannot be written costs lines of it, which are counted and told, and not an episode; the process ends
/// with the code of lost data.
#[test]
fn a_full_disk_stops_no_hand() -> TestResult {
    let folder = tempfile::tempdir()?;
    let run = path(&folder, "run");
    success(&tiny_training(&run).output()?)?;
    std::fs::create_dir_all(run.join("robot"))?;
    symlink("/dev/full", run.join("robot/log"))?;
    let mut command = softflow();
    command.arg("eval").arg(&run).args(["--backend", "emulated", "--episodes", "1", "--json"]);
    let output = command.output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"episodes\":1"));
    for text in ["the robot's log cannot be written", "could not be written and are lost"] {
        assert_eq!(error.matches(text).count(), 1, "{text} in {error}");
    }
    Ok(())
}

/// A session with the emulated hand in its own time, and the last policy of a run.
fn emulated_session(run: &Path, robot: &Path) -> color_eyre::Result<(RobotSession, Policy)> {
    let run = RunFolder::open(run)?;
    let experiment: Experiment = run.config()?;
    let policy = Checkpoint::list(&run.checkpoints())?.pop().ok_or_else(|| eyre!("no checkpoint"))?.policy()?;
    let (domain, script) = (experiment.online_domain.clone(), FaultScript::default());
    let kind = Kind::Emulated { domain, script, seed: 1, is_real_time: false };
    let planning = Planning { chunk_len: policy.header().chunk_len, lead: policy.header().lead };
    let setup = Setup::new(&experiment.task, RobotConfig::of_hand("orca_v2")?, kind, planning, 1)?;
    let session = RobotSession::open(setup, &policy.header().environment, robot, Narration::Silent)?;
    Ok((session, policy))
}

/// Contract: a policy that is deployed while the hand plays acts from the next chunk on, and episodes tell so; a learner that is gone
/// without a word lays the hand down, and the error says what to do.
#[test]
fn what_a_learner_deploys_acts() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, robot) = (path(&folder, "run"), path(&folder, "robot"));
    success(&tiny_training(&run).output()?)?;
    let (mut session, policy) = emulated_session(&run, &robot).map_err(|error| error.to_string())?;
    let imitation = Checkpoint::list(&run.join("checkpoints"))?.remove(0).policy()?;
    let (deploy, deployed) = bounded(1);
    let mut actors = Vec::new();
    let played = session.play(&policy, &deployed, &[5, 6, 7], |episode| {
        actors.push(episode.label.actor.clone());
        if actors.len() == 1 {
            deploy.send(Some(imitation.deep_clone()?))?;
        }
        Ok(())
    });
    assert_eq!(played.map_err(|error| error.to_string())?.len(), 3);
    let (old, new) = (policy.header().name.as_str(), imitation.header().name.as_str());
    assert_eq!(actors, [old, new, new]);

    drop(deploy);
    let played = session.play(&policy, &deployed, &[8], |_| Ok(()));
    let error = played.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("the learner has ended") && error.contains("--resume"), "{error}");
    session.end().map_err(|error| error.to_string())?;
    let log = std::fs::read_to_string(robot.join("log"))?;
    let (_, after) = log.split_once("the learner has ended: the hand opens").ok_or_else(|| log.clone())?;
    assert!(!after.contains("-> Run") && !after.contains(" begins"), "{log}");
    Ok(())
}

/// Contract: an episode that cannot be stored is the last one: the hand opens if it may, its torque goes off, and the error says which is lost and
/// what to do.
#[test]
fn nothing_is_collected_that_cannot_be_stored() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, robot) = (path(&folder, "run"), path(&folder, "robot"));
    success(&tiny_training(&run).output()?)?;
    let (mut session, policy) = emulated_session(&run, &robot).map_err(|error| error.to_string())?;
    let mut n_seen = 0;
    let played = session.play(&policy, &never(), &[5, 6, 7], |_| {
        n_seen += 1;
        Err(io::Error::from(io::ErrorKind::StorageFull).into())
    });
    let error = played.err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(
        error.contains("seed 5 is lost") && error.contains("no storage space") && error.contains("--resume"),
        "{error}"
    );
    assert_eq!(n_seen, 1);
    session.end().map_err(|error| error.to_string())?;
    let log = std::fs::read_to_string(robot.join("log"))?;
    let (_, after) = log.split_once("could not be stored: nothing more is collected").ok_or_else(|| log.clone())?;
    // Where the object was lost nothing moves before a human allows it: then it opens no more.
    assert!(after.contains("posture reached: Park") || after.contains("Park refused: Because(SceneLost)"), "{log}");
    assert!(after.contains("-> Connected") && !after.contains(" begins") && !after.contains("-> Run"), "{log}");
    Ok(())
}

/// Contract: an emulated robot for other programs has no learner, and refuses a script that would silence it.
#[test]
fn an_emulated_hand_without_a_learner() -> TestResult {
    let folder = tempfile::tempdir()?;
    let script = path(&folder, "faults.ron");
    let fault = Fault::LearnerSilent { for_s: 4.0.try_into()? };
    let faults = vec![TimedFault { at_s: 2.5.try_into()?, fault }];
    write_atomic(&script, ron::to_string(&FaultScript { seed: 1, faults })?.as_bytes())?;
    let output = softflow().args(["emulate", "cube", "--seconds", "0.1", "--faults"]).arg(&script).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("LearnerSilent at 2.5 s"), "{error}");
    Ok(())
}

/// Contract: a robot that is not there is an error that says what was tried and what to do, and leaves no run; flags of
/// one backend are refused with another.
#[test]
fn a_robot_that_is_not_there() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, calibration) = (path(&folder, "run"), path(&folder, "hand.ron"));
    CubePlant::calibration(&CubeScene::load("orca_v2")?)?.save(&calibration)?;
    let real = ["--backend", "real", "--port", "/dev/no such port", "--tracker", "127.0.0.1:0", "--calibration"];
    let output = tiny_training(&run).args(real).arg(&calibration).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for text in ["/dev/no such port", "cannot be opened at 1000000 baud", "softflow doctor --backend real"] {
        assert!(error.contains(text), "no {text} in {error}");
    }
    assert!(!run.join("config.ron").exists());

    let output = softflow().arg("doctor").args(real).arg(&calibration).args(["--seconds", "0.2"]).output()?;
    let found = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert!(found.contains("BAD   port") && found.contains("--port"), "{found}");
    assert!(found.contains("BAD   tracker") && found.contains("object_tracker.py"), "{found}");

    for (arguments, text) in [
        (["--backend", "sim", "--port", "/dev/ttyUSB0"], "give --backend"),
        (["--backend", "emulated", "--port", "/dev/ttyUSB0"], "brings its port"),
        (["--backend", "real", "--faults", "faults.ron"], "for the emulated hand"),
    ] {
        let output = tiny_training(&run).args(arguments).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && error.contains(text), "{error}");
    }
    Ok(())
}

/// Contract: the doctor finds a hand that is well to be so, moves it where it is asked to, and names a servo that is silent.
#[test]
fn the_doctor_looks_at_the_emulated_hand() -> TestResult {
    let folder = tempfile::tempdir()?;
    let robot_file = path(&folder, "robot.ron");
    save(&patient_robot()?, &robot_file)?;
    let robot_file = robot_file.to_string_lossy();
    let examine = |more: &[&str]| -> Result<serde_json::Value, Box<dyn Error>> {
        let more = [&["--robot", &robot_file], more].concat();
        let output =
            softflow().args(["doctor", "--backend", "emulated", "--seconds", "1", "--json"]).args(&more).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let verdicts = |examination: &serde_json::Value, name: &str| -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let checks = examination["checks"].as_array().cloned().unwrap_or_default();
        let named = checks.iter().filter(|check| check["name"] == name);
        named.map(|check| (text(&check["verdict"]), text(&check["found"]))).collect()
    };
    // How fast this machine is, and how well it keeps a rate, is its own; that it was looked at is the doctor's.
    let well = examine(&["--move"])?;
    for (name, verdict, text) in [
        ("physics", None, "times as fast"),
        ("port", Some("good"), "/dev/pts/"),
        ("servos", Some("good"), "17 of 17"),
        ("tracker", None, "poses a second"),
        // On a machine that stands still for half a second a servo is out of touch; what the motions find is tested in their own time.
        ("motion", None, ""),
    ] {
        let found = verdicts(&well, name);
        let is_there = |(has, says): &(String, String)| verdict.is_none_or(|it| has == it) && says.contains(text);
        assert!(found.iter().any(is_there), "{name}: {found:?}\n{well}");
    }
    assert_eq!(verdicts(&well, "loop").len(), 1);

    let script = path(&folder, "faults.ron");
    let fault = Fault::Silent { servos: Servos::Ids(vec![7]), for_s: 1e6.try_into()? };
    let script_of = FaultScript { seed: 1, faults: vec![TimedFault { at_s: 0.0.try_into()?, fault }] };
    write_atomic(&script, ron::to_string(&script_of)?.as_bytes())?;
    let ill = examine(&["--faults", &script.to_string_lossy()])?;
    let found = verdicts(&ill, "servos");
    assert!(found.iter().any(|(verdict, text)| verdict == "bad" && text.contains("servo 7")), "{found:?}");
    Ok(())
}

/// Contract: the emulated hand is calibrated as a real one is, and its stops are where they are.
#[test]
fn the_emulated_hand_is_calibrated() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = path(&folder, "calibration/hand.ron");
    let mut command = softflow();
    command.args(["calibrate", "--backend", "emulated", "--serial", "T1", "--yes", "--out"]).arg(&file);
    success(&command.output()?)?;
    let found = Calibration::load(&file)?;
    let truth = CubePlant::calibration(&CubeScene::load("orca_v2")?)?;
    assert_eq!((found.serial.as_str(), found.joints.len()), ("T1", truth.joints.len()));
    for (found, truth) in found.joints.iter().zip(&truth.joints) {
        let off = (found.lower_ticks - truth.lower_ticks).abs().max((found.upper_ticks - truth.upper_ticks).abs());
        // 2 degrees: soft stops of a simulated joint.
        assert!(
            off < 23,
            "{}: {} to {} ticks, expected {} to {}",
            found.joint,
            found.lower_ticks,
            found.upper_ticks,
            truth.lower_ticks,
            truth.upper_ticks
        );
    }
    let again = command.output()?;
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
    Ok(())
}

/// Contract: `emulate` says where its hand is; any program can open it, all servos answer, and poses come as a
/// tracker's do.
#[test]
fn an_emulated_hand_is_open_to_anybody() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = path(&folder, "hand.ron");
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut command = softflow();
    command.args(["emulate", "cube", "--tracker", &socket.local_addr()?.to_string(), "--write-calibration"]).arg(&file);
    let mut child = Killed(command.stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(child.0.stdout.take().ok_or("no output")?).lines();
    let mut line = || lines.next().ok_or("it ended").map_err(Box::<dyn Error>::from)?.map_err(Box::<dyn Error>::from);
    let port = line()?;
    assert!(line()?.starts_with("tracker 127.0.0.1:"));
    let port = port.strip_prefix("port ").ok_or("no port")?;
    let timing = BusTiming { return_delay: Duration::from_micros(500), margin: Duration::from_secs(2) };
    let mut bus = Bus::new(SerialLine::open(Path::new(port), 1_000_000)?, timing);
    for joint in Calibration::load(&file)?.joints {
        assert_eq!(bus.ping(joint.id)?.model, joint.model.number());
    }
    let mut frame = [0; 256];
    for _ in 0..3 {
        let (length, _) = socket.recv_from(&mut frame)?;
        assert_eq!((length, &frame[..4], frame[5]), (140, &b"SFLW"[..], 3));
    }
    Ok(())
}

/// Contract: in real time, behind a pseudo-terminal and on threads of its own, the same evaluation runs to its end and
/// says how well the loop kept its rate. How well that is, is for a report, not for a test.
#[test]
fn the_emulated_hand_in_real_time() -> TestResult {
    let folder = tempfile::tempdir()?;
    let run = path(&folder, "run");
    success(&tiny_training(&run).output()?)?;
    let robot_file = path(&folder, "robot.ron");
    save(&patient_robot()?, &robot_file)?;
    let arguments = ["--backend", "emulated", "--real-time", "--episodes", "2", "--json", "--robot"];
    let output = softflow().arg("eval").arg(&run).args(arguments).arg(&robot_file).output()?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{error}");
    assert!(success(&output)?.contains("\"episodes\":2"), "{error}");
    assert!(error.contains("ticks on time"), "{error}");
    Ok(())
}
