//! The hand that the tests drive: the motors of `assets/hands/orca_v2.ron` on an emulated bus with first-order shafts.

use bridge::config;
use bridge::real::calibration::{Calibration, CalibrationConfig, JointCalibration};
use bridge::real::dynamixel::control_table::RAD_PER_TICK;
use bridge::real::emulator::{
    Emulator, Fault, FaultScript, FirstOrderPlant, FirstOrderShaft, MemoryPort, ServoConfig, SharedEmulator, TimedFault,
};
use bridge::real::hand_driver::{Gains, HandDriver, HandDriverConfig, RebootConfig};
use bridge::real::motors::{Motor, MotorTable, Turns};
use bridge::real::port::Port;
use bridge::{Body, BodyError, BodySpec, JointSpec, Percept};
use serde::Deserialize;
use std::error::Error;
use std::f64::consts::PI;
use std::path::Path;
use std::time::Duration;

pub type TestResult = Result<(), Box<dyn Error>>;

/// The part of the hand's file that the bridge reads.
#[derive(Deserialize)]
struct HandFile {
    motors: Option<MotorTable>,
}

/// Joint limits of the hand, degrees, in the order of its joints.
const LIMITS_DEG: [(&str, f32, f32); 16] = [
    ("index_abd", -25.0, 30.0),
    ("index_mcp", -25.0, 100.0),
    ("index_pip", -15.0, 107.0),
    ("middle_abd", -27.0, 27.0),
    ("middle_mcp", -25.0, 100.0),
    ("middle_pip", -15.0, 107.0),
    ("ring_abd", -27.0, 27.0),
    ("ring_mcp", -25.0, 100.0),
    ("ring_pip", -15.0, 107.0),
    ("pinky_abd", -30.0, 30.0),
    ("pinky_mcp", -25.0, 100.0),
    ("pinky_pip", -15.0, 107.0),
    ("thumb_cmc", -45.0, 33.0),
    ("thumb_abd", -18.0, 55.0),
    ("thumb_mcp", -25.0, 100.0),
    ("thumb_dip", -15.0, 107.0),
];

pub const HZ: u32 = 100;
pub const BAUD: u32 = 1_000_000;
/// Shaft travel per joint travel of every joint of the rig.
const RATIO: f64 = 1.1;

pub fn motors() -> Result<MotorTable, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/hands/orca_v2.ron");
    config::load::<HandFile>(&path)?.motors.ok_or_else(|| "the hand has no motors".into())
}

pub fn spec() -> BodySpec {
    let joints = LIMITS_DEG.map(|(name, lower, upper)| JointSpec {
        name: name.into(),
        lower_rad: lower.to_radians(),
        upper_rad: upper.to_radians(),
        max_rate_rad_s: 6.0,
        max_effort_nm: 0.33,
        stiffness_nm_rad: 3.0,
    });
    BodySpec {
        name: "orca_v2".into(),
        joints: joints.to_vec(),
        tool: None,
        objects: Vec::new(),
        signals: Vec::new(),
        servo_hz: HZ,
    }
}

pub fn driver_config() -> Result<HandDriverConfig, Box<dyn Error>> {
    Ok(HandDriverConfig {
        watchdog_s: 0.1.try_into()?,
        watchdog_because: None,
        margin_s: 0.001.try_into()?,
        patience_s: 0.001.try_into()?,
        gains: Gains { p: 600, i: 10, d: 200 },
        hold_effort_share: 0.5.try_into()?,
        shutdown_mask: 0x35,
        reboot: RebootConfig { return_s: 1.0.try_into()?, cool_by_c: 10.0.try_into()? },
        calibration: calibration_config()?,
    })
}

pub fn calibration_config() -> Result<CalibrationConfig, Box<dyn Error>> {
    Ok(CalibrationConfig {
        effort_share: 1.0.try_into()?,
        speed_rad_s: 1.5.try_into()?,
        lead_rad: 0.4.try_into()?,
        stable_rad: 0.005.try_into()?,
        n_stable: 10,
        timeout_s: 10.0.try_into()?,
    })
}

/// Where the shaft of a motor is when its joint is at its lower and at its upper stop, rad: every motor elsewhere.
pub fn stops_rad(motor: &Motor) -> (f64, f64) {
    let (lower_rad, upper_rad) = motor.range_rad(&spec().joints).unwrap_or_default();
    let sign = if motor.turns == Turns::Along { 1.0 } else { -1.0 };
    let middle_rad = PI + 0.05 * f64::from(motor.id);
    let half_rad = 0.5 * RATIO * (upper_rad - lower_rad);
    (middle_rad - sign * half_rad, middle_rad + sign * half_rad)
}

pub fn calibration() -> Result<Calibration, Box<dyn Error>> {
    let mut joints = Vec::new();
    for motor in &motors()?.motors {
        let (lower_rad, upper_rad) = stops_rad(motor);
        let ticks = |angle_rad: f64| (angle_rad / RAD_PER_TICK).round() as i32;
        let range_rad = motor.range_rad(&spec().joints).ok_or("a motor without a joint")?;
        joints.push(JointCalibration::new(motor, range_rad, ticks(lower_rad), ticks(upper_rad))?);
    }
    Ok(Calibration {
        version: Calibration::VERSION,
        hand: "orca_v2".into(),
        serial: "test".into(),
        date: "2026-01-01".into(),
        joints,
    })
}

/// Mounts the servo with `id` so that the middle of its joint's way is at `middle_ticks`: its shaft goes where it went before.
pub fn remount(emulator: &SharedEmulator, calibration: &mut Calibration, id: u8, middle_ticks: i32) -> TestResult {
    let joint = calibration.joints.iter_mut().find(|joint| joint.id == id).ok_or_else(|| format!("no servo {id}"))?;
    let by_ticks = middle_ticks - i32::midpoint(joint.lower_ticks, joint.upper_ticks);
    joint.lower_ticks += by_ticks;
    joint.upper_ticks += by_ticks;
    // The homing offset.
    emulator.lock().set_register(id, 20, 4, by_ticks.cast_unsigned());
    Ok(())
}

pub fn servo_configs(table: &MotorTable) -> Vec<ServoConfig> {
    let config = |motor: &Motor| ServoConfig {
        id: motor.id,
        model_number: motor.model.number(),
        firmware: 52,
        baud_code: 3,
        supply_v: 12.0,
    };
    table.motors.iter().map(config).collect()
}

/// Shafts in the middle between their stops.
pub fn plant(table: &MotorTable) -> FirstOrderPlant {
    let shaft = |motor: &Motor| {
        let (one_rad, other_rad) = stops_rad(motor);
        let (lower_rad, upper_rad) = (one_rad.min(other_rad), one_rad.max(other_rad));
        FirstOrderShaft { position_rad: 0.5 * (lower_rad + upper_rad), lower_rad, upper_rad }
    };
    FirstOrderPlant::new(table.motors.iter().map(shaft).collect())
}

pub fn emulator() -> Result<SharedEmulator, Box<dyn Error>> {
    let table = motors()?;
    let emulator = Emulator::new(&servo_configs(&table), Box::new(plant(&table)), &FaultScript::default());
    Ok(SharedEmulator::new(emulator))
}

pub fn driver_on<P: Port>(port: P) -> Result<HandDriver<P>, Box<dyn Error>> {
    Ok(HandDriver::new(port, spec(), motors()?, Some(&calibration()?), driver_config()?)?)
}

/// Emulated servos and a driver that is not armed.
pub fn connected() -> Result<(SharedEmulator, HandDriver<MemoryPort>), Box<dyn Error>> {
    let emulator = emulator()?;
    let driver = driver_on(emulator.open(BAUD))?;
    Ok((emulator, driver))
}

/// A hand that runs: armed, and commanded for a while.
pub fn running() -> Result<(SharedEmulator, HandDriver<MemoryPort>, Percept), Box<dyn Error>> {
    let (emulator, driver) = connected()?;
    let (driver, percept) = started(driver)?;
    Ok((emulator, driver, percept))
}

pub fn started(mut driver: HandDriver<MemoryPort>) -> Result<(HandDriver<MemoryPort>, Percept), Box<dyn Error>> {
    driver.arm()?;
    driver.reset(0)?;
    let mut percept = Percept::default();
    driver.read(&mut percept)?;
    run(&mut driver, &mut percept, 40)?;
    Ok((driver, percept))
}

pub fn run(driver: &mut HandDriver<MemoryPort>, percept: &mut Percept, n_ticks: u32) -> Result<(), BodyError> {
    let targets = percept.commanded_rad.clone();
    for _ in 0..n_ticks {
        driver.command(&targets)?;
        driver.read(percept)?;
    }
    Ok(())
}

/// A fault that begins now.
pub fn inject(emulator: &SharedEmulator, fault: Fault) -> TestResult {
    let mut emulator = emulator.lock();
    let at_s = emulator.now().as_secs_f64().try_into()?;
    emulator.inject(TimedFault { at_s, fault });
    Ok(())
}

pub fn register(emulator: &SharedEmulator, id: u8, address: u16, length: u16) -> Result<u32, Box<dyn Error>> {
    emulator.lock().register(id, address, length).ok_or_else(|| format!("no servo {id}").into())
}

pub fn pass(emulator: &SharedEmulator, time: Duration) {
    let mut emulator = emulator.lock();
    let until = emulator.now() + time;
    emulator.advance_to(until);
}

pub const fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
