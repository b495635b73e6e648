//! `softflow compare`: a grid of trainings, each in a run folder of its own, and what they come to.
//!
//! ```text
//! runs/<study>/<party>-<seed>/   a run like any other; measured.ron holds what the study asked of it
//!              study.ron  results.jsonl  the study, and what its runs came to and logged; see [`crate::store`]
//!              comparison.md  comparison.svg  comparison.json  report.html
//! ```
//! What runs have in common is done once; see [`crate::beginnings`]. Runs that are trained side by side are threads of one process, each
//! of which writes into its own folder alone: what kills the process kills them all, so that nobody trains unseen.

use super::{Ended, n_threads, write_page};
use crate::beginnings::take_over;
use crate::cli::{Backend, CompareArgs};
use crate::commands::last_of;
use crate::comparison::{entries, figures, table, to_json, values, verdict};
use crate::cost::Cost;
use crate::experiment::Experiment;
use crate::figure::stack;
use crate::live::Live;
use crate::results::{Results, is_run};
use crate::session::Session;
use crate::study::{Cell, Quantity, STUDY_FILE, Study};
use crate::{Narration, RunFolder, measure, store};
use bridge::parallel;
use bridge::storage::write_atomic;
use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use crossbeam::channel::bounded;
use learn::Stage;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Name of the results in the study's folder.
const STORE_FILE: &str = "results.jsonl";

/// Memory that a run may need, bytes: more than twice what the largest of the claims takes, ten critics on the cube.
const RUN_BYTES: u64 = 1 << 29;

/// A run that has been trained and measured.
struct Done {
    is_new: bool,
    took_s: f64,
    lost_data: bool,
}

/// Compares. A run that fails keeps no other one from being trained, and what these came to from being written.
///
/// # Errors
/// When the study or one of its parties is not valid, a run is in the way or of another study, or a training fails.
pub fn compare(args: &CompareArgs) -> Result<Ended> {
    let study = Study::load(&args.study)?;
    let cells = study.cells(&args.study)?;
    let out = args.out.clone().unwrap_or_else(|| default_out(&args.study));
    let begun = cells.iter().find(|cell| is_run(&out.join(&cell.name)));
    if let Some(cell) = begun.filter(|_| !args.resume) {
        bail!("study {}: run {} exists already, expected none; --resume goes on with it", out.display(), cell.name);
    }
    // Before anything is written: the folder goes on saying what is in it.
    for cell in cells.iter().filter(|cell| is_run(&out.join(&cell.name))) {
        let found: Experiment = RunFolder::open(&out.join(&cell.name))?.config()?;
        if let Some(difference) = found.difference_to(&cell.experiment) {
            bail!(
                "study {}: run {} was configured otherwise: its config.ron has {difference}; remove its folder, or give the study \
                 another one with --out",
                out.display(),
                cell.name
            );
        }
    }
    eprintln!("study {}: {} runs", out.display(), cells.len());
    std::fs::create_dir_all(&out).wrap_err_with(|| out.display().to_string())?;
    let inlined = study.inlined(&args.study)?;
    write(&out, STUDY_FILE, &ron::ser::to_string_pretty(&inlined, ron::ser::PrettyConfig::default())?)?;
    let Trained { lost_data, failed } = train(&study, &cells, &out, args.jobs.unwrap_or_else(fitting_jobs));
    if cells.iter().all(|cell| !is_run(&out.join(&cell.name))) {
        bail!("{}", told(&failed, cells.len()));
    }

    let results = Results::of_study(&out)?;
    store::write(&results, &out.join(STORE_FILE))?;
    let measured = values(&study, &results);
    let entries = entries(&study, &measured);
    let (table, json) = (table(&entries), to_json(&entries));
    let svg = stack(&study.title, &figures(&study, &entries));
    if let Ok(svg) = &svg {
        write(&out, "comparison.svg", svg)?;
    }
    let picture = if svg.is_ok() { "\n![Comparison](comparison.svg)\n" } else { "" };
    write(&out, "comparison.md", &format!("# {}\n\n{}{picture}", study.title, table.to_markdown()))?;
    write(&out, "comparison.json", &format!("{json}\n"))?;
    if args.json {
        println!("{json}");
    } else {
        print!("{table}");
    }
    if let Err(error) = svg {
        eprintln!("no figure: {error}");
    }
    write_page(&[results], &out.join("report.html"))?;
    eprintln!("{}; {}", verdict(&entries), out.display());
    // What the others came to is written by now.
    ensure!(failed.is_empty(), "{}", told(&failed, cells.len()));
    let n_unmet = entries.iter().flat_map(|entry| &entry.holds).filter(|&&holds| holds != Some(true)).count();
    Ok(match n_unmet {
        _ if lost_data => Ended::DataLost,
        0 => Ended::Well,
        _ => Ended::Unmet,
    })
}

/// `runs/<study>`.
fn default_out(study: &Path) -> PathBuf {
    Path::new("runs").join(study.file_stem().unwrap_or_default())
}

/// As many runs as there are cores, and as fit into the memory that nobody uses, of the machine or of the container.
fn fitting_jobs() -> usize {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let meminfo = text("/proc/meminfo");
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    let of_machine = available.and_then(|kib| Some(kib.trim().parse::<u64>().ok()? * 1024));
    let number = |path: &str| text(path).trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max");
    let of_container = limit.zip(number("/sys/fs/cgroup/memory.current")).map(|(most, used)| most.saturating_sub(used));
    let available = [of_machine, of_container].into_iter().flatten().min();
    let n_fitting = available.map_or(usize::MAX, |bytes| (bytes / RUN_BYTES) as usize);
    n_threads(None).min(n_fitting).max(1)
}

/// How the runs ended.
struct Trained {
    /// Whether recorded data of one was lost.
    lost_data: bool,
    /// Why some failed.
    failed: Vec<String>,
}

fn told(failed: &[String], n_runs: usize) -> String {
    format!("{} of {n_runs} runs failed, --resume tries them again\n  {}", failed.len(), failed.join("\n  "))
}

/// Trains and measures what has not been yet.
fn train(study: &Study, cells: &[Cell], out: &Path, n_jobs: usize) -> Trained {
    let quantities = |cell: &Cell| -> Vec<&Quantity> {
        let party = &study.parties[cell.party_idx].name;
        study.measures.iter().filter(|measure| measure.is_of(party)).map(|measure| &measure.of).collect()
    };
    let folders: Vec<PathBuf> = cells.iter().map(|cell| out.join(&cell.name)).collect();
    let n_jobs = n_jobs.clamp(1, cells.len());
    // A single run tells how it goes on; beside others it would be a babble.
    let narration = if n_jobs == 1 { Narration::Told } else { Narration::Silent };
    let live = Live::new(cells, &folders, n_jobs);
    let work = |index: usize| -> Result<_, Infallible> {
        live.begin(index);
        let others = folders.iter().map(PathBuf::as_path).zip(cells.iter().map(|cell| &cell.experiment));
        let done = run(&cells[index], &folders[index], others, &quantities(&cells[index]), narration);
        live.end(index, done.is_ok());
        Ok((index, done))
    };
    let mut n_ended = 0;
    let tell = |(index, done): &(usize, Result<Done>)| {
        n_ended += 1;
        let what = match done {
            Ok(Done { is_new: true, took_s, .. }) => format!("{took_s:.0} s"),
            Ok(_) => "was finished".into(),
            Err(_) => "failed".into(),
        };
        live.say(&format!("[{n_ended}/{}] {}: {what}{}", cells.len(), cells[*index].name, live.left()));
    };
    let (over, is_over) = bounded(0);
    let Ok(ended) = std::thread::scope(|scope| {
        if n_jobs > 1 {
            scope.spawn(|| live.watch(&is_over));
        }
        let ended = parallel::run(cells.len(), n_jobs, work, tell);
        drop(over);
        ended
    });
    let mut trained = Trained { lost_data: false, failed: Vec::new() };
    for (_, done) in ended {
        match done {
            Ok(done) => trained.lost_data |= done.lost_data,
            Err(error) => trained.failed.push(format!("{error:#}")),
        }
    }
    trained
}

/// Trains and measures one run, unless its folder says that this has been done.
fn run<'a>(
    cell: &Cell,
    folder: &Path,
    others: impl Iterator<Item = (&'a Path, &'a Experiment)>,
    quantities: &[&Quantity],
    narration: Narration,
) -> Result<Done> {
    let started = Instant::now();
    let done = |is_new, lost_data| Done { is_new, took_s: started.elapsed().as_secs_f64(), lost_data };
    let trained = || -> Result<Done> {
        let backend = Backend::Sim.name();
        if is_run(folder) && measure::recorded(folder, quantities)?.is_some() && Cost::read(folder)?.is_some() {
            return Ok(done(false, false));
        }
        let run = if is_run(folder) {
            RunFolder::resume(folder, backend)?
        } else {
            take_over(folder, &cell.experiment, others)?;
            RunFolder::create(folder, &cell.experiment, cell.experiment.seed, backend)?
        };
        let mut session = Session::begin(run, cell.experiment.clone(), None, 1, narration, None)?;
        session.run_to_the_end()?;
        let last = Stage::ALL.into_iter().rev().find_map(|stage| last_of(session.run(), stage).transpose());
        if let Some(checkpoint) = last.transpose()? {
            Cost::of(&checkpoint.policy()?)?.write(folder)?;
        }
        // What was measured says that the run is finished, so it comes last.
        measure::measure(&session, quantities)?;
        Ok(done(true, session.lost_data()))
    };
    trained().wrap_err_with(|| format!("run {}", folder.display()))
}

fn write(out: &Path, name: &str, text: &str) -> Result<()> {
    let path = out.join(name);
    write_atomic(&path, text.as_bytes()).wrap_err_with(|| path.display().to_string())
}
