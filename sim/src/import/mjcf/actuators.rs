//! Actuators: gains and limits of the joints that they turn.

use super::defaults::{ACTUATORS, Defaults};
use super::force_limit;
use crate::import::element::Element;
use crate::import::error::ImportError;
use crate::import::tree::{Gains, Joint, Tree};

/// Gives the joints of a tree what the actuators of its document say.
pub(super) fn add(document: &Element, defaults: &Defaults, tree: &mut Tree) -> Result<(), ImportError> {
    let actuators = document.all("actuator").flat_map(|section| &section.children);
    for element in actuators.filter(|element| ACTUATORS.contains(&element.tag.as_str())) {
        let actuator = defaults.apply(element, "main")?;
        let gear = actuator.numbers("gear")?.and_then(|gear| gear.first().copied()).unwrap_or(1.0);
        let gains = gains(&actuator)?;
        let mut limit = force_limit(&actuator, "forcerange")?;
        if actuator.get("forcelimited") == Some("false") {
            limit = None;
        }
        let Some(targets) = targets(document, &actuator)? else {
            tree.notes.push(format!("{}: left out, it turns no joint", actuator.place()));
            continue;
        };
        for (name, coefficient) in targets {
            let factor = gear * coefficient;
            let joints = tree.links.iter_mut().filter_map(|link| link.joint.as_mut());
            let Some(joint) = joints.into_iter().find(|joint| joint.name == name) else {
                return Err(actuator.error(format!("joint: found `{name}`, expected one that a body has")));
            };
            tree.notes.extend(turn(joint, &actuator, gains, limit, factor));
        }
    }
    Ok(())
}

/// Joints that an actuator turns, with what a unit of it does to each.
fn targets(document: &Element, actuator: &Element) -> Result<Option<Vec<(String, f64)>>, ImportError> {
    if let Some(joint) = actuator.get("joint").or(actuator.get("jointinparent")) {
        return Ok(Some(vec![(joint.to_owned(), 1.0)]));
    }
    let Some(name) = actuator.get("tendon") else { return Ok(None) };
    let tendons = document.all("tendon").flat_map(|section| &section.children);
    let Some(tendon) = tendons.into_iter().find(|tendon| tendon.get("name") == Some(name)) else {
        return Err(actuator.error(format!("tendon: found `{name}`, expected one that <tendon> has")));
    };
    if tendon.tag != "fixed" {
        return Err(actuator.error(format!("tendon: found `{name}`, a spatial one, expected a fixed one or a joint")));
    }
    let parts = tendon.all("joint").map(|part| {
        let coefficient = part.number("coef")?.ok_or_else(|| part.error("found no coef, expected one"))?;
        Ok((part.require("joint")?.to_owned(), coefficient))
    });
    parts.collect::<Result<_, _>>().map(Some)
}

/// Gives a joint its motor. Returns what is to be known about it.
fn turn(
    joint: &mut Joint,
    actuator: &Element,
    gains: Option<Gains>,
    limit: Option<f64>,
    factor: f64,
) -> Option<String> {
    if joint.gains.is_some() {
        return Some(format!("{}: left out, joint {} has an actuator already", actuator.place(), joint.name));
    }
    if let Some(limit) = limit.map(|limit| limit * factor.abs()).filter(|&limit| limit > 0.0) {
        joint.max_effort_nm = Some(joint.max_effort_nm.map_or(limit, |own: f64| own.min(limit)));
    }
    let Some(gains) = gains.filter(|_| factor != 0.0) else {
        let tag = &actuator.tag;
        return Some(format!(
            "{}: a {tag} has no position gains, joint {} gets assumed ones",
            actuator.place(),
            joint.name
        ));
    };
    let square = factor * factor;
    joint.gains = Some(Gains {
        stiffness_nm_rad: gains.stiffness_nm_rad * square,
        damping_nm_s_rad: gains.damping_nm_s_rad * square,
    });
    let ratio = actuator.get("dampratio")?;
    Some(format!(
        "{}: dampratio {ratio} left out, it depends on the posture: damping is kv and the joint's",
        actuator.place()
    ))
}

/// Those of an actuator that holds positions.
fn gains(actuator: &Element) -> Result<Option<Gains>, ImportError> {
    match actuator.tag.as_str() {
        "position" => Ok(Some(Gains {
            stiffness_nm_rad: actuator.amount("kp")?.unwrap_or(1.0),
            damping_nm_s_rad: actuator.amount("kv")?.unwrap_or_default(),
        })),
        // force = gain control + bias . (1, position, velocity)
        "general" if actuator.get("biastype") == Some("affine") => {
            let gain = actuator.numbers("gainprm")?.and_then(|all| all.first().copied()).unwrap_or(1.0);
            let bias = actuator.numbers("biasprm")?.unwrap_or_default();
            let [_, position, velocity] = [0, 1, 2].map(|index| bias.get(index).copied().unwrap_or_default());
            let holds = gain > 0.0 && (gain + position).abs() < 1e-6 * gain && velocity <= 0.0;
            Ok(holds.then_some(Gains { stiffness_nm_rad: gain, damping_nm_s_rad: -velocity }))
        }
        _ => Ok(None),
    }
}
