//! The offset between a sender's clock and ours, from one-way stamps.
//!
//! Of all differences `received - stamp` the smallest has the least waiting in it: it is taken as offset plus the shortest
//! latency. Clocks drift apart, so it is forgotten as fast as they may, and no faster: what is late for long does not become
//! punctual. Then `age = now - (stamp + offset) + shortest latency`, the last of which has to be known.

use crate::number::NonNegative;

/// How much faster or slower than ours a sender's clock may run: NTP slews one by 500 ppm at most, and crystals differ by less.
/// A delay of 0.1 s that comes and stays is taken for an offset after 200 s.
const MAX_DRIFT: f64 = 5e-4;

/// The estimate for one sender.
#[derive(Clone, Copy, Debug)]
pub struct ClockOffset {
    shortest_latency_s: f64,
    /// The smallest difference as of the time at which the last datagram was received, s.
    least_s: Option<(f64, f64)>,
}

impl ClockOffset {
    /// An estimate for a way that takes at least `shortest_latency_s`.
    #[must_use]
    pub const fn new(shortest_latency_s: NonNegative) -> Self {
        Self { shortest_latency_s: shortest_latency_s.get(), least_s: None }
    }

    /// Takes in a datagram of the sender's time `stamp_s` that was received at `received_s`.
    pub fn note(&mut self, stamp_s: f64, received_s: f64) {
        let difference_s = received_s - stamp_s;
        let least_s = self.least_s.map_or(difference_s, |(least_s, before_s)| {
            difference_s.min(least_s + MAX_DRIFT * (received_s - before_s).max(0.0))
        });
        self.least_s = Some((least_s, received_s));
    }

    /// Forgets a sender that has started anew.
    pub const fn clear(&mut self) {
        self.least_s = None;
    }

    /// How far our clock is ahead of the sender's, with the shortest latency in it, s; none before the first datagram.
    #[must_use]
    pub fn offset_s(&self) -> Option<f64> {
        self.least_s.map(|(least_s, _)| least_s)
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

    /// Contract: with latencies of 2 ms and up and a drift of 100 ppm the age is known to a millisecond.
    #[test]
    fn ages_are_known() {
        let mut offset = ClockOffset::new(NonNegative::try_from(0.002).unwrap());
        assert_eq!(offset.age_s(0.0, 0.0), None);
        let mut rng = random::stream(1, "clock offset", 0);
        for n in 0..6000 {
            let sent_s = f64::from(n) / 100.0;
            let stamp_s = 1234.5 + sent_s * (1.0 + 1e-4);
            let received_s = sent_s + 0.002 + rng.random_range(0.0..0.01f64).powi(2) * 100.0;
            offset.note(stamp_s, received_s);
            let age_s = offset.age_s(stamp_s, received_s).unwrap();
            let error_s = age_s - (received_s - sent_s);
            // What is forgotten until the next lucky datagram, and what even the luckiest of the first had to wait.
            assert!(error_s.abs() < 1e-3 + if n < 100 { 0.01 } else { 2e-4 }, "{n}: {error_s}");
        }
        offset.clear();
        assert_eq!(offset.offset_s(), None);
    }

    /// Contract: a delay that comes and stays, or that grows, is seen for minutes, whatever clocks may do.
    #[test]
    fn what_is_late_stays_late() {
        for delay_s in [|_: f64| 0.3, |late_s: f64| 0.002 * late_s] {
            let mut offset = ClockOffset::new(NonNegative::try_from(0.002).unwrap());
            for n in 0..9000 {
                let sent_s = f64::from(n) / 100.0;
                let latency_s = 0.002 + if n < 3000 { 0.0 } else { delay_s(sent_s - 30.0) };
                offset.note(sent_s, sent_s + latency_s);
                let age_s = offset.age_s(sent_s, sent_s + latency_s).unwrap();
                assert!(
                    age_s > 0.7 * latency_s && age_s < latency_s + 1e-3,
                    "{sent_s} s: {age_s}, expected {latency_s}"
                );
            }
        }
    }
}
