//! `softflow export`: what is simulated here, for other simulators.

use super::Ended;
use crate::cli::{Export, ExportArgs, HandFormat};
use bridge::storage::write_atomic;
use color_eyre::eyre::{Context, Result};
use sim::export::{mjcf, urdf};
use sim::{FingerContacts, Hand};

/// Writes a file.
///
/// # Errors
/// When there is no such hand, or the file cannot be written.
pub fn export(args: &ExportArgs) -> Result<Ended> {
    let Export::Hand { hand, format, out } = &args.what;
    let hand = Hand::load(hand)?;
    let text = match format {
        // As in every scene.
        HandFormat::Mjcf => mjcf(&hand, FingerContacts::Distal),
        HandFormat::Urdf => urdf(&hand),
    };
    match out {
        Some(path) => write_atomic(path, text.as_bytes()).with_context(|| path.display().to_string())?,
        None => print!("{text}"),
    }
    Ok(Ended::Well)
}
