//! `softflow eval`: a trained policy on fixed episodes.

use super::train::load_policy;
use super::{Ended, kind_of, n_threads};
use crate::cli::EvalArgs;
use crate::evaluation::{EvaluationRecord, json_lines, table};
use crate::experiment::{Experiment, Workcell};
use crate::robot::{Planning, RobotConfig, RobotSession, Scene, Setup};
use crate::run_folder::ROBOT_FILE;
use crate::{Narration, Progress, RunFolder};
use color_eyre::eyre::Result;
use crossbeam::channel::never;
use learn::{Acting, play_all};

/// Evaluates.
///
/// # Errors
/// When the run has no such policy, or the environment fails.
pub fn eval(args: &EvalArgs) -> Result<Ended> {
    let run = RunFolder::open(&args.run)?;
    let experiment: Experiment = run.config()?;
    let domain = args.domain.as_ref().unwrap_or(&experiment.online_domain);
    let cell = Workcell::new(&experiment, domain)?.for_evaluation();
    let (policy, stage, step) = load_policy(&run, &args.policy)?;
    let (own, choice) = (policy.header().acting, policy.header().choice);
    let policy = policy.acting(Acting {
        n_candidates: args.candidates.unwrap_or(own.n_candidates).max(1),
        temperature: args.temperature.unwrap_or(own.temperature),
    });
    let policy = policy.choosing_by(args.choose.map_or(choice, Into::into))?;
    policy.check_fits(cell.environment()?.spec())?;

    let seeds: Vec<u64> = (args.seed..).take(args.episodes).collect();
    let mut progress = Progress::start("evaluate", "episodes", args.episodes as u64);
    let n_threads = n_threads(args.threads);
    let kind = kind_of(args.backend, &args.robot, domain, args.seed)?;
    let mut is_whole = true;
    let (episodes, domain) = match kind {
        None => {
            let episodes = play_all(&|| cell.environment(), &policy, &seeds, n_threads, |_| progress.advance(1))?;
            (episodes, domain.clone())
        }
        Some(kind) => {
            let robot = RobotConfig::resolve(
                &args.robot,
                Some(&run.path().join(ROBOT_FILE)),
                Scene::hand_of(&experiment.task)?,
            )?;
            let planning = Planning { chunk_len: policy.header().chunk_len, lead: policy.header().lead };
            let setup = Setup::new(&experiment.task, robot, kind, planning, args.seed)?.for_evaluation();
            let environment = &policy.header().environment;
            let mut robot = RobotSession::open(setup, environment, &run.path().join("robot"), Narration::Told)?;
            let played = robot.play(&policy, &never(), &seeds, |_| {
                progress.advance(1);
                Ok(())
            });
            let domain = robot.domain();
            let ended = robot.end();
            let episodes = played?;
            is_whole = ended?;
            (episodes, domain)
        }
    };
    let record = EvaluationRecord {
        stage: stage.name().into(),
        step,
        policy: args.policy.clone(),
        snapshot: policy.header().name.clone(),
        domain,
        own_episodes: 0,
        own_steps: None,
        n_candidates: policy.header().acting.n_candidates,
        choice: policy.header().choice,
        temperature: policy.header().acting.temperature.get(),
        first_seed: args.seed,
        outcomes: episodes.into_iter().map(|episode| episode.label.outcome).collect(),
    };
    let (columns, rows) = (experiment.task.columns(), [record]);
    if args.json {
        print!("{}", json_lines(&columns, &rows)?);
    } else {
        print!("{}", table(&columns, &rows));
    }
    Ok(if is_whole { Ended::Well } else { Ended::DataLost })
}
