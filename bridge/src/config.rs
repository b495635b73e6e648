//! RON in, typed values out, with errors that name file, line, field, what was found and what is allowed.

use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A configuration or data file could not be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not what the structs describe.
    #[error("{source_name}:{line}:{column}: {field}: {reason}")]
    Invalid {
        /// File name, or whatever else tells where the text came from.
        source_name: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Path of the field, dots between the levels; `.` for the whole.
        field: String,
        /// What was found and what is allowed.
        reason: String,
    },
}

/// Reads and parses a RON file.
///
/// # Errors
/// When the file cannot be read, or is not a valid `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(&path.display().to_string(), &text)
}

/// Parses RON text that came from `source_name`.
///
/// # Errors
/// When the text is not a valid `T`.
pub fn parse<T: DeserializeOwned>(source_name: &str, text: &str) -> Result<T, ConfigError> {
    let invalid = |position: ron::error::Position, field: String, reason: String| ConfigError::Invalid {
        source_name: source_name.to_owned(),
        line: position.line,
        column: position.col,
        field,
        reason,
    };
    let mut deserializer = ron::Deserializer::from_str(text)
        .map_err(|error| invalid(error.span.start, ".".into(), error.code.to_string()))?;
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        let error = deserializer.span_error(error.into_inner());
        invalid(error.span.start, field, error.code.to_string())
    })?;
    deserializer.end().map_err(|error| {
        let error = deserializer.span_error(error);
        invalid(error.span.start, ".".into(), error.code.to_string())
    })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Positive;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only parsing is under test")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsing is under test")]
        rate_rad_s: Positive,
    }

    /// Contract: an error names the file, the line, the field, what was found and what is allowed.
    #[test]
    fn errors_point_at_the_culprit() {
        let cases = [
            (
                "(\n inner: (rate_rad_s: NaN),\n)",
                "cube.ron:2:",
                "inner.rate_rad_s: found NaN, expected a finite number above 0",
            ),
            ("(\n inner: (\n  rate: 1.0))", "cube.ron:3:", "Unexpected field named `rate`"),
            ("(inner: (rate_rad_s: 1.0)) trailing", "cube.ron:1:", "trailing"),
            ("(inner: (rate_rad_s: ", "cube.ron:1:", "inner.rate_rad_s"),
        ];
        for (text, place, reason) in cases {
            let error = parse::<Outer>("cube.ron", text).unwrap_err().to_string();
            assert!(error.starts_with(place), "{error}");
            assert!(error.to_lowercase().contains(&reason.to_lowercase()), "{error}");
        }
    }
}
