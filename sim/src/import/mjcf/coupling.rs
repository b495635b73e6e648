//! What makes a joint follow another: fixed tendons and equations; and what closes loops.
//!
//! Of the joints of a tendon, those with actuators of their own lead, or the first one where none has; the others follow.

use crate::import::element::Element;
use crate::import::error::ImportError;
use crate::import::tree::{Follows, Tree};

/// Gives the joints of a tree what tendons and equations say.
pub(super) fn add(document: &Element, tree: &mut Tree) -> Result<(), ImportError> {
    let mut left_out = Vec::new();
    for tendon in document.all("tendon").flat_map(|section| &section.children) {
        if tendon.tag != "fixed" || !add_tendon(document, tendon, tree)? {
            left_out.push(tendon.get("name").unwrap_or("without a name"));
        }
    }
    if !left_out.is_empty() {
        tree.notes.push(format!("tendons that make no joint follow another, left out: {}", left_out.join(", ")));
    }
    for equation in document.all("equality").flat_map(|section| &section.children) {
        if equation.get("active") != Some("false") {
            add_equation(equation, tree)?;
        }
    }
    Ok(())
}

/// Whether it makes a joint follow another.
fn add_tendon(document: &Element, tendon: &Element, tree: &mut Tree) -> Result<bool, ImportError> {
    let mut parts = Vec::new();
    for part in tendon.all("joint") {
        parts.push((part.require("joint")?, part.number("coef")?.unwrap_or_default()));
    }
    let actuators = || document.all("actuator").flat_map(|section| &section.children);
    let has_own = |joint: &str| actuators().any(|actuator| actuator.get("joint") == Some(joint));
    let leader = parts.iter().find(|(joint, _)| has_own(joint)).or(parts.first()).copied();
    let (Some((leader, leader_coefficient)), 2..) = (leader, parts.len()) else {
        return Ok(false);
    };
    let followers: Vec<_> = parts.into_iter().filter(|&(joint, _)| joint != leader && !has_own(joint)).collect();
    let couples = !followers.is_empty();
    for (joint, coefficient) in followers {
        // Where the tendon is short, which is what keeps two joints alike; else the actuator moves all of them.
        let factor = if coefficient == 0.0 { 0.0 } else { -leader_coefficient / coefficient };
        follow(tree, tendon, joint, Follows { joint: leader.to_owned(), factor: factor.abs(), offset_rad: 0.0 })?;
    }
    Ok(couples)
}

fn add_equation(equation: &Element, tree: &mut Tree) -> Result<(), ImportError> {
    match equation.tag.as_str() {
        "joint" => {
            let Some(leader) = equation.get("joint2") else {
                tree.notes.push(format!("{}: left out: it holds a joint where its motor can", equation.place()));
                return Ok(());
            };
            let polynomial = equation.numbers("polycoef")?.unwrap_or_else(|| vec![0.0, 1.0]);
            let [offset_rad, factor] = [0, 1].map(|index| polynomial.get(index).copied().unwrap_or_default());
            let follows = Follows { joint: leader.to_owned(), factor, offset_rad };
            follow(tree, equation, equation.require("joint1")?, follows)
        }
        "weld" | "connect" => {
            let names = ["body1", "body2"].map(|name| equation.get(name).unwrap_or("world").to_owned());
            if equation.get("site1").is_some() {
                return Err(equation.error("found a loop that is closed at sites, expected a tree: leave it out"));
            }
            tree.loops.push((equation.place(), names));
            Ok(())
        }
        _ => {
            tree.notes.push(format!("{}: left out", equation.place()));
            Ok(())
        }
    }
}

fn follow(tree: &mut Tree, why: &Element, name: &str, follows: Follows) -> Result<(), ImportError> {
    let joints = tree.links.iter_mut().filter_map(|link| link.joint.as_mut());
    let Some(joint) = joints.into_iter().find(|joint| joint.name == name) else {
        return Err(why.error(format!("joint: found `{name}`, expected one that a body has")));
    };
    joint.follows = Some(follows);
    Ok(())
}
