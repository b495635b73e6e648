//! Parties over several tasks: successes, as the one score that all tasks have in common, with the tasks as strata.

use super::{BOOTSTRAP_SEED, Block, Section};
use crate::evaluation::Statistic;
use crate::figure::{Figure, Plot, Row, Rows};
use crate::results::Results;
use crate::statistics::{Estimate, bootstrap_improvement, iqm, stratified_bootstrap};
use crate::table::Table;

/// The section, where there are several tasks and a party that all of them have.
pub fn section(all: &[Results]) -> Option<Section> {
    if all.len() < 2 {
        return None;
    }
    let names = all[0].parties.iter().map(|party| party.name.as_str());
    let scored: Vec<(&str, Vec<Vec<f64>>)> = names.filter_map(|name| Some((name, scores(all, name)?))).collect();
    let (first, of_first) = scored.first()?;
    let mut table =
        Table::new(["party".to_owned(), "success, IQM [95 %]".to_owned(), format!("P({first} better) [95 %]")]);
    let mut rows = Vec::new();
    let text = |Estimate { value, low, high }: Estimate| format!("{value:.2} [{low:.2}, {high:.2}]");
    for (color, (name, scores)) in scored.iter().enumerate() {
        let estimate = stratified_bootstrap(scores, BOOTSTRAP_SEED, iqm);
        let improvement = (color > 0).then(|| bootstrap_improvement(of_first, scores, BOOTSTRAP_SEED)).flatten();
        table.push([
            (*name).to_owned(),
            estimate.map(text).unwrap_or_default(),
            improvement.map(text).unwrap_or_default(),
        ]);
        rows.push(Row { name: (*name).into(), color, estimate, dots: scores.concat(), bounds: Vec::new() });
    }
    let note = "Interquartile mean over all runs of all tasks; the bootstrap keeps every task's number of runs. Empty where a party has not as \
                many runs in every task.";
    let figure = Figure {
        name: "across_tasks".into(),
        title: "Episodes that succeed, over all tasks".into(),
        note: note.into(),
        plot: Plot::Rows(Rows { x_label: "success".into(), range: Some([0.0, 1.0]), reference: None, rows }),
    };
    let table = Block::Table { title: "Over all tasks".into(), note: note.into(), table };
    Some(Section { title: "Over all tasks".into(), blocks: vec![Block::Wide(figure), table] })
}

/// `[task][seed]` of a party that all tasks have.
fn scores(all: &[Results], name: &str) -> Option<Vec<Vec<f64>>> {
    let success = Statistic::Share("succeeded".into());
    let of_task = |results: &Results| {
        let party = results.parties.iter().find(|party| party.name == name)?;
        let scores = party.scores(results.last_stage()?, &success);
        (!scores.is_empty()).then(|| scores.into_iter().map(|(_, score)| score).collect())
    };
    all.iter().map(of_task).collect()
}
