//! One transaction at a time with a deadline, and what went wrong in numbers.
//!
//! The protocol does not number its packets, so an answer that comes late looks like an answer to the next question. What
//! arrived before an instruction is dropped, and what does not fit it by id and length; that alone does not keep late
//! answers out. Therefore a servo that did not answer is *suspect*: it is asked nothing but pings until it answers one.
//! Servos answer in order, and no other answer looks like that to a ping, so nothing late can follow it.

use super::dynamixel::control_table::{HEALTH, Register};
use super::dynamixel::{Decoder, EncodeError, Instruction, MAX_PACKET_BYTES, StatusError};
use super::port::{Port, PortError};
use fast_reads::FastReads;
use std::time::Duration;
use thiserror::Error;

mod blocks;
mod exchange;
mod fast_reads;

pub use blocks::{Block, SyncBlocks};

/// Timing of a bus, beside its baud rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BusTiming {
    /// Pause of a servo before it answers; the factory sets 500 us.
    pub return_delay: Duration,
    /// What adapter, driver and scheduler may add to a transaction.
    pub margin: Duration,
}

/// What happened on the bus so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusCounters {
    /// Instructions sent.
    pub n_instructions: u64,
    /// Transactions in which an answer was missing when its time was over.
    pub n_timeouts: u64,
    /// Packets with a wrong checksum.
    pub n_crc_errors: u64,
    /// Bytes that belong to no packet.
    pub n_garbage_bytes: u64,
    /// Right packets that answer nothing that was asked: late, foreign, or echoed.
    pub n_discarded: u64,
    /// Second attempts.
    pub n_retries: u64,
    /// Fast sync reads without a whole and right answer.
    pub n_fast_failures: u64,
    /// Pings to suspect servos.
    pub n_fences: u64,
    /// Instructions that a servo refused.
    pub n_refusals: u64,
}

/// A transaction failed.
#[derive(Debug, Error)]
pub enum BusError {
    /// The line does not work.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The instruction makes no sense.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// No right answer came.
    #[error("servo {id}: no answer to {asked} within {waited_s:.4} s, twice; check its cable, id and baud rate")]
    NoAnswer {
        /// The servo.
        id: u8,
        /// What was asked of it.
        asked: &'static str,
        /// How long each time, s.
        waited_s: f64,
    },
    /// The servo understood and did not do it.
    #[error("servo {id}: refused to write {value} to {register}: {error}")]
    Refused {
        /// The servo.
        id: u8,
        /// The register.
        register: &'static str,
        /// What was to be written.
        value: i32,
        /// Why.
        error: StatusError,
    },
    /// The servo understood and did not tell.
    #[error("servo {id}: refused to tell {register}: {error}")]
    RefusedRead {
        /// The servo.
        id: u8,
        /// The register.
        register: &'static str,
        /// Why.
        error: StatusError,
    },
    /// The register cannot hold the value.
    #[error("servo {id}: {value} does not fit {register} of {length} bytes")]
    Value {
        /// The servo.
        id: u8,
        /// The register.
        register: &'static str,
        /// What was to be written.
        value: i32,
        /// Its length.
        length: u16,
    },
}

/// What a servo says to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Its id.
    pub id: u8,
    /// Its model number.
    pub model: u16,
    /// Its firmware version.
    pub firmware: u8,
}

/// What a ping is answered with.
const PONG_BYTES: usize = 3;

/// A client of one bus.
#[derive(Debug)]
pub struct Bus<P> {
    port: P,
    timing: BusTiming,
    packet: Vec<u8>,
    inbox: Vec<u8>,
    decoder: Decoder,
    counters: BusCounters,
    /// When the last byte that was written will have left.
    line_free: Duration,
    /// By id: whether an earlier answer may still come.
    is_suspect: Vec<bool>,
    /// Whether the answer to an earlier fast read may still come.
    is_fast_suspect: bool,
    fast: FastReads,
}

impl<P: Port> Bus<P> {
    /// A client on `port`.
    pub fn new(port: P, timing: BusTiming) -> Self {
        Self {
            port,
            timing,
            packet: Vec::with_capacity(MAX_PACKET_BYTES),
            inbox: vec![0; MAX_PACKET_BYTES],
            decoder: Decoder::new(),
            counters: BusCounters::default(),
            line_free: Duration::ZERO,
            is_suspect: vec![false; 256],
            is_fast_suspect: false,
            fast: FastReads::new(),
        }
    }

    /// The time of the port.
    pub fn now(&self) -> Duration {
        self.port.now()
    }

    /// The port, to wait on it or to change its rate.
    pub const fn port_mut(&mut self) -> &mut P {
        &mut self.port
    }

    /// The timing, to change it.
    pub const fn timing_mut(&mut self) -> &mut BusTiming {
        &mut self.timing
    }

    /// What happened so far.
    pub fn counters(&self) -> BusCounters {
        let decoder = self.decoder.counters();
        BusCounters { n_crc_errors: decoder.n_crc_errors, n_garbage_bytes: decoder.n_garbage_bytes, ..self.counters }
    }

    /// Whether sync reads are tried as fast ones now.
    pub fn is_fast(&self) -> bool {
        self.fast.is_due(self.now())
    }

    /// Never tries fast reads again: a servo's firmware has none.
    pub const fn forbid_fast(&mut self) {
        self.fast.forbid();
    }

    /// Asks one servo for its model; tries twice.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ping(&mut self, id: u8) -> Result<Pong, BusError> {
        let mut pong = [0; PONG_BYTES];
        self.ask_twice(Instruction::Ping { id }, id, "a ping", &mut pong)?;
        let [model_low, model_high, firmware] = pong;
        Ok(Pong { id, model: u16::from_le_bytes([model_low, model_high]), firmware })
    }

    /// Asks one servo for its model once; whether it answered.
    ///
    /// # Errors
    /// When the port is lost.
    pub fn is_there(&mut self, id: u8) -> Result<bool, BusError> {
        let mut pong = [0; PONG_BYTES];
        Ok(self.ask(Instruction::Ping { id }, id, &mut pong, None)?.is_some())
    }

    /// Asks all servos for their models, each id by itself: answers to a broadcast collide where ids are doubled.
    ///
    /// # Errors
    /// When the port is lost.
    pub fn scan(&mut self, ids: impl IntoIterator<Item = u8>) -> Result<Vec<Pong>, BusError> {
        let mut found = Vec::new();
        for id in ids {
            match self.ping(id) {
                Ok(pong) => found.push(pong),
                Err(BusError::NoAnswer { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Reads a register; tries twice.
    ///
    /// # Errors
    /// When the servo does not answer or refuses.
    pub fn read(&mut self, id: u8, register: Register) -> Result<i32, BusError> {
        let mut bytes = [0; 4];
        let bytes = &mut bytes[..usize::from(register.length)];
        let read = Instruction::Read { id, address: register.address, length: register.length };
        let error = self.ask_twice(read, id, register.name, bytes)?;
        if error.number() != 0 {
            return Err(BusError::RefusedRead { id, register: register.name, error });
        }
        Ok(register.decode(bytes).unwrap_or_default())
    }

    /// Writes a register; tries twice.
    ///
    /// # Errors
    /// When the servo does not answer or refuses, or the register cannot hold the value.
    pub fn write(&mut self, id: u8, register: Register, value: i32) -> Result<(), BusError> {
        if !register.holds(value) {
            return Err(BusError::Value { id, register: register.name, value, length: register.length });
        }
        let bytes = value.to_le_bytes();
        let data = &bytes[..usize::from(register.length)];
        let write = Instruction::Write { id, address: register.address, data };
        let error = self.ask_twice(write, id, register.name, &mut [])?;
        if error.number() != 0 {
            self.counters.n_refusals += 1;
            return Err(BusError::Refused { id, register: register.name, value, error });
        }
        Ok(())
    }

    /// Restarts a servo. It answers before it does, and then not for a while.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn reboot(&mut self, id: u8) -> Result<(), BusError> {
        self.ask_twice(Instruction::Reboot { id }, id, "a reboot", &mut []).map(|_| ())
    }

    /// Reads the health registers of one servo once, if that can be done before `deadline`; the alert bit goes with it.
    ///
    /// # Errors
    /// When the port is lost.
    pub fn read_health(&mut self, id: u8, bytes: &mut [u8], deadline: Duration) -> Result<Option<bool>, BusError> {
        let (address, length) = HEALTH;
        let answer = self.ask(Instruction::Read { id, address, length }, id, bytes, Some(deadline))?;
        Ok(answer.filter(|error| error.number() == 0).map(StatusError::is_alert))
    }

    /// Reads the blocks of all wanted servos: fast if possible, else one by one; those that are missing once more while
    /// there is time. Returns how many are missing then. A block is either wholly new or left alone.
    ///
    /// # Errors
    /// When the port is lost.
    pub fn sync_read(&mut self, blocks: &mut SyncBlocks, deadline: Duration) -> Result<usize, BusError> {
        blocks.begin();
        self.clear_suspects(blocks, deadline)?;
        let is_each_trusted = blocks.ask_missing(&self.is_suspect) == blocks.n_missing();
        let mut is_complete = false;
        if self.is_fast() && is_each_trusted && !self.is_fast_suspect && blocks.n_missing() > 1 {
            is_complete = self.exchange_fast(blocks, deadline)?;
            self.fast.note(self.port.now(), is_complete);
            self.counters.n_fast_failures += u64::from(!is_complete);
            self.counters.n_retries += u64::from(!is_complete);
        }
        if !is_complete && !blocks.asked().is_empty() {
            is_complete = self.exchange_sync(blocks, deadline)?;
        }
        if !is_complete {
            self.clear_suspects(blocks, deadline)?;
            if blocks.ask_missing(&self.is_suspect) > 0 && self.port.now() < deadline {
                self.counters.n_retries += 1;
                self.exchange_sync(blocks, deadline)?;
            }
        }
        Ok(blocks.n_missing())
    }

    /// Writes `data`, one block for each of `ids`. Nobody answers.
    ///
    /// # Errors
    /// When the port is lost.
    pub fn sync_write(&mut self, ids: &[u8], address: u16, length: u16, data: &[u8]) -> Result<(), BusError> {
        Instruction::SyncWrite { ids, address, length, data }.encode(&mut self.packet)?;
        self.send()
    }
}
