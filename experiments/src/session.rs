//! One process that works on a run: it gives the trainer its episodes, logs, checkpoints and evaluates.

mod episodes;
mod learner;

pub use learner::START_VALUE;

use crate::evaluation::{EvaluationRecord, FIRST_SEED, summary};
use crate::experiment::{Experiment, Workcell};
use crate::robot::RobotSession;
use crate::{JsonLines, Metrics, MetricsLog, Narration, RunFolder};
use bridge::dataset::{self, Dataset, DatasetHeader};
use bridge::real::urgent;
use bridge::{EnvironmentSpec, Episode, Outcome};
use color_eyre::eyre::{Result, eyre};
use crossbeam::channel::{bounded, never};
use episodes::{demonstrations, first_own};
use learn::kernels::sparing_a_core;
use learn::{Checkpoint, Choice, Policy, Stage, Trainer, TrainerState, Work, play_all};
use learner::Learner;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;

/// One process that works on a run.
#[derive(Debug)]
pub struct Session {
    run: RunFolder,
    experiment: Experiment,
    environment: EnvironmentSpec,
    n_threads: usize,
    narration: Narration,
    learner: Learner,
    own: Dataset,
    own_by_seed: BTreeMap<u64, Episode>,
    online_cell: Workcell,
    /// What the online stage collects on, where that is no simulation.
    robot: Option<RobotSession>,
    lost_data: bool,
}

impl Session {
    /// Records or reads the demonstrations and makes the trainer, or goes on from the last checkpoint. The online stage collects on
    /// `robot`, where there is one.
    ///
    /// # Errors
    /// When something that the experiment names does not exist, or a file cannot be used.
    pub fn begin(
        mut run: RunFolder,
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
            reward: experiment.task.reward(),
        };

        let demonstrations = demonstrations(
            &mut run,
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
                let own: Vec<Episode> = own.into_iter().cloned().collect();
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
            learner: Learner::new(trainer, &run, &experiment, spent_before_s, narration)?,
            run,
            experiment,
            environment,
            n_threads,
            narration,
            own,
            own_by_seed,
            online_cell,
            robot,
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
            match self.learner.trainer.work() {
                Work::Finished => {
                    return self.evaluate_online(self.experiment.learn.online.iterations);
                }
                Work::Learn => self.learn()?,
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

    /// Learns up to the next boundary; a robot that waits for nobody plays on meanwhile.
    fn learn(&mut self) -> Result<()> {
        let plays_on = self.robot.as_ref().is_some_and(RobotSession::plays_on);
        let ahead = self.learner.trainer.seeds_ahead().filter(|_| plays_on).unwrap_or_default();
        let missing = self.missing(&ahead);
        if missing.is_empty() {
            let robot = self.robot.as_ref();
            return self
                .learner
                .learn_until_boundary(self.narration, || robot.is_some_and(RobotSession::is_interrupted));
        }
        self.learn_and_play(&missing)
    }

    /// Learns on a thread of its own while the robot plays the episodes that will be asked for next. From the chunk on that is
    /// planned when it is deployed, they are played by what was learned.
    fn learn_and_play(&mut self, seeds: &[u64]) -> Result<()> {
        let Some(robot) = &mut self.robot else { return Ok(()) };
        let (learner, own) = (&mut self.learner, &mut self.own);
        let policy = learner.trainer.acting()?.deep_clone()?;
        let mut progress = self.narration.start("collect", "episodes", seeds.len() as u64);
        let (is_interrupted, is_alone) = (robot.interrupt_flag(), AtomicBool::new(false));
        let (deploy, deployed) = bounded(1);
        let is_over = || is_interrupted.load(Ordering::Relaxed) || is_alone.load(Ordering::Relaxed);
        let name = policy.header().name.clone();
        let learn = move || {
            // There is one bar, and it is the robot's.
            learner.learn_until_boundary(Narration::Silent, is_over)?;
            let acting = learner.trainer.acting()?;
            let is_new = acting.header().name != name;
            // Whoever has stopped playing needs no policy.
            drop(deploy.send(is_new.then(|| acting.deep_clone()).transpose()?));
            Ok(())
        };
        // Where it cannot go last, the loop is told to be late by whoever looks at it: it is no reason not to learn.
        let learn = move || sparing_a_core(|| drop(urgent::go_last()), learn)?;
        let (played, learned) = std::thread::scope(|scope| -> Result<_> {
            let learning = Builder::new().name("learner".into()).spawn_scoped(scope, learn)?;
            let played = robot.play(&policy, &deployed, seeds, |episode| {
                progress.advance(1);
                Ok(own.append(episode)?)
            });
            // What nobody plays for any more need not be learned now.
            is_alone.store(played.is_err(), Ordering::Relaxed);
            Ok((played, learning.join().unwrap_or_else(|_panic| Err(eyre!("the learner panicked")))))
        })?;
        learned?;
        self.own_by_seed.extend(played?.into_iter().map(|episode| (episode.label.seed, episode)));
        Ok(())
    }

    /// Those of `seeds` of which no episode is there.
    fn missing(&self, seeds: &[u64]) -> Vec<u64> {
        seeds.iter().copied().filter(|seed| !self.own_by_seed.contains_key(seed)).collect()
    }

    /// Plays the episodes of an iteration; those that were played before, while the learner learned or in an interrupted session,
    /// are taken as they are.
    fn collect(&mut self, iteration: u64, seeds: &[u64]) -> Result<()> {
        let missing = self.missing(seeds);
        if !missing.is_empty() {
            self.play(&missing)?;
        }
        let episodes: Vec<Episode> = seeds.iter().filter_map(|seed| self.own_by_seed.get(seed).cloned()).collect();
        if self.robot.is_some() {
            let outcomes: Vec<Outcome> = episodes.iter().map(|episode| episode.label.outcome.clone()).collect();
            let shown = summary(&self.experiment.task.columns(), &outcomes);
            self.narration.say(|| format!("online iteration {}: collected on the robot: {shown}", iteration + 1));
        }
        if let Some(trial) = self.learner.trainer.accept(&episodes)? {
            self.narration.say(|| format!("online iteration {}: {trial}", iteration + 1));
        }
        Ok(())
    }

    /// Plays an episode per seed with the acting policy, and stores them.
    fn play(&mut self, seeds: &[u64]) -> Result<()> {
        let mut progress = self.narration.start("collect", "episodes", seeds.len() as u64);
        let own = &mut self.own;
        let mut store = |episode: &Episode| {
            progress.advance(1);
            own.append(episode)
        };
        let cell = &self.online_cell;
        let policy = self.learner.trainer.acting()?;
        let played = match &mut self.robot {
            None => {
                let mut stored = Ok(());
                let on_done =
                    |episode: &Episode| stored = std::mem::replace(&mut stored, Ok(())).and_then(|()| store(episode));
                let played = play_all(&|| cell.environment(), policy, seeds, self.n_threads, on_done)?;
                stored?;
                played
            }
            Some(robot) => robot.play(policy, &never(), seeds, |episode| Ok(store(episode)?))?,
        };
        self.own_by_seed.extend(played.into_iter().map(|episode| (episode.label.seed, episode)));
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
                self.learner.trainer.acting()?;
                (Stage::Offline, self.experiment.learn.offline_steps)
            }
            _ => self.learner.trainer.position().stage_and_step(&self.experiment.learn),
        };
        let policy = self.learner.trainer.policy()?;
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
        let own_episodes = self.own_episodes_at(stage, step);
        let blank = EvaluationRecord {
            stage: stage.name().into(),
            step,
            policy: stage.name().into(),
            snapshot: policy.header().name.clone(),
            domain: domain.to_owned(),
            own_episodes,
            own_steps: Some(self.own_steps(own_episodes)?),
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
            own_steps: Some(0),
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
        // Own steps follow from own episodes, and are not in every log.
        let is_same = |record: &EvaluationRecord| {
            let bare = EvaluationRecord { outcomes: Vec::new(), own_steps: blank.own_steps, ..record.clone() };
            record.outcomes.len() == n_episodes && bare == blank
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

    /// Control steps of the first `n` own episodes.
    fn own_steps(&self, n: usize) -> Result<u64> {
        let episodes = first_own(&self.own_by_seed, self.experiment.seed, n)?;
        Ok(episodes.iter().map(|episode| episode.n_steps() as u64).sum())
    }
}
