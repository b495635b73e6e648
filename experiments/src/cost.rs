//! What a policy costs: `cost.ron` in the run's folder. The time is that of the machine that ran it, with all else that it did.

use bridge::random::stream;
use bridge::{config, storage};
use color_eyre::eyre::{Result, WrapErr};
use learn::{Actor, Policy};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

const FILE: &str = "cost.ron";

/// Plans before time is taken.
const N_WARM: usize = 3;
/// Plans whose median time counts.
const N_TIMED: usize = 21;

/// What a policy costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Weights of the policy network.
    pub policy_parameters: usize,
    /// Weights of all critics that choose among its candidates.
    pub critic_parameters: usize,
    /// Time to choose a chunk as it is deployed, median, ms.
    pub ms_per_chunk: f64,
}

impl Cost {
    /// Measures a policy as it acts.
    ///
    /// # Errors
    /// When it cannot plan.
    pub fn of(policy: &Policy) -> Result<Self> {
        let members = policy.critic().members().iter();
        // What the policy computes does not depend on what it sees.
        let state = vec![0.0; policy.header().state_len()];
        let (mut rng, mut chunk) = (stream(0, "cost", 0), Vec::new());
        let mut times_ms = Vec::with_capacity(N_TIMED);
        for plan_idx in 0..N_WARM + N_TIMED {
            let started = Instant::now();
            policy.plan(&state, &mut rng, &mut chunk)?;
            if plan_idx >= N_WARM {
                times_ms.push(1e3 * started.elapsed().as_secs_f64());
            }
        }
        times_ms.sort_unstable_by(f64::total_cmp);
        Ok(Self {
            policy_parameters: policy.net().params().n_elements(),
            critic_parameters: members.map(|critic| critic.params().n_elements()).sum(),
            ms_per_chunk: times_ms[N_TIMED / 2],
        })
    }

    /// What the folder of a run holds of it.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn read(run: &Path) -> Result<Option<Self>> {
        let path = run.join(FILE);
        Ok(if path.exists() { Some(config::load(&path)?) } else { None })
    }

    /// Writes it into the folder of a run.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn write(&self, run: &Path) -> Result<()> {
        let text = ron::ser::to_string_pretty(self, ron::ser::PrettyConfig::default())? + "\n";
        let path = run.join(FILE);
        storage::write_atomic(&path, text.as_bytes()).wrap_err_with(|| path.display().to_string())
    }
}
