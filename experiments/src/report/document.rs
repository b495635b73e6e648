//! Documents with numbers in them that a store proves: between a line `<!-- softflow report PATH.. -->` and the next
//! `<!-- end -->` stand the tables of the report on these paths, relative to the document.

use super::Report;
use crate::results::Results;
use color_eyre::eyre::{Result, WrapErr, ensure, eyre};
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- softflow report ";
const BEGIN_END: &str = " -->";
const END: &str = "<!-- end -->";

/// The text of a document in `folder` with all of its numbers made again.
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
