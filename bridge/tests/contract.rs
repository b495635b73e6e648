//! Contract: no command reaches a body but finite and within its limits; an environment has Gymnasium's semantics; the
//! cube task rewards turning, once, in the wanted direction, and ends when the cube is lost.

use bridge::{
    Body, BodyError, BodySpec, CubeReward, CubeTask, CubeTaskConfig, Environment, EnvironmentError, Governor,
    GovernorConfig, JointSpec, Limits, ObjectPose, Percept, Task, TaskEnvironment, TurnDirection,
};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};
use proptest::test_runner::RngSeed;
use std::error::Error;
use std::f64::consts::{FRAC_PI_2, PI};

type TestResult = Result<(), Box<dyn Error>>;

fn spec() -> BodySpec {
    let joint = |name: &str, lower_rad, upper_rad| JointSpec {
        name: name.into(),
        lower_rad,
        upper_rad,
        max_rate_rad_s: 6.0,
        max_effort_nm: 0.3,
        stiffness_nm_rad: 3.0,
    };
    BodySpec {
        name: "fake".into(),
        joints: vec![joint("a", -1.0, 1.0), joint("b", 0.0, 2.0)],
        tool: None,
        objects: vec!["cube".into()],
        signals: Vec::new(),
        servo_hz: 60,
    }
}

fn governor() -> Result<GovernorConfig, Box<dyn Error>> {
    Ok(GovernorConfig { rate_share: 1.0.try_into()?, windup: 2.0.try_into()? })
}

/// A body whose joints follow at once and whose cube turns and falls as it is told.
struct FakeBody {
    spec: BodySpec,
    q_rad: Vec<f32>,
    commands: Vec<Vec<f32>>,
    heading_rad: f64,
    turn_per_tick_rad: f64,
    fall_per_tick_m: f32,
    height_m: f32,
    sick: Option<f32>,
    time_s: f64,
}

impl FakeBody {
    fn new() -> Self {
        Self {
            spec: spec(),
            q_rad: vec![0.0; 2],
            commands: Vec::new(),
            heading_rad: 0.0,
            turn_per_tick_rad: 0.0,
            fall_per_tick_m: 0.0,
            height_m: 0.0,
            sick: None,
            time_s: 0.0,
        }
    }
}

impl Body for FakeBody {
    fn spec(&self) -> &BodySpec {
        &self.spec
    }

    fn reset(&mut self, _seed: u64) -> Result<(), BodyError> {
        self.q_rad.fill(0.0);
        self.commands.clear();
        (self.heading_rad, self.height_m) = (0.0, 0.0);
        Ok(())
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        percept.time_s = self.time_s;
        percept.measured_rad.clone_from(&self.q_rad);
        percept.commanded_rad.clone_from(&self.q_rad);
        percept.effort_nm = vec![self.sick.unwrap_or(0.0); 2];
        let (sin, cos) = (self.heading_rad / 2.0).sin_cos();
        percept.objects = vec![ObjectPose {
            time_s: 0.0,
            position_m: [0.0, 0.0, self.height_m],
            orientation: [0.0, 0.0, sin as f32, cos as f32],
            velocity_m_s: [0.0; 3],
            angular_velocity_rad_s: [0.0; 3],
        }];
        Ok(())
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.commands.push(targets_rad.to_vec());
        self.q_rad.copy_from_slice(targets_rad);
        self.heading_rad += self.turn_per_tick_rad;
        self.height_m -= self.fall_per_tick_m;
        Ok(())
    }
}

fn task(direction: TurnDirection, reward: CubeReward) -> Result<CubeTask, Box<dyn Error>> {
    let zero = 0.0.try_into()?;
    let config = CubeTaskConfig {
        nominal_center_m: [zero; 3],
        drop_below_m: 0.05.try_into()?,
        direction,
        reward,
        control_hz: 20,
        horizon_s: 1.0.try_into()?,
    };
    Ok(CubeTask::new(config, 2))
}

fn environment(
    direction: TurnDirection,
    reward: CubeReward,
    body: FakeBody,
) -> Result<TaskEnvironment<FakeBody, CubeTask>, Box<dyn Error>> {
    Ok(TaskEnvironment::new(body, task(direction, reward)?, governor()?)?)
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    /// Contract: whatever is wanted, what is applied is finite, in range and no further from the last target than the
    /// rate allows; limiting twice is limiting once; what is not finite is refused and changes nothing.
    #[test]
    fn limits_hold_for_any_wish(
        wanted in prop::array::uniform2(any::<f32>()),
        previous in (-1.0f32..=1.0, 0.0f32..=2.0),
        measured in (-1.5f32..=1.5, -0.5f32..=2.5),
    ) {
        let limits = Limits::new(&spec(), governor().unwrap());
        let (previous, measured) = ([previous.0, previous.1], [measured.0, measured.1]);
        let mut applied = wanted;
        let result = limits.apply(&mut applied, &previous, &measured);
        if wanted.iter().any(|x| !x.is_finite()) {
            prop_assert!(result.is_err());
            prop_assert!(applied.iter().zip(&wanted).all(|(a, w)| a.to_bits() == w.to_bits()));
            return Ok(());
        }
        prop_assert!(result.is_ok());
        for (joint, (&x, &p)) in spec().joints.iter().zip(applied.iter().zip(&previous)) {
            prop_assert!((joint.lower_rad..=joint.upper_rad).contains(&x), "{x}");
            prop_assert!((x - p).abs() <= 6.0 / 60.0 + 1e-6, "{p} -> {x}");
        }
        let mut again = applied;
        prop_assert!(limits.apply(&mut again, &previous, &measured).is_ok());
        prop_assert!(again == applied, "{applied:?} -> {again:?}");
    }
}

/// Contract: a blocked joint is not wound up: the target stays within windup x max effort / stiffness of where it is.
#[test]
fn effort_is_limited() -> TestResult {
    let limits = Limits::new(&spec(), governor()?);
    let (mut wanted, blocked) = ([1.0, 2.0], [0.1, 0.1]);
    let mut previous = [0.1, 0.1];
    for _ in 0..60 {
        wanted = [1.0, 2.0];
        limits.apply(&mut wanted, &previous, &blocked)?;
        previous = wanted;
    }
    for x in wanted {
        assert!((x - 0.3).abs() < 1e-6, "{wanted:?}, expected 0.1 + 2 x 0.3 / 3");
    }
    Ok(())
}

/// Contract: an action that is not finite is refused with an error that names it, nothing is commanded, and the episode
/// can go on.
#[test]
fn non_finite_actions_are_refused() -> TestResult {
    let mut environment = environment(TurnDirection::CounterClockwise, CubeReward::Dense, FakeBody::new())?;
    let mut observation = vec![0.0; environment.spec().observation_len];
    environment.reset(0, &mut observation)?;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = environment.step(&[0.0, bad], &mut observation).unwrap_err();
        assert!(matches!(error, EnvironmentError::NonFiniteAction { index: 1, .. }), "{error}");
        assert!(error.to_string().contains("action[1]"), "{error}");
        assert!(environment.governor().body().commands.is_empty());
    }
    environment.step(&[0.0, 0.0], &mut observation)?;
    Ok(())
}

/// Contract: a percept that is not finite ends the episode with an error that names it.
#[test]
fn non_finite_percepts_are_refused() -> TestResult {
    let mut environment = environment(TurnDirection::CounterClockwise, CubeReward::Dense, FakeBody::new())?;
    let mut observation = vec![0.0; environment.spec().observation_len];
    environment.reset(0, &mut observation)?;
    environment.governor_mut().body_mut().sick = Some(f32::NAN);
    let error = environment.step(&[0.0, 0.0], &mut observation).unwrap_err().to_string();
    assert!(error.contains("effort_nm[0]") && error.contains("NaN"), "{error}");
    assert!(matches!(environment.step(&[0.0, 0.0], &mut observation), Err(EnvironmentError::EpisodeEnded)));
    Ok(())
}

/// Contract: a step moves the target in a straight line over its servo ticks, limited tick by tick, and what was really
/// applied is what `applied_rad` says.
#[test]
fn targets_move_in_straight_lines() -> TestResult {
    let mut environment = environment(TurnDirection::CounterClockwise, CubeReward::Dense, FakeBody::new())?;
    let mut observation = vec![0.0; environment.spec().observation_len];
    environment.reset(0, &mut observation)?;
    environment.step(&[-0.15, 9.0], &mut observation)?;
    let expected = [[-0.05, 0.1], [-0.10, 0.2], [-0.15, 0.3]];
    for (sent, expected) in environment.governor().body().commands.iter().zip(expected) {
        assert!(sent.iter().zip(expected).all(|(s, e)| (s - e).abs() < 1e-6), "{sent:?}, expected {expected:?}");
    }
    assert_eq!(environment.applied_rad(), environment.governor().body().commands[2]);
    assert_eq!(environment.governor().body().commands.len(), 3);
    Ok(())
}

/// Contract: turning earns its angle in the wanted direction and costs it in the other; the clock truncates, it does not
/// terminate; a step after the end is refused.
#[test]
fn turning_is_rewarded_and_time_truncates() -> TestResult {
    for (direction, sign) in [(TurnDirection::CounterClockwise, 1.0), (TurnDirection::Clockwise, -1.0)] {
        let body = FakeBody { turn_per_tick_rad: 0.5, ..FakeBody::new() };
        let mut environment = environment(direction, CubeReward::Dense, body)?;
        let mut observation = vec![0.0; environment.spec().observation_len];
        environment.reset(0, &mut observation)?;
        for step_idx in 1..=20 {
            let step = environment.step(&[0.0, 0.0], &mut observation)?;
            assert!((f64::from(step.reward) - sign * 1.5).abs() < 1e-5, "{step:?}");
            assert_eq!((step.terminated, step.truncated), (false, step_idx == 20));
        }
        let outcome = environment.outcome();
        assert!((outcome.turns - sign * 30.0 / (2.0 * PI)).abs() < 1e-5, "{outcome:?}");
        assert!((outcome.seconds - 1.0).abs() < 1e-12 && !outcome.terminated);
        assert!(matches!(environment.step(&[0.0, 0.0], &mut observation), Err(EnvironmentError::EpisodeEnded)));
    }
    Ok(())
}

/// Contract: a lost cube terminates, which is not a truncation, and earns nothing for what it does in the air.
#[test]
fn a_lost_cube_terminates() -> TestResult {
    let body = FakeBody { turn_per_tick_rad: 0.1, fall_per_tick_m: 0.01, ..FakeBody::new() };
    let mut environment = environment(TurnDirection::CounterClockwise, CubeReward::Dense, body)?;
    let mut observation = vec![0.0; environment.spec().observation_len];
    environment.reset(0, &mut observation)?;
    assert!(environment.step(&[0.0, 0.0], &mut observation)?.reward > 0.0);
    let last = environment.step(&[0.0, 0.0], &mut observation)?;
    assert!(last.terminated && !last.truncated);
    assert!(last.reward.abs() < 1e-12);
    assert!(environment.outcome().terminated);
    Ok(())
}

/// Contract: the sparse reward pays +1 for every further quarter turn, once, also when the cube turns back and forth.
#[test]
fn quarters_are_paid_once() -> TestResult {
    let mut task = task(TurnDirection::CounterClockwise, CubeReward::Sparse)?;
    let mut body = FakeBody::new();
    let mut percept = Percept::default();
    body.read(&mut percept)?;
    task.begin(&percept);
    let headings = [0.4, 0.9, 1.1, 0.8, 1.2, 1.9, 2.1, 1.0, 2.2, 3.0, 3.9].map(|quarters| quarters * FRAC_PI_2);
    let mut rewards = Vec::new();
    for heading_rad in headings {
        body.heading_rad = heading_rad;
        body.read(&mut percept)?;
        rewards.push(task.judge(&percept).reward);
    }
    assert_eq!(rewards, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    Ok(())
}

/// Contract: a hold sends what is measured, at once; observing sends nothing and starts the next target from there; the
/// age of the last command grows by observing and not by commanding.
#[test]
fn the_governor_holds_and_observes() -> TestResult {
    let mut governor = Governor::new(FakeBody::new(), governor()?);
    assert_eq!(governor.command_age_s(), None);
    governor.body_mut().q_rad = vec![0.7, 2.5];
    governor.observe()?;
    assert_eq!((governor.body().commands.len(), governor.applied_rad()), (0, &[0.7, 2.0][..]));

    governor.body_mut().q_rad = vec![-0.3, 2.5];
    governor.observe()?;
    governor.hold()?;
    assert_eq!(governor.body().commands, [[-0.3, 2.0]]);
    assert_eq!(governor.command_age_s(), Some(0.0));
    for n_ticks in 1..=3 {
        governor.body_mut().time_s += 0.25;
        governor.observe()?;
        assert_eq!(governor.command_age_s(), Some(0.25 * f64::from(n_ticks)));
    }
    assert!(governor.command(&mut [f32::NAN, 0.0]).is_err());
    assert_eq!((governor.body().commands.len(), governor.command_age_s()), (1, Some(0.75)));
    governor.command(&mut [0.0, 0.0])?;
    assert_eq!(governor.command_age_s(), Some(0.0));
    governor.body_mut().q_rad = vec![f32::NAN, 0.0];
    assert!(governor.observe().is_err() && governor.hold().is_err());
    assert_eq!(governor.body().commands.len(), 2);
    Ok(())
}
