//! One servo: its firmware's rules.

use super::plant::{Drive, Shaft};
use super::registers::{FIELDS, Registers};
use std::f64::consts::TAU;
use std::time::Duration;

/// A servo as it is put on the bus.
#[derive(Clone, Debug, PartialEq)]
pub struct ServoConfig {
    /// Its id.
    pub id: u8,
    /// Its model number.
    pub model_number: u16,
    /// Its firmware.
    pub firmware: u8,
    /// Code of its baud rate, e.g. 3 for 1 Mbaud.
    pub baud_code: u8,
    /// Its supply, V.
    pub supply_v: f64,
}

pub(super) const RESULT_FAIL: u8 = 1;
pub(super) const DATA_RANGE: u8 = 4;
pub(super) const DATA_LENGTH: u8 = 5;
pub(super) const DATA_LIMIT: u8 = 6;
pub(super) const ACCESS: u8 = 7;

const BAUDS: [u32; 8] = [9_600, 57_600, 115_200, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 4_500_000];
const BOOT_TIME: Duration = Duration::from_millis(340);
const RAD_PER_TICK: f64 = TAU / 4096.0;
const RAD_S_PER_UNIT: f64 = 0.229 * TAU / 60.0;
const LOWEST_SUPPLY_V: f64 = 4.5;
/// What a model without a limit on current can draw, mA.
pub const UNLIMITED_MA: f64 = 1400.0;

pub(super) struct Servo {
    registers: Registers,
    supply_v: f64,
    shaft: Shaft,
    /// Ticks that the servo reports beyond those of the shaft: whole turns that it has forgotten.
    turn_offset: i64,
    booting_until: Option<Duration>,
    is_powered: bool,
    is_shut_down: bool,
    last_packet: Duration,
    /// Where a tripped watchdog stopped the shaft, ticks.
    stopped_at: Option<i64>,
}

impl Servo {
    pub(super) fn new(config: &ServoConfig, shaft: Shaft) -> Self {
        let mut registers = Registers::new();
        let large = matches!(config.model_number, 1000..=1179);
        let current_limit = match config.model_number {
            1220 | 1210 => 910,
            1020 | 1030 => 1193,
            1080 => 0,
            _ => 1750,
        };
        let (max_voltage, min_voltage) = match config.model_number {
            1190 | 1200 | 1230 | 1240 => (70, 35),
            1210 | 1220 => (140, 55),
            _ => (160, 65),
        };
        #[rustfmt::skip]
        let eeprom: [(u16, u16, u32); 16] = [
            (0, 2, config.model_number.into()), (6, 1, config.firmware.into()), (7, 1, config.id.into()),
            (8, 1, config.baud_code.into()), (9, 1, 250), (11, 1, 3), (12, 1, 255), (13, 1, 2), (24, 4, 10),
            (31, 1, if large { 80 } else { 70 }), (32, 2, max_voltage), (34, 2, min_voltage), (36, 2, 885),
            (38, 2, current_limit), (48, 4, 4095), (63, 1, 0x34),
        ];
        for (address, length, value) in eeprom {
            registers.set(address, length, value);
        }
        registers.set(44, 4, 330);
        registers.set(146, 1, 30);
        let mut servo = Self {
            registers,
            supply_v: config.supply_v,
            shaft,
            turn_offset: 0,
            booting_until: None,
            is_powered: true,
            is_shut_down: false,
            last_packet: Duration::ZERO,
            stopped_at: None,
        };
        servo.boot();
        servo
    }

    pub(super) fn id(&self) -> u8 {
        self.registers.get(7, 1) as u8
    }

    pub(super) const fn registers(&self) -> &Registers {
        &self.registers
    }

    pub(super) const fn registers_mut(&mut self) -> &mut Registers {
        &mut self.registers
    }

    pub(super) fn baud(&self) -> u32 {
        BAUDS.get(self.registers.get(8, 1) as usize).copied().unwrap_or(57_600)
    }

    pub(super) fn return_delay(&self) -> Duration {
        Duration::from_micros(2 * u64::from(self.registers.get(9, 1)))
    }

    pub(super) fn has_fast_read(&self) -> bool {
        let first = if matches!(self.registers.get(0, 2), 1000..=1179) { 45 } else { 46 };
        self.registers.get(6, 1) >= first
    }

    pub(super) const fn is_awake(&self) -> bool {
        self.is_powered && self.booting_until.is_none()
    }

    pub(super) const fn hear(&mut self, now: Duration) {
        self.last_packet = now;
    }

    /// The alert bit: there is a hardware error to be read.
    pub(super) fn alert(&self) -> u8 {
        if self.registers.get(70, 1) == 0 { 0 } else { 0x80 }
    }

    pub(super) fn reboot(&mut self, now: Duration) {
        self.registers.set(64, 1, 0);
        self.booting_until = Some(now + BOOT_TIME);
    }

    /// Forgets the turns that it has counted.
    pub(super) fn clear_turns(&mut self) {
        self.turn_offset = 0;
        self.turn_offset = self.ticks().rem_euclid(4096) - self.ticks();
        self.registers.set_signed(132, 4, self.ticks() as f64);
    }

    pub(super) fn overload(&mut self) {
        self.raise(1 << 5);
    }

    pub(super) fn set_temperature(&mut self, celsius: f64) {
        self.registers.set_signed(146, 1, celsius);
    }

    /// Writes registers one after the other; the error number of the first that cannot be, or 0.
    pub(super) fn write(&mut self, address: u16, data: &[u8], n_goals: &mut u64) -> u8 {
        let (mut address, mut rest) = (address, data);
        while !rest.is_empty() {
            let Some(field) = FIELDS.iter().find(|field| field.address == address) else { return ACCESS };
            let Some((bytes, after)) = rest.split_at_checked(field.length.into()) else { return DATA_LENGTH };
            let value = field.value(bytes);
            let error = self.write_field(address, field.length, value, field.low..=field.high);
            if error != 0 {
                return error;
            }
            *n_goals += u64::from(address == 116);
            (address, rest) = (address + field.length, after);
        }
        0
    }

    fn write_field(&mut self, address: u16, length: u16, value: i64, range: std::ops::RangeInclusive<i64>) -> u8 {
        let is_torque_on = self.registers.get(64, 1) == 1;
        if address < 64 && is_torque_on {
            return ACCESS;
        }
        if !range.contains(&value) {
            return DATA_RANGE;
        }
        let is_goal = matches!(address, 100..=106 | 116);
        if is_goal && self.registers.get(98, 1) == 0xFF {
            return DATA_RANGE;
        }
        let mode = self.registers.get(11, 1);
        match address {
            11 if !self.has_mode(value) => return DATA_RANGE,
            64 if value == 1 && self.is_shut_down => return RESULT_FAIL,
            100 if value.abs() > i64::from(self.registers.get(36, 2)) => return DATA_LIMIT,
            102 if value.abs() > i64::from(self.registers.get(38, 2)) => return DATA_LIMIT,
            116 if mode == 3 && !(0..=4095).contains(&value) => return DATA_LIMIT,
            _ => {}
        }
        self.registers.set(address, length, value as u32);
        match address {
            11 => self.reset_goals(),
            98 => self.stopped_at = None,
            // Torque comes on where the shaft is, unless it was told where to go since.
            64 if value == 1 => self.stopped_at = None,
            _ => {}
        }
        0
    }

    fn has_mode(&self, mode: i64) -> bool {
        let has_current = self.registers.get(0, 2) != 1080;
        matches!(mode, 1 | 3 | 4 | 16) || (has_current && matches!(mode, 0 | 5))
    }

    pub(super) fn begin_step(&mut self, now: Duration, voltage_v: Option<f64>) {
        let voltage_v = voltage_v.unwrap_or(self.supply_v);
        self.registers.set_signed(144, 2, voltage_v * 10.0);
        if voltage_v < LOWEST_SUPPLY_V {
            self.is_powered = false;
            self.registers.set(64, 1, 0);
            return;
        }
        if !self.is_powered {
            self.is_powered = true;
            self.booting_until = Some(now + BOOT_TIME);
        }
        if let Some(end) = self.booting_until {
            if now < end {
                return;
            }
            self.booting_until = None;
            self.boot();
            self.last_packet = now;
        }
        let tenths = (voltage_v * 10.0).round() as u32;
        if tenths > self.registers.get(32, 2) || tenths < self.registers.get(34, 2) {
            self.raise(1 << 0);
        }
        if self.registers.get(146, 1) > self.registers.get(31, 1) {
            self.raise(1 << 2);
        }
        let allowed = self.registers.get(98, 1);
        let silence = now.saturating_sub(self.last_packet);
        let is_late = silence > Duration::from_millis(20 * u64::from(allowed));
        if self.registers.get(64, 1) == 1 && (1..=127).contains(&allowed) && is_late {
            self.registers.set(98, 1, 0xFF);
            self.registers.set(108, 4, 0);
            self.registers.set(112, 4, 0);
            self.stopped_at = Some(self.ticks());
        }
    }

    pub(super) fn drive(&self) -> Drive {
        let mode = self.registers.get(11, 1);
        let goal = self.stopped_at.unwrap_or_else(|| self.registers.get_signed(116, 4));
        let pwm_share = (self.registers.get_signed(100, 2).unsigned_abs() as f64 / 885.0).min(1.0);
        let current_limit_ma =
            if mode == 5 { self.registers.get_signed(102, 2).unsigned_abs() as f64 } else { UNLIMITED_MA * pwm_share };
        Drive {
            is_on: self.is_awake() && self.registers.get(64, 1) == 1 && matches!(mode, 3..=5),
            goal_rad: (goal - self.turn_offset - self.registers.get_signed(20, 4)) as f64 * RAD_PER_TICK,
            current_limit_ma,
        }
    }

    pub(super) fn end_step(&mut self, shaft: Shaft) {
        self.shaft = shaft;
        if !self.is_awake() {
            return;
        }
        let unit_ma = if matches!(self.registers.get(0, 2), 1020 | 1030) { 2.69 } else { 1.0 };
        self.registers.set_signed(126, 2, shaft.current_ma / unit_ma);
        self.registers.set_signed(128, 4, shaft.velocity_rad_s / RAD_S_PER_UNIT);
        self.registers.set_signed(132, 4, self.ticks() as f64);
        self.registers.set(122, 1, u32::from(shaft.velocity_rad_s.abs() > 0.1));
    }

    fn ticks(&self) -> i64 {
        (self.shaft.position_rad / RAD_PER_TICK).round() as i64 + self.turn_offset + self.registers.get_signed(20, 4)
    }

    /// What power does to memory: EEPROM stays, turns and all else are gone.
    fn boot(&mut self) {
        for (address, length, value) in [(64, 1, 0), (65, 1, 0), (68, 1, 2), (70, 1, 0), (98, 1, 0)] {
            self.registers.set(address, length, value);
        }
        self.is_shut_down = false;
        self.stopped_at = None;
        self.clear_turns();
        self.reset_goals();
    }

    /// After a boot or a change of mode: goals and limits at their widest, gains and profiles as delivered.
    fn reset_goals(&mut self) {
        let gain = match self.registers.get(0, 2) {
            1190 | 1200 => 400,
            1000..=1179 => 800,
            _ => 900,
        };
        for (address, value) in [(80, 0), (82, 0), (84, gain), (88, 0), (90, 0)] {
            self.registers.set(address, 2, value);
        }
        self.registers.set(100, 2, self.registers.get(36, 2));
        self.registers.set(102, 2, self.registers.get(38, 2));
        self.registers.set(104, 4, self.registers.get(44, 4));
        self.registers.set(108, 4, 0);
        self.registers.set(112, 4, 0);
        self.registers.set_signed(116, 4, self.ticks() as f64);
    }

    fn raise(&mut self, bit: u32) {
        let errors = self.registers.get(70, 1) | bit;
        self.registers.set(70, 1, errors);
        if errors & self.registers.get(63, 1) != 0 {
            self.is_shut_down = true;
            self.registers.set(64, 1, 0);
        }
    }
}
