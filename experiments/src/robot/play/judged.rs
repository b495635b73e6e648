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

/// The longest piece of the episode that ended at `ended_s` and has just been judged; and whether it has the verdict, which is one
/// on the end: in another piece it would make the last step one after which nothing more can come.
pub(super) fn whole(waiting: &mut Vec<Recorded>, verdict: Option<Button>, ended_s: f64) -> Option<(Recorded, bool)> {
    let mut longest = waiting.drain(..).max_by_key(|record| record.episode.n_steps())?;
    let is_judged = is_end(&longest, ended_s);
    if is_judged {
        longest.judge(verdict);
    }
    Some((longest, is_judged))
}

/// Whether a record goes on to the end of its episode at `ended_s`: that is told a tick after the last step, and a step that could
/// not be stored takes a step longer.
fn is_end(record: &Recorded, ended_s: f64) -> bool {
    let (Some(first_s), Some(last_s)) = (record.times_s.first(), record.times_s.last()) else { return false };
    ended_s - last_s < (last_s - first_s) / record.episode.n_steps() as f64
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::robot::play::of_one_value;
    use bridge::Outcome;

    const STEP_S: f64 = 0.05;
    const TICK_S: f64 = 0.01;

    /// A piece of the steps from `begin` to before `end` of an episode that begins at 1 s.
    fn piece(piece: u32, (begin, end): (u32, u32)) -> Recorded {
        let spec = of_one_value(600);
        let mut episode = Episode::begin(&spec, "", 7, &[0.0]);
        (begin..end).for_each(|_| episode.push(&[0.0], 0.0, &[0.0]));
        episode.finish(Outcome::default());
        let times_s = (begin..=end).map(|step| 1.0 + STEP_S * f64::from(step)).collect();
        Recorded {
            episode,
            actors: Vec::new(),
            cut_by: None,
            verdict: None,
            interventions: Vec::new(),
            piece,
            times_s,
            late_success: None,
        }
    }

    /// Contract: of an episode of 600 steps the longest piece is kept, and has the verdict only where it goes on to the end: what was
    /// said of the end is said of no step before it, whether the end is a shorter piece or could not be stored.
    #[test]
    fn a_verdict_is_one_on_the_end() -> Result<(), &'static str> {
        let ended_s = 1.0 + STEP_S * 600.0 + TICK_S;
        for (pieces, n_kept, is_end) in [
            (vec![(0, 600)], 600, true),
            (vec![(0, 400), (401, 600)], 400, false),
            (vec![(0, 199), (200, 600)], 400, true),
            (vec![(0, 599)], 599, false),
            (vec![(0, 100), (101, 598)], 497, false),
        ] {
            for (verdict, succeeds) in [
                (Some(Button::Success), true),
                (Some(Button::Failure), false),
                (Some(Button::Unsafe), false),
                (None, false),
            ] {
                let mut waiting: Vec<Recorded> =
                    pieces.iter().zip(0..).map(|(&steps, number)| piece(number, steps)).collect();
                let (kept, is_judged) = whole(&mut waiting, verdict, ended_s).ok_or("nothing was kept")?;
                let label = &kept.episode.label;
                assert_eq!((kept.episode.n_steps(), is_judged), (n_kept, is_end), "{pieces:?}");
                let expected = (is_end && verdict.is_some(), is_end && succeeds);
                assert_eq!((label.terminated, label.outcome.succeeded), expected, "{pieces:?}, {verdict:?}");
                assert!(waiting.is_empty());
            }
        }
        Ok(())
    }
}
