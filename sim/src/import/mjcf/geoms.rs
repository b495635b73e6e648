//! Geoms: what touches things, and what weighs where there is no `<inertial>`.

use super::defaults::Defaults;
use super::weight::Weight;
use crate::import::element::Element;
use crate::import::error::ImportError;
use crate::import::files::Files;
use crate::import::fit::{self, Fit};
use crate::import::frame::Compiler;
use crate::import::mesh::Mesh;
use crate::import::tree::{Link, Placement, USUAL_DENSITY};
use crate::solid::Solid;
use rapier3d::glamx::{DQuat, DVec3};
use std::collections::BTreeMap;
use std::path::Path;

/// The mesh assets of a document; files are read when they are needed.
pub(super) struct Meshes<'a> {
    assets: BTreeMap<String, Element>,
    compiler: &'a Compiler,
    files: &'a Files,
}

/// A geom as a solid in its body's frame.
struct Shaped {
    solid: Solid,
    /// Of the geom, not of the solid.
    weight: Weight,
    fit: Option<Fit>,
}

impl<'a> Meshes<'a> {
    pub(super) fn new(
        document: &Element,
        defaults: &Defaults,
        compiler: &'a Compiler,
        files: &'a Files,
    ) -> Result<Self, ImportError> {
        let mut assets = BTreeMap::new();
        for mesh in document.all("asset").flat_map(|asset| asset.all("mesh")) {
            let asset = defaults.apply(mesh, "main")?;
            let stem = |file: &str| Path::new(file).file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            let name = asset.get("name").map(str::to_owned).or_else(|| asset.get("file").and_then(stem));
            assets.insert(name.ok_or_else(|| mesh.error("found neither name nor file, expected one"))?, asset);
        }
        Ok(Self { assets, compiler, files })
    }

    /// Adds a geom, at `at` in the link: its shape if it collides, its mass if it weighs.
    pub(super) fn add_geom(
        &self,
        geom: &Element,
        at: Placement,
        weighs: bool,
        link: &mut Link,
    ) -> Result<(), ImportError> {
        let number = |name: &str, usual: f64| Ok::<f64, ImportError>(geom.number(name)?.unwrap_or(usual));
        let collides = number("contype", 1.0)? != 0.0 || number("conaffinity", 1.0)? != 0.0;
        let density = geom.amount("density")?.unwrap_or(USUAL_DENSITY);
        let mass_kg = geom.amount("mass")?;
        let [first, last] = self.compiler.inertia_groups;
        let weighs = weighs && (first..=last).contains(&number("group", 0.0)?) && mass_kg.unwrap_or(density) > 0.0;
        if !collides && !weighs {
            return Ok(());
        }
        let shaped = match self.shape(geom) {
            Ok(Some(shaped)) => shaped,
            Ok(None) => return Ok(()),
            // Whether that matters is known when the hand is.
            Err(error) => {
                link.missing.get_or_insert(error);
                return Ok(());
            }
        };
        if weighs {
            let inertia = shaped.weight.inertia(mass_kg, density);
            link.weigh(inertia.map(|inertia| inertia.placed(at.offset_m, at.turn)));
        }
        if collides {
            link.shapes.push(shaped.solid.placed(at.offset_m, at.turn));
            link.notes.extend(shaped.fit.map(|fit| format!("{}: {}", geom.place(), fit.words())));
        }
        Ok(())
    }

    /// A geom as a solid, if it is a body.
    fn shape(&self, geom: &Element) -> Result<Option<Shaped>, ImportError> {
        let placement = self.compiler.placement(geom)?;
        let exact = |solid| Ok(Some(Shaped { solid, weight: Weight::solid(&solid), fit: None }));
        let fitted = |fit: Fit, weight| Ok(Some(Shaped { solid: fit.solid, weight, fit: Some(fit) }));
        let kind = geom.get("type").unwrap_or("sphere");
        if let (Some(name), true) = (geom.get("mesh"), kind != "plane" && kind != "hfield") {
            let mesh = self.load(name, geom)?;
            let mesh = mesh.map(|vertex| placement.point_m(vertex));
            let fit = fit::vertices(&mesh.vertices);
            return fitted(fit, Weight::mesh(&mesh).unwrap_or_else(|| Weight::solid(&fit.solid)));
        }
        match kind {
            "sphere" => exact(Solid::Ball { center_m: placement.offset_m, radius_m: sizes::<1>(geom)?[0] }),
            "capsule" => {
                let (from_m, to_m, radius_m) = self.along_axis(geom, &placement)?;
                exact(Solid::Capsule { from_m, to_m, radius_m })
            }
            "cylinder" => {
                let (from_m, to_m, radius_m) = self.along_axis(geom, &placement)?;
                fitted(fit::cylinder(from_m, to_m, radius_m), Weight::cylinder(from_m, to_m, radius_m))
            }
            "box" => {
                let (center_m, half_extents_m, turn) = self.extents(geom, &placement)?;
                exact(Solid::Box { center_m, half_extents_m, turn })
            }
            "ellipsoid" => {
                let (center_m, radii_m, turn) = self.extents(geom, &placement)?;
                fitted(fit::ellipsoid(center_m, radii_m, turn), Weight::ellipsoid(center_m, radii_m, turn))
            }
            // The ground: no part of a hand.
            "plane" | "hfield" => Ok(None),
            other => Err(geom
                .error(format!("type: found `{other}`, expected sphere, capsule, cylinder, box, ellipsoid or mesh"))),
        }
    }

    /// Ends of the axis and radius of something along z, or from one point to another.
    fn along_axis(&self, geom: &Element, placement: &Placement) -> Result<(DVec3, DVec3, f64), ImportError> {
        if let Some([a, b, c, d, e, f]) = geom.array("fromto")? {
            return Ok((DVec3::new(a, b, c), DVec3::new(d, e, f), sizes::<1>(geom)?[0]));
        }
        let [radius_m, half_m] = sizes::<2>(geom)?;
        let end = half_m * DVec3::Z;
        Ok((placement.point_m(-end), placement.point_m(end), radius_m))
    }

    /// Centre, half extents and turn of something that has three sizes, or one and goes from one point to another.
    fn extents(&self, geom: &Element, placement: &Placement) -> Result<(DVec3, DVec3, DQuat), ImportError> {
        if geom.get("fromto").is_none() {
            return Ok((placement.offset_m, DVec3::from_array(sizes::<3>(geom)?), placement.turn));
        }
        let (from_m, to_m, radius_m) = self.along_axis(geom, placement)?;
        let half_extents_m = DVec3::new(radius_m, radius_m, 0.5 * (to_m - from_m).length());
        let turn = DQuat::from_rotation_arc(DVec3::Z, (to_m - from_m).normalize_or(DVec3::Z));
        Ok((0.5 * (from_m + to_m), half_extents_m, turn))
    }

    fn load(&self, name: &str, user: &Element) -> Result<Mesh, ImportError> {
        let unknown = || user.error(format!("mesh: found `{name}`, expected one that <asset> has"));
        let asset = self.assets.get(name).ok_or_else(unknown)?;
        let mesh = match asset.numbers("vertex")? {
            Some(numbers) => {
                let vertices: Vec<DVec3> = numbers.chunks_exact(3).map(DVec3::from_slice).collect();
                if vertices.len() < 4 {
                    return Err(asset.error(format!("vertex: found {} vertices, expected 4 or more", vertices.len())));
                }
                Mesh { vertices, triangles: Vec::new() }
            }
            None => {
                let file = asset.require("file")?;
                let last = Path::new(file).file_name().and_then(|name| name.to_str());
                let file = if self.compiler.strips_paths { last.unwrap_or(file) } else { file };
                self.files.mesh(&self.compiler.mesh_folder, file, &asset.place())?
            }
        };
        let scale = asset.vector("scale")?.unwrap_or(DVec3::ONE);
        let from_m = asset.vector("refpos")?.unwrap_or_default();
        let turn = asset.quaternion("refquat")?.unwrap_or(DQuat::IDENTITY).inverse();
        Ok(mesh.map(|vertex| turn * (vertex - from_m) * scale))
    }
}

/// The first `N` sizes, all above zero.
fn sizes<const N: usize>(geom: &Element) -> Result<[f64; N], ImportError> {
    let all = geom.numbers("size")?.unwrap_or_default();
    let first = all.first_chunk::<N>().filter(|sizes| sizes.iter().all(|&size| size > 0.0));
    first.copied().ok_or_else(|| geom.error(format!("size: found {all:?}, expected {N} numbers above 0, m")))
}
