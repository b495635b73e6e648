//! The rollout that is shown: an environment and who acts in it, one servo tick at a time.
//!
//! Nothing here knows of pictures: a window, a recording and a text log all call [`Rollout::tick`].

use crate::viewer::arguments::{Arguments, DomainName, TaskName};
use crate::viewer::driver::{Driver, driver};
use crate::viewer::error::ViewerError;
use crate::viewer::filmed::{Filmed, Frame};
use crate::viewer::reading::{Instruments, Reading};
use bridge::{CubeReward, CubeTask, Environment, EnvironmentError, GovernorConfig, TaskEnvironment};
use sim::{CubeScene, Domain, Part, SERVO_HZ};

/// How long a dropped cube is watched before the next episode begins, s.
const AFTERMATH_S: f64 = 1.0;

/// An environment and who acts in it.
pub struct Rollout {
    hand: String,
    domain: DomainName,
    environment: TaskEnvironment<Filmed, CubeTask>,
    driver: Box<dyn Driver>,
    instruments: Instruments,
    observation: Vec<f32>,
    /// What was planned, and how much of it was carried out already.
    chunk_rad: Vec<f32>,
    n_done: usize,
    seed: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Acting,
    /// The cube was dropped; the hand holds still.
    Aftermath {
        ticks_left: u32,
    },
    /// The next tick begins a new episode.
    Over,
}

/// What there is to see and to read after one servo tick.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Poses and contacts.
    pub frame: Frame,
    /// The instruments.
    pub reading: Reading,
}

impl Rollout {
    /// The rollout that the command line asks for, at the start of its first episode.
    ///
    /// # Errors
    /// When a name is unknown, the policy cannot be loaded, or the hand cannot be brought into its start posture.
    pub fn new(arguments: &Arguments) -> Result<Self, ViewerError> {
        let TaskName::Cube = arguments.task;
        let scene = CubeScene::load(&arguments.hand)?;
        let task_config = scene.task_config(CubeReward::Dense);
        let instruments = Instruments::new(task_config.nominal_center_m.map(|x| x.get()), task_config.direction.sign());
        let domain = Domain::load(&arguments.domain.asset_name(&arguments.hand))?;
        let task = CubeTask::new(task_config, scene.hand().n_joints());
        let environment = TaskEnvironment::new(Filmed::new(scene.body(domain)), task, GovernorConfig::usual()?)?;
        let mut rollout = Self {
            hand: arguments.hand.clone(),
            domain: arguments.domain,
            observation: vec![0.0; environment.spec().observation_len],
            driver: driver(&arguments.policy, &scene, environment.spec())?,
            environment,
            instruments,
            chunk_rad: Vec::new(),
            n_done: 0,
            seed: arguments.seed,
            stage: Stage::Over,
        };
        rollout.restart()?;
        Ok(rollout)
    }

    /// Lets one servo period pass. A new episode, with the next seed, follows on one that has ended.
    ///
    /// # Errors
    /// When the environment or the policy fails.
    pub fn tick(&mut self) -> Result<Moment, ViewerError> {
        loop {
            if let Some(frame) = self.environment.governor_mut().body_mut().take_frame() {
                let dropped = matches!(self.stage, Stage::Aftermath { .. });
                let reading = self.instruments.read(&frame.cube, frame.contacts.len(), dropped);
                return Ok(Moment { frame, reading });
            }
            match self.stage {
                Stage::Acting => self.step()?,
                Stage::Aftermath { ticks_left: 0 } => self.stage = Stage::Over,
                Stage::Aftermath { ticks_left } => {
                    let mut held_rad = self.environment.applied_rad().to_vec();
                    self.environment.governor_mut().command(&mut held_rad).map_err(EnvironmentError::from)?;
                    self.stage = Stage::Aftermath { ticks_left: ticks_left - 1 };
                }
                Stage::Over => {
                    self.seed += 1;
                    self.restart()?;
                }
            }
        }
    }

    /// Starts the episode of the present seed anew.
    ///
    /// # Errors
    /// When the hand cannot be brought into its start posture.
    pub fn restart(&mut self) -> Result<(), ViewerError> {
        self.environment.reset(self.seed, &mut self.observation)?;
        self.driver.begin(self.seed)?;
        self.instruments.clear();
        self.chunk_rad.clear();
        self.n_done = 0;
        self.stage = Stage::Acting;
        Ok(())
    }

    /// Goes to the next domain, nominal or shifted, and starts the episode anew in it.
    ///
    /// # Errors
    /// When the hand has no such domain, or cannot be brought into its start posture.
    pub fn switch_domain(&mut self) -> Result<(), ViewerError> {
        let next = match self.domain {
            DomainName::Nominal => DomainName::Shifted,
            DomainName::Shifted | DomainName::Exact => DomainName::Nominal,
        };
        let domain = Domain::load(&next.asset_name(&self.hand))?;
        self.environment.governor_mut().body_mut().hand_mut().set_domain(domain);
        self.domain = next;
        self.restart()
    }

    /// Gives the cube a push through its centre, N s.
    pub fn push_cube(&mut self, impulse_n_s: [f32; 3]) {
        self.environment.governor_mut().body_mut().hand_mut().push_cube(impulse_n_s);
    }

    /// Shapes of everything that there is to see, in the order of [`Frame::part_poses`].
    pub fn parts(&self) -> Vec<Part> {
        self.environment.governor().body().hand().world().parts().copied().collect()
    }

    /// Who does what where, in one line.
    pub fn title(&self) -> String {
        let domain = self.domain.asset_name(&self.hand);
        format!("{} | {} | {domain} | seed {}", self.hand, self.driver.name(), self.seed)
    }

    /// Takes one action.
    fn step(&mut self) -> Result<(), ViewerError> {
        let n_joints = self.environment.spec().action_len;
        if self.n_done + n_joints > self.chunk_rad.len() {
            self.driver.plan(&self.observation, &mut self.chunk_rad)?;
            self.n_done = 0;
        }
        // A chunk without a whole action is refused by the environment: it has the wrong length.
        let action_rad = self.chunk_rad.get(self.n_done..self.n_done + n_joints).unwrap_or(&self.chunk_rad);
        let step = self.environment.step(action_rad, &mut self.observation)?;
        self.n_done += n_joints;
        if step.terminated {
            self.stage = Stage::Aftermath { ticks_left: (AFTERMATH_S * f64::from(SERVO_HZ)) as u32 };
        } else if step.truncated {
            self.stage = Stage::Over;
        }
        Ok(())
    }
}
