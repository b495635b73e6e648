//! Where MJCF puts things: `pos` and one of `quat`, `axisangle`, `euler`, `xyaxes`, `zaxis`; and the units that it does so in.

use super::element::Element;
use super::error::ImportError;
use super::tree::Placement;
use rapier3d::glamx::{DMat3, DQuat, DVec3};

/// What `<compiler>` says, all of them together.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    pub(crate) is_degree: bool,
    euler_sequence: String,
    pub(crate) mesh_folder: String,
    pub(crate) strips_paths: bool,
    pub(crate) limits_by_range: bool,
    /// None where an `<inertial>` decides.
    pub(crate) inertia_from_geoms: Option<bool>,
    pub(crate) inertia_groups: [f64; 2],
}

impl Compiler {
    /// Later ones change what earlier ones said.
    pub(crate) fn read(document: &Element) -> Result<Self, ImportError> {
        let mut all = Element::default();
        for compiler in document.all("compiler") {
            all.attributes.extend(compiler.attributes.clone());
            let sequence = compiler.get("eulerseq").unwrap_or("xyz");
            if sequence.len() != 3 || !sequence.bytes().all(|axis| b"xyzXYZ".contains(&axis)) {
                return Err(compiler.error(format!("eulerseq: found `{sequence}`, expected three of x, y, z, X, Y, Z")));
            }
            if compiler.get("coordinate") == Some("global") {
                return Err(
                    compiler.error("coordinate: found global, expected local: save the file with a newer MuJoCo")
                );
            }
        }
        let folder = all.get("meshdir").or(all.get("assetdir")).unwrap_or_default();
        Ok(Self {
            is_degree: all.get("angle") != Some("radian"),
            euler_sequence: all.get("eulerseq").unwrap_or("xyz").to_owned(),
            mesh_folder: folder.to_owned(),
            strips_paths: all.get("strippath") == Some("true"),
            limits_by_range: all.get("autolimits") != Some("false"),
            inertia_from_geoms: match all.get("inertiafromgeom") {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            },
            inertia_groups: all.array("inertiagrouprange")?.unwrap_or([0.0, 5.0]),
        })
    }

    /// An angle of the file, rad.
    pub(crate) fn rad(&self, angle: f64) -> f64 {
        if self.is_degree { angle.to_radians() } else { angle }
    }

    /// Where an element is.
    pub(crate) fn placement(&self, element: &Element) -> Result<Placement, ImportError> {
        let offset_m = element.vector("pos")?.unwrap_or_default();
        Ok(Placement { offset_m, turn: self.turn(element)?.unwrap_or(DQuat::IDENTITY) })
    }

    /// How an element is turned, if it says so.
    fn turn(&self, element: &Element) -> Result<Option<DQuat>, ImportError> {
        let words = ["quat", "axisangle", "euler", "xyaxes", "zaxis"];
        let mut given = words.into_iter().filter(|word| element.get(word).is_some());
        let (Some(word), second) = (given.next(), given.next()) else { return Ok(None) };
        if let Some(second) = second {
            return Err(element.error(format!("found {word} and {second}, expected one of them")));
        }
        match word {
            "quat" => element.quaternion("quat"),
            "axisangle" => {
                let Some([x, y, z, angle]) = element.array("axisangle")? else { return Ok(None) };
                let no_axis = || element.error("axisangle: found an axis without length");
                let axis = DVec3::new(x, y, z).try_normalize().ok_or_else(no_axis)?;
                Ok(Some(DQuat::from_axis_angle(axis, self.rad(angle))))
            }
            "euler" => Ok(element.array("euler")?.map(|angles| self.euler(angles))),
            "xyaxes" => {
                let Some([a, b, c, d, e, f]) = element.array("xyaxes")? else { return Ok(None) };
                let (x, y) = (DVec3::new(a, b, c).normalize_or_zero(), DVec3::new(d, e, f));
                let y = (y - x * x.dot(y)).normalize_or_zero();
                if x.cross(y).length() < 0.5 {
                    return Err(element.error("xyaxes: found axes that span no plane"));
                }
                Ok(Some(DQuat::from_mat3(&DMat3::from_cols(x, y, x.cross(y)))))
            }
            _ => Ok(element.direction("zaxis")?.map(|z| DQuat::from_rotation_arc(DVec3::Z, z))),
        }
    }

    /// Small letters turn about axes that turn along, capital ones about those that stay.
    fn euler(&self, angles: [f64; 3]) -> DQuat {
        self.euler_sequence.bytes().zip(angles).fold(DQuat::IDENTITY, |turn, (letter, angle)| {
            let axis = match letter.to_ascii_lowercase() {
                b'x' => DVec3::X,
                b'y' => DVec3::Y,
                _ => DVec3::Z,
            };
            let step = DQuat::from_axis_angle(axis, self.rad(angle));
            if letter.is_ascii_lowercase() { turn * step } else { step * turn }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(compiler: &str, attributes: &str, v: DVec3) -> DVec3 {
        let text = format!("<mujoco><compiler {compiler}/><body {attributes}/></mujoco>");
        let document = Element::parse("test", &text).unwrap();
        let compiler = Compiler::read(&document).unwrap();
        compiler.placement(document.child("body").unwrap()).unwrap().turn * v
    }

    /// Contract: every way to say how something is turned is that of MuJoCo. Worked by hand: a quarter about x, then about the z that
    /// turned along, takes y to -x and then stays; about the z that stayed, it takes y to z and stays.
    #[test]
    fn turns_are_worked_by_hand() {
        let z = DVec3::Z;
        for (compiler, attributes, v, expected) in [
            ("", "euler='90 0 0'", DVec3::Y, z),
            ("angle='radian'", "axisangle='2 0 0 1.5707963267948966'", DVec3::Y, z),
            ("", "quat='2 2 0 0'", DVec3::Y, z),
            ("", "xyaxes='1 0 0 0 0 1'", DVec3::Y, z),
            ("", "zaxis='0 -3 0'", z, DVec3::NEG_Y),
            ("", "euler='90 0 90'", DVec3::Y, DVec3::NEG_X),
            ("eulerseq='XYZ'", "euler='90 0 90'", DVec3::Y, z),
            ("eulerseq='zyx'", "euler='90 0 90'", DVec3::Y, z),
        ] {
            let found = turned(compiler, attributes, v);
            assert!((found - expected).length() < 1e-12, "{compiler} {attributes}: {found}, expected {expected}");
        }
    }
}
