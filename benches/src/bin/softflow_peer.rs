//! The learner as one of the peers that `peers/compare` asks: a line in, a line of JSON out.
//!
//! | request | answer |
//! |---|---|
//! | `export FOLDER` | `{}`, after weights and batch of every size were written into a folder of its name |
//! | `check STEP SIZE` | `{"reports": [{"loss", "norm"}, ..]}` of some steps from the exported weights |
//! | `time STEP SIZE SECONDS` | `{"ms", "n_steps"}`: median of the steps that fit, and all steps that were made |
//! | `gemm SECONDS` | `{"gflops"}` of square matrix products, the best |
//!
//! `torch_peer.py` and `jax_peer.py` answer the same, but for the first one. The one argument is the number of threads.

use benches::learner::{Learner, Report, StepError};
use benches::step::{SIZES, Size, Step};
use benches::threads;
use bridge::random;
use candle_core::Device;
use learn::{noise, shards};
use serde_json::{Value, json};
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Steps of a check, and their learning rate: an optimiser that differs shows in the second loss.
const N_CHECKED: usize = 3;
const CHECK_LEARNING_RATE: f64 = 1e-4;
/// Small enough that a million steps on one batch lead nowhere.
const TIME_LEARNING_RATE: f64 = 1e-7;
/// Share of the time that is spent on warming up first.
const WARM_UP: f64 = 0.25;
/// Fewest steps of a median.
const MIN_STEPS: usize = 3;
/// Rows and columns of the products of `gemm`.
const GEMM: usize = 1024;

#[derive(Debug, Error)]
enum PeerError {
    #[error(transparent)]
    Process(#[from] learn::kernels::ProcessError),
    #[error("threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    #[error("standard input or output: {0}")]
    Lines(#[from] io::Error),
    #[error("request {0:?}, expected export, check, time or gemm with their arguments")]
    Request(String),
    #[error("arguments {0:?}, expected the number of threads")]
    Arguments(Vec<String>),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("softflow_peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), PeerError> {
    learn::configure_process()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let n_threads = match arguments.as_slice() {
        [n_threads] => n_threads.parse().ok().filter(|&n| n > 0),
        _ => None,
    };
    let n_threads = n_threads.ok_or(PeerError::Arguments(arguments))?;
    threads::on(n_threads, serve)?
}

fn serve() -> Result<(), PeerError> {
    say(&json!({ "version": env!("CARGO_PKG_VERSION") }))?;
    // The one that is being timed; a step of another size makes another.
    let mut learner: Option<(Size, Learner)> = None;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let refused = || PeerError::Request(line.clone());
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match *words.as_slice() {
            ["export", folder] => export(Path::new(folder))?,
            ["check", step, size] => check(step_of(step).ok_or_else(refused)?, size_of(size).ok_or_else(refused)?)?,
            ["time", step, size, duration] => {
                let (step, size) = (step_of(step).ok_or_else(refused)?, size_of(size).ok_or_else(refused)?);
                let duration = duration_of(duration).ok_or_else(refused)?;
                let kept = learner.take().filter(|(made_for, _)| *made_for == size);
                let (_, learner) = learner.insert(match kept {
                    Some(kept) => kept,
                    None => (size, Learner::new(size)?),
                });
                time(duration, || learner.take(step, TIME_LEARNING_RATE))?
            }
            ["gemm", duration] => gemm(duration_of(duration).ok_or_else(refused)?)?,
            _ => return Err(refused()),
        };
        say(&answer)?;
    }
    Ok(())
}

fn export(folder: &Path) -> Result<Value, PeerError> {
    for size in SIZES {
        let folder = folder.join(size.name);
        std::fs::create_dir_all(&folder)?;
        Learner::new(size)?.export(&folder)?;
    }
    Ok(json!({}))
}

fn check(step: Step, size: Size) -> Result<Value, PeerError> {
    let mut learner = Learner::new(size)?;
    let reports: Vec<Report> =
        (0..N_CHECKED).map(|_| learner.take(step, CHECK_LEARNING_RATE)).collect::<Result<_, _>>()?;
    Ok(json!({ "reports": reports }))
}

fn time<T, E>(duration: Duration, mut step: impl FnMut() -> Result<T, E>) -> Result<Value, E> {
    let n_warm_up = repeat(duration.mul_f64(WARM_UP), &mut step)?.len();
    let mut durations_ms = repeat(duration, &mut step)?;
    durations_ms.sort_by(f64::total_cmp);
    Ok(json!({ "ms": durations_ms[durations_ms.len() / 2], "n_steps": n_warm_up + durations_ms.len() }))
}

/// Makes steps for a while; returns how long each took, ms.
fn repeat<T, E>(duration: Duration, step: &mut impl FnMut() -> Result<T, E>) -> Result<Vec<f64>, E> {
    let start = Instant::now();
    let mut durations_ms = Vec::new();
    while durations_ms.len() < MIN_STEPS || start.elapsed() < duration {
        let step_start = Instant::now();
        step()?;
        durations_ms.push(step_start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(durations_ms)
}

fn gemm(duration: Duration) -> Result<Value, PeerError> {
    let matrix = |purpose: &str| noise::normal(&mut random::stream(0, purpose, 0), (GEMM, GEMM), 1.0, &Device::Cpu);
    let (a, b) = (matrix("a")?, matrix("b")?);
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed() < duration {
        let product_start = Instant::now();
        shards::map(GEMM, |rows| a.narrow(0, rows.start, rows.len())?.matmul(&b))?;
        best = best.min(product_start.elapsed().as_secs_f64());
    }
    Ok(json!({ "gflops": 2e-9 * (GEMM as f64).powi(3) / best }))
}

fn say(answer: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}

fn step_of(name: &str) -> Option<Step> {
    Step::ALL.into_iter().find(|step| step.name() == name)
}

fn size_of(name: &str) -> Option<Size> {
    SIZES.into_iter().find(|size| size.name == name)
}

fn duration_of(seconds: &str) -> Option<Duration> {
    seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
