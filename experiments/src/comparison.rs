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
    /// Whether each thing that is expected holds.
    pub holds: Vec<bool>,
}

/// What results hold of a study's measures, indexed by party, run and measure; of a run that is not there yet nothing at all.
#[must_use]
pub fn values(study: &Study, results: &Results) -> Vec<Vec<Vec<Option<f64>>>> {
    let of_run = |run: &Run| {
        let of_measure = |measure: &Measure| run.measured.iter().find(|found| found.of == measure.of)?.value;
        study.measures.iter().map(of_measure).collect()
    };
    let of_party = |party: &Party| {
        let runs = results.parties.iter().filter(|known| known.name == party.name).flat_map(|party| &party.runs);
        study.seeds.iter().filter_map(|&seed| runs.clone().find(|run| run.seed == seed)).map(of_run).collect()
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
        let mean_of = |name: &str| {
            let party_idx = study.parties.iter().position(|party| party.name == name)?;
            all(&of_party(party_idx)).and_then(|values| mean(&values))
        };
        let parties = study.parties.iter().enumerate().filter(|(_, party)| measure.is_of(&party.name));
        for (party_idx, party) in parties {
            let values = of_party(party_idx);
            let holds = measure.claims(&party.name).map(|claim| claim.holds(&values, &mean_of)).collect();
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
            entry.holds.iter().map(|&holds| if holds { "yes" } else { "NO" }).collect::<Vec<_>>().join("; "),
        ]);
    }
    table
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
    let figure = |(measure_idx, measure): (usize, &Measure)| {
        let of_measure = entries.iter().filter(|entry| entry.measure.name == measure.name);
        let row = |entry: &Entry<'_>| Row {
            name: entry.party.to_owned(),
            // Who is missing leaves its colour unused: a party has the same one everywhere.
            color: study.parties.iter().position(|party| party.name == entry.party).unwrap_or_default(),
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
            measures: [(
                name: "m",
                of: WarmupStepsUntilValue(0.5),
                expected: [
                    (party: "a", of: Each, bound: AtLeast(2.0)),
                    (party: "b", of: Mean, bound: Times(factor: 2.0, party: "a")),
                    (party: "b", of: Mean, bound: Above(by: 1.0, party: "a")),
                ],
            )],
        )"#;
        bridge::config::parse("study", text).unwrap()
    }

    fn holds(a: [Option<f64>; 2], b: [Option<f64>; 2]) -> Vec<bool> {
        let study = study();
        let values = [a, b].map(|party| party.map(|value| vec![value]).to_vec());
        entries(&study, &values).into_iter().flat_map(|entry| entry.holds).collect()
    }

    /// Contract: `Each` is about every seed, `Mean` about their mean, `Times` and `Above` about another party's mean; a seed without a
    /// number keeps no promise.
    #[test]
    fn claims_are_judged() {
        assert_eq!(holds([Some(2.0), Some(3.0)], [Some(4.0), Some(6.0)]), [true, true, true]);
        assert_eq!(holds([Some(1.9), Some(9.0)], [Some(4.0), Some(6.0)]), [false, false, false]);
        assert_eq!(holds([Some(0.1), Some(0.1)], [Some(0.4), Some(0.6)]), [false, true, false]);
        assert_eq!(holds([Some(2.0), None], [Some(4.0), Some(6.0)]), [false, false, false]);
    }

    /// Contract: the table shows every seed, the statistics over them, what was expected, and what was not met.
    #[test]
    fn the_table_shows_every_seed() {
        let study = study();
        let values = vec![vec![vec![Some(1.0)], vec![Some(4.0)]], vec![vec![Some(0.25)], vec![None]]];
        let entries = entries(&study, &values);
        let text = table(&entries).to_string();
        for part in ["2.500", "1 4", ">= 2, each", "NO", "0.250 -", ">= 2 x a; >= a + 1"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert_eq!(to_json(&entries)[1]["values"], json!([0.25, null]));
    }
}
