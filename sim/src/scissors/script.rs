//! The scripted demonstrator of the scissors task: a machine of phases that looks at the percept and moves tool and fingers.
//!
//! Into the loops: approach, insert, seat, lift; where the scissors did not come along: retreat, and again. To the tape:
//! carry, open, lower, close, once for every stroke; where the tape is still whole: again. While the scissors are in the
//! hand, the tool follows them by eye: each step it moves by a share of what the scissors are off, so that it does not
//! matter how they hang.
//!
//! Noise on actions follows an Ornstein-Uhlenbeck process, x <- 0.8 x + 0.6 e with e ~ N(0, 1).

use super::grip::Grip;
use super::sight::{Sight, quaternion, vector, yaw_rad};
use super::strategy::{Misjudged, Strategy};
use bridge::random::Rng;
use bridge::{Percept, ScissorsObject, TOOL_POSE_LEN, heading_rad};
use rand::Rng as _;
use rand_distr::StandardNormal;
use rapier3d::glamx::{DQuat, DVec3};
use std::sync::Arc;

const NOISE_KEPT: f64 = 0.8;
const NOISE_ADDED: f64 = 0.6;

/// Durations at pace 1, s.
const INSERT_S: f64 = 1.3;
const SEAT_S: f64 = 0.8;
const LIFT_S: f64 = 2.3;
const RETREAT_S: f64 = 1.5;
const OPEN_S: f64 = 1.2;
const LOWER_S: f64 = 1.2;
const CLOSE_S: f64 = 2.0;
/// Share of a closing that moves; the rest presses.
const CLOSING_SHARE: f64 = 0.6;
/// Longest times to reach something, s.
const CARRY_TIMEOUT_S: f64 = 10.0;
const LOWER_TIMEOUT_S: f64 = 4.0;
/// Fastest free motion, m/s and rad/s.
const FREE_SPEED_M_S: f64 = 0.15;
const FREE_RATE_RAD_S: f64 = 0.6;
/// Share of an error that a step takes back.
const GAIN: f64 = 0.2;
/// How fast the hand takes up speed with hanging scissors, m/s^2.
const ACCELERATION_M_S2: f64 = 0.3;
/// Near enough, m and rad.
const ARRIVED_M: f64 = 0.003;
const ARRIVED_RAD: f64 = 0.03;
/// The points of the blades pass this far above the tape, m.
const CLEARANCE_M: f64 = 0.025;
/// Scissors that came this far out of their case were lifted, m.
const LIFTED_M: f64 = 0.05;

/// What the demonstrator is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// To where the straight path into the loops begins.
    Approach,
    /// Along that path.
    Insert,
    /// On, until the loops lie well behind the tips.
    Seat,
    /// Up.
    Lift,
    /// Back out of the loops.
    Retreat,
    /// Over the tape.
    Carry,
    /// Opens the scissors.
    Open,
    /// Lowers them over the tape.
    Lower,
    /// Closes them.
    Close,
    /// Nothing more to try.
    GivenUp,
}

/// Sizes that the demonstrator knows of scissors and tape, m.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) blade_length_m: f64,
    pub(crate) loop_height_m: f64,
    pub(crate) tape_width_m: f64,
}

/// Plays a strategy: one action a control step.
pub struct Cutter {
    strategy: Strategy,
    grip: Arc<Grip>,
    sizes: Sizes,
    control_hz: f64,
    rng: Rng,
    joint_noise_rad: f64,
    noise: Vec<f64>,
    /// What this episode misjudges.
    misjudged: Misjudged,
    has_begun: bool,
    phase: Phase,
    n_in_phase: u32,
    n_failed: u32,
    stroke: usize,
    tool_m: DVec3,
    heading_rad: f64,
    /// Step of the tool while it follows the scissors, m.
    step_m: DVec3,
    /// Where the phase began.
    from_m: DVec3,
    /// Direction into the loops, and place of the tool when the loops are on the fingers.
    into: DVec3,
    grasp_m: DVec3,
    span_m: f64,
    from_span_m: f64,
    from_distance_m: f64,
    posture_rad: Vec<f64>,
}

impl Cutter {
    pub(crate) fn new(
        strategy: &Strategy,
        grip: Arc<Grip>,
        sizes: Sizes,
        control_hz: f64,
        turn: usize,
        n_joints: usize,
        mut rng: Rng,
    ) -> Self {
        let noises = &strategy.joint_noise_rad;
        let joint_noise_rad = noises.get(turn % noises.len().max(1)).map_or(0.0, |noise| noise.get());
        let misjudged = strategy.scatter.draw(&mut rng);
        Self {
            grip,
            sizes,
            control_hz,
            rng,
            joint_noise_rad,
            noise: vec![0.0; 4 + n_joints],
            misjudged,
            has_begun: false,
            phase: Phase::Approach,
            n_in_phase: 0,
            n_failed: 0,
            stroke: 0,
            tool_m: DVec3::ZERO,
            heading_rad: 0.0,
            step_m: DVec3::ZERO,
            from_m: DVec3::ZERO,
            into: DVec3::X,
            grasp_m: DVec3::ZERO,
            span_m: strategy.entry_span_m.get(),
            from_span_m: strategy.entry_span_m.get(),
            from_distance_m: 0.0,
            posture_rad: vec![0.0; n_joints],
            strategy: strategy.clone(),
        }
    }

    /// What it is at.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Writes the next action: tool pose, then joints, rad.
    pub fn act(&mut self, percept: &Percept, action: &mut [f32]) {
        if !self.has_begun {
            self.begin(percept);
        }
        self.n_in_phase += 1;
        match self.phase {
            Phase::Approach => self.approach(percept),
            Phase::Insert => self.insert(),
            Phase::Seat => self.seat(),
            Phase::Lift => self.lift(percept),
            Phase::Retreat => self.retreat(),
            Phase::Carry => self.carry(percept),
            Phase::Open => self.open(percept),
            Phase::Lower => self.lower(percept),
            Phase::Close => self.close(percept),
            Phase::GivenUp => {}
        }
        self.write(action);
    }

    fn begin(&mut self, percept: &Percept) {
        self.has_begun = true;
        let Some(tool) = percept.tool else { return };
        self.tool_m = vector(tool.commanded.position_m);
        self.heading_rad = yaw_rad(quaternion(tool.commanded.orientation) * self.grip.orientation.inverse());
        self.enter(Phase::Approach);
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.n_in_phase = 0;
        self.step_m = DVec3::ZERO;
        self.from_m = self.tool_m;
        self.from_span_m = self.span_m;
    }

    /// Share of `duration_s` (at pace 1) that has passed in this phase.
    fn share(&self, duration_s: f64) -> f64 {
        f64::from(self.n_in_phase) / self.control_hz * self.strategy.pace.get() * self.misjudged.pace / duration_s
    }

    fn approach(&mut self, percept: &Percept) {
        let scissors = ScissorsObject::FingerHalf.of(percept);
        let own = f64::from(heading_rad(scissors.orientation));
        let heading_rad = own + self.strategy.approach_rad.get() + self.misjudged.heading_rad;
        let turn = DQuat::from_rotation_z(heading_rad);
        self.into = turn * DVec3::X;
        let loops_m = vector(scissors.position_m) + DVec3::Z * self.sizes.loop_height_m;
        let raise_m = DVec3::Z * self.strategy.raise_m.get();
        self.grasp_m = loops_m + turn * (self.grip.position_m + self.misjudged.grasp_m) + raise_m;
        let start_m = self.grasp_m - self.into * self.strategy.approach_m.get();
        let off_m = self.go_to(start_m);
        let off_rad = self.turn_by(heading_rad - self.heading_rad);
        self.grip.sliding_in(self.strategy.approach_m.get(), &mut self.posture_rad);
        if off_m < 1e-4 && off_rad < 1e-4 && self.n_in_phase > 4 {
            self.enter(Phase::Insert);
        }
    }

    fn insert(&mut self) {
        let share = self.share(INSERT_S);
        let left_m = self.strategy.approach_m.get() * (1.0 - smooth(share));
        self.tool_m = self.grasp_m - self.into * left_m;
        self.grip.sliding_in(left_m, &mut self.posture_rad);
        if share >= 1.0 {
            self.enter(Phase::Seat);
        }
    }

    fn seat(&mut self) {
        // The last third of the time lets the fingers come to rest.
        let share = self.share(SEAT_S);
        self.tool_m = self.grasp_m + self.into * (self.strategy.seat_m.get() * smooth(1.5 * share));
        self.grip.sliding_in(0.0, &mut self.posture_rad);
        if share >= 1.0 {
            self.enter(Phase::Lift);
        }
    }

    fn lift(&mut self, percept: &Percept) {
        let share = self.share(LIFT_S);
        self.tool_m = self.from_m + DVec3::Z * (self.strategy.lift_m.get() * smooth(1.15 * share));
        if share >= 1.0 {
            let out_m =
                ScissorsObject::FingerHalf.of(percept).position_m[2] - ScissorsObject::Case.of(percept).position_m[2];
            if f64::from(out_m) >= LIFTED_M { self.enter(Phase::Carry) } else { self.fail(Phase::Retreat) }
        }
    }

    fn retreat(&mut self) {
        let share = self.share(RETREAT_S);
        let back_m = (self.strategy.seat_m.get() + self.strategy.approach_m.get()) * smooth(share);
        self.tool_m = self.from_m - self.into * back_m;
        self.grip.sliding_in(back_m, &mut self.posture_rad);
        if share >= 1.0 {
            self.misjudged = self.strategy.scatter.draw(&mut self.rng);
            self.enter(Phase::Approach);
        }
    }

    fn carry(&mut self, percept: &Percept) {
        let sight = Sight::of(percept, self.sizes.loop_height_m);
        let above_m = self.sizes.blade_length_m + CLEARANCE_M + 0.5 * self.sizes.tape_width_m;
        let off_m = self.follow(&sight, above_m, FREE_SPEED_M_S);
        let off_rad = self.turn_by(GAIN * sight.skew_rad).max(sight.skew_rad.abs());
        if off_m < ARRIVED_M && off_rad < ARRIVED_RAD {
            self.enter(Phase::Open);
        } else if self.share(CARRY_TIMEOUT_S) >= 1.0 {
            self.enter(Phase::GivenUp);
        }
    }

    fn open(&mut self, percept: &Percept) {
        let sight = Sight::of(percept, self.sizes.loop_height_m);
        if self.n_in_phase == 1 {
            self.from_distance_m = -sight.meeting.z;
        }
        self.follow(&sight, self.from_distance_m, 0.5 * FREE_SPEED_M_S);
        let share = self.share(OPEN_S);
        self.span_m = mix(self.from_span_m, self.strategy.open_span_m.get() + self.misjudged.span_m, smooth(share));
        self.grip.at_span(self.span_m, &mut self.posture_rad);
        if share >= 1.0 {
            self.enter(Phase::Lower);
        }
    }

    fn lower(&mut self, percept: &Percept) {
        let sight = Sight::of(percept, self.sizes.loop_height_m);
        if self.n_in_phase == 1 {
            self.from_distance_m = -sight.meeting.z;
        }
        let share = self.share(LOWER_S);
        let stroke_m = self.stroke_m();
        let off_m = self.follow(&sight, mix(self.from_distance_m, stroke_m, smooth(share)), 0.5 * FREE_SPEED_M_S);
        if share >= 1.0 && (off_m < ARRIVED_M || self.share(LOWER_TIMEOUT_S) >= 1.0) {
            self.enter(Phase::Close);
        }
    }

    fn close(&mut self, percept: &Percept) {
        let sight = Sight::of(percept, self.sizes.loop_height_m);
        if self.n_in_phase == 1 {
            self.from_distance_m = -sight.meeting.z;
        }
        self.follow(&sight, self.from_distance_m, 0.5 * FREE_SPEED_M_S);
        let share = self.share(CLOSE_S);
        let closed_m = self.strategy.closed_span_m.get() + self.misjudged.span_m;
        self.span_m = mix(self.from_span_m, closed_m, smooth(share / CLOSING_SHARE));
        self.grip.at_span(self.span_m, &mut self.posture_rad);
        if share >= 1.0 {
            if self.stroke + 1 < self.strategy.strokes_m.len() {
                self.stroke += 1;
                self.enter(Phase::Open);
            } else {
                self.fail(Phase::Open);
            }
        }
    }

    /// Tries again, from `phase` on, or gives up.
    fn fail(&mut self, phase: Phase) {
        self.n_failed += 1;
        if self.n_failed > self.strategy.n_retries {
            self.enter(Phase::GivenUp);
            return;
        }
        if phase == Phase::Open {
            self.misjudged = self.strategy.scatter.draw(&mut self.rng);
        }
        self.enter(phase);
    }

    fn stroke_m(&self) -> f64 {
        let strokes_m = &self.strategy.strokes_m;
        strokes_m.get(self.stroke).map_or(0.0, |stroke| stroke.get()) + self.misjudged.stroke_m
    }

    /// Moves the tool so that the tape comes to lie `distance_m` from the pivot in the middle between the blades. Returns
    /// how far off it is, m.
    fn follow(&mut self, sight: &Sight, distance_m: f64, speed_m_s: f64) -> f64 {
        let across_m = sight.meeting.y + self.misjudged.aim_m;
        let off = sight.along * sight.beside_m + sight.middle * DVec3::new(0.0, across_m, sight.meeting.z + distance_m);
        let wanted = (GAIN * off).clamp_length_max(speed_m_s / self.control_hz);
        let most = ACCELERATION_M_S2 / (self.control_hz * self.control_hz);
        self.step_m += (wanted - self.step_m).clamp_length_max(most);
        self.tool_m += self.step_m;
        off.length()
    }

    /// Moves the tool towards `target_m`; returns how far it then is, m.
    fn go_to(&mut self, target_m: DVec3) -> f64 {
        let way = target_m - self.tool_m;
        self.tool_m += way.clamp_length_max(FREE_SPEED_M_S / self.control_hz);
        (target_m - self.tool_m).length()
    }

    /// Turns the hand by `turn_rad`, as far as a step allows; returns what is left, rad.
    fn turn_by(&mut self, turn_rad: f64) -> f64 {
        let most_rad = FREE_RATE_RAD_S / self.control_hz;
        let step_rad = turn_rad.clamp(-most_rad, most_rad);
        self.heading_rad += step_rad;
        (turn_rad - step_rad).abs()
    }

    fn write(&mut self, action: &mut [f32]) {
        for noise in &mut self.noise {
            *noise = NOISE_KEPT * *noise + NOISE_ADDED * self.rng.sample::<f64, _>(StandardNormal);
        }
        let (tool_noise, joint_noise) = self.noise.split_at(4);
        let tool_noise_m = self.strategy.tool_noise_m.get();
        let position_m = self.tool_m + DVec3::from_slice(tool_noise) * tool_noise_m;
        // A metre at the palm is about ten radians of the wrist: fingers are a decimetre away from it.
        let heading_rad = self.heading_rad + 5.0 * tool_noise_m * tool_noise[3];
        let orientation = DQuat::from_rotation_z(heading_rad) * self.grip.orientation;
        let tool = position_m.to_array().into_iter().chain(orientation.to_array());
        let joints = self.posture_rad.iter().zip(joint_noise).map(|(q, noise)| q + self.joint_noise_rad * noise);
        for (value, wanted) in action.iter_mut().zip(tool.chain(joints)) {
            *value = wanted as f32;
        }
        debug_assert_eq!(action.len(), TOOL_POSE_LEN + self.posture_rad.len());
    }
}

fn mix(from: f64, to: f64, share: f64) -> f64 {
    from + (to - from) * share
}

fn smooth(share: f64) -> f64 {
    let u = share.clamp(0.0, 1.0);
    u * u * (3.0 - 2.0 * u)
}
