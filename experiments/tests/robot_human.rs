//! Contract: nothing moves that nobody allowed after being asked, and ENTER alone stops a hand that has torque, whatever
//! `softflow` is doing with it.

mod binary;
mod child;
#[expect(dead_code, reason = "shared with the tests of interruptions")]
mod driven;
mod robot_bench;
mod training;

use binary::{TestResult, softflow, success};
use driven::Driven;
use robot_bench::{TORQUE, path, tiny_training};

/// What is said of a key that means nothing.
const KEYS: &str = "p pause   q quit";

/// A yes that was written while the learner learned does not arm the hand when that is asked; one that is written then does.
#[test]
fn a_yes_from_before_the_question_arms_nothing() -> TestResult {
    let folder = tempfile::tempdir()?;
    let mut driven = Driven::by(tiny_training(&path(&folder, "run")), &folder)?;
    driven.write("y")?;
    driven.until("Arm it?", "-> Hold")?;
    let is_told = |line: &String| line.contains("before the question") && line.contains("\"y\"");
    assert!(driven.told.iter().any(is_told), "{}", driven.told.join("\n"));
    driven.assert_stays(TORQUE, 0, 1.0);
    driven.write("y")?;
    driven.until("May it?", KEYS)?;
    driven.assert_soon(TORQUE, 1, 5.0);
    Ok(())
}

/// Without torque an empty line means nothing; with it, it is the emergency stop: while the hand holds, opens, waits for its object,
/// closes, acts, and waits for its label.
#[test]
fn enter_stops_a_hand_in_every_stage() -> TestResult {
    let folder = tempfile::tempdir()?;
    let run = path(&folder, "run");
    success(&tiny_training(&run).output()?)?;
    let mut command = softflow();
    command.arg("eval").arg(&run).args(["--episodes", "9"]);
    let mut driven = Driven::by(command, &folder)?;
    driven.until("Arm it?", "-> Hold")?;
    driven.write("")?;
    driven.until(KEYS, "-> EStop")?;
    driven.assert_stays(TORQUE, 0, 0.2);
    // The questions on the way are answered, and the episode is ended by `f`.
    let ways: [(&[(&str, &str)], &str); 6] = [
        (&[], "May it?"),
        (&[("May it?", "y")], "Hold -> Park"),
        (&[("May it?", "y")], "Ready?"),
        (&[("May it?", "y"), ("Ready?", "y")], "Park -> Run"),
        (&[("May it?", "y"), ("Ready?", "y")], " begins"),
        (&[("May it?", "y"), ("Ready?", "y"), (" begins", "f")], "what came of it"),
    ];
    for (way, place) in ways {
        driven.write("y")?;
        for (question, answer) in way {
            driven.until(question, "-> EStop")?;
            driven.write(answer)?;
        }
        driven.until(place, "-> EStop")?;
        driven.assert_soon(TORQUE, 1, 5.0);
        driven.write("")?;
        driven.until("-> EStop", KEYS)?;
        driven.assert_soon(TORQUE, 0, 0.5);
        driven.until("See to the cause", KEYS)?;
        driven.assert_stays(TORQUE, 0, 0.2);
        driven.write("y")?;
        driven.until("Arm it?", "-> Hold")?;
    }
    Ok(())
}

/// Calibration moves nothing before it may, and ENTER ends it with torque off and without a file.
#[test]
fn enter_stops_a_calibration() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = path(&folder, "found.ron");
    let mut command = softflow();
    command.args(["calibrate", "--serial", "T1", "--out"]).arg(&out);
    let mut driven = Driven::by(command, &folder)?;
    driven.until("Begin? (y)", " stop at ")?;
    driven.assert_stays(TORQUE, 0, 0.2);
    driven.write("y")?;
    driven.until(" stop at ", "Error")?;
    driven.write("")?;
    let (code, told) = driven.end()?;
    assert!(code == Some(1) && told.contains("stopped; torque is off"), "{code:?}\n{told}");
    assert!(driven.every(TORQUE, 0) && !out.exists(), "{told}");
    Ok(())
}

/// The doctor moves nothing before it may, and a yes from before the question does not count; it says which joint moves and which way
/// before it does, and ENTER ends the motions with torque off.
#[test]
fn enter_stops_the_doctors_motions() -> TestResult {
    let folder = tempfile::tempdir()?;
    let mut command = softflow();
    command.args(["doctor", "--move", "--seconds", "0.5"]);
    let mut driven = Driven::by(command, &folder)?;
    driven.write("y")?;
    driven.until("Begin? (y)", "moving ")?;
    driven.assert_stays(TORQUE, 0, 0.5);
    driven.write("y")?;
    let first = driven.until("moving ", "Error")?;
    assert!(first.contains("index_abd by +9 degrees") && first.contains("moves to the pinky"), "{first}");
    driven.write("")?;
    let (code, told) = driven.end()?;
    let n_moved = told.lines().filter(|line| line.starts_with("moving ")).count();
    assert!(code == Some(1) && n_moved <= 2, "{code:?}\n{told}");
    assert!(driven.every(TORQUE, 0), "{told}");
    Ok(())
}

/// Where nobody says yes, the doctor moves nothing, and says so.
#[test]
fn the_doctor_moves_nothing_on_its_own() -> TestResult {
    let folder = tempfile::tempdir()?;
    let mut command = softflow();
    command.args(["doctor", "--move", "--seconds", "0.5"]);
    let mut driven = Driven::by(command, &folder)?;
    driven.until("Begin? (y)", "moving ")?;
    driven.write("n")?;
    let (_, told) = driven.end()?;
    assert!(!told.contains("moving "), "{told}");
    assert!(driven.every(TORQUE, 0), "{told}");
    Ok(())
}
