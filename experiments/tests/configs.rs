//! Contract: the experiments that are shipped can be read, and a field that nobody knows is an error, wherever it stands.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bridge::config::parse;
use experiments::experiment::{Experiment, Workcell};
use std::path::{Path, PathBuf};

fn shipped() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [folder.to_owned(), folder.join("real")];
    let files = folders.into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let experiments = files.filter(|path| path.extension().is_some_and(|extension| extension == "ron"));
    experiments.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// Byte positions behind every opening bracket that a field name follows.
fn struct_starts(text: &str) -> Vec<usize> {
    let starts_with_field = |rest: &str| {
        let name = rest.trim_start();
        let len = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(0);
        len > 0 && name[len..].starts_with(':')
    };
    text.match_indices('(').map(|(at, _)| at + 1).filter(|&at| starts_with_field(&text[at..])).collect()
}

#[test]
fn unknown_fields_are_errors_everywhere() {
    let shipped = shipped();
    assert!(shipped.len() >= 3, "{shipped:?}");
    for (path, text) in shipped {
        let name = path.display().to_string();
        parse::<Experiment>(&name, &text).unwrap();
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let bare = lines.collect::<Vec<_>>().join("\n");
        let starts = struct_starts(&bare);
        assert!(starts.len() >= 12, "{name}: {} structs", starts.len());
        for at in starts {
            let (before, after) = bare.split_at(at);
            let error = parse::<Experiment>(&name, &format!("{before}bogus: 1, {after}")).unwrap_err().to_string();
            assert!(error.contains("bogus"), "{name}, {}: {error}", &before[before.len().saturating_sub(40)..]);
        }
    }
}

/// Contract: of every shipped task the demonstrator is evaluated on the very episodes that policies are.
#[test]
fn the_demonstrator_is_evaluated_where_policies_are() {
    for (path, text) in shipped() {
        let name = path.display().to_string();
        let experiment: Experiment = parse(&name, &text).unwrap();
        let cell = Workcell::new(&experiment, &experiment.online_domain).unwrap().for_evaluation();
        let mut environment = cell.environment().unwrap();
        let mut first = vec![0.0; environment.spec().observation_len];
        for (seed, episode) in (2000..).zip(cell.exact_demonstrations(2, 2000, 2).unwrap()) {
            environment.reset(seed, &mut first).unwrap();
            assert_eq!(episode.label.seed, seed, "{name}");
            assert_eq!(episode.observations[..first.len()], first[..], "{name}");
        }
    }
}
