//! Documents with numbers in them that a store proves.
//!
//! Between a line `<!-- softflow report PATH.. -->` and the next `<!-- end -->` stand the tables of the report on these paths, relative
//! to the document: they are made again. A decimal number in the words around them has to stand in some cell of the tables of its
//! section - from one heading to the next; in a section without tables, of the document -, where it may have more digits. That does not
//! prove what is said of it, but finds what was not made again. Exempt are code, which is where settings are written, and what is
//! *emphasised*, which is where the numbers of others are; whole numbers are not looked at.

use super::Report;
use crate::results::Results;
use color_eyre::eyre::{Result, WrapErr, ensure, eyre};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- softflow report ";
const BEGIN_END: &str = " -->";
const END: &str = "<!-- end -->";
/// What sections begin with.
const HEADINGS: [&str; 2] = ["\n## ", "\n### "];
/// Digits behind the point that a table's number may be rounded to.
const MAX_DIGITS: usize = 4;

/// The text of a document in `folder` with all of its tables made again.
///
/// # Errors
/// When a part has no end, there is no part at all, or a path is no store, run or study.
pub fn update(text: &str, folder: &Path) -> Result<String> {
    let (mut updated, mut rest, mut n_parts) = (String::new(), text, 0);
    while let Some(at) = rest.find(BEGIN) {
        let (before, part) = rest.split_at(at);
        let (line, after) = part.split_once('\n').ok_or_else(|| eyre!("a part begins in the last line"))?;
        let paths =
            line.trim().strip_prefix(BEGIN.trim_end()).and_then(|line| line.strip_suffix(BEGIN_END.trim_start()));
        let paths = paths.ok_or_else(|| eyre!("found {line:?}, expected {BEGIN}PATH..{BEGIN_END}"))?;
        let paths: Vec<PathBuf> = paths.split_whitespace().map(|path| folder.join(path)).collect();
        ensure!(!paths.is_empty(), "found {line:?}, expected at least one path in it");
        let (_, behind) =
            after.split_once(END).ok_or_else(|| eyre!("the part that begins with {line:?} has no {END}"))?;
        let report = Results::read(&paths).and_then(|results| Report::of(&results));
        let report = report.wrap_err_with(|| format!("the part that begins with {line:?}"))?;
        updated += &format!("{before}{line}\n\n{}\n{END}", report.to_markdown());
        (rest, n_parts) = (behind, n_parts + 1);
    }
    ensure!(n_parts > 0, "found no line {BEGIN}PATH..{BEGIN_END}, expected at least one");
    Ok(updated + rest)
}

/// The numbers in a document's words that stand in no table, each with what to know to find it.
#[must_use]
pub fn unproven(text: &str) -> Vec<String> {
    let of_document = Proven::by(&parts(text).1);
    let mut found = Vec::new();
    let [second, third] = HEADINGS;
    for section in text.split(second).flat_map(|section| section.split(third)) {
        let (words, tables) = parts(section);
        let of_section = (!tables.is_empty()).then(|| Proven::by(&tables));
        let proven = of_section.as_ref().unwrap_or(&of_document);
        let words = spoken(&words);
        for line in words.lines() {
            let missing = decimals(line).filter(|number| !proven.has(number));
            found.extend(missing.map(|number| format!("{number} in {:?}", line.trim())));
        }
    }
    found
}

/// The decimal numbers of another text, code and all, that stand in no table of a document.
#[must_use]
pub fn unproven_by(document: &str, text: &str) -> Vec<String> {
    let proven = Proven::by(&parts(document).1);
    decimals(text).filter(|number| !proven.has(number)).map(str::to_owned).collect()
}

/// The words of a text and its tables.
fn parts(text: &str) -> (String, String) {
    let (mut words, mut tables, mut rest) = (String::new(), String::new(), text);
    while let Some((before, part)) = rest.split_once(BEGIN) {
        let (table, behind) = part.split_once(END).unwrap_or((part, ""));
        words += before;
        tables += table;
        rest = behind;
    }
    (words + rest, tables)
}

/// Text without code, emphasis, and what links lead to.
fn spoken(text: &str) -> String {
    let without = |text: &str, open: &str, close: &str| {
        let (mut kept, mut rest) = (String::new(), text);
        while let Some((before, inside)) = rest.split_once(open) {
            let Some((_, behind)) = inside.split_once(close) else { break };
            kept += before;
            kept.push(' ');
            rest = behind;
        }
        kept + rest
    };
    let text = without(text, "```", "```");
    let text = without(&text, "`", "`");
    let text = without(&text, "](", ")");
    // Strong words are words; a single star begins or ends an emphasis.
    without(&text.replace("**", " "), "*", "*")
}

/// The decimal numbers of a text, e.g. `0.54`.
fn decimals(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '.' || c == '_';
    let words = text.split(move |c: char| !is_part(c)).map(|word| word.trim_matches('.'));
    words.filter(|word| {
        word.split_once('.').is_some_and(|(whole, digits)| {
            [whole, digits].iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
        })
    })
}

/// The numbers of tables, rounded to every number of digits.
struct Proven(BTreeSet<(usize, i64)>);

impl Proven {
    fn by(tables: &str) -> Self {
        let is_part = |c: char| c.is_ascii_digit() || c == '.';
        let numbers = tables.split(|c: char| !is_part(c)).filter_map(|word| word.parse::<f64>().ok());
        let rounded = |number: f64| {
            // A half may have been rounded either way before it came here.
            (1..=MAX_DIGITS).flat_map(move |digits| {
                let scaled = number * 10_f64.powi(digits as i32);
                [scaled - 1e-6, scaled + 1e-6].map(|near| (digits, near.round() as i64))
            })
        };
        Self(numbers.flat_map(rounded).collect())
    }

    fn has(&self, number: &str) -> bool {
        let n_digits = number.split_once('.').map_or(0, |(_, digits)| digits.len());
        let scaled = number.parse::<f64>().map(|value| (value * 10_f64.powi(n_digits as i32)).round() as i64);
        scaled.is_ok_and(|scaled| self.0.contains(&(n_digits, scaled)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a number in words stands in a table of its section, rounded or not; code, emphasis and addresses are exempt; a section
    /// without tables has those of the document.
    #[test]
    fn words_are_held_against_tables() {
        let table = |cell: &str| format!("<!-- softflow report x -->\n| {cell} |\n<!-- end -->\n");
        let text = format!(
            "# R\nIn all 4.6.\n## A\nIt comes to 4.56 [3.80, 4.85], about 4.6, with `0.01`, as *6.25* in [x](y/1.2.md).\n{}## B\n\
             It is **4.56** there, 0.125 here.\n{}## C\nSo 3.8 and 0.13 or 0.12 of v1.2 and 2.5.\n```\n9.9\n```\n",
            table("4.56 [3.80, 4.85]"),
            table("0.125"),
        );
        let found = unproven(&text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("4.56 in \"It is") && found[1].starts_with("2.5 in \"So 3.8"), "{found:?}");
        assert_eq!(unproven_by(&text, "4.6, `0.125` and 7.7 of 2602.09580x."), ["7.7"]);
    }
}
