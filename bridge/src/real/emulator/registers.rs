//! The control table of an X-series servo, as the servo keeps it.

/// A servo's memory.
#[derive(Clone, Debug)]
pub(super) struct Registers {
    bytes: Vec<u8>,
}

/// A register that the host may write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) address: u16,
    pub(super) length: u16,
    pub(super) low: i64,
    pub(super) high: i64,
}

/// The end of the table.
pub(super) const N_BYTES: u16 = 147;

const fn field(address: u16, length: u16, low: i64, high: i64) -> Field {
    Field { address, length, low, high }
}

/// All that can be written, with the range of the values. What is not here is read-only or undefined.
#[rustfmt::skip]
pub(super) const FIELDS: [Field; 38] = [
    field(7, 1, 0, 252), field(8, 1, 0, 7), field(9, 1, 0, 254), field(10, 1, 0, 13), field(11, 1, 0, 16),
    field(12, 1, 0, 255), field(13, 1, 1, 2), field(20, 4, -1_044_479, 1_044_479), field(24, 4, 0, 1023),
    field(31, 1, 0, 100), field(32, 2, 31, 160), field(34, 2, 31, 160), field(36, 2, 0, 885), field(38, 2, 0, 2047),
    field(44, 4, 0, 2047), field(48, 4, 0, 4095), field(52, 4, 0, 4095), field(63, 1, 0, 255),
    field(64, 1, 0, 1), field(65, 1, 0, 1), field(68, 1, 0, 2), field(76, 2, 0, 16_383), field(78, 2, 0, 16_383),
    field(80, 2, 0, 16_383), field(82, 2, 0, 16_383), field(84, 2, 0, 16_383), field(88, 2, 0, 16_383),
    field(90, 2, 0, 16_383), field(98, 1, 0, 127), field(100, 2, -885, 885), field(102, 2, -2047, 2047),
    field(104, 4, -2047, 2047), field(108, 4, 0, 32_767), field(112, 4, 0, 32_767),
    field(116, 4, -1_048_575, 1_048_575), field(60, 1, 0, 3), field(61, 1, 0, 255), field(62, 1, 0, 255),
];

impl Registers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; usize::from(N_BYTES)] }
    }

    pub(super) fn get(&self, address: u16, length: u16) -> u32 {
        (0..length).rev().fold(0, |value, offset| value << 8 | u32::from(self.byte(address + offset)))
    }

    pub(super) fn get_signed(&self, address: u16, length: u16) -> i64 {
        let unused = 32 - 8 * u32::from(length);
        i64::from((self.get(address, length) << unused) as i32 >> unused)
    }

    pub(super) fn set(&mut self, address: u16, length: u16, value: u32) {
        for (offset, byte) in value.to_le_bytes().into_iter().enumerate().take(usize::from(length)) {
            if let Some(place) = self.bytes.get_mut(usize::from(address) + offset) {
                *place = byte;
            }
        }
    }

    pub(super) fn set_signed(&mut self, address: u16, length: u16, value: f64) {
        self.set(address, length, value.round() as i32 as u32);
    }

    /// Bytes from `address` on; none beyond the end of the table.
    pub(super) fn slice(&self, address: u16, length: u16) -> Option<&[u8]> {
        self.bytes.get(usize::from(address)..usize::from(address) + usize::from(length))
    }

    fn byte(&self, address: u16) -> u8 {
        self.bytes.get(usize::from(address)).copied().unwrap_or_default()
    }
}

impl Field {
    /// The value of `bytes` for this register; signed where its range is.
    pub(super) fn value(&self, bytes: &[u8]) -> i64 {
        let raw = bytes.iter().rev().fold(0u32, |value, &byte| value << 8 | u32::from(byte));
        let unused = 32 - 8 * u32::from(self.length);
        if self.low < 0 { i64::from((raw << unused) as i32 >> unused) } else { i64::from(raw) }
    }
}
