//! Well-formed XML, an element a line.

/// A document that grows.
pub(crate) struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    /// An empty document that begins with `comment`.
    pub(crate) fn new(comment: &str) -> Self {
        // Two hyphens would end it.
        let comment = comment.replace("--", "- -");
        Self { text: format!("<?xml version=\"1.0\"?>\n<!--\n{comment}\n-->\n"), open: Vec::new() }
    }

    /// Begins an element that has others in it.
    pub(crate) fn open(&mut self, tag: &'static str, attributes: &[(&str, String)]) {
        self.tag(tag, attributes, ">");
        self.open.push(tag);
    }

    /// An element without others in it.
    pub(crate) fn leaf(&mut self, tag: &'static str, attributes: &[(&str, String)]) {
        self.tag(tag, attributes, "/>");
    }

    /// An element with a text in it.
    pub(crate) fn word(&mut self, tag: &'static str, word: &str) {
        self.tag(tag, &[], &format!(">{}</{tag}>", escaped(word)));
    }

    /// Ends the element that was begun last.
    pub(crate) fn close(&mut self) {
        if let Some(tag) = self.open.pop() {
            self.indent();
            self.text.push_str(&format!("</{tag}>\n"));
        }
    }

    /// The whole document.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn tag(&mut self, tag: &str, attributes: &[(&str, String)], end: &str) {
        self.indent();
        self.text.push('<');
        self.text.push_str(tag);
        for (name, value) in attributes {
            self.text.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        self.text.push_str(end);
        self.text.push('\n');
    }

    fn indent(&mut self) {
        self.text.push_str(&"  ".repeat(self.open.len()));
    }
}

/// Numbers with a space between them, to twelve decimals: lengths, angles, directions.
pub(crate) fn numbers(values: impl IntoIterator<Item = f64>) -> String {
    let decimal = |value: f64| {
        let text = format!("{value:.12}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if text == "-0" { "0".to_owned() } else { text.to_owned() }
    };
    values.into_iter().map(decimal).collect::<Vec<_>>().join(" ")
}

/// Small numbers with a space between them, to seven digits: masses and inertias.
pub(crate) fn small_numbers(values: impl IntoIterator<Item = f64>) -> String {
    let scientific = |value: f64| if value == 0.0 { "0".to_owned() } else { format!("{value:.6e}") };
    values.into_iter().map(scientific).collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
