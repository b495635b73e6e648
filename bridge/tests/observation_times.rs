//! Contract: every observation of a record has its time on the loop's clock, so that pictures can be put beside it.

#[expect(dead_code, reason = "shared with the other tests of the loop")]
mod rig;

use bridge::real::control_loop::Event;
use bridge::real::machine::Order;
use rig::{HORIZON_STEPS, Rig, TICKS_PER_STEP};

const STEP_S: f64 = 0.05;

/// Contract: a whole record has one time more than steps, a step apart, from the event of the beginning to that of the end;
/// one that a fault cuts loses those of its spoilt steps; two pieces of one episode have their own.
#[test]
fn observations_have_times() {
    let mut rig = Rig::new();
    rig.start();
    rig.steps(HORIZON_STEPS + 1);
    let record = rig.sides.records.try_recv().unwrap();
    let events = rig.events();
    let begun_s = events.iter().find_map(|event| match event {
        Event::EpisodeBegun { at_s, .. } => Some(*at_s),
        _ => None,
    });
    let ended_s = events.iter().find_map(|event| match event {
        Event::EpisodeEnded { at_s, .. } => Some(*at_s),
        _ => None,
    });
    assert_eq!(record.times_s.len(), HORIZON_STEPS + 1);
    assert_eq!(record.times_s.first(), begun_s.as_ref());
    let last_s = record.times_s[HORIZON_STEPS];
    assert!(ended_s.is_some_and(|ended_s| (last_s..last_s + 0.011).contains(&ended_s)), "{last_s} {ended_s:?}");
    for pair in record.times_s.windows(2) {
        assert!((pair[1] - pair[0] - STEP_S).abs() < 1e-6, "{pair:?}");
    }

    // The pose is too old to be acted on during a part of step 5.
    rig.order(Order::Start);
    rig.steps(5);
    rig.servos(|servos| servos.object_age_s = 0.07);
    rig.tick();
    rig.servos(|servos| servos.object_age_s = 0.0);
    rig.steps(HORIZON_STEPS);
    let pieces: Vec<_> = rig.sides.records.try_iter().collect();
    assert_eq!(pieces.len(), 2);
    for piece in &pieces {
        assert_eq!(piece.times_s.len(), piece.episode.n_steps() + 1);
    }
    let gap_s = pieces[1].times_s[0] - pieces[0].times_s[pieces[0].episode.n_steps()];
    assert!((gap_s - STEP_S).abs() < 1e-6, "{gap_s}");

    rig.order(Order::Start);
    rig.steps(8);
    rig.sides.e_stop.press();
    rig.ticks(2 * TICKS_PER_STEP);
    let cut = rig.sides.records.try_recv().unwrap();
    assert!(cut.cut_by.is_some() && cut.episode.n_steps() < 8);
    assert_eq!(cut.times_s.len(), cut.episode.n_steps() + 1);
}
