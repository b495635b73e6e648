//! The learner at work: gradient steps, their log, checkpoints. It knows no body: episodes come by others.

use crate::averages::Averages;
use crate::experiment::Experiment;
use crate::{MetricsLog, Moment, Narration, RunFolder};
use color_eyre::eyre::Result;
use learn::{Boundary, Checkpoint, Stage, Trainer};
use std::path::PathBuf;
use std::time::Instant;

/// Name of the logged value of the demonstrations' first states.
pub const START_VALUE: &str = "start_value";

/// A trainer, and what is kept of its steps.
#[derive(Debug)]
pub(super) struct Learner {
    pub(super) trainer: Trainer,
    narration: Narration,
    log_every: u64,
    checkpoint_every: u64,
    checkpoints: PathBuf,
    metrics: MetricsLog,
    averages: Averages,
    started: Instant,
    spent_before_s: f64,
}

impl Learner {
    /// Works for `run`, on which `spent_before_s` was spent before.
    pub(super) fn new(
        trainer: Trainer,
        run: &RunFolder,
        experiment: &Experiment,
        spent_before_s: f64,
        narration: Narration,
    ) -> Result<Self> {
        Ok(Self {
            trainer,
            narration,
            log_every: experiment.log_every,
            checkpoint_every: experiment.checkpoint_every,
            checkpoints: run.checkpoints(),
            metrics: run.open_metrics()?,
            averages: Averages::default(),
            started: Instant::now(),
            spent_before_s,
        })
    }

    /// Takes steps until a stage or an iteration ends, and shows them in a bar; a checkpoint follows. Stops where `is_over`, with a
    /// checkpoint too.
    pub(super) fn learn_until_boundary(&mut self, bar: Narration, is_over: impl Fn() -> bool) -> Result<()> {
        let (stage, first_step) = self.trainer.position().stage_and_step(self.trainer.config());
        let last_step = self.trainer.position().next_boundary(self.trainer.config());
        let mut progress = bar.start(stage.name(), "steps", last_step - first_step);
        let started = Instant::now();
        let boundary = loop {
            let report = self.trainer.learn()?;
            self.averages.add(&report);
            let is_due = report.boundary.is_some() || report.step.is_multiple_of(self.log_every);
            if is_due {
                progress.note(self.averages.headline());
                self.log(stage, report.step)?;
            }
            progress.advance(1);
            if let Some(boundary) = report.boundary {
                break boundary;
            }
            let is_over = is_over();
            if is_over || report.step.is_multiple_of(self.checkpoint_every) {
                self.checkpoint()?;
            }
            if is_over {
                return Ok(());
            }
        };
        progress.finish();
        self.checkpoint()?;
        let took_s = started.elapsed().as_secs_f64();
        self.narration.say(|| match boundary {
            Boundary::Stage(stage) => format!("{}: {} steps in {took_s:.0} s", stage.name(), last_step - first_step),
            Boundary::Iteration { iteration, verdict } => {
                format!("online iteration {}: {took_s:.0} s, snapshot {verdict}", iteration + 1)
            }
        });
        Ok(())
    }

    fn log(&mut self, stage: Stage, step: u64) -> Result<()> {
        let time_s = self.spent_before_s + self.started.elapsed().as_secs_f64();
        let moment = Moment { stage: stage.name(), step, time_s };
        let mut scalars = self.averages.take();
        scalars.extend(self.trainer.diagnose(stage)?);
        if stage != Stage::Imitation {
            scalars.push((START_VALUE, self.trainer.start_value()?));
        }
        Ok(self.metrics.append(&moment, &scalars)?)
    }

    /// Writes a checkpoint and removes those that neither end a stage nor are among the last two.
    fn checkpoint(&mut self) -> Result<()> {
        self.metrics.sync()?;
        Checkpoint::write(&self.trainer, &self.checkpoints)?;
        let all = Checkpoint::list(&self.checkpoints)?;
        let n_kept = all.len().saturating_sub(2);
        for checkpoint in &all[..n_kept] {
            if !checkpoint.ends_stage(self.trainer.config()) {
                checkpoint.remove()?;
            }
        }
        Ok(())
    }
}
