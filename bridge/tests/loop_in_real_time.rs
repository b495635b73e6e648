//! Contract: the control loop is the same on threads and in real time.

#[expect(dead_code, reason = "shared with the other tests of the loop")]
mod rig;

use bridge::real::clock::{Clock, MachineClock};
use bridge::real::control_loop::{Event, Request};
use bridge::real::machine::{Order, State};
use bridge::real::planner::Snapshot;
use rig::{Rig, rig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Contract: on real threads and in real time the same loop runs, plans, records and ends without torque. How well it
/// keeps its period is for a report, not for a test.
#[test]
fn threads_in_real_time() {
    let clock = MachineClock::start();
    let Rig { mut control, mut sides } = rig(clock, 16, None);
    let is_over = Arc::new(AtomicBool::new(false));
    let worker = sides.worker.take().unwrap();
    let policy = Snapshot { policy: 0.3, version: 1, published_s: 0.0 };
    sides.policies.publish(policy);
    let pulse = sides.pulse.take().unwrap();
    let (pace, servos) = std::thread::scope(|scope| {
        scope.spawn(|| worker.run());
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                pulse.beat();
                clock.wait_until(clock.now_s() + 0.02);
            }
        });
        let looping = scope.spawn(|| {
            control.run(&clock, &is_over);
            let pace = *control.pace();
            // The planner's thread ends with the loop.
            drop(control);
            pace
        });
        // A machine under load may end an episode early; then another one is begun.
        let request = |order| sides.requests.send(Request::Order(order)).unwrap();
        request(Order::Arm);
        let mut n_steps = 0;
        while n_steps < 30 {
            match sides.events.recv().unwrap() {
                Event::State { to: State::Connected, .. } => request(Order::Arm),
                Event::State { to: State::Hold, .. } => request(Order::Start),
                Event::State { to: State::Fault, .. } => request(Order::Reset),
                Event::EpisodeEnded { n_steps: more, .. } => n_steps += more,
                Event::Refused { order: Order::Start, .. } => request(Order::Start),
                _ => {}
            }
        }
        is_over.store(true, Ordering::Relaxed);
        (looping.join().unwrap(), &sides.servos)
    });
    assert!(!servos.lock().unwrap().has_torque);
    assert!(pace.n_ticks > 100 && (0.0..=1.0).contains(&pace.share_on_time()), "{pace:?}");
    println!("{:.2} % of {} ticks on time, worst {:?}", 100.0 * pace.share_on_time(), pace.n_ticks, pace.worst_tick_s);
    for record in sides.records.try_iter() {
        record.episode.check().unwrap();
    }
}
