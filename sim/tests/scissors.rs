//! The scissors task in simulation: exact where it must be, solved by its demonstrator, whole whatever is done to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bridge::number::NonNegative;
use bridge::random::stream;
use bridge::{Body, BodyError, Environment, Episode, GovernorConfig, Outcome, Percept, ScissorsObject, TOOL_POSE_LEN};
use sim::{
    Grip, GripConfig, Hand, Phase, SERVO_HZ, ScissorsDomain, ScissorsScene, SimScissors, Simulated, collect_scissors,
    demonstration_seeds, search_grip,
};
use std::collections::BTreeSet;

fn governor() -> GovernorConfig {
    GovernorConfig::usual().unwrap()
}

fn domain(name: &str) -> ScissorsDomain {
    ScissorsDomain::load(&format!("scissors_{name}")).unwrap()
}

fn scene() -> ScissorsScene {
    ScissorsScene::load("orca_v2").unwrap()
}

/// Plays strategy `which` of `scene` in `domain` to the end, or until it gives up; returns what came of it.
fn play(scene: &ScissorsScene, domain: ScissorsDomain, which: usize, seed: u64) -> Outcome {
    let mut environment = scene.environment(domain, governor()).unwrap();
    let mut observation = vec![0.0; environment.spec().observation_len];
    let mut action = vec![0.0; environment.spec().action_len];
    environment.reset(seed, &mut observation).unwrap();
    let mut cutter = scene.cutter(which, 0, stream(seed, "demonstration", 0)).unwrap();
    while cutter.phase() != Phase::GivenUp {
        cutter.act(environment.governor().percept(), &mut action);
        let step = environment.step(&action, &mut observation).unwrap();
        if step.terminated || step.truncated {
            break;
        }
    }
    environment.outcome()
}

/// Commands that cut the tape, one a servo tick, with the seed of the reset before them.
fn commands(scene: &ScissorsScene, domain: &ScissorsDomain) -> (u64, Vec<Vec<f32>>) {
    let exact = scene.clone().with_exact_strategies().unwrap();
    let episodes = collect_scissors(&exact, domain, governor(), &demonstration_seeds(8, 5), 5, 2, |_| ()).unwrap();
    let cutting = episodes.iter().filter(|episode| episode.label.outcome.succeeded).find_map(|episode| {
        let commands = commands_of(scene, episode);
        let mut body = scene.body(domain.clone());
        body.reset(episode.label.seed).unwrap();
        bits(&mut body, &commands);
        body.world().is_tape_cut().then_some((episode.label.seed, commands))
    });
    cutting.unwrap()
}

/// The commands of an episode's steps, without what a governor makes of them in between.
fn commands_of(scene: &ScissorsScene, episode: &Episode) -> Vec<Vec<f32>> {
    let n_ticks = SERVO_HZ / scene.task_config().control_hz;
    let mut commands = vec![scene.start_command()];
    for step in 0..episode.n_steps() {
        let (from, to) = (commands[commands.len() - 1].clone(), episode.action_rad(step));
        for tick in 1..=n_ticks {
            let share = tick as f32 / n_ticks as f32;
            commands.push(from.iter().zip(to).map(|(from, to)| from + (to - from) * share).collect());
        }
    }
    commands.split_off(1)
}

/// Sends `commands` and returns the bits of everything that is perceived after each.
fn bits(body: &mut SimScissors, commands: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let mut percept = Percept::default();
    let perceive = |command: &Vec<f32>| {
        body.command(command).unwrap();
        body.read(&mut percept).unwrap();
        let tool = percept.tool.unwrap();
        let joints = percept.measured_rad.iter().chain(&percept.effort_nm).copied();
        let arm = tool.measured.values().into_iter().chain(tool.force_n).chain(tool.torque_nm);
        let objects = percept.objects.iter().flat_map(|object| {
            let pose = object.position_m.into_iter().chain(object.orientation);
            pose.chain(object.velocity_m_s).chain(object.angular_velocity_rad_s)
        });
        let cut = percept.signals.iter().map(|&signal| f32::from(u8::from(signal)));
        joints.chain(arm).chain(objects).chain(cut).map(f32::to_bits).collect()
    };
    commands.iter().map(perceive).collect()
}

/// Contract: the same seed gives the same episodes, bit for bit, on any number of threads; strategies take their turns.
#[test]
fn demonstrations_do_not_depend_on_threads() {
    let (scene, domain) = (scene(), domain("randomised"));
    let collect = |n_threads| {
        let mut n_seen = 0;
        let episodes =
            collect_scissors(&scene, &domain, governor(), &demonstration_seeds(5, 7), 7, n_threads, |_| n_seen += 1)
                .unwrap();
        assert_eq!(n_seen, 5);
        episodes
    };
    let alone = collect(1);
    assert_eq!(alone, collect(2));
    let actors: BTreeSet<&str> = alone.iter().map(|episode| episode.label.actor.as_str()).collect();
    assert_eq!(actors, scene.strategies().map(|strategy| strategy.name.as_str()).collect());
    for episode in &alone {
        episode.check().unwrap();
        // Tool pose and joints: what was applied is what is perceived as commanded.
        assert_eq!(episode.label.action_len, TOOL_POSE_LEN + 16);
        for step in 0..episode.n_steps() {
            assert_eq!(episode.observation(step + 1)[16..32], episode.action_rad(step)[TOOL_POSE_LEN..]);
        }
    }
    let rewards = |episode: &Episode| episode.rewards.iter().sum::<f32>();
    assert!(alone.iter().all(|episode| (rewards(episode) - 2.0).abs() < 1e-6 || !episode.label.outcome.succeeded));
}

/// Contract: snapshots taken in the air and in the middle of a cut lead to the same bits at every later step, in their own
/// world after a diverged branch, and in another world that was built alike.
#[test]
fn a_snapshot_leads_to_the_same_bits() {
    let (scene, domain) = (scene(), domain("randomised"));
    let (seed, commands) = commands(&scene, &domain);
    // The last ticks close the blades on the tape and cut it.
    for before_end in [240, 20] {
        let (head, tail) = commands.split_at(commands.len() - before_end);
        let mut body = scene.body(domain.clone());
        body.reset(seed).unwrap();
        bits(&mut body, head);
        let snapshot = body.snapshot();
        assert!(body.engine().n_contacts() >= 3 && !body.world().is_tape_cut());
        let expected = bits(&mut body, tail);
        assert!(body.world().is_tape_cut(), "the branch does not reach the cut");

        body.restore(&snapshot);
        bits(&mut body, &vec![head[0].clone(); 15]);
        body.restore(&snapshot);
        assert_eq!(bits(&mut body, tail), expected, "restored in place after a branch");

        let mut twin = scene.body(domain.clone());
        twin.reset(seed).unwrap();
        twin.restore(&snapshot);
        assert_eq!(bits(&mut twin, tail), expected, "restored in another world");
    }
}

/// Contract: as it is, every strategy cuts the tape in the exact domain, in its own way; with the scatter of a person, about
/// half of the demonstrations do.
#[test]
fn strategies_cut_the_tape() {
    let exact = scene().with_exact_strategies().unwrap();
    for (which, strategy) in exact.strategies().enumerate() {
        let outcome = play(&exact, domain("exact"), which, 1);
        assert!(outcome.succeeded, "{}: {outcome:?}", strategy.name);
        assert_eq!(outcome.total_reward, 2.0, "{}", strategy.name);
        let [grasp_s, cut_s] = ["time_to_grasp_s", "time_to_cut_s"].map(|name| outcome.scalar(name).unwrap());
        assert!(grasp_s < 5.0 && cut_s < 20.0, "{}: {grasp_s} s, {cut_s} s", strategy.name);
    }
    let episodes =
        collect_scissors(&scene(), &domain("nominal"), governor(), &demonstration_seeds(24, 1), 1, 2, |_| ()).unwrap();
    let n_cut = episodes.iter().filter(|episode| episode.label.outcome.succeeded).count();
    assert!((10..=19).contains(&n_cut), "{n_cut} of 24 demonstrations cut the tape");
}

/// Contract: the fingers reach their places in the loops and point into them; a search for a grip is deterministic, reports
/// every step and ends in what it reported last, better than where it began.
#[test]
fn grips_reach_the_loops() {
    for grip in scene().grips() {
        assert!(grip.worst_miss_m() < 0.006 && grip.worst_skew_rad() < 0.8, "{grip:?}");
    }
    let hand = Hand::load("orca_v2").unwrap();
    let start: GripConfig = ron::from_str(
        "(name: \"middle\", finger: \"middle\", tilt_rad: 0.35, depth_m: 0.085, height_m: 0.036, across_m: 0.059,
        closed_span_m: 0.042, finger_in_loop_m: 0.024, thumb_in_loop_m: 0.006, sliding_end_m: (0.040, 0.028),
        finger_seed_rad: [0.0, 1.2, 0.3], thumb_seed_rad: [-0.45, 0.0, 1.0, -0.2], idle_rad: [])",
    )
    .unwrap();
    let mut reported = Vec::new();
    let found =
        search_grip(&hand, &start, 0.044, 50, 1, |grip, score_m| reported.push((grip.clone(), score_m))).unwrap();
    assert_eq!(found, search_grip(&hand, &start, 0.044, 50, 1, |_, _| ()).unwrap());
    assert_eq!(reported.last().map(|(grip, _)| grip), Some(&found));
    assert!(reported.windows(2).all(|pair| pair[1].1 < pair[0].1));
    let miss_m = |config: &GripConfig| Grip::new(&hand, config, 0.044).unwrap().worst_miss_m();
    assert!(miss_m(&found) < 0.5 * miss_m(&start), "{} m from {} m", miss_m(&found), miss_m(&start));
}

/// Contract: a workspace or a limit of the tool that is nonsense is refused when the scene is read, not when the tool moves.
#[test]
fn scenes_with_nonsense_are_refused() {
    let text = include_str!("../../assets/scenes/scissors_orca_v2.ron");
    ScissorsScene::parse("scene", text).map(|_| ()).unwrap();
    for (good, bad) in [
        ("lower_m: (-0.35", "lower_m: (NaN"),
        ("lower_m: (-0.35", "lower_m: (0.35"),
        ("max_error_m: 0.010", "max_error_m: inf"),
        ("max_rate_rad_s: 1.0", "max_rate_rad_s: -1.0"),
    ] {
        assert!(text.contains(good), "{good}");
        let error = ScissorsScene::parse("scene", &text.replacen(good, bad, 1)).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("parameters.wrist.tool"), "{bad}: {error}");
    }
}

/// Contract: there are ten configurations of distinct names; the demonstrator cuts the tape in each of them, and each pins
/// case and tape whatever the seed; pinned to all of them, seeds go through them in turn.
#[test]
fn configurations_can_be_solved() {
    let scene = scene().with_exact_strategies().unwrap();
    let names: BTreeSet<&str> =
        scene.configurations().iter().map(|configuration| configuration.name.as_str()).collect();
    assert_eq!((names.len(), scene.configurations().len()), (10, 10));
    let mut in_turn = scene.clone().pinned_to(scene.configurations()).body(domain("nominal"));
    for (index, configuration) in scene.configurations().iter().enumerate() {
        let pinned = scene.clone().pinned_to(std::slice::from_ref(configuration));
        let which = index % scene.strategies().len();
        let outcome = play(&pinned, domain("nominal"), which, 3);
        assert!(outcome.succeeded, "{}: {outcome:?}", configuration.name);
        let mut body = pinned.body(domain("nominal"));
        let mut tape_at = |seed| {
            body.reset(seed).unwrap();
            body.world().object_pose(ScissorsObject::Tape, 0.0).position_m
        };
        assert_eq!(tape_at(1), tape_at(2), "{}", configuration.name);
        in_turn.reset(2000 + index as u64).unwrap();
        let found = in_turn.world().object_pose(ScissorsObject::Tape, 0.0).position_m;
        assert_eq!(found, tape_at(1), "{}", configuration.name);
    }
}

/// Contract: every domain parses; without jitter nothing scatters; with it, case and tape do, within their half widths.
#[test]
fn domains_scatter_within_their_jitter() {
    for name in ScissorsDomain::names() {
        ScissorsDomain::load(name).unwrap();
    }
    let shifts = |name: &str| {
        let mut rng = stream(1, "domain", 0);
        (0..50).map(|_| domain(name).draw(&mut rng)).collect::<Vec<_>>()
    };
    assert!(shifts("exact").windows(2).all(|pair| pair[0] == pair[1]));
    for draw in shifts("randomised") {
        let shift = draw.shift;
        assert!(shift.case_xy_m.iter().all(|x| x.abs() <= 0.01) && shift.tape_yaw_rad.abs() <= 0.15, "{draw:?}");
        assert!((0.5..=1.0).contains(&draw.friction) && (0.0..=2.0).contains(&draw.pivot_friction_scale), "{draw:?}");
    }
    assert!(shifts("randomised").windows(2).all(|pair| pair[0] != pair[1]));
}

/// Contract: a shift of the domain changes what it says: noise on the force leaves the tool's pose exact, delay holds the
/// tool back but not what is known of its command.
#[test]
fn a_shift_changes_what_it_says() {
    let scene = scene();
    let pulled = |domain: ScissorsDomain| {
        let mut body = scene.body(domain);
        body.reset(1).unwrap();
        let mut command = scene.start_command();
        command[2] += 0.005;
        let mut percepts = vec![Percept::default(); 12];
        for percept in &mut percepts {
            body.command(&command).unwrap();
            body.read(percept).unwrap();
        }
        percepts.into_iter().map(|percept| percept.tool.unwrap()).collect::<Vec<_>>()
    };
    let exact = pulled(domain("exact"));
    let noisy = ScissorsDomain { force_noise_n: NonNegative::try_from(0.5).unwrap(), ..domain("exact") };
    let late = ScissorsDomain { command_delay_s: NonNegative::try_from(0.05).unwrap(), ..domain("exact") };
    for (noisy, exact) in pulled(noisy).iter().zip(&exact) {
        assert_eq!(noisy.measured, exact.measured);
        assert!(noisy.force_n != exact.force_n);
    }
    let late = pulled(late);
    assert_eq!(late[0].commanded, exact[0].commanded);
    let height_m = |tick: usize| [&late, &exact].map(|tools| tools[tick].measured.position_m[2]);
    let start_m = scene.start_command()[2];
    let [late_m, exact_m] = height_m(2);
    assert!((late_m - start_m).abs() < 2e-4 && exact_m - start_m > 5e-4, "{late_m}, {exact_m} from {start_m} m");
}

/// Contract: a target that is not finite, an array of the wrong length or a quaternion without length is refused by name.
#[test]
fn nonsense_is_not_commanded() {
    let scene = scene();
    let mut body = scene.body(domain("exact"));
    body.reset(1).unwrap();
    let good = scene.start_command();
    for (index, value) in [(0, f32::NAN), (5, f32::INFINITY), (22, f32::NEG_INFINITY)] {
        let mut command = good.clone();
        command[index] = value;
        let error = body.command(&command).unwrap_err();
        assert!(
            matches!(&error, BodyError::NonFinite { quantity, .. } if *quantity == format!("targets_rad[{index}]")),
            "{error}"
        );
    }
    let error = body.command(&good[..16]).unwrap_err();
    assert!(matches!(error, BodyError::WrongLength { found: 16, expected: 23, .. }), "{error}");
    let mut command = good.clone();
    command[3..7].fill(0.0);
    let error = body.command(&command).unwrap_err();
    assert!(matches!(error, BodyError::NoRotation { .. }), "{error}");
    body.command(&good).unwrap();
}
