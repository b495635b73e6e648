//! `softflow doctor`: what this machine and its robot can do, and why not.

use super::{Ended, kind_of, task_of};
use crate::cli::{DoctorArgs, RobotArgs};
use crate::robot::{
    Addresses, ArmAddresses, Bystander, Emulation, Examination, Kind, Listeners, Mover, NAP, Planning, RobotConfig,
    Setup, Verdict, Watched, emulated_camera, examine, examine_gamepad, examine_machine, real_camera,
};
use bridge::CubeReward;
use bridge::number::Positive;
use bridge::real::arm::UdpArmConfig;
use bridge::real::calibration::Calibration;
use bridge::real::camera::CameraConfig;
use bridge::real::clock::MachineClock;
use bridge::real::tracker::TrackerConfig;
use color_eyre::eyre::Result;
use std::net::SocketAddr;

/// Looks.
///
/// # Errors
/// When hand or robot are not known.
pub fn doctor(args: &DoctorArgs) -> Result<Ended> {
    let mut examination = examine_machine()?;
    // The servos of the emulated hand are behind a pseudo-terminal here, whatever else: it is the way to a real one
    // that is looked at.
    let robot = RobotArgs { real_time: false, ..args.robot.clone() };
    if let Some(kind) = kind_of(args.backend, &robot, args.task.nominal_domain(), 1)? {
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
    let robot = RobotConfig::resolve(&args.robot, None, &args.hand)?;
    // There are no chunks here; any length will do.
    let setup =
        Setup::new(&task_of(args.task, &args.hand, CubeReward::default())?, robot, kind, Planning::OF_NOBODY, 0)?;
    // From here on: what is written while the hand is looked at does not allow that it moves.
    let mover = args.may_move.then(|| bystander(args, &setup)).transpose()?;
    let clock = MachineClock::start();
    let mut examination = Examination::default();
    let n_objects = setup.scene().objects().len();
    let arm = setup.tool()?.map(|(_, arm)| arm.link.clone());
    let found = match &setup.kind {
        Kind::Real => {
            let calibration = Calibration::load(&setup.robot.calibration);
            if let Err(error) = &calibration {
                let advice = "softflow calibrate --port PORT --serial SERIAL --out FILE, with nothing in the hand";
                examination.note("calibration", Verdict::Bad, error.to_string(), advice);
            }
            let listeners = Listeners::open(&setup.robot.tracker, n_objects, arm.as_ref(), clock, &mut examination);
            examine_gamepad(&setup.robot.gamepad, &mut examination);
            let opener = |camera: &CameraConfig| real_camera(camera, clock);
            let watched = Watched::begin(&setup.robot.cameras, opener, clock, args.seconds, &mut examination);
            let port = &setup.robot.port;
            let found = examine(&setup, port, calibration.ok().as_ref(), listeners, args.seconds, mover.as_ref());
            watched.report(&mut examination);
            found?
        }
        Kind::Emulated { domain, script, seed, .. } => {
            let emulation = Emulation::new(setup.scene(), domain, &setup.robot, script, *seed)?;
            let nearby: SocketAddr = ([127, 0, 0, 1], 0).into();
            let tracker = TrackerConfig { listen: nearby, ..setup.robot.tracker.clone() };
            let arm = arm.map(|link| UdpArmConfig { listen: nearby, controller: nearby, ..link });
            let listeners = Listeners::open(&tracker, n_objects, arm.as_ref(), clock, &mut examination);
            let addresses = Addresses {
                tracker: listeners.tracker_address().unwrap_or(nearby),
                buttons: None,
                arm: listeners.arm_address().map(|states| ArmAddresses { states, controller: nearby }),
            };
            let served = emulation.serve(Positive::try_from(1.0)?, addresses)?;
            let calibration = Some(emulation.calibration());
            let opener = |camera: &CameraConfig| emulated_camera(&emulation, camera, clock, NAP);
            let watched = Watched::begin(&setup.robot.cameras, opener, clock, args.seconds, &mut examination);
            let found = examine(&setup, served.path(), calibration, listeners, args.seconds, mover.as_ref());
            watched.report(&mut examination);
            found?
        }
    };
    examination.checks.extend(found.checks);
    Ok(examination)
}

/// Who allows small motions, and stops them.
fn bystander(args: &DoctorArgs, setup: &Setup) -> Result<Mover> {
    let bystander = if setup.is_attended() { Bystander::at_keyboard()? } else { Bystander::nobody() };
    Ok(Mover { bystander, is_asked: !args.yes })
}
