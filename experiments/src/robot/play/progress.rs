//! Whether a session gets anywhere.

use bridge::real::control_loop::Event;
use bridge::real::machine::State;
use bridge::real::operator::{Operator, Stage};
use color_eyre::eyre::{Result, ensure};

/// Loop time without a new episode after which a session that nobody attends is given up, s.
const LONGEST_PAUSE_S: f64 = 120.0;

/// Whether a session that nobody attends gets anywhere.
pub(super) struct Progress {
    pub(super) last_s: f64,
    pub(super) n_stops: u32,
}

impl Progress {
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            // A long episode is no pause.
            Event::EpisodeBegun { at_s, .. } | Event::EpisodeEnded { at_s, cause: None, .. } => self.last_s = *at_s,
            Event::State { to: State::Fault | State::EStop, .. } | Event::EpisodeEnded { cause: Some(_), .. } => {
                self.n_stops += 1;
            }
            Event::State { to: State::Disconnected, .. } => self.last_s = 0.0,
            _ => {}
        }
    }

    pub(super) fn check(&self, now_s: f64, most_stops: u32, operator: &Operator) -> Result<()> {
        ensure!(
            self.n_stops <= most_stops,
            "the emulated hand was stopped, or its episode cut off, {} times without one that was kept: {}",
            self.n_stops,
            operator.prompt()
        );
        let is_waiting = operator.position().stage != Stage::Episode;
        ensure!(
            !is_waiting || now_s - self.last_s < LONGEST_PAUSE_S,
            "the emulated hand has not begun an episode for {LONGEST_PAUSE_S} s: {}",
            operator.prompt()
        );
        Ok(())
    }
}
