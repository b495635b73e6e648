//! Small motions, one joint after the other: whether its servo moves it, and it alone.
//!
//! A servo's encoder is in the servo: which finger moves, and which way, only a human sees. The joint's name is said
//! before it moves; a positive angle flexes, or moves to the pinky.

use super::{Examination, Verdict};
use crate::robot::{Interrupt, Setup};
use bridge::real::hand_robot::HandRobot;
use bridge::real::port::Port;
use bridge::real::robot::Robot as _;
use bridge::{Body as _, BodyError, Governor};

/// How far a joint is moved, rad.
const WAY_RAD: f32 = 0.15;
/// How fast, rad/s.
const RATE_RAD_S: f32 = 0.5;
/// How long it is waited for at each end, s.
const REST_S: f32 = 0.3;
/// Shares of the way: what a joint must move by, and what none of the others may.
const MOVED_FROM: f32 = 0.6;
const STILL_BELOW: f32 = 0.25;

/// Moves every joint there and back, under the governor and at the current of a hold. Torque is off before and after.
pub(super) fn examine<P: Port>(hand: HandRobot<P>, setup: &Setup, examination: &mut Examination) {
    let spec = setup.body_spec();
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return examination.note("motion", Verdict::Bad, error.to_string(), "nothing was moved"),
    };
    let mut governor = Governor::new(hand, setup.governor());
    let done = (|| {
        governor.body_mut().reduce_current(true)?;
        governor.body_mut().torque_on(&|| interrupt.is_asked())?;
        // A limp hand sags: what is held is where it is with torque.
        governor.observe()?;
        governor.hold()?;
        let mut wrong = 0;
        for (idx, joint) in spec.joints.iter().enumerate() {
            eprintln!(
                "moving {}: watch that it is this joint, that it flexes or moves to the pinky, and back",
                joint.name
            );
            wrong += u32::from(!moves(&mut governor, idx, spec.servo_hz, &joint.name, &interrupt, examination)?);
        }
        if wrong == 0 {
            let found = format!("each of {} joints follows its servo, and it alone", spec.joints.len());
            let advice = "if another joint moved than was named, or the other way, correct ids and `turns` in the hand's description";
            examination.note("motion", Verdict::Note, found, advice);
        }
        Ok::<(), BodyError>(())
    })();
    let off = governor.body_mut().torque_off();
    if let Err(error) = done.and(off) {
        examination.note("motion", Verdict::Bad, error.to_string(), "see to the cause; torque is off");
    }
}

/// Whether joint `idx` goes there and back, and no other does.
fn moves<P: Port>(
    governor: &mut Governor<HandRobot<P>>,
    idx: usize,
    servo_hz: u32,
    name: &str,
    interrupt: &Interrupt,
    examination: &mut Examination,
) -> Result<bool, BodyError> {
    let mut wanted_rad = governor.applied_rad().to_vec();
    let start_rad = wanted_rad[idx];
    let from_rad = governor.percept().measured_rad.clone();
    let joint = &governor.body().driver().spec().joints[idx];
    let way_rad = if start_rad + WAY_RAD < joint.upper_rad { WAY_RAD } else { -WAY_RAD };
    let n_moving = (WAY_RAD / RATE_RAD_S * servo_hz as f32).ceil() as u32;
    let n_resting = (REST_S * servo_hz as f32) as u32;
    let mut moved_rad = Vec::new();
    for (end, begin) in [(way_rad, 0.0), (0.0, way_rad)] {
        for tick in 1..=n_moving + n_resting {
            let share = (tick as f32 / n_moving as f32).min(1.0);
            if interrupt.is_asked() {
                return Err(BodyError::Fault { body: governor.body().spec().name.clone(), reason: "stopped".into() });
            }
            wanted_rad[idx] = start_rad + begin + (end - begin) * share;
            governor.command(&mut wanted_rad)?;
            governor.body_mut().wait_for_tick();
        }
        if moved_rad.is_empty() {
            let measured_rad = &governor.percept().measured_rad;
            moved_rad = measured_rad.iter().zip(&from_rad).map(|(now, from)| now - from).collect();
        }
    }
    let share = moved_rad[idx] / way_rad;
    if share < MOVED_FROM {
        let found =
            format!("{name} moved by {:.1} degrees of {:.1}", moved_rad[idx].to_degrees(), way_rad.to_degrees());
        examination.note("motion", Verdict::Bad, found, "is it free, and its tendon on? Then calibrate again");
        return Ok(false);
    }
    let names = &governor.body().driver().spec().joints;
    let other = moved_rad.iter().enumerate().filter(|&(other, _)| other != idx);
    let farthest = other.max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
    if let Some((other, &rad)) = farthest.filter(|(_, rad)| rad.abs() > STILL_BELOW * WAY_RAD) {
        let found = format!("{} moved by {:.1} degrees when {name} was moved", names[other].name, rad.to_degrees());
        examination.note("motion", Verdict::Bad, found, "do they touch, or do two servos share an id or a tendon?");
        return Ok(false);
    }
    Ok(true)
}
