//! What came after the switch from offline to online, of one run: its curve is `(own episodes, score)`, growing, with the score at
//! the switch first. More is better. How deep it drops is told of like episodes alone: evaluations begin with the same ones, and a longer
//! one may have harder ones behind them.
//!
//! | number | what it is |
//! |---|---|
//! | drop depth | the most that was lost of the score at the switch within the first tenth of the own episodes, or at the first evaluation; none is 0 |
//! | regret | mean over the own episodes of how far the score is below `best`: the area above the curve |
//! | half way | own episodes after which half of the whole improvement is reached |

/// What came after the switch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Switch {
    /// Drop depth, in units of the score.
    pub drop: f64,
    /// Regret, in units of the score.
    pub regret: f64,
    /// Own episodes, where there is an improvement at all.
    pub half_way: Option<f64>,
}

impl Switch {
    /// Of a curve of at least two points; `best` is the score of one that has no regret, `losses` are what evaluations after the switch
    /// lost of the score before it, by own episodes.
    pub fn of(curve: &[(f64, f64)], losses: &[(f64, f64)], best: f64) -> Option<Self> {
        let [(first_x, first), .., (last_x, last)] = *curve else { return None };
        let span = last_x - first_x;
        if span <= 0.0 {
            return None;
        }
        let soon = (first_x + 0.1 * span).max(curve[1].0);
        let drop = losses.iter().filter(|&&(x, _)| x <= soon).map(|&(_, loss)| loss).fold(0.0, f64::max);
        let pieces = || curve.windows(2).map(|pair| (pair[0], pair[1]));
        let area: f64 = pieces().map(|((x0, y0), (x1, y1))| (x1 - x0) * (best - (y0 + y1) / 2.0)).sum();
        let half = first + (last - first) / 2.0;
        let reached = pieces().find(|&((_, y0), (_, y1))| y0 < half && y1 >= half);
        let half_way = reached.map(|((x0, y0), (x1, y1))| x0 + (half - y0) / (y1 - y0) * (x1 - x0));
        Some(Self { drop, regret: area / span, half_way: half_way.filter(|_| last > first) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: numbers worked by hand. From 2 the score falls to 1 at the first evaluation, a sixth of the way, and then rises
    /// to 4; below 4 the area is 10 (1 + 2.5) + 20 (3 + 2) / 2 + 30 (2 + 0) / 2 over 60.
    #[test]
    fn a_curve_with_a_drop() {
        let curve = [(0.0, 2.0), (10.0, 1.0), (30.0, 2.0), (60.0, 4.0)];
        let found = Switch::of(&curve, &[(10.0, 1.0), (30.0, 0.5), (60.0, 3.0)], 4.0).unwrap();
        assert_eq!(found.drop, 1.0);
        assert!((found.regret - (25.0 + 50.0 + 30.0) / 60.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.half_way, Some(45.0));
    }

    /// Contract: what rises at once has no drop, what does not improve has no half way, and a point is no curve.
    #[test]
    fn curves_without_one() {
        let rising = Switch::of(&[(0.0, 0.0), (10.0, 1.0)], &[(10.0, -1.0)], 1.0).unwrap();
        assert_eq!((rising.drop, rising.regret, rising.half_way), (0.0, 0.5, Some(5.0)));
        let falling = Switch::of(&[(0.0, 1.0), (10.0, 0.0)], &[(10.0, 1.0)], 1.0).unwrap();
        assert_eq!((falling.drop, falling.half_way), (1.0, None));
        assert_eq!(Switch::of(&[(0.0, 1.0)], &[], 1.0), None);
        assert_eq!(Switch::of(&[(0.0, 1.0), (0.0, 1.0)], &[], 1.0), None);
    }
}
