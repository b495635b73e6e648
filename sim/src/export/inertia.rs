//! Mass and inertia of a link, as the physics has them.

use crate::hand::Finger;

/// Of one link, in its own frame.
pub(crate) struct Inertia {
    /// Mass, kg.
    pub(crate) mass_kg: f64,
    /// Centre of mass, m.
    pub(crate) center_m: [f64; 3],
    /// About the centre of mass: xx, yy, zz, xy, xz, yz, kg m^2.
    pub(crate) moments_kg_m2: [f64; 6],
}

impl Inertia {
    /// Of the link behind joint `link` of `finger`, with the tip if it is the last.
    pub(crate) fn of(finger: &Finger, link: usize) -> Self {
        let is_distal = link + 1 == finger.joints.len();
        let tip = is_distal.then(|| finger.tip.collider());
        let parts = std::iter::once(finger.joints[link].link.collider()).chain(tip);
        let whole = parts
            .map(|part| part.build())
            .map(|part| part.mass_properties().transform_by(part.position()))
            .reduce(|a, b| a + b)
            .unwrap_or_default();
        let matrix = whole.reconstruct_inertia_matrix().to_cols_array_2d();
        let at = |row: usize, column: usize| f64::from(matrix[column][row]);
        Self {
            mass_kg: f64::from(whole.mass()),
            center_m: whole.local_com.to_array().map(f64::from),
            moments_kg_m2: [at(0, 0), at(1, 1), at(2, 2), at(0, 1), at(0, 2), at(1, 2)],
        }
    }
}
