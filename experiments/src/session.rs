//! One process that works on a run: it gives the trainer its episodes, logs, checkpoints and evaluates.

mod episodes;

use crate::averages::Averages;
use crate::evaluation::{EvaluationRecord, FIRST_SEED, summary};
use crate::experiment::{Experiment, Workcell};
use crate::robot::RobotSession;
use crate::{JsonLines, Metrics, MetricsLog, Moment, Narration, RunFolder};
use bridge::dataset::{self, Dataset, DatasetHeader};
use bridge::{EnvironmentSpec, Episode, Outcome};
use color_eyre::eyre::Result;
use episodes::{demonstrations, first_own};
use learn::{Boundary, Checkpoint, Choice, Policy, Stage, Trainer, TrainerState, Work, play_all};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Name of the logged value of the demonstrations' first states.
pub const START_VALUE: &str = "start_value";

/// One process that works on a run.
#[derive(Debug)]
pub struct Session {
    run: RunFolder,
    experiment: Experiment,
    environment: EnvironmentSpec,
    n_threads: usize,
    narration: Narration,
    trainer: Trainer,
    own: Dataset,
    own_by_seed: BTreeMap<u64, Episode>,
    online_cell: Workcell,
    /// What the online stage collects on, where that is no simulation.
    robot: Option<RobotSession>,
    metrics: MetricsLog,
    averages: Averages,
    started: Instant,
    spent_before_s: f64,
    lost_data: bool,
}

impl Session {
    /// Records or reads the demonstrations and makes the trainer, or goes on from the last checkpoint. The online stage collects on
    /// `robot`, where there is one.
    ///
    /// # Errors
    /// When something that the experiment names does not exist, or a file cannot be used.
    pub fn begin(
        run: RunFolder,
        experiment: Experiment,
        demos: Option<&Path>,
        n_threads: usize,
        narration: Narration,
        robot: Option<RobotSession>,
    ) -> Result<Self> {
        let demo_cell = Workcell::new(&experiment, &experiment.demonstrations.domain)?;
        let online_cell = Workcell::new(&experiment, &experiment.online_domain)?;
        for domain in &experiment.evaluation.domains {
            Workcell::new(&experiment, domain)?;
        }
        let environment = demo_cell.environment()?.spec().clone();
        let header = |domain: &str| DatasetHeader {
            environment: environment.clone(),
            domain: domain.to_owned(),
            seed: experiment.seed,
        };

        let demonstrations = demonstrations(
            &run,
            &experiment,
            &demo_cell,
            &header(&experiment.demonstrations.domain),
            demos,
            n_threads,
            narration,
        )?;
        let own_folder = run.replay().join("own");
        let online_domain = robot.as_ref().map_or_else(|| experiment.online_domain.clone(), RobotSession::domain);
        let own = Dataset::open(&own_folder, &header(&online_domain))?;
        let own_by_seed: BTreeMap<u64, Episode> =
            dataset::read_or_empty(&own_folder)?.into_iter().map(|episode| (episode.label.seed, episode)).collect();

        let latest = Checkpoint::list(&run.checkpoints())?.pop();
        let (learn, imitation) = (experiment.learn.clone(), experiment.evaluation.imitation);
        let trainer = match &latest {
            None => Trainer::new(learn, environment.clone(), &demonstrations.episodes, imitation, experiment.seed)?,
            Some(checkpoint) => {
                narration.say(|| format!("going on from {}", checkpoint.path.display()));
                checkpoint.verify()?;
                let n_own = TrainerState::load(&checkpoint.path)?.n_online_episodes;
                let own = first_own(&own_by_seed, experiment.seed, n_own)?;
                Trainer::resume(
                    learn,
                    environment.clone(),
                    &demonstrations.episodes,
                    &own,
                    imitation,
                    &checkpoint.path,
                )?
            }
        };
        let stages = Stage::ALL.map(Stage::name);
        match &latest {
            None => run.truncate_after(&stages, Stage::Imitation.name(), 0)?,
            Some(checkpoint) => run.truncate_after(&stages, checkpoint.stage.name(), checkpoint.step)?,
        }
        let spent_before_s = MetricsLog::read(&run.metrics())?.last().map_or(0.0, |line: &Metrics| line.time_s);
        Ok(Self {
            metrics: run.open_metrics()?,
            run,
            experiment,
            environment,
            n_threads,
            narration,
            trainer,
            own,
            own_by_seed,
            online_cell,
            robot,
            averages: Averages::default(),
            started: Instant::now(),
            spent_before_s,
            lost_data: demonstrations.lost_bytes > 0,
        })
    }

    /// The run.
    pub const fn run(&self) -> &RunFolder {
        &self.run
    }

    /// The experiment.
    pub const fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// Whether recorded data was found damaged, or could not be written.
    pub const fn lost_data(&self) -> bool {
        self.lost_data
    }

    /// Does all that the trainer asks for.
    ///
    /// # Errors
    /// When the trainer, the environment or the file system fails. The last checkpoint is then what a resumed run goes
    /// on from.
    pub fn run_to_the_end(&mut self) -> Result<()> {
        let done = self.work_off();
        // However it ended: what the loop has to say about its time is worth most when something went wrong.
        let is_whole = self.robot.take().map_or(Ok(true), RobotSession::end);
        done?;
        self.lost_data |= !is_whole?;
        Ok(())
    }

    fn work_off(&mut self) -> Result<()> {
        loop {
            // An evaluation belongs to what comes before it but is made with what comes after: a process that was killed between
            // its checkpoint and its evaluation makes up for it.
            self.refuse_interrupted()?;
            match self.trainer.work() {
                Work::Finished => {
                    return self.evaluate_online(self.experiment.learn.online.iterations);
                }
                Work::Learn => self.learn_until_boundary()?,
                Work::Collect { iteration, seeds } => {
                    self.evaluate_online(iteration)?;
                    self.collect(iteration, &seeds)?;
                }
            }
        }
    }

    /// Fails where somebody who has a robot wants to end; a checkpoint was written.
    fn refuse_interrupted(&self) -> Result<()> {
        self.robot.as_ref().map_or(Ok(()), RobotSession::refuse_interrupted)
    }

    fn learn_until_boundary(&mut self) -> Result<()> {
        let (stage, first_step) = self.trainer.position().stage_and_step(self.trainer.config());
        let last_step = self.trainer.position().next_boundary(self.trainer.config());
        let mut progress = self.narration.start(stage.name(), "steps", last_step - first_step);
        let started = Instant::now();
        let boundary = loop {
            let report = self.trainer.learn()?;
            self.averages.add(&report);
            let is_due = report.boundary.is_some() || report.step.is_multiple_of(self.experiment.log_every);
            if is_due {
                progress.note(self.averages.headline());
                self.log(stage, report.step)?;
            }
            progress.advance(1);
            if let Some(boundary) = report.boundary {
                break boundary;
            }
            let is_interrupted = self.robot.as_ref().is_some_and(RobotSession::is_interrupted);
            if is_interrupted || report.step.is_multiple_of(self.experiment.checkpoint_every) {
                self.checkpoint()?;
            }
            self.refuse_interrupted()?;
        };
        progress.finish();
        let took_s = started.elapsed().as_secs_f64();
        match boundary {
            Boundary::Stage(stage) => {
                self.checkpoint()?;
                self.narration.say(|| format!("{}: {} steps in {took_s:.0} s", stage.name(), last_step - first_step));
            }
            Boundary::Iteration { iteration, verdict } => {
                let narration = self.narration;
                narration.say(|| format!("online iteration {}: {took_s:.0} s, snapshot {verdict}", iteration + 1));
                self.checkpoint()?;
            }
        }
        Ok(())
    }

    /// Plays the episodes of an iteration; those that an interrupted session played already are taken as they are.
    fn collect(&mut self, iteration: u64, seeds: &[u64]) -> Result<()> {
        let missing: Vec<u64> = seeds.iter().copied().filter(|seed| !self.own_by_seed.contains_key(seed)).collect();
        let mut progress = self.narration.start("collect", "episodes", missing.len() as u64);
        let own = &mut self.own;
        let mut store = |episode: &Episode| {
            progress.advance(1);
            own.append(episode)
        };
        let cell = &self.online_cell;
        let policy = self.trainer.acting()?;
        let played = match &mut self.robot {
            None => {
                let mut stored = Ok(());
                let on_done =
                    |episode: &Episode| stored = std::mem::replace(&mut stored, Ok(())).and_then(|()| store(episode));
                let played = play_all(&|| cell.environment(), policy, &missing, self.n_threads, on_done)?;
                stored?;
                played
            }
            Some(robot) => robot.play(policy, &missing, |episode| Ok(store(episode)?))?,
        };
        self.own_by_seed.extend(played.into_iter().map(|episode| (episode.label.seed, episode)));

        let episodes: Vec<Episode> = seeds.iter().filter_map(|seed| self.own_by_seed.get(seed).cloned()).collect();
        if self.robot.is_some() {
            let outcomes: Vec<Outcome> = episodes.iter().map(|episode| episode.label.outcome.clone()).collect();
            let shown = summary(&self.experiment.task.columns(), &outcomes);
            self.narration.say(|| format!("online iteration {}: collected on the robot: {shown}", iteration + 1));
        }
        if let Some(trial) = self.trainer.accept(&episodes)? {
            self.narration.say(|| format!("online iteration {}: {trial}", iteration + 1));
        }
        Ok(())
    }

    /// Evaluates the deployed policy in the online domain after `iterations` iterations.
    fn evaluate_online(&mut self, iterations: u64) -> Result<()> {
        let n_episodes = self.experiment.evaluation.online_episodes;
        if n_episodes == 0 || self.experiment.learn.online.iterations == 0 {
            return Ok(());
        }
        let (stage, step) = match iterations {
            0 => {
                self.trainer.acting()?;
                (Stage::Offline, self.experiment.learn.offline_steps)
            }
            _ => self.trainer.position().stage_and_step(self.trainer.config()),
        };
        let policy = self.trainer.policy()?;
        let domain = &self.experiment.online_domain;
        let record = self.evaluate(&policy, stage, step, &self.online_cell, domain, FIRST_SEED, n_episodes)?;
        self.narration.say(|| {
            let shown = summary(&self.experiment.task.columns(), &record.outcomes);
            format!("after {} own episodes, {domain}: {shown}", record.own_episodes)
        });
        Ok(())
    }

    /// Evaluates a policy on `n_episodes` fixed episodes, or finds the record of an evaluation that was the same.
    ///
    /// # Errors
    /// When the environment fails or the record cannot be written.
    #[expect(clippy::too_many_arguments, reason = "each of them tells two evaluations apart")]
    pub fn evaluate(
        &self,
        policy: &Policy,
        stage: Stage,
        step: u64,
        cell: &Workcell,
        domain: &str,
        first_seed: u64,
        n_episodes: usize,
    ) -> Result<EvaluationRecord> {
        policy.check_fits(&self.environment)?;
        let blank = EvaluationRecord {
            stage: stage.name().into(),
            step,
            policy: stage.name().into(),
            snapshot: policy.header().name.clone(),
            domain: domain.to_owned(),
            own_episodes: self.own_episodes_at(stage, step),
            n_candidates: policy.header().acting.n_candidates,
            choice: policy.header().choice,
            temperature: policy.header().acting.temperature.get(),
            first_seed,
            outcomes: Vec::new(),
        };
        self.recorded(blank, n_episodes, || {
            let seeds: Vec<u64> = (first_seed..).take(n_episodes).collect();
            let label = format!("evaluate {}", stage.name());
            let mut progress = self.narration.start(&label, "episodes", n_episodes as u64);
            let cell = cell.clone().for_evaluation();
            Ok(play_all(&|| cell.environment(), policy, &seeds, self.n_threads, |_| progress.advance(1))?)
        })
    }

    /// Evaluates the scripted demonstrators as they are: without perturbation and noise.
    ///
    /// # Errors
    /// As [`Session::evaluate`].
    pub fn evaluate_demonstrator(&self, cell: &Workcell, domain: &str) -> Result<EvaluationRecord> {
        let n_episodes = self.experiment.evaluation.episodes;
        let blank = EvaluationRecord {
            stage: Stage::Imitation.name().into(),
            step: 0,
            policy: "demonstrator".into(),
            snapshot: "demonstrator".into(),
            domain: domain.to_owned(),
            own_episodes: 0,
            n_candidates: 1,
            choice: Choice::Value,
            temperature: 1.0,
            first_seed: FIRST_SEED,
            outcomes: Vec::new(),
        };
        self.recorded(blank, n_episodes, || {
            cell.clone().for_evaluation().exact_demonstrations(n_episodes, FIRST_SEED, self.n_threads)
        })
    }

    /// The record in the log that differs from `blank` by its outcomes alone. Else a new one: of the outcomes that the
    /// same weights had in the same episodes when they were deployed before, or of what `play` plays.
    fn recorded(
        &self,
        blank: EvaluationRecord,
        n_episodes: usize,
        play: impl FnOnce() -> Result<Vec<Episode>>,
    ) -> Result<EvaluationRecord> {
        let log: Vec<EvaluationRecord> = JsonLines::read(&self.run.evals())?;
        let is_same = |record: &EvaluationRecord| {
            record.outcomes.len() == n_episodes && EvaluationRecord { outcomes: Vec::new(), ..record.clone() } == blank
        };
        if let Some(record) = log.iter().find(|record| is_same(record)) {
            return Ok(record.clone());
        }
        let played_alike = |record: &&EvaluationRecord| {
            record.outcomes.len() == n_episodes
                && (&record.snapshot, &record.domain) == (&blank.snapshot, &blank.domain)
                && (record.n_candidates, record.choice, record.first_seed)
                    == (blank.n_candidates, blank.choice, blank.first_seed)
                && record.temperature.to_bits() == blank.temperature.to_bits()
        };
        let outcomes = match log.iter().find(played_alike) {
            Some(record) => record.outcomes.clone(),
            None => play()?.into_iter().map(|episode| episode.label.outcome).collect(),
        };
        let record = EvaluationRecord { outcomes, ..blank };
        self.run.append_eval(&record)?;
        Ok(record)
    }

    fn own_episodes_at(&self, stage: Stage, step: u64) -> usize {
        let online = &self.experiment.learn.online;
        let learned = step.saturating_sub(online.critic_first_steps);
        match stage {
            Stage::Online => (learned / online.steps_per_iteration.max(1)) as usize * online.episodes_per_iteration,
            _ => 0,
        }
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
        Checkpoint::write(&self.trainer, &self.run.checkpoints())?;
        let all = Checkpoint::list(&self.run.checkpoints())?;
        let n_kept = all.len().saturating_sub(2);
        for checkpoint in &all[..n_kept] {
            if !checkpoint.ends_stage(&self.experiment.learn) {
                checkpoint.remove()?;
            }
        }
        Ok(())
    }
}
