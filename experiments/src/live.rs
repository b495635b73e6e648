//! How a study goes on while several of its runs are trained side by side: on a terminal a bar a run at work and one for all of them,
//! else a line now and then. What a run has done is read from what it logged last, so that runs need not be told that they are
//! watched.

use crate::MetricsLog;
use crate::progress::time_left;
use crate::run_folder::METRICS_FILE;
use crate::study::Cell;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use learn::{Position, Stage};
use std::collections::BTreeSet;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks at what a terminal shows.
const GLANCE: Duration = Duration::from_secs(2);
/// Between two lines, where there is no terminal.
const QUIET: Duration = Duration::from_secs(60);

/// Watches the runs of a study.
#[derive(Debug)]
pub struct Live<'a> {
    cells: &'a [Cell],
    folders: &'a [PathBuf],
    started: Instant,
    /// Gradient steps of all runs that were done when the watch began.
    n_steps_before: u64,
    runs: Mutex<Runs>,
    bars: Option<Bars>,
}

/// Runs by their index.
#[derive(Clone, Debug, Default)]
struct Runs {
    at_work: BTreeSet<usize>,
    finished: BTreeSet<usize>,
    failed: BTreeSet<usize>,
}

/// What the logs say at a moment.
struct Glance {
    runs: Runs,
    /// Stage and step of every run that has not ended.
    places: Vec<(Stage, u64)>,
    /// Gradient steps of all runs: done, and in all. Those that failed have no part in it.
    n_steps: [u64; 2],
}

#[derive(Debug)]
struct Bars {
    multi: MultiProgress,
    at_work: Vec<ProgressBar>,
    all: ProgressBar,
}

impl<'a> Live<'a> {
    /// Begins to watch `n_jobs` runs at a time; a single one tells of itself.
    pub fn new(cells: &'a [Cell], folders: &'a [PathBuf], n_jobs: usize) -> Self {
        let bars = (n_jobs > 1 && stderr().is_terminal()).then(|| Bars::new(n_jobs));
        let runs = Mutex::default();
        let mut live = Self { cells, folders, started: Instant::now(), n_steps_before: 0, runs, bars };
        live.n_steps_before = live.glance().n_steps[0];
        live
    }

    /// A run is at work.
    pub fn begin(&self, index: usize) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).at_work.insert(index);
    }

    /// A run has ended, well or not.
    pub fn end(&self, index: usize, is_well: bool) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.at_work.remove(&index);
        if is_well {
            runs.finished.insert(index)
        } else {
            runs.failed.insert(index)
        };
    }

    /// Prints a line above what is shown.
    pub fn say(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.multi.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// `, 12 min left`; empty before anything can be said, and at the end.
    pub fn left(&self) -> String {
        self.left_at(&self.glance())
    }

    /// Shows how it goes on, until whoever holds the other end of `over` drops it.
    pub fn watch(&self, over: &Receiver<()>) {
        let period = if self.bars.is_some() { GLANCE } else { QUIET };
        while over.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
            let now = self.glance();
            match &self.bars {
                Some(bars) => self.draw(bars, &now),
                None => eprintln!("{}", self.line(&now)),
            }
        }
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }

    fn glance(&self) -> Glance {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The log of a run that has ended has nothing new.
        let has_ended = |index: &usize| runs.finished.contains(index) || runs.failed.contains(index);
        let place = |index| if has_ended(&index) { (Stage::Imitation, 0) } else { self.logged(index) };
        let places: Vec<(Stage, u64)> = (0..self.cells.len()).map(place).collect();
        let mut n_steps = [0, 0];
        for (index, &(stage, step)) in places.iter().enumerate().filter(|(index, _)| !runs.failed.contains(index)) {
            let of_run = self.n_steps(index);
            n_steps[0] += if runs.finished.contains(&index) { of_run } else { self.steps_before(index, stage) + step };
            n_steps[1] += of_run;
        }
        Glance { runs, places, n_steps }
    }

    /// E.g. `2 of 9 runs ended, 12 min left; a3-3: online 350/1600, 84 %`.
    fn line(&self, now: &Glance) -> String {
        let mut line = self.ended(now);
        for &index in &now.runs.at_work {
            let (stage, step) = now.places[index];
            let percent = 100 * (self.steps_before(index, stage) + step) / self.n_steps(index).max(1);
            line += &format!("; {}: {}, {percent} %", self.cells[index].name, self.place(index, stage, step));
        }
        line
    }

    fn draw(&self, bars: &Bars, now: &Glance) {
        for (slot, bar) in bars.at_work.iter().enumerate() {
            let Some(&index) = now.runs.at_work.iter().nth(slot) else {
                bar.set_prefix("");
                bar.set_message("");
                continue;
            };
            let (stage, step) = now.places[index];
            bar.set_length(self.n_steps(index));
            bar.set_position(self.steps_before(index, stage) + step);
            bar.set_prefix(self.cells[index].name.clone());
            bar.set_message(self.place(index, stage, step));
        }
        let [n_done, n_all] = now.n_steps;
        bars.all.set_length(n_all);
        bars.all.set_position(n_done);
        bars.all.set_message(self.ended(now));
    }

    fn ended(&self, now: &Glance) -> String {
        let n_ended = now.runs.finished.len() + now.runs.failed.len();
        format!("{n_ended} of {} runs ended{}", self.cells.len(), self.left_at(now))
    }

    /// E.g. `online 350/1600`.
    fn place(&self, index: usize, stage: Stage, step: u64) -> String {
        format!("{} {step}/{}", stage.name(), Position::n_steps(stage, &self.cells[index].experiment.learn))
    }

    fn left_at(&self, now: &Glance) -> String {
        let [n_done, n_all] = now.n_steps;
        let n_new = n_done.saturating_sub(self.n_steps_before);
        if n_new == 0 || n_done >= n_all {
            return String::new();
        }
        let left_s = self.started.elapsed().as_secs_f64() / n_new as f64 * (n_all - n_done) as f64;
        format!(", {} left", time_left(left_s))
    }

    fn n_steps(&self, index: usize) -> u64 {
        Stage::ALL.map(|stage| Position::n_steps(stage, &self.cells[index].experiment.learn)).iter().sum()
    }

    fn steps_before(&self, index: usize, stage: Stage) -> u64 {
        Position::steps_before(stage, &self.cells[index].experiment.learn)
    }

    /// Where the run's log ends; at the beginning where there is none that can be read.
    fn logged(&self, index: usize) -> (Stage, u64) {
        let log = MetricsLog::read(&self.folders[index].join(METRICS_FILE)).unwrap_or_default();
        let last = log.last().and_then(|line| Some((Stage::named(&line.stage)?, line.step)));
        last.unwrap_or((Stage::Imitation, 0))
    }
}

impl Bars {
    fn new(n_jobs: usize) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(4));
        let bar = |template: &str| {
            let bar = multi.add(ProgressBar::new(1));
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        };
        let at_work = (0..n_jobs).map(|_| bar("{prefix:<24} {bar:32} {wide_msg}")).collect();
        let all = bar("{prefix:<24} {bar:32} {wide_msg}");
        all.set_prefix("all");
        Self { multi, at_work, all }
    }

    fn clear(&self) {
        for bar in self.at_work.iter().chain([&self.all]) {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Study;
    use bridge::storage::write_atomic;
    use std::path::Path;

    /// Contract: a line says how many runs have ended, where each of those at work is by what it logged last, and how long the rest
    /// takes if it goes on as it did; a log that is not there yet is one without a line, and a run that failed is no work done.
    #[test]
    fn a_line_says_where_runs_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies/quick.ron");
        let mut cells = Study::load(&file).unwrap().cells(&file).unwrap();
        cells.truncate(3);
        let folders: Vec<PathBuf> = cells.iter().map(|cell| folder.path().join(&cell.name)).collect();
        let live = Live::new(&cells, &folders, 2);
        assert_eq!(live.line(&live.glance()), "0 of 3 runs ended");
        live.begin(0);
        live.begin(1);
        live.end(0, true);
        std::fs::create_dir(&folders[1]).unwrap();
        let logged = b"{\"stage\":\"warmup\",\"step\":50,\"time_s\":1.0}\n";
        write_atomic(&folders[1].join(METRICS_FILE), logged).unwrap();
        let learn = &cells[1].experiment.learn;
        let n_all = live.n_steps(1);
        let n_done = learn.imitation.steps + 50;
        let line = live.line(&live.glance());
        let end = format!("; {}: warmup 50/{}, {} %", cells[1].name, learn.warmup_steps, 100 * n_done / n_all);
        assert!(line.starts_with("1 of 3 runs ended, ") && line.ends_with(&end), "{line}");
        assert_eq!(live.glance().n_steps, [n_all + n_done, 3 * n_all]);
        live.end(1, false);
        assert_eq!(live.glance().n_steps, [n_all, 2 * n_all]);
        live.end(2, true);
        assert_eq!(live.line(&live.glance()), "3 of 3 runs ended");
    }
}
