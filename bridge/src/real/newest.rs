//! Values of which only the newest counts: weights, a human's targets, signs of life. Nobody ever waits for anybody.

use super::clock::Clock;
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Puts values in.
#[derive(Debug)]
pub struct Publisher<T>(Arc<ArrayQueue<T>>);

/// Takes the newest one out.
#[derive(Debug)]
pub struct Subscriber<T>(Arc<ArrayQueue<T>>);

/// A place for one value, which a newer one replaces.
#[must_use]
pub fn newest<T>() -> (Publisher<T>, Subscriber<T>) {
    let place = Arc::new(ArrayQueue::new(1));
    (Publisher(Arc::clone(&place)), Subscriber(place))
}

impl<T> Publisher<T> {
    /// Puts `value` in place of one that nobody has taken; returns whether there was one.
    pub fn publish(&self, value: T) -> bool {
        self.0.force_push(value).is_some()
    }
}

impl<T> Subscriber<T> {
    /// The newest value, if it was not taken yet.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.pop()
    }
}

const DEAD: u64 = u64::MAX;

/// Signs of life of whoever holds it. When it is dropped, as in a panic, its holder counts as dead at once.
#[derive(Debug)]
pub struct Pulse<C: Clock> {
    last_ns: Arc<AtomicU64>,
    clock: C,
}

/// Hears a [`Pulse`].
#[derive(Clone, Debug)]
pub struct Stethoscope {
    last_ns: Arc<AtomicU64>,
}

/// A pulse on `clock`, which is the loop's, and who hears it.
#[must_use]
pub fn pulse<C: Clock>(clock: C) -> (Pulse<C>, Stethoscope) {
    let last_ns = Arc::new(AtomicU64::new(0));
    let pulse = Pulse { last_ns: Arc::clone(&last_ns), clock };
    pulse.beat();
    (pulse, Stethoscope { last_ns })
}

impl<C: Clock> Pulse<C> {
    /// One sign of life. Every 50 ms is usual.
    pub fn beat(&self) {
        self.last_ns.store((self.clock.now_s() * 1e9) as u64, Ordering::Relaxed);
    }
}

impl<C: Clock> Drop for Pulse<C> {
    fn drop(&mut self) {
        self.last_ns.store(DEAD, Ordering::Relaxed);
    }
}

impl Stethoscope {
    /// Time since the last sign of life, s; infinite after death.
    #[must_use]
    pub fn silence_s(&self, now_s: f64) -> f64 {
        match self.last_ns.load(Ordering::Relaxed) {
            DEAD => f64::INFINITY,
            last_ns => (now_s - last_ns as f64 * 1e-9).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::VirtualClock;
    use super::*;

    /// Contract: only the newest value is taken, and once; silence grows with time and is endless after death.
    #[test]
    fn newest_and_pulse() {
        let (publisher, subscriber) = newest();
        assert_eq!(subscriber.take(), None);
        assert!(!publisher.publish(1));
        assert!(publisher.publish(2));
        assert_eq!((subscriber.take(), subscriber.take()), (Some(2), None));

        let clock = VirtualClock::default();
        let (pulse, stethoscope) = pulse(clock.clone());
        clock.advance(0.2);
        assert!((stethoscope.silence_s(clock.now_s()) - 0.2).abs() < 1e-9);
        pulse.beat();
        assert!(stethoscope.silence_s(clock.now_s()) < 1e-9);
        drop(pulse);
        assert_eq!(stethoscope.silence_s(clock.now_s()), f64::INFINITY);
    }
}
