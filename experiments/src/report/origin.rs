//! Where the numbers come from: configurations, versions, commands, and what episodes look like.

use super::{Block, Section};
use crate::evaluation::EvaluationRecord;
use crate::experiment::TaskChoice;
use crate::results::{Party, Results, Run};
use crate::study::{Base, STUDY_FILE};
use crate::table::Table;
use color_eyre::eyre::{Result, WrapErr};
use learn::Stage;
use ron::ser::{PrettyConfig, to_string_pretty};
use std::path::{Path, PathBuf};

/// Animations in the folder of a run whose names begin so are shown.
const PICTURE_PREFIX: &str = "episode_";
/// How long a film of an episode is at most, s.
const FILMED_S: f64 = 8.0;
/// How much faster than life the viewer shows an episode.
const MAX_FILM_SPEED: f64 = 10.0;

/// The section.
pub fn section(results: &Results) -> Result<Option<Section>> {
    let mut blocks = Vec::new();
    let mut pictures = Vec::new();
    for party in &results.parties {
        for run in &party.runs {
            pictures.extend(pictures_of(party, run)?);
        }
    }
    if !pictures.is_empty() {
        blocks.push(Block::Pictures(pictures));
    }
    blocks.push(versions(results));
    blocks.push(Block::Words(
        "To repeat it, of the same commit, which names the compiler (rust-toolchain.toml) and every library (Cargo.lock):"
            .into(),
    ));
    blocks.push(Block::Code(commands(results)));
    let films = films(results);
    if !films.is_empty() {
        blocks.push(Block::Words(
            "To film a success and a failure of the last policies; the next report shows what is beside the run:"
                .into(),
        ));
        blocks.push(Block::Code(films.join("\n")));
    }
    if let Some(study) = &results.study {
        let text = to_string_pretty(study, PrettyConfig::default())?;
        blocks.push(Block::Folded { title: "The study".into(), blocks: vec![Block::Code(text)] });
        if let Base::File(file) = &study.base {
            let base = format!("The experiment that it starts from is {}.", file.display());
            blocks.push(Block::Words(base));
        }
    }
    for party in &results.parties {
        let text = to_string_pretty(&party.experiment, PrettyConfig::default())?;
        let title = format!("Configuration of {}, resolved", party.name);
        blocks.push(Block::Folded { title, blocks: vec![Block::Code(text)] });
    }
    Ok(Some(Section { title: "Where it comes from".into(), blocks }))
}

fn pictures_of(party: &Party, run: &Run) -> Result<Vec<(String, Vec<u8>)>> {
    let Some(folder) = &run.folder else { return Ok(Vec::new()) };
    let entries = std::fs::read_dir(folder).wrap_err_with(|| folder.display().to_string())?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let is_meant = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(PICTURE_PREFIX) && name.ends_with(".gif")
    };
    files.retain(|path| is_meant(path));
    files.sort();
    let shown = |path: PathBuf| {
        let what = path.file_stem().unwrap_or_default().to_string_lossy().replace(PICTURE_PREFIX, "").replace('_', " ");
        let bytes = std::fs::read(&path).wrap_err_with(|| path.display().to_string())?;
        Ok((format!("{}, seed {}: {what}", party.name, run.seed), bytes))
    };
    files.into_iter().map(shown).collect()
}

fn versions(results: &Results) -> Block {
    let mut table = Table::new(["party", "seeds", "softflow", "commit", "backend"]);
    for party in &results.parties {
        let mut kinds: Vec<_> = party.runs.iter().map(|run| &run.provenance).collect();
        kinds.sort();
        kinds.dedup();
        for kind in kinds {
            let of_kind = party.runs.iter().filter(|run| &run.provenance == kind);
            let seeds: Vec<String> = of_kind.map(|run| run.seed.to_string()).collect();
            let commit = kind.commit.as_deref().map_or("unknown", |commit| commit.get(..12).unwrap_or(commit));
            let dirty = if kind.dirty { ", changed" } else { "" };
            table.push([
                party.name.clone(),
                seeds.join(" "),
                kind.version.clone(),
                format!("{commit}{dirty}"),
                kind.backend.clone(),
            ]);
        }
    }
    let note = "Changed: the source differed from the commit, or the run went on with another one.".into();
    Block::Table { title: "Versions".into(), note, table }
}

fn commands(results: &Results) -> String {
    if results.study.is_some() {
        // The runs of a study lie beside its copy, unless they were joined.
        let runs = || results.parties.iter().flat_map(|party| &party.runs);
        let folder = runs().next().and_then(|run| run.folder.as_deref()?.parent());
        let is_beside = |run: &Run| run.folder.as_deref().and_then(Path::parent) == folder;
        return match folder.filter(|folder| runs().all(is_beside) && folder.join(STUDY_FILE).exists()) {
            Some(folder) => format!("softflow compare {0}/{STUDY_FILE} --out {0}-again", folder.display()),
            None => format!("softflow compare {STUDY_FILE} --out again    # {STUDY_FILE}: the study below"),
        };
    }
    let command = |party: &Party| {
        let run = &party.runs[0];
        let config = run.folder.as_ref().map_or_else(|| "CONFIG.ron".into(), |folder| folder.join("config.ron"));
        let config = config.display();
        match &party.runs[..] {
            [run] => format!("softflow train {config} --out runs/{}-{}-again", party.name, run.seed),
            runs => {
                let seeds: Vec<String> = runs.iter().map(|run| run.seed.to_string()).collect();
                let train = format!("softflow train {config} --seed $seed --out runs/{}-$seed-again", party.name);
                format!("for seed in {}; do {train}; done", seeds.join(" "))
            }
        }
    };
    results.parties.iter().map(command).collect::<Vec<_>>().join("\n")
}

/// Commands that film the first success and the first failure of every party's first run, to their ends, long ones faster than life.
/// They play the episodes that were evaluated: the same seeds name the same episodes.
fn films(results: &Results) -> Vec<String> {
    let mut commands = Vec::new();
    for party in &results.parties {
        let (task, hand) = match &party.experiment.task {
            TaskChoice::Cube { hand, .. } => ("cube", hand),
            TaskChoice::Scissors { hand, .. } => ("scissors", hand),
            TaskChoice::Bandit(_) | TaskChoice::Chain(_) | TaskChoice::Detour(_) => continue,
        };
        let is_shifted = party.experiment.online_domain.contains("shifted");
        let domain = if is_shifted { "shifted" } else { "nominal" };
        let Some(run) = party.runs.first() else { continue };
        let (Some(folder), Some(record)) = (&run.folder, last_record(party, run)) else { continue };
        for (name, wanted) in [("success", true), ("failure", false)] {
            let Some(index) = record.outcomes.iter().position(|outcome| outcome.succeeded == wanted) else { continue };
            let seed = record.first_seed + index as u64;
            let seconds = record.outcomes[index].seconds.clamp(2.0, FILMED_S * MAX_FILM_SPEED);
            let speed = (seconds / FILMED_S).max(1.0);
            commands.push(format!(
                "cargo run -p sim --release -- --task {task} --hand {hand} --domain {domain} --policy {0} --seed {seed} \
                 --seconds {seconds} --speed {speed:.2} --headless --record {0}/{PICTURE_PREFIX}{name}.gif",
                folder.display()
            ));
        }
    }
    commands
}

fn last_record<'a>(party: &Party, run: &'a Run) -> Option<&'a EvaluationRecord> {
    Stage::ALL.into_iter().rev().find_map(|stage| party.at_end(run, stage))
}
