//! What the runs of a study have in common is done once: a run that begins like another one takes over its demonstrations and
//! its last checkpoint before they part, and ends in the same bits as if it had done all by itself. (In a checkpoint that was
//! taken over, what has not begun to learn is as the other run would have begun it.)
//!
//! | taken over | when these are equal |
//! |---|---|
//! | demonstrations | seed, task, demonstrations |
//! | end of imitation | and logging, how the policies act, what the networks see, the policy network, the imitation stage |
//! | end of warmup | and the critic with its targets, the discount |
//! | end of offline | and the objective, the rates of actor and critic |

use crate::RunFolder;
use crate::commands::last_of;
use crate::experiment::{Evaluation, Experiment};
use crate::run_folder::{EVALS_FILE, METRICS_FILE};
use bridge::storage::copy_folder;
use color_eyre::eyre::Result;
use learn::{LearnConfig, OnlineConfig, Stage};
use std::path::Path;

/// Copies into the folder of a run that is yet to be created what it has in common with one of the `others`, by their
/// folders and experiments: as much as any of them offers.
///
/// # Errors
/// When the file system fails.
pub fn take_over<'a>(
    path: &Path,
    experiment: &Experiment,
    others: impl Iterator<Item = (&'a Path, &'a Experiment)>,
) -> Result<()> {
    // What a killed process may have left.
    for part in ["replay", "checkpoints"] {
        let part = path.join(part);
        if part.exists() {
            std::fs::remove_dir_all(&part)?;
        }
    }
    for log in [METRICS_FILE, EVALS_FILE] {
        if path.join(log).exists() {
            std::fs::remove_file(path.join(log))?;
        }
    }
    let mut best: Option<(Option<Stage>, &Path)> = None;
    for (other_path, other) in others.filter(|(other_path, other)| *other_path != path && same_data(experiment, other))
    {
        let Ok(run) = RunFolder::open(other_path) else { continue };
        let mut shared = None;
        let mut has_data = false;
        for stage in [Stage::Imitation, Stage::Warmup, Stage::Offline] {
            let is_there = last_of(&run, stage)?.is_some_and(|checkpoint| checkpoint.ends_stage(&other.learn));
            has_data |= is_there;
            if is_there && begin_alike(experiment, other, stage) {
                shared = Some(stage);
            }
        }
        if has_data && best.is_none_or(|(most, _)| shared > most) {
            best = Some((shared, other_path));
        }
    }
    let Some((stage, other)) = best else { return Ok(()) };
    copy_folder(&other.join("replay/demonstrations"), &path.join("replay/demonstrations"))?;
    let Some(stage) = stage else { return Ok(()) };
    let run = RunFolder::open(other)?;
    for stage in Stage::ALL.into_iter().filter(|&earlier| earlier <= stage) {
        if let Some(checkpoint) = last_of(&run, stage)? {
            let name = checkpoint.path.file_name().unwrap_or_default();
            copy_folder(&checkpoint.path, &path.join("checkpoints").join(name))?;
        }
    }
    // The session that goes on from the checkpoint drops what was logged after it.
    for log in [run.metrics(), run.evals()] {
        if log.exists() {
            std::fs::copy(&log, path.join(log.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// Whether the demonstrations of two experiments are the same.
fn same_data(left: &Experiment, right: &Experiment) -> bool {
    (left.seed, &left.task, &left.demonstrations) == (right.seed, &right.task, &right.demonstrations)
}

/// Whether two experiments agree in all that has been read when `stage` ends, and both go on with the next one.
fn begin_alike(left: &Experiment, right: &Experiment, stage: Stage) -> bool {
    let goes_on = |learn: &LearnConfig| match stage {
        Stage::Imitation => learn.imitation.steps > 0 && learn.warmup_steps > 0,
        Stage::Warmup => learn.warmup_steps > 0 && learn.offline_steps > 0,
        Stage::Offline => learn.offline_steps > 0 && learn.online.iterations > 0,
        Stage::Online => false,
    };
    // Everything that is read later is made equal.
    let (mut learn, later) = (left.learn.clone(), &right.learn);
    learn.online = OnlineConfig { frozen_candidates: learn.online.frozen_candidates, ..later.online };
    if stage < Stage::Offline {
        learn.offline_steps = later.offline_steps;
        learn.objective = later.objective;
        learn.actor_learning_rate = later.actor_learning_rate;
        learn.actor_average_decay = later.actor_average_decay;
        learn.critic_steps_per_actor_step = later.critic_steps_per_actor_step;
    }
    if stage < Stage::Warmup {
        learn.warmup_steps = later.warmup_steps;
        learn.critic = later.critic;
        learn.critic_learning_rate = later.critic_learning_rate;
        learn.polyak = later.polyak;
        learn.discount = later.discount;
        learn.online = later.online;
    }
    let evaluation = Evaluation { imitation: left.evaluation.imitation, ..right.evaluation.clone() };
    let left = Experiment { learn, evaluation, online_domain: right.online_domain.clone(), ..left.clone() };
    goes_on(&left.learn) && goes_on(later) && left == *right
}
