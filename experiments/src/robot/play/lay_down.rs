//! The end of a session that somebody interrupts.

use super::RobotSession;
use bridge::real::control_loop::{Event, Posture, Request};
use bridge::real::machine::{Order, Refusal, State};
use bridge::real::operator::{Answer, Heard, Operator, Stage};
use bridge::real::recorder::Recorded;
use color_eyre::eyre::{Result, ensure};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Longest time for the hand to open, s: over all of its range at half of the usual rate. What is in its way keeps it from it.
const LONGEST_PARK_S: f64 = 8.0;
/// Longest time for the torque to be off, s.
const LONGEST_DISARM_S: f64 = 2.0;

impl RobotSession {
    /// Whether the session is to end; [`RobotSession::play`] then lays the hand down and fails.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_asked()
    }

    /// The same, for another thread to look at.
    #[must_use]
    pub fn interrupt_flag(&self) -> Arc<AtomicBool> {
        self.interrupt.flag()
    }

    /// Fails if the session is to end, in words.
    ///
    /// # Errors
    /// If it is.
    pub fn refuse_interrupted(&self) -> Result<()> {
        ensure!(!self.is_interrupted(), "interrupted: the hand has no torque; what was kept and learned is stored");
        Ok(())
    }

    /// Opens the hand, takes its torque and ends the session, and says `why`. What was recorded of an episode that was not judged yet
    /// is kept apart.
    pub(super) fn lay_down(&mut self, why: &str, operator: &mut Operator, waiting: &mut Vec<Recorded>) -> Result<()> {
        self.say(why);
        let stage = operator.position().stage;
        operator.hear(Heard::Human(Answer::Quit));
        self.save(&operator.position());
        let may_move = matches!(stage, Stage::Open | Stage::Place | Stage::Episode | Stage::Label);
        if may_move && self.cell.is_some() {
            self.request(Order::Park)?;
            self.turn_until(waiting, LONGEST_PARK_S, |event| match event {
                Event::Reached { posture: Posture::Park, .. } => true,
                // A cause stops it, or somebody does.
                Event::State { to, .. } => *to != State::Park,
                // Before the human has put the object in its place the hand is open, or on its way there.
                Event::Refused { order: Order::Park, refusal, .. } => {
                    stage != Stage::Open || *refusal != Refusal::NotInThisState
                }
                _ => false,
            })?;
        }
        if self.cell.is_some() {
            self.request(Order::Disarm)?;
            self.turn_until(waiting, LONGEST_DISARM_S, |event| {
                matches!(event, Event::State { to: State::Connected | State::Disconnected, .. } | Event::Refused { .. })
            })?;
        }
        self.keep_apart(waiting);
        Ok(())
    }

    fn request(&mut self, order: Order) -> Result<()> {
        self.cell()?.request(Request::Order(order));
        Ok(())
    }

    /// Lets the loop go on until an event `ends` it, or `limit_s` is over.
    pub(super) fn turn_until(
        &mut self,
        waiting: &mut Vec<Recorded>,
        limit_s: f64,
        ends: impl Fn(&Event) -> bool,
    ) -> Result<()> {
        let start_s = self.cell()?.now_s();
        while let Some(cell) = &mut self.cell
            && cell.now_s() - start_s < limit_s
        {
            cell.turn()?;
            let events: Vec<Event> = cell.events().collect();
            waiting.extend(cell.records());
            let faults: Vec<_> = cell.faults().collect();
            for report in faults {
                self.write_fault(&report)?;
            }
            let mut is_over = false;
            for event in &events {
                is_over |= ends(event);
                self.film(event);
                self.tell(event)?;
            }
            self.tell_of_drops();
            if is_over {
                return Ok(());
            }
        }
        Ok(())
    }
}
