//! Contract: `--set path=value` changes what the path names and nothing else, and errors point at the change.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bridge::config::ConfigError;
use bridge::number::{Positive, UnitInterval};
use experiments::overrides::{Override, load, parse};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    seed: u64,
    task: String,
    learn: Learn,
    body: Body,
    gait: Option<Gait>,
    centers_m: Vec<(f64, f64)>,
    weights: BTreeMap<String, f64>,
    #[serde(default)]
    note: Note,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Learn {
    rate: Positive,
    share: UnitInterval,
    critic: Critic,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critic {
    ensemble: u32,
    widths: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Body {
    Idle,
    Cube { scene: String, size: Size },
    Gripper(Gait),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Size(f64, f64, f64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gait {
    hz: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Note {
    text: String,
    level: u32,
}

const TEXT: &str = r##"// experiment: (seed: 0)
(
    seed: 1, /* learn: (rate: 9.0) */
    task: "cube), seed: 5, ( \" // no comment",
    learn: (
        rate: 3e-4, // rate: 1.0
        share: 0.5,
        critic: (ensemble: 2, widths: [64, 64,]),
    ),
    body: Cube(scene: r#"a "raw" scene)"#, size: (0.05, 0.05, 0.05)),
    gait: Some((hz: 1.5)),
    centers_m: [(0.0, 1.0), (2.0, 3.0)],
    weights: {"turn": 1.0, "drop": -1.0},
)
"##;

fn parse_with(sets: &[&str]) -> Result<Config, ConfigError> {
    let overrides: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
    parse("cube.ron", TEXT, &overrides)
}

fn base() -> Config {
    parse_with(&[]).unwrap()
}

/// Contract: a change changes what it names and nothing else: fields, variants' payloads, tuples, lists, maps.
#[test]
fn changes_reach_what_they_name() {
    type Change = fn(&mut Config);
    let cases: [(&str, Change); 21] = [
        ("seed=7", |c| c.seed = 7),
        (" seed = 7 ", |c| c.seed = 7),
        ("learn.rate=1e-3", |c| c.learn.rate = 1e-3.try_into().unwrap()),
        ("learn.critic.ensemble=10", |c| c.learn.critic.ensemble = 10),
        ("learn.critic.widths=[1, 2, 3]", |c| c.learn.critic.widths = vec![1, 2, 3]),
        ("learn.critic.widths.1=8", |c| c.learn.critic.widths[1] = 8),
        ("learn.critic=(widths: [/* , */], ensemble: 1)", |c| {
            c.learn.critic = Critic { ensemble: 1, widths: vec![] };
        }),
        ("task=scissors", |c| c.task = "scissors".into()),
        ("task=\"scissors\"", |c| c.task = "scissors".into()),
        ("task=a = \"b\", (c", |c| c.task = "a = \"b\", (c".into()),
        ("task=r#\"x\"#", |c| c.task = "x".into()),
        ("body.scene=ball.ron", |c| {
            c.body = Body::Cube { scene: "ball.ron".into(), size: Size(0.05, 0.05, 0.05) };
        }),
        ("body.size.2=0.1", |c| {
            c.body = Body::Cube { scene: "a \"raw\" scene)".into(), size: Size(0.05, 0.05, 0.1) };
        }),
        ("body=Idle", |c| c.body = Body::Idle),
        ("body=Gripper((hz: 2))", |c| c.body = Body::Gripper(Gait { hz: 2.0 })),
        ("gait.hz=2", |c| c.gait = Some(Gait { hz: 2.0 })),
        ("gait=None", |c| c.gait = None),
        ("centers_m.1.0=-2", |c| c.centers_m[1].0 = -2.0),
        ("weights.drop=-5", |c| c.weights.extend([("drop".into(), -5.0)])),
        ("weights.new-term=3", |c| c.weights.extend([("new-term".into(), 3.0)])),
        ("note=(text: \"x\")", |c| c.note.text = "x".into()),
    ];
    for (set, change) in cases {
        let mut expected = base();
        change(&mut expected);
        assert_eq!(parse_with(&[set]).unwrap(), expected, "{set}");
    }
}

/// Contract: fields that the file leaves out are added, also below others that it leaves out; several changes apply
/// in order.
#[test]
fn absent_fields_are_added() {
    let found = parse_with(&["note.level=3"]).unwrap();
    assert_eq!(found, Config { note: Note { text: String::new(), level: 3 }, ..base() });
    let found =
        parse_with(&["note.level=3", "note.text=\"two\"", "note.text=three words", "seed=2", "seed=3"]).unwrap();
    assert_eq!(found, Config { note: Note { text: "three words".into(), level: 3 }, seed: 3, ..base() });
    let overrides = ["level=4".parse().unwrap()];
    assert_eq!(parse::<Note>("x", "()", &overrides).unwrap().level, 4);
    assert_eq!(parse::<Note>("x", "( // none\n)", &overrides).unwrap().level, 4);
    assert_eq!(parse::<Note>("x", "(text: \"a\" // , \n)", &overrides).unwrap().level, 4);
    assert_eq!(parse::<Gait>("x", "()", &["hz=1".parse().unwrap()]).unwrap().hz, 1.0);
}

/// Contract: changes that are valid only together are accepted together.
#[test]
fn changes_mend_each_other() {
    let found = parse_with(&["body=Gripper(())", "body.hz=2"]).unwrap();
    assert_eq!(found.body, Body::Gripper(Gait { hz: 2.0 }));
}

/// Contract: an error names the change, the field, what was found and what is allowed there.
#[test]
fn errors_point_at_the_change() {
    let cases: [(&[&str], &str, &str); 15] = [
        (&["learn.rate=NaN"], "--set learn.rate=NaN:1:18: learn.rate: ", "found NaN, expected a finite number above 0"),
        (&["learn.rate=fast"], "--set learn.rate=fast:1:18: learn.rate: ", "expected float"),
        (&["seed=-1"], "--set seed=-1:1:12: seed: ", "integer"),
        (
            &["learn.speed=1"],
            "--set learn.speed=1:1:13: learn",
            "`speed` in `Learn`, expected one of `rate`, `share`, or `critic`",
        ),
        (&["lern.rate=1"], "--set lern.rate=1:1:7: ", "`lern` in `Config`, expected one of `seed`, `task`, `learn`"),
        (&["body.mass=1"], "--set body.mass=1:1:12: body", "expected either `scene` or `size`"),
        (&["learn.rate.x=1"], "--set learn.rate.x=1:1:18: learn.rate.x: ", "found 3e-4, which has no fields"),
        (
            &["learn.critic.widths.2=1"],
            "--set learn.critic.widths.2=1:1:27: learn.critic.widths.2: ",
            "found \"2\", expected a place from 0 to 1",
        ),
        (&["body.size.depth=1"], "--set body.size.depth=1:1:17: body.size.depth: ", "expected a place from 0 to 2"),
        (&["learn.1=1"], "--set learn.1=1:1:13: learn.1: ", "expected the name of a field"),
        (&["seed=1, task: \"x\""], "--set seed=1, task: \"x\":1:12: seed: ", "expected one RON value"),
        (&["seed=1 // x"], "--set seed=1 // x:1:12: seed: ", "expected one RON value"),
        (&["seed=(1"], "--set seed=(1:1:12: seed: ", "expected one RON value"),
        (
            &["seed=2", "learn.share=1.5", "task=x"],
            "--set learn.share=1.5:1:19: learn.share: ",
            "found 1.5, expected a number from 0 to 1",
        ),
        (&["body=Ball"], "--set body=Ball:1:12: body", "expected one of `Idle`, `Cube`, or `Gripper`"),
    ];
    for (sets, place, reason) in cases {
        let error = parse_with(sets).unwrap_err().to_string();
        assert!(error.starts_with(place), "{error}\nexpected {place}");
        assert!(error.to_lowercase().contains(&reason.to_lowercase()), "{error}\nexpected {reason}");
    }
}

/// Contract: what is wrong with the file itself is reported as the file's, changes or not.
#[test]
fn errors_of_the_file_point_at_the_file() {
    let overrides = ["hz=1".parse().unwrap()];
    for text in ["\n(hz: 1", "\n(hx: 1)", "\n(", ""] {
        let error = parse::<Gait>("gait.ron", text, &overrides).unwrap_err().to_string();
        assert!(error.starts_with("gait.ron:"), "{text:?}: {error}");
    }
    assert!(matches!(load::<Gait>(Path::new("no/such.ron"), &[]), Err(ConfigError::Unreadable { .. })));
}

/// Contract: an argument that is no change is refused with an example.
#[test]
fn arguments_have_a_path_and_a_value() {
    for argument in ["", "seed", "=1", "seed=", "a..b=1", ".a=1", "a.=1"] {
        let error = argument.parse::<Override>().unwrap_err().to_string();
        assert!(error.ends_with("expected PATH=VALUE, e.g. learn.critic.ensemble=4"), "{error}");
    }
    assert_eq!("a.b=c=d".parse::<Override>().unwrap().to_string(), "--set a.b=c=d");
}
