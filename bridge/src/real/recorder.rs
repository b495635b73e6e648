//! Episodes of a real body, as they are stored: applied actions, and nothing from around a fault.
//!
//! A step that is not fit to be stored ends the record there, truncated; the next fit step begins another record of the
//! same episode. A fault takes the last steps before it along. What ends an episode is in [`Recorded`], and as numbers in
//! its outcome's scalars: `fault_row` (of the fault table), `intervened_steps`, `unsafe`, `piece` (0, 1, ...).

use super::cause::Cause;
use super::labels::Button;
use crate::{EnvironmentSpec, Episode, Outcome};
use crossbeam::channel::Sender;
use std::ops::Range;

/// A record, and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The steps.
    pub episode: Episode,
    /// The cause that cut it off; none when it ended by itself, by order or by a label.
    pub cut_by: Option<Cause>,
    /// What the human said at its end.
    pub verdict: Option<Button>,
    /// Steps in which a human acted in the policy's place.
    pub interventions: Vec<Range<usize>>,
    /// Which piece of its episode it is.
    pub piece: u32,
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct StepRecord<'a> {
    /// What was seen before it.
    pub before: &'a [f32],
    /// What was really applied, rad.
    pub applied_rad: &'a [f32],
    /// Its reward.
    pub reward: f32,
    /// What was seen after it.
    pub after: &'a [f32],
    /// Whether it may be stored.
    pub is_fit: bool,
    /// Whether a human acted.
    pub is_intervened: bool,
}

/// Records the episodes of one loop.
#[derive(Debug)]
pub struct Recorder {
    spec: EnvironmentSpec,
    n_spoilt_steps: usize,
    records: Sender<Recorded>,
    running: Option<Running>,
    /// Records that found no place in the queue.
    pub n_dropped: u64,
    /// Steps that were not fit to be stored.
    pub n_unfit: u64,
}

#[derive(Debug)]
struct Running {
    seed: u64,
    actor: String,
    piece: u32,
    record: Option<Recorded>,
}

impl Recorder {
    /// Sends what it records to `records`. A fault spoils the `n_spoilt_steps` steps before it.
    #[must_use]
    pub const fn new(spec: EnvironmentSpec, n_spoilt_steps: usize, records: Sender<Recorded>) -> Self {
        Self { spec, n_spoilt_steps, records, running: None, n_dropped: 0, n_unfit: 0 }
    }

    /// Begins an episode.
    pub fn begin(&mut self, actor: String, seed: u64) {
        self.running = Some(Running { seed, actor, piece: 0, record: None });
    }

    /// Takes in one step.
    pub fn push(&mut self, step: StepRecord<'_>, outcome_so_far: impl FnOnce() -> Outcome) {
        let Some(running) = &mut self.running else { return };
        if !step.is_fit {
            self.n_unfit += 1;
            self.close(Outcome { terminated: false, succeeded: false, ..outcome_so_far() }, None, None);
            return;
        }
        let record = running.record.get_or_insert_with(|| Recorded {
            episode: Episode::begin(&self.spec, &running.actor, running.seed, step.before),
            cut_by: None,
            verdict: None,
            interventions: Vec::new(),
            piece: running.piece,
        });
        let step_idx = record.episode.n_steps();
        if step.is_intervened {
            match record.interventions.last_mut() {
                Some(last) if last.end == step_idx => last.end += 1,
                _ => record.interventions.push(step_idx..step_idx + 1),
            }
        }
        record.episode.push(step.applied_rad, step.reward, step.after);
    }

    /// Ends the episode. Returns the steps of its last record.
    pub fn end(&mut self, outcome: Outcome, cut_by: Option<Cause>, verdict: Option<Button>) -> usize {
        let n_steps = self.close(outcome, cut_by, verdict);
        self.running = None;
        n_steps
    }

    /// Whether an episode is being recorded.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.running.is_some()
    }

    fn close(&mut self, mut outcome: Outcome, cut_by: Option<Cause>, verdict: Option<Button>) -> usize {
        let Some(running) = &mut self.running else { return 0 };
        let Some(mut record) = running.record.take() else { return 0 };
        running.piece += 1;
        if cut_by.is_some() && verdict.is_none() {
            (outcome.terminated, outcome.succeeded) = (false, false);
            let n_steps = record.episode.n_steps().saturating_sub(self.n_spoilt_steps);
            record.episode.truncate(n_steps);
            record.interventions.retain_mut(|range| {
                range.end = range.end.min(n_steps);
                range.start < range.end
            });
        }
        match verdict {
            Some(Button::Success) => (outcome.terminated, outcome.succeeded) = (true, true),
            Some(Button::Failure | Button::Unsafe) => (outcome.terminated, outcome.succeeded) = (true, false),
            _ => {}
        }
        let n_intervened: usize = record.interventions.iter().map(ExactSizeIterator::len).sum();
        let scalars = [
            ("fault_row", cut_by.map(|cause| f64::from(cause.response().row))),
            ("intervened_steps", (n_intervened > 0).then_some(n_intervened as f64)),
            ("unsafe", (verdict == Some(Button::Unsafe)).then_some(1.0)),
            ("piece", (record.piece > 0).then_some(f64::from(record.piece))),
        ];
        for (name, value) in scalars {
            if let Some(value) = value {
                outcome.scalars.insert(name.to_owned(), value);
            }
        }
        record.episode.finish(outcome);
        (record.cut_by, record.verdict) = (cut_by, verdict);
        let n_steps = record.episode.n_steps();
        if n_steps > 0 && self.records.try_send(record).is_err() {
            self.n_dropped += 1;
        }
        n_steps
    }
}
