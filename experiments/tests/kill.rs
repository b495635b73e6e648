//! Contract: a study that is killed at any moment, however often, goes on with `--resume` and ends in the same results as one that
//! never was: the same store, but for the time that a chunk takes.
//!
//! The process is killed when it has said so and so many lines: there is one at the beginning and the end of every piece of work,
//! so that it dies in all stages, between them, while it evaluates, and while it measures. And it is killed at twenty moments drawn at
//! random, with two runs side by side.

mod binary;
mod toy_study;

use binary::{TestResult, softflow, success};
use bridge::random::stream;
use rand::Rng as _;
use std::collections::BTreeSet;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Two runs of all four stages, which begin alike.
fn study(folder: &Path) -> std::io::Result<PathBuf> {
    let rest = "parties: [(name: \"a\", set: []), (name: \"b\", set: [\"learn.polyak=0.1\"])], seeds: [5],
          measures: [
            (
                name: \"success\",
                of: Episodes(statistic: Share(\"succeeded\"), stage: Online, domain: \"exact\", acting: None, episodes: 4),
                expected: [],
            ),
            (name: \"NLL\", of: DemonstrationNll(stage: Warmup, episodes: 2), expected: []),
          ]";
    toy_study::write(folder, "killed", &["checkpoint_every=10", "evaluation.online_episodes=3"], rest)
}

fn compare(study: &Path, out: &Path, jobs: &str) -> Command {
    let mut command = softflow();
    command.arg("compare").arg(study).arg("--out").arg(out).args(["--resume", "--jobs", jobs]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Lets a comparison go on until it has said `n_lines` lines, then kills it as no process can prevent. Says whether it ended
/// before that.
fn killed_after(n_lines: usize, study: &Path, out: &Path) -> Result<bool, Box<dyn Error>> {
    let mut child = compare(study, out, "1").spawn()?;
    let stderr = BufReader::new(child.stderr.take().ok_or("there is no standard error")?);
    let n_said = stderr.lines().take(n_lines).filter(Result::is_ok).count();
    // SIGKILL, on Unix.
    child.kill()?;
    let status = child.wait()?;
    assert!(n_said < n_lines || status.code().is_none() || status.success(), "{status}");
    Ok(n_said < n_lines)
}

/// The store without what may differ.
fn results(out: &Path) -> Result<Vec<serde_json::Value>, Box<dyn Error>> {
    let text = std::fs::read_to_string(out.join("results.jsonl"))?;
    let mut lines = text.lines().map(serde_json::from_str::<serde_json::Value>).collect::<Result<Vec<_>, _>>()?;
    let costs = lines.iter_mut().filter_map(|line| line.pointer_mut("/run/cost")?.as_object_mut());
    for cost in costs {
        cost.remove("ms_per_chunk").ok_or("a cost has its time")?;
    }
    Ok(lines)
}

/// Compares line by line: the first that differs tells more than all of them.
fn assert_same(found: &[serde_json::Value], expected: &[serde_json::Value], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "{what}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

#[test]
fn a_killed_study_ends_as_if_it_never_was() -> TestResult {
    let folder = tempfile::tempdir()?;
    let study = study(folder.path())?;
    let whole = folder.path().join("whole");
    success(&compare(&study, &whole, "1").output()?)?;
    let expected = results(&whole)?;
    let n_episodes = expected.iter().filter(|line| line.get("episode").is_some()).count();
    // Of either run: at the switch, after three iterations, and what is measured.
    assert_eq!(n_episodes, 2 * (4 * 3 + 4));

    // Every session dies; each gets a little further than it might need to fail at the same place for ever.
    let killed = folder.path().join("killed");
    let mut n_killed = 0;
    for n_lines in 1.. {
        if killed_after(n_lines, &study, &killed)? {
            break;
        }
        n_killed += 1;
        assert!(n_killed < 200, "it does not come to an end");
    }
    assert!(n_killed >= 8, "killed {n_killed} times only");
    assert_same(&results(&killed)?, &expected, "killed at every line");

    // One that is killed once, at any line, and then left alone.
    for n_lines in [2, 5, 9, 14, 20, 27] {
        let once = folder.path().join(format!("once{n_lines}"));
        killed_after(n_lines, &study, &once)?;
        success(&compare(&study, &once, "1").output()?)?;
        assert_same(&results(&once)?, &expected, &format!("killed after line {n_lines}"));
    }
    Ok(())
}

/// The evaluations that a study's runs have on disk, whole lines of both.
fn evaluations(out: &Path) -> BTreeSet<String> {
    let read = |run: &str| std::fs::read_to_string(out.join(run).join("evals.jsonl")).unwrap_or_default();
    ["a-5", "b-5"]
        .iter()
        .flat_map(|run| read(run).split_inclusive('\n').map(|line| format!("{run} {line}")).collect::<Vec<_>>())
        .filter(|line| line.ends_with('\n'))
        .collect()
}

/// Contract: a study that is killed at 20 random moments, one after the other, loses no evaluation that was finished, and ends in
/// the same store.
#[test]
fn twenty_random_moments() -> TestResult {
    let folder = tempfile::tempdir()?;
    let study = study(folder.path())?;
    let whole = folder.path().join("whole");
    let started = Instant::now();
    success(&compare(&study, &whole, "2").output()?)?;
    let span = started.elapsed();
    let expected = results(&whole)?;

    // A study is over when there is no moment left to kill it at; then the next one begins.
    let mut rng = stream(20, "moments", 0);
    let (mut n_killed, mut n_studies, mut n_kept, mut before) = (0, 0, 0, BTreeSet::new());
    while n_killed < 20 {
        let out = folder.path().join(format!("killed{n_studies}"));
        let mut child = compare(&study, &out, "2").spawn()?;
        // Early ones often: a session that goes on has less to do than the first.
        let share: f64 = rng.random();
        std::thread::sleep(span.mul_f64(share * share));
        let is_over = child.try_wait()?.is_some();
        child.kill()?;
        child.wait()?;
        let after = evaluations(&out);
        assert!(before.is_subset(&after), "an evaluation that was finished is gone: {:?}", before.difference(&after));
        n_kept += before.len();
        before = after;
        if is_over {
            assert_same(&results(&out)?, &expected, "killed at random moments");
            (n_studies, before) = (n_studies + 1, BTreeSet::new());
        } else {
            n_killed += 1;
        }
    }
    assert!(n_kept > 0, "no moment came after an evaluation");
    let out = folder.path().join(format!("killed{n_studies}"));
    success(&compare(&study, &out, "2").output()?)?;
    assert_same(&results(&out)?, &expected, "killed at random moments");
    Ok(())
}
