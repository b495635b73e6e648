//! What a session says, and to whom: to its log, to whoever stands beside the hand, or to both. Nothing of it can stop a hand.

use super::RobotSession;
use crate::robot::cell::Cell;
use crate::robot::log::describe;
use bridge::real::cause::Cause;
use bridge::real::control_loop::{Event, FaultReport, Posture};
use bridge::real::machine::State;
use bridge::real::operator::{Operator, Position};
use color_eyre::eyre::Result;
use std::fmt::Display;

impl RobotSession {
    /// Logs an event, and lets go of a hand that is gone.
    pub(super) fn tell(&mut self, event: &Event) -> Result<()> {
        // An order to arm that is refused may be the second one: only a state says that there is no torque.
        if let Event::State { to, .. } = event {
            self.human.guard(to.is_armed());
        }
        self.note(&describe(event));
        match event {
            // Of what is only counted a human is told what may stop the hand soon.
            Event::Chunk { .. } => {}
            Event::Noticed { cause, .. } if !matches!(cause, Cause::Warm | Cause::Hot) => {}
            Event::Reached { posture: Posture::Start, .. } if self.setup.is_attended() => {
                self.narration.say(|| "at its start: let go".into());
            }
            // The port has to be free before it is opened again; that this one does not work is known.
            Event::State { to: State::Disconnected, .. } => self.let_go()?,
            _ if self.setup.is_attended() => self.narration.say(|| describe(event)),
            Event::State { cause: Some(_), .. } => self.narration.say(|| describe(event)),
            _ => {}
        }
        Ok(())
    }

    /// Asks what has not been asked yet. What was said before does not answer it.
    pub(super) fn ask(&mut self, operator: &Operator) {
        let prompt = operator.prompt();
        if prompt == self.shown {
            return;
        }
        for line in self.human.forget() {
            self.say(&line);
        }
        self.note(&format!("           {prompt}"));
        if self.setup.is_attended() {
            self.narration.say(|| prompt.clone());
        }
        self.shown = prompt;
    }

    pub(super) fn say(&mut self, line: &str) {
        self.note(line);
        self.narration.say(|| line.to_owned());
    }

    /// Logs a line.
    pub(super) fn note(&mut self, line: &str) {
        let complaint = self.log.note(line);
        self.complain(complaint);
    }

    /// Counts what could not be written.
    pub(super) fn lose(&mut self, what: &str, error: impl Display) {
        let complaint = self.log.lose(what, error);
        self.complain(complaint);
    }

    fn complain(&self, complaint: Option<String>) {
        if let Some(complaint) = complaint {
            self.narration.say(|| complaint);
        }
    }

    /// Saves where the human is in the session.
    pub(super) fn save(&mut self, position: &Position) {
        if let Err(error) = position.save(&self.position_path()) {
            self.lose("robot/operator.ron", error);
        }
    }

    pub(super) fn write_fault(&mut self, report: &FaultReport) -> Result<()> {
        self.n_faults += 1;
        let path = self.folder.join(format!("faults/{}.jsonl", self.n_faults));
        let written = self.cell()?.write_fault(&path, &report.black_box, report.cause, report.at_s);
        let said = report.error.as_ref().map_or_else(String::new, |error| format!(" ({error})"));
        match written {
            Ok(()) => self.say(&format!("{}{said}; the 200 ticks before it are in {}", report.cause, path.display())),
            Err(error) => {
                self.say(&format!("{}{said}", report.cause));
                self.lose(&path.display().to_string(), error);
            }
        }
        Ok(())
    }

    /// Says once that the log has gaps.
    pub(super) fn tell_of_drops(&mut self) {
        let n_dropped = self.n_dropped + self.cell.as_ref().map_or(0, Cell::n_dropped);
        if n_dropped > 0 && !std::mem::replace(&mut self.is_drop_told, true) {
            self.say(&format!(
                "{n_dropped} events or reports of faults found no place in their queue and are lost: this process is too slow, the log \
                 has gaps from here on"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Narration;
    use crate::experiment::TaskChoice;
    use crate::robot::play::of_one_value;
    use crate::robot::{Kind, Planning, RobotConfig, Setup};
    use bridge::real::emulator::FaultScript;
    use bridge::{CubeReward, GovernorConfig};

    /// Contract: that events were dropped is told when it first happens, and once.
    #[test]
    fn drops_are_told_when_they_happen() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let task =
            TaskChoice::Cube { hand: "orca_v2".into(), reward: CubeReward::Dense, governor: GovernorConfig::usual()? };
        let (domain, script) = ("nominal".into(), FaultScript::default());
        let kind = Kind::Emulated { domain, script, seed: 1, is_real_time: false };
        let setup = Setup::new(&task, RobotConfig::of_hand("orca_v2")?, kind, Planning::OF_NOBODY, 1)?;
        let environment = of_one_value(1);
        let mut session = RobotSession::open(setup, &environment, folder.path(), Narration::Silent)?;
        let mut n_told = || -> Result<usize> {
            session.turn_until(&mut Vec::new(), 0.05, |_| false)?;
            session.cell()?.count_drops(2);
            Ok(std::fs::read_to_string(folder.path().join("log"))?.matches("found no place").count())
        };
        assert_eq!((n_told()?, n_told()?, n_told()?), (0, 1, 1));
        Ok(())
    }
}
