//! Episodes of a real body, as they are stored: applied actions, and nothing from around a fault.
//!
//! A step that is not fit to be stored ends the record there, truncated; the next fit step begins another record of the
//! same episode. A fault takes the last steps before it along. What ends an episode is in [`Recorded`], and as numbers in
//! its outcome's scalars: `fault_row` (of the fault table), `intervened_steps`, `unsafe`, `piece` (0, 1, ...), and of the k-th
//! intervention `intervention_k_begin`, its first step, and `intervention_k_end`, the one after its last: [`interventions`].

use super::cause::Cause;
use super::labels::Button;
use crate::{EnvironmentSpec, Episode, Outcome};
use crossbeam::channel::Sender;
use std::fmt;
use std::ops::Range;

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A policy, by its number.
    Policy(u64),
    /// A human in its place.
    Human,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(version) => write!(f, "policy {version}"),
            Self::Human => f.write_str("human"),
        }
    }
}

/// A record, and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The steps. The label's actor is [`Recorded::name_actors`].
    pub episode: Episode,
    /// Who acted in it, each once, in the order of their first steps.
    pub actors: Vec<Actor>,
    /// The cause that cut it off; none when it ended by itself, by order or by a label.
    pub cut_by: Option<Cause>,
    /// What the human said at its end.
    pub verdict: Option<Button>,
    /// Steps in which a human acted in the policy's place.
    pub interventions: Vec<Range<usize>>,
    /// Which piece of its episode it is.
    pub piece: u32,
    /// When each observation was made, s on the loop's clock: one more than there are steps.
    pub times_s: Vec<f64>,
    /// What its last step would have earned besides, and what would have come of it, had success been said in time; none
    /// where saying it earns nothing, or it was said.
    pub late_success: Option<(f64, Outcome)>,
}

impl Recorded {
    /// Labels the episode with the names of those who acted in it, `name` of each, separated by commas.
    pub fn name_actors(&mut self, name: impl Fn(Actor) -> String) {
        let names: Vec<String> = self.actors.iter().map(|&actor| name(actor)).collect();
        self.episode.label.actor = names.join(", ");
    }

    /// A human judges it after its end: as if it had been said in the last step.
    pub fn judge(&mut self, verdict: Option<Button>) {
        let label = &mut self.episode.label;
        match verdict {
            Some(Button::Success) => {
                if let Some((reward, outcome)) = self.late_success.take() {
                    if let Some(last) = self.episode.rewards.last_mut() {
                        *last += reward as f32;
                    }
                    let own = std::mem::replace(&mut label.outcome, outcome).scalars;
                    // What the recorder knows stays; what the task says is newer.
                    own.into_iter().for_each(|(name, value)| {
                        label.outcome.scalars.entry(name).or_insert(value);
                    });
                }
                (label.outcome.terminated, label.outcome.succeeded) = (true, true);
            }
            Some(Button::Failure | Button::Unsafe) => {
                (label.outcome.terminated, label.outcome.succeeded) = (true, false);
            }
            _ => {}
        }
        label.terminated = label.outcome.terminated;
    }
}

/// Steps of a stored episode in which a human acted in the policy's place, from its `outcome`.
#[must_use]
pub fn interventions(outcome: &Outcome) -> Vec<Range<usize>> {
    let step = |name: String| outcome.scalars.get(&name).map(|&step| step as usize);
    let ranges =
        (0..).map_while(|k| Some(step(format!("intervention_{k}_begin"))?..step(format!("intervention_{k}_end"))?));
    ranges.collect()
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
    /// When it began and ended, s on the loop's clock: when these were seen.
    pub span_s: (f64, f64),
    /// Whether it may be stored.
    pub is_fit: bool,
    /// Who acted in it; none where what was there was held.
    pub actor: Option<Actor>,
}

/// How an episode ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// What came of it.
    pub outcome: Outcome,
    /// The cause that cut it off.
    pub cut_by: Option<Cause>,
    /// What the human said.
    pub verdict: Option<Button>,
    /// See [`Recorded::late_success`].
    pub late_success: Option<(f64, Outcome)>,
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
    pub fn begin(&mut self, seed: u64) {
        self.running = Some(Running { seed, piece: 0, record: None });
    }

    /// Takes in one step.
    pub fn push(&mut self, step: StepRecord<'_>, outcome_so_far: impl FnOnce() -> Outcome) {
        let Some(running) = &mut self.running else { return };
        if !step.is_fit {
            self.n_unfit += 1;
            let outcome = Outcome { terminated: false, succeeded: false, ..outcome_so_far() };
            self.close(Ending { outcome, ..Ending::default() });
            return;
        }
        let (began_s, ended_s) = step.span_s;
        let record = running.record.get_or_insert_with(|| {
            let mut times_s = Vec::with_capacity(self.spec.horizon_steps as usize + 1);
            times_s.push(began_s);
            Recorded {
                episode: Episode::begin(&self.spec, "", running.seed, step.before),
                actors: Vec::with_capacity(2),
                cut_by: None,
                verdict: None,
                interventions: Vec::new(),
                piece: running.piece,
                times_s,
                late_success: None,
            }
        });
        let step_idx = record.episode.n_steps();
        if let Some(actor) = step.actor.filter(|actor| !record.actors.contains(actor)) {
            record.actors.push(actor);
        }
        if step.actor == Some(Actor::Human) {
            match record.interventions.last_mut() {
                Some(last) if last.end == step_idx => last.end += 1,
                _ => record.interventions.push(step_idx..step_idx + 1),
            }
        }
        record.episode.push(step.applied_rad, step.reward, step.after);
        record.times_s.push(ended_s);
    }

    /// Ends the episode. Returns the steps of its last record.
    pub fn end(&mut self, ending: Ending) -> usize {
        let n_steps = self.close(ending);
        self.running = None;
        n_steps
    }

    /// Whether an episode is being recorded.
    #[must_use]
    pub const fn is_recording(&self) -> bool {
        self.running.is_some()
    }

    fn close(&mut self, ending: Ending) -> usize {
        let Ending { mut outcome, cut_by, verdict, late_success } = ending;
        let Some(running) = &mut self.running else { return 0 };
        let Some(mut record) = running.record.take() else { return 0 };
        running.piece += 1;
        if cut_by.is_some() && verdict.is_none() {
            (outcome.terminated, outcome.succeeded) = (false, false);
            let n_steps = record.episode.n_steps().saturating_sub(self.n_spoilt_steps);
            record.episode.truncate(n_steps);
            record.times_s.truncate(n_steps + 1);
            record.interventions.retain_mut(|range| {
                range.end = range.end.min(n_steps);
                range.start < range.end
            });
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
        for (k, range) in record.interventions.iter().enumerate() {
            outcome.scalars.insert(format!("intervention_{k}_begin"), range.start as f64);
            outcome.scalars.insert(format!("intervention_{k}_end"), range.end as f64);
        }
        record.episode.finish(outcome);
        (record.cut_by, record.verdict, record.late_success) = (cut_by, verdict, late_success);
        record.judge(verdict);
        record.name_actors(|actor| actor.to_string());
        let n_steps = record.episode.n_steps();
        if n_steps > 0 && self.records.try_send(record).is_err() {
            self.n_dropped += 1;
        }
        n_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::bounded;

    /// What is recorded of an episode of 8 steps in which a human acts in steps 1, 2, 5, 6 and 7, nobody in step 3, a new policy in step 4, and
    /// that ends as `ending` says.
    fn recorded(ending: Ending) -> Recorded {
        let spec = EnvironmentSpec::of_one_value(8);
        let (records, received) = bounded(1);
        let mut recorder = Recorder::new(spec, 2, records);
        recorder.begin(3);
        for step in 0..8 {
            let actor = match step {
                0 => Some(Actor::Policy(6)),
                1 | 2 | 5.. => Some(Actor::Human),
                3 => None,
                _ => Some(Actor::Policy(7)),
            };
            let record = StepRecord {
                before: &[0.0],
                applied_rad: &[0.0],
                reward: 0.0,
                after: &[0.0],
                span_s: (0.0, 0.0),
                is_fit: true,
                actor,
            };
            recorder.push(record, Outcome::default);
        }
        recorder.end(ending);
        received.try_recv().unwrap()
    }

    fn stored(ending: Ending) -> Outcome {
        let bytes = recorded(ending).episode.encode().unwrap();
        Episode::decode(&bytes).unwrap().label.outcome
    }

    /// Contract: a record tells who acted in it, in order, by numbers and by names.
    #[test]
    fn records_tell_who_acted() {
        let mut record = recorded(Ending::default());
        assert_eq!(record.actors, [Actor::Policy(6), Actor::Human, Actor::Policy(7)]);
        assert_eq!(record.episode.label.actor, "policy 6, human, policy 7");
        record.name_actors(|actor| if actor == Actor::Human { "somebody".into() } else { "online-1".into() });
        assert_eq!(record.episode.label.actor, "online-1, somebody, online-1");
    }

    /// Contract: an episode that was stored and read again tells in which steps a human acted; of one that a fault cut off, in those
    /// that are left of it.
    #[test]
    fn interventions_are_stored() {
        let outcome = stored(Ending::default());
        assert_eq!(interventions(&outcome), [1..3, 5..8]);
        assert_eq!(outcome.scalars["intervened_steps"], 5.0);
        let cut = stored(Ending { cut_by: Some(Cause::BadCycles), ..Ending::default() });
        assert_eq!(interventions(&cut), [1..3, 5..6]);
        assert_eq!(interventions(&Outcome::default()), []);
    }
}
