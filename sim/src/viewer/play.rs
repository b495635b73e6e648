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
use bridge::{Environment, EnvironmentError, Outcome, Percept, SIM_FAULT_SCALAR, Task, TaskEnvironment};
use sim::{Hand, Part, SERVO_HZ};
use std::path::Path;

/// How long the end of an episode is watched before the next one begins, s.
const AFTERMATH_S: f64 = 1.0;

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
        let ticks_left = (AFTERMATH_S * f64::from(SERVO_HZ)) as u32;
        if let Some(fault) = self.act.reel.take_fault() {
            eprintln!("{fault}");
            self.course = Course::Frozen { ticks_left };
        } else if step.terminated || self.act.driver.has_given_up() {
            // Whoever gives up has shown what does not work.
            if let Some(takes) = &mut self.takes {
                takes.end(self.act.stage.environment())?;
            }
            self.course = Course::Aftermath { ticks_left };
        } else if step.truncated {
            self.course = Course::Over;
        }
        Ok(())
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
        format!("{hand} | {} | {} | seed {seed}", self.act.driver.name(), self.arguments.domain_name())
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
                (Course::Aftermath { ticks_left }, _) => {
                    self.act.stage.hold()?;
                    self.course = Course::Aftermath { ticks_left: ticks_left - 1 };
                }
                (Course::Frozen { ticks_left }, Some(latest)) => {
                    let mut moment = latest.clone();
                    moment.reading.ending = self.ending();
                    self.course = Course::Frozen { ticks_left: ticks_left - 1 };
                    return Ok(moment);
                }
                (Course::Frozen { .. } | Course::Over, _) => {
                    self.arguments.seed += 1;
                    self.restart()?;
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

    fn arguments(&self) -> Option<&Arguments> {
        Some(&self.arguments)
    }

    fn toggle_recording(&mut self, folder: &Path) -> Result<String, ViewerError> {
        if let Some(mut takes) = self.takes.take() {
            takes.end(self.act.stage.environment())?;
            return Ok(takes.summary());
        }
        let takes = Takes::open(folder, &self.arguments, self.act.stage.spec())?;
        let said = format!("recording to {}", folder.display());
        self.takes = Some(takes);
        self.restart()?;
        Ok(said)
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
