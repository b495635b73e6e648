//! Contracts of `softflow report`: one page that needs no other file and no network; the numbers of a study's folder are those of
//! its store, compressed or not; what is damaged is named; and the page is read on a telephone as on a desk, without a complaint
//! of the browser (which is checked where there is a Chromium).

mod binary;
mod toy_study;

use binary::{TestResult, softflow, success};
use bridge::storage::write_atomic;
use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::SystemTime;
use tempfile::TempDir;

/// A study of two parties with two seeds, of all four stages, finished.
fn trained() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| train().unwrap_or_else(|error| panic!("no study to report on: {error}")));
    folder.path()
}

fn train() -> Result<TempDir, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let acting = |n, temperature| format!("Some((n_candidates: {n}, temperature: {temperature:?}))");
    let measure = |name: &str, acting: &str, expected: &str| {
        format!(
            "(name: {name:?}, of: Episodes(statistic: Share(\"succeeded\"), stage: Online, domain: \"exact\",
               acting: {acting}, episodes: 5), expected: [{expected}])"
        )
    };
    let measures = [
        measure("success", "None", "(party: \"chunk\", of: Mean, bound: AtLeast(0.0))"),
        measure("N = 3", &acting(3, 0.7), ""),
        measure("T = 1", &acting(1, 1.0), ""),
    ];
    let rest = format!(
        "parties: [(name: \"chunk\", set: []), (name: \"per_step\", set: [\"learn.critic.backup=PerStep\"])],
          seeds: [1, 2], measures: [{}]",
        measures.join(", ")
    );
    let study = toy_study::write(folder.path(), "a <study> & more", &["evaluation.online_episodes=5"], &rest)?;
    success(&softflow().arg("compare").arg(study).arg("--out").arg(folder.path().join("out")).output()?)?;
    Ok(folder)
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn report(args: &[&str]) -> std::io::Result<Output> {
    softflow().arg("report").args(args).output()
}

fn reported(args: &[&str]) -> Result<String, Box<dyn Error>> {
    success(&report(args)?)
}

/// Holds that tags are closed in the order in which they were opened, and returns how many there are.
fn check_tags(text: &str) -> usize {
    let (mut open, mut n_tags): (Vec<&str>, usize) = (Vec::new(), 0);
    // What is in a style sheet is no markup.
    for piece in text.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("a tag has no end: {piece}"));
        let name = tag.split_whitespace().next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "in {open:?}"),
            None if name.starts_with('!') || tag.ends_with('/') => {}
            None if ["meta", "link", "img"].contains(&name) => {}
            None => open.push(name),
        }
        n_tags += 1;
    }
    assert!(open.is_empty(), "{open:?} were not closed");
    n_tags
}

#[test]
fn the_page_needs_nothing_else() -> TestResult {
    let out = trained().join("out");
    let page = fs::read_to_string(out.join("report.html"))?;
    assert!(check_tags(&page) > 300);
    for foreign in ["http:", "https:", "<script", "@import", "url(", "NaN", "inf</"] {
        assert!(!page.contains(foreign), "{foreign} is in the page");
    }
    let told = [
        "a &lt;study&gt; &amp; more",
        "chunk",
        "per_step",
        "drop depth",
        "ms/chunk",
        "Performance profile",
        "Probability that chunk does better",
        "Candidates and temperature: chunk",
        "What a chunk costs",
        "What the critic predicts",
        "Predicted value and realised return",
        "KL to the imitation policy",
        "1 of 1 expectations hold",
        "own control steps",
        "The same for all, but for own control steps",
        "study.ron --out",
        "critic_first_steps: 5",
    ];
    for part in told {
        assert!(page.contains(part), "{part} is not in the page");
    }
    Ok(())
}

#[test]
fn figures_are_files_too() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (page, figures) = (folder.path().join("page.html"), folder.path().join("figures"));
    let study = path(&trained().join("out"));
    reported(&[&study, "--out", &path(&page), "--figures", &path(&figures)])?;
    assert!(page.exists());
    let files: Vec<PathBuf> = fs::read_dir(&figures)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    for name in ["headline", "final", "performance_profile", "probability_of_improvement", "latency", "training_kl"] {
        assert!(files.contains(&figures.join(format!("{name}.svg"))), "{name} is not among {files:?}");
    }
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "svg")) {
        let svg = fs::read_to_string(file)?;
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{}", file.display());
        assert!(check_tags(&svg) > 10 && !svg.contains("NaN"), "{}", file.display());
        let picture = file.with_extension("png");
        assert!(fs::read(&picture)?.starts_with(b"\x89PNG"), "{}", picture.display());
    }
    Ok(())
}

/// Everything but pictures is in the store: the tables of a report on it are those of one on the folders, and it has training curves, of
/// some of the lines.
#[test]
fn a_store_holds_every_number() -> TestResult {
    let folder = tempfile::tempdir()?;
    let out = trained().join("out");
    let (study, compressed) = (path(&out), path(&folder.path().join("s.jsonl.gz")));
    let tables = reported(&[&study, "--markdown"])?;
    assert!(tables.contains("| chunk | 2 |") && tables.contains("Every stage"), "{tables}");
    assert_eq!(reported(&[&path(&out.join("results.jsonl")), "--markdown"])?, tables);
    reported(&[&study, "--store", &compressed, "--out", &path(&folder.path().join("a.html"))])?;
    assert_eq!(reported(&[&compressed, "--markdown"])?, tables);
    let [plain, packed] = [out.join("results.jsonl"), compressed.clone().into()].map(fs::metadata);
    assert!(packed?.len() * 10 < plain?.len());
    reported(&[&compressed])?;
    let page = fs::read_to_string(folder.path().join("s.html"))?;
    assert!(
        page.contains("Predicted value and realised return") && page.contains("softflow compare study.ron --out again")
    );
    // One of the first format has no logs, and its page says so.
    let first: String = fs::read_to_string(out.join("results.jsonl"))?
        .lines()
        .filter(|line| !line.starts_with("{\"log\""))
        .map(|line| line.replace("{\"format\":2", "{\"format\":1") + "\n")
        .collect();
    let old = folder.path().join("old.jsonl");
    write_atomic(&old, first.as_bytes())?;
    assert_eq!(reported(&[&path(&old), "--markdown"])?, tables);
    reported(&[&path(&old)])?;
    let page = fs::read_to_string(folder.path().join("old.html"))?;
    assert!(page.contains("Not shown") && page.contains("which is in the run folders"));
    // And a store of a store is the same store.
    let again = path(&folder.path().join("again.jsonl"));
    reported(&[&compressed, "--store", &again, "--markdown"])?;
    assert_eq!(fs::read(again)?, fs::read(out.join("results.jsonl"))?);
    Ok(())
}

/// Runs that are given one by one are one report; a party is told by its name and its configuration.
#[test]
fn runs_are_joined_to_parties() -> TestResult {
    let out = trained().join("out");
    let runs = ["chunk-1", "chunk-2", "per_step-1"].map(|run| path(&out.join(run)));
    let tables = reported(&[&runs[0], &runs[1], &runs[2], "--markdown"])?;
    assert!(tables.contains("| chunk | 2 |") && tables.contains("| per_step | 1 |"), "{tables}");
    let alone = reported(&[&runs[0], "--markdown"])?;
    assert!(alone.contains("rollout noise alone"), "{alone}");
    Ok(())
}

/// Runs of a study that were trained apart are the study, whatever their order; a run that is there twice, is another's, or was
/// trained otherwise, is refused.
#[test]
fn parts_are_joined_to_a_study() -> TestResult {
    let (out, folder) = (trained().join("out"), tempfile::tempdir()?);
    let study = path(&trained().join("study.ron"));
    let part = |name: &str, runs: &[&str]| -> Result<String, Box<dyn Error>> {
        let part = path(&folder.path().join(name));
        let runs: Vec<String> = runs.iter().map(|run| path(&out.join(run))).collect();
        let mut args: Vec<&str> = runs.iter().map(String::as_str).collect();
        args.extend(["--store", part.as_str(), "--markdown"]);
        reported(&args)?;
        Ok(part)
    };
    let (first, second) =
        (part("a.jsonl.gz", &["per_step-2", "chunk-2"])?, part("b.jsonl.gz", &["chunk-1", "per_step-1"])?);
    let whole = path(&folder.path().join("whole.jsonl"));
    reported(&[&first, &second, "--join", &study, "--store", &whole, "--markdown"])?;
    assert_eq!(fs::read(whole)?, fs::read(out.join("results.jsonl"))?);

    let text = fs::read_to_string(&study)?;
    let refused = |study: &str, parts: &[&str], words: &str| -> TestResult {
        let other = folder.path().join("other.ron");
        write_atomic(&other, study.as_bytes())?;
        let output = report(&[parts, &["--join", &path(&other), "--markdown"]].concat())?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(words), "{words:?} in {error}");
        Ok(())
    };
    refused(&text, &[&first, &first], "chunk-2 in two parts")?;
    refused(
        &text.replace("seeds: [1, 2]", "seeds: [1]"),
        &[&second, &first],
        "found run per_step-2, expected runs of",
    )?;
    refused(&text.replace("PerStep", "NStep"), &[&first], "per_step-2 was trained with another experiment")
}

/// A film beside a run is on its page.
#[test]
fn films_are_shown() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, original) = (folder.path().join("filmed-1"), trained().join("out/chunk-1"));
    fs::create_dir(&run)?;
    for file in ["config.ron", "manifest.ron", "metrics.jsonl", "evals.jsonl"] {
        fs::copy(original.join(file), run.join(file))?;
    }
    write_atomic(&run.join("episode_success.gif"), b"GIF89a")?;
    reported(&[&path(&run)])?;
    let page = fs::read_to_string(run.join("report.html"))?;
    assert!(page.contains("src=\"data:image/gif;base64,R0lGODlh\""), "the film is not in the page");
    assert!(page.contains("filmed, seed 1: success") && page.contains("time per chunk"));
    check_tags(&page);
    Ok(())
}

/// Contract: `--films` asks the viewer beside the program for a success and a failure of every party, shoots again only what is older
/// than its run's outcomes, and says what is missing or what went wrong.
#[test]
fn films_are_shot() -> TestResult {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("softflow");
    fs::copy(env!("CARGO_BIN_EXE_softflow"), &program)?;
    let (viewer, log) = (folder.path().join("sim"), folder.path().join("log"));
    let asked = || fs::read_to_string(&log).unwrap_or_default();
    let run = folder.path().join("cube-1");
    let smoke = Path::new(env!("CARGO_MANIFEST_DIR")).join("cube_smoke.ron");
    success(&softflow().arg("train").arg(smoke).arg("--out").arg(&run).output()?)?;
    let report = || Command::new(&program).arg("report").arg(&run).arg("--films").output();
    let refused = |words: &str| -> TestResult {
        let output = report()?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(words), "{words:?} in {error}");
        Ok(())
    };
    refused("cargo build -p sim --release")?;

    // The viewer of this test: leaves what it was asked for, and a film, or fails.
    let script = |last: &str| -> TestResult {
        let lines = format!("#!/bin/sh\necho \"$@\" >> {0}\nfor film; do :; done\n{last}\n", log.display());
        write_atomic(&viewer, lines.as_bytes())?;
        fs::set_permissions(&viewer, fs::Permissions::from_mode(0o755))?;
        Ok(())
    };
    script("echo no light >&2; exit 3")?;
    refused("no light")?;
    fs::remove_file(&log)?;

    script("printf GIF89a > \"$film\"")?;
    success(&report()?)?;
    let n_films = asked().lines().count();
    assert!((1..=2).contains(&n_films), "{}", asked());
    for line in asked().lines() {
        let policy = format!("--headless --task cube --hand reference16 --domain shifted --policy {}", run.display());
        assert!(line.starts_with(&policy) && line.contains(" --seed 2000 --seconds "), "{line}");
    }
    let page = fs::read_to_string(run.join("report.html"))?;
    assert_eq!(page.matches("data:image/gif").count(), n_films);

    success(&report()?)?;
    assert_eq!(asked().lines().count(), n_films, "what is there was shot again");
    fs::OpenOptions::new().append(true).open(run.join("evals.jsonl"))?.set_modified(SystemTime::now())?;
    success(&report()?)?;
    assert_eq!(asked().lines().count(), 2 * n_films, "what is out of date was left");
    Ok(())
}

/// Several studies are several tasks: what they have in common is put together over all of them, then each has its part.
#[test]
fn studies_are_tasks_of_one_report() -> TestResult {
    let out = trained().join("out");
    let tables = reported(&[&path(&out), &path(&out.join("results.jsonl")), "--markdown"])?;
    assert!(tables.starts_with("**Over all tasks**"), "{tables}");
    assert!(tables.contains("P(chunk better)") && tables.matches("**Every stage**").count() == 2, "{tables}");
    let folder = tempfile::tempdir()?;
    let store = path(&folder.path().join("both.jsonl"));
    let output = report(&[&path(&out), &path(&out.join("results.jsonl")), "--store", &store])?;
    assert!(String::from_utf8(output.stderr)?.contains("a store holds one"));
    Ok(())
}

#[test]
fn what_is_damaged_is_named() -> TestResult {
    let folder = tempfile::tempdir()?;
    let text = fs::read_to_string(trained().join("out/results.jsonl"))?;
    let mut lines: Vec<&str> = text.lines().collect();
    let store = folder.path().join("s.jsonl");
    let refused = |lines: &[&str], words: &[&str]| -> TestResult {
        write_atomic(&store, lines.join("\n").as_bytes())?;
        let output = report(&[&path(&store), "--markdown"])?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} in {error}");
        Ok(())
    };
    refused(&lines[..1], &["s.jsonl", "without runs"])?;
    refused(&lines[1..], &["s.jsonl:1", "store"])?;
    refused(&[lines[0], lines[1], lines[3]], &["s.jsonl:3", "another run"])?;
    let unknown = lines[3].replacen("\"seed\"", "\"sead\"", 1);
    lines[3] = &unknown;
    refused(&lines, &["s.jsonl:4", "sead"])?;
    let format = lines[0].replacen("\"format\":2", "\"format\":3", 1);
    lines[0] = &format;
    refused(&lines, &["s.jsonl:1", "format 3", "formats 1 to 2"])?;

    let empty = path(folder.path());
    let output = report(&[&empty])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr)?.contains("neither a run nor a study"));
    Ok(())
}

/// The first Chromium on the path.
fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.exists())
}

/// In a browser a page fits both widths, its type is large enough to be read, and nothing is complained about: that of a small study and
/// that of the largest one that is shipped.
#[test]
fn a_browser_shows_it() -> TestResult {
    let Some(chromium) = chromium() else {
        eprintln!("NOT CHECKED: there is no Chromium, so nobody has looked at the page");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let claims = folder.path().join("claims.html");
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/claims_cube.jsonl.gz");
    reported(&[&path(&store), "--out", &path(&claims)])?;
    for page in [&trained().join("out/report.html"), &claims] {
        look_at(&chromium, &fs::read_to_string(page)?, folder.path())
            .map_err(|error| format!("{}: {error}", page.display()))?;
    }
    Ok(())
}

fn look_at(chromium: &Path, page: &str, folder: &Path) -> TestResult {
    let browse = |page: &Path| {
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"];
        let budget = "--virtual-time-budget=10000";
        Command::new(chromium).args(flags).args([budget, &profile]).arg(format!("file://{}", page.display())).output()
    };
    let plain = folder.join("plain.html");
    write_atomic(&plain, page.as_bytes())?;
    let seen = browse(&plain)?;
    let complaints = String::from_utf8_lossy(&seen.stderr).into_owned();
    assert!(!complaints.contains("CONSOLE"), "{complaints}");

    // A window is never as narrow as a telephone; a frame is. The page in it measures itself and tells the frame's owner.
    let measure = "<script>addEventListener('load',()=>{document.querySelectorAll('details').forEach(d=>d.open=true);\
        const shown=[...document.querySelectorAll('svg text')].map(t=>t.getBoundingClientRect().height).filter(h=>h>0);\
        parent.postMessage(['seen',document.documentElement.scrollWidth,shown.length,Math.min(...shown)].join(' '),'*')})\
        </script></body>";
    let inner = folder.join("inner.html");
    write_atomic(&inner, page.replace("</body>", measure).as_bytes())?;
    for width in [390.0, 1280.0] {
        let outer = folder.join("outer.html");
        let frame = format!(
            "<body><p></p><script>onmessage=e=>document.querySelector('p').textContent=e.data</script>\
             <iframe src=\"inner.html\" style=\"border:0;width:{width}px;height:900px\"></iframe></body>"
        );
        write_atomic(&outer, frame.as_bytes())?;
        let dom = String::from_utf8_lossy(&browse(&outer)?.stdout).into_owned();
        let told = dom.split_once("<p>seen ").and_then(|(_, rest)| rest.split_once("</p>"));
        let told = told.ok_or_else(|| format!("the page told nothing: {dom}"))?.0;
        let numbers = told.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [scroll_width, n_texts, smallest] = numbers[..] else { return Err(told.into()) };
        assert!(scroll_width <= width, "{scroll_width} px wide in a window of {width} px");
        assert!(n_texts > 100.0 && smallest >= 9.0, "{n_texts} texts, the smallest {smallest} px high, at {width} px");
    }
    Ok(())
}
