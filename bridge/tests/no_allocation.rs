//! Contract: in the steady state a tick of the control loop does not allocate, and the failsafe never does.

#[expect(dead_code, reason = "shared with the other tests of the loop")]
mod rig;

use bridge::real::machine::{Order, State};
use rig::{HORIZON_STEPS, Rig, TICKS_PER_STEP};

/// Contract: connected, held, parked and within an episode, over the beginnings of chunks, 0 allocations in every tick.
#[test]
fn ticks_do_not_allocate() {
    let mut rig = Rig::new();
    let count = |rig: &mut Rig<_>, n_ticks: usize, what: &str| {
        for tick in 0..n_ticks {
            let counted = allocation_counter::measure(|| rig.tick());
            assert_eq!(counted.count_total, 0, "{what}, tick {tick}: {counted:?}");
        }
    };
    // The queues of crossbeam allocate when a thread uses them first.
    rig.ticks(5);
    count(&mut rig, 100, "connected");
    rig.order(Order::Arm);
    count(&mut rig, 100, "held");
    rig.order(Order::Park);
    rig.tick();
    count(&mut rig, 100, "parked");
    rig.publish(0.3, 1);
    rig.order(Order::Start);
    assert_eq!(rig.control.state(), State::Run);
    // The first step makes the record; the last one ends it.
    rig.ticks(TICKS_PER_STEP + 2);
    count(&mut rig, (HORIZON_STEPS - 2) * TICKS_PER_STEP, "within an episode");
    assert_eq!(rig.control.state(), State::Run);
}
