//! Contract: every number in `docs/results.md` is what the committed stores say: `softflow report --update docs/results.md` finds
//! nothing to change. A number that was changed by hand is found.

use experiments::report::update;
use std::error::Error;
use std::path::Path;

type TestResult = Result<(), Box<dyn Error>>;

#[test]
fn the_results_are_those_of_the_stores() -> TestResult {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = std::fs::read_to_string(folder.join("results.md"))?;
    let updated = |text: &str| update(text, &folder).map_err(|error| format!("{error:#}"));
    assert!(updated(&text)? == text, "docs/results.md: run `softflow report --update docs/results.md`");

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
