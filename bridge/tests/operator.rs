//! Contract: a session leads its human from connecting to the last episode, through faults, pauses and interruptions,
//! and torque is asked for only after a human said yes.

use bridge::real::cause::Cause;
use bridge::real::control_loop::{Event, Posture, Request};
use bridge::real::labels::Button;
use bridge::real::machine::{Order, Refusal, State};
use bridge::real::operator::{Answer, Heard, Judged, Operator, Position, Reply, Stage};

fn state(from: State, to: State, cause: Option<Cause>) -> Heard {
    Heard::Loop(Event::State { from, to, cause, at_s: 0.0 })
}

fn parked() -> Heard {
    Heard::Loop(Event::Reached { posture: Posture::Park, at_s: 0.0 })
}

fn ended(seed: u64, cause: Option<Cause>) -> Heard {
    Heard::Loop(Event::EpisodeEnded { seed, n_steps: 10, cause, at_s: 0.0 })
}

fn orders(reply: Reply) -> Vec<Order> {
    let order = |request| match request {
        Request::Order(order) => order,
        other => panic!("{other:?} is no order"),
    };
    reply.requests.into_iter().flatten().map(order).collect()
}

/// A session of two episodes whose first one runs.
fn running() -> Operator {
    let mut operator = Operator::new(Position::new(2, 7), true);
    let stages = [
        (Heard::Connected, vec![], Stage::Check),
        (Heard::Checked(false), vec![], Stage::Check),
        (Heard::Checked(true), vec![], Stage::Arm),
        (Heard::Human(Answer::Yes), vec![Order::Arm], Stage::Arm),
        (state(State::Connected, State::Hold, None), vec![], Stage::Open),
        (Heard::Human(Answer::Yes), vec![Order::SceneReady, Order::Park], Stage::Open),
        (state(State::Hold, State::Park, None), vec![], Stage::Open),
        (parked(), vec![], Stage::Place),
        (Heard::Human(Answer::Yes), vec![Order::SceneReady, Order::Start], Stage::Place),
        (state(State::Park, State::Run, None), vec![], Stage::Episode),
    ];
    for (heard, expected, stage) in stages {
        assert_eq!(orders(operator.hear(heard.clone())), expected, "{heard:?}");
        assert_eq!(operator.position().stage, stage, "{heard:?}");
    }
    operator
}

/// Contract: the plain way, with one episode kept, one discarded, one more kept.
#[test]
fn the_plain_way() {
    let mut operator = running();
    assert!(operator.hear(ended(7, None)).judged.is_none());
    assert_eq!(operator.position().stage, Stage::Label);
    let reply = operator.hear(Heard::Human(Answer::Keep(Some(Button::Success))));
    assert_eq!(reply.judged, Some(Judged::Keep(Some(Button::Success))));
    assert_eq!((operator.position().stage, operator.position().next_seed), (Stage::Open, 8));
    for (seed, answer, judged) in [(8, Answer::Discard, Judged::Discard), (9, Answer::Keep(None), Judged::Keep(None))] {
        assert_eq!(orders(operator.hear(Heard::Human(Answer::Yes))), [Order::SceneReady, Order::Park]);
        operator.hear(parked());
        operator.hear(Heard::Human(Answer::Yes));
        operator.hear(state(State::Park, State::Run, None));
        operator.hear(ended(seed, None));
        let reply = operator.hear(Heard::Human(answer));
        assert_eq!(reply.judged, Some(judged));
        assert_eq!(orders(reply), if seed == 9 { vec![Order::Disarm] } else { vec![] });
    }
    let Position { stage, n_kept, n_discarded, n_cut, n_lost, next_seed, .. } = operator.position();
    assert_eq!((stage, n_kept, n_discarded, n_cut, n_lost, next_seed), (Stage::Done, 2, 1, 0, 0, 10));
    assert!(operator.hear(Heard::Human(Answer::Yes)).is_misplaced);
}

/// Contract: a button judges an episode that has ended as the key does, and means nothing else at any other time.
#[test]
fn buttons_judge_what_has_ended() {
    let pressed = |button| Heard::Loop(Event::Pressed { button, at_s: 0.0 });
    for verdict in [Button::Success, Button::Failure, Button::Unsafe] {
        let mut operator = running();
        operator.hear(ended(7, None));
        assert_eq!(operator.hear(pressed(Button::PlusOne)), Reply::default());
        let mut by_key = operator.clone();
        let reply = operator.hear(pressed(verdict));
        assert_eq!(reply.judged, Some(Judged::Keep(Some(verdict))));
        assert_eq!(reply, by_key.hear(Heard::Human(Answer::Keep(Some(verdict)))));
        assert_eq!(operator.position(), by_key.position());
        assert_eq!(operator.position().stage, Stage::Open);
        assert_eq!(operator.hear(pressed(verdict)), Reply::default());
        assert_eq!(operator.position(), by_key.position());
    }
}

/// Contract: a fault stops the session and says why; only a human resets, and only a human arms again.
#[test]
fn faults_need_a_human() {
    let mut operator = running();
    let cause = Some(Cause::Electrical);
    operator.hear(ended(7, cause));
    operator.hear(state(State::Run, State::Fault, cause));
    assert_eq!((operator.position().stage, operator.position().n_cut), (Stage::Stopped, 1));
    assert!(operator.prompt().contains(Cause::Electrical.text()), "{}", operator.prompt());
    assert!(operator.hear(Heard::Human(Answer::HandBack)).is_misplaced);
    assert_eq!(orders(operator.hear(Heard::Human(Answer::Yes))), [Order::Reset]);
    let refusal = Refusal::Because(Cause::TransportLost);
    operator.hear(Heard::Loop(Event::Refused { order: Order::Reset, refusal, at_s: 0.0 }));
    assert!(operator.prompt().contains(Cause::TransportLost.text()), "{}", operator.prompt());
    assert_eq!(orders(operator.hear(state(State::Fault, State::Connected, None))), []);
    assert_eq!(operator.position().stage, Stage::Arm);
    assert_eq!(orders(operator.hear(Heard::Human(Answer::Yes))), [Order::Arm]);
}

/// Contract: a hold cuts the episode off and leads to opening for the object again; a pause switches torque off.
#[test]
fn holds_and_pauses() {
    let mut operator = running();
    operator.hear(state(State::Run, State::Hold, Some(Cause::ChunkLate)));
    operator.hear(ended(7, Some(Cause::ChunkLate)));
    assert_eq!((operator.position().stage, operator.position().n_cut), (Stage::Open, 1));
    assert!(operator.prompt().contains(Cause::ChunkLate.text()), "{}", operator.prompt());
    assert_eq!(orders(operator.hear(Heard::Human(Answer::Pause))), [Order::Disarm]);
    operator.hear(state(State::Hold, State::Connected, None));
    assert_eq!(operator.position().stage, Stage::Paused);
    assert_eq!(orders(operator.hear(Heard::Human(Answer::Yes))), []);
    assert_eq!(operator.position().stage, Stage::Arm);

    let mut operator = running();
    let reply = operator.hear(Heard::Human(Answer::TakeOver));
    assert_eq!(reply.requests, [Some(Request::TakeOver), None]);
    assert_eq!(orders(operator.hear(Heard::Human(Answer::Pause))), [Order::Disarm]);
    operator.hear(ended(7, None));
    assert_eq!((operator.position().stage, operator.position().n_cut), (Stage::Paused, 1));
}

/// Contract: whatever the stage, a killed session goes on from connecting, counts what it had, and never uses a number
/// twice; an episode without its label is lost and said to be.
#[test]
fn interrupted_sessions_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.ron");
    let stages = [
        Stage::Connect,
        Stage::Check,
        Stage::Arm,
        Stage::Open,
        Stage::Place,
        Stage::Episode,
        Stage::Label,
        Stage::Stopped,
        Stage::Paused,
        Stage::Done,
    ];
    for stage in stages {
        let saved = Position { stage, n_kept: 1, ..Position::new(2, 12) };
        saved.save(&path).unwrap();
        let position = Operator::new(Position::load(&path).unwrap(), true).position();
        let expected = Position {
            stage: if stage == Stage::Done { Stage::Done } else { Stage::Connect },
            n_lost: u64::from(stage == Stage::Label),
            ..saved
        };
        assert_eq!(position, expected);
    }
    std::fs::remove_file(&path).unwrap();
    assert!(Position::load(&path).is_err());
}

/// Contract: unattended, opening, placing and labelling are taken as done; arming, and what comes after a fault, are
/// not.
#[test]
fn unattended_sessions() {
    let mut operator = Operator::new(Position::new(1, 0), false);
    operator.hear(Heard::Connected);
    assert_eq!(orders(operator.hear(Heard::Checked(true))), []);
    operator.hear(Heard::Human(Answer::Yes));
    let reply = operator.hear(state(State::Connected, State::Hold, None));
    assert_eq!(orders(reply), [Order::SceneReady, Order::Park]);
    assert_eq!(orders(operator.hear(parked())), [Order::SceneReady, Order::Start]);
    operator.hear(state(State::Park, State::Run, None));
    assert_eq!(orders(operator.hear(ended(0, Some(Cause::BadCycles)))), [Order::SceneReady, Order::Park]);
    assert_eq!(orders(operator.hear(parked())), [Order::SceneReady, Order::Start]);
    operator.hear(state(State::Park, State::Run, None));
    let reply = operator.hear(ended(1, None));
    assert_eq!(reply.judged, Some(Judged::Keep(None)));
    assert_eq!((operator.position().stage, orders(reply)), (Stage::Done, vec![Order::Disarm]));
}
