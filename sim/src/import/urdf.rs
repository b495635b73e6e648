//! URDF, the format of ROS.
//!
//! A link's frame is on the joint before it, so anchors are at its origin. A cylinder with a ball of its radius at both ends is a
//! capsule, which the format has no word for.

use super::element::Element;
use super::error::ImportError;
use super::files::Files;
use super::fit::{self, Fit};
use super::tree::{Follows, Joint, Kind, Link, Placement, Tree};
use crate::inertia::Inertia;
use crate::solid::Solid;
use rapier3d::glamx::{DMat3, DQuat, DVec3};
use std::collections::{BTreeMap, BTreeSet};

/// Nearer is the same, m.
const SAME_M: f64 = 1e-6;

/// Reads a robot.
pub(crate) fn read(robot: &Element, files: &Files) -> Result<Tree, ImportError> {
    let mut elements = BTreeMap::new();
    for link in robot.all("link") {
        if elements.insert(link.require("name")?, link).is_some() {
            return Err(link.error("found two links of this name, expected distinct ones"));
        }
    }
    let mut joints: BTreeMap<&str, Vec<&Element>> = BTreeMap::new();
    let mut children = BTreeSet::new();
    for joint in robot.all("joint") {
        let [parent, child] = [end(joint, "parent")?, end(joint, "child")?];
        for name in [parent, child] {
            if !elements.contains_key(name) {
                return Err(joint.error(format!("found the link `{name}`, expected one that the robot has")));
            }
        }
        if !children.insert(child) {
            return Err(
                joint.error(format!("found a second joint to `{child}`, expected a tree: a loop has to be cut"))
            );
        }
        joints.entry(parent).or_default().push(joint);
    }
    let mut tree = Tree { name: robot.get("name").unwrap_or("hand").to_owned(), ..Tree::default() };
    let mut roots = robot.all("link").filter(|link| link.get("name").is_some_and(|name| !children.contains(name)));
    let (Some(root), None) = (roots.next(), roots.next()) else {
        return Err(robot.error("found no link, or several, without a joint to it, expected one: the root"));
    };
    // In the order of the file, parents first.
    let mut open = vec![(root, None, None)];
    while let Some((link, parent, joint)) = open.pop() {
        let idx = tree.links.len();
        tree.links.push(read_link(link, parent, joint, files)?);
        let after = joints.get(link.require("name")?).into_iter().flatten().rev();
        for &joint in after {
            let Some(&child) = elements.get(end(joint, "child")?) else { continue };
            open.push((child, Some(idx), Some(joint)));
        }
    }
    if tree.links.len() < elements.len() {
        return Err(robot.error("found links that are not reached from the root, expected a tree"));
    }
    Ok(tree)
}

fn end<'a>(joint: &'a Element, tag: &str) -> Result<&'a str, ImportError> {
    let no_end = || joint.error(format!("found no <{tag} link>, expected one"));
    joint.child(tag).and_then(|end| end.get("link")).ok_or_else(no_end)
}

fn read_link(
    element: &Element,
    parent: Option<usize>,
    joint: Option<&Element>,
    files: &Files,
) -> Result<Link, ImportError> {
    let pose = joint.map_or(Ok(Placement::HERE), origin)?;
    let mut link = Link::new(element.require("name")?.to_owned(), element.place(), parent, pose);
    link.joint = joint.map(read_joint).transpose()?.flatten();
    link.inertia = element.child("inertial").map(read_inertia).transpose()?;
    let mut cylinders = Vec::new();
    for collision in element.all("collision") {
        let at = origin(collision)?;
        let no_geometry = || collision.error("found no geometry, expected one");
        let geometry = collision.child("geometry").and_then(|it| it.children.first()).ok_or_else(no_geometry)?;
        let place = |fit: Fit| format!("{}: {} {}", element.place(), geometry.tag, fit.words());
        match geometry.tag.as_str() {
            "box" => {
                let size = positive(geometry, "size", geometry.vector("size")?.map(|size| size.to_array()))?;
                let half_extents_m = 0.5 * DVec3::from_array(size);
                link.shapes.push(Solid::Box { center_m: at.offset_m, half_extents_m, turn: at.turn });
            }
            "sphere" => {
                let [radius_m] = positive(geometry, "radius", geometry.array("radius")?)?;
                link.shapes.push(Solid::Ball { center_m: at.offset_m, radius_m });
            }
            tag @ ("cylinder" | "capsule") => {
                let [radius_m] = positive(geometry, "radius", geometry.array("radius")?)?;
                let [length_m] = positive(geometry, "length", geometry.array("length")?)?;
                let end = 0.5 * length_m * DVec3::Z;
                let ends = (at.point_m(-end), at.point_m(end), radius_m);
                if tag == "cylinder" {
                    cylinders.push((ends, geometry));
                } else {
                    link.shapes.push(Solid::Capsule { from_m: ends.0, to_m: ends.1, radius_m });
                }
            }
            "mesh" => match load(geometry, files) {
                Ok(vertices) => {
                    let placed: Vec<DVec3> = vertices.into_iter().map(|vertex| at.point_m(vertex)).collect();
                    let fit = fit::vertices(&placed);
                    link.shapes.push(fit.solid);
                    link.notes.push(place(fit));
                }
                Err(error) => {
                    link.missing.get_or_insert(error);
                }
            },
            tag => {
                let expected = "expected box, cylinder, capsule, sphere or mesh";
                return Err(geometry.error(format!("found a geometry `{tag}`, {expected}")));
            }
        }
    }
    for ((from_m, to_m, radius_m), geometry) in cylinders {
        if take_caps(&mut link.shapes, [from_m, to_m], radius_m) {
            link.shapes.push(Solid::Capsule { from_m, to_m, radius_m });
        } else {
            let fit = fit::cylinder(from_m, to_m, radius_m);
            link.shapes.push(fit.solid);
            link.notes.push(format!("{}: {} {}", element.place(), geometry.tag, fit.words()));
        }
    }
    Ok(link)
}

/// Takes the balls at both ends of a cylinder away, if they are there.
fn take_caps(shapes: &mut Vec<Solid>, ends_m: [DVec3; 2], radius_m: f64) -> bool {
    let is_cap = |shape: &Solid, end_m: DVec3| match shape {
        Solid::Ball { center_m, radius_m: own } => center_m.distance(end_m) < SAME_M && (own - radius_m).abs() < SAME_M,
        _ => false,
    };
    let [first, second] = ends_m.map(|end_m| shapes.iter().position(|shape| is_cap(shape, end_m)));
    let (Some(first), Some(second)) = (first, second) else { return false };
    shapes.remove(first.max(second));
    if first != second {
        shapes.remove(first.min(second));
    }
    true
}

fn read_joint(element: &Element) -> Result<Option<Joint>, ImportError> {
    let kind = match element.require("type")? {
        "fixed" => return Ok(None),
        "revolute" | "continuous" => Kind::Hinge,
        "prismatic" => Kind::Other("prismatic joint"),
        "floating" => Kind::Other("floating joint"),
        "planar" => Kind::Other("planar joint"),
        "spherical" => Kind::Other("spherical joint"),
        other => return Err(element.error(format!("type: found `{other}`, expected one of URDF"))),
    };
    let axis = element.child("axis").map(|axis| axis.direction("xyz")).transpose()?.flatten().unwrap_or(DVec3::X);
    let mut joint = Joint::new(element.require("name")?.to_owned(), element.place(), kind, axis);
    if let Some(limit) = element.child("limit") {
        let bounds = [limit.number("lower")?, limit.number("upper")?];
        // One that is left out is 0; without both the limit is of effort and velocity alone.
        let is_range = bounds.iter().any(Option::is_some) && element.get("type") != Some("continuous");
        joint.range_rad = is_range.then(|| bounds.map(Option::unwrap_or_default));
        joint.max_effort_nm = limit.number("effort")?.filter(|&effort| effort > 0.0);
        joint.max_rate_rad_s = limit.number("velocity")?.filter(|&velocity| velocity > 0.0);
    }
    if let Some(dynamics) = element.child("dynamics") {
        joint.damping_nm_s_rad = dynamics.amount("damping")?.unwrap_or_default();
    }
    if let Some(mimic) = element.child("mimic") {
        joint.follows = Some(Follows {
            joint: mimic.require("joint")?.to_owned(),
            factor: mimic.number("multiplier")?.unwrap_or(1.0),
            offset_rad: mimic.number("offset")?.unwrap_or_default(),
        });
    }
    Ok(Some(joint))
}

fn read_inertia(element: &Element) -> Result<Inertia, ImportError> {
    let at = origin(element)?;
    let mass = element.child("mass").map(|mass| mass.amount("value")).transpose()?.flatten();
    let mass_kg = mass.ok_or_else(|| element.error("found no mass, expected one, kg"))?;
    let mut moments = [0.0; 6];
    if let Some(inertia) = element.child("inertia") {
        for (moment, name) in moments.iter_mut().zip(["ixx", "iyy", "izz", "ixy", "ixz", "iyz"]) {
            *moment = inertia.number(name)?.unwrap_or_default();
        }
    }
    let [xx, yy, zz, xy, xz, yz] = moments;
    let moments_kg_m2 = DMat3::from_cols_array(&[xx, xy, xz, xy, yy, yz, xz, yz, zz]);
    Ok(Inertia { mass_kg, center_m: DVec3::ZERO, moments_kg_m2 }.placed(at.offset_m, at.turn))
}

/// Where something is: `xyz`, and roll, pitch and yaw about axes that stay.
fn origin(element: &Element) -> Result<Placement, ImportError> {
    let Some(origin) = element.child("origin") else { return Ok(Placement::HERE) };
    let offset_m = origin.vector("xyz")?.unwrap_or_default();
    let [roll, pitch, yaw] = origin.array("rpy")?.unwrap_or_default();
    let turn = DQuat::from_rotation_z(yaw) * DQuat::from_rotation_y(pitch) * DQuat::from_rotation_x(roll);
    Ok(Placement { offset_m, turn })
}

fn load(geometry: &Element, files: &Files) -> Result<Vec<DVec3>, ImportError> {
    let mesh = files.mesh("", geometry.require("filename")?, &geometry.place())?;
    let scale = geometry.vector("scale")?.unwrap_or(DVec3::ONE);
    Ok(mesh.map(|vertex| vertex * scale).vertices)
}

fn positive<const N: usize>(element: &Element, name: &str, found: Option<[f64; N]>) -> Result<[f64; N], ImportError> {
    let found = found.ok_or_else(|| element.error(format!("found no {name}, expected one, m")))?;
    if found.iter().all(|&number| number > 0.0) {
        Ok(found)
    } else {
        Err(element.error(format!("{name}: found {found:?}, expected numbers above 0, m")))
    }
}
