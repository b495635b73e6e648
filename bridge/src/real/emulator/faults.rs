//! Faults by script: what goes wrong, with whom, when and for how long.

use crate::number::{Finite, NonNegative, NumberError, UnitInterval};
use crate::random::{Rng, stream};
use rand::{Rng as _, RngCore};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;

/// What goes wrong in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultScript {
    /// Seed of whatever is left to chance.
    pub seed: u64,
    /// The faults, in any order.
    pub faults: Vec<TimedFault>,
}

/// Time between two faults of a soak, s.
const BETWEEN_S: Range<f64> = 4.0..12.0;
/// How long a servo that was heated stays hot, and how cool all are then.
const HOT_S: f64 = 1.0;
const COOL_C: f64 = 40.0;

impl FaultScript {
    /// Random faults that a robot recovers from by itself, one every few seconds of `length_s`, with servos 1 to `n_servos`
    /// and, where an arm carries them, its controller.
    ///
    /// # Errors
    /// Never: every number is in its range.
    pub fn soak(seed: u64, length_s: f64, n_servos: u8, has_arm: bool) -> Result<Self, NumberError> {
        let mut rng = stream(seed, "soak", 0);
        let mut faults = Vec::new();
        let mut at_s = rng.random_range(BETWEEN_S);
        while at_s < length_s {
            let fault = recoverable(&mut rng, n_servos.max(1), has_arm)?;
            let is_heat = matches!(fault, Fault::Temperature { .. });
            faults.push(TimedFault { at_s: at_s.try_into()?, fault });
            if is_heat {
                let fault = Fault::Temperature { servos: Servos::All, celsius: COOL_C.try_into()? };
                faults.push(TimedFault { at_s: (at_s + HOT_S).try_into()?, fault });
            }
            at_s += rng.random_range(BETWEEN_S);
        }
        Ok(Self { seed, faults })
    }
}

fn recoverable(rng: &mut Rng, n_servos: u8, has_arm: bool) -> Result<Fault, NumberError> {
    let servos = Servos::Ids(vec![rng.random_range(1..=n_servos)]);
    let (share, for_s) = (rng.random_range(0.05..0.5).try_into()?, rng.random_range(0.02..0.4).try_into()?);
    Ok(match rng.random_range(0..if has_arm { 12 } else { 10 }) {
        0 => Fault::Drop { servos: Servos::All, share, for_s },
        1 => Fault::Corrupt { servos: Servos::All, share, for_s },
        2 => Fault::Delay { servos, by_s: rng.random_range(0.001..0.02).try_into()?, for_s },
        3 => Fault::Silent { servos, for_s },
        4 => Fault::Noise { n_bytes: rng.random_range(1..200) },
        5 => Fault::Overload { servos },
        6 => Fault::TrackerSilent { for_s },
        7 => Fault::LearnerSilent { for_s },
        8 => Fault::Temperature { servos, celsius: rng.random_range(50.0..69.0).try_into()? },
        9 => Fault::Deaf { servos: Servos::All, share, for_s },
        10 => Fault::ArmSilent { for_s },
        _ => Fault::ArmDeaf { for_s },
    })
}

/// A fault and its beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedFault {
    /// When it begins, s from the start of the emulation.
    pub at_s: NonNegative,
    /// What it is.
    pub fault: Fault,
}

/// Something that goes wrong on the wire or in a servo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Fault {
    /// A share of the answers is lost.
    Drop {
        /// Whose.
        servos: Servos,
        /// Chance of each, 0..1.
        share: UnitInterval,
        /// For how long, s.
        for_s: NonNegative,
    },
    /// A share of the answers has a bit turned.
    Corrupt {
        /// Whose.
        servos: Servos,
        /// Chance of each, 0..1.
        share: UnitInterval,
        /// For how long, s.
        for_s: NonNegative,
    },
    /// Answers come late.
    Delay {
        /// Whose.
        servos: Servos,
        /// By how much, s.
        by_s: NonNegative,
        /// For how long, s.
        for_s: NonNegative,
    },
    /// Servos neither hear nor answer; those with torque keep it.
    Silent {
        /// Whom.
        servos: Servos,
        /// For how long, s.
        for_s: NonNegative,
    },
    /// A share of the instructions is not heard: nothing comes of them, and no answer.
    Deaf {
        /// By whom.
        servos: Servos,
        /// Chance of each, 0..1.
        share: UnitInterval,
        /// For how long, s.
        for_s: NonNegative,
    },
    /// Random bytes on the line, once.
    Noise {
        /// How many.
        n_bytes: u32,
    },
    /// The adapter hands what the host sends back to it, before any answer.
    Echo {
        /// For how long, s.
        for_s: NonNegative,
    },
    /// Servos find their load too high.
    Overload {
        /// Whom.
        servos: Servos,
    },
    /// Servos are this warm from now on.
    Temperature {
        /// Whom.
        servos: Servos,
        /// Temperature, °C.
        celsius: Finite,
    },
    /// The supply is off its nominal voltage; below 4.5 V servos lose power and start anew when it is back.
    Voltage {
        /// Whom.
        servos: Servos,
        /// Voltage, V.
        volts: NonNegative,
        /// For how long, s.
        for_s: NonNegative,
    },
    /// The tracker of the objects says nothing: a camera that is covered.
    TrackerSilent {
        /// For how long, s.
        for_s: NonNegative,
    },
    /// The tracker says again and again, with new stamps, what it saw last: a picture that stands still.
    TrackerFrozen {
        /// For how long, s.
        for_s: NonNegative,
    },
    /// The learner gives no sign of life: a process that died, or hangs.
    LearnerSilent {
        /// For how long, s.
        for_s: NonNegative,
    },
    /// The controller of the arm neither hears nor tells: a cable to it is pulled.
    ArmSilent {
        /// For how long, s.
        for_s: NonNegative,
    },
    /// The controller of the arm tells its state and hears no setpoint: a port that is blocked one way.
    ArmDeaf {
        /// For how long, s.
        for_s: NonNegative,
    },
    /// The controller of the arm stops the arm and reports a fault.
    ArmFailed {
        /// For how long, s.
        for_s: NonNegative,
    },
    /// The cable to the host is pulled. What was opened before stays lost, and behind a pseudo-terminal everything does.
    Unplug,
    /// The cable is there again: the bus can be opened anew.
    Replug,
}

/// Which servos a fault concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Servos {
    /// All of them.
    All,
    /// Those with these ids.
    Ids(Vec<u8>),
}

impl Servos {
    pub(super) fn contain(&self, id: u8) -> bool {
        match self {
            Self::All => true,
            Self::Ids(ids) => ids.contains(&id),
        }
    }
}

/// The script, as far as it has come.
pub(super) struct ActiveFaults {
    waiting: Vec<(Duration, Fault)>,
    lasting: Vec<(Duration, Fault)>,
}

impl ActiveFaults {
    pub(super) fn new(script: &FaultScript) -> Self {
        let mut faults = Self { waiting: Vec::new(), lasting: Vec::new() };
        script.faults.iter().cloned().for_each(|fault| faults.add(fault));
        faults
    }

    pub(super) fn add(&mut self, TimedFault { at_s, fault }: TimedFault) {
        self.waiting.push((seconds(at_s), fault));
    }

    pub(super) fn next_change(&self) -> Option<Duration> {
        self.waiting.iter().chain(&self.lasting).map(|&(time, _)| time).min()
    }

    /// Ends what is over and begins what is due; what began.
    pub(super) fn begin_due(&mut self, now: Duration) -> Vec<Fault> {
        self.lasting.retain(|&(end, _)| end > now);
        let due: Vec<(Duration, Fault)> = self.waiting.extract_if(.., |&mut (start, _)| start <= now).collect();
        for (start, fault) in &due {
            if let Some(for_s) = fault.lasts_s() {
                self.lasting.push((*start + seconds(for_s), fault.clone()));
            }
        }
        due.into_iter().map(|(_, fault)| fault).collect()
    }

    pub(super) fn is_tracker_silent(&self) -> bool {
        self.lasting().any(|fault| matches!(fault, Fault::TrackerSilent { .. }))
    }

    pub(super) fn is_tracker_frozen(&self) -> bool {
        self.lasting().any(|fault| matches!(fault, Fault::TrackerFrozen { .. }))
    }

    pub(super) fn is_echoing(&self) -> bool {
        self.lasting().any(|fault| matches!(fault, Fault::Echo { .. }))
    }

    pub(super) fn is_learner_silent(&self) -> bool {
        self.lasting().any(|fault| matches!(fault, Fault::LearnerSilent { .. }))
    }

    pub(super) fn is_arm_silent(&self) -> bool {
        self.lasting().any(|fault| matches!(fault, Fault::ArmSilent { .. }))
    }

    pub(super) fn is_arm_deaf(&self) -> bool {
        self.lasting().any(|fault| matches!(fault, Fault::ArmDeaf { .. }))
    }

    pub(super) fn has_arm_failed(&self) -> bool {
        self.lasting().any(|fault| matches!(fault, Fault::ArmFailed { .. }))
    }

    /// Whether an instruction is not heard by `id`.
    pub(super) fn is_missed(&self, id: u8, rng: &mut Rng) -> bool {
        self.lasting().any(|fault| match fault {
            Fault::Silent { servos, .. } => servos.contain(id),
            Fault::Deaf { servos, share, .. } if servos.contain(id) => rng.random_bool(share.get()),
            _ => false,
        })
    }

    pub(super) fn is_dropped(&self, id: u8, rng: &mut Rng) -> bool {
        self.lasting().any(|fault| match fault {
            Fault::Drop { servos, share, .. } if servos.contain(id) => rng.random_bool(share.get()),
            _ => false,
        })
    }

    /// Turns a bit of the answer of `id` behind its first `n_kept` bytes.
    pub(super) fn corrupt(&self, id: u8, bytes: &mut [u8], n_kept: usize, rng: &mut Rng) {
        for fault in self.lasting() {
            if let Fault::Corrupt { servos, share, .. } = fault
                && servos.contain(id)
                && bytes.len() > n_kept
                && rng.random_bool(share.get())
            {
                let bit = rng.random_range(n_kept * 8..bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    pub(super) fn delay(&self, id: u8) -> Duration {
        let delays = self.lasting().filter_map(|fault| match fault {
            Fault::Delay { servos, by_s, .. } if servos.contain(id) => Some(seconds(*by_s)),
            _ => None,
        });
        delays.max().unwrap_or_default()
    }

    /// The supply of a servo where it is not nominal, V.
    pub(super) fn voltage_v(&self, id: u8) -> Option<f64> {
        self.lasting().find_map(|fault| match fault {
            Fault::Voltage { servos, volts, .. } if servos.contain(id) => Some(volts.get()),
            _ => None,
        })
    }

    fn lasting(&self) -> impl Iterator<Item = &Fault> {
        self.lasting.iter().map(|(_, fault)| fault)
    }
}

impl Fault {
    const fn lasts_s(&self) -> Option<NonNegative> {
        match self {
            Self::Drop { for_s, .. }
            | Self::Corrupt { for_s, .. }
            | Self::Delay { for_s, .. }
            | Self::Silent { for_s, .. }
            | Self::Echo { for_s }
            | Self::TrackerSilent { for_s }
            | Self::TrackerFrozen { for_s }
            | Self::LearnerSilent { for_s }
            | Self::Deaf { for_s, .. }
            | Self::ArmSilent { for_s }
            | Self::ArmDeaf { for_s }
            | Self::ArmFailed { for_s }
            | Self::Voltage { for_s, .. } => Some(*for_s),
            Self::Noise { .. } | Self::Overload { .. } | Self::Temperature { .. } => None,
            Self::Unplug | Self::Replug => None,
        }
    }
}

pub(super) fn noise(rng: &mut Rng, n_bytes: u32) -> Vec<u8> {
    let mut bytes = vec![0; n_bytes.min(4096) as usize];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Longer than a century is as good as for ever.
fn seconds(seconds: NonNegative) -> Duration {
    Duration::from_secs_f64(seconds.get().min(3e9))
}
