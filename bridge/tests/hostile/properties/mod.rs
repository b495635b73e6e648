//! What holds of any bytes at all. Each property is a function of bytes that panics where it does not hold; the tests beside it
//! try damaged seeds, the fuzz targets whatever a fuzzer comes upon.

#[path = "../../real/rig.rs"]
#[expect(dead_code, reason = "shared with the tests of the driver")]
mod rig;

mod datagrams;
mod hand;
mod packets;

pub use datagrams::datagrams;
pub use hand::{calibration, motors};
pub use packets::{decoder, instruction};
