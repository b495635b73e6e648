//! What becomes of episodes: which record is kept, and under which name; what of their frames.

use super::RobotSession;
use crate::robot::film::{EpisodeNote, Fate, Piece};
use bridge::Episode;
use bridge::real::control_loop::Event;
use bridge::real::labels::Button;
use bridge::real::recorder::{Actor, Recorded};

impl RobotSession {
    /// Lets the cameras know of an event.
    pub(super) fn film(&mut self, event: &Event) {
        if let Some(film) = self.cell.as_mut().and_then(|cell| cell.film().as_mut()) {
            film.note(event);
        }
    }

    /// Tells what the cameras report.
    pub(super) fn tell_of_cameras(&mut self) {
        let Some(film) = self.cell.as_mut().and_then(|cell| cell.film().as_mut()) else { return };
        let lines: Vec<String> = film.reports().collect();
        lines.iter().for_each(|line| self.say(line));
    }

    /// Stores what is left of episodes that were cut off, as far as the disk takes it: nothing learns from them.
    pub(super) fn keep_apart(&mut self, waiting: &mut Vec<Recorded>) {
        let mut pieces = Vec::with_capacity(waiting.len());
        for record in waiting.drain(..) {
            let Some(cut) = &mut self.cut else {
                self.lose("robot/cut", "it failed before");
                continue;
            };
            let piece = Piece { seed: None, record: Some(cut.n_episodes()), observed_s: record.times_s };
            match cut.append(&record.episode) {
                Ok(()) => pieces.push(piece),
                // What would be written behind a record that is not whole could not be read.
                Err(error) => {
                    self.cut = None;
                    self.lose("robot/cut", error);
                }
            }
        }
        self.note_fate(Fate::Cut, pieces);
    }

    /// The frames of the last episode belong to the one of `seed`, whose observations were made at `observed_s`.
    pub(super) fn note_kept(&mut self, seed: u64, observed_s: Vec<f64>) {
        self.note_fate(Fate::Kept, vec![Piece { seed: Some(seed), record: None, observed_s }]);
    }

    /// The frames of the last episode are worthless.
    pub(super) fn note_discarded(&mut self) {
        self.note_fate(Fate::Discarded, Vec::new());
    }

    fn note_fate(&mut self, fate: Fate, pieces: Vec<Piece>) {
        if let Some(film) = self.cell.as_mut().and_then(|cell| cell.film().as_mut()) {
            film.judge(EpisodeNote { fate, pieces });
        }
    }
}

/// The longest piece of the episode that has just been judged, with the verdict.
pub(super) fn whole(waiting: &mut Vec<Recorded>, verdict: Option<Button>) -> Option<Recorded> {
    let mut longest = waiting.drain(..).max_by_key(|record| record.episode.n_steps())?;
    longest.judge(verdict);
    Some(longest)
}

/// The episode as one of the run: by its seed, and by the own names of the policies that acted, `published` in the order of their
/// numbers, which begin with 1.
pub(super) fn named(mut record: Recorded, published: &[String], seed: u64) -> Episode {
    record.name_actors(|actor| match actor {
        Actor::Policy(version) => {
            (version as usize).checked_sub(1).and_then(|index| published.get(index)).cloned().unwrap_or_default()
        }
        Actor::Human => actor.to_string(),
    });
    record.episode.label.seed = seed;
    record.episode
}
