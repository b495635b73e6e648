//! Contract: the four stages on a small problem of known answer - they improve the policy, and refuse what is not a number.

mod line;

use bridge::number::NonNegative;
use bridge::random::stream;
use bridge::{EnvironmentSpec, Episode};
use learn::{ActionRange, Actor, Boundary, Checkpoint, LearnConfig, Policy, Stage, Trainer, Work, play_all};
use line::{
    CRITIC, FLOW, Line, REVERSE_KL, TestResult, bytes, config, config_of, demonstrations, make, mean_return, short,
    temperature, trainer,
};
use std::error::Error;

/// What a training came to.
struct Course {
    /// Mean returns of the policies of imitation, offline and online RL.
    returns: [f64; 3],
    /// KL to the imitation policy, step by step online, nats.
    kl: Vec<f64>,
    /// The policy at the end.
    policy: Policy,
}

fn train(config: LearnConfig, demonstrations: &[Episode]) -> Result<Course, Box<dyn Error>> {
    let mut trainer = Trainer::new(config, Line::new().spec, demonstrations, temperature()?, 3)?;
    let (mut imitation, mut offline, mut kl) = (f64::NAN, f64::NAN, Vec::new());
    loop {
        match trainer.work() {
            Work::Finished => break,
            Work::Collect { seeds, .. } => {
                let episodes = play_all(&make, trainer.acting()?, &seeds, 2, |_| ())?;
                trainer.accept(&episodes)?;
            }
            Work::Learn => {
                let report = trainer.learn()?;
                if report.stage == Stage::Online {
                    kl.extend(report.metrics.iter().filter(|(name, _)| *name == "kl_to_imitation").map(|(_, kl)| *kl));
                }
                if let Some(Boundary::Stage(Stage::Imitation)) = report.boundary {
                    imitation = mean_return(&trainer.imitation_policy()?)?;
                } else if let Some(Boundary::Stage(Stage::Offline)) = report.boundary {
                    offline = mean_return(&trainer.policy()?)?;
                }
            }
        }
    }
    let policy = trainer.policy()?;
    Ok(Course { returns: [imitation, offline, mean_return(&policy)?], kl, policy })
}

/// Contract: every stage does its part. Imitation returns what was demonstrated, offline and online RL return more, and
/// the reverse KL settles near its target.
#[test]
fn the_stages_improve_the_policy() -> TestResult {
    let demonstrations = demonstrations()?;
    let Course { returns: [imitation, offline, online], kl, .. } = train(config(REVERSE_KL)?, &demonstrations)?;
    let demonstrated = demonstrations.iter().map(|e| e.label.outcome.total_reward).sum::<f64>() / 40.0;
    assert!((imitation - demonstrated).abs() < 0.25, "demonstrated {demonstrated}, imitated {imitation}");
    assert!(offline > imitation + 0.1, "imitation {imitation}, offline {offline}");
    assert!(online > imitation + 0.15, "imitation {imitation}, online {online}");
    let settled = kl[kl.len() / 2..].iter().sum::<f64>() / (kl.len() / 2) as f64;
    let target = 0.3 * 4.0;
    assert!((0.4 * target..2.5 * target).contains(&settled), "KL {settled} nats, target {target}");
    Ok(())
}

/// Contract: plans made two steps ahead improve as others do. Their episodes begin with two steps of
/// the command of the start.
#[test]
fn plans_made_ahead_improve_too() -> TestResult {
    let demonstrations = demonstrations()?;
    let config = LearnConfig { lead: 2, ..config(REVERSE_KL)? };
    let Course { returns: [imitation, offline, online], policy, .. } = train(config, &demonstrations)?;
    assert!(offline > imitation + 0.1, "imitation {imitation}, offline {offline}");
    assert!(online > imitation + 0.15, "imitation {imitation}, online {online}");
    let episode = play_all(&make, &policy, &[5], 1, |_| ())?.remove(0);
    assert_eq!([episode.action_rad(0), episode.action_rad(1)], [[0.0], [0.0]]);
    assert!(episode.action_rad(2)[0].abs() > 0.0);
    Ok(())
}

/// Contract: token couplings and a transformer critic learn the same problem: imitation returns what was demonstrated, offline
/// RL more.
#[test]
fn tokens_learn_it_too() -> TestResult {
    let demonstrations = demonstrations()?;
    let policy =
        "Flow(n_blocks: 4, couplings: Token(width: 16, n_heads: 2, n_layers: 1, hidden: 32, n_observation_tokens: 2),
                       partition: Complementary, s_max: 2.0)";
    let critic =
        "ensemble: 3, net: Transformer(width: 16, n_heads: 2, n_layers: 1, hidden: 32, n_observation_tokens: 2),
         head: HlGauss, combine: Min, target_subset: Random(2), backup: Chunk, behavior_penalty: 0.0";
    let config = config_of(policy, critic, REVERSE_KL)?;
    let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3)?;
    let mut returns = Vec::new();
    while returns.len() < 2 {
        match trainer.learn()?.boundary {
            Some(Boundary::Stage(Stage::Imitation)) => returns.push(mean_return(&trainer.imitation_policy()?)?),
            Some(Boundary::Stage(Stage::Offline)) => returns.push(mean_return(&trainer.policy()?)?),
            _ => {}
        }
    }
    let demonstrated = demonstrations.iter().map(|e| e.label.outcome.total_reward).sum::<f64>() / 40.0;
    let [imitation, offline] = returns[..] else { return Err("two stages were to be evaluated".into()) };
    assert!((imitation - demonstrated).abs() < 0.25, "demonstrated {demonstrated}, imitated {imitation}");
    assert!(offline > imitation + 0.1, "imitation {imitation}, offline {offline}");
    Ok(())
}

/// Contract: the moving reference follows the actor in every step in which the actor is close enough to the imitation
/// policy, and in no other.
#[test]
fn the_moving_reference_keeps_its_distance() -> TestResult {
    let demonstrations = demonstrations()?;
    let mut n_moves = Vec::new();
    // An estimated KL may be negative, so that even the tightest bound lets some steps pass.
    for max_nats_per_dim in [1e-30, 1e3] {
        let objective = format!(
            "ReverseKl(target_nats_per_dim: 0.3, beta: 0.003, dual_rate: 0.0,
                       reference: Average(decay: 0.5, max_nats_per_dim: {max_nats_per_dim:?}))"
        );
        let config = LearnConfig { offline_steps: 20, ..short(config(&objective)?) };
        let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3)?;
        let anchor = |trainer: &Trainer| -> Result<Vec<u8>, Box<dyn Error>> {
            let file = bytes(trainer)?.into_iter().find(|(name, _)| name == "anchor.safetensors");
            Ok(file.ok_or("there is no moving reference")?.1)
        };
        let (mut before, mut moved) = (anchor(&trainer)?, 0);
        while matches!(trainer.work(), Work::Learn) {
            let report = trainer.learn()?;
            let after = anchor(&trainer)?;
            if report.stage == Stage::Offline {
                let of = |name: &str| report.metrics.iter().find(|(found, _)| *found == name).map(|(_, kl)| *kl);
                let kl_per_dim = of("kl_to_imitation").ok_or("no KL")? / 4.0;
                assert_eq!(after != before, kl_per_dim <= max_nats_per_dim, "{kl_per_dim} nats per dimension");
                assert!(of("kl_to_reference").is_some());
                moved += usize::from(after != before);
            }
            before = after;
        }
        n_moves.push(moved);
    }
    assert!(n_moves[0] < 20 && n_moves[1] == 20, "{n_moves:?}");
    Ok(())
}

/// Contract: targets lose in proportion to the penalty on unlike next chunks. An untrained critic values everything alike, so
/// that nothing else tells the targets of the first step apart.
#[test]
fn unlike_next_chunks_cost() -> TestResult {
    let demonstrations = demonstrations()?;
    let mut means = Vec::new();
    for penalty in [0.0, 0.1, 0.2] {
        let critic = CRITIC.replace("behavior_penalty: 0.0", &format!("behavior_penalty: {penalty:?}"));
        let config = short(config_of(FLOW, &critic, REVERSE_KL)?);
        let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3)?;
        let report = loop {
            let report = trainer.learn()?;
            if report.stage == Stage::Warmup {
                break report;
            }
        };
        let mean = report.metrics.iter().find(|(name, _)| *name == "target_mean").map(|(_, mean)| *mean);
        means.push(mean.ok_or("no targets")?);
    }
    let [plain, once, twice] = means[..] else { return Err("three penalties were to be tried".into()) };
    assert!(plain - once > 1e-3, "{means:?}");
    assert!((plain - twice - 2.0 * (plain - once)).abs() < 1e-5, "{means:?}");
    Ok(())
}

/// The state at the end of the warm-up, and another training that goes on from it.
fn after_warmup(before: LearnConfig, then: LearnConfig) -> Result<Trainer, Box<dyn Error>> {
    let (demonstrations, folder) = (demonstrations()?, tempfile::tempdir()?);
    let mut trainer = Trainer::new(before, Line::new().spec, &demonstrations, temperature()?, 3)?;
    while trainer.learn()?.boundary != Some(Boundary::Stage(Stage::Warmup)) {}
    trainer.save(folder.path())?;
    Ok(Trainer::resume(then, Line::new().spec, &demonstrations, &[], temperature()?, folder.path())?)
}

/// Contract: a target is that of the policy's own chunk that the critics like best of several. One is the plain target; and where
/// there is nothing to choose from, since all candidates are alike, several are no better than one.
#[test]
fn targets_may_be_of_the_best_of_several() -> TestResult {
    let target_mean = |n: usize, temperature: f64| -> Result<f64, Box<dyn Error>> {
        let critic = CRITIC.replace("backup", &format!("target_candidates: {n}, backup"));
        let acting = learn::Acting { n_candidates: 8, temperature: temperature.try_into()? };
        let then = LearnConfig { acting, ..config_of(FLOW, &critic, REVERSE_KL)? };
        let report = after_warmup(config(REVERSE_KL)?, then)?.learn()?;
        let mean = report.metrics.iter().find(|(name, _)| *name == "target_mean").map(|(_, mean)| *mean);
        Ok(mean.ok_or("no targets")?)
    };
    let [one, several] = [target_mean(1, 0.7)?, target_mean(8, 0.7)?];
    assert!(several > one + 0.01, "one {one}, the best of eight {several}");
    let [one, several] = [target_mean(1, 1e-6)?, target_mean(8, 1e-6)?];
    assert!((several - one).abs() < 1e-4, "one {one}, eight alike {several}");
    Ok(())
}

/// Contract: the noise of a deterministic policy explores and smooths targets; what the actor raises is the value of its mean, so
/// that under the same critic the noise changes no bit of it.
#[test]
fn noise_is_not_improved() -> TestResult {
    let config_with = |noise: f64| -> Result<LearnConfig, Box<dyn Error>> {
        let policy = format!("Deterministic(noise: {noise:?}, hidden: 8, n_layers: 1)");
        let config = short(config_of(&policy, CRITIC, "NormalizedDemoLikelihood(lambda: 1.0)")?);
        Ok(LearnConfig { warmup_steps: 50, critic_steps_per_actor_step: 0, ..config })
    };
    let improved = |noise: f64| -> Result<_, Box<dyn Error>> {
        let mut trainer = after_warmup(config_with(0.2)?, config_with(noise)?)?;
        let metrics = trainer.diagnose(Stage::Offline)?;
        assert!(metrics.iter().any(|&(name, norm)| name == "gradient_norm_value" && norm > 0.0), "{metrics:?}");
        while trainer.learn()?.boundary.is_none() {}
        Ok(bytes(&trainer)?.into_iter().find(|(name, _)| name == "actor.safetensors").ok_or("there is no actor")?)
    };
    assert!(improved(0.0)? == improved(0.5)?);
    Ok(())
}

/// Contract: the tuned weight of the entropy rises after every step that found the entropy of own actions below its target, and falls
/// after every other; a policy that is to have more entropy ends with more.
#[test]
fn the_entropy_is_drawn_to_its_target() -> TestResult {
    let demonstrations = demonstrations()?;
    let mut ends = Vec::new();
    for target in [-1.5, 0.5] {
        let objective = format!(
            "MaxEntropy(lambda: 0.0, entropy: 0.001, tuning: Some((target_nats_per_dim: {target:?}, dual_rate: 0.02)))"
        );
        let config = config_of("Gaussian(hidden: 32, n_layers: 2)", CRITIC, &objective)?;
        let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3)?;
        let mut steps = Vec::new();
        loop {
            let report = trainer.learn()?;
            if report.stage == Stage::Offline {
                let of = |name: &str| report.metrics.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
                let entropy = of("entropy_own").ok_or("no entropy")? / 4.0;
                steps.push((entropy, of("entropy_weight").ok_or("no weight")?));
            }
            if report.boundary == Some(Boundary::Stage(Stage::Offline)) {
                break;
            }
        }
        for step in steps.windows(2) {
            let [(entropy, weight), (_, next)] = step[..] else { continue };
            // Where it has come to an end of its range it stays.
            let moved =
                if next == weight { weight <= 1e-5 || weight >= 0.1 } else { (next > weight) == (entropy < target) };
            assert!(moved, "{entropy} nats per dimension, target {target}: weight {weight}, then {next}");
        }
        let last = &steps[steps.len() - 50..];
        ends.push(last.iter().map(|(entropy, _)| entropy).sum::<f64>() / last.len() as f64);
    }
    assert!(ends[1] > ends[0] + 0.2, "{ends:?}");
    Ok(())
}

/// Contract: a damaged checkpoint is refused with the file's name, whatever byte of it is hit or missing.
#[test]
fn a_damaged_checkpoint_is_refused() -> TestResult {
    let demonstrations = demonstrations()?;
    let folder = tempfile::tempdir()?;
    let checkpoint = Checkpoint::write(&trainer(REVERSE_KL, &demonstrations)?, folder.path())?;
    checkpoint.verify()?;
    for name in ["actor.safetensors", "actor_optimizer.safetensors", "trainer.ron", "policy/actor.safetensors"] {
        let path = checkpoint.path.join(name);
        let whole = std::fs::read(&path)?;
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        for damaged in [&flipped[..], &whole[..whole.len() - 1], &[]] {
            bridge::storage::write_atomic(&path, damaged)?;
            let error = checkpoint.verify().err().ok_or("damage was not seen")?.to_string();
            assert!(error.contains(name), "{error}");
        }
        std::fs::remove_file(&path)?;
        let error = checkpoint.verify().err().ok_or("a missing file was not seen")?.to_string();
        assert!(error.contains(name) && error.contains("missing"), "{error}");
        bridge::storage::write_atomic(&path, &whole)?;
        checkpoint.verify()?;
    }
    Ok(())
}

/// Contract: numbers that are not finite are refused by name, in demonstrations and in own episodes, and nothing is
/// learned from them.
#[test]
fn non_finite_numbers_are_refused() -> TestResult {
    type Spoil = fn(&mut Episode);
    let mut bad = demonstrations()?;
    bad[7].rewards[3] = f32::NAN;
    let error = trainer(REVERSE_KL, &bad).err().ok_or("NaN was accepted")?.to_string();
    assert!(error.contains("rewards[3]") && error.contains("NaN"), "{error}");

    let mut trainer = trainer(REVERSE_KL, &demonstrations()?)?;
    while trainer.work() == Work::Learn {
        trainer.learn()?;
    }
    let Work::Collect { seeds, .. } = trainer.work() else { return Err("no episodes are due".into()) };
    let episodes = play_all(&make, trainer.acting()?, &seeds, 2, |_| ())?;
    let before = bytes(&trainer)?;
    let spoil: [(&str, Spoil); 4] = [
        ("observations[1] is NaN", |episode| episode.observations[1] = f32::NAN),
        ("total_reward[0] is inf", |episode| episode.label.outcome.total_reward = f64::INFINITY),
        ("an observation has 3 values, expected 2", |episode| episode.label.observation_len = 3),
        ("observations has", |episode| episode.rewards.truncate(1)),
    ];
    for (expected, spoil) in spoil {
        let mut bad = episodes.clone();
        spoil(&mut bad[1]);
        let error = trainer.accept(&bad).err().ok_or(expected)?.to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(bytes(&trainer)?, before, "{expected}");
    }
    trainer.accept(&episodes)?;
    Ok(())
}

/// Contract: a policy is what it was after a round trip through its folder, and refuses an environment that it was not
/// made for.
#[test]
fn policies_survive_their_folder() -> TestResult {
    let trainer = trainer(REVERSE_KL, &demonstrations()?)?;
    let folder = tempfile::tempdir()?;
    let policy = trainer.imitation_policy()?;
    policy.save(folder.path())?;
    let loaded = Policy::load(folder.path())?;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    policy.plan(&[0.2, -0.4], &mut stream(1, "act", 0), &mut left)?;
    loaded.plan(&[0.2, -0.4], &mut stream(1, "act", 0), &mut right)?;
    assert_eq!(left, right);
    assert_eq!(left.len(), 4);
    let other = EnvironmentSpec { body: "another".into(), ..Line::new().spec };
    let error = loaded.check_fits(&other).err().ok_or("it was taken to fit")?.to_string();
    assert!(error.contains("point") && error.contains("another"), "{error}");
    Ok(())
}

/// One step from the origin with `action`.
fn step_with(action: f32) -> Episode {
    let mut episode = Episode::begin(&Line::new().spec, "", 0, &[0.0, 0.0]);
    episode.push(&[action], 0.0, &[0.0, 0.0]);
    episode.label.outcome.succeeded = true;
    episode
}

/// Contract: `exp(-NLL)` of single actions integrates to 1 over all raw actions, whether the demonstrated range or the limits
/// are normalized. Midpoint rule over 2000 cells; the clamp at |a| = 0.995 hides less than 1 %.
#[test]
fn the_density_of_raw_actions_integrates_to_one() -> TestResult {
    let demonstrations = demonstrations()?;
    for action_range in [ActionRange::Demonstrated, ActionRange::Limits] {
        let config = config_of("Gaussian(hidden: 8, n_layers: 1)", CRITIC, REVERSE_KL)?;
        let config = LearnConfig { chunk_len: 1, action_range, ..config };
        let trainer = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3)?;
        let policy = trainer.imitation_policy()?;
        // Both ranges end well within one unit.
        let width = 2.0 / 2000.0;
        let mut mass = 0.0;
        for cell in 0..2000 {
            let action = -1.0 + width * (f64::from(cell) + 0.5);
            let mut normalized = Vec::new();
            policy.header().normalizer.action(&[action as f32], &mut normalized);
            if normalized[0].abs() < 0.995 {
                let nll = policy.demonstration_nll(&[step_with(action as f32)], NonNegative::try_from(0.0)?, 1)?;
                mass += (-nll.ok_or("a Gaussian has a density")?).exp() * width;
            }
        }
        assert!((0.98..1.01).contains(&mass), "{action_range:?}: {mass}");
    }
    Ok(())
}

/// Contract: a policy without a density has no likelihood, and nothing successful is an error.
#[test]
fn what_is_not_there_is_not_measured() -> TestResult {
    let demonstrations = demonstrations()?;
    let nll = |policy: &str, episodes: &[Episode]| {
        let config = config_of(policy, CRITIC, "Imitation")?;
        let trainer = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3)?;
        Ok::<_, Box<dyn Error>>(trainer.imitation_policy()?.demonstration_nll(
            episodes,
            NonNegative::try_from(0.03)?,
            1,
        )?)
    };
    assert_eq!(nll("Deterministic(noise: 0.2, hidden: 8, n_layers: 1)", &demonstrations)?, None);
    let mut failed = demonstrations[0].clone();
    failed.label.outcome.succeeded = false;
    assert!(nll("Gaussian(hidden: 8, n_layers: 1)", &[failed]).is_err());
    assert!(nll("Gaussian(hidden: 8, n_layers: 1)", &demonstrations)?.is_some());
    Ok(())
}
