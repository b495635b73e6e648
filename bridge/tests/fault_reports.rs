//! Contract: a fault takes torque first, and then tells its cause, what the body said of it, and the ticks before it.

#[expect(dead_code, reason = "shared with the other tests of the loop")]
mod rig;

use bridge::real::black_box::N_PAIRS;
use bridge::real::cause::Cause;
use bridge::real::control_loop::Request;
use bridge::real::labels::Button;
use bridge::real::machine::{Order, State};
use bridge::real::status::{HardwareError, TransportLost};
use rig::{N_JOINTS, Rig};

/// Contract, rows 1, 7, 15 and readings that are no numbers: torque is off in the tick that sees it, nothing is commanded
/// any more, and the report holds the last 200 ticks.
#[test]
fn faults_switch_torque_off() {
    type Change = fn(&mut Rig<bridge::real::clock::VirtualClock>);
    let faults: [(Change, State, Cause, usize); 5] = [
        (
            |rig| rig.servos(|servos| servos.status.transport_lost = Some(TransportLost { reason: "EIO".into() })),
            State::Fault,
            Cause::TransportLost,
            2,
        ),
        (
            |rig| rig.servos(|servos| servos.status.servos[1].hardware_error = HardwareError(HardwareError::VOLTAGE)),
            State::Fault,
            Cause::Electrical,
            2,
        ),
        (|rig| rig.servos(|servos| servos.reading = Some(f32::NAN)), State::Fault, Cause::NotFinite, 2),
        (|rig| rig.sides.e_stop.press(), State::EStop, Cause::EStop, 1),
        (|rig| rig.sides.buttons.send(Button::EStop).unwrap(), State::EStop, Cause::EStop, 1),
    ];
    for (change, state, cause, n_ticks) in faults {
        let mut rig = Rig::new();
        rig.ticks(200);
        rig.start();
        rig.steps(10);
        change(&mut rig);
        // What a read brings is seen by the tick after it.
        rig.ticks(n_ticks);
        assert_eq!(rig.control.state(), state, "{cause:?}");
        assert!(!rig.servos(|servos| servos.has_torque), "{cause:?}");
        let n_commands = rig.servos(|servos| servos.n_commands);
        rig.sides.requests.send(Request::Order(Order::Start)).unwrap();
        rig.ticks(50);
        assert_eq!(rig.servos(|servos| servos.n_commands), n_commands, "{cause:?}");

        let report = rig.sides.faults.try_recv().unwrap();
        assert_eq!((report.cause, report.black_box.rows().len()), (cause, N_PAIRS));
        let last = report.black_box.rows().last().unwrap();
        assert!((last.at_s - (report.at_s - 0.01)).abs() < 1e-9 && last.wanted_rad.len() == N_JOINTS);
        let record = rig.sides.records.try_recv().unwrap();
        // Ten steps are carried out; the last is known to be whole one tick later; two are spoilt.
        assert_eq!((record.cut_by, record.episode.n_steps()), (Some(cause), 6 + n_ticks), "{cause:?}");
    }
}

/// Contract: torque is off before anything is made of a fault: its report is sent, and a new ring made, after that.
#[test]
fn torque_goes_before_the_report() {
    let mut rig = Rig::new();
    rig.start();
    rig.steps(2);
    rig.servos(|servos| servos.reading = Some(f32::NAN));
    rig.ticks(2);
    assert_eq!((rig.control.state(), rig.sides.faults.len()), (State::Fault, 1));
    assert_eq!(rig.servos(|servos| servos.n_reports_before_off), Some(0));
}

/// Contract: a report has what the body said of its own fault, and nothing of what it said in an earlier one or after that.
#[test]
fn a_report_has_the_error_of_its_own_fault() {
    let mut rig = Rig::new();
    rig.start();
    rig.steps(2);
    rig.servos(|servos| servos.reading = Some(f32::NAN));
    // It goes on being none, and failing to be read, in the fault.
    rig.ticks(20);
    let report = rig.sides.faults.try_recv().unwrap();
    let said = report.error.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(report.cause == Cause::NotFinite && said.contains("NaN"), "{report:?}");

    rig.servos(|servos| servos.reading = None);
    rig.tick();
    rig.order(Order::Reset);
    assert_eq!(rig.control.state(), State::Connected);
    rig.order(Order::Arm);
    rig.tick();
    rig.servos(|servos| servos.status.servos[1].hardware_error = HardwareError(HardwareError::VOLTAGE));
    rig.ticks(2);
    let report = rig.sides.faults.try_recv().unwrap();
    assert!(report.cause == Cause::Electrical && report.error.is_none(), "{report:?}");
}
