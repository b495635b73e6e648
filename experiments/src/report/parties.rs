//! Parties beside each other: final scores, performance profiles, probability of improvement, what was expected, cost.

use super::outcome::estimate;
use super::{BOOTSTRAP_SEED, Block, Section, budget};
use crate::comparison;
use crate::evaluation::{EvaluationRecord, Statistic};
use crate::figure::{Curve, Figure, Grid, N_COLORS, Plot, Point, Row, Rows, Series};
use crate::results::{Party, Results};
use crate::statistics::{Estimate, bootstrap_improvement, share_above, stratified_bootstrap};
use learn::Stage;
use std::collections::BTreeMap;

/// Thresholds of a performance profile.
const N_THRESHOLDS: usize = 41;

/// The section; what there was no data for goes to `missing`.
pub fn section(results: &Results, missing: &mut Vec<String>) -> Option<Section> {
    let mut blocks = Vec::new();
    let (mut figures, mut folded) = (Vec::new(), Vec::new());
    if let Some(last) = results.last_stage() {
        if results.parties.len() > 1 {
            figures.extend(final_scores(results, last));
            if results.has_seeds() {
                figures.push(profile(results, last));
                figures.push(improvement(results, last));
            } else {
                missing.push("performance profile and probability of improvement, which need several seeds".into());
            }
        }
        match latency(results, last) {
            Some(figure) if results.parties.len() > 1 => figures.push(figure),
            Some(_) => {}
            None => missing.push("time per chunk".into()),
        }
        let maps = maps(results);
        figures.retain(|figure| figure.to_inline(360.0).is_ok());
        if maps.is_empty() {
            missing.push("candidates x temperature".into());
        } else if maps.len() <= 3 {
            figures.extend(maps);
        } else {
            folded
                .push(Block::Folded { title: "Candidates and temperature".into(), blocks: vec![Block::Figures(maps)] });
        }
    }
    if !figures.is_empty() {
        blocks.push(Block::Figures(figures));
    }
    blocks.extend(folded);
    blocks.extend(budget::block(results));
    if let Some(study) = &results.study {
        let values = comparison::values(study, results);
        let mut entries = comparison::entries(study, &values);
        let mut note = match entries.iter().any(|entry| !entry.holds.is_empty()) {
            false => "The study expects nothing in particular.".to_owned(),
            true => format!("{}.", comparison::verdict(&entries)),
        };
        let is_run = |name: &str| results.parties.iter().any(|party| party.name == name);
        let names = study.parties.iter().map(|party| party.name.as_str());
        let not_run: Vec<&str> = names.filter(|name| !is_run(name)).collect();
        if !not_run.is_empty() {
            note += &format!(" Not run yet: {}.", not_run.join(", "));
        }
        let n_seeds = study.seeds.len();
        let partial = results.parties.iter().filter(|party| party.runs.len() < n_seeds);
        let partial: Vec<String> = partial.map(|party| format!("{} {}", party.name, party.runs.len())).collect();
        if !partial.is_empty() {
            note += &format!(" With fewer than {n_seeds} seeds: {}.", partial.join(", "));
        }
        entries.retain(|entry| is_run(entry.party));
        let measured = comparison::figures(study, &entries);
        if measured.is_empty() {
            missing.push("what the study measures, which needs finished runs".into());
        } else {
            let table = comparison::table(&entries);
            blocks.push(Block::Folded {
                title: format!("What the study measured, seed by seed. {note}"),
                blocks: vec![Block::Figures(measured), Block::Table { title: "Measures".into(), note, table }],
            });
        }
    }
    (!blocks.is_empty()).then(|| Section { title: "Compared".into(), blocks })
}

/// The headline and the share of successes at the end.
fn final_scores(results: &Results, last: Stage) -> Vec<Figure> {
    let headline = results.headline();
    let success = Statistic::Share("succeeded".into());
    let mut wanted =
        vec![("final", format!("{}, {}", headline.y_label, last.name()), headline.column.statistic.clone())];
    if headline.column.statistic != success {
        wanted.push(("success", format!("episodes that succeed, {}", last.name()), success));
    }
    let figure = |(name, label, statistic): (&str, String, Statistic)| {
        let row = |(color, party): (usize, &Party)| Row {
            name: party.name.clone(),
            color,
            estimate: estimate(party, last, &statistic),
            dots: party.scores(last, &statistic).into_iter().map(|(_, score)| score).collect(),
            bounds: Vec::new(),
        };
        let rows = results.parties.iter().enumerate().map(row).collect();
        Figure {
            name: name.into(),
            title: format!("Final: {label}"),
            note: "Bar: IQM with its 95 % interval over seeds; of a single run, the interval over its episodes. A dot a seed."
                .into(),
            plot: Plot::Rows(Rows { x_label: label, range: None, reference: None, rows }),
        }
    };
    wanted.into_iter().map(figure).collect()
}

/// Share of runs that score above a threshold.
fn profile(results: &Results, last: Stage) -> Figure {
    let headline = results.headline();
    let scores: Vec<(usize, &Party, Vec<f64>)> = results
        .parties
        .iter()
        .enumerate()
        .map(|(color, party)| {
            let scores = party.scores(last, &headline.column.statistic);
            (color, party, scores.into_iter().map(|(_, score)| score).collect())
        })
        .collect();
    let all = || scores.iter().flat_map(|(.., scores): &(_, _, Vec<f64>)| scores.iter().copied());
    let (low, high) = (all().fold(f64::INFINITY, f64::min).min(0.0), all().fold(f64::NEG_INFINITY, f64::max));
    let point = |threshold: f64, scores: &Vec<f64>| {
        let strata = std::slice::from_ref(scores);
        let estimate = stratified_bootstrap(strata, BOOTSTRAP_SEED, |drawn| share_above(drawn, threshold))?;
        let Estimate { value, low, high } = estimate;
        Some(Point { x: threshold, y: value, low, high })
    };
    let thresholds = || (0..N_THRESHOLDS).map(|index| low + (high - low) * index as f64 / (N_THRESHOLDS - 1) as f64);
    let series = |(color, party, scores): &(usize, &Party, Vec<f64>)| Series {
        name: party.name.clone(),
        color: (*color < N_COLORS).then_some(*color),
        points: if high > low { thresholds().filter_map(|at| point(at, scores)).collect() } else { Vec::new() },
    };
    Figure {
        name: "performance_profile".into(),
        title: "Performance profile".into(),
        note: format!("Share of runs that score more, with 95 % intervals point by point.{}", grey_note(results)),
        plot: Plot::Curve(Curve {
            x_label: format!("threshold, {}", headline.y_label),
            y_label: "share of runs".into(),
            series: scores.iter().map(series).collect(),
            markers: Vec::new(),
            levels: Vec::new(),
        }),
    }
}

/// What the note of a figure with more parties than colours says.
pub fn grey_note(results: &Results) -> String {
    match results.parties.get(N_COLORS..) {
        Some(grey) if !grey.is_empty() => {
            let names: Vec<&str> = grey.iter().map(|party| party.name.as_str()).collect();
            format!(" In grey: {}.", names.join(", "))
        }
        _ => String::new(),
    }
}

/// Probability that a run of the first party scores more than one of another.
fn improvement(results: &Results, last: Stage) -> Figure {
    let statistic = results.headline().column.statistic;
    let scores =
        |party: &Party| vec![party.scores(last, &statistic).into_iter().map(|(_, score)| score).collect::<Vec<f64>>()];
    let first = &results.parties[0];
    let row = |(color, party): (usize, &Party)| {
        let estimate = bootstrap_improvement(&scores(first), &scores(party), BOOTSTRAP_SEED)?;
        let name = format!("over {}", party.name);
        Some(Row { name, color, estimate: Some(estimate), dots: Vec::new(), bounds: Vec::new() })
    };
    Figure {
        name: "probability_of_improvement".into(),
        title: format!("Probability that {} does better", first.name),
        note: "That a run of it scores more than a run of the other, equal scores counting half; 95 % intervals over seeds. At \
               0.5 neither is better."
            .into(),
        plot: Plot::Rows(Rows {
            x_label: "probability of improvement".into(),
            range: Some([0.0, 1.0]),
            reference: Some(0.5),
            rows: results.parties.iter().enumerate().skip(1).filter_map(row).collect(),
        }),
    }
}

/// Time to choose a chunk against the headline.
fn latency(results: &Results, last: Stage) -> Option<Figure> {
    let headline = results.headline();
    let series = |(color, party): (usize, &Party)| {
        let ms = party.cost()?.ms_per_chunk;
        let Estimate { value, low, high } = estimate(party, last, &headline.column.statistic)?;
        let points = vec![Point { x: ms, y: value, low, high }];
        Some(Series { name: party.name.clone(), color: (color < N_COLORS).then_some(color), points })
    };
    let series: Vec<Series> = results.parties.iter().enumerate().filter_map(series).collect();
    (!series.is_empty()).then(|| Figure {
        name: "latency".into(),
        title: "What a chunk costs".into(),
        note: format!(
            "Median time to choose one as deployed, on the machine that trained, beside all else that it did.{}",
            grey_note(results)
        ),
        plot: Plot::Curve(Curve {
            x_label: "ms per chunk".into(),
            y_label: headline.y_label.into(),
            series,
            markers: Vec::new(),
            levels: Vec::new(),
        }),
    })
}

/// The headline for every number of candidates and temperature that a party was evaluated with after a stage: the mean over
/// runs, where there are at least three.
fn maps(results: &Results) -> Vec<Figure> {
    let headline = results.headline();
    let mut figures = Vec::new();
    for party in &results.parties {
        for stage in Stage::ALL {
            let mut cells: BTreeMap<(u64, usize), Vec<f64>> = BTreeMap::new();
            for run in &party.runs {
                let last_step = party.at_end(run, stage).map(|record| record.step);
                let is_meant = |record: &&EvaluationRecord| {
                    record.policy == stage.name()
                        && record.domain == party.experiment.online_domain
                        && Some(record.step) == last_step
                };
                for record in run.evaluations.iter().filter(is_meant) {
                    if let Some(value) = headline.column.statistic.value(&record.outcomes) {
                        // Positive numbers are ordered as their bits are.
                        cells.entry((record.temperature.to_bits(), record.n_candidates)).or_default().push(value);
                    }
                }
            }
            if cells.len() >= 3 {
                figures.push(map(party, stage, headline.y_label, &cells));
            }
        }
    }
    figures
}

fn map(party: &Party, stage: Stage, of: &str, cells: &BTreeMap<(u64, usize), Vec<f64>>) -> Figure {
    let mut temperatures: Vec<u64> = cells.keys().map(|&(temperature, _)| temperature).collect();
    temperatures.dedup();
    let mut candidates: Vec<usize> = cells.keys().map(|&(_, n)| n).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let cell = |temperature: u64, n: usize| {
        let values = cells.get(&(temperature, n))?;
        Some(values.iter().sum::<f64>() / values.len() as f64)
    };
    let row = |&temperature: &u64| candidates.iter().map(|&n| cell(temperature, n)).collect();
    Figure {
        name: format!("candidates_{}_{}", party.name, stage.name()),
        title: format!("Candidates and temperature: {}, {}", party.name, stage.name()),
        note: format!("{of}, mean over runs."),
        plot: Plot::Grid(Grid {
            x_label: "candidates".into(),
            y_label: "temperature".into(),
            columns: candidates.iter().map(ToString::to_string).collect(),
            rows: temperatures.iter().map(|&bits| f64::from_bits(bits).to_string()).collect(),
            cells: temperatures.iter().map(row).collect(),
        }),
    }
}
