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
