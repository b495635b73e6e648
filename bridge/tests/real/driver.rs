//! Contract: connecting moves nothing; arming holds every joint where it is, with limits, gains and watchdog set before
//! torque; a tick reads all joints, commands them and allocates nothing; targets never leave the range between the stops.

use crate::rig::{
    BAUD, TestResult, calibration, connected, driver_on, emulator, milliseconds, motors, pass, register, spec,
};
use bridge::real::calibration::JointMap;
use bridge::real::dynamixel::Model;
use bridge::real::emulator::MemoryPort;
use bridge::real::hand_driver::{ArmError, HandDriver, Severity};
use bridge::real::motors::Turns;
use bridge::real::port::{Port, PortError};
use bridge::{Body, BodyError, Governor, GovernorConfig, Percept};
use std::cell::Cell;
use std::time::Duration;

const TORQUE: u16 = 64;
const WATCHDOG: u16 = 98;

/// Every reading is 1 tick of 0.09 degrees at a ratio of 1.1, and current lags: a joint at rest is within this of its goal.
const AT_REST_RAD: f32 = 0.005;

#[test]
fn connecting_and_verifying_write_nothing() -> TestResult {
    let (emulator, mut driver) = connected()?;
    emulator.lock().set_register(4, TORQUE, 1, 1);
    let table = |emulator: &bridge::real::emulator::SharedEmulator| -> Result<Vec<u32>, Box<dyn std::error::Error>> {
        let mut bytes = Vec::new();
        for motor in &motors()?.motors {
            for address in (0..120).filter(|address| *address != 117) {
                bytes.push(register(emulator, motor.id, address, 1)?);
            }
        }
        Ok(bytes)
    };
    let before = table(&emulator)?;
    let findings = driver.verify()?;
    assert_eq!(table(&emulator)?, before);
    assert!(findings.iter().all(|finding| finding.severity < Severity::NeedsCalibration), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.id == Some(4) && finding.what.contains("torque is on")));
    Ok(())
}

#[test]
fn arming_sets_everything_before_torque_and_moves_nothing() -> TestResult {
    let (emulator, mut driver) = connected()?;
    let before: Vec<Option<f64>> = (1..=17).map(|id| emulator.lock().shaft_rad(id)).collect();
    driver.arm()?;
    pass(&emulator, milliseconds(50));
    for motor in &motors()?.motors {
        let read = |address, length| register(&emulator, motor.id, address, length);
        assert_eq!(read(TORQUE, 1)?, 1);
        assert_eq!(read(WATCHDOG, 1)?, 5, "100 ms");
        assert_eq!(read(63, 1)?, 0x35);
        assert_eq!(read(9, 1)?, 10, "20 us");
        assert_eq!([read(84, 2)?, read(82, 2)?, read(80, 2)?], [600, 10, 200]);
        if motor.model == Model::Xc430W240 {
            assert_eq!((read(11, 1)?, read(100, 2)?), (4, 442), "half of 885");
        } else {
            assert_eq!((read(11, 1)?, read(38, 2)?, read(102, 2)?), (5, 300, 300));
        }
    }
    for (id, before) in (1..=17).zip(before) {
        let moved = emulator.lock().shaft_rad(id).zip(before).map(|(now, before)| (now - before).abs());
        assert!(moved.is_some_and(|moved| moved < 0.002), "servo {id} moved by {moved:?} rad");
    }
    Ok(())
}

#[test]
fn joints_follow_their_targets_and_signs_hold() -> TestResult {
    let (emulator, mut driver) = connected()?;
    driver.arm()?;
    driver.reset(0)?;
    let mut percept = Percept::default();
    driver.read(&mut percept)?;
    let start = percept.measured_rad.clone();
    let targets: Vec<f32> = start.iter().map(|angle| angle + 0.3).collect();
    let shafts: Vec<Option<f64>> = motors()?.motors.iter().map(|motor| emulator.lock().shaft_rad(motor.id)).collect();
    for _ in 0..100 {
        driver.command(&targets)?;
        driver.read(&mut percept)?;
    }
    for (measured, target) in percept.measured_rad.iter().zip(&targets) {
        assert!((measured - target).abs() < AT_REST_RAD, "{measured} is not {target}");
    }
    for (commanded, target) in percept.commanded_rad.iter().zip(&targets) {
        assert!((commanded - target).abs() < AT_REST_RAD);
    }
    for (motor, before) in motors()?.motors.iter().zip(shafts).filter(|(motor, _)| motor.held.is_none()) {
        let turned = emulator.lock().shaft_rad(motor.id).zip(before).map(|(now, before)| now - before);
        // 0.3 rad at the joint are 0.33 at the shaft.
        let expected = if motor.turns == Turns::Along { 0.33 } else { -0.33 };
        assert!(turned.is_some_and(|turned| (turned - expected).abs() < 0.01), "{}: {turned:?}", motor.joint);
    }
    let status = driver.status();
    assert_eq!((status.n_bad_cycles, status.n_overruns, status.transport_lost.as_ref()), (0, 0, None));
    assert!(status.stale_s.iter().all(|&stale_s| stale_s < 0.01), "{:?}", status.stale_s);
    assert!((status.period_s - 0.01).abs() < 1e-4, "{}", status.period_s);
    assert!(status.servos.iter().all(|servo| servo.is_torque_enabled == Some(true) && servo.temperature_c == 30.0));
    assert!((percept.time_s - 1.01).abs() < 0.02, "{}", percept.time_s);
    Ok(())
}

/// At 1 Mbaud a tick of 17 servos takes less than half of a period of 10 ms on the wire: the fast read, the health of one
/// servo, the goals.
#[test]
fn a_tick_fits_its_period() -> TestResult {
    let (emulator, mut driver) = connected()?;
    driver.arm()?;
    driver.reset(0)?;
    let mut percept = Percept::default();
    for _ in 0..20 {
        driver.command(&[0.1; 16])?;
        let start = emulator.lock().now();
        driver.read(&mut percept)?;
        let read = emulator.lock().now() - start;
        // 31 + 246 bytes, then 14 + 94, and 99 for the goals that follow; 10 us each, and 18 pauses of 20 us.
        let expected = Duration::from_micros(10 * (31 + 246 + 14 + 94) + 18 * 20);
        assert!(read >= expected && read < expected + milliseconds(1), "{read:?}, expected {expected:?}");
    }
    assert_eq!(driver.counters().n_timeouts, 4, "none but those of the ids up to 20 that nobody has");
    Ok(())
}

/// The wrist is not one of the body's joints. Armed, and commanded, it is where it was; once it may move it goes to where it is
/// held, no faster than its description says, and stays; a hold stops it on the way.
#[test]
fn the_wrist_goes_to_its_place_and_stays() -> TestResult {
    let (emulator, mut driver) = connected()?;
    let table = motors()?;
    let wrist = table.motors.iter().find(|motor| motor.held.is_some()).ok_or("no wrist")?;
    let held = wrist.held.ok_or("not held")?;
    let calibration = calibration()?;
    let calibrated = calibration.joints.iter().find(|joint| joint.id == wrist.id).ok_or("not calibrated")?;
    let map = JointMap::new(calibrated, (held.lower_rad.get(), held.upper_rad.get()));
    let goal_rad = || Ok::<f64, Box<dyn std::error::Error>>(map.angle_rad(register(&emulator, 1, 116, 4)? as i32));
    driver.arm()?;
    driver.reset(0)?;
    let mut before_rad = goal_rad()?;
    let way_rad = held.at_rad.get() - before_rad;
    assert!(way_rad.abs() > 0.07, "begins elsewhere: {way_rad} rad away");
    // 0.5 rad/s at 100 ticks a second, to half a tick of the encoder; a goal that is still on the wire is seen with the next.
    let most_rad = 2.0 * (0.005 + 0.0007);
    let mut percept = Percept::default();
    let mut tick = |driver: &mut HandDriver<MemoryPort>, before_rad: f64| -> Result<f64, Box<dyn std::error::Error>> {
        driver.read(&mut percept)?;
        driver.command(&[0.1; 16])?;
        let now_rad = goal_rad()?;
        assert!((now_rad - before_rad).abs() <= most_rad, "{before_rad} to {now_rad}");
        Ok(now_rad)
    };
    for _ in 0..10 {
        let now_rad = tick(&mut driver, before_rad)?;
        assert!((now_rad - before_rad).abs() < 1e-9, "{before_rad} to {now_rad}");
    }
    driver.free_held_joints(true);
    for _ in 0..10 {
        before_rad = tick(&mut driver, before_rad)?;
    }
    driver.free_held_joints(false);
    driver.hold()?;
    pass(&emulator, milliseconds(5));
    let stopped_rad = goal_rad()?;
    assert!((stopped_rad - before_rad).abs() < 0.05 && (stopped_rad - held.at_rad.get()).abs() > 0.02, "{stopped_rad}");
    driver.release()?;
    driver.free_held_joints(true);
    before_rad = stopped_rad;
    for _ in 0..300 {
        before_rad = tick(&mut driver, before_rad)?;
    }
    assert!((before_rad - held.at_rad.get()).abs() < 0.001, "{before_rad}");
    assert_eq!(register(&emulator, 1, TORQUE, 1)?, 1);
    Ok(())
}

#[test]
fn what_is_not_a_target_is_refused_and_nothing_is_sent() -> TestResult {
    let (emulator, mut driver) = connected()?;
    assert!(matches!(driver.command(&[0.0; 16]), Err(BodyError::Fault { .. })), "torque is off");
    driver.arm()?;
    driver.reset(0)?;
    pass(&emulator, milliseconds(20));
    let n_goals = emulator.lock().counters().n_goals;
    for nonsense in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut targets = [0.0; 16];
        targets[7] = nonsense;
        assert!(
            matches!(driver.command(&targets), Err(BodyError::NonFinite { quantity, .. }) if quantity == "targets_rad[7]")
        );
    }
    assert!(matches!(driver.command(&[0.0; 15]), Err(BodyError::WrongLength { found: 15, expected: 16, .. })));
    pass(&emulator, milliseconds(20));
    assert_eq!(emulator.lock().counters().n_goals, n_goals);
    Ok(())
}

/// A target beyond the stops becomes the stop, whoever asks for it.
#[test]
fn goals_stay_between_the_stops() -> TestResult {
    let (emulator, mut driver) = connected()?;
    driver.arm()?;
    driver.reset(0)?;
    for far in [1e30f32, -1e30] {
        driver.command(&[far; 16])?;
        for motor in motors()?.motors.iter().filter(|motor| motor.held.is_none()) {
            let goal = f64::from(register(&emulator, motor.id, 116, 4)? as i32);
            let (one, other) = crate::rig::stops_rad(motor);
            let [low, high] = [one.min(other), one.max(other)].map(|stop| stop * 4096.0 / std::f64::consts::TAU);
            assert!((low - 1.0..=high + 1.0).contains(&goal), "{}: {goal} is not in {low}..{high}", motor.joint);
        }
    }
    Ok(())
}

#[test]
fn holding_takes_the_measured_posture_at_low_current() -> TestResult {
    let (emulator, mut driver) = connected()?;
    driver.arm()?;
    driver.reset(0)?;
    let mut percept = Percept::default();
    driver.read(&mut percept)?;
    let far: Vec<f32> = percept.measured_rad.iter().map(|angle| angle + 0.5).collect();
    driver.command(&far)?;
    driver.read(&mut percept)?;
    driver.hold()?;
    pass(&emulator, milliseconds(5));
    for motor in motors()?.motors.iter().filter(|motor| motor.held.is_none()) {
        assert_eq!(register(&emulator, motor.id, 102, 2)?, 150);
    }
    assert_eq!(register(&emulator, 1, 100, 2)?, 221);
    let held = percept.measured_rad.clone();
    driver.read(&mut percept)?;
    for (commanded, measured) in percept.commanded_rad.iter().zip(held) {
        assert!((commanded - measured).abs() < AT_REST_RAD);
    }
    driver.release()?;
    pass(&emulator, milliseconds(5));
    assert_eq!(register(&emulator, 4, 102, 2)?, 300);
    // A limit that a servo has missed, and a watchdog that it lost, are found.
    driver.hold()?;
    pass(&emulator, milliseconds(5));
    emulator.lock().set_register(4, 102, 2, 300);
    emulator.lock().set_register(5, 98, 1, 0);
    for _ in 0..40 {
        driver.read(&mut percept)?;
        pass(&emulator, milliseconds(10));
    }
    assert_eq!(register(&emulator, 4, 102, 2)?, 150);
    assert!(driver.status().servos.iter().all(|servo| servo.is_watchdog_tripped == (servo.id == 5)));
    Ok(())
}

/// Contract: a hand that is stopped while it is armed has no torque, whichever servo it had come to.
#[test]
fn arming_can_be_stopped() -> TestResult {
    for n_enabled in [0_i32, 1, 9, 16] {
        let (emulator, mut driver) = connected()?;
        let n_left = Cell::new(n_enabled);
        let stopped = driver.arm_unless(&|| n_left.replace(n_left.get() - 1) == 0);
        assert!(matches!(stopped, Err(ArmError::Stopped)), "{n_enabled}: {stopped:?}");
        assert!(!driver.is_armed());
        assert!((1..=17).all(|id| emulator.lock().register(id, TORQUE, 1) == Some(0)), "{n_enabled}: torque is on");
    }
    Ok(())
}

#[test]
fn torque_goes_off_on_demand_and_when_the_driver_goes() -> TestResult {
    let (emulator, mut driver) = connected()?;
    driver.arm()?;
    driver.torque_off()?;
    assert!((1..=17).all(|id| emulator.lock().register(id, TORQUE, 1) == Some(0)));
    assert!(!driver.is_armed());
    driver.arm()?;
    assert!((1..=17).all(|id| emulator.lock().register(id, TORQUE, 1) == Some(1)));
    drop(driver);
    pass(&emulator, milliseconds(5));
    assert!((1..=17).all(|id| emulator.lock().register(id, TORQUE, 1) == Some(0)));
    Ok(())
}

/// A port whose emulator may allocate, while what is above it may not.
struct Uncounted(MemoryPort);

impl Port for Uncounted {
    fn now(&self) -> Duration {
        self.0.now()
    }
    fn baud(&self) -> u32 {
        self.0.baud()
    }
    fn set_baud(&mut self, baud: u32) -> Result<(), PortError> {
        self.0.set_baud(baud)
    }
    fn write_all(&mut self, bytes: &[u8], deadline: Duration) -> Result<(), PortError> {
        let mut result = Ok(());
        allocation_counter::opt_out(|| result = self.0.write_all(bytes, deadline));
        result
    }
    fn read_until(&mut self, buffer: &mut [u8], deadline: Duration) -> Result<usize, PortError> {
        let mut result = Ok(0);
        allocation_counter::opt_out(|| result = self.0.read_until(buffer, deadline));
        result
    }
    fn discard_input(&mut self) -> Result<(), PortError> {
        self.0.discard_input()
    }
    fn wait_until(&mut self, time: Duration) {
        allocation_counter::opt_out(|| self.0.wait_until(time));
    }
}

/// Also with lost and damaged packets.
#[test]
fn the_tick_allocates_nothing() -> TestResult {
    let emulator = emulator()?;
    let mut driver = driver_on(Uncounted(emulator.open(BAUD)))?;
    driver.arm()?;
    driver.reset(0)?;
    let mut percept = Percept::default();
    driver.read(&mut percept)?;
    let share = 0.02.try_into()?;
    let (servos, for_s) = (bridge::real::emulator::Servos::All, 3.0.try_into()?);
    crate::rig::inject(&emulator, bridge::real::emulator::Fault::Corrupt { servos: servos.clone(), share, for_s })?;
    crate::rig::inject(&emulator, bridge::real::emulator::Fault::Drop { servos, share, for_s })?;
    let targets = [0.2f32; 16];
    let mut failed = 0;
    let counted = allocation_counter::measure(|| {
        for _ in 0..1000 {
            failed += usize::from(driver.command(&targets).is_err() || driver.read(&mut percept).is_err());
        }
    });
    assert_eq!((failed, counted.count_total), (0, 0));
    assert!(driver.status().n_bad_cycles > 0, "the faults did not reach the driver");
    Ok(())
}

/// The governor takes the driver as it takes any body.
#[test]
fn the_governor_drives_it() -> TestResult {
    let (_emulator, mut driver) = connected()?;
    driver.arm()?;
    let mut governor = Governor::new(driver, GovernorConfig::usual()?);
    governor.reset(0)?;
    let mut wanted = [1.0f32; 16];
    for _ in 0..200 {
        wanted.fill(1.0);
        governor.command(&mut wanted)?;
    }
    let joints = &spec().joints;
    for (measured, joint) in governor.percept().measured_rad.iter().zip(joints) {
        let expected = 1.0f32.min(joint.upper_rad);
        assert!((measured - expected).abs() < AT_REST_RAD, "{}: {measured}", joint.name);
    }
    Ok(())
}
