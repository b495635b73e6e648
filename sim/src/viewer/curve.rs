//! A small curve, drawn pixel by pixel: the same bits on every renderer.
//!
//! Column x of the picture shows the time `newest - (width - 1 - x) / (width - 1) span`. The line at column x covers rows by
//! their distance from the curve along its normal, `|row - y| / sqrt(1 + slope^2)`, so that steep parts are not thicker.

/// Lowest and highest of what is drawn keep this share of the height from the edges.
const MARGIN_SHARE: f32 = 0.12;

/// A picture with one curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Half of the line's thickness, pixels.
    pub half_px: f32,
    /// Colour of the line: red, green, blue.
    pub line: [u8; 3],
    /// What is behind it: red, green, blue, alpha.
    pub ground: [u8; 4],
}

impl Curve {
    /// Draws `points` (time and value, oldest first; what is not finite is left out) over the last `span_s` into `rgba`, four
    /// bytes a pixel, rows from the top. Returns the lowest and the highest value, if there is one.
    pub fn draw(
        &self,
        points: impl Iterator<Item = (f64, f64)> + Clone,
        span_s: f64,
        rgba: &mut Vec<u8>,
    ) -> Option<(f64, f64)> {
        rgba.clear();
        rgba.extend(std::iter::repeat_n(self.ground, self.width * self.height).flatten());
        let points = points.filter(|(time_s, value)| time_s.is_finite() && value.is_finite());
        let newest_s = points.clone().last()?.0;
        let lowest = points.clone().map(|(_, value)| value).fold(f64::INFINITY, f64::min);
        let highest = points.clone().map(|(_, value)| value).fold(f64::NEG_INFINITY, f64::max);
        // A constant is a line in the middle.
        let (range, bottom) = if highest > lowest { (highest - lowest, lowest) } else { (1.0, lowest - 0.5) };
        let (last_column, last_row) = ((self.width - 1) as f32, (self.height - 1) as f32);
        let place = |(time_s, value): (f64, f64)| {
            let (age, rise) = (((newest_s - time_s) / span_s) as f32, ((value - bottom) / range) as f32);
            (last_column * (1.0 - age), last_row * (1.0 - MARGIN_SHARE - (1.0 - 2.0 * MARGIN_SHARE) * rise))
        };
        let mut before = None;
        for point in points.map(place) {
            self.segment(before.unwrap_or(point), point, rgba);
            before = Some(point);
        }
        Some((lowest, highest))
    }

    /// Draws the part of the curve between two points, column by column.
    fn segment(&self, (x0, y0): (f32, f32), (x1, y1): (f32, f32), rgba: &mut [u8]) {
        let slope = if x1 > x0 { (y1 - y0) / (x1 - x0) } else { 0.0 };
        // Of a vertical line all rows are on it.
        let along_normal = if x1 > x0 { 1.0 / (1.0 + slope * slope).sqrt() } else { 0.0 };
        let (lower, upper) = (y0.min(y1), y0.max(y1));
        for column in x0.floor().max(0.0) as usize..=(x1.ceil().max(0.0) as usize).min(self.width - 1) {
            let y = (y0 + slope * (column as f32 - x0)).clamp(lower, upper);
            let (half, reach) = (self.half_px + 1.0, (self.half_px + 1.0) / along_normal);
            let (first, last) = ((y - reach).max(lower - half), (y + reach).min(upper + half));
            let rows = first.max(0.0) as usize..=(last.ceil().max(0.0) as usize).min(self.height - 1);
            for row in rows {
                let beyond = (lower - row as f32).max(row as f32 - upper).max(0.0);
                let distance = ((row as f32 - y).abs() * along_normal).max(beyond);
                let cover = (self.half_px + 0.5 - distance).clamp(0.0, 1.0);
                let pixel = &mut rgba[4 * (row * self.width + column)..][..4];
                for (channel, wanted) in pixel.iter_mut().zip([self.line[0], self.line[1], self.line[2], 255]) {
                    let now = f32::from(*channel);
                    *channel = (now + (f32::from(wanted) - now) * cover).round() as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVE: Curve = Curve { width: 11, height: 25, half_px: 0.5, line: [255, 0, 0], ground: [0, 0, 255, 100] };

    /// Rows of column `column` that are the line's.
    fn line_rows(rgba: &[u8], column: usize) -> Vec<usize> {
        (0..CURVE.height).filter(|row| rgba[4 * (row * CURVE.width + column)] > 200).collect()
    }

    /// Contract: the newest value is at the right edge, the oldest of the span at the left one; the highest is near the top,
    /// the lowest near the bottom, 3 of 24 rows from it; what is not finite is left out; nothing at all leaves the ground.
    #[test]
    fn a_curve_is_where_its_values_are() {
        let mut rgba = Vec::new();
        let rising = (0..=10).map(|index| (5.0 + f64::from(index), 2.0 * f64::from(index)));
        assert_eq!(CURVE.draw(rising.clone(), 10.0, &mut rgba), Some((0.0, 20.0)));
        assert_eq!(rgba.len(), 4 * 11 * 25);
        let middle = |column| {
            let rows = line_rows(&rgba, column);
            rows.iter().sum::<usize>() as f64 / rows.len() as f64
        };
        for (column, row) in [(0, 21.0), (5, 12.0), (10, 3.0)] {
            assert!((middle(column) - row).abs() <= 1.0, "column {column}: row {}, expected {row}", middle(column));
        }

        // Half of the span: the left half stays empty. A constant is in the middle.
        let holes = [(0.0, f64::NAN), (5.0, 3.0), (7.0, f64::INFINITY), (10.0, 3.0)];
        assert_eq!(CURVE.draw(holes.into_iter(), 10.0, &mut rgba), Some((3.0, 3.0)));
        assert_eq!((line_rows(&rgba, 4), line_rows(&rgba, 5), line_rows(&rgba, 10)), (vec![], vec![12], vec![12]));

        // A jump ends where it goes to.
        let jump = [(0.0, 0.0), (5.0, 0.0), (5.0, 1.0), (10.0, 1.0)];
        assert_eq!(CURVE.draw(jump.into_iter(), 10.0, &mut rgba), Some((0.0, 1.0)));
        assert_eq!(line_rows(&rgba, 5), (3..=21).collect::<Vec<_>>());

        assert_eq!(CURVE.draw(std::iter::empty(), 10.0, &mut rgba), None);
        assert!(rgba.as_chunks::<4>().0.iter().all(|pixel| *pixel == CURVE.ground));
    }
}
