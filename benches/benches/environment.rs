//! What an environment adds to the physics of its body, and what a second thread adds to one.
//!
//! `environment`: a control step of the cube task on a simulated hand, and on a body that does nothing; the second is all that task and
//! governor cost. Target: under 5 % of the first. `worlds`: the same steps of four worlds, on one thread and on two; target: 1.7 times as
//! many a second. Elements are physics steps.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use bridge::TaskEnvironment;
use bridge::{Body, BodyError, BodySpec, CubeReward, CubeTask, Environment, GovernorConfig, Percept, parallel};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sim::{CubeScene, Domain, Gait, GaitTable, PHYSICS_HZ, SimHand};
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Control steps after which an episode starts over: ten seconds, in which the gait drops nothing.
const N_STEPS: usize = 200;
const CONTROL_HZ: u32 = 20;
const N_WORLDS: usize = 4;

/// A body that is always where it was.
struct Still {
    spec: BodySpec,
    percept: Percept,
}

impl Body for Still {
    fn spec(&self) -> &BodySpec {
        &self.spec
    }

    fn reset(&mut self, _seed: u64) -> Result<(), BodyError> {
        Ok(())
    }

    fn read(&mut self, percept: &mut Percept) -> Result<(), BodyError> {
        percept.clone_from(&self.percept);
        Ok(())
    }

    fn command(&mut self, _targets_rad: &[f32]) -> Result<(), BodyError> {
        Ok(())
    }
}

fn scene() -> CubeScene {
    CubeScene::load("orca_v2").expect("the hand has a scene")
}

fn environment(scene: &CubeScene) -> TaskEnvironment<SimHand, CubeTask> {
    let domain = Domain::load("exact").expect("the domain exists");
    let governor = GovernorConfig::usual().expect("its numbers are sound");
    scene.environment(domain, governor, CubeReward::Dense).expect("task and hand fit")
}

/// The actions of the gait `orca_v2_r5`.
fn actions(scene: &CubeScene) -> Vec<Vec<f32>> {
    let gait = Gait::load("orca_v2_r5").expect("the gait exists");
    let table = GaitTable::new(scene.hand(), &gait).expect("the gait fits the hand");
    let mut action = table.holding_rad().to_vec();
    let mut actions = Vec::with_capacity(N_STEPS);
    for step in 0..N_STEPS {
        table.target(step as f64 / f64::from(CONTROL_HZ), 0.0, &mut action);
        actions.push(action.clone());
    }
    actions
}

/// Time of an episode's steps, without its reset.
fn play(environment: &mut dyn Environment, actions: &[Vec<f32>], observation: &mut [f32]) -> Duration {
    environment.reset(0, observation).expect("the hand closes around the cube");
    let started = Instant::now();
    for action in actions {
        let step = environment.step(action, observation).expect("the targets are finite");
        assert!(!step.terminated, "the gait dropped the cube");
    }
    started.elapsed()
}

fn overhead(criterion: &mut Criterion) {
    let scene = scene();
    let actions = actions(&scene);
    let mut simulated = environment(&scene);
    let mut observation = vec![0.0; simulated.spec().observation_len];
    simulated.reset(0, &mut observation).expect("the hand closes around the cube");
    let still =
        Still { spec: simulated.governor().body().spec().clone(), percept: simulated.governor().percept().clone() };
    let task = CubeTask::new(scene.task_config(CubeReward::Dense), scene.hand().n_joints());
    let governor = GovernorConfig::usual().expect("its numbers are sound");
    let mut still = TaskEnvironment::new(still, task, governor).expect("task and hand fit");

    let mut group = criterion.benchmark_group("environment");
    group.throughput(Throughput::Elements(N_STEPS as u64 * u64::from(PHYSICS_HZ / CONTROL_HZ)));
    group.sample_size(10);
    let sides: [(&str, &mut dyn Environment); 2] = [("with its physics", &mut simulated), ("alone", &mut still)];
    for (name, environment) in sides {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|n| (0..n).map(|_| play(environment, &actions, &mut observation)).sum());
        });
    }
    group.finish();
}

fn worlds(criterion: &mut Criterion) {
    let scene = scene();
    let actions = actions(&scene);
    let worlds: Vec<_> = (0..N_WORLDS).map(|_| Mutex::new(environment(&scene))).collect();
    let n_observed = worlds[0].lock().expect("nobody panicked").spec().observation_len;
    let mut group = criterion.benchmark_group("worlds");
    group.throughput(Throughput::Elements((N_WORLDS * N_STEPS) as u64 * u64::from(PHYSICS_HZ / CONTROL_HZ)));
    group.sample_size(10);
    for n_threads in [1, 2] {
        group.bench_function(format!("{n_threads} threads"), |bencher| {
            bencher.iter(|| {
                let job = |index: usize| {
                    let mut world = worlds[index].lock().expect("nobody panicked");
                    Ok::<_, Infallible>(play(&mut *world, &actions, &mut vec![0.0; n_observed]))
                };
                parallel::run(N_WORLDS, n_threads, job, |_| ()).expect("nothing fails")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, overhead, worlds);
criterion_main!(benches);
