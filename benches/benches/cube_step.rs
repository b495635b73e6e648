//! Physics steps per second and core, with a hand that turns its cube: the cost of everything that learns in simulation.
//!
//! Elements are physics steps; a servo command is four of them. Target: 25,000 steps/s.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use bridge::{Body, Percept};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sim::{CubeScene, Domain, FingerContacts, Gait, GaitTable, PHYSICS_HZ, SERVO_HZ, SimHand};
use std::hint::black_box;

/// Commands after which the gait starts over, so that every sample measures the same motion.
const TICKS: u32 = 10 * SERVO_HZ;

fn scene_and_gait(hand: &str, gait: &str) -> (CubeScene, GaitTable) {
    let scene = CubeScene::load(hand).expect("the hand has a scene");
    let gait = Gait::load(gait).expect("the gait exists");
    let table = GaitTable::new(scene.hand(), &gait).expect("the gait fits the hand");
    (scene, table)
}

fn body(scene: &CubeScene) -> SimHand {
    let mut body = scene.body(Domain::load("exact").expect("the domain exists"));
    body.reset(0).expect("the hand closes around the cube");
    body
}

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cube_step");
    group.throughput(Throughput::Elements(u64::from(PHYSICS_HZ / SERVO_HZ)));
    for (hand, gait) in [("orca_v2", "orca_v2_r5"), ("reference16", "reference16_trot")] {
        for contacts in [FingerContacts::Off, FingerContacts::Distal] {
            let (scene, table) = scene_and_gait(hand, gait);
            let mut body = body(&scene.with_finger_contacts(contacts));
            let start = body.snapshot();
            let mut targets_rad = table.holding_rad().to_vec();
            let mut percept = Percept::default();
            let mut tick = 0;
            group.bench_function(format!("{gait}, finger contacts {contacts:?}"), |bencher| {
                bencher.iter(|| {
                    if tick % TICKS == 0 {
                        body.restore(&start);
                    }
                    table.target(f64::from(tick % TICKS) / f64::from(SERVO_HZ), 0.0, &mut targets_rad);
                    body.command(&targets_rad).expect("the targets are finite");
                    body.read(&mut percept).expect("the hand is whole");
                    tick += 1;
                    black_box(percept.objects[0].position_m)
                });
            });
        }
    }
    group.finish();
}

fn reset_and_snapshot(criterion: &mut Criterion) {
    let (scene, _) = scene_and_gait("orca_v2", "orca_v2_r5");
    let mut body = body(&scene);
    let mut group = criterion.benchmark_group("cube_world");
    group.bench_function("reset", |bencher| bencher.iter(|| body.reset(1).expect("the hand closes around the cube")));
    group.bench_function("snapshot", |bencher| bencher.iter(|| black_box(body.snapshot())));
    let snapshot = body.snapshot();
    group.bench_function("restore", |bencher| {
        bencher.iter_batched(|| (), |()| body.restore(black_box(&snapshot)), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, step, reset_and_snapshot);
criterion_main!(benches);
