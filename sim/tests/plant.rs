//! Contract: emulated servos turn a simulated hand as its own motors would: within their current, in the calibration's
//! units, the same every time; whoever opens the hand is given a new cube and keeps it by closing.

mod bare_servos;

use bare_servos::{BareServos, STEP_S};
use bridge::real::emulator::{Drive, Shaft};
use sim::{CubePlant, CubeScene, Domain, Sight};
use std::error::Error;

type TestResult = Result<(), Box<dyn Error>>;

/// A plant, and its servos without firmware.
struct Rig {
    plant: CubePlant,
    servos: BareServos,
    sight: Sight,
    scene: CubeScene,
}

impl Rig {
    fn new(domain: &str) -> Result<Self, Box<dyn Error>> {
        Self::with_seed(domain, 7)
    }

    fn with_seed(domain: &str, seed: u64) -> Result<Self, Box<dyn Error>> {
        Self::of_hand("orca_v2", domain, seed)
    }

    fn of_hand(hand: &str, domain: &str, seed: u64) -> Result<Self, Box<dyn Error>> {
        let scene = CubeScene::load(hand)?;
        let mut plant = CubePlant::new(&scene, Domain::load(domain)?, seed, 120)?;
        let servos = BareServos::new(&mut plant, scene.hand(), &CubePlant::calibration(&scene)?.joints)?;
        let sight = plant.sight();
        Ok(Self { plant, servos, sight, scene })
    }

    /// Moves the goals in a straight line to `q_rad`, in `time_s`.
    fn go(&mut self, q_rad: &[f32], time_s: f64) {
        let Self { plant, servos, .. } = self;
        servos.go(q_rad, (time_s / STEP_S).round() as u32, |servos| servos.step(plant));
    }

    fn wait(&mut self, time_s: f64) {
        for _ in 0..(time_s / STEP_S).round() as u32 {
            self.servos.step(&mut self.plant);
        }
    }

    /// Height of the cube above its place in the newest picture, m.
    fn height_m(&self) -> Option<f64> {
        let mut newest = None;
        while let Some((_, sighting)) = self.sight.take_until(f64::INFINITY) {
            newest = Some(sighting);
        }
        newest.map(|seen| f64::from(seen.pose.position_m[2]) - self.scene.start().cube.center_m.z)
    }

    /// Open, closed around the cube, a second later.
    fn grasp(&mut self) {
        let (open_rad, holding_rad) = (self.scene.start().open_rad.clone(), self.scene.start().holding_rad.clone());
        self.go(&open_rad, 0.5);
        self.wait(0.3);
        self.go(&holding_rad, 0.5);
        self.wait(1.0);
    }
}

fn largest(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap_or(0.0)
}

/// Contract: joints follow their goals in the calibration's units; a cube is given to the open hand, and kept by the
/// closed one; without torque, or with a fiftieth of the current, it falls.
#[test]
fn a_cube_is_kept_by_torque() -> TestResult {
    let mut rig = Rig::new("exact")?;
    let open_rad = rig.scene.start().open_rad.clone();
    assert!(largest(&rig.servos.joints_rad(), &open_rad) < 0.002);
    rig.wait(0.1);
    assert!(rig.height_m().is_some_and(|height_m| height_m < -0.01), "the cube lies beside the hand");
    rig.wait(0.3);
    assert!(rig.height_m().is_some_and(|height_m| height_m.abs() < 1e-3), "the cube is held in its place");
    rig.grasp();
    assert!(rig.height_m().is_some_and(|height_m| height_m.abs() < 0.01), "the cube is in the hand");
    let most_ma = rig.servos.shafts.iter().map(|shaft| shaft.current_ma.abs()).fold(0.0, f64::max);
    assert!((20.0..=300.5).contains(&most_ma), "{most_ma} mA");

    for weaken in [(|drive| drive.is_on = false) as fn(&mut Drive), |drive| drive.current_limit_ma = 6.0] {
        let mut rig = Rig::new("exact")?;
        rig.grasp();
        rig.servos.drives.iter_mut().for_each(weaken);
        rig.wait(1.0);
        assert!(rig.height_m().is_some_and(|height_m| height_m < -0.059), "the cube falls");
    }
    Ok(())
}

/// Contract: the same drives lead to the same shafts and pictures, bit for bit; other seeds to other cubes.
#[test]
fn plants_are_deterministic() -> TestResult {
    let run = |seed: u64| -> Result<(Vec<Shaft>, Option<f64>), Box<dyn Error>> {
        let mut rig = Rig::with_seed("shifted_orca_v2", seed)?;
        rig.grasp();
        Ok((rig.servos.shafts.clone(), rig.height_m()))
    };
    let (one, same, other) = (run(7)?, run(7)?, run(8)?);
    assert_eq!(one, same);
    assert!(one.1.is_some() && one != other);
    Ok(())
}

/// Contract: the servos of the left hand, whose ids and directions are others, hold a cube as well, behind taut tendons and
/// behind loose ones.
#[test]
fn a_left_hand_keeps_its_cube() -> TestResult {
    for domain in ["exact", "tendons_orca_v2"] {
        let mut rig = Rig::of_hand("orca_v2_left", domain, 7)?;
        rig.grasp();
        assert!(rig.height_m().is_some_and(|height_m| height_m.abs() < 0.01), "{domain}: the cube is in the hand");
    }
    Ok(())
}

/// Contract: a hand without motors cannot be emulated, and the error says why.
#[test]
fn hands_without_motors_are_refused() -> TestResult {
    let scene = CubeScene::load("reference16")?;
    let error = CubePlant::new(&scene, Domain::load("exact")?, 0, 60).err().ok_or("it was made")?;
    assert!(error.to_string().contains("motors"), "{error}");
    Ok(())
}
