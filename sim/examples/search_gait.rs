//! Searches for a gait, prints its progress, and writes the mean as RON after every generation.
//!
//! `cargo run --release -p sim --no-default-features --example search_gait -- hand=reference16 start=reference16_trot
//! generations=20 seed=1 out=gait.ron`

use bridge::GovernorConfig;
use bridge::number::{Finite, NonNegative, Positive, UnitInterval};
use bridge::storage::write_atomic;
use sim::{CubeScene, Domain, FingerContacts, Gait, SearchOptions, search_gait};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

const HELP: &str = "\
options, all as name=value:
  hand=reference16        hand whose cube scene is used
  start=reference16_trot  gait to start from: a name or a RON file
  phases=0,0.2,0.4,0.6,0.8  replaces the phases of the fingers
  out=gait.ron            where the gait is written
  contacts=scene          off, distal, all: which finger parts touch those of other fingers
  enough=10               rad/s from which on only steadiness counts
  domain=nominal generations=20 population=40 episodes=2 seconds=12 spread=1 noise=0 seed=1 threads=2";

const NAMES: [&str; 15] = [
    "hand",
    "start",
    "phases",
    "out",
    "contacts",
    "enough",
    "domain",
    "generations",
    "population",
    "episodes",
    "seconds",
    "spread",
    "noise",
    "seed",
    "threads",
];

struct Options(BTreeMap<String, String>);

impl Options {
    fn of_arguments() -> Result<Self, Box<dyn Error>> {
        let mut options = BTreeMap::new();
        for argument in std::env::args().skip(1) {
            let option = argument.split_once('=').filter(|(name, _)| NAMES.contains(name));
            let (name, value) = option.ok_or_else(|| format!("found `{argument}`\n{HELP}"))?;
            options.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self(options))
    }

    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn number<T: FromStr<Err: Display>>(&self, name: &str, default: &str) -> Result<T, Box<dyn Error>> {
        let text = self.text(name, default);
        text.parse().map_err(|error| format!("{name}={text}: {error}").into())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::of_arguments()?;
    let scene = CubeScene::load(options.text("hand", "reference16"))?;
    let scene = match options.text("contacts", "scene") {
        "scene" => scene,
        "off" => scene.with_finger_contacts(FingerContacts::Off),
        "distal" => scene.with_finger_contacts(FingerContacts::Distal),
        "all" => scene.with_finger_contacts(FingerContacts::All),
        other => return Err(format!("contacts={other}: expected scene, off, distal or all").into()),
    };
    let start = options.text("start", "reference16_trot");
    let mut start = if start.ends_with(".ron") { bridge::config::load(start.as_ref())? } else { Gait::load(start)? };
    if let Some(phases) = options.0.get("phases") {
        for (finger, phase) in start.fingers.iter_mut().zip(phases.split(',')) {
            finger.phase = Finite::try_from(phase.parse::<f64>()?)?;
        }
    }
    let search = SearchOptions {
        n_generations: options.number("generations", "20")?,
        population: options.number("population", "40")?,
        elite_share: UnitInterval::try_from(0.2)?,
        n_episodes: options.number("episodes", "2")?,
        episode_s: Positive::try_from(options.number::<f64>("seconds", "12")?)?,
        enough_rad_s: Positive::try_from(options.number::<f64>("enough", "10")?)?,
        spread: Positive::try_from(options.number::<f64>("spread", "1")?)?,
        noise_rad: NonNegative::try_from(options.number::<f64>("noise", "0")?)?,
        domain: Domain::load(options.text("domain", "nominal"))?,
        governor: GovernorConfig::usual()?,
        seed: options.number("seed", "1")?,
        n_threads: options.number("threads", "2")?,
    };

    let out = Path::new(options.text("out", "gait.ron"));
    let mut written = Ok(());
    search_gait(&scene, &start, &search, |progress, gait| {
        println!(
            "generation {:3}: mean {:7.2} ({:6.3} rad/s, {:4.1} s), best {:7.2} ({:6.3} rad/s), median {:7.2}, survived {:3.0} %",
            progress.generation,
            progress.mean.score,
            progress.mean.rate_rad_s,
            progress.mean.seconds,
            progress.best.score,
            progress.best.rate_rad_s,
            progress.median,
            100.0 * progress.survived,
        );
        if written.is_ok() {
            written = write(out, gait);
        }
    })?;
    written
}

fn write(out: &Path, gait: &Gait) -> Result<(), Box<dyn Error>> {
    let text = ron::ser::to_string_pretty(gait, ron::ser::PrettyConfig::default())?;
    Ok(write_atomic(out, text.as_bytes())?)
}
