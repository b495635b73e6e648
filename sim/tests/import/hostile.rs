//! Contract: bad files are refused with what was found and where; mutated ones never panic, and what is taken is finite.

use crate::fixtures::{CLAW, Folder, GRIPPER, options};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use proptest::test_runner::RngSeed;
use sim::Hand;
use sim::import::{Coupled, Options};

/// Contract: what is not supported, not finite or contradicts itself is refused by line and name.
#[test]
fn bad_urdf_is_refused_by_name() {
    let cases = [
        (
            r#"lower="0" upper="1.5" effort="0.4" velocity="3"/><dynamics"#,
            r#"lower="NaN" upper="1.5"/><dynamics"#,
            "claw.urdf:9: limit: lower: found `NaN`, expected a finite number",
        ),
        (r#"<mass value="0.02"/>"#, r#"<mass value="1e400"/>"#, "value: found `1e400`"),
        (r#"<origin xyz="0.03 0.02 0"/>"#, r#"<origin xyz="0.03 0.02"/>"#, "origin: xyz: found 2 numbers, expected 3"),
        (
            r#"name="a_root" type="revolute""#,
            r#"name="a_root" type="prismatic""#,
            "joint `a_root`: found a prismatic joint",
        ),
        (
            r#"name="a_root" type="revolute""#,
            r#"name="a_root" type="continuous""#,
            "joint `a_root`: found a hinge without a range",
        ),
        (r#"name="a_root" type="revolute""#, r#"name="a_root" type="rotary""#, "found `rotary`"),
        (
            r#"<limit lower="0" upper="1.5" effort="0.4" velocity="3"/><dynamics"#,
            r#"<limit lower="1.5" upper="0" effort="1" velocity="3"/><dynamics"#,
            "expected lower before upper",
        ),
        (
            r#"<limit lower="0" upper="1.5" effort="0.4" velocity="3"/><dynamics"#,
            r#"<limit upper="-1.5" effort="0.4" velocity="3"/><dynamics"#,
            "joint `a_root`: range: found [0.0, -1.5] rad, expected lower before upper",
        ),
        (
            r#"<limit lower="0" upper="1.5" effort="0.4" velocity="3"/><dynamics"#,
            r#"<limit effort="0.4" velocity="3"/><dynamics"#,
            "joint `a_root`: found a hinge without a range",
        ),
        (r#"<child link="a2"/>"#, r#"<child link="a9"/>"#, "found the link `a9`"),
        (r#"<child link="a2"/>"#, r#"<child link="palm"/>"#, "found a second joint to `palm`"),
        (r#"<parent link="arm"/>"#, r#"<parent link="a2"/>"#, "not reached from the root"),
        (r#"name="b_root""#, r#"name="a_root""#, "found two joints of this name"),
        (r#"<axis xyz="0 0 1"/>"#, r#"<axis xyz="0 0 0"/>"#, "axis: xyz"),
        (r#"<sphere radius="0.008"/>"#, r#"<sphere radius="-1"/>"#, "radius: found [-1.0]"),
        (r#"<sphere radius="0.008"/>"#, r#"<mesh filename="/etc/passwd"/>"#, "found outside of"),
        (r#"<sphere radius="0.008"/>"#, r#"<mesh filename="package://../../etc/passwd"/>"#, "mesh"),
        (r#"<sphere radius="0.008"/>"#, r#"<mesh filename="pad.stl"/>"#, "file `pad.stl`"),
        (r#"<sphere radius="0.008"/>"#, r#"<mesh filename="claw.urdf"/>"#, "expected .stl or .obj"),
        ("</robot>", "", "claw.urdf:"),
        ("<robot name=\"claw\">", "<sdf name=\"claw\">", "claw.urdf:"),
    ];
    for (found, replaced, reason) in cases {
        assert!(CLAW.contains(found), "{found}");
        let text = CLAW.replacen(found, replaced, 1);
        let error = Folder::new(&[("claw.urdf", &text)]).import("claw.urdf", &on("palm")).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}\nexpected {reason}");
    }
}

/// Contract: the same of an MJCF.
#[test]
fn bad_mjcf_is_refused_by_name() {
    let cases = [
        (
            r#"<joint name="right_near" axis="0 -1 0"/>"#,
            r#"<joint name="right_near" type="slide"/>"#,
            "joint `right_near`: found a slide joint",
        ),
        (
            r#"<joint name="right_near" axis="0 -1 0"/>"#,
            r#"<joint name="right_near" type="ball"/>"#,
            "found a ball joint",
        ),
        (r#"<joint name="right_near" axis="0 -1 0"/>"#, r#"<freejoint name="right_near"/>"#, "found a free joint"),
        (
            r#"<joint name="right_near" axis="0 -1 0"/>"#,
            r#"<joint name="right_near" class="thumb"/>"#,
            "class: found `thumb`",
        ),
        (
            r#"<joint name="right_near" axis="0 -1 0"/>"#,
            r#"<joint name="right_near" limited="false"/>"#,
            "hinge without a range",
        ),
        (
            r#"<joint name="right_near" axis="0 -1 0"/>"#,
            r#"<replicate count="9"/>"#,
            "replicate: found an element that is not supported",
        ),
        (
            r#"<frame euler="0 0 90">"#,
            r#"<frame euler="0 0 90"><joint name="lost"/>"#,
            "joint `lost`: found a joint in a frame",
        ),
        (r#"<frame euler="0 0 90">"#, r#"<frame euler="0 0 90" quat="1 0 0 0">"#, "found quat and euler"),
        (r#"<frame euler="0 0 90">"#, r#"<frame quat="0 0 0 0">"#, "quaternion without length"),
        (r#"<position joint="left_near" class="finger"/>"#, r#"<position joint="thumb"/>"#, "joint: found `thumb`"),
        (
            r#"<geom type="sphere" size=".006" pos=".035 0 0"/>"#,
            r#"<geom type="mesh" mesh="tip"/>"#,
            "mesh: found `tip`",
        ),
        (r#"<geom type="sphere" size=".006" pos=".035 0 0"/>"#, "", "where is its tip?"),
        (
            r#"<geom type="sphere" size=".006" pos=".035 0 0"/>"#,
            r#"<geom type="sphere" size="inf"/>"#,
            "size: found `inf`",
        ),
        (r#"file="parts/left.xml""#, r#"file="../left.xml""#, "left.xml"),
        (r#"file="parts/left.xml""#, r#"file="/etc/hostname""#, "found outside of"),
        (r#"file="parts/left.xml""#, r#"file="gripper.xml""#, "more than 64 includes"),
        (
            r#"<include file="parts/defaults.xml"/>"#,
            r#"<include file="parts/defaults.xml"/><equality><connect body1="left_far" body2="right_far"/></equality>"#,
            "found a closed loop",
        ),
    ];
    for (found, replaced, reason) in cases {
        let mut files = GRIPPER;
        assert!(files[0].1.contains(found), "{found}");
        let text = files[0].1.replacen(found, replaced, 1);
        files[0].1 = &text;
        let error = Folder::new(&files).import("gripper.xml", &on("base")).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}\nexpected {reason}");
    }
    let error = Folder::new(&GRIPPER).import("gripper.xml", &Options { palm: Some("wrist".into()), ..free() });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no link is called `wrist`; known are world, base"), "{error}");
    let error = Folder::new(&GRIPPER).import("gripper.xml", &Options { frame: Some("+x,+x,+z".into()), ..free() });
    assert!(error.unwrap_err().to_string().contains("right-handed frame"));
}

/// Contract: files that are large, deep, multiply themselves, are links to elsewhere or no files are refused.
#[test]
fn traps_are_refused() {
    let deep = format!("<mujoco>{}{}</mujoco>", "<body>".repeat(50_000), "</body>".repeat(50_000));
    let laughs = "<!DOCTYPE l [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><robot name=\"&b;\"/>";
    let many = format!("<mujoco><worldbody>{}</worldbody></mujoco>", "<body/>".repeat(2000));
    let empty = "<mujoco/>";
    let large = format!("<mujoco><!--{}--></mujoco>", " ".repeat(5 << 20));
    for (text, reason) in [
        (deep.as_str(), "elements in each other"),
        (laughs, "DTD"),
        (many.as_str(), "expected at most 1000"),
        (empty, "found 0 joints"),
        (large.as_str(), "bytes, expected at most"),
    ] {
        let error = Folder::new(&[("trap.xml", text)]).import("trap.xml", &free()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}\nexpected {reason}");
    }
    let folder =
        Folder::new(&[("claw.urdf", &CLAW.replace(r#"<sphere radius="0.008"/>"#, r#"<mesh filename="pad.obj"/>"#))]);
    std::os::unix::fs::symlink("/etc/hostname", folder.path("pad.obj")).unwrap();
    let error = folder.import("claw.urdf", &free()).unwrap_err().to_string();
    assert!(error.contains("found outside of"), "{error}");
    std::fs::remove_file(folder.path("pad.obj")).unwrap();
    std::fs::create_dir(folder.path("pad.obj")).unwrap();
    let error = folder.import("claw.urdf", &free()).unwrap_err().to_string();
    assert!(error.contains("it is no file"), "{error}");
}

/// On a palm that is named.
fn on(palm: &str) -> Options {
    Options { palm: Some(palm.into()), ..free() }
}

fn free() -> Options {
    Options { coupled: Coupled::Free, ..options() }
}

/// What is read is refused, or a hand of finite numbers.
fn survive(name: &str, text: &str) {
    let mut files: Vec<(&str, &str)> = GRIPPER.to_vec();
    files.push((name, text));
    if let Ok(imported) = Folder::new(&files).import(name, &free()) {
        let hand: &Hand = &imported.hand;
        let q_rad: Vec<f64> = hand.joints().map(|joint| joint.neutral_rad).collect();
        for finger in &hand.fingers {
            assert!(finger.tip_m(&q_rad[finger.first_joint..]).is_finite(), "{}", imported.text);
        }
        let mass_kg: f64 = hand.joints().map(|joint| joint.link.mass_kg).sum();
        assert!(mass_kg.is_finite() && mass_kg > 0.0);
    }
}

/// `text` with one of its words replaced.
fn with_word(text: &str, at: usize, word: &str) -> String {
    let is_edge = |letter: char| letter == ' ' || letter == '"' || letter == '<' || letter == '>';
    let starts: Vec<usize> = text.match_indices(is_edge).map(|(index, _)| index + 1).collect();
    let start = starts[at % starts.len()];
    let end = text[start..].find(is_edge).map_or(text.len(), |length| start + length);
    format!("{}{word}{}", &text[..start], &text[end..])
}

const WORDS: [&str; 16] = [
    "",
    "NaN",
    "-inf",
    "1e308",
    "-1",
    "0",
    "1e-300",
    "1000000000",
    "joint",
    "body",
    "geom",
    "mesh",
    "../x",
    "palm",
    "class",
    "0 0 0",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// Contract: whatever words are replaced in a file, reading it ends in a hand of finite numbers or an error.
    #[test]
    fn replaced_words_are_survived(edits in prop::collection::vec((any::<usize>(), 0..WORDS.len()), 1..4)) {
        let edit = |text: &str| edits.iter().fold(text.to_owned(), |text, &(at, word)| with_word(&text, at, WORDS[word]));
        survive("edited.urdf", &edit(CLAW));
        survive("edited.xml", &edit(GRIPPER[0].1));
    }

    /// Contract: so do cut files and files with bytes of anything in them.
    #[test]
    fn broken_bytes_are_survived(cut in any::<usize>(), at in any::<usize>(), letters in "[ -~<>\"/=]{0,12}") {
        for (name, text) in [("broken.urdf", CLAW), ("broken.xml", GRIPPER[0].1)] {
            survive(name, &text[..cut % text.len()]);
            let at = at % text.len();
            survive(name, &format!("{}{letters}{}", &text[..at], &text[at..]));
        }
    }
}
