//! What came of it: the numbers that matter most, the headline over own episodes, and every stage with every column.

use super::switch::Switch;
use super::{Block, Section, number, over_seeds};
use crate::Cost;
use crate::evaluation::{Column, EvaluationRecord, Statistic};
use crate::figure::{Curve, Figure, Level, Marker, N_COLORS, Plot, Point, Series};
use crate::results::{Party, Results, Run};
use crate::statistics::{Estimate, mean, wilson};
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
    match curve_figures(results) {
        figures if figures.is_empty() => missing.push("the curve over own episodes".into()),
        mut figures if figures.len() == 1 => blocks.extend(figures.pop().map(Block::Wide)),
        figures => {
            let (title, domain) = (results.headline().title, &results.experiment().online_domain);
            let words =
                format!("{title} in {domain}, a picture a party with all others in grey. {}", curve_note(results));
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
    blocks.extend(curves(results));
    Ok((!blocks.is_empty()).then(|| Section { title: "What came of it".into(), blocks }))
}

/// The headline of a party at the end of a stage with its interval: over seeds, or over the episodes of a single run.
pub fn estimate(party: &Party, stage: Stage, statistic: &Statistic) -> Option<Estimate> {
    match &party.runs[..] {
        [run] => statistic.of(&party.at_end(run, stage)?.outcomes),
        _ => over_seeds(&party.scores(stage, statistic).into_iter().map(|(_, score)| score).collect::<Vec<_>>()),
    }
}

/// A run's curve over own episodes. A snapshot's score is that of its longest evaluation, so that nothing seems to change as long
/// as none is deployed.
pub fn curve(party: &Party, run_idx: usize, statistic: &Statistic) -> Vec<(f64, f64)> {
    let records = party.online(&party.runs[run_idx]);
    let point = |record: &&EvaluationRecord| {
        let of_snapshot = records.iter().filter(|other| other.snapshot == record.snapshot);
        let longest = of_snapshot.max_by_key(|other| other.outcomes.len())?;
        Some((record.own_episodes as f64, statistic.value(&longest.outcomes)?))
    };
    records.iter().filter_map(point).collect()
}

/// The score that has no regret: 1 for a share, else the best that any party came to on average.
fn best(results: &Results, statistic: &Statistic) -> f64 {
    if matches!(statistic, Statistic::Share(_) | Statistic::SucceededWith { .. }) {
        return 1.0;
    }
    let points = results.parties.iter().flat_map(|party| points(party, statistic, Axis::Episodes));
    points.map(|point| point.y).fold(f64::NEG_INFINITY, f64::max)
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

/// The headline over own episodes; with many parties one picture a party, the others behind it.
fn curve_figures(results: &Results) -> Vec<Figure> {
    let headline = results.headline();
    let axis = Axis::of(results);
    let lines: Vec<(usize, &Party, Vec<Point>)> = results
        .parties
        .iter()
        .enumerate()
        .map(|(color, party)| (color, party, points(party, &headline.column.statistic, axis)))
        .filter(|(.., points)| points.len() > 1)
        .collect();
    let figure = |name: String, title: String, note: &str, series: Vec<Series>, levels: Vec<Level>| Figure {
        name,
        title,
        note: note.into(),
        plot: Plot::Curve(Curve {
            x_label: axis.label().into(),
            y_label: headline.y_label.into(),
            series,
            markers: vec![Marker { x: 0.0, label: "offline | online".into() }],
            levels,
        }),
    };
    if lines.is_empty() {
        return Vec::new();
    }
    if lines.len() <= N_COLORS {
        let title = format!("{}, {}", headline.title, results.experiment().online_domain);
        let series = |(color, party, points): &(usize, &Party, Vec<Point>)| {
            let name = if lines.len() == 1 { "deployed".into() } else { party.name.clone() };
            Series { name, color: Some(*color), points: points.clone() }
        };
        let levels = if let [(_, party, _)] = &lines[..] { levels(party, &headline.column) } else { Vec::new() };
        return vec![figure("headline".into(), title, curve_note(results), lines.iter().map(series).collect(), levels)];
    }
    let of_party = |(color, party, points): &(usize, &Party, Vec<Point>)| {
        let others = lines.iter().filter(|(other, ..)| other != color);
        let behind = others.map(|(.., points)| Series { name: String::new(), color: None, points: points.clone() });
        let own = Series { name: String::new(), color: Some(0), points: points.clone() };
        let series = behind.chain([own]).collect();
        figure(format!("headline_{}", party.name), party.name.clone(), "", series, Vec::new())
    };
    lines.iter().map(of_party).collect()
}

fn curve_note(results: &Results) -> &'static str {
    if results.has_seeds() {
        "IQM over seeds and its 95 % interval. At 0 stands what the offline stage left."
    } else {
        "Bands: 95 % over the episodes of an evaluation, rollout noise alone. At 0 stands what the offline stage left."
    }
}

/// What stays as it is beside the curve of a single party: imitation, and the demonstrator.
fn levels(party: &Party, column: &Column) -> Vec<Level> {
    let imitation = estimate(party, Stage::Imitation, &column.statistic);
    let demonstrators = party.runs.first().into_iter().flat_map(|run| &run.evaluations);
    let demonstrator = demonstrators
        .filter(|record| record.policy == "demonstrator" && record.domain == party.experiment.online_domain)
        .find_map(|record| column.statistic.value(&record.outcomes));
    let level = |value: Option<f64>, name: &str| value.map(|value| Level { value, name: name.into() });
    let imitation = level(imitation.map(|estimate| estimate.value), "imitation");
    imitation.into_iter().chain(level(demonstrator, "demonstrator")).collect()
}

/// What curves run along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    /// Own episodes.
    Episodes,
    /// Control steps of the own episodes: what a method really had of the robot. Who drops early has less of it.
    Steps,
}

impl Axis {
    /// Steps, where all evaluations know them.
    fn of(results: &Results) -> Self {
        let runs = results.parties.iter().flat_map(|party| party.runs.iter().map(move |run| (party, run)));
        let mut records = runs.flat_map(|(party, run)| party.online(run));
        if records.all(|record| record.own_steps.is_some()) { Self::Steps } else { Self::Episodes }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Episodes => "own episodes",
            Self::Steps => "own environment steps",
        }
    }

    fn place(self, record: &EvaluationRecord) -> f64 {
        match self {
            Self::Episodes => record.own_episodes as f64,
            Self::Steps => record.own_steps.unwrap_or_default() as f64,
        }
    }
}

/// A party's curve. Of several seeds it has a point where all of them were evaluated after the same number of own episodes, at
/// the mean of their places.
fn points(party: &Party, statistic: &Statistic, axis: Axis) -> Vec<Point> {
    if let [run] = &party.runs[..] {
        let point = |record: &&EvaluationRecord| {
            let Estimate { value, low, high } = statistic.of(&record.outcomes)?;
            Some(Point { x: axis.place(record), y: value, low, high })
        };
        return party.online(run).iter().filter_map(point).collect();
    }
    let curves: Vec<Vec<(f64, f64)>> = (0..party.runs.len()).map(|run_idx| curve(party, run_idx, statistic)).collect();
    let curves: Vec<_> = curves.into_iter().filter(|curve| !curve.is_empty()).collect();
    let Some(first) = curves.first() else { return Vec::new() };
    let place_of = |own_episodes: f64| {
        let is_meant = |record: &&EvaluationRecord| record.own_episodes as f64 == own_episodes;
        let places =
            party.runs.iter().filter_map(|run| Some(axis.place(party.online(run).into_iter().find(is_meant)?)));
        mean(&places.collect::<Vec<_>>())
    };
    let point = |&(own_episodes, _): &(f64, f64)| {
        let here = |curve: &Vec<(f64, f64)>| curve.iter().find(|point| point.0 == own_episodes).map(|point| point.1);
        let Estimate { value, low, high } = over_seeds(&curves.iter().map(here).collect::<Option<Vec<f64>>>()?)?;
        Some(Point { x: place_of(own_episodes)?, y: value, low, high })
    };
    first.iter().filter_map(point).collect()
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
        let curves = (0..party.runs.len()).map(|run_idx| curve(party, run_idx, statistic));
        let values: Option<Vec<f64>> =
            curves.filter_map(|curve| Switch::of(&curve, best)).map(|switch| of(&switch)).collect();
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
            " Drop depth: by how much {unit} fell in the first tenth of the own episodes. Regret: how far below {} they were \
             on average. Half way: own episodes until half of the improvement, if every seed improved. All three are means over \
             seeds. Behind a gate nothing new is deployed before there is something to compare it with, so nothing drops early. \
             ms/chunk: median over runs, beside whatever else the machine did.",
            number(best)
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
         their mean, from the lowest to the highest. A single run's interval is over its episodes: rollout noise alone."
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
    let mut table = Table::new(header);
    for party in &results.parties {
        for (policy, domain, records) in rows(party, &party.runs) {
            let mut row = if with_party { vec![party.name.clone()] } else { Vec::new() };
            let n_episodes: usize = records.iter().map(|record| record.outcomes.len()).sum();
            row.extend([policy, domain]);
            row.extend(columns.iter().map(|column| cell(column, &records)));
            row.extend([records.len().to_string(), n_episodes.to_string()]);
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

/// Every seed's numbers, and the successes of all rollouts pooled.
fn seeds(results: &Results, last: Stage) -> Block {
    let headline = results.headline();
    let mut table = Table::new([
        "party".to_owned(),
        format!("{} of every seed, {}", headline.column.header, last.name()),
        "success, pooled rollouts [95 %]".to_owned(),
    ]);
    for party in &results.parties {
        let scores = party.scores(last, &headline.column.statistic);
        let shown = |(seed, score): &(u64, f64)| format!("{seed}: {score:.*}", headline.column.digits);
        let records = party.runs.iter().filter_map(|run| party.at_end(run, last));
        let outcomes: Vec<_> = records.flat_map(|record| &record.outcomes).collect();
        let n_succeeded = outcomes.iter().filter(|outcome| outcome.succeeded).count();
        let pooled = wilson(n_succeeded, outcomes.len()).map(|Estimate { value, low, high }| {
            format!("{value:.2} [{low:.2}, {high:.2}], {n_succeeded} of {}", outcomes.len())
        });
        let scores = scores.iter().map(shown).collect::<Vec<_>>().join(", ");
        table.push([party.name.clone(), scores, pooled.unwrap_or_default()]);
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

/// The headline of every run over its own episodes.
fn curves(results: &Results) -> Option<Block> {
    let headline = results.headline();
    let runs = || results.parties.iter().flat_map(|party| (0..party.runs.len()).map(move |run_idx| (party, run_idx)));
    let curve_of = |(party, run_idx): (&Party, usize)| curve(party, run_idx, &headline.column.statistic);
    let mut own_episodes: Vec<f64> = runs().flat_map(curve_of).map(|point| point.0).filter(|&x| x > 0.0).collect();
    own_episodes.sort_by(f64::total_cmp);
    own_episodes.dedup();
    if own_episodes.is_empty() {
        return None;
    }
    own_episodes.insert(0, 0.0);
    let header = ["party", "seed"].map(str::to_owned).into_iter().chain(own_episodes.iter().map(f64::to_string));
    let mut table = Table::new(header);
    for (party, run_idx) in runs() {
        let curve = curve_of((party, run_idx));
        let at = |x: &f64| curve.iter().find(|point| point.0 == *x).map(|point| point.1);
        let cells = own_episodes.iter().map(|x| at(x).map(|y| format!("{y:.*}", headline.column.digits)));
        let name = [party.name.clone(), party.runs[run_idx].seed.to_string()];
        table.push(name.into_iter().chain(cells.map(Option::unwrap_or_default)));
    }
    let title = format!("{} after so many own episodes", headline.column.header);
    let note = "A snapshot's number is that of its longest evaluation: the same as long as none is deployed.".into();
    let table = Block::Table { title: title.clone(), note, table };
    Some(Block::Folded { title, blocks: vec![table] })
}
