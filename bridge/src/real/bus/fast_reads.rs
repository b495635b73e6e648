//! Whether fast sync reads are worth a try: a pure state over their outcomes and the time.
//!
//! ```text
//! penalty: a failure adds 15, a success takes 1 off; at 60 they rest: four failures in a row, or more than one in fifteen
//! rest:    1 s, twice as long whenever the first try after it fails, at most 64 s; 1 s again once the penalty is paid off
//! ```
//! After a rest one failure is enough for the next one. An adapter that is unplugged for a moment, a lamp that is switched, a
//! servo that starts anew: what makes fast reads fail is often over later, and without them a cycle is twice as long.

use std::time::Duration;

/// Fast reads of one bus.
#[derive(Clone, Copy, Debug)]
pub(super) struct FastReads {
    penalty: u32,
    rest: Duration,
    rests_until: Option<Duration>,
    /// A servo's firmware has none.
    is_forbidden: bool,
}

impl FastReads {
    const FAILURE: u32 = 15;
    const LIMIT: u32 = 60;
    const SHORTEST_REST: Duration = Duration::from_secs(1);
    const LONGEST_REST: Duration = Duration::from_secs(64);

    pub(super) const fn new() -> Self {
        Self { penalty: 0, rest: Self::SHORTEST_REST, rests_until: None, is_forbidden: false }
    }

    /// They are never tried again.
    pub(super) const fn forbid(&mut self) {
        self.is_forbidden = true;
    }

    /// Whether a read at `now` is to be a fast one.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        !self.is_forbidden && self.rests_until.is_none_or(|until| now >= until)
    }

    /// Takes note of a fast read that was made at `now`.
    pub(super) fn note(&mut self, now: Duration, is_complete: bool) {
        let is_first = self.rests_until.take().is_some();
        if is_complete {
            self.penalty = self.penalty.saturating_sub(1);
            if self.penalty == 0 {
                self.rest = Self::SHORTEST_REST;
            }
            return;
        }
        self.penalty += Self::FAILURE;
        if self.penalty < Self::LIMIT {
            return;
        }
        if is_first {
            self.rest = (self.rest * 2).min(Self::LONGEST_REST);
        }
        self.rests_until = Some(now + self.rest);
        self.penalty = Self::LIMIT - Self::FAILURE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    /// Reads every 10 ms for `length`, `works` saying whether a fast one does; when fast ones were made.
    fn tries(
        fast: &mut FastReads,
        start: Duration,
        length: Duration,
        works: impl Fn(Duration) -> bool,
    ) -> Vec<Duration> {
        let mut tried = Vec::new();
        let mut now = start;
        while now < start + length {
            if fast.is_due(now) {
                fast.note(now, works(now));
                tried.push(now);
            }
            now += TICK;
        }
        tried
    }

    /// Contract: four failures in a row end them for 1 s; every try that fails doubles the rest, up to 64 s.
    #[test]
    fn rests_double() {
        let mut fast = FastReads::new();
        let tried = tries(&mut fast, Duration::ZERO, Duration::from_secs(400), |_| false);
        let rests: Vec<u64> = tried[3..].windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
        assert_eq!(tried[..4], [0, 1, 2, 3].map(|n| TICK * n));
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64]);
    }

    /// Contract: one that works again is kept, may then fail now and then, and starts with a short rest when it fails for long;
    /// a failure soon after the rest is one of the bad time.
    #[test]
    fn what_works_again_is_kept() {
        let seconds = Duration::from_secs;
        let mut fast = FastReads::new();
        tries(&mut fast, Duration::ZERO, seconds(20), |_| false);
        let tried = tries(&mut fast, seconds(20), seconds(30), |_| true);
        // It had rested until 31.03 s; from then on every read is a fast one.
        assert_eq!(tried.first(), Some(&(seconds(31) + TICK * 3)));
        assert_eq!(tried.len(), 1897);
        // 1 in 20 fails: they go on.
        let tried = tries(&mut fast, seconds(50), seconds(10), |now| now.as_millis() % 200 != 0);
        assert_eq!(tried.len(), 1000);
        let tried = tries(&mut fast, seconds(60), seconds(20), |_| false);
        assert!((tried[tried.len() - 1] - tried[tried.len() - 2]).as_secs() == 8, "{tried:?}");

        let mut soon = FastReads::new();
        tries(&mut soon, Duration::ZERO, TICK * 4, |_| false);
        let back = seconds(1) + TICK * 3;
        // Two good reads, then failures: 1 s again, for it was not the first try that failed.
        let tried = tries(&mut soon, TICK * 4, seconds(3), |now| now < back + TICK * 2);
        assert_eq!(tried[..4], [back, back + TICK, back + TICK * 2, back + TICK * 3]);
        assert_eq!(tried[4] - tried[3], seconds(1));
    }

    /// Contract: what is forbidden stays so.
    #[test]
    fn never_is_never() {
        let mut fast = FastReads::new();
        fast.forbid();
        assert!(tries(&mut fast, Duration::ZERO, Duration::from_secs(200), |_| true).is_empty());
    }
}
