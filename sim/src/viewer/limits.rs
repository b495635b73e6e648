//! The limits that every command passes: those that a run was trained and evaluated with where its policy acts, else the usual
//! ones.

use crate::viewer::arguments::PolicyName;
use crate::viewer::error::ViewerError;
use bridge::{GovernorConfig, config};
use serde::Deserialize;
use std::path::Path;

/// What is read of a run's `config.ron`. It is whole for those who train; to know all of it here would be to know training.
#[derive(Deserialize)]
struct RunConfig {
    task: RunTask,
}

/// The tasks that can be shown, as `config.ron` calls them.
#[derive(Deserialize)]
enum RunTask {
    Cube { governor: GovernorConfig },
    Scissors { governor: GovernorConfig },
}

/// The limits where `policy` acts. A policy that was saved by itself does not know those of its run.
///
/// # Errors
/// When the configuration of its run cannot be read.
pub fn limits(policy: &PolicyName) -> Result<GovernorConfig, ViewerError> {
    let PolicyName::Run(folder) = policy else { return Ok(GovernorConfig::usual()?) };
    let path = run_of(folder).join("config.ron");
    if !path.exists() {
        return Ok(GovernorConfig::usual()?);
    }
    let (RunTask::Cube { governor } | RunTask::Scissors { governor }) = config::load::<RunConfig>(&path)?.task;
    Ok(governor)
}

/// The run that `folder` is, or of which it is a checkpoint: `RUN/checkpoints/STAGE-STEP`.
fn run_of(folder: &Path) -> &Path {
    match folder.parent() {
        Some(checkpoints) if checkpoints.ends_with("checkpoints") => checkpoints.parent().unwrap_or(folder),
        _ => folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::storage::write_atomic;

    /// Contract: a run's limits are those of its configuration, of either task, for its checkpoints too; all others have the usual
    /// ones. A configuration that cannot be read is refused.
    #[test]
    fn a_run_has_its_own_limits() {
        let usual = GovernorConfig::usual().unwrap();
        let tight = GovernorConfig { rate_share: 0.5.try_into().unwrap(), windup: 2.0.try_into().unwrap() };
        let folder = tempfile::tempdir().unwrap();
        let of = |folder: &Path| limits(&PolicyName::Run(folder.into()));
        assert_eq!((limits(&PolicyName::Demo).unwrap(), of(folder.path()).unwrap()), (usual, usual));

        let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments");
        for name in ["cube.ron", "scissors.ron"] {
            let text = std::fs::read_to_string(experiments.join(name)).unwrap();
            let text = text.replace("(rate_share: 1.0, windup: 3.0)", "(rate_share: 0.5, windup: 2.0)");
            write_atomic(&folder.path().join("config.ron"), text.as_bytes()).unwrap();
            assert_eq!(of(folder.path()).unwrap(), tight, "{name}");
            assert_eq!(of(&folder.path().join("checkpoints/online-3")).unwrap(), tight, "{name}");
        }
        write_atomic(&folder.path().join("config.ron"), b"(task: Cube(governor: (rate_share: 2.0, windup: 3.0)))")
            .unwrap();
        let error = of(folder.path()).unwrap_err().to_string();
        assert!(error.contains("config.ron:1:") && error.contains("rate_share"), "{error}");
    }
}
