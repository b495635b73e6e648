//! Toys: tasks of known answer on which a method shows within minutes what it can do and where it fails.
//!
//! | toy | what it asks | what it tells apart |
//! |---|---|---|
//! | [`bandit`] | one chunk in one of two modes | policies that hold two modes from those that average them |
//! | [`chain`] | a long walk to a single reward | critics by how fast they carry a value back |
//! | [`detour`] | around a wall through one of two gaps | the same in closed loop, and whether RL finds the shorter way |
//!
//! A toy is a [`Toy`]: equations and a scripted demonstrator. [`ToyEnvironment`] makes an environment of it. Its actions are
//! plain numbers from -1 to 1, whatever the environment's names say of rad, ten a second; there is no body, no governor, and
//! one domain, [`DOMAIN`].

pub mod bandit;
pub mod chain;
pub mod detour;

pub use bandit::Bandit;
pub use chain::Chain;
pub use detour::Detour;

use bridge::random::{Rng, stream};
use bridge::{Environment, EnvironmentError, EnvironmentSpec, Judgement, Outcome, Step};
use learn::{Actor, LearnError};
use std::fmt::Debug;

/// The only domain of every toy.
pub const DOMAIN: &str = "exact";

/// Actions per second.
const CONTROL_HZ: u32 = 10;

/// The equations of a toy, and its demonstrator.
pub trait Toy: Clone + Debug + Send + Sync + 'static {
    /// What changes within an episode.
    type State: Debug + Send;

    /// Name of the task.
    const NAME: &'static str;

    /// Names of the scalars of its outcomes.
    const SCALARS: &'static [&'static str];

    /// Values in an observation.
    fn observation_len(&self) -> usize;

    /// Values in an action.
    fn action_len(&self) -> usize;

    /// Steps after which an episode is truncated.
    fn horizon_steps(&self) -> u32;

    /// Where an episode starts.
    fn start(&self, rng: &mut Rng) -> Self::State;

    /// Writes the observation.
    fn observe(&self, state: &Self::State, observation: &mut [f32]);

    /// Takes an action within -1..1.
    fn act(&self, state: &mut Self::State, action: &[f32]) -> Judgement;

    /// Whether the episode is what the task asks for, and its scalars in the order of their names.
    fn result(&self, state: &Self::State) -> (bool, Vec<f64>);

    /// Plans from an observation as the demonstrator does: whole actions, one after the other.
    fn demonstrate(&self, observation: &[f32], rng: &mut Rng, plan: &mut Vec<f32>);
}

/// A toy whose type is not known: what the commands need of it.
pub trait AnyToy: Debug + Send + Sync {
    /// A fresh environment.
    fn environment(&self) -> Box<dyn Environment>;

    /// Its demonstrator.
    fn demonstrator(&self) -> Box<dyn Actor>;
}

impl<T: Toy> AnyToy for T {
    fn environment(&self) -> Box<dyn Environment> {
        Box::new(ToyEnvironment::new(self.clone()))
    }

    fn demonstrator(&self) -> Box<dyn Actor> {
        Box::new(Demonstrator(self.clone()))
    }
}

/// A toy's demonstrator.
struct Demonstrator<T>(T);

impl<T: Toy> Actor for Demonstrator<T> {
    fn name(&self) -> &str {
        "demonstrator"
    }

    fn plan(&self, observation: &[f32], rng: &mut Rng, chunk_rad: &mut Vec<f32>) -> Result<(), LearnError> {
        chunk_rad.clear();
        self.0.demonstrate(observation, rng, chunk_rad);
        Ok(())
    }
}

/// A toy as an environment.
#[derive(Debug)]
pub struct ToyEnvironment<T: Toy> {
    toy: T,
    spec: EnvironmentSpec,
    /// None before the first episode.
    state: Option<T::State>,
    has_ended: bool,
    terminated: bool,
    n_steps: u32,
    total_reward: f64,
    applied: Vec<f32>,
}

impl<T: Toy> ToyEnvironment<T> {
    /// An environment before its first episode.
    pub fn new(toy: T) -> Self {
        let action_len = toy.action_len();
        let spec = EnvironmentSpec {
            task: T::NAME.into(),
            body: "toy".into(),
            observation_len: toy.observation_len(),
            action_len,
            action_lower_rad: vec![-1.0; action_len],
            action_upper_rad: vec![1.0; action_len],
            control_hz: CONTROL_HZ,
            horizon_steps: toy.horizon_steps(),
        };
        let applied = vec![0.0; action_len];
        Self { toy, spec, state: None, has_ended: true, terminated: false, n_steps: 0, total_reward: 0.0, applied }
    }
}

impl<T: Toy> Environment for ToyEnvironment<T> {
    fn spec(&self) -> &EnvironmentSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, observation: &mut [f32]) -> Result<(), EnvironmentError> {
        check_len("observation", observation.len(), self.spec.observation_len)?;
        let state = self.toy.start(&mut stream(seed, T::NAME, 0));
        self.toy.observe(&state, observation);
        self.state = Some(state);
        (self.has_ended, self.terminated, self.n_steps, self.total_reward) = (false, false, 0, 0.0);
        self.applied.fill(0.0);
        Ok(())
    }

    fn step(&mut self, action_rad: &[f32], observation: &mut [f32]) -> Result<Step, EnvironmentError> {
        check_len("action", action_rad.len(), self.spec.action_len)?;
        check_len("observation", observation.len(), self.spec.observation_len)?;
        if let Some(index) = action_rad.iter().position(|x| !x.is_finite()) {
            return Err(EnvironmentError::NonFiniteAction { index, value: action_rad[index] });
        }
        let Some(state) = self.state.as_mut().filter(|_| !self.has_ended) else {
            return Err(EnvironmentError::EpisodeEnded);
        };
        self.applied.iter_mut().zip(action_rad).for_each(|(applied, wanted)| *applied = wanted.clamp(-1.0, 1.0));
        let Judgement { reward, terminated } = self.toy.act(state, &self.applied);
        self.toy.observe(state, observation);
        self.n_steps += 1;
        self.total_reward += reward;
        self.terminated = terminated;
        let truncated = !terminated && self.n_steps >= self.spec.horizon_steps;
        self.has_ended = terminated || truncated;
        Ok(Step { reward: reward as f32, terminated, truncated })
    }

    fn applied_rad(&self) -> &[f32] {
        &self.applied
    }

    fn outcome(&self) -> Outcome {
        let (succeeded, scalars) = self.state.as_ref().map(|state| self.toy.result(state)).unwrap_or_default();
        Outcome {
            seconds: f64::from(self.n_steps) / f64::from(CONTROL_HZ),
            total_reward: self.total_reward,
            terminated: self.terminated,
            succeeded,
            scalars: T::SCALARS.iter().map(|&name| name.to_owned()).zip(scalars).collect(),
            ..Outcome::default()
        }
    }
}

fn check_len(quantity: &'static str, found: usize, expected: usize) -> Result<(), EnvironmentError> {
    if found == expected { Ok(()) } else { Err(EnvironmentError::WrongLength { quantity, found, expected }) }
}
