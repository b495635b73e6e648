//! One recorded episode: what demonstrators and actors produce and what the replay stores.

use crate::{EnvironmentSpec, Outcome};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One episode of T steps. Rows are stored one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// What is known about it besides its rows.
    pub label: EpisodeLabel,
    /// (T + 1) x `observation_len`: what was seen before every step, and after the last one.
    pub observations: Vec<f32>,
    /// T x `action_len`: what was *really applied*, after all limits, rad; tool poses, where there are any, in m.
    pub actions_rad: Vec<f32>,
    /// T rewards.
    pub rewards: Vec<f32>,
}

/// What is known about an episode besides its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeLabel {
    /// Who acted: a gait's name, or the version of a policy.
    pub actor: String,
    /// The seed that the environment was reset with.
    pub seed: u64,
    /// It ended for good (a timeout does not end it for good).
    pub terminated: bool,
    /// Values in an observation.
    pub observation_len: usize,
    /// Values in an action.
    pub action_len: usize,
    /// What came of it.
    pub outcome: Outcome,
}

/// A stored episode is not one.
#[derive(Debug, Error)]
pub enum EpisodeError {
    /// The record is too short, or its label is not readable.
    #[error("episode record of {bytes} bytes: {reason}")]
    Damaged {
        /// Length of the record.
        bytes: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The arrays do not belong together.
    #[error("episode: {quantity} has {found} values, expected {expected}")]
    WrongLength {
        /// Which array.
        quantity: &'static str,
        /// Its length.
        found: usize,
        /// What it should be.
        expected: usize,
    },
    /// A number is not finite.
    #[error("episode: {quantity}[{index}] is {value}, expected a finite number")]
    NonFinite {
        /// Which array.
        quantity: &'static str,
        /// Which value.
        index: usize,
        /// What it is.
        value: f32,
    },
}

impl Episode {
    /// An empty episode that starts at `first_observation`.
    #[must_use]
    pub fn begin(spec: &EnvironmentSpec, actor: &str, seed: u64, first_observation: &[f32]) -> Self {
        let steps = spec.horizon_steps as usize;
        let mut observations = Vec::with_capacity((steps + 1) * spec.observation_len);
        observations.extend_from_slice(first_observation);
        Self {
            label: EpisodeLabel {
                actor: actor.to_owned(),
                seed,
                terminated: false,
                observation_len: spec.observation_len,
                action_len: spec.action_len,
                outcome: Outcome::default(),
            },
            observations,
            actions_rad: Vec::with_capacity(steps * spec.action_len),
            rewards: Vec::with_capacity(steps),
        }
    }

    /// Appends one step: the action that was really applied, its reward, and the observation after it.
    pub fn push(&mut self, applied_rad: &[f32], reward: f32, next_observation: &[f32]) {
        self.actions_rad.extend_from_slice(applied_rad);
        self.rewards.push(reward);
        self.observations.extend_from_slice(next_observation);
    }

    /// Forgets all steps from step `n_steps` on.
    pub fn truncate(&mut self, n_steps: usize) {
        if n_steps < self.n_steps() {
            self.observations.truncate((n_steps + 1) * self.label.observation_len);
            self.actions_rad.truncate(n_steps * self.label.action_len);
            self.rewards.truncate(n_steps);
        }
    }

    /// Ends the episode.
    pub fn finish(&mut self, outcome: Outcome) {
        self.label.terminated = outcome.terminated;
        self.label.outcome = outcome;
    }

    /// Steps taken.
    #[must_use]
    pub const fn n_steps(&self) -> usize {
        self.rewards.len()
    }

    /// Whether it went on until the clock ended it.
    #[must_use]
    pub const fn survived(&self) -> bool {
        !self.label.terminated
    }

    /// The observation before step `step_idx` (or after the last one).
    #[must_use]
    pub fn observation(&self, step_idx: usize) -> &[f32] {
        &self.observations[step_idx * self.label.observation_len..][..self.label.observation_len]
    }

    /// The action applied in step `step_idx`: joints in rad, after the tool pose where there is one.
    #[must_use]
    pub fn action_rad(&self, step_idx: usize) -> &[f32] {
        &self.actions_rad[step_idx * self.label.action_len..][..self.label.action_len]
    }

    /// Checks that the arrays belong together and hold finite numbers only, and that the return is finite.
    ///
    /// # Errors
    /// When they do not.
    pub fn check(&self) -> Result<(), EpisodeError> {
        let n_steps = self.n_steps();
        let arrays = [
            ("observations", &self.observations, (n_steps + 1).checked_mul(self.label.observation_len)),
            ("actions_rad", &self.actions_rad, n_steps.checked_mul(self.label.action_len)),
            ("rewards", &self.rewards, Some(n_steps)),
        ];
        for (quantity, values, expected) in arrays {
            let (found, expected) = (values.len(), expected.unwrap_or(usize::MAX));
            if found != expected {
                return Err(EpisodeError::WrongLength { quantity, found, expected });
            }
            if let Some(index) = values.iter().position(|x| !x.is_finite()) {
                return Err(EpisodeError::NonFinite { quantity, index, value: values[index] });
            }
        }
        let total_reward = self.label.outcome.total_reward;
        if !total_reward.is_finite() {
            return Err(EpisodeError::NonFinite { quantity: "total_reward", index: 0, value: total_reward as f32 });
        }
        Ok(())
    }

    /// The record that a log stores: label length (u32 LE), label (RON), number of steps (u32 LE), then all observations,
    /// actions and rewards (f32 LE).
    ///
    /// # Errors
    /// When the episode is not one (see [`Episode::check`]): nothing of that kind is ever stored.
    pub fn encode(&self) -> Result<Vec<u8>, EpisodeError> {
        self.check()?;
        let label = ron::to_string(&self.label).map_err(|error| damaged(0, error.to_string()))?;
        let n_values = self.observations.len() + self.actions_rad.len() + self.rewards.len();
        let mut record = Vec::with_capacity(label.len() + 8 + 4 * n_values);
        record.extend_from_slice(&(label.len() as u32).to_le_bytes());
        record.extend_from_slice(label.as_bytes());
        record.extend_from_slice(&(self.n_steps() as u32).to_le_bytes());
        for value in self.observations.iter().chain(&self.actions_rad).chain(&self.rewards) {
            record.extend_from_slice(&value.to_le_bytes());
        }
        Ok(record)
    }

    /// Reads a record back.
    ///
    /// # Errors
    /// When it is not a whole, finite episode.
    pub fn decode(record: &[u8]) -> Result<Self, EpisodeError> {
        let bytes = record.len();
        let short = || damaged(bytes, "it ends too early".into());
        let (label_len, rest) = record.split_first_chunk::<4>().ok_or_else(short)?;
        let (label, rest) = rest.split_at_checked(u32::from_le_bytes(*label_len) as usize).ok_or_else(short)?;
        let (n_steps, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let n_steps = u32::from_le_bytes(*n_steps) as usize;
        let label: EpisodeLabel = std::str::from_utf8(label)
            .map_err(|error| error.to_string())
            .and_then(|text| ron::from_str(text).map_err(|error| error.to_string()))
            .map_err(|reason| damaged(bytes, format!("its label is not readable: {reason}")))?;

        let (values, tail) = rest.as_chunks::<4>();
        let per_step = label.observation_len.checked_add(label.action_len).and_then(|len| len.checked_add(1));
        let expected =
            per_step.and_then(|len| len.checked_mul(n_steps)).and_then(|len| len.checked_add(label.observation_len));
        if !tail.is_empty() || expected != Some(values.len()) {
            return Err(damaged(bytes, format!("it holds {} values, its label speaks of {expected:?}", values.len())));
        }
        let floats =
            |from: usize, len: usize| values[from..from + len].iter().map(|x| f32::from_le_bytes(*x)).collect();
        let n_observed = (n_steps + 1) * label.observation_len;
        let n_applied = n_steps * label.action_len;
        let episode = Self {
            observations: floats(0, n_observed),
            actions_rad: floats(n_observed, n_applied),
            rewards: floats(n_observed + n_applied, n_steps),
            label,
        };
        episode.check()?;
        Ok(episode)
    }
}

fn damaged(bytes: usize, reason: String) -> EpisodeError {
    EpisodeError::Damaged { bytes, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode() -> Episode {
        let label = EpisodeLabel {
            actor: "gait".into(),
            seed: 7,
            terminated: true,
            observation_len: 2,
            action_len: 1,
            outcome: Outcome { turns: 1.5, ..Outcome::default() },
        };
        Episode { label, observations: vec![0.5; 6], actions_rad: vec![1.0, -1.0], rewards: vec![0.1, 0.2] }
    }

    /// Contract: what was stored is what is read, and a record cut anywhere is refused.
    #[test]
    fn records_round_trip_or_are_refused() -> Result<(), EpisodeError> {
        let record = episode().encode()?;
        assert_eq!(Episode::decode(&record)?, episode());
        for cut in 0..record.len() {
            assert!(Episode::decode(&record[..cut]).is_err(), "cut at {cut}");
        }
        Ok(())
    }

    /// Contract: a number that is not finite never reaches the replay.
    #[test]
    fn non_finite_numbers_are_not_stored() {
        for (quantity, damage) in [
            ("observations[3]", (|e| e.observations[3] = f32::NAN) as fn(&mut Episode)),
            ("actions_rad[1]", |e| e.actions_rad[1] = f32::INFINITY),
            ("rewards[0]", |e| e.rewards[0] = f32::NEG_INFINITY),
        ] {
            let mut bad = episode();
            damage(&mut bad);
            let error = bad.encode().unwrap_err().to_string();
            assert!(error.contains(quantity), "{error}");
        }
    }
}
