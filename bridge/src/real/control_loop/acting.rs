//! An episode in the control loop: steps of several ticks, towards the actions of chunks or of a human.

use super::super::cause::Cause;
use super::super::labels::{Button, LabelSource};
use super::super::machine::{Decision, Order};
use super::super::recorder::{Actor, Ending, StepRecord};
use super::super::robot::Robot;
use super::{ControlLoop, Event, Posture, ToolMotion};
use crate::number::Finite;
use crate::tool::interpolate;
use crate::{Outcome, Task, ToolPose};

/// More than a keyboard's queue and that of a socket hold.
const MAX_LABELS_A_TICK: usize = 64;

/// The episode that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acting {
    seed: u64,
    way: Way,
    /// The first chunk came, or a human acts.
    is_begun: bool,
    /// It has ended, and the failsafe has not taken note yet.
    is_over: bool,
    is_human: bool,
    step: u32,
    tick: u32,
    step_began_s: f64,
    is_fit: bool,
    /// Who acts in this step, as far as it has come; none while a chunk is late and what was there is held.
    actor: Option<Actor>,
    late_since_s: Option<f64>,
    /// Of the buttons, not yet in a step.
    waiting_reward: f64,
    /// Of the buttons, all of the episode.
    labelled_reward: f64,
    verdict: Option<Button>,
}

/// The way to the posture in which the episode begins.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Moving { has_begun: bool },
    Settling { since_s: f64 },
    Done,
}

impl Acting {
    const fn new(seed: u64) -> Self {
        Self {
            seed,
            way: Way::Moving { has_begun: false },
            is_begun: false,
            is_over: false,
            is_human: false,
            step: 0,
            tick: 0,
            step_began_s: 0.0,
            is_fit: false,
            actor: None,
            late_since_s: None,
            waiting_reward: 0.0,
            labelled_reward: 0.0,
            verdict: None,
        }
    }

    /// How long a chunk has been missing, s; negative as long as it has time.
    pub(super) fn late_s(&self, now_s: f64) -> Option<f64> {
        self.late_since_s.filter(|_| !self.is_human && !self.is_over).map(|since_s| now_s - since_s)
    }

    /// Takes in what a human says.
    pub(super) const fn label(&mut self, button: Button) {
        match button {
            Button::PlusOne => self.waiting_reward += 1.0,
            Button::Success | Button::Failure | Button::Unsafe => self.verdict = Some(button),
            Button::EStop => {}
        }
    }

    fn outcome(&self, task: &impl Task) -> Outcome {
        let outcome = task.outcome();
        Outcome { total_reward: outcome.total_reward + self.labelled_reward, ..outcome }
    }
}

impl<R: Robot, T: Task, L: LabelSource> ControlLoop<R, T, L> {
    /// Takes in what was pressed; what a source gone mad presses beyond that has to wait.
    pub(super) fn take_in_labels(&mut self, now_s: f64) {
        for _ in 0..MAX_LABELS_A_TICK {
            let Some(button) = self.labels.next() else { return };
            // Of an episode that has not begun nothing can be said, but that something unsafe was seen.
            let does_hear = |acting: &&mut Acting| acting.is_begun || button == Button::Unsafe;
            if button == Button::EStop {
                self.events = self.events.with(Cause::EStop);
            } else if let Some(acting) = self.acting.as_mut().filter(does_hear) {
                // Where a body is to tell what cannot be seen of a success, a human says it in its place.
                if button == Button::Success && !self.bounds.spec().signals.is_empty() {
                    self.governor.body_mut().say_signals(true);
                } else {
                    acting.label(button);
                }
                if button == Button::Unsafe {
                    self.events = self.events.with(Cause::SceneLost);
                }
            } else {
                self.emit(Event::Pressed { button, at_s: now_s });
            }
        }
    }

    pub(super) fn begin_episode(&mut self, now_s: f64) {
        let mut acting = Acting::new(self.next_seed);
        self.next_seed += 1;
        self.governor.body_mut().say_signals(false);
        if self.config.start.is_none() {
            self.arrive(&mut acting, now_s);
        }
        self.acting = Some(acting);
    }

    pub(super) fn end_episode(&mut self, cause: Option<Cause>, now_s: f64) {
        let Some(acting) = self.acting.take() else { return };
        if self.recorder.is_recording() {
            let outcome = acting.outcome(&self.task);
            self.recorder.end(Ending { outcome, cut_by: cause, verdict: acting.verdict, late_success: None });
        }
        // What came to its own end, or was judged, is whole, whatever the failsafe made of it.
        let cause = cause.filter(|_| !acting.is_over && acting.verdict.is_none());
        self.emit(Event::EpisodeEnded { seed: acting.seed, n_steps: acting.step, cause, at_s: now_s });
    }

    pub(super) fn take_over(&mut self) {
        if let Some(acting) = self.acting.as_mut().filter(|acting| !acting.is_human) {
            acting.is_human = true;
            let step = acting.step;
            self.plans.drop_all();
            // Targets from before are not meant for this moment.
            drop(self.inbox.human_rad.take());
            // On the way to the start they are the way's: where it was a tick ago, and nowhere.
            if acting.way == Way::Done {
                self.start_rad.copy_from_slice(self.governor.applied_rad());
                self.action_rad.copy_from_slice(self.governor.applied_rad());
            }
            self.emit(Event::Intervention { step, is_human: true });
        }
    }

    pub(super) fn hand_back(&mut self, now_s: f64) {
        if let Some(acting) = self.acting.as_mut().filter(|acting| acting.is_human) {
            acting.is_human = false;
            // On the way to the start no chunk is due: its time begins with the arrival.
            if acting.way == Way::Done {
                acting.late_since_s = Some(now_s + self.config.first_chunk_s.get());
            }
            let step = acting.step;
            self.emit(Event::Intervention { step, is_human: false });
        }
    }

    /// One tick of an episode: sets what is wanted.
    pub(super) fn act(&mut self, decision: &Decision, now_s: f64) {
        let Some(mut acting) = self.acting.take() else { return };
        if acting.is_begun && acting.tick == self.ticks_per_step {
            self.finish_step(&mut acting, decision, now_s);
        }
        if acting.way != Way::Done {
            self.go_to_start(&mut acting, now_s);
        } else if !acting.is_begun && !acting.is_over {
            self.await_first_chunk(&mut acting, decision, now_s);
        }
        if acting.is_begun && !acting.is_over {
            if acting.tick == 0 {
                self.begin_step(&mut acting, decision, now_s);
            }
            acting.is_fit &= decision.may_store;
            if acting.is_human {
                acting.actor = Some(Actor::Human);
            }
            acting.tick += 1;
            // The target moves in a straight line over the servo ticks of the step.
            let share = acting.tick as f32 / self.ticks_per_step as f32;
            let has_tool = self.bounds.spec().tool.is_some();
            interpolate(&self.start_rad, &self.action_rad, share, has_tool, &mut self.wanted_rad);
        }
        self.acting = Some(acting);
    }

    /// One tick of the way to the start posture. What is blocked on it, as fingers around an object, counts as there; an
    /// arm has to arrive.
    fn go_to_start(&mut self, acting: &mut Acting, now_s: f64) {
        let Some(start) = &self.config.start else { return };
        match acting.way {
            Way::Moving { has_begun } => {
                let (servo_hz, tool_len) = (self.bounds.spec().servo_hz as f32, self.bounds.spec().tool_len());
                let (tool, joints_rad) = self.wanted_rad.split_at_mut(tool_len);
                let is_there = approach(joints_rad, &start.posture_rad, start.rate_rad_s.f32() / servo_hz);
                let is_tool_there = self.config.tool.is_none_or(|motion| approach_start(tool, &motion, servo_hz));
                let applied_rad = self.governor.applied_rad();
                let is_blocked = has_begun && !is_unlike(&self.start_rad[tool_len..], &applied_rad[tool_len..]);
                self.start_rad.copy_from_slice(applied_rad);
                acting.way = Way::Moving { has_begun: true };
                if is_tool_there && (is_there || is_blocked) {
                    acting.way = Way::Settling { since_s: now_s };
                    self.emit(Event::Reached { posture: Posture::Start, at_s: now_s });
                }
            }
            Way::Settling { since_s } if now_s - since_s >= start.settle_s.get() => self.arrive(acting, now_s),
            Way::Settling { .. } | Way::Done => {}
        }
    }

    /// From here on the first chunk is waited for.
    fn arrive(&mut self, acting: &mut Acting, now_s: f64) {
        acting.way = Way::Done;
        acting.late_since_s = Some(now_s + self.config.first_chunk_s.get());
        self.action_rad.copy_from_slice(self.governor.applied_rad());
    }

    fn await_first_chunk(&mut self, acting: &mut Acting, decision: &Decision, now_s: f64) {
        if self.plans.is_ready() || acting.is_human {
            self.task.begin(self.governor.percept());
            if self.observe() {
                acting.is_begun = true;
                self.recorder.begin(acting.seed);
                self.emit(Event::EpisodeBegun { seed: acting.seed, at_s: now_s });
            }
        } else if decision.may_query && !self.plans.is_planning() {
            self.task.begin(self.governor.percept());
            if self.observe() {
                self.plans.request(0, &self.after, self.governor.applied_rad());
            }
        }
    }

    fn begin_step(&mut self, acting: &mut Acting, decision: &Decision, now_s: f64) {
        std::mem::swap(&mut self.before, &mut self.after);
        self.start_rad.copy_from_slice(self.governor.applied_rad());
        acting.step_began_s = now_s;
        acting.is_fit = decision.may_store;
        acting.actor = None;
        if acting.is_human {
            // Until a human wants something else, the last target is kept.
            if let Some(human_rad) = self.inbox.human_rad.take()
                && human_rad.len() == self.action_rad.len()
                && human_rad.iter().all(|x| x.is_finite())
            {
                self.action_rad.copy_from_slice(&human_rad);
            }
            return;
        }
        if decision.may_query {
            self.plans.request(acting.step, &self.before, self.governor.applied_rad());
        }
        let (action_rad, is_new) = self.plans.action(acting.step);
        match action_rad {
            Some(action_rad) => {
                self.action_rad.copy_from_slice(action_rad);
                acting.late_since_s = None;
            }
            None => {
                acting.late_since_s.get_or_insert(now_s);
            }
        }
        if let Some((version, published_s)) = self.plans.policy() {
            acting.actor = Some(Actor::Policy(version));
            if is_new {
                self.emit(Event::Chunk { step: acting.step, version, policy_age_s: now_s - published_s });
            }
        }
    }

    fn finish_step(&mut self, acting: &mut Acting, decision: &Decision, now_s: f64) {
        let judgement = self.task.judge(self.governor.percept());
        let is_observed = self.observe();
        let labelled = std::mem::take(&mut acting.waiting_reward);
        acting.labelled_reward += labelled;
        let record = StepRecord {
            before: &self.before,
            applied_rad: self.governor.applied_rad(),
            reward: (judgement.reward + labelled) as f32,
            after: &self.after,
            span_s: (acting.step_began_s, now_s),
            is_fit: acting.is_fit && decision.may_store && is_observed,
            actor: acting.actor,
        };
        self.recorder.push(record, || acting.outcome(&self.task));
        acting.step += 1;
        acting.tick = 0;
        if judgement.terminated || acting.verdict.is_some() || acting.step >= self.spec.horizon_steps {
            let outcome = acting.outcome(&self.task);
            if judgement.terminated && !outcome.succeeded {
                self.events = self.events.with(Cause::SceneLost);
            }
            let late_success = self.late_success(acting);
            self.recorder.end(Ending { outcome, cut_by: None, verdict: acting.verdict, late_success });
            self.own_order = Some(Order::Stop);
            acting.is_over = true;
        }
    }

    /// What it would have come to, had a human said in time what the body cannot tell.
    fn late_success(&mut self, acting: &Acting) -> Option<(f64, Outcome)> {
        let may_come = !self.bounds.spec().signals.is_empty() && acting.verdict.is_none();
        may_come.then(|| (self.task.hear_success(), acting.outcome(&self.task)))
    }

    /// Whether `wanted_rad` is another command than the one that was applied, by more than rounding.
    pub(super) fn is_unlike_applied(&self, wanted_rad: &[f32]) -> bool {
        let tool_len = self.bounds.spec().tool_len();
        let ((tool, joints_rad), (applied, applied_rad)) =
            (wanted_rad.split_at(tool_len), self.governor.applied_rad().split_at(tool_len));
        let pose = |values: &[f32]| values.first_chunk().and_then(ToolPose::from_values);
        let is_tool_unlike = match (pose(tool), pose(applied)) {
            (Some(wanted), Some(applied)) => !wanted.is_like(&applied),
            _ => false,
        };
        is_tool_unlike || is_unlike(joints_rad, applied_rad)
    }

    /// Writes the observation; whether all of it is finite.
    fn observe(&mut self) -> bool {
        self.task.observe(self.governor.percept(), &mut self.after);
        let is_finite = self.after.iter().all(|x| x.is_finite());
        if !is_finite {
            self.events = self.events.with(Cause::NotFinite);
        }
        is_finite
    }
}

/// Moves `wanted_rad` by at most `step_rad` a value to `posture_rad`; whether it is there.
pub(super) fn approach(wanted_rad: &mut [f32], posture_rad: &[Finite], step_rad: f32) -> bool {
    let mut is_there = true;
    for (wanted, posture) in wanted_rad.iter_mut().zip(posture_rad) {
        let rest_rad = posture.f32() - *wanted;
        is_there &= rest_rad.abs() <= step_rad;
        *wanted += rest_rad.clamp(-step_rad, step_rad);
    }
    is_there
}

/// Moves the pose `tool` by at most a tick of `motion` to where episodes begin; whether it is there.
fn approach_start(tool: &mut [f32], motion: &ToolMotion, servo_hz: f32) -> bool {
    let Some(tool) = tool.first_chunk_mut() else { return false };
    let Some(pose) = ToolPose::from_values(tool) else { return false };
    let (most_m, most_rad) = (motion.start_speed_m_s.f32() / servo_hz, motion.start_rate_rad_s.f32() / servo_hz);
    let (next, is_there) = pose.stepped_towards(&motion.start, most_m, most_rad);
    *tool = next.values();
    is_there
}

/// Whether positions of joints differ by more than rounding.
fn is_unlike(wanted_rad: &[f32], applied_rad: &[f32]) -> bool {
    wanted_rad.iter().zip(applied_rad).any(|(wanted, applied)| (wanted - applied).abs() > 1e-5)
}
