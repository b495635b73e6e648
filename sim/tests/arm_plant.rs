//! Contract: behind emulated servos and on an emulated arm the hand is the simulation's; whoever stands beside lays things out
//! where episodes begin, takes them away from a hand that lets go, and nothing else.

use bridge::number::{Finite, NumberError};
use bridge::real::arm::{ArmLimits, ArmSession};
use bridge::real::calibration::JointMap;
use bridge::real::dynamixel::control_table::RAD_PER_TICK;
use bridge::real::emulator::{Drive, EmulatedArm, Plant, Shaft};
use bridge::{ScissorsObject, TOOL_POSE_LEN, ToolPose};
use sim::{ScissorsDomain, ScissorsPlant, ScissorsScene, Sight, emulated_calibration};
use std::error::Error;

type TestResult = Result<(), Box<dyn Error>>;

const N_SERVOS: usize = 17;
const STEP_S: f64 = 0.001;

/// A plant, its servos without firmware, and the other end of its arm's link.
struct Rig {
    plant: ScissorsPlant,
    scene: ScissorsScene,
    sight: Sight,
    arm: EmulatedArm,
    link: ArmSession,
    maps: Vec<(usize, JointMap)>,
    drives: Vec<Drive>,
    shafts: Vec<Shaft>,
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
        let joints = emulated_calibration(scene.hand())?.joints;
        let maps = scene.hand().joints().map(|joint| {
            let idx = joints.iter().position(|other| other.joint == joint.name).ok_or("a joint without a motor")?;
            Ok((idx, JointMap::new(&joints[idx], (joint.lower_rad, joint.upper_rad))))
        });
        let maps = maps.collect::<Result<_, Box<dyn Error>>>()?;
        let mut shafts = vec![Shaft::default(); N_SERVOS];
        plant.advance(&[Drive::default(); N_SERVOS], 0.0, &mut shafts);
        let drives =
            shafts.iter().map(|shaft| Drive { is_on: true, goal_rad: shaft.position_rad, current_limit_ma: 300.0 });
        let (sight, arm, drives) = (plant.sight(), plant.arm(), drives.collect());
        let link = ArmSession::new(limits()?, 1)?;
        Ok(Self { plant, scene, sight, arm, link, maps, drives, shafts, time_s: 0.0 })
    }

    fn step(&mut self) {
        self.plant.advance(&self.drives, STEP_S, &mut self.shafts);
        self.time_s += STEP_S;
        let mut frame = Vec::new();
        if self.arm.tell(&mut frame) {
            assert_eq!(self.link.take(&frame, self.time_s), Ok(()));
        }
    }

    fn wait(&mut self, time_s: f64) {
        for _ in 0..(time_s / STEP_S).round() as u32 {
            self.step();
        }
    }

    /// Moves the goals in a straight line to `q_rad`, in a second.
    fn go(&mut self, q_rad: &[f32]) {
        let from: Vec<f64> = self.drives.iter().map(|drive| drive.goal_rad).collect();
        for step in 1..=1000 {
            for ((idx, map), &q) in self.maps.iter().zip(q_rad) {
                let Some(ticks) = map.ticks(q.into()) else { continue };
                let to_rad = f64::from(ticks) * RAD_PER_TICK;
                self.drives[*idx].goal_rad = from[*idx] + (to_rad - from[*idx]) * f64::from(step) / 1000.0;
            }
            self.step();
        }
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
        Ok((rig.shafts.clone(), rig.arm.state(), rig.pivot_x_m()))
    };
    let one = run()?;
    assert!(one.1.is_some() && one.2.is_some());
    assert_eq!(one, run()?);
    Ok(())
}
