//! Triangle meshes from STL (binary, text) and OBJ files.
//!
//! Volume and moments are sums over the tetrahedra between the origin and the triangles (0, a, b, c), with d = a . (b x c):
//! V = sum d/6, first moment sum d (a + b + c)/24, second moment S = sum d (s s^T + a a^T + b b^T + c c^T)/120 with
//! s = a + b + c; the moments of inertia are tr(S) 1 - S.

use crate::inertia::Inertia;
use rapier3d::glamx::{DMat3, DVec3};

/// Vertices are nearer than this, in any unit that a mesh may have.
const MAX_COORDINATE: f64 = 1e7;
/// Bytes of a binary STL before its triangles, and of a triangle.
const STL_HEADER: usize = 84;
const STL_TRIANGLE: usize = 50;

/// A surface.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mesh {
    pub(crate) vertices: Vec<DVec3>,
    pub(crate) triangles: Vec<[usize; 3]>,
}

impl Mesh {
    /// Parses a file of this ending.
    pub(crate) fn parse(ending: &str, bytes: &[u8]) -> Result<Self, String> {
        let mesh = match ending {
            "stl" => binary_stl(bytes).unwrap_or_else(|| text_stl(&String::from_utf8_lossy(bytes)))?,
            "obj" => obj(&String::from_utf8_lossy(bytes))?,
            other => return Err(format!("found a file that ends in `{other}`, expected .stl or .obj: convert it")),
        };
        match mesh.vertices.len() {
            0..=3 => Err(format!("found {} vertices, expected a body: 4 or more", mesh.vertices.len())),
            _ => Ok(mesh),
        }
    }

    /// The same with every vertex where `place` puts it.
    pub(crate) fn map(mut self, place: impl Fn(DVec3) -> DVec3) -> Self {
        for vertex in &mut self.vertices {
            *vertex = place(*vertex);
        }
        self
    }

    /// Its inertia at `density` (kg/m^3), if it has a volume: if it is closed.
    pub(crate) fn inertia(&self, density: f64) -> Option<Inertia> {
        // From the middle, so that what is far from the origin loses nothing.
        let middle_m = self.vertices.iter().sum::<DVec3>() / self.vertices.len().max(1) as f64;
        let (mut volume, mut first, mut second) = (0.0, DVec3::ZERO, DMat3::ZERO);
        for &[a, b, c] in &self.triangles {
            let [a, b, c] = [self.vertices[a] - middle_m, self.vertices[b] - middle_m, self.vertices[c] - middle_m];
            let (d, s) = (a.dot(b.cross(c)), a + b + c);
            volume += d / 6.0;
            first += s * (d / 24.0);
            second += (square(s) + square(a) + square(b) + square(c)) * (d / 120.0);
        }
        if volume.abs() < 1e-12 {
            return None;
        }
        // A surface that is turned inside out has everything negative.
        let (volume, first, second) = (volume.abs(), first * volume.signum(), second * volume.signum());
        let center = first / volume;
        let spread = second - square(center) * volume;
        let trace = spread.x_axis.x + spread.y_axis.y + spread.z_axis.z;
        let moments_kg_m2 = (DMat3::from_diagonal(DVec3::splat(trace)) - spread) * density;
        Some(Inertia { mass_kg: volume * density, center_m: middle_m + center, moments_kg_m2 })
    }
}

/// v v^T.
fn square(v: DVec3) -> DMat3 {
    DMat3::from_cols(v * v.x, v * v.y, v * v.z)
}

fn vertex(components: [f64; 3]) -> Result<DVec3, String> {
    // Written so that NaN is refused.
    if components.iter().all(|x| x.abs() < MAX_COORDINATE) {
        Ok(DVec3::from_array(components))
    } else {
        Err(format!("found a vertex at {components:?}, expected finite numbers below {MAX_COORDINATE}"))
    }
}

/// None where the length is not that of a binary file.
fn binary_stl(bytes: &[u8]) -> Option<Result<Mesh, String>> {
    let n_triangles = u32::from_le_bytes(bytes.get(80..STL_HEADER)?.try_into().ok()?) as usize;
    if bytes.len() != n_triangles.checked_mul(STL_TRIANGLE)?.checked_add(STL_HEADER)? {
        return None;
    }
    let mut mesh = Mesh::default();
    for triangle in bytes[STL_HEADER..].chunks_exact(STL_TRIANGLE) {
        // After the normal.
        for corner in triangle[12..48].chunks_exact(12) {
            let mut components = [0.0; 3];
            for (component, bytes) in components.iter_mut().zip(corner.as_chunks::<4>().0) {
                *component = f64::from(f32::from_le_bytes(*bytes));
            }
            match vertex(components) {
                Ok(vertex) => mesh.vertices.push(vertex),
                Err(reason) => return Some(Err(reason)),
            }
        }
    }
    mesh.add_triples();
    Some(Ok(mesh))
}

fn text_stl(text: &str) -> Result<Mesh, String> {
    let mut mesh = Mesh::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("vertex") {
            mesh.vertices.push(vertex(three(words)?)?);
        }
    }
    mesh.add_triples();
    Ok(mesh)
}

impl Mesh {
    /// Every three vertices are a triangle.
    fn add_triples(&mut self) {
        self.triangles = (0..self.vertices.len() / 3).map(|k| [3 * k, 3 * k + 1, 3 * k + 2]).collect();
    }
}

fn obj(text: &str) -> Result<Mesh, String> {
    let mut mesh = Mesh::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("v") => mesh.vertices.push(vertex(three(words)?)?),
            Some("f") => {
                let corners = words.map(|word| corner(word, mesh.vertices.len())).collect::<Result<Vec<_>, _>>()?;
                let [first, rest @ ..] = corners.as_slice() else { continue };
                mesh.triangles.extend(rest.windows(2).map(|pair| [*first, pair[0], pair[1]]));
            }
            _ => (),
        }
    }
    Ok(mesh)
}

/// The vertex of a corner `v`, `v/vt` or `v/vt/vn`: from 1, or from the last one backwards.
fn corner(word: &str, n_vertices: usize) -> Result<usize, String> {
    let index: i64 = word.split('/').next().and_then(|index| index.parse().ok()).unwrap_or(0);
    let from_start = if index < 0 { index.saturating_add(n_vertices as i64) } else { index - 1 };
    let found = usize::try_from(from_start).ok().filter(|&index| index < n_vertices);
    found.ok_or_else(|| {
        format!("found a corner `{}`, expected one of {n_vertices} vertices", super::element::shortened(word))
    })
}

fn three<'a>(words: impl Iterator<Item = &'a str>) -> Result<[f64; 3], String> {
    let numbers: Vec<f64> = words.take(3).filter_map(|word| word.parse().ok()).collect();
    let incomplete = |numbers: Vec<f64>| format!("found a vertex of {} numbers, expected 3", numbers.len());
    numbers.try_into().map_err(incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUBE: &str = "v 1 1 1\nv 3 1 1\nv 3 3 1\nv 1 3 1\nv 1 1 3\nv 3 1 3\nv 3 3 3\nv 1 3 3\n\
        f 4 3 2 1\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf -1 -5 -8 -4\n";

    /// Contract: a cube with an edge of 2 m at (2, 2, 2) m has 8 m^3 and m/6 edge^2 about every axis, whichever way its faces
    /// are turned, and as any format.
    #[test]
    fn a_cube_is_worked_by_hand() {
        let cube = Mesh::parse("obj", CUBE.as_bytes()).unwrap();
        let mut inside_out = cube.clone();
        for triangle in &mut inside_out.triangles {
            triangle.swap(0, 1);
        }
        let mut binary = vec![0; 80];
        binary.extend((cube.triangles.len() as u32).to_le_bytes());
        let mut text = "solid cube\n".to_owned();
        for triangle in &cube.triangles {
            binary.extend([0; 12]);
            for &corner in triangle {
                let [x, y, z] = cube.vertices[corner].to_array();
                binary.extend([x, y, z].into_iter().flat_map(|x| (x as f32).to_le_bytes()));
                text += &format!("vertex {x} {y} {z}\n");
            }
            binary.extend([0; 2]);
        }
        let (binary, text) = (Mesh::parse("stl", &binary).unwrap(), Mesh::parse("stl", text.as_bytes()).unwrap());
        for mesh in [cube, inside_out, binary, text] {
            let inertia = mesh.inertia(0.5).unwrap();
            assert!((inertia.mass_kg - 4.0).abs() < 1e-9 && (inertia.center_m - DVec3::splat(2.0)).length() < 1e-9);
            let [xx, yy, zz, xy, xz, yz] = inertia.moments_kg_m2();
            let off = [xx - 16.0 / 6.0, yy - 16.0 / 6.0, zz - 16.0 / 6.0, xy, xz, yz];
            assert!(off.iter().all(|off| off.abs() < 1e-9), "{off:?}");
        }
    }

    /// Contract: what is no mesh is refused with what was found.
    #[test]
    fn broken_meshes_are_refused() {
        for (ending, text, reason) in [
            ("obj", "v 1 2\n", "a vertex of 2 numbers"),
            ("obj", "v 1 2 NaN\n", "expected finite numbers"),
            ("obj", "v 1 2 3\nf 1 2 3\n", "found a corner `2`, expected one of 1 vertices"),
            ("obj", "v 0 0 0\nf -9223372036854775808 1 1\n", "found a corner"),
            ("stl", "solid\nvertex 1 2 3\n", "found 1 vertices"),
            ("dae", "", "ends in `dae`"),
        ] {
            let error = Mesh::parse(ending, text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
