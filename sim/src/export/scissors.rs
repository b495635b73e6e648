//! The scissors as MJCF.

use super::mjcf::{add_inertia, geom};
use super::xml::{Xml, numbers};
use crate::inertia::Inertia;
use crate::scissors::{OVERTURN_RAD, Piece, ShearsParameters, pieces};
use crate::solid::Solid;

/// Scissors as MJCF: a half that is free, called `finger_half`, and on it `thumb_half`, whose hinge `pivot` is at minus the
/// opening, rad. Both have their origin on the pivot, x along its axis and z from blade to loop. The loops have Coulomb friction
/// `handle_friction`; that of the pivot is MuJoCo's `frictionloss`, and does not creep as ours does. Contype 1, as an
/// object has that the hand touches; the halves do not touch each other.
#[must_use]
pub fn mjcf_scissors(parameters: &ShearsParameters, handle_friction: f64) -> String {
    let mut xml = Xml::new("  Scissors. Metres, kilograms, seconds, radians.");
    xml.open("mujoco", &[("model", "scissors".into())]);
    xml.leaf(
        "compiler",
        &[("angle", "radian".into()), ("autolimits", "true".into()), ("inertiafromgeom", "false".into())],
    );
    xml.open("worldbody", &[]);
    xml.open("body", &[("name", "finger_half".into())]);
    xml.leaf("freejoint", &[("name", "scissors".into())]);
    add_half(&mut xml, parameters, -1.0, handle_friction);
    xml.open("body", &[("name", "thumb_half".into())]);
    xml.leaf(
        "joint",
        &[
            ("name", "pivot".into()),
            ("type", "hinge".into()),
            ("axis", "1 0 0".into()),
            ("range", numbers([-parameters.max_opening_rad.get(), f64::from(OVERTURN_RAD)])),
            ("frictionloss", numbers([parameters.pivot_friction_nm.get()])),
        ],
    );
    add_half(&mut xml, parameters, 1.0, handle_friction);
    xml.finish()
}

fn add_half(xml: &mut Xml, parameters: &ShearsParameters, side: f32, handle_friction: f64) {
    let half_kg = 0.5 * parameters.mass_kg.f32();
    let parts: Vec<(Solid, Piece)> =
        pieces(parameters, side, half_kg).into_iter().map(|piece| (Solid::of_shape(&piece.shape), piece)).collect();
    let inertias = parts.iter().map(|(solid, piece)| Inertia::uniform(solid, piece.mass_kg.into()));
    if let Some(inertia) = inertias.reduce(|all, part| all.joined(&part)) {
        add_inertia(xml, &inertia);
    }
    for (solid, piece) in &parts {
        let friction = if piece.is_blade { parameters.blade_friction.get() } else { handle_friction };
        let contact = [
            ("friction", numbers([friction, 0.005, 0.0001])),
            ("contype", "1".to_owned()),
            ("conaffinity", "0".to_owned()),
        ];
        xml.leaf("geom", &[&geom(solid)[..], &contact[..]].concat());
    }
}
