//! `softflow report`: what runs came to, on one page.

use super::Ended;
use crate::cli::ReportArgs;
use crate::report::{self, Film, Report};
use crate::results::Results;
use crate::store;
use bridge::storage::write_atomic;
use color_eyre::eyre::{Result, WrapErr, ensure};
use std::path::{Path, PathBuf};

/// Reports.
///
/// # Errors
/// When a path is neither a run, nor a study, nor a store, something in it is damaged, or a file cannot be written.
pub fn report(args: &ReportArgs) -> Result<Ended> {
    if let Some(document) = &args.update {
        update(document)?;
        return Ok(Ended::Well);
    }
    let mut all = Results::read(&args.paths)?;
    if let Some(study) = &args.join {
        all = vec![Results::join(study, all)?];
    }
    if let Some(path) = &args.store {
        ensure!(all.len() == 1, "--store: found results of {} studies, expected one: a store holds one", all.len());
        store::write(&all[0], path)?;
        eprintln!("store {}", path.display());
    }
    if args.markdown {
        print!("{}", Report::of(&all)?.to_markdown());
        return Ok(Ended::Well);
    }
    if args.films {
        shoot(&all)?;
    }
    let first = args.paths.first().map_or(Path::new("."), PathBuf::as_path);
    let beside = if first.is_dir() { first.join("report.html") } else { page_beside(first) };
    let report = write_page(&all, args.out.as_ref().unwrap_or(&beside))?;
    if let Some(folder) = &args.figures {
        std::fs::create_dir_all(folder).wrap_err_with(|| folder.display().to_string())?;
        let figures = report.figures();
        for figure in &figures {
            let name = figure.name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_', "_");
            write(&folder.join(format!("{name}.svg")), figure.to_svg()?.as_bytes())?;
            write(&folder.join(format!("{name}.png")), &figure.to_png()?)?;
        }
        eprintln!("{} figures in {}, each as SVG and as PNG", figures.len(), folder.display());
    }
    Ok(Ended::Well)
}

/// Writes the page on results and says where it is.
///
/// # Errors
/// When a figure cannot be drawn, or the file system fails.
pub fn write_page(all: &[Results], path: &Path) -> Result<Report> {
    let report = Report::of(all)?;
    write(path, report.to_html()?.as_bytes())?;
    eprintln!("report {}", path.display());
    Ok(report)
}

/// Films episodes with the viewer beside this program.
fn shoot(all: &[Results]) -> Result<()> {
    let films: Vec<Film> = all.iter().flat_map(Film::of).collect();
    ensure!(
        !films.is_empty(),
        "--films: found no episodes of a hand with the folders of their runs, expected folders of runs or studies"
    );
    let viewer = std::env::current_exe()?.with_file_name(format!("sim{}", std::env::consts::EXE_SUFFIX));
    ensure!(
        viewer.exists(),
        "--films: found no viewer at {}; `cargo build -p sim --release` makes one in target/release, `cargo install --path sim \
         --locked` one beside an installed softflow",
        viewer.display()
    );
    for film in films {
        if film.shoot(&viewer)? {
            eprintln!("film {}", film.path.display());
        }
    }
    Ok(())
}

/// `quick.jsonl.gz` has its page in `quick.html`.
fn page_beside(store: &Path) -> PathBuf {
    let name = store.file_name().unwrap_or_default().to_string_lossy();
    store.with_file_name(format!("{}.html", name.split('.').next().unwrap_or("report")))
}

fn update(document: &Path) -> Result<()> {
    let text = std::fs::read_to_string(document).wrap_err_with(|| document.display().to_string())?;
    let folder = document.parent().unwrap_or(Path::new(""));
    let updated = report::update(&text, folder).wrap_err_with(|| document.display().to_string())?;
    if updated != text {
        write(document, updated.as_bytes())?;
        eprintln!("{}: tables made again", document.display());
    }
    let unproven = report::unproven(&updated);
    ensure!(
        unproven.is_empty(),
        "{}: expected the numbers in words to stand in the tables of their sections, settings in `code`, those of others in *emphasis*; \
         found\n  {}",
        document.display(),
        unproven.join("\n  ")
    );
    eprintln!("{}: every table is as its stores have it, every decimal number stands in one", document.display());
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    write_atomic(path, content).wrap_err_with(|| path.display().to_string())
}
