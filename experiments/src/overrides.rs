//! `--set path=value`: changes to a RON configuration, typed by the same structs as the file.
//!
//! The value takes the place of the old one in the text of the file, or is added where the file leaves the field out,
//! and the whole is then parsed as if it had been written so. A path names fields, keys of maps, and places in tuples
//! and lists from 0; names of enum variants, `Some` and newtypes are not part of it: with
//! `body: Some(Simulated(scene: "cube"))` the path is `body.scene`. Where the file has a text, the value needs no
//! quotes.
//!
//! Fields that do not exist are found by the structs, which must be `deny_unknown_fields`.

use crate::ron_scan::{Item, Malformed, Shape, shape, whole_value};
use bridge::config::{self, ConfigError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use thiserror::Error;

/// One change to a configuration; a text in RON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Override {
    path: String,
    value: String,
}

/// The argument of `--set` was not a change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found {found:?}, expected PATH=VALUE, e.g. learn.critic.ensemble=4")]
pub struct OverrideSyntaxError {
    /// The argument.
    pub found: String,
}

/// Reads and parses a RON file with changes.
///
/// # Errors
/// When the file cannot be read, or with the changes is not a valid `T`. An error that a change brought in names the
/// change instead of the file.
pub fn load<T: DeserializeOwned>(path: &Path, overrides: &[Override]) -> Result<T, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(&path.display().to_string(), &text, overrides)
}

/// Parses RON text that came from `source_name`, with changes.
///
/// # Errors
/// As [`load`].
pub fn parse<T: DeserializeOwned>(source_name: &str, text: &str, overrides: &[Override]) -> Result<T, ConfigError> {
    let mut text = text.to_owned();
    let mut parsed = config::parse::<T>(source_name, &text);
    let mut blame = None;
    for change in overrides {
        let changed = match (change.apply(&text), parsed) {
            (Ok(changed), before) => {
                text = changed.text;
                parsed = config::parse(source_name, &text);
                (before.is_ok(), changed.column)
            }
            // The structs know better than the scanner what is wrong with a text.
            (Err(Fault::Text), Err(error)) => return Err(error),
            (Err(fault), _) => return Err(change.error(fault)),
        };
        // The change after which a valid text was not valid any more is to blame, until another one mends it.
        blame = match (&parsed, changed) {
            (Ok(_), _) => None,
            (Err(ConfigError::Invalid { field, reason, .. }), (true, column)) => {
                Some(change.error(Fault::Path { column, field: field.clone(), reason: reason.clone() }))
            }
            (Err(_), _) => blame,
        };
    }
    parsed.map_err(|error| blame.unwrap_or(error))
}

impl FromStr for Override {
    type Err = OverrideSyntaxError;

    fn from_str(argument: &str) -> Result<Self, Self::Err> {
        let (path, value) = argument
            .split_once('=')
            .map(|(path, value)| (path.trim(), value.trim()))
            .filter(|(path, value)| path.split('.').all(|segment| !segment.is_empty()) && !value.is_empty())
            .ok_or_else(|| OverrideSyntaxError { found: argument.to_owned() })?;
        Ok(Self { path: path.to_owned(), value: value.to_owned() })
    }
}

impl TryFrom<String> for Override {
    type Error = OverrideSyntaxError;

    fn try_from(argument: String) -> Result<Self, Self::Error> {
        argument.parse()
    }
}

impl From<Override> for String {
    fn from(change: Override) -> Self {
        format!("{}={}", change.path, change.value)
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--set {}={}", self.path, self.value)
    }
}

/// A text with one change in it.
struct Changed {
    text: String,
    /// Column of the part of the change that is at fault if the text is not valid now, from 1.
    column: usize,
}

/// Why a change cannot be made.
enum Fault {
    /// The text itself is not RON.
    Text,
    /// The path leads nowhere, or the value is none.
    Path { column: usize, field: String, reason: String },
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Self::Text
    }
}

/// Where one step of a path leads.
enum Step {
    /// To the value at this span.
    Present(Range<usize>),
    /// To a field that the text leaves out: where it would be written, what comes before it, and how it is named.
    Absent { at: usize, separator: &'static str, name: String },
    /// Nowhere.
    Nowhere { reason: String },
}

impl Override {
    fn error(&self, fault: Fault) -> ConfigError {
        let (column, field, reason) = match fault {
            Fault::Path { column, field, reason } => (column, field, reason),
            Fault::Text => (1, self.path.clone(), "the configuration is not RON, expected one value".into()),
        };
        ConfigError::Invalid { source_name: self.to_string(), line: 1, column: "--set ".len() + column, field, reason }
    }

    fn apply(&self, text: &str) -> Result<Changed, Fault> {
        let mut span = whole_value(text)?;
        let mut path_end = 0;
        for segment in self.path.split('.') {
            let (start, end) = (path_end, path_end + segment.len());
            path_end = end + 1;
            let column = self.path[..start].chars().count() + 1;
            match step(text, span, segment)? {
                Step::Present(value) => span = value,
                Step::Absent { at, separator, name } => {
                    // What the path names below a field that is not there becomes a struct with that one field.
                    let below: Vec<&str> = self.path[end..].split('.').skip(1).collect();
                    let opening: String = below.iter().map(|segment| format!("({segment}: ")).collect();
                    let value = self.ron_value("")?;
                    let closing = ")".repeat(below.len());
                    let (before, behind) = text.split_at(at);
                    let text = format!("{before}{separator}{name}: {opening}{value}{closing}{behind}");
                    return Ok(Changed { text, column });
                }
                Step::Nowhere { reason } => {
                    return Err(Fault::Path { column, field: self.path[..end].to_owned(), reason });
                }
            }
        }
        let value = self.ron_value(&text[span.clone()])?;
        let text = format!("{}{value}{}", &text[..span.start], &text[span.end..]);
        Ok(Changed { text, column: self.value_column() })
    }

    /// The new value as RON: quoted if `old` is a text and it is not, else as it was given, if it is one value.
    fn ron_value(&self, old: &str) -> Result<String, Fault> {
        if is_text(old) && !is_text(&self.value) {
            return Ok(format!("{:?}", self.value));
        }
        match whole_value(&self.value) {
            Ok(span) if span == (0..self.value.len()) => Ok(self.value.clone()),
            _ => Err(Fault::Path {
                column: self.value_column(),
                field: self.path.clone(),
                reason: format!("found {}, expected one RON value", self.value),
            }),
        }
    }

    fn value_column(&self) -> usize {
        self.path.chars().count() + 2
    }
}

/// Takes one step of a path from the value at `span`.
fn step(text: &str, mut span: Range<usize>, segment: &str) -> Result<Step, Malformed> {
    loop {
        let found = &text[span.clone()];
        let Shape::Brackets { open, inside, items } = shape(text, span)? else {
            return Ok(Step::Nowhere { reason: format!("found {found}, which has no fields") });
        };
        if let Some(item) = items.iter().find(|item| item.name.as_deref() == Some(segment)) {
            return Ok(Step::Present(item.value.clone()));
        }
        let has_places = open == '[' || items.iter().any(|item| item.name.is_none());
        if has_places {
            // `Some(x)`, a variant or a newtype around one value that has parts of its own is no level of the path.
            if let ('(', [only]) = (open, items.as_slice())
                && shape(text, only.value.clone())? != Shape::Leaf
            {
                span = only.value.clone();
                continue;
            }
            return Ok(place(&items, segment));
        }
        let (at, separator) = items.last().map_or((inside.start, ""), |last| (last.value.end, ", "));
        let is_field_name = segment.chars().all(|c| c.is_alphanumeric() || c == '_')
            && segment.starts_with(|c: char| c.is_alphabetic() || c == '_');
        return Ok(match open {
            '{' => Step::Absent { at, separator, name: format!("{segment:?}") },
            _ if is_field_name => Step::Absent { at, separator, name: segment.to_owned() },
            _ => Step::Nowhere { reason: format!("found {segment:?}, expected the name of a field") },
        });
    }
}

fn place(items: &[Item], segment: &str) -> Step {
    let item = segment.parse::<usize>().ok().and_then(|index| items.get(index));
    item.map_or_else(
        || {
            let expected = match items.len() {
                0 => "no place, for there are none".into(),
                n_items => format!("a place from 0 to {}", n_items - 1),
            };
            Step::Nowhere { reason: format!("found {segment:?}, expected {expected}") }
        },
        |item| Step::Present(item.value.clone()),
    )
}

fn is_text(value: &str) -> bool {
    value.ends_with(['"', '#']) && whole_value(value) == Ok(0..value.len())
}
