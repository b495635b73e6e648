//! The RON form of a hand: a table in the frame of whoever measured it. A variant of another hand is in `hand_variant`.

use crate::asset::{AssetError, Library};
use crate::collision::MAX_FINGERS;
use crate::hand::{Finger, Form, Hand, Joint, Link, Motor, Tip};
use crate::inertia::Inertia;
use crate::solid::Solid;
use bridge::number::{Finite, NonNegative, Positive};
use bridge::real::motors::MotorTable;
use rapier3d::glamx::{DMat3, DQuat, DVec3};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// See `assets/hands/`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandFile {
    pub(crate) name: String,
    pub(crate) frame: FrameFile,
    /// Of every joint that does not say otherwise, like the two that follow.
    pub(crate) motor: MotorFile,
    pub(crate) armature_kg_m2: Positive,
    pub(crate) joint_damping_nm_s_rad: NonNegative,
    pub(crate) palm: Vec<SolidFile>,
    /// Nothing turns the palm unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wrist: Option<WristFile>,
    pub(crate) fingers: Vec<FingerFile>,
    /// Of a hand that can be bought or built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) motors: Option<MotorTable>,
}

/// Which axis of the table is which axis of the hand frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameFile {
    pub(crate) x: SignedAxis,
    pub(crate) y: SignedAxis,
    pub(crate) z: SignedAxis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum SignedAxis {
    PlusX,
    PlusY,
    PlusZ,
    MinusX,
    MinusY,
    MinusZ,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MotorFile {
    pub(crate) stiffness_nm_rad: Positive,
    pub(crate) damping_nm_s_rad: NonNegative,
    pub(crate) max_effort_nm: Positive,
    pub(crate) max_rate_rad_s: Positive,
}

/// What turns one joint, where the joints of a hand differ.
#[derive(Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DriveFile {
    pub(crate) stiffness_nm_rad: Positive,
    pub(crate) damping_nm_s_rad: NonNegative,
    pub(crate) max_effort_nm: Positive,
    pub(crate) max_rate_rad_s: Positive,
    pub(crate) armature_kg_m2: Positive,
    pub(crate) joint_damping_nm_s_rad: NonNegative,
}

/// A shape, in the table with all joints at zero.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum SolidFile {
    Box {
        center_m: [Finite; 3],
        half_extents_m: [Positive; 3],
        /// A quaternion x, y, z, w; along the table's axes without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turn: Option<[Finite; 4]>,
    },
    Capsule {
        from_m: [Finite; 3],
        to_m: [Finite; 3],
        radius_m: Positive,
    },
    Ball {
        center_m: [Finite; 3],
        radius_m: Positive,
    },
}

/// What turns the palm about an axis through the origin of the table.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WristFile {
    pub(crate) axis: [Finite; 3],
    pub(crate) lower: Angle,
    pub(crate) upper: Angle,
    pub(crate) neutral: Angle,
    pub(crate) drive: DriveFile,
    /// Spread evenly over the shapes of the palm.
    pub(crate) palm_mass_kg: Positive,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FingerFile {
    pub(crate) name: String,
    pub(crate) ik_seed_rad: Vec<Finite>,
    /// Where the last bone points with all joints at zero; without it, on from the bone before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) distal_direction: Option<[Finite; 3]>,
    /// From the last joint along the bone to the end of the last capsule's axis.
    pub(crate) distal_length_m: Positive,
    pub(crate) tip: TipFile,
    pub(crate) joints: Vec<JointFile>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TipFile {
    pub(crate) along_bone_m: Positive,
    pub(crate) palmar_m: Finite,
    pub(crate) radius_m: Positive,
    /// 0 where the last link's mass has it.
    pub(crate) mass_kg: NonNegative,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JointFile {
    pub(crate) name: String,
    pub(crate) anchor_m: [Finite; 3],
    pub(crate) axis: [Finite; 3],
    pub(crate) lower: Angle,
    pub(crate) upper: Angle,
    pub(crate) neutral: Angle,
    /// The hand's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drive: Option<DriveFile>,
    pub(crate) link: LinkFile,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
pub(crate) enum Angle {
    Deg(Finite),
    Rad(Finite),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkFile {
    pub(crate) radius_m: Positive,
    pub(crate) mass_kg: Positive,
    pub(crate) collides: bool,
    /// A uniform capsule unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) form: Option<FormFile>,
}

/// Mass and shapes of a link, in the table with all joints at zero.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FormFile {
    pub(crate) center_of_mass_m: [Finite; 3],
    /// About the centre of mass: xx, yy, zz, xy, xz, yz.
    pub(crate) inertia_kg_m2: [Finite; 6],
    pub(crate) shapes: Vec<SolidFile>,
}

impl HandFile {
    /// Checks that the parts fit together and maps everything into the hand frame.
    /// [`Hand::load`] finds it by `address`.
    pub(crate) fn resolve(self, source_name: &str, address: &str) -> Result<Hand, AssetError> {
        let inconsistent = |reason| AssetError::Inconsistent { source_name: source_name.to_owned(), reason };
        let hand_from_table = self.frame.matrix().map_err(inconsistent)?;
        if self.fingers.is_empty() {
            return Err(inconsistent("fingers: found none, expected at least one".into()));
        }
        if self.fingers.len() > MAX_FINGERS {
            let found = self.fingers.len();
            return Err(inconsistent(format!("fingers: found {found}, expected at most {MAX_FINGERS}")));
        }
        let drive = DriveFile {
            stiffness_nm_rad: self.motor.stiffness_nm_rad,
            damping_nm_s_rad: self.motor.damping_nm_s_rad,
            max_effort_nm: self.motor.max_effort_nm,
            max_rate_rad_s: self.motor.max_rate_rad_s,
            armature_kg_m2: self.armature_kg_m2,
            joint_damping_nm_s_rad: self.joint_damping_nm_s_rad,
        };
        let palm = self.palm.iter().map(|part| part.resolve(hand_from_table, DVec3::ZERO));
        let palm = palm.collect::<Result<Vec<_>, _>>().map_err(|reason| inconsistent(format!("palm: {reason}")))?;
        let wrist = self.wrist.map(|wrist| wrist.resolve(hand_from_table, &palm)).transpose().map_err(inconsistent)?;
        let mut fingers = Vec::with_capacity(self.fingers.len());
        let mut first_joint = usize::from(wrist.is_some());
        for finger in self.fingers {
            let finger = finger.resolve(hand_from_table, &drive, first_joint).map_err(inconsistent)?;
            if fingers.iter().any(|other: &Finger| other.name == finger.name) {
                return Err(inconsistent(format!(
                    "fingers: found two called `{}`, expected distinct names",
                    finger.name
                )));
            }
            first_joint += finger.joints.len();
            fingers.push(finger);
        }
        let hand = Hand {
            name: self.name,
            family: Library::of(address).1.to_owned(),
            gaits: BTreeMap::new(),
            address: address.to_owned(),
            is_mirrored: false,
            palm,
            wrist,
            fingers,
            motors: self.motors,
        };
        hand.check_motors().map_err(inconsistent)?;
        Ok(hand)
    }
}

impl Hand {
    /// Checks that the motors are those of the joints.
    pub(crate) fn check_motors(&self) -> Result<(), String> {
        let joints = self.joints().map(|joint| joint.name.as_str());
        self.motors.as_ref().map_or(Ok(()), |motors| motors.check(joints)).map_err(|error| error.to_string())
    }
}

impl SolidFile {
    /// In the frame of a part whose origin is at `origin_m` of the hand frame.
    fn resolve(self, hand_from_table: DMat3, origin_m: DVec3) -> Result<Solid, String> {
        let place = |point_m: [Finite; 3]| hand_from_table * vector(point_m) - origin_m;
        Ok(match self {
            Self::Box { center_m, half_extents_m, turn: None } => {
                // Along the axes of the table, so along those of the hand.
                let half_extents_m = (hand_from_table * DVec3::from_array(half_extents_m.map(Positive::get))).abs();
                Solid::Box { center_m: place(center_m), half_extents_m, turn: DQuat::IDENTITY }
            }
            Self::Box { center_m, half_extents_m, turn: Some(turn) } => {
                let turn = DQuat::from_array(turn.map(Finite::get));
                // Written so that a length that overflows is none either.
                if !(0.9..1.1).contains(&turn.length()) {
                    return Err(format!("turn: found a quaternion of length {}, expected 1", turn.length()));
                }
                let half_extents_m = DVec3::from_array(half_extents_m.map(Positive::get));
                let turn = (DQuat::from_mat3(&hand_from_table) * turn).normalize();
                Solid::Box { center_m: place(center_m), half_extents_m, turn }
            }
            Self::Capsule { from_m, to_m, radius_m } => {
                Solid::Capsule { from_m: place(from_m), to_m: place(to_m), radius_m: radius_m.get() }
            }
            Self::Ball { center_m, radius_m } => Solid::Ball { center_m: place(center_m), radius_m: radius_m.get() },
        })
    }
}

impl LinkFile {
    /// The link behind a joint at `anchor_m` of the hand frame, with a bone to `end_m` from there.
    fn resolve(self, hand_from_table: DMat3, anchor_m: DVec3, end_m: DVec3) -> Result<Link, String> {
        let form = self.form.map(|form| form.resolve(hand_from_table, anchor_m)).transpose()?;
        Ok(Link { end_m, radius_m: self.radius_m.get(), mass_kg: self.mass_kg.get(), collides: self.collides, form })
    }
}

impl FormFile {
    fn resolve(self, hand_from_table: DMat3, anchor_m: DVec3) -> Result<Form, String> {
        let [xx, yy, zz, xy, xz, yz] = self.inertia_kg_m2.map(Finite::get);
        let in_table = DMat3::from_cols_array(&[xx, xy, xz, xy, yy, yz, xz, yz, zz]);
        // Positive definite, by its leading minors.
        if !(xx > 0.0 && xx * yy > xy * xy && in_table.determinant() > 0.0) {
            return Err(format!(
                "inertia_kg_m2: found {:?}, expected positive moments about every axis",
                [xx, yy, zz, xy, xz, yz]
            ));
        }
        let shapes = self.shapes.iter().map(|shape| shape.resolve(hand_from_table, anchor_m));
        Ok(Form {
            center_of_mass_m: hand_from_table * vector(self.center_of_mass_m) - anchor_m,
            inertia_kg_m2: hand_from_table * in_table * hand_from_table.transpose(),
            shapes: shapes.collect::<Result<_, _>>()?,
        })
    }
}

impl FrameFile {
    fn matrix(&self) -> Result<DMat3, String> {
        let matrix = DMat3::from_cols(self.x.vector(), self.y.vector(), self.z.vector()).transpose();
        let determinant = matrix.determinant();
        if determinant > 0.5 {
            Ok(matrix)
        } else {
            Err(format!("frame: found axes of determinant {determinant}, expected a right-handed frame (1)"))
        }
    }
}

impl SignedAxis {
    pub(crate) const fn vector(self) -> DVec3 {
        match self {
            Self::PlusX => DVec3::X,
            Self::PlusY => DVec3::Y,
            Self::PlusZ => DVec3::Z,
            Self::MinusX => DVec3::NEG_X,
            Self::MinusY => DVec3::NEG_Y,
            Self::MinusZ => DVec3::NEG_Z,
        }
    }
}

impl WristFile {
    /// Name of the joint.
    pub(crate) const NAME: &str = "wrist";

    fn resolve(self, hand_from_table: DMat3, palm: &[Solid]) -> Result<Joint, String> {
        let mass_kg = self.palm_mass_kg.get();
        let inertia = Inertia::of_solids(palm, mass_kg)
            .ok_or("wrist: found a palm without shapes, expected some for palm_mass_kg to be spread over")?;
        let form = Form {
            center_of_mass_m: inertia.center_m,
            inertia_kg_m2: inertia.moments_kg_m2,
            // The palm's own.
            shapes: Vec::new(),
        };
        let link = Link { end_m: DVec3::ZERO, radius_m: 0.0, mass_kg, collides: true, form: Some(form) };
        let range_rad = range_rad(Self::NAME, [self.lower, self.upper, self.neutral])?;
        self.drive.joint(Self::NAME.to_owned(), hand_from_table * vector(self.axis), DVec3::ZERO, range_rad, link)
    }
}

impl FingerFile {
    fn resolve(self, hand_from_table: DMat3, drive: &DriveFile, first_joint: usize) -> Result<Finger, String> {
        let name = self.name;
        let n_joints = self.joints.len();
        let least = if self.distal_direction.is_some() { 1 } else { 2 };
        if n_joints < least {
            return Err(format!("finger {name}: found {n_joints} joints, expected at least {least}"));
        }
        if self.ik_seed_rad.len() != n_joints {
            let found = self.ik_seed_rad.len();
            return Err(format!(
                "finger {name}: ik_seed_rad has {found} values, expected one for each of {n_joints} joints"
            ));
        }
        let anchors_m: Vec<DVec3> = self.joints.iter().map(|joint| hand_from_table * vector(joint.anchor_m)).collect();
        let bone = match self.distal_direction {
            Some(direction) => (hand_from_table * vector(direction))
                .try_normalize()
                .ok_or_else(|| format!("finger {name}: distal_direction has no length"))?,
            None => (anchors_m[n_joints - 1] - anchors_m[n_joints - 2])
                .try_normalize()
                .ok_or_else(|| format!("finger {name}: the last two anchors coincide, expected a bone between them"))?,
        };

        let mut joints: Vec<Joint> = Vec::with_capacity(n_joints);
        for (index, joint) in self.joints.into_iter().enumerate() {
            let own_name = format!("{name}_{}", joint.name);
            let range_rad = range_rad(&own_name, [joint.lower, joint.upper, joint.neutral])?;
            let parent_m = if index == 0 { DVec3::ZERO } else { anchors_m[index - 1] };
            let end_m = match anchors_m.get(index + 1) {
                Some(&next_m) => next_m - anchors_m[index],
                None => bone * self.distal_length_m.get(),
            };
            let link = joint.link.resolve(hand_from_table, anchors_m[index], end_m);
            let link = link.map_err(|reason| format!("joint {own_name}: {reason}"))?;
            let (axis, offset_m) = (hand_from_table * vector(joint.axis), anchors_m[index] - parent_m);
            joints.push(joint.drive.as_ref().unwrap_or(drive).joint(own_name, axis, offset_m, range_rad, link)?);
        }

        let palmar_m = self.tip.palmar_m.get();
        let palmar = match joints[n_joints - 1].axis.cross(bone).try_normalize() {
            Some(palmar) => palmar,
            None if palmar_m == 0.0 => DVec3::ZERO,
            None => return Err(format!("finger {name}: the last joint turns about its bone, expected it to flex")),
        };
        let tip = Tip {
            center_m: bone * self.tip.along_bone_m.get() + palmar * palmar_m,
            radius_m: self.tip.radius_m.get(),
            mass_kg: self.tip.mass_kg.get(),
        };
        let ik_seed_rad = self.ik_seed_rad.into_iter().map(Finite::get).collect();
        Ok(Finger { name, first_joint, joints, tip, ik_seed_rad })
    }
}

impl DriveFile {
    /// The joint that it turns about `axis`, of any length.
    fn joint(
        &self,
        name: String,
        axis: DVec3,
        offset_m: DVec3,
        [lower_rad, upper_rad, neutral_rad]: [f64; 3],
        link: Link,
    ) -> Result<Joint, String> {
        let axis = axis.try_normalize().ok_or_else(|| format!("joint {name}: the axis has no length"))?;
        Ok(Joint {
            name,
            axis,
            offset_m,
            lower_rad,
            upper_rad,
            neutral_rad,
            motor: self.motor(),
            armature_kg_m2: self.armature_kg_m2.get(),
            damping_nm_s_rad: self.joint_damping_nm_s_rad.get(),
            link,
        })
    }

    fn motor(&self) -> Motor {
        Motor {
            stiffness_nm_rad: self.stiffness_nm_rad.get(),
            damping_nm_s_rad: self.damping_nm_s_rad.get(),
            max_effort_nm: self.max_effort_nm.get(),
            max_rate_rad_s: self.max_rate_rad_s.get(),
        }
    }
}

impl Angle {
    fn rad(self) -> f64 {
        match self {
            Self::Deg(degrees) => degrees.get().to_radians(),
            Self::Rad(radians) => radians.get(),
        }
    }
}

/// Lower, upper and neutral position, rad, of the joint called `name`.
fn range_rad(name: &str, angles: [Angle; 3]) -> Result<[f64; 3], String> {
    let [lower_rad, upper_rad, neutral_rad] = angles.map(Angle::rad);
    if lower_rad <= neutral_rad && neutral_rad <= upper_rad && lower_rad < upper_rad {
        return Ok([lower_rad, upper_rad, neutral_rad]);
    }
    Err(format!(
        "joint {name}: found lower {lower_rad} rad, neutral {neutral_rad} rad, upper {upper_rad} rad, expected them in this order"
    ))
}

fn vector(components: [Finite; 3]) -> DVec3 {
    DVec3::from_array(components.map(Finite::get))
}
