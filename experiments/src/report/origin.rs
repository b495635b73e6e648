//! Where the numbers come from: configurations, versions, commands, and what episodes look like.

use super::films::{FILM_PREFIX, Film};
use super::{Block, Section};
use crate::results::{Party, Results, Run};
use crate::study::{Base, STUDY_FILE};
use crate::table::Table;
use color_eyre::eyre::{Result, WrapErr};
use ron::ser::{PrettyConfig, to_string_pretty};
use std::path::{Path, PathBuf};

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
    let films: Vec<String> = Film::of(results).iter().map(Film::command).collect();
    if !films.is_empty() {
        blocks.push(Block::Words(
            "To film a success and a failure of the last policies; the next report shows what is beside the run, and with --films it \
             shoots them itself:"
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
        name.starts_with(FILM_PREFIX) && name.ends_with(".gif")
    };
    files.retain(|path| is_meant(path));
    files.sort();
    let shown = |path: PathBuf| {
        let what = path.file_stem().unwrap_or_default().to_string_lossy().replace(FILM_PREFIX, "").replace('_', " ");
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
