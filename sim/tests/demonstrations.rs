//! Domains, scenes and the demonstrations that are recorded in them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bridge::number::{Finite, NonNegative, Positive, UnitInterval};
use bridge::{Body, CubeReward, Environment, Episode, GovernorConfig, Percept};
use sim::{
    CubeScene, Domain, Gait, GaitTable, Hand, SearchOptions, Transmission, collect, demonstration_seeds, search_gait,
};
use std::num::NonZeroUsize;

fn governor() -> GovernorConfig {
    GovernorConfig::usual().unwrap()
}

fn short(hand: &str, horizon_s: f64) -> CubeScene {
    CubeScene::load(hand).unwrap().with_horizon(Positive::try_from(horizon_s).unwrap())
}

/// The hand held still in `domain` for half a second, perceived at every command.
fn hold(domain: Domain, seed: u64) -> (Vec<Percept>, Vec<f32>) {
    let scene = CubeScene::load("reference16").unwrap();
    let mut hand = scene.body(domain);
    hand.reset(seed).unwrap();
    let mut targets_rad = scene.start().holding_rad.clone();
    for target in &mut targets_rad {
        *target += 0.05;
    }
    let mut percepts = vec![Percept::default(); 30];
    for percept in &mut percepts {
        hand.command(&targets_rad).unwrap();
        hand.read(percept).unwrap();
    }
    (percepts, targets_rad)
}

/// Contract: a shift changes what it says it changes, and nothing before its time.
#[test]
fn a_shift_changes_what_it_says() {
    let exact = Domain::load("exact").unwrap();
    let (reference, targets_rad) = hold(exact.clone(), 1);
    let moved_rad = |percepts: &[Percept], tick: usize| percepts[tick].measured_rad[0];

    let late = Domain { command_delay_s: NonNegative::try_from(0.05).unwrap(), ..exact.clone() };
    let (late, _) = hold(late, 1);
    // 12 physics steps are 3 commands: until then it is as if nothing had been commanded.
    assert!((moved_rad(&late, 2) - moved_rad(&late, 0)).abs() < 2e-4);
    assert!((moved_rad(&late, 6) - moved_rad(&late, 2)).abs() > 1e-3);
    assert_eq!(late[0].commanded_rad, targets_rad, "delay must not hide what was commanded");

    let noisy = Domain { joint_noise_rad: NonNegative::try_from(0.01).unwrap(), ..exact.clone() };
    let (noisy, _) = hold(noisy, 1);
    let errors: Vec<f32> = noisy
        .iter()
        .zip(&reference)
        .flat_map(|(a, b)| a.measured_rad.iter().zip(&b.measured_rad).map(|(a, b)| a - b))
        .collect();
    let deviation = (errors.iter().map(|e| e * e).sum::<f32>() / errors.len() as f32).sqrt();
    assert!((0.009..0.011).contains(&deviation), "joint noise of {deviation} rad, expected 0.01");
    for (noisy, reference) in noisy.iter().zip(&reference) {
        assert_eq!(noisy.commanded_rad, reference.commanded_rad);
        assert_eq!(noisy.objects[0].position_m, reference.objects[0].position_m, "joint noise must not move the cube");
    }

    let weak = Domain { motor_gain_scale: Positive::try_from(0.5).unwrap(), ..exact.clone() };
    let (weak, _) = hold(weak, 1);
    let effort = |percepts: &[Percept]| percepts[29].effort_nm.iter().map(|e| e.abs()).sum::<f32>();
    assert!(effort(&weak) < 0.8 * effort(&reference), "{} N m, {} N m", effort(&weak), effort(&reference));

    let play = Domain { backlash_rad: NonNegative::try_from(0.08).unwrap(), ..exact.clone() };
    let (play, _) = hold(play, 1);
    let lost = |percepts: &[Percept]| -> f32 {
        (0..16).map(|j| reference[29].measured_rad[j] - percepts[29].measured_rad[j]).sum()
    };
    assert!(lost(&play) > 0.05, "16 joints lost {} rad to play", lost(&play));

    let slack_rad = 0.04;
    let transmission = Transmission { slack_rad: NonNegative::try_from(slack_rad).unwrap(), ..Transmission::default() };
    let (loose, targets_rad) = hold(Domain { transmission, ..exact }, 1);
    assert!(lost(&loose) > 0.05, "16 joints lost {} rad to slack", lost(&loose));
    for percept in &loose {
        for (joint, (q, target)) in percept.measured_rad.iter().zip(&targets_rad).enumerate() {
            let is_loose = (target - q).abs() < slack_rad as f32;
            assert_eq!(percept.effort_nm[joint] == 0.0, is_loose, "joint {joint}: {q} rad, target {target} rad");
        }
    }
}

/// Contract: what is not steady differs from seed to seed, and is the same for the same seed.
#[test]
fn unsteadiness_is_drawn_from_the_seed() {
    let exact = Domain::load("exact").unwrap();
    let (nothing, half) = (Transmission::default(), UnitInterval::try_from(0.5).unwrap());
    let (play_rad, delay_s) = (NonNegative::try_from(0.02).unwrap(), NonNegative::try_from(0.03).unwrap());
    let unsteady = [
        Transmission { backlash_jitter: half, ..nothing },
        Transmission { delay_jitter_s: delay_s, ..nothing },
        Transmission { slack_rad: play_rad, slack_jitter: half, ..nothing },
    ];
    for transmission in unsteady {
        let domain = Domain { transmission, backlash_rad: play_rad, command_delay_s: delay_s, ..exact.clone() };
        let measured = |domain: &Domain, seed: u64| hold(domain.clone(), seed).0[29].measured_rad.clone();
        assert_eq!(measured(&domain, 1), measured(&domain, 1), "{transmission:?}");
        assert_ne!(measured(&domain, 1), measured(&domain, 2), "{transmission:?}");
        let steady = Domain { transmission: nothing, ..domain };
        assert_eq!(measured(&steady, 1), measured(&steady, 2));
    }
}

/// Contract: an episode's draw depends on the seed, stays within the jitter, and without jitter is the domain itself.
#[test]
fn episodes_scatter_within_their_jitter() {
    let scene = CubeScene::load("reference16").unwrap();
    let mut hand = scene.body(Domain::load("nominal").unwrap());
    let mut frictions = Vec::new();
    for seed in 0..5 {
        hand.reset(seed).unwrap();
        let draw = *hand.draw();
        assert!((0.95..=1.05).contains(&draw.friction) && (0.95..=1.05).contains(&draw.motor_gain_scale), "{draw:?}");
        assert!(draw.cube_xy_m.iter().all(|x| x.abs() <= 0.001) && draw.cube_yaw_rad.abs() <= 0.1, "{draw:?}");
        frictions.push(draw.friction);
    }
    assert!(frictions.windows(2).all(|pair| pair[0] != pair[1]), "{frictions:?}");
    let mut hand = scene.body(Domain::load("exact").unwrap());
    hand.reset(0).unwrap();
    let draw = hand.draw();
    assert_eq!((draw.friction, draw.cube_mass_scale, draw.cube_xy_m, draw.cube_yaw_rad), (1.0, 1.0, [0.0; 2], 0.0));
}

/// Contract: every asset parses and its parts fit together, for every hand.
#[test]
fn assets_fit_together() {
    for name in Domain::names() {
        Domain::load(name).unwrap();
    }
    for name in Gait::names() {
        let gait = Gait::load(name).unwrap();
        let hand = Hand::load(&gait.hand).unwrap();
        let table = GaitTable::new(&hand, &gait).unwrap();
        assert!(table.mean_miss_m() < 1e-3, "{name}: the tips miss by {} m", table.mean_miss_m());
        let is_another = |other: &&str| Hand::load(other).unwrap().family != gait.hand;
        let other = Hand::names().find(is_another).unwrap();
        assert!(GaitTable::new(&Hand::load(other).unwrap(), &gait).is_err(), "{name} was accepted for {other}");
    }
    for hand in CubeScene::hands() {
        let scene = CubeScene::load(hand).unwrap();
        assert!(scene.demonstrations().len() >= 2, "{hand} is demonstrated in one way only");
        let environment = scene.environment(Domain::load("nominal").unwrap(), governor(), CubeReward::Dense).unwrap();
        // Measured and commanded joints, and ten numbers of the cube.
        assert_eq!(environment.spec().observation_len, 2 * scene.hand().n_joints() + 10);
        assert_eq!(environment.spec().horizon_steps, 600);
    }
}

/// Contract: demonstrations do not depend on the number of threads, are whole, and hold what was really applied.
#[test]
fn demonstrations_do_not_depend_on_threads() {
    for hand in CubeScene::hands() {
        let scene = short(hand, 2.0);
        let domain = Domain::load("nominal").unwrap();
        let alone = collect(&scene, &domain, governor(), CubeReward::Dense, &demonstration_seeds(6, 7), 7, 1).unwrap();
        assert_eq!(
            alone,
            collect(&scene, &domain, governor(), CubeReward::Dense, &demonstration_seeds(6, 7), 7, 2).unwrap(),
            "{hand}"
        );
        let actors: std::collections::BTreeSet<&str> = alone.iter().map(|e: &Episode| e.label.actor.as_str()).collect();
        let gaits = scene.demonstrations().iter().map(|demonstration| demonstration.config.gait.as_str());
        assert_eq!(actors, gaits.collect(), "{hand}: not every gait was played");
        for episode in &alone {
            episode.check().unwrap();
            if episode.survived() {
                assert_eq!(episode.n_steps(), 40);
            }
            // The commanded joints, after the measured ones in an observation, are the action that led to it.
            let n_joints = scene.hand().n_joints();
            for step in 0..episode.n_steps() {
                assert_eq!(episode.observation(step + 1)[n_joints..2 * n_joints], *episode.action_rad(step));
            }
        }
    }
}

/// Contract: most of ORCA's and of the reference hand's demonstrations turn the cube for the whole episode.
#[test]
fn demonstrations_turn_the_cube() {
    for hand in CubeScene::hands() {
        let scene = CubeScene::load(hand).unwrap();
        let episodes = collect(
            &scene,
            &Domain::load("nominal").unwrap(),
            governor(),
            CubeReward::Dense,
            &demonstration_seeds(12, 1),
            1,
            2,
        )
        .unwrap();
        let successes: Vec<&Episode> = episodes.iter().filter(|episode| episode.survived()).collect();
        assert!(successes.len() >= 5, "{hand}: {} of 12 survived", successes.len());
        let turns = successes.iter().map(|episode| episode.label.outcome.turns).sum::<f64>() / successes.len() as f64;
        assert!(turns > 1.5, "{hand}: {turns} turns in 30 s");
    }
}

/// A search of seconds.
fn short_search(n_threads: usize) -> SearchOptions {
    SearchOptions {
        n_generations: 2,
        population: NonZeroUsize::new(4).unwrap(),
        elite_share: UnitInterval::try_from(0.5).unwrap(),
        n_episodes: NonZeroUsize::MIN,
        episode_s: Positive::try_from(1.0).unwrap(),
        enough_rad_s: Positive::try_from(10.0).unwrap(),
        spread: Positive::try_from(0.2).unwrap(),
        noise_rad: NonNegative::try_from(0.004).unwrap(),
        domain: Domain::load("nominal").unwrap(),
        governor: governor(),
        seed: 1,
        n_threads,
    }
}

/// Contract: a search does not depend on the number of threads, reports every generation, and returns what it reported
/// last.
#[test]
fn a_search_is_deterministic() {
    let scene = CubeScene::load("reference16").unwrap();
    let start = &scene.demonstrations()[0].gait;
    let mut reported = Vec::new();
    let found = search_gait(&scene, start, &short_search(1), |_, gait| reported.push(gait.clone())).unwrap();
    assert_eq!(found, search_gait(&scene, start, &short_search(2), |_, _| ()).unwrap());
    assert_eq!((reported.len(), reported.last()), (2, Some(&found)));
    assert_ne!(&found, start);
    assert_eq!(found.stroke_rad.get().signum(), start.stroke_rad.get().signum());
}

/// Contract: from a gait that only holds the cube, strokes are searched that turn it as the scene wants; what a hand plays mirrored
/// strokes the other way.
#[test]
fn a_search_from_a_holding_gait_strokes_as_the_scene_wants() {
    for (hand, sign) in [("reference16", 1.0), ("orca_v2", -1.0), ("orca_v2_left", -1.0)] {
        let scene = CubeScene::load(hand).unwrap();
        let held = Gait { stroke_rad: Finite::try_from(0.0).unwrap(), ..scene.demonstrations()[0].gait.clone() };
        let found = search_gait(&scene, &held, &short_search(1), |_, _| ()).unwrap();
        assert_eq!(found.stroke_rad.get().signum(), sign, "{hand}");
    }
}
