//! What a geom weighs: what it is in the file, as in MuJoCo, not what stands for it where things touch.
//!
//! About its middle a cylinder of mass m, radius r and length l has m r^2/2 along its axis and m (3 r^2 + l^2)/12 across it, and the
//! volume pi r^2 l; an ellipsoid with the semi-axes a, b, c has m (b^2 + c^2)/5 along a, and the volume 4/3 pi a b c.

use crate::import::mesh::Mesh;
use crate::inertia::Inertia;
use crate::solid::Solid;
use rapier3d::glamx::{DMat3, DQuat, DVec3};
use std::f64::consts::PI;

/// Of a geom whose mass is spread evenly, in its body's frame.
pub(super) struct Weight {
    volume_m3: f64,
    /// Were it 1 kg.
    of_1_kg: Inertia,
}

impl Weight {
    pub(super) fn solid(solid: &Solid) -> Self {
        Self { volume_m3: solid.volume_m3(), of_1_kg: Inertia::uniform(solid, 1.0) }
    }

    pub(super) fn cylinder(from_m: DVec3, to_m: DVec3, radius_m: f64) -> Self {
        let (length_m, square_m2) = ((to_m - from_m).length(), radius_m * radius_m);
        let across = (3.0 * square_m2 + length_m * length_m) / 12.0;
        let turn = DQuat::from_rotation_arc(DVec3::Z, (to_m - from_m).normalize_or(DVec3::Z));
        let moments = DVec3::new(across, across, 0.5 * square_m2);
        Self::new(PI * square_m2 * length_m, 0.5 * (from_m + to_m), moments, turn)
    }

    pub(super) fn ellipsoid(center_m: DVec3, radii_m: DVec3, turn: DQuat) -> Self {
        let square = radii_m * radii_m / 5.0;
        let moments = DVec3::new(square.y + square.z, square.x + square.z, square.x + square.y);
        Self::new(4.0 / 3.0 * PI * radii_m.element_product(), center_m, moments, turn)
    }

    /// None of a mesh that is not closed.
    pub(super) fn mesh(mesh: &Mesh) -> Option<Self> {
        // At a density of one the mass is the volume.
        let Inertia { mass_kg: volume_m3, center_m, moments_kg_m2 } = mesh.inertia(1.0)?;
        let of_1_kg = Inertia { mass_kg: 1.0, center_m, moments_kg_m2: moments_kg_m2 * (1.0 / volume_m3) };
        Some(Self { volume_m3, of_1_kg })
    }

    /// Of 1 kg with these moments along its axes, which are turned.
    fn new(volume_m3: f64, center_m: DVec3, moments_kg_m2: DVec3, turn: DQuat) -> Self {
        let moments_kg_m2 = DMat3::from_diagonal(moments_kg_m2);
        let straight = Inertia { mass_kg: 1.0, center_m: DVec3::ZERO, moments_kg_m2 };
        Self { volume_m3, of_1_kg: straight.placed(center_m, turn) }
    }

    /// At a mass, else at a density (kg/m^3); none where that is nothing.
    pub(super) fn inertia(&self, mass_kg: Option<f64>, density: f64) -> Option<Inertia> {
        let mass_kg = mass_kg.unwrap_or(density * self.volume_m3);
        let moments_kg_m2 = self.of_1_kg.moments_kg_m2 * mass_kg;
        (mass_kg > 0.0).then_some(Inertia { mass_kg, moments_kg_m2, ..self.of_1_kg })
    }
}
