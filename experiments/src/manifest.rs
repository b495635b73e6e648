//! Where a run comes from: enough to say what code produced it, on which machine, when.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Provenance of a run, `manifest.ron`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Seed of every random stream of the run.
    pub seed: u64,
    /// The demonstrations that were given to the run, where it has not recorded its own.
    #[serde(default)]
    pub given: Option<Given>,
    /// Every process that worked on the run, first to last: one, and one more for each time it was resumed.
    pub sessions: Vec<SessionRecord>,
}

/// Demonstrations of somebody else, which the run copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// The dataset.
    pub dataset: PathBuf,
    /// Episodes in it.
    pub episodes: usize,
}

/// One process that worked on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord {
    /// When it began, s since 1970 (UTC).
    pub started_unix_s: u64,
    /// Name of the machine.
    pub host: String,
    /// What moved: `sim`, `emulated` or `real`.
    pub backend: String,
    /// Version of softflow.
    pub version: String,
    /// Git commit of the source; `None` where the source is not at hand.
    pub commit: Option<String>,
    /// The source differed from that commit.
    pub dirty: bool,
}

impl SessionRecord {
    /// The session of this process.
    #[must_use]
    pub fn of_this_process(backend: &str) -> Self {
        Self {
            started_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            host: host_name(),
            backend: backend.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: git(&["rev-parse", "HEAD"]),
            dirty: git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty()),
        }
    }
}

/// The machine's name, in the letters, digits, dots and dashes that a host name has; `unknown` where there is none.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(c)).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

/// What git says about the source tree, if both are there.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a manifest reads back as it was written, with and without a commit and demonstrations of others.
    #[test]
    fn manifests_round_trip() {
        let here = SessionRecord::of_this_process("sim");
        assert!(here.started_unix_s > 1_700_000_000 && !here.host.is_empty());
        let elsewhere = SessionRecord { commit: None, dirty: false, ..here.clone() };
        let somewhere = SessionRecord { commit: Some("0123abcd".into()), dirty: true, ..here.clone() };
        let given = Given { dataset: "demos".into(), episodes: 80 };
        for given in [None, Some(given)] {
            let sessions = vec![here.clone(), elsewhere.clone(), somewhere.clone()];
            let manifest = Manifest { seed: u64::MAX, given, sessions };
            let text = ron::ser::to_string_pretty(&manifest, ron::ser::PrettyConfig::default()).unwrap();
            assert_eq!(bridge::config::parse::<Manifest>("manifest.ron", &text).unwrap(), manifest);
        }
    }
}
