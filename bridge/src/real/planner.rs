//! Chunks are planned ahead, on another thread.
//!
//! A chunk that is planned from the observation of step s says what to do in the steps s to s + H - 1. The last `lead`
//! steps of the chunk before it are carried out while it is planned, then E of its own:
//!
//! ```text
//! steps           s              s + lead                    s + lead + E
//! old chunk  ...  |<- carried out ->|
//! new chunk       |<-  skipped    ->|<-    carried out   ...  ->|   lead + E <= H
//! ```
//! The planner is told what is carried out in the steps that it skips, so that its actions may follow from them. Before the
//! first chunk the command of the start is held; it counts as on the way.
//!
//! When the new chunk is late, the rest of the old one is carried out, and then nothing more comes. A job that belongs to
//! an episode that is over is thrown away.

use super::newest::Subscriber;
use crate::{BodySpec, ToolPose};
use crossbeam::channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Jobs under way: current, next, being planned, and one of an episode that is over.
const N_JOBS: usize = 4;

/// Plans chunks. It belongs to the planning thread.
pub trait Planner: Send {
    /// What the learner publishes: weights, or a handle to them.
    type Policy: Send;

    /// Uses the newest policy from the next chunk on.
    fn adopt(&mut self, policy: Self::Policy);

    /// Writes a chunk, H x `action_len` joint targets in rad, for the step at which `observation` was made. It comes with
    /// the actions of the first `lead` steps: they are carried out whatever is written there.
    ///
    /// # Errors
    /// When there is no chunk to be had.
    fn plan(&mut self, observation: &[f32], chunk_rad: &mut [f32]) -> Result<(), PlanError>;
}

/// A chunk could not be planned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("planner: {reason}")]
pub struct PlanError {
    /// What happened.
    pub reason: String,
}

/// Which actions are not nonsense: a chunk with any other is refused whole.
#[derive(Clone, Debug)]
pub struct ActionRange {
    bounds: Vec<(f32, f32)>,
    has_tool: bool,
}

impl ActionRange {
    /// The ranges of `body`, wider by `slack_rad` a joint and by `slack_m` along each axis of a tool's workspace. The
    /// components of a tool's quaternion are within a range that is twice their own, and are a rotation.
    #[must_use]
    pub fn new(body: &BodySpec, slack_rad: f32, slack_m: f32) -> Self {
        let axes = body.tool.iter().flat_map(|tool| tool.lower_m.into_iter().zip(tool.upper_m));
        let axes = axes.map(|(lower_m, upper_m)| (lower_m - slack_m, upper_m + slack_m));
        let quaternion = body.tool.iter().flat_map(|_| [(-2.0, 2.0); 4]);
        let joints = body.joints.iter().map(|joint| (joint.lower_rad - slack_rad, joint.upper_rad + slack_rad));
        Self { bounds: axes.chain(quaternion).chain(joints).collect(), has_tool: body.tool.is_some() }
    }

    fn check(&self, step: usize, action: &[f32]) -> Result<(), PlanError> {
        for (index, (&x, &(lower, upper))) in action.iter().zip(&self.bounds).enumerate() {
            // What is not finite is in no range.
            if !(lower..=upper).contains(&x) {
                let reason = format!("action {step} of it: value {index} is {x}, expected {lower} to {upper}");
                return Err(PlanError { reason });
            }
        }
        if self.has_tool && action.first_chunk().and_then(ToolPose::from_values).is_none() {
            return Err(PlanError { reason: format!("action {step} of it: the tool's quaternion is no rotation") });
        }
        Ok(())
    }
}

/// How chunks follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkConfig {
    /// Actions in a chunk, H.
    pub horizon: usize,
    /// Actions of it that are carried out, E; 1 to H - lead.
    pub execute: usize,
    /// Steps that planning may take without being late.
    pub lead: usize,
}

/// The three numbers do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "chunks: {execute} steps after a lead of {lead} do not fit a chunk of {horizon}; expected execute from 1 to horizon - lead"
)]
pub struct ChunkError {
    horizon: usize,
    execute: usize,
    lead: usize,
}

/// A policy on its way to the planner.
#[derive(Clone, Debug)]
pub struct Snapshot<P> {
    /// The policy.
    pub policy: P,
    /// Its number.
    pub version: u64,
    /// When it was published, s on the loop's clock.
    pub published_s: f64,
}

/// A chunk that is to be planned, or was.
#[derive(Debug)]
pub struct PlanJob {
    epoch: u64,
    step: u32,
    observation: Vec<f32>,
    chunk_rad: Vec<f32>,
    result: Result<(), PlanError>,
    version: u64,
    published_s: f64,
}

impl PlanJob {
    /// The action `ahead` steps after `step`, of `len` values.
    fn action(&self, step: u32, ahead: usize, len: usize) -> Option<&[f32]> {
        let index = (step - self.step) as usize + ahead;
        self.chunk_rad.get(index * len..(index + 1) * len)
    }
}

/// The planning thread's side.
#[derive(Debug)]
pub struct PlannerWorker<P: Planner> {
    planner: P,
    policies: Subscriber<Snapshot<P::Policy>>,
    jobs: Receiver<PlanJob>,
    done: Sender<PlanJob>,
    version: u64,
    published_s: f64,
}

impl<P: Planner> PlannerWorker<P> {
    /// Works until the loop is gone.
    pub fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            self.serve(job);
        }
    }

    /// Plans what waits, on the caller's thread; returns whether there was anything. For tests in virtual time.
    pub fn serve_waiting(&mut self) -> bool {
        let job = self.jobs.try_recv();
        let was_waiting = job.is_ok();
        if let Ok(job) = job {
            self.serve(job);
        }
        was_waiting
    }

    fn serve(&mut self, mut job: PlanJob) {
        if let Some(snapshot) = self.policies.take() {
            self.planner.adopt(snapshot.policy);
            (self.version, self.published_s) = (snapshot.version, snapshot.published_s);
        }
        job.result = self.planner.plan(&job.observation, &mut job.chunk_rad);
        (job.version, job.published_s) = (self.version, self.published_s);
        // There is a place for every job; a loop that is gone needs none.
        drop(self.done.try_send(job));
    }
}

/// The loop's side: asks for chunks, checks them, and knows which action is due.
#[derive(Debug)]
pub struct Plans {
    config: ChunkConfig,
    range: ActionRange,
    jobs: Sender<PlanJob>,
    done: Receiver<PlanJob>,
    idle: Vec<PlanJob>,
    epoch: u64,
    is_planning: bool,
    current: Option<PlanJob>,
    next: Option<PlanJob>,
    first_step: u32,
}

impl Plans {
    /// Both sides. A chunk is refused when an action of it is not finite or outside of `range`.
    ///
    /// # Errors
    /// When the numbers of `config` do not fit.
    pub fn new<P: Planner>(
        config: ChunkConfig,
        observation_len: usize,
        range: ActionRange,
        planner: P,
        policies: Subscriber<Snapshot<P::Policy>>,
    ) -> Result<(Self, PlannerWorker<P>), ChunkError> {
        let ChunkConfig { horizon, execute, lead } = config;
        if execute == 0 || lead.checked_add(execute).is_none_or(|steps| steps > horizon) {
            return Err(ChunkError { horizon, execute, lead });
        }
        let ((jobs, to_plan), (done, planned)) = (bounded(N_JOBS), bounded(N_JOBS));
        let job = || PlanJob {
            epoch: 0,
            step: 0,
            observation: vec![0.0; observation_len],
            chunk_rad: vec![0.0; horizon * range.bounds.len()],
            result: Ok(()),
            version: 0,
            published_s: 0.0,
        };
        let idle = std::iter::repeat_with(job).take(N_JOBS).collect();
        let plans = Self {
            config,
            range,
            jobs,
            done: planned,
            idle,
            epoch: 0,
            is_planning: false,
            current: None,
            next: None,
            first_step: 0,
        };
        let worker = PlannerWorker { planner, policies, jobs: to_plan, done, version: 0, published_s: 0.0 };
        Ok((plans, worker))
    }

    /// Forgets every chunk, planned or being planned.
    pub fn drop_all(&mut self) {
        self.epoch += 1;
        self.is_planning = false;
        self.idle.extend(self.current.take());
        self.idle.extend(self.next.take());
    }

    /// Takes in what was planned; why the last chunk that was refused or could not be planned was.
    pub fn collect(&mut self) -> Option<PlanError> {
        let mut refusal = None;
        while let Ok(mut job) = self.done.try_recv() {
            if job.epoch != self.epoch {
                self.idle.push(job);
                continue;
            }
            self.is_planning = false;
            let result = std::mem::replace(&mut job.result, Ok(()));
            match result.and_then(|()| self.check(&job.chunk_rad)) {
                Ok(()) => self.idle.extend(self.next.replace(job)),
                Err(error) => {
                    refusal = Some(error);
                    self.idle.push(job);
                }
            }
        }
        refusal
    }

    /// Asks for a chunk at `step` if one is due; `held_rad` is what is carried out where no action is planned. Returns
    /// whether it did.
    pub fn request(&mut self, step: u32, observation: &[f32], held_rad: &[f32]) -> bool {
        let is_due = match self.current {
            None => true,
            Some(_) => step as usize + self.config.lead >= self.first_step as usize + self.config.execute,
        };
        if !is_due || self.is_planning || self.next.is_some() {
            return false;
        }
        let Some(mut job) = self.idle.pop() else { return false };
        (job.epoch, job.step) = (self.epoch, step);
        job.observation.copy_from_slice(observation);
        let len = self.range.bounds.len();
        let mut on_the_way_rad = held_rad;
        for (index, action_rad) in job.chunk_rad.chunks_exact_mut(len.max(1)).take(self.config.lead).enumerate() {
            on_the_way_rad =
                self.current.as_ref().and_then(|current| current.action(step, index, len)).unwrap_or(on_the_way_rad);
            action_rad.copy_from_slice(on_the_way_rad);
        }
        match self.jobs.try_send(job) {
            Ok(()) => self.is_planning = true,
            // The planner is gone: the chunks end, and that is seen.
            Err(refused) => self.idle.push(refused.into_inner()),
        }
        self.is_planning
    }

    /// What is to be done in `step`, rad; none when there is no chunk, or it has ended. Tells whether a chunk begins.
    pub fn action(&mut self, step: u32) -> (Option<&[f32]>, bool) {
        let is_due = match &self.current {
            None => true,
            Some(current) => {
                let is_over = step as usize >= self.first_step as usize + self.config.execute;
                is_over || (step - current.step) as usize >= self.config.horizon
            }
        };
        let mut is_begun = false;
        if is_due && let Some(next) = self.next.take() {
            if ((step - next.step) as usize) < self.config.horizon {
                // The first chunk of all is not skipped into: what was held while it was planned is its beginning.
                self.first_step = step.max(next.step + self.config.lead as u32);
                self.idle.extend(self.current.replace(next));
                is_begun = true;
            } else {
                self.idle.push(next);
            }
        }
        let len = self.range.bounds.len();
        (self.current.as_ref().and_then(|current| current.action(step, 0, len)), is_begun)
    }

    /// Whether a chunk is being planned.
    #[must_use]
    pub const fn is_planning(&self) -> bool {
        self.is_planning
    }

    /// Whether a chunk is ready or being carried out.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.current.is_some() || self.next.is_some()
    }

    /// Number of the policy that planned the chunk being carried out, and when it was published, s.
    #[must_use]
    pub fn policy(&self) -> Option<(u64, f64)> {
        self.current.as_ref().map(|job| (job.version, job.published_s))
    }

    fn check(&self, chunk_rad: &[f32]) -> Result<(), PlanError> {
        let len = self.range.bounds.len();
        let (found, expected) = (chunk_rad.len(), self.config.horizon * len);
        if found != expected {
            return Err(PlanError { reason: format!("it has {found} values, expected {expected}") });
        }
        let mut actions = chunk_rad.chunks_exact(len.max(1)).enumerate();
        actions.try_for_each(|(step, action)| self.range.check(step, action))
    }
}

#[cfg(test)]
mod tests {
    use super::super::newest::newest;
    use super::*;

    /// Plans `step + 0.1 h` for the h-th of its own steps, and keeps what it was told about the others.
    struct Ahead {
        lead: usize,
        told: Vec<Vec<f32>>,
    }

    impl Planner for Ahead {
        type Policy = ();

        fn adopt(&mut self, (): ()) {}

        fn plan(&mut self, observation: &[f32], chunk_rad: &mut [f32]) -> Result<(), PlanError> {
            let (on_the_way, own) = chunk_rad.split_at_mut(self.lead);
            self.told.push(on_the_way.to_vec());
            own.iter_mut().enumerate().for_each(|(h, x)| *x = observation[0] + 0.1 * h as f32);
            Ok(())
        }
    }

    /// Contract: a chunk of three actions planned one step ahead is carried out whole, before the first one the command of the
    /// start is held for a step, and the planner is told what is carried out before its actions come.
    #[test]
    fn chunks_planned_ahead_follow_one_another() -> Result<(), ChunkError> {
        let lead = 1;
        let config = ChunkConfig { horizon: lead + 3, execute: 3, lead };
        let (_publisher, policies) = newest();
        let planner = Ahead { lead, told: Vec::new() };
        let (mut plans, mut worker) =
            Plans::new(config, 1, ActionRange { bounds: vec![(-100.0, 100.0)], has_tool: false }, planner, policies)?;
        plans.request(0, &[0.0], &[-1.0]);
        worker.serve_waiting();
        let mut carried_out = Vec::new();
        for step in 0..10 {
            plans.collect();
            plans.request(step, &[step as f32], &[-1.0]);
            carried_out.extend(plans.action(step).0.map(|action| action[0]));
            worker.serve_waiting();
        }
        assert_eq!(carried_out, [-1.0, 0.0, 0.1, 0.2, 3.0, 3.1, 3.2, 6.0, 6.1, 6.2]);
        assert_eq!(worker.planner.told, [[-1.0], [0.2], [3.2], [6.2]]);
        Ok(())
    }
}
