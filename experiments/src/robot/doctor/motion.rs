//! Small motions, one joint after the other: whether its servo moves it, and it alone.
//!
//! A servo's encoder is in the servo: which finger moves, and which way, only a human sees. Both are said before a joint
//! moves; a positive angle flexes, or moves to the pinky. No failsafe looks on here, so a servo that reports an error, gets hot or is
//! out of touch ends it, as it ends a calibration.

use super::{Examination, Verdict};
use crate::robot::{Bystander, Interrupt, Setup};
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

/// Torque is taken so often from servos that do not answer, each time with the driver's patience.
const N_RELEASES: u32 = 20;

const QUESTION: &str = "every joint moves by 9 degrees and back, one after the other: take everything out of the hand, keep clear, watch it. \
                        ENTER stops it at once, torque off. Begin? (y)";

/// Who allows the motions, and stops them.
#[derive(Debug)]
pub struct Mover {
    /// Whoever stands beside the hand.
    pub bystander: Bystander,
    /// Whether it has to be asked.
    pub is_asked: bool,
}

/// Moves every joint there and back, under the governor and at the current of a hold. Torque is off before and after.
pub(super) fn examine<P: Port>(
    hand: HandRobot<P>,
    setup: &Setup,
    Mover { bystander, is_asked }: &Mover,
    examination: &mut Examination,
) {
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return examination.note("motion", Verdict::Bad, error.to_string(), "nothing was moved"),
    };
    if *is_asked && !bystander.allows(QUESTION, &interrupt) {
        return examination.note("motion", Verdict::Bad, "nobody said y", "nothing was moved; --yes does not ask");
    }
    bystander.guard(true);
    let driver = &setup.robot.driver;
    let mut motions = Motions {
        governor: Governor::new(hand, setup.governor()),
        servo_hz: setup.robot.servo_hz,
        watchdog_s: driver.watchdog_s.get(),
        below_limit_k: setup.robot.control.failsafe.off_below_limit_k.get(),
        stop: &|| bystander.is_stopping(&interrupt),
    };
    let done = motions.all(examination);
    let off = motions.let_go();
    bystander.guard(false);
    if let Err(error) = done {
        examination.note("motion", Verdict::Bad, error.to_string(), "see to the cause, then look again");
    }
    if let Err(error) = off {
        let found = format!("torque may still be on: {error}");
        examination.note("motion", Verdict::Bad, found, "switch the hand's supply off");
    }
}

struct Motions<'a, P: Port> {
    governor: Governor<HandRobot<P>>,
    servo_hz: u32,
    /// Silence after which a servo has stopped by itself.
    watchdog_s: f64,
    below_limit_k: f64,
    stop: &'a dyn Fn() -> bool,
}

impl<P: Port> Motions<'_, P> {
    fn all(&mut self, examination: &mut Examination) -> Result<(), BodyError> {
        self.governor.body_mut().reduce_current(true)?;
        self.governor.body_mut().torque_on(self.stop)?;
        // A limp hand sags: what is held is where it is with torque.
        self.governor.observe()?;
        self.governor.hold()?;
        // Who is last in getting its torque has made the first ones wait: each is heard again before it is judged.
        let mut still_rad = self.governor.applied_rad().to_vec();
        for _ in 0..(REST_S * self.servo_hz as f32) as u32 {
            self.refuse_stopped()?;
            self.governor.command(&mut still_rad)?;
            self.governor.body_mut().wait_for_tick();
        }
        let n_joints = self.governor.body().spec().joints.len();
        let mut wrong = 0;
        for idx in 0..n_joints {
            wrong += u32::from(!self.moves(idx, examination)?);
        }
        if wrong == 0 {
            let found = format!("each of {n_joints} joints follows its servo, and it alone");
            let advice = "if another joint moved than was named, or the other way, correct ids and `turns` in the hand's description";
            examination.note("motion", Verdict::Note, found, advice);
        }
        Ok(())
    }

    /// Whether joint `idx` goes there and back, and no other does.
    fn moves(&mut self, idx: usize, examination: &mut Examination) -> Result<bool, BodyError> {
        let mut wanted_rad = self.governor.applied_rad().to_vec();
        let start_rad = wanted_rad[idx];
        let from_rad = self.governor.percept().measured_rad.clone();
        let joint = &self.governor.body().spec().joints[idx];
        let name = joint.name.clone();
        let way_rad = if start_rad + WAY_RAD < joint.upper_rad { WAY_RAD } else { -WAY_RAD };
        eprintln!(
            "moving {name} by {:+.0} degrees: watch that it {}, then comes back",
            way_rad.to_degrees(),
            seen(&name, way_rad)
        );
        let n_moving = (WAY_RAD / RATE_RAD_S * self.servo_hz as f32).ceil() as u32;
        let n_resting = (REST_S * self.servo_hz as f32) as u32;
        let mut moved_rad = Vec::new();
        for (end, begin) in [(way_rad, 0.0), (0.0, way_rad)] {
            for tick in 1..=n_moving + n_resting {
                let share = (tick as f32 / n_moving as f32).min(1.0);
                self.refuse_unfit()?;
                wanted_rad[idx] = start_rad + begin + (end - begin) * share;
                self.governor.command(&mut wanted_rad)?;
                self.governor.body_mut().wait_for_tick();
            }
            if moved_rad.is_empty() {
                let measured_rad = &self.governor.percept().measured_rad;
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
        let names = &self.governor.body().spec().joints;
        let other = moved_rad.iter().enumerate().filter(|&(other, _)| other != idx);
        let farthest = other.max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
        if let Some((other, &rad)) = farthest.filter(|(_, rad)| rad.abs() > STILL_BELOW * WAY_RAD) {
            let found = format!("{} moved by {:.1} degrees when {name} was moved", names[other].name, rad.to_degrees());
            examination.note("motion", Verdict::Bad, found, "do they touch, or do two servos share an id or a tendon?");
            return Ok(false);
        }
        Ok(true)
    }

    /// Torque off. Who is out of touch for a moment is told again.
    fn let_go(&mut self) -> Result<(), BodyError> {
        let robot = self.governor.body_mut();
        let mut off = robot.torque_off();
        for _ in 0..N_RELEASES {
            if off.is_ok() {
                break;
            }
            off = robot.torque_off();
        }
        off
    }

    /// Fails where somebody stops it, or a servo must not be moved on.
    fn refuse_unfit(&self) -> Result<(), BodyError> {
        self.refuse_stopped()?;
        for servo in &self.governor.body().driver().status().servos {
            if let Some(unfit) = servo.unfit(self.watchdog_s, self.below_limit_k) {
                return Err(self.failed(format!("servo {} {unfit}", servo.id)));
            }
        }
        Ok(())
    }

    fn refuse_stopped(&self) -> Result<(), BodyError> {
        if (self.stop)() { Err(self.failed("stopped".into())) } else { Ok(()) }
    }

    fn failed(&self, reason: String) -> BodyError {
        BodyError::Fault { body: self.governor.body().spec().name.clone(), reason }
    }
}

/// What is to be seen of a joint of this name that moves by `way_rad`.
fn seen(name: &str, way_rad: f32) -> &'static str {
    match (name.rsplit('_').next(), way_rad > 0.0) {
        (Some("abd"), true) => "moves to the pinky",
        (Some("abd"), false) => "moves away from the pinky",
        (Some("mcp" | "pip" | "dip"), true) => "flexes",
        (Some("mcp" | "pip" | "dip"), false) => "stretches",
        (_, true) => "flexes, or moves to the pinky",
        (_, false) => "stretches, or moves away from the pinky",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::TaskChoice;
    use crate::robot::{Emulation, Kind, Planning, RobotConfig};
    use bridge::number::NumberError;
    use bridge::real::emulator::{Fault, FaultScript, Servos, SharedEmulator, TimedFault};
    use bridge::{CubeReward, GovernorConfig};

    /// In the midst of the motions, s of the emulator's time.
    const AT_S: f64 = 8.0;
    const TORQUE: u16 = 64;

    /// What moving an emulated hand finds when `fault` happens, the time that it took, s, and the servos.
    fn found(fault: Option<Fault>) -> color_eyre::Result<(Examination, f64, SharedEmulator)> {
        let task =
            TaskChoice::Cube { hand: "orca_v2".into(), reward: CubeReward::Dense, governor: GovernorConfig::usual()? };
        let fault =
            fault.map(|fault| Ok::<_, NumberError>(TimedFault { at_s: AT_S.try_into()?, fault })).transpose()?;
        let script = FaultScript { seed: 1, faults: fault.into_iter().collect() };
        let kind = Kind::Emulated { domain: "nominal".into(), script: script.clone(), seed: 1, is_real_time: false };
        let setup = Setup::new(&task, RobotConfig::of_hand("orca_v2")?, kind, Planning::OF_NOBODY, 0)?;
        let emulation = Emulation::of_bare_hand(setup.scene(), &setup.robot, &script)?;
        let driver = setup.driver(emulation.emulator().open(setup.baud()), Some(emulation.calibration()))?;
        let (hand, _) = HandRobot::connect(driver, setup.robot.driver.hold_effort_share)?;
        let mut examination = Examination::default();
        examine(hand, &setup, &Mover { bystander: Bystander::nobody(), is_asked: true }, &mut examination);
        let emulator = emulation.emulator().clone();
        let now_s = emulator.lock().now().as_secs_f64();
        Ok((examination, now_s, emulator))
    }

    /// Contract: joints of a hand that is well are moved, all of them; a servo that reports an error, gets too hot or is silent for longer
    /// than its watchdog allows ends the motions within a second, by its name, with all torque off.
    #[test]
    fn servos_that_are_not_fit_end_the_motions() -> color_eyre::Result<()> {
        let (well, took_s, _) = found(None)?;
        assert!(well.is_fit() && took_s > 2.0 * AT_S, "{well} after {took_s} s");
        let servos = || Servos::Ids(vec![3]);
        let faults = [
            (Fault::Overload { servos: servos() }, "servo 3 reports overload"),
            (Fault::Temperature { servos: servos(), celsius: 66.0.try_into()? }, "servo 3 is at 66 °C"),
            (Fault::Silent { servos: servos(), for_s: 0.3.try_into()? }, "servo 3 was out of touch"),
        ];
        for (fault, text) in faults {
            let (ill, now_s, emulator) = found(Some(fault))?;
            let [check] = ill.checks.as_slice() else { panic!("{ill}") };
            assert!(check.verdict == Verdict::Bad && check.found.contains(text), "no {text} in {ill}");
            assert!(now_s < AT_S + 1.0, "{text}: it ended at {now_s} s");
            let emulator = emulator.lock();
            assert!((1..=17).all(|id| emulator.register(id, TORQUE, 1) == Some(0)), "{text}: torque");
        }
        Ok(())
    }

    /// Contract: what is to be seen is said of both ways, for what a joint's name says of it.
    #[test]
    fn ways_are_told() {
        assert_eq!(
            (seen("index_abd", 0.1), seen("index_abd", -0.1)),
            ("moves to the pinky", "moves away from the pinky")
        );
        assert_eq!((seen("thumb_dip", 0.1), seen("thumb_dip", -0.1)), ("flexes", "stretches"));
        assert!(seen("thumb_cmc", 0.1).contains("pinky"));
    }
}
