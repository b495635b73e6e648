//! Contracts of what the online stage can be given besides: candidates of the imitation policy, a share of successes, a ramp.

mod line;

use bridge::number::UnitInterval;
use bridge::random::stream;
use bridge::{Episode, EpisodeLabel};
use candle_core::{Device, Tensor};
use learn::layers::Track;
use learn::squash::{action_log_prob, squash};
use learn::{
    Acting, Actor, Choice, Gate, ImitationConfig, LearnConfig, OnlineConfig, Policy, Stage, Trainer, Work, play_all,
};
use line::{
    CRITIC, Line, REVERSE_KL, TestResult, assert_same, bytes, config, config_of, demonstrations, make, mean_return,
    run, temperature,
};
use std::error::Error;

fn short(online: impl FnOnce(OnlineConfig) -> OnlineConfig) -> Result<LearnConfig, Box<dyn Error>> {
    let config = config(REVERSE_KL)?;
    let imitation = ImitationConfig { steps: 60, ..config.imitation };
    let few = OnlineConfig { iterations: 1, critic_first_steps: 2, steps_per_iteration: 20, ..config.online };
    Ok(LearnConfig { imitation, warmup_steps: 30, offline_steps: 30, online: online(few), ..config })
}

fn trained(config: LearnConfig) -> Result<Trainer, Box<dyn Error>> {
    run(Trainer::new(config, Line::new().spec, &demonstrations()?, temperature()?, 3)?, |trainer, _| Ok(trainer))
}

/// Contract: the candidates of the imitation policy stand beside the actor's, the critic's favourite of all is carried out, by
/// the policy that was saved as by the one that was not, and deliberating aloud tells the same decision; one candidate is
/// carried out without asking.
#[test]
fn the_imitation_policy_offers_candidates() -> TestResult {
    const N: usize = 8;
    let trainer = trained(short(|online| OnlineConfig { frozen_candidates: N, ..online })?)?;
    let (policy, frozen) = (trainer.policy()?, trainer.imitation_policy()?);
    let folder = tempfile::tempdir()?;
    policy.save(folder.path())?;
    let loaded = Policy::load(folder.path())?;
    let normalizer = &policy.header().normalizer;
    let mut n_frozen_won = 0;
    for seed in 0..40 {
        let raw = [0.05 * seed as f32 - 1.0, 0.3];
        let mut observation = Vec::new();
        normalizer.observation(&raw, &mut observation);
        let observation = Tensor::from_vec(observation, (1, 2), &Device::Cpu)?;
        let mut rng = stream(seed, "act", 0);
        let (mut candidates, mut unsquashed) = (Vec::new(), Vec::new());
        for net in [policy.net(), frozen.net()] {
            let noise = Tensor::from_vec(net.base_noise(N, 0.7, &mut rng), (N, net.noise_len()), &Device::Cpu)?;
            unsquashed.push(net.sample(&net.embed(&observation, Track::Frozen)?, &noise, Track::Frozen)?.u);
            candidates.push(squash(&unsquashed[unsquashed.len() - 1])?);
        }
        let candidates = Tensor::cat(&candidates, 0)?;
        let values = policy.critic().value(&observation, &candidates, Track::Frozen)?.to_vec1::<f32>()?;
        let best = (0..2 * N).max_by(|&a, &b| values[a].total_cmp(&values[b])).ok_or("no candidate")?;
        n_frozen_won += usize::from(best >= N);
        let mut expected = Vec::new();
        for action in candidates.get(best)?.to_vec1::<f32>()?.chunks_exact(1) {
            normalizer.action_rad(action, &mut expected);
        }
        for policy in [&policy, &loaded] {
            let mut found = Vec::new();
            policy.plan(&raw, &mut stream(seed, "act", 0), &mut found)?;
            assert_eq!(found, expected, "seed {seed}");
        }
        let told = loaded.deliberate(&raw, &mut stream(seed, "act", 0))?;
        assert_eq!(
            (told.candidates_rad.len(), &told.candidates_rad[told.chosen_idx]),
            (2 * N, &expected),
            "seed {seed}"
        );
        assert_eq!(told.values, values, "seed {seed}");
        // Per value of a chunk of four raw actions, also of a candidate that the imitation policy has offered.
        let u = Tensor::cat(&unsquashed, 0)?.narrow(0, best, 1)?;
        let embedding = policy.net().embed(&observation, Track::Frozen)?;
        let log_prob = action_log_prob(&policy.net().log_prob(&embedding, &u, Track::Frozen)?, &u)?.to_vec1::<f32>()?;
        let expected = f64::from(log_prob[0]) / 4.0 + normalizer.action_log_det();
        let found = told.log_likelihood_per_value.ok_or("a flow has a density")?;
        assert!((found - expected).abs() < 1e-6, "seed {seed}: {found} nats, expected {expected} nats");
    }
    assert!((1..40).contains(&n_frozen_won), "{n_frozen_won} of 40");

    let plan = |policy: &Policy| {
        let mut chunk = Vec::new();
        policy.plan(&[0.2, -0.4], &mut stream(1, "act", 0), &mut chunk).map(|()| chunk)
    };
    let one = Acting::from(temperature()?);
    let without = trained(short(|online| online)?)?.policy()?;
    assert_eq!(without.header().choice, Choice::Value);
    let alone = Policy::load(folder.path())?.acting(one);
    let mut own = Vec::new();
    let noise = Tensor::from_vec(alone.net().base_noise(1, 0.7, &mut stream(1, "act", 0)), (1, 4), &Device::Cpu)?;
    let mut observation = Vec::new();
    normalizer.observation(&[0.2, -0.4], &mut observation);
    let observation = Tensor::from_vec(observation, (1, 2), &Device::Cpu)?;
    let embedding = alone.net().embed(&observation, Track::Frozen)?;
    for action in squash(&alone.net().sample(&embedding, &noise, Track::Frozen)?.u)?.get(0)?.to_vec1::<f32>()?.chunks(1)
    {
        normalizer.action_rad(action, &mut own);
    }
    assert_eq!(plan(&alone)?, own);
    Ok(())
}

/// Contract: what a body plays ahead is what is asked for next. Episodes tell of the policy that played them, and one in which two
/// acted of neither; a challenger that has not played yet goes on.
#[test]
fn episodes_tell_of_who_played_them() -> TestResult {
    let config = short(|online| OnlineConfig { iterations: 3, ..online })?;
    let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations()?, temperature()?, 3)?;
    let mean = |of: &[Episode]| of.iter().map(|it| it.label.outcome.total_reward).sum::<f64>() / of.len() as f64;
    let until_collect = |trainer: &mut Trainer, ahead: Option<Vec<u64>>| loop {
        match trainer.work() {
            Work::Learn => {
                let expected = if ahead.is_some() { ahead.clone() } else { trainer.seeds_ahead() };
                assert_eq!(trainer.seeds_ahead(), expected);
                trainer.learn()?;
            }
            Work::Collect { seeds, .. } => {
                assert!(ahead.is_none_or(|ahead| ahead == seeds));
                return Result::<_, Box<dyn Error>>::Ok(seeds);
            }
            Work::Finished => return Err("it has ended".into()),
        }
    };

    let seeds = until_collect(&mut trainer, None)?;
    let deployed = trainer.acting()?.deep_clone()?;
    let mut own = play_all(&make, &deployed, &seeds, 2, |_| ())?;
    trainer.accept(&own)?;
    let ahead = trainer.seeds_ahead().ok_or("two iterations are left")?;
    let played = play_all(&make, &deployed, &ahead, 2, |_| ())?;
    until_collect(&mut trainer, Some(ahead))?;
    assert_eq!(trainer.acting()?.name(), "online-1");
    assert_eq!(trainer.accept(&played)?, None);
    assert_eq!(trainer.acting()?.name(), "online-1");
    own.extend(played);

    let seeds = until_collect(&mut trainer, None)?;
    let challenger = trainer.acting()?.deep_clone()?;
    assert_eq!((deployed.name(), challenger.name()), ("offline-30", "online-2"));
    let mut played = play_all(&make, &deployed, &seeds[..2], 2, |_| ())?;
    own.extend_from_slice(&played);
    let by_challenger = play_all(&make, &challenger, &seeds[2..], 2, |_| ())?;
    played.extend_from_slice(&by_challenger);
    let EpisodeLabel { actor, outcome, .. } = &mut played[2].label;
    (*actor, outcome.total_reward) = ("offline-30, online-2".into(), 1000.0);
    let trial = trainer.accept(&played)?.ok_or("the challenger has played")?;
    assert!((trial.challenger - mean(&by_challenger[1..])).abs() < 1e-9, "{trial:?}");
    assert!((trial.deployed - mean(&own)).abs() < 1e-9, "{trial:?}");
    assert_eq!(trainer.seeds_ahead(), None);
    Ok(())
}

/// A file of a trainer at the end of its training, whose own episodes were changed before it learned from them.
fn changed(
    config: LearnConfig,
    file: &str,
    change: impl Fn(&mut [Episode]) -> TestResult,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations()?, temperature()?, 3)?;
    loop {
        match trainer.work() {
            Work::Finished => break,
            Work::Learn => drop(trainer.learn()?),
            Work::Collect { seeds, .. } => {
                let mut episodes = play_all(&make, trainer.acting()?, &seeds, 2, |_| ())?;
                change(&mut episodes)?;
                trainer.accept(&episodes)?;
            }
        }
    }
    let found = bytes(&trainer)?.into_iter().find(|(name, _)| name == file);
    found.map(|(_, bytes)| bytes).ok_or_else(|| format!("no {file}").into())
}

/// Contract: with all of the own share for successes, what failed episodes hold never reaches the critic.
#[test]
fn failures_can_be_left_out() -> TestResult {
    let learn = |success_share: f64, failed_reward: f32| -> Result<Vec<u8>, Box<dyn Error>> {
        let share = success_share.try_into()?;
        let config = short(|online| OnlineConfig {
            offline_share: 0.0.try_into().unwrap(),
            success_share: share,
            gate: Gate::Open,
            ..online
        })?;
        changed(config, "critic.safetensors", |episodes| {
            fail(&mut episodes[0], failed_reward);
            Ok(())
        })
    };
    assert!(learn(1.0, 0.1)? == learn(1.0, -0.1)?, "a failure was learned from");
    assert!(learn(0.5, 0.1)? != learn(0.5, -0.1)?, "half of the share is everybody's");
    Ok(())
}

/// Contract: who imitates itself imitates its successes: what failed own episodes hold never reaches the actor, what successful ones
/// hold does; without a success there are demonstrations alone.
#[test]
fn own_successes_are_imitated() -> TestResult {
    let learn = |n_failed: usize, action_rad: f32, is_failed: bool| -> Result<Vec<u8>, Box<dyn Error>> {
        let config =
            short(|online| OnlineConfig { offline_share: 0.5.try_into().unwrap(), gate: Gate::Open, ..online })?;
        let config = LearnConfig { objective: bridge::config::parse("objective", "SelfImitation")?, ..config };
        changed(config, "actor.safetensors", |episodes| {
            episodes.iter_mut().take(n_failed).for_each(|episode| fail(episode, 0.0));
            let meant = episodes.iter_mut().find(|episode| episode.label.outcome.succeeded != is_failed);
            meant.ok_or("no such episode")?.actions_rad[3] = action_rad;
            Ok(())
        })
    };
    assert!(learn(1, 0.1, true)? == learn(1, 0.2, true)?, "a failure was imitated");
    assert!(learn(1, 0.1, false)? != learn(1, 0.2, false)?, "a success was not imitated");
    assert!(learn(5, 0.1, true)? == learn(5, 0.2, true)?, "failures were imitated where there was no success");
    Ok(())
}

/// Contract: before its first step nobody asks a critic: without a warm-up too the policy at the end of imitation is the imitation policy,
/// and the snapshot that the online stage begins with has one name.
#[test]
fn an_untrained_critic_does_not_choose() -> TestResult {
    let config = LearnConfig { warmup_steps: 0, ..short(|online| online)? };
    let imitated = run(
        Trainer::new(config, Line::new().spec, &demonstrations()?, temperature()?, 3)?,
        |trainer, _| match trainer.position() {
            learn::Position::Learn { stage: Stage::Offline, step: 0 } => {
                let policy = trainer.policy()?;
                assert_eq!((policy.header().choice, policy.header().name.as_str()), (Choice::Likelihood, "imitation"));
                Ok(trainer)
            }
            learn::Position::Collect { iteration: 0 } => {
                let mut trainer = trainer;
                assert_eq!(trainer.policy()?.header().name, "offline-30");
                assert_eq!(trainer.acting()?.header().name, "offline-30");
                Ok(trainer)
            }
            _ => Ok(trainer),
        },
    )?;
    assert_eq!(imitated.work(), Work::Finished);
    Ok(())
}

/// Contract: a chunk that is no number is an error of the policy's name, never a plan.
#[test]
fn what_is_no_number_is_not_planned() -> TestResult {
    let policy = trained(short(|online| online)?)?.policy()?;
    let mut chunk_rad = Vec::new();
    let error = policy.plan(&[f32::NAN, 0.3], &mut stream(1, "act", 0), &mut chunk_rad).unwrap_err().to_string();
    assert!(error.contains(&policy.header().name) && error.contains("finite"), "{error}");
    Ok(())
}

fn fail(episode: &mut Episode, reward: f32) {
    episode.rewards.fill(reward);
    let EpisodeLabel { outcome, .. } = &mut episode.label;
    outcome.succeeded = false;
}

/// Contract: on a ramp of a million steps the actor hardly moves in twenty; without one it does.
#[test]
fn the_actor_starts_gently() -> TestResult {
    let moved = |actor_ramp_steps: u64| -> Result<f32, Box<dyn Error>> {
        let online =
            |iterations| short(|online| OnlineConfig { actor_ramp_steps, iterations, gate: Gate::Open, ..online });
        // The actor itself, not its average, which follows the offline stage for a while.
        let bare = |config| LearnConfig { actor_average_decay: UnitInterval::try_from(0.0).unwrap(), ..config };
        let [before, after] = [0, 1].map(|iterations| trained(bare(online(iterations)?))?.policy().map_err(Into::into));
        let flat = |policy: Result<Policy, Box<dyn Error>>| -> Result<Vec<f32>, Box<dyn Error>> {
            let mut flat = Vec::new();
            for (_, var) in policy?.net().params().iter() {
                flat.extend(var.flatten_all()?.to_vec1::<f32>()?);
            }
            Ok(flat)
        };
        let (before, after) = (flat(before)?, flat(after)?);
        Ok(before.iter().zip(&after).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap_or(0.0))
    };
    let (ramped, at_once) = (moved(1_000_000)?, moved(0)?);
    assert!(at_once > 1e-3, "{at_once}");
    assert!(ramped < 1e-3 * at_once, "{ramped} and {at_once}");
    Ok(())
}

/// Contract: without critic steps the critic is the same after the offline stage as before, and the actor is not.
#[test]
fn a_critic_may_stand_still() -> TestResult {
    let trained = |offline_steps: u64| -> Result<[Vec<u8>; 2], Box<dyn Error>> {
        let config = short(|online| OnlineConfig { iterations: 0, ..online })?;
        let config = LearnConfig { critic_steps_per_actor_step: 0, offline_steps, ..config };
        let files = bytes(&trained(config)?)?;
        let file = |wanted: &str| files.iter().find(|(name, _)| name == wanted).map(|(_, bytes)| bytes.clone());
        let [critic, actor] = ["critic.safetensors", "actor.safetensors"].map(file);
        Ok([critic.ok_or("no critic")?, actor.ok_or("no actor")?])
    };
    let [[critic, actor], [critic_later, actor_later]] = [trained(1)?, trained(20)?];
    assert!(critic == critic_later && actor != actor_later);
    Ok(())
}

/// Contract: with all of them on, a training resumes bit for bit.
#[test]
fn with_all_extras_a_training_resumes() -> TestResult {
    let all = |online| OnlineConfig {
        iterations: 2,
        frozen_candidates: 4,
        actor_ramp_steps: 10,
        success_share: 0.5.try_into().unwrap(),
        ..online
    };
    let demonstrations = demonstrations()?;
    let start = || -> Result<Trainer, Box<dyn Error>> {
        Ok(Trainer::new(short(all)?, Line::new().spec, &demonstrations, temperature()?, 3)?)
    };
    let straight = run(start()?, |trainer, _| Ok(trainer))?;
    let folder = tempfile::tempdir()?;
    let mut n_pieces = 0;
    let resumed = run(start()?, |trainer, own| {
        n_pieces += 1;
        if n_pieces % 13 != 0 {
            return Ok(trainer);
        }
        trainer.save(folder.path())?;
        let own = &own[..learn::TrainerState::load(folder.path())?.n_online_episodes];
        Ok(Trainer::resume(short(all)?, Line::new().spec, &demonstrations, own, temperature()?, folder.path())?)
    })?;
    assert_same(&straight, &resumed)
}

/// Contract: RLPD (Ball et al. 2023) is a configuration: no imitation and no offline stage, a Gaussian whose entropy is held at a target,
/// ten critics of which two make the targets, half of every batch demonstrations, several critic steps per actor step. It passes
/// the demonstrators within a hundred own episodes.
#[test]
fn rlpd_is_a_configuration() -> TestResult {
    let critic =
        CRITIC.replace("ensemble: 2", "ensemble: 10").replace("target_subset: All", "target_subset: Random(2)");
    let objective =
        "MaxEntropy(lambda: 0.0, entropy: 0.0005, tuning: Some((target_nats_per_dim: -0.5, dual_rate: 0.01)))";
    let config = config_of("Gaussian(hidden: 32, n_layers: 2)", &critic, objective)?;
    let online = OnlineConfig {
        iterations: 10,
        episodes_per_iteration: 10,
        critic_first_steps: 0,
        steps_per_iteration: 60,
        gate: Gate::Open,
        ..config.online
    };
    let imitation = ImitationConfig { steps: 0, ..config.imitation };
    let config = LearnConfig {
        imitation,
        warmup_steps: 0,
        offline_steps: 0,
        critic_steps_per_actor_step: 4,
        acting: temperature()?.into(),
        online,
        ..config
    };
    let demonstrations = demonstrations()?;
    let demonstrated = demonstrations.iter().map(|e| e.label.outcome.total_reward).sum::<f64>() / 40.0;
    let start = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3)?;
    let untrained = mean_return(&start.policy()?)?;
    let learned = mean_return(&run(start, |trainer, _| Ok(trainer))?.policy()?)?;
    assert!(untrained < demonstrated, "untrained {untrained}, demonstrated {demonstrated}");
    assert!(learned > demonstrated + 0.1, "demonstrated {demonstrated}, learned {learned}");
    Ok(())
}
