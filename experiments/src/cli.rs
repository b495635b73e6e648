//! The command line of `softflow`.

use crate::overrides::Override;
use bridge::number::Positive;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Fine-tune dexterous hand policies: imitation, critic warm-up, offline RL, online RL.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example: softflow train experiments/cube.ron --seed 2 --out runs/cube-2")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List tasks, hands, domains, policies, critics and objectives.
    #[command(after_help = "Example: softflow tasks --json")]
    Tasks(TasksArgs),
    /// Record scripted demonstrations into a dataset, failures included.
    #[command(after_help = "Example: softflow demo cube --hand orca_v2 --episodes 100 --out data/cube")]
    Demo(DemoArgs),
    /// Train a policy in four stages and evaluate every one of them.
    #[command(after_help = "Examples:\n  softflow train experiments/cube.ron\n  softflow train experiments/cube.ron \
                            --seed 2 --set learn.online.iterations=3\n  softflow train --resume --out runs/cube-1")]
    Train(TrainArgs),
    /// Evaluate a trained policy on fixed episodes.
    #[command(
        after_help = "Example: softflow eval runs/cube-1 --policy offline --domain shifted_orca_v2 --episodes 100"
    )]
    Eval(EvalArgs),
    /// Train a grid of experiments and compare what came of them with each other and with what was expected.
    #[command(after_help = "Examples:\n  softflow compare experiments/studies/toy_bandit.ron\n  softflow compare \
                      experiments/studies/toy_bandit.ron --resume --jobs 2\n\nThe exit code is 1 if a number is not what \
                      was expected.")]
    Compare(CompareArgs),
    /// Write what is simulated here for other simulators.
    #[command(after_help = "Example: softflow export hand orca_v2 --format mjcf --out orca_v2.xml")]
    Export(ExportArgs),
}

/// What is demonstrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DemoTask {
    /// Turn a cube in a palm-down hand.
    Cube,
    /// Take scissors from their case and cut a tape.
    Scissors,
}

/// What the body is: the only thing that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Rapier.
    Sim,
}

impl Backend {
    /// Name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
        }
    }
}

/// Arguments of `softflow tasks`.
#[derive(Debug, Args)]
pub struct TasksArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `softflow demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The task.
    pub task: DemoTask,
    /// The hand; `softflow tasks` lists them.
    #[arg(long, default_value = "orca_v2")]
    pub hand: String,
    /// The domain; `softflow tasks` lists them. The task's nominal one unless given.
    #[arg(long)]
    pub domain: Option<String>,
    /// Episodes.
    #[arg(long, default_value_t = 80)]
    pub episodes: usize,
    /// Seed of the demonstrations.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder of the dataset; it must not hold one yet.
    #[arg(long)]
    pub out: PathBuf,
    /// Threads; the result does not depend on their number.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `softflow train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The experiment. With --resume the run's own configuration is used.
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    pub experiment: Option<PathBuf>,
    /// What the body is.
    #[arg(long, value_enum, default_value = "sim")]
    pub backend: Backend,
    /// Folder of the run; `runs/<experiment>-<seed>` unless given.
    #[arg(long, required_unless_present = "experiment")]
    pub out: Option<PathBuf>,
    /// Seed of the run, instead of the experiment's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Change a field of the experiment, e.g. learn.critic.n_members=4. May be given often.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub overrides: Vec<Override>,
    /// Demonstrations recorded with `softflow demo`, instead of fresh ones.
    #[arg(long)]
    pub demos: Option<PathBuf>,
    /// Go on with the run in --out from its last checkpoint, bit for bit.
    #[arg(long)]
    pub resume: bool,
    /// Threads; the result does not depend on their number.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Print the final table as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `softflow eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The run.
    pub run: PathBuf,
    /// Which policy: final, imitation, warmup, offline, or the folder of a checkpoint.
    #[arg(long, default_value = "final")]
    pub policy: String,
    /// The domain; the one that the run was fine-tuned in unless given.
    #[arg(long)]
    pub domain: Option<String>,
    /// Episodes.
    #[arg(long, default_value_t = 100)]
    pub episodes: usize,
    /// Candidates, instead of the policy's own number.
    #[arg(long)]
    pub candidates: Option<usize>,
    /// What chooses among them, instead of the policy's own way: of an imitation policy likelihood, of all others value.
    #[arg(long, value_enum)]
    pub choose: Option<Choose>,
    /// Scale of the base noise, instead of the policy's own.
    #[arg(long, value_parser = positive)]
    pub temperature: Option<Positive>,
    /// Seed of the first episode; the others follow it.
    #[arg(long, default_value_t = crate::evaluation::FIRST_SEED)]
    pub seed: u64,
    /// What the body is.
    #[arg(long, value_enum, default_value = "sim")]
    pub backend: Backend,
    /// Threads; the result does not depend on their number.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Print the row as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `softflow compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The study.
    pub study: PathBuf,
    /// Folder of the study; `runs/<study>` unless given.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Go on with the study in its folder: finished runs are taken as they are, others go on from their last checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Runs that are trained side by side; the result does not depend on their number.
    #[arg(long, default_value_t = 1)]
    pub jobs: usize,
    /// Print the table as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `softflow export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What is written.
    #[command(subcommand)]
    pub what: Export,
}

/// What can be exported.
#[derive(Debug, Subcommand)]
pub enum Export {
    /// A hand: its tree, limits, masses, shapes and motors.
    #[command(after_help = "Example: softflow export hand orca_v2 --format urdf --out orca_v2.urdf")]
    Hand {
        /// The hand; `softflow tasks` lists them.
        hand: String,
        /// The format.
        #[arg(long, value_enum)]
        format: HandFormat,
        /// The file; standard output unless given.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// Formats that other simulators read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HandFormat {
    /// Of MuJoCo: everything.
    Mjcf,
    /// Of ROS: everything but gains and armature, which it has no words for.
    Urdf,
}

/// What chooses among candidates.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Choose {
    /// The critic: the most valued one.
    Value,
    /// The policy: the likeliest one; needs a density.
    Likelihood,
}

impl From<Choose> for learn::Choice {
    fn from(choose: Choose) -> Self {
        match choose {
            Choose::Value => Self::Value,
            Choose::Likelihood => Self::Likelihood,
        }
    }
}

fn positive(text: &str) -> Result<Positive, String> {
    let number: f64 = text.parse().map_err(|error| format!("found {text:?}, expected a number: {error}"))?;
    Positive::try_from(number).map_err(|error| error.to_string())
}
