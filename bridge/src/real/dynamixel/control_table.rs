//! The registers of an X-series servo that the bridge uses. Source: ROBOTIS e-Manual; equal in all models of
//! [`super::Model`] but where [`super::Model`] says otherwise.

pub use super::model::{
    FULL_PWM, RAD_PER_TICK, RAD_S_PER_VELOCITY_UNIT, S_PER_RETURN_DELAY_UNIT, S_PER_WATCHDOG_UNIT, TICKS_PER_TURN,
    V_PER_UNIT,
};

/// A place in the control table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Address of its first byte.
    pub address: u16,
    /// Bytes: 1, 2 or 4.
    pub length: u16,
    /// Whether it is two's complement.
    pub is_signed: bool,
    /// Name, as the maker's manual has it.
    pub name: &'static str,
}

const fn unsigned(address: u16, length: u16, name: &'static str) -> Register {
    Register { address, length, is_signed: false, name }
}

const fn signed(address: u16, length: u16, name: &'static str) -> Register {
    Register { address, length, is_signed: true, name }
}

/// Model number.
pub const MODEL_NUMBER: Register = unsigned(0, 2, "Model Number");
/// Firmware version.
pub const FIRMWARE: Register = unsigned(6, 1, "Firmware Version");
/// Code of the baud rate.
pub const BAUD_RATE: Register = unsigned(8, 1, "Baud Rate");
/// Pause before an answer, 2 us.
pub const RETURN_DELAY: Register = unsigned(9, 1, "Return Delay Time");
/// Bit 0 reverses, bit 2 makes profiles times.
pub const DRIVE_MODE: Register = unsigned(10, 1, "Drive Mode");
/// See [`super::OperatingMode`].
pub const OPERATING_MODE: Register = unsigned(11, 1, "Operating Mode");
/// Added to the position, ticks.
pub const HOMING_OFFSET: Register = signed(20, 4, "Homing Offset");
/// Where it shuts itself down, °C.
pub const TEMPERATURE_LIMIT: Register = unsigned(31, 1, "Temperature Limit");
/// Highest supply, 0.1 V.
pub const MAX_VOLTAGE_LIMIT: Register = unsigned(32, 2, "Max Voltage Limit");
/// Lowest supply, 0.1 V.
pub const MIN_VOLTAGE_LIMIT: Register = unsigned(34, 2, "Min Voltage Limit");
/// Highest goal current, units of the model; a reset goal current takes this value.
pub const CURRENT_LIMIT: Register = unsigned(38, 2, "Current Limit");
/// Hardware errors that cut the torque.
pub const SHUTDOWN: Register = unsigned(63, 1, "Shutdown");
/// Torque; locks the EEPROM (addresses below 64).
pub const TORQUE_ENABLE: Register = unsigned(64, 1, "Torque Enable");
/// What is answered: 2 everything.
pub const STATUS_RETURN_LEVEL: Register = unsigned(68, 1, "Status Return Level");
/// See [`crate::real::status::HardwareError`].
pub const HARDWARE_ERROR: Register = unsigned(70, 1, "Hardware Error Status");
/// D gain of the position loop.
pub const POSITION_D_GAIN: Register = unsigned(80, 2, "Position D Gain");
/// I gain of the position loop.
pub const POSITION_I_GAIN: Register = unsigned(82, 2, "Position I Gain");
/// P gain of the position loop.
pub const POSITION_P_GAIN: Register = unsigned(84, 2, "Position P Gain");
/// 20 ms without an instruction until the motion stops; 0 off, -1 tripped.
pub const BUS_WATCHDOG: Register = signed(98, 1, "Bus Watchdog");
/// Highest voltage on the motor, of 885.
pub const GOAL_PWM: Register = signed(100, 2, "Goal PWM");
/// Highest current in current-based position mode, units of the model.
pub const GOAL_CURRENT: Register = signed(102, 2, "Goal Current");
/// Highest acceleration; 0 is no limit.
pub const PROFILE_ACCELERATION: Register = unsigned(108, 4, "Profile Acceleration");
/// Highest speed; 0 is no limit.
pub const PROFILE_VELOCITY: Register = unsigned(112, 4, "Profile Velocity");
/// Where to go, ticks.
pub const GOAL_POSITION: Register = signed(116, 4, "Goal Position");
/// Current (load in models without a sensor), units of the model.
pub const PRESENT_CURRENT: Register = signed(126, 2, "Present Current");
/// Speed, 0.229 rpm.
pub const PRESENT_VELOCITY: Register = signed(128, 4, "Present Velocity");
/// Where it is, ticks.
pub const PRESENT_POSITION: Register = signed(132, 4, "Present Position");
/// Supply, 0.1 V.
pub const PRESENT_VOLTAGE: Register = unsigned(144, 2, "Present Input Voltage");
/// Temperature, °C.
pub const PRESENT_TEMPERATURE: Register = unsigned(146, 1, "Present Temperature");

/// Current, velocity and position in one read: first address and bytes.
pub const FEEDBACK: (u16, u16) = (126, 10);
/// Torque, hardware error, watchdog, goals, feedback, voltage and temperature in one read: first address and bytes.
pub const HEALTH: (u16, u16) = (64, 83);

const BAUDS: [u32; 8] = [9_600, 57_600, 115_200, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 4_500_000];

impl Register {
    /// The value at this register within `bytes` that begin at address `first`; none if they do not hold it.
    #[must_use]
    pub fn find(&self, bytes: &[u8], first: u16) -> Option<i32> {
        let start = usize::from(self.address.checked_sub(first)?);
        self.decode(bytes.get(start..start + usize::from(self.length))?)
    }

    /// The value that `bytes` are; none if they are too few or too many.
    #[must_use]
    pub fn decode(&self, bytes: &[u8]) -> Option<i32> {
        match (bytes, self.is_signed, self.length) {
            (&[a], true, 1) => Some(i32::from(a as i8)),
            (&[a], false, 1) => Some(i32::from(a)),
            (&[a, b], true, 2) => Some(i32::from(i16::from_le_bytes([a, b]))),
            (&[a, b], false, 2) => Some(i32::from(u16::from_le_bytes([a, b]))),
            (&[a, b, c, d], _, 4) => Some(i32::from_le_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// Whether it can hold `value`.
    #[must_use]
    pub const fn holds(&self, value: i32) -> bool {
        match (self.length, self.is_signed) {
            (1, true) => value >= i8::MIN as i32 && value <= i8::MAX as i32,
            (1, false) => value >= 0 && value <= u8::MAX as i32,
            (2, true) => value >= i16::MIN as i32 && value <= i16::MAX as i32,
            (2, false) => value >= 0 && value <= u16::MAX as i32,
            (_, true) => true,
            (_, false) => value >= 0,
        }
    }

    /// Whether it keeps its value without power, and is locked while torque is on.
    #[must_use]
    pub const fn is_eeprom(&self) -> bool {
        self.address < 64
    }
}

/// The code of a baud rate in [`BAUD_RATE`]; none if no servo has it.
#[must_use]
pub fn baud_code(baud: u32) -> Option<i32> {
    (0i32..).zip(BAUDS).find(|&(_, known)| known == baud).map(|(code, _)| code)
}

/// All baud rates, the usual ones first.
pub fn bauds() -> impl Iterator<Item = u32> {
    [1_000_000, 57_600, 3_000_000, 4_000_000, 2_000_000, 115_200].into_iter()
}
