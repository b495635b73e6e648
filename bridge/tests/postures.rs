//! Contract: the loop goes to its two postures at their rates and says when it is there; an episode begins in its start
//! posture, and what comes to its own end is not cut off.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with the control loop's tests")]
mod rig;

use bridge::number::{Finite, NonNegative, Positive};
use bridge::real::cause::Cause;
use bridge::real::clock::VirtualClock;
use bridge::real::control_loop::{Event, LoopConfig, Posture, Request, StartPosture};
use bridge::real::labels::Button;
use bridge::real::machine::{Order, State};
use rig::{HORIZON_STEPS, N_JOINTS, Rig, TICKS_PER_STEP, config, rig_of};

const START_RAD: f64 = 0.6;
const RATE_RAD_S: f64 = 1.0;
const SETTLE_S: f64 = 0.3;

fn with_start(posture_rad: Vec<f64>) -> LoopConfig {
    let start = StartPosture {
        posture_rad: posture_rad.into_iter().map(|rad| Finite::try_from(rad).unwrap()).collect(),
        rate_rad_s: Positive::try_from(RATE_RAD_S).unwrap(),
        settle_s: NonNegative::try_from(SETTLE_S).unwrap(),
    };
    LoopConfig { start: Some(start), ..config() }
}

fn reached(rig: &Rig<VirtualClock>, wanted: Posture) -> Vec<f64> {
    let at = |event: &Event| match event {
        Event::Reached { posture, at_s } if *posture == wanted => Some(*at_s),
        _ => None,
    };
    rig.events().iter().filter_map(at).collect()
}

/// Contract: from a hold the hand parks at its rate, and says once that it is there; parked again, it says so again.
#[test]
fn parking_is_told() {
    let mut rig = Rig::new();
    rig.tick();
    rig.order(Order::Arm);
    let from_s = rig.sides.due_s;
    rig.order(Order::Park);
    rig.ticks(300);
    // 0.6 rad at 0.5 rad/s.
    let at_s = reached(&rig, Posture::Park);
    assert!(at_s.len() == 1 && (at_s[0] - from_s - 1.2).abs() < 0.05, "{at_s:?} from {from_s}");
    rig.order(Order::Stop);
    rig.order(Order::Park);
    rig.ticks(10);
    assert_eq!(reached(&rig, Posture::Park).len(), 1);
}

/// Contract: an episode goes to its start posture at its rate, waits, and only then is observed, asked for a chunk and
/// recorded.
#[test]
fn episodes_begin_in_their_posture() {
    let mut rig = rig_of(with_start(vec![START_RAD; N_JOINTS]), VirtualClock::default(), 16, None);
    rig.start();
    // 0.5 rad at 1 rad/s, then the wait.
    let n_ticks = ((0.5 / RATE_RAD_S + SETTLE_S) * 100.0) as usize;
    for _ in 0..n_ticks - 3 {
        let before = rig.servos(|servos| servos.goal_rad.clone());
        rig.tick();
        let after = rig.servos(|servos| servos.goal_rad.clone());
        for (after, before) in after.iter().zip(before) {
            assert!((after - before).abs() < 0.0101, "{before} to {after}");
        }
    }
    assert!(rig.sides.records.is_empty());
    rig.servos(|servos| {
        assert!(servos.goal_rad.iter().all(|goal| (goal - START_RAD as f32).abs() < 1e-5), "{servos:?}")
    });
    rig.ticks((HORIZON_STEPS + 2) * TICKS_PER_STEP);
    let record = rig.sides.records.try_recv().unwrap();
    assert_eq!((record.episode.n_steps(), record.cut_by), (HORIZON_STEPS, None));
    assert!((record.episode.observation(0)[0] - START_RAD as f32).abs() < 0.01, "{:?}", record.episode.observation(0));
    let events = rig.events();
    let at = |wanted: fn(&Event) -> bool| events.iter().position(wanted).unwrap();
    let start = at(|event| matches!(event, Event::Reached { posture: Posture::Start, .. }));
    assert!(start < at(|event| matches!(event, Event::EpisodeBegun { .. })));
}

/// Contract: a joint that is blocked on its way, as fingers around an object are, is as far as it can be: the episode
/// begins.
#[test]
fn a_blocked_joint_is_there() {
    let mut rig = rig_of(with_start(vec![0.9; N_JOINTS]), VirtualClock::default(), 16, None);
    rig.servos(|servos| servos.wall_rad = 0.15);
    rig.start();
    rig.ticks(200);
    assert_eq!(rig.control.state(), State::Run);
    assert!(rig.events().iter().any(|event| matches!(event, Event::EpisodeBegun { .. })));
}

/// Contract: a human who takes over on the way to the start changes nothing of the way: it is there when it is there, not before; and
/// who hands back on it does not make a chunk late that is not due before the arrival.
#[test]
fn a_human_on_the_way_changes_nothing_of_it() {
    let arrived = |requests: &[Request]| {
        let mut rig = rig_of(with_start(vec![START_RAD; N_JOINTS]), VirtualClock::default(), 16, None);
        rig.start();
        rig.ticks(5);
        for &request in requests {
            rig.sides.requests.send(request).unwrap();
            rig.tick();
        }
        // 0.5 rad at 1 rad/s, less than the wait behind it later.
        rig.ticks(60 - requests.len());
        let events = rig.events();
        let late = |event: &Event| matches!(event, Event::Noticed { cause: Cause::ChunkLate, .. });
        assert!(rig.control.state() == State::Run && !events.iter().any(late), "{requests:?}: {events:?}");
        rig.servos(|servos| {
            assert!(
                servos.goal_rad.iter().all(|goal| (goal - START_RAD as f32).abs() < 1e-5),
                "{requests:?}: {servos:?}"
            )
        });
        let at = |event: &Event| match event {
            Event::Reached { posture: Posture::Start, at_s } => Some(*at_s),
            _ => None,
        };
        let at_s: Vec<f64> = events.iter().filter_map(at).collect();
        rig.ticks((HORIZON_STEPS + 10) * TICKS_PER_STEP);
        let record = rig.sides.records.try_recv().unwrap();
        assert_eq!((record.episode.n_steps(), record.cut_by), (HORIZON_STEPS, None), "{requests:?}");
        at_s
    };
    let undisturbed = arrived(&[]);
    assert_eq!(undisturbed.len(), 1);
    for requests in [&[Request::TakeOver][..], &[Request::TakeOver, Request::HandBack]] {
        assert_eq!(arrived(requests), undisturbed, "{requests:?}");
    }
}

/// Contract: what was pressed before the episode began says nothing of it, but that something unsafe was seen, which ends it at once.
#[test]
fn buttons_on_the_way_say_nothing() {
    let on_the_way = |buttons: &[Button]| {
        let mut rig = rig_of(with_start(vec![START_RAD; N_JOINTS]), VirtualClock::default(), 16, None);
        rig.start();
        rig.ticks(5);
        buttons.iter().for_each(|&button| rig.sides.buttons.send(button).unwrap());
        rig.ticks(2);
        rig
    };
    let buttons = [Button::PlusOne, Button::Success, Button::Failure, Button::PlusOne];
    let mut rig = on_the_way(&buttons);
    rig.ticks(100 + HORIZON_STEPS * TICKS_PER_STEP);
    let record = rig.sides.records.try_recv().unwrap();
    assert_eq!((record.episode.rewards.clone(), record.verdict), (vec![1.0; HORIZON_STEPS], None));
    assert!(!record.episode.label.terminated);
    let pressed = |event: &Event| if let Event::Pressed { button, .. } = event { Some(*button) } else { None };
    assert_eq!(rig.events().iter().filter_map(pressed).collect::<Vec<_>>(), buttons);

    let rig = on_the_way(&[Button::Unsafe]);
    assert_eq!((rig.control.state(), rig.sides.records.len()), (State::Hold, 0));
    let events = rig.events();
    assert!(events.iter().any(|event| matches!(event, Event::Noticed { cause: Cause::SceneLost, .. })), "{events:?}");
}

/// Contract: an object that is lost ends its episode, which is whole; so is one that a human calls unsafe. Only what is
/// stopped in between is cut off.
#[test]
fn what_ends_by_itself_is_not_cut_off() {
    let ended = |rig: &Rig<VirtualClock>| {
        rig.events().iter().find_map(|event| match event {
            Event::EpisodeEnded { cause, .. } => Some(*cause),
            _ => None,
        })
    };
    let mut rig = rig::rig(VirtualClock::default(), 16, Some(5));
    rig.start();
    rig.steps(7);
    assert_eq!((rig.control.state(), ended(&rig)), (State::Hold, Some(None)));

    let mut rig = Rig::new();
    rig.start();
    rig.steps(3);
    rig.sides.buttons.send(Button::Unsafe).unwrap();
    rig.steps(2);
    assert_eq!(ended(&rig), Some(None));

    let mut rig = Rig::new();
    rig.start();
    rig.steps(3);
    rig.sides.pulse = None;
    rig.ticks(2);
    assert!(matches!(ended(&rig), Some(Some(_))));
}
