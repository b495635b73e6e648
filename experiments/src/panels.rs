//! Comparisons as SVG: a panel a measure, in it a bar a party with a dot a seed, and dashed lines where something was
//! expected.

use crate::chart::{Area, COLORS, ChartError, Drawn, INK, SCALE, px, short, text};
use crate::statistics::Estimate;
use plotters::prelude::{
    ChartBuilder, Circle, Color, DashedLineSeries, IntoDrawingArea, LineSeries, SVGBackend, ShapeStyle, Text, WHITE,
};
use plotters::style::text_anchor::{HPos, VPos};

/// One measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Over it.
    pub title: String,
    /// Its bars, from left to right.
    pub bars: Vec<Bar>,
}

/// One party.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Under it.
    pub name: String,
    /// A number a seed.
    pub dots: Vec<f64>,
    /// What they come to.
    pub estimate: Option<Estimate>,
    /// Numbers that were expected.
    pub bounds: Vec<f64>,
}

const PANEL_WIDTH: i32 = 300;
const PANEL_HEIGHT: i32 = 260;
const MAX_COLUMNS: usize = 3;
const TITLE_HEIGHT: i32 = 36;
const TITLE_CHAR_WIDTH: i32 = 8;

/// Draws panels as SVG text.
///
/// # Errors
/// When a number is not finite, or there is no dot at all.
pub fn to_svg(title: &str, panels: &[Panel]) -> Result<String, ChartError> {
    let numbers = panels.iter().flat_map(|panel| panel.bars.iter().flat_map(Bar::numbers));
    if let Some(value) = numbers.clone().find(|value| !value.is_finite()) {
        return Err(ChartError::NonFinite { title: title.to_owned(), quantity: "a number of a bar".into(), value });
    }
    if numbers.count() == 0 {
        return Err(ChartError::Empty { title: title.to_owned() });
    }
    let n_columns = panels.len().min(MAX_COLUMNS);
    let n_rows = panels.len().div_ceil(n_columns);
    let title_width = TITLE_CHAR_WIDTH * title.chars().count() as i32 + 32;
    let width = (PANEL_WIDTH * n_columns as i32).max(title_width);
    let height = TITLE_HEIGHT + PANEL_HEIGHT * n_rows as i32;
    let mut svg = String::new();
    draw(&mut svg, title, panels, [width, height], [n_rows, n_columns])
        .map_err(|error| ChartError::Drawing { title: title.to_owned(), reason: error.to_string() })?;
    let drawn = format!("width=\"{}\" height=\"{}\"", width * SCALE, height * SCALE);
    Ok(svg.replacen(&drawn, &format!("width=\"{width}\" height=\"{height}\""), 1))
}

fn draw(svg: &mut String, title: &str, panels: &[Panel], [width, height]: [i32; 2], grid: [usize; 2]) -> Drawn {
    let area = SVGBackend::with_string(svg, (px(width) as u32, px(height) as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(title, (px(16), px(10)), text(15, INK, HPos::Left, VPos::Top)))?;
    let (_, below) = area.split_vertically(px(TITLE_HEIGHT));
    for (panel, area) in panels.iter().zip(below.split_evenly((grid[0], grid[1]))) {
        panel.draw(&area)?;
    }
    area.present()?;
    Ok(())
}

impl Panel {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let n_bars = self.bars.len() as f64;
        let numbers = || self.bars.iter().flat_map(Bar::numbers);
        let (low, high) = numbers().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let margin = if low < high { 0.08 * (high - low) } else { 0.5 * low.abs().max(1.0) };
        let y_range = low - margin..high + margin;
        area.draw(&Text::new(self.title.as_str(), (px(16), px(6)), text(13, INK, HPos::Left, VPos::Top)))?;
        let mut chart = ChartBuilder::on(area)
            .margin_top(px(30))
            .margin_left(px(8))
            .margin_right(px(12))
            .margin_bottom(px(30))
            .y_label_area_size(px(46))
            .build_cartesian_2d(0.0..n_bars, y_range.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .light_line_style(WHITE.mix(0.0))
            .bold_line_style(ShapeStyle::from(INK.mix(0.12)).stroke_width(SCALE as u32))
            .axis_style(ShapeStyle::from(INK.mix(0.6)).stroke_width(SCALE as u32))
            .label_style(text(11, INK, HPos::Center, VPos::Center))
            .y_labels(6)
            .y_label_formatter(&|y| short(*y, y_range.clone()))
            .draw()?;
        for (bar_idx, (bar, color)) in self.bars.iter().zip(COLORS.into_iter().cycle()).enumerate() {
            let (left, middle) = (bar_idx as f64, bar_idx as f64 + 0.5);
            let thin = ShapeStyle::from(color).stroke_width(px(1) as u32);
            let thick = ShapeStyle::from(color).stroke_width(px(3) as u32);
            for &bound in &bar.bounds {
                let ends = [(left + 0.1, bound), (left + 0.9, bound)];
                let style = ShapeStyle::from(INK.mix(0.7)).stroke_width(px(1) as u32);
                chart.draw_series(DashedLineSeries::new(ends, px(4), px(3), style))?;
            }
            if let Some(Estimate { value, low, high }) = bar.estimate {
                chart.draw_series(LineSeries::new([(middle, low), (middle, high)], thin))?;
                chart.draw_series(LineSeries::new([(middle - 0.2, value), (middle + 0.2, value)], thick))?;
            }
            let dots = bar.dots.iter().map(|&y| Circle::new((middle + 0.28, y), px(3), color.mix(0.6).filled()));
            chart.draw_series(dots)?;
            // Coordinates of the chart are those of the whole picture, those of the area begin at its corner.
            let ((x, bottom), corner) = (chart.backend_coord(&(middle, y_range.start)), area.get_base_pixel());
            let at = (x - corner.0, bottom - corner.1 + px(8));
            area.draw(&Text::new(bar.name.as_str(), at, text(12, color, HPos::Center, VPos::Top)))?;
        }
        Ok(())
    }
}

impl Bar {
    fn numbers(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        let ends = self.estimate.into_iter().flat_map(|Estimate { value, low, high }| [value, low, high]);
        self.dots.iter().copied().chain(ends).chain(self.bounds.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(value: f64) -> Panel {
        let estimate = Some(Estimate { value, low: value - 1.0, high: value + 1.0 });
        let bar = |name: &str, estimate| Bar { name: name.into(), dots: vec![value], estimate, bounds: vec![0.5] };
        Panel { title: "success".into(), bars: vec![bar("flow", estimate), bar("gaussian", None)] }
    }

    /// Contract: every name is in the picture, a dot a seed, a dashed line a bound, for one panel and for a grid of them.
    #[test]
    fn the_picture_is_complete() {
        for n_panels in [1, 2, 5] {
            let svg = to_svg("a study", &vec![panel(2.0); n_panels]).unwrap();
            assert_eq!(svg.matches("success").count(), n_panels);
            assert_eq!(svg.matches("gaussian").count(), n_panels);
            assert_eq!(svg.matches("<circle").count(), 2 * n_panels);
        }
    }

    /// Contract: what is not finite is not drawn, nor is nothing.
    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(to_svg("t", &[panel(f64::NAN)]), Err(ChartError::NonFinite { .. })));
        assert!(matches!(to_svg("t", &[]), Err(ChartError::Empty { .. })));
    }
}
