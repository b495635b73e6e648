//! Contract: whoever ends `softflow` while it drives a hand finds a hand that does no harm. A wish to end opens it and takes its torque, a
//! second one and a kill leave it to the servos' watchdogs; what was kept goes on with `--resume`. A learner that dies is one more
//! fault.

mod binary;
mod child;
#[expect(dead_code, reason = "shared with the tests of what a human says")]
mod driven;
mod robot_bench;
mod training;

use binary::{TestResult, success};
use bridge::GovernorConfig;
use bridge::dataset;
use bridge::real::emulator::{Fault, FaultScript, TimedFault};
use bridge::storage::write_atomic;
use child::Killed;
use driven::Driven;
use experiments::experiment::TaskChoice;
use experiments::robot::RobotConfig;
use robot_bench::{TORQUE, WATCHDOG, path, tiny_training};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn evaluation(folder: &tempfile::TempDir) -> Result<Command, Box<dyn Error>> {
    let run = path(folder, "run");
    success(&tiny_training(&run).output()?)?;
    let mut command = binary::softflow();
    command.arg("eval").arg(&run).args(["--episodes", "9"]);
    Ok(command)
}

/// Row 13 from the command line.
#[test]
fn a_killed_softflow_leaves_a_hand_that_stops() -> TestResult {
    let folder = tempfile::tempdir()?;
    let mut driven = Driven::by(evaluation(&folder)?, &folder)?;
    driven.until_it_runs()?;
    driven.child.0.kill()?;
    driven.child.0.wait()?;
    driven.assert_it_stops();
    Ok(())
}

/// A wish to end: the hand opens, torque and watchdogs are off when the process has ended, it says what it did, and the run goes on
/// as one that was never interrupted. The same for both signals.
#[test]
fn a_wish_to_end_opens_the_hand() -> TestResult {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir()?;
        let run = path(&folder, "run");
        let mut driven = Driven::by(tiny_training(&run), &folder)?;
        driven.until_it_runs()?;
        let closed_rad = driven.angles_rad();
        driven.signal(signal)?;
        for line in driven.lines.by_ref() {
            driven.told.push(line?);
        }
        let told = driven.told.join("\n");
        assert_eq!(driven.child.0.wait()?.code(), Some(1), "{told}");
        for text in ["interrupted: the hand opens", "Run -> Park", "posture reached: Park", "Park -> Connected"] {
            assert!(told.contains(text), "no {text} in\n{told}");
        }
        assert!(told.contains("0 of 1 episodes") && told.contains("--resume"), "{told}");
        assert!(told.contains(" ticks on time, the slowest took "), "{told}");
        assert!(driven.every(TORQUE, 0) && driven.every(WATCHDOG, 0), "{told}");
        let moved_rad = driven.angles_rad().into_iter().zip(closed_rad).map(|(now, then)| (now - then).abs());
        assert!(moved_rad.fold(0.0, f64::max) > 0.1, "the hand did not open");
        assert!(std::fs::read_dir(run.join("robot/cut"))?.count() > 0);
        drop(driven);

        // It goes on, on a hand that nobody interrupts: the episode that was cut off is played again.
        let mut command = binary::softflow();
        command.args(["train", "--resume", "--out"]).arg(&run);
        let mut driven = Driven::by(command, &folder)?;
        driven.until_it_runs()?;
        assert!(driven.told.iter().any(|line| line.contains("going on from")), "{}", driven.told.join("\n"));
    }
    Ok(())
}

/// A hand that an arm carries is no other: it runs over the serial line, the trackers' and the arm's datagrams, and after a wish to end it
/// is open and without torque, and the arm holds its pose.
#[test]
fn a_wish_to_end_releases_the_arm() -> TestResult {
    let folder = tempfile::tempdir()?;
    let run = path(&folder, "run");
    let changes = ["evaluation.domains=[]", "learn.online.iterations=0"];
    success(&training::tiny_training("scissors.ron", &changes, &run).output()?)?;
    let mut command = binary::softflow();
    command.arg("eval").arg(&run).args(["--episodes", "1", "--domain", "scissors_nominal"]);
    let task = TaskChoice::Scissors { hand: "orca_v2".into(), governor: GovernorConfig::usual()? };
    let mut driven = Driven::at(&task, command, &folder)?;
    driven.until_it_runs()?;
    let engaged = |driven: &Driven| driven.served.emulation().arm().and_then(|arm| arm.setpoint());
    assert!(matches!(engaged(&driven), Some((_, true))), "{:?}", engaged(&driven));
    driven.signal("TERM")?;
    for line in driven.lines.by_ref() {
        driven.told.push(line?);
    }
    let told = driven.told.join("\n");
    assert_eq!(driven.child.0.wait()?.code(), Some(1), "{told}");
    for text in ["interrupted: the hand opens", "posture reached: Park", "Park -> Connected"] {
        assert!(told.contains(text), "no {text} in\n{told}");
    }
    assert!(driven.every(TORQUE, 0) && driven.every(WATCHDOG, 0), "{told}");
    assert!(matches!(engaged(&driven), None | Some((_, false))), "{:?}", engaged(&driven));
    Ok(())
}

/// A second wish ends the process at once; then it is as if it had been killed.
#[test]
fn a_second_wish_ends_at_once() -> TestResult {
    let folder = tempfile::tempdir()?;
    let mut driven = Driven::by(evaluation(&folder)?, &folder)?;
    driven.until_it_runs()?;
    driven.signal("INT")?;
    for line in driven.lines.by_ref() {
        if line?.contains("once more ends at once") {
            break;
        }
    }
    driven.signal("INT")?;
    assert_eq!(driven.child.0.wait()?.code(), Some(130));
    driven.assert_it_stops();
    Ok(())
}

/// A training that is killed after an episode was kept goes on with that episode: it is there as it was, and its seed is not played
/// again.
#[test]
fn a_kept_episode_outlives_a_kill() -> TestResult {
    let folder = tempfile::tempdir()?;
    let run = path(&folder, "run");
    let (log, own) = (run.join("robot/log"), run.join("replay/own"));
    std::fs::create_dir_all(run.join("robot"))?;
    // A pipe in the log's place: whoever reads it knows at once what has been logged.
    success(&Command::new("mkfifo").arg(&log).output()?)?;
    let mut command = tiny_training(&run);
    command.args(["--set", "learn.online.episodes_per_iteration=3", "--backend", "emulated"]);
    let mut child = Killed(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let mut lines = BufReader::new(File::open(&log)?).lines();
    while !lines.next().ok_or("no episode was kept")??.contains("1 of 3 kept") {}
    child.0.kill()?;
    child.0.wait()?;
    std::fs::remove_file(&log)?;
    let kept = dataset::read(&own)?.episodes;
    // It had no time for all of them.
    assert!((1..3).contains(&kept.len()), "{} episodes", kept.len());

    let mut command = binary::softflow();
    command.args(["train", "--resume", "--backend", "emulated", "--out"]).arg(&run);
    success(&command.output()?)?;
    let all = dataset::read(&own)?.episodes;
    assert_eq!(all[..kept.len()], kept);
    let seeds: BTreeSet<u64> = all.iter().map(|episode| episode.label.seed).collect();
    assert_eq!((all.len(), seeds.len()), (6, 6));
    let log = std::fs::read_to_string(&log)?;
    let is_played = |line: &&str| line.contains(" ends after ") && !line.ends_with(" after 0 steps");
    assert_eq!(log.lines().filter(is_played).count(), 6 - kept.len(), "{log}");
    Ok(())
}

/// Row 12 from the command line: a learner that says nothing for 4 s ends the episode within 0.15 s and a tick, the hand opens after
/// another second, and the training goes on when it is back.
#[test]
fn a_learner_that_dies() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, script) = (path(&folder, "run"), path(&folder, "faults.ron"));
    // On the way to the start of the first episode.
    let at_s = 6.6;
    let fault = Fault::LearnerSilent { for_s: 4.0.try_into()? };
    let faults = vec![TimedFault { at_s: at_s.try_into()?, fault }];
    write_atomic(&script, ron::to_string(&FaultScript { seed: 1, faults })?.as_bytes())?;
    // Whoever stands in for the human is slower to let the hand open than it is to open by itself.
    let robot_file = path(&folder, "slow.ron");
    let mut robot = RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string())?;
    robot.emulated.answer_s = 1.5.try_into()?;
    write_atomic(&robot_file, ron::to_string(&robot)?.as_bytes())?;
    let mut command = tiny_training(&run);
    command.args(["--backend", "emulated", "--robot"]).arg(&robot_file).arg("--faults").arg(&script);
    success(&command.output()?)?;
    let log = std::fs::read_to_string(run.join("robot/log"))?;
    // The first of those lines that come after the fault.
    let time_of = |text: &str| -> Result<f64, Box<dyn Error>> {
        let of_line = |line: &str| line.split_whitespace().next().and_then(|word| word.parse().ok());
        let mut times_s = log.lines().filter(|line| line.contains(text)).filter_map(of_line);
        Ok(times_s.find(|&time_s: &f64| time_s > at_s).ok_or_else(|| format!("no {text} in\n{log}"))?)
    };
    let held_s = time_of("Run -> Hold: the learner is gone")?;
    let tick_s = 1.0 / f64::from(robot.servo_hz);
    let limit_s = robot.control.failsafe.learner_lost_s.get();
    assert!(held_s - at_s <= limit_s + 2.0 * tick_s && held_s > at_s, "held at {held_s} s\n{log}");
    let parked_s = time_of("Hold -> Park")?;
    assert!((parked_s - held_s - 1.0).abs() <= 2.0 * tick_s, "parked at {parked_s} s\n{log}");
    assert!(log.contains("is cut off after"), "{log}");
    Ok(())
}
