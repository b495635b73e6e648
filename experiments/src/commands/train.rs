//! `softflow train`: demonstrations, four stages, evaluation.

use super::{Ended, kind_of, n_threads, write_page};
use crate::cli::TrainArgs;
use crate::evaluation::{EvaluationRecord, FIRST_SEED, json_lines, learning_curve, table};
use crate::experiment::{Experiment, Workcell};
use crate::results::Results;
use crate::robot::{Planning, RobotConfig, RobotSession, Scene, Setup};
use crate::run_folder::ROBOT_FILE;
use crate::session::Session;
use crate::{Cost, JsonLines, Narration, RunError, RunFolder, overrides};
use bridge::dataset::{self, DatasetHeader};
use bridge::storage::write_atomic;
use color_eyre::eyre::{Result, WrapErr, ensure, eyre};
use learn::{Checkpoint, Policy, Stage};
use std::path::{Path, PathBuf};

/// Trains.
///
/// # Errors
/// When the experiment is not valid, a run is in the way, or a stage fails.
pub fn train(args: &TrainArgs) -> Result<Ended> {
    let n_threads = n_threads(args.threads);
    let (out, experiment) = resolve(args)?;
    // Before the run exists: a robot that is not there leaves none.
    let robot = open_robot(args, &out, &experiment)?;
    let backend = args.backend.name();
    let run = if args.resume {
        RunFolder::resume(&out, backend)?
    } else {
        RunFolder::create(&out, &experiment, experiment.seed, backend)?
    };
    eprintln!("run {}", run.path().display());
    if let Some(robot) = &robot {
        run.write_robot(robot.config())?;
    }
    let mut session = Session::begin(run, experiment, args.demos.as_deref(), n_threads, Narration::Told, robot)?;
    session.run_to_the_end()?;

    let rows = final_rows(&session)?;
    let columns = session.experiment().task.columns();
    if args.json {
        print!("{}", json_lines(&columns, &rows)?);
    } else {
        print!("{}", table(&columns, &rows));
    }
    draw_curve(session.run(), session.experiment())?;
    if let Some(checkpoint) = Checkpoint::list(&session.run().checkpoints())?.pop() {
        Cost::of(&checkpoint.policy()?)?.write(session.run().path())?;
    }
    let path = session.run().path();
    write_page(&Results::read(&[path.to_owned()])?, &path.join("report.html"))?;
    Ok(if session.lost_data() { Ended::DataLost } else { Ended::Well })
}

/// The run's folder and what is trained in it: as the arguments say, or as the run that is to be resumed was
/// configured.
fn resolve(args: &TrainArgs) -> Result<(PathBuf, Experiment)> {
    let Some(path) = &args.experiment else {
        let out = args.out.as_deref().unwrap_or(Path::new("."));
        ensure!(
            args.overrides.is_empty() && args.seed.is_none() && args.demos.is_none(),
            "--resume goes on with the run as it was configured: --set, --seed and --demos cannot change it"
        );
        let run = RunFolder::open(out)?;
        let begun_on = run.manifest().sessions.first().map_or("", |session| session.backend.as_str());
        ensure!(
            begun_on == args.backend.name(),
            "run {}: it was begun with --backend {begun_on}, and goes on with that alone",
            out.display()
        );
        return Ok((out.to_owned(), run.config()?));
    };
    let mut experiment: Experiment = overrides::load(path, &args.overrides)?;
    if let Some(seed) = args.seed {
        experiment.seed = seed;
    }
    let out = args.out.clone().unwrap_or_else(|| default_out(path, experiment.seed));
    if RunFolder::open(&out).is_ok() {
        return Err(RunError::Exists { path: out }.into());
    }
    Ok((out, experiment))
}

/// Connects the robot that the online stage collects on, if it is one. What is wrong with it is known before anything
/// is trained.
fn open_robot(args: &TrainArgs, out: &Path, experiment: &Experiment) -> Result<Option<RobotSession>> {
    let kind = kind_of(args.backend, &args.robot, &experiment.online_domain, experiment.seed)?;
    let Some(kind) = kind else { return Ok(None) };
    let robot = RobotConfig::resolve(&args.robot, Some(&out.join(ROBOT_FILE)), Scene::hand_of(&experiment.task)?)?;
    let planning = Planning { chunk_len: experiment.learn.chunk_len, lead: experiment.learn.lead };
    let setup = Setup::new(&experiment.task, robot, kind, planning, experiment.seed)?;
    let cell = Workcell::new(experiment, &experiment.online_domain)?;
    let environment = cell.environment()?.spec().clone();
    Ok(Some(RobotSession::open(setup, &environment, &out.join("robot"), Narration::Told)?))
}

/// `runs/<experiment>-<seed>`.
fn default_out(experiment: &Path, seed: u64) -> PathBuf {
    let name = experiment.file_stem().unwrap_or_default().to_string_lossy();
    Path::new("runs").join(format!("{name}-{seed}"))
}

/// The final table: demonstrator and the policy after every stage, in every domain.
fn final_rows(session: &Session) -> Result<Vec<EvaluationRecord>> {
    let experiment = session.experiment();
    let mut rows = Vec::new();
    for domain in &experiment.evaluation.domains {
        let cell = Workcell::new(experiment, domain)?;
        rows.push(session.evaluate_demonstrator(&cell, domain)?);
        for stage in Stage::ALL {
            let checkpoint = last_of(session.run(), stage)?;
            let Some(checkpoint) = checkpoint else { continue };
            let policy = checkpoint.policy()?;
            let n_episodes = experiment.evaluation.episodes;
            rows.push(session.evaluate(&policy, stage, checkpoint.step, &cell, domain, FIRST_SEED, n_episodes)?);
        }
    }
    Ok(rows)
}

/// The last checkpoint of a stage.
pub fn last_of(run: &RunFolder, stage: Stage) -> Result<Option<Checkpoint>> {
    let checkpoints = Checkpoint::list(&run.checkpoints())?;
    Ok(checkpoints.into_iter().rfind(|checkpoint| checkpoint.stage == stage))
}

/// Writes `learning_curve.svg`: turns over own episodes in the domain that stands for the robot.
fn draw_curve(run: &RunFolder, experiment: &Experiment) -> Result<()> {
    let records: Vec<EvaluationRecord> = JsonLines::read(&run.evals())?;
    let domain = &experiment.online_domain;
    let Some(curve) = learning_curve(&experiment.task.headline(), &records, domain) else {
        eprintln!("no learning curve: no policy of the offline or the online stage was evaluated in {domain}");
        return Ok(());
    };
    let svg = curve.to_svg()?;
    let path = run.path().join("learning_curve.svg");
    write_atomic(&path, svg.as_bytes()).wrap_err_with(|| path.display().to_string())?;
    eprintln!("learning curve in {}", path.display());
    Ok(())
}

/// Reads the policy that a name or a path means.
///
/// # Errors
/// When there is none.
pub fn load_policy(run: &RunFolder, name: &str) -> Result<(Policy, Stage, u64)> {
    let checkpoint = match Stage::named(name) {
        Some(stage) => last_of(run, stage)?,
        None if name == "final" => Checkpoint::list(&run.checkpoints())?.pop(),
        None => Checkpoint::of_path(Path::new(name)),
    };
    let checkpoint = checkpoint.ok_or_else(|| {
        eyre!(
            "policy {name}: run {} has none; expected final, imitation, warmup, offline, online, or the folder of a checkpoint",
            run.path().display()
        )
    })?;
    Ok((checkpoint.policy()?, checkpoint.stage, checkpoint.step))
}

/// The demonstrations of a dataset, checked against what they are to be used for.
///
/// # Errors
/// When they were recorded in another environment, or for another reward.
pub fn read_demonstrations(folder: &Path, wanted: &DatasetHeader) -> Result<dataset::ReadDataset> {
    let read = dataset::read(folder)?;
    let (found, expected) = (&read.header.environment, &wanted.environment);
    ensure!(
        found == expected,
        "dataset {}: it was recorded with {} on {}, the experiment is {} on {}",
        folder.display(),
        found.task,
        found.body,
        expected.task,
        expected.body
    );
    ensure!(
        read.header.reward == wanted.reward,
        "dataset {}: its reward is {:?}, that of the experiment {:?}; `softflow demo --reward` records either",
        folder.display(),
        read.header.reward,
        wanted.reward
    );
    Ok(read)
}
