//! What the servos of a bus do with an instruction, and when they answer.

use super::servo::{ACCESS, Servo};
use super::wire::{self, Request};
use super::{Emulator, PendingReply};
use std::time::Duration;

const EVERYBODY: u8 = 0xFE;
const UNKNOWN_INSTRUCTION: u8 = 2;
const DATA_LENGTH: u8 = 5;

impl Emulator {
    pub(super) fn execute(&mut self, request: &Request, baud: u32) {
        let listeners: Vec<usize> = (0..self.servos.len())
            .filter(|&index| {
                let servo = &self.servos[index];
                servo.is_awake() && servo.baud() == baud && !self.faults.is_missed(servo.id(), &mut self.rng)
            })
            .collect();
        for &index in &listeners {
            self.servos[index].hear(self.now);
        }
        match request.code {
            0x82 => self.sync_read(request, &listeners),
            0x8A => self.fast_sync_read(request, &listeners),
            0x83 => self.sync_write(request, &listeners),
            0x01 if request.id == EVERYBODY => self.broadcast_ping(&listeners),
            _ => self.single(request, &listeners),
        }
    }

    fn single(&mut self, request: &Request, listeners: &[usize]) {
        let mut answer: Option<Vec<u8>> = None;
        let mut start = self.now;
        let mut answering = None;
        for &index in listeners {
            let servo = &mut self.servos[index];
            let id = servo.id();
            if request.id != id && request.id != EVERYBODY {
                continue;
            }
            let level = servo.registers().get(68, 1);
            let (error, data) = carry_out(servo, request, self.now, &mut self.counters.n_goals);
            let is_answered = match request.code {
                0x01 => true,
                0x02 => level >= 1,
                _ => level >= 2,
            };
            if request.id == EVERYBODY || !is_answered {
                continue;
            }
            let servo = &self.servos[index];
            let bytes = wire::status(id, error | servo.alert(), &data);
            start = self.now + servo.return_delay();
            // Two servos with one id speak at once.
            answer = Some(match answer {
                None => bytes,
                Some(other) => wire::collide(other, &bytes),
            });
            answering = Some(index);
        }
        if let (Some(bytes), Some(index)) = (answer, answering) {
            self.reply(index, start, bytes);
        }
    }

    fn broadcast_ping(&mut self, listeners: &[usize]) {
        let mut order = listeners.to_vec();
        order.sort_by_key(|&index| self.servos[index].id());
        let mut start = self.now;
        for index in order {
            let servo = &self.servos[index];
            start += servo.return_delay();
            let bytes = wire::status(servo.id(), servo.alert(), &pong(servo));
            start = self.reply(index, start, bytes);
        }
    }

    fn sync_read(&mut self, request: &Request, listeners: &[usize]) {
        let Some((address, length, ids)) = place(&request.params) else { return };
        let mut start = self.now;
        for &id in ids {
            let Some(&index) = listeners.iter().find(|&&index| self.servos[index].id() == id) else {
                // Its slot stays empty.
                start += wire::byte_time(1_000_000) * u32::from(11 + length);
                continue;
            };
            let servo = &self.servos[index];
            start += servo.return_delay();
            let (error, data) = match servo.registers().slice(address, length) {
                Some(data) => (0, data),
                None => (ACCESS, [].as_slice()),
            };
            let bytes = wire::status(id, error | servo.alert(), data);
            start = self.reply(index, start, bytes);
        }
    }

    fn fast_sync_read(&mut self, request: &Request, listeners: &[usize]) {
        let Some((address, length, ids)) = place(&request.params) else { return };
        let mut packet = wire::fast_head(ids.len(), length.into());
        let (mut start, mut byte_time) = (self.now, wire::byte_time(1_000_000));
        for &id in ids {
            let speaker = listeners.iter().find(|&&index| {
                let servo = &self.servos[index];
                servo.id() == id && servo.has_fast_read()
            });
            // Everybody waits for the one before: the first that is missing ends the packet.
            let Some(&index) = speaker else { break };
            let servo = &self.servos[index];
            let Some(data) = servo.registers().slice(address, length) else { break };
            if self.faults.is_dropped(id, &mut self.rng) {
                break;
            }
            start += servo.return_delay() + self.faults.delay(id);
            byte_time = wire::byte_time(servo.baud());
            let n_before = packet.len();
            wire::push_fast_block(&mut packet, id, servo.alert(), data);
            self.faults.corrupt(id, &mut packet, n_before, &mut self.rng);
        }
        if packet.len() > 8 {
            self.pending.push(PendingReply { start, bytes: packet, byte_time });
        }
    }

    fn sync_write(&mut self, request: &Request, listeners: &[usize]) {
        let Some((address, length, blocks)) = place(&request.params) else { return };
        for block in blocks.chunks_exact(usize::from(length) + 1) {
            for &index in listeners {
                let servo = &mut self.servos[index];
                if servo.id() == block[0] {
                    servo.write(address, &block[1..], &mut self.counters.n_goals);
                }
            }
        }
    }

    /// Sends what the servo says, unless a fault keeps it; when its slot ends.
    fn reply(&mut self, index: usize, start: Duration, mut bytes: Vec<u8>) -> Duration {
        let servo = &self.servos[index];
        let (id, byte_time) = (servo.id(), wire::byte_time(servo.baud()));
        let end = start + byte_time * bytes.len() as u32;
        if !self.faults.is_dropped(id, &mut self.rng) {
            self.faults.corrupt(id, &mut bytes, 0, &mut self.rng);
            self.pending.push(PendingReply { start: start + self.faults.delay(id), bytes, byte_time });
        }
        end
    }
}

/// Error number and data of an answer.
fn carry_out(servo: &mut Servo, request: &Request, now: Duration, n_goals: &mut u64) -> (u8, Vec<u8>) {
    match (request.code, request.params.as_slice()) {
        (0x01, _) => (0, pong(servo)),
        (0x02, &[address_low, address_high, length_low, length_high]) => {
            let address = u16::from_le_bytes([address_low, address_high]);
            match servo.registers().slice(address, u16::from_le_bytes([length_low, length_high])) {
                Some(data) => (0, data.to_vec()),
                None => (ACCESS, Vec::new()),
            }
        }
        (0x03, [address_low, address_high, data @ ..]) if !data.is_empty() => {
            (servo.write(u16::from_le_bytes([*address_low, *address_high]), data, n_goals), Vec::new())
        }
        (0x02 | 0x03, _) => (DATA_LENGTH, Vec::new()),
        (0x08, _) => {
            servo.reboot(now);
            (0, Vec::new())
        }
        (0x10, &[0x01, 0x44, 0x58, 0x4C, 0x22]) => {
            servo.clear_turns();
            (0, Vec::new())
        }
        _ => (UNKNOWN_INSTRUCTION, Vec::new()),
    }
}

fn pong(servo: &Servo) -> Vec<u8> {
    let model = servo.registers().get(0, 2);
    vec![model as u8, (model >> 8) as u8, servo.registers().get(6, 1) as u8]
}

/// Address, length and the rest of a sync instruction's parameters.
fn place(params: &[u8]) -> Option<(u16, u16, &[u8])> {
    let (head, rest) = params.split_first_chunk::<4>()?;
    let [address_low, address_high, length_low, length_high] = *head;
    let length = u16::from_le_bytes([length_low, length_high]);
    (length > 0 && length <= super::registers::N_BYTES).then_some((
        u16::from_le_bytes([address_low, address_high]),
        length,
        rest,
    ))
}
