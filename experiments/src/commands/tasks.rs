//! `softflow tasks`: everything that has a name.

use super::Ended;
use crate::cli::TasksArgs;
use color_eyre::eyre::Result;
use sim::{CubeScene, Domain, Gait};

/// The objectives by their names in RON, with a line each.
const OBJECTIVES: [(&str, &str); 3] = [
    ("ReverseKl", "value minus the reverse KL to the frozen imitation flow, held at a target (A3)"),
    ("DemoLikelihood", "value plus the likelihood of demonstrated chunks, as published (A0)"),
    ("BestOfN", "likelihood of the best of N own chunks (A5)"),
];

/// Lists everything that has a name.
///
/// # Errors
/// Never.
pub fn tasks(args: &TasksArgs) -> Result<Ended> {
    let lists: [(&str, Vec<(&str, &str)>); 6] = [
        ("tasks", vec![("cube", "turn a cube in a palm-down hand and do not drop it")]),
        ("hands", CubeScene::hands().map(|name| (name, "")).collect()),
        ("domains", Domain::names().map(|name| (name, "")).collect()),
        ("gaits", Gait::names().map(|name| (name, "")).collect()),
        ("policies", vec![("flow", "conditional normalizing flow over action chunks, exact likelihoods")]),
        ("objectives", OBJECTIVES.to_vec()),
    ];
    if args.json {
        let entries = lists.iter().map(|(kind, list)| {
            let names: Vec<&str> = list.iter().map(|(name, _)| *name).collect();
            ((*kind).to_owned(), serde_json::json!(names))
        });
        println!("{}", serde_json::Value::Object(entries.collect()));
        return Ok(Ended::Well);
    }
    for (kind, list) in lists {
        println!("{kind}");
        for (name, line) in list {
            println!("  {}", format!("{name:<20} {line}").trim_end());
        }
    }
    Ok(Ended::Well)
}
