//! The files of a hand: its calibration, and the motors in its description.

use super::rig;
use bridge::config::parse;
use bridge::real::calibration::{Calibration, JointMap};
use bridge::real::dynamixel::Model;
use bridge::real::emulator::{Emulator, FaultScript, FirstOrderPlant, FirstOrderShaft, ServoConfig, SharedEmulator};
use bridge::real::hand_driver::HandDriver;
use bridge::real::motors::{EffortLimit, Motor, MotorTable};
use std::f64::consts::PI;

const GOAL_CURRENT: u16 = 102;
const TORQUE: u16 = 64;

/// A file is refused with a reason; or the hand takes it, and then every joint's ticks are within its stops and lead back to its
/// angle, whatever a servo says of where it is.
pub fn calibration(text: &str) {
    let Ok(calibration) = parse::<Calibration>("calibration", text) else { return };
    let (spec, table) = hand();
    let ranges_rad: Vec<(f64, f64)> = table.motors.iter().filter_map(|motor| motor.range_rad(&spec.joints)).collect();
    let Ok(config) = rig::driver_config() else { panic!("the rig has a driver") };
    let emulator = servos(&table);
    let driver = HandDriver::new(emulator.open(table.baud), spec, table.clone(), Some(&calibration), config);
    let checked = calibration.check("orca_v2", &table, &ranges_rad);
    assert_eq!(driver.is_ok(), checked.is_ok(), "{checked:?}");
    if let Err(error) = checked {
        assert!(error.to_string().contains("calibrate again"));
        return;
    }
    for (joint, &(lower_rad, upper_rad)) in calibration.joints.iter().zip(&ranges_rad) {
        let map = JointMap::new(joint, (lower_rad, upper_rad));
        let (low, high) = (joint.lower_ticks.min(joint.upper_ticks), joint.lower_ticks.max(joint.upper_ticks));
        for share in [-1e9, -0.1, 0.0, 0.3, 1.0, 1.1, 1e9] {
            let angle_rad = lower_rad + share * (upper_rad - lower_rad);
            let Some(ticks) = map.ticks(angle_rad) else { panic!("{angle_rad} rad is finite") };
            assert!((low..=high).contains(&ticks), "{joint:?}: {ticks} ticks");
            let tick_rad = (upper_rad - lower_rad) / f64::from(high - low);
            let error_rad = (map.angle_rad(ticks) - angle_rad.clamp(lower_rad, upper_rad)).abs();
            assert!(error_rad <= tick_rad, "{joint:?}: off by {error_rad} rad");
        }
        assert_eq!((map.ticks(f64::NAN), map.ticks(f64::INFINITY)), (None, None));
        for present_ticks in [i32::MIN, -1_048_575, -1, 0, low, high, 4096, 1_048_575, i32::MAX] {
            if let Some(turns_ticks) = map.turns_ticks(present_ticks) {
                let ticks = i64::from(present_ticks) + i64::from(turns_ticks);
                assert!((i64::from(low) - 200..=i64::from(high) + 200).contains(&ticks), "{joint:?}: {ticks} ticks");
            }
        }
    }
}

/// The part of a hand's file that is about motors.
#[derive(serde::Deserialize)]
struct HandFile {
    motors: Option<MotorTable>,
}

/// A table is refused with a reason; or servos that are as it says can be verified, and none of them is ever allowed more than its
/// limit.
pub fn motors(text: &str) {
    let Ok(HandFile { motors: Some(table) }) = parse::<HandFile>("hand", text) else { return };
    let (spec, _) = hand();
    let Ok(config) = rig::driver_config() else { panic!("the rig has a driver") };
    let emulator = servos(&table);
    let (motors, baud) = (table.motors.clone(), table.baud);
    let names: Vec<String> = spec.joints.iter().map(|joint| joint.name.clone()).collect();
    let checked = table.check(names.iter().map(String::as_str));
    let driver = HandDriver::new(emulator.open(baud), spec, table, None, config);
    assert_eq!(driver.is_ok(), checked.is_ok(), "{checked:?}");
    let Ok(mut driver) = driver else { return };
    match driver.verify() {
        Ok(findings) => assert!(findings.iter().all(|finding| !finding.to_string().is_empty())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // Nobody has said where the stops are.
    assert!(driver.arm().is_err());
    for Motor { id, model, limit, .. } in motors {
        let register = |address, length| emulator.lock().register(id, address, length);
        assert_eq!(register(TORQUE, 1), Some(0), "servo {id} has torque");
        if let EffortLimit::CurrentMa(limit_ma) = limit {
            let most = f64::from(limit.units(model, 1.0)) * model.current_unit_a().unwrap_or_default() * 1e3;
            assert!(most <= limit_ma.get() * (1.0 + 1e-9), "servo {id}: {most} mA, allowed {} mA", limit_ma.get());
            assert!(register(GOAL_CURRENT, 2).is_some());
        }
    }
}

fn hand() -> (bridge::BodySpec, MotorTable) {
    let Ok(table) = rig::motors() else { panic!("the hand of the assets has motors") };
    (rig::spec(), table)
}

/// Servos as `table` has them, at the factory's most usual rate, in the middle of a turn.
fn servos(table: &MotorTable) -> SharedEmulator {
    let firmware = Model::first_fast_firmware;
    let servo = |motor: &Motor| ServoConfig {
        id: motor.id,
        model_number: motor.model.number(),
        firmware: firmware(motor.model),
        baud_code: 3,
        supply_v: 12.0,
    };
    let configs: Vec<ServoConfig> = table.motors.iter().map(servo).collect();
    let shaft = FirstOrderShaft { position_rad: PI, lower_rad: 0.0, upper_rad: 2.0 * PI };
    let plant = FirstOrderPlant::new(vec![shaft; configs.len()]);
    SharedEmulator::new(Emulator::new(&configs, Box::new(plant), &FaultScript::default()))
}
