//! `softflow demo`: scripted demonstrations into a dataset.

use super::{Ended, n_threads, task_of};
use crate::cli::{DemoArgs, Reward};
use crate::evaluation::{EvaluationRecord, json_lines, table};
use crate::experiment::Workcell;
use bridge::dataset::{Dataset, DatasetHeader};
use bridge::{CubeReward, Episode};
use color_eyre::eyre::{Result, ensure};
use learn::Choice;
use std::collections::BTreeMap;

/// Records demonstrations.
///
/// # Errors
/// When hand or domain are not known, or the dataset exists already.
pub fn demo(args: &DemoArgs) -> Result<Ended> {
    let reward = match args.reward {
        Reward::Dense => CubeReward::Dense,
        Reward::Sparse => CubeReward::Sparse,
    };
    let task = task_of(args.task, &args.hand, reward)?;
    ensure!(task.reward() == reward, "--reward: the task rewards one thing only, expected it with a cube");
    let domain = args.domain.as_deref().unwrap_or(args.task.nominal_domain());
    let cell = Workcell::of(&task, domain)?;
    let environment = cell.environment()?.spec().clone();
    let header = DatasetHeader { environment, domain: domain.to_owned(), seed: args.seed, reward };
    let mut dataset = Dataset::open(&args.out, &header)?;
    ensure!(dataset.n_episodes() == 0, "dataset {}: it exists already, expected a new folder", args.out.display());

    let episodes = cell.demonstrations(args.episodes, args.seed, n_threads(args.threads))?;
    dataset.append_all(&episodes)?;
    let (columns, records) = (task.columns(), by_actor(&episodes, domain, args.seed));
    if args.json {
        print!("{}", json_lines(&columns, &records)?);
    } else {
        print!("{}", table(&columns, &records));
        eprintln!("{} episodes in {}", episodes.len(), args.out.display());
    }
    Ok(Ended::Well)
}

/// One record per gait or strategy, and one of all episodes together.
pub fn by_actor(episodes: &[Episode], domain: &str, seed: u64) -> Vec<EvaluationRecord> {
    let mut actors: BTreeMap<&str, Vec<&Episode>> = BTreeMap::new();
    for episode in episodes {
        actors.entry(&episode.label.actor).or_default().push(episode);
    }
    let all = ("all", episodes.iter().collect());
    actors
        .into_iter()
        .chain([all])
        .map(|(actor, episodes): (&str, Vec<&Episode>)| EvaluationRecord {
            stage: "demonstration".into(),
            step: 0,
            policy: actor.to_owned(),
            snapshot: actor.to_owned(),
            domain: domain.to_owned(),
            own_episodes: 0,
            own_steps: None,
            n_candidates: 1,
            choice: Choice::Value,
            temperature: 1.0,
            first_seed: seed,
            outcomes: episodes.iter().map(|episode| episode.label.outcome.clone()).collect(),
        })
        .collect()
}
