//! Which causes are new enough to be told.

use super::super::cause::{Cause, Causes};

/// A cause that comes back sooner is the same one, s: a line of the log a second is enough.
const QUIET_S: f64 = 1.0;

/// When each cause was last there.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    seen_s: [f64; Cause::ALL.len()],
}

impl Notices {
    pub(super) const fn new() -> Self {
        Self { seen_s: [f64::NEG_INFINITY; Cause::ALL.len()] }
    }

    /// Those of `causes` that were not there for a while before `now_s`.
    pub(super) fn among(&mut self, causes: Causes, now_s: f64) -> Causes {
        let seen_s = &mut self.seen_s;
        causes.iter().filter(|&cause| now_s - std::mem::replace(&mut seen_s[cause as usize], now_s) > QUIET_S).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a cause is told when it comes, not while it stays or flickers, and again when it comes back later.
    #[test]
    fn each_is_told_once() {
        let mut notices = Notices::new();
        let both = Causes::NONE.with(Cause::Warm).with(Cause::BrokenCycle);
        assert_eq!(notices.among(Causes::NONE.with(Cause::Warm), 0.0), Causes::NONE.with(Cause::Warm));
        assert_eq!(notices.among(both, 0.9), Causes::NONE.with(Cause::BrokenCycle));
        assert_eq!(notices.among(both, 1.8), Causes::NONE);
        assert_eq!(notices.among(both, 2.9), both);
    }
}
