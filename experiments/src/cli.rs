//! The command line of `softflow`.

mod import;
mod robot;

pub use import::{Import, ImportArgs};
pub use robot::{Backend, CalibrateArgs, DoctorArgs, EmulateArgs, HandTask, RobotArgs};

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
                            --seed 2 --set learn.online.iterations=3\n  softflow train experiments/real/orca_cube.ron --backend real \
                            --port /dev/ttyUSB0\n  softflow train --resume --out runs/cube-1")]
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
    /// Say what this machine and its robot can do, and why not.
    #[command(
        after_help = "Examples:\n  softflow doctor\n  softflow doctor --backend emulated\n  softflow doctor --backend \
                            real --port /dev/ttyUSB0 --move\n\nThe exit code is 1 if something does not work."
    )]
    Doctor(DoctorArgs),
    /// Find the stops of every joint of a hand and write its calibration. Every joint moves over all of its range.
    #[command(after_help = "Example: softflow calibrate --port /dev/ttyUSB0 --serial A7 --out calibration/orca_v2.ron")]
    Calibrate(CalibrateArgs),
    /// Stand for a robot: emulated servos behind a pseudo-terminal; poses, buttons and, where there is one, the arm by UDP.
    #[command(
        after_help = "Example: softflow emulate cube --write-calibration /tmp/hand.ron, then in another terminal\n  softflow \
                            doctor --backend real --port PORT --calibration /tmp/hand.ron"
    )]
    Emulate(EmulateArgs),
    /// Show what runs came to: one HTML page that needs no network, from run folders, a study's folder, or a store.
    #[command(
        after_help = "Examples:\n  softflow report runs/cube-1\n  softflow report runs/quick --out quick.html --figures \
                            figures/\n  softflow report runs/quick --store quick.jsonl.gz\n  softflow report \
                            laptop.jsonl.gz desk.jsonl.gz --join study.ron --store study.jsonl.gz\n  softflow report \
                            --update docs/results.md"
    )]
    Report(ReportArgs),
    /// Write what is simulated here for other simulators.
    #[command(after_help = "Example: softflow export hand orca_v2 --format mjcf --out orca_v2.xml")]
    Export(ExportArgs),
    /// Make a hand's description from a file of others.
    #[command(after_help = "Example: softflow import hand allegro_hand_right.urdf --out hands/allegro.ron")]
    Import(ImportArgs),
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
    pub task: HandTask,
    /// The hand: one that `softflow tasks` lists, or the path of its .ron file.
    #[arg(long, default_value = "orca_v2")]
    pub hand: String,
    /// The domain; `softflow tasks` lists them. The task's nominal one unless given.
    #[arg(long)]
    pub domain: Option<String>,
    /// Episodes.
    #[arg(long, default_value_t = 80)]
    pub episodes: usize,
    /// What is rewarded, of a cube.
    #[arg(long, value_enum, default_value_t)]
    pub reward: Reward,
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

/// What is rewarded of a cube.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Reward {
    /// Its turning.
    #[default]
    Dense,
    /// Every quarter turn.
    Sparse,
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
    /// Which robot.
    #[command(flatten)]
    pub robot: RobotArgs,
    /// Folder of the run; `runs/<experiment>-<seed>` unless given.
    #[arg(long, required_unless_present = "experiment")]
    pub out: Option<PathBuf>,
    /// Seed of the run, instead of the experiment's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Change a field of the experiment, e.g. learn.critic.ensemble=4. May be given often.
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
    /// Which policy: final, imitation, warmup, offline, online, or the folder of a checkpoint.
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
    /// What chooses among them, instead of the policy's own way: of an imitation policy likelihood, of all others
    /// value.
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
    /// Which robot.
    #[command(flatten)]
    pub robot: RobotArgs,
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
    /// Go on with the study in its folder: finished runs are taken as they are, others go on from their last
    /// checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Runs that are trained side by side, as many as cores and memory allow unless given; the result does not depend on it.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Print the table as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `softflow report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of runs, folders of studies, stores.
    #[arg(required_unless_present = "update")]
    pub paths: Vec<PathBuf>,
    /// The page; report.html in the first folder, or beside the first store, unless given.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Write every figure into this folder too, as SVG and PNG files.
    #[arg(long)]
    pub figures: Option<PathBuf>,
    /// First film a success and a failure of the last policy of every party, with the viewer (`sim`) beside this program; the page
    /// shows them.
    #[arg(long)]
    pub films: bool,
    /// Print the tables in Markdown instead of writing a page.
    #[arg(long, conflicts_with_all = ["out", "figures", "films"])]
    pub markdown: bool,
    /// The paths are parts of this study, trained on several machines or at several times: they are reported as one.
    #[arg(long, value_name = "STUDY.ron")]
    pub join: Option<PathBuf>,
    /// Write all results into a store too, compressed if its name ends in .gz; needs one run, study or store, or parts to join.
    #[arg(long)]
    pub store: Option<PathBuf>,
    /// Make the numbers in a Markdown document again, from the stores that it names.
    #[arg(long, value_name = "FILE.md", conflicts_with_all = ["paths", "out", "figures", "films", "markdown", "join", "store"])]
    pub update: Option<PathBuf>,
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
        /// The hand: one that `softflow tasks` lists, or the path of its .ron file.
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
