//! What the hand driver knows about its hand: plain facts, refreshed in every tick. Whoever decides (hold, fault, e-stop)
//! reads them; nothing here decides.
//!
//! All times are on the clock of the port, s since it was opened: [`HandStatus::time_s`] is its "now".

use std::fmt;

/// Ticks that [`HandStatus::n_recent_bad_cycles`] looks back over.
pub const RECENT_CYCLES: u32 = 50;

/// The hand as of its last tick.
#[derive(Clone, Debug, PartialEq)]
pub struct HandStatus {
    /// When this status was taken, s.
    pub time_s: f64,
    /// When every servo last answered in one and the same cycle, s; none before the first time.
    pub last_complete_read_s: Option<f64>,
    /// For every joint of the body's spec, in its order: age of the last valid reading, s; infinite before the first.
    pub stale_s: Vec<f64>,
    /// All servos: those of the joints in their order, then those of joints that the body does not have (the wrist).
    pub servos: Vec<ServoStatus>,
    /// Ticks so far.
    pub n_cycles: u64,
    /// Ticks in which a servo did not answer, after the retry, or a frame was broken.
    pub n_bad_cycles: u64,
    /// Bad ticks among the last [`RECENT_CYCLES`].
    pub n_recent_bad_cycles: u32,
    /// Ticks that began later than their period allows.
    pub n_overruns: u64,
    /// Length of the last tick, start to start, s.
    pub period_s: f64,
    /// Why the port is gone, once it is; nothing comes back without a new connection.
    pub transport_lost: Option<TransportLost>,
}

/// One servo as of its last answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ServoStatus {
    /// Id on the bus.
    pub id: u8,
    /// Age of its last valid reading, s; infinite before the first.
    pub stale_s: f64,
    /// Whether the last packet from it carried the alert bit.
    pub is_alert: bool,
    /// Its hardware errors.
    pub hardware_error: HardwareError,
    /// Its temperature, °C; NaN before the first reading.
    pub temperature_c: f64,
    /// The temperature at which it shuts itself down, °C; NaN before verification.
    pub temperature_limit_c: f64,
    /// Supply voltage, V; NaN before the first reading.
    pub voltage_v: f64,
    /// Whether its torque is on, as read from it; none before the first reading.
    pub is_torque_enabled: Option<bool>,
    /// Whether its bus watchdog has tripped, and it refuses goals until re-armed; or it has torque and no watchdog.
    pub is_watchdog_tripped: bool,
    /// Readings that were refused because no shaft turns so fast: the turn count was lost, e.g. by a loss of power.
    pub n_position_jumps: u32,
    /// Where it is on the way back from a shutdown.
    pub recovery: Recovery,
}

/// A servo's way back from a shutdown. Only a reboot restores torque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing to recover from, or nothing asked for.
    Idle,
    /// It was rebooted and has not answered yet.
    Rebooting,
    /// It answers; mode, limits and gains are being applied again.
    Applying,
    /// Mode, limits, gains are applied and goal is present; torque is as it was wanted.
    Done,
}

/// The port is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportLost {
    /// What the system said.
    pub reason: String,
}

/// Why a servo must not be moved on where no failsafe looks at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unfit {
    /// It reports errors.
    Reports(HardwareError),
    /// It was not heard, or has not heard us, for longer than its watchdog allows: it stands where nobody sent it.
    OutOfTouch,
    /// It is so close to the temperature at which it shuts itself down, or has not told its temperature.
    TooHot {
        /// Its temperature, °C.
        temperature_c: f64,
        /// The temperature at which it shuts itself down, °C.
        limit_c: f64,
    },
}

impl ServoStatus {
    /// Why it must not be moved on, if it must not: its watchdog trips after `watchdog_s`, and it is to stay `below_limit_k` below the
    /// temperature at which it shuts itself down.
    #[must_use]
    pub fn unfit(&self, watchdog_s: f64, below_limit_k: f64) -> Option<Unfit> {
        if !self.hardware_error.is_clear() {
            return Some(Unfit::Reports(self.hardware_error));
        }
        // A number that is not finite counts as the worst one.
        let is_in_touch = self.stale_s <= watchdog_s && !self.is_watchdog_tripped;
        if !is_in_touch {
            return Some(Unfit::OutOfTouch);
        }
        let is_cool = self.temperature_limit_c - self.temperature_c > below_limit_k;
        (!is_cool).then_some(Unfit::TooHot { temperature_c: self.temperature_c, limit_c: self.temperature_limit_c })
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reports(errors) => write!(f, "reports {errors}"),
            Self::OutOfTouch => f.write_str("was out of touch for a moment"),
            Self::TooHot { temperature_c, limit_c } => {
                write!(f, "is at {temperature_c:.0} °C and shuts itself down at {limit_c:.0} °C")
            }
        }
    }
}

/// Hardware error bits of an X-series servo (register 70).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardwareError(pub u8);

impl HardwareError {
    /// Supply voltage out of range.
    pub const VOLTAGE: u8 = 1 << 0;
    /// Too hot.
    pub const OVERHEATING: u8 = 1 << 2;
    /// Encoder of the motor.
    pub const ENCODER: u8 = 1 << 3;
    /// Electrical shock, or too little power.
    pub const ELECTRICAL_SHOCK: u8 = 1 << 4;
    /// A load that it cannot bear.
    pub const OVERLOAD: u8 = 1 << 5;

    /// Whether there is none.
    #[must_use]
    pub const fn is_clear(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `bits` are set.
    #[must_use]
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

impl fmt::Display for HardwareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u8, &str); 5] = [
            (HardwareError::VOLTAGE, "voltage"),
            (HardwareError::OVERHEATING, "overheating"),
            (HardwareError::ENCODER, "encoder"),
            (HardwareError::ELECTRICAL_SHOCK, "electrical shock"),
            (HardwareError::OVERLOAD, "overload"),
        ];
        if self.is_clear() {
            return f.write_str("none");
        }
        let mut unknown = self.0;
        let mut separator = "";
        for (bit, name) in NAMES.into_iter().filter(|&(bit, _)| self.has(bit)) {
            write!(f, "{separator}{name}")?;
            unknown &= !bit;
            separator = ", ";
        }
        if unknown != 0 {
            write!(f, "{separator}unknown bits {unknown:#010b}")?;
        }
        Ok(())
    }
}
