//! What a study found: every party's numbers, their statistics over seeds, and how they compare with what was expected.
//!
//! The interval is the stratified bootstrap's of the interquartile mean over seeds (Agarwal et al. 2021), the study's task
//! being its one stratum. With few seeds it is too narrow, so every seed's number is shown too.

use crate::figure::{Figure, Plot, Row, Rows};
use crate::results::{Results, Run};
use crate::statistics::{Estimate, iqm, mean, stratified_bootstrap};
use crate::study::{Bound, Claim, Measure, Party, Seeds, Study};
use crate::table::Table;
use serde_json::{Value, json};

/// Seed of the bootstrap's resampling.
const BOOTSTRAP_SEED: u64 = 1;

/// One measure of one party.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The measure.
    pub measure: &'a Measure,
    /// The party's name.
    pub party: &'a str,
    /// A number a run, in the order of the study's seeds, where it is defined.
    pub values: Vec<Option<f64>>,
    /// Whether each thing that is expected holds; open as long as runs are missing that it is about.
    pub holds: Vec<Option<bool>>,
}

/// What results hold of a study's measures, indexed by party, run and measure; of a run that is not there yet, or not measured, nothing
/// at all.
#[must_use]
pub fn values(study: &Study, results: &Results) -> Vec<Vec<Vec<Option<f64>>>> {
    let of_run = |run: &Run| {
        let of_measure = |measure: &Measure| run.measured.iter().find(|found| found.of == measure.of)?.value;
        study.measures.iter().map(of_measure).collect()
    };
    let of_party = |party: &Party| {
        let runs = results.parties.iter().filter(|known| known.name == party.name).flat_map(|party| &party.runs);
        study
            .seeds
            .iter()
            .filter_map(|&seed| runs.clone().find(|run| run.seed == seed && !run.measured.is_empty()))
            .map(of_run)
            .collect()
    };
    study.parties.iter().map(of_party).collect()
}

/// The measures of all parties, measure after measure; `values` is indexed by party, run and measure.
#[must_use]
pub fn entries<'a>(study: &'a Study, values: &[Vec<Vec<Option<f64>>>]) -> Vec<Entry<'a>> {
    let mut entries = Vec::with_capacity(study.measures.len() * study.parties.len());
    for (measure_idx, measure) in study.measures.iter().enumerate() {
        let of_party = |party_idx: usize| -> Vec<Option<f64>> {
            values[party_idx].iter().map(|of_seed| of_seed[measure_idx]).collect()
        };
        let index_of = |name: &str| study.parties.iter().position(|party| party.name == name);
        let mean_of = |name: &str| all(&of_party(index_of(name)?)).and_then(|values| mean(&values));
        let is_whole =
            |name: &str| index_of(name).is_some_and(|party_idx| values[party_idx].len() == study.seeds.len());
        let holds = |claim: &Claim, values: &[Option<f64>]| {
            let other = claim.bound.other().unwrap_or(&claim.party);
            (is_whole(&claim.party) && is_whole(other)).then(|| claim.holds(values, &mean_of))
        };
        let parties = study.parties.iter().enumerate().filter(|(_, party)| measure.is_of(&party.name));
        for (party_idx, party) in parties {
            let values = of_party(party_idx);
            let holds = measure.claims(&party.name).map(|claim| holds(claim, &values)).collect();
            entries.push(Entry { measure, party: &party.name, values, holds });
        }
    }
    entries
}

/// The table of a study.
#[must_use]
pub fn table(entries: &[Entry<'_>]) -> Table {
    let mut table = Table::new(["measure", "party", "mean", "IQM [95 %]", "every seed", "expected", "holds"]);
    for entry in entries {
        table.push([
            entry.measure.name.clone(),
            entry.party.to_owned(),
            entry.mean().map_or_else(|| "-".into(), number),
            entry.interval().map_or_else(
                || "-".into(),
                |Estimate { value, low, high }| format!("{} [{}, {}]", number(value), number(low), number(high)),
            ),
            entry.values.iter().map(|value| value.map_or_else(|| "-".into(), number)).collect::<Vec<_>>().join(" "),
            entry.expected().join("; "),
            entry.holds.iter().map(|&holds| judged(holds)).collect::<Vec<_>>().join("; "),
        ]);
    }
    table
}

const fn judged(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "open",
    }
}

/// E.g. `4 of 6 expectations hold, 1 is open`.
#[must_use]
pub fn verdict(entries: &[Entry<'_>]) -> String {
    let n =
        |wanted: Option<bool>| entries.iter().flat_map(|entry| &entry.holds).filter(|&&holds| holds == wanted).count();
    let (n_held, n_open) = (n(Some(true)), n(None));
    let open = match n_open {
        0 => String::new(),
        1 => ", 1 is open".into(),
        n => format!(", {n} are open"),
    };
    format!("{n_held} of {} expectations hold{open}", n_held + n(Some(false)) + n_open)
}

/// The same as JSON, an object an entry.
#[must_use]
pub fn to_json(entries: &[Entry<'_>]) -> Value {
    let of = |entry: &Entry<'_>| {
        let interval = entry.interval().map(|iqm| json!({"value": iqm.value, "low": iqm.low, "high": iqm.high}));
        json!({
            "measure": entry.measure.name,
            "party": entry.party,
            "values": entry.values,
            "mean": entry.mean(),
            "iqm": interval,
            "expected": entry.expected(),
            "holds": entry.holds,
        })
    };
    Value::Array(entries.iter().map(of).collect())
}

/// A figure a measure, in it a row a party, with dashes where something was expected. Measures that nobody came to have none.
#[must_use]
pub fn figures(study: &Study, entries: &[Entry<'_>]) -> Vec<Figure> {
    // A party has the colour of its place among those that there are, as in every other figure.
    let is_there = |party: &&Party| entries.iter().any(|entry| entry.party == party.name);
    let parties: Vec<&str> = study.parties.iter().filter(is_there).map(|party| party.name.as_str()).collect();
    let figure = |(measure_idx, measure): (usize, &Measure)| {
        let of_measure = entries.iter().filter(|entry| entry.measure.name == measure.name);
        let row = |entry: &Entry<'_>| Row {
            name: entry.party.to_owned(),
            color: parties.iter().position(|&party| party == entry.party).unwrap_or_default(),
            dots: entry.values.iter().copied().flatten().collect(),
            estimate: entry.interval(),
            bounds: measure.claims(entry.party).flat_map(Claim::levels).collect(),
        };
        let rows: Vec<Row> = of_measure.map(row).collect();
        Figure {
            name: format!("measure_{}", measure_idx + 1),
            title: measure.name.clone(),
            note: "Bar: IQM with its 95 % interval over seeds. A dot a seed. Dashes: what was expected.".into(),
            plot: Plot::Rows(Rows { x_label: measure.name.clone(), range: None, reference: None, rows }),
        }
    };
    let has_numbers = |measure: &&Measure| {
        entries.iter().any(|entry| entry.measure.name == measure.name && entry.values.iter().any(Option::is_some))
    };
    study.measures.iter().filter(has_numbers).enumerate().map(figure).collect()
}

impl Entry<'_> {
    /// Mean over seeds; none where a seed has no number.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        all(&self.values).and_then(|values| mean(&values))
    }

    /// What is expected.
    fn expected(&self) -> Vec<String> {
        self.measure.claims(self.party).map(Claim::describe).collect()
    }

    /// Interquartile mean over seeds with its interval; none for a single seed, of which nothing can be told about others.
    #[must_use]
    pub fn interval(&self) -> Option<Estimate> {
        let values = all(&self.values).filter(|values| values.len() > 1)?;
        stratified_bootstrap(&[values], BOOTSTRAP_SEED, iqm)
    }
}

impl Claim {
    /// Whether it holds; what is not defined never does.
    fn holds(&self, values: &[Option<f64>], mean_of: &dyn Fn(&str) -> Option<f64>) -> bool {
        let is_met = |value: f64| match &self.bound {
            Bound::AtLeast(least) => value >= least.get(),
            Bound::AtMost(most) => value <= most.get(),
            Bound::Near { value: wanted, tolerance } => (value - wanted.get()).abs() <= tolerance.get(),
            Bound::Above { by, party } => mean_of(party).is_some_and(|reference| value >= reference + by.get()),
            Bound::Times { factor, party } => mean_of(party).is_some_and(|reference| value >= factor.get() * reference),
        };
        all(values).is_some_and(|values| match self.of {
            Seeds::Each => values.iter().all(|&value| is_met(value)),
            Seeds::Mean => mean(&values).is_some_and(is_met),
        })
    }

    fn describe(&self) -> String {
        let bound = match &self.bound {
            Bound::AtLeast(least) => format!(">= {}", number(least.get())),
            Bound::AtMost(most) => format!("<= {}", number(most.get())),
            Bound::Near { value, tolerance } => format!("{} +- {}", number(value.get()), number(tolerance.get())),
            Bound::Above { by, party } => format!(">= {party} + {}", number(by.get())),
            Bound::Times { factor, party } => format!(">= {} x {party}", factor.get()),
        };
        match self.of {
            Seeds::Each => format!("{bound}, each"),
            Seeds::Mean => bound,
        }
    }

    /// The numbers that it names.
    fn levels(&self) -> Vec<f64> {
        match &self.bound {
            Bound::AtLeast(level) | Bound::AtMost(level) => vec![level.get()],
            Bound::Near { value, tolerance } => vec![value.get() - tolerance.get(), value.get() + tolerance.get()],
            Bound::Above { .. } | Bound::Times { .. } => Vec::new(),
        }
    }
}

/// All numbers, if there are any and all are defined.
fn all(values: &[Option<f64>]) -> Option<Vec<f64>> {
    values.iter().copied().collect::<Option<Vec<f64>>>().filter(|values| !values.is_empty())
}

/// Whole numbers as they are, others with three digits behind the point; what explodes by its order of magnitude.
fn number(value: f64) -> String {
    match value {
        _ if value.abs() >= 1e7 => format!("{value:.2e}"),
        _ if value.fract() == 0.0 => format!("{value}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study() -> Study {
        let text = r#"(
            title: "t",
            base: File("x.ron"),
            set: [],
            parties: [(name: "a", set: []), (name: "b", set: [])],
            seeds: [1, 2],
            measures: [
                (
                    name: "m",
                    of: WarmupStepsUntilValue(0.5),
                    expected: [
                        (party: "a", of: Each, bound: AtLeast(2.0)),
                        (party: "b", of: Mean, bound: Times(factor: 2.0, party: "a")),
                        (party: "b", of: Mean, bound: Above(by: 1.0, party: "a")),
                    ],
                ),
                (name: "of b", parties: ["b"], of: WarmupStepsUntilValue(0.7), expected: []),
            ],
        )"#;
        bridge::config::parse("study", text).unwrap()
    }

    fn holds(a: &[Option<f64>], b: &[Option<f64>]) -> Vec<Option<bool>> {
        let study = study();
        let values = [a, b].map(|party| party.iter().map(|&value| vec![value; 2]).collect());
        entries(&study, &values).into_iter().flat_map(|entry| entry.holds).collect()
    }

    /// Contract: `Each` is about every seed, `Mean` about their mean, `Times` and `Above` about another party's mean; a seed without a
    /// number keeps no promise. As long as a run is missing that a claim is about, it is open.
    #[test]
    fn claims_are_judged() {
        let judged = |a: [Option<f64>; 2], b: [Option<f64>; 2]| holds(&a, &b).into_iter().map(Option::unwrap).collect();
        let all: Vec<bool> = judged([Some(2.0), Some(3.0)], [Some(4.0), Some(6.0)]);
        assert_eq!(all, [true, true, true]);
        let all: Vec<bool> = judged([Some(1.9), Some(9.0)], [Some(4.0), Some(6.0)]);
        assert_eq!(all, [false, false, false]);
        let all: Vec<bool> = judged([Some(0.1), Some(0.1)], [Some(0.4), Some(0.6)]);
        assert_eq!(all, [false, true, false]);
        let all: Vec<bool> = judged([Some(2.0), None], [Some(4.0), Some(6.0)]);
        assert_eq!(all, [false, false, false]);
        assert_eq!(holds(&[Some(2.0), Some(2.0)], &[Some(9.0)]), [Some(true), None, None]);
        assert_eq!(holds(&[], &[Some(9.0), Some(9.0)]), [None, None, None]);
    }

    /// Contract: a measure of some parties has entries of no others, and a party has one colour in all figures.
    #[test]
    fn a_measure_may_be_of_some_parties() {
        let study = study();
        let values = vec![vec![vec![Some(1.0), None]], vec![vec![Some(2.0), Some(3.0)]]];
        let entries = entries(&study, &values);
        assert_eq!(
            entries.iter().map(|entry| (entry.measure.name.as_str(), entry.party)).collect::<Vec<_>>(),
            [("m", "a"), ("m", "b"), ("of b", "b")]
        );
        let colors = figures(&study, &entries).into_iter().map(|figure| match figure.plot {
            Plot::Rows(rows) => rows.rows.into_iter().map(|row| row.color).collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        assert_eq!(colors.collect::<Vec<_>>(), [vec![0, 1], vec![1]]);
        assert_eq!(verdict(&entries), "0 of 3 expectations hold, 3 are open");
    }

    /// Contract: the table shows every seed, the statistics over them, what was expected, and what was not met.
    #[test]
    fn the_table_shows_every_seed() {
        let study = study();
        let values = [[Some(1.0), Some(4.0)], [Some(0.25), None]];
        let values = values.map(|party| party.map(|value| vec![value; 2]).to_vec());
        let entries = entries(&study, &values);
        let text = table(&entries).to_string();
        for part in ["2.500", "1 4", ">= 2, each", "NO", "0.250 -", ">= 2 x a; >= a + 1"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert_eq!(to_json(&entries)[1]["values"], json!([0.25, null]));
    }
}
