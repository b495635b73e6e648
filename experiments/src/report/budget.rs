//! What every party had: data, gradient steps, own steps, evaluations. A comparison is fair as far as these are equal.

use super::{Block, number};
use crate::results::{Party, Results};
use crate::statistics::mean;
use crate::table::Table;
use learn::{LearnConfig, Position, Stage};

/// The table, with what differs said under it; none where there is nobody to compare with.
pub fn block(results: &Results) -> Option<Block> {
    if results.parties.len() < 2 {
        return None;
    }
    let is_known = |column: &&Column| results.parties.iter().any(|party| !(column.of)(party).is_empty());
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_known).collect();
    let mut table = Table::new(columns.iter().map(|column| column.header));
    for party in &results.parties {
        table.push(columns.iter().map(|column| (column.of)(party)));
    }
    let shared = columns.iter().filter(|column| column.is_shared);
    let uneven: Vec<String> = shared.filter_map(|column| column.uneven(results)).collect();
    let note = match &uneven[..] {
        [] => "The same for all, but for own control steps: who fails early has fewer of them in as many episodes."
            .to_owned(),
        uneven => format!("Not the same for all: {}.", uneven.join("; ")),
    };
    let title = "Budget".to_owned();
    Some(Block::Folded { title: title.clone(), blocks: vec![Block::Table { title, note, table }] })
}

struct Column {
    header: &'static str,
    of: fn(&Party) -> String,
    /// Whether a study means it to be equal.
    is_shared: bool,
}

const COLUMNS: [Column; 8] = [
    Column { header: "party", of: |party| party.name.clone(), is_shared: false },
    Column {
        header: "demonstrations",
        of: |party| party.experiment.demonstrations.episodes.to_string(),
        is_shared: true,
    },
    Column {
        header: "imitation steps",
        of: |party| party.experiment.learn.imitation.steps.to_string(),
        is_shared: true,
    },
    Column { header: "critic steps", of: |party| rl_steps(&party.experiment.learn)[0].to_string(), is_shared: true },
    Column { header: "actor steps", of: |party| rl_steps(&party.experiment.learn)[1].to_string(), is_shared: true },
    Column {
        header: "own episodes",
        of: |party| {
            let online = party.experiment.learn.online;
            (online.iterations as usize * online.episodes_per_iteration).to_string()
        },
        is_shared: true,
    },
    Column {
        header: "own control steps, mean",
        of: |party| own_steps(party).map(number).unwrap_or_default(),
        is_shared: false,
    },
    Column { header: "evaluation seeds", of: evaluation_seeds, is_shared: true },
];

impl Column {
    /// Who has another value than most.
    fn uneven(&self, results: &Results) -> Option<String> {
        let values: Vec<(&str, String)> =
            results.parties.iter().map(|party| (party.name.as_str(), (self.of)(party))).collect();
        let n_alike = |value: &String| values.iter().filter(|(_, other)| other == value).count();
        let (_, usual) = values.iter().max_by_key(|(_, value)| n_alike(value))?;
        let others = values.iter().filter(|(_, value)| value != usual);
        let others: Vec<String> = others.map(|(name, value)| format!("{name} {value}")).collect();
        (!others.is_empty()).then(|| format!("{}: {} in place of {usual}", self.header, others.join(", ")))
    }
}

/// Gradient steps of RL: of the critic, of the actor.
fn rl_steps(learn: &LearnConfig) -> [u64; 2] {
    let online = Position::n_steps(Stage::Online, learn);
    let of_critic_alone = learn.warmup_steps + learn.online.critic_first_steps.min(online);
    let of_actor = learn.offline_steps + online.saturating_sub(learn.online.critic_first_steps);
    [of_critic_alone + of_actor * learn.critic_steps_per_actor_step as u64, of_actor]
}

/// Control steps of a run's own episodes, mean over runs, where all runs know them.
fn own_steps(party: &Party) -> Option<f64> {
    let of_runs = party.runs.iter().map(|run| party.online(run).last()?.own_steps.map(|steps| steps as f64));
    mean(&of_runs.collect::<Option<Vec<f64>>>()?)
}

/// Those of the final evaluation.
fn evaluation_seeds(party: &Party) -> String {
    let last = party.runs.first().and_then(|run| {
        let mut stages = Stage::ALL.into_iter().rev();
        stages.find_map(|stage| party.at_end(run, stage))
    });
    last.map_or_else(String::new, |record| {
        format!("{} to {}", record.first_seed, record.first_seed + record.outcomes.len() as u64 - 1)
    })
}
