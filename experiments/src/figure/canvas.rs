//! SVG marks as text.

/// Marks that were drawn, and how far down they reach.
#[derive(Debug, Default)]
pub struct Canvas {
    body: String,
    height: f64,
}

/// A place, px.
pub type At = (f64, f64);

impl Canvas {
    /// A canvas of a height.
    pub fn new(height: f64) -> Self {
        Self { body: String::new(), height }
    }

    pub const fn height(&self) -> f64 {
        self.height
    }

    pub fn into_body(self) -> String {
        self.body
    }

    pub fn line(&mut self, class: &str, from: At, to: At) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(px);
        self.body += &format!("<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
    }

    pub fn polyline(&mut self, class: &str, points: impl Iterator<Item = At>) {
        self.body += &format!("<polyline class=\"{class}\" points=\"{}\"/>", list(points));
    }

    pub fn polygon(&mut self, class: &str, points: impl Iterator<Item = At>) {
        self.body += &format!("<polygon class=\"{class}\" points=\"{}\"/>", list(points));
    }

    /// A dot that says what it is when it is pointed at.
    pub fn dot(&mut self, class: &str, at: At, radius: f64, says: &str) {
        let [x, y, r] = [at.0, at.1, radius].map(px);
        let says = escaped(says);
        self.body +=
            &format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\"><title>{says}</title></circle>");
    }

    pub fn rect(&mut self, class: &str, corner: At, size: At, opacity: f64) {
        let [x, y, w, h] = [corner.0, corner.1, size.0.max(0.0), size.1.max(0.0)].map(px);
        let opacity =
            if opacity < 1.0 { format!(" style=\"opacity:{}\"", px(opacity * 100.0) + "%") } else { String::new() };
        self.body +=
            &format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"2\"{opacity}/>");
    }

    /// Words that begin (`start`), have their middle (`middle`) or end (`end`) at a place.
    pub fn text(&mut self, class: &str, at: At, anchor: &str, words: &str) {
        let [x, y] = [at.0, at.1].map(px);
        let words = escaped(words);
        self.body += &format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>");
    }

    /// Another drawing, moved.
    pub fn group(&mut self, by: At, body: &str) {
        let [x, y] = [by.0, by.1].map(px);
        self.body += &format!("<g transform=\"translate({x} {y})\">{body}</g>");
    }
}

/// Text as XML and HTML have it.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}

/// About how wide 12 px type sets a text, px: no font is at hand that could tell.
pub fn text_width(text: &str) -> f64 {
    let width = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ' ' | '[' | ']' | '(' | ')' | '|' | '-' => 4.4,
        'm' | 'w' | 'M' | 'W' | '%' => 11.0,
        'A'..='Z' => 8.6,
        _ => 7.4,
    };
    text.chars().map(width).sum()
}

/// The beginning of a text that fits, with dots where something is missing.
pub fn fitting(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if text_width(&short) + 18.0 > width {
            break;
        }
        short.push(c);
    }
    short + "\u{2026}"
}

fn list(points: impl Iterator<Item = At>) -> String {
    points.map(|(x, y)| format!("{},{}", px(x), px(y))).collect::<Vec<_>>().join(" ")
}

/// A length with a tenth of a pixel.
fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
