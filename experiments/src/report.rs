//! A report: what runs came to, on one page that explains itself.
//!
//! [`Report::of`] makes a document of [`Results`]: sections of tables and figures, each with what there is to know to read it.
//! It is written as a page ([`Report::to_html`]), as tables in Markdown ([`Report::to_markdown`]), and figure by figure. Nothing
//! is drawn without data; what was left out is named once, at the end.
//!
//! Over several seeds a number is the interquartile mean with its stratified bootstrap interval; over the episodes of a single
//! run it is marked as rollout noise.

mod across;
mod budget;
mod curves;
mod document;
mod films;
mod html;
mod origin;
mod outcome;
mod parties;
mod switch;
mod training;

pub use document::{unproven, unproven_by, update};
pub use films::Film;

use crate::figure::Figure;
use crate::results::Results;
use crate::statistics::{Estimate, iqm, stratified_bootstrap};
use crate::table::Table;
use color_eyre::eyre::Result;

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Over all of it.
    pub title: String,
    /// What it is about, in a line.
    pub lead: String,
    /// Its parts.
    pub sections: Vec<Section>,
    /// What there was no data for.
    pub missing: Vec<String>,
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Over it.
    pub title: String,
    /// What it is made of.
    pub blocks: Vec<Block>,
}

/// Something on a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A few numbers that matter most, with what they are.
    Tiles(Vec<[String; 3]>),
    /// A figure that has the page's width.
    Wide(Figure),
    /// Figures side by side.
    Figures(Vec<Figure>),
    /// A table with its title and what there is to know to read it.
    Table {
        /// Over it.
        title: String,
        /// Under it.
        note: String,
        /// The table.
        table: Table,
    },
    /// Animations, by what they show; GIF files.
    Pictures(Vec<(String, Vec<u8>)>),
    /// Blocks that are unfolded by who wants to see them.
    Folded {
        /// What they are.
        title: String,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// Words.
    Words(String),
    /// Text for a machine.
    Code(String),
}

/// Seed of the bootstrap's resampling.
const BOOTSTRAP_SEED: u64 = 1;

impl Report {
    /// The report on results; several are several tasks with the same parties.
    ///
    /// # Errors
    /// When a configuration has no form in RON, or a picture cannot be read.
    pub fn of(all: &[Results]) -> Result<Self> {
        let (mut sections, mut missing) = (Vec::new(), Vec::new());
        sections.extend(across::section(all));
        for results in all {
            let prefix = if all.len() > 1 { format!("{}: ", results.title) } else { String::new() };
            let parts = [
                outcome::section(results, &mut missing)?,
                parties::section(results, &mut missing),
                training::section(results, &mut missing),
                origin::section(results)?,
            ];
            let titled = |section: Section| Section { title: format!("{prefix}{}", section.title), ..section };
            sections.extend(parts.into_iter().flatten().map(titled));
        }
        missing.sort();
        missing.dedup();
        let titles: Vec<&str> = all.iter().map(|results| results.title.as_str()).collect();
        let lead = all.iter().map(lead).collect::<Vec<_>>().join("; ");
        Ok(Self { title: titles.join(" · "), lead, sections, missing })
    }

    /// All figures, wherever they stand.
    #[must_use]
    pub fn figures(&self) -> Vec<&Figure> {
        self.sections.iter().flat_map(|section| &section.blocks).flat_map(Block::figures).collect()
    }

    /// The page: one file that needs no other.
    ///
    /// # Errors
    /// When a figure cannot be drawn.
    pub fn to_html(&self) -> Result<String> {
        Ok(html::page(self)?)
    }

    /// The tables in Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        blocks.flat_map(Block::to_markdown).collect::<Vec<_>>().join("\n")
    }
}

impl Block {
    fn figures(&self) -> Vec<&Figure> {
        match self {
            Self::Wide(figure) => vec![figure],
            Self::Figures(figures) => figures.iter().collect(),
            Self::Folded { blocks, .. } => blocks.iter().flat_map(Self::figures).collect(),
            _ => Vec::new(),
        }
    }

    fn to_markdown(&self) -> Vec<String> {
        match self {
            Self::Table { title, note, table } => {
                let note = if note.is_empty() { String::new() } else { format!("\n{note}\n") };
                vec![format!("**{title}**\n\n{}{note}", table.to_markdown())]
            }
            Self::Folded { blocks, .. } => blocks.iter().flat_map(Self::to_markdown).collect(),
            _ => Vec::new(),
        }
    }
}

/// What is reported on, in a line.
fn lead(results: &Results) -> String {
    let experiment = results.experiment();
    let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let seeds: usize = results.parties.iter().map(|party| party.runs.len()).sum();
    let parties = match results.parties.len() {
        1 => count(seeds, "run"),
        n => format!("{n} parties, {}", count(seeds, "run")),
    };
    let online = experiment.learn.online;
    format!(
        "{}, {parties}; {} demonstrations in {}, {} own episodes in {}",
        experiment.task.describe(),
        experiment.demonstrations.episodes,
        experiment.demonstrations.domain,
        online.iterations as usize * online.episodes_per_iteration,
        experiment.online_domain,
    )
}

/// Interquartile mean over seeds with its interval.
fn over_seeds(scores: &[f64]) -> Option<Estimate> {
    stratified_bootstrap(&[scores.to_vec()], BOOTSTRAP_SEED, iqm)
}

/// A number as tables show it where it has no column of its own.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 1e4 => format!("{:.0} k", value / 1e3),
        size if (0.005..100.0).contains(&size) && value.fract() != 0.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}
