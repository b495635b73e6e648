//! A point behind a wall with two gaps: whoever averages the two ways runs into the wall, and one way is shorter.
//!
//! ```text
//! p <- p + v a,  p = (x, y);   start (0, 0) + U(-j, j) in both coordinates;   goal (gx, gy)
//! the wall stands at x = w; a step that crosses it at a height outside of both gaps, |y - gap| > half width, ends the
//! episode; a gap is |y - short| or |y - long| below the half width
//! reward r in every step that ends within d of the goal, until the clock ends the episode
//! ```
//! The demonstrator takes either gap with equal odds, then the straight way to the goal, at .9 v with noise, and stays there.
//! A policy that arrives with step n and stays is worth `r gamma^(n-1) / (1 - gamma)`; the episode succeeds when the goal was
//! reached and the wall was not hit. The wall is closer than a chunk reaches, so that one open-loop chunk decides on a gap.

use super::Toy;
use bridge::Judgement;
use bridge::number::{Finite, NonNegative, Positive};
use bridge::random::Rng;
use rand::Rng as _;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// Share of the largest speed that the demonstrator uses, and how far behind the wall it aims.
const CRUISE: f64 = 0.9;
const BEHIND: f64 = 0.02;

/// The detour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detour {
    /// v: the way of a step with an action of 1, per coordinate.
    pub speed: Positive,
    /// j: half width of the square of starts.
    pub jitter: NonNegative,
    /// w: where the wall stands.
    pub wall: Positive,
    /// Height of the gap on the shorter way.
    pub short_gap: Finite,
    /// Height of the gap on the longer way.
    pub long_gap: Finite,
    /// Half the width of both gaps.
    pub gap_half_width: Positive,
    /// (gx, gy).
    pub goal: (Positive, Finite),
    /// d: how close to the goal is close enough.
    pub goal_radius: Positive,
    /// r.
    pub goal_reward: Finite,
    /// Standard deviation of the demonstrator's noise on its actions.
    pub noise: NonNegative,
    /// Steps of an episode.
    pub horizon_steps: NonZeroU32,
}

/// Where the point is, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    position: [f64; 2],
    gap: Option<Gap>,
    has_arrived: bool,
    has_crashed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    Short,
    Long,
}

impl Detour {
    /// The gap at height `y`, if there is one.
    fn gap_at(&self, y: f64) -> Option<Gap> {
        let is_in = |gap: Finite| (y - gap.get()).abs() < self.gap_half_width.get();
        if is_in(self.short_gap) { Some(Gap::Short) } else { is_in(self.long_gap).then_some(Gap::Long) }
    }

    fn goal(&self) -> [f64; 2] {
        [self.goal.0.get(), self.goal.1.get()]
    }
}

impl Toy for Detour {
    type State = Point;

    const NAME: &'static str = "detour";
    const SCALARS: &'static [&'static str] = &["short", "long"];

    fn observation_len(&self) -> usize {
        2
    }

    fn action_len(&self) -> usize {
        2
    }

    fn horizon_steps(&self) -> u32 {
        self.horizon_steps.get()
    }

    fn start(&self, rng: &mut Rng) -> Point {
        let position = std::array::from_fn(|_| self.jitter.get() * rng.random_range(-1.0..=1.0));
        Point { position, ..Point::default() }
    }

    fn observe(&self, point: &Point, observation: &mut [f32]) {
        observation.iter_mut().zip(point.position).for_each(|(seen, x)| *seen = x as f32);
    }

    fn act(&self, point: &mut Point, action: &[f32]) -> Judgement {
        let before = point.position;
        point.position.iter_mut().zip(action).for_each(|(x, &a)| *x += self.speed.get() * f64::from(a));
        let (wall, after) = (self.wall.get(), point.position);
        if (before[0] < wall) != (after[0] < wall) {
            let share = (wall - before[0]) / (after[0] - before[0]);
            let gap = self.gap_at(before[1] + share * (after[1] - before[1]));
            point.has_crashed = gap.is_none();
            point.gap = point.gap.or(gap);
        }
        let is_there = !point.has_crashed && distance(after, self.goal()) < self.goal_radius.get();
        point.has_arrived |= is_there;
        Judgement { reward: if is_there { self.goal_reward.get() } else { 0.0 }, terminated: point.has_crashed }
    }

    fn result(&self, point: &Point) -> (bool, Vec<f64>) {
        let succeeded = point.has_arrived && !point.has_crashed;
        let went = |gap: Gap| f64::from(u8::from(point.gap == Some(gap)));
        (succeeded, vec![went(Gap::Short), went(Gap::Long)])
    }

    fn demonstrate(&self, observation: &[f32], rng: &mut Rng, plan: &mut Vec<f32>) {
        let gap = if rng.random_bool(0.5) { self.short_gap } else { self.long_gap };
        let behind_gap = [self.wall.get() + BEHIND, gap.get()];
        let mut position = [f64::from(observation[0]), f64::from(observation[1])];
        for _ in 0..self.horizon_steps.get() {
            let target = if position[0] < self.wall.get() { behind_gap } else { self.goal() };
            let way = [target[0] - position[0], target[1] - position[1]];
            // Full cruise, or what is left of the way.
            let scale =
                CRUISE.min(distance(target, position) / self.speed.get()) / distance(target, position).max(1e-9);
            for (x, way) in position.iter_mut().zip(way) {
                let action = scale * way + self.noise.get() * rng.sample::<f64, _>(StandardNormal);
                plan.push(action as f32);
                *x += self.speed.get() * action.clamp(-1.0, 1.0);
            }
        }
    }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}
