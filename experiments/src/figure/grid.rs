//! A number for every pair of two settings, darker where it is larger.

use super::axis::short;
use super::canvas::{Canvas, text_width};
use super::extent;

/// Cells in rows and columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// What the columns are.
    pub x_label: String,
    /// What the rows are.
    pub y_label: String,
    /// Over the columns.
    pub columns: Vec<String>,
    /// Beside the rows.
    pub rows: Vec<String>,
    /// `[row][column]`, where there is a number.
    pub cells: Vec<Vec<Option<f64>>>,
}

const ROW: f64 = 34.0;
const TOP: f64 = 20.0;
const MAX_COLUMN: f64 = 92.0;

impl Grid {
    pub(super) fn numbers(&self) -> Vec<(String, f64)> {
        let cells = self.cells.iter().zip(&self.rows).flat_map(|(cells, row)| {
            cells
                .iter()
                .zip(&self.columns)
                .filter_map(move |(cell, column)| Some((format!("{row}, {column}"), (*cell)?)))
        });
        cells.collect()
    }

    pub(super) fn draw(&self, width: f64) -> Canvas {
        let (low, high) = extent(self.cells.iter().flatten().flatten().copied());
        let left = self.rows.iter().map(|row| text_width(row)).fold(0.0, f64::max) + 10.0;
        let column_width = ((width - left) / self.columns.len().max(1) as f64).min(MAX_COLUMN);
        let bottom = TOP + ROW * self.rows.len() as f64;
        let mut canvas = Canvas::new(bottom + 40.0);
        canvas.text("a", (0.0, 11.0), "start", &self.y_label);
        let right = left + column_width * self.columns.len() as f64;
        canvas.text("a", (right, bottom + 34.0), "end", &self.x_label);
        for (column_idx, column) in self.columns.iter().enumerate() {
            let middle = left + column_width * (column_idx as f64 + 0.5);
            canvas.text("a", (middle, bottom + 16.0), "middle", column);
        }
        for (row_idx, (row, cells)) in self.rows.iter().zip(&self.cells).enumerate() {
            let top = TOP + ROW * row_idx as f64;
            canvas.text("a", (left - 6.0, top + ROW / 2.0 + 4.0), "end", row);
            for (column_idx, cell) in cells.iter().enumerate() {
                let Some(value) = *cell else { continue };
                let corner = (left + column_width * column_idx as f64 + 1.0, top + 1.0);
                let share = if high > low { (value - low) / (high - low) } else { 0.5 };
                canvas.rect("f0", corner, (column_width - 2.0, ROW - 2.0), 0.12 + 0.86 * share);
                let at = (corner.0 + column_width / 2.0 - 1.0, top + ROW / 2.0 + 4.0);
                let class = if share > 0.55 { "on" } else { "t" };
                let rounded = format!("{value:.2}").parse().unwrap_or(value);
                canvas.text(class, at, "middle", &short(rounded, value.abs()));
            }
        }
        canvas
    }
}
