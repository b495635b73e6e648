//! One transaction at a time with a deadline, and what went wrong in numbers.
//!
//! The protocol does not number its packets, so an answer that comes late looks like an answer to the next question.
//! Three rules keep it out:
//! - what arrived before an instruction is dropped; what does not fit it by id and length is dropped;
//! - the answers to a sync read come in the order of its ids: an answer out of order withdraws those after it, which
//!   belong to an earlier instruction;
//! - after an answer was missing, a ping is sent and everything before its answer is dropped: bytes do not overtake.

use super::dynamixel::control_table::{HEALTH, Register};
use super::dynamixel::{Decoder, EncodeError, Instruction, MAX_PACKET_BYTES, Packet, StatusError, fast_sync_blocks};
use super::port::{Port, PortError};
use std::time::Duration;
use thiserror::Error;

mod blocks;

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
    /// Pings that separate a late answer from the next question.
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
    /// Whether an answer to an earlier instruction may still come.
    is_answer_due: bool,
    /// A servo that answered lately.
    last_heard: Option<u8>,
    /// Rises with every failed fast read, falls with every good one.
    fast_penalty: u32,
}

impl<P: Port> Bus<P> {
    /// Penalty of a failed fast read; a good one pays 1 back.
    const FAST_FAILURE: u32 = 10;
    /// At this penalty fast reads end for good: five failures in a row, or more than one in ten.
    const FAST_LIMIT: u32 = 50;
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
            is_answer_due: false,
            last_heard: None,
            fast_penalty: 0,
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

    /// Whether sync reads are tried as fast ones.
    pub const fn is_fast(&self) -> bool {
        self.fast_penalty < Self::FAST_LIMIT
    }

    /// Never tries fast reads again: a servo's firmware has none.
    pub const fn forbid_fast(&mut self) {
        self.fast_penalty = Self::FAST_LIMIT;
    }

    /// Asks one servo for its model; tries twice.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ping(&mut self, id: u8) -> Result<Pong, BusError> {
        let mut pong = [0; PONG_BYTES];
        self.ask_twice(Instruction::Ping { id }, id, "a ping", &mut pong, None)?;
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
        let error = self.ask_twice(read, id, register.name, bytes, None)?;
        if error.number() != 0 {
            return Err(BusError::Refused { id, register: register.name, value: 0, error });
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
        let error = self.ask_twice(write, id, register.name, &mut [], None)?;
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
        self.ask_twice(Instruction::Reboot { id }, id, "a reboot", &mut [], None).map(|_| ())
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
        if blocks.n_missing() == 0 || !self.settle(Some(deadline))? {
            return Ok(blocks.n_missing());
        }
        if self.is_fast() && blocks.n_missing() > 1 {
            if self.exchange_fast(blocks, deadline)? {
                self.fast_penalty = self.fast_penalty.saturating_sub(1);
                return Ok(0);
            }
            self.counters.n_fast_failures += 1;
            self.fast_penalty = (self.fast_penalty + Self::FAST_FAILURE).min(Self::FAST_LIMIT);
        } else if self.exchange_sync(blocks, deadline)? {
            return Ok(0);
        }
        if self.port.now() < deadline && self.settle(Some(deadline))? {
            self.counters.n_retries += 1;
            self.exchange_sync(blocks, deadline)?;
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

    fn exchange_fast(&mut self, blocks: &mut SyncBlocks, deadline: Duration) -> Result<bool, BusError> {
        let (address, length) = blocks.place();
        let n_servos = blocks.n_missing();
        Instruction::FastSyncRead { ids: blocks.missing_ids(), address, length }.encode(&mut self.packet)?;
        let answer_bytes = 8 + n_servos * (usize::from(length) + 4);
        self.begin(answer_bytes)?;
        let end = self.answer_end(answer_bytes, n_servos, Some(deadline));
        let mut is_complete = false;
        self.receive(end, |packet, n_discarded| {
            match fast_sync_blocks(&packet, n_servos, length.into()) {
                Some(found) if found.clone().map(|block| block.id).eq(blocks.missing_ids().iter().copied()) => {
                    for block in found {
                        blocks.accept(block.id, block.error, block.data);
                    }
                    is_complete = blocks.n_missing() == 0;
                    return is_complete;
                }
                _ => *n_discarded += 1,
            }
            false
        })?;
        self.is_answer_due = !is_complete;
        Ok(is_complete)
    }

    fn exchange_sync(&mut self, blocks: &mut SyncBlocks, deadline: Duration) -> Result<bool, BusError> {
        let (address, length) = blocks.place();
        let n_servos = blocks.n_missing();
        Instruction::SyncRead { ids: blocks.missing_ids(), address, length }.encode(&mut self.packet)?;
        let status_bytes = stuffed(11 + usize::from(length));
        self.begin(status_bytes)?;
        let end = self.answer_end(n_servos * status_bytes, n_servos, Some(deadline));
        blocks.begin_in_order();
        let mut heard = None;
        self.receive(end, |packet, n_discarded| {
            match packet.status() {
                Some(status) if blocks.accept_in_order(status.id, status.error, status.data) => heard = Some(status.id),
                _ => *n_discarded += 1,
            }
            blocks.n_missing() == 0
        })?;
        self.last_heard = heard.or(self.last_heard);
        let is_complete = blocks.n_missing() == 0;
        self.is_answer_due = !is_complete;
        Ok(is_complete)
    }

    fn ask_twice(
        &mut self,
        instruction: Instruction<'_>,
        id: u8,
        asked: &'static str,
        data: &mut [u8],
        deadline: Option<Duration>,
    ) -> Result<StatusError, BusError> {
        let start = self.port.now();
        for attempt in 0..2 {
            self.counters.n_retries += attempt;
            if let Some(error) = self.ask(instruction, id, data, deadline)? {
                return Ok(error);
            }
        }
        let waited_s = (self.port.now().saturating_sub(start)).as_secs_f64() / 2.0;
        Err(BusError::NoAnswer { id, asked, waited_s })
    }

    /// One question to one servo, answered with as many bytes as `data` has, or with an error and none.
    fn ask(
        &mut self,
        instruction: Instruction<'_>,
        id: u8,
        data: &mut [u8],
        deadline: Option<Duration>,
    ) -> Result<Option<StatusError>, BusError> {
        // The second time it waits for silence instead of for a servo that has just failed to answer.
        if !self.settle(deadline)? && !self.settle(deadline)? {
            return Ok(None);
        }
        instruction.encode(&mut self.packet)?;
        self.ask_encoded(id, data, deadline)
    }

    fn ask_encoded(
        &mut self,
        id: u8,
        data: &mut [u8],
        deadline: Option<Duration>,
    ) -> Result<Option<StatusError>, BusError> {
        let status_bytes = stuffed(11 + data.len());
        let needed = self.bytes_time(self.packet.len());
        if deadline.is_some_and(|deadline| self.answer_end(status_bytes, 1, None) + needed > deadline) {
            return Ok(None);
        }
        self.begin(status_bytes)?;
        let end = self.answer_end(status_bytes, 1, deadline);
        let mut answer = None;
        self.receive(end, |packet, n_discarded| {
            match packet.status() {
                Some(status) if status.id == id && status.data.len() == data.len() => {
                    data.copy_from_slice(status.data);
                    answer = Some(status.error);
                }
                Some(status) if status.id == id && status.data.is_empty() && status.error.number() != 0 => {
                    answer = Some(status.error);
                }
                _ => *n_discarded += 1,
            }
            answer.is_some()
        })?;
        self.is_answer_due = answer.is_none();
        match answer {
            Some(_) => self.last_heard = Some(id),
            None if self.last_heard == Some(id) => self.last_heard = None,
            None => {}
        }
        Ok(answer)
    }

    /// Makes sure that no answer to an earlier instruction is still to come; whether it could.
    fn settle(&mut self, deadline: Option<Duration>) -> Result<bool, BusError> {
        if !self.is_answer_due {
            return Ok(true);
        }
        self.counters.n_fences += 1;
        if let Some(id) = self.last_heard {
            Instruction::Ping { id }.encode(&mut self.packet)?;
            let mut pong = [0; PONG_BYTES];
            return Ok(self.ask_encoded(id, &mut pong, deadline)?.is_some());
        }
        // Nobody is known to answer: what has not come after a whole transaction's time is taken not to come.
        let end = self.port.now() + self.timing.return_delay + self.timing.margin;
        let end = deadline.map_or(end, |deadline| end.min(deadline));
        while self.port.read_until(&mut self.inbox, end)? > 0 {}
        self.is_answer_due = false;
        Ok(true)
    }

    /// Sends the encoded packet after everything that has arrived is dropped.
    fn begin(&mut self, answer_bytes: usize) -> Result<(), BusError> {
        self.port.discard_input()?;
        self.decoder.clear();
        // An adapter that echoes sends our own packet back.
        self.decoder.expect_at_most(answer_bytes.max(self.packet.len()));
        self.send()
    }

    fn send(&mut self) -> Result<(), BusError> {
        self.counters.n_instructions += 1;
        let now = self.port.now();
        self.line_free = self.line_free.max(now) + self.bytes_time(self.packet.len());
        self.port.write_all(&self.packet, self.line_free + self.timing.margin)?;
        Ok(())
    }

    /// When an answer of `n_bytes` by `n_servos` to a packet that is already sent must be here.
    fn answer_end(&self, n_bytes: usize, n_servos: usize, deadline: Option<Duration>) -> Duration {
        let pauses = self.timing.return_delay * u32::try_from(n_servos).unwrap_or(u32::MAX);
        let end = self.line_free.max(self.port.now()) + pauses + self.bytes_time(n_bytes) + self.timing.margin;
        deadline.map_or(end, |deadline| end.min(deadline))
    }

    fn bytes_time(&self, n_bytes: usize) -> Duration {
        // Start bit, eight bits, stop bit.
        Duration::from_secs_f64(10.0 * n_bytes as f64 / f64::from(self.port.baud().max(1)))
    }

    /// Hands packets to `is_last` until it says so or `end` has come.
    fn receive(
        &mut self,
        end: Duration,
        mut is_last: impl FnMut(Packet<'_>, &mut u64) -> bool,
    ) -> Result<(), BusError> {
        // A line that has been quiet for longer than a whole answer takes stays quiet.
        let quiet = self.timing.return_delay + self.timing.margin + self.bytes_time(self.decoder.longest());
        let mut quiet_end = self.line_free.max(self.port.now()) + quiet;
        loop {
            let n_read = self.port.read_until(&mut self.inbox, end.min(quiet_end))?;
            quiet_end = self.port.now() + quiet;
            if n_read == 0 {
                self.counters.n_timeouts += 1;
                return Ok(());
            }
            let mut rest = &self.inbox[..n_read];
            while !rest.is_empty() {
                let n_taken = self.decoder.feed(rest);
                rest = &rest[n_taken..];
                while let Some(packet) = self.decoder.next_packet() {
                    if is_last(packet, &mut self.counters.n_discarded) {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// The length of a packet if everything in it is stuffed.
const fn stuffed(n_bytes: usize) -> usize {
    n_bytes + n_bytes / 3
}
