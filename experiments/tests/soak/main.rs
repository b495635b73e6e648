//! Contract: with random recoverable faults the emulated hand goes on, is nowhere stuck, and every fault that matters is in the log by its
//! cause and in its time; memory and open files do not grow. Two minutes of it; `examples/soak.rs` has the hour.

mod hour;

#[test]
fn two_minutes_of_random_faults() -> color_eyre::Result<()> {
    let folder = tempfile::tempdir()?;
    println!("{}", hour::soak(120.0, 1, folder.path())?);
    Ok(())
}
