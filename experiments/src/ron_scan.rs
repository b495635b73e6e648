//! Finds values in RON text without knowing their types: just enough of the grammar to tell where a value ends.

use std::ops::Range;

/// Brackets in brackets, as many as RON's own parser allows.
const MAX_DEPTH: u32 = 128;

/// The text is not RON, as far as the scanner can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A field, entry or item inside brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Name of a field or key of a map, without quotes; `None` for what has only a place.
    pub(crate) name: Option<String>,
    /// Where its value is, without blanks around it.
    pub(crate) value: Range<usize>,
}

/// What a value is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A number, text, `true`, `None` or another name alone.
    Leaf,
    /// Something in brackets, perhaps behind a name, as in `Cube(scene: "x")`.
    Brackets {
        /// The bracket that opened it: `(`, `[` or `{`.
        open: char,
        /// What is between the brackets.
        inside: Range<usize>,
        /// The items in it.
        items: Vec<Item>,
    },
}

/// Span of the one value that the whole text is, after `#![enable(...)]` and comments.
pub(crate) fn whole_value(text: &str) -> Result<Range<usize>, Malformed> {
    let mut scanner = Scanner { text, at: 0, depth: 0 };
    scanner.skip_blanks()?;
    while scanner.rest().starts_with("#!") {
        scanner.at += 2;
        scanner.skip_blanks()?;
        scanner.brackets()?;
        scanner.skip_blanks()?;
    }
    let span = scanner.value()?;
    scanner.skip_blanks()?;
    if scanner.rest().is_empty() { Ok(span) } else { Err(Malformed) }
}

/// Shape of the value at `span`.
pub(crate) fn shape(text: &str, span: Range<usize>) -> Result<Shape, Malformed> {
    let mut scanner = Scanner { text: &text[..span.end], at: span.start, depth: 0 };
    if !scanner.is_literal() {
        scanner.word();
        scanner.skip_blanks()?;
    }
    match scanner.peek() {
        Some(open @ ('(' | '[' | '{')) => {
            let inside = scanner.at + 1..span.end - 1;
            Ok(Shape::Brackets { open, items: scanner.items(open)?, inside })
        }
        _ => Ok(Shape::Leaf),
    }
}

#[derive(Clone, Copy)]
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Brackets that are open.
    depth: u32,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// Goes behind the next `end`.
    fn skip_past(&mut self, end: &str) -> Result<(), Malformed> {
        self.at += self.rest().find(end).ok_or(Malformed)? + end.len();
        Ok(())
    }

    /// Blanks, `// ...` and nested `/* ... */`.
    fn skip_blanks(&mut self) -> Result<(), Malformed> {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                self.skip_block_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_block_comment(&mut self) -> Result<(), Malformed> {
        let mut depth = 0;
        loop {
            let rest = self.rest();
            depth += i32::from(rest.starts_with("/*")) - i32::from(rest.starts_with("*/"));
            let is_mark = rest.starts_with("/*") || rest.starts_with("*/");
            self.at += if is_mark { 2 } else { self.peek().ok_or(Malformed)?.len_utf8() };
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// One value: a literal, a word, brackets, or a word with brackets.
    fn value(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        if self.is_literal() {
            self.literal()?;
            return Ok(start..self.at);
        }
        self.word();
        let mut behind = *self;
        behind.skip_blanks()?;
        let is_bracket = match behind.peek() {
            Some('(') => true,
            // A list or a map has no name before it.
            Some('[' | '{') => self.at == start,
            _ => false,
        };
        if is_bracket {
            behind.brackets()?;
            *self = behind;
        }
        if self.at == start { Err(Malformed) } else { Ok(start..self.at) }
    }

    /// A number or a name: everything up to a blank, a bracket, a separator or a comment.
    fn word(&mut self) {
        let rest = self.rest();
        let is_end = |c: char| c.is_whitespace() || "()[]{},:\"'".contains(c);
        let end = rest.find(is_end).unwrap_or(rest.len());
        let comment = ["//", "/*"].iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(end);
        self.at += end.min(comment);
    }

    /// Text or a character, of any kind: `"`, `'`, `r"`, `r#"`, `b"`, `b'`, `br#"`.
    fn is_literal(&self) -> bool {
        let rest = self.rest();
        let rest = rest.strip_prefix('b').unwrap_or(rest);
        rest.starts_with(['"', '\'']) || is_raw(rest)
    }

    fn literal(&mut self) -> Result<(), Malformed> {
        self.take('b');
        if is_raw(self.rest()) {
            self.take('r');
            let n_hashes = self.rest().bytes().take_while(|&byte| byte == b'#').count();
            self.at += n_hashes + 1;
            return self.skip_past(&format!("\"{}", "#".repeat(n_hashes)));
        }
        let quote = self.peek().ok_or(Malformed)?;
        self.take(quote);
        while !self.take(quote) {
            self.take('\\');
            self.at += self.peek().ok_or(Malformed)?.len_utf8();
        }
        Ok(())
    }

    fn brackets(&mut self) -> Result<(), Malformed> {
        let open = self.peek().filter(|&c| "([{".contains(c)).ok_or(Malformed)?;
        self.items(open).map(drop)
    }

    /// Everything from an opening bracket to behind the closing one.
    fn items(&mut self, open: char) -> Result<Vec<Item>, Malformed> {
        let close = match open {
            '(' => ')',
            '[' => ']',
            _ => '}',
        };
        self.take(open);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Malformed);
        }
        let mut items = Vec::new();
        loop {
            self.skip_blanks()?;
            if self.take(close) {
                self.depth -= 1;
                return Ok(items);
            }
            let mut value = self.value()?;
            self.skip_blanks()?;
            let mut name = None;
            if self.take(':') {
                name = Some(plain_name(&self.text[value]));
                self.skip_blanks()?;
                value = self.value()?;
                self.skip_blanks()?;
            }
            items.push(Item { name, value });
            if !self.take(',') && self.peek() != Some(close) {
                return Err(Malformed);
            }
        }
    }
}

/// `r"` or `r#"`, not the raw name `r#type`.
fn is_raw(rest: &str) -> bool {
    rest.strip_prefix('r').is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
}

/// A field's name or a map's key without what RON puts around it.
fn plain_name(key: &str) -> String {
    let key = key.strip_prefix("r#").unwrap_or(key);
    key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(text: &str) -> Option<&str> {
        whole_value(text).ok().map(|span| &text[span])
    }

    /// Contract: a value ends where RON says it ends, whatever brackets, quotes and comments are in it.
    #[test]
    fn values_end_where_they_end() {
        let whole = [
            "1",
            "-1.5e-3",
            "0xff_u8",
            "NaN",
            "true",
            "None",
            "()",
            "[]",
            "{}",
            "Some(1)",
            "Cube ( 1 )",
            "\"a) b, // c\"",
            "\"\\\"\"",
            "\"\\\\\"",
            "'\\''",
            "'('",
            "'\"'",
            "r\"\\\"",
            "r#\"a\"b)\"#",
            "b\"x)\"",
            "b'x'",
            "br#\"\"\"#",
            "(a: 1, b: (c: [1, 2,], d: \"]\"))",
            "{\"a\": 1, 'b': (2), 3: 4}",
            "(r#type: r#Cube(r#in: 1))",
            "[1 /* ) */, 2 // ]\n]",
            "Some(Some((a: 'x')))",
            "größe",
        ];
        for text in whole {
            assert_eq!(value_of(text), Some(text));
            assert_eq!(value_of(&format!("#![enable(implicit_some)]\n// (\n {text} /* /* ) */ ( */ // x")), Some(text));
        }
        assert_eq!(value_of(&"(".repeat(1 << 20)), None);
        for text in
            ["", "(", "(]", "1 2", "1, b: 2", "\"a", "r#\"a\"", "[1 2]", "(a: )", "1 /* ", ")", "a[1]", ",", "(a: 1))"]
        {
            assert_eq!(value_of(text), None, "{text}");
        }
    }

    /// Contract: names are found with their values, through variant names, comments and quoted keys.
    #[test]
    fn items_are_found() {
        type Found<'a> = &'a [(Option<&'a str>, &'a str)];
        let cases: [(&str, Found<'_>); 6] = [
            ("(a: 1, b: Cube(c: 2))", &[(Some("a"), "1"), (Some("b"), "Cube(c: 2)")]),
            ("Cube /* ( */ (1, \"x\")", &[(None, "1"), (None, "\"x\"")]),
            ("{ \"a\" : [1], b: 2 }", &[(Some("a"), "[1]"), (Some("b"), "2")]),
            ("( // a: 0\n r#type /* : */ : 1, )", &[(Some("type"), "1")]),
            ("[(a: 1), -2]", &[(None, "(a: 1)"), (None, "-2")]),
            ("()", &[]),
        ];
        for (text, expected) in cases {
            let Ok(Shape::Brackets { items, .. }) = shape(text, 0..text.len()) else { panic!("{text}") };
            let found: Vec<_> = items.iter().map(|item| (item.name.as_deref(), &text[item.value.clone()])).collect();
            assert_eq!(found, expected, "{text}");
        }
        for text in ["1", "\"(a: 1)\"", "Cube", "'('"] {
            assert_eq!(shape(text, 0..text.len()), Ok(Shape::Leaf), "{text}");
        }
    }
}
