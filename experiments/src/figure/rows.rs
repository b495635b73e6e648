//! A row a party: its estimate with the interval, and a dot a seed.

use super::axis::{Axis, short};
use super::canvas::{Canvas, fitting, text_width};
use super::fill;
use crate::statistics::Estimate;

/// Rows under each other, on one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// What the axis is, with its unit.
    pub x_label: String,
    /// Ends of the axis; around the numbers where they are not fixed.
    pub range: Option<[f64; 2]>,
    /// A number that all are held against.
    pub reference: Option<f64>,
    /// The rows, from top to bottom.
    pub rows: Vec<Row>,
}

/// One party.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Beside it.
    pub name: String,
    /// Its colour.
    pub color: usize,
    /// What the dots come to.
    pub estimate: Option<Estimate>,
    /// A number a seed.
    pub dots: Vec<f64>,
    /// Numbers that were expected of this party.
    pub bounds: Vec<f64>,
}

const ROW: f64 = 30.0;
const TOP: f64 = 6.0;
const BOTTOM: f64 = 36.0;

impl Rows {
    pub(super) fn numbers(&self) -> Vec<(String, f64)> {
        let of_row = |row: &Row| {
            let ends = row.estimate.into_iter().flat_map(|Estimate { value, low, high }| [value, low, high]);
            let numbers = ends.chain(row.dots.iter().copied()).chain(row.bounds.iter().copied());
            numbers.map(|number| (row.name.clone(), number)).collect::<Vec<_>>()
        };
        let mut numbers: Vec<(String, f64)> = self.rows.iter().flat_map(of_row).collect();
        numbers.extend(self.reference.map(|reference| ("the reference".to_owned(), reference)));
        numbers.extend(self.range.into_iter().flatten().map(|end| ("an end of the axis".to_owned(), end)));
        numbers
    }

    pub(super) fn draw(&self, width: f64) -> Canvas {
        let bottom = TOP + ROW * self.rows.len() as f64;
        let names = self.rows.iter().map(|row| text_width(&row.name)).fold(0.0, f64::max).min(0.34 * width);
        let numbers: Vec<f64> = self.numbers().into_iter().map(|(_, number)| number).collect();
        let shown: Vec<String> = self.rows.iter().map(|row| row.estimate.map_or_else(String::new, shown)).collect();
        let beside = shown.iter().map(|text| text_width(text)).fold(0.0, f64::max) + 8.0;
        let places = [names + 14.0, width - beside.max(10.0)];
        let x = match self.range {
            Some(range) => Axis::exact(range, places),
            None => Axis::around(numbers.into_iter(), places),
        };

        let mut canvas = Canvas::new(bottom + BOTTOM);
        for (tick, name) in x.ticks(if width < 450.0 { 4 } else { 6 }) {
            canvas.line("rule", (x.at(tick), TOP), (x.at(tick), bottom));
            canvas.text("a", (x.at(tick), bottom + 15.0), "middle", &name);
        }
        canvas.line("axis", (x.from, bottom), (x.to, bottom));
        canvas.text("a", (x.to, bottom + 31.0), "end", &fitting(&self.x_label, x.to));
        if let Some(reference) = self.reference {
            canvas.line("mark", (x.at(reference), TOP), (x.at(reference), bottom));
        }
        for (row_idx, (row, shown)) in self.rows.iter().zip(&shown).enumerate() {
            let middle = TOP + ROW * (row_idx as f64 + 0.5);
            row.draw(&mut canvas, &x, middle);
            canvas.text("t", (names + 4.0, middle + 4.0), "end", &fitting(&row.name, names));
            canvas.text("a", (width, middle + 4.0), "end", shown);
        }
        canvas
    }
}

impl Row {
    fn draw(&self, canvas: &mut Canvas, x: &Axis, middle: f64) {
        let color = fill(self.color);
        for &bound in &self.bounds {
            canvas.line("mark", (x.at(bound), middle - 12.0), (x.at(bound), middle + 12.0));
        }
        if let Some(Estimate { value, low, high }) = self.estimate {
            let (low, high) = (x.at(low), x.at(high));
            canvas.rect(&format!("box {color}"), (low - 0.5, middle - 8.0), (high - low + 1.0, 10.0), 1.0);
            canvas.line("ink", (x.at(value), middle - 9.0), (x.at(value), middle + 3.0));
        }
        let below = if self.estimate.is_some() { 8.0 } else { 0.0 };
        for &dot in &self.dots {
            canvas.dot(&format!("dot {color}"), (x.at(dot), middle + below), 3.2, &format!("{}: {dot:.4}", self.name));
        }
    }
}

/// `0.72 [0.61, 0.8]`.
fn shown(estimate: Estimate) -> String {
    let Estimate { value, low, high } = estimate;
    let digits = if value.abs().max(high.abs()) >= 100.0 { 0 } else { 2 };
    let number = |number: f64| short(format!("{number:.digits$}").parse().unwrap_or(number), number.abs());
    format!("{} [{}, {}]", number(value), number(low), number(high))
}
