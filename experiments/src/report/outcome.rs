//! What came of it: the numbers that matter most, the headline over own episodes, and every stage with every column.

use super::curves::{self, Axis, curve, losses, points};
use super::switch::Switch;
use super::{Block, Section, number, over_seeds};
use crate::Cost;
use crate::evaluation::{Column, EvaluationRecord, Statistic};
use crate::results::{Party, Results, Run};
use crate::statistics::{Estimate, wilson};
use crate::table::Table;
use color_eyre::eyre::Result;
use learn::Stage;

/// The section; what there was no data for goes to `missing`.
pub fn section(results: &Results, missing: &mut Vec<String>) -> Result<Option<Section>> {
    let mut blocks = Vec::new();
    let last = results.last_stage();
    if let ([party], Some(last)) = (&results.parties[..], last) {
        blocks.push(Block::Tiles(tiles(results, party, last)));
    }
    match curves::figures(results) {
        figures if figures.is_empty() => missing.push("the curve over own episodes".into()),
        mut figures if figures.len() == 1 => blocks.extend(figures.pop().map(Block::Wide)),
        figures => {
            let (title, domain) = (results.headline().title, &results.experiment().online_domain);
            let words =
                format!("{title} in {domain}, a picture a party with all others in grey. {}", curves::note(results));
            blocks.extend([Block::Words(words), Block::Figures(figures)]);
        }
    }
    match last {
        Some(last) => blocks.extend(summary(results, last)),
        None => missing.push("evaluations in the online domain".into()),
    }
    let stages = stages(results);
    if stages.parts().is_some_and(|(_, rows)| !rows.is_empty()) {
        let table = Block::Table { title: "Every stage".into(), note: interval_note(results), table: stages };
        if results.parties.len() > 3 {
            blocks.push(Block::Folded { title: "Every stage, domain and column".into(), blocks: vec![table] });
        } else {
            blocks.push(table);
        }
    }
    if let Some(last) = last {
        blocks.push(seeds(results, last));
    }
    blocks.extend(runs(results));
    blocks.extend(curves::table(results));
    Ok((!blocks.is_empty()).then(|| Section { title: "What came of it".into(), blocks }))
}

/// The headline of a party at the end of a stage with its interval: over seeds, or over the episodes of a single run.
pub fn estimate(party: &Party, stage: Stage, statistic: &Statistic) -> Option<Estimate> {
    let evaluated: Vec<&EvaluationRecord> = party.runs.iter().filter_map(|run| party.at_end(run, stage)).collect();
    match &evaluated[..] {
        [only] => statistic.of(&only.outcomes),
        _ => over_seeds(&party.scores(stage, statistic).into_iter().map(|(_, score)| score).collect::<Vec<_>>()),
    }
}

/// The score that has no regret: 1 for a share, else the best that any party came to on average.
fn best(results: &Results, statistic: &Statistic) -> f64 {
    if is_share(statistic) {
        return 1.0;
    }
    let points = results.parties.iter().flat_map(|party| points(party, statistic, Axis::Episodes));
    points.map(|point| point.y).fold(f64::NEG_INFINITY, f64::max)
}

const fn is_share(statistic: &Statistic) -> bool {
    matches!(statistic, Statistic::Share(_) | Statistic::SucceededWith { .. })
}

fn tiles(results: &Results, party: &Party, last: Stage) -> Vec<[String; 3]> {
    let headline = results.headline();
    let tile = |stage: Stage, name: &str| {
        let estimate = estimate(party, stage, &headline.column.statistic)?;
        let text = headline.column.format(estimate);
        let (value, interval) = text.split_once(" [").map_or((text.as_str(), ""), |(value, rest)| (value, rest));
        let interval = interval.trim_end_matches(']').replace(", ", " to ");
        Some([name.to_owned(), value.to_owned(), interval])
    };
    let mut tiles = Vec::new();
    if last != Stage::Imitation {
        tiles.extend(tile(Stage::Imitation, &format!("{}, imitation", headline.y_label)));
    }
    if last == Stage::Online {
        tiles.extend(tile(Stage::Offline, &format!("{}, at the switch to online", headline.y_label)));
    }
    tiles.extend(tile(last, &format!("{}, {}", headline.y_label, last.name())));
    if let Some(success) = estimate(party, last, &Statistic::Share("succeeded".into())) {
        let interval = format!("{:.0} to {:.0} %", 1e2 * success.low, 1e2 * success.high);
        tiles.push(["episodes that succeed".into(), format!("{:.0} %", 1e2 * success.value), interval]);
    }
    if let Some(cost) = party.cost() {
        let weights = format!("{} policy weights", number(cost.policy_parameters as f64));
        tiles.push(["ms to choose a chunk".into(), format!("{:.1}", cost.ms_per_chunk), weights]);
    }
    tiles
}

/// A row a party: where it began, where it ended, what happened at the switch, and what it costs. A column that nobody has a
/// number for is left out; a single party's stages have a table of their own.
fn summary(results: &Results, last: Stage) -> Option<Block> {
    let headline = results.headline();
    let statistic = &headline.column.statistic;
    let best = best(results, statistic);
    let unit = &headline.column.header;
    let success = Column::share("success", "success", "succeeded");
    let shown = |party: &Party, stage: Stage, column: &Column| {
        estimate(party, stage, &column.statistic).map(|estimate| column.format(estimate)).unwrap_or_default()
    };
    let mut columns = vec![column("party", results, &|party| party.name.clone())];
    columns.push(column("runs", results, &|party| party.runs.len().to_string()));
    if results.parties.len() > 1 {
        for stage in Stage::ALL.into_iter().filter(|&stage| stage <= last && stage != Stage::Warmup) {
            let header = format!("{unit}, {} [95 %]", stage.name());
            columns.push(column(&header, results, &|party| shown(party, stage, &headline.column)));
        }
        if *statistic != success.statistic {
            let header = format!("success, {} [95 %]", last.name());
            columns.push(column(&header, results, &|party| shown(party, last, &success)));
        }
    }
    let over_runs = |party: &Party, of: &dyn Fn(&Switch) -> Option<f64>| {
        let switch = |run_idx| Switch::of(&curve(party, run_idx, statistic), &losses(party, run_idx, statistic), best);
        let values: Option<Vec<f64>> = (0..party.runs.len()).filter_map(switch).map(|switch| of(&switch)).collect();
        let values = values.filter(|values| !values.is_empty());
        values.map(|values| number(values.iter().sum::<f64>() / values.len() as f64)).unwrap_or_default()
    };
    columns.push(column("drop depth", results, &|party| over_runs(party, &|switch| Some(switch.drop))));
    columns.push(column("regret", results, &|party| over_runs(party, &|switch| Some(switch.regret))));
    columns.push(column("half way, episodes", results, &|party| over_runs(party, &|switch| switch.half_way)));
    let cost = |party: &Party, of: &dyn Fn(Cost) -> String| party.cost().map(of).unwrap_or_default();
    columns
        .push(column("policy weights", results, &|party| cost(party, &|cost| number(cost.policy_parameters as f64))));
    columns
        .push(column("critic weights", results, &|party| cost(party, &|cost| number(cost.critic_parameters as f64))));
    columns.push(column("ms/chunk", results, &|party| cost(party, &|cost| format!("{:.1}", cost.ms_per_chunk))));
    columns.retain(|(_, cells)| cells.iter().any(|cell| !cell.is_empty()));
    if columns.len() == 2 {
        return None;
    }

    let mut table = Table::new(columns.iter().map(|(header, _)| header.as_str()));
    for party_idx in 0..results.parties.len() {
        table.push(columns.iter().map(|(_, cells)| cells[party_idx].as_str()));
    }
    let (title, mut note) = match &results.parties[..] {
        [_] => ("At the switch to online, and after it".to_owned(), String::new()),
        _ => (format!("{} in {}", headline.title, results.experiment().online_domain), interval_note(results)),
    };
    if columns.iter().any(|(header, _)| header == "regret") {
        note += &format!(
            " Drop depth: by how much {unit} fell in the first tenth of the own episodes, in the episodes that both evaluations have. Regret: how far below {}{} they were \
             on average. Half way: own episodes until half of the improvement, if every seed improved. All three are means over \
             seeds, and of the deployed policy: behind a gate nothing new is deployed before there is something to compare it with, so \
             nothing drops early, and what challengers lost while they were tried is not in it. \
             ms/chunk: median over runs, beside whatever else the machine did.",
            number(best),
            if is_share(statistic) { "" } else { ", the highest point of any party's curve here," }
        );
    }
    Some(Block::Table { title, note: note.trim().to_owned(), table })
}

/// A header with a cell a party.
fn column(header: &str, results: &Results, cell: &dyn Fn(&Party) -> String) -> (String, Vec<String>) {
    (header.to_owned(), results.parties.iter().map(cell).collect())
}

fn interval_note(results: &Results) -> String {
    if results.has_seeds() {
        "Interquartile mean over seeds with its 95 % stratified bootstrap interval; with few seeds it is too narrow: of three it is \
         their mean, from the lowest to the highest. A single run's interval is over its episodes: rollout noise alone; so is that over \
         pooled rollouts."
            .into()
    } else {
        "Intervals are over the episodes of one run: rollout noise alone, nothing about other seeds.".into()
    }
}

/// A row for every policy of every party in every domain.
fn stages(results: &Results) -> Table {
    let columns = results.experiment().task.columns();
    let with_party = results.parties.len() > 1;
    let mut header: Vec<String> = if with_party { vec!["party".into()] } else { Vec::new() };
    header.extend(["policy", "domain"].map(str::to_owned));
    header.extend(columns.iter().map(Column::title));
    header.extend(["runs", "episodes"].map(str::to_owned));
    if results.has_seeds() {
        header.push(POOLED.into());
    }
    let mut table = Table::new(header);
    for party in &results.parties {
        for (policy, domain, records) in rows(party, &party.runs) {
            let mut row = if with_party { vec![party.name.clone()] } else { Vec::new() };
            let n_episodes: usize = records.iter().map(|record| record.outcomes.len()).sum();
            row.extend([policy, domain]);
            row.extend(columns.iter().map(|column| cell(column, &records)));
            row.extend([records.len().to_string(), n_episodes.to_string()]);
            if results.has_seeds() {
                row.push(pooled(&records));
            }
            table.push(row);
        }
    }
    table
}

/// The last evaluation of every policy in every domain, of `runs`.
fn rows<'a>(party: &'a Party, runs: &'a [Run]) -> Vec<(String, String, Vec<&'a EvaluationRecord>)> {
    let mut domains: Vec<&str> = Vec::new();
    for record in runs.iter().flat_map(|run| &run.evaluations) {
        if !domains.contains(&record.domain.as_str()) {
            domains.push(&record.domain);
        }
    }
    // The domain that stands for the robot comes last, as in the final table of a training.
    domains.sort_by_key(|domain| *domain == party.experiment.online_domain);
    let mut rows = Vec::new();
    for domain in domains {
        let of_demonstrator = |record: &&EvaluationRecord| record.policy == "demonstrator" && record.domain == domain;
        // The demonstrator learns nothing: it is the same in all runs.
        let all = runs.iter().flat_map(|run| &run.evaluations);
        let demonstrator = all.filter(of_demonstrator).take(1).collect();
        rows.push(("demonstrator".to_owned(), domain.to_owned(), demonstrator));
        for stage in Stage::ALL {
            let records = runs.iter().filter_map(|run| party.at_end_in(run, stage, domain)).collect();
            rows.push((stage.name().to_owned(), domain.to_owned(), records));
        }
    }
    rows.retain(|(.., records): &(_, _, Vec<_>)| !records.is_empty());
    rows
}

fn cell(column: &Column, records: &[&EvaluationRecord]) -> String {
    let estimate = match records {
        [record] => column.statistic.of(&record.outcomes),
        _ => {
            let values: Option<Vec<f64>> =
                records.iter().map(|record| column.statistic.value(&record.outcomes)).collect();
            values.and_then(|values| over_seeds(&values))
        }
    };
    estimate.map(|estimate| column.format(estimate)).unwrap_or_default()
}

/// Over a column of [`pooled`].
const POOLED: &str = "success, pooled rollouts [95 %]";

/// Successes of all rollouts together, with Wilson's interval.
fn pooled(records: &[&EvaluationRecord]) -> String {
    let n_episodes = records.iter().map(|record| record.outcomes.len()).sum();
    let n_succeeded = records.iter().flat_map(|record| &record.outcomes).filter(|outcome| outcome.succeeded).count();
    let shown = |Estimate { value, low, high }: Estimate| {
        format!("{value:.2} [{low:.2}, {high:.2}], {n_succeeded} of {n_episodes}")
    };
    wilson(n_succeeded, n_episodes).map(shown).unwrap_or_default()
}

/// Every seed's numbers, and the successes of all rollouts pooled.
fn seeds(results: &Results, last: Stage) -> Block {
    let headline = results.headline();
    let mut table = Table::new([
        "party".to_owned(),
        format!("{} of every seed, {}", headline.column.header, last.name()),
        POOLED.to_owned(),
    ]);
    for party in &results.parties {
        let scores = party.scores(last, &headline.column.statistic);
        let shown = |(seed, score): &(u64, f64)| format!("{seed}: {score:.*}", headline.column.digits);
        let records: Vec<_> = party.runs.iter().filter_map(|run| party.at_end(run, last)).collect();
        let scores = scores.iter().map(shown).collect::<Vec<_>>().join(", ");
        table.push([party.name.clone(), scores, pooled(&records)]);
    }
    let note = "Wilson's interval over pooled rollouts is rollout noise: it does not hold what varies between seeds.";
    let table = Block::Table { title: "Every seed".into(), note: note.into(), table };
    Block::Folded { title: "Every seed, and rollouts pooled".into(), blocks: vec![table] }
}

/// Every stage of every run, where one party has several.
fn runs(results: &Results) -> Option<Block> {
    let [party] = &results.parties[..] else { return None };
    if party.runs.len() < 2 {
        return None;
    }
    let columns = results.experiment().task.columns();
    let header = ["seed", "policy", "domain"].map(str::to_owned).into_iter().chain(columns.iter().map(Column::title));
    let mut table = Table::new(header);
    for run in &party.runs {
        for (policy, domain, records) in rows(party, std::slice::from_ref(run)) {
            let cells = columns.iter().map(|column| cell(column, &records));
            table.push([run.seed.to_string(), policy, domain].into_iter().chain(cells));
        }
    }
    let note = "Intervals are over the episodes of one run: rollout noise alone.".into();
    let table = Block::Table { title: "Every stage of every seed".into(), note, table };
    Some(Block::Folded { title: "Every stage of every seed".into(), blocks: vec![table] })
}
