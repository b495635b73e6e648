//! The RON form of a hand that is another one but for what its file says: its mirror image, with motors of its own, stronger
//! or weaker ones, with gaits of its own, or with a wrist. Its scenes and robot are those of the other one, and the gaits that it has
//! no others for.

use crate::asset::{AssetError, HANDS, Library};
use crate::hand::Hand;
use crate::hand_file::{HandFile, WristFile};
use bridge::config::parse;
use bridge::number::Positive;
use bridge::real::motors::{MotorTable, Turns};
use serde::Deserialize;
use std::collections::BTreeMap;

/// See `assets/hands/orca_v2_left.ron`.
#[derive(Deserialize)]
#[serde(rename = "Variant", deny_unknown_fields)]
struct VariantFile {
    name: String,
    /// What the other hand is found by, which is no variant itself: a name, or beside a file the name of another without `.ron`.
    of: String,
    /// The mirror image; see [`Hand::mirrored`].
    is_mirrored: bool,
    /// In the other hand's table, like all that is mirrored. Its motor drives it; that of the other hand may hold it.
    #[serde(default)]
    wrist: Option<WristFile>,
    /// Highest torque of joints by their names, N m, above 0; the other hand's unless given.
    #[serde(default)]
    max_effort_nm: BTreeMap<String, Positive>,
    /// Gaits for it, each by the name of that of the scene in whose place it is.
    #[serde(default)]
    gaits: BTreeMap<String, String>,
    /// Id on the bus (0 to 252) and direction of every motor, by its joint; none for those of the other hand, or their mirror
    /// images.
    #[serde(default)]
    wiring: BTreeMap<String, (u8, Turns)>,
}

/// The hand in `text`, which came from `source_name`; one that it is a variant of is in `library`. [`Hand::load`] finds it by
/// `address`.
pub(crate) fn resolve(source_name: &str, text: &str, address: &str, library: &Library) -> Result<Hand, AssetError> {
    if !is_variant(text) {
        return parse::<HandFile>(source_name, text)?.resolve(source_name, address);
    }
    let inconsistent = |reason| AssetError::Inconsistent { source_name: source_name.to_owned(), reason };
    let mut variant: VariantFile = parse(source_name, text)?;
    let (other_source, other) = (library.source_name(&HANDS, &variant.of), library.text(&HANDS, &variant.of)?);
    if is_variant(&other) {
        let of = variant.of;
        return Err(inconsistent(format!("of: found {of}, a variant itself, expected a hand with a table of its own")));
    }
    let mut other = parse::<HandFile>(&other_source, &other)?;
    if let Some(wrist) = variant.wrist.take() {
        other.free_wrist(wrist).map_err(inconsistent)?;
    }
    variant.apply(other.resolve(&other_source, address)?).map_err(inconsistent)
}

/// Whether the first word of `text` that is no comment is `Variant`.
fn is_variant(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.next().is_some_and(|line| line.starts_with("Variant"))
}

impl HandFile {
    fn free_wrist(&mut self, wrist: WristFile) -> Result<(), String> {
        if self.wrist.replace(wrist).is_some() {
            return Err("wrist: found one, but the other hand has its own".into());
        }
        let motors = self.motors.iter_mut().flat_map(|table| &mut table.motors);
        motors.filter(|motor| motor.joint == WristFile::NAME).for_each(|motor| motor.held = None);
        Ok(())
    }
}

impl VariantFile {
    fn apply(self, other: Hand) -> Result<Hand, String> {
        let mut hand = if self.is_mirrored { other.mirrored() } else { other };
        for (name, effort_nm) in self.max_effort_nm {
            let joint = hand.joints_mut().find(|joint| joint.name == name).ok_or_else(|| {
                format!("max_effort_nm: found the joint {name}, expected one of {}, e.g. index_mcp", self.of)
            })?;
            joint.motor.max_effort_nm = effort_nm.get();
        }
        if !self.wiring.is_empty() {
            let motors = hand.motors.as_mut().ok_or("wiring: found some, but the other hand has no motors")?;
            rewire(motors, self.wiring)?;
            hand.check_motors().map_err(|error| format!("wiring: {error}"))?;
        }
        (hand.name, hand.family, hand.gaits) = (self.name, self.of, self.gaits);
        Ok(hand)
    }
}

fn rewire(table: &mut MotorTable, mut wiring: BTreeMap<String, (u8, Turns)>) -> Result<(), String> {
    for motor in &mut table.motors {
        let joint = &motor.joint;
        (motor.id, motor.turns) = wiring
            .remove(joint)
            .ok_or_else(|| format!("wiring: found none for {joint}, expected id and direction of every motor"))?;
    }
    match wiring.into_keys().next() {
        None => Ok(()),
        Some(joint) => Err(format!("wiring: found the joint {joint}, which no motor turns")),
    }
}
