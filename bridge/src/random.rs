//! Every random number of the project comes from here.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

/// The generator behind every stream: counter based, portable, its state small enough to write into a checkpoint.
pub type Rng = ChaCha12Rng;

/// The stream for one `purpose`: streams of different purposes or indices never overlap, whatever is drawn from them.
///
/// `index` tells apart things of one kind (worlds, episodes, shards).
#[must_use]
pub fn stream(seed: u64, purpose: &str, index: u64) -> Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&fnv1a(purpose).to_le_bytes());
    let mut rng = Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// FNV-1a, 64 bits: stable across platforms and versions, which `std`'s hasher does not promise.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    /// Contract: a stream depends on all of seed, purpose and index, and on nothing else.
    #[test]
    fn streams_are_named() {
        let first = |seed, purpose, index| stream(seed, purpose, index).next_u64();
        assert_eq!(first(1, "noise", 0), first(1, "noise", 0));
        let others = [first(2, "noise", 0), first(1, "reset", 0), first(1, "noise", 1)];
        assert!(others.iter().all(|&other| other != first(1, "noise", 0)), "{others:?}");
    }
}
