//! Scripted demonstrations: perturbed gaits with noisy actions, recorded through the same environment as a policy.
//!
//! Noise follows an Ornstein-Uhlenbeck process, x <- 0.8 x + 0.6 e with e ~ N(0, 1) at the control rate: it stays for a
//! few actions, so that demonstrations leave the gait's own path and show the way back.

use crate::asset::AssetError;
use crate::domain::Domain;
use crate::gait::{FingerGait, Gait};
use crate::gait_table::GaitTable;
use crate::scene::CubeScene;
use crate::schedule::schedule;
use bridge::number::{Finite, NumberError, Positive, UnitInterval};
use bridge::parallel;
use bridge::random::{Rng, stream};
use bridge::{CubeReward, Environment, EnvironmentError, Episode, GovernorConfig};
use rand::{Rng as _, RngCore};
use rand_distr::StandardNormal;
use thiserror::Error;

/// What an action's noise keeps of the one before, and what it adds.
const NOISE_KEPT: f64 = 0.8;
const NOISE_ADDED: f64 = 0.6;

/// Demonstrations could not be collected.
#[derive(Debug, Error)]
pub enum DemonstrationError {
    /// The scene has nothing to play.
    #[error("scene {scene}: demonstrations: found none, expected at least one gait or strategy")]
    NoGaits {
        /// Name of the scene.
        scene: String,
    },
    /// A gait or grip that was varied left what its fields allow.
    #[error("a gait or grip that was varied is not one any more: {0}")]
    Perturbation(#[from] NumberError),
    /// A gait does not fit the hand.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// The environment failed.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
}

/// Plays a gait: one action a control step.
#[derive(Clone, Debug)]
pub struct Demonstrator {
    table: GaitTable,
    holding_rad: Vec<f32>,
    phase: f64,
    noise_rad: f64,
    noise: Vec<f64>,
    control_hz: f64,
    step: u32,
    rng: Rng,
}

impl Demonstrator {
    /// Plays `gait` in `scene` from a random phase on, with noise of deviation `noise_rad` on its actions.
    ///
    /// # Errors
    /// When the gait does not fit the scene's hand.
    pub fn new(scene: &CubeScene, gait: &Gait, noise_rad: f64, mut rng: Rng) -> Result<Self, AssetError> {
        let table = GaitTable::new(scene.hand(), gait)?;
        let holding_rad = scene.start().holding_rad.clone();
        let phase = rng.random_range(0.0..1.0);
        let control_hz = f64::from(scene.task_config(CubeReward::Dense).control_hz);
        let noise = vec![0.0; holding_rad.len()];
        Ok(Self { table, holding_rad, phase, noise_rad, noise, control_hz, step: 0, rng })
    }

    /// Writes the next action, rad.
    pub fn act(&mut self, action_rad: &mut [f32]) {
        self.step += 1;
        self.table.target_from(&self.holding_rad, f64::from(self.step) / self.control_hz, self.phase, action_rad);
        for (action, noise) in action_rad.iter_mut().zip(&mut self.noise) {
            *noise = NOISE_KEPT * *noise + NOISE_ADDED * self.rng.sample::<f64, _>(StandardNormal);
            *action += (self.noise_rad * *noise) as f32;
        }
    }
}

/// The seeds of the `n_episodes` episodes that are recorded with `seed`.
#[must_use]
pub fn demonstration_seeds(n_episodes: usize, seed: u64) -> Vec<u64> {
    (0..n_episodes as u64).map(|index| stream(seed, "demonstration", index).next_u64()).collect()
}

/// Records a demonstration of `scene` in `domain` for every one of `episode_seeds`, rewarded with `reward` and labelled with its gait.
/// Failures are kept; [`Episode::survived`] tells.
///
/// Episode i depends on its seed, on `seed`, by which its gait is perturbed, and on i alone, not on `n_threads`.
///
/// # Errors
/// When the scene has no gaits, or the environment fails.
pub fn collect(
    scene: &CubeScene,
    domain: &Domain,
    governor: GovernorConfig,
    reward: CubeReward,
    episode_seeds: &[u64],
    seed: u64,
    n_threads: usize,
) -> Result<Vec<Episode>, DemonstrationError> {
    let shares: Vec<f64> =
        scene.demonstrations().iter().map(|demonstration| demonstration.config.share.get()).collect();
    let schedule = schedule(&shares, episode_seeds.len());
    let play = |index: usize| {
        let no_gaits = || DemonstrationError::NoGaits { scene: scene.name().to_owned() };
        let &(which, turn) = schedule.get(index).ok_or_else(no_gaits)?;
        let demonstration = &scene.demonstrations()[which];
        let config = &demonstration.config;
        let mut rng = perturbations(seed, index);
        let gait = perturb(&demonstration.gait, config.perturbation.get(), &mut rng)?;
        let noise_rad = config.noise_rad.get(turn % config.noise_rad.len().max(1)).map_or(0.0, |noise| noise.get());
        let mut demonstrator = Demonstrator::new(scene, &gait, noise_rad, rng)?;
        let mut environment = scene.environment(domain.clone(), governor, reward)?;
        record(&mut environment, &mut demonstrator, &config.gait, episode_seeds[index])
    };
    parallel::run(episode_seeds.len(), n_threads, play, |_| ())
}

/// What a demonstration is perturbed by.
pub(crate) fn perturbations(seed: u64, index: usize) -> Rng {
    let mut rng = stream(seed, "demonstration", index as u64);
    // The first number of the stream is the seed of a recorded episode.
    rng.next_u64();
    rng
}

/// Plays one episode to its end.
fn record(
    environment: &mut impl Environment,
    demonstrator: &mut Demonstrator,
    gait: &str,
    seed: u64,
) -> Result<Episode, DemonstrationError> {
    let mut observation = vec![0.0; environment.spec().observation_len];
    let mut action_rad = vec![0.0; environment.spec().action_len];
    environment.reset(seed, &mut observation)?;
    let mut episode = Episode::begin(environment.spec(), gait, seed, &observation);
    loop {
        demonstrator.act(&mut action_rad);
        let step = environment.step(&action_rad, &mut observation)?;
        episode.push(environment.applied_rad(), step.reward, &observation);
        if step.terminated || step.truncated {
            episode.finish(environment.outcome());
            return Ok(episode);
        }
    }
}

/// A gait near `gait`: normal perturbations with the deviations below, times `scale`.
///
/// # Errors
/// When a parameter leaves what it may be, which takes scales far above 1.
pub fn perturb(gait: &Gait, scale: f64, rng: &mut Rng) -> Result<Gait, NumberError> {
    let mut normal = |deviation: f64| scale * deviation * rng.sample::<f64, _>(StandardNormal);
    let mut added = |to: Finite, deviation: f64| Finite::try_from(to.get() + normal(deviation));
    let period = added(Finite::try_from(1.0)?, 0.087)?.get().max(0.5);
    let stroke = added(Finite::try_from(1.0)?, 0.077)?.get();
    let duty = added(Finite::try_from(gait.duty.get())?, 0.02)?.get();
    let squeeze_m = added(gait.squeeze_m, 0.0007)?;
    let lift_m = added(gait.lift_m, 0.0012)?;
    let all_height_m = added(Finite::try_from(0.0)?, 0.0008)?.get();
    let vertical_stroke_m = added(gait.vertical_stroke_m, 0.0003)?;
    let fingers = gait.fingers.iter().map(|finger| {
        Ok(FingerGait {
            phase: added(finger.phase, 0.03)?,
            angle_rad: added(finger.angle_rad, 0.03)?,
            squeeze_m: added(finger.squeeze_m, 0.0006)?,
            height_m: Finite::try_from(added(finger.height_m, 0.0008)?.get() + all_height_m)?,
            stroke_scale: finger.stroke_scale,
        })
    });
    let fingers = fingers.collect::<Result<Vec<_>, NumberError>>()?;
    Ok(Gait {
        period_s: Positive::try_from(gait.period_s.get() * period)?,
        duty: UnitInterval::try_from(duty.clamp(0.5, 0.9))?,
        stroke_rad: Finite::try_from(gait.stroke_rad.get() * stroke)?,
        squeeze_m,
        lift_m,
        vertical_stroke_m,
        fingers,
        ..gait.clone()
    })
}
