//! Contract: behind emulated servos and on an emulated arm the hand is the simulation's; whoever stands beside lays things out
//! where episodes begin, takes them away from a hand that lets go, and nothing else.

#[expect(dead_code, reason = "shared with the tests of the hand alone")]
mod bare_servos;

use bare_servos::{BareServos, STEP_S};
use bridge::number::{Finite, NumberError};
use bridge::real::arm::{ArmLimits, ArmSession};
use bridge::real::emulator::EmulatedArm;
use bridge::{ScissorsObject, TOOL_POSE_LEN, ToolPose};
use sim::{ScissorsDomain, ScissorsPlant, ScissorsScene, Sight, emulated_calibration};
use std::error::Error;

type TestResult = Result<(), Box<dyn Error>>;

/// A plant, its servos without firmware, and the other end of its arm's link.
struct Rig {
    plant: ScissorsPlant,
    servos: BareServos,
    scene: ScissorsScene,
    sight: Sight,
    arm: EmulatedArm,
    link: ArmSession,
    time_s: f64,
}

fn limits() -> Result<ArmLimits, NumberError> {
    let corner = |x_m: f64| -> Result<[Finite; 3], NumberError> {
        let x_m = Finite::try_from(x_m)?;
        Ok([x_m; 3])
    };
    Ok(ArmLimits {
        workspace_lower_m: corner(-1.0)?,
        workspace_upper_m: corner(1.0)?,
        max_error_m: 0.01.try_into()?,
        max_error_rad: 0.05.try_into()?,
        stale_s: 0.1.try_into()?,
    })
}

impl Rig {
    fn new(domain: &str) -> Result<Self, Box<dyn Error>> {
        let scene = ScissorsScene::load("orca_v2")?;
        let mut plant = ScissorsPlant::new(&scene, ScissorsDomain::load(domain)?, 7, 120)?;
        let servos = BareServos::new(&mut plant, scene.hand(), &emulated_calibration(scene.hand())?.joints)?;
        let (sight, arm) = (plant.sight(), plant.arm());
        Ok(Self { plant, servos, scene, sight, arm, link: ArmSession::new(limits()?, 1)?, time_s: 0.0 })
    }

    fn wait(&mut self, time_s: f64) {
        let Self { plant, servos, arm, link, time_s: now_s, .. } = self;
        for _ in 0..(time_s / STEP_S).round() as u32 {
            servos.step(plant);
            *now_s += STEP_S;
            hear(arm, link, *now_s);
        }
    }

    /// Moves the goals in a straight line to `q_rad`, in a second.
    fn go(&mut self, q_rad: &[f32]) {
        let Self { plant, servos, arm, link, time_s: now_s, .. } = self;
        servos.go(q_rad, 1000, |servos| {
            servos.step(plant);
            *now_s += STEP_S;
            hear(arm, link, *now_s);
        });
    }

    /// Asks the arm for `pose` a hundred times a second.
    fn pull(&mut self, pose: &ToolPose, time_s: f64) -> TestResult {
        for _ in 0..(100.0 * time_s).round() as u32 {
            let (_, frame) = self.link.setpoint(&(*pose).into(), self.time_s)?;
            self.arm.hear(frame);
            self.wait(0.01);
        }
        Ok(())
    }

    fn start(&self) -> Result<(ToolPose, Vec<f32>), Box<dyn Error>> {
        let command = self.scene.start_command();
        let tool = command.first_chunk().and_then(ToolPose::from_values).ok_or("no pose")?;
        Ok((tool, command[TOOL_POSE_LEN..].to_vec()))
    }

    fn height_m(&self) -> Option<f64> {
        Some(self.arm.state()?.pose.position_m[2])
    }

    /// Where the pivot is in the newest picture, along x, m.
    fn pivot_x_m(&self) -> Option<f32> {
        let mut newest = None;
        while let Some((_, seen)) = self.sight.take_until(f64::INFINITY) {
            if seen.object_idx == ScissorsObject::FingerHalf as usize {
                newest = Some(seen.pose.position_m[0]);
            }
        }
        newest
    }
}

/// Takes in what the arm tells.
fn hear(arm: &EmulatedArm, link: &mut ArmSession, now_s: f64) {
    let mut frame = Vec::new();
    if arm.tell(&mut frame) {
        assert_eq!(link.take(&frame, now_s), Ok(()));
    }
}

/// Contract: things are laid out when hand and arm rest where episodes begin, by another draw every time, and taken away
/// when the hand lets go, wherever the arm then is.
#[test]
fn things_come_and_go() -> TestResult {
    let mut rig = Rig::new("scissors_nominal")?;
    let (start, posture_rad) = rig.start()?;
    let released_rad = rig.scene.released_rad().to_vec();
    rig.wait(0.5);
    assert!(rig.pivot_x_m().is_some_and(|x_m| x_m > 1.5), "nothing is laid out for an open hand");
    let mut places_m = Vec::new();
    for _ in 0..2 {
        rig.pull(&start, 1.0)?;
        rig.go(&posture_rad);
        rig.wait(0.3);
        places_m.push(rig.pivot_x_m().ok_or("no picture")?);
        assert!(places_m.iter().all(|x_m| x_m.abs() < 0.03), "{places_m:?}");
        let mut raised = start;
        raised.position_m[2] += 0.008;
        rig.pull(&raised, 0.5)?;
        assert!(rig.pivot_x_m().is_some_and(|x_m| x_m.abs() < 0.03), "they stay while the hand does not let go");
        rig.go(&released_rad);
        rig.wait(0.4);
        assert!(rig.pivot_x_m().is_some_and(|x_m| x_m > 1.5), "they are taken away");
    }
    assert!((places_m[0] - places_m[1]).abs() > 1e-5, "{places_m:?}");
    Ok(())
}

/// Contract: the arm follows setpoints as far as they are heard, and holds where it is 100 ms after the last one.
#[test]
fn the_arm_follows_and_holds() -> TestResult {
    let mut rig = Rig::new("scissors_exact")?;
    let (start, _) = rig.start()?;
    rig.wait(0.5);
    let before_m = rig.height_m().ok_or("no state")?;
    assert!((before_m - f64::from(start.position_m[2])).abs() < 1e-3, "it holds where it was found: {before_m} m");
    let mut target = start;
    target.position_m[2] += 0.04;
    rig.pull(&target, 0.15)?;
    rig.wait(0.1);
    let left_m = rig.height_m().ok_or("no state")?;
    let risen_m = left_m - before_m;
    assert!((0.005..0.035).contains(&risen_m), "on its way, clipped: {risen_m} m");
    rig.wait(1.0);
    let held_m = rig.height_m().ok_or("no state")?;
    assert!((held_m - left_m).abs() < 0.011, "it holds: {held_m} m after {left_m} m");
    rig.pull(&target, 2.0)?;
    let reached_m = rig.height_m().ok_or("no state")?;
    assert!((reached_m - before_m - 0.04).abs() < 1e-3, "{reached_m} m");
    Ok(())
}

/// Contract: the same drives and setpoints lead to the same bits, noise included.
#[test]
fn plants_with_arms_are_deterministic() -> TestResult {
    let run = || -> Result<_, Box<dyn Error>> {
        let mut rig = Rig::new("scissors_shifted")?;
        let (start, posture_rad) = rig.start()?;
        rig.go(&posture_rad);
        rig.pull(&start, 0.5)?;
        Ok((rig.servos.shafts.clone(), rig.arm.state(), rig.pivot_x_m()))
    };
    let one = run()?;
    assert!(one.1.is_some() && one.2.is_some());
    assert_eq!(one, run()?);
    Ok(())
}
