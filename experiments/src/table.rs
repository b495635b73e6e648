//! A table in plain text: words to the left, numbers to the right.

use std::fmt;

/// Rows under a header. A column of numbers (with what may stand behind them, e.g. an interval) is aligned to the right,
/// any other to the left.
///
/// ```
/// let mut table = experiments::Table::new(["stage", "turns/min", "drops"]);
/// table.push(["imitation", "1.25", "0.10"]);
/// table.push(["online", "11.50", "0.00"]);
/// assert_eq!(
///     table.to_string(),
///     "stage      turns/min  drops\n\
///      ---------  ---------  -----\n\
///      imitation       1.25   0.10\n\
///      online         11.50   0.00\n"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with its header.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self::default();
        table.push(header);
        table
    }

    /// Adds a row. One that is shorter than the header ends in empty cells, one that is longer widens the table.
    pub fn push<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl Table {
    /// The header, if there is one, and the rows under it.
    #[must_use]
    pub fn parts(&self) -> Option<(&[String], &[Vec<String>])> {
        self.rows.split_first().map(|(header, rows)| (header.as_slice(), rows))
    }

    /// The table in Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = |n_columns: usize| format!("|{}\n", "---|".repeat(n_columns));
        let header = self.rows.first().map(|header| row(header) + &rule(header.len())).unwrap_or_default();
        self.rows.iter().skip(1).fold(header, |text, cells| text + &row(cells))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: usize, column: usize| self.rows[row].get(column).map_or("", String::as_str);
        let widths: Vec<usize> = (0..n_columns)
            .map(|column| (0..self.rows.len()).map(|row| cell(row, column).chars().count()).max().unwrap_or(0))
            .collect();
        let is_numeric: Vec<bool> =
            (0..n_columns).map(|column| (1..self.rows.len()).all(|row| is_number(cell(row, column)))).collect();
        let write_row = |f: &mut fmt::Formatter<'_>, cell: &dyn Fn(usize) -> String| {
            let cells = widths.iter().zip(&is_numeric).enumerate().map(|(column, (&width, &is_numeric))| {
                let text = cell(column);
                if is_numeric { format!("{text:>width$}") } else { format!("{text:<width$}") }
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        for row in 0..self.rows.len() {
            write_row(f, &|column| cell(row, column).to_owned())?;
            if row == 0 {
                write_row(f, &|column| "-".repeat(widths[column]))?;
            }
        }
        Ok(())
    }
}

/// Whether a cell is empty or begins like a number.
fn is_number(cell: &str) -> bool {
    cell.is_empty() || cell.trim_start_matches(['-', '+', '.']).starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: columns line up whatever the rows' lengths and letters, and no line ends in blanks.
    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["größe", "±", "domain"]);
        table.push(["a", "0.1 [0.02, 0.3]", "nominal", "-1"]);
        table.push(["longer", "-12.5", "x", "20"]);
        table.push(["b"]);
        let expected = "größe                 ±  domain\n\
                        ------  ---------------  -------  --\n\
                        a       0.1 [0.02, 0.3]  nominal  -1\n\
                        longer            -12.5  x        20\n\
                        b\n";
        assert_eq!(table.to_string(), expected);
        assert_eq!(Table::default().to_string(), "");
    }

    /// Contract: Markdown has a rule under the header, and what would end a cell is escaped.
    #[test]
    fn markdown_keeps_its_cells() {
        let mut table = Table::new(["a", "b"]);
        table.push(["x|y", "1"]);
        assert_eq!(table.to_markdown(), "| a | b |\n|---|---|\n| x\\|y | 1 |\n");
    }
}
