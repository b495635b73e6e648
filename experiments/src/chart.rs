//! Learning curves as SVG: one line a method with its band, named at its right end, and vertical markers such as the
//! switch from offline to online.
//!
//! The colours are those of Okabe & Ito (2008), which people with any common colour vision deficiency tell apart.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::{
    BLACK, Cartesian2d, ChartBuilder, ChartContext, Circle, Color, DashedLineSeries, DrawingArea, IntoDrawingArea,
    IntoFont, LineSeries, Polygon, RGBColor, SVGBackend, ShapeStyle, Text, TextStyle, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;
use thiserror::Error;

/// A picture of quantities over the steps of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningCurve {
    /// Over the picture.
    pub title: String,
    /// What x counts, with its unit.
    pub x_label: String,
    /// What y is, with its unit.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
    /// The vertical markers.
    pub markers: Vec<Marker>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
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

/// A chart could not be drawn.
#[derive(Debug, Error)]
pub enum ChartError {
    /// A number was not finite.
    #[error("chart {title:?}: {quantity} is {value}, expected a finite number")]
    NonFinite {
        /// Title of the chart.
        title: String,
        /// Which number, e.g. `online points[3].high`.
        quantity: String,
        /// What it was.
        value: f64,
    },
    /// There was nothing to draw.
    #[error("chart {title:?}: there are no points, expected at least one")]
    Empty {
        /// Title of the chart.
        title: String,
    },
    /// The drawing itself failed.
    #[error("chart {title:?}: {reason}")]
    Drawing {
        /// Title of the chart.
        title: String,
        /// Why.
        reason: String,
    },
}

impl LearningCurve {
    /// Draws the picture as SVG text of 800 x 480 units.
    ///
    /// # Errors
    /// When a number is not finite, or there is no point at all.
    pub fn to_svg(&self) -> Result<String, ChartError> {
        self.check()?;
        let mut svg = String::new();
        self.draw(&mut svg)
            .map_err(|error| ChartError::Drawing { title: self.title.clone(), reason: error.to_string() })?;
        // The backend draws on whole pixels: lines are smooth because it draws twice as large as the picture is shown.
        let drawn = format!("width=\"{}\" height=\"{}\"", WIDTH * SCALE, HEIGHT * SCALE);
        Ok(svg.replacen(&drawn, &format!("width=\"{WIDTH}\" height=\"{HEIGHT}\""), 1))
    }

    fn check(&self) -> Result<(), ChartError> {
        let of_points = self.series.iter().flat_map(|series| {
            series.points.iter().enumerate().flat_map(move |(point_idx, point)| {
                let Point { x, y, low, high } = *point;
                let parts = [("x", x), ("y", y), ("low", low), ("high", high)];
                parts.map(|(part, value)| (format!("{} points[{point_idx}].{part}", series.name), value))
            })
        });
        let of_markers = self.markers.iter().map(|marker| (format!("marker {}", marker.label), marker.x));
        if let Some((quantity, value)) = of_points.chain(of_markers).find(|(_, value)| !value.is_finite()) {
            return Err(ChartError::NonFinite { title: self.title.clone(), quantity, value });
        }
        if self.series.iter().all(|series| series.points.is_empty()) {
            return Err(ChartError::Empty { title: self.title.clone() });
        }
        Ok(())
    }

    fn draw(&self, svg: &mut String) -> Drawn {
        let area = SVGBackend::with_string(svg, ((WIDTH * SCALE) as u32, (HEIGHT * SCALE) as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        area.draw(&Text::new(self.title.as_str(), (px(20), px(14)), text(17, INK, HPos::Left, VPos::Top)))?;
        let longest_name = self.series.iter().map(|series| series.name.chars().count()).max().unwrap_or(0);
        let mut chart = ChartBuilder::on(&area)
            .margin_top(px(64))
            .margin_left(px(14))
            .margin_right(px(24 + 7 * longest_name as i32))
            .margin_bottom(px(10))
            .x_label_area_size(px(44))
            .y_label_area_size(px(58))
            .build_cartesian_2d(self.x_range(), self.y_range())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE.mix(0.0))
            .bold_line_style(ShapeStyle::from(INK.mix(0.12)).stroke_width(SCALE as u32))
            .axis_style(ShapeStyle::from(INK.mix(0.6)).stroke_width(SCALE as u32))
            .label_style(text(12, INK, HPos::Center, VPos::Center))
            .axis_desc_style(text(13, INK, HPos::Center, VPos::Center))
            .x_labels(8)
            .y_labels(10)
            .x_label_formatter(&|x| short(*x, self.x_range()))
            .y_label_formatter(&|y| short(*y, self.y_range()))
            .x_desc(self.x_label.as_str())
            .y_desc(self.y_label.as_str())
            .draw()?;
        for marker in &self.markers {
            self.draw_marker(&area, &mut chart, marker)?;
        }
        // All bands lie under all lines.
        for (series, color) in self.in_colors() {
            draw_band(&mut chart, series, color)?;
        }
        for (series, color) in self.in_colors() {
            draw_line(&mut chart, series, color)?;
        }
        self.draw_names(&area, &chart)?;
        area.present()?;
        Ok(())
    }

    fn draw_marker(&self, area: &Area<'_>, chart: &mut Chart<'_>, marker: &Marker) -> Drawn {
        let (y, style) = (self.y_range(), ShapeStyle::from(INK.mix(0.7)).stroke_width(px(1) as u32));
        chart.draw_series(DashedLineSeries::new([(marker.x, y.start), (marker.x, y.end)], px(5), px(4), style))?;
        let (x, top) = chart.backend_coord(&(marker.x, y.end));
        area.draw(&Text::new(marker.label.as_str(), (x, top - px(6)), text(12, INK, HPos::Center, VPos::Bottom)))?;
        Ok(())
    }

    /// Writes every name beside the last point of its line, moved so far that no two touch.
    fn draw_names(&self, area: &Area<'_>, chart: &Chart<'_>) -> Drawn {
        let names: Vec<_> = self.in_colors().filter(|(series, _)| !series.points.is_empty()).collect();
        let heights = names.iter().filter_map(|(series, _)| series.points.last());
        let mut tops: Vec<i32> = heights.map(|last| chart.backend_coord(&(last.x, last.y)).1).collect();
        keep_apart(&mut tops, px(16));
        let right = chart.plotting_area().get_pixel_range().0.end;
        for ((series, color), top) in names.into_iter().zip(tops) {
            area.draw(&Text::new(
                series.name.as_str(),
                (right + px(8), top),
                text(13, color, HPos::Left, VPos::Center),
            ))?;
        }
        Ok(())
    }

    fn in_colors(&self) -> impl Iterator<Item = (&Series, RGBColor)> {
        self.series.iter().zip(COLORS.into_iter().cycle())
    }

    fn x_range(&self) -> Range<f64> {
        let points = self.series.iter().flat_map(|series| series.points.iter().map(|point| point.x));
        let (low, high) = extent(points.chain(self.markers.iter().map(|marker| marker.x)));
        if low < high { low..high } else { low - 0.5..high + 0.5 }
    }

    /// A little more than the data, from zero where the data nearly reach it.
    fn y_range(&self) -> Range<f64> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let (low, high) = extent(points.flat_map(|point| [point.y, point.low, point.high]));
        let margin = if low < high { 0.05 * (high - low) } else { 0.5 * low.abs().max(1.0) };
        let starts_at_zero = low >= 0.0 && low < 0.4 * high;
        if starts_at_zero { 0.0..high + margin } else { low - margin..high + margin }
    }
}

const WIDTH: i32 = 800;
const HEIGHT: i32 = 480;
pub(crate) const SCALE: i32 = 2;

pub(crate) const INK: RGBColor = RGBColor(38, 38, 38);

/// Okabe & Ito without yellow, which white swallows.
pub(crate) const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    BLACK,
];

/// Lines of up to so many points show each of them.
const MAX_DOTS: usize = 30;

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
pub(crate) type Drawn = Result<(), Box<dyn std::error::Error>>;

pub(crate) const fn px(units: i32) -> i32 {
    units * SCALE
}

pub(crate) fn text(size: i32, color: RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // The backend divides font sizes by 1.24.
    let font = ("sans-serif", 1.24 * f64::from(px(size))).into_font();
    TextStyle { font, color: color.to_backend_color(), pos: Pos::new(horizontal, vertical) }
}

fn draw_band(chart: &mut Chart<'_>, series: &Series, color: RGBColor) -> Drawn {
    let upper = series.points.iter().map(|point| (point.x, point.high));
    let lower = series.points.iter().rev().map(|point| (point.x, point.low));
    // One point has no band but a bar.
    if series.points.len() > 1 {
        chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), color.mix(0.18))])?;
    } else {
        chart.draw_series(LineSeries::new(upper.chain(lower), ShapeStyle::from(color).stroke_width(px(1) as u32)))?;
    }
    Ok(())
}

fn draw_line(chart: &mut Chart<'_>, series: &Series, color: RGBColor) -> Drawn {
    let line = series.points.iter().map(|point| (point.x, point.y));
    chart.draw_series(LineSeries::new(line.clone(), ShapeStyle::from(color).stroke_width(px(2) as u32)))?;
    if series.points.len() <= MAX_DOTS {
        chart.draw_series(line.map(|at| Circle::new(at, px(3), color.filled())))?;
    }
    Ok(())
}

/// Moves values apart until neighbours differ by `gap`, each group of them staying where it was on average.
fn keep_apart(values: &mut [i32], gap: i32) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&index| values[index]);
    // Groups of neighbours that touch: (sum of the members' values, members).
    let mut groups: Vec<(i32, Vec<usize>)> = Vec::new();
    let first = |(sum, members): &(i32, Vec<usize>)| sum / members.len() as i32 - gap * (members.len() as i32 - 1) / 2;
    for index in order {
        let mut group = (values[index], vec![index]);
        while let Some(above) = groups.pop_if(|above| first(above) + gap * above.1.len() as i32 > first(&group)) {
            group = (above.0 + group.0, [above.1, group.1].concat());
        }
        groups.push(group);
    }
    for group in &groups {
        for (rank, &index) in group.1.iter().enumerate() {
            values[index] = first(group) + gap * rank as i32;
        }
    }
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// A number as an axis over `range` shows it: `0`, `0.25`, `1500`, `20k`, `1.5M`, `3e-5`.
pub(crate) fn short(value: f64, range: Range<f64>) -> String {
    let plain = |value: f64, unit: &str| {
        let digits = format!("{value:.4}");
        format!("{}{unit}", digits.trim_end_matches('0').trim_end_matches('.'))
    };
    match value.abs() {
        // Ticks are sums of steps, and where they should meet zero rounding remains.
        size if size < 1e-9 * (range.end - range.start) => "0".into(),
        size if size < 1e-3 => format!("{value:.2e}").replace(".00e", "e"),
        size if size < 1e4 => plain(value, ""),
        size if size < 1e6 => plain(value / 1e3, "k"),
        _ => plain(value / 1e6, "M"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> LearningCurve {
        let series = |name: &str, height: f64, speed: f64| Series {
            name: name.into(),
            points: (0..=20)
                .map(|k| {
                    let x = f64::from(k) * 2500.0;
                    let y = height * (1.0 - (-x / speed).exp());
                    Point { x, y, low: y - 0.08 * height, high: y + 0.1 * height }
                })
                .collect(),
        };
        LearningCurve {
            title: "Cube, turned about the vertical: 4 seeds, mean and 95 % interval".into(),
            x_label: "learner steps".into(),
            y_label: "turns per minute".into(),
            series: vec![series("SOFT-FLOW", 11.5, 9000.0), series("without critic", 6.0, 12000.0)],
            markers: vec![
                Marker { x: 25_000.0, label: "online".into() },
                Marker { x: 7500.0, label: "offline".into() },
            ],
        }
    }

    /// Contract: everything that was asked for is in the picture, as text that XML understands.
    #[test]
    fn the_picture_is_complete() {
        let mut curve = curve();
        curve.series[0].name = "a < b & \"c\"".into();
        let svg = curve.to_svg().unwrap();
        assert!(svg.starts_with("<svg width=\"800\" height=\"480\" viewBox=\"0 0 1600 960\""), "{}", &svg[..99]);
        assert!(svg.trim_end().ends_with("</svg>"));
        for part in [&curve.title, "learner steps", "turns per minute", "online", "a &lt; b &amp; ", "40k"] {
            assert!(svg.contains(part.trim()), "{part} is missing");
        }
        assert_eq!(svg.matches("<polygon").count(), 2);
        assert_eq!(svg, curve.to_svg().unwrap());
    }

    /// Contract: no curve, however degenerate, breaks the axes.
    #[test]
    fn degenerate_curves_are_drawn() {
        let point = |x, y| Point { x, y, low: y, high: y };
        for points in [vec![point(0.0, 0.0)], vec![point(3.0, -7.0); 2], vec![point(0.0, 1e9), point(1e-9, 1e9)]] {
            let series = vec![Series { name: "one".into(), points }, Series { name: "none".into(), points: vec![] }];
            let svg = LearningCurve { series, markers: vec![], ..curve() }.to_svg().unwrap();
            assert!(svg.contains("one") && !svg.contains("NaN") && !svg.contains("inf"));
        }
    }

    /// Contract: a number that is not finite is named, and an empty chart is not drawn.
    #[test]
    fn nonsense_is_refused_by_name() {
        let mut bad = curve();
        bad.series[1].points[3].high = f64::NAN;
        let error = bad.to_svg().unwrap_err().to_string();
        assert!(error.contains("without critic points[3].high is NaN"), "{error}");
        let mut bad = curve();
        bad.markers[0].x = f64::INFINITY;
        assert!(bad.to_svg().unwrap_err().to_string().contains("marker online is inf"));
        let empty = LearningCurve { series: vec![], ..curve() };
        assert!(matches!(empty.to_svg(), Err(ChartError::Empty { .. })));
    }

    /// Contract: names keep their order and distance, and move no further than they must.
    #[test]
    fn names_do_not_touch() {
        type Case<'a> = (&'a [i32], &'a [i32]);
        let cases: [Case<'_>; 3] =
            [(&[100, 50], &[100, 50]), (&[54, 50, 90], &[57, 47, 90]), (&[0, 4, 8, 30], &[-6, 4, 14, 30])];
        for (wanted, expected) in cases {
            let mut values = wanted.to_vec();
            keep_apart(&mut values, 10);
            assert_eq!(values, expected, "{wanted:?}");
        }
    }

    /// Contract: axis labels are short and exact.
    #[test]
    fn axis_labels_are_short() {
        let cases =
            [(1e-17, "0"), (0.1 + 0.2, "0.3"), (-1500.0, "-1500"), (2e4, "20k"), (1.5e6, "1.5M"), (3e-5, "3e-5")];
        for (value, expected) in cases {
            assert_eq!(short(value, -1.0..1.0), expected);
        }
    }
}
