//! The servo side of the bus: servos with register maps and the quirks of their firmware, whose shafts are a [`Plant`].
//!
//! It shares no code with the client: its parser, its checksum and its registers are its own, so that one's mistake is
//! the other's finding. Time is handed in. What stands here stands in the maker's manual, but for
//! - an emulated servo that is silent leaves its slot of a sync read empty, and the next one answers after it;
//! - torque that is switched on during a shutdown is refused with error 1;
//! - a tripped watchdog holds the shaft where it was, with torque.

mod arm;
mod faults;
mod instructions;
mod memory_port;
mod plant;
mod registers;
mod servo;
mod terminal;
mod wire;

pub use arm::{ArmCable, EmulatedArm, MemoryArm};
pub use faults::{Fault, FaultScript, Servos, TimedFault};
pub use memory_port::{EmulatorClock, MemoryPort, SharedEmulator};
pub use plant::{Drive, FirstOrderPlant, FirstOrderShaft, Plant, Shaft};
pub use servo::{ServoConfig, UNLIMITED_MA};
pub use terminal::{PseudoTerminal, TerminalError};

use crate::random::{self, Rng};
use faults::ActiveFaults;
use servo::Servo;
use std::collections::VecDeque;
use std::time::Duration;
use wire::Parser;

/// A bus with servos on it.
pub struct Emulator {
    servos: Vec<Servo>,
    plant: Box<dyn Plant>,
    drives: Vec<Drive>,
    shafts: Vec<Shaft>,
    now: Duration,
    next_step: Duration,
    parser: Parser,
    /// Bytes from the host, when they arrive at the servos, and at what rate they were sent.
    to_servos: VecDeque<(Duration, u8, u32)>,
    host_line_free: Duration,
    /// Bytes to the host and when they arrive there.
    to_host: VecDeque<(Duration, u8)>,
    servo_line_free: Duration,
    pending: Vec<PendingReply>,
    faults: ActiveFaults,
    rng: Rng,
    is_unplugged: bool,
    n_unplugs: u32,
    counters: EmulatorCounters,
}

/// What the servos saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmulatorCounters {
    /// Instructions with a right checksum.
    pub n_instructions: u64,
    /// Packets with a wrong checksum.
    pub n_crc_errors: u64,
    /// Goal positions that took effect.
    pub n_goals: u64,
}

/// A reply that begins to leave at its time.
struct PendingReply {
    start: Duration,
    bytes: Vec<u8>,
    byte_time: Duration,
}

impl Emulator {
    /// How often shafts and firmware move.
    pub const STEP: Duration = Duration::from_millis(1);

    /// Servos with `configs`, at rest where `plant` says that their shafts are. Faults come as `script` says.
    #[must_use]
    pub fn new(configs: &[ServoConfig], mut plant: Box<dyn Plant>, script: &FaultScript) -> Self {
        let n_servos = configs.len();
        let drives = vec![Drive::default(); n_servos];
        let mut shafts = vec![Shaft::default(); n_servos];
        plant.advance(&drives, 0.0, &mut shafts);
        let servos = configs.iter().zip(&shafts).map(|(config, &shaft)| Servo::new(config, shaft)).collect();
        Self {
            servos,
            plant,
            drives,
            shafts,
            now: Duration::ZERO,
            next_step: Self::STEP,
            parser: Parser::default(),
            to_servos: VecDeque::new(),
            host_line_free: Duration::ZERO,
            to_host: VecDeque::new(),
            servo_line_free: Duration::ZERO,
            pending: Vec::new(),
            faults: ActiveFaults::new(script),
            rng: random::stream(script.seed, "emulated faults", 0),
            is_unplugged: false,
            n_unplugs: 0,
            counters: EmulatorCounters::default(),
        }
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// Whether the cable is pulled.
    #[must_use]
    pub const fn is_unplugged(&self) -> bool {
        self.is_unplugged
    }

    /// What the servos saw so far.
    #[must_use]
    pub const fn counters(&self) -> EmulatorCounters {
        self.counters
    }

    /// Adds a fault that begins `fault.at_s` from the start, or now if that is over.
    pub fn inject(&mut self, fault: TimedFault) {
        self.faults.add(fault);
    }

    /// Bytes from the host, sent from now on at `baud`.
    pub fn receive(&mut self, bytes: &[u8], baud: u32) {
        let byte_time = wire::byte_time(baud);
        let mut time = self.host_line_free.max(self.now);
        for &byte in bytes {
            time += byte_time;
            self.to_servos.push_back((time, byte, baud));
        }
        self.host_line_free = time;
    }

    /// When the next byte for the host is there, if one is on its way.
    #[must_use]
    pub fn next_byte(&self) -> Option<Duration> {
        self.to_host.front().map(|&(arrival, _)| arrival)
    }

    /// Moves the bytes that have arrived at the host into `buffer`; how many.
    pub fn transmit(&mut self, buffer: &mut [u8]) -> usize {
        let n_arrived = self.to_host.iter().take_while(|&&(arrival, _)| arrival <= self.now).count();
        let n_bytes = n_arrived.min(buffer.len());
        for (place, (_, byte)) in buffer.iter_mut().zip(self.to_host.drain(..n_bytes)) {
            *place = byte;
        }
        n_bytes
    }

    /// Lets time pass until `time`, or until the first byte for the host is there, if that is earlier.
    pub fn advance_until_byte(&mut self, time: Duration) {
        while self.now < time && self.next_byte().is_none_or(|arrival| arrival > self.now) {
            let next = self.next_event().min(self.next_byte().unwrap_or(time)).min(time);
            self.advance_to_event(next);
        }
    }

    /// Lets time pass until `time`.
    pub fn advance_to(&mut self, time: Duration) {
        while self.now < time {
            let next = self.next_event().min(time);
            self.advance_to_event(next);
        }
    }

    /// A register of the servo with `id`: `length` bytes, little-endian, without sign. None if there is no such servo.
    #[must_use]
    pub fn register(&self, id: u8, address: u16, length: u16) -> Option<u32> {
        self.servos.iter().find(|servo| servo.id() == id).map(|servo| servo.registers().get(address, length))
    }

    /// Sets a register of the servo with `id` as if it had been so all along; no rule of the firmware applies.
    pub fn set_register(&mut self, id: u8, address: u16, length: u16, value: u32) {
        for servo in self.servos.iter_mut().filter(|servo| servo.id() == id) {
            servo.registers_mut().set(address, length, value);
        }
    }

    /// Angle of the shaft of the servo with `id`, rad.
    #[must_use]
    pub fn shaft_rad(&self, id: u8) -> Option<f64> {
        self.servos.iter().position(|servo| servo.id() == id).map(|index| self.shafts[index].position_rad)
    }

    /// Whether the tracker that looks at the hand is silent, by script.
    #[must_use]
    pub fn is_tracker_silent(&self) -> bool {
        self.faults.is_tracker_silent()
    }

    /// Whether that tracker says again what it saw last, by script.
    #[must_use]
    pub fn is_tracker_frozen(&self) -> bool {
        self.faults.is_tracker_frozen()
    }

    /// Whether the learner gives no sign of life, by script.
    #[must_use]
    pub fn is_learner_silent(&self) -> bool {
        self.faults.is_learner_silent()
    }

    /// Whether the controller of the arm that carries the hand neither hears nor tells, by script.
    #[must_use]
    pub fn is_arm_silent(&self) -> bool {
        self.faults.is_arm_silent()
    }

    /// Whether that controller hears no setpoints, by script.
    #[must_use]
    pub fn is_arm_deaf(&self) -> bool {
        self.faults.is_arm_deaf()
    }

    /// Whether that controller reports a fault, by script.
    #[must_use]
    pub fn has_arm_failed(&self) -> bool {
        self.faults.has_arm_failed()
    }

    /// The physics behind the shafts.
    pub fn plant_mut(&mut self) -> &mut dyn Plant {
        self.plant.as_mut()
    }

    fn next_event(&self) -> Duration {
        let arrival = self.to_servos.front().map(|&(arrival, ..)| arrival);
        let reply = self.pending.iter().map(|reply| reply.start).min();
        let events = [Some(self.next_step), arrival, reply, self.faults.next_change()];
        events.into_iter().flatten().min().unwrap_or(self.next_step).max(self.now)
    }

    fn advance_to_event(&mut self, time: Duration) {
        self.now = time;
        for fault in self.faults.begin_due(time) {
            self.begin_fault(&fault);
        }
        while let Some(&(arrival, byte, baud)) = self.to_servos.front()
            && arrival <= time
        {
            self.to_servos.pop_front();
            if self.is_unplugged {
                continue;
            }
            if self.faults.is_echoing() {
                self.to_host.push_back((arrival, byte));
            }
            match self.parser.push(byte) {
                wire::Parsed::Nothing => {}
                wire::Parsed::WrongChecksum => self.counters.n_crc_errors += 1,
                wire::Parsed::Packet(packet) => {
                    self.counters.n_instructions += 1;
                    self.execute(&packet, baud);
                }
            }
        }
        while let Some(index) = self.next_reply() {
            let reply = self.pending.remove(index);
            let mut at = reply.start.max(self.servo_line_free);
            for byte in reply.bytes {
                at += reply.byte_time;
                if !self.is_unplugged {
                    self.to_host.push_back((at, byte));
                }
            }
            self.servo_line_free = at;
        }
        if self.next_step <= time {
            self.next_step += Self::STEP;
            self.step();
        }
    }

    /// The earliest reply that is due.
    fn next_reply(&self) -> Option<usize> {
        let due = self.pending.iter().enumerate().filter(|(_, reply)| reply.start <= self.now);
        due.min_by_key(|(_, reply)| reply.start).map(|(index, _)| index)
    }

    fn step(&mut self) {
        let dt_s = Self::STEP.as_secs_f64();
        for (servo, drive) in self.servos.iter_mut().zip(&mut self.drives) {
            servo.begin_step(self.now, self.faults.voltage_v(servo.id()));
            *drive = servo.drive();
        }
        self.plant.advance(&self.drives, dt_s, &mut self.shafts);
        for (servo, shaft) in self.servos.iter_mut().zip(&self.shafts) {
            servo.end_step(*shaft);
        }
    }

    fn begin_fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Overload { servos } => self.concerned(servos).for_each(Servo::overload),
            Fault::Temperature { servos, celsius } => {
                let celsius = celsius.get();
                self.concerned(servos).for_each(|servo| servo.set_temperature(celsius));
            }
            Fault::Noise { n_bytes } => {
                let bytes = faults::noise(&mut self.rng, *n_bytes);
                let byte_time = wire::byte_time(1_000_000);
                self.pending.push(PendingReply { start: self.now, bytes, byte_time });
            }
            Fault::Unplug => {
                self.is_unplugged = true;
                self.n_unplugs += 1;
                self.to_host.clear();
                self.to_servos.clear();
                self.pending.clear();
            }
            Fault::Replug => self.is_unplugged = false,
            // These last for a while: they are asked for when they matter.
            Fault::Drop { .. } | Fault::Corrupt { .. } | Fault::Delay { .. } => {}
            Fault::Silent { .. } | Fault::Deaf { .. } | Fault::ArmDeaf { .. } | Fault::Echo { .. } => {}
            Fault::Voltage { .. } | Fault::LearnerSilent { .. } => {}
            Fault::TrackerSilent { .. } | Fault::TrackerFrozen { .. } => {}
            Fault::ArmSilent { .. } | Fault::ArmFailed { .. } => {}
        }
    }

    fn concerned<'a>(&'a mut self, servos: &'a Servos) -> impl Iterator<Item = &'a mut Servo> {
        self.servos.iter_mut().filter(|servo| servos.contain(servo.id()))
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("now", &self.now).field("n_servos", &self.servos.len()).finish_non_exhaustive()
    }
}
