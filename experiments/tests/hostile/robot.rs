//! What holds of any text as the file of a robot, or as a script of faults; shared with the fuzz targets.

use bridge::config::parse;
use bridge::real::emulator::FaultScript;
use bridge::{CubeReward, GovernorConfig};
use experiments::experiment::TaskChoice;
use experiments::robot::{Kind, Planning, RobotConfig, Setup};

/// Slower servo loops and trackers than any that is of use take too long to be tried.
const N_TURNS: usize = 5;

/// A file is refused with a reason, at once or at the connection; or the robot runs a few ticks, torque off.
pub fn robot(text: &str) {
    let Ok(robot) = parse::<RobotConfig>("robot", text) else { return };
    let connect = || -> color_eyre::Result<()> {
        let governor = GovernorConfig::usual()?;
        let task = TaskChoice::Cube { hand: "orca_v2".into(), reward: CubeReward::Dense, governor };
        let kind =
            Kind::Emulated { domain: "nominal".into(), script: FaultScript::default(), seed: 1, is_real_time: false };
        let (mut cell, _) = Setup::new(&task, robot, kind, Planning::OF_NOBODY, 1)?.connect()?;
        for _ in 0..N_TURNS {
            cell.turn()?;
        }
        cell.end().map(|_| ())
    };
    if let Err(error) = connect() {
        assert!(!error.to_string().is_empty());
    }
}
