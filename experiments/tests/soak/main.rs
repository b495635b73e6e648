//! Contract: with random recoverable faults the emulated robot goes on, is nowhere stuck, and every fault that matters is in the log by
//! its cause and in its time; memory and open files do not grow. Minutes of it; `examples/soak.rs` has the hour.

mod hour;

use color_eyre::Result;

#[test]
fn two_minutes_of_random_faults_on_a_hand() -> Result<()> {
    let folder = tempfile::tempdir()?;
    println!("{}", hour::soak(hour::Work::Cube, 120.0, 1, folder.path())?);
    Ok(())
}

#[test]
fn five_minutes_of_random_faults_on_a_hand_that_an_arm_carries() -> Result<()> {
    let folder = tempfile::tempdir()?;
    println!("{}", hour::soak(hour::Work::Scissors, 300.0, 1, folder.path())?);
    Ok(())
}
