//! The scene of a task, as far as a robot is concerned: which hand, where it opens and begins, and what stands for it.

use crate::experiment::TaskChoice;
use bridge::real::emulator::{EmulatedArm, Plant};
use bridge::real::motors::MotorTable;
use bridge::{CubeReward, GovernorConfig, ScissorsObject, TAPE_CUT_SIGNAL, TOOL_POSE_LEN, ToolPose, ToolSpec};
use color_eyre::eyre::{Result, bail, eyre};
use sim::{CubePlant, CubeScene, Domain, Hand, Presses, ScissorsDomain, ScissorsPlant, ScissorsScene, Sight};

/// The scene of a task that a robot can have.
#[derive(Clone, Debug)]
pub enum Scene {
    /// A hand with a cube.
    Cube {
        /// The scene.
        scene: Box<CubeScene>,
        /// What is rewarded.
        reward: CubeReward,
    },
    /// A hand on an arm, with scissors and tape.
    Scissors(Box<ScissorsScene>),
}

/// A simulated hand behind shafts, and the other ends of what is around it.
pub struct Staged {
    /// What turns behind the shafts.
    pub plant: Box<dyn Plant>,
    /// Pictures of the objects.
    pub sight: Sight,
    /// Buttons that somebody beside it presses.
    pub presses: Presses,
    /// The arm that carries it.
    pub arm: Option<EmulatedArm>,
}

/// What the tool of an arm is to a task.
#[derive(Clone, Debug)]
pub struct ToolUse {
    /// Its limits.
    pub spec: ToolSpec,
    /// Where it is when episodes begin.
    pub start: ToolPose,
    /// What the body has to tell besides poses.
    pub signals: Vec<String>,
}

impl Scene {
    /// That of `task`, and the limits of its commands.
    ///
    /// # Errors
    /// When the task is none for a robot, or its hand has no motors.
    pub fn of(task: &TaskChoice) -> Result<(Self, GovernorConfig)> {
        let (scene, governor) = match task {
            TaskChoice::Cube { hand, reward, governor } => {
                (Self::Cube { scene: Box::new(CubeScene::load(hand)?), reward: *reward }, *governor)
            }
            TaskChoice::Scissors { hand, governor } => {
                (Self::Scissors(Box::new(ScissorsScene::load(hand)?)), *governor)
            }
            _ => bail!(NO_ROBOT),
        };
        scene.motors()?;
        Ok((scene, governor))
    }

    /// Name of the hand of `task`.
    ///
    /// # Errors
    /// When the task is none for a robot.
    pub fn hand_of(task: &TaskChoice) -> Result<&str> {
        match task {
            TaskChoice::Cube { hand, .. } | TaskChoice::Scissors { hand, .. } => Ok(hand),
            _ => bail!(NO_ROBOT),
        }
    }

    /// The same with case and tape where the scene's named configurations have them, one after the other.
    #[must_use]
    pub fn for_evaluation(self) -> Self {
        match self {
            Self::Scissors(scene) => {
                let pinned = ScissorsScene::clone(&scene).pinned_to(scene.configurations());
                Self::Scissors(Box::new(pinned))
            }
            Self::Cube { .. } => self,
        }
    }

    /// The hand.
    #[must_use]
    pub fn hand(&self) -> &Hand {
        match self {
            Self::Cube { scene, .. } => scene.hand(),
            Self::Scissors(scene) => scene.hand(),
        }
    }

    /// The motors of the hand.
    ///
    /// # Errors
    /// When it has none.
    pub fn motors(&self) -> Result<&MotorTable> {
        let hand = self.hand();
        hand.motors.as_ref().ok_or_else(|| {
            eyre!(
                "hand {}: its description has no motors, so there is nothing to emulate or drive; `orca_v2` has",
                hand.name
            )
        })
    }

    /// Names of the objects.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        match self {
            Self::Cube { .. } => vec!["cube".into()],
            Self::Scissors(_) => ScissorsObject::ALL.map(|object| object.name().to_owned()).into(),
        }
    }

    /// The posture in which the hand holds nothing, rad.
    #[must_use]
    pub fn park_rad(&self) -> &[f32] {
        match self {
            Self::Cube { scene, .. } => &scene.start().open_rad,
            Self::Scissors(scene) => scene.released_rad(),
        }
    }

    /// The posture in which episodes begin, rad.
    #[must_use]
    pub fn start_rad(&self) -> Vec<f32> {
        match self {
            Self::Cube { scene, .. } => scene.start().holding_rad.clone(),
            Self::Scissors(scene) => scene.start_command().split_off(TOOL_POSE_LEN),
        }
    }

    /// What the task wants of an arm; none where the palm is fixed.
    #[must_use]
    pub fn tool(&self) -> Option<ToolUse> {
        let Self::Scissors(scene) = self else { return None };
        let start = scene.start_command().first_chunk().and_then(ToolPose::from_values)?;
        Some(ToolUse { spec: scene.parameters().wrist.tool, start, signals: vec![TAPE_CUT_SIGNAL.into()] })
    }

    /// Whether there is a domain called `domain`.
    ///
    /// # Errors
    /// When there is none; the error lists those that there are.
    pub fn check_domain(&self, domain: &str) -> Result<()> {
        match self {
            Self::Cube { .. } => Domain::load(domain).map(|_| ())?,
            Self::Scissors(_) => ScissorsDomain::load(domain).map(|_| ())?,
        }
        Ok(())
    }

    /// What stands for the real hand, in the domain called `domain`, with `sight_hz` pictures a second.
    ///
    /// # Errors
    /// When there is no such domain.
    pub fn stage(&self, domain: &str, seed: u64, sight_hz: u32) -> Result<Staged> {
        Ok(match self {
            Self::Cube { scene, .. } => {
                let plant = CubePlant::new(scene, Domain::load(domain)?, seed, sight_hz)?;
                let sight = plant.sight();
                Staged { plant: Box::new(plant), sight, presses: Presses::default(), arm: None }
            }
            Self::Scissors(scene) => {
                let plant = ScissorsPlant::new(scene, ScissorsDomain::load(domain)?, seed, sight_hz)?;
                let (sight, presses, arm) = (plant.sight(), plant.presses(), Some(plant.arm()));
                Staged { plant: Box::new(plant), sight, presses, arm }
            }
        })
    }
}

const NO_ROBOT: &str = "task: found a toy; the backends emulated and real have Cube and Scissors";
