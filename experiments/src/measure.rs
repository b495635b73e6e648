//! What a study measures of a run, and where it is kept: `measured.ron` in the run's folder, so that a finished run is not
//! opened again.

use crate::MetricsLog;
use crate::commands::last_of;
use crate::evaluation::FIRST_SEED;
use crate::experiment::Workcell;
use crate::session::{START_VALUE, Session};
use crate::study::{Quantity, Which};
use bridge::{config, storage};
use color_eyre::eyre::{Result, WrapErr, eyre};
use learn::{Checkpoint, Stage};
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "measured.ron";

/// Seed of the demonstrations whose likelihood is measured: no training begins with it.
const HELD_OUT_SEED: u64 = 1 << 62;

/// What was measured of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What.
    pub of: Quantity,
    /// The number, if it is defined.
    pub value: Option<f64>,
}

/// What a run's folder holds; nothing before it was measured.
///
/// # Errors
/// When the file is damaged.
pub fn read(run: &Path) -> Result<Vec<Measured>> {
    let path = run.join(FILE);
    Ok(if path.exists() { config::load(&path)? } else { Vec::new() })
}

/// The numbers that a run's folder holds, if it holds all that is asked for.
///
/// # Errors
/// When the file is damaged.
pub fn recorded(run: &Path, quantities: &[&Quantity]) -> Result<Option<Vec<Option<f64>>>> {
    let all = read(run)?;
    let find = |of: &&Quantity| all.iter().find(|measured| &&measured.of == of).map(|measured| measured.value);
    Ok(quantities.iter().map(find).collect())
}

/// Measures a run whose training has ended, and records it.
///
/// # Errors
/// When a stage that is asked for did not take place, or the environment or the file system fails.
pub fn measure(session: &Session, quantities: &[&Quantity]) -> Result<Vec<Option<f64>>> {
    let values: Vec<_> = quantities.iter().map(|of| value(session, of)).collect::<Result<_>>()?;
    let all = quantities.iter().zip(&values).map(|(&of, &value)| Measured { of: of.clone(), value });
    let text = ron::ser::to_string_pretty(&all.collect::<Vec<_>>(), ron::ser::PrettyConfig::default())?;
    let path = session.run().path().join(FILE);
    storage::write_atomic(&path, text.as_bytes()).wrap_err_with(|| path.display().to_string())?;
    Ok(values)
}

fn value(session: &Session, quantity: &Quantity) -> Result<Option<f64>> {
    match quantity {
        Quantity::Episodes { statistic, stage, domain, acting, episodes } => {
            let checkpoint = end_of(session, *stage)?;
            let deployed = checkpoint.policy()?;
            let own = deployed.header().acting;
            let policy = deployed.acting(acting.unwrap_or(own));
            let cell = Workcell::new(session.experiment(), domain)?;
            let record = session.evaluate(&policy, *stage, checkpoint.step, &cell, domain, FIRST_SEED, *episodes)?;
            Ok(statistic.value(&record.outcomes))
        }
        Quantity::DemonstrationNll { stage, episodes } => {
            let experiment = session.experiment();
            let cell = Workcell::new(experiment, &experiment.demonstrations.domain)?;
            let demonstrations = cell.demonstrations(*episodes, HELD_OUT_SEED, 1)?;
            let policy = end_of(session, *stage)?.policy()?;
            Ok(policy.demonstration_nll(&demonstrations, experiment.learn.dequantization, HELD_OUT_SEED)?)
        }
        Quantity::Logged { metric, stage, which } => {
            let mut values = logged(session, metric, *stage)?.into_iter().map(|(_, value)| value);
            Ok(match which {
                Which::Last => values.next_back(),
                Which::Largest => values.reduce(f64::max),
            })
        }
        Quantity::WarmupStepsUntilValue(wanted) => {
            let values = logged(session, START_VALUE, Stage::Warmup)?;
            let reached = values.iter().find(|(_, value)| *value >= wanted.get());
            Ok(reached.map(|&(step, _)| step as f64))
        }
    }
}

/// The values of a number that were logged in a stage, with their steps.
fn logged(session: &Session, metric: &str, stage: Stage) -> Result<Vec<(u64, f64)>> {
    let log = MetricsLog::read(&session.run().metrics())?;
    let of_stage = log.iter().filter(|line| line.stage == stage.name());
    Ok(of_stage.filter_map(|line| Some((line.step, *line.values.get(metric)?))).collect())
}

fn end_of(session: &Session, stage: Stage) -> Result<Checkpoint> {
    last_of(session.run(), stage)?.ok_or_else(|| {
        eyre!(
            "run {}: the stage {} had no steps, nothing of it can be measured",
            session.run().path().display(),
            stage.name()
        )
    })
}
