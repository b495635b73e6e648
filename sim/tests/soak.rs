//! Contract: whatever is done to a body, in whatever domain: no panic, no fault, no number that is not finite, and nothing
//! goes through hand, floor, table or case. `examples/soak_physics` does the same for a million steps.

#[path = "../examples/soak_physics/soak.rs"]
mod soak;

use soak::{Task, soak};

#[test]
fn random_actions_break_nothing() {
    for (task, n_steps) in [(Task::Cube, 60_000), (Task::Scissors, 40_000)] {
        let report = soak(task, n_steps, 7, 0).unwrap();
        assert!(report.n_steps >= n_steps && report.n_episodes > 10, "{task:?}: {report:?}");
        assert!(report.faults.is_empty() && report.too_deep.is_empty(), "{task:?}: {report:?}");
    }
}

/// Episodes in which long soaks found something: a tape of 70 N that threw half of a pair of scissors of 16 g at 27 m/s; hands that rammed
/// some of 18 g and of 21 g 7 mm deep into the walls of their case.
#[test]
fn what_was_found_stays_mended() {
    for (seed, episode) in [(101, 625), (103, 1089), (103, 1757)] {
        let report = soak(Task::Scissors, 1, seed, episode).unwrap();
        assert!(report.faults.is_empty() && report.too_deep.is_empty(), "seed {seed}: {report:?}");
    }
}
