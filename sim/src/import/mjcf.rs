//! MJCF, the format of MuJoCo.
//!
//! The position of a joint is counted from `ref`, so a link's zero posture is its drawn one turned back by it. A body with several
//! hinges is that many links, all but the last without mass. A position actuator of gear g on a joint acts on it with g^2 times its
//! gains; one on a tendon, with the square of the joint's coefficient.

mod actuators;
mod coupling;
mod defaults;
mod geoms;
mod weight;

use super::element::Element;
use super::error::ImportError;
use super::files::Files;
use super::frame::Compiler;
use super::tree::{Joint, Kind, Link, Placement, Tree};
use crate::inertia::Inertia;
use defaults::Defaults;
use geoms::Meshes;
use rapier3d::glamx::{DMat3, DVec3};
use std::collections::BTreeSet;

/// Files that one file may include, counting those that they include.
const MAX_INCLUDES: usize = 64;

/// Reads a document and what it includes.
pub(crate) fn read(document: Element, files: &Files) -> Result<Tree, ImportError> {
    let mut n_includes = 0;
    let document = with_includes(document, files, &mut n_includes)?;
    let compiler = Compiler::read(&document)?;
    let defaults = Defaults::read(&document)?;
    let meshes = Meshes::new(&document, &defaults, &compiler, files)?;
    let tree = Tree { name: document.get("model").unwrap_or("hand").to_owned(), ..Tree::default() };
    let mut given = BTreeSet::new();
    document.all("worldbody").for_each(|world| add_joint_names(world, &mut given));
    let mut reader = Reader { compiler: &compiler, defaults: &defaults, meshes, tree, given, next_number: 0 };
    reader.tree.links.push(Link::new("world".into(), document.place(), None, Placement::HERE));
    for world in document.all("worldbody") {
        reader.contents(world, 0, Placement::HERE, "main", compiler.inertia_from_geoms.unwrap_or(true))?;
    }
    let mut tree = reader.tree;
    coupling::add(&document, &mut tree)?;
    actuators::add(&document, &defaults, &mut tree)?;
    for tag in ["attach", "replicate", "deformable", "extension"] {
        if let Some(element) = document.child(tag) {
            return Err(element.error("found an element that is not supported: save the compiled model as MJCF"));
        }
    }
    Ok(tree)
}

fn with_includes(mut element: Element, files: &Files, n_includes: &mut usize) -> Result<Element, ImportError> {
    let mut children = Vec::with_capacity(element.children.len());
    for child in element.children {
        if child.tag != "include" {
            children.push(with_includes(child, files, n_includes)?);
            continue;
        }
        *n_includes += 1;
        if *n_includes > MAX_INCLUDES {
            return Err(child.error(format!("found more than {MAX_INCLUDES} includes: does a file include itself?")));
        }
        let name = child.require("file")?;
        let included = files.document(name).map_err(|error| child.error(error.to_string()))?;
        children.extend(with_includes(included, files, n_includes)?.children);
    }
    element.children = children;
    Ok(element)
}

fn add_joint_names(element: &Element, names: &mut BTreeSet<String>) {
    if is_joint(element) {
        names.extend(element.get("name").map(str::to_owned));
    }
    element.children.iter().for_each(|child| add_joint_names(child, names));
}

fn is_joint(element: &Element) -> bool {
    matches!(element.tag.as_str(), "joint" | "freejoint")
}

/// Whether a body, or a frame in it, says what the body weighs.
fn has_inertial(body: &Element) -> bool {
    body.child("inertial").is_some() || body.all("frame").any(has_inertial)
}

struct Reader<'a> {
    compiler: &'a Compiler,
    defaults: &'a Defaults,
    meshes: Meshes<'a>,
    tree: Tree,
    /// What the file calls joints: none without a name is called so.
    given: BTreeSet<String>,
    /// No joint without a name has this number, or a higher one.
    next_number: usize,
}

impl Reader<'_> {
    /// What is in a body, or in a frame of it, that is at `at` in link `link`. Whether geoms weigh is the body's to say: with an
    /// `<inertial>` none of them does, in a frame neither.
    fn contents(
        &mut self,
        element: &Element,
        link: usize,
        at: Placement,
        class: &str,
        geoms_weigh: bool,
    ) -> Result<(), ImportError> {
        for child in &element.children {
            match child.tag.as_str() {
                "body" => self.body(child, link, at, class)?,
                "frame" => {
                    let class = child.get("childclass").unwrap_or(class);
                    if let Some(joint) = child.children.iter().find(|it| is_joint(it)) {
                        return Err(joint.error("found a joint in a frame, expected it in a body: move it there"));
                    }
                    let at = at.then(&self.compiler.placement(child)?);
                    self.contents(child, link, at, class, geoms_weigh)?;
                }
                "geom" => {
                    let geom = self.defaults.apply(child, class)?;
                    self.meshes.add_geom(&geom, at, geoms_weigh, &mut self.tree.links[link])?;
                }
                "inertial" if self.compiler.inertia_from_geoms != Some(true) => {
                    let inertia = self.inertial(child)?.placed(at.offset_m, at.turn);
                    self.tree.links[link].inertia = Some(inertia);
                }
                "composite" | "flexcomp" | "replicate" | "attach" | "plugin" => {
                    return Err(child.error("found an element that is not supported: save the compiled model as MJCF"));
                }
                _ => (),
            }
        }
        Ok(())
    }

    fn body(&mut self, body: &Element, parent: usize, at: Placement, class: &str) -> Result<(), ImportError> {
        let class = body.get("childclass").unwrap_or(class);
        let mut pose = at.then(&self.compiler.placement(body)?);
        let name = body.get("name").map_or_else(|| format!("body{}", self.tree.links.len()), str::to_owned);
        let mut joints = Vec::new();
        for child in body.children.iter().filter(|child| is_joint(child)) {
            let own = child.get("name").map(str::to_owned);
            let name = own.unwrap_or_else(|| self.free_name(self.tree.links.len() + joints.len()));
            joints.push(self.joint(child, name, class)?);
        }
        let n_joints = joints.len();
        let mut link = parent;
        for (index, (joint, ref_rad)) in joints.into_iter().enumerate() {
            let pose_at_zero = pose.then(&Placement::hinge(joint.anchor_m, joint.axis, -ref_rad));
            let name = if index + 1 == n_joints { name.clone() } else { format!("{name}/{}", joint.name) };
            link = self.add(Link { joint: Some(joint), ..Link::new(name, body.place(), Some(link), pose_at_zero) });
            pose = Placement::HERE;
        }
        if n_joints == 0 {
            link = self.add(Link::new(name, body.place(), Some(parent), pose));
        }
        let geoms_weigh = self.compiler.inertia_from_geoms.unwrap_or_else(|| !has_inertial(body));
        self.contents(body, link, Placement::HERE, class, geoms_weigh)
    }

    /// For the joint of a link: with the link's number, or the next one that makes it the only joint of its name.
    fn free_name(&mut self, link: usize) -> String {
        self.next_number = self.next_number.max(link);
        loop {
            let name = format!("joint{}", self.next_number);
            self.next_number += 1;
            if !self.given.contains(&name) {
                return name;
            }
        }
    }

    fn add(&mut self, link: Link) -> usize {
        self.tree.links.push(link);
        self.tree.links.len() - 1
    }

    /// A joint, and the position that it is drawn at, rad.
    fn joint(&self, element: &Element, name: String, class: &str) -> Result<(Joint, f64), ImportError> {
        if element.tag == "freejoint" {
            return Ok((Joint::new(name, element.place(), Kind::Other("free joint"), DVec3::Z), 0.0));
        }
        let it = self.defaults.apply(element, class)?;
        let kind = match it.get("type").unwrap_or("hinge") {
            "hinge" => Kind::Hinge,
            "slide" => Kind::Other("slide joint"),
            "ball" => Kind::Other("ball joint"),
            "free" => Kind::Other("free joint"),
            other => return Err(it.error(format!("type: found `{other}`, expected hinge, slide, ball or free"))),
        };
        let mut joint = Joint::new(name, element.place(), kind, it.direction("axis")?.unwrap_or(DVec3::Z));
        if kind != Kind::Hinge {
            return Ok((joint, 0.0));
        }
        joint.anchor_m = it.vector("pos")?.unwrap_or_default();
        let range = it.array::<2>("range")?;
        let is_limited = match it.get("limited") {
            Some("true") => true,
            Some("false") => false,
            _ => self.compiler.limits_by_range && range.is_some(),
        };
        joint.range_rad = range.filter(|_| is_limited).map(|range| range.map(|angle| self.compiler.rad(angle)));
        joint.damping_nm_s_rad = it.amount("damping")?.unwrap_or_default();
        joint.armature_kg_m2 = it.amount("armature")?;
        joint.max_effort_nm = force_limit(&it, "actuatorfrcrange")?;
        Ok((joint, self.compiler.rad(it.number("ref")?.unwrap_or_default())))
    }

    fn inertial(&self, element: &Element) -> Result<Inertia, ImportError> {
        let placement = self.compiler.placement(element)?;
        let mass_kg = element.amount("mass")?.ok_or_else(|| element.error("found no mass, expected one, kg"))?;
        let moments_kg_m2 = match (element.array("fullinertia")?, element.array("diaginertia")?) {
            (Some([xx, yy, zz, xy, xz, yz]), _) => DMat3::from_cols_array(&[xx, xy, xz, xy, yy, yz, xz, yz, zz]),
            (None, Some(diagonal)) => DMat3::from_diagonal(DVec3::from_array(diagonal)),
            (None, None) => DMat3::ZERO,
        };
        let own = Inertia { mass_kg, center_m: DVec3::ZERO, moments_kg_m2 };
        Ok(own.placed(placement.offset_m, placement.turn))
    }
}

/// The larger end of a range of forces or torques; none where it is 0.
pub(super) fn force_limit(element: &Element, attribute: &str) -> Result<Option<f64>, ImportError> {
    let range = element.array::<2>(attribute)?;
    Ok(range.map(|[lower, upper]| lower.abs().max(upper.abs())).filter(|&limit| limit > 0.0))
}
