//! Finds gaits by the cross-entropy method: sample a population of gaits, play them, fit mean and deviation to the best,
//! repeat; the last mean is the result.
//!
//! Contacts are chaotic: a gait that does well in one episode may drop the cube in the next. So every generation plays
//! new episodes, and no gait is kept because it was best once.
//!
//! A gait's score is what a demonstrator needs: per episode 40 w - tilt - 100 offset - 200 |rise|, with w the mean
//! turning rate in the wanted direction (rad/s), tilt in rad, mean offset and final rise of the cube in m; or, if the
//! cube was dropped after t seconds, t - 20 + 10 w. With a weight of 10 instead of 40, searches that start from a gait
//! that hardly turns end in one that only holds. A rate above [`SearchOptions::enough_rad_s`] earns nothing more:
//! without that, searches trade steadiness for speed to the end.

use crate::demonstrator::{DemonstrationError, Demonstrator};
use crate::domain::Domain;
use crate::gait::{FingerGait, Gait};
use crate::gait_table::GaitTable;
use crate::scene::CubeScene;
use bridge::number::{Finite, NonNegative, NumberError, Positive, UnitInterval};
use bridge::parallel;
use bridge::random::stream;
use bridge::{CubeReward, Environment, GovernorConfig, SIM_FAULT_SCALAR};
use rand::{Rng as _, RngCore};
use rand_distr::StandardNormal;
use std::f64::consts::TAU;
use std::num::NonZeroUsize;

/// Score of a turning rate, per rad/s, in an episode that keeps the cube and in one that drops it.
const RATE_WEIGHT: f64 = 40.0;
const DROPPED_RATE_WEIGHT: f64 = 10.0;
/// Score of a gait that the physics could not bear: worse than any that drops the cube at once.
const FAULT_SCORE: f64 = -100.0;

/// How long and how widely to search.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// Generations.
    pub n_generations: usize,
    /// Gaits in a generation, the mean of those before among them; the first one has three times as many.
    pub population: NonZeroUsize,
    /// Share of the best, which the next generation is drawn around.
    pub elite_share: UnitInterval,
    /// Episodes that a gait plays; it is judged by their mean, and out after the first that drops the cube.
    pub n_episodes: NonZeroUsize,
    /// Length of an episode, s. Gaits that creep need 20 s to show it.
    pub episode_s: Positive,
    /// The turning rate that is fast enough, rad/s; from there on only steadiness counts.
    pub enough_rad_s: Positive,
    /// Width of the first generation over [`Gait`]-wide default deviations: 1 to explore, 0.2 to refine.
    pub spread: Positive,
    /// Deviation of the noise on actions, rad: gaits that survive it make demonstrators.
    pub noise_rad: NonNegative,
    /// Where the gait is to work.
    pub domain: Domain,
    /// Its limits.
    pub governor: GovernorConfig,
    /// Same seed, same gait.
    pub seed: u64,
    /// Threads; the result does not depend on them.
    pub n_threads: usize,
}

/// How far a search is.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchProgress {
    /// Generation that was played, from 0.
    pub generation: usize,
    /// The mean that the generation was drawn around.
    pub mean: GaitScore,
    /// The best of the generation.
    pub best: GaitScore,
    /// Median score of the generation.
    pub median: f64,
    /// Share of the generation that never dropped the cube.
    pub survived: f64,
}

/// How well a gait did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaitScore {
    /// The score, see the module's head.
    pub score: f64,
    /// Turning rate in the wanted direction, mean over the episodes, rad/s.
    pub rate_rad_s: f64,
    /// Time until the cube was dropped or the episode ended, mean, s.
    pub seconds: f64,
    /// No episode dropped the cube.
    pub survived: bool,
}

/// Searches near `start` for a gait that turns the scene's cube; calls `report` after every generation with the
/// new mean.
///
/// The cube starts where the scene says, so gaits that are found fit the scene's demonstrations.
///
/// # Errors
/// When `start` does not fit the scene, or the environment fails.
pub fn search_gait(
    scene: &CubeScene,
    start: &Gait,
    options: &SearchOptions,
    mut report: impl FnMut(&SearchProgress, &Gait),
) -> Result<Gait, DemonstrationError> {
    let scene = scene.clone().with_horizon(options.episode_s);
    let widths: Vec<f64> = deviations(start).iter().map(|width| width * options.spread.get()).collect();
    let mut mean = to_vector(start);
    let mut deviation = widths.clone();
    let sign = stroke_sign(&scene, start);
    let gait_of = |vector: &[f64]| from_vector(start, sign, vector);
    for generation in 0..options.n_generations {
        let n_gaits = if generation == 0 { 3 * options.population.get() } else { options.population.get() };
        let mut rng = stream(options.seed, "gait search", generation as u64);
        let mut gaits: Vec<Vec<f64>> = (0..n_gaits)
            .map(|_| mean.iter().zip(&deviation).map(|(m, d)| m + d * rng.sample::<f64, _>(StandardNormal)).collect())
            .collect();
        gaits[0].clone_from(&mean);

        let play_one = |index: usize| play(&scene, &gait_of(&gaits[index])?, options, generation);
        let scores = parallel::run(n_gaits, options.n_threads, play_one, |_| ())?;
        let mut order: Vec<usize> = (0..n_gaits).collect();
        order.sort_by(|&a, &b| scores[b].score.total_cmp(&scores[a].score));

        let n_elite = ((n_gaits as f64 * options.elite_share.get()) as usize).clamp(2.min(n_gaits), n_gaits);
        refit(&mut mean, &mut deviation, &widths, &order[..n_elite], &gaits);
        let progress = SearchProgress {
            generation,
            mean: scores[0],
            best: scores[order[0]],
            median: scores[order[n_gaits / 2]].score,
            survived: scores.iter().filter(|score| score.survived).count() as f64 / n_gaits as f64,
        };
        report(&progress, &gait_of(&mean)?);
    }
    Ok(gait_of(&mean)?)
}

/// The sign of the strokes that are searched: that of `start`, or, where it only holds the cube, that which turns it as the scene wants.
fn stroke_sign(scene: &CubeScene, start: &Gait) -> f64 {
    let stroke_rad = start.stroke_rad.get();
    let wanted = scene.task_config(CubeReward::Dense).direction.sign();
    match stroke_rad {
        0.0 if GaitTable::plays_mirrored(scene.hand(), start) => -wanted,
        0.0 => wanted,
        _ => stroke_rad.signum(),
    }
}

/// Plays `gait` in the episodes of `generation` and scores it.
fn play(
    scene: &CubeScene,
    gait: &Gait,
    options: &SearchOptions,
    generation: usize,
) -> Result<GaitScore, DemonstrationError> {
    let mut environment = scene.environment(options.domain.clone(), options.governor, CubeReward::Dense)?;
    let mut observation = vec![0.0; environment.spec().observation_len];
    let mut action_rad = vec![0.0; environment.spec().action_len];
    let (mut score_sum, mut rate_sum, mut seconds_sum) = (0.0, 0.0, 0.0);
    let n_episodes = options.n_episodes.get();
    for index in 0..n_episodes {
        let mut rng = stream(options.seed, "gait search episode", (generation * n_episodes + index) as u64);
        environment.reset(rng.next_u64(), &mut observation)?;
        let mut demonstrator = Demonstrator::new(scene, gait, options.noise_rad.get(), rng)?;
        loop {
            demonstrator.act(&mut action_rad);
            let step = environment.step(&action_rad, &mut observation)?;
            if step.terminated || step.truncated {
                break;
            }
        }
        let outcome = environment.outcome();
        if outcome.scalar(SIM_FAULT_SCALAR).is_some() {
            return Ok(GaitScore { score: FAULT_SCORE, rate_rad_s: 0.0, seconds: outcome.seconds, survived: false });
        }
        let rate_rad_s = outcome.turns * TAU / outcome.seconds.max(2.0);
        // What a dropped episode is worth, the ones that are not played any more are worth too.
        let weight = if outcome.terminated { (n_episodes - index) as f64 } else { 1.0 };
        rate_sum += weight * rate_rad_s;
        seconds_sum += weight * outcome.seconds;
        if outcome.terminated {
            score_sum += weight * (outcome.seconds - 20.0 + DROPPED_RATE_WEIGHT * rate_rad_s);
            break;
        }
        let height_m = f64::from(environment.governor().body().cube_pose().position_m[2]);
        let rise_m = (height_m - scene.start().cube.center_m.z).abs();
        let rate_score = RATE_WEIGHT * rate_rad_s.min(options.enough_rad_s.get());
        score_sum += rate_score - outcome.tilt_rad - 100.0 * outcome.offset_m - 200.0 * rise_m;
    }
    let n = n_episodes as f64;
    let survived = !environment.outcome().terminated;
    Ok(GaitScore { score: score_sum / n, rate_rad_s: rate_sum / n, seconds: seconds_sum / n, survived })
}

/// Moves mean and deviation to those of the elite. The deviation lags and never vanishes, or the search would stop early.
fn refit(mean: &mut [f64], deviation: &mut [f64], widths: &[f64], elite: &[usize], gaits: &[Vec<f64>]) {
    const FLOOR: f64 = 0.06;
    const KEPT: f64 = 0.3;
    let n = elite.len() as f64;
    for parameter in 0..mean.len() {
        let values = || elite.iter().map(|&gait| gaits[gait][parameter]);
        let average = values().sum::<f64>() / n;
        let spread = (values().map(|x| (x - average).powi(2)).sum::<f64>() / n).sqrt();
        mean[parameter] = average;
        let wanted = spread.max(FLOOR * widths[parameter]);
        deviation[parameter] = (1.0 - KEPT) * wanted + KEPT * deviation[parameter];
    }
}

/// Default deviations of the first generation, in the order of [`to_vector`].
fn deviations(gait: &Gait) -> Vec<f64> {
    let mut deviations = vec![0.3, 0.07, 0.15, 0.003, 0.004, 0.006, 0.005, 0.005, 0.002];
    deviations.extend(gait.fingers.iter().flat_map(|_| [0.15, 0.2, 0.002, 0.005, 0.2]));
    deviations
}

fn to_vector(gait: &Gait) -> Vec<f64> {
    let [x, y, z] = gait.center_m.map(Finite::get);
    let (period, duty) = (gait.period_s.get(), gait.duty.get());
    let [stroke, squeeze, lift, vertical] =
        [gait.stroke_rad, gait.squeeze_m, gait.lift_m, gait.vertical_stroke_m].map(Finite::get);
    let mut vector = vec![period, duty, stroke, squeeze, lift, x, y, z, vertical];
    vector.extend(gait.fingers.iter().flat_map(|finger| {
        [finger.phase, finger.angle_rad, finger.squeeze_m, finger.height_m, finger.stroke_scale].map(Finite::get)
    }));
    vector
}

/// The inverse of [`to_vector`], held to what makes sense; the stroke has that `sign`.
fn from_vector(start: &Gait, sign: f64, vector: &[f64]) -> Result<Gait, NumberError> {
    let (shared, own) = vector.split_at(9);
    let fingers = own.chunks_exact(5).map(|own| {
        Ok(FingerGait {
            phase: Finite::try_from(own[0])?,
            angle_rad: Finite::try_from(own[1])?,
            squeeze_m: Finite::try_from(own[2])?,
            height_m: Finite::try_from(own[3])?,
            stroke_scale: Finite::try_from(own[4].clamp(0.0, 1.6))?,
        })
    });
    Ok(Gait {
        period_s: Positive::try_from(shared[0].clamp(0.4, 3.0))?,
        duty: UnitInterval::try_from(shared[1].clamp(0.5, 0.9))?,
        stroke_rad: Finite::try_from((shared[2] * sign).clamp(0.05, 1.2) * sign)?,
        squeeze_m: Finite::try_from(shared[3].clamp(0.001, 0.02))?,
        lift_m: Finite::try_from(shared[4].clamp(0.003, 0.025))?,
        center_m: [Finite::try_from(shared[5])?, Finite::try_from(shared[6])?, Finite::try_from(shared[7])?],
        vertical_stroke_m: Finite::try_from(shared[8])?,
        fingers: fingers.collect::<Result<_, NumberError>>()?,
        ..start.clone()
    })
}
