//! Scenes as data: which hand, which cube, where, how it starts, and which gaits demonstrate it.

use crate::asset::{AssetError, GAITS, Library, SCENES};
use crate::collision::FingerContacts;
use crate::domain::Domain;
use crate::gait::Gait;
use crate::gait_table::GaitTable;
use crate::hand::Hand;
use crate::sim_hand::{SimHand, Start};
use crate::world::Cube;
use bridge::number::{Finite, NonNegative, NumberError, Positive};
use bridge::{CubeReward, CubeTask, CubeTaskConfig, EnvironmentError, GovernorConfig, TaskEnvironment, TurnDirection};
use rapier3d::glamx::DVec3;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The cube task in simulation.
#[derive(Clone, Debug)]
pub struct CubeScene {
    name: String,
    hand: Arc<Hand>,
    start: Arc<Start>,
    task: CubeTaskConfig,
    demonstrations: Vec<Demonstration>,
    fault_folder: Option<Arc<Path>>,
}

/// A gait that demonstrates the task, ready to be played.
#[derive(Clone, Debug)]
pub struct Demonstration {
    /// The gait.
    pub gait: Gait,
    /// How it is used.
    pub config: DemonstrationConfig,
}

/// How a gait is used for demonstrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemonstrationConfig {
    /// Name of the gait.
    pub gait: String,
    /// Its share of the episodes, relative to the other gaits'.
    pub share: Positive,
    /// Its period over the gait's own: 1 plays it at its own pace.
    pub slowdown: Positive,
    /// Scale of the random perturbation of its parameters; 0 plays it as it is.
    pub perturbation: NonNegative,
    /// Standard deviations of the noise on its actions, rad, which episodes take in turn.
    pub noise_rad: Vec<NonNegative>,
}

/// See `assets/scenes/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneFile {
    hand: String,
    finger_contacts: FingerContacts,
    cube: CubeFile,
    /// Gives the postures that the hand starts with.
    start_gait: String,
    direction: TurnDirection,
    control_hz: u32,
    horizon_s: Positive,
    drop_below_m: Positive,
    demonstrations: Vec<DemonstrationConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CubeFile {
    edge_m: Positive,
    mass_kg: Positive,
    /// Where it starts and belongs, hand frame.
    center_m: [Finite; 3],
    /// Heading that it starts with.
    yaw_rad: Finite,
}

impl CubeScene {
    /// Names of the hands that have a cube scene.
    pub fn hands() -> impl Iterator<Item = &'static str> {
        Hand::with_scene("cube").map(|(name, _)| name)
    }

    /// The cube scene of the hand called `hand`; or, of a hand in the file `FOLDER/HAND.ron`, that in `FOLDER/cube_HAND.ron`,
    /// with the gaits `FOLDER/GAIT.ron`. A variant of a hand has the scene of that one, and its gaits but for those that it has
    /// of its own, its mirror image in the mirror.
    ///
    /// # Errors
    /// When there is no such hand (the error lists those that there are), no scene for it, or a part of that is unknown.
    pub fn load(hand: &str) -> Result<Self, AssetError> {
        let (library, _) = Library::of(hand);
        let own = Hand::load(hand)?;
        library.load_scene::<SceneFile>(&format!("cube_{}", own.family), hand)?.resolve(own, &library)
    }

    /// Name of the scene, e.g. `cube_orca_v2`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hand.
    #[must_use]
    pub fn hand(&self) -> &Hand {
        &self.hand
    }

    pub(crate) fn shared_hand(&self) -> Arc<Hand> {
        Arc::clone(&self.hand)
    }

    pub(crate) fn shared_start(&self) -> Arc<Start> {
        Arc::clone(&self.start)
    }

    /// How episodes start.
    #[must_use]
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The gaits that demonstrate the task.
    #[must_use]
    pub fn demonstrations(&self) -> &[Demonstration] {
        &self.demonstrations
    }

    /// The same scene with other finger contacts.
    #[must_use]
    pub fn with_finger_contacts(mut self, finger_contacts: FingerContacts) -> Self {
        self.start = Arc::new(Start { finger_contacts, ..Start::clone(&self.start) });
        self
    }

    /// The same scene with its gaits played as they are: without perturbation and noise.
    ///
    /// # Errors
    /// Never: zero is a scale.
    pub fn with_exact_gaits(mut self) -> Result<Self, NumberError> {
        for demonstration in &mut self.demonstrations {
            demonstration.config.perturbation = NonNegative::try_from(0.0)?;
            demonstration.config.noise_rad.clear();
        }
        Ok(self)
    }

    /// The task that the scene poses.
    #[must_use]
    pub fn task_config(&self, reward: CubeReward) -> CubeTaskConfig {
        CubeTaskConfig { reward, ..self.task.clone() }
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

    /// The hand with the cube, in `domain`.
    #[must_use]
    pub fn body(&self, domain: Domain) -> SimHand {
        SimHand::new(Arc::clone(&self.hand), Arc::clone(&self.start), domain, self.fault_folder.clone())
    }

    /// The task on the hand in `domain`, behind a governor.
    ///
    /// # Errors
    /// When the scene's control rate does not divide the servo rate.
    pub fn environment(
        &self,
        domain: Domain,
        governor: GovernorConfig,
        reward: CubeReward,
    ) -> Result<TaskEnvironment<SimHand, CubeTask>, EnvironmentError> {
        let task = CubeTask::new(self.task_config(reward), self.hand.n_joints());
        TaskEnvironment::new(self.body(domain), task, governor)
    }
}

impl SceneFile {
    /// What the scene is in the mirror, where the hand is a mirror image.
    fn mirrored(self) -> Self {
        let [x, y, z] = self.cube.center_m;
        let cube = CubeFile { center_m: [x, -y, z], yaw_rad: -self.cube.yaw_rad, ..self.cube };
        Self { cube, direction: self.direction.reversed(), ..self }
    }

    fn resolve(self, hand: Hand, library: &Library) -> Result<CubeScene, AssetError> {
        let source_name = library.source_name(&SCENES, &format!("cube_{}", hand.family));
        if self.hand != hand.family {
            let (found, expected) = (self.hand, hand.family);
            let reason = format!("hand: found {found:?}, expected {expected:?}, whose scene this is by its name");
            return Err(AssetError::Inconsistent { source_name, reason });
        }
        let scene = if hand.is_mirrored { self.mirrored() } else { self };
        scene.set(hand, &source_name, library)
    }

    /// The scene with its hand and gaits.
    fn set(self, hand: Hand, source_name: &str, library: &Library) -> Result<CubeScene, AssetError> {
        let names = || self.demonstrations.iter().map(|config| &config.gait).chain([&self.start_gait]);
        if let Some(stray) = hand.gaits.keys().find(|&name| names().all(|known| known != name)) {
            let known: BTreeSet<&str> = names().map(String::as_str).collect();
            let reason =
                format!("gaits: found one in the place of {stray}, expected {known:?}, which {source_name} has");
            return Err(AssetError::Inconsistent { source_name: hand.address, reason });
        }
        let own_name = |name: String| hand.gaits.get(&name).cloned().unwrap_or(name);
        let load_gait = |name: &str| library.load::<Gait>(&GAITS, name);
        let postures = GaitTable::new(&hand, &load_gait(&own_name(self.start_gait))?)?;
        let start = Start {
            open_rad: postures.open_rad().to_vec(),
            holding_rad: postures.holding_rad().to_vec(),
            cube: Cube {
                edge_m: self.cube.edge_m.get(),
                mass_kg: self.cube.mass_kg.get(),
                center_m: DVec3::from_array(self.cube.center_m.map(Finite::get)),
                yaw_rad: self.cube.yaw_rad.get(),
            },
            finger_contacts: self.finger_contacts,
        };
        let task = CubeTaskConfig {
            nominal_center_m: self.cube.center_m,
            drop_below_m: self.drop_below_m,
            direction: self.direction,
            reward: CubeReward::Dense,
            control_hz: self.control_hz,
            horizon_s: self.horizon_s,
        };
        let demonstrations = self.demonstrations.into_iter().map(|config| {
            let config = DemonstrationConfig { gait: own_name(config.gait), ..config };
            let gait = load_gait(&config.gait)?.slowed_down(config.slowdown).map_err(|error| {
                let reason = format!("slowdown of {}: {error}", config.gait);
                AssetError::Inconsistent { source_name: source_name.to_owned(), reason }
            })?;
            // Refuses a gait that does not fit the hand now rather than when it is played.
            GaitTable::new(&hand, &gait)?;
            Ok(Demonstration { gait, config })
        });
        let demonstrations = demonstrations.collect::<Result<_, AssetError>>()?;
        let name = format!("cube_{}", Library::of(&hand.address).1);
        let (hand, start) = (Arc::new(hand), Arc::new(start));
        Ok(CubeScene { name, hand, start, task, demonstrations, fault_folder: None })
    }
}
