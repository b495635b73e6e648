//! How far a long piece of work has come: a bar with rate and remaining time on a terminal, else plain lines.
//!
//! Everything goes to standard error; results have standard output for themselves.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Whether a session tells how it goes on. Several that run side by side do not: their bars would mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narration {
    /// It tells.
    Told,
    /// It is silent.
    Silent,
}

impl Narration {
    /// Prints a line to standard error.
    pub fn say(self, line: impl FnOnce() -> String) {
        if self == Self::Told {
            eprintln!("{}", line());
        }
    }

    /// Begins to show a piece of work; see [`Progress::start`].
    #[must_use]
    pub fn start(self, label: &str, unit: &str, n_total: u64) -> Progress {
        match self {
            Self::Told => Progress::start(label, unit, n_total),
            Self::Silent => Progress { label: String::new(), n_total, n_done: 0, view: View::Nothing },
        }
    }
}

/// Shows the progress of one piece of work.
#[derive(Debug)]
pub struct Progress {
    label: String,
    n_total: u64,
    n_done: u64,
    view: View,
}

#[derive(Debug)]
enum View {
    Bar(ProgressBar),
    Lines { started: Instant, pacer: Pacer, note: String },
    Nothing,
}

impl Progress {
    /// Begins to show the progress of `n_total` pieces of work called `unit`, e.g. `steps`.
    #[must_use]
    pub fn start(label: &str, unit: &str, n_total: u64) -> Self {
        let view = if stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(n_total), ProgressDrawTarget::stderr_with_hz(10));
            let template =
                format!("{{prefix:<12}} {{bar:32}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left  {{wide_msg}}");
            // The template is ours; should it ever not parse, the default bar is as good.
            let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar.set_prefix(label.to_owned());
            View::Bar(bar)
        } else {
            View::Lines { started: Instant::now(), pacer: Pacer::default(), note: String::new() }
        };
        Self { label: format!("{label} {unit}"), n_total, n_done: 0, view }
    }

    /// Says what is worth knowing beside the count, e.g. the latest return.
    pub fn note(&mut self, text: impl Into<String>) {
        match &mut self.view {
            View::Bar(bar) => bar.set_message(text.into()),
            View::Lines { note, .. } => *note = text.into(),
            View::Nothing => {}
        }
    }

    /// `n` more pieces are done.
    pub fn advance(&mut self, n: u64) {
        self.n_done += n;
        match &mut self.view {
            View::Bar(bar) => bar.set_position(self.n_done),
            View::Lines { started, pacer, note } => {
                let elapsed = started.elapsed();
                if pacer.is_due(self.n_done, self.n_total, elapsed) {
                    eprintln!("{}", line(&self.label, self.n_done, self.n_total, elapsed, note));
                }
            }
            View::Nothing => {}
        }
    }

    /// Ends the display; what was printed elsewhere meanwhile stays whole.
    pub fn finish(self) {
        if let View::Bar(bar) = self.view {
            bar.finish();
        }
    }
}

/// Decides when a plain line is worth printing: never two within [`Pacer::QUIET`], and then only after a tenth of the
/// work or [`Pacer::PATIENCE`]. The end is always worth a line.
#[derive(Debug, Default)]
struct Pacer {
    n_shown: u64,
    shown_at: Duration,
}

impl Pacer {
    const QUIET: Duration = Duration::from_secs(5);
    const PATIENCE: Duration = Duration::from_secs(60);

    fn is_due(&mut self, n_done: u64, n_total: u64, elapsed: Duration) -> bool {
        let silence = elapsed.saturating_sub(self.shown_at);
        let is_tenth = n_done - self.n_shown >= n_total.div_ceil(10);
        let is_end = n_done >= n_total && self.n_shown < n_total;
        let is_due = is_end || silence >= Self::PATIENCE || silence >= Self::QUIET && is_tenth;
        if is_due {
            (self.n_shown, self.shown_at) = (n_done, elapsed);
        }
        is_due
    }
}

/// E.g. `offline steps: 500/2000, 25 %, 12.5/s, 2 min left, loss 0.31`.
fn line(label: &str, n_done: u64, n_total: u64, elapsed: Duration, note: &str) -> String {
    let rate_hz = n_done as f64 / elapsed.as_secs_f64().max(1e-3);
    let left_s = n_total.saturating_sub(n_done) as f64 / rate_hz.max(1e-9);
    let percent = 100 * n_done / n_total.max(1);
    let end = if note.is_empty() { String::new() } else { format!(", {note}") };
    let left = time_left(left_s);
    format!("{label}: {n_done}/{n_total}, {percent} %, {rate_hz:.1}/s, {left} left{end}")
}

/// E.g. `45 s`, `12 min`.
pub fn time_left(left_s: f64) -> String {
    if left_s < 90.0 { format!("{left_s:.0} s") } else { format!("{:.0} min", left_s / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_at(n_total: u64, period: Duration) -> Vec<u64> {
        let mut pacer = Pacer::default();
        (1..=n_total).filter(|&n_done| pacer.is_due(n_done, n_total, period * n_done as u32)).collect()
    }

    /// Contract: quick work prints its end, work of a minute a line every 5 to 6 s, work of a day one every minute.
    #[test]
    fn lines_are_rare() {
        assert_eq!(lines_at(1000, Duration::from_millis(1)), [1000]);
        assert_eq!(lines_at(60, Duration::from_secs(1)), [6, 12, 18, 24, 30, 36, 42, 48, 54, 60]);
        assert_eq!(lines_at(20, Duration::from_secs(1)), [5, 10, 15, 20]);
        assert_eq!(lines_at(24 * 60, Duration::from_secs(30)).len(), 12 * 60);
    }

    /// Contract: more work than was announced, or none, is no reason to fail or to flood.
    #[test]
    fn odd_totals_are_survived() {
        let mut pacer = Pacer::default();
        let shown: Vec<u64> = (1..=9).filter(|&n_done| pacer.is_due(n_done, 3, Duration::ZERO)).collect();
        assert_eq!(shown, [3]);
        assert_eq!(line("demo episodes", 0, 0, Duration::ZERO, ""), "demo episodes: 0/0, 0 %, 0.0/s, 0 s left");
    }

    /// Contract: the documented form.
    #[test]
    fn a_line_says_what_matters() {
        let found = line("offline steps", 500, 2000, Duration::from_secs(40), "loss 0.31");
        assert_eq!(found, "offline steps: 500/2000, 25 %, 12.5/s, 2 min left, loss 0.31");
    }
}
