//! Policies on fixed episodes, and the table that compares them.

use crate::figure::{Curve, Figure, Level, Marker, Plot, Point, Series};
use crate::statistics::{Estimate, bootstrap_mean, bootstrap_ratio, mean, pooled_ratio, wilson};
use crate::table::Table;
use bridge::Outcome;
use bridge::number::Finite;
use learn::Choice;
use serde::{Deserialize, Serialize};

/// Seed of the first evaluation episode. Trainings draw theirs from above 2^63.
pub const FIRST_SEED: u64 = 2000;

/// Seed of the bootstrap's resampling.
const BOOTSTRAP_SEED: u64 = 1;

/// One evaluation; a line of `evals.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRecord {
    /// The stage that the policy comes from.
    pub stage: String,
    /// Gradient steps of that stage that were done.
    pub step: u64,
    /// Name of the policy in tables: its stage, or the demonstrator.
    pub policy: String,
    /// Name of the very weights that acted: within a run, what has the same name acts the same.
    pub snapshot: String,
    /// The domain.
    pub domain: String,
    /// Own episodes that it had learned from.
    pub own_episodes: usize,
    /// Control steps of these episodes; not known of results that were recorded without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_steps: Option<u64>,
    /// Candidates for every chunk.
    pub n_candidates: usize,
    /// What chose among them.
    pub choice: Choice,
    /// Scale of its base noise.
    pub temperature: f64,
    /// Seed of the first episode; the others follow it.
    pub first_seed: u64,
    /// What came of every episode.
    pub outcomes: Vec<Outcome>,
}

/// A number that episodes come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Statistic {
    /// Mean of a scalar of the outcomes; see [`Outcome::scalar`].
    Mean(String),
    /// The same over those episodes that have it, e.g. a time until something that did not happen in all of them.
    MeanWhereGiven(String),
    /// Share of the episodes in which a scalar is above zero, e.g. `succeeded`.
    Share(String),
    /// Share of the episodes that succeeded and in which a scalar is at least so large.
    SucceededWith {
        /// The scalar.
        scalar: String,
        /// How large it is at least.
        at_least: Finite,
    },
    /// Sum of a scalar over the minutes of all episodes together.
    PerMinute(String),
}

impl Statistic {
    /// The number with its 95 % interval over episodes; `None` without episodes, or where one lacks the scalar.
    #[must_use]
    pub fn of(&self, outcomes: &[Outcome]) -> Option<Estimate> {
        match self {
            Self::Mean(name) => bootstrap_mean(&scalars(outcomes, name)?, BOOTSTRAP_SEED),
            Self::MeanWhereGiven(name) => bootstrap_mean(&given(outcomes, name), BOOTSTRAP_SEED),
            Self::Share(name) => wilson(count(&scalars(outcomes, name)?), outcomes.len()),
            Self::SucceededWith { scalar, at_least } => {
                wilson(count(&successes_with(outcomes, scalar, at_least.get())?), outcomes.len())
            }
            Self::PerMinute(name) => bootstrap_ratio(&per_minute(outcomes, name)?, BOOTSTRAP_SEED),
        }
    }

    /// The number alone.
    #[must_use]
    pub fn value(&self, outcomes: &[Outcome]) -> Option<f64> {
        match self {
            Self::Mean(name) => mean(&scalars(outcomes, name)?),
            Self::MeanWhereGiven(name) => mean(&given(outcomes, name)),
            Self::Share(name) => pooled_ratio(&[(count(&scalars(outcomes, name)?) as f64, outcomes.len() as f64)]),
            Self::SucceededWith { scalar, at_least } => mean(&successes_with(outcomes, scalar, at_least.get())?),
            Self::PerMinute(name) => pooled_ratio(&per_minute(outcomes, name)?),
        }
    }
}

fn scalars(outcomes: &[Outcome], name: &str) -> Option<Vec<f64>> {
    outcomes.iter().map(|outcome| outcome.scalar(name)).collect()
}

fn given(outcomes: &[Outcome], name: &str) -> Vec<f64> {
    outcomes.iter().filter_map(|outcome| outcome.scalar(name)).collect()
}

fn successes_with(outcomes: &[Outcome], name: &str, at_least: f64) -> Option<Vec<f64>> {
    let is_one = |outcome: &Outcome| Some(f64::from(u8::from(outcome.succeeded && outcome.scalar(name)? >= at_least)));
    outcomes.iter().map(is_one).collect()
}

fn count(values: &[f64]) -> usize {
    values.iter().filter(|&&value| value > 0.0).count()
}

fn per_minute(outcomes: &[Outcome], name: &str) -> Option<Vec<(f64, f64)>> {
    let minutes = outcomes.iter().map(|outcome| outcome.seconds / 60.0);
    Some(scalars(outcomes, name)?.into_iter().zip(minutes).collect())
}

/// A column of the table of evaluations.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name in JSON.
    pub name: String,
    /// Over the column, with the unit.
    pub header: String,
    /// What it shows.
    pub statistic: Statistic,
    /// What numbers are multiplied with to be shown in the table.
    pub scale: f64,
    /// Digits behind the point.
    pub digits: usize,
    /// Whether the interval is shown too.
    pub has_interval: bool,
}

impl Column {
    /// Those of the cube task.
    #[must_use]
    pub fn of_cube() -> Vec<Self> {
        let plain = |name: &str, header: &str, scalar: &str, scale, digits| Self {
            scale,
            digits,
            has_interval: false,
            ..Self::ranged(name, header, Statistic::Mean(scalar.into()))
        };
        vec![
            Self::ranged("rpm", "RPM", Statistic::PerMinute("turns".into())),
            Self::ranged("turns", "turns", Statistic::Mean("turns".into())),
            Self::ranged("drop_rate", "drop rate", Statistic::Share("terminated".into())),
            plain("seconds", "alive s", "seconds", 1.0, 1),
            plain("offset_m", "offset mm", "offset_m", 1e3, 1),
            plain("tilt_rad", "tilt rad", "tilt_rad", 1.0, 2),
        ]
    }

    /// Those of the scissors task.
    #[must_use]
    pub fn of_scissors() -> Vec<Self> {
        let time = |name: &str, header: &str| Self {
            digits: 1,
            ..Self::ranged(name, header, Statistic::MeanWhereGiven(name.into()))
        };
        vec![
            Self::ranged("cut", "cut", Statistic::Share("cut".into())),
            Self::ranged("grasped", "grasped", Statistic::Share("grasped".into())),
            Self::ranged("dropped", "dropped", Statistic::Share("dropped".into())),
            time("time_to_cut_s", "time to cut s"),
            time("seconds", "lasted s"),
        ]
    }

    /// Those of a toy with scalars of its own, each of them a yes or no.
    #[must_use]
    pub fn of_toy(scalars: &[&str]) -> Vec<Self> {
        let of_all = [
            Self::ranged("success", "success", Statistic::Share("succeeded".into())),
            Self::ranged("return", "return", Statistic::Mean("total_reward".into())),
        ];
        let own = scalars.iter().map(|name| Self::ranged(name, name, Statistic::Share((*name).into())));
        of_all.into_iter().chain(own).collect()
    }

    /// A share with its interval.
    #[must_use]
    pub fn share(name: &str, header: &str, scalar: &str) -> Self {
        Self::ranged(name, header, Statistic::Share(scalar.into()))
    }

    fn ranged(name: &str, header: &str, statistic: Statistic) -> Self {
        let (name, header) = (name.to_owned(), header.to_owned());
        Self { name, header, statistic, scale: 1.0, digits: 2, has_interval: true }
    }

    /// What stands over it.
    #[must_use]
    pub fn title(&self) -> String {
        if self.has_interval { format!("{} [95 %]", self.header) } else { self.header.clone() }
    }

    /// The number as the table shows it; empty where it is not defined.
    fn shown(&self, outcomes: &[Outcome]) -> String {
        self.statistic.of(outcomes).map(|estimate| self.format(estimate)).unwrap_or_default()
    }

    /// An estimate of it as tables show it.
    #[must_use]
    pub fn format(&self, Estimate { value, low, high }: Estimate) -> String {
        let shown = |value: f64| format!("{:.*}", self.digits, self.scale * value);
        if self.has_interval { format!("{} [{}, {}]", shown(value), shown(low), shown(high)) } else { shown(value) }
    }
}

/// What the columns with intervals show of some episodes, in a line.
#[must_use]
pub fn summary(columns: &[Column], outcomes: &[Outcome]) -> String {
    let ranged = columns.iter().filter(|column| column.has_interval);
    ranged.map(|column| format!("{} {}", column.header, column.shown(outcomes))).collect::<Vec<_>>().join(", ")
}

/// The table of several evaluations.
#[must_use]
pub fn table(columns: &[Column], records: &[EvaluationRecord]) -> Table {
    let fixed = ["policy", "domain", "episodes"].map(str::to_owned);
    let mut table = Table::new(fixed.into_iter().chain(columns.iter().map(Column::title)));
    for record in records.iter().filter(|record| !record.outcomes.is_empty()) {
        let fixed = [record.policy.clone(), record.domain.clone(), record.outcomes.len().to_string()];
        table.push(fixed.into_iter().chain(columns.iter().map(|column| column.shown(&record.outcomes))));
    }
    table
}

/// The same as JSON, a line a record.
///
/// # Errors
/// Never: every number is finite.
pub fn json_lines(columns: &[Column], records: &[EvaluationRecord]) -> serde_json::Result<String> {
    let mut lines = String::new();
    for record in records.iter().filter(|record| !record.outcomes.is_empty()) {
        let mut row = serde_json::Map::new();
        row.insert("policy".into(), record.policy.clone().into());
        row.insert("domain".into(), record.domain.clone().into());
        row.insert("episodes".into(), record.outcomes.len().into());
        for column in columns {
            if let Some(Estimate { value, low, high }) = column.statistic.of(&record.outcomes) {
                let range = serde_json::json!({"value": value, "low": low, "high": high});
                row.insert(column.name.clone(), range);
            }
        }
        lines.push_str(&serde_json::to_string(&row)?);
        lines.push('\n');
    }
    Ok(lines)
}

/// The column that a learning curve shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Headline {
    /// The column.
    pub column: Column,
    /// Over the curve, before the domain.
    pub title: &'static str,
    /// Beside the curve.
    pub y_label: &'static str,
}

/// The headline over own episodes in `domain`: what the online stage deployed, and beside it the imitation policy that it began
/// with and the demonstrator. None where no policy of RL was evaluated.
#[must_use]
pub fn learning_curve(headline: &Headline, records: &[EvaluationRecord], domain: &str) -> Option<Figure> {
    let point = |record: &EvaluationRecord| {
        let Estimate { value, low, high } = headline.column.statistic.of(&record.outcomes)?;
        Some(Point { x: record.own_episodes as f64, y: value, low, high })
    };
    let of_stage = |stage: &str| {
        let is_meant = |record: &&EvaluationRecord| record.domain == domain && record.policy == stage;
        records.iter().filter(is_meant).filter_map(point).collect::<Vec<_>>()
    };
    let mut deployed = of_stage("offline");
    deployed.truncate(1);
    deployed.extend(of_stage("online"));
    deployed.dedup_by(|a, b| a.x == b.x);
    if deployed.is_empty() {
        return None;
    }
    let level = |stage: &str| of_stage(stage).first().map(|first| Level { value: first.y, name: stage.into() });
    let curve = Curve {
        x_label: "own episodes".into(),
        y_label: headline.y_label.into(),
        series: vec![Series { name: "deployed".into(), color: Some(0), points: deployed }],
        markers: vec![Marker { x: 0.0, label: "online".into() }],
        levels: ["imitation", "demonstrator"].into_iter().filter_map(level).collect(),
    };
    Some(Figure {
        name: "learning_curve".into(),
        title: format!("{}, domain {domain}", headline.title),
        note: "Bands: 95 % over the episodes of an evaluation, which is rollout noise alone.".into(),
        plot: Plot::Curve(curve),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: an episode counts that succeeded and came far enough; one that came further but failed does not. An outcome
    /// without the scalar leaves nothing to count.
    #[test]
    fn successes_are_counted_with_what_they_need() {
        let outcome = |succeeded, turns| Outcome { succeeded, turns, ..Outcome::default() };
        let outcomes = [outcome(true, 3.125), outcome(true, 3.0), outcome(false, 9.0), outcome(true, 4.0)];
        let statistic = |scalar: &str| Statistic::SucceededWith {
            scalar: scalar.into(),
            at_least: Finite::try_from(3.125).unwrap(),
        };
        assert_eq!(statistic("turns").value(&outcomes), Some(0.5));
        assert_eq!(statistic("turns").of(&outcomes), wilson(2, 4));
        assert_eq!((statistic("cuts").value(&outcomes), statistic("turns").value(&[])), (None, None));
    }
}
