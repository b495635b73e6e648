//! What a gradient step of every network costs, and a decision of the policy, at three sizes, on one thread and on two.
//!
//! Criterion's throughput is that of the matrix products: Gelem/s are GFLOP/s. What is in a step is in
//! `benches::learner`; `peers/compare` runs the same steps beside PyTorch and JAX.

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use benches::learner::Learner;
use benches::step::{SIZES, Step};
use benches::threads;
use criterion::{BenchmarkId, Criterion, Throughput};

/// Small enough that a million steps on one batch lead nowhere.
const LEARNING_RATE: f64 = 1e-7;

fn steps(criterion: &mut Criterion, n_threads: usize) {
    for size in SIZES {
        let mut learner = Learner::new(size).expect("allowed sizes");
        let mut group = criterion.benchmark_group(format!("learner/{}", size.name));
        for step in Step::ALL {
            group.throughput(Throughput::Elements(step.flop(&size)));
            group.bench_function(BenchmarkId::new(step.name(), n_threads), |bencher| {
                bencher.iter(|| learner.take(step, LEARNING_RATE).expect("finite numbers"));
            });
        }
        group.finish();
    }
}

fn main() {
    learn::configure_process().expect("the first call of main");
    for n_threads in [1, 2] {
        threads::on(n_threads, || steps(&mut Criterion::default().configure_from_args(), n_threads))
            .expect("as many threads as the machine should have");
    }
    Criterion::default().configure_from_args().final_summary();
}
