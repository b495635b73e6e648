//! The RON form of a hand: a table in the frame of whoever measured it.

use crate::asset::AssetError;
use crate::hand::{Finger, Hand, Joint, Link, Motor, PalmBox, Tip};
use bridge::number::{Finite, NonNegative, Positive};
use bridge::real::motors::MotorTable;
use rapier3d::glamx::{DMat3, DVec3};
use serde::Deserialize;

/// See `assets/hands/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandFile {
    name: String,
    frame: FrameFile,
    motor: MotorFile,
    armature_kg_m2: Positive,
    joint_damping_nm_s_rad: NonNegative,
    palm: Vec<PalmBoxFile>,
    fingers: Vec<FingerFile>,
    /// Of a hand that can be bought or built.
    motors: Option<MotorTable>,
}

/// Which axis of the table is which axis of the hand frame.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameFile {
    x: SignedAxis,
    y: SignedAxis,
    z: SignedAxis,
}

#[derive(Clone, Copy, Deserialize)]
enum SignedAxis {
    PlusX,
    PlusY,
    PlusZ,
    MinusX,
    MinusY,
    MinusZ,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MotorFile {
    stiffness_nm_rad: Positive,
    damping_nm_s_rad: NonNegative,
    max_effort_nm: Positive,
    max_rate_rad_s: Positive,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PalmBoxFile {
    center_m: [Finite; 3],
    half_extents_m: [Positive; 3],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FingerFile {
    name: String,
    ik_seed_rad: Vec<Finite>,
    /// From the last joint along the bone to the end of the last capsule's axis.
    distal_length_m: Positive,
    tip: TipFile,
    joints: Vec<JointFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TipFile {
    along_bone_m: Positive,
    palmar_m: Finite,
    radius_m: Positive,
    mass_kg: Positive,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JointFile {
    name: String,
    anchor_m: [Finite; 3],
    axis: [Finite; 3],
    lower: Angle,
    upper: Angle,
    neutral: Angle,
    link: LinkFile,
}

#[derive(Clone, Copy, Deserialize)]
enum Angle {
    Deg(Finite),
    Rad(Finite),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkFile {
    radius_m: Positive,
    mass_kg: Positive,
    collides: bool,
}

impl HandFile {
    /// Checks that the parts fit together and maps everything into the hand frame.
    pub(crate) fn resolve(self, source_name: &str) -> Result<Hand, AssetError> {
        let inconsistent = |reason| AssetError::Inconsistent { source_name: source_name.to_owned(), reason };
        let hand_from_table = self.frame.matrix().map_err(inconsistent)?;
        if self.fingers.is_empty() {
            return Err(inconsistent("fingers: found none, expected at least one".into()));
        }
        let mut fingers = Vec::with_capacity(self.fingers.len());
        let mut first_joint = 0;
        for finger in self.fingers {
            let finger = finger.resolve(hand_from_table, first_joint).map_err(inconsistent)?;
            if fingers.iter().any(|other: &Finger| other.name == finger.name) {
                return Err(inconsistent(format!(
                    "fingers: found two called `{}`, expected distinct names",
                    finger.name
                )));
            }
            first_joint += finger.joints.len();
            fingers.push(finger);
        }
        let joints = fingers.iter().flat_map(|finger| &finger.joints).map(|joint| joint.name.as_str());
        let checked = self.motors.as_ref().map_or(Ok(()), |motors| motors.check(joints));
        checked.map_err(|error| inconsistent(error.to_string()))?;
        let palm = self.palm.iter().map(|part| PalmBox {
            center_m: hand_from_table * vector(part.center_m),
            half_extents_m: (hand_from_table * DVec3::from_array(part.half_extents_m.map(Positive::get))).abs(),
        });
        Ok(Hand {
            name: self.name,
            palm: palm.collect(),
            fingers,
            motor: Motor {
                stiffness_nm_rad: self.motor.stiffness_nm_rad.get(),
                damping_nm_s_rad: self.motor.damping_nm_s_rad.get(),
                max_effort_nm: self.motor.max_effort_nm.get(),
                max_rate_rad_s: self.motor.max_rate_rad_s.get(),
            },
            armature_kg_m2: self.armature_kg_m2.get(),
            joint_damping_nm_s_rad: self.joint_damping_nm_s_rad.get(),
            motors: self.motors,
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
    const fn vector(self) -> DVec3 {
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

impl FingerFile {
    fn resolve(self, hand_from_table: DMat3, first_joint: usize) -> Result<Finger, String> {
        let name = self.name;
        let n_joints = self.joints.len();
        if n_joints < 2 {
            return Err(format!("finger {name}: found {n_joints} joints, expected at least 2"));
        }
        if self.ik_seed_rad.len() != n_joints {
            let found = self.ik_seed_rad.len();
            return Err(format!(
                "finger {name}: ik_seed_rad has {found} values, expected one for each of {n_joints} joints"
            ));
        }
        let anchors_m: Vec<DVec3> = self.joints.iter().map(|joint| hand_from_table * vector(joint.anchor_m)).collect();
        let bone = (anchors_m[n_joints - 1] - anchors_m[n_joints - 2])
            .try_normalize()
            .ok_or_else(|| format!("finger {name}: the last two anchors coincide, expected a bone between them"))?;

        let mut joints: Vec<Joint> = Vec::with_capacity(n_joints);
        for (index, joint) in self.joints.iter().enumerate() {
            let axis = (hand_from_table * vector(joint.axis))
                .try_normalize()
                .ok_or_else(|| format!("joint {name}_{}: the axis has no length", joint.name))?;
            let [lower_rad, upper_rad, neutral_rad] = [joint.lower, joint.upper, joint.neutral].map(Angle::rad);
            if !(lower_rad <= neutral_rad && neutral_rad <= upper_rad && lower_rad < upper_rad) {
                return Err(format!(
                    "joint {name}_{}: found lower {lower_rad} rad, neutral {neutral_rad} rad, upper {upper_rad} rad, \
                     expected them in this order",
                    joint.name
                ));
            }
            let parent_m = if index == 0 { DVec3::ZERO } else { anchors_m[index - 1] };
            let end_m = match anchors_m.get(index + 1) {
                Some(&next_m) => next_m - anchors_m[index],
                None => bone * self.distal_length_m.get(),
            };
            joints.push(Joint {
                name: format!("{name}_{}", joint.name),
                axis,
                offset_m: anchors_m[index] - parent_m,
                lower_rad,
                upper_rad,
                neutral_rad,
                link: Link {
                    end_m,
                    radius_m: joint.link.radius_m.get(),
                    mass_kg: joint.link.mass_kg.get(),
                    collides: joint.link.collides,
                },
            });
        }

        let palmar = joints[n_joints - 1]
            .axis
            .cross(bone)
            .try_normalize()
            .ok_or_else(|| format!("finger {name}: the last joint turns about its bone, expected it to flex"))?;
        let tip = Tip {
            center_m: bone * self.tip.along_bone_m.get() + palmar * self.tip.palmar_m.get(),
            radius_m: self.tip.radius_m.get(),
            mass_kg: self.tip.mass_kg.get(),
        };
        let ik_seed_rad = self.ik_seed_rad.into_iter().map(Finite::get).collect();
        Ok(Finger { name, first_joint, joints, tip, ik_seed_rad })
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

fn vector(components: [Finite; 3]) -> DVec3 {
    DVec3::from_array(components.map(Finite::get))
}
