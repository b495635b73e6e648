//! Contract: crates depend on each other only as ARCHITECTURE.md draws it, and each heavy dependency stays in its room.
//!
//! An arrow that is added here has to be added there first.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may depend on whom, and how.
const ARROWS: [(&str, &str, Arrow); 9] = [
    ("sim", "bridge", Arrow::Always),
    ("sim", "learn", Arrow::OnlyForFeature("viewer")),
    ("learn", "bridge", Arrow::Always),
    ("experiments", "bridge", Arrow::Always),
    ("experiments", "sim", Arrow::Always),
    ("experiments", "learn", Arrow::Always),
    ("benches", "bridge", Arrow::Always),
    ("benches", "sim", Arrow::Always),
    ("benches", "learn", Arrow::Always),
];

/// The only crate that may depend on a heavy one, and how. A name covers all crates that begin with it.
const ROOMS: [(&str, &str, Arrow); 3] = [
    ("bevy", "sim", Arrow::OnlyForFeature("viewer")),
    ("candle", "learn", Arrow::Always),
    ("rapier", "sim", Arrow::Always),
];

#[derive(Clone, Copy)]
enum Arrow {
    Always,
    /// The dependency is optional, and this feature alone turns it on.
    OnlyForFeature(&'static str),
}

/// One entry of a `[dependencies]` table.
struct Dependency {
    from: String,
    to: String,
    is_optional: bool,
    is_with_defaults: bool,
    is_in_workspace: bool,
    /// Features of `from` that turn it on by name.
    enabled_by: Vec<String>,
}

impl Dependency {
    fn follows(&self, arrow: Arrow) -> bool {
        match arrow {
            Arrow::Always => true,
            Arrow::OnlyForFeature(feature) => self.is_optional && self.enabled_by == [feature],
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn dependencies() -> Vec<Dependency> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_package = |package: &Value| {
        let features = package["features"].as_object().unwrap().clone();
        let package = package.clone();
        package["dependencies"].as_array().unwrap().clone().into_iter().map(move |dependency| {
            let to = text(&dependency["name"]);
            let is_named = |entry: &Value| {
                let entry = entry.as_str().unwrap().trim_start_matches("dep:");
                entry.split(['/', '?']).next() == Some(to.as_str())
            };
            let turn_on = features.iter().filter(|(_, entries)| entries.as_array().unwrap().iter().any(is_named));
            Dependency {
                from: text(&package["name"]),
                is_optional: dependency["optional"].as_bool().unwrap(),
                is_with_defaults: dependency["uses_default_features"].as_bool().unwrap(),
                is_in_workspace: dependency["path"].is_string(),
                enabled_by: turn_on.map(|(feature, _)| feature.clone()).collect(),
                to,
            }
        })
    };
    packages.iter().flat_map(of_package).collect()
}

#[test]
fn crates_depend_as_drawn() {
    let dependencies = dependencies();
    assert!(dependencies.iter().any(|arrow| arrow.is_in_workspace), "no arrows were found at all");
    for dependency in dependencies.iter().filter(|dependency| dependency.is_in_workspace) {
        let Dependency { from, to, .. } = dependency;
        let arrow = ARROWS.iter().find(|(allowed_from, allowed_to, _)| from == allowed_from && to == allowed_to);
        let Some((_, _, arrow)) = arrow else { panic!("{from} depends on {to}: this arrow is not in the picture") };
        assert!(dependency.follows(*arrow), "{from} depends on {to}, but not as an optional part of its own feature");
    }
}

#[test]
fn heavy_crates_stay_in_their_rooms() {
    // Benches make the inputs of what they measure; nothing depends on them.
    for dependency in dependencies().into_iter().filter(|dependency| dependency.from != "benches") {
        for (heavy, room, arrow) in ROOMS {
            if dependency.to.starts_with(heavy) {
                assert_eq!(dependency.from, room, "{} is for {room} only", dependency.to);
                assert!(dependency.follows(arrow), "{} is not an optional part of its own feature", dependency.to);
            }
        }
    }
}

/// The library of `sim` links neither Bevy nor candle: whoever depends on it leaves its viewer out.
#[test]
fn nobody_links_the_viewer() {
    for dependency in dependencies().iter().filter(|dependency| dependency.to == "sim") {
        assert!(!dependency.is_with_defaults, "{} depends on sim with its default features", dependency.from);
    }
}

#[test]
fn unsafe_code_stays_in_the_kernels() {
    // Written apart, or this line would be found.
    let word = ["un", "safe"].concat();
    let uses = ["{", "fn ", "impl ", "extern ", "trait "].map(|what| format!("{word} {what}"));
    let is_kernel = |path: &Path| path == "learn/src/kernels.rs" || path.starts_with("learn/src/kernels/");
    for path in sources().iter().filter(|path| !is_kernel(path)) {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        let line = text.lines().position(|line| uses.iter().any(|found| line.contains(found.as_str())));
        assert_eq!(
            line.map(|line| format!("{}:{}", path.display(), line + 1)),
            None,
            "{word} outside of learn::kernels"
        );
    }
}

#[test]
fn files_are_named_after_what_is_in_them() {
    for path in sources() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let nothing = ["utils", "util", "helpers", "helper", "common", "misc", "base"];
        assert!(!nothing.contains(&name.as_str()), "{}: this name says nothing", path.display());
    }
}

/// All Rust files of the workspace, relative to its root.
fn sources() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["bridge", "sim", "learn", "experiments", "benches"].map(PathBuf::from).into();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 20, "only {} files were found", files.len());
    files
}
