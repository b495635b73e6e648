//! Contract: the scissors task runs on a robot, on emulated servos and an emulated arm: from the command line to the bytes
//! and datagrams. What cuts the tape in the simulation cuts it there; the same every time.

mod binary;
mod child;
mod training;

use binary::{TestResult, softflow, success};
use bridge::number::Positive;
use bridge::real::arm::{ArmLink as _, UdpArm, UdpArmConfig};
use bridge::real::carried::Carried;
use bridge::real::clock::{Clock as _, MachineClock};
use bridge::real::emulator::{Fault, FaultScript, TimedFault};
use bridge::real::hand_robot::HandRobot;
use bridge::real::labels::LabelSource as _;
use bridge::real::robot::{Robot as _, Tracked};
use bridge::storage::write_atomic;
use bridge::{Governor, GovernorConfig, Outcome, ScissorsTask, TOOL_POSE_LEN, Task as _, ToolPose, random};
use child::Killed;
use experiments::experiment::TaskChoice;
use experiments::robot::{Emulation, Kind, Planning, RobotConfig, Scene, Setup};
use sim::{Phase, ScissorsScene};
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A training of seconds.
fn tiny_training(out: &Path) -> Command {
    let changes = [
        "demonstrations.episodes=8",
        "evaluation.domains=[\"scissors_nominal\"]",
        "evaluation.episodes=1",
        "evaluation.online_episodes=0",
        "learn.policy.n_blocks=2",
        "learn.policy.couplings.hidden=32",
        "learn.policy.couplings.embedding=16",
        "learn.critic.net.hidden=32",
        "learn.online.iterations=1",
    ];
    training::tiny_training("scissors.ron", &changes, out)
}

fn path(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn task() -> Result<TaskChoice, Box<dyn Error>> {
    Ok(TaskChoice::Scissors { hand: "orca_v2".into(), governor: GovernorConfig::usual()? })
}

/// What came of strategy `which`, played without scatter and noise on the emulated robot, and where the joints were last.
fn demonstrate(which: usize, domain: &str, seed: u64) -> Result<(Outcome, Vec<f32>), Box<dyn Error>> {
    let robot = RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string())?;
    let kind = Kind::Emulated { domain: domain.into(), script: FaultScript::default(), seed, is_real_time: false };
    let setup = Setup::new(&task()?, robot, kind, Planning::OF_NOBODY, 0)?;
    let (Some((tool, arm)), Scene::Scissors(scene)) = (setup.tool()?, setup.scene()) else {
        return Err("no arm".into());
    };
    let emulation = Emulation::new(setup.scene(), domain, &setup.robot, &FaultScript::default(), seed)?;
    let clock = emulation.emulator().clock();
    let driver = setup.driver(emulation.emulator().open(setup.baud()), Some(emulation.calibration()))?;
    let (hand, _) = HandRobot::connect(driver, setup.robot.driver.hold_effort_share)?;
    let link = emulation.arm_in_time(arm.link.limits)?.ok_or("no arm")?;
    let carried = Carried::connect(hand, link, clock.clone(), tool.spec, tool.signals.clone(), &tool.start, 1.0)?;
    let robot = Tracked::new(carried, emulation.tracker_in_time(&setup.robot.tracker));
    let mut governor = Governor::new(robot, setup.governor());
    governor.observe()?;
    governor.body_mut().torque_on(&|| false)?;
    governor.body_mut().reduce_current(false)?;
    governor.observe()?;

    let mut buttons = emulation.buttons_in_time();
    let period_s = 1.0 / f64::from(setup.robot.servo_hz);
    let mut due_s = clock.now_s();
    let mut go = |governor: &mut Governor<_>, action: &[f32], n_ticks: u32| -> TestResult {
        let start = governor.applied_rad().to_vec();
        let mut wanted = start.clone();
        let pose = |values: &[f32]| values.first_chunk().and_then(ToolPose::from_values).ok_or("no pose");
        for tick in 1..=n_ticks {
            let share = tick as f32 / n_ticks as f32;
            for ((wanted, start), end) in wanted.iter_mut().zip(&start).zip(action) {
                *wanted = start + (end - start) * share;
            }
            wanted[..TOOL_POSE_LEN].copy_from_slice(&pose(&start)?.towards(&pose(action)?, share).values());
            governor.command(&mut wanted)?;
            due_s += period_s;
            clock.wait_until(due_s);
        }
        Ok(())
    };
    let start = scene.start_command();
    go(&mut governor, &start, 150)?;
    go(&mut governor, &start, 80)?;

    let exact = ScissorsScene::clone(scene).with_exact_strategies()?;
    let mut cutter = exact.cutter(which, 0, random::stream(seed, "demonstration", 0)).ok_or("no such strategy")?;
    let mut task = ScissorsTask::new(scene.task_config().clone(), scene.hand().n_joints());
    task.begin(governor.percept());
    let mut action = vec![0.0; start.len()];
    for _ in 0..20 * 60 {
        cutter.act(governor.percept(), &mut action);
        go(&mut governor, &action, 5)?;
        if buttons.next().is_some() {
            governor.body_mut().say_signals(true);
            governor.observe()?;
        }
        if task.judge(governor.percept()).terminated || cutter.phase() == Phase::GivenUp {
            break;
        }
    }
    Ok((task.outcome(), governor.percept().measured_rad.clone()))
}

/// Contract: the demonstrator's four strategies, which all cut the tape in the simulation, cut it through servos, arm and
/// tracker; the same every time, bit for bit.
#[test]
fn strategies_cut_on_the_emulated_robot() -> TestResult {
    let mut outcomes = Vec::new();
    for which in 0..4 {
        let (outcome, _) = demonstrate(which, "scissors_nominal", 3 + which as u64)?;
        outcomes.push(outcome);
    }
    let n_cut = outcomes.iter().filter(|outcome| outcome.succeeded).count();
    assert!(n_cut >= 3, "{outcomes:?}");
    assert!(outcomes.iter().filter(|outcome| outcome.succeeded).all(|outcome| outcome.total_reward == 2.0));
    let again = demonstrate(0, "scissors_shifted", 7)?;
    assert_eq!(again, demonstrate(0, "scissors_shifted", 7)?);
    Ok(())
}

/// Contract: the online stage collects on the emulated robot; run and evaluation say so; an evaluation is the same every
/// time; an arm that is lost costs an episode, is in the log by its cause, and the evaluation goes on.
#[test]
fn training_on_the_emulated_robot() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (run, script) = (path(&folder, "run"), path(&folder, "faults.ron"));
    let output = tiny_training(&run).args(["--backend", "emulated"]).output()?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let table = success(&output)?;
    assert!(table.lines().any(|line| line.starts_with("online")), "no row online in\n{table}");
    assert!(error.contains("collected on the robot") && error.contains("ticks on time"), "{error}");
    assert!(std::fs::read_to_string(run.join("manifest.ron"))?.contains("backend: \"emulated\""));
    assert!(std::fs::read_to_string(run.join("replay/own/dataset.ron"))?.contains("scissors_shifted, emulated"));
    let log = std::fs::read_to_string(run.join("robot/log"))?;
    for line in ["tool           x ", "Hold -> Park", "posture reached: Start", "Park -> Run", "episode 0 ends"] {
        assert!(log.contains(line), "no {line} in\n{log}");
    }

    let evaluate = |more: &[&str]| -> Result<String, Box<dyn Error>> {
        let mut command = softflow();
        command.arg("eval").arg(&run).args(["--backend", "emulated", "--episodes", "1", "--json"]).args(more);
        success(&command.output()?)
    };
    let row = evaluate(&[])?;
    assert!(row.contains("\"domain\":\"scissors_shifted, emulated\"") && row.contains("\"episodes\":1"), "{row}");
    assert_eq!(row, evaluate(&[])?);

    let faults =
        [(5.0, Fault::ArmSilent { for_s: 0.3.try_into()? }), (12.0, Fault::ArmFailed { for_s: 0.5.try_into()? })];
    let faults = faults.map(|(at_s, fault): (f64, Fault)| Ok(TimedFault { at_s: at_s.try_into()?, fault }));
    let faults = faults.into_iter().collect::<Result<_, Box<dyn Error>>>()?;
    write_atomic(&script, ron::to_string(&FaultScript { seed: 1, faults })?.as_bytes())?;
    let row = evaluate(&["--faults", &script.to_string_lossy(), "--domain", "scissors_nominal"])?;
    assert!(row.contains("\"episodes\":1"), "{row}");
    let log = std::fs::read_to_string(run.join("robot/log"))?;
    for text in ["the arm's state is too old", "the arm is silent or has failed", "Fault -> Connected"] {
        assert!(log.contains(text), "no {text} in\n{log}");
    }
    Ok(())
}

/// Contract: `emulate scissors` says where everything is; poses of all four objects come, and the arm tells its state and
/// follows a setpoint.
#[test]
fn an_emulated_robot_is_open_to_anybody() -> TestResult {
    let poses = UdpSocket::bind("127.0.0.1:0")?;
    // Ports that were free a moment ago.
    let free = || UdpSocket::bind("127.0.0.1:0")?.local_addr();
    let (states, controller) = (free()?, free()?);
    let mut command = softflow();
    command.args(["emulate", "scissors", "--tracker", &poses.local_addr()?.to_string()]);
    command.args(["--arm", &states.to_string(), "--arm-controller", &controller.to_string()]);
    let mut child = Killed(command.stdout(Stdio::piped()).spawn()?);
    let robot = RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string())?;
    let limits = robot.arm.ok_or("no arm")?.link.limits;
    let mut arm = UdpArm::open(&UdpArmConfig { listen: states, controller, limits }, 1)?;
    let mut lines = BufReader::new(child.0.stdout.take().ok_or("no output")?).lines();
    for start in ["port /dev/pts/", "tracker 127.0.0.1:", "arm 127.0.0.1:", "buttons 127.0.0.1:"] {
        let line = lines.next().ok_or("it ended")??;
        assert!(line.starts_with(start), "{line}");
    }
    let mut seen = [false; 4];
    let mut frame = [0; 256];
    while seen != [true; 4] {
        let (length, _) = poses.recv_from(&mut frame)?;
        assert_eq!((length, &frame[..4], frame[5]), (140, &b"SFLW"[..], 3));
        seen[usize::from(frame[24])] = true;
    }
    let clock = MachineClock::start();
    let mut target = None;
    loop {
        arm.poll(clock.now_s());
        if let Some(state) = arm.state().copied() {
            assert!(state.is_ready && !state.has_failed);
            let target = target.get_or_insert_with(|| {
                let mut pose = state.pose;
                pose.position_m[2] += 0.005;
                pose
            });
            if state.round_trip_s.is_some() && (state.pose.position_m[2] - target.position_m[2]).abs() < 1e-3 {
                return Ok(());
            }
            arm.send(target, clock.now_s()).ok();
        }
        clock.wait_until(clock.now_s() + 0.005);
        assert!(child.0.try_wait()?.is_none(), "it has ended");
    }
}

/// Contract: the doctor looks at the arm too, where the task has one, and says when it is not there.
#[test]
fn the_doctor_looks_at_the_arm() -> TestResult {
    let examine = |more: &[&str]| -> Result<Vec<(String, String)>, Box<dyn Error>> {
        let mut command = softflow();
        command.args(["doctor", "--task", "scissors", "--seconds", "1", "--json"]).args(more);
        let examination: serde_json::Value = serde_json::from_slice(&command.output()?.stdout)?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let checks = examination["checks"].as_array().cloned().unwrap_or_default();
        let of_arm = checks.iter().filter(|check| check["name"] == "arm");
        Ok(of_arm.map(|check| (text(&check["verdict"]), text(&check["found"]))).collect())
    };
    let well = examine(&["--backend", "emulated"])?;
    assert!(
        well.iter().any(|(_, found)| found.contains("states a second") && found.contains("; ready, at ")),
        "{well:?}"
    );
    let mut robot = RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string())?;
    let arm = robot.arm.as_mut().ok_or("no arm")?;
    arm.link.listen = "127.0.0.1:0".parse()?;
    let folder = tempfile::tempdir()?;
    let file = path(&folder, "robot.ron");
    write_atomic(&file, ron::to_string(&robot)?.as_bytes())?;
    let file = file.to_string_lossy();
    let real = ["--backend", "real", "--port", "/dev/no such port", "--tracker", "127.0.0.1:0", "--robot", &file];
    let ill = examine(&real)?;
    assert!(ill.iter().any(|(verdict, found)| verdict == "bad" && found.contains("no state came")), "{ill:?}");
    Ok(())
}

/// Contract: a robot without an arm is refused for the task, and one whose arm is elsewhere, with what to do; flags about
/// arms are refused where there is none.
#[test]
fn robots_that_do_not_fit_are_refused() -> TestResult {
    let kind = || Kind::Real;
    let robot = || RobotConfig::of_hand("orca_v2").map_err(|error| error.to_string());
    let refused = |robot| {
        Setup::new(&task()?, robot, kind(), Planning::OF_NOBODY, 0).err().ok_or_else(|| Box::<dyn Error>::from("taken"))
    };
    let error = format!("{:#}", refused(RobotConfig { arm: None, ..robot()? })?);
    assert!(error.contains("`arm` is None"), "{error}");
    let mut elsewhere = robot()?;
    if let Some(arm) = &mut elsewhere.arm {
        arm.link.limits.workspace_lower_m[0] = 2.0.try_into()?;
        arm.link.limits.max_error_m = Positive::try_from(0.02)?;
    }
    let error = format!("{:#}", refused(elsewhere)?);
    assert!(error.contains("workspace axis 0"), "{error}");
    let folder = tempfile::tempdir()?;
    let output =
        tiny_training(&path(&folder, "run")).args(["--backend", "emulated", "--arm", "127.0.0.1:1"]).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("brings its port"), "{error}");
    Ok(())
}
