//! `softflow compare`: a grid of trainings, each in a run folder of its own, and what they come to.
//!
//! ```text
//! runs/<study>/<party>-<seed>/   a run like any other; measured.ron holds what the study asked of it
//!              study.ron  results.jsonl  the study, and every episode of every evaluation; see [`crate::store`]
//!              comparison.md  comparison.svg  comparison.json  report.html
//! ```
//! What runs have in common is done once; see [`crate::beginnings`].

use super::{Ended, n_threads, write_page};
use crate::beginnings::take_over;
use crate::cli::{Backend, CompareArgs};
use crate::commands::last_of;
use crate::comparison::{entries, figures, table, to_json, values};
use crate::cost::Cost;
use crate::experiment::Experiment;
use crate::figure::stack;
use crate::results::{Results, is_run};
use crate::session::Session;
use crate::study::{Cell, Quantity, STUDY_FILE, Study};
use crate::{Narration, RunFolder, measure, store};
use bridge::parallel;
use bridge::storage::write_atomic;
use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use learn::Stage;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Name of the results in the study's folder.
const STORE_FILE: &str = "results.jsonl";

/// A run that has been trained and measured.
struct Done {
    name: String,
    is_new: bool,
    took_s: f64,
    lost_data: bool,
}

/// Compares.
///
/// # Errors
/// When the study or one of its parties is not valid, a run is in the way, or a training fails.
pub fn compare(args: &CompareArgs) -> Result<Ended> {
    let study = Study::load(&args.study)?;
    let cells = study.cells(&args.study)?;
    let out = args.out.clone().unwrap_or_else(|| default_out(&args.study));
    let begun = cells.iter().find(|cell| is_run(&out.join(&cell.name)));
    if let Some(cell) = begun.filter(|_| !args.resume) {
        bail!("study {}: run {} exists already, expected none; --resume goes on with it", out.display(), cell.name);
    }
    eprintln!("study {}: {} runs", out.display(), cells.len());
    let quantities: Vec<&Quantity> = study.measures.iter().map(|measure| &measure.of).collect();
    // A single run tells how it goes on; beside others it would be a babble.
    let jobs = n_threads(args.jobs).min(cells.len());
    let narration = if jobs <= 1 { Narration::Told } else { Narration::Silent };
    let folders: Vec<PathBuf> = cells.iter().map(|cell| out.join(&cell.name)).collect();
    let work = |index: usize| {
        let others = folders.iter().map(PathBuf::as_path).zip(cells.iter().map(|cell| &cell.experiment));
        run(&cells[index], &folders[index], others, &quantities, narration)
    };
    std::fs::create_dir_all(&out).wrap_err_with(|| out.display().to_string())?;
    write(&out, STUDY_FILE, &ron::ser::to_string_pretty(&study, ron::ser::PrettyConfig::default())?)?;
    let (started, mut n_done, mut n_new) = (Instant::now(), 0, 0);
    let done = parallel::run(cells.len(), jobs, work, |done| {
        n_done += 1;
        n_new += usize::from(done.is_new);
        let what = if done.is_new { format!("{:.0} s", done.took_s) } else { "was finished".into() };
        let each_s = started.elapsed().as_secs_f64() / n_new.max(1) as f64;
        let left_min = each_s * (cells.len() - n_done) as f64 / 60.0;
        let left = if n_new > 0 && n_done < cells.len() { format!(", {left_min:.0} min left") } else { String::new() };
        eprintln!("[{n_done}/{}] {}: {what}{left}", cells.len(), done.name);
    })?;

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
    let holds: Vec<bool> = entries.iter().flat_map(|entry| entry.holds.iter().copied()).collect();
    let (n_expected, n_unmet) = (holds.len(), holds.iter().filter(|&&holds| !holds).count());
    eprintln!("{} of {n_expected} expectations hold; {}", n_expected - n_unmet, out.display());
    Ok(match n_unmet {
        _ if done.iter().any(|done| done.lost_data) => Ended::DataLost,
        0 => Ended::Well,
        _ => Ended::Unmet,
    })
}

/// `runs/<study>`.
fn default_out(study: &Path) -> PathBuf {
    Path::new("runs").join(study.file_stem().unwrap_or_default())
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
    let done = |is_new, lost_data| Done {
        name: cell.name.clone(),
        is_new,
        took_s: started.elapsed().as_secs_f64(),
        lost_data,
    };
    let trained = || -> Result<Done> {
        let backend = Backend::Sim.name();
        if is_run(folder) {
            let found: Experiment = RunFolder::open(folder)?.config()?;
            ensure!(found == cell.experiment, "it was configured otherwise, expected the study's configuration");
            if measure::recorded(folder, quantities)?.is_some() && Cost::read(folder)?.is_some() {
                return Ok(done(false, false));
            }
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
