//! `softflow emulate`: a robot that other programs can open as if it were one.

use super::{Ended, fault_script, task_of};
use crate::cli::{EmulateArgs, RobotArgs};
use crate::robot::{Addresses, ArmAddresses, Emulation, RobotConfig, Scene, Served};
use bridge::CubeReward;
use bridge::number::Positive;
use bridge::real::emulator::{Fault, FaultScript, PseudoTerminal, TimedFault};
use color_eyre::eyre::{Result, WrapErr, bail, ensure};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// Length of a soak that nobody ends, s.
const SOAK_S: f64 = 3600.0;
/// How often it is looked whether the end has come.
const LOOK: Duration = Duration::from_millis(50);

/// Emulates until the end.
///
/// # Errors
/// When hand, domain, robot or script are not known, or the system gives no pseudo-terminal.
pub fn emulate(args: &EmulateArgs) -> Result<Ended> {
    ensure!(
        args.speed.get() <= PseudoTerminal::MAX_RATE,
        "--speed: found {}, expected at most {}",
        args.speed.get(),
        PseudoTerminal::MAX_RATE
    );
    let (scene, _) = Scene::of(&task_of(args.task, &args.hand, CubeReward::default())?)?;
    let robot = RobotArgs { robot: args.robot.clone(), ..RobotArgs::default() };
    let robot = RobotConfig::resolve(&robot, None, &args.hand)?;
    let length_s = args.seconds.map_or(SOAK_S, Positive::get) * args.speed.get();
    let n_servos = u8::try_from(scene.motors()?.motors.len())?;
    let script = if args.soak {
        without_learner(FaultScript::soak(args.seed, length_s, n_servos, scene.tool().is_some())?)
    } else {
        let script = fault_script(args.faults.as_deref())?;
        refuse_learner(&script)?;
        script
    };
    let domain = args.domain.as_deref().unwrap_or(args.task.nominal_domain());
    let emulation = Emulation::new(&scene, domain, &robot, &script, args.seed)?;
    if let Some(path) = &args.write_calibration {
        emulation.calibration().save(path).wrap_err_with(|| path.display().to_string())?;
    }
    let addresses = Addresses {
        tracker: args.tracker,
        buttons: Some(args.buttons),
        arm: Some(ArmAddresses { states: args.arm, controller: args.arm_controller }),
    };
    let served = emulation.serve(args.speed, addresses)?;
    println!("port {}", served.path().display());
    println!("tracker {}", args.tracker);
    if let Some(arm) = served.arm() {
        println!("arm {arm}");
        println!("buttons {}", args.buttons);
    }
    // Whoever reads this through a pipe waits for it.
    std::io::stdout().flush()?;
    wait(&served, args.seconds);
    Ok(Ended::Well)
}

const fn is_of_learner(fault: &TimedFault) -> bool {
    matches!(fault.fault, Fault::LearnerSilent { .. })
}

/// `script` without what cannot happen here.
fn without_learner(mut script: FaultScript) -> FaultScript {
    script.faults.retain(|fault| !is_of_learner(fault));
    script
}

/// Refuses a script that would silently do less than it says.
fn refuse_learner(script: &FaultScript) -> Result<()> {
    let Some(fault) = script.faults.iter().find(|fault| is_of_learner(fault)) else { return Ok(()) };
    bail!(
        "--faults: found LearnerSilent at {} s, which can do nothing here: the learner is in the process that opens this port. \
         Stop that one (kill -STOP), or give the script to `softflow train --backend emulated --faults`",
        fault.at_s.get()
    );
}

/// Waits for the end, and says what the servos saw.
fn wait(served: &Served, seconds: Option<Positive>) {
    let started = Instant::now();
    while seconds.is_none_or(|seconds| started.elapsed().as_secs_f64() < seconds.get()) {
        std::thread::sleep(LOOK);
    }
    let emulator = served.emulation().emulator().lock();
    let (now_s, counters) = (emulator.now().as_secs_f64(), emulator.counters());
    println!(
        "{now_s:.1} s: {} instructions, {} with a wrong checksum, {} goals, {} poses sent",
        counters.n_instructions,
        counters.n_crc_errors,
        counters.n_goals,
        served.n_poses()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: no fault of a learner that is not here: drawn ones are left out, and nothing else; one that is asked for is refused.
    #[test]
    fn a_learner_that_is_elsewhere() -> Result<()> {
        let drawn = FaultScript::soak(1, 600.0, 17, true)?;
        let n_of_learner = drawn.faults.iter().filter(|fault| is_of_learner(fault)).count();
        assert!(n_of_learner > 0);
        let error = refuse_learner(&drawn).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("LearnerSilent at ") && error.contains("kill -STOP"), "{error}");
        let left = without_learner(drawn.clone());
        assert_eq!(left.faults.len(), drawn.faults.len() - n_of_learner);
        refuse_learner(&left)
    }
}
