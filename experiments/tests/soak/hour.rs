//! A robot with random recoverable faults, and what its log and its process say of them.

use bridge::real::cause::Cause;
use bridge::real::emulator::{Fault, FaultScript, Servos};
use clap::Parser as _;
use color_eyre::eyre::{Report, Result, bail, ensure, eyre};
use crossbeam::channel::never;
use experiments::cli::{Cli, Command};
use experiments::experiment::{Experiment, Workcell};
use experiments::robot::{Kind, Planning, RobotConfig, RobotSession, Setup};
use experiments::{Narration, RunFolder, Table, commands};
use learn::Checkpoint;
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const N_SERVOS: u8 = 17;
const WRIST: u8 = 1;
/// Time between two looks at the process.
const LOOK: Duration = Duration::from_millis(300);
/// A cause that was told so long ago may still be there: a servo that shuts down for the fourth time in a minute waits 16 s for its
/// reboot.
const LASTS_S: f64 = 40.0;
/// Longest tick, in which torque goes on or off, s.
const SWITCHING_S: f64 = 0.6;
/// Memory that may come and go, KiB.
const SLACK_KIB: u64 = 16 * 1024;
/// A policy in seconds: what acts does not matter here.
const TINY: [&str; 9] = [
    "demonstrations.episodes=2",
    "evaluation.domains=[]",
    "evaluation.online_episodes=0",
    "learn.batch_size=32",
    "learn.imitation.steps=20",
    "learn.warmup_steps=5",
    "learn.offline_steps=5",
    "learn.online.iterations=0",
    "log_every=5",
];

/// What the robot does meanwhile.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// A hand turns a cube.
    Cube,
    /// A hand on an arm cuts with scissors.
    Scissors,
}

impl Work {
    const fn config(self) -> &'static str {
        match self {
            Self::Cube => "cube_smoke.ron",
            Self::Scissors => "scissors.ron",
        }
    }

    const fn changes(self) -> &'static [&'static str] {
        match self {
            Self::Cube => &["task.hand=orca_v2", "online_domain=shifted_orca_v2"],
            Self::Scissors => &[],
        }
    }
}

impl FromStr for Work {
    type Err = Report;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "cube" => Ok(Self::Cube),
            "scissors" => Ok(Self::Scissors),
            _ => bail!("{word:?} is not known here, expected cube or scissors"),
        }
    }
}

/// What came of a kind of fault.
#[derive(Clone, Copy, Default)]
struct Tally {
    n: u32,
    /// Those that must be noticed.
    n_due: u32,
    n_told: u32,
    /// Those whose cause was there already.
    n_there: u32,
    worst_s: f64,
}

/// What the process has.
#[derive(Clone, Copy)]
struct Process {
    memory_kib: u64,
    n_files: usize,
}

/// Lets the emulated robot do `work` for `length_s` of its time, with all that it leaves behind in `folder`. What came of it, in words.
///
/// # Errors
/// When the session ends before that, a fault that must be noticed is not in the log by its cause and in its time, or memory or open
/// files grow.
pub fn soak(work: Work, length_s: f64, seed: u64, folder: &Path) -> Result<String> {
    let run = train(work, &folder.join("run"))?;
    let experiment: Experiment = run.config()?;
    let checkpoint = Checkpoint::list(&run.checkpoints())?.pop().ok_or_else(|| eyre!("no checkpoint"))?;
    let policy = checkpoint.policy()?;
    let script = FaultScript::soak(seed, length_s, N_SERVOS, matches!(work, Work::Scissors))?;
    let mut robot = RobotConfig::of_hand("orca_v2")?;
    // Most episodes are cut off here.
    robot.emulated.give_up_after = u32::MAX;
    let domain = experiment.online_domain.clone();
    let kind = Kind::Emulated { domain, script: script.clone(), seed, is_real_time: false };
    let planning = Planning { chunk_len: policy.header().chunk_len, lead: policy.header().lead };
    let setup = Setup::new(&experiment.task, robot, kind, planning, seed)?;
    let environment = Workcell::new(&experiment, &experiment.online_domain)?.environment()?.spec().clone();
    let mut session = RobotSession::open(setup, &environment, &folder.join("robot"), Narration::Silent)?;

    let started = Instant::now();
    let watched = Watched::start();
    let mut n_episodes: u64 = 0;
    while session.now_s().is_some_and(|now_s| now_s < length_s) {
        session.play(&policy, &never(), &[n_episodes], |_| Ok(()))?;
        n_episodes += 1;
    }
    let robot_s = session.now_s().unwrap_or_default();
    let looks = watched.end()?;
    ensure!(session.end()?, "something of the session could not be written");
    let took_s = started.elapsed().as_secs_f64();

    let log = std::fs::read_to_string(folder.join("robot/log"))?;
    let (tallies, states) = reconcile(&script, &log)?;
    let [first, .., last] = &looks[looks.len() / 4..] else {
        bail!("{} looks at the process are too few", looks.len())
    };
    let mut table = Table::new(["fault", "n", "due", "in the log", "already there", "slowest, s"]);
    for (kind, tally) in &tallies {
        let counts = [tally.n, tally.n_due, tally.n_told, tally.n_there].map(|n| n.to_string());
        let worst = format!("{:.3}", tally.worst_s);
        table.push(std::iter::once((*kind).to_owned()).chain(counts).chain([worst]));
    }
    ensure!(last.n_files <= first.n_files, "{} open files, {} before", last.n_files, first.n_files);
    ensure!(
        last.memory_kib <= first.memory_kib + SLACK_KIB,
        "{} KiB of memory, {} before",
        last.memory_kib,
        first.memory_kib
    );
    let n_faults: u32 = tallies.values().map(|tally| tally.n).sum();
    Ok(format!(
        "{robot_s:.0} s of the hand in {took_s:.0} s, {n_faults} faults, {n_episodes} episodes kept, changes of state: {states:?}\n\
         memory {} to {} KiB, open files {} to {}\n{table}",
        first.memory_kib, last.memory_kib, first.n_files, last.n_files
    ))
}

fn train(work: Work, out: &Path) -> Result<RunFolder> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join(work.config());
    let mut words = vec!["softflow".into(), "train".into(), config.into_os_string(), "--out".into(), out.into()];
    for change in TINY.iter().chain(work.changes()) {
        words.extend(["--set".into(), (*change).into()]);
    }
    let Command::Train(args) = Cli::try_parse_from(words)?.command else { bail!("no training") };
    commands::train(&args)?;
    Ok(RunFolder::open(out)?)
}

/// The cause that a fault must have, and in what time, s; none where the driver may get over it, or it is over too soon.
fn due(fault: &Fault) -> Option<(Cause, f64)> {
    Some(match fault {
        Fault::Overload { .. } => (Cause::ServoShutdown, 0.2),
        // Its model bears 80 °C, those of the fingers 70.
        Fault::Temperature { servos, .. } if *servos == Servos::Ids(vec![WRIST]) => return None,
        Fault::Temperature { celsius, .. } if celsius.get() > 65.5 => (Cause::Overheated, 0.6),
        Fault::Temperature { celsius, .. } if celsius.get() > 60.5 => (Cause::Hot, 0.6),
        Fault::Temperature { celsius, .. } if celsius.get() > 55.5 => (Cause::Warm, 0.6),
        Fault::Silent { for_s, .. } if for_s.get() > 0.15 => (Cause::JointStale, 0.15),
        Fault::TrackerSilent { for_s } if for_s.get() > 0.2 => (Cause::ObservationLost, 0.2),
        Fault::ArmSilent { for_s } if for_s.get() > 0.15 => (Cause::ArmStale, 0.15),
        Fault::ArmDeaf { for_s } if for_s.get() > 0.25 => (Cause::ArmDeaf, 0.25),
        Fault::LearnerSilent { for_s } if for_s.get() > 0.2 => (Cause::LearnerLost, 0.2),
        Fault::Drop { share, for_s, .. } | Fault::Corrupt { share, for_s, .. }
            if share.get() > 0.2 && for_s.get() > 0.1 =>
        {
            (Cause::BrokenCycle, 0.1)
        }
        Fault::Delay { by_s, for_s, .. } if by_s.get() > 0.012 && for_s.get() > 0.05 => (Cause::BrokenCycle, 0.1),
        _ => return None,
    })
}

const fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Drop { .. } => "answers lost",
        Fault::Corrupt { .. } => "answers damaged",
        Fault::Delay { .. } => "answers late",
        Fault::Silent { .. } => "servo silent",
        Fault::Deaf { .. } => "instructions lost",
        Fault::ArmDeaf { .. } => "arm deaf",
        Fault::Noise { .. } => "noise",
        Fault::Overload { .. } => "overload",
        Fault::Temperature { .. } => "heat, cooling",
        Fault::TrackerSilent { .. } => "tracker silent",
        Fault::TrackerFrozen { .. } => "tracker frozen",
        Fault::LearnerSilent { .. } => "learner silent",
        Fault::ArmSilent { .. } => "arm silent",
        Fault::ArmFailed { .. } => "arm failed",
        Fault::Voltage { .. } => "supply",
        Fault::Echo { .. } => "echo",
        Fault::Unplug => "unplugged",
        Fault::Replug => "plugged in",
    }
}

type Reconciled = (BTreeMap<&'static str, Tally>, BTreeMap<String, u32>);

/// Looks for every fault of the script in the log.
fn reconcile(script: &FaultScript, log: &str) -> Result<Reconciled> {
    let timed = |line: &str| -> Option<(f64, String)> {
        let (time, text) = line.trim_start().split_once("  ")?;
        Some((time.parse().ok()?, text.to_owned()))
    };
    let lines: Vec<(f64, String)> = log.lines().filter_map(timed).collect();
    let mut states: BTreeMap<String, u32> = BTreeMap::new();
    for (_, text) in lines.iter().filter(|(_, text)| text.contains(" -> ") && text.contains(": ")) {
        *states.entry(text.clone()).or_default() += 1;
    }
    let end_s = lines.last().map_or(0.0, |&(time_s, _)| time_s);
    // Torque goes on and off in one long tick, in which nothing else is looked at.
    let is_switching = |at_s: f64| {
        lines.iter().any(|(time_s, text)| text.contains("Connected") && (time_s - at_s).abs() < SWITCHING_S)
    };
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let mut missed = Vec::new();
    for fault in script.faults.iter().filter(|fault| fault.at_s.get() < end_s - 1.0) {
        let at_s = fault.at_s.get();
        let tally = tallies.entry(kind(&fault.fault)).or_default();
        tally.n += 1;
        let Some((cause, limit_s)) = due(&fault.fault).filter(|_| !is_switching(at_s)) else { continue };
        tally.n_due += 1;
        // Times in the log are rounded to a millisecond.
        let of_cause = || lines.iter().filter(|(_, text)| text == cause.text()).map(|&(time_s, _)| time_s + 0.001);
        let told_s = of_cause().find(|&time_s| time_s >= at_s).map(|time_s| time_s - at_s);
        let is_there = of_cause().any(|time_s| time_s < at_s && time_s > at_s - LASTS_S);
        match told_s {
            Some(after_s) if after_s <= limit_s => {
                tally.n_told += 1;
                tally.worst_s = tally.worst_s.max(after_s);
            }
            _ if is_there && cause == Cause::ServoShutdown => tally.n_there += 1,
            _ => missed
                .push(format!("{:?} at {at_s:.3} s: {cause}, {told_s:?} s after it, expected {limit_s}", fault.fault)),
        }
    }
    ensure!(missed.is_empty(), "{} faults are not in the log in their time:\n{}", missed.len(), missed.join("\n"));
    Ok((tallies, states))
}

/// A thread that looks at the process from time to time: an episode that faults cut off again and again may take all of the time.
struct Watched {
    is_ended: Arc<AtomicBool>,
    looks: JoinHandle<Result<Vec<Process>>>,
}

impl Watched {
    fn start() -> Self {
        let is_ended = Arc::new(AtomicBool::new(false));
        let told = is_ended.clone();
        let looks = std::thread::spawn(move || {
            let mut looks = Vec::new();
            while !told.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                looks.push(Process::now()?);
            }
            Ok(looks)
        });
        Self { is_ended, looks }
    }

    fn end(self) -> Result<Vec<Process>> {
        self.is_ended.store(true, Ordering::Relaxed);
        self.looks.join().map_err(|_panic| eyre!("the process could not be watched"))?
    }
}

impl Process {
    fn now() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = line.and_then(|line| line.split_whitespace().next()).ok_or_else(|| eyre!("no VmRSS"))?;
        Ok(Self { memory_kib: memory.parse()?, n_files: std::fs::read_dir("/proc/self/fd")?.count() })
    }
}
