//! From chains to the table of a hand description: in the frame of the palm's link, with all joints at zero.
//!
//! The tip of a finger is a ball within what reaches farthest of its last link: a ball itself, the end of a capsule, the end of a box.

use super::drives::{Assumptions, drive};
use super::error::ImportError;
use super::names;
use super::tree::{Joint, Placement, Tree, USUAL_DENSITY};
use super::{Imported, JointOrigin, Options};
use crate::hand::Hand;
use crate::hand_file::{
    Angle, DriveFile, FingerFile, FormFile, FrameFile, HandFile, JointFile, LinkFile, MotorFile, SignedAxis, SolidFile,
    TipFile, WristFile,
};
use crate::inertia::Inertia;
use crate::solid::Solid;
use bridge::number::{Finite, NonNegative, NumberError, Positive};
use rapier3d::glamx::{DMat3, DQuat, DVec3, Mat3, MatExt};
use std::path::Path;

/// Lighter links are without mass, kg: they get what their shapes weigh, or that of a small ball.
const LEAST_MASS_KG: f64 = 1e-5;
const SMALL_BALL: (f64, f64) = (1e-3, 5e-3);
/// A centre of mass that is this far outside of its link is told, m.
const FAR_M: f64 = 0.05;
/// A moment that is smaller than this share of the largest is none.
const LEAST_MOMENT: f32 = 1e-4;

/// A finger: its joints with anchors (m) and axes in the table, and what is behind each.
pub(crate) struct Chain {
    pub(crate) joints: Vec<(Joint, DVec3, DVec3)>,
    pub(crate) parts: Vec<Part>,
    /// Links that the joints move.
    pub(crate) links: Vec<String>,
}

/// What turns the palm, about an axis through the origin of the table.
pub(crate) struct Wrist {
    pub(crate) joint: Joint,
    pub(crate) axis: DVec3,
}

/// Links that are fixed to each other, in the table.
#[derive(Default)]
pub(crate) struct Part {
    shapes: Vec<Solid>,
    inertia: Option<Inertia>,
    notes: Vec<String>,
}

impl Part {
    /// Of links that are where `pose` says.
    pub(crate) fn gather(
        tree: &Tree,
        links: impl Iterator<Item = usize>,
        pose: impl Fn(usize) -> Placement,
    ) -> Result<Self, ImportError> {
        let mut part = Self::default();
        for index in links {
            let (link, pose) = (&tree.links[index], pose(index));
            if let Some(error) = &link.missing {
                return Err(ImportError::invalid(&link.place, error.to_string()));
            }
            part.shapes.extend(link.shapes.iter().map(|shape| shape.placed(pose.offset_m, pose.turn)));
            let own = link.inertia.as_ref().map(|inertia| inertia.placed(pose.offset_m, pose.turn));
            part.inertia = match (part.inertia.take(), own.filter(|own| own.mass_kg > 0.0)) {
                (Some(before), Some(own)) => Some(before.joined(&own)),
                (before, own) => before.or(own),
            };
            part.notes.extend(link.notes.iter().cloned());
        }
        Ok(part)
    }

    /// Its mass and moments, made up where the file has none that can be.
    fn weight(&self, name: &str, anchor_m: DVec3, notes: &mut Vec<String>) -> Inertia {
        let of_shapes = self.shapes.iter().map(|shape| Inertia::uniform(shape, shape.volume_m3() * USUAL_DENSITY));
        let of_shapes = of_shapes.reduce(|sum, shape| sum.joined(&shape)).filter(|it| it.mass_kg > LEAST_MASS_KG);
        let small = || Inertia::uniform(&Solid::Ball { center_m: anchor_m, radius_m: SMALL_BALL.1 }, SMALL_BALL.0);
        let made_up = of_shapes.unwrap_or_else(small);
        let Some(own) = self.inertia.filter(|own| own.mass_kg > LEAST_MASS_KG) else {
            let mass_g = 1e3 * made_up.mass_kg;
            notes
                .push(format!("{name}: found no mass: {mass_g:.1} g, of its shapes at 1000 kg/m^3 or of a small ball"));
            return made_up;
        };
        let far_m = self.shapes.iter().map(|shape| shape.distance_m(own.center_m)).reduce(f64::min).unwrap_or(0.0);
        if far_m > FAR_M {
            notes.push(format!("{name}: found a centre of mass {far_m:.2} m outside of its shapes: taken as it is"));
        }
        if is_positive(own.moments_kg_m2) {
            return own;
        }
        notes.push(format!("{name}: found moments of inertia that no body has: those of its shapes"));
        let scale = own.mass_kg / made_up.mass_kg;
        Inertia { moments_kg_m2: made_up.moments_kg_m2 * scale, ..own }
    }
}

fn is_positive(moments: DMat3) -> bool {
    let largest = moments.to_cols_array().into_iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if largest <= 0.0 || !largest.is_finite() {
        return false;
    }
    let scaled = (moments * (1.0 / largest)).to_cols_array().map(|x| x as f32);
    let values = Mat3::from_cols_array(&scaled).symmetric_eigen().eigenvalues;
    values.min_element() > LEAST_MOMENT * values.max_element()
}

/// Writes the description, and reads it again.
pub(crate) fn write(
    tree: &mut Tree,
    palm: &Part,
    wrist: Option<Wrist>,
    chains: Vec<Chain>,
    palm_name: String,
    source_name: &str,
    options: &Options,
) -> Result<Imported, ImportError> {
    let invalid = |error: NumberError| ImportError::invalid(source_name, error.to_string());
    let mut notes = std::mem::take(&mut tree.notes);
    notes.extend(palm.notes.iter().cloned());
    if palm.shapes.is_empty() {
        notes.push(format!("palm {palm_name}: found no shape that collides: objects pass through it"));
    }
    let joint_names = |chain: &Chain| chain.joints.iter().map(|(joint, ..)| joint.name.clone()).collect();
    let names = names::of(&chains.iter().map(joint_names).collect::<Vec<Vec<String>>>());
    let mut tips = Vec::with_capacity(chains.len());
    for chain in &chains {
        tips.push(tip(chain)?);
    }
    let frame = match &options.frame {
        Some(text) => parse_frame(text).ok_or_else(|| {
            ImportError::invalid(source_name, format!("frame: found `{text}`, expected three axes, e.g. +z,-x,-y"))
        })?,
        None => {
            let frame = guess_frame(&chains, &tips);
            notes.push(format!("frame: guessed that x, y, z of the hand are {} of {palm_name}", frame_words(frame)));
            frame
        }
    };

    let mut drives = Vec::new();
    let mut assumptions = Assumptions::default();
    let wrist_drive = wrist.as_ref().map(|wrist| drive(&wrist.joint, &options.assumed, &mut assumptions));
    let wrist_drive = wrist_drive.transpose().map_err(invalid)?;
    for (joint, ..) in chains.iter().flat_map(|chain| &chain.joints) {
        drives.push(drive(joint, &options.assumed, &mut assumptions).map_err(invalid)?);
    }
    notes.extend(assumptions.words(&options.assumed));
    let count = |drive: &DriveFile| drives.iter().filter(|&other| other == drive).count();
    let first = drives.first().copied().ok_or_else(|| ImportError::invalid(source_name, "found no joint"))?;
    // The first of those that are most common.
    let usual = drives.iter().copied().fold(first, |usual, own| if count(&own) > count(&usual) { own } else { usual });

    let mut origins = Vec::new();
    let wrist = match wrist.zip(wrist_drive) {
        Some((Wrist { joint, axis }, drive)) => {
            origins.push(JointOrigin { joint: joint.name.clone(), link: palm_name.clone() });
            let mass_kg = palm.weight(&palm_name, DVec3::ZERO, &mut notes).mass_kg;
            Some(wrist_file(&joint, axis, drive, mass_kg).map_err(invalid)?)
        }
        None => None,
    };
    let mut remaining = drives.iter().copied();
    let mut fingers = Vec::new();
    for ((chain, names), tip) in chains.iter().zip(names).zip(&tips) {
        let own: Vec<DriveFile> = remaining.by_ref().take(chain.joints.len()).collect();
        notes.extend(chain.parts.iter().flat_map(|part| part.notes.iter().cloned()));
        fingers.push(finger(chain, names, tip, &own, usual, &mut notes).map_err(invalid)?);
        let origin = |((joint, ..), link): (&(Joint, DVec3, DVec3), &String)| JointOrigin {
            joint: joint.name.clone(),
            link: link.clone(),
        };
        origins.extend(chain.joints.iter().zip(&chain.links).map(origin));
    }
    let file = HandFile {
        name: options.name.clone().unwrap_or_else(|| tree.name.clone()),
        frame,
        motor: MotorFile {
            stiffness_nm_rad: usual.stiffness_nm_rad,
            damping_nm_s_rad: usual.damping_nm_s_rad,
            max_effort_nm: usual.max_effort_nm,
            max_rate_rad_s: usual.max_rate_rad_s,
        },
        armature_kg_m2: usual.armature_kg_m2,
        joint_damping_nm_s_rad: usual.joint_damping_nm_s_rad,
        palm: palm.shapes.iter().map(solid).collect::<Result<_, _>>().map_err(invalid)?,
        wrist,
        fingers,
        motors: None,
    };
    let text = text(&file, source_name, &notes)?;
    let hand = Hand::parse(source_name, &text)?;
    Ok(Imported { text, hand, palm: palm_name, frame: frame_words(frame), origins, notes })
}

fn text(file: &HandFile, source_name: &str, notes: &[String]) -> Result<String, ImportError> {
    let pretty = ron::ser::PrettyConfig::new().depth_limit(9).compact_arrays(true);
    let body = ron::ser::to_string_pretty(file, pretty)
        .map_err(|error| ImportError::invalid(source_name, format!("cannot be written: {error}")))?;
    let mut text = String::new();
    let file_name = Path::new(source_name).file_name().and_then(|name| name.to_str()).unwrap_or(source_name);
    for line in std::iter::once(format!("Imported from {file_name}.")).chain(notes.iter().cloned()) {
        // A name that has a line break ends no comment.
        text.push_str(&format!("// {}\n", line.replace(|letter: char| letter.is_control(), " ")));
    }
    Ok(text + &body + "\n")
}

/// The palm's mass is known, where it is in it is not kept: a description spreads it evenly.
fn wrist_file(joint: &Joint, axis: DVec3, drive: DriveFile, palm_mass_kg: f64) -> Result<WristFile, NumberError> {
    let [lower, upper] = joint.range_rad.unwrap_or_default();
    Ok(WristFile {
        axis: vector(axis)?,
        lower: Angle::Rad(Finite::try_from(lower)?),
        upper: Angle::Rad(Finite::try_from(upper)?),
        neutral: Angle::Rad(Finite::try_from(joint.nearest_rad(0.0))?),
        drive,
        palm_mass_kg: positive(palm_mass_kg)?,
    })
}

fn finger(
    chain: &Chain,
    names: names::FingerNames,
    tip: &Tip,
    drives: &[DriveFile],
    usual: DriveFile,
    notes: &mut Vec<String>,
) -> Result<FingerFile, NumberError> {
    let mut joints = Vec::with_capacity(chain.joints.len());
    let n_joints = chain.joints.len();
    let mut ik_seed_rad = Vec::with_capacity(n_joints);
    for (index, (((joint, anchor_m, axis), part), name)) in
        chain.joints.iter().zip(&chain.parts).zip(&names.joints).enumerate()
    {
        let [lower, upper] = joint.range_rad.unwrap_or_default();
        ik_seed_rad.push(rounded(0.5 * (lower + upper))?);
        let inertia = part.weight(&chain.links[index], *anchor_m, notes);
        let is_tip = |at: usize| index + 1 == n_joints && tip.taken == Some(at);
        let shapes = part.shapes.iter().enumerate().filter(|&(at, _)| !is_tip(at)).map(|(_, shape)| solid(shape));
        let own = drives.get(index).copied().filter(|own| *own != usual);
        joints.push(JointFile {
            name: name.clone(),
            anchor_m: vector(*anchor_m)?,
            axis: vector(*axis)?,
            lower: Angle::Rad(Finite::try_from(lower)?),
            upper: Angle::Rad(Finite::try_from(upper)?),
            neutral: Angle::Rad(Finite::try_from(joint.nearest_rad(0.0))?),
            drive: own,
            link: LinkFile {
                radius_m: positive(part.shapes.iter().map(thickness_m).fold(THIN_M, f64::max))?,
                mass_kg: positive(inertia.mass_kg)?,
                collides: !part.shapes.is_empty(),
                form: Some(FormFile {
                    center_of_mass_m: vector(inertia.center_m)?,
                    inertia_kg_m2: seven_digits(inertia.moments_kg_m2())?,
                    shapes: shapes.collect::<Result<_, _>>()?,
                }),
            },
        });
    }
    Ok(FingerFile {
        name: names.finger,
        ik_seed_rad,
        distal_direction: Some(vector(tip.direction)?),
        distal_length_m: positive(tip.along_m)?,
        tip: TipFile {
            along_bone_m: positive(tip.along_m)?,
            palmar_m: Finite::try_from(0.0)?,
            radius_m: positive(tip.radius_m)?,
            mass_kg: NonNegative::try_from(0.0)?,
        },
        joints,
    })
}

/// Radius of a bone without shapes, m.
const THIN_M: f64 = 1e-3;

fn thickness_m(shape: &Solid) -> f64 {
    match *shape {
        Solid::Box { half_extents_m, .. } => half_extents_m.min_element(),
        Solid::Capsule { radius_m, .. } | Solid::Ball { radius_m, .. } => radius_m,
    }
}

/// The end of a finger.
struct Tip {
    center_m: DVec3,
    radius_m: f64,
    /// From the last joint to the centre.
    direction: DVec3,
    along_m: f64,
    /// The shape of the last part that it is, if it is one.
    taken: Option<usize>,
}

fn tip(chain: &Chain) -> Result<Tip, ImportError> {
    let none = || {
        let place = chain.joints.last().map(|(joint, ..)| joint.place.clone()).unwrap_or_default();
        let reason = "found no shape that collides behind the last joint of a finger, expected one: where is its tip?";
        ImportError::invalid(place, reason)
    };
    let (Some(part), Some(&(_, anchor_m, axis))) = (chain.parts.last(), chain.joints.last()) else {
        return Err(none());
    };
    let middle_m = part.shapes.iter().map(Solid::center_m).sum::<DVec3>() / part.shapes.len().max(1) as f64;
    let out = (middle_m - anchor_m).try_normalize().unwrap_or_else(|| axis.any_orthonormal_vector());
    let reach = |(_, shape): &(usize, &Solid)| shape.reach_m(out);
    let farthest = part.shapes.iter().enumerate().max_by(|a, b| reach(a).total_cmp(&reach(b)));
    let (index, shape) = farthest.ok_or_else(none)?;
    let (center_m, radius_m) = match *shape {
        Solid::Ball { center_m, radius_m } => (center_m, radius_m),
        Solid::Capsule { from_m, to_m, radius_m } => {
            (if (to_m - from_m).dot(out) > 0.0 { to_m } else { from_m }, radius_m)
        }
        Solid::Box { center_m, half_extents_m, turn } => {
            let axes = [DVec3::X, DVec3::Y, DVec3::Z].map(|axis| turn * axis);
            let along = |axis: usize| axes[axis].dot(out).abs();
            let end = (0..3).max_by(|&a, &b| along(a).total_cmp(&along(b))).unwrap_or(0);
            let radius_m = half_extents_m.min_element();
            let inwards_m = half_extents_m.to_array()[end] - radius_m;
            (center_m + axes[end] * (axes[end].dot(out).signum() * inwards_m), radius_m)
        }
    };
    let arm = center_m - anchor_m;
    let along_m = arm.length().max(1e-6);
    let taken = matches!(shape, Solid::Ball { .. }).then_some(index);
    Ok(Tip { center_m, radius_m, direction: arm.try_normalize().unwrap_or(out), along_m, taken })
}

/// x to where the fingers point, z against where their tips go when the joints turn to the farther end of their ranges.
fn guess_frame(chains: &[Chain], tips: &[Tip]) -> FrameFile {
    let (mut along, mut palmar) = (DVec3::ZERO, DVec3::ZERO);
    for (chain, tip) in chains.iter().zip(tips) {
        let first_m = chain.joints.first().map_or(DVec3::ZERO, |&(_, anchor_m, _)| anchor_m);
        along += (tip.center_m - first_m).normalize_or_zero();
        let flexed_m = chain.joints.iter().rev().fold(tip.center_m, |point_m, (joint, anchor_m, axis)| {
            let [lower, upper] = joint.range_rad.unwrap_or_default();
            let half_rad = 0.5 * if upper.abs() >= lower.abs() { upper } else { lower };
            *anchor_m + DQuat::from_axis_angle(*axis, half_rad) * (point_m - *anchor_m)
        });
        palmar += (flexed_m - tip.center_m).normalize_or_zero();
    }
    let x = nearest_axis(along, None);
    let z = nearest_axis(-palmar, Some(x));
    let [x_axis, z_axis] = [x, z].map(SignedAxis::vector);
    FrameFile { x, y: nearest_axis(z_axis.cross(x_axis), None), z }
}

/// The axis nearest to a direction, but for that of `but`.
fn nearest_axis(direction: DVec3, but: Option<SignedAxis>) -> SignedAxis {
    let is_free = |axis: &SignedAxis| but.is_none_or(|but| axis.vector().dot(but.vector()) == 0.0);
    let along = |axis: &SignedAxis| axis.vector().dot(direction);
    let nearest = SIGNED_AXES.into_iter().map(|(_, axis)| axis).filter(is_free);
    nearest.max_by(|a, b| along(a).total_cmp(&along(b))).unwrap_or(SignedAxis::PlusX)
}

const SIGNED_AXES: [(&str, SignedAxis); 6] = [
    ("+x", SignedAxis::PlusX),
    ("+y", SignedAxis::PlusY),
    ("+z", SignedAxis::PlusZ),
    ("-x", SignedAxis::MinusX),
    ("-y", SignedAxis::MinusY),
    ("-z", SignedAxis::MinusZ),
];

fn parse_frame(text: &str) -> Option<FrameFile> {
    let axis = |word: &str| SIGNED_AXES.iter().find(|(name, _)| *name == word.trim()).map(|&(_, axis)| axis);
    let axes: Vec<SignedAxis> = text.split(',').map(axis).collect::<Option<_>>()?;
    let &[x, y, z] = axes.as_slice() else { return None };
    Some(FrameFile { x, y, z })
}

fn frame_words(frame: FrameFile) -> String {
    let name = |axis: SignedAxis| SIGNED_AXES.iter().find(|(_, own)| *own == axis).map_or("", |(name, _)| name);
    [frame.x, frame.y, frame.z].map(name).join(",")
}

fn solid(shape: &Solid) -> Result<SolidFile, NumberError> {
    Ok(match *shape {
        Solid::Box { center_m, half_extents_m, turn } => {
            let is_straight = turn.w.abs() > 1.0 - 1e-12;
            let turn = (!is_straight).then(|| turn.to_array().map(rounded));
            let turn = turn.map(|[x, y, z, w]| Ok::<_, NumberError>([x?, y?, z?, w?])).transpose()?;
            let [x, y, z] = half_extents_m.to_array();
            let half_extents_m = [positive(x)?, positive(y)?, positive(z)?];
            SolidFile::Box { center_m: vector(center_m)?, half_extents_m, turn }
        }
        Solid::Capsule { from_m, to_m, radius_m } => {
            SolidFile::Capsule { from_m: vector(from_m)?, to_m: vector(to_m)?, radius_m: positive(radius_m)? }
        }
        Solid::Ball { center_m, radius_m } => {
            SolidFile::Ball { center_m: vector(center_m)?, radius_m: positive(radius_m)? }
        }
    })
}

/// To nine decimals: what is less is noise of turning things.
fn rounded(x: f64) -> Result<Finite, NumberError> {
    let rounded = (x * 1e9).round() / 1e9;
    Finite::try_from(if rounded == 0.0 { 0.0 } else { rounded })
}

fn vector(v: DVec3) -> Result<[Finite; 3], NumberError> {
    Ok([rounded(v.x)?, rounded(v.y)?, rounded(v.z)?])
}

/// To seven digits.
fn significant(x: f64) -> f64 {
    format!("{x:.6e}").parse().unwrap_or(x)
}

fn positive(x: f64) -> Result<Positive, NumberError> {
    Positive::try_from(significant(x))
}

fn seven_digits(moments: [f64; 6]) -> Result<[Finite; 6], NumberError> {
    let [a, b, c, d, e, f] = moments.map(significant).map(Finite::try_from);
    Ok([a?, b?, c?, d?, e?, f?])
}
