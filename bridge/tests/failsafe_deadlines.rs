//! Contract: every row of the fault table, from the facts that a driver reports to the decision, with its deadline.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod healthy;

use bridge::real::cause::{Cause, Causes};
use bridge::real::failsafe::{ArmFacts, Facts, Failsafe, FailsafeConfig};
use bridge::real::machine::{Action, Decision, Order, Refusal, State};
use bridge::real::status::{HandStatus, HardwareError, TransportLost};
use healthy::healthy;

const N_SERVOS: u8 = 17;
const PERIOD_S: f64 = 0.01;

/// All that can be reported of a robot with arm, objects and learner.
#[derive(Clone)]
struct World {
    hand: HandStatus,
    observation_age_s: f64,
    chunk_late_s: Option<f64>,
    learner_silence_s: f64,
    command_age_s: f64,
    arm: ArmFacts,
    period_s: f64,
    events: Causes,
}

impl World {
    fn new() -> Self {
        Self {
            hand: healthy(N_SERVOS),
            observation_age_s: 0.02,
            chunk_late_s: None,
            learner_silence_s: 0.02,
            command_age_s: PERIOD_S,
            arm: ArmFacts { age_s: Some(0.001), unheard_s: 0.0, is_ready: true, has_failed: false },
            period_s: PERIOD_S,
            events: Causes::NONE,
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            hand: Some(&self.hand),
            observation_age_s: Some(self.observation_age_s),
            chunk_late_s: self.chunk_late_s,
            learner_silence_s: Some(self.learner_silence_s),
            command_age_s: Some(self.command_age_s),
            arm: Some(self.arm),
            period_s: self.period_s,
            events: self.events,
        }
    }
}

/// What is different in a world.
type Change = fn(&mut World);

fn failsafe() -> Failsafe {
    Failsafe::new(FailsafeConfig::usual(20).unwrap(), N_SERVOS.into(), PERIOD_S)
}

/// A failsafe whose robot runs, all well, at 10 s.
fn running() -> Failsafe {
    let mut failsafe = failsafe();
    let world = World::new();
    for (order, now_s) in [(None, 0.0), (Some(Order::Arm), 1.0), (Some(Order::Start), 2.0), (None, 10.0)] {
        failsafe.tick(&world.facts(), order, now_s);
    }
    assert_eq!(failsafe.state(), State::Run);
    failsafe
}

/// The decision for one tick of `world` after `running`.
fn decide(world: &World) -> Decision {
    running().tick(&world.facts(), None, 10.0 + PERIOD_S)
}

fn changed(change: impl FnOnce(&mut World)) -> World {
    let mut world = World::new();
    change(&mut world);
    world
}

/// Contract: each fact does nothing up to its limit and what its row says above it.
#[test]
fn limits_of_the_rows() {
    type ChangeBy = fn(&mut World, f64);
    #[rustfmt::skip]
    let rows: [(ChangeBy, f64, State, f64, State); 19] = [
        // 2: 5 bad cycles in 50
        (|w, x| w.hand.n_recent_bad_cycles = x as u32, 4.0, State::Run, 5.0, State::Hold),
        // 3: 100 ms and 500 ms
        (|w, x| w.hand.servos[3].stale_s = x, 0.1, State::Run, 0.101, State::Hold),
        (|w, x| w.hand.servos[16].stale_s = x, 0.5, State::Hold, 0.501, State::Fault),
        // 6: off 5 K below the limit of 70
        (|w, x| w.hand.servos[2].temperature_c = x, 64.9, State::Run, 65.0, State::Hold),
        // 7: voltage
        (|w, x| w.hand.servos[2].voltage_v = x, 5.5, State::Run, 5.4, State::Fault),
        (|w, x| w.hand.servos[2].voltage_v = x, 14.0, State::Run, 14.1, State::Fault),
        (|w, x| w.hand.servos[2].hardware_error = HardwareError(x as u8), 0.0, State::Run, 1.0, State::Fault),
        (|w, x| w.hand.servos[2].hardware_error = HardwareError(x as u8), 0.0, State::Run, 8.0, State::Fault),
        (|w, x| w.hand.servos[2].hardware_error = HardwareError(x as u8), 0.0, State::Run, 16.0, State::Fault),
        (|w, x| w.hand.servos[2].n_position_jumps = x as u32, 0.0, State::Run, 1.0, State::Fault),
        // 8: two steps of 50 ms
        (|w, x| w.observation_age_s = x, 0.1, State::Run, 0.101, State::Hold),
        // 11: 150 ms after the chunk's end
        (|w, x| w.chunk_late_s = Some(x), 0.15, State::Run, 0.151, State::Hold),
        // 12: 150 ms
        (|w, x| w.learner_silence_s = x, 0.15, State::Run, 0.151, State::Hold),
        // 13: the bridge's own watchdog
        (|w, x| w.command_age_s = x, 0.15, State::Run, 0.151, State::Hold),
        // the arm
        (|w, x| w.arm.age_s = Some(x), 0.1, State::Run, 0.101, State::Hold),
        (|w, x| w.arm.age_s = Some(x), 0.5, State::Hold, 0.501, State::Fault),
        (|w, x| w.arm.unheard_s = x, 0.2, State::Run, 0.201, State::Hold),
        (|w, x| w.arm.has_failed = x > 0.0, 0.0, State::Run, 1.0, State::Fault),
        (|w, x| w.arm.is_ready = x > 0.0, 1.0, State::Run, 0.0, State::Fault),
    ];
    for (row, (change, inside, then, outside, at_last)) in rows.into_iter().enumerate() {
        for (value, expected) in [(inside, then), (outside, at_last)] {
            let decision = decide(&changed(|world| change(world, value)));
            assert_eq!(decision.state, expected, "line {row} with {value}: {:?}", decision.causes);
        }
    }
}

/// Contract: no fact that is not a number passes for a good one.
#[test]
fn non_finite_facts_are_the_worst() {
    type ChangeBy = fn(&mut World, f64);
    let facts: [(ChangeBy, State); 8] = [
        (|w, x| w.hand.servos[0].stale_s = x, State::Fault),
        (|w, x| w.hand.servos[0].temperature_c = x, State::Fault),
        (|w, x| w.hand.servos[0].temperature_limit_c = x, State::Fault),
        (|w, x| w.observation_age_s = x, State::Hold),
        (|w, x| w.chunk_late_s = Some(x), State::Hold),
        (|w, x| w.learner_silence_s = x, State::Hold),
        (|w, x| w.command_age_s = x, State::Hold),
        (|w, x| w.arm.age_s = Some(x), State::Fault),
    ];
    for (fact, (change, expected)) in facts.into_iter().enumerate() {
        for value in [f64::NAN, f64::INFINITY] {
            let decision = decide(&changed(|world| change(world, value)));
            assert_eq!(decision.state, expected, "fact {fact} is {value}: {:?}", decision.causes);
            assert!(!decision.may_query && !decision.may_store);
        }
    }
    let mut failsafe = running();
    let world = changed(|world| world.period_s = f64::NAN);
    let states = [1, 2, 3, 4, 5].map(|tick| failsafe.tick(&world.facts(), None, 10.0 + f64::from(tick)).state);
    assert_eq!(states, [State::Run, State::Run, State::Run, State::Run, State::Fault]);
}

/// Contract, rows 1, 15, 18 and what happens in a tick: torque goes in the same tick, and comes back by reset and arming
/// alone.
#[test]
fn events_act_in_their_tick() {
    let lost = changed(|world| world.hand.transport_lost = Some(TransportLost { reason: "EIO".into() }));
    let mut failsafe = running();
    let decision = failsafe.tick(&lost.facts(), None, 10.01);
    assert_eq!((decision.state, decision.cause), (State::Fault, Some(Cause::TransportLost)));
    assert_eq!(failsafe.tick(&lost.facts(), Some(Order::Reset), 10.02).state, State::Disconnected);
    assert_eq!(failsafe.tick(&World::new().facts(), None, 10.03).state, State::Connected);

    let pressed = changed(|world| world.events = Causes::NONE.with(Cause::EStop));
    let mut failsafe = running();
    let decision = failsafe.tick(&pressed.facts(), Some(Order::Start), 10.01);
    assert_eq!((decision.state, decision.actions.as_slice()[0]), (State::EStop, Action::TorqueOff));
    assert!(decision.actions.as_slice().contains(&Action::DropChunks));
    let refused = failsafe.tick(&pressed.facts(), Some(Order::Reset), 10.02).refused;
    assert_eq!(refused, Some(Refusal::Because(Cause::EStop)));
    let world = World::new();
    assert_eq!(failsafe.tick(&world.facts(), None, 10.03).state, State::EStop);
    assert_eq!(failsafe.tick(&world.facts(), Some(Order::Reset), 10.04).state, State::Connected);
    assert!(!failsafe.tick(&world.facts(), Some(Order::Start), 10.05).is_torque_on);
    assert!(failsafe.tick(&world.facts(), Some(Order::Arm), 10.06).is_torque_on);
}

/// Contract, row 5: an overload holds the hand and ends the episode; reboots come at once, then after 2, 4, 8 and 16 s,
/// then never; the silence of a servo that is being rebooted is excused.
#[test]
fn overloads_are_rebooted_with_patience() {
    let mut failsafe = running();
    let world = changed(|world| world.hand.servos[4].hardware_error = HardwareError(HardwareError::OVERLOAD));
    let (mut reboots, mut fault_s) = (Vec::new(), None);
    for tick in 1..6000 {
        let now_s = f64::from(tick) * PERIOD_S;
        let mut world = world.clone();
        let is_rebooting = reboots.last().is_some_and(|last_s| now_s - last_s < 0.34);
        if is_rebooting {
            world.hand.servos[4].stale_s = 1.0;
            world.hand.servos[4].temperature_c = f64::NAN;
        }
        let decision = failsafe.tick(&world.facts(), None, 10.0 + now_s);
        if tick == 1 {
            let (actions, cause) = (decision.actions.as_slice(), Some(Cause::ServoShutdown));
            assert_eq!((decision.state, decision.cause), (State::Hold, cause));
            assert!(actions.contains(&Action::EndEpisode(cause)), "{actions:?}");
        }
        if decision.actions.as_slice().contains(&Action::Reboot(4)) {
            reboots.push(now_s);
        }
        if fault_s.is_none() && decision.state == State::Fault {
            assert_eq!(decision.cause, Some(Cause::RebootsUsedUp));
            fault_s = Some(now_s);
        }
    }
    let waits: Vec<f64> = reboots.windows(2).map(|pair| ((pair[1] - pair[0]) * 10.0).round() / 10.0).collect();
    assert_eq!(waits, [2.0, 4.0, 8.0, 16.0]);
    assert!(fault_s.is_some_and(|at_s| at_s > reboots[4]));

    // A human who resets gives the servo a new chance, which a minute in health gives as well.
    let decision = failsafe.tick(&world.facts(), Some(Order::Reset), 200.0);
    assert_eq!(decision.state, State::Connected);
    let decision = failsafe.tick(&World::new().facts(), Some(Order::Arm), 203.0);
    assert_eq!((decision.state, decision.refused), (State::Hold, None));
}

/// Contract, row 5: the fifth reboot is the last one, unless the servo was well for a minute before it shut down again.
#[test]
fn a_minute_in_health_is_forgiven() {
    for (pause_s, state) in [(20.0, State::Fault), (61.0, State::Hold)] {
        let mut failsafe = running();
        let well = World::new();
        let ill = changed(|world| world.hand.servos[4].hardware_error = HardwareError(HardwareError::OVERLOAD));
        let mut now_s = 10.0;
        for _ in 0..6 {
            failsafe.tick(&ill.facts(), None, now_s);
            // The reboot's own silence, then health.
            failsafe.tick(&well.facts(), None, now_s + 1.0);
            now_s += pause_s + 2.0;
            failsafe.tick(&well.facts(), None, now_s - 0.5);
        }
        assert_eq!(failsafe.state(), state, "{pause_s}");
    }
}

/// Contract, row 6: warned at 15 K below the limit, current reduced at 10, torque off at 5; on again once it has cooled
/// by 10 K, in a hold, with the goal where the hand is.
#[test]
fn heat_is_answered_by_degrees() {
    let mut failsafe = running();
    let mut now_s = 10.0;
    let mut order = |temperature_c: f64, order: Option<Order>| {
        now_s += PERIOD_S;
        let world = changed(|world| world.hand.servos[1].temperature_c = temperature_c);
        failsafe.tick(&world.facts(), order, now_s)
    };
    let mut tick = |temperature_c: f64| order(temperature_c, None);
    assert!(tick(54.9).causes.is_empty());
    let warm = tick(55.0);
    assert!(warm.causes.has(Cause::Warm) && !warm.is_current_reduced && warm.state == State::Run);
    let hot = tick(60.0);
    assert!(hot.actions.as_slice() == [Action::ReduceCurrent] && hot.may_store && hot.state == State::Run);
    let off = tick(65.0);
    assert!(off.state == State::Hold && !off.is_torque_on && off.actions.as_slice()[0] == Action::TorqueOff);
    assert!(!tick(55.1).is_torque_on);
    // A start that comes with the torque comes too early.
    let on = order(54.9, Some(Order::Start));
    assert_eq!(on.refused, Some(Refusal::NotInThisState));
    assert_eq!(on.actions.as_slice(), [Action::ReduceCurrent, Action::TorqueOn, Action::HoldAtMeasured]);
    assert_eq!(on.state, State::Hold);
    assert_eq!(order(54.9, Some(Order::Start)).state, State::Run);
}

/// Contract, row 8: a stale observation is not asked about and not stored, before it ends the run.
#[test]
fn stale_observations_are_not_stored() {
    let decision = decide(&changed(|world| world.observation_age_s = 0.06));
    assert_eq!((decision.state, decision.may_query, decision.may_store), (State::Run, false, false));
}

/// Contract, rows 7 and 13: torque that is off although ordered means lost power, a tripped watchdog a servo that heard
/// nothing and is armed again, in a hold; both only once the servos had time to report what was ordered, and neither keeps a fresh process from arming.
#[test]
fn what_was_ordered_is_checked() {
    let changes: [(Change, Cause, State); 2] = [
        (|world| world.hand.servos[9].is_torque_enabled = Some(false), Cause::PowerCycled, State::Fault),
        (|world| world.hand.servos[9].is_watchdog_tripped = true, Cause::WatchdogTripped, State::Hold),
    ];
    for (change, cause, state) in changes {
        let world = changed(change);
        let mut failsafe = failsafe();
        failsafe.tick(&world.facts(), None, 0.0);
        assert_eq!(failsafe.tick(&world.facts(), Some(Order::Arm), 1.0).state, State::Hold);
        assert_eq!(failsafe.tick(&world.facts(), None, 3.9).state, State::Hold);
        let decision = failsafe.tick(&world.facts(), None, 4.1);
        assert!(decision.state == state && decision.causes.has(cause), "{decision:?}");
        assert_eq!(decision.actions.as_slice().contains(&Action::Rearm(9)), state == State::Hold);
    }
}

/// Contract, row 14: five periods in a row of more than ten times their length; four do nothing.
#[test]
fn overruns_fault() {
    let mut failsafe = running();
    let (slow, well) = (changed(|world| world.period_s = 0.101), World::new());
    let worlds = [&slow, &slow, &slow, &slow, &well, &slow, &slow, &slow, &slow, &slow];
    let states: Vec<State> = worlds.iter().map(|world| failsafe.tick(&world.facts(), None, 11.0).state).collect();
    assert!(states[..9].iter().all(|&state| state == State::Run), "{states:?}");
    assert_eq!(states[9], State::Fault);
}

/// Contract, rows 13 and 16: a start is without torque; nothing is armed before the hand has told all about itself,
/// nor with a cause that stands against it.
#[test]
fn unfit_hands_are_not_armed() {
    let unfit: [(Change, Cause); 7] = [
        (|world| world.hand.last_complete_read_s = None, Cause::Unverified),
        (|world| world.hand.servos[0].temperature_c = f64::NAN, Cause::Unverified),
        (|world| world.hand.servos.truncate(usize::from(N_SERVOS) - 1), Cause::Unverified),
        (|world| world.arm.age_s = None, Cause::Unverified),
        (|world| world.arm.is_ready = false, Cause::ArmNotReady),
        (|world| world.hand.servos[0].stale_s = 0.2, Cause::JointStale),
        (|world| world.hand.servos[0].temperature_c = 66.0, Cause::Overheated),
    ];
    for (change, cause) in unfit {
        let mut failsafe = failsafe();
        let world = changed(change);
        assert!(!failsafe.tick(&World::new().facts(), None, 0.0).is_torque_on);
        let decision = failsafe.tick(&world.facts(), Some(Order::Arm), 1.0);
        assert_eq!((decision.state, decision.refused), (State::Connected, Some(Refusal::Because(cause))));
    }
    let mut failsafe = failsafe();
    let none = Facts { hand: None, arm: None, ..World::new().facts() };
    assert_eq!(failsafe.tick(&none, Some(Order::Arm), 0.0).state, State::Disconnected);
}
