//! From numbers to places: a linear axis with round ticks.

use super::extent;

/// A linear axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    /// Where the low end is, px.
    pub from: f64,
    /// Where the high end is, px.
    pub to: f64,
}

impl Axis {
    /// An axis over exactly these numbers; one that has no extent is given some.
    pub fn exact([low, high]: [f64; 2], [from, to]: [f64; 2]) -> Self {
        let spread = high - low;
        // Below this, neighbouring ticks would be the same number.
        let least = 1e-9 * low.abs().max(high.abs()).max(1e-6);
        let (low, high) = if spread > least {
            (low, high)
        } else {
            let half = 0.5 * low.abs().max(1.0);
            (low - half, high + half)
        };
        Self { low, high, from, to }
    }

    /// An axis with a little more than the numbers, from zero where they nearly reach it.
    pub fn around(values: impl Iterator<Item = f64>, places: [f64; 2]) -> Self {
        let (low, high) = extent(values);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let margin = if low < high { 0.05 * (high - low) } else { 0.5 * low.abs().max(1.0) };
        let low_end = if low >= 0.0 && low < 0.4 * high { 0.0 } else { low - margin };
        // A share does not exceed one.
        let high_end = if high <= 1.0 && high > 0.94 { 1.0_f64.max(low_end + 1e-3) } else { high + margin };
        Self::exact([low_end, high_end], places)
    }

    /// Where a number is, px.
    pub fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// At most about `n` round numbers on the axis, with what they are called.
    pub fn ticks(&self, n: usize) -> Vec<(f64, String)> {
        let span = self.high - self.low;
        let rough = span / n.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|&step| step >= rough);
        let step = step.unwrap_or(10.0 * power);
        let first = (self.low / step - 1e-9).ceil();
        let count = ((self.high / step + 1e-9).floor() - first).clamp(0.0, 100.0) as usize;
        (0..=count).map(|index| (first + index as f64) * step).map(|tick| (tick, short(tick, span))).collect()
    }
}

/// A number as an axis of this `span` shows it: `0`, `0.25`, `1500`, `20k`, `1.5M`, `3e-5`.
pub fn short(value: f64, span: f64) -> String {
    let plain = |value: f64, unit: &str| {
        let digits = format!("{value:.4}");
        format!("{}{unit}", digits.trim_end_matches('0').trim_end_matches('.'))
    };
    let text = match value.abs() {
        // Ticks are sums of steps, and where they should meet zero rounding remains.
        size if size <= 1e-9 * span => "0".into(),
        size if size < 1e-3 => {
            let text = format!("{value:.2e}");
            let (digits, power) = text.split_once('e').unwrap_or((text.as_str(), "0"));
            format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        size if size < 1e4 => plain(value, ""),
        size if size < 1e6 => plain(value / 1e3, "k"),
        _ => plain(value / 1e6, "M"),
    };
    text.replace('-', "\u{2212}").replace("e\u{2212}", "e-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: ticks are round, lie on the axis, and are no more than were wanted.
    #[test]
    fn ticks_are_round() {
        let ticks = |low, high| -> Vec<String> {
            Axis::exact([low, high], [0.0, 1.0]).ticks(5).into_iter().map(|(_, name)| name).collect()
        };
        assert_eq!(ticks(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(ticks(0.0, 60.0), ["0", "20", "40", "60"]);
        assert_eq!(ticks(-1.9, -1.7), ["−1.9", "−1.85", "−1.8", "−1.75", "−1.7"]);
        assert_eq!(ticks(0.0, 10_600.0), ["0", "2500", "5000", "7500", "10k"]);
    }

    /// Contract: labels are short and exact.
    #[test]
    fn labels_are_short() {
        let cases = [
            (0.0, "0"),
            (1e-17, "0"),
            (0.1 + 0.2, "0.3"),
            (1.5e-4, "1.5e-4"),
            (-1500.0, "−1500"),
            (2e4, "20k"),
            (1.5e6, "1.5M"),
            (3e-5, "3e-5"),
        ];
        for (value, expected) in cases {
            assert_eq!(short(value, 2.0), expected);
        }
    }
}
