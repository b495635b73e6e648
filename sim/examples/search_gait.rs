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
use std::path::Path;

const HELP: &str = "\
options, all as name=value:
  hand=reference16        hand whose cube scene is used
  start=reference16_trot  gait to start from: a name or a RON file
  phases=0,0.2,0.4,0.6,0.8  replaces the phases of the fingers
  out=gait.ron            where the gait is written
  contacts=scene          off, distal, all: which finger parts touch those of other fingers
  enough=10               rad/s from which on only steadiness counts
  domain=nominal generations=20 population=40 episodes=2 seconds=12 spread=1 noise=0 seed=1 threads=2";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options: BTreeMap<&str, &str> = arguments.iter().filter_map(|argument| argument.split_once('=')).collect();
    if options.len() != arguments.len() {
        return Err(HELP.into());
    }
    let text = |name, default| options.get(name).copied().unwrap_or(default);
    let number = |name, default| -> Result<f64, Box<dyn Error>> {
        options.get(name).map_or(Ok(default), |text| text.parse().map_err(|error| format!("{name}: {error}").into()))
    };

    let mut scene = CubeScene::load(text("hand", "reference16"))?;
    scene = match text("contacts", "scene") {
        "off" => scene.with_finger_contacts(FingerContacts::Off),
        "distal" => scene.with_finger_contacts(FingerContacts::Distal),
        "all" => scene.with_finger_contacts(FingerContacts::All),
        _ => scene,
    };
    let start = text("start", "reference16_trot");
    let mut start = if start.ends_with(".ron") { bridge::config::load(start.as_ref())? } else { Gait::load(start)? };
    if let Some(phases) = options.get("phases") {
        for (finger, phase) in start.fingers.iter_mut().zip(phases.split(',')) {
            finger.phase = Finite::try_from(phase.parse::<f64>()?)?;
        }
    }
    let search = SearchOptions {
        n_generations: number("generations", 20.0)? as usize,
        population: number("population", 40.0)? as usize,
        elite_share: UnitInterval::try_from(0.2)?,
        n_episodes: number("episodes", 2.0)? as usize,
        episode_s: Positive::try_from(number("seconds", 12.0)?)?,
        enough_rad_s: Positive::try_from(number("enough", 10.0)?)?,
        spread: Positive::try_from(number("spread", 1.0)?)?,
        noise_rad: NonNegative::try_from(number("noise", 0.0)?)?,
        domain: Domain::load(text("domain", "nominal"))?,
        governor: GovernorConfig::usual()?,
        seed: number("seed", 1.0)? as u64,
        n_threads: number("threads", 2.0)? as usize,
    };

    let out = Path::new(text("out", "gait.ron"));
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
