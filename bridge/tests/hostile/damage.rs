//! Damage to seeds: what a fuzzer does, for seconds and the same every time.

use bridge::random::{Rng, stream};
use rand::Rng as _;
use std::path::{Path, PathBuf};

const TOKENS: [&str; 12] = [
    "NaN",
    "-inf",
    "1e999",
    "1e300",
    "-1",
    "0",
    "18446744073709551616",
    "None",
    "Some(",
    "(((((((((",
    "\"\0\"",
    "seed: 1, seed: 2,",
];

/// The files of a folder of the repository, in the order of their names.
pub fn seeds(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.map(|file| file.path()).unwrap_or_default()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}: no seeds", folder.display());
    let read = |path: PathBuf| match std::fs::read(&path) {
        Ok(bytes) => (path, bytes),
        Err(error) => panic!("{}: {error}", path.display()),
    };
    paths.into_iter().map(read).collect()
}

/// Tries `property` on every seed in `folder` and on `n_tries` damaged ones.
pub fn try_damaged(folder: &str, n_tries: u64, mut property: impl FnMut(&[u8])) {
    let seeds = seeds(folder);
    for (_, seed) in &seeds {
        property(seed);
    }
    for index in 0..n_tries {
        let mut rng = stream(1, folder, index);
        let (_, seed) = &seeds[rng.random_range(0..seeds.len())];
        property(&damaged(seed, &mut rng));
    }
}

/// `bytes` with one to four things wrong.
pub fn damaged(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=damaged.len());
        let end = (at + rng.random_range(0..24)).min(damaged.len());
        match rng.random_range(0..7) {
            0 if at < damaged.len() => damaged[at] ^= 1 << rng.random_range(0..8),
            1 => drop(damaged.drain(at..end)),
            2 => {
                let copied = damaged[at..end].to_vec();
                damaged.splice(at..at, copied);
            }
            3 if rng.random_bool(0.3) => damaged.truncate(at),
            4 => drop(damaged.splice(at..end, TOKENS[rng.random_range(0..TOKENS.len())].bytes())),
            _ => change_number(&mut damaged, at, rng),
        }
    }
    damaged
}

/// Another number in the place of the first one from `at` on: a file that is still one.
fn change_number(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let is_part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|offset| at + offset) else { return };
    let end = bytes[start..].iter().position(|byte| !is_part(byte)).map_or(bytes.len(), |offset| start + offset);
    let has_point = bytes[start..end].contains(&b'.');
    let number = match (rng.random_range(0..4), has_point) {
        (0, true) => "0.0".to_owned(),
        (0, false) => "0".to_owned(),
        (1, true) => format!("{:e}", 10f64.powi(rng.random_range(-300..300))),
        (1, false) => (1u64 << rng.random_range(0..64)).to_string(),
        (_, true) => format!("{:?}", rng.random_range(0.0..100.0)),
        (_, false) => rng.random_range(0..300).to_string(),
    };
    bytes.splice(start..end, number.bytes());
}
