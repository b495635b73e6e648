//! Contract: every number in `docs/results.md` is what the committed stores say: `softflow report --update docs/results.md` finds
//! nothing to change, and no number in words that stands in no table. A number that was changed by hand is found. What README says of
//! trainings stands there too.

use experiments::report::{unproven, unproven_by, update};
use std::error::Error;
use std::path::Path;

type TestResult = Result<(), Box<dyn Error>>;

#[test]
fn the_results_are_those_of_the_stores() -> TestResult {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = std::fs::read_to_string(folder.join("results.md"))?;
    let updated = |text: &str| update(text, &folder).map_err(|error| format!("{error:#}"));
    assert!(updated(&text)? == text, "docs/results.md: run `softflow report --update docs/results.md`");

    assert_eq!(unproven(&text), [""; 0]);
    let words = text.replacen("## ", "## A number that is nowhere: 77.77. ", 1);
    assert_eq!(unproven(&words).len(), 1, "{:?}", unproven(&words));

    let (before, after) = text.split_once("-->").ok_or("there is a part")?;
    let forged = format!("{before}-->{}", after.replacen("0.", "1.", 1));
    assert!(forged != text && updated(&forged)? == text);
    for (broken, word) in [
        (text.replace("<!-- end -->", ""), "has no <!-- end -->"),
        (text.replace("<!-- softflow report ", "<!-- softflow report none/"), "none/"),
        ("no part".to_owned(), "expected at least one"),
    ] {
        let error = updated(&broken).err().ok_or("it is refused")?;
        assert!(error.contains(word), "{error}");
    }
    Ok(())
}

#[test]
fn the_readme_says_what_the_results_say() -> TestResult {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (readme, results) =
        (std::fs::read_to_string(root.join("README.md"))?, std::fs::read_to_string(root.join("docs/results.md"))?);
    // The sections on trainings, without the commands and addresses in the first lines of all.
    let (_, trained) = readme.split_once("## Train it").ok_or("there is such a section")?;
    let (trained, _) = trained.split_once("\n## ").ok_or("another one follows")?;
    assert_eq!(unproven_by(&results, trained), [""; 0]);
    assert_eq!(unproven_by(&results, &trained.replace("4.56", "77.77")), ["77.77"]);
    Ok(())
}
