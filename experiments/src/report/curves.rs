//! The headline as own episodes come in: figures over what the hand had done, and a table of every run.

use super::outcome::estimate;
use super::{Block, over_seeds};
use crate::evaluation::{Column, EvaluationRecord, Statistic};
use crate::figure::{Curve, Figure, Level, Marker, N_COLORS, Plot, Point, Series};
use crate::results::{Party, Results, Run};
use crate::statistics::{Estimate, mean};
use crate::table::Table;
use learn::Stage;

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

/// What every evaluation of a run after the switch lost of the score at the switch, by own episodes: of the episodes that both have.
pub fn losses(party: &Party, run_idx: usize, statistic: &Statistic) -> Vec<(f64, f64)> {
    let records = party.online(&party.runs[run_idx]);
    let Some((switch, later)) = records.split_first() else { return Vec::new() };
    let loss = |record: &&EvaluationRecord| {
        let n_both = switch.outcomes.len().min(record.outcomes.len());
        let [before, after] = [switch, record].map(|record| statistic.value(&record.outcomes[..n_both]));
        Some((record.own_episodes as f64, before? - after?))
    };
    later.iter().filter_map(loss).collect()
}

/// The headline over own episodes; with many parties one picture a party, the others behind it.
pub fn figures(results: &Results) -> Vec<Figure> {
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
        return vec![figure("headline".into(), title, note(results), lines.iter().map(series).collect(), levels)];
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

pub fn note(results: &Results) -> &'static str {
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
pub enum Axis {
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
            Self::Steps => "own control steps",
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
pub fn points(party: &Party, statistic: &Statistic, axis: Axis) -> Vec<Point> {
    let evaluated: Vec<&Run> = party.runs.iter().filter(|run| !party.online(run).is_empty()).collect();
    if let [run] = &evaluated[..] {
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

/// The headline of every run over its own episodes.
pub fn table(results: &Results) -> Option<Block> {
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
