//! `softflow calibrate`: the stops of every joint of a hand, into a file.

use super::{Ended, kind_of, task_of};
use crate::cli::{CalibrateArgs, HandTask};
use crate::robot::{Bystander, Emulation, Interrupt, Kind, Planning, RobotConfig, Setup};
use bridge::CubeReward;
use bridge::real::calibration::{Calibration, CalibrationStep};
use bridge::real::port::{Port, SerialLine};
use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use std::time::{SystemTime, UNIX_EPOCH};

const QUESTION: &str = "every joint of the hand moves over all of its range: take everything out of it, put the thumb aside, keep clear. \
                        ENTER stops it at once, torque off. Begin? (y)";

/// Calibrates.
///
/// # Errors
/// What stood in a joint's way; torque is then off and no file is written.
pub fn calibrate(args: &CalibrateArgs) -> Result<Ended> {
    let Some(kind) = kind_of(args.backend, &args.robot, "exact", 1)? else {
        bail!("a simulated hand has no servos to calibrate: --backend real or emulated");
    };
    let robot = RobotConfig::resolve(&args.robot, None, &args.hand)?;
    let setup =
        Setup::new(&task_of(HandTask::Cube, &args.hand, CubeReward::default())?, robot, kind, Planning::OF_NOBODY, 0)?;
    ensure!(!args.out.exists(), "{}: it exists already; move the old calibration away first", args.out.display());
    let interrupt = Interrupt::watch()?;
    // Nobody is listened to in scripts that practise.
    let is_heard = setup.is_attended() || !args.yes;
    let bystander = if is_heard { Bystander::at_keyboard()? } else { Bystander::nobody() };
    ensure!(args.yes || bystander.allows(QUESTION, &interrupt), "not begun");
    let stop = || bystander.is_stopping(&interrupt);
    bystander.guard(true);
    let calibration = match &setup.kind {
        Kind::Real => {
            let line = SerialLine::open(&setup.robot.port, setup.baud())
                .wrap_err("`softflow doctor --backend real --port PORT` says what is wrong and what to do")?;
            find_stops(&setup, line, &args.serial, &stop)?
        }
        Kind::Emulated { script, .. } => {
            let emulation = Emulation::of_bare_hand(setup.scene(), &setup.robot, script)?;
            find_stops(&setup, emulation.emulator().open(setup.baud()), &args.serial, &stop)?
        }
    };
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder).wrap_err_with(|| folder.display().to_string())?;
    }
    calibration.save(&args.out).wrap_err_with(|| args.out.display().to_string())?;
    eprintln!("{} joints of hand {} in {}", calibration.joints.len(), calibration.serial, args.out.display());
    Ok(Ended::Well)
}

fn find_stops<P: Port>(setup: &Setup, port: P, serial: &str, stop: &dyn Fn() -> bool) -> Result<Calibration> {
    let mut driver = setup.driver(port, None)?;
    let calibration = driver.calibrate(serial, &today(), stop, &mut |step| match step {
        CalibrationStep::Group { joints } => eprintln!("{}", joints.join(", ")),
        CalibrationStep::Stop { joint, is_upper, ticks } => {
            eprintln!("  {joint}: {} stop at {ticks} ticks", if *is_upper { "upper" } else { "lower" });
        }
    })?;
    Ok(calibration)
}

/// The date, UTC.
fn today() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    date(days)
}

/// The date that is `days` after 1970-01-01, in the Gregorian calendar, by eras of 400 years that begin in March.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (era * 400 + year, month + 3) } else { (era * 400 + year + 1, month - 9) };
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: days are dates; with `date -u -d @SECONDS +%F` of 0, 68169600, 951782400, 1772323200, 4102444800.
    #[test]
    fn dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (20_513, "2026-03-01"),
            (47_482, "2100-01-01"),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}
