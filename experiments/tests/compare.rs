//! Contract: `softflow compare` trains a grid of ordinary runs, shows what they come to and holds it against what was
//! expected; what is finished is not done again, the number of jobs changes nothing, and a study that is not one is refused
//! before anything is trained.

use bridge::storage::write_atomic;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

type TestResult = Result<(), Box<dyn Error>>;

/// A grid of two runs of seconds; `{more}` is a further override of the second party.
const STUDY: &str = r#"(
    title: "two of a kind",
    base: File("BASE"),
    set: [],
    parties: [
        (name: "chunk", set: [SHORT]),
        (name: "per_step", set: [SHORT, "MORE"]),
    ],
    seeds: [5],
    measures: [
        (
            name: "success",
            of: Episodes(
                statistic: Share("succeeded"),
                stage: Imitation,
                domain: "exact",
                acting: Some((n_candidates: 1, temperature: 0.5)),
                episodes: 3,
            ),
            expected: [(party: "chunk", of: Each, bound: AtLeast(LEAST))],
        ),
        (name: "NLL", of: DemonstrationNll(stage: Warmup, episodes: 2), expected: []),
        (name: "never", of: WarmupStepsUntilValue(2.0), expected: []),
    ],
)"#;

const SHORT: [&str; 6] = [
    "demonstrations.episodes=2",
    "learn.batch_size=16",
    "learn.imitation.steps=30",
    "learn.warmup_steps=20",
    "task.n_places=20",
    "log_every=10",
];

fn study(folder: &Path, more: &str, least: &str) -> std::io::Result<PathBuf> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("toy_chain.ron");
    let short = SHORT.map(|change| format!("{change:?}")).join(", ");
    let text = STUDY.replace("BASE", &base.to_string_lossy()).replace("SHORT", &short);
    let path = folder.join("study.ron");
    write_atomic(&path, text.replace("MORE", more).replace("LEAST", least).as_bytes())?;
    Ok(path)
}

fn compare(study: &Path, out: &Path, more: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_softflow")).arg("compare").arg(study).arg("--out").arg(out).args(more).output()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Contract: a grid leaves run folders, a table, Markdown, JSON and a figure; a second call with --resume trains nothing, and
/// without it refuses; two jobs give the same numbers as one.
#[test]
fn a_grid_is_trained_once() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = study(folder.path(), "learn.critic.backup=PerStep", "0.5")?;
    let out = folder.path().join("out");
    let first = compare(&path, &out, &[])?;
    assert!(first.status.success(), "{}", text(&first.stderr));
    let table = text(&first.stdout);
    for part in ["success", "chunk", "per_step", ">= 0.500, each", "yes", "NLL", "never"] {
        assert!(table.contains(part), "{part} is missing in\n{table}");
    }
    for file in ["comparison.md", "comparison.svg", "comparison.json", "chunk-5/measured.ron", "per_step-5/evals.jsonl"]
    {
        assert!(out.join(file).exists(), "{file} is missing");
    }

    let refused = compare(&path, &out, &[])?;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--resume"), "{}", text(&refused.stderr));

    let manifest = std::fs::read(out.join("chunk-5/manifest.ron"))?;
    let resumed = compare(&path, &out, &["--resume"])?;
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert_eq!(text(&resumed.stdout), table);
    assert_eq!(text(&resumed.stderr).matches("was finished").count(), 2, "{}", text(&resumed.stderr));
    assert_eq!(std::fs::read(out.join("chunk-5/manifest.ron"))?, manifest);

    // A run that was lost is made again, the other one is not.
    std::fs::remove_dir_all(out.join("per_step-5"))?;
    let mended = compare(&path, &out, &["--resume", "--json"])?;
    assert_eq!(text(&mended.stderr).matches("was finished").count(), 1, "{}", text(&mended.stderr));

    let side_by_side = compare(&path, &folder.path().join("jobs"), &["--jobs", "2", "--json"])?;
    assert!(side_by_side.status.success(), "{}", text(&side_by_side.stderr));
    assert_eq!(text(&side_by_side.stdout), text(&mended.stdout));
    // The copy of the study needs nothing else.
    let moved = folder.path().join("moved.ron");
    std::fs::copy(out.join("study.ron"), &moved)?;
    std::fs::remove_file(&path)?;
    let again = compare(&moved, &folder.path().join("again"), &["--json"])?;
    assert_eq!(text(&again.stdout), text(&mended.stdout), "{}", text(&again.stderr));
    let values: serde_json::Value = serde_json::from_slice(&mended.stdout)?;
    assert_eq!(values.as_array().map(Vec::len), Some(6));
    Ok(())
}

/// Contract: runs that begin alike do that once - the data, then imitation, then the warm-up, as far as they agree - and end in
/// the same bits and logs as runs that did it by themselves.
#[test]
fn what_runs_share_is_done_once() -> TestResult {
    let folder = tempfile::tempdir()?;
    // Another policy network parts before imitation, another critic after it, another objective after the warm-up.
    for (n_shared_lines, change) in [
        (0, "learn.policy=Gaussian(hidden: 8, n_layers: 1)"),
        (3, "learn.critic.backup=PerStep"),
        (5, "learn.objective=BestOfN(n: 2, temperature: 1.0, lambda: 0.1)"),
    ] {
        let trained = |name: &str, parties: &[(&str, &[&str])]| -> Result<PathBuf, Box<dyn Error>> {
            let (path, out) = (folder.path().join("study.ron"), folder.path().join(format!("{name}{n_shared_lines}")));
            write_atomic(&path, grid(parties).as_bytes())?;
            let output = compare(&path, &out, &["--jobs", "1"])?;
            assert!(output.status.success(), "{}", text(&output.stderr));
            Ok(out)
        };
        let together = trained("together", &[("plain", &[]), ("other", &[change])])?;
        let alone = trained("alone", &[("other", &[change])])?.join("other-5");
        let [plain, other] = ["plain-5", "other-5"].map(|run| together.join(run));
        assert_eq!(logged(&other)?, logged(&alone)?, "{change}");
        let [together_sums, alone_sums] = [&other, &alone].map(|run| checksums(&run.join("checkpoints/offline-10")));
        assert_eq!(together_sums?, alone_sums?, "{change}");
        // What was taken over bears the other run's times.
        let [plain, other] = [plain, other].map(|run| std::fs::read_to_string(run.join("metrics.jsonl")));
        let n_taken = plain?.lines().zip(other?.lines()).take_while(|(plain, other)| plain == other).count();
        assert_eq!(n_taken, n_shared_lines, "{change}");
    }
    Ok(())
}

/// A study of one seed, of parties by their names and changes.
fn grid(parties: &[(&str, &[&str])]) -> String {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("toy_chain.ron");
    let party = |(name, changes): &(&str, &[&str])| {
        let changes: Vec<String> = SHORT
            .iter()
            .chain(&["learn.offline_steps=10"])
            .chain(*changes)
            .map(|change| format!("{change:?}"))
            .collect();
        format!("(name: {name:?}, set: [{}])", changes.join(", "))
    };
    let parties = parties.iter().map(party).collect::<Vec<_>>().join(", ");
    format!(
        "(title: \"grid\", base: File({base:?}), set: [], parties: [{parties}], seeds: [5],
          measures: [(name: \"value\", of: Logged(metric: \"start_value\", stage: Offline, which: Last), expected: [])])"
    )
}

/// The lines of the metrics, without their times.
fn logged(run: &Path) -> Result<Vec<serde_json::Value>, Box<dyn Error>> {
    let line = |line: &str| -> Result<serde_json::Value, Box<dyn Error>> {
        let mut line: serde_json::Value = serde_json::from_str(line)?;
        line.as_object_mut().ok_or("a line is an object")?.remove("time_s").ok_or("a line has a time")?;
        Ok(line)
    };
    std::fs::read_to_string(run.join("metrics.jsonl"))?.lines().map(line).collect()
}

/// What the manifest of a checkpoint says of its files' content.
fn checksums(checkpoint: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(checkpoint.join("MANIFEST.ron"))
}

/// Contract: an expectation that is not met is said and ends with exit code 1, after all that was measured was shown.
#[test]
fn an_unmet_expectation_is_said() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = study(folder.path(), "learn.critic.backup=NStep", "1.5")?;
    let output = compare(&path, &folder.path().join("out"), &[])?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("NO"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("0 of 1 expectations hold"), "{}", text(&output.stderr));
    Ok(())
}

/// Contract: an override that changes nothing there is, and a study that contradicts itself, are refused by name before a
/// folder is made; a run that was configured otherwise is not mixed into a study.
#[test]
fn a_bad_study_is_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let refused = |path: &Path, words: &[&str]| -> TestResult {
        let output = compare(path, &out, &["--resume"])?;
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} in {error}");
        Ok(())
    };
    refused(&study(folder.path(), "learn.tau=0.1", "0.5")?, &["per_step", "learn.tau", "polyak"])?;
    refused(&study(folder.path(), "learn.polyak", "0.5")?, &["learn.polyak", "PATH=VALUE"])?;
    let path = study(folder.path(), "learn.polyak=0.1", "0.5")?;
    let whole = std::fs::read_to_string(&path)?;
    write_atomic(&path, whole.replace("(party: \"chunk\"", "(party: \"chunks\"").as_bytes())?;
    refused(&path, &["chunks", "per_step"])?;
    write_atomic(&path, whole.replace("\"per_step\"", "\"chunk\"").as_bytes())?;
    refused(&path, &["same name"])?;
    let of_one =
        |name: &str| whole.replace("name: \"success\",", &format!("name: \"success\", parties: [\"{name}\"],"));
    write_atomic(&path, of_one("chunks").as_bytes())?;
    refused(&path, &["success", "chunks", "per_step"])?;
    // What is expected of somebody is measured of them.
    write_atomic(&path, of_one("per_step").as_bytes())?;
    refused(&path, &["success", "\"chunk\"", "per_step"])?;
    assert!(!out.exists());

    write_atomic(&path, whole.as_bytes())?;
    assert!(compare(&path, &out, &[])?.status.success());
    let copy = std::fs::read_to_string(out.join("study.ron"))?;
    let other = study(folder.path(), "learn.polyak=0.2", "0.5")?;
    refused(&other, &["per_step-5", "configured otherwise", "learn.polyak: 0.1 in place of 0.2", "--out"])?;
    assert_eq!(
        std::fs::read_to_string(out.join("study.ron"))?,
        copy,
        "the folder's study is not that of its runs any more"
    );
    // Nor does a report take runs for another study's.
    let names_it = |text: &str| text.contains("per_step-5") && text.contains("learn.polyak: 0.1 in place of 0.2");
    write_atomic(&out.join("study.ron"), copy.replace("learn.polyak=0.1", "learn.polyak=0.2").as_bytes())?;
    let report = Command::new(env!("CARGO_BIN_EXE_softflow")).arg("report").arg(&out).output()?;
    assert!(!report.status.success() && names_it(&text(&report.stderr)), "{}", text(&report.stderr));
    Ok(())
}

/// Contract: what a killed process may have left where a run is yet to be created is not gone on with.
#[test]
fn remains_are_cleared() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (out, fresh) = (folder.path().join("out"), folder.path().join("fresh"));
    let path = study(folder.path(), "learn.polyak=0.1", "0.5")?;
    assert!(compare(&path, &out, &["--jobs", "1"])?.status.success());
    let longer = std::fs::read_to_string(&path)?.replace("learn.imitation.steps=30", "learn.imitation.steps=40");
    write_atomic(&path, longer.as_bytes())?;
    assert!(compare(&path, &fresh, &["--jobs", "1"])?.status.success());
    std::fs::remove_dir_all(out.join("per_step-5"))?;
    std::fs::remove_file(out.join("chunk-5/config.ron"))?;
    assert!(compare(&path, &out, &["--resume", "--jobs", "1"])?.status.success());
    for run in ["chunk-5", "per_step-5"] {
        assert_eq!(logged(&out.join(run))?, logged(&fresh.join(run))?, "{run}");
    }
    Ok(())
}

/// Contract: a run that fails is named, and keeps no other one from being trained; what is missing can be made up for.
#[test]
fn one_failure_is_not_the_end_of_all() -> TestResult {
    let folder = tempfile::tempdir()?;
    let path = study(folder.path(), "learn.polyak=0.1", "0.5")?;
    let out = folder.path().join("out");
    // Where the first run's folder should be, there is something else.
    let in_the_way = out.join("chunk-5");
    std::fs::create_dir(&out)?;
    write_atomic(&in_the_way, b"")?;
    for jobs in ["1", "2"] {
        let output = compare(&path, &out, &["--resume", "--jobs", jobs])?;
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!(error.lines().filter(|line| line.contains("os error")).count(), 1, "{error}");
        for words in ["chunk-5: failed", "1 of 2 runs failed", "--resume"] {
            assert!(error.contains(words), "{words:?} in {error}");
        }
        assert!(out.join("per_step-5/measured.ron").exists(), "{error}");
        // What the others came to is there.
        let store = std::fs::read_to_string(out.join("results.jsonl"))?;
        assert!(store.contains("per_step") && out.join("report.html").exists(), "{error}");
    }
    std::fs::remove_file(&in_the_way)?;
    let output = compare(&path, &out, &["--resume"])?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    Ok(())
}
