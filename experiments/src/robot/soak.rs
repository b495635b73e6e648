//! Random faults that a robot recovers from by itself, one every few seconds.

use bridge::number::NumberError;
use bridge::random::{Rng, stream};
use bridge::real::emulator::{Fault, FaultScript, Servos, TimedFault};
use rand::Rng as _;

/// Time between two faults, s.
const BETWEEN_S: std::ops::Range<f64> = 4.0..12.0;
/// How long a servo that was heated stays hot, s.
const HOT_S: f64 = 1.0;

/// Faults for `length_s` of the emulated hand's time, drawn from `seed`.
///
/// # Errors
/// Never: every number is in its range.
pub fn soak(seed: u64, length_s: f64) -> Result<FaultScript, NumberError> {
    let mut rng = stream(seed, "soak", 0);
    let mut faults = Vec::new();
    let mut at_s = rng.random_range(BETWEEN_S);
    while at_s < length_s {
        let fault = draw(&mut rng)?;
        let is_heat = matches!(fault, Fault::Temperature { .. });
        faults.push(TimedFault { at_s: at_s.try_into()?, fault });
        if is_heat {
            let fault = Fault::Temperature { servos: Servos::All, celsius: 40.0.try_into()? };
            faults.push(TimedFault { at_s: (at_s + HOT_S).try_into()?, fault });
        }
        at_s += rng.random_range(BETWEEN_S);
    }
    Ok(FaultScript { seed, faults })
}

fn draw(rng: &mut Rng) -> Result<Fault, NumberError> {
    let servos = Servos::Ids(vec![rng.random_range(1..=17)]);
    let (share, for_s) = (rng.random_range(0.05..0.5).try_into()?, rng.random_range(0.02..0.4).try_into()?);
    Ok(match rng.random_range(0..8) {
        0 => Fault::Drop { servos: Servos::All, share, for_s },
        1 => Fault::Corrupt { servos: Servos::All, share, for_s },
        2 => Fault::Delay { servos, by_s: rng.random_range(0.001..0.02).try_into()?, for_s },
        3 => Fault::Silent { servos, for_s },
        4 => Fault::Noise { n_bytes: rng.random_range(1..200) },
        5 => Fault::Overload { servos },
        6 => Fault::TrackerSilent { for_s },
        _ => Fault::Temperature { servos, celsius: rng.random_range(50.0..69.0).try_into()? },
    })
}
