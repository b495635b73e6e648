//! Contract: what a link of an MJCF weighs is what MuJoCo says: the mass of its `<inertial>`, else that of its geoms as they are.

use crate::fixtures::{Folder, options};
use rapier3d::glamx::{DMat3, DVec3};
use sim::Link;
use sim::import::Options;
use std::f64::consts::PI;

/// A file's finger of one link, in which `inside` is.
fn link(compiler: &str, inside: &str) -> Link {
    let text = format!(
        r#"<mujoco><compiler {compiler}/><worldbody><body name="palm"><body pos=".03 0 0">
        <joint axis="0 1 0" range="-10 90"/>{inside}</body></body></worldbody></mujoco>"#
    );
    let options = Options { palm: Some("palm".into()), frame: Some("+x,+y,+z".into()), ..options() };
    let imported = Folder::new(&[("link.xml", &text)]).import("link.xml", &options).unwrap();
    imported.hand.joints().next().unwrap().link.clone()
}

/// Holds what a link weighs against what is expected: kg, m, and kg m^2 along the axes. A description has seven digits.
fn assert_weighs(link: &Link, mass_kg: f64, center_m: DVec3, moments_kg_m2: DVec3, what: &str) {
    let form = link.form.as_ref().unwrap();
    assert!((link.mass_kg - mass_kg).abs() < 1e-6 * mass_kg, "{what}: {} kg, expected {mass_kg}", link.mass_kg);
    assert!((form.center_of_mass_m - center_m).length() < 1e-8, "{what}: {} m", form.center_of_mass_m);
    let off = (form.inertia_kg_m2 - DMat3::from_diagonal(moments_kg_m2)).to_cols_array();
    let allowed = 1e-6 * moments_kg_m2.max_element();
    assert!(off.iter().all(|off| off.abs() < allowed), "{what}: {}, expected {moments_kg_m2}", form.inertia_kg_m2);
}

/// Contract: cylinders and ellipsoids weigh what they are, not what stands for them where things touch (a ball for the first cylinder,
/// boxes for the flat one and the ellipsoids but the last, which is a capsule). By hand, water: a cylinder of radius r and length l has
/// 1000 pi r^2 l kg, r^2/2 kg m^2 for every kilogram along its axis and (3 r^2 + l^2)/12 across it; an ellipsoid 1000 4/3 pi a b c kg, and
/// (b^2 + c^2)/5 along a. MuJoCo 4.0.0 says the same.
#[test]
fn geoms_weigh_what_they_are() {
    let none = DVec3::ZERO;
    for (geom, mass_kg, center_m, of_1_kg_m2) in [
        // 20 mm, 40 mm long: 4e-4/2, (1.2e-3 + 1.6e-3)/12.
        (r#"type="cylinder" size=".02 .02""#, 1e3 * PI * 1.6e-5, none, [2.8e-3 / 12.0, 2.8e-3 / 12.0, 2e-4]),
        (r#"type="cylinder" size=".02 .02" mass=".5""#, 0.5, none, [2.8e-3 / 12.0, 2.8e-3 / 12.0, 2e-4]),
        // 4 mm long: (1.2e-3 + 1.6e-5)/12.
        (r#"type="cylinder" size=".02 .002""#, 1e3 * PI * 1.6e-6, none, [1.216e-3 / 12.0, 1.216e-3 / 12.0, 2e-4]),
        // 60 mm long, along x: (1.2e-3 + 3.6e-3)/12.
        (
            r#"type="cylinder" size=".02" fromto="0 0 0 .06 0 0""#,
            1e3 * PI * 2.4e-5,
            DVec3::new(0.03, 0.0, 0.0),
            [2e-4, 4e-4, 4e-4],
        ),
        // 10, 20 and 30 mm: (4 + 9, 1 + 9, 1 + 4) 1e-4/5.
        (r#"type="ellipsoid" size=".01 .02 .03""#, 1e3 * PI * 8e-6, none, [2.6e-4, 2e-4, 1e-4]),
        (r#"type="ellipsoid" size=".01 .02 .03" mass=".5""#, 0.5, none, [2.6e-4, 2e-4, 1e-4]),
        // Turned from x to y.
        (
            r#"type="ellipsoid" size=".01 .02 .03" euler="0 0 90" pos="0 .01 0""#,
            1e3 * PI * 8e-6,
            DVec3::new(0.0, 0.01, 0.0),
            [2e-4, 2.6e-4, 1e-4],
        ),
        // 50 mm along x, 10 mm across it: (1 + 1, 1 + 25, 1 + 25) 1e-4/5.
        (
            r#"type="ellipsoid" size=".01" fromto="0 0 0 .1 0 0""#,
            1e3 * PI * 4.0 / 3.0 * 5e-6,
            DVec3::new(0.05, 0.0, 0.0),
            [4e-5, 5.2e-4, 5.2e-4],
        ),
    ] {
        let link = link("", &format!("<geom {geom}/>"));
        assert_weighs(&link, mass_kg, center_m, mass_kg * DVec3::from_array(of_1_kg_m2), geom);
    }
}

/// Contract: where a body has an `<inertial>` its geoms weigh nothing, in frames neither and in any order; one in a frame is the body's,
/// and stands where the frame is. Only `inertiafromgeom` says otherwise. MuJoCo 4.0.0 says the same.
#[test]
fn an_inertial_is_all_that_a_body_weighs() {
    const INERTIAL: &str = r#"<inertial mass="0.02" pos=".005 0 0" diaginertia="3e-6 2e-6 1e-6"/>"#;
    const GEOM: &str = r#"<geom type="sphere" size=".01"/>"#;
    let (center_m, moments_kg_m2) = (DVec3::new(0.005, 0.0, 0.0), DVec3::new(3e-6, 2e-6, 1e-6));
    let framed = format!(r#"<frame pos="0 0 .01">{GEOM}</frame>"#);
    for inside in [
        format!("{INERTIAL}{framed}"),
        format!("{framed}{INERTIAL}"),
        format!("{GEOM}<frame><frame>{framed}</frame></frame>{INERTIAL}"),
    ] {
        assert_weighs(&link("", &inside), 0.02, center_m, moments_kg_m2, &inside);
    }
    // A quarter about z takes x to y, from where the frame is.
    let (turned_m, turned_kg_m2) = (DVec3::new(0.0, 0.005, 0.01), DVec3::new(2e-6, 3e-6, 1e-6));
    for inside in [
        format!(r#"<frame pos="0 0 .01" euler="0 0 90">{INERTIAL}</frame>{GEOM}"#),
        format!(r#"{framed}<frame pos="0 0 .01"><frame euler="0 0 90">{GEOM}{INERTIAL}</frame></frame>"#),
    ] {
        assert_weighs(&link("", &inside), 0.02, turned_m, turned_kg_m2, &inside);
    }
    // A ball of water of 10 mm, 10 mm above: 1000 4/3 pi r^3 kg, 2/5 r^2 kg m^2 for every kilogram.
    let mass_kg = 1e3 * PI * 4.0 / 3.0 * 1e-6;
    let ball = link(r#"inertiafromgeom="true""#, &format!("{framed}{INERTIAL}"));
    assert_weighs(&ball, mass_kg, DVec3::new(0.0, 0.0, 0.01), DVec3::splat(mass_kg * 4e-5), "inertiafromgeom");
}
