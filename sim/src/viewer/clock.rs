//! How many servo ticks a drawn frame is worth.

use sim::SERVO_HZ;

/// No frame is worth more ticks at the speed of life, nor, where time runs faster, more than as many times more: a machine that
/// cannot keep up shows slow motion instead of standing still.
const MAX_TICKS: u32 = 6;
/// Fastest playback, simulated seconds per second.
pub const MAX_SPEED: u32 = 10;
/// What the keys choose from, simulated seconds per second.
const SPEEDS: [f64; 9] = [1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0, 1.0, 2.0, 4.0, 8.0, MAX_SPEED as f64];

/// Turns real time into servo ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    speed: f64,
    paused: bool,
    /// Simulated time that is due, s.
    due_s: f64,
    single_ticks: u32,
}

impl Clock {
    /// A running clock: `speed` simulated seconds per second.
    pub const fn new(speed: f64) -> Self {
        Self { speed, paused: false, due_s: 0.0, single_ticks: 0 }
    }

    /// Simulated seconds per second.
    pub const fn speed(&self) -> f64 {
        self.speed
    }

    /// Whether it stands still.
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Stops, or goes on.
    pub const fn toggle_pause(&mut self) {
        self.paused = !self.paused;
    }

    /// Stops after one more tick.
    pub const fn single_step(&mut self) {
        self.paused = true;
        self.single_ticks += 1;
    }

    /// Plays at the next lower speed, if there is one.
    pub fn slower(&mut self) {
        self.speed = SPEEDS.into_iter().rfind(|&speed| speed < self.speed).unwrap_or(self.speed);
    }

    /// Plays at the next higher speed, if there is one.
    pub fn faster(&mut self) {
        self.speed = SPEEDS.into_iter().find(|&speed| speed > self.speed).unwrap_or(self.speed);
    }

    /// Ticks that are due after another `elapsed_s` of real time.
    pub fn ticks(&mut self, elapsed_s: f64) -> u32 {
        if self.paused {
            self.due_s = 0.0;
            return std::mem::take(&mut self.single_ticks);
        }
        self.due_s += elapsed_s * self.speed;
        let ticks = (self.due_s * f64::from(SERVO_HZ)).floor();
        let max_ticks = f64::from(MAX_TICKS) * self.speed.max(1.0);
        if ticks > max_ticks {
            self.due_s = 0.0;
            return max_ticks as u32;
        }
        self.due_s -= ticks / f64::from(SERVO_HZ);
        ticks as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks_in_2_s(mut clock: Clock, frames_per_s: u32) -> u32 {
        (0..2 * frames_per_s).map(|_| clock.ticks(1.0 / f64::from(frames_per_s))).sum()
    }

    /// Contract: simulated time follows real time at the given speed, whatever the frame rate, unless a frame takes
    /// longer than the ticks that it may be worth.
    #[test]
    fn real_time_becomes_ticks() {
        for frames_per_s in [144, 60, 50, 24] {
            assert!(ticks_in_2_s(Clock::new(1.0), frames_per_s).abs_diff(120) <= 1, "{frames_per_s} frames per second");
            assert!(ticks_in_2_s(Clock::new(0.25), frames_per_s).abs_diff(30) <= 1, "{frames_per_s} frames per second");
            let fastest = Clock::new(f64::from(MAX_SPEED));
            assert!(ticks_in_2_s(fastest, frames_per_s).abs_diff(1200) <= 1, "{frames_per_s} frames per second");
        }
        assert_eq!(ticks_in_2_s(Clock::new(1.0), 5), 10 * MAX_TICKS);
        assert_eq!(ticks_in_2_s(Clock::new(2.0), 5), 20 * MAX_TICKS);
    }

    /// Contract: keys go through the speeds one by one, from between them too, and faster is never slower: at either end, or
    /// beyond it, the speed stays.
    #[test]
    fn keys_choose_the_speed() {
        let pressed = |speed, key: fn(&mut Clock)| {
            let mut clock = Clock::new(speed);
            key(&mut clock);
            clock.speed()
        };
        for (speed, slower, faster) in
            [(1.0, 0.5, 2.0), (0.3, 0.25, 0.5), (8.0, 4.0, 10.0), (10.0, 8.0, 10.0), (0.01, 0.01, 0.0625)]
        {
            let found = (pressed(speed, Clock::slower), pressed(speed, Clock::faster));
            assert_eq!(found, (slower, faster), "from {speed}");
        }
    }

    /// Contract: a paused clock gives exactly the ticks that were asked for one by one.
    #[test]
    fn a_paused_clock_steps_singly() {
        let mut clock = Clock::new(1.0);
        clock.toggle_pause();
        assert_eq!(clock.ticks(1.0), 0);
        clock.single_step();
        assert_eq!((clock.ticks(1.0), clock.ticks(1.0)), (1, 0));
        clock.toggle_pause();
        assert_eq!(clock.ticks(1.5 / f64::from(SERVO_HZ)), 1);
    }
}
