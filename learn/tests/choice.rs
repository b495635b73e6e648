//! Contracts of choosing the likeliest candidate.

mod line;

use bridge::random::stream;
use candle_core::{Device, Tensor};
use learn::layers::Track;
use learn::squash::{action_log_prob, squash};
use learn::{Acting, Actor, Choice, ImitationConfig, LearnConfig, Stage, Trainer};
use line::{CRITIC, FLOW, Line, REVERSE_KL, TestResult, config_of, demonstrations, temperature};
use std::error::Error;

const N: usize = 16;

fn trainer(policy: &str, objective: &str, imitation: Acting) -> Result<Trainer, Box<dyn Error>> {
    let config = config_of(policy, CRITIC, objective)?;
    let imitation_config = ImitationConfig { steps: 100, ..config.imitation };
    let config = LearnConfig { imitation: imitation_config, ..config };
    let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations()?, imitation, 3)?;
    while trainer.position().stage_and_step(trainer.config()).0 == Stage::Imitation {
        trainer.learn()?;
    }
    Ok(trainer)
}

/// Contract: the imitation policy carries out the candidate whose action chunk has the largest density at temperature 1, whatever
/// the temperature that drew it; the critic's choice among the same candidates is another matter, and one candidate is
/// carried out whoever chooses.
#[test]
fn the_likeliest_candidate_is_carried_out() -> TestResult {
    let acting = Acting { n_candidates: N, temperature: 1.5.try_into()? };
    let policy = trainer(FLOW, REVERSE_KL, acting)?.imitation_policy()?;
    let (net, normalizer) = (policy.net(), &policy.header().normalizer);
    let mut n_first = 0;
    for seed in 0..20 {
        let raw = [0.1 * seed as f32 - 1.0, 0.3];
        let mut observation = Vec::new();
        normalizer.observation(&raw, &mut observation);
        let observation = Tensor::from_vec(observation, (1, 2), &Device::Cpu)?;
        let noise = net.base_noise(N, 1.5, &mut stream(seed, "act", 0));
        let noise = Tensor::from_vec(noise, (N, net.noise_len()), &Device::Cpu)?;
        let embedding = net.embed(&observation, Track::Frozen)?;
        let u = net.sample(&embedding, &noise, Track::Frozen)?.u;
        // Not the density of the sampling pass: a pass of its own.
        let log_prob = action_log_prob(&net.log_prob(&embedding, &u, Track::Frozen)?, &u)?.to_vec1::<f32>()?;
        let likeliest = (0..N).max_by(|&a, &b| log_prob[a].total_cmp(&log_prob[b])).ok_or("no candidate")?;
        n_first += usize::from(likeliest == 0);
        let mut expected = Vec::new();
        for action in squash(&u)?.get(likeliest)?.to_vec1::<f32>()?.chunks_exact(1) {
            normalizer.action_rad(action, &mut expected);
        }
        let mut found = Vec::new();
        policy.plan(&raw, &mut stream(seed, "act", 0), &mut found)?;
        assert_eq!(found, expected, "seed {seed}");
    }
    assert!(n_first < 10, "{n_first} of 20 times the first candidate was the likeliest");

    let plans = |choice: Choice, acting: Acting| -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let policy = policy.deep_clone()?.acting(acting).choosing_by(choice)?;
        let plan = |seed| {
            let mut chunk = Vec::new();
            policy.plan(&[0.2, -0.4], &mut stream(seed, "act", 0), &mut chunk).map(|()| chunk)
        };
        Ok((0..20).map(plan).collect::<Result<_, _>>()?)
    };
    assert_ne!(plans(Choice::Value, acting)?, plans(Choice::Likelihood, acting)?);
    let one = Acting::from(temperature()?);
    assert_eq!(plans(Choice::Value, one)?, plans(Choice::Likelihood, one)?);
    Ok(())
}

/// Contract: likelier candidates leave a trained policy's tails alone: their actions lie closer together than those of one
/// candidate at the same temperature do.
#[test]
fn likelier_is_less_spread() -> TestResult {
    let policy = trainer(FLOW, REVERSE_KL, temperature()?.into())?.imitation_policy()?;
    let spread = |n_candidates: usize| -> Result<f64, Box<dyn Error>> {
        let acting = Acting { n_candidates, temperature: 1.0.try_into()? };
        let policy = policy.deep_clone()?.acting(acting);
        let mut first = Vec::new();
        for seed in 0..200 {
            let mut chunk = Vec::new();
            policy.plan(&[0.0, 0.0], &mut stream(seed, "act", 0), &mut chunk)?;
            first.push(f64::from(chunk[0]).abs());
        }
        let mean = first.iter().sum::<f64>() / 200.0;
        Ok((first.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 200.0).sqrt())
    };
    let (one, likeliest) = (spread(1)?, spread(N)?);
    assert!(likeliest < 0.8 * one, "one {one}, likeliest {likeliest}");
    Ok(())
}

/// Contract: the likeliest of several is refused of a policy without a density, by its name, when the trainer is made and when
/// a policy is told so; no candidate at all is refused of every policy.
#[test]
fn likelihoods_that_are_not_there_are_refused() -> TestResult {
    let deterministic = "Deterministic(noise: 0.2, hidden: 8, n_layers: 1)";
    let several = Acting { n_candidates: 4, temperature: temperature()? };
    let error = trainer(deterministic, "Imitation", several).err().ok_or("a density was made up")?.to_string();
    assert!(error.starts_with("n_candidates: found 4") && error.contains("Deterministic has no density"), "{error}");
    let none = Acting { n_candidates: 0, ..several };
    let error = trainer(FLOW, REVERSE_KL, none).err().ok_or("no candidate was accepted")?.to_string();
    assert!(error.contains("n_candidates: found 0"), "{error}");

    let policy = trainer(deterministic, "Imitation", temperature()?.into())?.imitation_policy()?;
    assert!(policy.deep_clone()?.acting(several).choosing_by(Choice::Likelihood).is_err());
    assert!(policy.acting(several).choosing_by(Choice::Value).is_ok());
    Ok(())
}
