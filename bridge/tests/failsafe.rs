//! Contract: what a robot may do is a function of state, causes, order and time, as the fault table says; every deadline
//! is kept; no sequence of events gives torque that no human allowed, or keeps it when it has to go.

use bridge::random;
use bridge::real::cause::{Cause, Causes, Reaction, Scope};
use bridge::real::machine::{Action, Decision, Input, Machine, Order, Refusal, Repairs, State};
use rand::Rng as _;

const PARK_AFTER_S: f64 = 1.0;

/// What the fault table says of one cause: the next state from disconnected, connected, hold, run, park, fault, e-stop.
const TABLE: [(&str, Cause); 32] = [
    ("DFFFFFE", Cause::TransportLost),
    ("DFFFFFE", Cause::BodyFailed),
    ("DCHRPFE", Cause::BrokenCycle),
    ("DCHHHFE", Cause::BadCycles),
    ("DCHHHFE", Cause::JointStale),
    ("DFFFFFE", Cause::JointLost),
    ("DCHHHFE", Cause::ServoShutdown),
    ("DFFFFFE", Cause::RebootsUsedUp),
    ("DCHRPFE", Cause::Warm),
    ("DCHRPFE", Cause::Hot),
    ("DCHHHFE", Cause::Overheated),
    ("DFFFFFE", Cause::Electrical),
    ("DFFFFFE", Cause::PowerCycled),
    ("DCHRPFE", Cause::ObservationStale),
    ("DCHHPFE", Cause::ObservationLost),
    ("DCHHPFE", Cause::BadAction),
    ("DFFFFFE", Cause::NotFinite),
    ("DCHRPFE", Cause::ActionLimited),
    ("DCHHPFE", Cause::ChunkLate),
    ("DCHHPFE", Cause::LearnerLost),
    ("DCHHHFE", Cause::WatchdogTripped),
    ("DCHHPFE", Cause::CommandStale),
    ("DFFFFFE", Cause::Overrun),
    ("EEEEEEE", Cause::EStop),
    ("DCFFFFE", Cause::Unverified),
    ("DCHHHFE", Cause::SceneLost),
    ("DCHRPFE", Cause::LogDropped),
    ("DCFFFFE", Cause::ArmNotReady),
    ("DCHHHFE", Cause::ArmStale),
    ("DCHHHFE", Cause::ArmDeaf),
    ("DFFFFFE", Cause::ArmFailed),
    // Row 4 has no cause of its own: an answer that comes too late is discarded where it is read.
    ("DCHRPFE", Cause::BrokenCycle),
];

fn letter(state: State) -> char {
    match state {
        State::Disconnected => 'D',
        State::Connected => 'C',
        State::Hold => 'H',
        State::Run => 'R',
        State::Park => 'P',
        State::Fault => 'F',
        State::EStop => 'E',
    }
}

fn input(causes: Causes, order: Option<Order>, now_s: f64) -> Input {
    Input { is_connected: true, causes, order, repairs: Repairs::default(), now_s }
}

/// A machine that was led to `state`.
fn machine_in(state: State) -> Machine {
    let mut machine = Machine::new(PARK_AFTER_S);
    let quiet = |machine: &mut Machine, orders: &[Option<Order>]| {
        for &order in orders {
            machine.step(input(Causes::NONE, order, 0.0));
        }
    };
    match state {
        State::Disconnected => {}
        State::Connected => quiet(&mut machine, &[None]),
        State::Hold => quiet(&mut machine, &[None, Some(Order::Arm)]),
        State::Run => quiet(&mut machine, &[None, Some(Order::Arm), Some(Order::Start)]),
        State::Park => quiet(&mut machine, &[None, Some(Order::Arm), Some(Order::Park)]),
        State::Fault | State::EStop => {
            quiet(&mut machine, &[None]);
            let cause = if state == State::Fault { Cause::BodyFailed } else { Cause::EStop };
            machine.step(input(Causes::NONE.with(cause), None, 0.0));
        }
    }
    assert_eq!(machine.state(), state);
    machine
}

/// Contract: every pair of a state and a cause leads where the fault table says, with torque, actions, queries and
/// storage to match; and no order of the same tick changes where a severe cause leads.
#[test]
fn every_state_and_cause() {
    for &cause in Cause::ALL {
        assert!(TABLE.iter().any(|&(_, known)| known == cause), "{cause:?} is not in the table");
    }
    for (expected, cause) in TABLE {
        for (state, expected) in State::ALL.into_iter().zip(expected.chars()) {
            let mut machine = machine_in(state);
            let is_connected = state != State::Disconnected;
            let tick = Input { is_connected, ..input(Causes::NONE.with(cause), None, 0.5) };
            let decision = machine.step(tick);
            let (context, actions) = (format!("{state:?} and {cause:?}"), decision.actions.as_slice());
            assert_eq!(letter(decision.state), expected, "{context}");

            let is_limp = cause == Cause::Overheated;
            assert_eq!(decision.is_torque_on, decision.state.is_armed() && !is_limp, "{context}");
            let is_ended = actions.contains(&Action::EndEpisode(Some(cause)));
            assert_eq!(is_ended, state == State::Run && decision.state != State::Run, "{context}: {actions:?}");
            let is_new = decision.state != state;
            if is_new && decision.state.is_latched() {
                assert_eq!(actions.first(), Some(&Action::TorqueOff), "{context}: {actions:?}");
            }
            if is_new && decision.state == State::Hold {
                let is_about_chunks = matches!(cause, Cause::ChunkLate | Cause::LearnerLost);
                let first = match (is_limp, is_about_chunks) {
                    (true, _) => Action::TorqueOff,
                    (_, true) => Action::HoldLastGoal,
                    _ => Action::HoldAtMeasured,
                };
                assert_eq!(actions.first(), Some(&first), "{context}: {actions:?}");
            }
            let is_spoilt = cause.response().is_spoiling;
            assert_eq!(decision.may_query, decision.state == State::Run && !is_spoilt, "{context}");
            assert_eq!(decision.may_store, decision.state == State::Run && !is_spoilt, "{context}");

            for order in Order::ALL {
                let mut machine = machine_in(state);
                let ordered = machine.step(Input { order: Some(order), ..tick });
                if cause.response().reaction >= Reaction::Fault && is_connected {
                    assert!(ordered.state.is_latched(), "{context}, {order:?}: {:?}", ordered.state);
                }
                if cause.response().reaction >= Reaction::Hold && cause.response().scope == Scope::Always {
                    let moves = matches!(ordered.state, State::Run | State::Park);
                    assert!(!moves, "{context}, {order:?}: {:?}", ordered.state);
                }
            }
        }
    }
}

/// Contract: without causes, orders lead where the picture of the states says and nowhere else.
#[test]
fn every_state_and_order() {
    // disconnected, connected, hold, run, park, fault, e-stop; a small letter is a refusal.
    let table = [
        (Order::Arm, "dHhrpfe"),
        (Order::Start, "dcRrRfe"),
        (Order::Stop, "dcHHHfe"),
        (Order::Park, "dcPPpfe"),
        (Order::Disarm, "dCCCCfe"),
        (Order::Reset, "dchrpCC"),
        (Order::SceneReady, "DCHRPFE"),
    ];
    for (order, expected) in table {
        for (state, expected) in State::ALL.into_iter().zip(expected.chars()) {
            let is_connected = state != State::Disconnected;
            let tick = Input { is_connected, ..input(Causes::NONE, Some(order), 0.5) };
            let decision = machine_in(state).step(tick);
            assert_eq!(letter(decision.state), expected.to_ascii_uppercase(), "{order:?} in {state:?}");
            let refused = expected.is_ascii_lowercase().then_some(Refusal::NotInThisState);
            assert_eq!(decision.refused, refused, "{order:?} in {state:?}");
        }
    }
}

/// Contract: a hold for want of chunks or of the learner eases to the park posture after its time, other holds do not,
/// and nothing moves blindly: neither with another cause present nor before a human has put the scene in order.
#[test]
fn some_holds_park() {
    let states = |first: Cause, then: Causes| {
        let mut machine = machine_in(State::Run);
        machine.step(input(Causes::NONE.with(first), None, 10.0));
        [10.5, 10.99, 11.0].map(|now_s| letter(machine.step(input(then, None, now_s)).state)).iter().collect::<String>()
    };
    assert_eq!(states(Cause::ChunkLate, Causes::NONE), "HHP");
    assert_eq!(states(Cause::LearnerLost, Causes::NONE.with(Cause::LearnerLost)), "HHP");
    assert_eq!(states(Cause::LearnerLost, Causes::NONE.with(Cause::JointStale)), "HHH");
    assert_eq!(states(Cause::BadAction, Causes::NONE), "HHH");
    assert_eq!(states(Cause::SceneLost, Causes::NONE), "HHH");

    let mut machine = machine_in(State::Run);
    machine.step(input(Causes::NONE.with(Cause::SceneLost), None, 0.0));
    let refusal = |machine: &mut Machine, order| machine.step(input(Causes::NONE, Some(order), 1.0)).refused;
    assert_eq!(refusal(&mut machine, Order::Start), Some(Refusal::Because(Cause::SceneLost)));
    assert_eq!(refusal(&mut machine, Order::Park), Some(Refusal::Because(Cause::SceneLost)));
    assert_eq!(refusal(&mut machine, Order::SceneReady), None);
    assert_eq!(refusal(&mut machine, Order::Start), None);
    assert_eq!(machine.state(), State::Run);
}

/// What a robot that does as it is told would be like.
#[derive(Default)]
struct Obedient {
    has_torque: bool,
    is_full_current: bool,
    is_in_episode: bool,
}

impl Obedient {
    fn obey(&mut self, decision: &Decision) {
        for action in decision.actions.as_slice() {
            match action {
                Action::TorqueOn => {
                    assert!(!self.has_torque && !self.is_full_current, "torque comes with the reduced current");
                    self.has_torque = true;
                }
                Action::TorqueOff => (self.has_torque, self.is_full_current) = (false, false),
                Action::RestoreCurrent => self.is_full_current = true,
                Action::ReduceCurrent => self.is_full_current = false,
                Action::BeginEpisode => assert!(!std::mem::replace(&mut self.is_in_episode, true)),
                Action::EndEpisode(_) => assert!(std::mem::take(&mut self.is_in_episode)),
                Action::Reboot(_) => assert!(!self.is_full_current && !self.is_in_episode),
                Action::Rearm(_) => assert!(self.has_torque && !self.is_full_current && !self.is_in_episode),
                Action::HoldAtMeasured | Action::HoldLastGoal | Action::Park => assert!(self.has_torque),
                Action::DropChunks | Action::AskHuman(_) => {}
            }
        }
        assert_eq!(self.has_torque, decision.is_torque_on);
        assert!(decision.is_current_reduced || self.is_full_current);
        assert_eq!(self.is_in_episode, decision.state == State::Run);
    }
}

/// Contract: over a million random sequences of causes, orders, reboots and times, which lead everywhere, there is no
/// torque without arming, no way out of a latched state but a reset, no way from there to a run but through connected
/// and arming, no cycle in which an e-stop has torque; and what was decided is what an obedient robot does.
#[test]
fn random_sequences_are_safe() {
    let mut rng = random::stream(1, "failsafe", 0);
    let mut visits = [0u32; 7];
    for _ in 0..1_000_000 {
        let mut machine = Machine::new(PARK_AFTER_S);
        let mut robot = Obedient::default();
        let (mut is_armed, mut now_s) = (false, 0.0);
        for tick in 0..16 {
            let before = machine.state();
            let bits: u64 = rng.random();
            let n_causes = [0, 0, 0, 0, 0, 0, 1, 2][(bits & 7) as usize];
            let causes: Causes =
                (0..n_causes).map(|i| Cause::ALL[(bits >> (8 + 8 * i)) as usize % Cause::ALL.len()]).collect();
            // Orders that lead on are frequent, so that long ways are walked.
            let order = match (bits >> 32) & 7 {
                0 => None,
                1 => Some(Order::ALL[(bits >> 36) as usize % Order::ALL.len()]),
                _ => match before {
                    State::Connected => Some(Order::Arm),
                    State::Hold | State::Park => Some(Order::Start),
                    State::Fault | State::EStop => Some(Order::Reset),
                    _ => None,
                },
            };
            let is_connected = tick == 0 || (bits >> 48) & 31 != 0;
            let repairs =
                Repairs { reboot: ((bits >> 54) & 1 == 1).then_some(3), rearm: ((bits >> 55) & 1 == 1).then_some(4) };
            now_s += [0.01, 0.6, f64::NAN][if (bits >> 56) & 63 == 0 { 2 } else { ((bits >> 56) & 1) as usize }];
            let decision = machine.step(Input { is_connected, causes, order, repairs, now_s });
            let after = decision.state;
            let context = || format!("{before:?} -> {after:?} with {causes:?}, {order:?}");
            visits[State::ALL.iter().position(|&state| state == after).unwrap()] += 1;

            is_armed |= before == State::Connected && order == Some(Order::Arm) && decision.refused.is_none();
            is_armed &= after.is_armed();
            assert!(is_armed || !decision.is_torque_on, "{}", context());
            if causes.has(Cause::EStop) {
                assert!(after == State::EStop && !decision.is_torque_on, "{}", context());
            }
            if before.is_latched() && after != before {
                let is_reset = order == Some(Order::Reset) && matches!(after, State::Connected | State::Disconnected);
                assert!(is_reset || (before, after) == (State::Fault, State::EStop), "{}", context());
            }
            if after == State::Run && before != State::Run {
                assert!(matches!(before, State::Hold | State::Park) && order == Some(Order::Start), "{}", context());
            }
            if matches!(before, State::Disconnected | State::Connected) {
                assert!(!matches!(after, State::Run | State::Park), "{}", context());
            }
            if matches!(after, State::Run | State::Park) {
                let holds = |cause: Cause| {
                    let response = cause.response();
                    response.reaction >= Reaction::RefuseToArm
                        && (response.scope == Scope::Always || after == State::Run)
                };
                assert!(!causes.iter().any(holds), "{}", context());
            }
            let is_spoilt = causes.iter().any(|cause| cause.response().is_spoiling);
            assert!(
                !(decision.may_query || decision.may_store) || (after == State::Run && !is_spoilt),
                "{}",
                context()
            );
            robot.obey(&decision);
        }
    }
    assert!(visits.into_iter().all(|n_visits| n_visits > 100_000), "{visits:?}");
}
