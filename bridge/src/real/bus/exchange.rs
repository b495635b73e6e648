//! One instruction, and what comes back until its time is over.

use super::{Bus, BusError, PONG_BYTES, SyncBlocks};
use crate::real::dynamixel::{Instruction, Packet, StatusError, fast_sync_blocks};
use crate::real::port::Port;
use std::ops::ControlFlow;
use std::time::Duration;

/// What a packet is to the instruction that waits for it.
enum Reception {
    /// It was all.
    Last,
    /// It was part of it.
    More,
    /// It has nothing to do with it.
    Foreign,
}

impl<P: Port> Bus<P> {
    /// As [`Bus::ask`], twice if need be.
    pub(super) fn ask_twice(
        &mut self,
        instruction: Instruction<'_>,
        id: u8,
        asked: &'static str,
        data: &mut [u8],
    ) -> Result<StatusError, BusError> {
        let start = self.port.now();
        for attempt in 0..2 {
            self.counters.n_retries += attempt;
            if let Some(error) = self.ask(instruction, id, data, None)? {
                return Ok(error);
            }
        }
        let waited_s = (self.port.now().saturating_sub(start)).as_secs_f64() / 2.0;
        Err(BusError::NoAnswer { id, asked, waited_s })
    }

    /// One question to one servo, answered with as many bytes as `data` has, or with an error and none. No answer if it
    /// cannot be there before `deadline`.
    pub(super) fn ask(
        &mut self,
        instruction: Instruction<'_>,
        id: u8,
        data: &mut [u8],
        deadline: Option<Duration>,
    ) -> Result<Option<StatusError>, BusError> {
        let is_ping = matches!(instruction, Instruction::Ping { .. });
        if !is_ping && self.is_suspect[usize::from(id)] && !self.clear_suspect(id, deadline)? {
            return Ok(None);
        }
        instruction.encode(&mut self.packet)?;
        self.exchange(id, data, deadline)
    }

    /// Pings suspect servos until one does not answer: that one has cost enough of the cycle.
    pub(super) fn clear_suspects(&mut self, blocks: &SyncBlocks, deadline: Duration) -> Result<(), BusError> {
        for id in blocks.missing_ids() {
            if self.is_suspect[usize::from(id)] && !self.clear_suspect(id, Some(deadline))? {
                break;
            }
        }
        Ok(())
    }

    fn clear_suspect(&mut self, id: u8, deadline: Option<Duration>) -> Result<bool, BusError> {
        self.counters.n_fences += 1;
        Instruction::Ping { id }.encode(&mut self.packet)?;
        Ok(self.exchange(id, &mut [0; PONG_BYTES], deadline)?.is_some())
    }

    /// Sends the encoded packet and waits for the status of one servo.
    fn exchange(
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
        self.receive(end, true, |packet| match packet.status() {
            Some(status) if status.id == id && status.data.len() == data.len() => {
                data.copy_from_slice(status.data);
                answer = Some(status.error);
                Reception::Last
            }
            Some(status) if status.id == id && status.data.is_empty() && status.error.number() != 0 => {
                answer = Some(status.error);
                Reception::Last
            }
            _ => Reception::Foreign,
        })?;
        self.is_suspect[usize::from(id)] = answer.is_none();
        Ok(answer)
    }

    /// Reads the asked blocks with one packet of all servos; whether it came whole and right.
    pub(super) fn exchange_fast(&mut self, blocks: &mut SyncBlocks, deadline: Duration) -> Result<bool, BusError> {
        let (address, length) = blocks.place();
        let n_servos = blocks.asked().len();
        Instruction::FastSyncRead { ids: blocks.asked(), address, length }.encode(&mut self.packet)?;
        let answer_bytes = 8 + n_servos * (usize::from(length) + 4);
        self.begin(answer_bytes)?;
        let end = self.answer_end(answer_bytes, n_servos, Some(deadline));
        let mut is_complete = false;
        self.receive(end, true, |packet| match fast_sync_blocks(&packet, n_servos, length.into()) {
            Some(found) if found.clone().map(|block| block.id).eq(blocks.asked().iter().copied()) => {
                for block in found {
                    blocks.accept(block.id, block.error, block.data);
                }
                is_complete = blocks.n_missing() == 0;
                Reception::Last
            }
            _ => Reception::Foreign,
        })?;
        self.is_fast_suspect = !is_complete;
        Ok(is_complete)
    }

    /// Reads the asked blocks servo by servo; whether nothing is missing. Who does not answer is suspect.
    pub(super) fn exchange_sync(&mut self, blocks: &mut SyncBlocks, deadline: Duration) -> Result<bool, BusError> {
        let (address, length) = blocks.place();
        let n_servos = blocks.asked().len();
        Instruction::SyncRead { ids: blocks.asked(), address, length }.encode(&mut self.packet)?;
        let status_bytes = stuffed(11 + usize::from(length));
        self.begin(status_bytes)?;
        let end = self.answer_end(n_servos * status_bytes, n_servos, Some(deadline));
        let mut n_heard = 0;
        self.receive(end, false, |packet| {
            let is_accepted = packet.status().is_some_and(|status| blocks.accept(status.id, status.error, status.data));
            n_heard += usize::from(is_accepted);
            match is_accepted {
                true if n_heard == n_servos => Reception::Last,
                true => Reception::More,
                false => Reception::Foreign,
            }
        })?;
        for id in blocks.missing_ids() {
            self.is_suspect[usize::from(id)] = true;
        }
        let is_complete = blocks.n_missing() == 0;
        // Who has answered this has nothing more to say to an earlier fast read.
        self.is_fast_suspect &= !is_complete;
        Ok(is_complete)
    }

    /// Sends the encoded packet after everything that has arrived is dropped.
    fn begin(&mut self, answer_bytes: usize) -> Result<(), BusError> {
        self.port.discard_input()?;
        self.decoder.clear();
        // An adapter that echoes sends our own packet back.
        self.decoder.expect_at_most(answer_bytes.max(self.packet.len()));
        self.send()
    }

    pub(super) fn send(&mut self) -> Result<(), BusError> {
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

    /// Hands packets to `take` until it has the last one or `end` has come; before that, if the line falls silent or,
    /// where there is only one answer, if that is broken.
    fn receive(
        &mut self,
        end: Duration,
        is_single: bool,
        mut take: impl FnMut(Packet<'_>) -> Reception,
    ) -> Result<(), BusError> {
        /// A status with some data: no pause between two packets is longer than one that is left out.
        const SLOT_BYTES: usize = 32;
        let silence = self.timing.return_delay * 2 + self.timing.margin + self.bytes_time(SLOT_BYTES);
        let mut silence_end = self.line_free.max(self.port.now()) + silence;
        let n_broken = self.decoder.counters().n_crc_errors;
        loop {
            let n_read = self.port.read_until(&mut self.inbox, end.min(silence_end))?;
            if n_read == 0 {
                self.counters.n_timeouts += 1;
                return Ok(());
            }
            silence_end = self.port.now() + silence;
            if self.take_bytes(n_read, &mut take).is_break() {
                return Ok(());
            }
            if is_single && self.decoder.counters().n_crc_errors > n_broken {
                return Ok(());
            }
        }
    }

    fn take_bytes(&mut self, n_read: usize, take: &mut impl FnMut(Packet<'_>) -> Reception) -> ControlFlow<()> {
        let mut rest = &self.inbox[..n_read];
        while !rest.is_empty() {
            let n_taken = self.decoder.feed(rest);
            rest = &rest[n_taken..];
            while let Some(packet) = self.decoder.next_packet() {
                match take(packet) {
                    Reception::Last => return ControlFlow::Break(()),
                    Reception::More => {}
                    Reception::Foreign => self.counters.n_discarded += 1,
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The length of a packet if everything in it is stuffed.
const fn stuffed(n_bytes: usize) -> usize {
    n_bytes + n_bytes / 3
}
