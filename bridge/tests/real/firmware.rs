//! Contract: the emulated servos have the quirks of the firmware that they stand for.

use crate::rig::{BAUD, TestResult, emulator, milliseconds, pass, register};
use bridge::real::bus::{Bus, BusError, BusTiming};
use bridge::real::dynamixel::control_table as table;
use bridge::real::emulator::{MemoryPort, SharedEmulator};

fn bus(emulator: &SharedEmulator) -> Bus<MemoryPort> {
    Bus::new(
        emulator.open(BAUD),
        BusTiming { return_delay: std::time::Duration::from_micros(500), margin: milliseconds(1) },
    )
}

fn error_number(result: Result<(), BusError>) -> Option<u8> {
    match result {
        Err(BusError::Refused { error, .. }) => Some(error.number()),
        _ => None,
    }
}

#[test]
fn eeprom_is_locked_while_torque_is_on() -> TestResult {
    let emulator = emulator()?;
    let mut bus = bus(&emulator);
    bus.write(4, table::TORQUE_ENABLE, 1)?;
    assert_eq!(error_number(bus.write(4, table::OPERATING_MODE, 5)), Some(7));
    assert_eq!(register(&emulator, 4, 11, 1)?, 3);
    bus.write(4, table::TORQUE_ENABLE, 0)?;
    bus.write(4, table::OPERATING_MODE, 5)?;
    Ok(())
}

#[test]
fn a_change_of_mode_resets_limits_gains_and_profiles() -> TestResult {
    let emulator = emulator()?;
    let mut bus = bus(&emulator);
    for (register, value) in [(table::GOAL_CURRENT, 300), (table::POSITION_P_GAIN, 600), (table::PROFILE_VELOCITY, 50)]
    {
        bus.write(4, register, value)?;
    }
    bus.write(4, table::OPERATING_MODE, 5)?;
    let now = [table::GOAL_CURRENT, table::POSITION_P_GAIN, table::PROFILE_VELOCITY]
        .map(|register| bus.read(4, register).ok());
    assert_eq!(now, [Some(910), Some(900), Some(0)]);
    Ok(())
}

#[test]
fn a_reboot_takes_time_and_resets_limits() -> TestResult {
    let emulator = emulator()?;
    let mut bus = bus(&emulator);
    bus.write(4, table::GOAL_CURRENT, 300)?;
    bus.reboot(4)?;
    assert!(!bus.is_there(4)?);
    assert!(bus.is_there(5)?);
    pass(&emulator, milliseconds(330));
    assert!(!bus.is_there(4)?);
    pass(&emulator, milliseconds(20));
    assert!(bus.is_there(4)?);
    assert_eq!(bus.read(4, table::GOAL_CURRENT)?, 910);
    Ok(())
}

#[test]
fn a_shutdown_ends_with_a_reboot_only() -> TestResult {
    let emulator = emulator()?;
    let mut bus = bus(&emulator);
    bus.write(4, table::SHUTDOWN, 0x35)?;
    bus.write(4, table::TORQUE_ENABLE, 1)?;
    crate::rig::inject(
        &emulator,
        bridge::real::emulator::Fault::Overload { servos: bridge::real::emulator::Servos::Ids(vec![4]) },
    )?;
    pass(&emulator, milliseconds(2));
    assert_eq!((bus.read(4, table::TORQUE_ENABLE)?, bus.read(4, table::HARDWARE_ERROR)?), (0, 0x20));
    assert_eq!(error_number(bus.write(4, table::TORQUE_ENABLE, 1)), Some(1));
    bus.reboot(4)?;
    pass(&emulator, milliseconds(350));
    bus.write(4, table::TORQUE_ENABLE, 1)?;
    assert_eq!(bus.read(4, table::HARDWARE_ERROR)?, 0);
    Ok(())
}

/// The watchdog counts only with torque, is fed by any instruction, latches, and is cleared by writing 0.
#[test]
fn the_watchdog_latches() -> TestResult {
    let emulator = emulator()?;
    let mut bus = bus(&emulator);
    bus.write(4, table::BUS_WATCHDOG, 5)?;
    pass(&emulator, milliseconds(500));
    assert_eq!(bus.read(4, table::BUS_WATCHDOG)?, 5, "torque is off");
    bus.write(4, table::TORQUE_ENABLE, 1)?;
    for _ in 0..10 {
        pass(&emulator, milliseconds(80));
        bus.ping(5)?;
    }
    assert_eq!(bus.read(4, table::BUS_WATCHDOG)?, 5, "others' packets count");
    pass(&emulator, milliseconds(110));
    assert_eq!(bus.read(4, table::BUS_WATCHDOG)?, -1);
    assert_eq!(error_number(bus.write(4, table::GOAL_POSITION, 2000)), Some(4));
    assert_eq!(bus.read(4, table::TORQUE_ENABLE)?, 1);
    bus.write(4, table::BUS_WATCHDOG, 0)?;
    bus.write(4, table::GOAL_POSITION, 2000)?;
    Ok(())
}

/// An answer comes after the return delay and takes the time of its bytes.
#[test]
fn answers_take_their_time() -> TestResult {
    let emulator = emulator()?;
    let mut bus = bus(&emulator);
    let start = bus.now();
    bus.ping(4)?;
    // 10 bytes there, 500 us, 14 bytes back, 10 us each.
    assert_eq!((bus.now() - start).as_micros(), 740);
    Ok(())
}

/// Servos of another baud rate hear nothing.
#[test]
fn another_rate_is_not_heard() -> TestResult {
    let emulator = emulator()?;
    let mut bus = bus(&emulator);
    emulator.lock().set_register(4, 8, 1, 1);
    assert!(!bus.is_there(4)?);
    bridge::real::port::Port::set_baud(bus.port_mut(), 57_600)?;
    assert!(bus.is_there(4)?);
    assert!(!bus.is_there(5)?);
    Ok(())
}
