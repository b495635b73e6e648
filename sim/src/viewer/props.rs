//! What parts look like: meshes around the shapes that the physics has.
//!
//! A part is drawn where and as large as it is. What is added has no physics: the back of the hand, knuckles, the screw of
//! the scissors.

use crate::viewer::paint;
use crate::viewer::studio::Subject;
use bevy::asset::RenderAssetUsages;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;
use sim::{Part, PartKind, Shape};
use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};

/// A mesh with its colour and its place in the frame of a part.
pub struct Piece {
    /// Shape.
    pub mesh: Mesh,
    /// Colour.
    pub color: Color,
    /// Whether it shines like steel.
    pub is_steel: bool,
    /// Place.
    pub local_from_mesh: Transform,
}

impl Piece {
    fn new(mesh: impl Into<Mesh>, color: Color, local_from_mesh: Transform) -> Self {
        Self { mesh: mesh.into(), color, is_steel: false, local_from_mesh }
    }

    fn capsule(start: Vec3, end: Vec3, radius_m: f32, color: Color) -> Self {
        let axis = (end - start).normalize_or(Vec3::Y);
        let place =
            Transform::from_translation(start.midpoint(end)).with_rotation(Quat::from_rotation_arc(Vec3::Y, axis));
        let mesh = Capsule3d::new(radius_m, start.distance(end)).mesh().longitudes(32).latitudes(16).build();
        Self::new(mesh, color, place)
    }
}

/// What part `index` of `subject` looks like.
pub fn pieces(subject: &Subject, index: usize) -> Vec<Piece> {
    let part = &subject.parts[index];
    let color = paint::part_color(part.kind);
    match (part.shape, part.kind) {
        (Shape::Cuboid { center_m, half_extents_m }, PartKind::Floor) => {
            // The physical floor ends; the studio's goes on into the backdrop.
            let top = Vec3::from(center_m) + Vec3::Z * half_extents_m[2];
            vec![Piece::new(Circle::new(4.0).mesh().resolution(64).build(), color, Transform::from_translation(top))]
        }
        (Shape::Cuboid { center_m, half_extents_m }, PartKind::Cube) => {
            painted_cube(center_m.into(), half_extents_m.into())
        }
        (Shape::Cuboid { center_m, half_extents_m }, PartKind::Scissors { .. }) => {
            blade(center_m.into(), half_extents_m.into(), color)
        }
        (Shape::Cuboid { center_m, half_extents_m }, PartKind::Palm) => {
            let (center, half) = (Vec3::from(center_m), Vec3::from(half_extents_m));
            let mesh = rounded_cuboid(half, 0.9 * half.min_element());
            let palm = Piece::new(mesh, color, Transform::from_translation(center));
            std::iter::once(palm).chain(back_of_the_hand(subject, index, center, half)).collect()
        }
        (Shape::Cuboid { center_m, half_extents_m }, _) => {
            let mesh = Cuboid::from_size(2.0 * Vec3::from(half_extents_m));
            vec![Piece::new(mesh, color, Transform::from_translation(center_m.into()))]
        }
        (Shape::Ball { center_m, radius_m }, _) => {
            vec![Piece::new(
                Sphere::new(radius_m).mesh().uv(32, 20),
                color,
                Transform::from_translation(center_m.into()),
            )]
        }
        (Shape::Capsule { start_m, end_m, radius_m }, kind) => {
            let bone = Piece::capsule(start_m.into(), end_m.into(), radius_m, color);
            // A joint shows as a dark band around the link's beginning.
            let knuckle = matches!(kind, PartKind::Link { .. }).then(|| {
                let mesh = Sphere::new(1.04 * radius_m).mesh().uv(32, 20);
                Piece::new(mesh, paint::KNUCKLE, Transform::from_translation(start_m.into()))
            });
            std::iter::once(bone).chain(knuckle).collect()
        }
    }
}

/// Bones from the wrist to the fingers, and the wrist: what makes a box a palm.
fn back_of_the_hand(subject: &Subject, palm: usize, center: Vec3, half: Vec3) -> Vec<Piece> {
    /// Length of what is seen of the arm, m.
    const WRIST_M: f32 = 0.07;
    let pose = |index: usize| {
        let (position_m, orientation) = subject.frame.part_poses.get(index).copied().unwrap_or_default();
        (Vec3::from(position_m), Quat::from_array(orientation))
    };
    let (origin, turn) = pose(palm);
    let color = paint::part_color(PartKind::Palm);
    let heel = center - Vec3::X * (half.x - half.z);
    let mut pieces = Vec::new();
    let mut n_fingers = 0;
    for (index, Part { kind, shape }) in subject.parts.iter().enumerate() {
        let (PartKind::Link { finger }, Shape::Capsule { radius_m, .. }) = (kind, shape) else { continue };
        // The first link of each finger.
        if *finger == n_fingers {
            n_fingers += 1;
            let knuckle = turn.inverse() * (pose(index).0 - origin);
            let start = heel + Vec3::Y * (0.5 * (knuckle.y - center.y)).clamp(-0.7 * half.y, 0.7 * half.y);
            pieces.push(Piece::capsule(start, knuckle, *radius_m, color));
        }
    }
    let mut wrist = Piece::capsule(heel, heel - Vec3::X * WRIST_M, 0.62 * half.y, paint::SLEEVE);
    wrist.local_from_mesh.scale.z = 0.7;
    pieces.push(wrist);
    pieces
}

/// A pointed blade with its edge towards the other one, and the screw at the pivot.
fn blade(center: Vec3, half: Vec3, handle: Color) -> Vec<Piece> {
    /// How far the blade reaches beyond the pivot, and the size of the screw, m.
    const TANG_M: f32 = 0.010;
    const SCREW_M: (f32, f32) = (0.0036, 0.0022);
    // The edge is on the side that is nearer to the middle: past it.
    let out = -center.y.signum();
    let (edge, spine) = (center.y + out * half.y, center.y - out * half.y);
    let (tip, bend) = (center.z - half.z, center.z + 0.2 * half.z);
    let outline = [
        Vec2::new(edge, TANG_M),
        Vec2::new(edge, tip),
        Vec2::new(edge + 0.22 * (spine - edge), tip),
        Vec2::new(spine, bend),
        Vec2::new(spine, TANG_M),
    ];
    let mut steel = Piece::new(plate(&outline, half.x), paint::STEEL, Transform::from_xyz(center.x, 0.0, 0.0));
    steel.is_steel = true;
    // Cylinders are along y, the pivot along x.
    let across = Quat::from_rotation_z(FRAC_PI_2);
    let screw = Transform::from_xyz(center.x * 2.0, 0.0, 0.0).with_rotation(across);
    let mut screw = Piece::new(Cylinder::new(SCREW_M.0, SCREW_M.1), paint::SCREW, screw);
    screw.is_steel = true;
    let collar = Transform::from_xyz(center.x, 0.0, 0.6 * TANG_M);
    vec![steel, screw, Piece::new(Sphere::new(0.45 * TANG_M), handle, collar)]
}

/// A flat plate with the convex `outline` (y, z), `2 half_m` thick along x.
fn plate(outline: &[Vec2], half_m: f32) -> Mesh {
    let (mut positions, mut normals, mut indices) = (Vec::new(), Vec::new(), Vec::new());
    let mut face = |corners: &[Vec3], outwards: Vec3| {
        let first = positions.len() as u32;
        let winding = (corners[1] - corners[0]).cross(corners[2] - corners[0]).dot(outwards);
        for corner in 1..corners.len() as u32 - 1 {
            let (second, third) = if winding > 0.0 { (corner, corner + 1) } else { (corner + 1, corner) };
            indices.extend([first, first + second, first + third]);
        }
        positions.extend(corners.iter().map(Vec3::to_array));
        normals.extend(corners.iter().map(|_| outwards.to_array()));
    };
    let at = |side: f32, point: Vec2| Vec3::new(side * half_m, point.x, point.y);
    for side in [-1.0, 1.0] {
        let corners: Vec<Vec3> = outline.iter().map(|&point| at(side, point)).collect();
        face(&corners, side * Vec3::X);
    }
    let middle = outline.iter().sum::<Vec2>() / outline.len() as f32;
    for (index, &start) in outline.iter().enumerate() {
        let end = outline[(index + 1) % outline.len()];
        let normal = (end - start).perp().normalize_or_zero();
        let normal = if normal.dot(start - middle) > 0.0 { normal } else { -normal };
        face(&[at(-1.0, start), at(1.0, start), at(1.0, end), at(-1.0, end)], Vec3::new(0.0, normal.x, normal.y));
    }
    mesh(positions, normals, indices)
}

/// A box with round edges.
fn rounded_cuboid(half: Vec3, radius_m: f32) -> Mesh {
    /// Steps of a quarter turn around an edge.
    const N_STEPS: usize = 6;
    let core = half - Vec3::splat(radius_m);
    // Coordinates along an edge, as sums of a multiple of the core's half and one of the radius.
    let line: Vec<(f32, f32)> = [-1.0f32, 1.0]
        .into_iter()
        .flat_map(|side| {
            let steps = 0..=N_STEPS;
            steps.map(move |step| {
                let share = step as f32 / N_STEPS as f32 - f32::from(u8::from(side < 0.0));
                (side, (FRAC_PI_4 * share).tan())
            })
        })
        .collect();
    let n = line.len();
    let (mut positions, mut normals, mut indices) = (Vec::new(), Vec::new(), Vec::new());
    let axes = [Vec3::X, Vec3::Y, Vec3::Z];
    for (axis, side) in (0..3).flat_map(|axis| [(axis, -1.0), (axis, 1.0)]) {
        let (normal, u, v) = (side * axes[axis], axes[(axis + 1) % 3], axes[(axis + 2) % 3]);
        let first = positions.len() as u32;
        for (&(core_u, round_u), &(core_v, round_v)) in line.iter().flat_map(|a| line.iter().map(move |b| (a, b))) {
            let outwards = (normal + u * round_u + v * round_v).normalize();
            let corner = (normal + u * core_u + v * core_v) * core;
            positions.push((corner + radius_m * outwards).to_array());
            normals.push(outwards.to_array());
        }
        for (row, column) in (0..n - 1).flat_map(|row| (0..n - 1).map(move |column| (row, column))) {
            let at = |row: usize, column: usize| first + (row * n + column) as u32;
            let [a, b, c, d] = [at(row, column), at(row + 1, column), at(row + 1, column + 1), at(row, column + 1)];
            indices.extend(if side > 0.0 { [a, b, c, a, c, d] } else { [a, c, b, a, d, c] });
        }
    }
    mesh(positions, normals, indices)
}

fn mesh(positions: Vec<[f32; 3]>, normals: Vec<[f32; 3]>, indices: Vec<u32>) -> Mesh {
    Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, positions)
        .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, normals)
        .with_inserted_indices(Indices::U32(indices))
}

/// A dark cube with a coloured plate on each face: a turn is seen at once.
fn painted_cube(center: Vec3, half: Vec3) -> Vec<Piece> {
    /// Edge of a plate over the cube's.
    const PLATE_SHARE: f32 = 0.86;
    /// Rise of a plate above its face over the cube's edge: enough to be drawn in front of it.
    const PLATE_RISE: f32 = 0.003;
    let body = Piece::new(rounded_cuboid(half, 0.06 * half.x), paint::CUBE_BODY, Transform::from_translation(center));
    let faces = [
        (Vec3::X, Quat::from_rotation_y(FRAC_PI_2)),
        (Vec3::NEG_X, Quat::from_rotation_y(-FRAC_PI_2)),
        (Vec3::Y, Quat::from_rotation_x(-FRAC_PI_2)),
        (Vec3::NEG_Y, Quat::from_rotation_x(FRAC_PI_2)),
        (Vec3::Z, Quat::IDENTITY),
        (Vec3::NEG_Z, Quat::from_rotation_x(2.0 * FRAC_PI_2)),
    ];
    let plates = faces.into_iter().zip(paint::CUBE_FACES).map(|((normal, rotation), color)| {
        let place = Transform::from_translation(center + normal * half * (1.0 + 2.0 * PLATE_RISE));
        Piece::new(Rectangle::from_size(2.0 * PLATE_SHARE * half.xy()), color, place.with_rotation(rotation))
    });
    std::iter::once(body).chain(plates).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy::mesh::VertexAttributeValues;

    fn positions(mesh: &Mesh) -> Vec<Vec3> {
        match mesh.attribute(Mesh::ATTRIBUTE_POSITION) {
            Some(VertexAttributeValues::Float32x3(values)) => values.iter().copied().map(Vec3::from).collect(),
            _ => Vec::new(),
        }
    }

    /// Six times the volume that a closed mesh encloses: negative where it is inside out.
    fn volume6(mesh: &Mesh) -> f32 {
        let (at, indices) = (positions(mesh), mesh.indices().unwrap());
        let corners: Vec<Vec3> = indices.iter().map(|index| at[index]).collect();
        corners.as_chunks::<3>().0.iter().map(|[a, b, c]| a.dot(b.cross(*c))).sum()
    }

    /// Contract: meshes are closed, face outwards, and are as large as the shapes that they stand for.
    #[test]
    fn meshes_are_as_large_as_their_shapes() {
        let half = Vec3::new(0.034, 0.032, 0.009);
        let radius_m = 0.008;
        let rounded = rounded_cuboid(half, radius_m);
        let reach = positions(&rounded).into_iter().reduce(|a, b| a.max(b.abs())).unwrap();
        assert!((reach - half).abs().max_element() < 1e-6, "{reach} m, expected {half} m");
        // A box of the core, plates on its faces, quarter cylinders along its edges, a ball at its corners.
        let core = half - Vec3::splat(radius_m);
        let plates = 8.0 * radius_m * (core.x * core.y + core.y * core.z + core.z * core.x);
        let edges = std::f32::consts::PI * radius_m.powi(2) * 2.0 * core.element_sum();
        let expected =
            8.0 * core.element_product() + plates + edges + 4.0 / 3.0 * std::f32::consts::PI * radius_m.powi(3);
        let found = volume6(&rounded) / 6.0;
        assert!((found / expected - 1.0).abs() < 0.01, "{found} m^3, expected {expected} m^3");

        let square = [(0.0, 0.0), (0.0, 2.0), (1.0, 2.0), (1.0, 0.0)].map(Vec2::from);
        assert!((volume6(&plate(&square, 0.5)) / 6.0 - 2.0).abs() < 1e-5);
    }
}
