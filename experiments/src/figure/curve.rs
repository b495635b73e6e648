//! Lines with bands, named at their right ends; series of one point are named beside it.

use super::axis::Axis;
use super::canvas::{Canvas, fitting, text_width};
use super::{fill, keep_above, keep_apart, stroke};

/// Quantities over something that grows.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What x counts, with its unit.
    pub x_label: String,
    /// What y is, with its unit.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Vertical lines.
    pub markers: Vec<Marker>,
    /// Horizontal lines.
    pub levels: Vec<Level>,
}

/// One line, or one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name; empty where it needs none.
    pub name: String,
    /// Which colour it has; none for what only surrounds the others, which is not named either.
    pub color: Option<usize>,
    /// Its points, x growing.
    pub points: Vec<Point>,
}

/// One point of a line with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// A vertical line.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// Where.
    pub x: f64,
    /// What begins there.
    pub label: String,
}

/// A horizontal line.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Where.
    pub value: f64,
    /// What has this value throughout.
    pub name: String,
}

/// Lines of up to so many points show each of them.
const MAX_DOTS: usize = 16;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 38.0;
const LABEL_GAP: f64 = 14.0;

impl Point {
    /// A point without an interval.
    #[must_use]
    pub const fn exact(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }
}

impl Curve {
    pub(super) fn numbers(&self) -> Vec<(String, f64)> {
        let of_points = self.series.iter().flat_map(|series| {
            series.points.iter().enumerate().flat_map(move |(point_idx, point)| {
                let parts = [("x", point.x), ("y", point.y), ("low", point.low), ("high", point.high)];
                parts.map(|(part, value)| (format!("{} points[{point_idx}].{part}", series.name), value))
            })
        });
        let mut numbers: Vec<(String, f64)> = of_points.collect();
        if !numbers.is_empty() {
            numbers.extend(self.markers.iter().map(|marker| (format!("marker {}", marker.label), marker.x)));
            numbers.extend(self.levels.iter().map(|level| (format!("level {}", level.name), level.value)));
        }
        numbers
    }

    pub(super) fn draw(&self, width: f64) -> Canvas {
        let height = (0.58 * width).clamp(190.0, 400.0).round();
        let (top, bottom) = (TOP, height - BOTTOM);
        let is_scatter = self.series.iter().all(|series| series.points.len() <= 1 || series.color.is_none());
        let points = || self.series.iter().flat_map(|series| &series.points);
        let heights = points().flat_map(|point| [point.y, point.low, point.high]);
        let y = Axis::around(heights.chain(self.levels.iter().map(|level| level.value)), [bottom, top]);
        let y_ticks = y.ticks(5);
        let left = y_ticks.iter().map(|(_, name)| text_width(name)).fold(12.0, f64::max) + 9.0;
        let names = self.names().map(|name| text_width(name) + 20.0).fold(8.0, f64::max).min(0.36 * width);
        let right = width - if is_scatter { 8.0 } else { names };
        let places = points().map(|point| point.x).chain(self.markers.iter().map(|marker| marker.x));
        let x = if is_scatter {
            Axis::around(places.chain([0.0]), [left, right])
        } else {
            let (low, high) = super::extent(places);
            Axis::exact([low, high], [left, right])
        };

        let mut canvas = Canvas::new(height);
        canvas.text("a", (0.0, 12.0), "start", &fitting(&self.y_label, width));
        for (tick, name) in &y_ticks {
            canvas.line("rule", (left, y.at(*tick)), (right, y.at(*tick)));
            canvas.text("a", (left - 6.0, y.at(*tick) + 4.0), "end", name);
        }
        canvas.line("axis", (left, bottom), (right, bottom));
        for (tick, name) in x.ticks(if width < 450.0 { 4 } else { 7 }) {
            canvas.line("axis", (x.at(tick), bottom), (x.at(tick), bottom + 4.0));
            canvas.text("a", (x.at(tick), bottom + 16.0), "middle", &name);
        }
        canvas.text("a", (right, height - 5.0), "end", &fitting(&self.x_label, width - left));
        self.draw_markers(&mut canvas, &x, [top, bottom]);
        // All bands lie under all lines, and what surrounds under what is shown.
        for series in &self.series {
            series.draw_band(&mut canvas, &x, &y);
        }
        for level in &self.levels {
            canvas.line("mark", (left, y.at(level.value)), (right, y.at(level.value)));
        }
        for is_shown in [false, true] {
            for series in self.series.iter().filter(|series| series.color.is_some() == is_shown) {
                series.draw_line(&mut canvas, &x, &y);
            }
        }
        if is_scatter {
            self.name_points(&mut canvas, &x, &y, right);
        } else {
            self.name_lines(&mut canvas, &y, [right, width], bottom);
        }
        canvas
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let of_series = self.series.iter().filter(|series| series.is_named()).map(|series| series.name.as_str());
        of_series.chain(self.levels.iter().map(|level| level.name.as_str()))
    }

    /// A label stands to the right of its line, unless the next one would touch it; the last has the right of way.
    fn draw_markers(&self, canvas: &mut Canvas, x: &Axis, [top, bottom]: [f64; 2]) {
        let mut free_until = f64::INFINITY;
        for marker in self.markers.iter().rev() {
            let at = x.at(marker.x);
            canvas.line("mark", (at, top - 6.0), (at, bottom));
            let width = text_width(&marker.label);
            let is_at_end = at + width + 4.0 > x.to + 60.0;
            if at + width + 4.0 <= free_until {
                let (place, anchor) = if is_at_end { (at - 3.0, "end") } else { (at + 3.0, "start") };
                canvas.text("a", (place, top - 4.0 - 2.0), anchor, &marker.label);
                free_until = at;
            }
        }
    }

    /// Writes every name beside the end of its line, moved so far that no two touch; where any was moved they have dots of
    /// their colours.
    fn name_lines(&self, canvas: &mut Canvas, y: &Axis, [right, width]: [f64; 2], bottom: f64) {
        let of_series = self.series.iter().filter(|series| series.is_named());
        let ends = of_series.filter_map(|series| Some((series.name.as_str(), series.color, series.points.last()?.y)));
        let levels = self.levels.iter().map(|level| (level.name.as_str(), None, level.value));
        let named: Vec<_> = ends.chain(levels).collect();
        let mut tops: Vec<f64> = named.iter().map(|(.., value)| y.at(*value)).collect();
        keep_apart(&mut tops, LABEL_GAP);
        keep_above(&mut tops, LABEL_GAP, bottom);
        let is_moved = |(&(_, color, value), top): (&(&str, Option<usize>, f64), &f64)| {
            color.is_some() && (top - y.at(value)).abs() > 2.0
        };
        let are_moved = named.iter().zip(&tops).any(is_moved);
        for ((name, color, _), top) in named.into_iter().zip(tops) {
            let mut left = right + 7.0;
            if let Some(color) = color.filter(|_| are_moved) {
                canvas.dot(&format!("dot {}", fill(color)), (left + 3.5, top), 3.5, name);
                left += 10.0;
            }
            let class = if color.is_some() { "t" } else { "a" };
            canvas.text(class, (left, top + 4.0), "start", &fitting(name, width - left));
        }
    }

    /// Writes every name beside its point, to the side where there is room.
    fn name_points(&self, canvas: &mut Canvas, x: &Axis, y: &Axis, right: f64) {
        let named: Vec<_> = self.series.iter().filter_map(|series| Some((series, series.points.first()?))).collect();
        let mut tops: Vec<f64> = named.iter().map(|(_, point)| y.at(point.y)).collect();
        keep_apart(&mut tops, LABEL_GAP);
        for ((series, point), top) in named.into_iter().zip(tops) {
            let at = x.at(point.x);
            let fits = at + 9.0 + text_width(&series.name) < right;
            let (place, anchor) = if fits { (at + 8.0, "start") } else { (at - 8.0, "end") };
            canvas.text("t", (place, top + 4.0), anchor, &series.name);
        }
    }
}

impl Series {
    fn is_named(&self) -> bool {
        self.color.is_some() && !self.name.is_empty() && !self.points.is_empty()
    }

    fn draw_band(&self, canvas: &mut Canvas, x: &Axis, y: &Axis) {
        let Some(color) = self.color else { return };
        for points in self.pieces().filter(|points| points.iter().any(|point| point.low < point.high)) {
            let upper = points.iter().map(|point| (x.at(point.x), y.at(point.high)));
            let lower = points.iter().rev().map(|point| (x.at(point.x), y.at(point.low)));
            canvas.polygon(&format!("band {}", fill(color)), upper.chain(lower));
        }
    }

    fn draw_line(&self, canvas: &mut Canvas, x: &Axis, y: &Axis) {
        let class = stroke(self.color);
        if let [point] = self.points[..] {
            let (at, low, high) = (x.at(point.x), y.at(point.low), y.at(point.high));
            canvas.line(&format!("line thin {class}"), (at, low), (at, high));
        }
        let thin = if self.color.is_none() { "thin " } else { "" };
        for points in self.pieces() {
            let line = points.iter().map(|point| (x.at(point.x), y.at(point.y)));
            canvas.polyline(&format!("line {thin}{class}"), line);
        }
        if let (Some(color), 1..=MAX_DOTS) = (self.color, self.points.len()) {
            for point in &self.points {
                let says = format!("{}: {:.4} at {}", self.name, point.y, point.x);
                canvas.dot(&format!("dot {}", fill(color)), (x.at(point.x), y.at(point.y)), 3.0, &says);
            }
        }
    }

    /// The parts of the line, of at least two points: a long line is not drawn over where it has none.
    fn pieces(&self) -> impl Iterator<Item = &[Point]> {
        let mut gaps: Vec<f64> = self.points.windows(2).map(|pair| pair[1].x - pair[0].x).collect();
        gaps.sort_unstable_by(f64::total_cmp);
        let widest = match gaps.get(gaps.len() / 2) {
            Some(median) if self.points.len() > MAX_DOTS => 4.0 * median,
            _ => f64::INFINITY,
        };
        self.points.chunk_by(move |left, right| right.x - left.x <= widest).filter(|points| points.len() > 1)
    }
}
