//! Episodes on a robot: leads whoever answers through them and keeps what is good.
//!
//! ```text
//! runs/X/robot/log               every event
//!              operator.ron      where the human is in the session, and the counts
//!              faults/N.jsonl    the 200 ticks before a fault
//!              cut/              what was recorded of episodes that a fault cut off; nothing learns from it
//!        frames/                what cameras saw of episodes, see `film`
//! ```

mod judged;
mod lay_down;
mod progress;
mod told;

use super::cell::Cell;
use super::doctor::URGENT_ADVICE;
use super::film::Film;
use super::human::{Human, KEYS, Said};
use super::interrupt::Interrupt;
use super::log::Log;
use super::setup::{Kind, Setup};
use super::{Learning, RobotConfig};
use crate::Narration;
use bridge::dataset::{Dataset, DatasetHeader};
use bridge::real::control_loop::{Event, FaultReport, Request};
use bridge::real::gamepad::Gamepad;
use bridge::real::machine::Order;
use bridge::real::operator::{Answer, Heard, Judged, Operator, Position, Reply, Stage};
use bridge::real::pace::Pace;
use bridge::real::recorder::Recorded;
use bridge::real::urgent;
use bridge::{EnvironmentSpec, Episode};
use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use crossbeam::channel::{Receiver, TryRecvError};
use judged::{named, whole};
use learn::Policy;
use learn::kernels::on_every_worker;
use progress::Progress;
use std::path::{Path, PathBuf};

/// Why a hand is laid down whose episodes nobody could learn from.
const NOT_STORED: &str =
    "the episode could not be stored: nothing more is collected, the hand opens if it may, then its torque goes off";
/// What becomes of a verdict on an episode whose longest piece is not its end.
const NOT_ITS_END: &str = "what is kept of this episode is not its end: it is without what was said of it";
/// Why a hand is laid down that nobody learns from any more.
const NO_LEARNER: &str = "the learner has ended: the hand opens if it may, then its torque goes off";
/// What to do about it.
const MAKE_ROOM: &str = "those before it are stored. Make room, then `softflow train --resume` goes on";

/// A robot, and whoever answers for it.
#[derive(Debug)]
pub struct RobotSession {
    setup: Setup,
    folder: PathBuf,
    human: Human,
    narration: Narration,
    log: Log,
    /// None once it could not be written.
    cut: Option<Dataset>,
    cell: Option<Cell>,
    /// Of the loops that have ended.
    pace: Option<Pace>,
    n_dropped: u64,
    is_drop_told: bool,
    interrupt: Interrupt,
    n_faults: u64,
    shown: String,
    /// Names of the policies that were published, in the order of their numbers, which begin with 1.
    published: Vec<String>,
}

impl RobotSession {
    /// Connects the robot: opens the port, verifies the hand, starts the loop. Torque stays off. What is worth keeping
    /// of the session besides its episodes goes to `folder`.
    ///
    /// # Errors
    /// What stands in the way, and what to do.
    pub fn open(setup: Setup, environment: &EnvironmentSpec, folder: &Path, narration: Narration) -> Result<Self> {
        let faults = folder.join("faults");
        std::fs::create_dir_all(&faults).wrap_err_with(|| faults.display().to_string())?;
        let header =
            DatasetHeader { environment: environment.clone(), domain: "cut off".into(), seed: 0, reward: setup.reward };
        let setup = setup.filmed_into(folder.with_file_name("frames"));
        let human = if setup.is_attended() {
            Human::at_keyboard(Gamepad::open(&setup.robot.gamepad, setup.e_stop())?, setup.e_stop())?
        } else {
            Human::stand_in(setup.robot.emulated.answer_s.get())
        };
        let mut session = Self {
            log: Log::open(&folder.join("log")).wrap_err_with(|| folder.display().to_string())?,
            cut: Some(Dataset::open(&folder.join("cut"), &header)?),
            interrupt: if setup.is_real_time() { Interrupt::watch()? } else { Interrupt::ignore() },
            n_faults: std::fs::read_dir(&faults)?.count() as u64,
            setup,
            folder: folder.to_owned(),
            human,
            narration,
            cell: None,
            pace: None,
            n_dropped: 0,
            is_drop_told: false,
            shown: String::new(),
            published: Vec::new(),
        };
        if let Some(pad) = session.human.pad() {
            let found = format!("gamepad: {}\n{}", pad.name(), session.setup.robot.gamepad.legend());
            session.say(&found);
        }
        session.connect()?;
        Ok(session)
    }

    /// Plays one episode that is kept for every seed, with `policy`, and from the next chunk on with what comes by `deployed`: once,
    /// none where `policy` stays. `on_kept` sees each of them as it is judged, and stores it.
    ///
    /// # Errors
    /// When the human quits, the hand cannot be used any more, an episode could not be stored, or whoever was to deploy a policy is
    /// gone without a word: no other one is then played, and the hand is laid down.
    pub fn play(
        &mut self,
        policy: &Policy,
        deployed: &Receiver<Option<Policy>>,
        seeds: &[u64],
        mut on_kept: impl FnMut(&Episode) -> Result<()>,
    ) -> Result<Vec<Episode>> {
        let position = self.begin(seeds.len() as u64)?;
        let mut operator = Operator::new(position, true);
        let mut saved = position;
        let mut waiting: Vec<Recorded> = Vec::new();
        let mut missing = seeds.iter();
        let mut kept = Vec::with_capacity(seeds.len());
        // The loop's clock goes on from one call to the next.
        let mut progress = Progress { last_s: self.now_s().unwrap_or_default(), n_stops: 0 };
        let mut policy = policy.deep_clone()?;
        let mut is_heard = false;
        let mut ended_s = f64::INFINITY;
        self.publish(&policy)?;
        // Whatever was asked before is asked anew: it is another session, and nobody may have looked for long.
        self.shown.clear();
        while operator.position().stage != Stage::Done {
            if self.interrupt.is_asked() {
                let why = "interrupted: the hand opens, then its torque goes off; once more ends at once";
                self.lay_down(why, &mut operator, &mut waiting)?;
                continue;
            }
            if self.cell.is_none() {
                self.reconnect(&mut operator, &policy)?;
                continue;
            }
            match deployed.try_recv() {
                Ok(newer) => {
                    is_heard = true;
                    if let Some(newer) = newer {
                        policy = newer;
                        self.publish(&policy)?;
                    }
                }
                Err(TryRecvError::Disconnected) if !is_heard => {
                    self.lay_down(NO_LEARNER, &mut operator, &mut waiting)?;
                    bail!("the learner has ended: what was kept is stored, `softflow train --resume` goes on");
                }
                Err(_) => {}
            }
            let mut replies = self.enter(&mut operator);
            let cell = self.cell()?;
            cell.turn()?;
            let now_s = cell.now_s();
            // A record comes before the event of its end: whoever has the event has the record.
            let (events, faults): (Vec<Event>, Vec<FaultReport>) = (cell.events().collect(), cell.faults().collect());
            waiting.extend(cell.records());
            for event in &events {
                self.film(event);
                progress.note(event);
                replies.push(operator.hear(Heard::Loop(event.clone())));
                if operator.position().stage == Stage::Label && waiting.is_empty() {
                    self.say("nothing of this episode could be stored");
                    replies.push(operator.hear(Heard::Human(Answer::Discard)));
                }
                if let Event::EpisodeEnded { at_s, .. } = event {
                    ended_s = *at_s;
                    if operator.position().stage != Stage::Label {
                        self.keep_apart(&mut waiting);
                    }
                }
            }
            for report in faults {
                self.write_fault(&report)?;
            }
            self.tell_of_cameras();
            for event in &events {
                self.tell(event)?;
            }
            self.tell_of_drops();
            // Before anybody is heard: what is said from here on is said to this.
            self.ask(&operator);
            if let Some(said) = self.human.hear(operator.position().stage, now_s) {
                replies.extend(self.obey(said, &mut operator));
            }
            for reply in replies {
                self.forward(&reply);
                match reply.judged {
                    Some(Judged::Keep(verdict)) => {
                        let whole = whole(&mut waiting, verdict, ended_s);
                        if let (Some((whole, is_judged)), Some(&seed)) = (whole, missing.next()) {
                            if verdict.is_some() && !is_judged {
                                self.say(NOT_ITS_END);
                            }
                            let times_s = whole.times_s.clone();
                            let episode = named(whole, &self.published, seed);
                            if let Err(error) = on_kept(&episode) {
                                self.lay_down(NOT_STORED, &mut operator, &mut waiting)?;
                                return Err(error.wrap_err(format!("the episode of seed {seed} is lost; {MAKE_ROOM}")));
                            }
                            self.note_kept(seed, times_s);
                            kept.push(episode);
                        }
                        progress = Progress { last_s: now_s, n_stops: 0 };
                    }
                    Some(Judged::Discard) => {
                        waiting.clear();
                        self.note_discarded();
                    }
                    None => {}
                }
            }
            if operator.position() != saved {
                saved = operator.position();
                self.save(&saved);
            }
            self.ask(&operator);
            if !self.setup.is_attended() {
                progress.check(now_s, self.setup.robot.emulated.give_up_after, &operator)?;
            }
        }
        // The last order is still under way: torque off.
        for _ in 0..4 {
            self.cell.as_mut().map_or(Ok(()), Cell::turn)?;
        }
        self.human.guard(false);
        let n_missing = missing.count();
        ensure!(
            n_missing == 0,
            "the session was ended with {} of {} episodes; what was kept is stored, `softflow train --resume` goes on",
            seeds.len() - n_missing,
            seeds.len()
        );
        Ok(kept)
    }

    /// The robot.
    #[must_use]
    pub const fn config(&self) -> &RobotConfig {
        &self.setup.robot
    }

    /// Whether the hand plays on while the learner learns.
    #[must_use]
    pub fn plays_on(&self) -> bool {
        // In the emulator's own time nothing happens at once.
        self.setup.is_real_time() && self.setup.robot.learning == Learning::WhilePlaying
    }

    /// Time of the loop, s; none while the hand is not connected.
    #[must_use]
    pub fn now_s(&self) -> Option<f64> {
        self.cell.as_ref().map(Cell::now_s)
    }

    /// What records call the domain of its episodes.
    #[must_use]
    pub fn domain(&self) -> String {
        match &self.setup.kind {
            Kind::Real => "real".into(),
            Kind::Emulated { domain, .. } => format!("{domain}, emulated"),
        }
    }

    /// Ends the session, torque off, and says how well the loop kept its period. Whether all that there was to write was written.
    ///
    /// # Errors
    /// When a thread of the loop panicked.
    pub fn end(mut self) -> Result<bool> {
        let film = self.cell.as_mut().and_then(|cell| cell.film().take());
        for line in film.map(Film::end).unwrap_or_default() {
            self.say(&line);
        }
        self.let_go()?;
        if let Some(pace) = self.pace {
            let (share, worst_ms) = (100.0 * pace.share_on_time(), 1e3 * pace.worst_tick_s);
            self.say(&format!(
                "control loop: {share:.2} % of {} ticks on time, the slowest took {worst_ms:.1} ms; {} events dropped",
                pace.n_ticks + pace.n_skipped,
                self.n_dropped
            ));
        }
        let n_lost = self.log.n_lost();
        if n_lost > 0 {
            self.say(&format!(
                "{n_lost} lines and files of {} could not be written and are lost",
                self.folder.display()
            ));
        }
        Ok(n_lost == 0)
    }

    /// Ends the loop, torque off.
    fn let_go(&mut self) -> Result<()> {
        let Some(cell) = self.cell.take() else { return Ok(()) };
        self.n_dropped += cell.n_dropped();
        let pace = cell.end()?;
        self.human.guard(false);
        self.pace = Some(self.pace.map_or(pace, |before| before.and_then(pace)));
        Ok(())
    }

    fn position_path(&self) -> PathBuf {
        self.folder.join("operator.ron")
    }

    /// Where a session that was interrupted was, with `n_wanted` further episodes.
    fn begin(&self, n_wanted: u64) -> Result<Position> {
        let path = self.position_path();
        let saved = if path.exists() { Position::load(&path)? } else { Position::new(0, 0) };
        let stage = if saved.stage == Stage::Label { Stage::Label } else { Stage::Connect };
        Ok(Position { stage, n_wanted: saved.n_kept + n_wanted, ..saved })
    }

    fn cell(&mut self) -> Result<&mut Cell> {
        match &mut self.cell {
            Some(cell) => Ok(cell),
            None => bail!("the hand is not connected"),
        }
    }

    fn connect(&mut self) -> Result<()> {
        let (cell, findings) = self.setup.connect()?;
        for finding in &findings {
            self.note(&format!("found: {finding}"));
            if self.setup.is_attended() {
                self.narration.say(|| finding.to_string());
            }
        }
        if self.setup.is_real_time() {
            match urgent::allowed() {
                // The loop's threads have their priority; the learner's take what is left.
                Ok(()) => on_every_worker(|| drop(urgent::go_last())),
                Err(refusal) => self.say(&format!("found: {refusal}; {URGENT_ADVICE}")),
            }
        }
        let limits = format!("{}{}", cell.limits(), self.setup.robot.driver);
        self.note(&limits);
        if self.setup.is_attended() {
            self.narration.say(|| format!("{limits}\n{KEYS}"));
        }
        self.cell = Some(cell);
        Ok(())
    }

    /// Connects a hand that was lost, once somebody has seen to it.
    fn reconnect(&mut self, operator: &mut Operator, policy: &Policy) -> Result<()> {
        if self.setup.is_attended() {
            self.ask(operator);
            match self.human.wait(|| self.interrupt.is_asked()) {
                Said::Answer(Answer::Yes) => {}
                Said::Answer(Answer::Quit) => {
                    operator.hear(Heard::Human(Answer::Quit));
                    return Ok(());
                }
                said => {
                    self.say(if let Said::OfPad(line) = &said { line } else { KEYS });
                    return Ok(());
                }
            }
            if let Err(error) = self.connect() {
                self.say(&format!("{error:#}"));
                return Ok(());
            }
        } else {
            self.connect()?;
        }
        self.publish(policy)
    }

    /// Gives the policy its number and makes it the one that plans from the next chunk on.
    fn publish(&mut self, policy: &Policy) -> Result<()> {
        let name = policy.header().name.clone();
        self.note(&format!("policy {} is {name}", self.published.len() + 1));
        self.published.push(name);
        let version = self.published.len() as u64;
        self.cell()?.publish(policy.deep_clone()?, version);
        Ok(())
    }

    /// What a stage begins with, where nobody has to be asked.
    fn enter(&self, operator: &mut Operator) -> Vec<Reply> {
        let mut replies = Vec::new();
        if operator.position().stage == Stage::Connect && self.cell.is_some() {
            replies.push(operator.hear(Heard::Connected));
        }
        // A hand that is not fit is not connected.
        if operator.position().stage == Stage::Check {
            replies.push(operator.hear(Heard::Checked(true)));
        }
        replies
    }

    /// Does what was said.
    fn obey(&mut self, said: Said, operator: &mut Operator) -> Option<Reply> {
        match said {
            Said::Button(button) => self.cell.iter().for_each(|cell| cell.press(button)),
            Said::Nonsense => self.say(KEYS),
            Said::OfPad(line) => self.say(&line),
            Said::Answer(answer) => {
                if operator.position().stage == Stage::Stopped {
                    self.cell.iter().for_each(Cell::release_e_stop);
                }
                let reply = operator.hear(Heard::Human(answer));
                if reply.is_misplaced {
                    self.say("that means nothing here");
                }
                return Some(reply);
            }
        }
        None
    }

    fn forward(&self, reply: &Reply) {
        let Some(cell) = &self.cell else { return };
        for request in reply.requests.into_iter().flatten() {
            // Before it comes on: from here on an empty line is no line.
            if request == Request::Order(Order::Arm) {
                self.human.guard(true);
            }
            cell.request(request);
        }
    }
}

/// For tests of what takes any environment: one value is seen, one joint is moved.
#[cfg(test)]
fn of_one_value(horizon_steps: u32) -> EnvironmentSpec {
    EnvironmentSpec {
        task: "none".into(),
        body: "none".into(),
        observation_len: 1,
        action_len: 1,
        action_lower_rad: vec![-1.0],
        action_upper_rad: vec![1.0],
        control_hz: 20,
        horizon_steps,
    }
}
