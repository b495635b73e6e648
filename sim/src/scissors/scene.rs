//! The scissors scene as data: hand, wrist, scissors, case, tape, task, and the strategies that demonstrate it.

use super::body::{ScissorsStart, SimScissors};
use super::case::seat_height_m;
use super::domain::{Placement, ScissorsDomain};
use super::grip::{Grip, GripConfig};
use super::parameters::ScissorsParameters;
use super::script::{Cutter, Sizes};
use super::strategy::{Scatter, Strategy};
use crate::asset::{AssetError, SCENES};
use crate::collision::FingerContacts;
use crate::hand::Hand;
use bridge::number::{Finite, NonNegative, NumberError, Positive};
use bridge::random::Rng;
use bridge::{EnvironmentError, GovernorConfig, ScissorsTask, ScissorsTaskConfig, TaskEnvironment, ToolPose};
use rapier3d::glamx::DVec3;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Fingers that stay further from their places in the loops than this make a grip useless, m.
const MAX_MISS_M: f64 = 0.006;

/// The scissors task in simulation.
#[derive(Clone, Debug)]
pub struct ScissorsScene {
    name: String,
    hand: Arc<Hand>,
    start: Arc<ScissorsStart>,
    task: ScissorsTaskConfig,
    strategies: Vec<(Strategy, Arc<Grip>)>,
    configurations: Vec<Configuration>,
    fault_folder: Option<Arc<Path>>,
}

/// A named place of case and tape for evaluations: by how much they are moved from where they usually are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Name, e.g. `case_turned_left`.
    pub name: String,
    /// Of the case, along x and y, m.
    pub case_xy_m: [Finite; 2],
    /// Of the case's heading, rad.
    pub case_yaw_rad: Finite,
    /// Of the tape, m.
    pub tape_m: [Finite; 3],
    /// Of the tape's heading, rad.
    pub tape_yaw_rad: Finite,
}

impl Configuration {
    fn shift(&self) -> Placement {
        Placement {
            case_xy_m: self.case_xy_m.map(Finite::get),
            case_yaw_rad: self.case_yaw_rad.get(),
            tape_m: self.tape_m.map(Finite::get),
            tape_yaw_rad: self.tape_yaw_rad.get(),
        }
    }
}

/// See `assets/scenes/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneFile {
    hand: String,
    finger_contacts: FingerContacts,
    parameters: ScissorsParameters,
    /// Middle of the case and of the tape, frame of the table.
    case_xy_m: [Finite; 2],
    tape_m: [Finite; 3],
    /// How far behind the start of the first strategy's path the hand starts, along the path and upwards.
    start_back_m: NonNegative,
    start_up_m: NonNegative,
    /// Posture in which the hand lets go of everything, one value a joint; none that a strategy has for long.
    released_rad: Vec<Finite>,
    task: ScissorsTaskConfig,
    grips: Vec<GripConfig>,
    strategies: Vec<Strategy>,
    configurations: Vec<Configuration>,
}

impl ScissorsScene {
    /// Names of the hands that have a scissors scene.
    pub fn hands() -> impl Iterator<Item = &'static str> {
        Hand::with_scene("scissors").filter(|(_, hand)| !hand.is_mirrored).map(|(name, _)| name)
    }

    /// The scissors scene of the hand called `hand`, or of the one that it is a variant of.
    ///
    /// # Errors
    /// When there is none for that hand, it is a mirror image, or the scene's parts do not fit together.
    pub fn load(hand: &str) -> Result<Self, AssetError> {
        let hand = Hand::load(hand)?;
        if hand.is_mirrored {
            let reason = format!("the scissors are laid out for {}, expected a hand that is not mirrored", hand.family);
            return Err(AssetError::Inconsistent { source_name: format!("hand {}", hand.name), reason });
        }
        SCENES.load::<SceneFile>(&format!("scissors_{}", hand.family))?.resolve(hand)
    }

    /// Parses a scene called `name` from RON text.
    ///
    /// # Errors
    /// When the text is not a scene, or its parts do not fit together.
    pub fn parse(name: &str, text: &str) -> Result<Self, AssetError> {
        let file = bridge::config::parse::<SceneFile>(name, text)?;
        let hand = Hand::load(&file.hand)?;
        file.resolve(hand)
    }

    /// Name of the scene, e.g. `scissors_orca_v2`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hand.
    #[must_use]
    pub fn hand(&self) -> &Hand {
        &self.hand
    }

    /// Sizes, masses and strengths of everything around the hand.
    #[must_use]
    pub fn parameters(&self) -> &ScissorsParameters {
        &self.start.parameters
    }

    /// The strategies that demonstrate the task.
    pub fn strategies(&self) -> impl ExactSizeIterator<Item = &Strategy> {
        self.strategies.iter().map(|(strategy, _)| strategy)
    }

    /// The grips that the strategies use, in the same order.
    pub fn grips(&self) -> impl ExactSizeIterator<Item = &Grip> {
        self.strategies.iter().map(|(_, grip)| &**grip)
    }

    /// The places of case and tape for evaluations.
    #[must_use]
    pub fn configurations(&self) -> &[Configuration] {
        &self.configurations
    }

    /// The task that the scene poses.
    #[must_use]
    pub const fn task_config(&self) -> &ScissorsTaskConfig {
        &self.task
    }

    /// The command that the hand starts with: tool pose, then joints, rad.
    #[must_use]
    pub fn start_command(&self) -> Vec<f32> {
        self.start.tool.values().iter().chain(&self.start.posture_rad).copied().collect()
    }

    /// The posture in which the hand lets go of everything, rad.
    #[must_use]
    pub fn released_rad(&self) -> &[f32] {
        &self.start.released_rad
    }

    pub(crate) fn shared_hand(&self) -> Arc<Hand> {
        Arc::clone(&self.hand)
    }

    pub(crate) fn shared_start(&self) -> Arc<ScissorsStart> {
        Arc::clone(&self.start)
    }

    /// The same scene with case and tape where `configurations` have them, whatever the domain draws: the seed of an episode
    /// goes through them in turn.
    #[must_use]
    pub fn pinned_to(self, configurations: &[Configuration]) -> Self {
        self.with_pinned_shifts(configurations.iter().map(Configuration::shift).collect())
    }

    pub(crate) fn with_pinned_shifts(mut self, pinned_shifts: Vec<Placement>) -> Self {
        self.start = Arc::new(ScissorsStart { pinned_shifts, ..ScissorsStart::clone(&self.start) });
        self
    }

    /// The same scene with its strategies played as they are: without scatter and noise.
    ///
    /// # Errors
    /// Never: zero is a deviation.
    pub fn with_exact_strategies(mut self) -> Result<Self, NumberError> {
        for (strategy, _) in &mut self.strategies {
            strategy.scatter = Scatter::none()?;
            strategy.joint_noise_rad.clear();
            strategy.tool_noise_m = NonNegative::try_from(0.0)?;
        }
        Ok(self)
    }

    /// The same scene with episodes that are truncated after `horizon_s`.
    #[must_use]
    pub fn with_horizon(mut self, horizon_s: Positive) -> Self {
        self.task.horizon_s = horizon_s;
        self
    }

    /// The same scene with bodies that leave dumps of their faults in `folder`.
    #[must_use]
    pub fn with_fault_folder(mut self, folder: &Path) -> Self {
        self.fault_folder = Some(folder.into());
        self
    }

    /// The hand with scissors and tape, in `domain`.
    #[must_use]
    pub fn body(&self, domain: ScissorsDomain) -> SimScissors {
        SimScissors::new(Arc::clone(&self.hand), Arc::clone(&self.start), domain, self.fault_folder.clone())
    }

    /// The task on the body in `domain`, behind a governor.
    ///
    /// # Errors
    /// When the scene's control rate does not divide the servo rate.
    pub fn environment(
        &self,
        domain: ScissorsDomain,
        governor: GovernorConfig,
    ) -> Result<TaskEnvironment<SimScissors, ScissorsTask>, EnvironmentError> {
        let task = ScissorsTask::new(self.task.clone(), self.hand.n_joints());
        TaskEnvironment::new(self.body(domain), task, governor)
    }

    /// The demonstrator that plays strategy `which` for the `turn`-th time; none where there is no such strategy.
    #[must_use]
    pub fn cutter(&self, which: usize, turn: usize, rng: Rng) -> Option<Cutter> {
        let (strategy, grip) = self.strategies.get(which)?;
        let (shears, tape) = (&self.start.parameters.shears, &self.start.parameters.tape);
        let sizes = Sizes {
            blade_length_m: shears.blade_length_m.get(),
            loop_height_m: shears.loop_height_m.get(),
            tape_width_m: tape.width_m.get(),
        };
        let control_hz = f64::from(self.task.control_hz);
        Some(Cutter::new(strategy, Arc::clone(grip), sizes, control_hz, turn, self.hand.n_joints(), rng))
    }
}

impl SceneFile {
    fn resolve(self, hand: Hand) -> Result<ScissorsScene, AssetError> {
        let name = format!("scissors_{}", hand.name);
        let source_name = SCENES.source_name(&format!("scissors_{}", hand.family));
        let inconsistent = |reason| AssetError::Inconsistent { source_name: source_name.clone(), reason };
        if self.hand != hand.family {
            let (found, expected) = (&self.hand, &hand.family);
            return Err(inconsistent(format!("hand: found {found:?}, expected {expected:?}, whose scene this is")));
        }
        if self.parameters.tape.n_elements < 2 {
            let found = self.parameters.tape.n_elements;
            return Err(inconsistent(format!("tape.n_elements: found {found}, expected at least 2")));
        }
        let tool = &self.parameters.wrist.tool;
        // Written so that a number that is not finite fits nowhere.
        let is_box = tool.lower_m.iter().zip(&tool.upper_m).all(|(lower, upper)| (0.0..1e3).contains(&(upper - lower)));
        let limits = [tool.max_speed_m_s, tool.max_rate_rad_s, tool.max_error_m, tool.max_error_rad];
        if !is_box || !limits.iter().all(|&limit| limit > 0.0 && limit < 1e3) {
            return Err(inconsistent(format!(
                "parameters.wrist.tool: found {tool:?}, expected lower_m below upper_m and finite limits above 0"
            )));
        }
        let n_released = self.released_rad.len();
        let released_rad = hand.with_neutral_wrist(self.released_rad.iter().map(|q| q.get()));
        if released_rad.len() != hand.n_joints() {
            let expected = hand.n_joints() + n_released - released_rad.len();
            return Err(inconsistent(format!(
                "released_rad: found {n_released} values, expected {expected}, one for each joint of a finger"
            )));
        }
        let strategies = self.strategies.into_iter().map(|strategy| {
            let config = self.grips.iter().find(|grip| grip.name == strategy.grip).ok_or_else(|| {
                inconsistent(format!("strategy {}: there is no grip called `{}`", strategy.name, strategy.grip))
            })?;
            if strategy.strokes_m.is_empty() {
                return Err(inconsistent(format!("strategy {}: strokes_m: found none, expected one", strategy.name)));
            }
            let grip = Arc::new(Grip::new(&hand, config, strategy.entry_span_m.get())?);
            if grip.worst_miss_m() > MAX_MISS_M {
                let (name, found) = (&config.name, grip.worst_miss_m());
                return Err(inconsistent(format!(
                    "grip {name}: the fingers miss the loops by up to {found} m, expected at most {MAX_MISS_M} m"
                )));
            }
            Ok((strategy, grip))
        });
        let strategies = strategies.collect::<Result<Vec<_>, AssetError>>()?;
        let (first, grip) =
            strategies.first().ok_or_else(|| inconsistent("strategies: found none, expected one".into()))?;

        let shears = &self.parameters.shears;
        let case_xy_m = self.case_xy_m.map(Finite::get);
        let seat_m = f64::from(seat_height_m(&self.parameters.case, shears));
        let loops_m = DVec3::new(case_xy_m[0], case_xy_m[1], seat_m + shears.loop_height_m.get());
        let back_m = first.approach_m.get() + self.start_back_m.get();
        let position_m = loops_m + grip.position_m + DVec3::new(-back_m, 0.0, self.start_up_m.get());
        let mut posture_rad = vec![0.0; hand.n_joints()];
        grip.sliding_in(back_m, &mut posture_rad);
        let start = ScissorsStart {
            placement: Placement {
                case_xy_m,
                case_yaw_rad: 0.0,
                tape_m: self.tape_m.map(Finite::get),
                tape_yaw_rad: 0.0,
            },
            tool: ToolPose {
                position_m: position_m.to_array().map(|x| x as f32),
                orientation: grip.orientation.to_array().map(|x| x as f32),
            },
            posture_rad: posture_rad.iter().map(|&q| q as f32).collect(),
            released_rad: released_rad.iter().map(|&q| q as f32).collect(),
            parameters: self.parameters,
            finger_contacts: self.finger_contacts,
            pinned_shifts: Vec::new(),
        };
        Ok(ScissorsScene {
            name,
            hand: Arc::new(hand),
            start: Arc::new(start),
            task: self.task,
            strategies,
            configurations: self.configurations,
            fault_folder: None,
        })
    }
}
