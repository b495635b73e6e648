//! What has happened in the episode that is shown: events for its time line, and the last seconds as curves.

use crate::viewer::reading::Gauges;
use crate::viewer::rollout::Moment;
use std::collections::VecDeque;
use std::f64::consts::FRAC_PI_2;

/// Curves reach back so far, s.
pub const CURVE_S: f64 = 10.0;
/// Efforts are smoothed with this time constant, s: motors follow targets that move in steps.
const EFFORT_S: f64 = 0.2;

/// An episode, as far as it has been shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chronicle {
    horizon_s: f64,
    time_s: f64,
    n_quarters: u32,
    marks: Vec<Mark>,
    samples: VecDeque<Sample>,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// When, s.
    pub time_s: f64,
    /// What.
    pub event: Event,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The cube has turned by another quarter.
    Quarter,
    /// The scissors were retrieved.
    Retrieved,
    /// The tape was cut.
    Cut,
    /// The episode was lost: something was dropped, pushed too hard or given up, or the physics failed.
    Lost,
}

/// What a policy thinks and what it costs, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When, s.
    pub time_s: f64,
    /// Value of the chunk that is carried out.
    pub value: f64,
    /// Its log-likelihood, nats per value; none without a density.
    pub log_likelihood: Option<f64>,
    /// Sum of the efforts of all joints, smoothed, N m.
    pub effort_nm: f64,
}

impl Chronicle {
    /// That of episodes of `horizon_s`, before the first one.
    pub fn new(horizon_s: f64) -> Self {
        Self { horizon_s, ..Self::default() }
    }

    /// Takes in the next moment. Time that goes back begins a new episode; time that stands still adds no sample.
    pub fn follow(&mut self, moment: &Moment) {
        let reading = &moment.reading;
        let before_s = self.time_s;
        if reading.time_s < before_s {
            *self = Self::new(self.horizon_s);
        }
        self.time_s = reading.time_s;
        let mut mark = |time_s, event| {
            if self.marks.iter().all(|mark| mark.event != event || event == Event::Quarter) {
                self.marks.push(Mark { time_s, event });
            }
        };
        match reading.gauges {
            Gauges::Cube { turned_rad, .. } => {
                while turned_rad >= f64::from(self.n_quarters + 1) * FRAC_PI_2 {
                    self.n_quarters += 1;
                    mark(reading.time_s, Event::Quarter);
                }
            }
            Gauges::Scissors { grasped_s, cut_s, .. } => {
                grasped_s.into_iter().for_each(|at_s| mark(at_s, Event::Retrieved));
                cut_s.into_iter().for_each(|at_s| mark(at_s, Event::Cut));
            }
        }
        let is_cut = matches!(reading.gauges, Gauges::Scissors { cut_s: Some(_), .. });
        if reading.ending.is_some() && !is_cut {
            mark(reading.time_s, Event::Lost);
        }
        if let Some(thought) = &moment.thought
            && reading.time_s != before_s
        {
            let effort_nm = moment.frame.truth.effort_nm.iter().map(|effort| f64::from(effort.abs())).sum();
            let smoothed = |before: &Sample| {
                let share = ((reading.time_s - before.time_s) / EFFORT_S).min(1.0);
                before.effort_nm + share * (effort_nm - before.effort_nm)
            };
            self.samples.push_back(Sample {
                time_s: reading.time_s,
                value: thought.value().map_or(f64::NAN, f64::from),
                log_likelihood: thought.log_likelihood_per_value,
                effort_nm: self.samples.back().map_or(effort_nm, smoothed),
            });
        }
        while self.samples.front().is_some_and(|oldest| reading.time_s - oldest.time_s > CURVE_S) {
            self.samples.pop_front();
        }
    }

    /// Where `time_s` stands between the beginning (0) and the horizon (1).
    pub fn share(&self, time_s: f64) -> f64 {
        if self.horizon_s > 0.0 { (time_s / self.horizon_s).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Length of an episode that nothing ends, s.
    pub const fn horizon_s(&self) -> f64 {
        self.horizon_s
    }

    /// Time since the episode began, s.
    pub const fn time_s(&self) -> f64 {
        self.time_s
    }

    /// What happened so far, in order.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The last [`CURVE_S`] seconds, oldest first; empty where no policy tells what it thinks.
    pub const fn samples(&self) -> &VecDeque<Sample> {
        &self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewer::filmed::Frame;
    use crate::viewer::reading::Reading;
    use crate::viewer::thought::{Candidate, Thought};
    use std::sync::Arc;

    fn moment(time_s: f64, gauges: Gauges, ending: Option<&str>) -> Moment {
        let mut frame = Frame::default();
        frame.truth.effort_nm = vec![0.5, -0.25];
        let reading = Reading { time_s, n_contacts: 0, gauges, ending: ending.map(str::to_owned) };
        Moment { frame, reading, thought: None }
    }

    fn cube(turned_rad: f64) -> Gauges {
        Gauges::Cube { turned_rad, rpm: 0.0, offset_m: 0.0, tilt_rad: 0.0 }
    }

    fn scissors(grasped_s: Option<f64>, cut_s: Option<f64>) -> Gauges {
        Gauges::Scissors { opening_rad: 0.0, out_m: 0.0, force_n: 0.0, grasped_s, cut_s }
    }

    fn events(chronicle: &Chronicle) -> Vec<(f64, Event)> {
        chronicle.marks().iter().map(|mark| (mark.time_s, mark.event)).collect()
    }

    /// Contract: every event is marked once, when it happened: quarter turns in the wanted direction, also after the cube
    /// went back, what earns a reward on the scissors, and how an episode was lost; a cut is no loss. A new episode begins
    /// with an empty time line.
    #[test]
    fn events_are_marked_once() {
        let mut chronicle = Chronicle::new(30.0);
        for (time_s, turned_rad) in [(0.0, 0.0), (1.0, 1.6), (2.0, 1.5), (3.0, 1.6), (4.0, 3.2)] {
            chronicle.follow(&moment(time_s, cube(turned_rad), None));
        }
        for time_s in [5.0, 5.1] {
            chronicle.follow(&moment(time_s, cube(3.2), Some("dropped")));
        }
        assert_eq!(events(&chronicle), [(1.0, Event::Quarter), (4.0, Event::Quarter), (5.0, Event::Lost)]);
        assert_eq!((chronicle.share(15.0), chronicle.share(40.0)), (0.5, 1.0));

        chronicle.follow(&moment(0.0, scissors(None, None), None));
        assert_eq!(events(&chronicle), []);
        chronicle.follow(&moment(6.0, scissors(Some(5.9), None), None));
        chronicle.follow(&moment(9.0, scissors(Some(5.9), Some(8.9)), Some("cut")));
        assert_eq!(events(&chronicle), [(5.9, Event::Retrieved), (8.9, Event::Cut)]);
    }

    /// Contract: curves hold the last ten seconds of a policy that tells what it thinks, a sample a moment, and nothing of one
    /// that does not; efforts are smoothed.
    #[test]
    fn curves_are_of_thoughts() {
        let mut chronicle = Chronicle::new(30.0);
        chronicle.follow(&moment(1.0, cube(0.0), None));
        assert!(chronicle.samples().is_empty());
        let candidates = vec![Candidate { value: 2.5, traces_m: Vec::new() }];
        let thought = Arc::new(Thought { candidates, chosen_idx: 0, log_likelihood_per_value: Some(1.5) });
        for tick in 2..=30 {
            let thinking = Moment { thought: Some(Arc::clone(&thought)), ..moment(f64::from(tick), cube(0.0), None) };
            chronicle.follow(&thinking);
            // The clock stands still.
            chronicle.follow(&thinking);
        }
        let expected = |time_s| Sample { time_s, value: 2.5, log_likelihood: Some(1.5), effort_nm: 0.75 };
        let expected: Vec<Sample> = (20..=30).map(f64::from).map(expected).collect();
        assert_eq!(chronicle.samples().iter().copied().collect::<Vec<_>>(), expected);

        let mut harder = Moment { thought: Some(thought), ..moment(30.05, cube(0.0), None) };
        harder.frame.truth.effort_nm = vec![1.75];
        chronicle.follow(&harder);
        let smoothed_nm = chronicle.samples().back().unwrap().effort_nm;
        assert!((smoothed_nm - (0.75 + 0.25)).abs() < 1e-9, "{smoothed_nm} N m");
    }
}
