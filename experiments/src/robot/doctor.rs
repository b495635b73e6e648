//! What `softflow doctor` looks at: this machine, the adapter, the servos, the loop's rate, the tracker, the arm, cameras, the
//! gamepad, and by small motions whether every servo turns its own joint. Every finding says what to do.

mod adapter;
mod cameras;
mod listeners;
mod motion;

pub use cameras::{Watched, examine_gamepad};
pub use listeners::Listeners;
pub use motion::Mover;

use super::setup::Setup;
use bridge::Body as _;
use bridge::Percept;
use bridge::number::Positive;
use bridge::real::calibration::Calibration;
use bridge::real::clock::Clock as _;
use bridge::real::hand_driver::{Finding, HandDriver, Severity};
use bridge::real::hand_robot::HandRobot;
use bridge::real::pace::Pace;
use bridge::real::port::{Port, PortError, SerialLine};
use bridge::real::urgent::{Urgency, Vigil};
use color_eyre::eyre::Result;
use serde::Serialize;
use sim::{CubeScene, Domain};
use std::path::Path;
use std::time::Instant;

/// What to do where the control loop may not go before other programs.
pub(super) const URGENT_ADVICE: &str =
    "let your user have real-time priorities, docs/hardware.md has the lines; else a learner makes the loop late";

/// Share of the ticks on time below which a loop is unfit, and below which it should be looked at.
const UNFIT_BELOW: f64 = 0.95;
const GOOD_FROM: f64 = 0.995;
/// Physics that is slower than this many times the clock makes training a matter of days.
const SLOW_BELOW: f64 = 5.0;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// To be known.
    Note,
    /// It works, but not as well as it should.
    Warning,
    /// It does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; empty when it is good.
    pub advice: String,
}

/// All that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// In the order in which it was looked at.
    pub checks: Vec<Check>,
}

impl Examination {
    /// Whether everything works.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.checks.iter().all(|check| check.verdict < Verdict::Bad)
    }

    /// Adds a finding.
    pub fn note(&mut self, name: &str, verdict: Verdict, found: impl Into<String>, advice: impl Into<String>) {
        let (name, found, advice) = (name.to_owned(), found.into(), advice.into());
        self.checks.push(Check { name, verdict, found, advice });
    }

    fn good(&mut self, name: &str, found: impl Into<String>) {
        self.note(name, Verdict::Good, found, "");
    }
}

impl std::fmt::Display for Examination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Check { name, verdict, found, advice } in &self.checks {
            let word = match verdict {
                Verdict::Good => "good",
                Verdict::Note => "note",
                Verdict::Warning => "look",
                Verdict::Bad => "BAD",
            };
            writeln!(f, "{word:<5} {name:<12} {found}")?;
            if !advice.is_empty() {
                writeln!(f, "{:<18} -> {advice}", "")?;
            }
        }
        Ok(())
    }
}

/// What this machine can do without a robot.
///
/// # Errors
/// When the physics cannot be set up.
pub fn examine_machine() -> Result<Examination> {
    let mut examination = Examination::default();
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    if n_cores >= 2 {
        examination.good("processor", format!("{n_cores} cores"));
    } else {
        let advice = "training works, slowly; a control loop beside a learner wants 2 cores";
        examination.note("processor", Verdict::Warning, "1 core", advice);
    }
    let scene = CubeScene::load("orca_v2")?;
    let mut body = scene.body(Domain::load("exact")?);
    body.reset(0)?;
    let simulated_s = 2.0;
    let started = Instant::now();
    for _ in 0..(simulated_s * f64::from(body.spec().servo_hz)) as u32 {
        body.command(&scene.start().holding_rad)?;
    }
    let rate = simulated_s / started.elapsed().as_secs_f64().max(1e-9);
    let found = format!("a grasped cube {rate:.0} times as fast as the clock, on one core");
    if rate >= SLOW_BELOW {
        examination.good("physics", found);
    } else {
        let advice = "is this a release build (cargo build --release), and is the machine busy?";
        examination.note("physics", Verdict::Warning, found, advice);
    }
    Ok(examination)
}

/// Looks at the robot of `setup` on `port`, for `seconds` at the loop's rate. With a `mover` every joint is moved a little; the hand has
/// to be free for it.
///
/// # Errors
/// When the robot's description does not fit the hand. What is wrong with the robot itself is a finding.
pub fn examine(
    setup: &Setup,
    port: &Path,
    calibration: Option<&Calibration>,
    mut listeners: Listeners,
    seconds: Positive,
    mover: Option<&Mover>,
) -> Result<Examination> {
    let mut examination = Examination::default();
    adapter::examine(port, Path::new("/sys/bus/usb-serial/devices"), &mut examination);
    let baud = setup.baud();
    let line = match SerialLine::open(port, baud) {
        Ok(line) => line,
        Err(error) => {
            examination.note("port", Verdict::Bad, error.to_string(), adapter::advice(port, &error));
            listeners.listen(seconds, &mut examination);
            return Ok(examination);
        }
    };
    examination.good("port", format!("{} opens at {baud} baud, and nobody else has it", port.display()));
    let mut driver = setup.driver(line, calibration)?;
    if verify(&mut driver, &mut examination)
        && let Some(mut hand) = connect(driver, setup, &mut examination)
    {
        let before = listeners.count();
        let vigil = setup.robot.keep_awake.then(Vigil::keep).transpose()?;
        urgency(&mut examination);
        rate(&mut hand, setup, &mut listeners, seconds, &mut examination);
        drop(vigil);
        listeners.report(before, seconds, &mut examination);
        if let Some(mover) = mover {
            motion::examine(hand, setup, mover, &mut examination);
        }
    } else {
        listeners.listen(seconds, &mut examination);
    }
    Ok(examination)
}

/// Ids, models, firmware, temperatures, supply: whether the hand may be connected.
fn verify<P: Port>(driver: &mut HandDriver<P>, examination: &mut Examination) -> bool {
    let findings = match driver.verify() {
        Ok(findings) => findings,
        Err(error) => {
            examination.note("servos", Verdict::Bad, error.to_string(), "check the cable and the adapter");
            return false;
        }
    };
    note_findings(&findings, examination);
    let servos = &driver.status().servos;
    let known: Vec<_> = servos.iter().filter(|servo| servo.voltage_v.is_finite()).collect();
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    if !known.is_empty() {
        let (coldest, hottest) = range(&mut known.iter().map(|servo| servo.temperature_c));
        let (lowest, highest) = range(&mut known.iter().map(|servo| servo.voltage_v));
        let ids = servos.iter().map(|servo| servo.id.to_string()).collect::<Vec<_>>().join(" ");
        let found = format!(
            "{} of {} answer as described (ids {ids}), {coldest:.0} to {hottest:.0} °C, {lowest:.1} to {highest:.1} V",
            known.len(),
            servos.len()
        );
        examination.good("servos", found);
    }
    let is_refused = findings.iter().any(|finding| finding.severity >= Severity::NeedsCalibration);
    if is_refused {
        // As where it is connected: a process that was killed left what it held with torque.
        drop(driver.torque_off());
    }
    !is_refused
}

/// Findings of verification; those that several servos share are one.
fn note_findings(findings: &[Finding], examination: &mut Examination) {
    let mut shared: Vec<(&Finding, Vec<String>)> = Vec::new();
    for finding in findings {
        let place = match finding.id {
            Some(id) => format!("servo {id} ({})", finding.place),
            None => finding.place.clone(),
        };
        let is_same = |other: &&Finding| {
            (other.severity, &other.what, &other.advice) == (finding.severity, &finding.what, &finding.advice)
        };
        match shared.iter_mut().find(|(other, _)| is_same(other)) {
            Some((_, places)) => places.push(place),
            None => shared.push((finding, vec![place])),
        }
    }
    for (finding, places) in shared {
        let verdict = match finding.severity {
            Severity::Note => Verdict::Note,
            Severity::Warning => Verdict::Warning,
            Severity::NeedsCalibration | Severity::Refusal => Verdict::Bad,
        };
        let place = match places.as_slice() {
            [place] => place.clone(),
            several => format!("{} servos", several.len()),
        };
        examination.note("servos", verdict, format!("{place}: {}", finding.what), finding.advice.clone());
    }
}

fn connect<P: Port>(driver: HandDriver<P>, setup: &Setup, examination: &mut Examination) -> Option<HandRobot<P>> {
    match HandRobot::connect(driver, setup.robot.driver.hold_effort_share) {
        Ok((hand, _)) => Some(hand),
        Err(error) => {
            examination.note(
                "servos",
                Verdict::Bad,
                error.to_string(),
                "switch the hand's supply off and on, try again",
            );
            None
        }
    }
}

/// Whether the loop goes before other programs; from here on this thread does, as the loop would.
fn urgency(examination: &mut Examination) {
    match Urgency::Period.take() {
        Ok(()) => examination.good("priority", "the control loop goes before other programs"),
        Err(refusal) => examination.note("priority", Verdict::Warning, refusal.to_string(), URGENT_ADVICE),
    }
}

/// How well the hand is read at the loop's rate; torque is off.
fn rate<P: Port>(
    hand: &mut HandRobot<P>,
    setup: &Setup,
    listeners: &mut Listeners,
    seconds: Positive,
    examination: &mut Examination,
) {
    let (hz, clock) = (setup.robot.servo_hz, listeners.clock());
    let mut pace = Pace::new(1.0 / f64::from(hz));
    let mut percept = Percept::default();
    let before = hand.driver().status().n_bad_cycles;
    let (start_s, mut due_s) = (clock.now_s(), clock.now_s());
    let mut broken = None;
    while clock.now_s() - start_s < seconds.get() && broken.is_none() {
        let tick_s = clock.now_s();
        pace.begin(tick_s);
        broken = hand.read(&mut percept).err();
        listeners.poll();
        due_s = pace.end(due_s, tick_s, clock.now_s());
        clock.wait_until(due_s);
    }
    if let Some(error) = broken {
        examination.note("loop", Verdict::Bad, error.to_string(), "check cables and supply, then look again");
        return;
    }
    let n_bad = hand.driver().status().n_bad_cycles - before;
    let share = pace.share_on_time();
    let n_due = pace.n_ticks + pace.n_skipped;
    let achieved_hz = pace.n_ticks as f64 / (clock.now_s() - start_s).max(1e-9);
    let found = format!(
        "{achieved_hz:.1} Hz of {hz}, {:.2} % of {n_due} reads on time, the slowest took {:.1} ms, {n_bad} with a servo missing",
        100.0 * share,
        1e3 * pace.worst_tick_s
    );
    let is_noisy = n_bad as f64 > 0.01 * n_due as f64;
    let (verdict, advice) = if share < UNFIT_BELOW {
        (
            Verdict::Bad,
            "lower the adapter's latency timer and the servos' return delay, quieten the machine, or lower servo_hz",
        )
    } else if share < GOOD_FROM {
        let advice = if setup.robot.keep_awake {
            "good enough to begin; other programs on this machine take the loop's time"
        } else {
            "good enough to begin; other programs take the loop's time, or the cores sleep: try keep_awake: true in the robot's file"
        };
        (Verdict::Warning, advice)
    } else if is_noisy {
        (Verdict::Warning, "check plugs and cables along the chain of servos, and the supply under load")
    } else {
        (Verdict::Good, "")
    };
    examination.note("loop", verdict, found, advice);
}

/// Whether an error of the port is one of permissions.
fn is_permission(error: &PortError) -> bool {
    matches!(error, PortError::Open { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied)
}
