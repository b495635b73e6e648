//! A rollout that is played: an environment and who acts in it.

use crate::viewer::arguments::{Arguments, TaskName};
use crate::viewer::driver::Driver;
use crate::viewer::error::ViewerError;
use crate::viewer::filmed::{Filmed, Reel};
use crate::viewer::pull::Pull;
use crate::viewer::reading::Instruments;
use crate::viewer::rollout::{Moment, Rollout};
use crate::viewer::steering::Steering;
use crate::viewer::takes::Takes;
use bridge::{BodyError, Environment, EnvironmentError, Outcome, Percept, SIM_FAULT_SCALAR, Task, TaskEnvironment};
use sim::{Hand, Part, SERVO_HZ};
use std::path::Path;

/// How long the end of an episode is watched before the next one begins, s.
const AFTERMATH_S: f64 = 1.0;
const AFTERMATH_TICKS: u32 = (AFTERMATH_S * SERVO_HZ as f64) as u32;

/// What a task brings along to be played.
pub struct Act {
    /// The environment, whose body is filmed.
    pub stage: Box<dyn Stage>,
    /// What was filmed.
    pub reel: Reel,
    /// Who acts.
    pub driver: Box<dyn Driver>,
    /// What is read.
    pub instruments: Box<dyn Instruments>,
    /// Index of the object that pushes go to.
    pub pushed: usize,
}

/// An environment of any task on a filmed body.
pub trait Stage: Environment + Sync {
    /// What it is to a learner.
    fn environment(&self) -> &dyn Environment;

    /// The latest percept.
    fn percept(&self) -> &Percept;

    /// Shapes of everything that there is to see.
    fn parts(&self) -> Vec<Part>;

    /// Holds the last command for one servo period.
    ///
    /// # Errors
    /// When the body fails.
    fn hold(&mut self) -> Result<(), EnvironmentError>;
}

/// An environment and who acts in it.
pub struct Play {
    arguments: Arguments,
    act: Act,
    observation: Vec<f32>,
    /// What was planned, and how much of it was carried out already.
    chunk_rad: Vec<f32>,
    n_done: usize,
    course: Course,
    outcome: Outcome,
    latest: Option<Moment>,
    /// Where the episodes are recorded, if they are.
    takes: Option<Takes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Acting,
    /// The episode has ended; the hand holds still.
    Aftermath {
        ticks_left: u32,
    },
    /// The physics has failed; its last moment stays.
    Frozen {
        ticks_left: u32,
    },
    /// The next tick begins a new episode.
    Over,
}

impl Play {
    /// What `open` makes of the command line, at the start of its first episode.
    ///
    /// # Errors
    /// When a name is unknown, the policy cannot be loaded, or the hand cannot be brought into its start posture.
    pub fn new(arguments: &Arguments, open: fn(&Arguments) -> Result<Act, ViewerError>) -> Result<Self, ViewerError> {
        let act = open(arguments)?;
        let mut play = Self {
            arguments: arguments.clone(),
            observation: vec![0.0; act.stage.spec().observation_len],
            act,
            chunk_rad: Vec::new(),
            n_done: 0,
            course: Course::Over,
            outcome: Outcome::default(),
            latest: None,
            takes: None,
        };
        play.restart()?;
        Ok(play)
    }

    /// Takes one action.
    fn step(&mut self) -> Result<(), ViewerError> {
        let action_len = self.act.stage.spec().action_len;
        if self.n_done + action_len > self.chunk_rad.len() {
            self.act.driver.plan(&self.observation, self.act.stage.percept(), &mut self.chunk_rad)?;
            self.n_done = 0;
        }
        // A chunk without a whole action is refused by the environment: it has the wrong length.
        let action = self.chunk_rad.get(self.n_done..self.n_done + action_len).unwrap_or(&self.chunk_rad);
        let step = self.act.stage.step(action, &mut self.observation)?;
        self.n_done += action_len;
        if let Some(takes) = &mut self.takes {
            takes.push(step, self.act.stage.environment(), &self.observation)?;
        }
        self.outcome = self.act.stage.outcome();
        if let Some(fault) = self.act.reel.take_fault() {
            self.freeze(&fault);
        } else if step.terminated || self.act.driver.has_given_up() {
            // Whoever gives up has shown what does not work.
            if let Some(takes) = &mut self.takes {
                takes.end(self.act.stage.environment())?;
            }
            self.course = Course::Aftermath { ticks_left: AFTERMATH_TICKS };
        } else if step.truncated {
            self.course = Course::Over;
        }
        Ok(())
    }

    /// Holds still for one tick.
    fn hold(&mut self, ticks_left: u32) -> Result<(), ViewerError> {
        match self.act.stage.hold() {
            Ok(()) => self.course = Course::Aftermath { ticks_left: ticks_left - 1 },
            // In a step the environment takes it for the end of the episode, which has ended here already.
            Err(EnvironmentError::Body(fault @ BodyError::SimFault { .. })) => self.freeze(&fault.to_string()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Stays with the last moment before `fault`.
    fn freeze(&mut self, fault: &str) {
        eprintln!("{fault}");
        self.course = Course::Frozen { ticks_left: AFTERMATH_TICKS };
    }

    /// Why the episode has ended, while its end is watched.
    fn ending(&self) -> Option<String> {
        match self.course {
            Course::Acting | Course::Over => None,
            Course::Frozen { .. } => Some(SIM_FAULT_SCALAR.into()),
            Course::Aftermath { .. } => Some(self.act.instruments.ending(&self.outcome).into()),
        }
    }
}

impl Rollout for Play {
    fn task(&self) -> TaskName {
        self.arguments.task
    }

    fn is_mirrored(&self) -> bool {
        Hand::load(&self.arguments.hand).is_ok_and(|hand| hand.is_mirrored)
    }

    fn title(&self) -> String {
        let Arguments { hand, seed, .. } = &self.arguments;
        let activity = self.act.driver.activity().map_or_else(String::new, |activity| format!(": {activity}"));
        format!("{hand} | {}{activity} | {} | seed {seed}", self.act.driver.name(), self.arguments.domain_name())
    }

    fn horizon_s(&self) -> f64 {
        let spec = self.act.stage.spec();
        f64::from(spec.horizon_steps) / f64::from(spec.control_hz)
    }

    fn parts(&self) -> Vec<Part> {
        self.act.stage.parts()
    }

    fn tick(&mut self) -> Result<Moment, ViewerError> {
        loop {
            if let Some(frame) = self.act.reel.take_frame() {
                let reading = self.act.instruments.read(&frame, &self.outcome, self.ending());
                let moment = Moment { frame, reading, thought: self.act.driver.thought() };
                self.latest = Some(moment.clone());
                return Ok(moment);
            }
            match (self.course, &self.latest) {
                (Course::Acting, _) => self.step()?,
                (Course::Aftermath { ticks_left: 0 } | Course::Frozen { ticks_left: 0 }, _) => {
                    self.course = Course::Over;
                }
                (Course::Aftermath { ticks_left }, _) => self.hold(ticks_left)?,
                (Course::Frozen { ticks_left }, Some(latest)) => {
                    let mut moment = latest.clone();
                    moment.reading.ending = self.ending();
                    self.course = Course::Frozen { ticks_left: ticks_left - 1 };
                    return Ok(moment);
                }
                (Course::Frozen { .. } | Course::Over, _) => {
                    self.begin(self.arguments.seed.saturating_add(1))?;
                }
            }
        }
    }

    fn restart(&mut self) -> Result<(), ViewerError> {
        self.act.stage.reset(self.arguments.seed, &mut self.observation)?;
        self.act.driver.begin(self.arguments.seed)?;
        self.act.instruments.clear();
        if let Some(takes) = &mut self.takes {
            let actor = self.act.driver.name();
            takes.begin(&actor, self.arguments.seed, self.act.stage.environment(), &self.observation);
        }
        self.outcome = self.act.stage.outcome();
        self.chunk_rad.clear();
        self.n_done = 0;
        self.course = Course::Acting;
        Ok(())
    }

    fn begin(&mut self, seed: u64) -> Result<(), ViewerError> {
        self.arguments.seed = seed;
        self.restart()
    }

    fn arguments(&self) -> Option<&Arguments> {
        Some(&self.arguments)
    }

    fn is_recording(&self) -> bool {
        self.takes.is_some()
    }

    fn record(&mut self, folder: &Path) -> Result<String, ViewerError> {
        let takes = Takes::open(folder, &self.arguments, self.act.stage.spec())?;
        let said = format!("recording to {}", folder.display());
        self.takes = Some(takes);
        self.restart()?;
        Ok(said)
    }

    fn end_recording(&mut self) -> Result<Option<String>, ViewerError> {
        let Some(mut takes) = self.takes.take() else { return Ok(None) };
        takes.end(self.act.stage.environment())?;
        Ok(Some(takes.summary()))
    }

    fn steer(&mut self, steering: Steering) {
        self.act.driver.steer(steering);
    }

    fn push(&mut self, impulse_n_s: [f32; 3]) {
        self.act.reel.push(self.act.pushed, impulse_n_s);
    }

    fn pull(&mut self, pull: Option<Pull>) {
        self.act.reel.pull(pull);
    }
}

impl<T: Task + Sync> Stage for TaskEnvironment<Filmed, T> {
    fn environment(&self) -> &dyn Environment {
        self
    }

    fn percept(&self) -> &Percept {
        self.governor().percept()
    }

    fn parts(&self) -> Vec<Part> {
        self.governor().body().parts()
    }

    fn hold(&mut self) -> Result<(), EnvironmentError> {
        let mut held = self.applied_rad().to_vec();
        self.governor_mut().command(&mut held)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewer::cube;
    use crate::viewer::driver::Hold;
    use bridge::{CubeReward, CubeTask, GovernorConfig};
    use clap::Parser as _;
    use sim::{CubeScene, Domain};

    /// A cube that is held for a second. Its faults are not dumped.
    fn open(arguments: &Arguments) -> Result<Act, ViewerError> {
        let scene = CubeScene::load(&arguments.hand)?.with_horizon(1.0.try_into()?);
        let task = CubeTask::new(scene.task_config(CubeReward::Dense), scene.hand().n_joints());
        let reel = Reel::default();
        let body = Box::new(scene.body(Domain::load("exact")?));
        let stage = TaskEnvironment::new(Filmed::new(body, &reel), task, GovernorConfig::usual()?)?;
        let driver = Box::new(Hold { command: scene.start().holding_rad.clone() });
        let instruments = cube::instruments(&arguments.hand)?;
        Ok(Act { stage: Box::new(stage), reel, driver, instruments, pushed: 0 })
    }

    fn play(line: &[&str]) -> Play {
        Play::new(&Arguments::try_parse_from([&["sim"], line].concat()).unwrap(), open).unwrap()
    }

    /// Contract: physics that fails while the end of an episode is watched freezes like one that fails before it, and the next
    /// episode follows.
    #[test]
    fn a_fault_after_the_end_freezes() {
        let mut play = play(&[]);
        play.push([0.0, 0.0, -0.2]);
        let endings = std::iter::repeat_with(|| play.tick().unwrap().reading.ending);
        assert_eq!(endings.take(60).flatten().next().as_deref(), Some("dropped"));
        play.push([0.0, 0.0, f32::NAN]);
        // A step's frames are shown before the next tick of the hand.
        let endings: Vec<_> = (0..10).map(|_| play.tick().unwrap().reading.ending).collect();
        assert!(endings.contains(&Some(SIM_FAULT_SCALAR.into())), "{endings:?}");
        let next = (0..AFTERMATH_TICKS).map(|_| play.tick().unwrap().reading).find(|reading| reading.time_s == 0.0);
        assert_eq!(next.map(|reading| (reading.ending, play.arguments.seed)), Some((None, 1)));
    }

    /// Contract: the last of all seeds names an episode like any other; on it follows the same one.
    #[test]
    fn the_last_seed_is_the_last() {
        let mut play = play(&["--seed", "18446744073709551615"]);
        let n_begun = (0..=SERVO_HZ + 1).filter(|_| play.tick().unwrap().reading.time_s == 0.0).count();
        assert_eq!((n_begun, play.arguments.seed), (2, u64::MAX));
    }
}
