//! Contract: a hand in real time plays on while the learner learns; what was learned acts from the next chunk on, and every episode
//! tells who acted in it.

mod binary;
#[expect(dead_code, reason = "shared with the tests of interruptions")]
mod robot_bench;
mod training;

use binary::{TestResult, success};
use bridge::dataset;
use robot_bench::{path, patient_robot, save, tiny_training};

#[test]
fn a_hand_plays_on_while_the_learner_learns() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, robot_file) = (path(&folder, "run"), path(&folder, "robot.ron"));
    save(&patient_robot()?, &robot_file)?;
    let mut command = tiny_training(&run);
    for change in
        ["learn.online.steps_per_iteration=100", "learn.online.gate=Open", "learn.online.episodes_per_iteration=2"]
    {
        command.args(["--set", change]);
    }
    command.args(["--backend", "emulated", "--real-time", "--robot"]).arg(&robot_file);
    success(&command.output()?)?;

    let log = std::fs::read_to_string(run.join("robot/log"))?;
    let lines: Vec<&str> = log.lines().collect();
    let line_of = |text: &str, from: usize| -> Result<usize, String> {
        let found = lines.iter().skip(from).position(|line| line.contains(text));
        found.map(|index| from + index).ok_or_else(|| format!("no {text} behind line {from} of\n{log}"))
    };
    // Two episodes by the offline policy. The second time it begins with that, and is told of what was learned before it has ended.
    let kept = line_of("2 of 2 kept", 0)?;
    let deployed = line_of("policy 3 is online-1", line_of("policy 2 is offline-20", kept)?)?;
    line_of("4 of 4 kept", deployed)?;

    let own = dataset::read(&run.join("replay/own"))?.episodes;
    let actors: Vec<&str> = own.iter().map(|episode| episode.label.actor.as_str()).collect();
    assert_eq!(actors[..2], ["offline-20"; 2]);
    let known = ["offline-20", "offline-20, online-1", "online-1"];
    let order: Vec<_> = actors[2..].iter().map(|actor| known.iter().position(|name| name == actor)).collect();
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{actors:?}");
    Ok(())
}
