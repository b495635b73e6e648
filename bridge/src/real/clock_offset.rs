//! The offset between a sender's clock and ours, from one-way stamps.
//!
//! Of all differences `received - stamp` the smallest has the least waiting in it: it is taken as offset plus the
//! shortest latency. Clocks drift apart, so only the last one to two windows count. Then
//! `age = now - (stamp + offset) + shortest latency`, the last of which has to be known.

use crate::number::{NonNegative, Positive};

/// The estimate for one sender.
#[derive(Clone, Copy, Debug)]
pub struct ClockOffset {
    window_s: f64,
    shortest_latency_s: f64,
    window_start_s: f64,
    current_s: Option<f64>,
    former_s: Option<f64>,
}

impl ClockOffset {
    /// An estimate over windows of `window_s`, for a way that takes at least `shortest_latency_s`.
    #[must_use]
    pub const fn new(window_s: Positive, shortest_latency_s: NonNegative) -> Self {
        Self {
            window_s: window_s.get(),
            shortest_latency_s: shortest_latency_s.get(),
            window_start_s: 0.0,
            current_s: None,
            former_s: None,
        }
    }

    /// Takes in a datagram of the sender's time `stamp_s` that was received at `received_s`.
    pub fn note(&mut self, stamp_s: f64, received_s: f64) {
        if received_s - self.window_start_s >= self.window_s {
            self.former_s = self.current_s.take();
            self.window_start_s = received_s;
        }
        let difference_s = received_s - stamp_s;
        self.current_s = Some(self.current_s.map_or(difference_s, |least_s| least_s.min(difference_s)));
    }

    /// Forgets a sender that has started anew.
    pub const fn clear(&mut self) {
        self.current_s = None;
        self.former_s = None;
    }

    /// How far our clock is ahead of the sender's, with the shortest latency in it, s; none before the first datagram.
    #[must_use]
    pub fn offset_s(&self) -> Option<f64> {
        match (self.current_s, self.former_s) {
            (Some(current_s), Some(former_s)) => Some(current_s.min(former_s)),
            (current_s, former_s) => current_s.or(former_s),
        }
    }

    /// The shortest latency, s.
    #[must_use]
    pub const fn shortest_latency_s(&self) -> f64 {
        self.shortest_latency_s
    }

    /// Age at `now_s` of what the sender measured at its `stamp_s`, s; none before the first datagram.
    #[must_use]
    pub fn age_s(&self, stamp_s: f64, now_s: f64) -> Option<f64> {
        Some(now_s - (stamp_s + self.offset_s()?) + self.shortest_latency_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use rand::Rng as _;

    /// Contract: with latencies of 2 ms and up and a drift of 100 ppm the age is known to the drift of two windows.
    #[test]
    fn ages_are_known() {
        let mut offset = ClockOffset::new(Positive::try_from(5.0).unwrap(), NonNegative::try_from(0.002).unwrap());
        assert_eq!(offset.age_s(0.0, 0.0), None);
        let mut rng = random::stream(1, "clock offset", 0);
        for n in 0..6000 {
            let sent_s = f64::from(n) / 100.0;
            let stamp_s = 1234.5 + sent_s * (1.0 + 1e-4);
            let received_s = sent_s + 0.002 + rng.random_range(0.0..0.01f64).powi(2) * 100.0;
            offset.note(stamp_s, received_s);
            let age_s = offset.age_s(stamp_s, received_s).unwrap();
            let error_s = age_s - (received_s - sent_s);
            // 10 s at 100 ppm, and what even the luckiest of the first datagrams had to wait
            assert!(error_s.abs() < 1e-3 + if n < 100 { 0.01 } else { 2e-4 }, "{n}: {error_s}");
        }
        offset.clear();
        assert_eq!(offset.offset_s(), None);
    }
}
