//! Contract: the toys are what their headers say - known optimal returns, known densities, known failures -, they refuse what
//! an environment refuses, and every policy, critic and objective runs on each of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod combinations;

use bridge::random::stream;
use bridge::{Environment, EnvironmentError, Episode};
use experiments::experiment::{Experiment, TaskChoice, Workcell};
use experiments::overrides::{self, Override};
use experiments::toys::{Bandit, Toy, ToyEnvironment};
use learn::{Trainer, Work, play_all};
use std::f64::consts::{E, LN_2, TAU};
use std::path::{Path, PathBuf};

const TOYS: [&str; 4] = ["toy_bandit", "toy_bandit_rl", "toy_chain", "toy_detour"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.ron"))
}

fn experiment(name: &str, changes: &[&str]) -> Experiment {
    let changes: Vec<Override> = changes.iter().map(|change| change.parse().unwrap()).collect();
    overrides::load(&file(name), &changes).unwrap()
}

fn demonstrations(name: &str, n: usize) -> Vec<Episode> {
    Workcell::new(&experiment(name, &[]), "exact").unwrap().demonstrations(n, 7, 2).unwrap()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    sum / n
}

/// Contract: what is demonstrated succeeds, the optimal returns are those of the equations, and the demonstrations depend on
/// their seed alone.
#[test]
fn demonstrations_earn_what_the_equations_say() {
    let share = |episodes: &[Episode], name: &str| {
        mean(episodes.iter().map(|episode| episode.label.outcome.scalar(name).unwrap()))
    };
    // One number in a chunk of twenty leaves its mode with probability 1.3e-3.
    let bandit = demonstrations("toy_bandit", 2000);
    assert!(share(&bandit, "succeeded") > 0.995);
    assert!((share(&bandit, "right") - 0.5).abs() < 0.04, "{}", share(&bandit, "right"));

    // Half of the chunks are worth 0, a quarter .4, a quarter 1.
    let rewarded = demonstrations("toy_bandit_rl", 2000);
    assert!((share(&rewarded, "total_reward") - 0.35).abs() < 0.03, "{}", share(&rewarded, "total_reward"));
    assert!((share(&rewarded, "succeeded") - 0.5).abs() < 0.04);

    let chain = demonstrations("toy_chain", 3);
    assert!(chain.iter().all(|episode| episode.n_steps() == 100 && episode.label.terminated));
    assert!(chain.iter().all(|episode| episode.rewards.iter().sum::<f32>() == 1.0 && episode.rewards[99] == 1.0));

    let detour = demonstrations("toy_detour", 500);
    assert!(share(&detour, "succeeded") > 0.98, "{}", share(&detour, "succeeded"));
    assert!((share(&detour, "short") - 0.5).abs() < 0.1, "{}", share(&detour, "short"));
    let earned = |way: &str| {
        let went = detour.iter().filter(|episode| episode.label.outcome.scalars[way] > 0.0);
        mean(went.map(|episode| episode.label.outcome.total_reward))
    };
    assert!(earned("short") > earned("long") + 0.2, "short {}, long {}", earned("short"), earned("long"));
    assert_eq!(detour, demonstrations("toy_detour", 500));
}

/// Contract: the demonstrated law is the one whose entropy the header gives: with noise of the same size added, its exact
/// density averages to -23.91 nats (standard error 0.05), and a diagonal Gaussian's to -4.95.
#[test]
fn the_bandits_density_is_known() {
    const V: f64 = 0.05 * 0.05 * 2.0;
    let entropy = LN_2 + 10.0 * (TAU * E * V).ln();
    let gaussian = 5.0 * (TAU * E * (0.25 + V)).ln() + 5.0 * (TAU * E * V).ln();
    assert!((entropy + 23.91).abs() < 0.01 && (gaussian + 4.95).abs() < 0.01, "{entropy} {gaussian}");

    let mut rng = stream(3, "noise", 0);
    let log_density = |chunk: &[f64]| {
        let of_mode = |mode: f64| -> f64 {
            let squares = chunk.chunks_exact(2).map(|pair| (pair[0] - mode).powi(2) + (pair[1] - 0.3).powi(2));
            -squares.sum::<f64>() / (2.0 * V) - 10.0 * (TAU * V).ln()
        };
        let (right, left) = (of_mode(0.5), of_mode(-0.5));
        let most = right.max(left);
        most + ((right - most).exp() + (left - most).exp()).ln() - LN_2
    };
    let nll = demonstrations("toy_bandit", 4000).into_iter().map(|episode| {
        let noisy = |&x: &f32| f64::from(x) + 0.05 * rand::Rng::sample::<f64, _>(&mut rng, rand_distr::StandardNormal);
        -log_density(&episode.action_rad(0).iter().map(noisy).collect::<Vec<_>>())
    });
    let found = mean(nll);
    assert!((found - entropy).abs() < 0.2, "found {found}, expected {entropy}");
}

fn step_of(environment: &mut dyn Environment, action: &[f32]) -> (f32, bool, bool) {
    let mut observation = vec![0.0; environment.spec().observation_len];
    let step = environment.step(action, &mut observation).unwrap();
    (step.reward, step.terminated, step.truncated)
}

fn fresh(name: &str) -> (Box<dyn Environment>, Vec<f32>) {
    let mut environment = Workcell::new(&experiment(name, &[]), "exact").unwrap().environment().unwrap();
    let mut observation = vec![0.0; environment.spec().observation_len];
    environment.reset(1, &mut observation).unwrap();
    (environment, observation)
}

/// Contract: what the toys are there to punish is punished: the mean of both modes, standing still, the middle of both ways.
#[test]
fn averages_fail() {
    let (mut bandit, _) = fresh("toy_bandit_rl");
    assert_eq!(step_of(bandit.as_mut(), &[0.0, 0.3].repeat(10)), (0.0, true, false));
    for (x, reward) in [(0.5, 1.0), (-0.5, 0.4)] {
        bandit.reset(1, &mut [0.0]).unwrap();
        assert_eq!(step_of(bandit.as_mut(), &[x, 0.3].repeat(10)), (reward, true, false));
        assert!(bandit.outcome().succeeded);
    }

    let (mut chain, first) = fresh("toy_chain");
    assert_eq!(first.iter().position(|&x| x == 1.0), Some(0));
    for step in 1..=200 {
        assert_eq!(step_of(chain.as_mut(), &[-0.1]), (0.0, false, step == 200));
    }
    assert!(!chain.outcome().succeeded);

    let (mut detour, _) = fresh("toy_detour");
    let mut n_steps = 0;
    while !step_of(detour.as_mut(), &[0.9, -0.1]).1 {
        n_steps += 1;
    }
    let outcome = detour.outcome();
    assert!(n_steps < 10 && outcome.terminated && !outcome.succeeded);
    assert_eq!((outcome.scalars["short"], outcome.scalars["long"]), (0.0, 0.0));
}

/// Contract: a toy refuses what is not a number, has the wrong length or comes after the end, limits actions to -1..1, and
/// says what it really did.
#[test]
fn toys_are_environments() {
    let TaskChoice::Bandit(bandit) = experiment("toy_bandit", &[]).task else { unreachable!("it is a bandit") };
    let mut environment = ToyEnvironment::new(Bandit::clone(&bandit));
    assert!(matches!(environment.step(&[0.0; 20], &mut [0.0]), Err(EnvironmentError::EpisodeEnded)));
    environment.reset(1, &mut [0.0]).unwrap();
    let mut action = vec![0.0; 20];
    action[3] = f32::NAN;
    let error = environment.step(&action, &mut [0.0]).unwrap_err();
    assert!(matches!(error, EnvironmentError::NonFiniteAction { index: 3, .. }), "{error}");
    let error = environment.step(&[0.0; 19], &mut [0.0]).unwrap_err();
    assert!(matches!(error, EnvironmentError::WrongLength { found: 19, expected: 20, .. }), "{error}");
    assert!(environment.step(&[7.0; 20], &mut [0.0]).unwrap().terminated);
    assert_eq!(environment.applied_rad(), [1.0; 20]);
    assert!(matches!(environment.step(&[0.0; 20], &mut [0.0]), Err(EnvironmentError::EpisodeEnded)));
    assert_eq!(environment.spec().action_len, bandit.action_len());
}

/// Contract: every policy with every critic's backup and every objective that fits it trains through all stages of every
/// toy, from configuration alone.
#[test]
fn everything_runs_on_every_toy() {
    const SHORT: [&str; 10] = [
        "learn.batch_size=8",
        "learn.critic.net=Mlp(hidden: 8, n_layers: 1)",
        "learn.critic.ensemble=1",
        "learn.acting.n_candidates=2",
        "learn.imitation.steps=2",
        "learn.warmup_steps=1",
        "learn.offline_steps=1",
        "learn.online.iterations=1",
        "learn.online.episodes_per_iteration=1",
        "learn.online.steps_per_iteration=1",
    ];
    let mut n_trained = 0;
    for toy in TOYS {
        let demonstrations = demonstrations(toy, 12);
        for own in combinations::all() {
            let changes: Vec<&str> = SHORT.into_iter().chain(own.iter().map(String::as_str)).collect();
            let experiment = experiment(toy, &changes);
            if combinations::is_possible(&experiment.learn) {
                train(&experiment, &demonstrations);
                n_trained += 1;
            }
        }
    }
    assert_eq!(n_trained, 4 * 3 * (4 * 8 + 5 * 6));
}

fn train(experiment: &Experiment, demonstrations: &[Episode]) {
    let cell = Workcell::new(experiment, "exact").unwrap();
    let environment = cell.environment().unwrap().spec().clone();
    let imitation = experiment.evaluation.imitation;
    let mut trainer = Trainer::new(experiment.learn.clone(), environment, demonstrations, imitation, 1).unwrap();
    loop {
        match trainer.work() {
            Work::Finished => break,
            Work::Learn => drop(trainer.learn().unwrap()),
            Work::Collect { seeds, .. } => {
                let episodes = play_all(&|| cell.environment(), trainer.acting().unwrap(), &seeds, 1, |_| ()).unwrap();
                trainer.accept(&episodes).unwrap();
            }
        }
    }
    assert!(trainer.start_value().unwrap().is_finite());
}
