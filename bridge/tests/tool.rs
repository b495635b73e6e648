//! Contract: a tool's target reaches a body finite, in the workspace, near the tool and within its rates, with a quaternion
//! of length one; the scissors task pays for retrieving and for cutting, once each, and ends when it is over or unsafe.

use bridge::{
    Body, BodyError, BodySpec, Environment, GovernorConfig, JointSpec, Limits, ObjectPose, Percept, ScissorsObject,
    ScissorsTask, ScissorsTaskConfig, TAPE_CUT_SIGNAL, TOOL_POSE_LEN, Task, TaskEnvironment, ToolPose, ToolSpec,
    ToolState, opening_rad, turn_rad,
};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};
use proptest::test_runner::RngSeed;
use std::error::Error;

type TestResult = Result<(), Box<dyn Error>>;

const TOOL: ToolSpec = ToolSpec {
    lower_m: [-0.3, -0.2, 0.0],
    upper_m: [0.3, 0.2, 0.5],
    max_speed_m_s: 0.3,
    max_rate_rad_s: 0.6,
    max_error_m: 0.01,
    max_error_rad: 0.05,
};

fn spec() -> BodySpec {
    BodySpec {
        name: "fake arm".into(),
        joints: vec![JointSpec {
            name: "a".into(),
            lower_rad: -1.0,
            upper_rad: 1.0,
            max_rate_rad_s: 6.0,
            max_effort_nm: 0.3,
            stiffness_nm_rad: 3.0,
        }],
        tool: Some(TOOL),
        objects: ScissorsObject::ALL.map(|object| object.name().to_owned()).into(),
        signals: vec![TAPE_CUT_SIGNAL.into()],
        servo_hz: 60,
    }
}

fn governor() -> Result<GovernorConfig, Box<dyn Error>> {
    Ok(GovernorConfig { rate_share: 1.0.try_into()?, windup: 2.0.try_into()? })
}

fn pose(position_m: [f32; 3], about_z_rad: f32) -> ToolPose {
    let (sin, cos) = (0.5 * about_z_rad).sin_cos();
    ToolPose { position_m, orientation: [0.0, 0.0, sin, cos] }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    /// Contract: whatever is wanted, what is applied is finite, in the workspace, one step from the last target at most, and
    /// has a unit quaternion; what is not finite or no rotation is refused and changes nothing.
    #[test]
    fn tool_limits_hold_for_any_wish(
        wanted in prop::array::uniform8(any::<f32>()),
        small in prop::array::uniform8(-1.0f32..=1.0),
        is_small in any::<bool>(),
        previous in (prop::array::uniform3(0.0f32..=0.2), -3.0f32..=3.0),
        measured in (prop::array::uniform3(-0.1f32..=0.3), -3.0f32..=3.0),
    ) {
        let limits = Limits::new(&spec(), governor().unwrap());
        let wanted = if is_small { small } else { wanted };
        let command = |(position_m, angle_rad): ([f32; 3], f32)| {
            let mut command = [0.0; 8];
            command[..TOOL_POSE_LEN].copy_from_slice(&pose(position_m, angle_rad).values());
            command
        };
        let (previous, measured) = (command(previous), command(measured));
        let mut applied = wanted;
        let result = limits.apply(&mut applied, &previous, &measured);
        let length = wanted[3..7].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        if wanted.iter().any(|x| !x.is_finite()) || length <= 1e-3 {
            prop_assert!(result.is_err());
            prop_assert!(applied.iter().zip(&wanted).all(|(a, w)| a.to_bits() == w.to_bits()));
            return Ok(());
        }
        prop_assert!(result.is_ok(), "{result:?}");
        prop_assert!(applied.iter().all(|x| x.is_finite()));
        for axis in 0..3 {
            prop_assert!((TOOL.lower_m[axis]..=TOOL.upper_m[axis]).contains(&applied[axis]), "{applied:?}");
            prop_assert!((applied[axis] - previous[axis]).abs() <= 0.3 / 60.0 + 1e-6, "{previous:?} -> {applied:?}");
        }
        let quaternion = |command: &[f32; 8]| [command[3], command[4], command[5], command[6]];
        let length = quaternion(&applied).iter().map(|x| x * x).sum::<f32>().sqrt();
        prop_assert!((length - 1.0).abs() < 1e-5, "{length}");
        prop_assert!(turn_rad(quaternion(&previous), quaternion(&applied)) <= 0.6 / 60.0 + 1e-4);
    }
}

/// Contract: a blocked tool is not wound up: its target stays within the error that its controller may act on.
#[test]
fn a_blocked_tool_is_not_wound_up() -> TestResult {
    let limits = Limits::new(&spec(), governor()?);
    let mut blocked = [0.0; 8];
    blocked[6] = 1.0;
    let mut target = blocked;
    for _ in 0..120 {
        let mut wanted = [0.0; 8];
        wanted[..TOOL_POSE_LEN].copy_from_slice(&pose([0.2, -0.2, 0.4], 1.0).values());
        limits.apply(&mut wanted, &target, &blocked)?;
        target = wanted;
    }
    for (found, expected) in target.into_iter().zip([0.01, -0.01, 0.01]) {
        assert!((found - expected).abs() < 1e-6, "{target:?}");
    }
    let angle_rad = turn_rad([target[3], target[4], target[5], target[6]], [0.0, 0.0, 0.0, 1.0]);
    assert!((angle_rad - 0.05).abs() < 1e-4, "{angle_rad} rad");
    Ok(())
}

/// An arm that follows at once, with scissors that are where they are told to be.
struct FakeArm {
    spec: BodySpec,
    command: Vec<f32>,
    commands: Vec<Vec<f32>>,
    pivot_m: [f32; 3],
    force_n: f32,
    cut: bool,
}

impl FakeArm {
    fn new() -> Self {
        let mut command = vec![0.0; 8];
        command[6] = 1.0;
        command[2] = 0.2;
        Self { spec: spec(), command, commands: Vec::new(), pivot_m: [0.0, 0.0, 0.08], force_n: 0.0, cut: false }
    }
}

impl Body for FakeArm {
    fn spec(&self) -> &BodySpec {
        &self.spec
    }

    fn reset(&mut self, _seed: u64) -> Result<(), BodyError> {
        self.commands.clear();
        Ok(())
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        let (tool, joints_rad) = self.command.split_at(TOOL_POSE_LEN);
        let tool = tool.first_chunk().and_then(ToolPose::from_values).unwrap_or_default();
        percept.measured_rad = joints_rad.to_vec();
        percept.commanded_rad = joints_rad.to_vec();
        percept.effort_nm = vec![0.0];
        percept.tool =
            Some(ToolState { measured: tool, commanded: tool, force_n: [0.0, 0.0, self.force_n], torque_nm: [0.0; 3] });
        let object = |position_m, about_x_rad: f32| {
            let (sin, cos) = (0.5 * about_x_rad).sin_cos();
            let [velocity_m_s, angular_velocity_rad_s] = [[0.0; 3]; 2];
            let orientation = [sin, 0.0, 0.0, cos];
            ObjectPose { time_s: 0.0, position_m, orientation, velocity_m_s, angular_velocity_rad_s }
        };
        let (case, tape) = (object([0.0, 0.0, 0.08], 0.0), object([0.0, 0.16, 0.08], 0.0));
        percept.objects = vec![object(self.pivot_m, 0.3), object(self.pivot_m, -0.1), case, tape];
        percept.signals = vec![self.cut];
        Ok(())
    }

    fn command(&mut self, targets_rad: &[f32]) -> Result<(), BodyError> {
        self.commands.push(targets_rad.to_vec());
        self.command.copy_from_slice(targets_rad);
        Ok(())
    }
}

fn environment() -> Result<TaskEnvironment<FakeArm, ScissorsTask>, Box<dyn Error>> {
    Ok(TaskEnvironment::new(FakeArm::new(), task()?, governor()?)?)
}

fn task() -> Result<ScissorsTask, Box<dyn Error>> {
    let corner =
        |x: f64, y: f64, z: f64| -> Result<_, Box<dyn Error>> { Ok([x.try_into()?, y.try_into()?, z.try_into()?]) };
    let config = ScissorsTaskConfig {
        retrieve_m: 0.05.try_into()?,
        held_speed_m_s: 0.15.try_into()?,
        hold_s: 0.1.try_into()?,
        drop_below_m: 0.04.try_into()?,
        max_force_n: 20.0.try_into()?,
        safe_lower_m: corner(-0.3, -0.2, 0.1)?,
        safe_upper_m: corner(0.3, 0.2, 0.5)?,
        control_hz: 20,
        horizon_s: 1.0.try_into()?,
    };
    Ok(ScissorsTask::new(config, 1))
}

const STAY: [f32; 8] = [0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 1.0, 0.0];

/// Contract: an action is the tool pose and the joints; a turn is carried out over the servo ticks of the step, limited tick
/// by tick, with unit quaternions all the way.
#[test]
fn actions_move_tool_and_joints() -> TestResult {
    let mut environment = environment()?;
    assert_eq!((environment.spec().action_len, environment.spec().observation_len), (8, 40));
    assert_eq!(environment.spec().action_lower_rad, [-0.3, -0.2, 0.0, -1.0, -1.0, -1.0, -1.0, -1.0]);
    let mut observation = vec![0.0; 40];
    environment.reset(0, &mut observation)?;
    // The quaternion is twice as long as it should be, and of the other sign.
    let wanted = pose([0.003, 0.0, 0.2], 0.015);
    let mut action = STAY;
    action[..TOOL_POSE_LEN].copy_from_slice(&wanted.values());
    action[3..TOOL_POSE_LEN].iter_mut().for_each(|x| *x *= -2.0);
    action[7] = 0.15;
    environment.step(&action, &mut observation)?;
    let commands = &environment.governor().body().commands;
    assert_eq!(commands.len(), 3);
    for (tick, command) in commands.iter().enumerate() {
        let share = (tick + 1) as f32 / 3.0;
        assert!((command[0] - 0.003 * share).abs() < 1e-6 && (command[7] - 0.15 * share).abs() < 1e-6, "{command:?}");
        let turned = [command[3], command[4], command[5], command[6]];
        let expected_rad = 0.015 * share;
        assert!(
            (turn_rad([0.0, 0.0, 0.0, 1.0], turned) - expected_rad).abs() < 1e-4,
            "{command:?}, {expected_rad} rad"
        );
    }
    assert_eq!(environment.applied_rad(), commands[2]);

    let mut action = STAY;
    action[3..TOOL_POSE_LEN].fill(0.0);
    let error = environment.step(&action, &mut observation).unwrap_err().to_string();
    assert!(error.contains("quaternion"), "{error}");
    Ok(())
}

/// Contract: the observation has every value in its place, in the tool's frame.
#[test]
fn observations_are_in_the_tools_frame() -> TestResult {
    let mut environment = environment()?;
    let mut observation = vec![0.0; 40];
    environment.governor_mut().body_mut().force_n = 3.0;
    environment.reset(0, &mut observation)?;
    let mut percept = Percept::default();
    environment.governor_mut().body_mut().read(&mut percept)?;
    assert!((opening_rad(&percept) - 0.4).abs() < 1e-6, "{}", opening_rad(&percept));
    let expected: [&[f32]; 9] = [
        &[0.0, 0.0],                                      // joints
        &[0.0, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0],   // tool
        &[0.0, 0.0, 0.0, 0.0, 0.0, 3.0],                  // error, force
        &[0.0, 0.0, -0.12],                               // pivot
        &[1.0, 0.0, 0.0, 0.0, -0.295_520_2, 0.955_336_5], // axes of a half turned by 0.3 rad about x
        &[0.0, 0.0, -0.12, 1.0, 0.0, 0.0],                // case
        &[0.0, 0.16, -0.12, 1.0, 0.0, 0.0],               // tape
        &[0.4],                                           // opening
        &[0.0],                                           // retrieved
    ];
    let expected = expected.concat();
    assert_eq!(expected.len(), observation.len());
    for (index, (found, expected)) in observation.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() < 1e-6, "observation[{index}] is {found}, expected {expected}");
    }
    Ok(())
}

/// Contract: +1 once the scissors are out and were held for a while, not while they fly; +1 for the cut, which ends the
/// episode as a success.
#[test]
fn retrieving_and_cutting_are_paid_once() -> TestResult {
    let mut environment = environment()?;
    let mut observation = vec![0.0; 40];
    environment.reset(0, &mut observation)?;
    let mut rewards = Vec::new();
    for height_m in [0.10, 0.14, 0.15, 0.16, 0.161, 0.161, 0.14, 0.161, 0.161] {
        environment.governor_mut().body_mut().pivot_m[2] = height_m;
        rewards.push(environment.step(&STAY, &mut observation)?.reward);
    }
    // Out from 0.14 on, but at 0.2 m/s or more until 0.161.
    assert_eq!(rewards, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    environment.governor_mut().body_mut().cut = true;
    let last = environment.step(&STAY, &mut observation)?;
    assert!(last.terminated && (last.reward - 1.0).abs() < 1e-6, "{last:?}");
    let outcome = environment.outcome();
    assert!(outcome.succeeded && (outcome.total_reward - 2.0).abs() < 1e-9, "{outcome:?}");
    assert_eq!(["grasped", "cut", "dropped"].map(|name| outcome.scalar(name)), [Some(1.0), Some(1.0), Some(0.0)]);
    assert_eq!(["time_to_grasp_s", "time_to_cut_s"].map(|name| outcome.scalar(name)), [Some(0.3), Some(0.5)]);
    Ok(())
}

/// Contract: dropped scissors, too much force and a tool outside of the safe box end an episode without reward and say why.
#[test]
fn unsafe_and_lost_episodes_end() -> TestResult {
    for cause in ["dropped", "too_much_force", "out_of_safe_box"] {
        let mut environment = environment()?;
        let mut observation = vec![0.0; 40];
        let body = environment.governor_mut().body_mut();
        match cause {
            "dropped" => body.pivot_m[2] = 0.03,
            "too_much_force" => body.force_n = -20.5,
            _ => body.command[2] = 0.09,
        }
        environment.reset(0, &mut observation)?;
        let mut action = STAY;
        action[2] = environment.governor().body().command[2];
        let step = environment.step(&action, &mut observation)?;
        assert!(step.terminated && step.reward == 0.0, "{cause}: {step:?}");
        let outcome = environment.outcome();
        assert_eq!(outcome.scalar(cause), Some(1.0), "{outcome:?}");
        assert!(!outcome.succeeded && outcome.scalar("time_to_cut_s").is_none());
    }
    Ok(())
}

/// Contract: a cut that is said after the end earns and leaves what one that is said in the last step does, also where something
/// else ended it; a cut that was seen earns nothing more.
#[test]
fn a_cut_that_is_said_late() -> TestResult {
    // Each is a height a step, and the force in the last one; with what saying it late earns.
    let cases: [(&[f32], f32, f64); 4] = [
        (&[0.08, 0.08], 0.0, 1.0),
        (&[0.16, 0.16, 0.16, 0.16], 0.0, 1.0),
        // The push comes in the step in which they would have counted as retrieved.
        (&[0.16, 0.16, 0.16], 30.0, 2.0),
        (&[0.08, 0.03], 0.0, 1.0),
    ];
    for (heights_m, force_n, earned) in cases {
        let play = |is_said_in_time: bool| -> Result<_, Box<dyn Error>> {
            let (mut task, mut body, mut percept) = (task()?, FakeArm::new(), Percept::default());
            body.read(&mut percept)?;
            task.begin(&percept);
            let mut last = 0.0;
            for (step, &height_m) in heights_m.iter().enumerate() {
                let is_last = step + 1 == heights_m.len();
                (body.pivot_m[2], body.force_n) = (height_m, if is_last { force_n } else { 0.0 });
                body.cut = is_last && is_said_in_time;
                body.read(&mut percept)?;
                last = task.judge(&percept).reward;
            }
            Ok((task, last))
        };
        let (in_time, expected) = play(true)?;
        let (mut late, last) = play(false)?;
        let found = late.hear_success();
        assert_eq!((found, last + found), (earned, expected), "{heights_m:?}");
        assert_eq!(late.outcome(), in_time.outcome(), "{heights_m:?}");
        assert_eq!((late.hear_success(), late.outcome()), (0.0, in_time.outcome()), "{heights_m:?}");
    }
    Ok(())
}
