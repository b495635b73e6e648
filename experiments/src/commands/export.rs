//! `softflow export`: what is simulated here, for other simulators.

use super::Ended;
use crate::cli::{Export, ExportArgs, HandFormat};
use bridge::storage::write_atomic;
use color_eyre::eyre::{Context, Result};
use sim::export::{mjcf, urdf};
use sim::{CubeScene, FingerContacts, Hand};

/// Writes a file.
///
/// # Errors
/// When there is no such hand, or the file cannot be written.
pub fn export(args: &ExportArgs) -> Result<Ended> {
    let Export::Hand { hand: name, format, out } = &args.what;
    let hand = Hand::load(name)?;
    let text = match format {
        HandFormat::Mjcf => mjcf(&hand, contacts_of(name)),
        HandFormat::Urdf => urdf(&hand),
    };
    match out {
        Some(path) => write_atomic(path, text.as_bytes()).with_context(|| path.display().to_string())?,
        None => print!("{text}"),
    }
    Ok(Ended::Well)
}

/// Which parts of a hand's fingers touch each other where it holds the cube; of a hand without such a scene, what most have.
fn contacts_of(hand: &str) -> FingerContacts {
    CubeScene::load(hand).map_or(FingerContacts::Distal, |scene| scene.start().finger_contacts)
}
