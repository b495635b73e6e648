//! A hand of which all is well, as its driver reports it.

use bridge::real::status::{HandStatus, HardwareError, Recovery, ServoStatus};

/// With servos 1 to `n_servos`, read every 10 ms.
pub fn healthy(n_servos: u8) -> HandStatus {
    let servo = |id| ServoStatus {
        id,
        stale_s: 0.0,
        is_alert: false,
        hardware_error: HardwareError(0),
        temperature_c: 40.0,
        temperature_limit_c: 70.0,
        voltage_v: 11.1,
        is_torque_enabled: None,
        is_watchdog_tripped: false,
        n_position_jumps: 0,
        recovery: Recovery::Idle,
    };
    HandStatus {
        time_s: 0.0,
        last_complete_read_s: Some(0.0),
        stale_s: vec![0.0; n_servos.into()],
        servos: (1..=n_servos).map(servo).collect(),
        n_cycles: 1,
        n_bad_cycles: 0,
        n_recent_bad_cycles: 0,
        n_overruns: 0,
        period_s: 0.01,
        transport_lost: None,
    }
}
