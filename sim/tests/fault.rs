//! Contract: physics that fails is caught before it spoils anything, its body is named, the episode ends as `sim_fault`, and
//! the dump that is left leads to the same fault again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bridge::{
    BodyError, CubeReward, Environment, GovernorConfig, Percept, SIM_FAULT_SCALAR, ScissorsObject, Task,
    TaskEnvironment,
};
use sim::{CubeScene, Domain, Dump, Origin, ScissorsDomain, ScissorsScene, Simulated};
use std::path::{Path, PathBuf};

/// A body of each task with dumps in `folder`, in a domain with noise and delay, and a command that holds it.
fn bodies(folder: &Path) -> Vec<(Box<dyn Simulated>, Vec<f32>)> {
    let cube = CubeScene::load("orca_v2").unwrap().with_fault_folder(folder);
    let scissors = ScissorsScene::load("orca_v2").unwrap().with_fault_folder(folder);
    let scissors = scissors.clone().pinned_to(&scissors.configurations()[4..5]);
    vec![
        (Box::new(cube.body(Domain::load("shifted_orca_v2").unwrap())), cube.start().holding_rad.clone()),
        (Box::new(scissors.body(ScissorsDomain::load("scissors_shifted").unwrap())), scissors.start_command()),
    ]
}

fn fault(error: BodyError) -> (String, Option<PathBuf>) {
    match error {
        BodyError::SimFault { reason, dump, .. } => (reason, dump),
        error => panic!("expected a fault of the physics, found: {error}"),
    }
}

/// Lives through the dump at `path`; returns the tick that fails and what is said then, and the truth before it.
fn relive(path: &Path) -> (usize, String, Percept) {
    let dump = Dump::read(path).unwrap();
    let mut body = dump.body().unwrap();
    body.reset(dump.seed).unwrap();
    let mut truth = Percept::default();
    for tick in 0..=dump.commands.len() {
        body.truth(&mut truth);
        match dump.tick(tick, body.as_mut()) {
            Ok(true) => {}
            Ok(false) => panic!("nothing failed in {tick} ticks"),
            Err(error) => return (tick, fault(error).0, truth),
        }
    }
    panic!("the dump does not end")
}

/// Contract: a velocity that is not finite, a body that is too fast, and a target beyond everything are found at the very
/// next command, by name; nothing works until a reset; the dump ends with the same words, and its body is until then, bit
/// for bit, where it was.
#[test]
fn faults_are_named_and_can_be_relived() {
    let folder = tempfile::tempdir().unwrap();
    for (index, (mut body, command)) in bodies(folder.path()).into_iter().enumerate() {
        let object = if index == 0 { "cube" } else { ScissorsObject::FingerHalf.name() };
        let joint = command.len() - 1;
        let [not_finite, too_fast] = ["expected finite numbers", "expected at most"];
        let pushes = [(f32::NAN, not_finite), (f32::INFINITY, not_finite), (1e30, too_fast), (30.0, too_fast)];
        for (seed, (impulse_n_s, what)) in pushes.into_iter().enumerate() {
            body.reset(seed as u64).unwrap();
            for _ in 0..20 {
                body.command(&command).unwrap();
            }
            // An ordinary push is part of what happened.
            body.push(0, [0.0, 0.001, 0.0]);
            for _ in 0..7 {
                body.command(&command).unwrap();
            }
            body.push(0, [0.0, impulse_n_s, 0.0]);
            let mut before = Percept::default();
            let (reason, dump) = fault(body.command(&command).unwrap_err());
            assert!(reason.starts_with(&format!("{object}: velocity")), "{impulse_n_s} N s: {reason}");
            assert!(reason.contains(what), "{impulse_n_s} N s: {reason}");
            for error in [body.command(&command).unwrap_err(), body.read(&mut before).unwrap_err()] {
                assert!(fault(error).0.contains("a reset comes first"), "{impulse_n_s} N s");
            }
            let (tick, again, truth) = relive(&dump.unwrap());
            assert_eq!((tick, &again), (27, &reason), "{impulse_n_s} N s");
            assert_eq!(truth.find_non_finite(), None);
        }

        body.reset(9).unwrap();
        body.command(&command).unwrap();
        let mut truth = Percept::default();
        body.truth(&mut truth);
        let mut huge = command.clone();
        huge[joint] = 1e20;
        let (reason, dump) = fault(body.command(&huge).unwrap_err());
        assert!(reason.starts_with("thumb_dip: its target is 1e20"), "{reason}");
        let (tick, again, relived) = relive(&dump.unwrap());
        assert_eq!((tick, again, relived), (1, reason, truth));

        body.reset(9).unwrap();
        body.command(&command).unwrap();
    }
}

/// Contract: in an environment of either task a fault truncates the episode, which has not succeeded, keeps the last observation,
/// and tells of the fault; the next reset works.
#[test]
fn an_episode_ends_as_a_fault() {
    let governor = GovernorConfig::usual().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scene = CubeScene::load("orca_v2").unwrap().with_fault_folder(folder.path());
    let cube = scene.environment(Domain::load("exact").unwrap(), governor, CubeReward::Dense).unwrap();
    ends_as_a_fault(cube, &scene.start().holding_rad, folder.path());

    let folder = tempfile::tempdir().unwrap();
    let scene = ScissorsScene::load("orca_v2").unwrap().with_fault_folder(folder.path());
    let scissors = scene.environment(ScissorsDomain::load("scissors_exact").unwrap(), governor).unwrap();
    ends_as_a_fault(scissors, &scene.start_command(), folder.path());
}

fn ends_as_a_fault<B: Simulated, T: Task>(mut environment: TaskEnvironment<B, T>, action: &[f32], folder: &Path) {
    let mut observation = vec![0.0; environment.spec().observation_len];
    environment.reset(3, &mut observation).unwrap();
    environment.step(action, &mut observation).unwrap();
    assert_eq!(environment.outcome().scalar(SIM_FAULT_SCALAR), None);

    environment.governor_mut().body_mut().push(0, [f32::NAN, 0.0, 0.0]);
    let before = observation.clone();
    let step = environment.step(action, &mut observation).unwrap();
    assert!(step.truncated && !step.terminated && step.reward == 0.0, "{step:?}");
    assert_eq!(observation, before);
    let outcome = environment.outcome();
    assert_eq!((outcome.scalar(SIM_FAULT_SCALAR), outcome.succeeded), (Some(1.0), false));
    assert!(environment.step(action, &mut observation).is_err(), "the episode is over");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);

    environment.reset(4, &mut observation).unwrap();
    let step = environment.step(action, &mut observation).unwrap();
    assert!(!step.truncated && environment.outcome().scalar(SIM_FAULT_SCALAR).is_none());
}

/// Contract: a dump says what is wrong with it, and never becomes another body.
#[test]
fn nonsense_is_no_dump() {
    let folder = tempfile::tempdir().unwrap();
    let (mut body, command) = bodies(folder.path()).remove(0);
    body.reset(0).unwrap();
    body.push(0, [f32::NAN, 0.0, 0.0]);
    let path = fault(body.command(&command).unwrap_err()).1.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    for (good, bad, hint) in
        [("\"orca_v2\"", "\"hook\"", "hook"), ("seed:", "sead:", "sead"), ("NaN", "soft", "pushes")]
    {
        assert!(text.contains(good), "{good} in {text}");
        bridge::storage::write_atomic(&path, text.replace(good, bad).as_bytes()).unwrap();
        let error = Dump::read(&path).and_then(|dump| dump.body().map(|_| ())).unwrap_err().to_string();
        assert!(error.contains(hint), "{bad}: {error}");
    }
    // A command of another body's length is refused when it is due.
    let mut dump = ron::from_str::<Dump>(&text).unwrap();
    assert!(matches!(dump.origin, Origin::Cube { .. }));
    dump.commands[0].pop();
    let mut body = dump.body().unwrap();
    body.reset(dump.seed).unwrap();
    assert!(matches!(dump.tick(0, body.as_mut()), Err(BodyError::WrongLength { found: 15, expected: 16, .. })));
}
