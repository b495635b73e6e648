//! Contract of the binary: the commands do what their help says on real physics, a run leaves what it promises, a killed
//! run goes on and ends in the same bits, and bad input is a clear error with the right exit code.

mod binary;
mod training;

use binary::{TestResult, success};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

type File = (PathBuf, Vec<u8>);

fn softflow(arguments: &[&str]) -> std::io::Result<Output> {
    binary::softflow().args(arguments).output()
}

fn shipped(experiment: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(experiment).to_string_lossy().into_owned()
}

fn tiny_training(out: &Path) -> Command {
    training::tiny_training("cube_smoke.ron", &["evaluation.domains=[\"nominal\"]"], out)
}

fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}

/// Contract: a training leaves its configuration, logs, checkpoints, curve and a table with a row per stage; `eval` plays
/// any of its policies again and finds the same numbers.
#[test]
fn a_run_leaves_what_it_promises() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let output = tiny_training(&out).output()?;
    success(&output)?;
    let table = String::from_utf8(output.stdout)?;
    for row in ["demonstrator", "imitation", "warmup", "offline", "online"] {
        assert!(table.lines().any(|line| line.starts_with(row)), "no row {row} in\n{table}");
    }
    for file in [
        "config.ron",
        "manifest.ron",
        "metrics.jsonl",
        "evals.jsonl",
        "learning_curve.svg",
        "checkpoints/offline-20/MANIFEST.ron",
    ] {
        assert!(out.join(file).exists(), "{file} is missing");
    }
    assert!(std::fs::read_dir(out.join("tensorboard"))?.count() > 0);

    let out = out.to_string_lossy().into_owned();
    let row = |policy: &str| -> Result<serde_json::Value, Box<dyn Error>> {
        let arguments = ["eval", &out, "--policy", policy, "--domain", "nominal", "--episodes", "2", "--json"];
        let output = softflow(&arguments)?;
        success(&output)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let offline = row("offline")?;
    let shown = table.lines().find(|line| line.starts_with("offline")).ok_or("no offline row")?;
    let turns = offline["turns"]["value"].as_f64().ok_or("turns are not a number")?;
    assert!(shown.contains(&format!("{turns:.2} [")), "{shown} does not say {turns}");
    assert_eq!(row("final")?["episodes"], 2);
    Ok(())
}

/// Contract: imitation alone is a training too, evaluated where it will be fine-tuned; it has no curve, and says so.
#[test]
fn imitation_alone_is_a_training() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let changes = [
        "evaluation.domains=[\"shifted_reference16\"]",
        "learn.warmup_steps=0",
        "learn.offline_steps=0",
        "learn.online.iterations=0",
    ];
    let output = training::tiny_training("cube_smoke.ron", &changes, &out).output()?;
    success(&output)?;
    let rows = String::from_utf8(output.stdout)?;
    assert!(rows.lines().any(|line| line.starts_with("imitation")) && !rows.contains("online"), "{rows}");
    assert!(String::from_utf8(output.stderr)?.contains("no learning curve"));
    assert!(out.join("report.html").exists() && !out.join("learning_curve.svg").exists());
    Ok(())
}

/// Contract: a training that is killed wherever it happens to be, and resumed until it ends, leaves the same weights as
/// one that was left alone.
#[test]
fn a_killed_run_goes_on_bit_for_bit() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (alone, killed) = (folder.path().join("alone"), folder.path().join("killed"));
    success(&tiny_training(&alone).output()?)?;

    let mut child =
        tiny_training(&killed).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;
    for attempt in 1u64.. {
        // Every attempt is left alone for longer, so that the last one ends whatever the machine is doing.
        let deadline = std::time::Instant::now() + Duration::from_millis(600 * attempt);
        while child.try_wait()?.is_none() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        if child.try_wait()?.is_some_and(|status| status.success()) {
            break;
        }
        // An attempt that fails by itself fails here too: the next one says why.
        child.kill()?;
        child.wait()?;
        let mut resume = if killed.join("config.ron").exists() {
            let mut resume = binary::softflow();
            resume.args(["train", "--resume", "--out"]).arg(&killed);
            resume
        } else {
            tiny_training(&killed)
        };
        child = resume.stdout(std::process::Stdio::null()).spawn()?;
        assert!(attempt < 60, "the training does not end");
    }
    let policy = |run: &Path| -> Result<Vec<File>, Box<dyn Error>> {
        let checkpoints = run.join("checkpoints");
        let files = files_below(&checkpoints)?.into_iter().filter(|path| path.to_string_lossy().contains("/online-"));
        files.map(|path| Ok((path.strip_prefix(run)?.to_owned(), std::fs::read(&path)?))).collect()
    };
    let (alone, killed) = (policy(&alone)?, policy(&killed)?);
    assert!(!alone.is_empty());
    assert_eq!(
        alone.iter().map(|(path, _)| path).collect::<Vec<_>>(),
        killed.iter().map(|(path, _)| path).collect::<Vec<_>>()
    );
    for ((path, left), (_, right)) in alone.iter().zip(&killed) {
        assert!(left == right, "{} differs", path.display());
    }
    Ok(())
}

/// Contract: demonstrations are recorded once, are what `train --demos` uses, and a dataset of another hand or reward is refused.
#[test]
fn demonstrations_are_recorded_and_used() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data").to_string_lossy().into_owned();
    let record = ["demo", "cube", "--hand", "reference16", "--episodes", "3", "--out", &data, "--json"];
    success(&softflow(&record)?)?;
    let again = softflow(&record)?;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));

    let other = ["--set", "task.hand=orca_v2", "--demos", &data];
    let output = tiny_training(&folder.path().join("run")).args(other).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("reference16") && error.contains("orca_v2"), "{error}");
    let other = ["--set", "task.reward=Sparse", "--demos", &data];
    let output = tiny_training(&folder.path().join("sparse")).args(other).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("its reward is Dense"), "{error}");
    Ok(())
}

/// Contract: a run that was given its demonstrations goes on with them alone when it is resumed, whole or half copied; it makes no others
/// beside them, and says so where they are gone.
#[test]
fn given_demonstrations_stay() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (data, run) = (folder.path().join("data"), folder.path().join("run"));
    // The same domain and seed as the experiment, but fewer of them.
    let record = binary::softflow()
        .args(["demo", "cube", "--hand", "reference16", "--episodes", "5", "--seed", "1", "--out"])
        .arg(&data)
        .output()?;
    success(&record)?;
    success(&tiny_training(&run).arg("--demos").arg(&data).output()?)?;
    let demonstrations = run.join("replay/demonstrations/episodes.log");
    let whole = std::fs::read(&demonstrations)?;
    assert_eq!(whole, std::fs::read(data.join("episodes.log"))?);

    let resume = || binary::softflow().args(["train", "--resume", "--out"]).arg(&run).output();
    success(&resume()?)?;
    assert_eq!(std::fs::read(&demonstrations)?, whole, "a resumed run recorded demonstrations of its own");
    std::fs::remove_file(&demonstrations)?;
    success(&resume()?)?;
    assert_eq!(std::fs::read(&demonstrations)?, whole);
    std::fs::remove_file(&demonstrations)?;
    std::fs::remove_dir_all(&data)?;
    let output = resume()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains(&*data.to_string_lossy()), "{error}");
    Ok(())
}

/// Contract: the scissors are demonstrated, trained on and evaluated like the cube, with the metrics of their own.
#[test]
fn scissors_go_the_same_way() -> TestResult {
    let folder = tempfile::tempdir()?;
    let [data, run] = ["data", "run"].map(|name| folder.path().join(name).to_string_lossy().into_owned());
    let output = softflow(&["demo", "scissors", "--episodes", "4", "--out", &data])?;
    success(&output)?;
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["cut", "grasped", "time to cut", "index_one_stroke", "middle_one_stroke"] {
        assert!(table.contains(word), "{word} is missing in\n{table}");
    }
    let changes = ["evaluation.domains=[]", "evaluation.online_episodes=1", "learn.online.iterations=1"];
    let mut training = training::tiny_training("scissors.ron", &changes, Path::new(&run));
    success(&training.args(["--demos", &data]).output()?)?;
    let output = softflow(&["eval", &run, "--policy", "imitation", "--episodes", "1", "--json"])?;
    success(&output)?;
    let row: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert!(row["cut"]["value"].is_number() && row["time_to_cut_s"].is_null(), "{row}");
    Ok(())
}

/// Contract: bad input ends with exit code 2 (the command line) or 1 (what it names), and says what was wrong, what is
/// allowed, and where.
#[test]
fn bad_input_is_a_clear_error() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run").to_string_lossy().into_owned();
    let smoke = shipped("cube_smoke.ron");
    let cases: [(&[&str], i32, &[&str]); 10] = [
        (&["fly"], 2, &["fly"]),
        (&["train"], 2, &["EXPERIMENT"]),
        (&["train", &smoke, "--backend", "hologram"], 2, &["hologram", "emulated"]),
        (&["train", &smoke, "--out", &out, "--backend", "real"], 1, &["reference16", "orca_v2"]),
        (&["train", "nowhere.ron"], 1, &["nowhere.ron"]),
        (&["train", &smoke, "--out", &out, "--set", "learn.polyak=NaN"], 1, &["learn.polyak", "NaN", "0 to 1"]),
        (&["train", &smoke, "--out", &out, "--set", "learn.tau=0.1"], 1, &["tau", "polyak"]),
        (&["train", &smoke, "--out", &out, "--set", "task.hand=claw"], 1, &["claw", "orca_v2", "reference16"]),
        (&["train", &smoke, "--out", &out, "--set", "online_domain=mars"], 1, &["mars", "nominal"]),
        (&["eval", &out], 1, &["run", "config.ron"]),
    ];
    for (arguments, code, words) in cases {
        // A run that was begun before its hand was looked up must not stand in the way of the next case.
        drop(std::fs::remove_dir_all(&out));
        let output = softflow(arguments)?;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(words.iter().all(|word| error.contains(word)), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    }
    Ok(())
}

/// Contract: `tasks --json` is JSON and names everything that an experiment may name; for people there is a line on each.
#[test]
fn tasks_lists_every_name() -> TestResult {
    let output = softflow(&["tasks", "--json"])?;
    success(&output)?;
    let lists: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    for (kind, name) in [
        ("hands", "orca_v2"),
        ("hands", "reference16"),
        ("domains", "nominal"),
        ("policies", "Mixture"),
        ("flows", "couplings: Token"),
        ("critics", "backup: NStep"),
        ("critics", "net: Transformer"),
        ("objectives", "ReverseKl"),
    ] {
        let names = lists[kind].as_array().ok_or("not a list")?;
        assert!(names.iter().any(|found| found == name), "{name} is not among {kind}");
    }
    let told = softflow(&["tasks"])?;
    success(&told)?;
    let told = String::from_utf8(told.stdout)?;
    assert!(
        told.lines().any(|line| line.trim_start().starts_with("orca_v2 ") && line.ends_with("ORCA v2, right hand"))
    );
    let lines = told.lines().filter(|line| line.starts_with("  "));
    let silent: Vec<&str> = lines.filter(|line| line.trim().split("  ").count() < 2).collect();
    assert!(silent.is_empty(), "nothing is said of {silent:?}");
    Ok(())
}

/// Contract: a hand is exported to a file, or to standard output; an unknown one is refused, and the hands are listed.
#[test]
fn hands_are_exported() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hand.xml");
    for (format, begins) in [("mjcf", "<mujoco model=\"orca_v2\">"), ("urdf", "<robot name=\"orca_v2\">")] {
        let arguments = ["export", "hand", "orca_v2", "--format", format];
        let output = softflow(&arguments)?;
        success(&output)?;
        assert!(String::from_utf8_lossy(&output.stdout).contains(begins), "{format}");
        let to_file = softflow(&[&arguments[..], &["--out", &path.to_string_lossy()]].concat())?;
        success(&to_file)?;
        assert!(to_file.stdout.is_empty());
        assert_eq!(std::fs::read(&path)?, output.stdout, "{format}");
    }
    // As where it is simulated, its fingers do not touch each other.
    let untouched = softflow(&["export", "hand", "reference16", "--format", "mjcf"])?;
    let expected = sim::export::mjcf(&sim::Hand::load("reference16")?, sim::FingerContacts::Off);
    assert_eq!(String::from_utf8(untouched.stdout)?, expected);
    let unknown = softflow(&["export", "hand", "hook", "--format", "urdf"])?;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("reference16"));
    Ok(())
}

/// Contract: a hand that is exported is imported again: its description is a file that commands take for a hand; what is no hand is
/// refused with its place.
#[test]
fn exported_hands_are_imported() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (xml, ron) = (path("hand.xml"), path("hand.ron"));
    success(&softflow(&["export", "hand", "reference16", "--format", "mjcf", "--out", &xml])?)?;
    let imported = softflow(&["import", "hand", &xml, "--out", &ron, "--json"])?;
    success(&imported)?;
    let report: serde_json::Value = serde_json::from_slice(&imported.stdout)?;
    assert_eq!((&report["hand"], &report["palm"]), (&"hand".into(), &"palm".into()), "{report}");
    assert_eq!(report["joints"].as_array().map(Vec::len), Some(16), "{report}");

    // It is a hand like any other: it can be exported. For the cube it needs a scene.
    success(&softflow(&["export", "hand", &ron, "--format", "urdf"])?)?;
    let without_scene = softflow(&["demo", "cube", "--hand", &ron, "--out", &path("data")])?;
    let error = String::from_utf8_lossy(&without_scene.stderr).into_owned();
    assert!(without_scene.status.code() == Some(1) && error.contains("cube_hand.ron"), "{error}");
    let refused = softflow(&["import", "hand", &ron])?;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(softflow(&["import", "hand", &xml, "--stiffness", "NaN"])?.status.code(), Some(2));
    Ok(())
}
