//! Policies on fixed episodes, and the table that compares them.

use crate::chart::{LearningCurve, Marker, Point, Series};
use crate::statistics::{Estimate, bootstrap_mean, bootstrap_ratio, wilson};
use crate::table::Table;
use bridge::Outcome;
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
    /// Candidates among which its critic chose.
    pub n_candidates: usize,
    /// Seed of the first episode; the others follow it.
    pub first_seed: u64,
    /// What came of every episode.
    pub outcomes: Vec<Outcome>,
}

/// What a record comes to, each number with its 95 % interval over episodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Turns over minutes alive, all episodes together.
    pub rpm: Estimate,
    /// Turns in an episode.
    pub turns: Estimate,
    /// Share of episodes that ended in a drop.
    pub drop_rate: Estimate,
    /// Length of an episode, s.
    pub seconds: Estimate,
    /// Distance of the cube from its nominal place, m.
    pub offset_m: Estimate,
    /// Tilt of the cube, rad.
    pub tilt_rad: Estimate,
}

impl Summary {
    /// Summarizes episodes; `None` without any.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Option<Self> {
        let mean = |value: fn(&Outcome) -> f64| {
            bootstrap_mean(&outcomes.iter().map(value).collect::<Vec<_>>(), BOOTSTRAP_SEED)
        };
        let per_minute: Vec<_> = outcomes.iter().map(|outcome| (outcome.turns, outcome.seconds / 60.0)).collect();
        let n_drops = outcomes.iter().filter(|outcome| outcome.terminated).count();
        Some(Self {
            rpm: bootstrap_ratio(&per_minute, BOOTSTRAP_SEED)?,
            turns: mean(|outcome| outcome.turns)?,
            drop_rate: wilson(n_drops, outcomes.len())?,
            seconds: mean(|outcome| outcome.seconds)?,
            offset_m: mean(|outcome| outcome.offset_m)?,
            tilt_rad: mean(|outcome| outcome.tilt_rad)?,
        })
    }
}

/// The table of several evaluations.
#[must_use]
pub fn table(records: &[EvaluationRecord]) -> Table {
    let mut table = Table::new([
        "policy",
        "domain",
        "episodes",
        "RPM [95 %]",
        "turns [95 %]",
        "drop rate [95 %]",
        "alive s",
        "offset mm",
        "tilt rad",
    ]);
    for record in records {
        let Some(summary) = Summary::of(&record.outcomes) else { continue };
        let ranged = |e: Estimate| format!("{:.2} [{:.2}, {:.2}]", e.value, e.low, e.high);
        table.push([
            record.policy.clone(),
            record.domain.clone(),
            record.outcomes.len().to_string(),
            ranged(summary.rpm),
            ranged(summary.turns),
            ranged(summary.drop_rate),
            format!("{:.1}", summary.seconds.value),
            format!("{:.1}", summary.offset_m.value * 1e3),
            format!("{:.2}", summary.tilt_rad.value),
        ]);
    }
    table
}

/// The same as JSON, a line a record.
///
/// # Errors
/// Never: every number is finite.
pub fn json_lines(records: &[EvaluationRecord]) -> serde_json::Result<String> {
    let mut lines = String::new();
    for record in records {
        let Some(summary) = Summary::of(&record.outcomes) else { continue };
        let ranged = |e: Estimate| serde_json::json!({"value": e.value, "low": e.low, "high": e.high});
        let row = serde_json::json!({
            "policy": record.policy,
            "domain": record.domain,
            "episodes": record.outcomes.len(),
            "rpm": ranged(summary.rpm),
            "turns": ranged(summary.turns),
            "drop_rate": ranged(summary.drop_rate),
            "seconds": ranged(summary.seconds),
            "offset_m": ranged(summary.offset_m),
            "tilt_rad": ranged(summary.tilt_rad),
        });
        lines.push_str(&serde_json::to_string(&row)?);
        lines.push('\n');
    }
    Ok(lines)
}

/// Turns over own episodes in `domain`: one line for what the online stage deployed, one for the imitation policy that it
/// began with.
#[must_use]
pub fn learning_curve(records: &[EvaluationRecord], domain: &str) -> LearningCurve {
    let point = |record: &EvaluationRecord| {
        let turns = Summary::of(&record.outcomes)?.turns;
        Some(Point { x: record.own_episodes as f64, y: turns.value, low: turns.low, high: turns.high })
    };
    let of_stage = |stage: &str| {
        let is_meant = |record: &&EvaluationRecord| record.domain == domain && record.policy == stage;
        records.iter().filter(is_meant).filter_map(point).collect::<Vec<_>>()
    };
    let mut deployed = of_stage("offline");
    deployed.truncate(1);
    deployed.extend(of_stage("online"));
    deployed.dedup_by(|a, b| a.x == b.x);
    let last_x = deployed.last().map_or(0.0, |last| last.x);
    let mut series = vec![Series { name: "deployed".into(), points: deployed }];
    for stage in ["imitation", "demonstrator"] {
        if let Some(&first) = of_stage(stage).first() {
            series.push(Series {
                name: stage.into(),
                points: vec![Point { x: 0.0, ..first }, Point { x: last_x, ..first }],
            });
        }
    }
    LearningCurve {
        title: format!("Cube turns in 30 s, domain {domain}"),
        x_label: "own episodes".into(),
        y_label: "turns per episode".into(),
        series,
        markers: vec![Marker { x: 0.0, label: "online".into() }],
    }
}
