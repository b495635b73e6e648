//! An hour of random recoverable faults on the emulated robot, in minutes:
//! `cargo run --release -p experiments --example soak -- [cube|scissors [SECONDS [SEED]]]`.

#[path = "../tests/soak/hour.rs"]
mod hour;

use color_eyre::eyre::Result;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let work = words.next().map_or(Ok(hour::Work::Cube), |word| word.parse())?;
    let length_s = words.next().map_or(Ok(3600.0), |word| word.parse())?;
    let seed = words.next().map_or(Ok(1), |word| word.parse())?;
    let folder = tempfile::tempdir()?;
    println!("{}", hour::soak(work, length_s, seed, folder.path())?);
    Ok(())
}
