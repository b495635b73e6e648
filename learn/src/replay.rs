//! Chunk replay: every step of every episode starts a chunk.
//!
//! A chunk that starts at step t of an episode of T steps has length `L = min(H, T - t)`. It is kept when L < H: its
//! missing actions repeat the last one and its target uses L, not H:
//!
//! `y = sum_{h<L} gamma^h r_{t+h} + gamma^L (1 - d) Q(o_{t+L}, a')`
//!
//! A critic of single steps has `L = min(n, T - t)` with n = 1 instead; the chunk stays what it is. Here
//! d is 1 only if the episode *terminated* inside the chunk; a truncated one is bootstrapped from its last
//! observation. The whole open-loop chunk is Q's input, so overlapping windows of closed episodes are consistent.
//!
//! Where plans are made a lead of l steps ahead, the state is what is observed and the l actions that are on the way
//! (Katsikopoulos and Engelbrecht 2003): `o_t` becomes `(o_t, a_t .. a_{t+l-1})` and its chunk `a_{t+l} .. a_{t+l+H-1}`.
//! Rewards and values stay those from step t on. The last plan is made at `T - l - 1`: a target that would be bootstrapped after it has
//! `L = T - t`, for no state from there on has a value that is learned.

mod batch;

use crate::Normalizer;
use bridge::Episode;
use rand::Rng as _;
use std::ops::Range;

pub use batch::ChunkBatch;

/// Where a chunk starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkStart {
    episode_idx: usize,
    step_idx: usize,
}

/// What came after a chunk's start at step t of an episode of T steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToGo {
    /// The start.
    pub start: ChunkStart,
    /// Discounted reward of the steps up to the episode's end.
    pub reward: f64,
    /// `gamma^(T - t) (1 - d)`: what the value of the episode's last observation is multiplied with.
    pub continuation: f64,
    /// The episode's last step; the observation after it is its last one.
    pub last: ChunkStart,
}

/// What is cut out of an episode at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// l: actions on the way.
    pub lead: usize,
    /// H: actions in a chunk.
    pub chunk_len: usize,
    /// n: steps of a target.
    pub backup_len: usize,
}

/// Normalized episodes and the index of their chunk starts. Windows never cross an episode's end.
#[derive(Clone, Debug)]
pub struct Replay {
    window: Window,
    discount: f64,
    episodes: Vec<StoredEpisode>,
    starts: Vec<ChunkStart>,
    success_starts: Vec<ChunkStart>,
    imitable_starts: Vec<ChunkStart>,
}

#[derive(Clone, Debug)]
struct StoredEpisode {
    /// Each with the actions on the way.
    observations: Vec<f32>,
    actions: Vec<f32>,
    rewards: Vec<f32>,
    terminated: bool,
}

impl Replay {
    /// An empty replay of such windows, discounted by `discount` per step.
    #[must_use]
    pub const fn new(window: Window, discount: f64) -> Self {
        Self {
            window,
            discount,
            episodes: Vec::new(),
            starts: Vec::new(),
            success_starts: Vec::new(),
            imitable_starts: Vec::new(),
        }
    }

    /// Adds an episode.
    pub fn push(&mut self, episode: &Episode, normalizer: &Normalizer) {
        let (n_steps, lead) = (episode.n_steps(), self.window.lead);
        let on_the_way_len = (n_steps + 1) * lead * episode.label.action_len;
        let mut stored = StoredEpisode {
            observations: Vec::with_capacity(episode.observations.len() + on_the_way_len),
            actions: Vec::with_capacity(episode.actions_rad.len()),
            rewards: episode.rewards.clone(),
            terminated: episode.label.terminated,
        };
        for step_idx in 0..n_steps {
            normalizer.action(episode.action_rad(step_idx), &mut stored.actions);
        }
        for step_idx in 0..=n_steps {
            normalizer.observation(episode.observation(step_idx), &mut stored.observations);
            if n_steps > 0 {
                push_actions(&stored.actions, n_steps, step_idx..step_idx + lead, &mut stored.observations);
            }
        }
        let episode_idx = self.episodes.len();
        self.episodes.push(stored);
        // A chunk has at least one action that was carried out.
        let starts = (0..n_steps.saturating_sub(lead)).map(|step_idx| ChunkStart { episode_idx, step_idx });
        self.starts.extend(starts.clone());
        if episode.label.outcome.succeeded {
            self.success_starts.extend(starts.clone());
            let is_whole = |start: &ChunkStart| start.step_idx + lead + self.window.chunk_len <= n_steps;
            self.imitable_starts.extend(starts.filter(is_whole));
        }
    }

    /// Number of episodes.
    #[must_use]
    pub const fn n_episodes(&self) -> usize {
        self.episodes.len()
    }

    /// All chunk starts, in order.
    #[must_use]
    pub fn starts(&self) -> &[ChunkStart] {
        &self.starts
    }

    /// The chunk starts of successful episodes, in order.
    #[must_use]
    pub fn success_starts(&self) -> &[ChunkStart] {
        &self.success_starts
    }

    /// The starts of the first `n` episodes.
    #[must_use]
    pub fn first_starts(&self, n: usize) -> Vec<ChunkStart> {
        self.starts.iter().filter(|start| start.step_idx == 0).take(n).copied().collect()
    }

    /// The starts of whole chunks of successful episodes, in order: what is worth imitating.
    #[must_use]
    pub fn imitable_starts(&self) -> &[ChunkStart] {
        &self.imitable_starts
    }

    /// Those of `starts` that lie within the first chunk of their episode.
    #[must_use]
    pub fn openings(&self, starts: &[ChunkStart]) -> Vec<ChunkStart> {
        starts.iter().filter(|start| start.step_idx < self.window.chunk_len).copied().collect()
    }

    /// Draws `n` starts from `among`, uniformly and with replacement.
    pub fn draw(among: &[ChunkStart], n: usize, rng: &mut bridge::random::Rng, out: &mut Vec<ChunkStart>) {
        out.extend((0..n).map(|_| among[rng.random_range(0..among.len())]));
    }

    /// Appends the chunks at `starts` to `batch`.
    pub fn gather(&self, starts: &[ChunkStart], batch: &mut ChunkBatch) {
        let Window { lead, chunk_len, backup_len } = self.window;
        for &ChunkStart { episode_idx, step_idx } in starts {
            let episode = &self.episodes[episode_idx];
            let n_steps = episode.rewards.len();
            let observation_len = episode.observations.len() / (n_steps + 1);
            let first = step_idx + lead;
            // From the last action that is planned on, rewards are its doing to the end: no decision comes between that could have a
            // value of its own.
            let planned_end = step_idx + backup_len;
            let backup_end = if planned_end + lead < n_steps { planned_end } else { n_steps };

            batch
                .observations
                .extend_from_slice(&episode.observations[step_idx * observation_len..][..observation_len]);
            batch
                .next_observations
                .extend_from_slice(&episode.observations[backup_end * observation_len..][..observation_len]);
            episode.push_chunk(first, chunk_len, &mut batch.chunks);
            episode.push_chunk(backup_end + lead, chunk_len, &mut batch.next_chunks);
            batch.n_next.push(chunk_len.min(n_steps.saturating_sub(backup_end + lead)));
            batch.is_whole.push(first + chunk_len <= n_steps);
            batch.n_valid.push(chunk_len.min(n_steps.saturating_sub(first)).max(1));
            let (mut reward, mut weight) = (0.0f64, 1.0f64);
            for &r in &episode.rewards[step_idx..backup_end] {
                reward += weight * f64::from(r);
                weight *= self.discount;
            }
            let terminated_inside = episode.terminated && backup_end == n_steps;
            batch.rewards.push(reward as f32);
            batch.continuations.push(if terminated_inside { 0.0 } else { weight as f32 });
            batch.n_rows += 1;
        }
    }

    /// What came after every start of the last `n_episodes`.
    #[must_use]
    pub fn to_go(&self, n_episodes: usize) -> Vec<ToGo> {
        let mut all = Vec::new();
        let first = self.episodes.len().saturating_sub(n_episodes);
        for (episode_idx, episode) in self.episodes.iter().enumerate().skip(first) {
            let last = ChunkStart { episode_idx, step_idx: episode.rewards.len().saturating_sub(1) };
            let (mut reward, mut continuation) = (0.0f64, if episode.terminated { 0.0 } else { 1.0 });
            for (step_idx, &r) in episode.rewards.iter().enumerate().rev() {
                reward = f64::from(r) + self.discount * reward;
                continuation *= self.discount;
                if step_idx + self.window.lead < episode.rewards.len() {
                    all.push(ToGo { start: ChunkStart { episode_idx, step_idx }, reward, continuation, last });
                }
            }
        }
        all
    }
}

impl StoredEpisode {
    fn push_chunk(&self, first: usize, chunk_len: usize, out: &mut Vec<f32>) {
        push_actions(&self.actions, self.rewards.len(), first..first + chunk_len, out);
    }
}

/// Appends those `steps` of the `actions` of an episode of `n_steps`; after the last one it is repeated.
fn push_actions(actions: &[f32], n_steps: usize, steps: Range<usize>, out: &mut Vec<f32>) {
    let action_len = actions.len() / n_steps;
    for step_idx in steps {
        out.extend_from_slice(&actions[step_idx.min(n_steps - 1) * action_len..][..action_len]);
    }
}

/// Fills `batch` with chunks from two sources, the offline ones first.
pub fn gather_mixed(
    (offline, offline_starts): (&Replay, &[ChunkStart]),
    (online, online_starts): (&Replay, &[ChunkStart]),
    batch: &mut ChunkBatch,
) {
    batch.clear();
    offline.gather(offline_starts, batch);
    online.gather(online_starts, batch);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LearnError;
    use bridge::{EpisodeLabel, Outcome};

    /// Four steps, rewards 1 2 4 8, observations 0..=4, actions 0 .1 .2 .3.
    fn episode(terminated: bool) -> Episode {
        let label = EpisodeLabel {
            actor: String::new(),
            seed: 0,
            terminated,
            observation_len: 1,
            action_len: 1,
            outcome: Outcome { succeeded: !terminated, ..Outcome::default() },
        };
        Episode {
            label,
            observations: vec![0.0, 1.0, 2.0, 3.0, 4.0],
            actions_rad: vec![0.0, 0.1, 0.2, 0.3],
            rewards: vec![1.0, 2.0, 4.0, 8.0],
        }
    }

    fn batch_of(terminated: bool, backup_len: usize, lead: usize) -> Result<(ChunkBatch, Normalizer), LearnError> {
        let episode = episode(terminated);
        let normalizer = Normalizer::fit(std::slice::from_ref(&episode), 0.0, 0.9)?;
        let mut replay = Replay::new(Window { lead, chunk_len: 3, backup_len }, 0.5);
        replay.push(&episode, &normalizer);
        let mut batch = ChunkBatch::default();
        replay.gather(replay.starts(), &mut batch);
        Ok((batch, normalizer))
    }

    /// Contract: chunk rewards and continuations at whole, partial, terminal and timed-out chunks, worked by hand:
    /// gamma = 1/2, H = 3, rewards 1 2 4 8.
    #[test]
    fn targets_of_whole_and_partial_chunks() -> Result<(), LearnError> {
        for (terminated, continuations) in [(true, [0.125, 0.0, 0.0, 0.0]), (false, [0.125, 0.125, 0.25, 0.5])] {
            let (batch, _) = batch_of(terminated, 3, 0)?;
            assert_eq!(batch.rewards, [1.0 + 1.0 + 1.0, 2.0 + 2.0 + 2.0, 4.0 + 4.0, 8.0]);
            assert_eq!(batch.continuations, continuations, "terminated: {terminated}");
        }
        Ok(())
    }

    /// Contract: targets of single steps take their own reward and the next observation, end where the episode terminates
    /// and not where it times out, and leave the chunks as they are.
    #[test]
    fn targets_of_single_steps() -> Result<(), LearnError> {
        for (terminated, last) in [(true, 0.0), (false, 0.5)] {
            let (batch, normalizer) = batch_of(terminated, 1, 0)?;
            assert_eq!(batch.rewards, [1.0, 2.0, 4.0, 8.0]);
            assert_eq!(batch.continuations, [0.5, 0.5, 0.5, last], "terminated: {terminated}");
            let mut next = Vec::new();
            [1.0, 2.0, 3.0, 4.0].iter().for_each(|&x| normalizer.observation(&[x], &mut next));
            assert_eq!(batch.next_observations, next);
            assert_eq!(batch.chunks, batch_of(terminated, 3, 0)?.0.chunks);
        }
        Ok(())
    }

    /// Contract: a partial chunk repeats its last action and is bootstrapped from the episode's last observation; no
    /// window crosses the end.
    #[test]
    fn partial_chunks_are_padded() -> Result<(), LearnError> {
        let (batch, normalizer) = batch_of(false, 3, 0)?;
        let actions = |steps: [f32; 3]| {
            let mut out = Vec::new();
            for x in steps {
                normalizer.action(&[x], &mut out);
            }
            out
        };
        assert_eq!(batch.chunks[..3], actions([0.0, 0.1, 0.2]));
        assert_eq!(batch.chunks[6..9], actions([0.2, 0.3, 0.3]));
        assert_eq!(batch.chunks[9..], actions([0.3, 0.3, 0.3]));
        assert_eq!(batch.is_whole, [true, true, false, false]);
        // Three steps after the first comes the last action, after the others nothing.
        assert_eq!(batch.n_next, [1, 0, 0, 0]);
        assert_eq!(batch.next_chunks[..3], actions([0.3, 0.3, 0.3]));
        assert_eq!(batch_of(false, 1, 0)?.0.next_chunks[..3], actions([0.1, 0.2, 0.3]));
        let mut last = Vec::new();
        normalizer.observation(&[4.0], &mut last);
        assert!(batch.next_observations[1..].iter().all(|&x| x.to_bits() == last[0].to_bits()));
        Ok(())
    }

    /// Contract: with a lead of one step the state is the observation and the action on the way, and the chunk begins one step later. The
    /// last step starts no chunk, so that a target that would be bootstrapped there goes on to the end.
    #[test]
    fn windows_of_plans_made_ahead() -> Result<(), LearnError> {
        let (batch, normalizer) = batch_of(true, 3, 1)?;
        let state = |observation: f32, on_the_way: f32| {
            let mut out = Vec::new();
            normalizer.observation(&[observation], &mut out);
            normalizer.action(&[on_the_way], &mut out);
            out
        };
        assert_eq!(batch.n_rows, 3);
        assert_eq!(batch.observations, [state(0.0, 0.0), state(1.0, 0.1), state(2.0, 0.2)].concat());
        let actions = |steps: [f32; 3]| steps.map(|x| state(0.0, x)[1]);
        assert_eq!(batch.chunks, [[0.1, 0.2, 0.3], [0.2, 0.3, 0.3], [0.3; 3]].map(actions).concat());
        assert_eq!(batch.n_valid, [3, 2, 1]);
        assert_eq!(batch.is_whole, [true, false, false]);
        assert_eq!(batch.rewards, [4.0, 6.0, 8.0]);
        assert_eq!(batch.continuations, [0.0; 3]);
        assert_eq!(batch.next_observations, [state(4.0, 0.3), state(4.0, 0.3), state(4.0, 0.3)].concat());
        assert_eq!(batch.n_next, [0; 3]);
        Ok(())
    }

    /// Contract: where plans are made ahead of their actions, targets of single steps too reach the end of an episode: its last reward
    /// and its termination are in the target of the last plan, and every state that a target is bootstrapped from is itself learned.
    #[test]
    fn the_last_plan_answers_for_the_end() -> Result<(), LearnError> {
        for (terminated, last) in [(true, 0.0), (false, 0.25)] {
            let (batch, _) = batch_of(terminated, 1, 1)?;
            assert_eq!(batch.rewards, [1.0, 2.0, 4.0 + 0.5 * 8.0]);
            assert_eq!(batch.continuations, [0.5, 0.5, last], "terminated: {terminated}");
            let states = batch.observations.chunks_exact(2).collect::<Vec<_>>();
            assert!(batch.next_observations.chunks_exact(2).take(2).all(|next| states.contains(&next)));
        }
        Ok(())
    }

    /// Contract: only whole chunks of successful episodes are imitated, whether or not success ends an episode.
    #[test]
    fn only_successes_are_imitated() -> Result<(), LearnError> {
        let normalizer = Normalizer::fit(&[episode(false)], 0.0, 0.9)?;
        let mut replay = Replay::new(Window { lead: 0, chunk_len: 3, backup_len: 3 }, 0.5);
        replay.push(&episode(true), &normalizer);
        replay.push(&episode(false), &normalizer);
        let expected = [0, 1].map(|step_idx| ChunkStart { episode_idx: 1, step_idx });
        assert_eq!(replay.imitable_starts(), expected);
        let mut arrived = episode(true);
        arrived.label.outcome.succeeded = true;
        replay.push(&arrived, &normalizer);
        assert_eq!(replay.imitable_starts().len(), 4);
        let successes: Vec<_> = replay.starts().iter().filter(|start| start.episode_idx > 0).copied().collect();
        assert_eq!(replay.success_starts(), successes);
        assert_eq!(replay.first_starts(2), [0, 1].map(|episode_idx| ChunkStart { episode_idx, step_idx: 0 }));
        Ok(())
    }

    /// Contract: returns to go are exact; what a timeout hides is left to the value of the last observation.
    #[test]
    fn returns_to_go() -> Result<(), LearnError> {
        let normalizer = Normalizer::fit(&[episode(false)], 0.0, 0.9)?;
        let mut replay = Replay::new(Window { lead: 0, chunk_len: 3, backup_len: 3 }, 0.5);
        replay.push(&episode(true), &normalizer);
        replay.push(&episode(false), &normalizer);
        let to_go = |episode_idx, continuations: [f64; 4]| {
            let start = |step_idx| ChunkStart { episode_idx, step_idx };
            let rewards = [4.0, 6.0, 8.0, 8.0];
            [3, 2, 1, 0].map(|t| ToGo {
                start: start(t),
                reward: rewards[t],
                continuation: continuations[t],
                last: start(3),
            })
        };
        let (terminal, timed_out) = (to_go(0, [0.0; 4]), to_go(1, [0.0625, 0.125, 0.25, 0.5]));
        assert_eq!(replay.to_go(2), [terminal, timed_out].concat());
        assert_eq!(replay.to_go(1), timed_out);
        Ok(())
    }
}
