//! `softflow import`: a hand's description, from a file of others.

use super::Ended;
use crate::cli::{Import, ImportArgs};
use bridge::storage::write_atomic;
use color_eyre::eyre::{Context, Result};
use serde_json::json;

/// Writes a description, and tells what it is not.
///
/// # Errors
/// When the file has no hand that can be described, or the description cannot be written.
pub fn import(args: &ImportArgs) -> Result<Ended> {
    let Import::Hand(args) = &args.what;
    let imported = sim::import::hand(&args.file, &args.options())?;
    match &args.out {
        Some(path) => {
            write_atomic(path, imported.text.as_bytes()).with_context(|| path.display().to_string())?;
        }
        None => print!("{}", imported.text),
    }
    let hand = &imported.hand;
    if args.json {
        let joints = hand.joints().zip(&imported.origins).map(|(joint, origin)| {
            json!({
                "name": joint.name, "joint": origin.joint, "link": origin.link,
                "lower_rad": joint.lower_rad, "upper_rad": joint.upper_rad,
            })
        });
        let fingers = hand.fingers.iter().map(|finger| json!({"name": finger.name, "joints": finger.joints.len()}));
        let (joints, fingers): (Vec<_>, Vec<_>) = (joints.collect(), fingers.collect());
        let report = json!({
            "hand": hand.name, "palm": imported.palm, "frame": imported.frame, "fingers": fingers, "joints": joints, "notes": imported.notes,
        });
        println!("{report}");
        return Ok(Ended::Well);
    }
    let fingers: Vec<String> =
        hand.fingers.iter().map(|finger| format!("{} ({})", finger.name, finger.joints.len())).collect();
    eprintln!("{}: palm {}, {} joints: {}", hand.name, imported.palm, hand.n_joints(), fingers.join(", "));
    for note in &imported.notes {
        eprintln!("  {note}");
    }
    Ok(Ended::Well)
}
