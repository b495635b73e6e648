//! Figures as SVG: thin marks, few lines, names beside what they name.
//!
//! - [`Curve`]: quantities over something that grows, with bands; single points make it a scatter plot.
//! - [`Rows`]: a row a party with its interval and a dot a seed.
//! - [`Grid`]: a number for every pair of two settings.
//!
//! A drawing holds no colours. Its marks have classes, to which [`style`] gives those of a [`Theme`]: a page sets one for light
//! and one for dark, a file holds its own. The colours of series are those of Okabe & Ito (2008), which people with any common
//! colour vision deficiency tell apart, with a grey in place of the yellow.

mod axis;
mod canvas;
mod curve;
mod grid;
mod raster;
mod rows;

pub use canvas::escaped;
pub use curve::{Curve, Level, Marker, Point, Series};
pub use grid::Grid;
pub use rows::{Row, Rows};

use canvas::Canvas;
use thiserror::Error;

/// A picture with its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Name of its file, without an ending.
    pub name: String,
    /// Over it.
    pub title: String,
    /// What there is to know to read it.
    pub note: String,
    /// The picture.
    pub plot: Plot,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Plot {
    /// Lines or points.
    Curve(Curve),
    /// Intervals.
    Rows(Rows),
    /// Numbers in cells.
    Grid(Grid),
}

/// A figure could not be drawn.
#[derive(Debug, PartialEq, Error)]
pub enum FigureError {
    /// A number was not finite.
    #[error("figure {figure:?}: {quantity} is {value}, expected a finite number")]
    NonFinite {
        /// Title of the figure.
        figure: String,
        /// Which number, e.g. `online points[3].high`.
        quantity: String,
        /// What it was.
        value: f64,
    },
    /// No picture could be made of its marks.
    #[error("figure {figure:?}: no PNG can be made of it: {reason}")]
    Picture {
        /// Title of the figure.
        figure: String,
        /// Why.
        reason: String,
    },
    /// There was nothing to draw.
    #[error("figure {figure:?}: there is nothing to draw, expected at least one number")]
    Empty {
        /// Title of the figure.
        figure: String,
    },
}

/// Colours, as CSS has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Behind everything.
    pub paper: &'static str,
    /// Words and axes.
    pub ink: &'static str,
    /// What is said aside.
    pub faint: &'static str,
    /// Lines of the grid.
    pub rule: &'static str,
    /// The series.
    pub series: [&'static str; N_COLORS],
}

/// Series that can be told apart by their colours.
pub const N_COLORS: usize = 7;

impl Theme {
    /// Dark on light.
    pub const LIGHT: Self = Self {
        paper: "#ffffff",
        ink: "#1f2328",
        faint: "#5c636b",
        rule: "#e3e6ea",
        series: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666c74"],
    };
    /// Light on dark.
    pub const DARK: Self = Self {
        paper: "#14171b",
        ink: "#e6e8eb",
        faint: "#9aa2ab",
        rule: "#2c3138",
        series: ["#4da3dd", "#f0803c", "#2fbf95", "#dd94bd", "#edb440", "#8ccff5", "#b3bac2"],
    };
}

/// Width of a drawing of its own, px.
const FILE_WIDTH: f64 = 640.0;
const PADDING: f64 = 16.0;
const TITLE_HEIGHT: f64 = 30.0;

impl Figure {
    /// The picture alone, `width` px wide and as high as it needs to be, for a page that has the words and the colours.
    ///
    /// # Errors
    /// When a number is not finite, or there is none.
    pub fn to_inline(&self, width: f64) -> Result<String, FigureError> {
        let canvas = self.draw(width)?;
        let height = canvas.height();
        let label = escaped(&self.title);
        Ok(format!(
            "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
             aria-label=\"{label}\">{}</svg>",
            canvas.into_body()
        ))
    }

    /// A file with picture, title and colours.
    ///
    /// # Errors
    /// As [`Figure::to_inline`].
    pub fn to_svg(&self) -> Result<String, FigureError> {
        stack(&self.title, std::slice::from_ref(self))
    }

    /// The file as a PNG picture, twice as many pixels wide.
    ///
    /// # Errors
    /// As [`Figure::to_inline`], and when the picture cannot be made.
    pub fn to_png(&self) -> Result<Vec<u8>, FigureError> {
        raster::png(&self.to_svg()?).map_err(|reason| FigureError::Picture { figure: self.title.clone(), reason })
    }

    fn draw(&self, width: f64) -> Result<Canvas, FigureError> {
        let numbers = match &self.plot {
            Plot::Curve(curve) => curve.numbers(),
            Plot::Rows(rows) => rows.numbers(),
            Plot::Grid(grid) => grid.numbers(),
        };
        if let Some((quantity, value)) = numbers.iter().find(|(_, value)| !value.is_finite()) {
            let (figure, quantity) = (self.title.clone(), quantity.clone());
            return Err(FigureError::NonFinite { figure, quantity, value: *value });
        }
        if numbers.is_empty() {
            return Err(FigureError::Empty { figure: self.title.clone() });
        }
        Ok(match &self.plot {
            Plot::Curve(curve) => curve.draw(width),
            Plot::Rows(rows) => rows.draw(width),
            Plot::Grid(grid) => grid.draw(width),
        })
    }
}

/// One file with all of the figures, one below the other, under a common title. Several have their own titles too.
///
/// # Errors
/// As [`Figure::to_inline`], and when there are no figures.
pub fn stack(title: &str, figures: &[Figure]) -> Result<String, FigureError> {
    if figures.is_empty() {
        return Err(FigureError::Empty { figure: title.to_owned() });
    }
    let mut sheet = Canvas::default();
    let mut top = PADDING;
    sheet.text("t h", (PADDING, top + 14.0), "start", title);
    top += TITLE_HEIGHT;
    for figure in figures {
        if figures.len() > 1 {
            sheet.text("t", (PADDING, top + 12.0), "start", &figure.title);
            top += 24.0;
        }
        let canvas = figure.draw(FILE_WIDTH - 2.0 * PADDING)?;
        let height = canvas.height();
        sheet.group((PADDING, top), &canvas.into_body());
        top += height + PADDING;
    }
    let (height, theme) = (top.ceil(), Theme::LIGHT);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {FILE_WIDTH} {height}\" width=\"{FILE_WIDTH}\" \
         height=\"{height}\"><style>{}</style><rect width=\"100%\" height=\"100%\" fill=\"{}\"/>{}</svg>\n",
        style("", &theme),
        theme.paper,
        sheet.into_body()
    ))
}

/// The style sheet of all figures below what `scope` selects.
#[must_use]
pub fn style(scope: &str, theme: &Theme) -> String {
    let mut rules = vec![
        ("text", "font:12px system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif".to_owned()),
        (".t", format!("fill:{}", theme.ink)),
        (".h", "font-size:15px;font-weight:600".into()),
        (".a", format!("fill:{};font-variant-numeric:tabular-nums", theme.faint)),
        (".rule", format!("stroke:{};fill:none", theme.rule)),
        (".axis", format!("stroke:{};fill:none", theme.faint)),
        (".mark", format!("stroke:{};fill:none;stroke-dasharray:4 3", theme.faint)),
        (".ink", format!("stroke:{};fill:none;stroke-width:2", theme.ink)),
        (".line", "fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round".into()),
        (".thin", "stroke-width:1.1".into()),
        (".band", "opacity:.16".into()),
        (".box", "opacity:.4".into()),
        (".dot", format!("stroke:{};stroke-width:.8", theme.paper)),
        (".kx", format!("stroke:{};opacity:.45", theme.faint)),
        (".on", format!("fill:{}", theme.paper)),
    ]
    .into_iter()
    .map(|(class, rule)| format!("{scope} {class}{{{rule}}}"))
    .collect::<Vec<_>>();
    for (index, color) in theme.series.iter().enumerate() {
        rules.push(format!("{scope} .k{index}{{stroke:{color}}}{scope} .f{index}{{fill:{color}}}"));
    }
    rules.concat()
}

/// The class that strokes a series; `None` is for what only surrounds the others.
fn stroke(color: Option<usize>) -> String {
    color.map_or_else(|| "kx".into(), |color| format!("k{}", color % N_COLORS))
}

/// The class that fills a series.
fn fill(color: usize) -> String {
    format!("f{}", color % N_COLORS)
}

/// Smallest and largest of some numbers; infinities where there are none.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// Moves values apart until neighbours differ by `gap`, each group of them staying where it was on average.
fn keep_apart(values: &mut [f64], gap: f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| values[left].total_cmp(&values[right]));
    // Groups of neighbours that touch: (sum of the members' values, members).
    let mut groups: Vec<(f64, Vec<usize>)> = Vec::new();
    let first =
        |(sum, members): &(f64, Vec<usize>)| sum / members.len() as f64 - gap * (members.len() as f64 - 1.0) / 2.0;
    for index in order {
        let mut group = (values[index], vec![index]);
        while let Some(above) = groups.pop_if(|above| first(above) + gap * above.1.len() as f64 > first(&group)) {
            group = (above.0 + group.0, [above.1, group.1].concat());
        }
        groups.push(group);
    }
    for group in &groups {
        for (rank, &index) in group.1.iter().enumerate() {
            values[index] = first(group) + gap * rank as f64;
        }
    }
}

/// Moves the lowest of values up that are at least `gap` apart, so that none is below `lowest` and they stay apart.
fn keep_above(values: &mut [f64], gap: f64, lowest: f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| values[right].total_cmp(&values[left]));
    for (rank, &index) in order.iter().enumerate() {
        values[index] = values[index].min(lowest - gap * rank as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Estimate;

    fn curve(points: Vec<Point>) -> Figure {
        let series = vec![
            Series { name: "a < b & \"c\"".into(), color: Some(0), points },
            Series { name: "none".into(), color: None, points: Vec::new() },
        ];
        let markers = vec![Marker { x: 1.0, label: "online".into() }];
        let levels = vec![Level { value: 0.5, name: "imitation".into() }];
        let curve = Curve { x_label: "own episodes".into(), y_label: "turns".into(), series, markers, levels };
        Figure { name: "turns".into(), title: "Turns".into(), note: String::new(), plot: Plot::Curve(curve) }
    }

    fn point(x: f64, y: f64) -> Point {
        Point { x, y, low: y - 0.5, high: y + 0.5 }
    }

    fn rows() -> Figure {
        let estimate = Some(Estimate { value: 0.4, low: 0.2, high: 0.5 });
        let row = |name: &str, estimate| Row {
            name: name.into(),
            color: 0,
            estimate,
            dots: vec![0.2, 0.5],
            bounds: vec![0.3],
        };
        let rows = vec![row("soft-flow", estimate), row("gaussian", None)];
        let plot = Plot::Rows(Rows { x_label: "success".into(), range: None, reference: Some(0.5), rows });
        Figure { name: "final".into(), title: "Final".into(), note: String::new(), plot }
    }

    fn grid() -> Figure {
        let plot = Plot::Grid(Grid {
            x_label: "candidates".into(),
            y_label: "temperature".into(),
            columns: vec!["1".into(), "16".into()],
            rows: vec!["0.7".into(), "1".into()],
            cells: vec![vec![Some(0.25), Some(0.75)], vec![None, Some(0.5)]],
        });
        Figure { name: "map".into(), title: "Map".into(), note: String::new(), plot }
    }

    /// Contract: what was asked for is in the picture, as text that XML understands, and the same bits every time.
    #[test]
    fn pictures_are_complete() {
        let figure = curve(vec![point(0.0, 1.0), point(1.0, 2.0), point(2.0, 2.5)]);
        let svg = figure.to_svg().unwrap();
        for part in ["own episodes", "turns", "online", "imitation", "a &lt; b &amp; &quot;c&quot;", "Turns"] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
        assert_eq!(svg.matches("class=\"band").count(), 1);
        assert_eq!(svg, figure.to_svg().unwrap());
        let svg = rows().to_svg().unwrap();
        assert_eq!((svg.matches("<circle").count(), svg.matches("class=\"box").count()), (4, 1));
        assert!(svg.contains("soft-flow") && svg.contains("0.4"), "{svg}");
        let svg = grid().to_svg().unwrap();
        assert_eq!(["0.25", "0.75", "0.5"].map(|cell| svg.contains(&format!(">{cell}<"))), [true; 3], "{svg}");
        let both = stack("both", &[rows(), grid()]).unwrap();
        assert!(both.contains("Final") && both.contains("Map"));
    }

    /// Contract: no data, however degenerate, breaks the axes: every coordinate is a number.
    #[test]
    fn degenerate_data_are_drawn() {
        let flat = |x, y| Point { x, y, low: y, high: y };
        for points in [vec![flat(0.0, 0.0)], vec![flat(3.0, -7.0); 2], vec![flat(0.0, 1e9), flat(1e-9, 1e9)]] {
            for width in [120.0, 360.0] {
                let svg = curve(points.clone()).to_inline(width).unwrap();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    /// Contract: a PNG has twice the pixels of its drawing, the colours of its series and, on any machine, its words.
    #[test]
    fn pictures_have_their_words() {
        let pixels = |figure: &Figure| resvg::tiny_skia::Pixmap::decode_png(&figure.to_png().unwrap()).unwrap();
        let (picture, nameless) = (pixels(&rows()), pixels(&Figure { title: String::new(), ..rows() }));
        let height =
            rows().to_svg().unwrap().split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse::<u32>();
        assert_eq!((picture.width(), picture.height()), (2 * FILE_WIDTH as u32, 2 * height.unwrap()));
        let blue =
            picture.pixels().iter().filter(|pixel| (pixel.red(), pixel.green(), pixel.blue()) == (0x00, 0x72, 0xb2));
        assert!(blue.count() > 20);
        let differing =
            picture.pixels().iter().zip(nameless.pixels()).filter(|(picture, nameless)| picture != nameless);
        assert!(differing.count() > 100, "the title is not in the picture");
    }

    /// Contract: a number that is not finite is named, and nothing is not drawn.
    #[test]
    fn nonsense_is_refused_by_name() {
        let bad = curve(vec![point(0.0, 1.0), Point { high: f64::NAN, ..point(1.0, 1.0) }]);
        let error = bad.to_svg().unwrap_err().to_string();
        assert!(error.contains("points[1].high is NaN"), "{error}");
        let Plot::Rows(mut empty) = rows().plot else { unreachable!() };
        empty.rows.clear();
        empty.reference = None;
        let empty = Figure { plot: Plot::Rows(empty), ..rows() };
        assert!(matches!(empty.to_svg(), Err(FigureError::Empty { .. })));
        assert!(matches!(stack("t", &[]), Err(FigureError::Empty { .. })));
    }

    /// Contract: names keep their order and distance, and move no further than they must.
    #[test]
    fn names_do_not_touch() {
        type Case<'a> = (&'a [f64], &'a [f64]);
        let cases: [Case<'_>; 3] = [
            (&[100.0, 50.0], &[100.0, 50.0]),
            (&[54.0, 50.0, 90.0], &[57.0, 47.0, 90.0]),
            (&[0.0, 4.0, 8.0, 30.0], &[-6.0, 4.0, 14.0, 30.0]),
        ];
        for (wanted, expected) in cases {
            let mut values = wanted.to_vec();
            keep_apart(&mut values, 10.0);
            assert_eq!(values, expected, "{wanted:?}");
        }
        let mut values = [50.0, 10.0, 40.0];
        keep_above(&mut values, 10.0, 45.0);
        assert_eq!(values, [45.0, 10.0, 35.0]);
    }
}
