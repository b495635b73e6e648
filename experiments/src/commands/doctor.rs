//! `softflow doctor`: what this machine and its robot can do, and why not.

use super::{Ended, kind_of};
use crate::cli::{DoctorArgs, RobotArgs};
use crate::experiment::TaskChoice;
use crate::robot::{
    Emulation, Examination, Kind, Planning, RobotConfig, Setup, Verdict, examine, examine_machine, open_tracker,
};
use bridge::number::Positive;
use bridge::real::calibration::Calibration;
use bridge::real::clock::MachineClock;
use bridge::real::tracker::{TrackerConfig, UdpTracker};
use bridge::{CubeReward, GovernorConfig};
use color_eyre::eyre::Result;

/// Looks.
///
/// # Errors
/// When hand or robot are not known.
pub fn doctor(args: &DoctorArgs) -> Result<Ended> {
    let mut examination = examine_machine()?;
    // The servos of the emulated hand are behind a pseudo-terminal here, whatever else: it is the way to a real one
    // that is looked at.
    let robot = RobotArgs { real_time: false, ..args.robot.clone() };
    if let Some(kind) = kind_of(args.backend, &robot, "nominal", 1)? {
        let of_robot = examine_robot(args, kind)?;
        examination.checks.extend(of_robot.checks);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&examination)?);
    } else {
        print!("{examination}");
    }
    Ok(if examination.is_fit() { Ended::Well } else { Ended::Unmet })
}

fn examine_robot(args: &DoctorArgs, kind: Kind) -> Result<Examination> {
    let task =
        TaskChoice::Cube { hand: args.hand.clone(), reward: CubeReward::Dense, governor: GovernorConfig::usual()? };
    let robot = RobotConfig::resolve(&args.robot, None, &args.hand)?;
    // There are no chunks here; any length will do.
    let setup = Setup::new(&task, robot, kind, Planning::OF_NOBODY, 0)?;
    let clock = MachineClock::start();
    let mut examination = Examination::default();
    let listen = |config: &TrackerConfig, examination: &mut Examination| open_tracker(config, clock, examination);
    let found = match &setup.kind {
        Kind::Real => {
            let calibration = Calibration::load(&setup.robot.calibration);
            if let Err(error) = &calibration {
                let advice = "softflow calibrate --port PORT --serial SERIAL --out FILE, with nothing in the hand";
                examination.note("calibration", Verdict::Bad, error.to_string(), advice);
            }
            let listener = listen(&setup.robot.tracker, &mut examination);
            let port = &setup.robot.port;
            examine(&setup, port, calibration.ok().as_ref(), listener, clock, args.seconds, args.may_move)?
        }
        Kind::Emulated { domain, script, seed, .. } => {
            let emulation = Emulation::new(setup.scene(), (**domain).clone(), &setup.robot, script, *seed)?;
            let nearby = TrackerConfig { listen: ([127, 0, 0, 1], 0).into(), ..setup.robot.tracker.clone() };
            let listener = listen(&nearby, &mut examination);
            let address = listener.as_ref().map_or(Ok(nearby.listen), UdpTracker::address)?;
            let served = emulation.serve(Positive::try_from(1.0)?, address)?;
            let calibration = Some(emulation.calibration());
            examine(&setup, served.path(), calibration, listener, clock, args.seconds, args.may_move)?
        }
    };
    examination.checks.extend(found.checks);
    Ok(examination)
}
