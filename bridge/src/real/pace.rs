//! How well a loop keeps its period. A tick is on time when it has ended before the next one is due.

/// What came of the ticks so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    period_s: f64,
    last_start_s: Option<f64>,
    /// Ticks taken.
    pub n_ticks: u64,
    /// Ticks that ended before the next one was due.
    pub n_on_time: u64,
    /// Ticks that were left out because the one before took their place.
    pub n_skipped: u64,
    /// Longest time from one tick's start to the next one's, s.
    pub worst_period_s: f64,
    /// Longest time that a tick took, s.
    pub worst_tick_s: f64,
}

impl Pace {
    /// A loop of `period_s`.
    #[must_use]
    pub const fn new(period_s: f64) -> Self {
        Self {
            period_s,
            last_start_s: None,
            n_ticks: 0,
            n_on_time: 0,
            n_skipped: 0,
            worst_period_s: 0.0,
            worst_tick_s: 0.0,
        }
    }

    /// A tick starts. Returns the time since the start of the last one, s; the period for the first.
    pub fn begin(&mut self, now_s: f64) -> f64 {
        let period_s = self.last_start_s.map_or(self.period_s, |last_s| now_s - last_s);
        self.last_start_s = Some(now_s);
        self.worst_period_s = self.worst_period_s.max(period_s);
        period_s
    }

    /// The tick that was due at `due_s` and started at `start_s` has ended. Returns when the next one is due: on the
    /// grid of periods, never in the past, so that a slow tick is not followed by a burst.
    pub fn end(&mut self, due_s: f64, start_s: f64, now_s: f64) -> f64 {
        self.n_ticks += 1;
        self.worst_tick_s = self.worst_tick_s.max(now_s - start_s);
        let next_s = due_s + self.period_s;
        if now_s <= next_s {
            self.n_on_time += 1;
            return next_s;
        }
        let n_skipped = ((now_s - next_s) / self.period_s).floor();
        self.n_skipped += n_skipped as u64;
        next_s + n_skipped * self.period_s
    }

    /// The tick that started last has ended, and was none of the period's: it switched torque on, for which the loop waits while
    /// nothing moves. Returns when the next one is due: a period later.
    pub const fn start_anew(&mut self, now_s: f64) -> f64 {
        self.last_start_s = Some(now_s);
        now_s + self.period_s
    }

    /// The ticks of this loop and those of the one that followed it, as of one.
    #[must_use]
    pub const fn and_then(self, next: Self) -> Self {
        Self {
            n_ticks: self.n_ticks + next.n_ticks,
            n_on_time: self.n_on_time + next.n_on_time,
            n_skipped: self.n_skipped + next.n_skipped,
            worst_period_s: self.worst_period_s.max(next.worst_period_s),
            worst_tick_s: self.worst_tick_s.max(next.worst_tick_s),
            ..next
        }
    }

    /// Share of the ticks that were on time, 0 to 1; those left out were not.
    #[must_use]
    pub fn share_on_time(&self) -> f64 {
        let n_due = self.n_ticks + self.n_skipped;
        if n_due == 0 { 1.0 } else { self.n_on_time as f64 / n_due as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a tick of 25 ms in a loop of 10 ms is late, skips one, and is followed by one on the grid.
    #[test]
    fn late_ticks_are_counted() {
        let mut pace = Pace::new(0.01);
        assert!((pace.begin(0.0) - 0.01).abs() < 1e-12);
        assert!((pace.end(0.0, 0.0, 0.004) - 0.01).abs() < 1e-12);
        assert!((pace.begin(0.01) - 0.01).abs() < 1e-12);
        let due_s = pace.end(0.01, 0.01, 0.035);
        assert!((due_s - 0.03).abs() < 1e-12, "{due_s}");
        assert!((pace.begin(0.035) - 0.025).abs() < 1e-12);
        assert!((pace.end(due_s, 0.035, 0.039) - 0.04).abs() < 1e-12);
        assert_eq!((pace.n_ticks, pace.n_on_time, pace.n_skipped), (3, 2, 1));
        assert!((pace.share_on_time() - 0.5).abs() < 1e-12);
        assert!((pace.worst_tick_s - 0.025).abs() < 1e-12 && (pace.worst_period_s - 0.025).abs() < 1e-12);
        let both = Pace::new(0.01).and_then(pace).and_then(Pace::new(0.01)).and_then(pace);
        assert_eq!((both.n_ticks, both.n_on_time, both.n_skipped), (6, 4, 2));
        assert_eq!((both.worst_tick_s, both.worst_period_s), (pace.worst_tick_s, pace.worst_period_s));
    }

    /// Contract: a tick that is none of the period's counts as nothing, and the grid begins anew behind it.
    #[test]
    fn the_grid_begins_anew() {
        let mut pace = Pace::new(0.01);
        pace.begin(0.0);
        let due_s = pace.end(0.0, 0.0, 0.004);
        pace.begin(due_s);
        let due_s = pace.start_anew(0.523);
        assert!((due_s - 0.533).abs() < 1e-12, "{due_s}");
        assert!((pace.begin(due_s) - 0.01).abs() < 1e-12);
        pace.end(due_s, due_s, 0.54);
        assert_eq!((pace.n_ticks, pace.n_on_time, pace.n_skipped), (2, 2, 0));
        assert!(pace.worst_period_s < 0.0101 && pace.worst_tick_s < 0.0101);
    }
}
